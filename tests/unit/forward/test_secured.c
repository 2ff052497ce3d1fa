/*
 * A sender that proves itself and wants proof: TLS in both directions, the shared key, users; and
 * that nothing leaves for a receiver that fails.
 */
#include "tests/unit/forward/house.h"
#include "tests/unit/loop/certificates.h"

#include "agent/loop/tls.h"

#include <unistd.h>

#define METRIC(house, family, label) house_metric((house), TLY_F_tallyman_forward_##family, (label))

static char folder[TEMP_DIR_MAX];
static char ca[TEMP_DIR_MAX + 16], cert[TEMP_DIR_MAX + 16], key[TEMP_DIR_MAX + 16];
static char own_cert[TEMP_DIR_MAX + 16], own_key[TEMP_DIR_MAX + 16];
static struct authority *authority;
static struct tly_tls *peer_tls;

static void name_file(char to[TEMP_DIR_MAX + 16], const char *name)
{
    (void)snprintf(to, TEMP_DIR_MAX + 16, "%s/%s", folder, name);
}

static int set_up(void **state)
{
    temp_dir_make(folder);
    name_file(ca, "ca");
    name_file(cert, "cert");
    name_file(key, "key");
    name_file(own_cert, "own-cert");
    name_file(own_key, "own-key");
    authority = authority_new(ca);
    authority_sign(authority, "127.0.0.1", 1, cert, key);
    authority_sign(authority, "agent", 1, own_cert, own_key);
    return house_set_up(state);
}

static int tear_down(void **state)
{
    int rc = house_tear_down(state);
    tly_tls_free(peer_tls);
    peer_tls = NULL;
    authority_free(authority);
    temp_dir_remove(folder);
    return rc;
}

/* The first receiver listens with TLS from now on, and asks for a certificate where it is `mutual`.
 * The sender is told to use TLS. */
static void use_tls(struct house *house, bool mutual)
{
    const struct tly_tls_spec spec = {
        .server = true, .cert_file = cert, .key_file = key, .ca_file = mutual ? ca : NULL};
    struct tly_error err = {0};
    if (tly_tls_new(&spec, &peer_tls, &err) < 0) {
        fail_msg("%s", err.text);
    }
    peer_stop(&house->first);
    house->first.address.tls = peer_tls;
    peer_start(&house->first, house->loop);
    house->settings.tls = (struct tly_forward_tls_settings){
        .enabled = true, .verify = true, .verify_name = true, .ca_file = ca};
}

static bool has_failed(void *arg)
{
    return METRIC(arg, errors_total, NULL) > 0;
}

static void expect_failure(struct house *house, const char *reason)
{
    house_append(house, "t", "secret text");
    assert_true(turns_until(house->loop, has_failed, house));
    assert_int_equal(METRIC(house, errors_total, reason), METRIC(house, errors_total, NULL));
    assert_int_equal(house->first.records, 0);
    assert_int_equal(house_counts(house).records_acked, 0);
}

static void expect_delivered(struct house *house)
{
    house_append_numbers(house, 3);
    assert_true(turns_until(house->loop, house_is_empty, house));
    expect_text(tly_buf_text(&house->first.heard), "t:0 t:1 t:2 ");
    assert_int_equal(METRIC(house, errors_total, NULL), 0);
}

/* ---- TLS ---- */

static void test_tls(void **state)
{
    struct house *house = *state;
    use_tls(house, false);
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_delivered(house);
    house_append_large(house, 6000000);
    assert_true(turns_until(house->loop, house_is_empty, house));
    assert_int_equal(house->first.records, 4);
}

static void test_mutual_tls(void **state)
{
    struct house *house = *state;
    use_tls(house, true);
    house->settings.tls.cert_file = own_cert;
    house->settings.tls.key_file = own_key;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_delivered(house);
}

static void test_mutual_tls_without_certificate(void **state)
{
    struct house *house = *state;
    use_tls(house, true);
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"closed\""); /* TLS 1.3: it stood, then it was refused */
}

static void test_wrong_name(void **state)
{
    struct house *house = *state;
    static char name[] = "fluentd";
    use_tls(house, false);
    house->settings.tls.server_name = name;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"connect\"");
}

static void test_plain_receiver(void **state)
{
    struct house *house = *state;
    use_tls(house, false);
    peer_stop(&house->first);
    house->first.address.tls = NULL;
    peer_start(&house->first, house->loop);
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"connect\"");
}

/* The receiver's certificate is renewed with another name; then the connection breaks. */
static void test_renewed_certificate(void **state)
{
    struct house *house = *state;
    authority_sign(authority, "127.0.0.9", 1, cert, key);
    use_tls(house, false);
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"connect\"");
    authority_sign(authority, "127.0.0.1", 1, cert, key);
    assert_true(turns_until(house->loop, house_is_empty, house));
    assert_int_equal(house->first.records, 1);
}

static void test_missing_files(void **state)
{
    struct house *house = *state;
    struct tly_error err = {0};
    house->settings.tls = (struct tly_forward_tls_settings){
        .enabled = true, .verify = true, .verify_name = true, .ca_file = ca};
    assert_int_equal(unlink(ca), 0);
    house_add_server(house, &house->first, false);
    assert_true(tly_forward_sender_new(house->loop, house->delivery, NULL, &house->settings, NULL,
                                       &house->sender, &err) < 0);
    assert_non_null(strstr(err.text, "central"));
    assert_non_null(strstr(err.text, ca));
}

/* ---- shared key ---- */

static const struct tly_forward_user users[] = {{TLY_TEXT("joe"), TLY_TEXT("pass")}};
static const struct tly_forward_gate keyed = {.hostname = TLY_TEXT("hub"),
                                              .shared_key = TLY_TEXT("key")};
static const struct tly_forward_gate named = {.hostname = TLY_TEXT("hub"),
                                              .shared_key = TLY_TEXT("key"),
                                              .users = users,
                                              .user_count = ROWS(users)};
static char right_key[] = "key", wrong_key[] = "yek", joe[] = "joe", pass[] = "pass", hub[] = "hub";

static void test_shared_key(void **state)
{
    struct house *house = *state;
    house->first.gate = &keyed;
    house->settings.shared_key = right_key;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_delivered(house);
}

static void test_user_over_tls(void **state)
{
    struct house *house = *state;
    use_tls(house, false);
    house->first.gate = &named;
    house->settings.shared_key = wrong_key;
    house_add_server(house, &house->first, false);
    house->servers[0].shared_key = right_key; /* goes before the destination's */
    house->servers[0].username = joe;
    house->servers[0].password = pass;
    house_send(house);
    expect_delivered(house);
}

static void test_wrong_key(void **state)
{
    struct house *house = *state;
    house->first.gate = &keyed;
    house->settings.shared_key = wrong_key;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"auth\"");
}

static void test_no_user(void **state)
{
    struct house *house = *state;
    house->first.gate = &named;
    house->settings.shared_key = right_key;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"auth\"");
}

static void test_same_name(void **state)
{
    struct house *house = *state;
    house->first.gate = &keyed;
    house->settings.shared_key = right_key;
    house->settings.self_hostname = hub;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"auth\"");
}

/* A receiver that asks for nothing proves nothing. */
static void test_no_helo(void **state)
{
    struct house *house = *state;
    house->settings.shared_key = right_key;
    house->settings.connect_timeout_ms = 50;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"auth\"");
}

/* It asks, and then answers no more. */
static void test_no_pong(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_READS_NOTHING;
    house->first.saying = TLY_TEXT("\x92\xa4HELO\x81\xa5nonce\xa4"
                                   "1234");
    house->settings.shared_key = right_key;
    house->settings.connect_timeout_ms = 50;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_failure(house, "reason=\"auth\"");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tls),
        TEST(test_mutual_tls),
        TEST(test_mutual_tls_without_certificate),
        TEST(test_wrong_name),
        TEST(test_plain_receiver),
        TEST(test_renewed_certificate),
        TEST(test_missing_files),
        TEST(test_shared_key),
        TEST(test_user_over_tls),
        TEST(test_wrong_key),
        TEST(test_no_user),
        TEST(test_same_name),
        TEST(test_no_helo),
        TEST(test_no_pong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
