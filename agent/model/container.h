/*
 * What is known of one container. An object is filled once by a source and never changed after it
 * was given to the inventory; counted by references that any thread may take and give back.
 * A field that the source cannot know keeps its "unknown" value, and another source may fill it.
 */
#ifndef TLY_MODEL_CONTAINER_H
#define TLY_MODEL_CONTAINER_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_CONTAINER_ID_MAX 64 /* hex digits; shorter ids exist in other engines */

enum tly_container_state {
    TLY_STATE_UNKNOWN,
    TLY_STATE_CREATED,
    TLY_STATE_RUNNING,
    TLY_STATE_PAUSED,
    TLY_STATE_RESTARTING,
    TLY_STATE_REMOVING,
    TLY_STATE_EXITED,
    TLY_STATE_DEAD,
    TLY_STATE_COUNT
};

enum tly_container_health {
    TLY_HEALTH_UNKNOWN,
    TLY_HEALTH_NONE, /* no health check is configured */
    TLY_HEALTH_STARTING,
    TLY_HEALTH_HEALTHY,
    TLY_HEALTH_UNHEALTHY,
    TLY_HEALTH_COUNT
};

extern const char *const tly_container_state_names[TLY_STATE_COUNT];   /* Docker's words */
extern const char *const tly_container_health_names[TLY_HEALTH_COUNT]; /* Docker's words */

struct tly_label {
    char *key, *value; /* owned by the container, NUL-terminated UTF-8 as the engine sent it */
};

#define TLY_UNKNOWN (-1) /* for the integers below */

struct tly_container {
    unsigned refs; /* only through ref and unref */
    char id[TLY_CONTAINER_ID_MAX + 1];
    char *name;     /* without the leading slash; NULL: unknown */
    char *image;    /* as the user wrote it */
    char *image_id; /* "sha256:..." */
    struct tly_label *labels;
    size_t label_count;
    size_t labels_left_out; /* those over TLY_CONTAINER_LABELS_MAX */
    char *cgroup_path;      /* below the cgroup root, with a leading slash: "/docker/<id>" */
    char *log_driver;       /* "json-file", "local", ... */
    char *log_path;         /* of the json-file driver, as the engine says */
    enum tly_container_state state;
    enum tly_container_health health;
    int64_t failing_streak; /* health checks failed in a row */
    int64_t last_probe_ns;  /* realtime end of the last health probe */
    int64_t exit_code;      /* of the last run; unknown while it runs for the first time */
    int64_t oom_killed;     /* 0 or 1: the engine's word on the last run */
    int64_t restarts;       /* by the restart policy, as the engine counts */
    int64_t pid;            /* of the init process in the host's pid namespace; 0: not running */
    int64_t created_ns, started_ns, finished_ns; /* realtime; 0: never */
    /* 0: none. The swap limit counts swap alone, without memory. */
    int64_t memory_limit_bytes, memory_reservation_bytes, memory_swap_limit_bytes;
    int64_t cpu_quota_us, cpu_period_us, cpu_shares, pids_limit;
    int64_t usable_cpu_millionths; /* of a CPU, by its cgroup, those above it and the host */
    char *network_mode;            /* "bridge", "host", "container:<id>", ... */
    /* Container ports with at least one port of the host bound to them at present. */
    int64_t published_ports;
    /* 0 or 1: the log driver keeps its files below a bound. Unknown without files. */
    int64_t log_rotation;
    /* 0 or 1: somebody wants it to run, see tly_container_desired. */
    int64_t desired_running;
    char *restart_policy; /* "no", "always", "unless-stopped", "on-failure" */
    char *user;           /* as the image or its user wrote it; "" is root */
    /* What the engine runs as health check, in the words of its exec events: the program and its
     * arguments with blanks between. NULL without a check. */
    char *health_command;
    char *upper_dir; /* where the writable layer lies on the host, by the engine's word */
};

/* One reference, everything unknown. NULL when memory is out. */
struct tly_container *tly_container_new(struct tly_text id);
struct tly_container *tly_container_ref(struct tly_container *container);
void tly_container_unref(struct tly_container *container); /* NULL is fine */

/* Adds a label (copied), or replaces the value of that key; the array stays sorted by key. -ENOMEM,
 * TLY_E_LIMIT over TLY_CONTAINER_LABELS_MAX. */
#define TLY_CONTAINER_LABELS_MAX 512
int tly_container_label_add(struct tly_container *container, struct tly_text key,
                            struct tly_text value) TLY_CHECK;
/* The value of a label, or NULL; borrowed. */
const char *tly_container_label(const struct tly_container *container, const char *key);

/* Copies `text` over the owned string `*field`. -ENOMEM. */
int tly_container_set(char **field, struct tly_text text) TLY_CHECK;

/*
 * Whether somebody wants the container to run: 1 while it runs or is about to be started again;
 * after an end 0 if somebody stopped it (`stopped` is 1) or it did what it was for (exit code 0
 * under a policy that leaves it so), else 1: it failed. `stopped` TLY_UNKNOWN: nobody saw the end;
 * then the result is unknown unless the restart policy tells.
 */
int64_t tly_container_desired(const struct tly_container *container, int64_t stopped);

bool tly_container_equal(const struct tly_container *a, const struct tly_container *b);

/* A new container that has each field of `first` that is known, else that of `second`. */
struct tly_container *tly_container_merge(const struct tly_container *first,
                                          const struct tly_container *second);

#endif
