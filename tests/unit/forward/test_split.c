/*
 * A receiver that takes no frame over a few bytes, and closes as Fluent Bit does: what comes back
 * is sent in parts, in order and alone, until all of it is through; and a single record that it
 * never takes is given up, but only where it takes others.
 */
#include "tests/unit/forward/house.h"

#define METRIC(house, family, label) house_metric((house), TLY_F_tallyman_forward_##family, (label))

/* Each number at least once, and each for the first time behind the one before it. */
static void expect_all(const struct house *house, unsigned count)
{
    const struct tly_buf *heard = &house->first.heard;
    char *text = tly_text_dup(tly_buf_text(heard));
    assert_non_null(text);
    const char *at = text;
    for (unsigned i = 0; i < count; i++) {
        char wanted[32];
        (void)snprintf(wanted, sizeof(wanted), "t:%u ", i);
        const char *next = strstr(at, wanted);
        if (!next) {
            fail_msg("%u is missing, or before its turn: %s", i, text);
            break; /* for analyzers: it does not return */
        }
        at = next;
    }
    free(text);
}

static void deliver(struct house *house, unsigned count)
{
    house_send(house);
    house_append_together(house, count);
    house_append(house, "t", "behind");
    assert_true(turns_until(house->loop, house_is_empty, house));
    expect_all(house, count);
    const struct tly_buf *heard = &house->first.heard;
    assert_memory_equal(heard->at + heard->len - 9, "t:behind ", 9);
    assert_int_equal(house_counts(house).records_acked, count + 1);
    assert_int_equal(METRIC(house, in_flight_chunks, NULL), 0);
}

static void test_halves(void **state)
{
    struct house *house = *state;
    house->first.frame_bytes_max = 300; /* 20 records take about 400 */
    house_add_server(house, &house->first, false);
    deliver(house, 20);
    assert_int_equal(METRIC(house, errors_total, "reason=\"closed\""), 3);
}

/* Down to a few records; compressed chunks too. */
static void test_pieces(void **state)
{
    struct house *house = *state;
    house->first.frame_bytes_max = 150;
    house->settings.compression = TLY_FORWARD_GZIP;
    house_add_server(house, &house->first, false);
    deliver(house, 20);
}

/* ---- what is refused alone ---- */

/* Its long record is refused, wherever it stands. */
static void add_picky_server(struct house *house)
{
    house->first.frame_bytes_max = 300;
    house->settings.retry_max_ms = 10;
    house_add_server(house, &house->first, false);
    house_send(house);
}

static char long_text[500];

static void append_long(struct house *house, const char *tag)
{
    memset(long_text, 'x', sizeof(long_text) - 1);
    house_append(house, tag, long_text);
}

static void expect_dropped(struct house *house, uint64_t dropped, uint64_t acked)
{
    assert_true(turns_until(house->loop, house_is_empty, house));
    assert_int_equal(house_counts(house).records_dropped, dropped);
    assert_int_equal(house_counts(house).records_acked, acked);
    assert_int_equal(METRIC(house, in_flight_chunks, NULL), 0);
}

/* Among others in its chunk: what stands before it is sent once more at the most, as long as it was
 * in one frame with others; then all that stands behind it comes. */
static void test_one_of_many(void **state)
{
    struct house *house = *state;
    add_picky_server(house);
    memset(long_text, 'x', sizeof(long_text) - 1);
    house_append_around(house, 10, long_text, 10);
    expect_dropped(house, 1, 20);
    expect_all(house, 20);
}

/* The first of all, alone in its chunk: others go before it, to see that they are taken. */
static void test_alone_at_the_head(void **state)
{
    struct house *house = *state;
    add_picky_server(house);
    append_long(house, "t");
    house_append_numbers(house, 10);
    expect_dropped(house, 1, 10);
    expect_all(house, 10);
}

/* Several, one behind the other. */
static void test_several(void **state)
{
    struct house *house = *state;
    add_picky_server(house);
    append_long(house, "t");
    append_long(house, "t");
    append_long(house, "other");
    house_append_numbers(house, 30);
    expect_dropped(house, 3, 30);
    expect_all(house, 30);
}

static bool has_tried(void *arg)
{
    return ((const struct house *)arg)->first.accepted >= 60;
}

/* What fails time and again in a short time may be a bad network's doing: nothing is dropped. */
static void test_patience(void **state)
{
    struct house *house = *state;
    house->settings.give_up_after_ms = INT64_MAX;
    add_picky_server(house);
    append_long(house, "t");
    house_append_numbers(house, 10);
    assert_true(turns_until(house->loop, has_tried, house));
    assert_int_equal(house_counts(house).records_dropped, 0);
    house->first.frame_bytes_max = 0;
    expect_dropped(house, 0, 11);
}

static bool has_dropped(void *arg)
{
    return house_counts(arg).records_dropped > 0;
}

/* What is to go before it can't go at all. */
static void test_nothing_that_fits(void **state)
{
    enum { TAG_LEN = 100000 };
    struct house *house = *state;
    char *tag = malloc(TAG_LEN + 1);
    assert_non_null(tag);
    memset(tag, 'o', TAG_LEN);
    tag[TAG_LEN] = '\0';
    add_picky_server(house);
    append_long(house, "t");
    assert_true(turns_until(house->loop, has_tried, house));
    house_append(house, tag, "x");
    free(tag);
    assert_true(turns_until(house->loop, has_dropped, house));
    house->first.frame_bytes_max = 0;
    expect_dropped(house, 1, 1);
}

static bool has_one_left(void *arg)
{
    return house_counts(arg).queued_chunks == 1;
}

/* While it is tried, others go many at a time. */
static void test_others_go_on(void **state)
{
    struct house *house = *state;
    house->settings.give_up_after_ms = INT64_MAX;
    add_picky_server(house);
    append_long(house, "t");
    for (unsigned i = 0; i < 200; i++) {
        house_append(house, "other", "x");
    }
    assert_true(turns_until(house->loop, has_one_left, house));
    assert_int_equal(house_counts(house).records_acked, 200);
    assert_true(house->first.accepted < 100);
}

static bool has_twelve(void *arg)
{
    return house_counts(arg).records_acked == 12;
}

/* It alone is overtaken: what stands behind it in its stream keeps its order. */
static void test_its_own_stream(void **state)
{
    struct house *house = *state;
    house->settings.give_up_after_ms = INT64_MAX;
    add_picky_server(house);
    memset(long_text, 'x', sizeof(long_text) - 1);
    house_append_around(house, 0, long_text, 10);
    house_append(house, "t", "10");
    house_append(house, "t", "11");
    assert_true(turns_until(house->loop, has_twelve, house));
    expect_all(house, 12);
    assert_int_equal(house->first.records, 12);
}

/* One more is dropped, with others at every moment. */
static void drop_one(struct house *house)
{
    uint64_t before = house_counts(house).records_dropped;
    append_long(house, "t");
    for (unsigned tries = 0; house_counts(house).records_dropped == before; tries++) {
        int turns = 10;
        assert_true(tries < 10000);
        house_append(house, "other", "x");
        assert_true(turns_until(house->loop, turns_counted, &turns));
    }
}

/* The second one within minutes, however long the first one had to be tried. */
static void test_patience_is_over(void **state)
{
    struct house *house = *state;
    house->settings.give_up_after_ms = 300;
    add_picky_server(house);
    drop_one(house);
    house->settings.give_up_after_ms = INT64_MAX;
    drop_one(house);
}

/* Nothing else is there to show that the receiver takes anything. */
static void test_nothing_else(void **state)
{
    struct house *house = *state;
    add_picky_server(house);
    append_long(house, "t");
    assert_true(turns_until(house->loop, has_tried, house));
    assert_int_equal(house_counts(house).records_dropped, 0);
    house->first.frame_bytes_max = 0;
    expect_dropped(house, 0, 1);
}

/* A proxy that accepts connections and closes them, because nobody is behind it. */
static void test_nobody_behind(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_CLOSES_EARLY;
    house->settings.retry_max_ms = 10;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_together(house, 5);
    house_append_numbers(house, 3);
    assert_true(turns_until(house->loop, has_tried, house));
    house->first.way = PEER_ACKS;
    expect_dropped(house, 0, 8);
}

/* ---- receivers that close after each acknowledgement ---- */

static void add_closing_server(struct house *house)
{
    static const struct tly_forward_gate gate = {.hostname = TLY_TEXT("hub"),
                                                 .shared_key = TLY_TEXT("key")};
    static char key[] = "key";
    house->settings.shared_key = key;
    house->settings.retry_max_ms = 10;
    house->first.gate = &gate;
    house->first.closes = true;
    house_add_server(house, &house->first, false);
    house_send(house);
}

/* What is sent when it closes was not refused by that. */
static void test_closes_always(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_CLOSES_EARLY;
    add_closing_server(house);
    house_append_together(house, 20);
    house_append_numbers(house, 30);
    assert_true(turns_until(house->loop, has_tried, house));
    house->first.way = PEER_ACKS;
    expect_dropped(house, 0, 50);
}

/* Nevertheless it may refuse a record. */
static void test_closes_and_refuses(void **state)
{
    struct house *house = *state;
    house->first.frame_bytes_max = 300;
    add_closing_server(house);
    append_long(house, "t");
    house_append_numbers(house, 10);
    house_append(house, "other", "x");
    expect_dropped(house, 1, 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_halves),
        TEST(test_pieces),
        TEST(test_one_of_many),
        TEST(test_alone_at_the_head),
        TEST(test_several),
        TEST(test_patience),
        TEST(test_nothing_else),
        TEST(test_nobody_behind),
        TEST(test_nothing_that_fits),
        TEST(test_others_go_on),
        TEST(test_its_own_stream),
        TEST(test_patience_is_over),
        TEST(test_closes_always),
        TEST(test_closes_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
