/*
 * Passwords: who is right, what is remembered, that equal questions share one answer, and the end
 * while a worker is busy. The hash is a vector of bcrypt's authors.
 */
#include "agent/web/auth.h"

#include "agent/base/random.h"
#include "tests/unit/unit.h"

#define USERS                                                                                      \
    "basic_auth_users: {bob: $2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW}\n"

static struct {
    struct tly_loop *loop;
    struct tly_web_auth *auth;
    struct tly_web_policy *policy;
    int yes, no;
    int awaited;
} house;

static int setup(void **state)
{
    (void)state;
    struct tly_complaints complaints;
    house.yes = house.no = house.awaited = 0;
    assert_int_equal(tly_loop_new(&house.loop), 0);
    assert_int_equal(tly_web_auth_new(house.loop, &house.auth), 0);
    assert_int_equal(tly_web_policy_parse(USERS, strlen(USERS), &complaints, &house.policy), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tly_web_auth_free(house.auth);
    tly_web_policy_unref(house.policy);
    tly_loop_free(house.loop);
    return 0;
}

static void decided(void *arg, bool ok)
{
    (void)arg;
    house.yes += ok;
    house.no += !ok;
    if (house.yes + house.no == house.awaited) {
        tly_loop_stop(house.loop);
    }
}

static enum tly_web_verdict check_from(const char *peer, const char *user, const char *password)
{
    char pair[256];
    char header[512] = "Basic ";
    int len = snprintf(pair, sizeof(pair), "%s:%s", user, password);
    tly_base64_write(pair, (size_t)len, header + strlen(header));
    return tly_web_auth_check(house.auth, house.policy, tly_text_of(peer), tly_text_of(header),
                              decided, NULL);
}

static enum tly_web_verdict check(const char *user, const char *password)
{
    return check_from("", user, password);
}

static void await(int count)
{
    house.awaited = count;
    tly_loop_run(house.loop);
    assert_int_equal(house.yes + house.no, count);
}

static void test_verdicts(void **state)
{
    (void)state;
    assert_int_equal(check("bob", "U*U"), TLY_WEB_LATER);
    assert_int_equal(check("bob", "u*u"), TLY_WEB_LATER);
    assert_int_equal(check("eve", "U*U"), TLY_WEB_LATER); /* unknown, and works as hard */
    assert_int_equal(tly_web_auth_pending(house.auth), 3);
    await(3);
    assert_int_equal(house.yes, 1);
    assert_int_equal(house.no, 2);
    assert_int_equal(tly_web_auth_pending(house.auth), 0);
    /* remembered */
    assert_int_equal(check("bob", "U*U"), TLY_WEB_YES);
    assert_int_equal(check("bob", "u*u"), TLY_WEB_NO);
    assert_int_equal(check("eve", "U*U"), TLY_WEB_NO);
    assert_int_equal(tly_web_auth_check(house.auth, house.policy, TLY_TEXT(""), TLY_TEXT("Basic x"),
                                        decided, NULL),
                     TLY_WEB_NO);
}

static void test_shared(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(check("bob", "U*U"), TLY_WEB_LATER);
    }
    assert_int_equal(tly_web_auth_pending(house.auth), 1);
    await(10);
    assert_int_equal(house.yes, 10);
}

/* Guesses fill the queue and what is remembered of wrong ones, never what is right. */
static void test_guesses(void **state)
{
    (void)state;
    assert_int_equal(check("bob", "U*U"), TLY_WEB_LATER);
    int later = 1;
    enum tly_web_verdict last = TLY_WEB_LATER;
    for (int i = 0; i < TLY_AUTH_QUEUE_MAX; i++) {
        char guess[16];
        (void)snprintf(guess, sizeof(guess), "%d", i);
        last = check("bob", guess);
        later += last == TLY_WEB_LATER;
    }
    assert_int_equal(last, TLY_WEB_BUSY);
    assert_int_equal(later, TLY_AUTH_QUEUE_MAX);
    await(later);
    for (int i = 100; i < 164; i++) {
        char guess[16];
        (void)snprintf(guess, sizeof(guess), "%d", i);
        assert_int_equal(check("bob", guess), TLY_WEB_LATER);
    }
    await(later + 64);
    assert_int_equal(house.yes, 1);
    assert_int_equal(check("bob", "U*U"), TLY_WEB_YES);
}

/* Who guesses keeps nobody else out. */
static void test_peers(void **state)
{
    (void)state;
    int later = 0;
    for (int i = 0; i < 2 * TLY_AUTH_PEER_MAX; i++) {
        char guess[16];
        (void)snprintf(guess, sizeof(guess), "%d", i);
        enum tly_web_verdict verdict = check_from("guesser", "bob", guess);
        assert_int_equal(verdict, i < TLY_AUTH_PEER_MAX ? TLY_WEB_LATER : TLY_WEB_BUSY);
        later += verdict == TLY_WEB_LATER;
    }
    assert_int_equal(check_from("scraper", "bob", "U*U"), TLY_WEB_LATER);
    assert_int_equal(check_from("guesser", "bob", "U*U"), TLY_WEB_LATER); /* shares that one */
    await(later + 2);
    assert_int_equal(house.yes, 2);
    assert_int_equal(check_from("guesser", "bob", "x"), TLY_WEB_LATER);
    await(later + 3);
}

/* The end while one is being checked and others wait: all are told no, and nothing is left. */
static void test_end(void **state)
{
    (void)state;
    assert_int_equal(check("bob", "U*U"), TLY_WEB_LATER);
    assert_int_equal(check("bob", "1"), TLY_WEB_LATER);
    tly_web_auth_free(house.auth);
    house.auth = NULL;
    assert_int_equal(house.yes, 0);
    assert_int_equal(house.no, 2);
    tly_loop_run(house.loop); /* to the worker's end */
    assert_int_equal(house.yes + house.no, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guesses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
