/*
 * The output as the registry starts and stops it: a sender for each destination, each with its own
 * queue, one deadline for all.
 */
#include "outputs/forward/forward.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/forward/peer.h"
#include "tests/unit/unit.h"

#define RECORD                                                                                     \
    TLY_TEXT("\x92\x01\x81\xa3log\xa5"                                                             \
             "hello")

struct scene {
    struct tly_loop *loop;
    struct tly_delivery *delivery;
    struct tly_inventory *inventory;
    struct tly_config *config;
    struct peer first, second;
    void *self;
    unsigned stopped;
};

static int set_up(void **state)
{
    static const struct tly_inventory_limits limits = {
        .containers_max = 1, .label_value_bytes_max = 64, .labels_max = 1};
    struct scene *scene = calloc(1, sizeof(*scene));
    struct tly_error err;
    assert_non_null(scene);
    assert_int_equal(tly_loop_new(&scene->loop), 0);
    assert_int_equal(tly_delivery_new(scene->loop, -1, &scene->delivery, &err), 0);
    assert_int_equal(tly_inventory_new(&limits, NULL, 0, &scene->inventory), 0);
    peer_start(&scene->first, scene->loop);
    peer_start(&scene->second, scene->loop);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    peer_done(&scene->first);
    peer_done(&scene->second);
    tly_delivery_free(scene->delivery);
    tly_inventory_free(scene->inventory);
    tly_config_free(scene->config);
    tly_loop_free(scene->loop);
    free(scene);
    return 0;
}

static int start(struct scene *scene, const char *text, struct tly_error *err)
{
    static const struct tly_section *const sections[] = {&tly_forward_section};
    struct tly_complaints complaints;
    assert_int_equal(tly_config_parse(sections, 1, text, strlen(text), &complaints, &scene->config),
                     0);
    const struct tly_context context = {
        .loop = scene->loop,
        .inventory = scene->inventory,
        .delivery = scene->delivery,
        .config = scene->config,
    };
    return tly_output_forward.start(&context, &scene->self, err);
}

static void note_stopped(void *arg)
{
    struct scene *scene = arg;
    scene->stopped++;
}

static bool has_stopped(void *arg)
{
    return ((const struct scene *)arg)->stopped > 0;
}

static void stop(struct scene *scene, int64_t within_ms)
{
    tly_delivery_flush(scene->delivery);
    tly_output_forward.stop(scene->self, tly_loop_now_ms(scene->loop) + within_ms, note_stopped,
                            scene);
    assert_true(turns_until(scene->loop, has_stopped, scene));
    assert_int_equal(scene->stopped, 1);
}

static void test_without_destinations(void **state)
{
    struct scene *scene = *state;
    struct tly_error err;
    assert_int_equal(start(scene, "", &err), 0);
    assert_int_equal(tly_delivery_count(scene->delivery), 0);
    tly_output_forward.stop(scene->self, 0, note_stopped, scene);
    assert_int_equal(scene->stopped, 1);
}

/* The second receiver is silent: the first has what is its own all the same. */
static void test_two_destinations(void **state)
{
    struct scene *scene = *state;
    char text[256];
    struct tly_error err;
    (void)snprintf(text, sizeof(text),
                   "forward: [{name: one, servers: [\"127.0.0.1:%u\"]}, "
                   "{name: two, servers: [\"127.0.0.1:%u\"]}]",
                   scene->first.address.port, scene->second.address.port);
    scene->second.way = PEER_HOLDS;
    assert_int_equal(start(scene, text, &err), 0);
    assert_int_equal(tly_delivery_count(scene->delivery), 2);
    tly_delivery_emit(scene->delivery, TLY_TEXT("t"), RECORD);
    struct tly_snapshot *snapshot = tly_inventory_snapshot(scene->inventory);
    assert_non_null(snapshot); /* the meter ran, for both */
    tly_snapshot_unref(snapshot);

    stop(scene, 200);
    expect_text(tly_buf_text(&scene->first.heard), "t:hello ");
    expect_text(tly_buf_text(&scene->second.heard), "t:hello ");
    struct tly_destination_counts counts;
    tly_destination_counts(tly_delivery_at(scene->delivery, 0), &counts);
    assert_int_equal(counts.records_acked, 1);
    tly_destination_counts(tly_delivery_at(scene->delivery, 1), &counts);
    assert_int_equal(counts.records_acked, 0);
    assert_int_equal(counts.queued_records, 1);
    snapshot = tly_inventory_snapshot(scene->inventory); /* nothing is metered any more */
    assert_non_null(snapshot);
    tly_snapshot_unref(snapshot);
}

static void test_name_taken(void **state)
{
    struct scene *scene = *state;
    struct tly_destination *other;
    const struct tly_destination_limits limits = {0};
    struct tly_error err = {0};
    assert_int_equal(tly_delivery_add(scene->delivery, "two", &limits, &other), 0);
    assert_true(start(scene,
                      "forward: [{name: one, servers: [\"127.0.0.1:1\"]}, "
                      "{name: two, servers: [\"127.0.0.1:1\"]}]",
                      &err) < 0);
    assert_non_null(strstr(err.text, "two"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_destinations),
        TEST(test_two_destinations),
        TEST(test_name_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
