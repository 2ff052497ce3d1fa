/*
 * A sender that compresses: the same records in the same order, also when connections end while
 * the worker is at it.
 */
#include "tests/unit/forward/house.h"

#define METRIC(house, family, label) house_metric((house), TLY_F_tallyman_forward_##family, (label))

static void expect_empty(struct house *house)
{
    assert_true(turns_until(house->loop, house_is_empty, house));
}

static void delivers(struct house *house, enum tly_forward_compression compression)
{
    house->settings.compression = (int)compression;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 20);
    house_append_large(house, 4000000);
    house_append(house, "t", "last");
    expect_empty(house);
    assert_int_equal(house->first.records, 22);
    assert_memory_equal(house->first.heard.at, "t:0 t:1 t:2 t:3 t:4 t:5 t:6 t:7 t:8 t:9 t:10 ", 45);
    assert_memory_equal(house->first.heard.at + house->first.heard.len - 9, "x t:last ", 9);
    assert_int_equal(METRIC(house, errors_total, NULL), 0);
    assert_int_equal(METRIC(house, acks_total, NULL), 22);
    assert_true(METRIC(house, sent_bytes_total, NULL) < 100000); /* a run of one letter */
}

static void test_gzip(void **state)
{
    delivers(*state, TLY_FORWARD_GZIP);
}

static void test_zstd(void **state)
{
    delivers(*state, TLY_FORWARD_ZSTD);
}

static void test_without_ack(void **state)
{
    struct house *house = *state;
    house->settings.compression = TLY_FORWARD_GZIP;
    house->settings.require_ack = false;
    house_add_server(house, &house->first, false);
    house_send(house);
    house_append_numbers(house, 3);
    expect_empty(house);
    while (house->first.records < 3) {
        assert_true(turns_few(house->loop));
    }
    expect_text(tly_buf_text(&house->first.heard), "t:0 t:1 t:2 ");
}

static bool has_connected(void *arg)
{
    return METRIC(arg, connected, NULL) == 1;
}

static bool is_in_flight(void *arg)
{
    return METRIC(arg, in_flight_chunks, NULL) > 0;
}

/* The connection ends with chunks at the worker. */
static void test_lost_while_compressing(void **state)
{
    struct house *house = *state;
    house->settings.compression = TLY_FORWARD_GZIP;
    house_add_server(house, &house->first, false);
    house_send(house);
    for (int i = 0; i < 3; i++) {
        assert_true(turns_until(house->loop, has_connected, house));
        peer_hang_up(&house->first);
        house_append_large(house, 8000000);
        (void)turns_until(house->loop, is_in_flight, house);
    }
    expect_empty(house);
    assert_true(house->first.records >= 3);
    assert_int_equal(house_counts(house).records_acked, 3);
}

/* The sender goes with chunks at the worker. */
static void test_freed_while_compressing(void **state)
{
    struct house *house = *state;
    house->settings.compression = TLY_FORWARD_ZSTD;
    house_add_server(house, &house->first, false);
    house_send(house);
    assert_true(turns_until(house->loop, has_connected, house));
    house_append_large(house, 8000000);
    assert_true(turns_until(house->loop, is_in_flight, house));
    tly_forward_sender_free(house->sender);
    house->sender = NULL;
    assert_int_equal(house_counts(house).queued_records, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_set_up, house_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gzip),
        TEST(test_zstd),
        TEST(test_without_ack),
        TEST(test_lost_while_compressing),
        TEST(test_freed_while_compressing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
