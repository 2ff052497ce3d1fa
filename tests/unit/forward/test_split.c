/*
 * A receiver that takes no frame over a few bytes, and closes as Fluent Bit does: what comes back
 * is sent in parts, in order and alone, until all of it is through.
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

static bool has_frames(void *arg)
{
    return ((const struct house *)arg)->first.frames >= 4;
}

/* One record has no parts: it is tried as it is, for ever. */
static void test_single_record(void **state)
{
    struct house *house = *state;
    house->first.way = PEER_HOLDS;
    house->settings.ack_timeout_ms = 20;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append(house, "t", "only");
    assert_true(turns_until(house->loop, has_frames, house));
    house->first.way = PEER_ACKS;
    assert_true(turns_until(house->loop, house_is_empty, house));
    assert_int_equal(house_counts(house).records_acked, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_halves),
        TEST(test_pieces),
        TEST(test_single_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
