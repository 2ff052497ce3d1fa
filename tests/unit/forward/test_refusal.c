/* When a record that nobody takes is given up: after some tries, and not before some time. */
#include "outputs/forward/refusal.h"
#include "tests/unit/forward/house.h"

#define PATIENCE_MS 1000

static const struct tly_text one = {"one", 3};
static const struct tly_text two = {"two", 3};

static bool refused_at(struct tly_chunk *chunk, int64_t now_ms)
{
    return tly_forward_refused(chunk, one, true, now_ms, PATIENCE_MS);
}

static void test_tries_and_time(void **state)
{
    (void)state;
    struct tly_chunk chunk = {.sends = 10};
    for (int64_t now_ms = 5000; now_ms < 5000 + PATIENCE_MS; now_ms += 100) {
        assert_false(refused_at(&chunk, now_ms));
    }
    assert_true(refused_at(&chunk, 5000 + PATIENCE_MS));
    /* The next one is another record. */
    assert_false(refused_at(&chunk, 5000 + PATIENCE_MS));

    struct tly_chunk slow = {.sends = 10};
    assert_false(refused_at(&slow, 0));
    assert_false(refused_at(&slow, 2 * PATIENCE_MS));
    assert_true(refused_at(&slow, 2 * PATIENCE_MS));
}

/* Where nothing else went through, nothing is known of the record. */
static void test_unproved(void **state)
{
    (void)state;
    struct tly_chunk chunk = {.sends = 10};
    for (int64_t now_ms = 0; now_ms < 100 * PATIENCE_MS; now_ms += PATIENCE_MS) {
        assert_false(tly_forward_refused(&chunk, one, false, now_ms, PATIENCE_MS));
    }
    assert_false(refused_at(&chunk, 100 * PATIENCE_MS));
}

/* What was refused before is through: it does not count against the record behind it. */
static void test_another_record(void **state)
{
    (void)state;
    struct tly_chunk chunk = {.sends = 10};
    assert_false(refused_at(&chunk, 0));
    assert_false(refused_at(&chunk, PATIENCE_MS));
    assert_false(tly_forward_refused(&chunk, two, true, 2 * PATIENCE_MS, PATIENCE_MS));
    assert_false(tly_forward_refused(&chunk, two, true, 2 * PATIENCE_MS + 1, PATIENCE_MS));
    assert_false(tly_forward_refused(&chunk, two, true, 2 * PATIENCE_MS + 2, PATIENCE_MS));
    assert_true(tly_forward_refused(&chunk, two, true, 3 * PATIENCE_MS, PATIENCE_MS));
}

/* Two that change places at the head: each has its own count. */
static void test_in_turns(void **state)
{
    (void)state;
    struct tly_chunk chunk = {.sends = 10};
    for (int64_t now_ms = 0; now_ms < PATIENCE_MS; now_ms += 100) {
        assert_false(tly_forward_refused(&chunk, one, true, now_ms, PATIENCE_MS));
        assert_false(tly_forward_refused(&chunk, two, true, now_ms, PATIENCE_MS));
    }
    assert_true(tly_forward_refused(&chunk, one, true, PATIENCE_MS, PATIENCE_MS));
}

static void expect_payload(const struct tly_chunk *chunk, const char *text)
{
    expect_text(tly_buf_text(&chunk->payload), text);
}

/* The second goes first, but not if it is no better. */
static void test_stands_back(void **state)
{
    (void)state;
    const struct tly_text a = TLY_TEXT("\xa1"
                                       "a");
    const struct tly_text b = TLY_TEXT("\xa1"
                                       "b");
    struct tly_chunk chunk = {.sends = 10};
    tly_buf_init(&chunk.payload, 100);
    assert_int_equal(tly_buf_append_text(&chunk.payload, a), 0);
    assert_int_equal(tly_buf_append_text(&chunk.payload, b), 0);
    assert_true(tly_forward_stand_back(&chunk)); /* the first is not known to be bad */
    expect_payload(&chunk, "\xa1"
                           "a\xa1"
                           "b");
    assert_false(tly_forward_refused(&chunk, a, true, 0, PATIENCE_MS));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(tly_forward_stand_back(&chunk));
        expect_payload(&chunk, "\xa1"
                               "b\xa1"
                               "a");
    }
    assert_int_equal(tly_forward_part_bytes(&chunk), 1);
    assert_false(tly_forward_refused(&chunk, b, true, 0, PATIENCE_MS));
    assert_false(tly_forward_stand_back(&chunk));
    tly_buf_consume(&chunk.payload, b.len);
    assert_false(tly_forward_stand_back(&chunk)); /* it is alone */
    tly_buf_done(&chunk.payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tries_and_time), cmocka_unit_test(test_unproved),
        cmocka_unit_test(test_another_record), cmocka_unit_test(test_in_turns),
        cmocka_unit_test(test_stands_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
