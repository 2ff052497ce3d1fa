/*
 * A session with a pretended engine; see house.h.
 */
#include "tests/unit/docker/house.h"

#include <string.h>

/* The session's times, some hundred times as fast: pings and ticks follow each other closely. */
static const struct tly_docker_pace quick = {
    .tick = 5,
    .retry_first = 5,
    .retry_local_max = 20,
    .retry_remote_max = 40,
    .steady = 10000,
    .ping_every = 20,
    .list_every = 100000,
    .list_retry = 30,
    .list_spacing = 5,
    .open_max = 10000,
    .open_retry = 40,
    .stream_life_min = 0,
    .replay_wait = 30,
    .event_delay = 3,
    .again_first = 20,
    .healthy_refresh = 100000,
    .doubtful_refresh = 100000,
    .probe_spacing = 10,
};

/* ---- what the session says ---- */

static void on_event(void *arg, const struct tly_docker_event *event)
{
    struct house *house = arg;
    size_t len = strlen(house->events);
    (void)snprintf(house->events + len, sizeof(house->events) - len, "%.*s%s%.*s %.*s;",
                   (int)event->action.len, event->action.at, event->detail.len > 0 ? ": " : "",
                   (int)event->detail.len, event->detail.len > 0 ? event->detail.at : "",
                   (int)event->name.len, event->name.at); /* cut to fit */
}

static void on_synced(void *arg, int64_t duration_ns)
{
    struct house *house = arg;
    assert_true(duration_ns >= 0);
    house->synced++;
}

static void on_unusable(void *arg, bool denied)
{
    struct house *house = arg;
    house->unusable++;
    house->denied += denied ? 1 : 0;
}

static void on_data_root(void *arg, const char *path)
{
    struct house *house = arg;
    (void)snprintf(house->data_root, sizeof(house->data_root), "%s", path); /* cut to fit */
}

/* ---- life ---- */

int house_set_up(void **state)
{
    static struct house house; /* too large for the stack of some machines */
    const struct tly_inventory_limits limits = {
        .containers_max = 100, .label_value_bytes_max = 100, .labels_max = 10};
    memset(&house, 0, sizeof(house));
    tly_log_set_level(TLY_LOG_ERROR);
    temp_dir_make(house.dir);
    fake_engine_init(&house.engine, house.dir, 41);
    (void)snprintf(house.host, sizeof(house.host), "unix://%s", house.engine.path);
    house.docker = (struct tly_docker_settings){.host = house.host, .timeout_ms = HOUSE_TIMEOUT_MS};
    house.collect = (struct tly_collect_settings){.interval_ms = 20, .containers_max = 50};
    house.pace = quick;
    house.docker.system_df_interval_ms = 50;
    memset(house.groups.on, true, sizeof(house.groups.on));
    house.groups.on[TLY_G_system_df] = false;
    assert_int_equal(tly_loop_new(&house.loop), 0);
    assert_int_equal(tly_inventory_new(&limits, NULL, 0, &house.inventory), 0);
    *state = &house;
    return 0;
}

void house_stop(struct house *house)
{
    tly_docker_session_free(house->session);
    house->session = NULL;
}

int house_tear_down(void **state)
{
    struct house *house = *state;
    house_stop(house);
    fake_engine_done(&house->engine);
    tly_inventory_free(house->inventory);
    tly_loop_free(house->loop);
    temp_dir_remove(house->dir);
    return 0;
}

void house_start(struct house *house)
{
    static const struct tly_docker_session_events events = {
        .event = on_event,
        .synced = on_synced,
        .unusable = on_unusable,
        .data_root = on_data_root,
    };
    const struct tly_docker_session_config config = {
        .loop = house->loop,
        .inventory = house->inventory,
        .docker = &house->docker,
        .collect = &house->collect,
        .groups = &house->groups,
        .counts = &house->counts,
        .pace = &house->pace,
        .events_bytes_max = house->events_bytes_max,
    };
    struct tly_error err = {0};
    if (tly_docker_session_new(&config, &events, house, &house->session, &err) < 0) {
        fail_msg("%s", err.text);
    }
}

void house_sync(struct house *house)
{
    fake_engine_up(&house->engine);
    house_start(house);
    house_await_synced(house, 1);
}

/* ---- waiting ---- */

/* A condition with what it is about. */
struct waiting {
    struct house *house;
    unsigned number;
    size_t count;
    const char *text;
};

#define await(waiting, holds, what)                                                                \
    do {                                                                                           \
        if (!turns_until((waiting)->house->loop, holds, waiting)) {                                \
            fail_msg("%s %u never came to be %zu%s; events: %s", what, (waiting)->number,          \
                     (waiting)->count, (waiting)->text ? (waiting)->text : "",                     \
                     (waiting)->house->events);                                                    \
        }                                                                                          \
    } while (0)

static bool is_synced(void *arg)
{
    const struct waiting *waiting = arg;
    return waiting->house->synced >= waiting->count;
}

void house_await_synced(struct house *house, unsigned times)
{
    struct waiting waiting = {.house = house, .count = times};
    await(&waiting, is_synced, "synced");
}

static bool is_unusable(void *arg)
{
    const struct waiting *waiting = arg;
    return waiting->house->unusable >= waiting->count;
}

void house_await_unusable(struct house *house, unsigned times)
{
    struct waiting waiting = {.house = house, .count = times};
    await(&waiting, is_unusable, "unusable");
}

static bool is_seen(void *arg)
{
    const struct waiting *waiting = arg;
    return fake_engine_seen(&waiting->house->engine, (enum fake_endpoint)waiting->number) >=
           waiting->count;
}

void house_await_seen(struct house *house, enum fake_endpoint endpoint, size_t times)
{
    struct waiting waiting = {.house = house, .number = endpoint, .count = times};
    await(&waiting, is_seen, "seen endpoint");
}

void house_turns(struct house *house, size_t pings)
{
    house_await_seen(house, FAKE_PING, fake_engine_seen(&house->engine, FAKE_PING) + pings);
}

static bool are_events(void *arg)
{
    const struct waiting *waiting = arg;
    return strstr(waiting->house->events, waiting->text) != NULL;
}

void house_await_events(struct house *house, const char *events)
{
    struct waiting waiting = {.house = house, .text = events};
    await(&waiting, are_events, "events");
}

static bool is_state(void *arg)
{
    const struct waiting *waiting = arg;
    const struct tly_container *container = house_find(waiting->house, waiting->number);
    return container && container->state == waiting->count;
}

void house_await_state(struct house *house, unsigned number, enum tly_container_state state)
{
    struct waiting waiting = {.house = house, .number = number, .count = state};
    await(&waiting, is_state, "the state of");
}

static bool is_health(void *arg)
{
    const struct waiting *waiting = arg;
    const struct tly_container *container = house_find(waiting->house, waiting->number);
    return container && container->health == waiting->count;
}

void house_await_health(struct house *house, unsigned number, enum tly_container_health health)
{
    struct waiting waiting = {.house = house, .number = number, .count = health};
    await(&waiting, is_health, "the health of");
}

static bool is_gone(void *arg)
{
    const struct waiting *waiting = arg;
    return !house_find(waiting->house, waiting->number);
}

void house_await_gone(struct house *house, unsigned number)
{
    struct waiting waiting = {.house = house, .number = number};
    await(&waiting, is_gone, "the end of");
}

static bool is_named(void *arg)
{
    const struct waiting *waiting = arg;
    const struct tly_container *container = house_find(waiting->house, waiting->number);
    return container && container->name && strcmp(container->name, waiting->text) == 0;
}

void house_await_name(struct house *house, unsigned number, const char *name)
{
    struct waiting waiting = {.house = house, .number = number, .text = name};
    await(&waiting, is_named, "the name of");
}

const struct tly_container *house_find(const struct house *house, unsigned number)
{
    char id[65];
    return tly_inventory_find_from(house->inventory, TLY_SOURCE_API,
                                   tly_text_of(fake_id(number, id)));
}
