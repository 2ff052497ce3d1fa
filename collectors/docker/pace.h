/*
 * The times by which the session and the roster go, in one place: an engine on this host is to be
 * seen again within two seconds, and no engine is to feel that it is watched. Tests go faster.
 */
#ifndef TLY_COLLECTORS_DOCKER_PACE_H
#define TLY_COLLECTORS_DOCKER_PACE_H

#include <stdint.h>

/* All in milliseconds. */
struct tly_docker_pace {
    /* ---- session ---- */
    int64_t tick; /* of looking what is due while connected */
    /* Between tries to connect. Knocking on one's own host costs next to nothing; a remote engine
     * is spared. */
    int64_t retry_first, retry_local_max, retry_remote_max;
    /* A connection that stood this long starts the waiting times anew. */
    int64_t steady;
    /* A silent stream proves nothing: an idle engine sends no events, a hung one neither. */
    int64_t ping_every;
    /* An engine whose reader was slow skips events and says nothing of it: a list finds out. */
    int64_t list_every;
    int64_t list_retry; /* after a list was refused or failed */
    /* Events without end of an engine that is only read from may make a list due at most this
     * often. */
    int64_t list_spacing;
    int64_t open_max;   /* what opens no sooner than this is not waited for */
    int64_t open_retry; /* to open events again where they were refused */
    /* A stream that ends sooner after it opened does not count as one: somebody cuts it. */
    int64_t stream_life_min;

    /* A stream that was resumed repeats its last event at once, but a list may be faster. */
    int64_t replay_wait;

    /* ---- roster ---- */
    int64_t event_delay; /* events of one change follow each other within milliseconds */
    int64_t again_first; /* after a failed inspect, doubled with each further one */
    /* A health check's result is looked at again after this, unless an event comes first. */
    int64_t healthy_refresh, doubtful_refresh;
    /* Probes may follow each other closely; their results are read no more often than this. */
    int64_t probe_spacing;
};

extern const struct tly_docker_pace tly_docker_pace_default;

#endif
