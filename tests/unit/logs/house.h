/*
 * What the tests of the logs collector share: the collector on a real directory in Docker's layout,
 * with real watches and positions, a pretended engine that writes and rotates as Docker does, and
 * sinks that take what comes out, each as slowly as a test wants.
 */
#ifndef TLY_TESTS_LOGS_HOUSE_H
#define TLY_TESTS_LOGS_HOUSE_H

#include "agent/config/settings.h"
#include "agent/delivery/delivery.h"
#include "agent/loop/loop.h"
#include "agent/loop/watch.h"
#include "agent/registry.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/unit.h"

#include <stdbool.h>

#define HOUSE_SINKS_MAX 2

/* A record that came out, as text. */
struct taken {
    char *tag, *id, *name, *source, *log;
    size_t log_len;
    int64_t time_ns;
    char *partial_id, *partial_ordinal, *partial_last; /* NULL: none */
    char *extra;                                       /* other fields as "key=value;" */
    bool malformed;
};

enum sink_mode {
    SINK_ACKS,  /* takes and acknowledges at once */
    SINK_HOLDS, /* takes, and acknowledges when told */
    SINK_RESTS, /* takes nothing */
};

struct sink {
    struct tly_destination *destination;
    enum sink_mode mode;
    bool drops_repeats;  /* by their record_id */
    struct taken *taken; /* of all that was acknowledged or held, in order of coming */
    size_t count, cap;
    struct tly_chunk *held[256];
    size_t held_count;
};

struct house {
    char dir[TEMP_DIR_MAX];
    char containers[TEMP_DIR_MAX + 32];
    char pods[TEMP_DIR_MAX + 32];
    char options[1024];              /* YAML below `logs:`, may be changed before house_start */
    int64_t closing_ms;              /* of what the kubelet renamed */
    char host[TEMP_DIR_MAX + 32];    /* of the engine's API; empty: there is none */
    const struct tly_log_pace *pace; /* NULL: the default */
    size_t sink_count;
    struct tly_destination_limits limits;
    int state_fd;
    struct tly_loop *loop;
    struct tly_watcher *watcher;
    struct tly_inventory *inventory;
    struct tly_delivery *delivery;
    struct tly_config *config;
    struct tly_context context;
    void *collector; /* NULL: not started */
    struct sink sinks[HOUSE_SINKS_MAX];
    struct tly_selection selections[HOUSE_SINKS_MAX]; /* of each sink; may be changed */
};

/* cmocka's set-up and tear-down: one sink that acknowledges, nothing started. */
int house_set_up(void **state);
int house_tear_down(void **state);

/* The agent runs; positions are those that the last run left. */
void house_start(struct house *house);

/* As many sinks, at least as many as before, of which a reload tells the collector. */
void house_reload(struct house *house, size_t sink_count);
/* It is killed: what is not acknowledged is forgotten. What the sinks took stays to be seen. */
void house_kill(struct house *house);

/* Acknowledges what a sink holds. */
void sink_release(struct sink *sink);
/* The connection is lost: of what it holds, the sink keeps the first `count` records it ever took,
 * and is sent the rest again. */
void sink_lose(struct sink *sink, size_t count);
/* The receiver refuses for ever what the sink holds. */
void sink_refuse(struct sink *sink);
/* Changes the mode; what is queued is taken then. */
void sink_set(struct sink *sink, enum sink_mode mode);
/* Forgets what was taken but for the first `count`; all of it. */
void sink_cut(struct sink *sink, size_t count);
void sink_clear(struct sink *sink);

/* Before house_start: the first sink takes nothing until sink_set, and is full after few lines. */
void house_fill_soon(struct house *house);
/* Turns until the sink has taken `count` records since it was cleared. */
void sink_await(struct house *house, struct sink *sink, size_t count);
/* Turns until the collector is ready and nothing is left to do for the moment. */
void house_settle(struct house *house);
/* Turns until so many seconds' ticks have passed. */
void house_ticks(struct house *house, uint64_t ticks);

/* Every line that any reader took is accounted for, and every record by its destination. */
void house_check_books(const struct house *house);

/* Gaps that were counted for the container with this id, or the pod with this uid. */
uint64_t house_gaps(const struct house *house, const char *id);

/* Every destination's position of this container may lie in the file that it reads now. */
bool house_entered(const struct house *house, const char *id);

/* What the collector's meter shows for the sum over all labels that have `label` (NULL: all). */
int64_t house_metric(const struct house *house, enum tly_family_id family, const char *label);

/* ---- the pretended engine ---- */

enum driver {
    DRIVER_JSON,  /* Docker's json-file */
    DRIVER_LOCAL, /* Docker's local */
    DRIVER_POD,   /* a runtime and a kubelet */
    DRIVERS
};

#define ROTATED_MAX 128

struct docker {
    enum driver driver;
    char id[65]; /* of a pod: its uid */
    char dir[TEMP_DIR_MAX + 128];
    char log[TEMP_DIR_MAX + 256];
    int fd;                        /* of the log being written; -1: none yet */
    int64_t now_ns;                /* of the next line */
    unsigned pieces[2], lines[2];  /* local: of the line under way; and which it is; by stream */
    unsigned starts;               /* of a pod's container, but the first */
    char rotated[ROTATED_MAX][40]; /* a pod's: names, the oldest first */
    unsigned rotated_count;
};

/* Makes the container's directory and description; the log comes with the first line. */
void docker_create(struct house *house, struct docker *docker, unsigned number);
void docker_create_as(struct house *house, struct docker *docker, unsigned number,
                      enum driver driver);
/* As the driver does; a piece of a line that is not `whole` has no newline. With json-file, `text`
 * needs no escapes. */
void docker_entry(struct docker *docker, const char *stream, struct tly_text text, bool whole);
void docker_write(struct docker *docker, const char *stream, const char *text);
void docker_piece(struct docker *docker, const char *stream, char fill, size_t len, bool last);
/* Bytes as they are. */
void docker_raw(struct docker *docker, const char *bytes, size_t len);
/* Lines "n" for from <= n < until, on stdout, with some text around. */
void docker_lines(struct docker *docker, unsigned from, unsigned until);
/* The engine's rotation with --log-opt max-file. */
void docker_rotate(struct docker *docker, unsigned max_file);
/* The log is copied and cut in place, by something that is not the engine. */
void docker_copytruncate(struct docker *docker);
/* A pod's container starts again. */
void docker_restart(struct docker *docker);
/* LOG.n becomes LOG.n.gz: the n-th newest of the rotated files. */
void docker_compress(const struct docker *docker, unsigned number);
bool docker_compressible(const struct docker *docker, unsigned number);
/* docker rm. */
void docker_remove(struct docker *docker);
/* Opens the log anew, as after a restart of the engine. */
void docker_reopen(struct docker *docker);

/* The sink has taken the lines from <= n < until of docker_lines, each once and in order, and no
 * others. */
void expect_lines(const struct sink *sink, const char *id, unsigned from, unsigned until);
/* It takes the first `count` lines of the only container like that, and no gap was counted. */
void expect_whole(struct house *house, struct sink *sink, const char *id, unsigned count);
/* Killed and started again, the agent sends nothing that it has sent before. */
void expect_no_repeat(struct house *house, struct sink *sink);

#endif
