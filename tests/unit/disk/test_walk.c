/*
 * The size of trees made for the purpose, beside du(1)'s; and trees that mean harm: deep, wide,
 * full of links, with mounts in them, vanishing while they are looked at.
 */
#include "collectors/disk/walk.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct tly_disk_limits ordinary = {.entries_max = 10000000,
                                                .memory_bytes_max = 64U << 20};

struct tree {
    char dir[TEMP_DIR_MAX];
};

static int set_up(void **state)
{
    static struct tree tree;
    temp_dir_make(tree.dir);
    *state = &tree;
    return 0;
}

static int tear_down(void **state)
{
    const struct tree *tree = *state;
    temp_dir_remove(tree->dir);
    return 0;
}

/* Runs a script with the tree as its working directory. */
static void run(const struct tree *tree, const char *script)
{
    char command[4096];
    int len = snprintf(command, sizeof(command), "set -e; cd %s; %s", tree->dir, script);
    assert_true(len < (int)sizeof(command));
    assert_int_equal(system(command), 0);
}

/* What a command prints: one number. */
static uint64_t number(const struct tree *tree, const char *script)
{
    char command[4096];
    char said[64];
    uint64_t value = 0;
    (void)snprintf(command, sizeof(command), "cd %s; %s", tree->dir, script); /* fits */
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(said, sizeof(said), pipe));
    assert_int_equal(tly_text_u64(tly_text_trim(tly_text_of(said)), &value), 0);
    assert_int_equal(pclose(pipe), 0);
    return value;
}

static struct tly_disk_size walk_in(const struct tree *tree, const struct tly_disk_limits *limits,
                                    size_t slice)
{
    struct tly_disk_walk *walk = NULL;
    size_t done = 0;
    assert_int_equal(tly_disk_walk_new(tree->dir, limits, &walk), 0);
    while (tly_disk_walk_step(walk, slice, &done)) {
        assert_true(done >= slice && done < slice + PATH_MAX); /* a deep folder costs more */
    }
    struct tly_disk_size size = *tly_disk_walk_size(walk);
    tly_disk_walk_free(walk);
    return size;
}

static struct tly_disk_size walk_whole(const struct tree *tree)
{
    struct tly_disk_limits plain = ordinary;
    plain.plain_open = true;
    struct tly_disk_size size = walk_in(tree, &ordinary, 1);
    const size_t slices[] = {7, 100000};
    for (size_t i = 0; i < ROWS(slices); i++) {
        for (int kind = 0; kind < 2; kind++) {
            struct tly_disk_size again = walk_in(tree, kind ? &plain : &ordinary, slices[i]);
            assert_int_equal(again.bytes, size.bytes);
            assert_int_equal(again.inodes, size.inodes);
        }
    }
    assert_int_equal(size.unreadable, 0);
    return size;
}

#define DU     "du -sx -B1 . | cut -f1"
#define INODES "du -sx --inodes . | cut -f1"

static void expect_du(const struct tree *tree, const struct tly_disk_size *size)
{
    assert_int_equal(size->bytes, number(tree, DU));
    assert_int_equal(size->inodes, number(tree, INODES));
    assert_int_equal(size->cut, 0);
}

/* ---- ordinary trees ---- */

static void test_sizes(void **state)
{
    const struct tree *tree = *state;
    struct tly_disk_size empty = walk_whole(tree);
    expect_du(tree, &empty);
    assert_int_equal(empty.inodes, 1);
    run(tree,
        "mkdir -p a/b/c 'with blank' $(printf 'new\\nline\\n') ; dd if=/dev/urandom of=a/file "
        "bs=1000 count=300 2>/dev/null; truncate -s 1G a/b/sparse; echo x >a/b/c/small; "
        "ln -s /etc/passwd a/link; ln -s / a/root; ln -s .. a/b/up; mkfifo a/pipe; "
        ": >'with blank/empty'; mkdir -m 0 shut; rmdir shut");
    struct tly_disk_size size = walk_whole(tree);
    expect_du(tree, &size);
    assert_true(size.fs_bytes > size.bytes);
    assert_true(size.bytes >= 300000 && size.bytes < 1000000);
}

static void test_hard_links_count_once(void **state)
{
    const struct tree *tree = *state;
    run(tree, "mkdir a b; dd if=/dev/urandom of=a/f bs=1000 count=100 2>/dev/null; "
              "for i in $(seq 1000); do ln a/f b/f$i; done; for i in $(seq 400); do echo >b/g$i; "
              "ln b/g$i a/g$i; done");
    struct tly_disk_size size = walk_whole(tree);
    expect_du(tree, &size);
    assert_int_equal(size.inodes, 3 + 1 + 400);
}

static void test_marks(void **state)
{
    const struct tree *tree = *state;
    static const char *const marks[] = {"log-json.log", "local-logs", NULL};
    struct tly_disk_limits limits = ordinary;
    limits.marks = marks;
    run(tree, "mkdir local-logs sub; for f in log-json.log log-json.log.1 log-json.log.2.gz other "
              "local-logs/container.log sub/log-json.log; do "
              "dd if=/dev/urandom of=$f bs=4096 count=10 2>/dev/null; done");
    struct tly_disk_size size = walk_in(tree, &limits, 3);
    assert_int_equal(size.marked_bytes,
                     number(tree, "du -c -B1 log-json.log* local-logs/* | tail -n1 | cut -f1"));
    assert_int_equal(size.bytes, number(tree, DU));
}

static void test_no_tree(void **state)
{
    const struct tree *tree = *state;
    char path[TEMP_DIR_MAX + 16];
    struct tly_disk_walk *walk = NULL;
    run(tree, "mkdir d; ln -s d link; : >file");
    static const struct {
        const char *name;
        int rc;
    } rows[] = {{"none", -ENOENT}, {"file", -ENOTDIR}, {"link", -ENOTDIR}, {"file/x", -ENOTDIR}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", tree->dir, rows[i].name); /* fits */
        assert_int_equal(tly_disk_walk_new(path, &ordinary, &walk), rows[i].rc);
    }
}

/* ---- hostile trees ---- */

static void test_deep(void **state)
{
    const struct tree *tree = *state;
    /* 3,000 folders below each other: their path has 6,000 bytes, the kernel takes 4,095. */
    int fd = open(tree->dir, O_PATH | O_DIRECTORY);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        int below = openat(fd, "d", O_PATH | O_DIRECTORY);
        assert_true(below >= 0);
        (void)close(fd); /* O_PATH: nothing to lose */
        fd = below;
    }
    (void)close(fd); /* as above */
    struct tly_disk_size size = walk_in(tree, &ordinary, 100);
    assert_int_equal(size.cut, TLY_DISK_CUT_DEPTH);
    assert_in_range(size.inodes, 2000, 2100);
    /* A thousand entries a second are not a thousand deep paths a second. */
    struct tly_disk_walk *walk = NULL;
    size_t slices = 0;
    size_t done = 0;
    assert_int_equal(tly_disk_walk_new(tree->dir, &ordinary, &walk), 0);
    while (tly_disk_walk_step(walk, 100, &done)) {
        slices++;
    }
    assert_true(slices > 5 * 2 * size.inodes / 100);
    tly_disk_walk_free(walk);
    assert_int_equal(size.unreadable, 0);
}

static void test_wide(void **state)
{
    const struct tree *tree = *state;
    run(tree, "seq -f d%.0f 5000 | xargs mkdir");
    struct tly_disk_size size = walk_in(tree, &ordinary, 1000);
    expect_du(tree, &size);
    assert_int_equal(size.inodes, 5001);
    /* With little memory only some are looked into, but each was seen. */
    struct tly_disk_limits limits = ordinary;
    limits.memory_bytes_max = 16 << 10;
    size = walk_in(tree, &limits, 1000);
    assert_int_equal(size.cut, TLY_DISK_CUT_MEMORY);
    assert_int_equal(size.inodes, 5001);
}

static void test_too_many_entries(void **state)
{
    const struct tree *tree = *state;
    run(tree, "seq -f f%.0f 1000 | xargs touch");
    static const struct {
        uint64_t max;
        unsigned cut;
    } rows[] = {{10, TLY_DISK_CUT_ENTRIES}, {500, TLY_DISK_CUT_ENTRIES}, {2000, 0}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_disk_limits limits = ordinary;
        limits.entries_max = rows[i].max;
        struct tly_disk_size size = walk_in(tree, &limits, 7);
        assert_int_equal(size.cut, rows[i].cut);
        assert_true(rows[i].cut ? size.inodes <= rows[i].max : size.inodes == 1001);
    }
}

/* Slices hold no more than the one folder that is being read, and that stands in nobody's way. */
static size_t descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

static void test_removal(void **state)
{
    const struct tree *tree = *state;
    char top[TEMP_DIR_MAX + 8];
    struct stat stat_buf;
    (void)snprintf(top, sizeof(top), "%s/top", tree->dir); /* fits */
    for (size_t steps = 0; steps < 60; steps++) {
        struct tly_disk_walk *walk = NULL;
        size_t done = 0;
        size_t before = descriptors();
        run(tree, "mkdir -p top/a/b top/c/d; touch top/a/f1 top/a/f2 top/a/b/f top/c/f top/c/d/f");
        assert_int_equal(tly_disk_walk_new(top, &ordinary, &walk), 0);
        bool more = tly_disk_walk_step(walk, steps, &done);
        assert_true(descriptors() <= before + 1);
        run(tree, "rm -r top"); /* rm(1) fails if it can't remove something */
        assert_int_equal(stat(top, &stat_buf), -1);
        while (more) {
            more = tly_disk_walk_step(walk, 1, &done);
        }
        const struct tly_disk_size *size = tly_disk_walk_size(walk);
        assert_int_equal(size->unreadable, 0);
        assert_int_equal(size->cut, 0);
        if (steps == 0) {
            assert_int_equal(size->inodes, 0); /* nothing was there to be measured */
        }
        tly_disk_walk_free(walk);
        assert_int_equal(descriptors(), before);
    }
}

/* A folder that was seen is replaced by a link to somewhere else, before it is looked into. */
static void test_replaced_by_a_link(void **state)
{
    const struct tree *tree = *state;
    char top[TEMP_DIR_MAX + 8];
    (void)snprintf(top, sizeof(top), "%s/top", tree->dir); /* fits */
    for (int plain = 0; plain < 2; plain++) {
        struct tly_disk_limits limits = ordinary;
        struct tly_disk_walk *walk = NULL;
        size_t done = 0;
        limits.plain_open = plain != 0;
        run(tree, "mkdir -p outside/x top/in/deep; seq -f outside/f%.0f 100 | xargs touch");
        assert_int_equal(tly_disk_walk_new(top, &limits, &walk), 0);
        /* The top folder is opened, and its entries are read: `in`, and the two dots. */
        assert_true(tly_disk_walk_step(walk, 5, &done));
        run(tree, "mv top/in moved; ln -s ../outside top/in");
        while (tly_disk_walk_step(walk, 1, &done)) {
        }
        assert_int_equal(tly_disk_walk_size(walk)->inodes, 2);
        assert_int_equal(tly_disk_walk_size(walk)->unreadable, 0);
        tly_disk_walk_free(walk);
        run(tree, "rm -r top outside moved");
    }
}

/* ---- mounts ---- */

/* Mounts of this process alone. False where it may not: then there is nothing to test. */
static bool private_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void test_mounts(void **state)
{
    const struct tree *tree = *state;
    if (!private_mounts()) {
        print_message("not allowed to mount: %s\n", strerror(errno));
        skip();
    }
    /* A loop by a bind mount of the tree within itself, the host's root, another file system. */
    run(tree, "mkdir -p a/loop a/host a/tmpfs b; touch a/f b/g; mount --bind . a/loop; "
              "mount --bind / a/host; mount -t tmpfs tmpfs a/tmpfs; touch a/tmpfs/f");
    struct tly_disk_size size = walk_in(tree, &ordinary, 1000);
    assert_int_equal(size.inodes, 5); /* itself, a, b and the files */
    assert_int_equal(size.cut, 0);
    assert_int_equal(size.unreadable, 0);

    char path[TEMP_DIR_MAX + 16];
    struct tly_disk_walk *walk = NULL;
    static const char *const mounted[] = {"a/loop", "a/host", "a/tmpfs"};
    for (size_t i = 0; i < ROWS(mounted); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", tree->dir, mounted[i]); /* fits */
        assert_int_equal(tly_disk_walk_new(path, &ordinary, &walk), -EXDEV);
    }
    /* One that comes after its folder was seen. */
    run(tree, "umount a/tmpfs a/host a/loop; rm -r a b; mkdir late");
    for (int plain = 0; plain < 2; plain++) {
        struct tly_disk_limits limits = ordinary;
        size_t done = 0;
        limits.plain_open = plain != 0;
        assert_int_equal(tly_disk_walk_new(tree->dir, &limits, &walk), 0);
        assert_true(tly_disk_walk_step(walk, 5, &done));
        run(tree, "mount -t tmpfs tmpfs late; seq -f late/f%.0f 100 | xargs touch");
        while (tly_disk_walk_step(walk, 1, &done)) {
        }
        assert_int_equal(tly_disk_walk_size(walk)->inodes, 2);
        assert_int_equal(tly_disk_walk_size(walk)->unreadable, 0);
        tly_disk_walk_free(walk);
        run(tree, "umount late");
    }
}

/* Without rights the folder counts as unreadable, and the rest is measured. */
static void test_no_rights(void **state)
{
    const struct tree *tree = *state;
    run(tree, "mkdir -m 755 open shut; touch open/f shut/f; chmod 0 shut; chmod 755 .");
    uid_t own = geteuid();
    assert_int_equal(seteuid(own == 0 ? 65534 : own), 0); /* root may read everything */
    struct tly_disk_size size = walk_in(tree, &ordinary, 1000);
    assert_int_equal(seteuid(own), 0);
    assert_int_equal(size.unreadable, 1);
    assert_int_equal(size.inodes, 4);
    run(tree, "chmod 755 shut");
}

int main(void)
{
#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_TREE(test_sizes),
        IN_TREE(test_hard_links_count_once),
        IN_TREE(test_marks),
        IN_TREE(test_no_tree),
        IN_TREE(test_deep),
        IN_TREE(test_wide),
        IN_TREE(test_too_many_entries),
        IN_TREE(test_removal),
        IN_TREE(test_replaced_by_a_link),
        IN_TREE(test_mounts),
        IN_TREE(test_no_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
