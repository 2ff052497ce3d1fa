/*
 * The table: what each source says, in the order of trust; removal, late word, relists, bounds; and
 * what listeners hear.
 */
#include "tests/unit/inventory/table.h"

#include <errno.h>

/* As long as it is set, no memory is left for a merge. */
static bool merges_fail;

struct tly_container *__real_tly_container_merge(const struct tly_container *first,
                                                 const struct tly_container *second);
struct tly_container *__wrap_tly_container_merge(const struct tly_container *first,
                                                 const struct tly_container *second);

struct tly_container *__wrap_tly_container_merge(const struct tly_container *first,
                                                 const struct tly_container *second)
{
    return merges_fail ? NULL : __real_tly_container_merge(first, second);
}

/* What was heard, in words: "+a" added, "~a" updated, "-a" removed. */
static char heard[256];

static void hear(void *arg, enum tly_change change, const struct tly_container *container)
{
    (void)arg;
    static const char marks[] = {'+', '~', '-'};
    size_t len = strlen(heard);
    (void)snprintf(heard + len, sizeof(heard) - len, "%c%s ", marks[change], container->id);
}

static int make_listened(void **state)
{
    heard[0] = '\0';
    merges_fail = false;
    int rc = make_inventory(state);
    return rc < 0 ? rc : tly_inventory_listen(inventory, hear, NULL);
}

static void expect_heard(const char *expected)
{
    assert_string_equal(heard, expected);
    heard[0] = '\0';
}

static const struct tly_container *find(const char *id)
{
    return tly_inventory_find(inventory, tly_text_of(id));
}

static void trusts_the_api_over_files_over_the_tree(void **state)
{
    (void)state;
    struct tly_container *cgroup = container_of("a", "low", TLY_STATE_RUNNING);
    assert_int_equal(tly_container_set(&cgroup->cgroup_path, TLY_TEXT("/docker/a")), 0);
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_CGROUP, cgroup, 1), 0);
    expect_heard("+a ");
    assert_string_equal(find("a")->name, "low");

    put(TLY_SOURCE_API, "a", "high", TLY_STATE_PAUSED);
    put(TLY_SOURCE_FILES, "a", "middle", TLY_STATE_EXITED);
    expect_heard("~a "); /* the files' word changes nothing */
    assert_string_equal(find("a")->name, "high");
    assert_int_equal(find("a")->state, TLY_STATE_PAUSED);
    assert_string_equal(find("a")->cgroup_path, "/docker/a");
    assert_string_equal(tly_inventory_find_from(inventory, TLY_SOURCE_FILES, TLY_TEXT("a"))->name,
                        "middle");

    tly_inventory_withdraw(inventory, TLY_SOURCE_API, TLY_TEXT("a"));
    assert_string_equal(find("a")->name, "middle");
    tly_inventory_withdraw(inventory, TLY_SOURCE_FILES, TLY_TEXT("a"));
    assert_string_equal(find("a")->name, "low");
    expect_heard("~a ~a ");
    tly_inventory_withdraw(inventory, TLY_SOURCE_CGROUP, TLY_TEXT("a"));
    tly_inventory_withdraw(inventory, TLY_SOURCE_CGROUP, TLY_TEXT("a"));
    assert_null(find("a"));
    expect_heard("-a ");
}

static void takes_limits_from_the_kernel_but_shares_from_the_engine(void **state)
{
    (void)state;
    struct tly_container *api = container_of("a", "web", TLY_STATE_RUNNING);
    api->memory_limit_bytes = 100;
    api->cpu_quota_us = 5;
    api->cpu_shares = 1024;
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, api, 1), 0);
    assert_int_equal(find("a")->memory_limit_bytes, 100);

    struct tly_container *cgroup = container_of("a", NULL, TLY_STATE_RUNNING);
    cgroup->memory_limit_bytes = 200; /* after an update that the engine was not asked about yet */
    cgroup->cpu_shares = 998;
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_CGROUP, cgroup, 1), 0);
    assert_int_equal(find("a")->memory_limit_bytes, 200);
    assert_int_equal(find("a")->cpu_quota_us, 5);
    assert_int_equal(find("a")->cpu_shares, 1024);
    assert_string_equal(find("a")->name, "web");
}

static void repeats_are_no_change(void **state)
{
    (void)state;
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_RUNNING);
    struct tly_container *same = container_of("a", "web", TLY_STATE_RUNNING);
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, tly_container_ref(same), 1), 0);
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, same, 1), 0);
    expect_heard("+a ");
    put(TLY_SOURCE_API, "a", "renamed", TLY_STATE_RUNNING);
    expect_heard("~a ");
}

static void ignores_word_from_before_the_end(void **state)
{
    (void)state;
    put(TLY_SOURCE_API, "a", "web", TLY_STATE_RUNNING);
    put(TLY_SOURCE_CGROUP, "a", NULL, TLY_STATE_RUNNING);
    tly_inventory_forget(inventory, TLY_TEXT("a"), 50);
    assert_null(find("a"));
    expect_heard("+a -a ");
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_CGROUP,
                                       container_of("a", NULL, TLY_STATE_RUNNING), 50),
                     0);
    assert_null(find("a"));
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_CGROUP,
                                       container_of("a", NULL, TLY_STATE_RUNNING), 51),
                     0);
    assert_non_null(find("a"));
    expect_heard("+a ");
    tly_inventory_forget(inventory, TLY_TEXT("unknown"), 60); /* may come before its creation */
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API,
                                       container_of("unknown", NULL, TLY_STATE_RUNNING), 55),
                     0);
    assert_null(find("unknown"));
}

/* The memory of removed containers is bounded: the oldest goes first. */
static void remembers_thousands_of_ends(void **state)
{
    (void)state;
    char id[16];
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof(id), "c%d", i);
        tly_inventory_forget(inventory, tly_text_of(id), 100);
    }
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API,
                                       container_of("c4999", NULL, TLY_STATE_RUNNING), 99),
                     0);
    assert_null(find("c4999"));
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API,
                                       container_of("c0", NULL, TLY_STATE_RUNNING), 99),
                     0);
    assert_non_null(find("c0"));
}

/* Nor does it remember for longer than late word can take, however few they are. */
static void forgets_ends_in_the_end(void **state)
{
    (void)state;
    const int64_t hour_ns = (int64_t)3600 * 1000 * 1000 * 1000;
    tly_inventory_forget(inventory, TLY_TEXT("a"), 100);
    tly_inventory_forget(inventory, TLY_TEXT("b"), hour_ns);
    static const char *const ids[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API,
                                           container_of(ids[i], NULL, TLY_STATE_RUNNING), 99),
                         0);
    }
    assert_non_null(find("a"));
    assert_null(find("b"));
}

/* The source says the same object again and again: it is merged as soon as there is memory. */
static void a_merge_that_failed_is_tried_again(void **state)
{
    (void)state;
    put(TLY_SOURCE_CGROUP, "a", NULL, TLY_STATE_RUNNING);
    expect_heard("+a ");
    struct tly_container *api = container_of("a", "web", TLY_STATE_RUNNING);
    merges_fail = true;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, tly_container_ref(api), 1),
                         -ENOMEM);
        assert_null(find("a")->name); /* the old view stays */
    }
    merges_fail = false;
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_API, tly_container_ref(api), 1), 0);
    assert_string_equal(find("a")->name, "web");
    expect_heard("~a ");
    tly_container_unref(api);

    /* The one source falls silent, the other repeats itself. */
    struct tly_container *files = container_of("a", "box", TLY_STATE_RUNNING);
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_FILES, tly_container_ref(files), 1),
                     0);
    merges_fail = true;
    tly_inventory_withdraw(inventory, TLY_SOURCE_API, TLY_TEXT("a"));
    assert_string_equal(find("a")->name, "web");
    merges_fail = false;
    assert_int_equal(tly_inventory_put(inventory, TLY_SOURCE_FILES, files, 1), 0);
    assert_string_equal(find("a")->name, "box");
    expect_heard("~a ");
}

static void a_relist_drops_what_was_not_said_again(void **state)
{
    (void)state;
    put(TLY_SOURCE_API, "a", "a", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "b", "b", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "c", "c", TLY_STATE_RUNNING);
    put(TLY_SOURCE_CGROUP, "c", NULL, TLY_STATE_RUNNING);
    heard[0] = '\0';
    tly_inventory_relist_begin(inventory, TLY_SOURCE_API);
    put(TLY_SOURCE_API, "b", "b", TLY_STATE_RUNNING);
    put(TLY_SOURCE_API, "d", "d", TLY_STATE_RUNNING);
    assert_non_null(find("a")); /* until the end */
    tly_inventory_relist_end(inventory, TLY_SOURCE_API);
    expect_heard("+d -a ~c ");
    assert_null(find("c")->name); /* the tree still knows it */
    assert_int_equal(tly_inventory_count(inventory), 3);
    tly_inventory_relist_end(inventory, TLY_SOURCE_API);
    expect_heard("");
}

static void refuses_containers_over_the_maximum(void **state)
{
    (void)state;
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < CONTAINERS_MAX; i++) {
        put(TLY_SOURCE_API, ids[i], NULL, TLY_STATE_RUNNING);
    }
    assert_int_equal(
        tly_inventory_put(inventory, TLY_SOURCE_API, container_of("e", NULL, TLY_STATE_RUNNING), 1),
        TLY_E_LIMIT);
    put(TLY_SOURCE_FILES, "a", "known", TLY_STATE_RUNNING); /* has its row */
    tly_inventory_forget(inventory, TLY_TEXT("b"), 1);
    put(TLY_SOURCE_API, "e", NULL, TLY_STATE_RUNNING);
    assert_int_equal(tly_inventory_count(inventory), CONTAINERS_MAX);
}

static void count_one(void *arg, const struct tly_container *container)
{
    assert_non_null(container);
    ++*(int *)arg;
}

static void walks_and_stops_listening(void **state)
{
    (void)state;
    int count = 0;
    put(TLY_SOURCE_API, "a", NULL, TLY_STATE_RUNNING);
    tly_inventory_unlisten(inventory, hear, NULL);
    put(TLY_SOURCE_API, "b", NULL, TLY_STATE_RUNNING);
    expect_heard("+a ");
    tly_inventory_each(inventory, count_one, &count);
    assert_int_equal(count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_listened, free_inventory)
    const struct CMUnitTest tests[] = {
        TEST(trusts_the_api_over_files_over_the_tree),
        TEST(takes_limits_from_the_kernel_but_shares_from_the_engine),
        TEST(repeats_are_no_change),
        TEST(ignores_word_from_before_the_end),
        TEST(remembers_thousands_of_ends),
        TEST(forgets_ends_in_the_end),
        TEST(a_merge_that_failed_is_tried_again),
        TEST(a_relist_drops_what_was_not_said_again),
        TEST(refuses_containers_over_the_maximum),
        TEST(walks_and_stops_listening),
    };
    return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
