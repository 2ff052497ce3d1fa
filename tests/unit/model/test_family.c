/*
 * The table of families: what exporters, rules and documents rely on in every row.
 */
#include "agent/model/family.h"
#include "agent/model/group.h"
#include "tests/unit/unit.h"

#include <ctype.h>

static void every_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        const struct tly_family *family = &tly_families[i];
        assert_non_null(family->name);
        if (family->exponent < -9 || family->exponent > 0) {
            fail_msg("%s: exponent %d", family->name, family->exponent);
        }
        if (family->group[0] == '\0' || family->source[0] == '\0' || family->help[0] == '\0') {
            fail_msg("%s: group, source or help is empty", family->name);
        }
        if (tly_text_ends(tly_text_of(family->help), TLY_TEXT(".")) ||
            strchr(family->help, '\n') != NULL || !isupper((unsigned char)family->help[0])) {
            fail_msg("%s: the help is not one sentence without a full stop: %s", family->name,
                     family->help);
        }
    }
}

/* Names that cAdvisor has given to families of another type. */
static bool misnamed(const char *name)
{
    static const char *const names[] = {
        "container_memory_failcnt",           "container_hugetlb_failcnt",
        "container_fs_inodes_total",          "container_network_tcp_usage_total",
        "container_network_tcp6_usage_total", "container_network_udp_usage_total",
        "container_network_udp6_usage_total", "container_network_advance_tcp_stats_total",
    };
    for (size_t i = 0; i < ROWS(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Counters end in _total, gauges don't. */
static void types_and_names_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        const struct tly_family *family = &tly_families[i];
        bool total = tly_text_ends(tly_text_of(family->name), TLY_TEXT("_total"));
        if (total != (family->type == TLY_COUNTER) && !misnamed(family->name) &&
            !tly_text_starts(tly_text_of(family->name), TLY_TEXT("process_"))) {
            fail_msg("%s: name and type disagree", family->name);
        }
        if ((family->flags & TLY_FAMILY_CARRIED) != 0 && family->type != TLY_COUNTER) {
            fail_msg("%s: only a counter can be carried", family->name);
        }
        if ((family->flags & TLY_FAMILY_CARRIED) != 0 && family->scope != TLY_PER_CONTAINER) {
            fail_msg("%s: only a container's counter can be carried", family->name);
        }
    }
}

static void scope_follows_from_the_name(void **state)
{
    (void)state;
    static const struct {
        struct tly_text prefix;
        unsigned scopes; /* those allowed, as bits */
    } rows[] = {
        {TLY_TEXT("tallyman_"), 1U << TLY_PER_AGENT},
        {TLY_TEXT("process_"), 1U << TLY_PER_AGENT},
        {TLY_TEXT("machine_"), 1U << TLY_PER_HOST},
        {TLY_TEXT("container_"), 1U << TLY_PER_CONTAINER | 1U << TLY_PER_HOST},
    };
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        const struct tly_family *family = &tly_families[i];
        for (size_t row = 0; row < ROWS(rows); row++) {
            if (tly_text_starts(tly_text_of(family->name), rows[row].prefix) &&
                (rows[row].scopes & 1U << family->scope) == 0) {
                fail_msg("%s: scope", family->name);
            }
        }
    }
}

static void groups_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        if (strcmp(tly_families[i].group, "always") != 0 &&
            tly_group_find(tly_text_of(tly_families[i].group)) == TLY_GROUP_COUNT) {
            fail_msg("%s: no group %s", tly_families[i].name, tly_families[i].group);
        }
    }
}

static void a_choice_hides_families(void **state)
{
    (void)state;
    struct tly_group_choice choice;
    tly_group_choice_init(&choice);
    assert_true(tly_family_chosen(&choice, TLY_F_container_memory_rss));
    assert_false(tly_family_chosen(&choice, TLY_F_container_network_tcp_usage_total));
    choice.on[TLY_G_memory] = false;
    choice.on[TLY_G_tcp] = true;
    assert_false(tly_family_chosen(&choice, TLY_F_container_memory_rss));
    assert_true(tly_family_chosen(&choice, TLY_F_container_network_tcp_usage_total));
    assert_true(tly_family_chosen(&choice, TLY_F_container_last_seen)); /* in no group */
    assert_int_equal(tly_group_find(TLY_TEXT("diskIO")), TLY_G_diskIO);
    assert_int_equal(tly_group_find(TLY_TEXT("diskio")), TLY_GROUP_COUNT);
    assert_int_equal(tly_group_find(TLY_TEXT("")), TLY_GROUP_COUNT);
}

static void names_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        for (size_t j = i + 1; j < TLY_FAMILY_COUNT; j++) {
            assert_string_not_equal(tly_families[i].name, tly_families[j].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),          cmocka_unit_test(types_and_names_agree),
        cmocka_unit_test(scope_follows_from_the_name), cmocka_unit_test(groups_are_known),
        cmocka_unit_test(a_choice_hides_families),     cmocka_unit_test(names_are_unique),
    };
    return cmocka_run_group_tests_name("family", tests, NULL, NULL);
}
