/*
 * The section `forward:`: what it reads, and what it says of mistakes.
 */
#include "outputs/forward/settings.h"

#include "tests/unit/unit.h"

static const struct tly_section *const sections[] = {&tly_forward_section};

static void test_defaults(void **state)
{
    (void)state;
    static const char text[] = "forward:\n"
                               "  - name: central\n"
                               "    servers: [\"fluentd-1:24225\", {host: fluentd-2, port: 5, "
                               "standby: true}, \"unix:///run/x.sock\", fluentd-3]\n";
    struct tly_complaints complaints;
    struct tly_config *config;
    assert_int_equal(tly_config_parse(sections, 1, text, sizeof(text) - 1, &complaints, &config),
                     0);
    const struct tly_list *list = tly_config_section(config, &tly_forward_section);
    assert_int_equal(list->count, 1);
    const struct tly_forward_settings *settings = list->at;
    assert_string_equal(settings->name, "central");
    assert_true(settings->require_ack);
    assert_int_equal(settings->compression, TLY_FORWARD_UNCOMPRESSED);
    assert_int_equal(settings->chunk_bytes, 1 << 20);
    assert_int_equal(settings->flush_interval_ms, 1000);
    assert_int_equal(settings->buffer_bytes_max, 8 << 20);
    assert_int_equal(settings->connect_timeout_ms, 10000);
    assert_int_equal(settings->ack_timeout_ms, 60000);
    assert_int_equal(settings->retry_max_ms, 30000);
    assert_int_equal(settings->in_flight_max, 8);
    assert_int_equal(settings->connection_max_age_ms, 3600000);
    static const char *const expected[] = {"fluentd-1:24225", "fluentd-2:5", "unix:///run/x.sock",
                                           "fluentd-3:24224"};
    const struct tly_forward_server_settings *servers = settings->servers.at;
    assert_int_equal(settings->servers.count, ROWS(expected));
    for (size_t i = 0; i < ROWS(expected); i++) {
        struct tly_address address;
        struct tly_error err;
        char written[TLY_ADDRESS_TEXT_MAX];
        assert_int_equal(tly_forward_server_address(&servers[i], &address, &err), 0);
        tly_address_format(&address, written);
        assert_string_equal(written, expected[i]);
        assert_int_equal(servers[i].standby, i == 1);
    }
    tly_config_free(config);
}

static void test_empty(void **state)
{
    (void)state;
    struct tly_complaints complaints;
    struct tly_config *config;
    assert_int_equal(tly_config_parse(sections, 1, "", 0, &complaints, &config), 0);
    const struct tly_list *list = tly_config_section(config, &tly_forward_section);
    assert_int_equal(list->count, 0);
    tly_config_free(config);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"forward: [{servers: [a]}]", "name"},
        {"forward: [{name: x}]", "servers"},
        {"forward: [{name: x, servers: []}]", "at least one server"},
        {"forward: [{name: \"\", servers: [a]}]", "1 to 64 bytes"},
        {"forward: [{name: \"a b\", servers: [a]}]", "no blanks"},
        {"forward: [{name: x, servers: [\"\"]}]", "no address of a receiver"},
        {"forward: [{name: x, servers: [\":24224\"]}]", "no address of a receiver"},
        {"forward: [{name: x, servers: [\"a:0x\"]}]", "no address of a receiver"},
        {"forward: [{name: x, servers: [\"unix:///\"]}]", "no address of a receiver"},
        {"forward: [{name: x, servers: [{host: a, port: 70000}]}]", "65535"},
        {"forward: [{name: x, servers: [a, \"a:24224\"]}]", "twice"},
        {"forward: [{name: x, servers: [a], compress: lzma}]", "none"},
        {"forward: [{name: x, servers: [a], chunk_size: 5MiB}]", "4MiB"},
        {"forward: [{name: x, servers: [a], chunk_size: 1MiB, buffer_max: 1MiB}]",
         "twice chunk_size"},
        {"forward: [{name: x, servers: [a], in_flight: 0}]", "1"},
        {"forward: [{name: x, servers: [a]}, {name: x, servers: [b]}]", "named `x`"},
        {"forward: [{name: x, servers: [a], acks: true}]", "acks"},
        {"forward: [{name: x, servers: [{host: a, weight: 5}, b]}]", "`b` has no weight"},
        {"forward: [{name: x, servers: [a, {host: b, weight: 5}]}]", "`b` has a weight"},
        {"forward: [{name: x, servers: [{host: a, weight: 0}]}]", "1"},
        {"forward: [{name: x, servers: [a], tls: {ca_file: /x}}]", "enabled: true"},
        {"forward: [{name: x, servers: [a], tls: {verify: false}}]", "enabled: true"},
        {"forward: [{name: x, servers: [a], tls: {enabled: true, cert_file: /x}}]", "go together"},
        {"forward: [{name: x, servers: [\"unix:///x\"], tls: {enabled: true}}]", "server_name"},
        {"forward: [{name: x, servers: [a], match: {tags: [\"\"]}}]", "empty pattern"},
        {"forward: [{name: x, servers: [a], match: {names: [a]}}]", "names"},
        {"forward: [{name: x, servers: [a], shared_key_file: /nonexistent}]", "shared_key_file"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_complaints complaints;
        struct tly_config *config = NULL;
        int rc = tly_config_parse(sections, 1, rows[i].text, strlen(rows[i].text), &complaints,
                                  &config);
        if (rc != TLY_E_MALFORMED || complaints.count == 0) {
            fail_msg("%s: accepted", rows[i].text);
        }
        if (!strstr(complaints.at[0].text, rows[i].says)) {
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].text, complaints.at[0].text,
                     rows[i].says);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
