/*
 * A round over containers and volumes made in a folder, with a pretended /proc: which folders it
 * finds, what it makes of what is missing, and that its slices keep to their budget.
 */
#include "collectors/disk/round.h"
#include "collectors/disk/samples.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define ID    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct place {
    char dir[TEMP_DIR_MAX];
    char proc[TEMP_DIR_MAX + 8];
    char path[4][TEMP_DIR_MAX + 256];
    struct tly_disk_round *round;
};

static void run(const struct place *place, const char *script)
{
    char command[4096];
    int len = snprintf(command, sizeof(command), "set -e; cd %s; %s", place->dir, script);
    assert_true(len < (int)sizeof(command));
    assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
    static struct place place;
    place = (struct place){0};
    temp_dir_make(place.dir);
    (void)snprintf(place.proc, sizeof(place.proc), "%s/proc", place.dir); /* fits */
    run(&place, "mkdir -p proc/self volumes containers/" ID "; cp /proc/self/mountinfo proc/self/");
    const struct tly_disk_round_config config = {
        .proc = place.proc,
        .data_root = place.dir,
        .limits = {.entries_max = 1000, .memory_bytes_max = 1 << 20},
        .volumes_max = 3,
    };
    assert_int_equal(tly_disk_round_new(&config, &place.round), 0);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    tly_disk_round_free(place->round);
    temp_dir_remove(place->dir);
    return 0;
}

/* A path in the folder, in one of four buffers. */
static const char *at(struct place *place, unsigned buffer, const char *name)
{
    (void)snprintf(place->path[buffer], sizeof(place->path[buffer]), "%s/%s", place->dir,
                   name); /* fits */
    return place->path[buffer];
}

static struct tly_container *make(const char *id)
{
    struct tly_container *container = tly_container_new(tly_text_of(id));
    assert_non_null(container);
    return container;
}

static void set(char **field, const char *value)
{
    assert_int_equal(tly_container_set(field, tly_text_of(value)), 0);
}

static void add(struct place *place, struct tly_container *container)
{
    assert_int_equal(tly_disk_round_add(place->round, container), 0);
    tly_container_unref(container);
}

static void work(struct place *place, size_t entries)
{
    int slices = 0;
    while (tly_disk_round_work(place->round, entries)) {
        assert_true(++slices < 10000);
    }
    assert_int_equal(place->round->next, place->round->count);
}

static const struct tly_disk_job *job(const struct place *place, const char *name)
{
    for (size_t i = 0; i < place->round->count; i++) {
        if (strcmp(place->round->jobs[i].name, name) == 0) {
            return &place->round->jobs[i];
        }
    }
    fail_msg("no job %s", name);
    return NULL;
}

/* ---- containers ---- */

static void test_as_the_engine_says(void **state)
{
    struct place *place = *state;
    run(place, "mkdir -p overlay2/x/diff; echo >overlay2/x/diff/f; head -c 9000 /dev/urandom "
               ">containers/" ID "/" ID "-json.log; echo >containers/" ID "/" ID "-json.log.1; "
               "echo >containers/" ID "/hostname");
    struct tly_container *container = make(ID);
    set(&container->upper_dir, at(place, 0, "overlay2/x/diff"));
    set(&container->log_path, at(place, 1, "containers/" ID "/" ID "-json.log"));
    set(&container->log_driver, "json-file");
    add(place, container);
    work(place, 1000);
    const struct tly_disk_job *found = job(place, ID);
    assert_int_equal(found->layer.rc, 0);
    assert_int_equal(found->layer.size.inodes, 2);
    assert_true(found->layer.measured_ns > 0);
    assert_int_equal(found->logs.rc, 0);
    assert_int_equal(found->logs.size.inodes, 4);
    assert_true(found->logs.size.marked_bytes >= 9000);
    assert_true(found->logs.size.marked_bytes < found->logs.size.bytes);
    assert_true(found->device[0] != '\0');

    /* All of it becomes samples. */
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_disk_container_write(found, &samples);
    assert_in_range(samples.count, 8, 10); /* two of inodes, where their number is fixed */
    assert_int_equal(samples.refused, 0);
    tly_samples_done(&samples);
}

static void test_local_driver(void **state)
{
    struct place *place = *state;
    run(place, "mkdir containers/" ID "/local-logs; head -c 5000 /dev/urandom >containers/" ID
               "/local-logs/container.log.1.gz");
    struct tly_container *container = make(ID);
    set(&container->log_driver, "local");
    add(place, container);
    work(place, 1000);
    const struct tly_disk_job *found = job(place, ID);
    assert_int_equal(found->layer.rc, -ENOENT);
    assert_int_equal(found->logs.rc, 0);
    assert_true(found->logs.size.marked_bytes >= 5000);
}

/* A driver that keeps no files: what lies in the container's folder is no log. */
static void test_no_log_files(void **state)
{
    struct place *place = *state;
    struct tly_container *container = make(ID);
    set(&container->log_driver, "journald");
    add(place, container);
    add(place, make(OTHER)); /* which has no folder either */
    work(place, 1000);
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_disk_container_write(job(place, ID), &samples);
    tly_disk_container_write(job(place, OTHER), &samples);
    assert_int_equal(samples.count, 0);
    assert_int_equal(job(place, OTHER)->logs.rc, -ENOENT);
    tly_samples_done(&samples);
}

/* The engine does not name the layer: the mounts of the container's process do. */
static void test_by_the_process(void **state)
{
    static const struct {
        const char *cgroup, *type, *upper;
        int rc;
    } rows[] = {
        {"0::/system.slice/docker-" ID ".scope", "overlay", "snap/7/fs", 0},
        {"0::/docker/" ID, "overlay", "snap/7/fs,workdir=/w", 0},
        {"0::/docker/" OTHER, "overlay", "snap/7/fs", -ENOENT}, /* the number of another's */
        {"", "overlay", "snap/7/fs", -ENOENT},
        {"0::/docker/" ID, "btrfs", "snap/7/fs", -ENOENT},
        {"0::/docker/" ID, "overlay", "snap/8/fs", -ENOENT}, /* is gone */
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        (void)set_up(state);
        struct place *place = *state;
        char script[1024];
        (void)snprintf(script, sizeof(script),
                       "mkdir -p proc/42 snap/7/fs/sub; echo '%s' >proc/42/cgroup; "
                       "echo '7 6 0:60 / / rw - %s overlay rw,upperdir=%s/%s' >proc/42/mountinfo",
                       rows[i].cgroup, rows[i].type, place->dir, rows[i].upper); /* fits */
        run(place, script);
        struct tly_container *container = make(ID);
        container->pid = 42;
        add(place, container);
        work(place, 1000);
        assert_int_equal(job(place, ID)->layer.rc, rows[i].rc);
        assert_int_equal(job(place, ID)->layer.size.inodes, rows[i].rc == 0 ? 2 : 0);
        (void)tear_down(state);
    }
}

static void test_no_process(void **state)
{
    struct place *place = *state;
    struct tly_container *container = make(ID);
    container->pid = 4711; /* has ended */
    add(place, container);
    add(place, make(OTHER));
    work(place, 1000);
    assert_int_equal(job(place, ID)->layer.rc, -ENOENT);
    assert_int_equal(job(place, OTHER)->layer.rc, -ENOENT);
}

/* ---- volumes ---- */

static void test_volumes(void **state)
{
    struct place *place = *state;
    run(place, "mkdir -p volumes/one/_data volumes/two/_data/sub volumes/broken; "
               "echo >volumes/one/_data/f; echo >volumes/metadata.db; echo >volumes/.x; "
               "mkdir volumes/.hidden");
    work(place, 1000);
    assert_int_equal(place->round->count, 3);
    assert_int_equal(job(place, "one")->layer.size.inodes, 2);
    assert_int_equal(job(place, "two")->layer.size.inodes, 2);
    assert_int_equal(job(place, "broken")->layer.rc, -ENOENT);
    assert_int_equal(place->round->counts.volumes_skipped, 0);
    assert_int_equal(place->round->counts.unreadable, 0);
}

static void test_too_many_volumes(void **state)
{
    struct place *place = *state;
    run(place, "for i in 1 2 3 4 5; do mkdir -p volumes/v$i/_data; done");
    work(place, 1000);
    assert_int_equal(place->round->count, 3);
    assert_int_equal(place->round->counts.volumes_skipped, 2);
}

/* A link where a volume should be is none: it could lead anywhere. */
static void test_volume_of_links(void **state)
{
    struct place *place = *state;
    run(place, "mkdir -p outside/_data volumes/linked; echo >outside/_data/f; "
               "ln -s ../../outside/_data volumes/linked/_data; ln -s ../outside volumes/link");
    work(place, 1000);
    assert_int_equal(place->round->count, 1);
    assert_int_equal(job(place, "linked")->layer.rc, -ENOTDIR);
}

static void test_no_volumes(void **state)
{
    struct place *place = *state;
    run(place, "rmdir volumes");
    work(place, 1000);
    assert_int_equal(place->round->count, 0);
    assert_int_equal(place->round->counts.unreadable, 0);
}

/* ---- bounds ---- */

static void test_budget(void **state)
{
    struct place *place = *state;
    run(place, "mkdir -p volumes/v/_data; cd volumes/v/_data; seq -f f%.0f 500 | xargs touch");
    for (int i = 0; i < 50; i++) {
        add(place, make(ID));
    }
    uint64_t before = 0;
    size_t slices = 0;
    while (tly_disk_round_work(place->round, 20)) {
        assert_true(place->round->counts.entries - before <= 20);
        before = place->round->counts.entries;
        slices++;
    }
    assert_true(slices >= 500 / 20);
    assert_int_equal(job(place, "v")->layer.size.inodes, 501);
}

static void test_cut(void **state)
{
    struct place *place = *state;
    run(place, "mkdir -p volumes/v/_data volumes/w/_data; cd volumes/v/_data; "
               "seq -f f%.0f 1500 | xargs touch");
    work(place, 100);
    const struct tly_disk_job *cut = job(place, "v");
    assert_int_equal(cut->layer.size.cut, TLY_DISK_CUT_ENTRIES);
    assert_int_equal(job(place, "w")->layer.size.cut, 0);
    assert_int_equal(place->round->counts.cuts[0], 1);
    assert_int_equal(place->round->counts.walks, 2);
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_disk_volume_write(TLY_TEXT("v"), &cut->layer, &samples);
    tly_disk_volume_write(TLY_TEXT("w"), &job(place, "w")->layer, &samples);
    int64_t complete[2] = {-1, -1};
    size_t found = 0;
    for (size_t i = 0; i < samples.count; i++) {
        if (samples.at[i].family == TLY_F_docker_volume_measurement_complete) {
            complete[found++] = samples.at[i].raw;
        }
    }
    assert_int_equal(complete[0], 0);
    assert_int_equal(complete[1], 1);
    tly_samples_done(&samples);
}

static void test_freed_under_way(void **state)
{
    struct place *place = *state;
    run(place, "mkdir -p volumes/v/_data/a/b/c");
    assert_true(tly_disk_round_work(place->round, 6));
    assert_non_null(place->round->walk);
}

/* ---- file systems ---- */

static void test_filesystems(void **state)
{
    struct place *place = *state;
    struct tly_disk_filesystems filesystems = {0};
    char mountinfo[1024];
    (void)snprintf(mountinfo, sizeof(mountinfo),
                   "1 0 8:1 / %s rw - ext4 /dev/sda1 rw\n2 1 8:1 /x / rw - ext4 /dev/sda1 rw\n"
                   "3 1 0:9 / /proc rw - proc proc rw\n4 1 0:33 / / rw - nfs4 server:/x rw\n"
                   "5 1 8:2 / /nowhere/at/all rw - xfs /dev/sda2 rw\n"
                   "6 1 0:44 / / rw - btrfs /dev/mapper/a\\040b rw\n6 1 7:0 / / ro - squashfs "
                   "/dev/loop0 ro\n",
                   place->dir); /* fits */
    struct tly_text text = tly_text_of(mountinfo);
    assert_int_equal(tly_disk_filesystems_ask(text, &filesystems), 0);
    assert_int_equal(filesystems.count, 2);
    assert_string_equal(filesystems.at[0].device, "/dev/sda1");
    assert_string_equal(filesystems.at[1].device, "/dev/mapper/a b");
    assert_true(filesystems.at[0].bytes >= filesystems.at[0].used_bytes);
    tly_disk_filesystems_done(&filesystems);

    static const struct {
        uint64_t id;
        uint32_t major, minor;
        int rc;
        const char *device;
    } rows[] = {
        {5, 0, 0, 0, "/dev/sda2"}, {0, 8, 1, 0, "/dev/sda1"}, {0, 0, 33, 0, "server:/x"},
        {77, 8, 1, -ENOENT, ""},   {0, 9, 9, -ENOENT, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char device[TLY_DISK_DEVICE_MAX] = "";
        assert_int_equal(
            tly_disk_device_find(text, rows[i].id, rows[i].major, rows[i].minor, device),
            rows[i].rc);
        assert_string_equal(device, rows[i].device);
    }
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_as_the_engine_says),
        IN_PLACE(test_local_driver),
        IN_PLACE(test_no_log_files),
        cmocka_unit_test(test_by_the_process),
        IN_PLACE(test_no_process),
        IN_PLACE(test_volumes),
        IN_PLACE(test_too_many_volumes),
        IN_PLACE(test_volume_of_links),
        IN_PLACE(test_no_volumes),
        IN_PLACE(test_budget),
        IN_PLACE(test_cut),
        IN_PLACE(test_freed_under_way),
        IN_PLACE(test_filesystems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
