/*
 * One round of measuring: what is to be measured (containers' writable layers and log files, then
 * local volumes), and what was found. Made on the loop, worked on by a worker a slice at a time,
 * read by the loop between slices. Holds no descriptor between folders.
 */
#ifndef TLY_COLLECTORS_DISK_ROUND_H
#define TLY_COLLECTORS_DISK_ROUND_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/container.h"
#include "collectors/disk/filesystems.h"
#include "collectors/disk/walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_disk_result {
    bool tried;
    int rc; /* 0, or why there is no size: -ENOENT for nothing to measure */
    struct tly_disk_size size;
    int64_t measured_ns; /* realtime, at the end */
};

struct tly_disk_job {
    char *name; /* owned: the container's id, or the volume's name */
    bool is_volume;
    char *top;      /* owned: the layer's folder or the volume's; NULL: to be asked of `pid` */
    int64_t pid;    /* of the container's process; 0: none */
    char *log_dir;  /* owned; NULL: none */
    char *log_mark; /* owned: how the names of its log files begin; NULL: it keeps none */
    struct tly_disk_result layer, logs; /* of a volume `layer` alone */
    char device[TLY_DISK_DEVICE_MAX];   /* behind `top`; empty: unknown */
};

struct tly_disk_round_config {
    const char *proc;      /* "/proc" */
    const char *data_root; /* copied */
    struct tly_disk_limits limits;
    size_t volumes_max;
};

/* What a slice counted; added up and cleared by the loop. */
struct tly_disk_counts {
    uint64_t walks, entries, unreadable, volumes_skipped;
    uint64_t cuts[TLY_DISK_CUTS];
};

struct tly_disk_round {
    struct tly_disk_round_config config;
    char *data_root; /* owned */
    struct tly_disk_job *jobs;
    size_t count, cap;
    size_t next;      /* the job under way; those before are done */
    size_t published; /* the loop's */
    bool volumes_listed;
    struct tly_disk_walk *walk; /* under way, or NULL */
    struct tly_buf mountinfo;
    const char *marks[2]; /* for the walk under way */
    struct tly_disk_counts counts;
};

int tly_disk_round_new(const struct tly_disk_round_config *config,
                       struct tly_disk_round **ret_round) TLY_CHECK;
void tly_disk_round_free(struct tly_disk_round *round); /* NULL is fine */

/* On the loop, before the first slice. -ENOMEM. */
int tly_disk_round_add(struct tly_disk_round *round,
                       const struct tly_container *container) TLY_CHECK;

/* On the worker: looks at up to `entries` entries. False: the round is over. */
bool tly_disk_round_work(struct tly_disk_round *round, size_t entries) TLY_CHECK;

#endif
