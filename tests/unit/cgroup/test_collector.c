/*
 * The collector on a tree of plain files, stopped and started again beside an inventory that stays,
 * as a reload does it.
 */
#include "agent/inventory/snapshot.h"
#include "agent/loop/log.h"
#include "agent/registry.h"
#include "collectors/cgroup/collector.h"
#include "collectors/cgroup/settings.h"
#include "tests/unit/cgroup/tree_fixture.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/inventory/table.h"

#include <string.h>
#include <unistd.h>

#define ID    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct fixture {
    char base[TEMP_DIR_MAX];
    char root[FIXTURE_PATH];
    struct tly_config *config;
    struct tly_group_choice groups;
    struct tly_context context;
    void *collector; /* NULL: not started */
    bool stopped, refreshed;
};

static void make_container(const struct fixture *fixture, const char *id)
{
    char path[FIXTURE_PATH];
    (void)snprintf(path, sizeof(path), "system.slice/docker-%s.scope", id);
    fixture_folder(fixture->root, path);
    fixture_write(fixture->root, path, "cgroup.events", "populated 1\nfrozen 0\n");
    fixture_write(fixture->root, path, "cpu.stat", "usage_usec 30\n");
    fixture_write(fixture->root, path, "memory.current", "4096\n");
}

static void parse_config(struct fixture *fixture)
{
    static const struct tly_section *const sections[] = {&tly_settings_section,
                                                         &tly_collect_section, &tly_cgroup_section};
    struct tly_complaints complaints;
    char text[FIXTURE_PATH + 32];
    int len = snprintf(text, sizeof(text), "cgroup: {root: \"%s\"}\n", fixture->root);
    if (tly_config_parse(sections, ROWS(sections), text, (size_t)len, &complaints,
                         &fixture->config) < 0) {
        fail_msg("%s", complaints.at[0].text);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    temp_dir_make(fixture->base);
    fixture_path(fixture->root, fixture->base, "cgroup", "");
    make_container(fixture, ID);
    make_container(fixture, OTHER);
    parse_config(fixture);
    assert_int_equal(make_inventory(state), 0);
    tly_group_choice_init(&fixture->groups);
    fixture->context = (struct tly_context){
        .inventory = inventory,
        .config = fixture->config,
        .settings = tly_config_section(fixture->config, &tly_settings_section),
        .collect = tly_config_section(fixture->config, &tly_collect_section),
        .groups = &fixture->groups,
        .state_dir_fd = -1,
    };
    assert_int_equal(tly_loop_new(&fixture->context.loop), 0);
    assert_int_equal(tly_watcher_new(fixture->context.loop, &fixture->context.watcher), 0);
    *state = fixture;
    return 0;
}

static bool is_ready(void *arg)
{
    const struct fixture *fixture = arg;
    return tly_collector_cgroup.ready(fixture->collector);
}

static void start(struct fixture *fixture)
{
    struct tly_error err = {0};
    if (tly_collector_cgroup.start(&fixture->context, &fixture->collector, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_true(turns_until(fixture->context.loop, is_ready, fixture));
}

static void note_stopped(void *arg)
{
    struct fixture *fixture = arg;
    fixture->stopped = true;
}

static bool has_stopped(void *arg)
{
    const struct fixture *fixture = arg;
    return fixture->stopped;
}

static void stop(struct fixture *fixture)
{
    fixture->stopped = false;
    tly_collector_cgroup.stop(fixture->collector, note_stopped, fixture);
    fixture->collector = NULL;
    assert_true(turns_until(fixture->context.loop, has_stopped, fixture));
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->collector != NULL) {
        stop(fixture);
    }
    (void)free_inventory(state);
    tly_watcher_free(fixture->context.watcher);
    tly_loop_free(fixture->context.loop);
    tly_config_free(fixture->config);
    temp_dir_remove(fixture->base);
    free(fixture);
    return 0;
}

static void note_refreshed(void *arg)
{
    struct fixture *fixture = arg;
    fixture->refreshed = true;
}

static bool is_refreshed(void *arg)
{
    const struct fixture *fixture = arg;
    return fixture->refreshed;
}

/* One whole round, as before a scrape. */
static void refresh(struct fixture *fixture)
{
    fixture->refreshed = false;
    assert_int_equal(tly_inventory_refresh(inventory, 0, note_refreshed, fixture), 0);
    assert_true(turns_until(fixture->context.loop, is_refreshed, fixture));
}

static void move_away(const struct fixture *fixture, const char *path)
{
    char from[FIXTURE_PATH];
    char to[FIXTURE_PATH];
    fixture_path(from, fixture->base, path, "");
    fixture_path(to, fixture->base, "gone", "");
    assert_int_equal(rename(from, to), 0);
}

static bool shows_memory(const char *id)
{
    bool shows = false;
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    assert_non_null(snapshot);
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct tly_snapshot_row *row = &snapshot->rows[i];
        bool same = row->container != NULL && strcmp(row->container->id, id) == 0;
        for (size_t slot = 0; same && slot < snapshot->slots; slot++) {
            shows = shows ||
                    raw_of(row->sets[slot], TLY_F_container_memory_usage_bytes, "") == 4096;
        }
    }
    tly_snapshot_unref(snapshot);
    return shows;
}

static bool is_known(const char *id)
{
    return tly_inventory_find(inventory, tly_text_of(id)) != NULL;
}

static void what_went_meanwhile_is_gone(void **state)
{
    struct fixture *fixture = *state;
    start(fixture);
    assert_true(shows_memory(ID) && shows_memory(OTHER));
    stop(fixture);
    move_away(fixture, "cgroup/system.slice/docker-" ID ".scope");
    start(fixture);
    assert_false(is_known(ID));
    assert_true(shows_memory(OTHER));
}

/* The engine knows of it still: it uses nothing any more. */
static void what_stopped_meanwhile_uses_nothing(void **state)
{
    struct fixture *fixture = *state;
    put(TLY_SOURCE_API, ID, "web", TLY_STATE_RUNNING);
    start(fixture);
    assert_true(shows_memory(ID));
    stop(fixture);
    move_away(fixture, "cgroup/system.slice/docker-" ID ".scope");
    start(fixture);
    assert_true(is_known(ID));
    assert_false(shows_memory(ID));
    assert_null(tly_inventory_find_from(inventory, TLY_SOURCE_CGROUP, TLY_TEXT(ID)));
}

/* A tree that cannot be read says nothing of what is in it. */
static void what_is_not_seen_is_not_gone(void **state)
{
    struct fixture *fixture = *state;
    start(fixture);
    stop(fixture);
    move_away(fixture, "cgroup");
    start(fixture);
    assert_true(is_known(ID) && is_known(OTHER));
    make_container(fixture, OTHER);
    refresh(fixture);
    assert_false(is_known(ID));
    assert_true(shows_memory(OTHER));
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(what_went_meanwhile_is_gone),
        ROW(what_stopped_meanwhile_uses_nothing),
        ROW(what_is_not_seen_is_not_gone),
    };
    tly_log_set_level(TLY_LOG_ERROR); /* that there is no tree is what a test is about */
    return cmocka_run_group_tests_name("cgroup collector", tests, NULL, NULL);
}
