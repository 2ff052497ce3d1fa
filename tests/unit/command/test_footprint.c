/*
 * Shrinking of the process: what was let go of comes back when it is needed, and what was written
 * stays.
 */
#include "agent/footprint.h"
#include "agent/model/family.h"
#include "tests/unit/unit.h"

/* Of this process, from /proc/self/status, in KiB. */
static long resident_from_files(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long found = -1;
    assert_non_null(file);
    while (found < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "RssFile:", 8) == 0) {
            found = strtol(line + 8, NULL, 10);
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(found >= 0);
    return found;
}

static int written = 5;                         /* a page that was changed */
static int (*const volatile called)(int) = abs; /* one that the linker changed */

static void all_goes_on(void **state)
{
    (void)state;
    char *text = strdup("on the heap");
    assert_non_null(text);
    written = 7;
    long before = resident_from_files();
    tly_footprint_shrink();
    assert_true(resident_from_files() < before);
    assert_int_equal(written, 7);
    assert_int_equal(called(-3), 3);
    assert_string_equal(text, "on the heap");
    assert_string_equal(tly_families[TLY_F_container_last_seen].name, "container_last_seen");
    free(text);
    tly_footprint_shrink(); /* again does no harm */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_goes_on),
    };
    return cmocka_run_group_tests_name("footprint", tests, NULL, NULL);
}
