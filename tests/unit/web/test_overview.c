/*
 * The status page's answers: what is known is there, the rest is null; hostile texts stay texts;
 * and how a container was set up, without what is nobody's business.
 */
#include "agent/web/container_json.h"
#include "agent/web/overview_json.h"
#include "tests/unit/unit.h"

#define HOSTILE "a\"b\\c\nd\xff</script>"
#define TOKEN   "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"

static struct {
    struct tly_snapshot snapshot;
    struct tly_snapshot_row rows[3];
    struct tly_trend *trend;
    struct tly_buf buf;
} house;

static struct tly_sample_set *container_set(void)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_samples_add(&samples, TLY_F_container_spec_memory_limit_bytes, TLY_DIM_NONE, 8192);
    tly_samples_add(&samples, TLY_F_container_cpu_effective_cores, TLY_DIM_NONE, 1500000);
    tly_samples_add(&samples, TLY_F_container_memory_working_set_bytes, TLY_DIM_NONE, 4096);
    static const char *const names[] = {"check", "severity"};
    const struct tly_text high[] = {TLY_TEXT("a"), TLY_TEXT("high")};
    const struct tly_text low[] = {TLY_TEXT("b"), TLY_TEXT("low")};
    tly_samples_add(&samples, TLY_F_posture_check_failed, tly_samples_dim(&samples, names, high, 2),
                    1);
    tly_samples_add(&samples, TLY_F_posture_check_failed, tly_samples_dim(&samples, names, low, 2),
                    1);
    uint16_t one = tly_samples_dim1(&samples, "destination", TLY_TEXT("one"));
    uint16_t two = tly_samples_dim1(&samples, "destination", TLY_TEXT("two"));
    tly_samples_add(&samples, TLY_F_container_log_lag_bytes, one, 100);
    tly_samples_add(&samples, TLY_F_container_log_lag_bytes, two, 20);
    tly_samples_add(&samples, TLY_F_container_log_lag_seconds, one, 1500);
    tly_samples_add(&samples, TLY_F_container_log_lag_seconds, two, 0);
    struct tly_sample_set *set = tly_samples_take(&samples);
    tly_samples_done(&samples);
    return set;
}

static void label_add(struct tly_container *container, const char *key, const char *value)
{
    assert_int_equal(tly_container_label_add(container, tly_text_of(key), tly_text_of(value)), 0);
}

static int setup(void **state)
{
    (void)state;
    memset(&house, 0, sizeof(house));
    tly_buf_init(&house.buf, 1 << 20);
    struct tly_container *container = tly_container_new(TLY_TEXT("aaa1"));
    assert_non_null(container);
    assert_int_equal(tly_container_set(&container->name, TLY_TEXT(HOSTILE)), 0);
    container->state = TLY_STATE_EXITED;
    container->health = TLY_HEALTH_UNHEALTHY;
    container->created_ns = 1000000000;
    container->finished_ns = 5000000000;
    container->exit_code = 137;
    container->oom_killed = 1;
    container->restarts = 2;
    container->memory_limit_bytes = 8192;
    label_add(container, "com.docker.compose.project", "shop");
    house.rows[0] = (struct tly_snapshot_row){.container = container, .sets = {container_set()}};
    house.snapshot = (struct tly_snapshot){
        .slots = 1, .count = 3, .rows = house.rows, .taken_ns = 1000000000};
    assert_int_equal(tly_trend_new(10, &house.trend), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tly_container_unref(house.rows[0].container);
    tly_sample_set_unref(house.rows[0].sets[0]);
    tly_trend_free(house.trend);
    tly_buf_done(&house.buf);
    return 0;
}

#define COLUMNS                                                                                    \
    "\"columns\":[\"id\",\"name\",\"image\",\"project\",\"state\",\"health\",\"since\","           \
    "\"exit_code\",\"oom_killed\",\"oom_kills\",\"restarts\",\"cpu\",\"cpu_max\",\"throttled\","   \
    "\"memory\",\"memory_max\",\"received\",\"sent\",\"read\",\"written\",\"layer\","              \
    "\"lag_seconds\",\"lag_bytes\",\"failed\",\"failed_high\"],\n"

static void test_overview(void **state)
{
    (void)state;
    assert_int_equal(tly_overview_json(&house.snapshot, house.trend, &house.buf), 0);
    expect_text(
        tly_buf_text(&house.buf),
        "\"time\":\"1970-01-01T00:00:01.000000000Z\",\n"
        "\"host\":{\"cpu\":null,\"cpu_max\":null,\"memory\":null,\"memory_max\":null,"
        "\"received\":null,\"sent\":null,\"read\":null,\"written\":null},\n"
        "\"agent\":{\"cpu\":null,\"memory\":null},\n\"samples\":[[],[]],\n"
        "\"lags\":[{\"destination\":\"one\",\"seconds\":1.5,\"bytes\":100,\"containers\":1},"
        "{\"destination\":\"two\",\"seconds\":0,\"bytes\":20,\"containers\":0}],\n" COLUMNS
        "\"containers\":[\n[\"aaa1\",\"a\\\"b\\\\c\\nd\xef\xbf\xbd</script>\",null,"
        "\"shop\",\"exited\",\"unhealthy\",5,137,1,null,2,null,1.5,null,4096,8192,null,"
        "null,null,null,null,1.5,100,2,1]]");
}

static void test_history(void **state)
{
    (void)state;
    assert_int_equal(tly_overview_history_json(house.trend, TLY_TEXT("aaa1"), &house.buf), 0);
    assert_int_equal(house.buf.len, 0);
    tly_trend_take(house.trend, &house.snapshot, true);
    assert_int_equal(tly_overview_history_json(house.trend, TLY_TEXT("nobody"), &house.buf), 0);
    assert_int_equal(tly_overview_history_json(house.trend, TLY_TEXT("aaa1"), &house.buf), 1);
    expect_text(tly_buf_text(&house.buf),
                "\"aaa1\":{\"cpu\":[null],\"memory\":[4096],\"network\":[null],\"disk\":[null]}");
}

/* At every bound the answer is an error, never half of it taken for the whole. */
static void test_bounds(void **state)
{
    (void)state;
    assert_int_equal(tly_overview_json(&house.snapshot, house.trend, &house.buf), 0);
    for (size_t max = 0; max <= house.buf.len; max++) {
        struct tly_buf small;
        tly_buf_init(&small, max);
        assert_int_equal(tly_overview_json(&house.snapshot, house.trend, &small),
                         max < house.buf.len ? TLY_E_LIMIT : 0);
        tly_buf_done(&small);
    }
    tly_trend_take(house.trend, &house.snapshot, true);
    struct tly_buf none;
    tly_buf_init(&none, 4);
    assert_int_equal(tly_overview_history_json(house.trend, TLY_TEXT("aaa1"), &none), TLY_E_LIMIT);
    tly_buf_done(&none);
}

static void test_detail(void **state)
{
    (void)state;
    struct tly_container *container = tly_container_new(TLY_TEXT("ccc1"));
    assert_non_null(container);
    container->memory_limit_bytes = 8192;
    container->pids_limit = 0;
    assert_int_equal(tly_container_set(&container->user, TLY_TEXT("")), 0);
    label_add(container, "a", HOSTILE);
    label_add(container, "DB_Password", "hunter2");
    label_add(container, "plain", "a " TOKEN " in it");
    label_add(container, "traefik.http.middlewares.x.basicauth.users", "joe:$apr1$x");
    struct tly_secret_shapes *shapes;
    struct tly_error err;
    assert_int_equal(tly_secret_shapes_new(&shapes, &err), 0);
    assert_int_equal(tly_container_detail_json(container, shapes, &house.buf), 0);
    tly_secret_shapes_free(shapes);
    expect_text(tly_buf_text(&house.buf),
                ",\"memory_limit\":8192,\"pids_limit\":0,\"user\":\"\",\"container_labels\":{"
                "\"DB_Password\":\"(covered)\","
                "\"a\":\"a\\\"b\\\\c\\nd\xef\xbf\xbd</script>\",\"plain\":\"(covered)\","
                "\"traefik.http.middlewares.x.basicauth.users\":\"(covered)\"}");
    tly_container_unref(container);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_overview, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
