/*
 * Containers as JSON: what is known is there, what is not is absent, hostile texts stay texts.
 */
#include "agent/web/container_json.h"
#include "tests/unit/unit.h"

#define HOSTILE "a\"b\\c\nd\xff"

static struct {
    struct tly_snapshot snapshot;
    struct tly_snapshot_row rows[4];
    struct tly_container_view view;
    struct tly_buf buf;
} house;

static struct tly_sample_set *set_of(bool device)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_samples_add(&samples, TLY_F_container_threads, TLY_DIM_NONE, 7);
    tly_samples_add(&samples, TLY_F_container_cpu_user_seconds_total, TLY_DIM_NONE, 1500000);
    if (device) {
        uint16_t dim = tly_samples_dim1(&samples, "interface", TLY_TEXT(HOSTILE));
        tly_samples_add(&samples, TLY_F_container_network_receive_bytes_total, dim, 9);
    }
    struct tly_sample_set *set = tly_samples_take(&samples);
    tly_samples_done(&samples);
    assert_non_null(set);
    return set;
}

static struct tly_container *container_of(const char *id, const char *name)
{
    struct tly_container *container = tly_container_new(tly_text_of(id));
    assert_non_null(container);
    if (name != NULL) {
        assert_int_equal(tly_container_set(&container->name, tly_text_of(name)), 0);
    }
    return container;
}

static int setup(void **state)
{
    (void)state;
    memset(&house, 0, sizeof(house));
    tly_buf_init(&house.buf, 1 << 20);
    struct tly_container *full = container_of("aaa1", HOSTILE);
    full->state = TLY_STATE_EXITED;
    full->health = TLY_HEALTH_UNHEALTHY;
    full->created_ns = 1000000000;
    full->exit_code = 137;
    full->oom_killed = 1;
    full->restarts = 0;
    house.rows[0] = (struct tly_snapshot_row){
        .container = full,
        .labels = TLY_TEXT("id=\"/docker/aaa1\",name=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\""),
        .sets = {NULL, set_of(true)}};
    house.rows[1] = (struct tly_snapshot_row){.container = container_of("bbb2", NULL)};
    house.rows[2] = (struct tly_snapshot_row){.sets = {set_of(false)}};
    house.rows[3] = (struct tly_snapshot_row){.sets = {set_of(false)}};
    house.snapshot = (struct tly_snapshot){.slots = 2, .count = 4, .rows = house.rows};
    house.view.shown[TLY_F_container_threads] = true;
    house.view.shown[TLY_F_container_cpu_user_seconds_total] = true;
    house.view.shown[TLY_F_container_network_receive_bytes_total] = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        tly_container_unref(house.rows[i].container);
        tly_sample_set_unref(house.rows[i].sets[0]);
        tly_sample_set_unref(house.rows[i].sets[1]);
    }
    tly_buf_done(&house.buf);
    return 0;
}

static void expect(const char *expected)
{
    tly_buf_clear(&house.buf);
    assert_int_equal(tly_container_json(&house.snapshot, &house.view, &house.buf), 0);
    expect_text(tly_buf_text(&house.buf), expected);
}

#define THREADS "{\"name\":\"container_threads\",\"value\":7}"
#define CPU     "{\"name\":\"container_cpu_user_seconds_total\",\"value\":1.5}"
#define FACTS                                                                                      \
    "{\"id\":\"aaa1\",\"name\":\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",\"state\":\"exited\","              \
    "\"health\":\"unhealthy\",\"created\":\"1970-01-01T00:00:01.000000000Z\",\"exit_code\":137,"   \
    "\"restarts\":0,\"oom_killed\":true,\"labels\":{\"id\":\"/docker/aaa1\","                      \
    "\"name\":\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"},\"samples\":["
#define BARE "{\"id\":\"bbb2\",\"labels\":{},\"samples\":[]}"

static void test_all(void **state)
{
    (void)state;
    expect("\"containers\":[\n" FACTS CPU
           ",{\"name\":\"container_network_receive_bytes_total\",\"labels\":{\"interface\":"
           "\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"},\"value\":9}," THREADS "]},\n" BARE
           "],\n\"host\":[" CPU "," THREADS "]");
}

static void test_views(void **state)
{
    (void)state;
    memset(house.view.shown, 0, sizeof(house.view.shown));
    house.view.shown[TLY_F_container_threads] = true;
    house.view.id = TLY_TEXT("aa");
    expect("\"containers\":[\n" FACTS THREADS "]}],\n\"host\":[" THREADS "]");
    house.view.id = (struct tly_text){NULL, 0};
    house.view.name = TLY_TEXT("nobody");
    expect("\"containers\":[],\n\"host\":[" THREADS "]");
    house.snapshot.count = 0;
    expect("\"containers\":[],\n\"host\":[]");
}

/* At every bound the answer is an error, never half of it taken for the whole. */
static void test_bounds(void **state)
{
    (void)state;
    struct tly_buf whole;
    tly_buf_init(&whole, 1 << 20);
    assert_int_equal(tly_container_json(&house.snapshot, &house.view, &whole), 0);
    for (size_t max = 0; max <= whole.len; max++) {
        struct tly_buf small;
        tly_buf_init(&small, max);
        int rc = tly_container_json(&house.snapshot, &house.view, &small);
        assert_int_equal(rc, max < whole.len ? TLY_E_LIMIT : 0);
        tly_buf_done(&small);
    }
    tly_buf_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
