/*
 * The JSON form of a report: of what it is asked for only that is listed, and no more than so many;
 * the summary is of everything.
 */
#include "collectors/posture/report.h"

#include "tests/unit/unit.h"

#include <string.h>

static struct tly_finding one[] = {
    {.check = 0,
     .status = TLY_STATUS_FAIL,
     .severity = TLY_SEVERITY_HIGH,
     .message = (char[]){"x"}},
    {.check = 1, .status = TLY_STATUS_PASS, .severity = TLY_SEVERITY_LOW, .message = (char[]){""}},
};
static struct tly_finding two[] = {
    {.check = 0,
     .status = TLY_STATUS_FAIL,
     .severity = TLY_SEVERITY_HIGH,
     .message = (char[]){"y"}},
};
static struct tly_subject subjects[] = {
    {TLY_TARGET_CONTAINER, (char[]){"aa11"}, (char[]){"web"}, (char[]){"i"}, one, ROWS(one), -1},
    {TLY_TARGET_HOST, (char[]){""}, (char[]){"host"}, (char[]){""}, two, ROWS(two), -1},
};

static size_t occurrences(struct tly_text text, const char *part)
{
    size_t found = 0;
    size_t len = strlen(part);
    for (const char *at; (at = memmem(text.at, text.len, part, len)) != NULL; found++) {
        text.len -= (size_t)(at + len - text.at);
        text.at = at + len;
    }
    return found;
}

static void test_what_is_asked_for(void **state)
{
    static const struct {
        const char *status, *id;
        size_t max, rows;
        const char *left_out; /* NULL: nothing */
    } rows[] = {
        {"", "", 0, 3, NULL},      {"fail", "", 0, 2, NULL},
        {"pass", "", 0, 1, NULL},  {"nonsense", "", 0, 0, NULL},
        {"", "aa", 0, 2, NULL},    {"fail", "aa11", 0, 1, NULL},
        {"fail", "b", 0, 0, NULL}, {"fail", "", 1, 1, ",\n\"left_out\":1}"},
        {"fail", "", 2, 2, NULL},  {"", "", 1, 1, ",\n\"left_out\":2}"},
    };
    (void)state;
    struct tly_subject *list[] = {&subjects[0], &subjects[1]};
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct tly_report report = {.subjects = list,
                                          .count = ROWS(list),
                                          .status = tly_text_of(rows[i].status),
                                          .id = tly_text_of(rows[i].id),
                                          .findings_max = rows[i].max};
        struct tly_buf buf;
        tly_buf_init(&buf, 1 << 16);
        assert_int_equal(tly_report_json(&report, &buf), 0);
        struct tly_text text = tly_buf_text(&buf);
        assert_int_equal(occurrences(text, "\"check\":"), rows[i].rows);
        assert_int_equal(occurrences(text, "left_out"), rows[i].left_out != NULL);
        assert_true(rows[i].left_out == NULL || occurrences(text, rows[i].left_out) == 1);
        assert_int_equal(occurrences(text, "\"high\":2"), 1); /* the summary is of all */
        tly_buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_asked_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
