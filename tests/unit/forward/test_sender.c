/*
 * A sender against receivers on real sockets that behave well, badly and not at all: nothing is
 * lost, the order stays, several chunks are under way, and the right server gets them.
 */
#include "tests/unit/forward/house.h"

#include <errno.h>

#define METRIC(house, family, label) house_metric((house), TLY_F_tallyman_forward_##family, (label))

static void expect_heard(const struct peer *peer, const char *expected)
{
    expect_text(tly_buf_text(&peer->heard), expected);
}

static void expect_empty(struct house *house)
{
    assert_true(turns_until(house->loop, house_is_empty, house));
}

/* ---- conditions ---- */

struct goal {
    const struct peer *peer;
    size_t frames;
    unsigned accepted;
};

static bool goal_reached(void *arg)
{
    const struct goal *goal = arg;
    return goal->peer->frames >= goal->frames && goal->peer->accepted >= goal->accepted;
}

static void expect_frames(struct house *house, const struct peer *peer, size_t frames)
{
    struct goal goal = {.peer = peer, .frames = frames};
    assert_true(turns_until(house->loop, goal_reached, &goal));
}

static void expect_accepted(struct house *house, const struct peer *peer, unsigned accepted)
{
    struct goal goal = {.peer = peer, .accepted = accepted};
    assert_true(turns_until(house->loop, goal_reached, &goal));
}

static bool is_connected(void *arg)
{
    return METRIC(arg, connected, NULL) == 1;
}

static void expect_connected(struct house *house)
{
    assert_true(turns_until(house->loop, is_connected, house));
}

/* ---- the ordinary course ---- */

static void test_delivers(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 5);
    house_append(house, "other", "a");
    house_append(house, "t", "5");
    expect_empty(house);
    expect_heard(&house->first, "t:0 t:1 t:2 t:3 t:4 other:a t:5 ");
    assert_int_equal(house->first.accepted, 1);
    assert_int_equal(METRIC(house, connected, "server=\"127.0.0.1:"), 1);
    assert_int_equal(METRIC(house, connects_total, NULL), 1);
    assert_int_equal(METRIC(house, acks_total, NULL), 7);
    assert_true(METRIC(house, ack_seconds_total, NULL) > 0);
    assert_int_equal(METRIC(house, resent_chunks_total, NULL), 0);
    assert_int_equal(METRIC(house, errors_total, NULL), 0);
    assert_true(METRIC(house, sent_bytes_total, NULL) > 7 * 20);
}

static void test_acks_in_pieces(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_ACKS_BYTEWISE;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 20);
    expect_empty(house);
    assert_int_equal(house->first.accepted, 1);
    assert_int_equal(METRIC(house, acks_total, NULL), 20);
}

/* As many frames as allowed are under way, no more; answers may come in any order. */
static void test_pipelines(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house->settings.in_flight_max = 3;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 5);
    expect_frames(house, &house->first, 3);
    assert_true(turns_few(house->loop));
    assert_int_equal(house->first.frames, 3);
    assert_int_equal(METRIC(house, in_flight_chunks, NULL), 3);
    assert_int_equal(METRIC(house, in_flight_chunks_max, NULL), 3);

    peer_ack(&house->first, 2);
    expect_frames(house, &house->first, 4);
    peer_ack(&house->first, 0);
    expect_frames(house, &house->first, 5);
    assert_int_equal(house_counts(house).records_acked, 2);
    peer_ack(&house->first, 4);
    peer_ack(&house->first, 3);
    peer_ack(&house->first, 1);
    expect_empty(house);
    expect_heard(&house->first, "t:0 t:1 t:2 t:3 t:4 ");
    assert_int_equal(METRIC(house, resent_chunks_total, NULL), 0);
}

/* More than any socket buffer holds, to a receiver that pauses. */
static void test_large_chunks(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_READS_NOTHING;
    house_add_server(house, &house->first, false);
    house_send(house);
    for (int i = 0; i < 4; i++) {
        house_append_large(house, 6000000);
    }
    expect_accepted(house, &house->first, 1);
    assert_true(turns_few(house->loop));
    assert_int_equal(house->first.records, 0);
    house->first.way = PEER_ACKS;
    peer_read_on(&house->first);
    expect_empty(house);
    assert_int_equal(house->first.records, 4);
    assert_int_equal(house->first.heard.len, 4 * (6000000 + 3));
}

static void test_without_ack(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house->settings.require_ack = false;
    house->settings.in_flight_max = 2;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 5);
    expect_empty(house);
    expect_frames(house, &house->first, 5);
    expect_heard(&house->first, "t:0 t:1 t:2 t:3 t:4 ");
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(house->first.frame[i].chunk.len, 0); /* no answer was asked for */
    }
    assert_int_equal(METRIC(house, acks_total, NULL), 0);
}

/* ---- connections that end ---- */

/* What was not acknowledged goes out again on the next connection, in the old order. */
static void test_sends_again(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 4);
    expect_frames(house, &house->first, 4);
    peer_ack(&house->first, 1);
    struct tly_destination_counts counts = house_counts(house);
    while (counts.records_acked == 0) {
        assert_true(turns_few(house->loop));
        counts = house_counts(house);
    }
    house->first.way = PEER_ACKS;
    peer_hang_up(&house->first);
    expect_empty(house);
    house_append(house, "t", "4");
    expect_empty(house);
    expect_heard(&house->first, "t:0 t:1 t:2 t:3 t:0 t:2 t:3 t:4 ");
    assert_int_equal(METRIC(house, errors_total, "reason=\"closed\""), 1);
    assert_int_equal(METRIC(house, resent_chunks_total, NULL), 3);
    assert_int_equal(METRIC(house, connects_total, NULL), 2);
}

static void expect_resent(struct house *house, const char *reason)
{
    expect_accepted(house, &house->first, 1);
    house_append_numbers(house, 3);
    struct goal goal = {.peer = &house->first, .accepted = 2};
    assert_true(turns_until(house->loop, goal_reached, &goal));
    assert_true(METRIC(house, errors_total, reason) >= 1);
    assert_int_equal(METRIC(house, errors_total, reason), METRIC(house, errors_total, NULL));
    assert_int_equal(house_counts(house).records_acked, 0);
    /* The receiver comes to its senses. */
    house->first.way = PEER_ACKS;
    tly_buf_clear(&house->first.heard);
    peer_hang_up(&house->first);
    expect_empty(house);
    expect_heard(&house->first, "t:0 t:1 t:2 ");
}

static void test_never_acked(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house->settings.ack_timeout_ms = 50;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_resent(house, "reason=\"timeout\"");
}

/* Later chunks being acknowledged is no excuse for the oldest. */
static void test_oldest_never_acked(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house->settings.ack_timeout_ms = 100;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append(house, "t", "oldest");
    expect_frames(house, &house->first, 1);
    for (size_t i = 1; house->first.accepted < 2; i++) {
        house_append(house, "t", "later");
        struct goal goal = {.peer = &house->first, .frames = i + 1};
        assert_true(turns_until(house->loop, goal_reached, &goal));
        peer_ack(&house->first, i);
        assert_true(turns_few(house->loop));
        assert_true(i < PEER_FRAMES_MAX - 1);
    }
    assert_int_equal(METRIC(house, errors_total, "reason=\"timeout\""), 1);
}

static void test_nothing_taken(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_READS_NOTHING;
    house->settings.ack_timeout_ms = 1000; /* the whole of it must arrive in that time afterwards */
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_large(house, 16 * 1000 * 1000);
    expect_accepted(house, &house->first, 2);
    assert_int_equal(METRIC(house, errors_total, "reason=\"timeout\""), 1);
    house->first.way = PEER_ACKS;
    peer_hang_up(&house->first);
    expect_empty(house);
    assert_int_equal(house->first.records, 1);
}

static void test_wrong_id(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_ACKS_WRONG;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_resent(house, "reason=\"protocol\"");
}

static void test_garbage(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_SAYS;
    house->first.saying = TLY_TEXT("HTTP/1.1 400 Bad Request\r\n\r\n");
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_resent(house, "reason=\"protocol\"");
}

static void test_handshake_asked_for(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_SAYS;
    house->first.saying = TLY_TEXT("\x92\xa4HELO\x80");
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_resent(house, "reason=\"protocol\"");
}

static void test_refused(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_SAYS;
    house->first.saying = TLY_TEXT("\x80");
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_resent(house, "reason=\"refused\"");
}

static void test_closed_within_a_frame(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_CLOSES_EARLY;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_resent(house, "reason=\"closed\"");
}

/* The same in the midst of a large one, so that bytes are queued and unread on both sides. */
static void test_reset_within_a_frame(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_RESETS;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_large(house, 8 * 1000 * 1000);
    house_append(house, "t", "behind");
    expect_accepted(house, &house->first, 2);
    assert_int_equal(house_counts(house).records_acked, 0);
    house->first.way = PEER_ACKS;
    peer_hang_up(&house->first);
    expect_empty(house);
    assert_int_equal(house->first.records, 2);
    assert_memory_equal(house->first.heard.at + house->first.heard.len - 9, "t:behind ", 9);
}

/* An acknowledgement that comes while the frame is still being written, as only a receiver that
 * knows the id from an earlier connection can send it: the bytes stay valid until they are gone. */
static void test_acked_before_written(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_large(house, 12 * 1000 * 1000);
    expect_frames(house, &house->first, 1);
    struct tly_buf ack;
    tly_buf_init(&ack, 256);
    assert_int_equal(tly_forward_ack(&ack, tly_buf_text(&house->first.frame[0].chunk)), 0);
    house->first.way = PEER_READS_NOTHING;
    house->first.saying = tly_buf_text(&ack);
    peer_hang_up(&house->first);
    expect_accepted(house, &house->first, 2);
    while (METRIC(house, acks_total, NULL) == 0) {
        assert_true(turns_few(house->loop));
    }
    assert_int_equal(house_counts(house).records_acked, 0); /* still being written */
    house->first.way = PEER_HOLDS;
    peer_read_on(&house->first);
    expect_empty(house);
    assert_int_equal(house_counts(house).records_acked, 1);
    tly_buf_done(&ack);
}

/* ... and where the connection ends first, it counts as what it is: acknowledged. */
static void test_acked_and_lost(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_large(house, 12 * 1000 * 1000);
    expect_frames(house, &house->first, 1);
    struct tly_buf ack;
    tly_buf_init(&ack, 256);
    assert_int_equal(tly_forward_ack(&ack, tly_buf_text(&house->first.frame[0].chunk)), 0);
    house->first.way = PEER_READS_NOTHING;
    house->first.saying = tly_buf_text(&ack);
    peer_hang_up(&house->first);
    expect_accepted(house, &house->first, 2);
    while (METRIC(house, acks_total, NULL) == 0) {
        assert_true(turns_few(house->loop));
    }
    peer_hang_up(&house->first);
    expect_empty(house);
    assert_int_equal(house_counts(house).records_acked, 1);
    tly_buf_done(&ack);
}

static void test_tag_too_long(void **state)
{
    struct house *house = *state;
    enum { TAG_LEN = 100000 };
    char *tag = malloc(TAG_LEN + 1);
    assert_non_null(tag);
    memset(tag, 't', TAG_LEN);
    tag[TAG_LEN] = '\0';
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append(house, tag, "x");
    house_append(house, "t", "y");
    expect_empty(house);
    expect_heard(&house->first, "t:y ");
    assert_int_equal(house_counts(house).records_dropped, 1);
    free(tag);
}

/* ---- several servers ---- */

static void test_fails_over(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, false);
    peer_stop(&house->first);
    house_send(house);
    house_append_numbers(house, 2);
    expect_empty(house);
    expect_heard(&house->second, "t:0 t:1 ");
    assert_int_equal(METRIC(house, errors_total, "reason=\"connect\""), 1);

    /* It stays there when the first is back, and goes to it when the second fails. */
    peer_start(&house->first, house->loop);
    house_append(house, "t", "2");
    expect_empty(house);
    expect_heard(&house->second, "t:0 t:1 t:2 ");
    peer_stop(&house->second);
    house_append(house, "t", "3");
    expect_empty(house);
    expect_heard(&house->first, "t:3 ");
}

static void test_standby(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->second, true);
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append(house, "t", "0");
    expect_empty(house);
    expect_heard(&house->first, "t:0 ");
    assert_int_equal(house->second.accepted, 0);

    house->second.way = PEER_HOLDS;
    peer_stop(&house->first);
    house_append_numbers(house, 3);
    expect_frames(house, &house->second, 3);

    /* The other is back: it gets the next chunks once the standby has acknowledged its own. */
    peer_start(&house->first, house->loop);
    expect_accepted(house, &house->first, 2);
    house_append(house, "t", "3");
    assert_true(turns_few(house->loop));
    assert_int_equal(house->second.frames, 3);
    assert_int_equal(house->first.frames, 1);
    for (size_t i = 0; i < 3; i++) {
        peer_ack(&house->second, i);
    }
    expect_empty(house);
    expect_heard(&house->second, "t:0 t:1 t:2 ");
    expect_heard(&house->first, "t:0 t:3 ");
    while (house->second.connected > 0) {
        assert_true(turns_few(house->loop));
    }
    assert_int_equal(METRIC(house, connected, NULL), 1);
}

static void test_all_down(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->first, false);
    house_add_server(house, &house->second, true);
    peer_stop(&house->first);
    peer_stop(&house->second);
    house_send(house);
    house_append_numbers(house, 3);
    while (METRIC(house, errors_total, "reason=\"connect\"") < 3) {
        assert_true(turns_few(house->loop));
    }
    assert_int_equal(METRIC(house, connected, NULL), 0);
    peer_start(&house->second, house->loop);
    expect_empty(house);
    expect_heard(&house->second, "t:0 t:1 t:2 ");
    assert_int_equal(METRIC(house, resent_chunks_total, NULL), 0);
}

/* ---- stopping ---- */

static void note_stopped(void *arg)
{
    struct house *house = arg;
    house->stopped++;
}

static bool has_stopped(void *arg)
{
    return ((const struct house *)arg)->stopped > 0;
}

static void test_stop_delivers(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 3);
    int64_t deadline_ms = tly_loop_now_ms(house->loop) + 10000;
    tly_forward_sender_stop(house->sender, deadline_ms, note_stopped, house);
    expect_frames(house, &house->first, 3);
    assert_int_equal(house->stopped, 0);
    for (size_t i = 0; i < 3; i++) {
        peer_ack(&house->first, i);
    }
    assert_true(turns_until(house->loop, has_stopped, house));
    assert_true(tly_loop_now_ms(house->loop) < deadline_ms);
    assert_int_equal(house_counts(house).records_acked, 3);
}

static void test_stop_at_the_deadline(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 2);
    expect_frames(house, &house->first, 2);
    int64_t deadline_ms = tly_loop_now_ms(house->loop) + 50;
    tly_forward_sender_stop(house->sender, deadline_ms, note_stopped, house);
    assert_int_equal(house->stopped, 0);
    assert_true(turns_until(house->loop, has_stopped, house));
    assert_true(tly_loop_now_ms(house->loop) >= deadline_ms);
    struct tly_destination_counts counts = house_counts(house);
    assert_int_equal(counts.queued_records, 2);
    assert_int_equal(counts.chunks_returned, 2);
}

/* With nothing to deliver, or nobody who could take it in time, there is nothing to wait for. */
static void test_stop_at_once(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->first, false);
    house_send(house);
    expect_connected(house);
    tly_forward_sender_stop(house->sender, tly_loop_now_ms(house->loop) + 10000, note_stopped,
                            house);
    assert_int_equal(house->stopped, 1);
}

static void test_stop_without_hope(void **state)
{
    struct house *house = *state;
    house_add_server(house, &house->first, false);
    peer_stop(&house->first);
    house_send(house);
    house_append_numbers(house, 1);
    while (METRIC(house, errors_total, "reason=\"connect\"") < 1) {
        assert_true(turns_few(house->loop));
    }
    tly_forward_sender_stop(house->sender, tly_loop_now_ms(house->loop) + 1, note_stopped, house);
    assert_int_equal(house->stopped, 1);
    assert_int_equal(house_counts(house).queued_records, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delivers),
        TEST(test_acks_in_pieces),
        TEST(test_pipelines),
        TEST(test_large_chunks),
        TEST(test_without_ack),
        TEST(test_sends_again),
        TEST(test_never_acked),
        TEST(test_oldest_never_acked),
        TEST(test_nothing_taken),
        TEST(test_wrong_id),
        TEST(test_garbage),
        TEST(test_handshake_asked_for),
        TEST(test_refused),
        TEST(test_closed_within_a_frame),
        TEST(test_reset_within_a_frame),
        TEST(test_acked_before_written),
        TEST(test_acked_and_lost),
        TEST(test_tag_too_long),
        TEST(test_fails_over),
        TEST(test_standby),
        TEST(test_all_down),
        TEST(test_stop_delivers),
        TEST(test_stop_at_the_deadline),
        TEST(test_stop_at_once),
        TEST(test_stop_without_hope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
