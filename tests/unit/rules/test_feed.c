/*
 * The feed where the history has no room or no memory, and where rules are loaded anew.
 */
#include "agent/rules/feed.h"

#include "tests/unit/unit.h"

#include <errno.h>

#define STEP_MS  10000
#define START_MS 1700000000000
/* Rounds within which the feed tries again, with some to spare. */
#define RETRY_MAX 70

static int failure; /* of the history, or 0 */
static size_t asked;

int __real_tly_history_series(struct tly_history *history, struct tly_labels labels,
                              struct tly_history_series **ret_series);
int __wrap_tly_history_series(struct tly_history *history, struct tly_labels labels,
                              struct tly_history_series **ret_series);

int __wrap_tly_history_series(struct tly_history *history, struct tly_labels labels,
                              struct tly_history_series **ret_series)
{
    asked++;
    return failure < 0 ? failure : __real_tly_history_series(history, labels, ret_series);
}

struct scene {
    struct tly_symbols *symbols;
    struct tly_history *history;
    struct tly_feed *feed;
    struct tly_expr *expr;
    struct tly_sample_set *set;
    int64_t now_ms;
};

/* Says what the rules need, as at a load of rules. */
static void needs_say(struct scene *scene)
{
    tly_history_needs_begin(scene->history);
    assert_int_equal(tly_history_needs_add(scene->history, scene->expr, 0), 0);
    tly_feed_forget(scene->feed);
    tly_history_needs_end(scene->history);
}

static void scene_init(struct scene *scene, const char *expr)
{
    struct tly_error err = {0};
    struct tly_samples samples;
    failure = 0;
    scene->symbols = tly_symbols_new(1 << 24);
    scene->history = tly_history_new(scene->symbols, 1 << 24);
    scene->feed = tly_feed_new(scene->history, scene->symbols);
    scene->now_ms = START_MS;
    assert_int_equal(tly_expr_parse(tly_text_of(expr), &scene->expr, NULL, &err), 0);
    needs_say(scene);
    tly_samples_init(&samples);
    tly_samples_add(&samples, TLY_F_container_memory_working_set_bytes, TLY_DIM_NONE, 150);
    scene->set = tly_samples_take(&samples);
    tly_samples_done(&samples);
}

static void scene_done(struct scene *scene)
{
    tly_sample_set_unref(scene->set);
    tly_feed_free(scene->feed);
    tly_history_free(scene->history);
    tly_expr_free(scene->expr);
    tly_symbols_free(scene->symbols);
}

static int feed(struct scene *scene, size_t containers)
{
    enum { MOST = 400, ID_MAX = 32 };
    static struct tly_snapshot_row rows[MOST];
    static char ids[MOST][ID_MAX];
    assert_true(containers <= MOST);
    for (size_t i = 0; i < containers; i++) {
        (void)snprintf(ids[i], ID_MAX, "id=\"%zu\"", i);
        rows[i] = (struct tly_snapshot_row){.labels = tly_text_of(ids[i]), .sets = {scene->set}};
    }
    struct tly_snapshot snapshot = {.refs = 1, .slots = 1, .count = containers, .rows = rows};
    return tly_feed_snapshot(scene->feed, &snapshot);
}

static int tick(struct scene *scene, size_t containers)
{
    scene->now_ms += STEP_MS;
    assert_int_equal(tly_history_tick(scene->history, scene->now_ms), 0);
    return feed(scene, containers);
}

/* Ticks until the history is asked for the series; what came of it. */
static int tick_asked(struct scene *scene)
{
    asked = 0;
    for (int i = 0; i < RETRY_MAX; i++) {
        int rc = tick(scene, 1);
        if (asked > 0) {
            return rc;
        }
        assert_int_equal(rc, 0);
    }
    fail_msg("the history is not asked again");
    return 0;
}

/* A series that there was no room for is tried again until it is had, also when memory is out at
 * one of these times. */
static void test_retry(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, "container_memory_working_set_bytes");
    failure = TLY_E_LIMIT;
    assert_int_equal(tick_asked(&scene), 0);
    assert_int_equal(tick_asked(&scene), 0);
    failure = -ENOMEM;
    assert_int_equal(tick_asked(&scene), -ENOMEM);
    failure = TLY_E_LIMIT;
    assert_int_equal(tick_asked(&scene), 0);
    failure = 0;
    assert_int_equal(tick_asked(&scene), 0);
    assert_int_equal(tly_history_stats(scene.history).series, 1);
    asked = 0;
    for (int i = 0; i < RETRY_MAX; i++) {
        assert_int_equal(tick(&scene, 1), 0);
    }
    assert_int_equal(asked, 0);
    scene_done(&scene);
}

/* Texts of a series that is not made stay nowhere. */
static void test_texts(void **state)
{
    (void)state;
    static const int rows[] = {TLY_E_LIMIT, -ENOMEM, 0};
    struct scene scene;
    scene_init(&scene, "container_memory_working_set_bytes{id=\"another\"}");
    size_t empty = tly_symbols_count(scene.symbols);
    for (size_t i = 0; i < ROWS(rows); i++) {
        failure = rows[i];
        assert_int_equal(tick(&scene, 10), rows[i] == -ENOMEM ? rows[i] : 0);
        assert_int_equal(tly_symbols_count(scene.symbols), empty);
        tly_feed_forget(scene.feed);
    }
    scene_done(&scene);
}

/* However much room is wanting: what is fed all the time keeps its samples when rules are loaded
 * anew, also if memory is out then. */
static void test_reload(void **state)
{
    (void)state;
    enum { CONTAINERS = 400, TICKS = 1000, RELOADS = 16 };
    struct scene scene;
    scene_init(&scene, "rate(container_memory_working_set_bytes[6h])");
    for (int i = 0; i < TICKS; i++) {
        assert_int_equal(tick(&scene, CONTAINERS), 0);
        tly_history_refuse(scene.history);
    }
    for (int i = 0; i < RELOADS; i++) {
        needs_say(&scene);
        if (i % 2 == 1) {
            failure = -ENOMEM;
            assert_int_equal(tick(&scene, CONTAINERS), -ENOMEM);
            failure = 0;
        }
        assert_int_equal(tick(&scene, CONTAINERS), 0);
        tly_history_refuse(scene.history);
    }
    assert_int_equal(tly_history_stats(scene.history).series, CONTAINERS);
    assert_int_equal(tly_history_stats(scene.history).shortened, 0);
    /* Those that are gone go, as ever. */
    for (int i = 0; i < RELOADS; i++) {
        assert_int_equal(tick(&scene, 1), 0);
        tly_history_refuse(scene.history);
    }
    assert_int_equal(tly_history_stats(scene.history).series, 1);
    assert_true(tly_history_stats(scene.history).shortened > 0);
    scene_done(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
