/*
 * The two kinds of plug-in. A collector fills the inventory or feeds records; an output serves or
 * sends what is there. Each is one exported constant, listed in registry.c and nowhere else.
 */
#ifndef TLY_REGISTRY_H
#define TLY_REGISTRY_H

#include "agent/base/error.h"
#include "agent/config/settings.h"
#include "agent/delivery/delivery.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/loop.h"
#include "agent/loop/watch.h"
#include "agent/model/alert.h"
#include "agent/model/group.h"
#include "agent/sandbox/needs.h"
#include "agent/sandbox/sandbox.h"
#include "agent/web/route.h"

/* What every module gets at start: borrowed, and longer-lived than the module. */
struct tly_context {
    struct tly_loop *loop;
    struct tly_watcher *watcher;
    struct tly_inventory *inventory;
    struct tly_delivery *delivery;
    struct tly_config *config;
    const struct tly_settings *settings;
    const struct tly_docker_settings *docker;
    const struct tly_collect_settings *collect;
    const struct tly_group_choice *groups; /* what is shown, and so worth reading */
    struct tly_alert_feed *alerts;         /* for whoever sends alerts on */
    const struct tly_sandbox *sandbox;     /* what may be reached; NULL: all that the process may */
    int state_dir_fd;                      /* the agent's own folder; -1: nothing outlives it */
};

/* The figures that the runner shows for each collector; the collector fills them in. */
struct tly_run_stats {
    int64_t duration_ns; /* of the last run */
    bool success;        /* of the last run */
    uint64_t errors;     /* in all, one for each value or container that could not be read */
};

/* What of the core's settings concerns a module, beside its own section. */
enum {
    TLY_FOLLOWS_INTERVAL = 1, /* collect.interval */
    TLY_FOLLOWS_GROUPS = 2,   /* groups */
    TLY_FOLLOWS_OUTPUTS = 4,  /* any output's section: who is sent to */
};

/*
 * How a module takes a changed configuration without ending, in two steps, so that all modules
 * change or none. `next` has the changed settings and is borrowed during the call; what a module
 * keeps of it, it may keep as long as it runs, or until the next change.
 *
 * `prepare` checks, and makes all that can fail, and nothing that works changes by it; `err` says
 * what is wrong for whoever wrote the file. `adopt` puts what was prepared in force, and cannot
 * fail. `abandon` frees it instead.
 */
struct tly_reload_ops {
    int (*prepare)(void *self, const struct tly_context *next, void **ret_plan,
                   struct tly_error *err);
    void (*adopt)(void *self, const struct tly_context *next, void *plan);
    void (*abandon)(void *self, void *plan);
};

struct tly_collector {
    const char *name;
    const char *summary;               /* one line for documents */
    const struct tly_section *section; /* its own configuration, or NULL */
    unsigned follows;                  /* TLY_FOLLOWS_... */
    /* NULL: when something changed that concerns it, it is stopped and started. */
    const struct tly_reload_ops *reload;
    /* Starts to work on the loop; `ret_self` is the instance. Not an error: a peer that is not
     * there yet. An error stops the agent with `err`. */
    int (*start)(const struct tly_context *context, void **ret_self, struct tly_error *err);
    /* Stops, frees the instance, and calls `stopped` when nothing of it is under way any more. */
    void (*stop)(void *self, void (*stopped)(void *arg), void *arg);
    const struct tly_run_stats *(*stats)(const void *self); /* borrowed */
    /* True once the first look at the world is done: /-/ready waits for all collectors. */
    bool (*ready)(const void *self);
    const struct tly_route *routes; /* ends in a row with path NULL; or NULL */
    /* What it needs of the host beside the files and folders that options of the type path name:
     * ports, other folders, rights. NULL: nothing. */
    void (*needs)(const struct tly_config *config, struct tly_needs *needs);
};

struct tly_output {
    const char *name;
    const char *summary;
    const struct tly_section *section;
    unsigned follows; /* as above */
    const struct tly_reload_ops
        *reload; /* NULL: another instance is started, then this one stopped */
    int (*start)(const struct tly_context *context, void **ret_self, struct tly_error *err);
    /* Has until `deadline_ms` (loop time) to deliver what is under way. */
    void (*stop)(void *self, int64_t deadline_ms, void (*stopped)(void *arg), void *arg);
    const struct tly_route *routes; /* ends in a row with path NULL; or NULL */
    /* What it needs of the host beside the files and folders that options of the type path name:
     * ports, other folders, rights. NULL: nothing. */
    void (*needs)(const struct tly_config *config, struct tly_needs *needs);
};

extern const struct tly_collector *const tly_collectors[]; /* ends in NULL */
extern const struct tly_output *const tly_outputs[];       /* ends in NULL */

/* As many as there may be; registry.c checks. */
#define TLY_SECTIONS_MAX 32

/* The core's sections and those of every module, for parsing and for documents. */
const struct tly_section *const *tly_sections(size_t *ret_count);

#endif
