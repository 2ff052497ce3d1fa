/*
 * A pretended Docker engine for tests, on threads of its own: it has containers, remembers events,
 * replies in the form of the API version that it is asked in, and misbehaves endpoint by endpoint
 * as a test wants it. It notes every request that it ever saw.
 */
#ifndef TLY_TESTS_FAKE_ENGINE_H
#define TLY_TESTS_FAKE_ENGINE_H

#include "tests/unit/docker/http_peer.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdbool.h>

#define FAKE_CONTAINERS_MAX 64
#define FAKE_EVENTS_MAX     1024
#define FAKE_REQUESTS_MAX   4096

enum fake_endpoint {
    FAKE_PING,
    FAKE_INFO,
    FAKE_EVENTS,
    FAKE_LIST,
    FAKE_INSPECT,
    FAKE_EXEC,
    FAKE_USAGE,
    FAKE_NETWORKS,
    FAKE_OTHER,
    FAKE_ENDPOINTS
};

enum fake_manner {
    FAKE_ANSWERS,
    FAKE_DENIES,   /* a socket proxy's 403, with HTML */
    FAKE_FAILS,    /* 500 */
    FAKE_HANGS,    /* never a word */
    FAKE_HOLDS,    /* replies with what is so now, as soon as the manner changes */
    FAKE_HALVES,   /* closes the connection in the middle of the JSON */
    FAKE_SHORTENS, /* a whole reply, of JSON that breaks off */
    FAKE_GARBLES,  /* 200 with HTML */
    FAKE_FLOODS,   /* 100 MB of one string */
};

struct fake_container {
    char id[65];
    char name[64];
    const char *state;   /* Docker's word */
    const char *health;  /* Docker's word; NULL: no health check */
    const char *since;   /* the age in a list; NULL: "2 hours" */
    const char *labels;  /* members of a JSON object, or NULL */
    const char *policy;  /* of restarts; NULL: "no" */
    const char *user;    /* NULL: none */
    const char *foreign; /* the id that an inspect tells instead of its own, or NULL */
    int failing_streak, exit_code, restarts;
    int64_t started_ns, finished_ns; /* realtime; 0: never */
    bool bad_row;                    /* its row in a list can't be read */
};

struct fake_event {
    char type[16], action[96], id[65], attributes[160];
    int64_t time_ns;
};

struct fake_engine {
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t changed;
    struct http_peer *peer; /* NULL: the engine is down */
    char path[TEMP_DIR_MAX + 16];
    int oldest, newest; /* minor numbers of the API's versions */
    bool tells_version; /* in the header of a ping */
    enum fake_manner manners[FAKE_ENDPOINTS];
    size_t piece; /* bytes of an event that go out at once; 0: all */
    struct fake_container containers[FAKE_CONTAINERS_MAX];
    size_t container_count;
    struct fake_event events[FAKE_EVENTS_MAX];
    size_t event_count, event_first; /* those before `event_first` are forgotten */
    int64_t now_ns;                  /* of the next event */
    char exec[512];                  /* the reply about any exec; empty: 404 */
    unsigned cuts;                   /* streams that began before the last one end */
    bool stopping;
    size_t streams; /* that stand */

    char targets[FAKE_REQUESTS_MAX][128];
    size_t target_count;
    size_t seen[FAKE_ENDPOINTS];
    size_t not_get; /* requests with another method, or with a body */
};

/* Down, with nothing in it, version 1.`newest`; its socket is to be in the folder. */
void fake_engine_init(struct fake_engine *engine, const char *folder, int newest);
void fake_engine_up(struct fake_engine *engine);
void fake_engine_down(struct fake_engine *engine);
/* Down; asserts that nothing but GET was ever asked. */
void fake_engine_done(struct fake_engine *engine);

void fake_engine_behave(struct fake_engine *engine, enum fake_endpoint endpoint,
                        enum fake_manner manner);
/* The API's versions from now on. */
void fake_engine_speak(struct fake_engine *engine, int oldest, int newest);

/* The id of a container by its number. */
const char *fake_id(unsigned number, char to[65]);
/* A running container "c<number>" without a health check; to be changed and put. */
struct fake_container fake_running(unsigned number);
/* Adds it or takes its place; no event tells of it. */
void fake_engine_put(struct fake_engine *engine, const struct fake_container *container);
void fake_engine_remove(struct fake_engine *engine, unsigned number);

/* An event of a container, to all streams. `attributes`: further ones as JSON members, or NULL.
 * Returns its time. */
int64_t fake_engine_event(struct fake_engine *engine, unsigned number, const char *action,
                          const char *attributes);
/* As after a restart of the engine. */
void fake_engine_forget_events(struct fake_engine *engine);
/* Ends the streams of events that stand. */
void fake_engine_cut(struct fake_engine *engine);

size_t fake_engine_seen(struct fake_engine *engine, enum fake_endpoint endpoint);
/* Requests whose target has this in it. */
size_t fake_engine_seen_target(struct fake_engine *engine, const char *part);
size_t fake_engine_streams(struct fake_engine *engine);

#endif
