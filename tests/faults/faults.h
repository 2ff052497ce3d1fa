/*
 * What the harness and the library that it preloads share: one mapped file. run.py reads and writes
 * it by the same layout, which is why every member has a fixed width.
 */
#ifndef TLY_TESTS_FAULTS_H
#define TLY_TESTS_FAULTS_H

#include <stdint.h>

#define FAULTS_MAGIC      0x746c7466U
#define FAULTS_POINTS_MAX 65536 /* a power of two */
#define FAULTS_FRAMES_MAX 12

enum faults_mode {
    FAULTS_OFF,
    FAULTS_NEW,    /* points that never failed fail once, by chance */
    FAULTS_REPLAY, /* those that are marked fail once */
    FAULTS_ALL,    /* every call of the chosen kinds fails with the chosen error */
};

/* A call site: the stack that leads to the call, and the error that it got. */
struct faults_point {
    uint64_t hash; /* 0: the slot is free */
    uint32_t kind;
    int32_t error;
    uint32_t seen;   /* calls, while faults were on */
    uint32_t failed; /* of these */
    uint32_t run;    /* in which it failed first */
    uint32_t marked; /* for FAULTS_REPLAY */
    uint64_t frames[FAULTS_FRAMES_MAX];
};

struct faults_shared {
    uint32_t magic;
    uint32_t mode;
    uint32_t run;      /* its number, from the harness */
    uint32_t chance;   /* of FAULTS_NEW: in a million calls of one point */
    uint32_t budget;   /* failures that may still come; FAULTS_ALL takes none of it */
    uint32_t injected; /* so far in this run */
    uint32_t point_count;
    uint32_t overflow; /* points that had no room */
    uint64_t seed;
    uint64_t kinds;   /* bits: which kinds of calls may fail */
    int64_t clock_ns; /* is added to the realtime clock */
    int32_t error;    /* of FAULTS_ALL */
    uint32_t leaked;  /* blocks that were there at the end, beyond those that `baseline` has */
    uint64_t text_from, text_to; /* of the program itself, for reports */
    struct faults_point points[FAULTS_POINTS_MAX];
};

#endif
