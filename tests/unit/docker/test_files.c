/*
 * Containers from the engine's own files: real folders, written as the engine does, by rename. The
 * interval is far away unless a test is about it: what is seen at once is seen through watches.
 */
#include "collectors/docker/files.h"

#include "tests/unit/delivery/turns.h"
#include "tests/unit/unit.h"

#include "agent/loop/log.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAR_MS  3600000
#define NEAR_MS 10
#define ID_MAX  80
#define FEW     3 /* containers, where there may not be more */

struct place {
    char dir[TEMP_DIR_MAX];
    struct tly_loop *loop;
    struct tly_watcher *watcher;
    struct tly_inventory *inventory;
    struct tly_docker_files *files;
    unsigned looked, succeeded, freed;
    /* What is waited for. */
    unsigned number, looks;
    uint64_t errors;
    const char *name; /* NULL: to be gone */
    bool may_be_absent;
};

/* ---- the engine's folders ---- */

static const char *path_of(const struct place *place, const char *root, unsigned number,
                           const char *file)
{
    static char path[TEMP_DIR_MAX + ID_MAX + 80];
    (void)snprintf(path, sizeof(path), "%s/%s/containers/%064u/%s", place->dir, root, number,
                   file); /* fits */
    return path;
}

TLY_PRINTF(1, 2) static void run(const char *format, ...)
{
    char command[4 * TEMP_DIR_MAX + 2 * ID_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof(command), format, args); /* fits */
    va_end(args);
    assert_int_equal(system(command), 0);
}

static void make_root(const struct place *place, const char *root)
{
    run("mkdir -p %s/%s/containers", place->dir, root);
}

static void write_file(const char *path, const char *text)
{
    char fresh[TEMP_DIR_MAX + ID_MAX + 100];
    (void)snprintf(fresh, sizeof(fresh), "%s.tmp", path); /* fits */
    FILE *file = fopen(fresh, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void write_config(const struct place *place, const char *root, unsigned number,
                         const char *name)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "{\"ID\":\"%064u\",\"Name\":\"/%s\",\"State\":{\"Running\":true,\"Pid\":1,"
                   "\"StartedAt\":\"2026-08-23T00:00:00Z\"},\"Config\":{\"Image\":\"busybox\"}}",
                   number, name); /* fits */
    write_file(path_of(place, root, number, "config.v2.json"), text);
}

/* As the engine makes one: the folder, then its two files. */
static void put(const struct place *place, const char *root, unsigned number, const char *name)
{
    (void)mkdir(path_of(place, root, number, ""), S_IRWXU); /* it may be there */
    write_config(place, root, number, name);
    write_file(path_of(place, root, number, "hostconfig.json"), "{\"Memory\":1048576}");
}

static void take_away(const struct place *place, const char *root, unsigned number)
{
    run("rm -r %s", path_of(place, root, number, ""));
}

/* ---- the collector's side ---- */

static void on_looked(void *arg, bool success, int64_t duration_ns)
{
    struct place *place = arg;
    assert_true(duration_ns >= 0);
    place->looked++;
    place->succeeded += success ? 1 : 0;
}

static void on_freed(void *arg)
{
    struct place *place = arg;
    place->freed++;
}

static void make_files(struct place *place, int64_t interval_ms, const char *root)
{
    static const struct tly_docker_files_events events = {.looked = on_looked};
    const struct tly_docker_files_config config = {
        .loop = place->loop,
        .watcher = place->watcher,
        .inventory = place->inventory,
        .interval_ms = interval_ms,
        .containers_max = FEW,
        .may_be_absent = place->may_be_absent,
    };
    char path[TEMP_DIR_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", place->dir, root); /* fits */
    assert_int_equal(tly_docker_files_new(&config, path, &events, place, &place->files), 0);
}

static const struct tly_container *find(const struct place *place, unsigned number)
{
    char id[ID_MAX];
    (void)snprintf(id, sizeof(id), "%064u", number); /* fits */
    return tly_inventory_find(place->inventory, tly_text_of(id));
}

static bool is_named(void *arg)
{
    const struct place *place = arg;
    const struct tly_container *container = find(place, place->number);
    return place->name ? container && strcmp(container->name, place->name) == 0 : !container;
}

static bool has_looked(void *arg)
{
    const struct place *place = arg;
    return place->looked >= place->looks;
}

static bool has_errors(void *arg)
{
    const struct place *place = arg;
    return tly_docker_files_errors(place->files) >= place->errors;
}

static bool is_freed(void *arg)
{
    const struct place *place = arg;
    return place->freed > 0;
}

/* NULL: until it is gone. */
static void await_name(struct place *place, unsigned number, const char *name)
{
    place->number = number;
    place->name = name;
    if (!turns_until(place->loop, is_named, place)) {
        fail_msg("container %u never became %s", number, name ? name : "gone");
    }
}

static void await_looks(struct place *place, unsigned more)
{
    place->looks = place->looked + more;
    assert_true(turns_until(place->loop, has_looked, place));
}

static void await_errors(struct place *place, uint64_t errors)
{
    place->errors = errors;
    assert_true(turns_until(place->loop, has_errors, place));
}

/* Watching "a", with one look done. */
static void begin(struct place *place)
{
    make_files(place, FAR_MS, "a");
    tly_docker_files_start(place->files);
    await_looks(place, 1);
}

static int set_up(void **state)
{
    static struct place place;
    const struct tly_inventory_limits limits = {
        .containers_max = 100, .label_value_bytes_max = 100, .labels_max = 10};
    memset(&place, 0, sizeof(place));
    tly_log_set_level(TLY_LOG_ERROR);
    temp_dir_make(place.dir);
    make_root(&place, "a");
    assert_int_equal(tly_loop_new(&place.loop), 0);
    assert_int_equal(tly_watcher_new(place.loop, &place.watcher), 0);
    assert_int_equal(tly_inventory_new(&limits, NULL, 0, &place.inventory), 0);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    if (place->files) {
        tly_docker_files_free(place->files, on_freed, place);
        assert_true(turns_until(place->loop, is_freed, place));
    }
    tly_inventory_free(place->inventory);
    tly_watcher_free(place->watcher);
    tly_loop_free(place->loop);
    temp_dir_remove(place->dir);
    return 0;
}

/* ---- coming and going ---- */

static void test_found_at_start(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    make_files(place, FAR_MS, "a");
    assert_null(find(place, 1)); /* nothing before the start */
    tly_docker_files_start(place->files);
    await_name(place, 1, "web");
    const struct tly_container *container = find(place, 1);
    assert_int_equal(container->state, TLY_STATE_RUNNING);
    assert_int_equal(place->looked, 1);
    assert_int_equal(place->succeeded, 1);
}

static void test_new_one(void **state)
{
    struct place *place = *state;
    begin(place);
    put(place, "a", 1, "web");
    await_name(place, 1, "web");
    assert_int_equal(place->looked, 1); /* seen by its watch */
}

static void test_changed(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    begin(place);
    await_name(place, 1, "web");
    write_config(place, "a", 1, "another");
    await_name(place, 1, "another");
    assert_int_equal(place->looked, 1);
}

static void test_removed(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    put(place, "a", 2, "db");
    begin(place);
    await_name(place, 2, "db");
    take_away(place, "a", 1);
    await_name(place, 1, NULL);
    assert_non_null(find(place, 2));
    assert_int_equal(tly_docker_files_errors(place->files), 0);
}

/* Only a container's folder is one. */
static void test_other_names(void **state)
{
    struct place *place = *state;
    run("mkdir %s/a/containers/backup %s/a/containers/0123456789", place->dir, place->dir);
    run("touch %s/a/containers/%s", place->dir,
        "0000000000000000000000000000000000000000000000000000000000000009");
    put(place, "a", 1, "web");
    begin(place);
    await_name(place, 1, "web");
    assert_int_equal(tly_inventory_count(place->inventory), 1);
    assert_int_equal(tly_docker_files_errors(place->files), 0);
}

/* ---- what cannot be read ---- */

/* What was known stays, the error is counted, and the next good file is read. */
static void test_malformed(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    begin(place);
    await_name(place, 1, "web");
    write_file(path_of(place, "a", 1, "config.v2.json"), "{\"ID\":\"00");
    await_errors(place, 1);
    assert_string_equal(find(place, 1)->name, "web");
    write_config(place, "a", 1, "mended");
    await_name(place, 1, "mended");
}

/* A copy of another container's files says nothing about this one. */
static void test_files_of_another(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    begin(place);
    (void)mkdir(path_of(place, "a", 2, ""), S_IRWXU); /* new in this test */
    write_file(path_of(place, "a", 2, "config.v2.json"),
               "{\"ID\":\"0000000000000000000000000000000000000000000000000000000000000001\","
               "\"Name\":\"/copy\",\"State\":{}}");
    await_errors(place, 1);
    assert_null(find(place, 2));
    assert_string_equal(find(place, 1)->name, "web");
}

static void test_links_and_pipes(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    (void)mkdir(path_of(place, "a", 2, ""), S_IRWXU); /* new in this test */
    assert_int_equal(mkfifo(path_of(place, "a", 2, "config.v2.json"), S_IRWXU), 0);
    (void)mkdir(path_of(place, "a", 3, ""), S_IRWXU); /* new in this test */
    assert_int_equal(symlink("../../../etc/passwd", path_of(place, "a", 3, "config.v2.json")), 0);
    begin(place);
    assert_string_equal(find(place, 1)->name, "web");
    assert_int_equal(tly_inventory_count(place->inventory), 1);
    assert_int_equal(tly_docker_files_errors(place->files), 2);
    assert_int_equal(place->succeeded, 0);
}

static void test_without_hostconfig(void **state)
{
    struct place *place = *state;
    (void)mkdir(path_of(place, "a", 1, ""), S_IRWXU); /* new in this test */
    write_config(place, "a", 1, "web");
    begin(place);
    assert_string_equal(find(place, 1)->name, "web");
    assert_int_equal(tly_docker_files_errors(place->files), 0);
}

static void test_too_many(void **state)
{
    struct place *place = *state;
    for (unsigned i = 1; i <= FEW + 2; i++) {
        put(place, "a", i, "web");
    }
    begin(place);
    assert_int_equal(tly_inventory_count(place->inventory), FEW);
    assert_int_equal(tly_docker_files_errors(place->files), 2);
    assert_int_equal(place->succeeded, 0);
}

/* ---- the folder of all ---- */

static void test_folder_comes_later(void **state)
{
    struct place *place = *state;
    make_files(place, NEAR_MS, "later");
    tly_docker_files_start(place->files);
    await_looks(place, 2);
    assert_int_equal(place->succeeded, 0);
    make_root(place, "later");
    put(place, "later", 1, "web");
    await_name(place, 1, "web");
}

/* Nobody has said that there is an engine. It may come all the same, and its folder is then read.
 */
static void test_no_engine(void **state)
{
    struct place *place = *state;
    place->may_be_absent = true;
    make_files(place, NEAR_MS, "later");
    tly_docker_files_start(place->files);
    await_looks(place, 2);
    assert_int_equal(place->succeeded, place->looked);
    assert_int_equal(tly_docker_files_errors(place->files), 0);
    run("mkdir %s/later && touch %s/later/containers", place->dir, place->dir);
    await_errors(place, 1); /* something is there, and no folder */
    run("rm %s/later/containers", place->dir);
    make_root(place, "later");
    put(place, "later", 1, "web");
    await_name(place, 1, "web");
}

static void test_folder_goes(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    make_files(place, NEAR_MS, "a");
    tly_docker_files_start(place->files);
    await_name(place, 1, "web");
    run("rm -r %s/a/containers", place->dir);
    await_name(place, 1, NULL);
    make_root(place, "a");
    put(place, "a", 2, "again");
    await_name(place, 2, "again");
}

static void test_moved(void **state)
{
    struct place *place = *state;
    char path[TEMP_DIR_MAX + 8];
    make_root(place, "b");
    put(place, "a", 1, "web");
    put(place, "b", 2, "db");
    begin(place);
    await_name(place, 1, "web");
    (void)snprintf(path, sizeof(path), "%s/b", place->dir); /* fits */
    assert_int_equal(tly_docker_files_move(place->files, path), 0);
    assert_null(find(place, 1));
    await_name(place, 2, "db");
    assert_int_equal(tly_docker_files_move(place->files, path), 0); /* where it is already */
    assert_non_null(find(place, 2));
}

static void test_stopped(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    begin(place);
    await_name(place, 1, "web");
    tly_docker_files_stop(place->files);
    assert_null(find(place, 1));
    assert_int_equal(tly_inventory_count(place->inventory), 0);
    tly_docker_files_start(place->files);
    await_name(place, 1, "web");
}

/* A scan that ends after the stop says nothing of what it saw. */
static void test_stopped_under_way(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    begin(place);
    for (int i = 0; i < 20; i++) {
        tly_docker_files_stop(place->files);
        tly_docker_files_start(place->files);
        assert_true(turns_few(place->loop)); /* a scan may be on a worker now */
    }
    tly_docker_files_stop(place->files);
    assert_true(turns_few(place->loop));
    assert_int_equal(tly_inventory_count(place->inventory), 0);
}

/* tear_down frees it with the first look still to come or on a worker. */
static void test_freed_under_way(void **state)
{
    struct place *place = *state;
    put(place, "a", 1, "web");
    make_files(place, FAR_MS, "a");
    tly_docker_files_start(place->files);
    assert_true(turns_few(place->loop));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_found_at_start),
        TEST(test_new_one),
        TEST(test_changed),
        TEST(test_removed),
        TEST(test_other_names),
        TEST(test_malformed),
        TEST(test_files_of_another),
        TEST(test_links_and_pipes),
        TEST(test_without_hostconfig),
        TEST(test_too_many),
        TEST(test_folder_comes_later),
        TEST(test_no_engine),
        TEST(test_folder_goes),
        TEST(test_moved),
        TEST(test_stopped),
        TEST(test_stopped_under_way),
        TEST(test_freed_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
