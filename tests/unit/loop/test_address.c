/*
 * Addresses: what people write, what comes out again, and what is refused with a word on how to
 * write it.
 */
#include "agent/loop/stream.h"
#include "tests/unit/unit.h"

#include <errno.h>

static void parses_and_formats(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        const char *path;
        const char *formatted;
        uint16_t default_port;
        uint16_t port;
    } rows[] = {
        {"fluentd-1:24224", "fluentd-1", "", "fluentd-1:24224", 0, 24224},
        {"fluentd-1", "fluentd-1", "", "fluentd-1:24224", 24224, 24224},
        {"fluentd-1:1", "fluentd-1", "", "fluentd-1:1", 24224, 1},
        {"127.0.0.1:65535", "127.0.0.1", "", "127.0.0.1:65535", 0, 65535},
        {":8080", "", "", ":8080", 0, 8080},
        {"0.0.0.0:0", "0.0.0.0", "", "0.0.0.0:0", 0, 0},
        {"[::1]:24224", "::1", "", "[::1]:24224", 0, 24224},
        {"[::1]", "::1", "", "[::1]:80", 80, 80},
        {"[fe80::1%eth0]:80", "fe80::1%eth0", "", "[fe80::1%eth0]:80", 0, 80},
        {"unix:///run/a.sock", "", "/run/a.sock", "unix:///run/a.sock", 0, 0},
        {"unix", "unix", "", "unix:80", 80, 80},
        {"unix:24224", "unix", "", "unix:24224", 0, 24224},
        {"unix:///a:b", "", "/a:b", "unix:///a:b", 80, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_address address;
        struct tly_error err = {0};
        if (tly_address_parse(tly_text_of(rows[i].text), rows[i].default_port, &address, &err)) {
            fail_msg("%s: %s", rows[i].text, err.text);
        }
        assert_string_equal(address.host, rows[i].host);
        assert_int_equal(address.port, rows[i].port);
        assert_string_equal(address.path, rows[i].path);
        char formatted[TLY_ADDRESS_TEXT_MAX];
        tly_address_format(&address, formatted);
        assert_string_equal(formatted, rows[i].formatted);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t default_port;
        const char *says;
    } rows[] = {
        {"", 80, "empty"},
        {"host", 0, "port is missing"},
        {"[::1]", 0, "port is missing"},
        {"host:", 0, "port is a number"},
        {"host:", 80, "port is a number"},
        {"host:65536", 0, "port is a number"},
        {"host:-1", 0, "port is a number"},
        {"host:http", 0, "port is a number"},
        {"host:80 ", 0, "port is a number"},
        {"host:99999999999999999999999", 0, "port is a number"},
        {"::1", 80, "brackets"},
        {"::1:80", 0, "brackets"},
        {"a:b:80", 0, "brackets"},
        {"[::1", 80, "[address]:port"},
        {"[::1]80", 80, "[address]:port"},
        {"[]:80", 0, "not a host"},
        {"http://host:80", 0, "brackets"},
        {"tcp://host", 80, "port is a number"},
        {"ho st:80", 0, "not a host"},
        {"user@host:80", 0, "not a host"},
        {"host/path", 80, "not a host"},
        {"host\n:80", 0, "not a host"},
        {"unix://", 0, "absolute path"},
        {"unix://relative/path", 0, "absolute path"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_address address;
        struct tly_error err = {0};
        int rc = tly_address_parse(tly_text_of(rows[i].text), rows[i].default_port, &address, &err);
        if (rc != TLY_E_MALFORMED || err.code != rc || !strstr(err.text, rows[i].says)) {
            fail_msg("%s: %d, %s", rows[i].text, rc, err.text);
        }
    }
    struct tly_address address;
    assert_int_equal(tly_address_parse(TLY_TEXT("a\0b:80"), 0, &address, NULL), TLY_E_MALFORMED);
    assert_int_equal(tly_address_parse(TLY_TEXT("unix:///a\0b"), 0, &address, NULL),
                     TLY_E_MALFORMED);
}

static void bounds_are_exact(void **state)
{
    (void)state;
    char text[400];
    struct tly_address address;
    struct tly_error err = {0};
    for (size_t len = 1; len < 120; len++) {
        memcpy(text, "unix:///", 9);
        memset(text + 8, 'p', len - 1);
        struct tly_text whole = {text, 7 + len};
        int rc = tly_address_parse(whole, 0, &address, &err);
        /* sun_path has 108 bytes, the NUL included; a longer one is not cut but refused. */
        assert_int_equal(rc, len <= 107 ? 0 : -ENAMETOOLONG);
        if (rc == 0) {
            assert_int_equal(strlen(address.path), len);
            char formatted[TLY_ADDRESS_TEXT_MAX];
            tly_address_format(&address, formatted);
            assert_true(tly_text_equal(tly_text_of(formatted), whole));
        }
    }
    assert_non_null(strstr(err.text, "107"));
    for (size_t len = 250; len < 260; len++) {
        memset(text, 'h', len);
        memcpy(text + len, ":65535", 7);
        int rc = tly_address_parse(tly_text_of(text), 0, &address, NULL);
        assert_int_equal(rc, len <= 255 ? 0 : TLY_E_MALFORMED);
        if (rc == 0) {
            char formatted[TLY_ADDRESS_TEXT_MAX];
            tly_address_format(&address, formatted);
            assert_string_equal(formatted, text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_are_exact),
    };
    return cmocka_run_group_tests_name("loop:address", tests, NULL, NULL);
}
