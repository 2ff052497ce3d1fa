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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tries_and_time),
        cmocka_unit_test(test_unproved),
        cmocka_unit_test(test_another_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
