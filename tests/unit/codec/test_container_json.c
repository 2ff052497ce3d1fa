/*
 * Containers from JSON: replies recorded from real engines (20.10 with API 1.41, Podman 4.3), and
 * hand-made ones of the oldest and of the newest API.
 */
#include "agent/codec/container_json.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/json_split.h"
#include "tests/unit/unit.h"

#include <fcntl.h>

#define FIXTURE_MAX ((size_t)1 << 20)

static struct tly_buf load(const char *name)
{
    struct tly_buf buf;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/docker/%s", TLY_FIXTURES, name);
    tly_buf_init(&buf, FIXTURE_MAX);
    if (tly_file_read(AT_FDCWD, path, &buf) < 0) {
        fail_msg("%s can't be read", path);
    }
    return buf;
}

static struct tly_container *inspect(const char *fixture)
{
    struct tly_buf buf = load(fixture);
    struct tly_container *container = NULL;
    struct tly_error err = {0};
    int rc = tly_container_parse_inspect(tly_buf_text(&buf), &container, &err);
    tly_buf_done(&buf);
    if (rc < 0) {
        fail_msg("%s: %s", fixture, err.text);
    }
    return container;
}

static int64_t time_at(const char *text)
{
    int64_t ns = 0;
    assert_int_equal(tly_time_parse(tly_text_of(text), &ns), 0);
    return ns;
}

static void test_recorded_unhealthy(void **state)
{
    (void)state;
    struct tly_container *c = inspect("inspect-1.41-unhealthy.json");
    assert_string_equal(c->id, "a12db4fad0d9d0591b243cb036b9864f35cd96ab9506c911d007989b8bdf754b");
    assert_string_equal(c->name, "web");
    assert_string_equal(c->image, "busybox:test");
    assert_string_equal(c->image_id,
                        "sha256:fabaab45195aac606d08662f267fa538b530ab8339cde4827082aa438c175f8d");
    assert_int_equal(c->state, TLY_STATE_RUNNING);
    assert_int_equal(c->health, TLY_HEALTH_UNHEALTHY);
    assert_int_equal(c->failing_streak, 5);
    assert_int_equal(c->last_probe_ns, time_at("2026-11-24T00:02:54.40748499Z"));
    assert_int_equal(c->exit_code, TLY_UNKNOWN);
    assert_int_equal(c->oom_killed, 0);
    assert_int_equal(c->restarts, 0);
    assert_int_equal(c->pid, 18779);
    assert_int_equal(c->created_ns, time_at("2026-11-24T00:02:48.910984699Z"));
    assert_int_equal(c->started_ns, time_at("2026-11-24T00:02:49.136565904Z"));
    assert_int_equal(c->finished_ns, 0);
    assert_int_equal(c->memory_limit_bytes, 0);
    assert_int_equal(c->memory_swap_limit_bytes, 0);
    assert_int_equal(c->pids_limit, 0);
    assert_string_equal(c->log_driver, "json-file");
    assert_non_null(strstr(c->log_path, "-json.log"));
    assert_string_equal(c->network_mode, "bridge");
    assert_int_equal(c->label_count, 3);
    assert_string_equal(tly_container_label(c, "hostile"), "\"\n\\");
    tly_container_unref(c);
}

static void test_recorded_exited(void **state)
{
    (void)state;
    struct tly_container *c = inspect("inspect-1.41-exited.json");
    assert_int_equal(c->state, TLY_STATE_EXITED);
    assert_int_equal(c->exit_code, 3);
    assert_int_equal(c->pid, 0);
    assert_int_equal(c->health, TLY_HEALTH_NONE);
    assert_int_equal(c->failing_streak, TLY_UNKNOWN);
    assert_true(c->finished_ns > c->started_ns);
    tly_container_unref(c);
}

static void test_recorded_created(void **state)
{
    (void)state;
    struct tly_container *c = inspect("inspect-1.41-created.json");
    assert_int_equal(c->state, TLY_STATE_CREATED);
    assert_int_equal(c->exit_code, TLY_UNKNOWN);
    assert_int_equal(c->started_ns, 0);
    assert_int_equal(c->finished_ns, 0);
    assert_null(c->log_path);
    assert_string_equal(c->network_mode, "host");
    tly_container_unref(c);
}

static void test_api_1_24(void **state)
{
    (void)state;
    struct tly_container *c = inspect("inspect-1.24.json");
    assert_string_equal(c->name, "shop_web_1");
    assert_int_equal(c->health, TLY_HEALTH_HEALTHY);
    assert_int_equal(c->failing_streak, 0);
    assert_int_equal(c->restarts, 2);
    assert_int_equal(c->memory_limit_bytes, 268435456);
    assert_int_equal(c->memory_reservation_bytes, 134217728);
    assert_int_equal(c->memory_swap_limit_bytes, 268435456); /* swap alone */
    assert_int_equal(c->cpu_shares, 512);
    assert_int_equal(c->cpu_quota_us, 25000);
    assert_int_equal(c->cpu_period_us, 50000);
    assert_int_equal(c->pids_limit, 100);
    assert_string_equal(c->network_mode, "shop_default");
    tly_container_unref(c);
}

static void test_api_1_52(void **state)
{
    (void)state;
    struct tly_container *c = inspect("inspect-1.52.json");
    assert_string_equal(c->name, "shop-web-1");
    assert_int_equal(c->health, TLY_HEALTH_STARTING);
    assert_int_equal(c->failing_streak, 1);
    assert_int_equal(c->last_probe_ns, TLY_UNKNOWN);
    assert_int_equal(c->exit_code, TLY_UNKNOWN); /* its second run: 0 says nothing of the first */
    assert_int_equal(c->cpu_quota_us, 150000);
    assert_int_equal(c->cpu_period_us, 100000);
    assert_int_equal(c->memory_swap_limit_bytes, 0); /* -1: no limit */
    assert_int_equal(c->pids_limit, 0);
    assert_string_equal(c->log_driver, "journald");
    tly_container_unref(c);
}

static void test_podman(void **state)
{
    (void)state;
    struct tly_container *c = inspect("inspect-podman-4.3.json");
    assert_string_equal(c->image, "localhost/busybox:test");
    assert_int_equal(c->state, TLY_STATE_RUNNING);
    assert_int_equal(c->health, TLY_HEALTH_UNHEALTHY);
    assert_int_equal(c->failing_streak, 2);
    assert_string_equal(c->log_driver, "k8s-file"); /* it says json-file */
    tly_container_unref(c);
}

static void test_files(void **state)
{
    (void)state;
    struct tly_buf config = load("config.v2.json");
    struct tly_buf host = load("hostconfig.json");
    struct tly_container *from_files = NULL;
    struct tly_container *bare = NULL;
    assert_int_equal(
        tly_container_parse_files(tly_buf_text(&config), tly_buf_text(&host), &from_files, NULL),
        0);
    /* The same container, asked at the same moment. */
    struct tly_container *from_api = inspect("inspect-1.41-unhealthy.json");
    free(from_api->upper_dir); /* which only the API tells */
    from_api->upper_dir = NULL;
    assert_true(tly_container_equal(from_files, from_api));
    assert_int_equal(
        tly_container_parse_files(tly_buf_text(&config), (struct tly_text){NULL, 0}, &bare, NULL),
        0);
    assert_string_equal(bare->name, "web");
    assert_null(bare->log_driver);
    assert_int_equal(bare->memory_limit_bytes, TLY_UNKNOWN);
    tly_container_unref(bare);
    tly_container_unref(from_api);
    tly_container_unref(from_files);
    tly_buf_done(&config);
    tly_buf_done(&host);
}

#define STATE(fields) "{\"Id\":\"ab\",\"State\":{" fields "}}"

static void test_states(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum tly_container_state state;
        int64_t exit_code;
    } rows[] = {
        {STATE("\"Status\":\"dead\",\"ExitCode\":5"), TLY_STATE_DEAD, 5},
        {STATE("\"Status\":\"removing\",\"ExitCode\":137"), TLY_STATE_REMOVING, 137},
        {STATE("\"Status\":\"restarting\",\"Running\":true,\"Restarting\":true,\"ExitCode\":7"),
         TLY_STATE_RESTARTING, 7},
        {STATE("\"Status\":\"paused\",\"ExitCode\":0"), TLY_STATE_PAUSED, TLY_UNKNOWN},
        {STATE("\"Status\":\"created\",\"ExitCode\":127"), TLY_STATE_CREATED, 127},
        {STATE("\"Status\":\"configured\",\"ExitCode\":0"), TLY_STATE_CREATED, TLY_UNKNOWN},
        {STATE("\"Status\":\"stopped\",\"ExitCode\":0"), TLY_STATE_EXITED, 0},
        {STATE("\"Status\":\"something new\""), TLY_STATE_UNKNOWN, TLY_UNKNOWN},
        {STATE("\"Status\":\"something new\",\"Running\":true"), TLY_STATE_RUNNING, TLY_UNKNOWN},
        /* Flags alone, as the files have them. */
        {STATE("\"Running\":true,\"Paused\":true"), TLY_STATE_PAUSED, TLY_UNKNOWN},
        {STATE("\"Running\":false,\"Dead\":true,\"ExitCode\":1"), TLY_STATE_DEAD, 1},
        {STATE("\"Running\":false,\"RemovalInProgress\":true"), TLY_STATE_REMOVING, TLY_UNKNOWN},
        {STATE("\"Running\":false,\"StartedAt\":\"0001-01-01T00:00:00Z\",\"ExitCode\":0"),
         TLY_STATE_CREATED, TLY_UNKNOWN},
        {STATE("\"Running\":false,\"StartedAt\":\"2026-01-01T00:00:00Z\",\"ExitCode\":2"),
         TLY_STATE_EXITED, 2},
        {"{\"Id\":\"ab\"}", TLY_STATE_UNKNOWN, TLY_UNKNOWN},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_container *c = NULL;
        assert_int_equal(tly_container_parse_inspect(tly_text_of(rows[i].json), &c, NULL), 0);
        assert_int_equal(c->state, rows[i].state);
        assert_int_equal(c->exit_code, rows[i].exit_code);
        tly_container_unref(c);
    }
}

#define HEALTH(running, status, config)                                                            \
    "{\"Id\":\"ab\",\"State\":{\"Running\":" running ",\"StartedAt\":\"2026-01-01T00:00:00Z\","    \
    "\"Health\":" status "},\"Config\":{\"Healthcheck\":" config "}}"
#define CHECK "{\"Test\":[\"CMD\",\"true\"]}"

static void test_health(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum tly_container_health health;
        int64_t streak;
    } rows[] = {
        {HEALTH("true", "null", "null"), TLY_HEALTH_NONE, TLY_UNKNOWN},
        {HEALTH("true", "{\"Status\":\"\"}", "null"), TLY_HEALTH_NONE, TLY_UNKNOWN},
        {HEALTH("true", "{\"Status\":\"none\"}", "null"), TLY_HEALTH_NONE, TLY_UNKNOWN},
        {HEALTH("true", "null", "{\"Test\":[\"NONE\"]}"), TLY_HEALTH_NONE, TLY_UNKNOWN},
        {HEALTH("true", "null", CHECK), TLY_HEALTH_STARTING, TLY_UNKNOWN},
        {HEALTH("true", "{\"Status\":\"healthy\",\"FailingStreak\":0}", CHECK), TLY_HEALTH_HEALTHY,
         0},
        /* The engine calls every stopped container with a check unhealthy. */
        {HEALTH("false", "{\"Status\":\"unhealthy\",\"FailingStreak\":3}", CHECK),
         TLY_HEALTH_UNKNOWN, TLY_UNKNOWN},
        {HEALTH("false", "null", "null"), TLY_HEALTH_NONE, TLY_UNKNOWN},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_container *c = NULL;
        assert_int_equal(tly_container_parse_inspect(tly_text_of(rows[i].json), &c, NULL), 0);
        assert_int_equal(c->health, rows[i].health);
        assert_int_equal(c->failing_streak, rows[i].streak);
        tly_container_unref(c);
    }
}

/* Members of a wrong type cost themselves and nothing else. */
static void test_odd_members(void **state)
{
    (void)state;
    static const char json[] =
        "{\"Id\":\"AB12\",\"Name\":7,\"Image\":[],\"RestartCount\":-3,\"Created\":\"yesterday\","
        "\"State\":{\"Status\":9,\"Pid\":\"1\",\"StartedAt\":null,\"OOMKilled\":\"yes\"},"
        "\"HostConfig\":{\"Memory\":99999999999999999999,\"PidsLimit\":\"many\",\"CpuQuota\":1e4,"
        "\"MemorySwap\":7,\"NanoCpus\":9223372036854775807},"
        "\"Config\":{\"Image\":\"x\",\"Labels\":{\"a\":1,\"b\":\"two\",\"c\":\"\\u0000\"}}}";
    struct tly_container *c = NULL;
    assert_int_equal(tly_container_parse_inspect(TLY_TEXT(json), &c, NULL), 0);
    assert_string_equal(c->id, "AB12");
    assert_null(c->name);
    assert_null(c->image_id);
    assert_string_equal(c->image, "x");
    assert_int_equal(c->restarts, TLY_UNKNOWN);
    assert_int_equal(c->created_ns, TLY_UNKNOWN);
    assert_int_equal(c->pid, TLY_UNKNOWN);
    assert_int_equal(c->oom_killed, TLY_UNKNOWN);
    assert_int_equal(c->memory_limit_bytes, 0); /* no number: no limit that it could be */
    assert_int_equal(c->cpu_quota_us, 10000);
    assert_int_equal(c->cpu_period_us, 100000);
    assert_int_equal(c->label_count, 2);
    assert_string_equal(tly_container_label(c, "b"), "two");
    tly_container_unref(c);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "[]",
        "{",
        "<html>",
        "{}",
        "{\"Id\":\"\"}",
        "{\"Id\":7}",
        "{\"Id\":\"../../etc\"}",
        "{\"Id\":\"0123456789012345678901234567890123456789012345678901234567890123f\"}",
        "{\"Id\":\"ab\"} trailing",
        "{\"Id\":\"ab\",\"Name\":\"\xff\"}",
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_container *c = NULL;
        struct tly_container_row row;
        struct tly_error err = {0};
        struct tly_text text = tly_text_of(rows[i]);
        assert_int_equal(tly_container_parse_inspect(text, &c, &err), TLY_E_MALFORMED);
        assert_true(err.text[0] != '\0');
        assert_int_equal(tly_container_parse_row(text, &row, NULL), TLY_E_MALFORMED);
    }
    struct tly_container *c = NULL;
    assert_int_equal(
        tly_container_parse_files(TLY_TEXT("{\"ID\":\"ab\"}"), TLY_TEXT("{"), &c, NULL),
        TLY_E_MALFORMED);
    assert_int_equal(
        tly_container_parse_files(TLY_TEXT("{\"Id\":\"ab\"}"), TLY_TEXT("{}"), &c, NULL),
        TLY_E_MALFORMED); /* the files spell it ID */
}

/* ---- lists ---- */

#define LIST_MAX 8
struct list {
    struct tly_container_row at[LIST_MAX];
    size_t count;
};

static int add_row(void *arg, struct tly_text json)
{
    struct list *list = arg;
    assert_true(list->count < LIST_MAX);
    return tly_container_parse_row(json, &list->at[list->count++], NULL);
}

static struct list load_list(const char *fixture)
{
    struct list list = {0};
    struct tly_buf buf = load(fixture);
    struct tly_json_split split;
    tly_json_split_init(&split, TLY_JSON_ELEMENTS, FIXTURE_MAX);
    assert_int_equal(tly_json_split_feed(&split, tly_buf_text(&buf), add_row, &list), 0);
    assert_true(tly_json_split_complete(&split));
    tly_json_split_done(&split);
    tly_buf_done(&buf);
    return list;
}

static void list_done(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        tly_container_row_done(&list->at[i]);
    }
}

static void test_recorded_list(void **state)
{
    (void)state;
    struct list list = load_list("list-1.41.json");
    assert_int_equal(list.count, 4);
    const struct tly_container *once = list.at[0].container;
    const struct tly_container *web = list.at[1].container;
    const struct tly_container *fresh = list.at[3].container;
    assert_string_equal(once->name, "once");
    assert_int_equal(once->state, TLY_STATE_EXITED);
    assert_int_equal(once->exit_code, 3);
    assert_string_equal(web->name, "web");
    assert_int_equal(web->state, TLY_STATE_RUNNING);
    assert_int_equal(web->health, TLY_HEALTH_UNHEALTHY);
    assert_int_equal(web->exit_code, TLY_UNKNOWN);
    assert_int_equal(web->label_count, 3);
    assert_int_equal(fresh->state, TLY_STATE_CREATED);
    assert_int_equal(list.at[3].age_max_s, TLY_UNKNOWN);
    list_done(&list);
}

static void test_lists_of_other_apis(void **state)
{
    (void)state;
    struct list old = load_list("list-1.24.json");
    assert_string_equal(old.at[0].container->name, "shop_web_1"); /* not the link's alias */
    assert_int_equal(old.at[0].container->health, TLY_HEALTH_HEALTHY);
    assert_int_equal(old.at[0].age_max_s, 3 * 3600);
    struct list new = load_list("list-1.52.json");
    assert_int_equal(new.at[0].container->health, TLY_HEALTH_STARTING);
    assert_int_equal(new.at[0].container->failing_streak, 1);
    assert_int_equal(new.at[0].age_max_s, 120);
    struct list podman = load_list("list-podman-4.3.json");
    assert_int_equal(podman.count, 2);
    assert_int_equal(podman.at[0].container->exit_code, 3);
    assert_int_equal(podman.at[1].container->state, TLY_STATE_RUNNING);
    /* Podman's list says nothing of health; that is not "none". */
    assert_int_equal(podman.at[1].container->health, TLY_HEALTH_UNKNOWN);
    list_done(&old);
    list_done(&new);
    list_done(&podman);
}

struct status_row {
    const char *status;
    enum tly_container_state state;
    int64_t exit_code;
    int64_t age_max_s;
};

static void test_status_words(void **state)
{
    (void)state;
    static const struct status_row rows[] = {
        {"Up Less than a second", TLY_STATE_RUNNING, TLY_UNKNOWN, 2},
        {"Up 1 second", TLY_STATE_RUNNING, TLY_UNKNOWN, 2},
        {"Up 5 minutes", TLY_STATE_RUNNING, TLY_UNKNOWN, 360},
        {"Up About an hour", TLY_STATE_RUNNING, TLY_UNKNOWN, 7200},
        {"Up 2 weeks (Paused)", TLY_STATE_PAUSED, TLY_UNKNOWN, 3 * 7 * 86400},
        {"Exited (137) 3 years ago", TLY_STATE_EXITED, 137, 4 * 366 * 86400},
        {"Restarting (1) 4 seconds ago", TLY_STATE_RESTARTING, 1, 5},
        {"Exited (x) a while ago", TLY_STATE_EXITED, TLY_UNKNOWN, TLY_UNKNOWN},
        {"Exited (", TLY_STATE_EXITED, TLY_UNKNOWN, TLY_UNKNOWN},
        {"Up ", TLY_STATE_RUNNING, TLY_UNKNOWN, TLY_UNKNOWN},
        {"Up 99999999999999999999 days", TLY_STATE_RUNNING, TLY_UNKNOWN, 2 * 86400},
        {"Created", TLY_STATE_UNKNOWN, TLY_UNKNOWN, TLY_UNKNOWN},
        {"", TLY_STATE_UNKNOWN, TLY_UNKNOWN, TLY_UNKNOWN},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char json[256];
        struct tly_container_row row;
        (void)snprintf(json, sizeof(json), "{\"Id\":\"ab\",\"Status\":\"%s\"}", rows[i].status);
        assert_int_equal(tly_container_parse_row(tly_text_of(json), &row, NULL), 0);
        if (row.container->state != rows[i].state || row.age_max_s != rows[i].age_max_s ||
            row.container->exit_code != rows[i].exit_code) {
            fail_msg("\"%s\": state %d, age %lld, exit code %lld", rows[i].status,
                     row.container->state, (long long)row.age_max_s,
                     (long long)row.container->exit_code);
        }
        tly_container_row_done(&row);
    }
}

/* Time alone changes nothing; a name, a state, a health or a code does. */
static void test_fingerprints(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"\"Status\":\"Up 2 minutes\"", "\"Status\":\"Up 3 minutes\"", true},
        {"\"Status\":\"Exited (1) 2 days ago\"", "\"Status\":\"Exited (1) 2 weeks ago\"", true},
        {"\"Status\":\"Exited (1) 2 days ago\"", "\"Status\":\"Exited (2) 2 days ago\"", false},
        {"\"Status\":\"Up 2 minutes\"", "\"Status\":\"Up 2 minutes (healthy)\"", false},
        {"\"State\":\"running\"", "\"State\":\"paused\"", false},
        {"\"Names\":[\"/a\"]", "\"Names\":[\"/b\"]", false},
        {"\"Names\":[\"/a\"]", "\"Names\":[\"/x/y\",\"/a\"]", true},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char json[256];
        struct tly_container_row a;
        struct tly_container_row b;
        (void)snprintf(json, sizeof(json), "{\"Id\":\"ab\",%s}", rows[i].a);
        assert_int_equal(tly_container_parse_row(tly_text_of(json), &a, NULL), 0);
        (void)snprintf(json, sizeof(json), "{\"Id\":\"ab\",%s}", rows[i].b);
        assert_int_equal(tly_container_parse_row(tly_text_of(json), &b, NULL), 0);
        assert_int_equal(a.fingerprint == b.fingerprint, rows[i].same);
        tly_container_row_done(&a);
        tly_container_row_done(&b);
    }
}

/* One container from the members of Config, of HostConfig and of the reply itself. */
static struct tly_container *inspect_made(const char *config, const char *host, const char *more)
{
    char json[2048];
    (void)snprintf(json, sizeof(json), "{\"Id\":\"ab\",\"Config\":{%s},\"HostConfig\":{%s}%s%s}",
                   config, host, more[0] ? "," : "", more); /* fits */
    struct tly_container *container = NULL;
    assert_int_equal(tly_container_parse_inspect(tly_text_of(json), &container, NULL), 0);
    return container;
}

static void test_health_commands(void **state)
{
    (void)state;
    static const struct {
        const char *config, *command;
    } rows[] = {
        {"\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"curl -f x || exit 1\"]}",
         "/bin/sh -c curl -f x || exit 1"},
        {"\"Shell\":[\"/bin/bash\",\"-ec\"],\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"x\"]}",
         "/bin/bash -ec x"},
        {"\"Healthcheck\":{\"Test\":[\"CMD\",\"curl\",\"-f\",\"x\"]}", "curl -f x"},
        {"\"Healthcheck\":{\"Test\":[\"CMD\"]}", NULL},
        {"\"Healthcheck\":{\"Test\":[\"NONE\"]}", NULL},
        {"\"Healthcheck\":{\"Test\":[]}", NULL},
        {"\"Healthcheck\":{\"Test\":[7,8]}", NULL},
        {"\"Healthcheck\":{\"Test\":\"CMD\"}", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_container *c = inspect_made(rows[i].config, "", "");
        if (rows[i].command) {
            assert_string_equal(c->health_command, rows[i].command);
        } else {
            assert_null(c->health_command);
        }
        tly_container_unref(c);
    }
}

static void test_log_rotation_and_ports(void **state)
{
    (void)state;
    static const struct {
        const char *log, *ports;
        int64_t rotation, published;
    } rows[] = {
        {"\"Type\":\"json-file\",\"Config\":{}", "{}", 0, 0},
        {"\"Type\":\"json-file\",\"Config\":{\"max-size\":\"10m\"}",
         "{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"80\"},{\"HostIp\":\"::\","
         "\"HostPort\":\"80\"}],\"90/tcp\":null,\"53/udp\":[{\"HostPort\":\"53\"}]}",
         1, 2},
        {"\"Type\":\"json-file\",\"Config\":{\"max-size\":\"-1\"}", "null", 0, 0},
        {"\"Type\":\"json-file\",\"Config\":{\"max-file\":\"3\"}", "[7]", 0, 0},
        {"\"Type\":\"local\",\"Config\":null", "{\"80/tcp\":[]}", 1, 0},
        {"\"Type\":\"local\",\"Config\":{\"max-size\":\"-1\"}", "{\"80/tcp\":7}", 0, 0},
        {"\"Type\":\"journald\"", "{\"80/tcp\":[{\"HostPort\":\"\"}]}", TLY_UNKNOWN, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char host[512];
        char more[512];
        (void)snprintf(host, sizeof(host), "\"LogConfig\":{%s}", rows[i].log); /* fits */
        (void)snprintf(more, sizeof(more), "\"NetworkSettings\":{\"Ports\":%s}", rows[i].ports);
        struct tly_container *c = inspect_made("", host, more);
        assert_int_equal(c->log_rotation, rows[i].rotation);
        assert_int_equal(c->published_ports, rows[i].published);
        tly_container_unref(c);
    }
    struct tly_container *c = inspect_made("", "", "");
    assert_int_equal(c->published_ports, TLY_UNKNOWN);
    assert_int_equal(c->log_rotation, TLY_UNKNOWN);
    assert_null(c->user);
    assert_null(c->restart_policy);
    assert_null(c->upper_dir);
    tly_container_unref(c);
}

/* The container is seen whatever its labels are, and what is left out of them is counted. */
static void test_ten_thousand_labels(void **state)
{
    (void)state;
    struct tly_buf json;
    struct tly_container *c = NULL;
    tly_buf_init(&json, FIXTURE_MAX);
    assert_int_equal(tly_buf_printf(&json, "{\"Id\":\"ab\",\"Name\":\"/x\",\"Config\":{"
                                           "\"Labels\":{"),
                     0);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(tly_buf_printf(&json, "%s\"l%05d\":\"v\"", i > 0 ? "," : "", i), 0);
    }
    assert_int_equal(tly_buf_printf(&json, "}}}"), 0);
    assert_int_equal(tly_container_parse_inspect(tly_buf_text(&json), &c, NULL), 0);
    assert_string_equal(c->name, "x");
    assert_int_equal(c->label_count, TLY_CONTAINER_LABELS_MAX);
    assert_int_equal(c->labels_left_out, 10000 - TLY_CONTAINER_LABELS_MAX);
    assert_string_equal(tly_container_label(c, "l00000"), "v");
    tly_container_unref(c);
    tly_buf_done(&json);
}

static void test_upper_dir(void **state)
{
    (void)state;
    struct tly_container *c = inspect("inspect-1.41-unhealthy.json");
    assert_string_equal(c->upper_dir, "/var/lib/docker/overlay2/"
                                      "8e47e93ec3d1a2268421d4fcff9bfa22376c56462251646a75d50ff637d0"
                                      "1a11/diff");
    assert_string_equal(c->restart_policy, "always");
    assert_string_equal(c->user, "");
    tly_container_unref(c);
    static const char *const bad[] = {"\"relative/diff\"", "\"\"", "\"/\"", "7", "\"/a\\u0000b\""};
    for (size_t i = 0; i < ROWS(bad); i++) {
        char more[256];
        (void)snprintf(more, sizeof(more), "\"GraphDriver\":{\"Data\":{\"UpperDir\":%s}}", bad[i]);
        c = inspect_made("", "", more);
        assert_null(c->upper_dir);
        tly_container_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_unhealthy),
        cmocka_unit_test(test_health_commands),
        cmocka_unit_test(test_log_rotation_and_ports),
        cmocka_unit_test(test_upper_dir),
        cmocka_unit_test(test_ten_thousand_labels),
        cmocka_unit_test(test_recorded_exited),
        cmocka_unit_test(test_recorded_created),
        cmocka_unit_test(test_api_1_24),
        cmocka_unit_test(test_api_1_52),
        cmocka_unit_test(test_podman),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_odd_members),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_recorded_list),
        cmocka_unit_test(test_lists_of_other_apis),
        cmocka_unit_test(test_status_words),
        cmocka_unit_test(test_fingerprints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
