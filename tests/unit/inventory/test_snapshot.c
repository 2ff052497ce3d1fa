/*
 * Snapshots: what was published, labels, totals over a restart, what stays of a stopped container,
 * and that a snapshot outlives all change, also on another thread.
 */
#include "agent/inventory/snapshot.h"

#include "tests/unit/inventory/table.h"

#include <pthread.h>

#define CPU TLY_F_container_cpu_user_seconds_total
#define OOM TLY_F_container_oom_events_total

static unsigned slot;

static int make(void **state)
{
    int rc = make_inventory(state);
    return rc < 0 ? rc : tly_inventory_slot(inventory, "cgroup", &slot);
}

static struct tly_sample_set *set_of(int64_t cpu, int64_t oom)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_samples_add(&samples, CPU, TLY_DIM_NONE, cpu);
    tly_samples_add(&samples, OOM, TLY_DIM_NONE, oom);
    struct tly_sample_set *set = tly_samples_take(&samples);
    tly_samples_done(&samples);
    return set;
}

static const struct tly_snapshot_row *row_of(const struct tly_snapshot *snapshot, const char *id)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct tly_container *container = snapshot->rows[i].container;
        if (container != NULL && strcmp(container->id, id) == 0) {
            return &snapshot->rows[i];
        }
    }
    fail_msg("no row %s", id);
    return NULL;
}

static void rows_stand_in_order(void **state)
{
    (void)state;
    put(TLY_SOURCE_API, "b", "two", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "a", "one", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "c", "three", TLY_STATE_RUNNING);
    tly_inventory_forget(inventory, TLY_TEXT("a"), 5);
    tly_inventory_publish_host(inventory, slot, set_of(1, 2));
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    assert_int_equal(snapshot->count, 4);
    assert_int_equal(snapshot->slots, slot + 1);
    assert_true(snapshot->taken_ns > 0);
    assert_string_equal(snapshot->rows[0].container->id, "b");
    assert_string_equal(snapshot->rows[1].container->id, "c");
    expect_text(snapshot->rows[0].labels, "id=\"/docker/b\",name=\"two\"");
    assert_null(snapshot->rows[2].container);
    assert_int_equal(raw_of(snapshot->rows[2].sets[slot], CPU, ""), 1);
    assert_int_equal(snapshot->rows[2].labels.len, 0);
    assert_null(snapshot->rows[3].container);
    assert_int_equal(raw_of(snapshot->rows[3].sets[0], TLY_F_tallyman_inventory_containers, ""), 2);
    tly_snapshot_unref(snapshot);
    tly_snapshot_unref(NULL);
}

static void slots_are_given_by_name_and_bounded(void **state)
{
    (void)state;
    unsigned other = 0;
    assert_int_equal(slot, 1);
    assert_int_equal(tly_inventory_slot(inventory, "cgroup", &other), 0);
    assert_int_equal(other, slot);
    static const char *const names[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};
    for (size_t i = 0; i < ROWS(names); i++) {
        int rc = tly_inventory_slot(inventory, names[i], &other);
        assert_int_equal(rc, i + 2 < TLY_SLOTS_MAX ? 0 : TLY_E_LIMIT);
    }
}

static void nothing_stays_of_a_slot_that_is_cleared(void **state)
{
    (void)state;
    struct tly_text id = TLY_TEXT("a");
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_RUNNING);
    tly_inventory_publish(inventory, slot, id, 1, set_of(100, 1));
    tly_inventory_publish_host(inventory, slot, set_of(1, 2));
    tly_inventory_slot_clear(inventory, "another");
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    assert_int_equal(raw_of(row_of(snapshot, "a")->sets[slot], CPU, ""), 100);
    tly_snapshot_unref(snapshot);

    tly_inventory_slot_clear(inventory, "cgroup");
    snapshot = tly_inventory_snapshot(inventory);
    for (size_t i = 0; i < snapshot->count; i++) {
        assert_null(snapshot->rows[i].sets[slot]);
    }
    assert_non_null(row_of(snapshot, "a")->sets[0]); /* that of others does */
    tly_snapshot_unref(snapshot);
}

static void totals_go_on_over_a_restart(void **state)
{
    (void)state;
    struct tly_text id = TLY_TEXT("a");
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_RUNNING);
    tly_inventory_publish(inventory, slot, id, 1, set_of(100, 1));
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_EXITED);
    tly_inventory_publish(inventory, slot, id, 1, NULL);

    /* Of a stopped container only what is marked so stays. */
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    assert_int_equal(raw_of(row_of(snapshot, "a")->sets[slot], CPU, ""), NONE);
    assert_int_equal(raw_of(row_of(snapshot, "a")->sets[slot], OOM, ""), 1);
    assert_int_equal(
        raw_of(row_of(snapshot, "a")->sets[0], TLY_F_container_state, "state=\"exited\""), 1);
    tly_snapshot_unref(snapshot);
    tly_inventory_publish(inventory, slot, id, 1, NULL); /* again: the same */

    tly_inventory_publish(inventory, slot, id, 2, set_of(7, 0));
    snapshot = tly_inventory_snapshot(inventory);
    assert_int_equal(raw_of(row_of(snapshot, "a")->sets[slot], CPU, ""), 107);
    assert_int_equal(raw_of(row_of(snapshot, "a")->sets[slot], OOM, ""), 1);
    tly_snapshot_unref(snapshot);
}

/* The API's word on a run that ended at `finished_ns`. */
static void put_killed(enum tly_container_state condition, int64_t finished_ns)
{
    struct tly_container *container = container_of("a", "web", condition);
    container->oom_killed = condition == TLY_STATE_RUNNING ? 0 : 1;
    container->finished_ns = finished_ns;
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, container, 1), 0);
}

static void expect_kills(int64_t kills)
{
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    assert_int_equal(raw_of(row_of(snapshot, "a")->sets[slot], OOM, ""), kills);
    tly_snapshot_unref(snapshot);
}

static void a_kill_that_no_counter_lived_to_tell(void **state)
{
    (void)state;
    struct tly_text id = TLY_TEXT("a");
    put_killed(TLY_STATE_RUNNING, 0);
    tly_inventory_publish(inventory, slot, id, 1, set_of(100, 0));

    /* The counter went before the engine spoke. */
    tly_inventory_publish(inventory, slot, id, 1, NULL);
    expect_kills(0);
    put_killed(TLY_STATE_EXITED, 10);
    expect_kills(1);
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    assert_int_equal(raw_of(row_of(snapshot, "a")->sets[slot], CPU, ""), NONE);
    tly_snapshot_unref(snapshot);

    /* The next run begins before the engine says so, and again somebody says something. */
    tly_inventory_publish(inventory, slot, id, 2, set_of(3, 0));
    put(TLY_SOURCE_FILES, "a", "other", TLY_STATE_RUNNING);
    expect_kills(1);
    put_killed(TLY_STATE_RUNNING, 10);

    /* The engine spoke before the counter went, which then could be read all the same. */
    put_killed(TLY_STATE_RESTARTING, 20);
    expect_kills(2);
    tly_inventory_publish(inventory, slot, id, 2, set_of(4, 1));
    expect_kills(2);
    tly_inventory_publish(inventory, slot, id, 2, NULL);

    /* What was counted is not counted once more. */
    put_killed(TLY_STATE_RUNNING, 20);
    tly_inventory_publish(inventory, slot, id, 3, set_of(5, 3));
    tly_inventory_publish(inventory, slot, id, 3, NULL);
    put_killed(TLY_STATE_EXITED, 30);
    expect_kills(5);
}

static void a_kill_of_a_run_that_was_never_read(void **state)
{
    (void)state;
    put_killed(TLY_STATE_EXITED, 10);
    expect_kills(NONE);
}

static void restarts_never_go_down(void **state)
{
    (void)state;
    static const struct {
        int64_t count, total;
    } rows[] = {{2, 2}, {3, 3}, {0, 3}, {1, 4}, {TLY_UNKNOWN, NONE}, {2, 5}, {0, 5}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_container *container = container_of("a", "web", TLY_STATE_RUNNING);
        container->restarts = rows[i].count;
        assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, container, 1), 0);
        struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
        assert_int_equal(raw_of(row_of(snapshot, "a")->sets[0], TLY_F_container_restarts_total, ""),
                         rows[i].total);
        tly_snapshot_unref(snapshot);
    }
}

static void a_stopped_container_keeps_its_path(void **state)
{
    (void)state;
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_RUNNING);
    struct tly_container *cgroup = container_of("a", NULL, TLY_STATE_RUNNING);
    assert_int_equal(
        tly_container_set(&cgroup->cgroup_path, TLY_TEXT("/system.slice/docker-a.scope")), 0);
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_CGROUP, cgroup, 1), 0);
    tly_inventory_withdraw(inventory, TLY_SOURCE_CGROUP, TLY_TEXT("a"));
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    assert_null(row_of(snapshot, "a")->container->cgroup_path);
    expect_text(row_of(snapshot, "a")->labels, "id=\"/system.slice/docker-a.scope\",name=\"web\"");
    tly_snapshot_unref(snapshot);
}

static void what_is_unknown_is_ignored(void **state)
{
    (void)state;
    tly_inventory_publish(inventory, slot, TLY_TEXT("nobody"), 1, set_of(1, 1));
    tly_inventory_publish(inventory, TLY_SLOTS_MAX, TLY_TEXT("nobody"), 1, set_of(1, 1));
    tly_inventory_publish_host(inventory, TLY_SLOTS_MAX, set_of(1, 1));
}

static void meter(void *arg, struct tly_samples *samples)
{
    uint16_t dim = tly_samples_dim1(samples, "collector", TLY_TEXT("x"));
    tly_samples_add(samples, TLY_F_tallyman_collector_success, dim, *(int *)arg);
}

static void counts_what_bites(void **state)
{
    (void)state;
    int seven = 7;
    assert_int_equal(tly_inventory_meter(inventory, meter, &seven), 0);
    char long_name[100];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    put(TLY_SOURCE_API, "a", long_name, TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "b", "b", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "c", "c", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "d", "d", TLY_STATE_RUNNING);
    assert_int_equal(
        tly_inventory_put(inventory, TLY_SOURCE_API, container_of("e", NULL, TLY_STATE_RUNNING), 1),
        TLY_E_LIMIT);
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    struct tly_sample_set *agent = snapshot->rows[snapshot->count - 1].sets[0];
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_containers, ""), 4);
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_containers_max, ""), 4);
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_containers_refused_total, ""), 1);
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_label_values_cut_total, ""), 1);
    assert_int_equal(raw_of(agent, TLY_F_tallyman_collector_success, "collector=\"x\""), 7);
    tly_snapshot_unref(snapshot);

    tly_inventory_forget(inventory, TLY_TEXT("a"), 1);
    tly_inventory_unmeter(inventory, meter, &seven);
    snapshot = tly_inventory_snapshot(inventory);
    agent = snapshot->rows[snapshot->count - 1].sets[0];
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_label_values_cut_total, ""), 1);
    assert_int_equal(raw_of(agent, TLY_F_tallyman_collector_success, "collector=\"x\""), NONE);
    tly_snapshot_unref(snapshot);
}

/* A container with that many chosen labels, all but one with a value over the bound, and one more
 * that becomes the same name as another. */
static void put_greedy(const char *id, int labels)
{
    static const char value[] = "0123456789012345678901234567890123456789012345678901234567890123+";
    struct tly_container *container = container_of(id, NULL, TLY_STATE_RUNNING);
    for (int i = 1; i < labels; i++) {
        char key[64];
        (void)snprintf(key, sizeof(key), "com.docker.compose.%02d", i); /* fits */
        assert_int_equal(tly_container_label_add(container, tly_text_of(key), tly_text_of(value)),
                         0);
    }
    assert_int_equal(
        tly_container_label_add(container, TLY_TEXT("com.docker.compose.0.0"), TLY_TEXT("v")), 0);
    assert_int_equal(
        tly_container_label_add(container, TLY_TEXT("com.docker.compose.0/0"), TLY_TEXT("v")), 0);
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, container, 1), 0);
}

static void expect_losses(int64_t cut, int64_t dropped, int64_t collisions)
{
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    const struct tly_sample_set *agent = snapshot->rows[snapshot->count - 1].sets[0];
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_label_values_cut_total, ""), cut);
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_labels_dropped_total, ""), dropped);
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_label_collisions_total, ""),
                     collisions);
    tly_snapshot_unref(snapshot);
}

/* A container that lived between two scrapes has left its trace; one whose labels are made again
 * does not count twice. */
static void losses_are_counted_for_good(void **state)
{
    (void)state;
    expect_losses(0, 0, 0);
    put_greedy("a", 8); /* the bound */
    expect_losses(7, 0, 1);
    put_greedy("a", 8);
    expect_losses(7, 0, 1);
    put_greedy("a", 11);
    expect_losses(7, 3, 1);
    put_greedy("b", 9);
    expect_losses(14, 4, 2);
    tly_inventory_forget(inventory, TLY_TEXT("a"), 1);
    tly_inventory_forget(inventory, TLY_TEXT("b"), 1);
    expect_losses(14, 4, 2);
}

/* More than one set can hold: what does not fit is counted, of a container and of the host. */
static void samples_that_do_not_fit_are_counted(void **state)
{
    (void)state;
    put(TLY_SOURCE_API, "a", "a", TLY_STATE_RUNNING);
    struct tly_samples samples;
    tly_samples_init(&samples);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < TLY_SAMPLES_MAX + 2 + turn; i++) {
            tly_samples_add(&samples, CPU, TLY_DIM_NONE, 1);
        }
        if (turn == 0) {
            tly_inventory_publish(inventory, slot, TLY_TEXT("a"), 1, tly_samples_take(&samples));
        } else {
            tly_inventory_publish_host(inventory, slot, tly_samples_take(&samples));
        }
    }
    tly_samples_done(&samples);
    struct tly_snapshot *snapshot = tly_inventory_snapshot(inventory);
    const struct tly_sample_set *agent = snapshot->rows[snapshot->count - 1].sets[0];
    assert_int_equal(raw_of(agent, TLY_F_tallyman_inventory_samples_refused_total, ""), 2 + 3);
    tly_snapshot_unref(snapshot);
}

static void *read_elsewhere(void *arg)
{
    struct tly_snapshot *snapshot = arg;
    for (int i = 0; i < 1000; i++) {
        struct tly_snapshot *held = tly_snapshot_ref(snapshot);
        struct tly_sample_set *set = tly_sample_set_ref(held->rows[0].sets[slot]);
        assert_int_equal(raw_of(set, CPU, ""), 42);
        assert_string_equal(held->rows[0].container->name, "web");
        tly_sample_set_unref(set);
        tly_snapshot_unref(held);
    }
    tly_snapshot_unref(snapshot);
    return NULL;
}

static void a_snapshot_outlives_every_change(void **state)
{
    (void)state;
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_RUNNING);
    tly_inventory_publish(inventory, slot, TLY_TEXT("a"), 1, set_of(42, 0));
    pthread_t thread;
    assert_int_equal(
        pthread_create(&thread, NULL, read_elsewhere, tly_inventory_snapshot(inventory)), 0);
    for (int i = 0; i < 1000; i++) {
        put(TLY_SOURCE_API, "a", i % 2 ? "web" : "renamed", TLY_STATE_RUNNING);
        tly_inventory_publish(inventory, slot, TLY_TEXT("a"), 1, set_of(43 + i, 0));
        tly_snapshot_unref(tly_inventory_snapshot(inventory));
    }
    free_inventory(NULL);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, free_inventory)
    const struct CMUnitTest tests[] = {
        TEST(rows_stand_in_order),
        TEST(slots_are_given_by_name_and_bounded),
        TEST(nothing_stays_of_a_slot_that_is_cleared),
        TEST(totals_go_on_over_a_restart),
        TEST(a_kill_that_no_counter_lived_to_tell),
        TEST(a_kill_of_a_run_that_was_never_read),
        TEST(restarts_never_go_down),
        TEST(a_stopped_container_keeps_its_path),
        TEST(what_is_unknown_is_ignored),
        TEST(counts_what_bites),
        TEST(losses_are_counted_for_good),
        TEST(samples_that_do_not_fit_are_counted),
        TEST(a_snapshot_outlives_every_change),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
