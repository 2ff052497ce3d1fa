/*
 * Runs through a tree of plain files: the numbers of each file, files that are missing, of a newer
 * kernel or broken, and cgroups that go under the reader's feet.
 */
#include "collectors/cgroup/tree.h"
#include "tests/unit/cgroup/tree_fixture.h"
#include "tests/unit/descriptors.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ID   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PATH "system.slice/docker-" ID ".scope"

static char base[TEMP_DIR_MAX];
static char root[FIXTURE_PATH], proc[FIXTURE_PATH], sys[FIXTURE_PATH];
static struct tly_cgroup_tree *tree;

/* While it is set, there is no descriptor for a file or folder of this name. */
static const char *no_descriptor_for;

int __real_tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd);
int __wrap_tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd);

int __wrap_tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd)
{
    return no_descriptor_for != NULL && strcmp(path, no_descriptor_for) == 0
               ? -EMFILE
               : __real_tly_file_open(dir_fd, path, flags, ret_fd);
}

static int make_base(void **state)
{
    (void)state;
    temp_dir_make(base);
    fixture_path(root, base, "cgroup", "");
    fixture_path(proc, base, "proc", "");
    fixture_path(sys, base, "sys", "");
    fixture_folder(base, "proc");
    fixture_folder(base, "sys/devices/system/cpu");
    fixture_folder(base, "sys/kernel/mm/hugepages/hugepages-2048kB");
    fixture_write(sys, "devices/system/cpu", "online", "0-7\n");
    fixture_folder(root, PATH);
    fixture_write(root, ".", "cpu.stat", "usage_usec 60\n");
    fixture_write(root, ".", "cpuset.cpus.effective", "0-7\n");
    fixture_write(root, ".", "cpuset.mems.effective", "0-1\n");
    fixture_write(root, PATH, "cgroup.events", "populated 1\nfrozen 0\n");
    fixture_write(root, PATH, "cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\n");
    return 0;
}

static int remove_base(void **state)
{
    (void)state;
    no_descriptor_for = NULL;
    tly_cgroup_tree_free(tree);
    tree = NULL;
    temp_dir_remove(base);
    return 0;
}

/* Runs a new tree with the groups that are on anyway and `group`, unless that is "". */
static const struct tly_cgroup_node *run(const char *group)
{
    struct tly_cgroup_config config = {
        .root = root, .proc = proc, .sys = sys, .descriptors_max = 64};
    tly_group_choice_init(&config.groups);
    if (group[0] != '\0') {
        config.groups.on[tly_group_find(tly_text_of(group))] = true;
    }
    tly_cgroup_tree_free(tree);
    assert_int_equal(tly_cgroup_tree_new(&config, &tree), 0);
    tly_cgroup_tree_run(tree, true, true);
    return tly_map_get(tree->nodes, TLY_TEXT("/" PATH));
}

static int64_t value(const struct tly_cgroup_node *node, enum tly_family_id family,
                     const char *labels)
{
    return fixture_value(node->set, family, labels);
}

#define ABSENT INT64_MIN

/* ---- CPUs that can be used ---- */

static void effective_cores(void **state)
{
    (void)state;
    static const struct {
        const char *own, *above;     /* cpu.max, or NULL */
        const char *cpuset, *online; /* of the container, of the host */
        int64_t cores_u, cpus;
    } rows[] = {
        {NULL, NULL, NULL, "0-7\n", 8000000, 8},
        {"max 100000\n", "max 100000\n", NULL, "0-7\n", 8000000, 8},
        {"50000 100000\n", NULL, NULL, "0-7\n", 500000, 8},
        {"400000 100000\n", "150000 100000\n", NULL, "0-7\n", 1500000, 8}, /* the slice's */
        {"400000 100000\n", NULL, "2-3\n", "0-7\n", 2000000, 2},
        {"100000 100000\n", NULL, "2-3\n", "0-7\n", 1000000, 2},
        {"900000 100000\n", NULL, NULL, "0-1\n", 2000000, 8},
        {"100000 300000\n", NULL, NULL, "0-7\n", 333333, 8},
        {"50000 0\n", NULL, "\n", "0-7\n", 8000000, 8}, /* an empty set says nothing */
        {"rubbish\n", NULL, "x\n", "0-7\n", 8000000, 8},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        fixture_write(root, PATH, "cpu.max", rows[i].own == NULL ? "" : rows[i].own);
        fixture_write(root, "system.slice", "cpu.max", rows[i].above == NULL ? "" : rows[i].above);
        fixture_write(root, PATH, "cpuset.cpus.effective",
                      rows[i].cpuset == NULL ? "" : rows[i].cpuset);
        fixture_write(sys, "devices/system/cpu", "online", rows[i].online);
        const struct tly_cgroup_node *node = run("");
        assert_non_null(node);
        int64_t cores = node->facts->usable_cpu_millionths;
        if (cores != rows[i].cores_u ||
            value(node, TLY_F_container_cpuset_cpus, "") != rows[i].cpus) {
            fail_msg("row %zu: %lld millionths of a core", i, (long long)cores);
        }
        assert_int_equal(value(node, TLY_F_container_cpuset_memory_nodes, ""), 2);
    }
}

static void cores_without_any_source(void **state)
{
    (void)state;
    fixture_remove(sys, "devices/system/cpu", "online");
    fixture_remove(root, ".", "cpuset.cpus.effective");
    const struct tly_cgroup_node *node = run("");
    assert_int_equal(node->facts->usable_cpu_millionths, TLY_UNKNOWN);
    assert_int_equal(value(node, TLY_F_container_cpuset_cpus, ""), ABSENT);
}

/* ---- groups that are off by default ---- */

static void huge_pages(void **state)
{
    (void)state;
    fixture_write(root, PATH, "hugetlb.2MB.current", "4194304\n");
    fixture_write(root, PATH, "hugetlb.2MB.events", "max 3\n");
    assert_int_equal(value(run(""), TLY_F_container_hugetlb_usage_bytes, "pagesize=\"2MB\""),
                     ABSENT);
    const struct tly_cgroup_node *node = run("hugetlb");
    assert_int_equal(value(node, TLY_F_container_hugetlb_usage_bytes, "pagesize=\"2MB\""), 4194304);
    assert_int_equal(value(node, TLY_F_container_hugetlb_failcnt, "pagesize=\"2MB\""), 3);
    fixture_write(root, PATH, "hugetlb.2MB.rsvd.current", "6291456\n");
    fixture_write(root, PATH, "hugetlb.2MB.events", "rubbish\n");
    node = run("hugetlb");
    assert_int_equal(value(node, TLY_F_container_hugetlb_usage_bytes, "pagesize=\"2MB\""), 6291456);
    assert_int_equal(value(node, TLY_F_container_hugetlb_failcnt, "pagesize=\"2MB\""), ABSENT);
    assert_int_equal(tree->errors, 1);
}

static void memory_by_node(void **state)
{
    (void)state;
    char text[256];
    long page = sysconf(_SC_PAGESIZE);
    (void)snprintf(text, sizeof(text),
                   "anon N0=%ld N1=0\nfile N0=%ld N1=%ld\nnew_kind N0=1\nunevictable N0=x N1=%ld\n",
                   page, page * 2, page * 3, page * 4);
    fixture_write(root, PATH, "memory.numa_stat", text);
    const struct tly_cgroup_node *node = run("memory_numa");
    static const struct {
        const char *labels;
        int64_t pages;
    } rows[] = {
        {"type=\"anon\",scope=\"container\",node=\"0\"", 1},
        {"type=\"anon\",scope=\"hierarchy\",node=\"0\"", 1},
        {"type=\"anon\",scope=\"container\",node=\"1\"", 0},
        {"type=\"file\",scope=\"container\",node=\"1\"", 3},
        {"type=\"unevictable\",scope=\"container\",node=\"0\"", ABSENT},
        {"type=\"unevictable\",scope=\"hierarchy\",node=\"1\"", 4},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(value(node, TLY_F_container_memory_numa_pages, rows[i].labels),
                         rows[i].pages);
    }
    assert_int_equal(tree->errors, 0);
}

/* What no group needs is not even opened. */
static void files_of_groups_that_are_off(void **state)
{
    (void)state;
    fixture_write(root, PATH, "memory.events", "oom_kill 7\n");
    fixture_write(root, PATH, "memory.current", "4096\n");
    struct tly_cgroup_config config = {
        .root = root, .proc = proc, .sys = sys, .descriptors_max = 64};
    config.groups.on[TLY_G_oom_event] = true;
    assert_int_equal(tly_cgroup_tree_new(&config, &tree), 0);
    tly_cgroup_tree_run(tree, true, true);
    const struct tly_cgroup_node *node = tly_map_get(tree->nodes, TLY_TEXT("/" PATH));
    assert_int_equal(value(node, TLY_F_container_oom_events_total, ""), 7);
    assert_int_equal(value(node, TLY_F_container_memory_usage_bytes, ""), ABSENT);
    assert_int_equal(tree->reader.budget.held, 4); /* three of this cgroup, one of the root */
}

/* ---- descriptors ---- */

static struct tly_cgroup_tree *tree_with(size_t descriptors_max)
{
    struct tly_cgroup_config config = {
        .root = root, .proc = proc, .sys = sys, .descriptors_max = descriptors_max};
    tly_group_choice_init(&config.groups);
    tly_cgroup_tree_free(tree);
    assert_int_equal(tly_cgroup_tree_new(&config, &tree), 0);
    return tree;
}

static void expect_numbers(int64_t kills, int64_t bytes)
{
    const struct tly_cgroup_node *node = tly_map_get(tree->nodes, TLY_TEXT("/" PATH));
    assert_non_null(node);
    assert_int_equal(value(node, TLY_F_container_oom_events_total, ""), kills);
    assert_int_equal(value(node, TLY_F_container_memory_usage_bytes, ""), bytes);
}

/* What may not be held open is opened at each reading: the numbers are the same. */
static void more_files_than_may_be_held(void **state)
{
    (void)state;
    for (size_t max = 0; max < 8; max++) {
        fixture_write(root, PATH, "memory.events", "oom_kill 7\n");
        fixture_write(root, PATH, "memory.current", "4096\n");
        tly_cgroup_tree_run(tree_with(max), true, true);
        expect_numbers(7, 4096);
        assert_true(tree->reader.budget.held <= max);
        fixture_write(root, PATH, "memory.events", "oom_kill 8\n");
        fixture_write(root, PATH, "memory.current", "8192\n");
        tly_cgroup_tree_run(tree, true, true);
        expect_numbers(8, 8192);
        assert_true(tree->reader.budget.held <= max);
        assert_int_equal(tree->errors, 0);
    }
}

/* A process that may open nothing more: what can't be read is absent and counted, and comes again
 * when there are descriptors again. */
static void no_descriptor_is_left(void **state)
{
    (void)state;
    fixture_write(root, PATH, "memory.current", "4096\n");
    fixture_write(root, PATH, "memory.events", "oom_kill 7\n");
    tly_cgroup_tree_run(tree_with(0), true, true); /* opens all of them anew each time */
    expect_numbers(7, 4096);
    for (rlim_t spare = 0; spare < 4; spare++) {
        struct rlimit whole = descriptors_leave(spare);
        uint64_t errors = tree->errors;
        tly_cgroup_tree_run(tree, true, true);
        descriptors_restore(&whole);
        assert_true(spare > 1 || tree->errors > errors);
        assert_int_equal(tree->gone_count, 0); /* not seen is not gone */
        tly_cgroup_tree_run(tree, true, true);
        expect_numbers(7, 4096);
    }
}

/* What is read beside the files that are held open: the container is there all the same. */
static void no_descriptor_for_extras(void **state)
{
    (void)state;
    static const char *const names[] = {PATH, "memory.numa_stat"};
    char text[64];
    long page = sysconf(_SC_PAGESIZE);
    const char *labels = "type=\"anon\",scope=\"container\",node=\"0\"";
    (void)snprintf(text, sizeof(text), "anon N0=%ld\n", page);
    fixture_write(root, PATH, "memory.numa_stat", text);
    fixture_write(root, PATH, "memory.current", "4096\n");
    const struct tly_cgroup_node *node = run("memory_numa");
    for (size_t i = 0; i < ROWS(names); i++) {
        assert_int_equal(value(node, TLY_F_container_memory_numa_pages, labels), 1);
        uint64_t errors = tree->errors;
        no_descriptor_for = names[i];
        tly_cgroup_tree_run(tree, true, true);
        no_descriptor_for = NULL;
        assert_false(tree->lost);
        assert_int_equal(value(node, TLY_F_container_memory_usage_bytes, ""), 4096);
        assert_int_equal(value(node, TLY_F_container_memory_numa_pages, labels), ABSENT);
        assert_int_equal(tree->errors, errors + 1);
        tly_cgroup_tree_run(tree, true, true);
    }
}

/* Limits that cannot be read are due again in the next run; until then those before hold. */
static void no_descriptor_for_limits(void **state)
{
    (void)state;
    static const char *const names[] = {PATH, "cpu.max", "memory.max", "system.slice/cpu.max"};
    fixture_write(root, PATH, "memory.max", "8192\n");
    fixture_write(root, PATH, "cpu.max", "50000 100000\n");
    (void)run("");
    struct tly_cgroup_node *node = tly_map_get(tree->nodes, TLY_TEXT("/" PATH));
    for (size_t i = 0; i < ROWS(names); i++) {
        assert_int_equal(node->facts->memory_limit_bytes, 8192);
        fixture_write(root, PATH, "memory.max", "16384\n");
        node->limits_ns = INT64_MIN;
        uint64_t errors = tree->errors;
        no_descriptor_for = names[i];
        tly_cgroup_tree_run(tree, true, true);
        no_descriptor_for = NULL;
        assert_int_equal(node->facts->memory_limit_bytes, 8192);
        assert_int_equal(node->facts->usable_cpu_millionths, 500000);
        assert_true(tree->errors > errors);
        tly_cgroup_tree_run(tree, true, true);
        assert_int_equal(node->facts->memory_limit_bytes, 16384);
        fixture_write(root, PATH, "memory.max", "8192\n");
        node->limits_ns = INT64_MIN;
        tly_cgroup_tree_run(tree, true, true);
    }
}

/* ---- kernels ---- */

static void files_of_another_kernel(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        enum tly_family_id family;
        int64_t value;
        unsigned errors;
    } rows[] = {
        /* Missing lines and new ones. */
        {"memory.stat", "new_key 9\nanon 5\n", TLY_F_container_memory_rss, 5, 0},
        {"memory.stat", "new_key 9\nanon 5\n", TLY_F_container_memory_kernel_usage, ABSENT, 0},
        {"memory.stat", "nothing that is known\n", TLY_F_container_memory_rss, ABSENT, 1},
        {"memory.stat", "", TLY_F_container_memory_rss, ABSENT, 1},
        {"memory.current", "lots\n", TLY_F_container_memory_usage_bytes, ABSENT, 1},
        {"memory.current", "12 of a newer kernel\n", TLY_F_container_memory_usage_bytes, ABSENT, 1},
        {"memory.events.local", "oom 5\n", TLY_F_container_memory_events_oom_total, ABSENT, 0},
        {"cpu.pressure", "some avg10=0.00 total=7\nirq total=9\n",
         TLY_F_container_pressure_cpu_waiting_seconds_total, 7, 0},
        {"cpu.pressure", "some avg10=0.00 total=7\n",
         TLY_F_container_pressure_cpu_stalled_seconds_total, ABSENT, 0},
        {"io.stat", "", TLY_F_container_fs_reads_bytes_total, ABSENT, 0},
        {"pids.max", "max\n", TLY_F_container_threads_max, 0, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        fixture_write(root, PATH, rows[i].name, rows[i].text);
        const struct tly_cgroup_node *node = run("");
        int64_t found = value(node, rows[i].family, "");
        if (found != rows[i].value || tree->errors != rows[i].errors) {
            fail_msg("row %zu: %lld, %llu errors", i, (long long)found,
                     (unsigned long long)tree->errors);
        }
        assert_int_equal(value(node, TLY_F_container_cpu_user_seconds_total, ""), 20);
        fixture_remove(root, PATH, rows[i].name);
    }
}

/* ---- cgroups that go ---- */

static void move_away(const char *to)
{
    char from[FIXTURE_PATH];
    char target[FIXTURE_PATH];
    fixture_path(from, root, PATH, "");
    fixture_path(target, base, to, "");
    assert_int_equal(rename(from, target), 0);
}

/* Between the walk that found it and its first reading. */
static void gone_before_it_is_read(void **state)
{
    (void)state;
    (void)run("");
    struct tly_cgroup_node *node = tly_map_get(tree->nodes, TLY_TEXT("/" PATH));
    tly_cgroup_files_close(&tree->reader, &node->files);
    move_away("gone");
    tly_cgroup_tree_run(tree, false, true);
    assert_true(node->fresh);
    assert_null(node->set); /* tells the loop that nothing is left to show */
    assert_true(tree->lost);
    tly_cgroup_tree_run(tree, true, true);
    assert_null(tly_map_get(tree->nodes, TLY_TEXT("/" PATH)));
    assert_int_equal(tree->gone_count, 1);
    assert_int_equal(tree->reader.budget.held, 1); /* the root's */
}

/* Another cgroup of the same name is another instance, with nothing left of the old one. */
static void another_of_the_same_name(void **state)
{
    (void)state;
    const struct tly_cgroup_node *node = run("");
    ino_t before = node->files.inode;
    move_away("gone");
    fixture_folder(root, PATH);
    fixture_write(root, PATH, "cgroup.events", "populated 1\nfrozen 0\n");
    fixture_write(root, PATH, "cpu.stat", "usage_usec 3\nuser_usec 2\nsystem_usec 1\n");
    tly_cgroup_tree_run(tree, true, true);
    assert_ptr_equal(tly_map_get(tree->nodes, TLY_TEXT("/" PATH)), node);
    assert_true(node->files.inode != before);
    assert_int_equal(value(node, TLY_F_container_cpu_user_seconds_total, ""), 2);
}

/* Nor its limits, if there is no descriptor to read those of the new one. */
static void another_without_a_descriptor(void **state)
{
    (void)state;
    fixture_write(root, PATH, "memory.max", "8192\n");
    const struct tly_cgroup_node *node = run("");
    assert_int_equal(node->facts->memory_limit_bytes, 8192);
    move_away("gone");
    fixture_folder(root, PATH);
    fixture_write(root, PATH, "cgroup.events", "populated 1\nfrozen 0\n");
    fixture_write(root, PATH, "memory.max", "16384\n");
    no_descriptor_for = "memory.max";
    tly_cgroup_tree_run(tree, true, true);
    assert_int_equal(node->facts->memory_limit_bytes, TLY_UNKNOWN);
    no_descriptor_for = NULL;
    tly_cgroup_tree_run(tree, true, true);
    assert_int_equal(node->facts->memory_limit_bytes, 16384);
}

int main(void)
{
#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, make_base, remove_base)
    const struct CMUnitTest tests[] = {
        IN_TREE(effective_cores),
        IN_TREE(cores_without_any_source),
        IN_TREE(huge_pages),
        IN_TREE(memory_by_node),
        IN_TREE(files_of_groups_that_are_off),
        IN_TREE(more_files_than_may_be_held),
        IN_TREE(no_descriptor_is_left),
        IN_TREE(no_descriptor_for_extras),
        IN_TREE(no_descriptor_for_limits),
        IN_TREE(files_of_another_kernel),
        IN_TREE(gone_before_it_is_read),
        IN_TREE(another_of_the_same_name),
        IN_TREE(another_without_a_descriptor),
    };
    return cmocka_run_group_tests_name("cgroup tree", tests, NULL, NULL);
}
