/*
 * The families beside cAdvisor's: each of its names is there with its type and labels, or stands in
 * the table of those that are not, with the reason. The list of its names is a fixture, given as
 * the argument.
 */
#include "agent/model/family.h"
#include "tests/unit/unit.h"

#define LINE_BYTES 256

static const char *fixture;

/* One line of the fixture. */
struct theirs {
    struct tly_text name, type, labels, group;
};

static bool theirs_parse(struct tly_text line, struct theirs *ret_theirs)
{
    if (line.len == 0 || line.at[0] == '#') {
        return false;
    }
    ret_theirs->name = tly_text_cut(&line, '\t');
    ret_theirs->type = tly_text_cut(&line, '\t');
    ret_theirs->labels = tly_text_cut(&line, '\t');
    ret_theirs->group = tly_text_cut(&line, '\t');
    assert_non_null(line.at);
    return true;
}

static const struct tly_family *ours_find(struct tly_text name)
{
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        if (tly_text_equal(tly_text_of(tly_families[i].name), name)) {
            return &tly_families[i];
        }
    }
    return NULL;
}

static bool absent_has(struct tly_text name)
{
    for (const struct tly_absent_family *absent = tly_absent_families; absent->pattern != NULL;
         absent++) {
        if (tly_text_glob(tly_text_of(absent->pattern), name)) {
            return true;
        }
    }
    return false;
}

/* Families that are in a group of another name than cAdvisor's, which their note has to say. */
static bool group_may_differ(const struct tly_family *family)
{
    return strstr(family->note, "group") != NULL;
}

static void compare(const struct tly_family *ours, const struct theirs *theirs)
{
    static const char *const types[] = {[TLY_COUNTER] = "counter", [TLY_GAUGE] = "gauge"};
    if (ours->type > TLY_GAUGE || !tly_text_equal(tly_text_of(types[ours->type]), theirs->type)) {
        fail_msg("%s: the type is another one", ours->name);
    }
    if (!tly_text_equal(tly_text_of(ours->labels), theirs->labels)) {
        fail_msg("%s: labels %s", ours->name, ours->labels);
    }
    if (!tly_text_equal(tly_text_of(ours->group), theirs->group) && !group_may_differ(ours)) {
        fail_msg("%s: group %s", ours->name, ours->group);
    }
    if ((ours->flags & TLY_FAMILY_CADVISOR) == 0) {
        fail_msg("%s: is cAdvisor's, and not marked so", ours->name);
    }
}

/* Calls `look` for each of cAdvisor's families; returns how many there are. */
static size_t each_of_theirs(void (*look)(const struct theirs *theirs))
{
    FILE *file = fopen(fixture, "r");
    assert_non_null(file);
    char line[LINE_BYTES];
    size_t count = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        struct theirs theirs;
        if (theirs_parse(tly_text_trim(tly_text_of(line)), &theirs)) {
            look(&theirs);
            count++;
        }
    }
    assert_int_equal(fclose(file), 0);
    return count;
}

static void look_for_ours(const struct theirs *theirs)
{
    const struct tly_family *ours = ours_find(theirs->name);
    if (ours == NULL && !absent_has(theirs->name)) {
        fail_msg("%.*s is neither a family nor told to be absent", (int)theirs->name.len,
                 theirs->name.at);
    }
    if (ours != NULL && absent_has(theirs->name)) {
        fail_msg("%s is a family and told to be absent", ours->name);
    }
    if (ours != NULL) {
        compare(ours, theirs);
    }
}

static void each_of_cadvisors_is_there_or_explained(void **state)
{
    (void)state;
    assert_true(each_of_theirs(look_for_ours) > 100);
}

static size_t marked;

static void count_marked(const struct theirs *theirs)
{
    const struct tly_family *ours = ours_find(theirs->name);
    marked += ours != NULL;
}

/* What is marked as cAdvisor's is in its list. */
static void no_other_is_said_to_be_cadvisors(void **state)
{
    (void)state;
    size_t said = 0;
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        said += (tly_families[i].flags & TLY_FAMILY_CADVISOR) != 0;
    }
    marked = 0;
    (void)each_of_theirs(count_marked);
    assert_int_equal(said, marked);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_cadvisors_is_there_or_explained),
        cmocka_unit_test(no_other_is_said_to_be_cadvisors),
    };
    fixture = argc > 1 ? argv[1] : NULL;
    return fixture == NULL ? 2 : cmocka_run_group_tests_name("cadvisor", tests, NULL, NULL);
}
