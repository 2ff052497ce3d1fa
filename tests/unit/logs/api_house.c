/* The house of the tests of logs that the engine tells. */
#include "tests/unit/logs/api_house.h"

#include "agent/base/clock.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

struct log_engine api_engine;

/* Fast, so that nothing has to be waited for; but for what a busy machine might be taken for. */
const struct tly_log_pace api_pace = {.retry_first = 2,
                                      .retry_max = 8,
                                      .pause_max = 30,
                                      .quiet = 10000,
                                      .search = 10000,
                                      .turn = 20,
                                      .turn_search = 100};

#define TICK_MS 2

int api_set_up(void **state)
{
    assert_int_equal(house_set_up(state), 0);
    struct house *house = *state;
    log_engine_init(&api_engine, house->dir);
    log_engine_up(&api_engine);
    (void)snprintf(house->host, sizeof(house->host), "unix://%s", api_engine.path);
    house->pace = &api_pace;
    return 0;
}

int api_tear_down(void **state)
{
    int rc = house_tear_down(state);
    log_engine_done(&api_engine);
    return rc;
}

/* ---- the agent and its containers ---- */

const char *api_id(unsigned number)
{
    return api_engine.containers[number].id;
}

/* What the docker collector would tell of it. */
void api_tell_as(struct house *house, unsigned number, const char *driver)
{
    struct tly_container *container = tly_container_new(tly_text_of(api_id(number)));
    char name[32];
    assert_non_null(container);
    (void)snprintf(name, sizeof(name), "box%u", number);
    assert_int_equal(tly_container_set(&container->name, tly_text_of(name)), 0);
    assert_int_equal(tly_container_set(&container->log_driver, tly_text_of(driver)), 0);
    container->state = api_engine.containers[number].running ? TLY_STATE_RUNNING : TLY_STATE_EXITED;
    container->started_ns = START_NS + (int64_t)api_engine.containers[number].starts;
    assert_int_equal(
        tly_inventory_put(house->inventory, TLY_SOURCE_API, container, tly_clock_monotonic_ns()),
        0);
}

void api_tell(struct house *house, unsigned number)
{
    api_tell_as(house, number, "journald");
}

void api_start(struct house *house)
{
    house_start(house);
    struct tly_logs *logs = house->collector;
    tly_timer_start(logs->tick, TICK_MS, TICK_MS);
    for (unsigned i = 0; i < LOG_CONTAINERS_MAX; i++) {
        if (!api_engine.containers[i].gone) {
            api_tell(house, i);
        }
    }
}

void api_line(unsigned number, int stream, int64_t at, const char *text)
{
    char bytes[256];
    int len = snprintf(bytes, sizeof(bytes), "%s\n", text);
    log_engine_write(&api_engine, number, stream, START_NS + at, bytes, (size_t)len);
}

void api_lines(unsigned number, unsigned from, unsigned until)
{
    for (unsigned i = from; i < until; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%u: the quick brown fox", i);
        api_line(number, 1, i / 3, text); /* several at the same moment */
    }
}

void api_piece(unsigned number, int stream, int64_t at, char fill, size_t len, bool last)
{
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    memset(bytes, fill, len);
    bytes[len] = '\n';
    log_engine_write(&api_engine, number, stream, START_NS + at, bytes, len + (last ? 1 : 0));
    free(bytes);
}

struct tly_log_feed *api_feed(const struct house *house, unsigned number, size_t target)
{
    const struct tly_logs *logs = house->collector;
    char key[TLY_LOG_KEY_MAX];
    (void)snprintf(key, sizeof(key), "docker/%s", api_id(number));
    const struct tly_log_source *source = tly_map_get(logs->sources, tly_text_of(key));
    return source && source->readers[target] ? source->readers[target]->feed : NULL;
}

int64_t api_gaps(const struct house *house)
{
    return house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL);
}
