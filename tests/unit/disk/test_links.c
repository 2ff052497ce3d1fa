/*
 * The set of files with several names: each once, up to its bound.
 */
#include "collectors/disk/links.h"
#include "tests/unit/unit.h"

static void test_each_once(void **state)
{
    (void)state;
    struct tly_disk_links links = {0};
    for (int turn = 0; turn < 2; turn++) {
        for (uint64_t device = 1; device <= 3; device++) {
            for (uint64_t inode = 1; inode <= 5000; inode++) {
                bool known = turn == 0;
                assert_int_equal(tly_disk_links_add(&links, device, inode * 4096, &known), 0);
                assert_int_equal(known, turn == 1);
            }
        }
    }
    assert_int_equal(links.count, 15000);
    tly_disk_links_done(&links);
}

static void test_bound(void **state)
{
    (void)state;
    struct tly_disk_links links = {0};
    bool known = false;
    for (uint64_t inode = 1; inode <= TLY_DISK_LINKS_MAX; inode++) {
        assert_int_equal(tly_disk_links_add(&links, 1, inode, &known), 0);
    }
    assert_int_equal(tly_disk_links_add(&links, 1, TLY_DISK_LINKS_MAX + 1, &known), TLY_E_LIMIT);
    assert_int_equal(links.count, TLY_DISK_LINKS_MAX);
    assert_false(known);
    assert_int_equal(tly_disk_links_add(&links, 1, 7, &known), 0); /* is known all the same */
    assert_true(known);
    tly_disk_links_done(&links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
