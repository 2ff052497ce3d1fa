/*
 * A pretended Docker engine that tells the logs of containers whose driver has no files, on threads
 * of its own: with headers or as of a terminal, and misbehaving as a test wants it.
 */
#ifndef TLY_TESTS_LOG_ENGINE_H
#define TLY_TESTS_LOG_ENGINE_H

#include "tests/unit/docker/http_peer.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_CONTAINERS_MAX 64

enum log_manner {
    LOG_TELLS,
    LOG_REFUSES, /* its driver can't be read */
    LOG_FAILS,   /* 500 */
    LOG_DENIES,  /* a socket proxy's 403, with HTML */
    LOG_GARBLES, /* 200 with HTML */
};

/* One piece, as the engine keeps it. */
struct log_kept {
    int64_t time_ns;
    int stream; /* 1: stdout, 2: stderr, 3: the engine's own word, without a time */
    char *text; /* with its newline, if it has one */
    size_t len;
};

struct log_container {
    char id[65];
    bool terminal, running, gone;
    enum log_manner manner;
    struct log_kept *kept;
    size_t count, cap;
    size_t first;    /* those before it are forgotten */
    size_t requests; /* for its log */
    unsigned starts;
};

struct log_engine {
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t changed;
    struct http_peer *peer; /* NULL: the engine is down */
    char path[TEMP_DIR_MAX + 16];
    struct log_container containers[LOG_CONTAINERS_MAX]; /* by number */
    size_t piece;    /* bytes that go out at once; 0: a whole frame */
    bool since_once; /* `since` tells where to begin (engines from 25 on), not what to leave out */
    int newest;      /* minor number of the API's newest version */
    unsigned cuts;
    bool stopping;
    size_t streams; /* that stand */
    size_t not_get; /* requests with another method, or with a body */
};

void log_engine_init(struct log_engine *engine, const char *folder);
void log_engine_up(struct log_engine *engine);
void log_engine_down(struct log_engine *engine);
/* Down; asserts that nothing but GET was ever asked. */
void log_engine_done(struct log_engine *engine);

/* Container `number` runs; its id is that of docker_create. */
void log_engine_run(struct log_engine *engine, unsigned number);
void log_engine_stop(struct log_engine *engine, unsigned number);
void log_engine_remove(struct log_engine *engine, unsigned number);
void log_engine_behave(struct log_engine *engine, unsigned number, enum log_manner manner);

/* The newline, if it has one, is the text's last byte. */
void log_engine_write(struct log_engine *engine, unsigned number, int stream, int64_t time_ns,
                      const char *text, size_t len);
/* Forgets all but the last `kept` pieces. */
void log_engine_forget(struct log_engine *engine, unsigned number, size_t kept);
/* Breaks off the streams that stand. */
void log_engine_cut(struct log_engine *engine);

size_t log_engine_streams(struct log_engine *engine);
size_t log_engine_requests(struct log_engine *engine, unsigned number);

#endif
