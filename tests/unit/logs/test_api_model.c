/*
 * Random histories of logs that the engine tells: lines of both streams, long ones, connections
 * that break, an engine and an agent that go away, destinations that rest. In the end every line
 * has come to both destinations, in order but for repeats. A seed tells what happens, not when:
 * threads and sockets have their own time.
 */
#include "tests/unit/logs/api_house.h"

#define MODEL_CONTAINERS 3

struct model {
    struct house *house;
    uint64_t dice;
    unsigned written[MODEL_CONTAINERS][2]; /* lines, by stream */
    int64_t now[MODEL_CONTAINERS];
    bool up;
};

static unsigned roll(struct model *model, unsigned sides)
{
    model->dice = model->dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(model->dice >> 33) % sides;
}

/* Times of the two streams overtake each other, and are often the same. */
static void model_write(struct model *model, unsigned number)
{
    unsigned stream = roll(model, 2);
    unsigned long_one = roll(model, 6) == 0;
    char text[64];
    model->now[number] += roll(model, 3) == 0 ? roll(model, 1000000) : 0;
    int64_t at = model->now[number] - (stream == 1 && roll(model, 4) == 0 ? roll(model, 1000) : 0);
    for (unsigned n = 0; long_one && n < 1 + roll(model, 3); n++) {
        api_piece(number, (int)stream + 1, at, 'x', TLY_ENGINE_PIECE_BYTES, false);
        if (roll(model, 2) == 0) {
            unsigned other = 1 - stream;
            (void)snprintf(text, sizeof(text), "|%u", model->written[number][other]++);
            api_line(number, (int)other + 1, model->now[number], text);
        }
    }
    (void)snprintf(text, sizeof(text), "|%u", model->written[number][stream]++);
    api_line(number, (int)stream + 1, at, text);
}

static void model_disturb(struct model *model)
{
    struct house *house = model->house;
    struct sink *sink = &house->sinks[roll(model, 2)];
    unsigned number = roll(model, MODEL_CONTAINERS);
    switch (roll(model, 8)) {
    case 0:
        log_engine_cut(&api_engine);
        break;
    case 1:
        if (model->up) {
            log_engine_down(&api_engine);
        } else {
            log_engine_up(&api_engine);
        }
        model->up = !model->up;
        break;
    case 2:
        house_kill(house);
        pthread_mutex_lock(&api_engine.lock); /* old streams may still be at it */
        api_engine.since_once = roll(model, 2) == 0;
        api_engine.piece = roll(model, 2) == 0 ? 0 : 1 + roll(model, 20000);
        pthread_mutex_unlock(&api_engine.lock);
        api_start(house);
        break;
    case 3:
        sink_release(sink);
        sink_set(sink, (enum sink_mode)roll(model, 3));
        break;
    case 4:
        if (api_engine.containers[number].running) {
            log_engine_stop(&api_engine, number);
        } else {
            log_engine_run(&api_engine, number);
        }
        api_tell(house, number);
        break;
    default:
        assert_true(turns_few(house->loop));
        break;
    }
}

/* Every line of a stream has come, in order but for repeats. */
static void model_check(const struct model *model, const struct sink *sink)
{
    unsigned next[MODEL_CONTAINERS][2] = {{0}};
    for (size_t i = 0; i < sink->count; i++) {
        unsigned number = (unsigned)strtoul(sink->taken[i].id, NULL, 16);
        unsigned stream = strcmp(sink->taken[i].source, "stderr") == 0;
        const char *bar = strchr(sink->taken[i].log, '|');
        assert_non_null(bar);
        unsigned at = (unsigned)strtoul(bar + 1, NULL, 10);
        if (at > next[number][stream]) {
            fail_msg("container %u stream %u: %u instead of %u", number, stream, at,
                     next[number][stream]);
        }
        assert_int_equal((size_t)(bar - sink->taken[i].log) % TLY_ENGINE_PIECE_BYTES, 0);
        next[number][stream] += at == next[number][stream];
    }
    assert_memory_equal(next, model->written, sizeof(next));
}

static bool model_is_done(void *arg)
{
    const struct model *model = arg;
    for (size_t s = 0; s < 2; s++) {
        const struct sink *sink = &model->house->sinks[s];
        unsigned left = 0;
        for (unsigned number = 0; number < MODEL_CONTAINERS; number++) {
            for (unsigned stream = 0; stream < 2; stream++) {
                char last[16];
                bool found = model->written[number][stream] == 0;
                (void)snprintf(last, sizeof(last), "|%u", model->written[number][stream] - 1);
                for (size_t i = sink->count; !found && i > 0; i--) {
                    const struct taken *taken = &sink->taken[i - 1];
                    const char *bar = strchr(taken->log, '|');
                    found = bar && strcmp(bar, last) == 0 &&
                            strtoul(taken->id, NULL, 16) == number &&
                            (strcmp(taken->source, "stderr") == 0) == (stream == 1);
                }
                left += !found;
            }
        }
        if (left > 0) {
            return false;
        }
    }
    return true;
}

static void model_run(struct house *house, uint64_t seed)
{
    struct model model = {.house = house, .dice = seed, .up = true};
    house->sink_count = 2;
    house->limits.bytes_max = 256 << 10;
    for (unsigned i = 0; i < MODEL_CONTAINERS; i++) {
        log_engine_run(&api_engine, i);
    }
    api_start(house);
    for (unsigned step = 0; step < 300; step++) {
        unsigned number = roll(&model, MODEL_CONTAINERS);
        if (api_engine.containers[number].running) {
            model_write(&model, number);
        }
        if (roll(&model, 4) == 0) {
            model_disturb(&model);
        }
    }
    if (!model.up) {
        log_engine_up(&api_engine);
    }
    for (size_t s = 0; s < 2; s++) {
        sink_set(&house->sinks[s], SINK_ACKS);
        sink_release(&house->sinks[s]);
    }
    if (!turns_until(house->loop, model_is_done, &model)) {
        fail_msg("not all has come");
    }
    house_settle(house);
    for (size_t s = 0; s < 2; s++) {
        model_check(&model, &house->sinks[s]);
    }
    assert_int_equal(api_gaps(house), 0);
}

static void random_histories(void **state)
{
    (void)state;
    const char *given = getenv("TALLYMAN_TEST_SEED");
    const char *runs = getenv("TALLYMAN_TEST_RUNS");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1;
    uint64_t count = given ? 1 : runs ? strtoull(runs, NULL, 10) : 30;
    for (uint64_t seed = first; seed < first + count; seed++) {
        void *house;
        assert_int_equal(api_set_up(&house), 0);
        print_message("seed %llu\n", (unsigned long long)seed);
        model_run(house, seed);
        assert_int_equal(api_tear_down(&house), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
