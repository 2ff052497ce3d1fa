/*
 * The set of capabilities as /proc/<pid>/status has it, and the table of those that are needed.
 */
#include "agent/rights.h"

#include "tests/unit/unit.h"

static void the_effective_set_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint64_t effective;
    } rows[] = {
        {"Name:\tx\nCapPrm:\tff\nCapEff:\t0000000000080004\nCapBnd:\t1\n", 0, 0x80004},
        {"CapEff:\t0000000000000000", 0, 0},
        {"CapEff:\tffffffffffffffff\n", 0, UINT64_MAX},
        {"CapEff:\t1ffffffffffffffff\n", TLY_E_MALFORMED, 0},
        {"CapEff:\t\n", TLY_E_MALFORMED, 0},
        {"CapEff:\t80G04\n", TLY_E_MALFORMED, 0},
        {"CapEff:\t-1\n", TLY_E_MALFORMED, 0},
        {"CapEff\t1\n", TLY_E_MALFORMED, 0},
        {"Name:\tCapEff\n", TLY_E_MALFORMED, 0},
        {"", TLY_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t effective = 0;
        assert_int_equal(tly_rights_parse(tly_text_of(rows[i].text), &effective), rows[i].rc);
        assert_int_equal(effective, rows[i].effective);
    }
}

static void each_right_is_wanted_by_something(void **state)
{
    (void)state;
    assert_true(tly_right_count > 0);
    for (size_t i = 0; i < tly_right_count; i++) {
        assert_int_equal(strncmp(tly_rights[i].name, "CAP_", 4), 0);
        assert_int_not_equal(tly_rights[i].any, 0);
        assert_true(strlen(tly_rights[i].lost) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_effective_set_is_found),
        cmocka_unit_test(each_right_is_wanted_by_something),
    };
    return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
