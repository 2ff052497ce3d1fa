/*
 * Connections that have stood for their time: another server, or the same anew; no line waits for
 * an acknowledgement that comes, none is sent twice, and none overtakes another.
 */
#include "agent/base/file.h"
#include "tests/unit/forward/house.h"

#include <sys/mman.h>
#include <unistd.h>

#define AGE_MS 40
/* So that a test has done what it does before, also where it is slow. */
#define LATE_AGE_MS 500

/* ---- what the agent says ---- */

static int real_stderr = -1;
static int log_fd = -1;

static void catch_log(void)
{
    log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(log_fd >= 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
}

static void release_log(char *log, size_t size)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    tly_fd_close(&real_stderr);
    ssize_t len = pread(log_fd, log, size - 1, 0);
    tly_fd_close(&log_fd);
    assert_true(len >= 0);
    log[len] = '\0';
}

/* ---- peers ---- */

static bool has_accepted_two(void *peer)
{
    return ((const struct peer *)peer)->accepted >= 2;
}

static bool is_left(void *peer)
{
    return ((const struct peer *)peer)->connected == 0;
}

static bool is_connected(void *peer)
{
    return ((const struct peer *)peer)->connected > 0;
}

static void await(struct house *house, bool (*is)(void *peer), struct peer *peer)
{
    if (!turns_until(house->loop, is, peer)) {
        fail_msg("in vain");
    }
}

static void await_empty(struct house *house)
{
    assert_true(turns_until(house->loop, house_is_empty, house));
    assert_int_equal(house_counts(house).records_dropped, 0);
    assert_int_equal(house_metric(house, TLY_F_tallyman_forward_resent_chunks_total, NULL), 0);
}

static void expect_heard(const struct peer *peer, const char *text)
{
    expect_text(tly_buf_text(&peer->heard), text);
}

static void age(struct house *house)
{
    house->settings.connection_max_age_ms = AGE_MS;
}

/* Back to the first of the list. */
static void test_comes_back(void **state)
{
    struct house *house = *state;
    age(house);
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    peer_stop(&house->first);
    house_send(house);
    house_append(house, "t", "0");
    await_empty(house);
    expect_heard(&house->second, "t:0 ");
    peer_start(&house->first, house->loop);
    await(house, is_connected, &house->first);
    await(house, is_left, &house->second);
    house_append(house, "t", "1");
    await_empty(house);
    expect_heard(&house->second, "t:0 ");
    expect_heard(&house->first, "t:1 ");
}

/* By weight to either, again and again. */
static void test_draws_anew(void **state)
{
    struct house *house = *state;
    age(house);
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    house->servers[0].weight = house->servers[1].weight = 1;
    house_send(house);
    await(house, has_accepted_two, &house->first);
    await(house, has_accepted_two, &house->second);
    house_append(house, "t", "0");
    await_empty(house);
    assert_int_equal(house->first.records + house->second.records, 1);
}

/* What was sent on the old connection is acknowledged before anything goes over the new one. */
static void test_waits_for_acks(void **state)
{
    struct house *house = *state;
    house->settings.connection_max_age_ms = LATE_AGE_MS;
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    peer_stop(&house->first);
    house->settings.retry_max_ms = AGE_MS / 2; /* it may be tried whenever a time is over */
    house->second.way = PEER_HOLDS;
    house_send(house);
    house_append_numbers(house, 2);
    while (house->second.frames < 2) {
        assert_true(turns_few(house->loop));
    }
    peer_start(&house->first, house->loop);
    await(house, is_connected, &house->first);
    house_append(house, "t", "2");
    assert_true(turns_few(house->loop));
    assert_int_equal(house->first.frames, 0);
    assert_int_equal(house->second.frames, 2);
    peer_ack(&house->second, 1);
    peer_ack(&house->second, 0);
    await_empty(house);
    expect_heard(&house->second, "t:0 t:1 ");
    expect_heard(&house->first, "t:2 ");
    await(house, is_left, &house->second);
}

/* The only one: its name may stand for many. */
static void test_the_same_anew(void **state)
{
    struct house *house = *state;
    age(house);
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append(house, "t", "0");
    await(house, has_accepted_two, &house->first);
    house_append(house, "t", "1");
    await_empty(house);
    expect_heard(&house->first, "t:0 t:1 ");
    assert_int_equal(house_metric(house, TLY_F_tallyman_forward_errors_total, NULL), 0);
}

/* While the other cannot be reached, the connection that stands stays, or is made anew. */
static void test_nobody_else(void **state)
{
    struct house *house = *state;
    age(house);
    house->settings.retry_max_ms = 20;
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    peer_stop(&house->first);
    house_send(house);
    while (house_metric(house, TLY_F_tallyman_forward_errors_total, "reason=\"connect\"") < 3) {
        assert_true(turns_few(house->loop));
    }
    house_append_numbers(house, 3);
    await_empty(house);
    expect_heard(&house->second, "t:0 t:1 t:2 ");
}

/* Those behind one that is away for good are tried as well. */
static void test_second_of_three(void **state)
{
    static struct peer third;
    static char log[100000];
    struct house *house = *state;
    age(house);
    house->settings.retry_max_ms = 10; /* it may be tried whenever a time is over */
    peer_start(&third, house->loop);
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    house_add_server(house, &third, false);
    peer_stop(&house->first);
    peer_stop(&house->second);
    catch_log();
    house_send(house);
    await(house, is_connected, &third);
    peer_start(&house->second, house->loop);
    bool back = turns_until(house->loop, is_connected, &house->second) &&
                turns_until(house->loop, is_left, &third);
    release_log(log, sizeof(log));
    peer_done(&third);
    assert_true(back);
    assert_non_null(strstr(log, "after connection_max_age"));
}

/* While what was to take over waits for the last acknowledgements, these are lost. */
static void test_takes_over_from_the_dead(void **state)
{
    static char log[100000];
    char connected[64];
    struct house *house = *state;
    house->settings.connection_max_age_ms = LATE_AGE_MS;
    house->settings.retry_max_ms = AGE_MS / 2;
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    peer_stop(&house->first);
    house->second.way = PEER_HOLDS;
    house_send(house);
    house_append(house, "t", "0");
    while (house->second.frames < 1) {
        assert_true(turns_few(house->loop));
    }
    (void)snprintf(connected, sizeof(connected), "connected to 127.0.0.1:%u\"",
                   house->first.address.port);
    catch_log();
    peer_start(&house->first, house->loop);
    await(house, is_connected, &house->first);
    assert_true(turns_few(house->loop));
    peer_stop(&house->second);
    bool came = turns_until(house->loop, house_is_empty, house);
    release_log(log, sizeof(log));
    assert_true(came);
    expect_heard(&house->first, "t:0 ");
    assert_non_null(strstr(log, connected));
    assert_null(strstr(log, "after connection_max_age"));
}

/* A standby keeps its own rules. */
static void test_standby(void **state)
{
    struct house *house = *state;
    age(house);
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, true);
    house_send(house);
    await(house, has_accepted_two, &house->first);
    assert_int_equal(house->second.accepted, 0);
}

/* 0: for ever. */
static void test_never(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->first, false);
    house_send(house);
    for (unsigned i = 0; i < 5; i++) {
        house_append(house, "t", "0");
        await_empty(house);
        assert_true(turns_few(house->loop));
    }
    assert_int_equal(house->first.accepted, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_comes_back),
        TEST(test_draws_anew),
        TEST(test_waits_for_acks),
        TEST(test_the_same_anew),
        TEST(test_nobody_else),
        TEST(test_second_of_three),
        TEST(test_takes_over_from_the_dead),
        TEST(test_standby),
        TEST(test_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
