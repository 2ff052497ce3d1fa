/*
 * Anchors in an engine's log stream: kept and read back, and what of a new connection is new,
 * wherever the last one ended, in whichever order the times stand.
 */
#include "collectors/logs/anchor.h"

#include "tests/unit/unit.h"

#include <string.h>

struct frame {
    int stream;
    int64_t time_ns;
};

static void survives_being_kept(void **state)
{
    static const struct tly_log_anchor rows[] = {
        {0},
        {.stream = 1, .time_ns = 1, .count = 1, .len = 1, .newest_ns = 1},
        {.stream = 0,
         .time_ns = INT64_MAX,
         .count = INT64_MAX,
         .len = UINT32_MAX,
         .newest_ns = INT64_MAX},
        {.time_ns = 1700000000123456789, .newest_ns = 1700000000123456789},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_position position;
        struct tly_log_anchor read = {.len = 7};
        tly_log_anchor_position(&rows[i], &position);
        assert_true(tly_log_anchor_of(&position, &read));
        assert_memory_equal(&read, &rows[i], sizeof(read));
    }
}

static void a_position_in_a_file_is_none(void **state)
{
    static const struct tly_position rows[] = {
        {.device = 2, .inode = 3, .offset = 100},
        {.offset = UINT64_MAX},
        {.head_hash = UINT64_MAX},
    };
    struct tly_log_anchor anchor;
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_false(tly_log_anchor_of(&rows[i], &anchor));
    }
}

static void asks_from_before_the_frame(void **state)
{
    static const struct {
        struct tly_log_anchor anchor;
        int64_t since_ns;
    } rows[] = {
        {{.time_ns = 0}, 0},
        {{.time_ns = 5}, 5}, /* no frame: exactly from there on */
        {{.time_ns = 5, .count = 1}, 0},
        {{.time_ns = 1700000000123456789, .count = 2}, 1700000000123456789 - TLY_LOG_OVERLAP_NS},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(tly_log_anchor_since_ns(&rows[i].anchor), rows[i].since_ns);
    }
}

/* Lets `frames` from `first` on pass a connection that begins at `from`; the index of the first one
 * that is new, and how many are missed. */
static size_t first_new(const struct frame *frames, size_t first, size_t count,
                        const struct tly_log_anchor *from, unsigned *ret_missed)
{
    struct tly_log_resume resume;
    size_t at = count;
    *ret_missed = 0;
    tly_log_resume_begin(&resume, from);
    for (size_t i = first; i < count; i++) {
        struct tly_log_anchor next = tly_log_resume_next(&resume, frames[i].stream,
                                                         frames[i].time_ns, 1);
        enum tly_log_verdict verdict = tly_log_resume_judge(&resume, &next);
        if (verdict == TLY_LOG_OLD) {
            assert_int_equal(at, count); /* nothing old comes behind something new */
            tly_log_resume_skip(&resume, &next);
            continue;
        }
        *ret_missed += verdict == TLY_LOG_MISSED;
        at = at == count ? i : at;
        tly_log_resume_take(&resume, &next);
    }
    return at;
}

/* Streams that overtake each other, equal times, and a clock that was set back by 100. */
static const struct frame frames[] = {
    {0, 10}, {0, 10}, {1, 10}, {0, 10}, {1, 12}, {0, 11}, {0, 11}, {1, 12},
    {0, 12}, {0, 13}, {1, 13}, {0, 14}, {1, 13}, {0, 14}, {1, 20}, {0, 120},
    {0, 20}, {1, 20}, {0, 21}, {0, 21}, {0, 22}, {1, 22}, {0, 22},
};

static struct tly_log_anchor anchor_behind(size_t count)
{
    struct tly_log_resume resume;
    const struct tly_log_anchor none = {.stream = 0};
    tly_log_resume_begin(&resume, &none);
    for (size_t i = 0; i < count; i++) {
        struct tly_log_anchor next = tly_log_resume_next(&resume, frames[i].stream,
                                                         frames[i].time_ns, 1);
        assert_int_equal(tly_log_resume_judge(&resume, &next), TLY_LOG_NEW);
        tly_log_resume_take(&resume, &next);
    }
    return resume.place;
}

static void takes_up_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= ROWS(frames); cut++) {
        unsigned missed;
        const struct tly_log_anchor anchor = anchor_behind(cut);
        assert_int_equal(first_new(frames, 0, ROWS(frames), &anchor, &missed), cut);
        assert_int_equal(missed, 0);
    }
}

/* The engine no longer has it: the first frame that is surely newer shows that. */
static void a_frame_that_is_gone(void **state)
{
    static const struct frame later[] = {{0, 90}, {1, 100}, {0, 101}, {0, 102}};
    const struct tly_log_anchor anchor = {.stream = 0, .time_ns = 95, .count = 3, .newest_ns = 100};
    unsigned missed;
    (void)state;
    assert_int_equal(first_new(later, 0, ROWS(later), &anchor, &missed), 2);
    assert_int_equal(missed, 1);
}

static void giving_up_makes_all_new(void **state)
{
    static const struct frame again[] = {{1, 90}, {0, 95}, {0, 96}};
    const int64_t at = 1700000000123456789;
    const struct tly_log_anchor anchor = {.time_ns = at, .count = 3, .newest_ns = at + 5};
    struct tly_log_resume resume;
    unsigned missed;
    (void)state;
    tly_log_resume_begin(&resume, &anchor);
    tly_log_resume_give_up(&resume);
    assert_int_equal(tly_log_anchor_since_ns(&resume.place), at - TLY_LOG_OVERLAP_NS);
    assert_int_equal(first_new(again, 0, ROWS(again), &resume.place, &missed), 0);
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_being_kept),
        cmocka_unit_test(a_position_in_a_file_is_none),
        cmocka_unit_test(asks_from_before_the_frame),
        cmocka_unit_test(takes_up_anywhere),
        cmocka_unit_test(a_frame_that_is_gone),
        cmocka_unit_test(giving_up_makes_all_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
