/*
 * The handshake: digests as another implementation computes them, both sides against each other,
 * and peers that lie or stammer.
 */
#include "agent/codec/forward_auth.h"

#include "agent/codec/record.h"
#include "tests/unit/unit.h"

/* By Python's hashlib, of the texts below. */
#define KEY_DIGEST                                                                                 \
    "29e336e3ba246ff3f240433ff6045d887b5c86a2068d8ac0eec47b41e827048e"                             \
    "0b13866158d0418ea8be1b42a88e23da0844b37616210459a96a9369b45be9c8"
#define USER_DIGEST                                                                                \
    "fe3ea25cc2ba1b6f5bfa78d48f37428b93941ec6bb24a74df71e43ba48c87cb8"                             \
    "5e7f0f7166a5d0caa764189492b8909ba4fbd939cd524fdb7ab55cd1e8736c36"
#define PROOF                                                                                      \
    "a660c1962e35c2b8d90bdb9bfc0baa167ec455a2e5079bf80d0ad8daedfd8bde"                             \
    "3971b2be1a6b985679955e90ab728a407a69995de2deb600371ee225544cb8ee"

#define SALT "000102030405060708090a0b0c0d0e0f"

static const unsigned char random_bytes[2 * TLY_FORWARD_SALT_BYTES] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

#define HELO                                                                                       \
    TLY_TEXT("\x92\xa4HELO\x82\xa5nonce\xc4\x10nonce-0123456789\xa4"                               \
             "auth\xa9"                                                                            \
             "auth-salt")

static struct tly_forward_account account(void)
{
    return (struct tly_forward_account){.hostname = TLY_TEXT("agent"),
                                        .shared_key = TLY_TEXT("secret"),
                                        .username = TLY_TEXT("joe"),
                                        .password = TLY_TEXT("pass")};
}

static struct tly_buf pong_of(const char *reason, const char *hostname, const char *proof)
{
    struct tly_buf buf;
    tly_buf_init(&buf, 4096);
    assert_int_equal(tly_record_array(&buf, 5), 0);
    assert_int_equal(tly_record_str(&buf, TLY_TEXT("PONG")), 0);
    assert_int_equal(tly_record_bool(&buf, reason[0] == '\0'), 0);
    assert_int_equal(tly_record_str(&buf, tly_text_of(reason)), 0);
    assert_int_equal(tly_record_str(&buf, tly_text_of(hostname)), 0);
    assert_int_equal(tly_record_str(&buf, tly_text_of(proof)), 0);
    return buf;
}

static void test_ping_is_as_specified(void **state)
{
    (void)state;
    struct tly_forward_greeting greeting;
    struct tly_forward_account who = account();
    struct tly_buf ping;
    struct tly_buf wanted;
    struct tly_error err = {0};
    tly_buf_init(&ping, 4096);
    tly_buf_init(&wanted, 4096);
    tly_forward_greeting_init(&greeting, random_bytes);
    assert_int_equal(tly_forward_greeting_read(&greeting, &who, HELO, &ping, &err), TLY_E_MORE);
    assert_int_equal(tly_record_array(&wanted, 6), 0);
    static const char *const parts[] = {"PING", "agent", SALT, KEY_DIGEST, "joe", USER_DIGEST};
    for (size_t i = 0; i < ROWS(parts); i++) {
        assert_int_equal(tly_record_str(&wanted, tly_text_of(parts[i])), 0);
    }
    assert_int_equal(ping.len, wanted.len);
    assert_memory_equal(ping.at, wanted.at, wanted.len);
    assert_true(greeting.keepalive);

    struct tly_buf pong = pong_of("", "hub", PROOF);
    size_t before = ping.len;
    for (size_t i = 0; i < pong.len; i++) { /* byte by byte */
        const struct tly_text byte = {pong.at + i, 1};
        assert_int_equal(tly_forward_greeting_read(&greeting, &who, byte, &ping, &err),
                         i + 1 < pong.len ? TLY_E_MORE : 0);
    }
    assert_int_equal(ping.len, before);
    tly_forward_greeting_done(&greeting);
    tly_buf_done(&pong);
    tly_buf_done(&ping);
    tly_buf_done(&wanted);
}

/* Without "auth" in the HELO nobody asks for a user. */
static void test_ping_without_user(void **state)
{
    (void)state;
    struct tly_forward_greeting greeting;
    struct tly_forward_account who = account();
    struct tly_buf ping;
    struct tly_error err = {0};
    tly_buf_init(&ping, 4096);
    tly_forward_greeting_init(&greeting, random_bytes);
    assert_int_equal(
        tly_forward_greeting_read(&greeting, &who,
                                  TLY_TEXT("\x92\xa4HELO\x83\xa5nonce\xc4\x10nonce-0123456789\xa4"
                                           "auth\xa0\xa9keepalive\xc2"),
                                  &ping, &err),
        TLY_E_MORE);
    assert_memory_equal(ping.at + ping.len - 2, "\xa0\xa0", 2);
    assert_false(greeting.keepalive);
    tly_forward_greeting_done(&greeting);
    tly_buf_done(&ping);
}

static void test_bad_receivers(void **state)
{
    (void)state;
    struct tly_buf no = pong_of("shared_key mismatch", "", "");
    struct tly_buf liar = pong_of("", "hub", KEY_DIGEST);
    struct tly_buf short_proof = pong_of("", "hub", "ab");
    struct tly_buf ourselves = pong_of("", "agent", PROOF);
    const struct {
        struct tly_text first, second;
        int code;
        const char *says;
    } rows[] = {
        {HELO, tly_buf_text(&no), TLY_E_REFUSED, "shared_key mismatch"},
        {HELO, tly_buf_text(&liar), TLY_E_REFUSED, "does not know the shared key"},
        {HELO, tly_buf_text(&short_proof), TLY_E_REFUSED, "does not know the shared key"},
        {HELO, tly_buf_text(&ourselves), TLY_E_REFUSED, "self_hostname"},
        {HELO, TLY_TEXT("\x91\xa4PONG"), TLY_E_MALFORMED, "PONG is expected"},
        {HELO, TLY_TEXT("\x95\xa4PONG\x01\xa0\xa0\xa0"), TLY_E_MALFORMED, "PONG"},
        {HELO, HELO, TLY_E_MALFORMED, "PONG is expected"},
        {tly_buf_text(&no), {NULL, 0}, TLY_E_MALFORMED, "HELO is expected"},
        {TLY_TEXT("\x92\xa4HELO\x80"), {NULL, 0}, TLY_E_MALFORMED, "no usable nonce"},
        {TLY_TEXT("\x92\xa4HELO\xc0"), {NULL, 0}, TLY_E_MALFORMED, "no usable nonce"},
        {TLY_TEXT("HTTP/1.1"), {NULL, 0}, TLY_E_MALFORMED, "HTTP"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_forward_greeting greeting;
        struct tly_forward_account who = account();
        struct tly_buf answer;
        struct tly_error err = {0};
        tly_buf_init(&answer, 4096);
        tly_forward_greeting_init(&greeting, random_bytes);
        int rc = tly_forward_greeting_read(&greeting, &who, rows[i].first, &answer, &err);
        if (rows[i].second.len > 0) {
            assert_int_equal(rc, TLY_E_MORE);
            rc = tly_forward_greeting_read(&greeting, &who, rows[i].second, &answer, &err);
        }
        if (rc != rows[i].code || !strstr(err.text, rows[i].says)) {
            fail_msg("row %zu: %d, \"%s\"", i, rc, err.text);
        }
        assert_null(strstr(err.text, "secret"));
        tly_forward_greeting_done(&greeting);
        tly_buf_done(&answer);
    }
    tly_buf_done(&no);
    tly_buf_done(&liar);
    tly_buf_done(&short_proof);
    tly_buf_done(&ourselves);
}

/* One handshake between both sides; what each of them says in the end. */
static void meet(const struct tly_forward_account *who, const struct tly_forward_gate *gate,
                 int *ret_sender, int *ret_receiver, struct tly_error *sender_err)
{
    struct tly_forward_greeting greeting;
    struct tly_forward_welcome welcome;
    struct tly_buf to_sender;
    struct tly_buf to_receiver;
    struct tly_error err = {0};
    tly_buf_init(&to_sender, 4096);
    tly_buf_init(&to_receiver, 4096);
    tly_forward_greeting_init(&greeting, random_bytes);
    assert_int_equal(tly_forward_welcome_init(&welcome, random_bytes, &to_sender), 0);
    assert_int_equal(tly_forward_greeting_read(&greeting, who, tly_buf_text(&to_sender),
                                               &to_receiver, sender_err),
                     TLY_E_MORE);
    tly_buf_clear(&to_sender);
    int rc = TLY_E_MORE;
    for (size_t i = 0; i < to_receiver.len; i++) {
        assert_int_equal(rc, TLY_E_MORE);
        const struct tly_text byte = {to_receiver.at + i, 1};
        rc = tly_forward_welcome_read(&welcome, gate, byte, &to_sender, &err);
    }
    *ret_receiver = rc;
    *ret_sender = tly_forward_greeting_read(&greeting, who, tly_buf_text(&to_sender), &to_receiver,
                                            sender_err);
    tly_forward_greeting_done(&greeting);
    tly_forward_welcome_done(&welcome);
    tly_buf_done(&to_sender);
    tly_buf_done(&to_receiver);
}

static void test_both_sides(void **state)
{
    (void)state;
    static const struct tly_forward_user users[] = {{TLY_TEXT("ann"), TLY_TEXT("other")},
                                                    {TLY_TEXT("joe"), TLY_TEXT("pass")}};
    const struct tly_forward_gate keyed = {.hostname = TLY_TEXT("hub"),
                                           .shared_key = TLY_TEXT("secret")};
    struct tly_forward_gate named = keyed;
    struct tly_forward_gate other_key = keyed;
    struct tly_forward_gate same_name = keyed;
    named.users = users;
    named.user_count = ROWS(users);
    other_key.shared_key = TLY_TEXT("Secret");
    same_name.hostname = TLY_TEXT("agent");
    struct tly_forward_account joe = account();
    struct tly_forward_account wrong = account();
    struct tly_forward_account nobody = account();
    wrong.password = TLY_TEXT("other");
    nobody.username = nobody.password = (struct tly_text){NULL, 0};
    const struct {
        const struct tly_forward_account *who;
        const struct tly_forward_gate *gate;
        const char *says; /* NULL: both are satisfied */
    } rows[] = {
        {&joe, &keyed, NULL},
        {&nobody, &keyed, NULL},
        {&joe, &named, NULL},
        {&wrong, &named, "username/password mismatch"},
        {&nobody, &named, "username/password mismatch"},
        {&joe, &other_key, "shared_key mismatch"},
        {&joe, &same_name, "same hostname"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_error err = {0};
        int sender;
        int receiver;
        meet(rows[i].who, rows[i].gate, &sender, &receiver, &err);
        int wanted = rows[i].says ? TLY_E_REFUSED : 0;
        if (sender != wanted || receiver != wanted ||
            (rows[i].says && !strstr(err.text, rows[i].says))) {
            fail_msg("row %zu: sender %d, receiver %d, \"%s\"", i, sender, receiver, err.text);
        }
    }
}

static void test_bad_senders(void **state)
{
    (void)state;
    static const struct {
        struct tly_text says;
        int code;
    } rows[] = {
        {TLY_TEXT("\x91\xa4PING"), TLY_E_MALFORMED},
        {TLY_TEXT("\x96\xa4PING\xa0\xa0\xa0\xa0\xa0"), TLY_E_REFUSED},
        {TLY_TEXT("\x96\xa4PING\xa0\xa0\x01\xa0\xa0"), TLY_E_MALFORMED},
        {TLY_TEXT("\x93\xa3tag\x01\x80"), TLY_E_MALFORMED}, /* a frame, without a handshake */
        {TLY_TEXT("\x16\x03\x01"), TLY_E_MALFORMED},
        {TLY_TEXT("\xdd\xff\xff\xff\xff"), TLY_E_MORE},
    };
    const struct tly_forward_gate gate = {.hostname = TLY_TEXT("hub"),
                                          .shared_key = TLY_TEXT("secret")};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_forward_welcome welcome;
        struct tly_buf answer;
        struct tly_error err = {0};
        tly_buf_init(&answer, 4096);
        assert_int_equal(tly_forward_welcome_init(&welcome, random_bytes, &answer), 0);
        int rc = tly_forward_welcome_read(&welcome, &gate, rows[i].says, &answer, &err);
        if (rc != rows[i].code) {
            fail_msg("row %zu: %d, %s", i, rc, err.text);
        }
        tly_forward_welcome_done(&welcome);
        tly_buf_done(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_is_as_specified), cmocka_unit_test(test_ping_without_user),
        cmocka_unit_test(test_bad_receivers),        cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_bad_senders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
