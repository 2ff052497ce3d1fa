/*
 * What the tests of the Docker collector's session share: a session with a pretended engine, fast,
 * what it said, and waiting for what is to become of a container.
 */
#ifndef TLY_TESTS_DOCKER_HOUSE_H
#define TLY_TESTS_DOCKER_HOUSE_H

#include "agent/base/clock.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/log.h"
#include "collectors/docker/session.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/docker/fake_engine.h"

/* For what does not answer: so long that a busy machine is not taken for it. Tests that wait for it
 * set a short one. */
#define HOUSE_TIMEOUT_MS 10000

struct house {
    char dir[TEMP_DIR_MAX];
    char host[TEMP_DIR_MAX + 32];
    struct fake_engine engine;
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_docker_counts counts;
    struct tly_docker_settings docker;
    struct tly_collect_settings collect;
    struct tly_group_choice groups; /* all but system_df */
    struct tly_docker_pace pace;    /* may be changed before house_start, like the settings */
    struct tly_docker_session *session;
    size_t events_bytes_max;

    /* What the session said. */
    unsigned synced, unusable, denied;
    char data_root[64];
    char events[8192]; /* "start c1;die c1;", of containers */
};

/* cmocka's set-up and tear-down: an engine of API 1.41 that is down, no session yet. */
int house_set_up(void **state);
int house_tear_down(void **state);

/* With the engine up. */
void house_start(struct house *house);
/* The session's first; the engine's too. Until it is synced for the first time. */
void house_sync(struct house *house);
void house_stop(struct house *house);

/* Runs the loop until `holds`; fails the test if that never comes. */
#define house_await(house, holds)                                                                  \
    do {                                                                                           \
        if (!turns_until((house)->loop, holds, house)) {                                           \
            fail_msg("%s never came", #holds);                                                     \
        }                                                                                          \
    } while (0)

void house_await_synced(struct house *house, unsigned times);
void house_await_unusable(struct house *house, unsigned times);
void house_await_seen(struct house *house, enum fake_endpoint endpoint, size_t times);
/* Until so many pings more were seen: whatever was due before them was done. */
void house_turns(struct house *house, size_t pings);
void house_await_events(struct house *house, const char *events);
void house_await_state(struct house *house, unsigned number, enum tly_container_state state);
void house_await_health(struct house *house, unsigned number, enum tly_container_health health);
void house_await_gone(struct house *house, unsigned number);
void house_await_name(struct house *house, unsigned number, const char *name);

/* What the API told of it; NULL: nothing. */
const struct tly_container *house_find(const struct house *house, unsigned number);

#endif
