/*
 * Watches on a tree of plain files, as the loop's thread keeps them between runs.
 */
#include "agent/loop/loop.h"
#include "collectors/cgroup/watching.h"
#include "tests/unit/cgroup/tree_fixture.h"
#include "tests/unit/delivery/turns.h"

#include <string.h>
#include <unistd.h>

#define ID   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PATH "system.slice/docker-" ID ".scope"

struct fixture {
    char base[TEMP_DIR_MAX];
    char root[FIXTURE_PATH], proc[FIXTURE_PATH], sys[FIXTURE_PATH];
    struct tly_loop *loop;
    struct tly_watcher *watcher;
    struct tly_cgroup_watching *watching;
    struct tly_cgroup_tree *tree;
};

static void changed(void *arg, bool walk)
{
    (void)arg; /* who asks looks himself */
    (void)walk;
}

static void make_container(const struct fixture *fixture)
{
    fixture_folder(fixture->root, PATH);
    fixture_write(fixture->root, PATH, "cgroup.events", "populated 1\nfrozen 0\n");
    fixture_write(fixture->root, PATH, "cpu.max", "max 100000\n");
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    temp_dir_make(fixture->base);
    fixture_path(fixture->root, fixture->base, "cgroup", "");
    fixture_path(fixture->proc, fixture->base, "proc", "");
    fixture_path(fixture->sys, fixture->base, "sys", "");
    make_container(fixture);
    assert_int_equal(tly_loop_new(&fixture->loop), 0);
    assert_int_equal(tly_watcher_new(fixture->loop, &fixture->watcher), 0);
    assert_int_equal(tly_cgroup_watching_new(fixture->watcher, changed, NULL, &fixture->watching),
                     0);
    struct tly_cgroup_config config = {
        .root = fixture->root, .proc = fixture->proc, .sys = fixture->sys, .descriptors_max = 64};
    tly_group_choice_init(&config.groups);
    assert_int_equal(tly_cgroup_tree_new(&config, &fixture->tree), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tly_cgroup_watching_free(fixture->watching);
    tly_cgroup_tree_free(fixture->tree);
    tly_watcher_free(fixture->watcher);
    tly_loop_free(fixture->loop);
    temp_dir_remove(fixture->base);
    free(fixture);
    return 0;
}

static void walk_and_watch(struct fixture *fixture)
{
    tly_cgroup_tree_run(fixture->tree, true, true);
    (void)tly_cgroup_watching_sync(fixture->watching, fixture->tree); /* no other walk follows */
}

static bool is_touched(void *arg)
{
    const struct fixture *fixture = arg;
    return tly_cgroup_watching_touched(fixture->watching);
}

/* Sets a limit, and expects that the next run reads it. */
static void expect_noticed(struct fixture *fixture)
{
    struct tly_cgroup_node *node = tly_map_get(fixture->tree->nodes, TLY_TEXT("/" PATH));
    assert_non_null(node);
    assert_false(is_touched(fixture));
    fixture_write(fixture->root, PATH, "cpu.max", "50000 100000\n");
    assert_true(turns_until(fixture->loop, is_touched, fixture));
    tly_cgroup_watching_mark(fixture->watching);
    assert_true(node->due);
    tly_cgroup_tree_run(fixture->tree, false, false);
    assert_int_equal(node->facts->cpu_quota_us, 50000);
}

static void a_limit_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    walk_and_watch(fixture);
    expect_noticed(fixture);
}

/* Made again between two walks. The end of the old one is told by nobody: of a directory of cgroup2
 * that is removed, its own watch hears nothing; here the loop does not turn before. */
static void a_cgroup_that_is_made_again_is_watched(void **state)
{
    struct fixture *fixture = *state;
    char from[FIXTURE_PATH];
    char to[FIXTURE_PATH];
    walk_and_watch(fixture);
    fixture_path(from, fixture->root, PATH, "");
    fixture_path(to, fixture->base, "gone", "");
    assert_int_equal(rename(from, to), 0);
    make_container(fixture);
    walk_and_watch(fixture);
    expect_noticed(fixture);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(a_limit_is_noticed),
        ROW(a_cgroup_that_is_made_again_is_watched),
    };
    return cmocka_run_group_tests_name("cgroup watching", tests, NULL, NULL);
}
