/*
 * What the engine says about itself: versions, refusals, /info.
 */
#include "agent/codec/engine_json.h"

#include "tests/unit/unit.h"

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int major, minor; /* major -1: malformed */
    } rows[] = {
        {"1.24", 1, 24},    {"v1.55", 1, 55}, {" 1.41\r\n", 1, 41},
        {"2.0", 2, 0},      {"", -1, 0},      {"1", -1, 0},
        {"1.", -1, 0},      {".1", -1, 0},    {"1.x", -1, 0},
        {"1.2.3", -1, 0},   {"-1.2", -1, 0},  {"1.99999999999999999999", -1, 0},
        {"1.10000", -1, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_api_version version = {0};
        int rc = tly_api_version_parse(tly_text_of(rows[i].text), &version);
        if (rows[i].major < 0) {
            assert_int_equal(rc, TLY_E_MALFORMED);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(version.major, rows[i].major);
        assert_int_equal(version.minor, rows[i].minor);
    }
    struct tly_api_version old = {1, 9};
    struct tly_api_version new = {1, 10};
    struct tly_api_version next = {2, 0};
    assert_true(tly_api_version_compare(old, new) < 0);
    assert_true(tly_api_version_compare(next, new) > 0);
    assert_int_equal(tly_api_version_compare(new, new), 0);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        int minor; /* -1: asks for no version */
    } rows[] = {
        /* Docker 20.10's own words; 29's; plain text of old engines. */
        {"client version 1.55 is too new. Maximum supported API version is 1.41", 41},
        {"client version 1.23 is too old. Minimum supported API version is 1.44, please upgrade "
         "your client to a newer version",
         44},
        {"client version 1.23 is too old. Minimum supported API version is 1.24.", 24},
        {"supported API version is 1.x", -1},
        {"supported API version is ", -1},
        {"supported API version is", -1},
        {"No such container: x", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_api_version version = {0};
        bool asks = tly_engine_wants_version(tly_text_of(rows[i].message), &version);
        assert_int_equal(asks, rows[i].minor >= 0);
        assert_int_equal(version.minor, asks ? rows[i].minor : 0);
    }
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message;
    } rows[] = {
        {"{\"message\":\"No such container: x\"}\n", "No such container: x"},
        {"{\"cause\":\"x\"}", ""},
        {"<html><body><h1>403 Forbidden</h1>\nRequest forbidden",
         "<html><body><h1>403 Forbidden</h1>"},
        {"client version 1.11 is too old\n", "client version 1.11 is too old"},
        {"{\"message\":\"a\\nb\\u0007\"}", "a b "},
        {"", ""},
        {"{\"message\":\"0123456789012345678901234567890123456789\xc3\xa4\"}",
         "0123456789012345678901234567890123456789"}, /* not half of the last letter */
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char message[42];
        tly_engine_message(tly_text_of(rows[i].body), message, sizeof(message));
        assert_string_equal(message, rows[i].message);
    }
}

static void test_info(void **state)
{
    (void)state;
    struct tly_engine_info info;
    assert_int_equal(tly_engine_info_parse(TLY_TEXT("{\"ID\":\"Y33G\",\"ServerVersion\":\"20.10\","
                                                    "\"DockerRootDir\":\"/data\"}"),
                                           &info, NULL),
                     0);
    assert_string_equal(info.id, "Y33G");
    assert_string_equal(info.version, "20.10");
    assert_string_equal(info.data_root, "/data");
    assert_int_equal(tly_engine_info_parse(TLY_TEXT("{\"ID\":7}"), &info, NULL), 0);
    assert_string_equal(info.id, "");
    assert_string_equal(info.data_root, "");
    assert_int_equal(tly_engine_info_parse(TLY_TEXT("<html>"), &info, NULL), TLY_E_MALFORMED);
}

static void test_execs(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int rc;
        const char *user;
        bool tty, privileged;
    } rows[] = {
        {"{\"ContainerID\":\"ab\",\"ProcessConfig\":{\"tty\":true,\"privileged\":false,"
         "\"user\":\"app\"}}",
         0, "app", true, false},
        {"{\"ContainerID\":\"ab\",\"ProcessConfig\":{\"privileged\":true}}", 0, "", false, true},
        {"{\"ContainerID\":\"ab\",\"ProcessConfig\":{\"user\":7,\"tty\":\"true\"}}", 0, "", false,
         false},
        {"{\"ContainerID\":\"ab\"}", TLY_E_MALFORMED, "", false, false},
        {"{\"ProcessConfig\":{}}", TLY_E_MALFORMED, "", false, false},
        {"[]", TLY_E_MALFORMED, "", false, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_engine_exec exec = {0};
        assert_int_equal(tly_engine_exec_parse(tly_text_of(rows[i].json), &exec, NULL), rows[i].rc);
        assert_string_equal(exec.user, rows[i].user);
        assert_int_equal(exec.tty, rows[i].tty);
        assert_int_equal(exec.privileged, rows[i].privileged);
        assert_string_equal(exec.container_id, rows[i].rc == 0 ? "ab" : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_info),
        cmocka_unit_test(test_execs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
