/*
 * Containers from the engine's own files, for where its API may not or cannot be used:
 * data_root/containers/<id>/config.v2.json and hostconfig.json. The folder of all containers and
 * the folder of each are watched; what changed is read on a worker. Owned by the collector.
 *
 * The engine replaces these files by rename, so that a change is a name that appears. Watches can
 * run out and other programs may write in place: everything is looked at again at intervals, by
 * time, size and inode.
 */
#ifndef TLY_COLLECTORS_DOCKER_FILES_H
#define TLY_COLLECTORS_DOCKER_FILES_H

#include "agent/base/error.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/loop.h"
#include "agent/loop/watch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_docker_files;

struct tly_docker_files_config {
    struct tly_loop *loop;
    struct tly_watcher *watcher;
    struct tly_inventory *inventory;
    int64_t interval_ms; /* of looking without watches */
    size_t containers_max;
    /* Nobody has said that there is an engine: a host without its folder is no failure. */
    bool may_be_absent;
};

struct tly_docker_files_events {
    /* All files were looked at. `success` is false when the folder can't be read, or a file;
     * not where it may be absent, and is. */
    void (*looked)(void *arg, bool success, int64_t duration_ns);
};

/* Does nothing until started. */
int tly_docker_files_new(const struct tly_docker_files_config *config, const char *data_root,
                         const struct tly_docker_files_events *events, void *arg,
                         struct tly_docker_files **ret_files) TLY_CHECK;

/* Another data_root, from now on; what the old one told is withdrawn. -ENOMEM. */
int tly_docker_files_move(struct tly_docker_files *files, const char *data_root) TLY_CHECK;

/* Another interval, from the next look on. */
void tly_docker_files_pace(struct tly_docker_files *files, int64_t interval_ms);

void tly_docker_files_start(struct tly_docker_files *files);
/* Withdraws from the inventory what the files told, and watches no longer. */
void tly_docker_files_stop(struct tly_docker_files *files);

/* Ends it; `freed` is called when no worker is on it any more, maybe from inside this call. */
void tly_docker_files_free(struct tly_docker_files *files, void (*freed)(void *arg), void *arg);

/* Files and folders that could not be read, in all. */
uint64_t tly_docker_files_errors(const struct tly_docker_files *files);

#endif
