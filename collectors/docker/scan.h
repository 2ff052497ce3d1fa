/*
 * One look at the engine's files, done on a worker: which containers have a folder, and what the
 * files of those say that changed since the last look. It touches nothing but what it was given.
 */
#ifndef TLY_COLLECTORS_DOCKER_SCAN_H
#define TLY_COLLECTORS_DOCKER_SCAN_H

#include "agent/base/error.h"
#include "agent/base/map.h"
#include "agent/model/container.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the engine keeps in a container's folder of the things that are read here. */
#define TLY_DOCKER_CONFIG_FILE "config.v2.json"
#define TLY_DOCKER_HOST_FILE   "hostconfig.json"

/* One container's folder. */
struct tly_docker_scanned {
    char id[TLY_CONTAINER_ID_MAX + 1];
    /* Over time, size and inode of its files. Going in: as of the last look, 0 for none. */
    uint64_t stamp;
    bool found;                      /* the folder is there */
    struct tly_container *container; /* owned; NULL: unchanged, or not readable */
    int rc;                          /* why it could not be read, or 0 */
};

struct tly_docker_scan {
    char *containers_dir;          /* owned: data_root/containers */
    bool all;                      /* look for folders that are not in `at`, too */
    size_t max;                    /* of containers */
    struct tly_docker_scanned *at; /* owned */
    size_t count, cap;
    int64_t began_ns, ended_ns; /* monotonic */
    size_t left_out;            /* folders over the maximum */
    int rc;                     /* of the folder of all containers */
};

/* An empty scan of data_root; NULL when memory is out. */
struct tly_docker_scan *tly_docker_scan_new(const char *data_root, bool all, size_t max);
void tly_docker_scan_free(struct tly_docker_scan *scan); /* NULL is fine */

/* A container that is known, to be looked at. -ENOMEM, TLY_E_LIMIT over the maximum. */
int tly_docker_scan_add(struct tly_docker_scan *scan, const char *id, uint64_t stamp) TLY_CHECK;

/* The look itself; `arg` is the scan. */
void tly_docker_scan_run(void *arg);

/* Whether a folder of this name can be a container's: 12 to 64 hex digits. */
bool tly_docker_scan_is_id(const char *name, size_t len);

#endif
