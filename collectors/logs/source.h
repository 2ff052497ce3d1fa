/*
 * One container's log: its directories, the chain of its files, what its records have in common,
 * and a reader per destination. Owned by the collector's table of sources.
 */
#ifndef TLY_LOGS_SOURCE_H
#define TLY_LOGS_SOURCE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/loop/watch.h"
#include "agent/model/container.h"
#include "collectors/logs/file.h"
#include "collectors/logs/reader.h"
#include "collectors/logs/state.h"
#include "collectors/logs/template.h"

#include <stdbool.h>
#include <stdint.h>

/* "docker/<id>", "pod/<uid>/<container>": how positions are kept. A container's name under
 * Kubernetes has at most 63 bytes; a file name at most 255. */
#define TLY_LOG_KEY_MAX (sizeof("pod//") + TLY_CONTAINER_ID_MAX + 128)

struct tly_log_source {
    struct tly_logs *logs;
    const struct tly_log_format *format;
    char *dir;               /* path of the container's folder */
    char *base;              /* name of the file being written */
    struct tly_watch *watch; /* of names in it; NULL: looked at at every tick */
    struct tly_watch *names; /* the same of `files_fd`, where that is another one; NULL: as above */
    struct tly_watch *writes; /* NULL: read at every tick */
    struct tly_log_source *next_stale;

    /* As the engine's files have it; NULL: not read yet. Of a container of Kubernetes it is made
     * from the path, and stays. */
    struct tly_container *description;
    struct tly_log_template template;
    struct tly_buf tag;
    uint64_t shape_items;                      /* what is done to its lines */
    const struct tly_log_rate *rate;           /* NULL: any */
    struct tly_log_multiline *multiline;       /* NULL: its lines are not joined */
    const struct tly_log_shape_settings *json; /* NULL: its lines become no fields */
    bool shaped;                               /* its lines don't take the short way */
    bool excluded;                             /* nobody reads it */
    uint64_t key_hash;

    struct tly_log_file *oldest, *newest; /* the chain; NULL until a file was found */
    /* Files that were in the chain: a rotated one that is still on disk is not new because what
     * stood between it and us was deleted. */
    struct tly_position *past;
    size_t past_count;
    /* How many files were seen to be made, by events, and how many were found: the difference was
     * deleted before anybody could open it. `found` may be ahead while events are on their way. */
    uint64_t created, found;

    bool *wanted;                    /* per target: it takes this container's records */
    struct tly_log_reader **readers; /* one per target that does, once a file was found, or NULL */
    uint64_t published_movement;     /* as of the last publishing */

    uint64_t generation; /* of the collector, when it was made or had its first file */
    int64_t started_ns;  /* of the last run; realtime, or unknown */
    int dir_fd;
    int files_fd;           /* the folder of the files: dir_fd itself, or one below it */
    bool pod;               /* a container of Kubernetes */
    bool old;               /* may have lines from before the agent's first run */
    bool gone;              /* the directory was removed */
    bool stopped;           /* the container does not run */
    bool api;               /* the engine tells its lines: it has no directory, and no files */
    bool copied;            /* the engine's copy is read, of what its driver sends away */
    bool told;              /* that its driver writes no such file */
    bool stale;             /* in line to be looked at */
    bool facts_stale;       /* somebody knows something new of the container */
    bool description_stale; /* namely the engine's files in the directory */
    bool begun;             /* every reader has its place */
    bool look_due;          /* the last look failed */
    bool found_lately;      /* a file was found since the last tick */
    bool published_settled; /* nothing was left to read or deliver at the last publishing */
    char id[TLY_CONTAINER_ID_MAX + 1];
    char key[TLY_LOG_KEY_MAX];
};

/* What a source is made of. `id`, `key` and the names are checked by the caller. */
struct tly_log_origin {
    const char *id; /* of the container; of the pod, if it is one of Kubernetes */
    const char *key;
    const char *dir, *base;    /* NULL: the engine is to tell its lines */
    struct tly_container *pod; /* what is known of it, if it is one of Kubernetes; else NULL */
    bool old;                  /* see above */
};

/* -errno of the directory, -ENOMEM. */
int tly_log_source_new(struct tly_logs *logs, const struct tly_log_origin *origin,
                       struct tly_log_source **ret_source) TLY_CHECK;
void tly_log_source_free(struct tly_log_source *source); /* NULL is fine */

/* Looks at the directory and the descriptions. True when the container is gone and all is
 * committed: the source can go. */
bool tly_log_source_look(struct tly_log_source *source);

/* Once a second. */
void tly_log_source_tick(struct tly_log_source *source);

/* Reads the engine's copy of what a driver sends away: container-cached.log, in the local driver's
 * format. -ENOENT: there is none, also not of before a rotation; else why that cannot be told. */
int tly_log_source_use_copy(struct tly_log_source *source) TLY_CHECK;

/* It has no use for its directory any more. */
void tly_log_source_let_go(struct tly_log_source *source);

/* All readers that are not waiting for something else read on. */
void tly_log_source_wake(struct tly_log_source *source);

/* The newest file no longer is what was read of it: truncated in place. A code of
 * tly_error_lacks_means: nothing is changed or counted yet, try again. */
int tly_log_source_cut(struct tly_log_source *source, struct tly_log_file *file) TLY_CHECK;

/* Renamed files to which nobody writes any more become final. Whether others will. */
bool tly_log_source_close(struct tly_log_source *source);

/* Frees files that nobody will read. */
void tly_log_source_trim(struct tly_log_source *source);

/* Gives up the oldest held file that was deleted; how many bytes on disk that frees. */
uint64_t tly_log_source_give_up(struct tly_log_source *source);
/* Bytes of deleted files that are held. */
uint64_t tly_log_source_held(struct tly_log_source *source);

/* Whether it may have lines from before a destination that never had anything was there. */
static inline bool tly_log_source_is_old(const struct tly_log_source *source,
                                         const struct tly_log_target *target)
{
    return target->first_run && (source->old || source->generation < target->generation);
}

/* ---- facts.c ---- */

/* As Kubernetes labels the containers of an engine that has labels; it is by these that tags and
 * destinations tell its pods. */
#define TLY_LOG_LABEL_NAMESPACE "io.kubernetes.pod.namespace"
#define TLY_LOG_LABEL_POD       "io.kubernetes.pod.name"
#define TLY_LOG_LABEL_UID       "io.kubernetes.pod.uid"
#define TLY_LOG_LABEL_CONTAINER "io.kubernetes.container.name"

/* Brings name, labels and state up to date: for tag and template. */
void tly_log_source_read_facts(struct tly_log_source *source);

#endif
