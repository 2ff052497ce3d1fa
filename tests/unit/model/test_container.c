/*
 * Containers: labels in order, equality that misses no field, and merging by what is known.
 */
#include "agent/model/container.h"
#include "tests/unit/unit.h"

#include <inttypes.h>

static struct tly_container *make(void)
{
    struct tly_container *container = tly_container_new(TLY_TEXT("abc"));
    assert_non_null(container);
    return container;
}

static void starts_unknown(void **state)
{
    (void)state;
    struct tly_container *container = make();
    assert_string_equal(container->id, "abc");
    assert_null(container->name);
    assert_int_equal(container->state, TLY_STATE_UNKNOWN);
    assert_int_equal(container->health, TLY_HEALTH_UNKNOWN);
    assert_int_equal(container->pid, TLY_UNKNOWN);
    assert_int_equal(container->pids_limit, TLY_UNKNOWN);
    assert_int_equal(container->last_probe_ns, TLY_UNKNOWN);
    tly_container_unref(container);
    tly_container_unref(NULL);
}

static void cuts_an_id_that_is_too_long(void **state)
{
    (void)state;
    char id[100];
    memset(id, 'a', sizeof(id));
    struct tly_container *container = tly_container_new((struct tly_text){id, sizeof(id)});
    assert_int_equal(strlen(container->id), TLY_CONTAINER_ID_MAX);
    tly_container_unref(container);
}

static void keeps_labels_sorted_and_unique(void **state)
{
    (void)state;
    static const char *const keys[] = {"m", "b", "z", "a", "q", "b", ""};
    struct tly_container *container = make();
    for (size_t i = 0; i < ROWS(keys); i++) {
        char value[8];
        (void)snprintf(value, sizeof(value), "%zu", i);
        assert_int_equal(
            tly_container_label_add(container, tly_text_of(keys[i]), tly_text_of(value)), 0);
    }
    assert_int_equal(container->label_count, 6);
    for (size_t i = 1; i < container->label_count; i++) {
        assert_true(strcmp(container->labels[i - 1].key, container->labels[i].key) < 0);
    }
    assert_string_equal(tly_container_label(container, "b"), "5"); /* the later one */
    assert_string_equal(tly_container_label(container, ""), "6");
    assert_null(tly_container_label(container, "c"));
    tly_container_unref(container);
}

static void bounds_the_labels(void **state)
{
    (void)state;
    struct tly_container *container = make();
    for (int i = 0; i <= TLY_CONTAINER_LABELS_MAX; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key%d", i);
        assert_int_equal(tly_container_label_add(container, tly_text_of(key), TLY_TEXT("v")),
                         i < TLY_CONTAINER_LABELS_MAX ? 0 : TLY_E_LIMIT);
    }
    assert_int_equal(tly_container_label_add(container, TLY_TEXT("key7"), TLY_TEXT("new")), 0);
    assert_string_equal(tly_container_label(container, "key7"), "new");
    tly_container_unref(container);
}

/* Every field with its own value, from `seed` on. */
static struct tly_container *make_full(int64_t seed)
{
    struct tly_container *full = make();
    char **strings[] = {&full->name,       &full->image,    &full->image_id,    &full->cgroup_path,
                        &full->log_driver, &full->log_path, &full->network_mode};
    int64_t *numbers[] = {&full->failing_streak,
                          &full->last_probe_ns,
                          &full->exit_code,
                          &full->oom_killed,
                          &full->restarts,
                          &full->pid,
                          &full->created_ns,
                          &full->started_ns,
                          &full->finished_ns,
                          &full->memory_limit_bytes,
                          &full->memory_reservation_bytes,
                          &full->memory_swap_limit_bytes,
                          &full->cpu_quota_us,
                          &full->cpu_period_us,
                          &full->cpu_shares,
                          &full->pids_limit,
                          &full->usable_cpu_millionths};
    for (size_t i = 0; i < ROWS(strings); i++) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%" PRId64, seed + (int64_t)i);
        assert_int_equal(tly_container_set(strings[i], tly_text_of(text)), 0);
    }
    for (size_t i = 0; i < ROWS(numbers); i++) {
        *numbers[i] = seed + 100 + (int64_t)i;
    }
    full->state = TLY_STATE_RUNNING;
    full->health = TLY_HEALTH_HEALTHY;
    assert_int_equal(tly_container_label_add(full, TLY_TEXT("k"), TLY_TEXT("v")), 0);
    return full;
}

static void equality_misses_no_field(void **state)
{
    (void)state;
    struct tly_container *a = make_full(1);
    struct tly_container *b = make_full(1);
    assert_true(tly_container_equal(a, b));
    assert_true(tly_container_equal(a, a));
    /* Whatever byte of the struct differs after `refs`, strings aside, makes them unequal. */
    struct tly_container copy = *b;
    const size_t numbers_from = offsetof(struct tly_container, state);
    const size_t numbers_to = offsetof(struct tly_container, network_mode);
    for (size_t at = numbers_from; at < numbers_to; at += sizeof(int)) {
        if (at == offsetof(struct tly_container, label_count)) {
            continue;
        }
        copy = *b;
        ((char *)&copy)[at] ^= 1;
        assert_false(tly_container_equal(a, &copy));
    }
    assert_int_equal(tly_container_set(&b->network_mode, TLY_TEXT("host")), 0);
    assert_false(tly_container_equal(a, b));
    tly_container_unref(b);
    b = make_full(1);
    free(b->image);
    b->image = NULL;
    assert_false(tly_container_equal(a, b));
    tly_container_unref(b);
    b = make_full(1);
    assert_int_equal(tly_container_label_add(b, TLY_TEXT("k"), TLY_TEXT("w")), 0);
    assert_false(tly_container_equal(a, b));
    tly_container_unref(a);
    tly_container_unref(b);
}

static void merges_what_the_first_does_not_know(void **state)
{
    (void)state;
    struct tly_container *full = make_full(1);
    struct tly_container *empty = make();
    struct tly_container *other = make_full(1000);
    struct tly_container *merged = tly_container_merge(empty, full);
    assert_true(tly_container_equal(merged, full));
    tly_container_unref(merged);
    merged = tly_container_merge(full, other);
    assert_true(tly_container_equal(merged, full));
    tly_container_unref(merged);

    assert_int_equal(tly_container_set(&empty->name, TLY_TEXT("web")), 0);
    empty->exit_code = 0; /* known, though zero */
    merged = tly_container_merge(empty, full);
    assert_string_equal(merged->name, "web");
    assert_int_equal(merged->exit_code, 0);
    assert_string_equal(merged->image, full->image);
    assert_string_equal(tly_container_label(merged, "k"), "v");
    tly_container_unref(merged);
    tly_container_unref(full);
    tly_container_unref(empty);
    tly_container_unref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_unknown),
        cmocka_unit_test(cuts_an_id_that_is_too_long),
        cmocka_unit_test(keeps_labels_sorted_and_unique),
        cmocka_unit_test(bounds_the_labels),
        cmocka_unit_test(equality_misses_no_field),
        cmocka_unit_test(merges_what_the_first_does_not_know),
    };
    return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}
