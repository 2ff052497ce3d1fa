/*
 * Mounts by /proc/<pid>/mountinfo, lines of real hosts and such as no kernel writes.
 */
#include "agent/codec/mountinfo.h"

#include "tests/unit/unit.h"

#include <errno.h>

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int64_t id; /* -1: none */
        const char *point, *type, *source, *options;
    } rows[] = {
        {"25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro", 25, "/", "ext4",
         "/dev/sda1", "rw,errors=remount-ro"},
        {"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 propagate_from:3 - ext3 /dev/root rw",
         36, "/mnt2", "ext3", "/dev/root", "rw"},
        {"40 25 0:35 / /a\\040b rw - tmpfs tmpfs", 40, "/a\\040b", "tmpfs", "tmpfs", ""},
        {"41 25 0:35 / /x rw - btrfs", 41, "/x", "btrfs", "", ""},
        {"", -1, "", "", "", ""},
        {"25 1 8:1 / / rw,relatime", -1, "", "", "", ""},
        {"25 1 8:1 / / rw -", -1, "", "", "", ""},
        {"25 1 8:1 / / rw - ", -1, "", "", "", ""},
        {"25 1 8 / / rw - ext4 /dev/sda1 rw", -1, "", "", "", ""},
        {"x 1 8:1 / / rw - ext4 /dev/sda1 rw", -1, "", "", "", ""},
        {"25 1 8:99999999999 / / rw - ext4 /dev/sda1 rw", -1, "", "", "", ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_text rest = tly_text_of(rows[i].line);
        struct tly_mount mount;
        bool found = tly_mount_next(&rest, &mount);
        assert_int_equal(found, rows[i].id >= 0);
        if (found) {
            assert_int_equal(mount.id, rows[i].id);
            expect_text(mount.point, rows[i].point);
            expect_text(mount.type, rows[i].type);
            expect_text(mount.source, rows[i].source);
            expect_text(mount.options, rows[i].options);
        }
    }
}

/* A bad line costs none behind it. */
static void test_walk(void **state)
{
    (void)state;
    struct tly_text rest = TLY_TEXT("1 0 8:1 / / rw - ext4 a rw\nnonsense\n\n"
                                    "2 1 8:2 / /b rw - xfs b rw\n");
    struct tly_mount mount;
    assert_true(tly_mount_next(&rest, &mount));
    assert_int_equal(mount.id, 1);
    assert_int_equal(mount.major, 8);
    assert_int_equal(mount.minor, 1);
    assert_true(tly_mount_next(&rest, &mount));
    assert_int_equal(mount.id, 2);
    assert_false(tly_mount_next(&rest, &mount));
}

static void test_unescape(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        const char *path;
    } rows[] = {
        {"/a\\040b\\134c", 0, "/a b\\c"},
        {"/a\\04", 0, "/a\\04"},
        {"/a\\000b", 0, "/a\\000b"},
        {"/a\\777", 0, "/a\\777"},
        {"/a\\0x0", 0, "/a\\0x0"},
        {"", 0, ""},
        {"/01234567890123456789", TLY_E_LIMIT, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char path[20] = "";
        assert_int_equal(tly_mount_unescape(tly_text_of(rows[i].text), path, sizeof(path)),
                         rows[i].rc);
        if (rows[i].rc == 0) {
            assert_string_equal(path, rows[i].path);
        }
    }
}

static void test_upper_dir(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        const char *path;
    } rows[] = {
        {"700 600 0:60 / / rw,relatime master:300 - overlay overlay rw,lowerdir=/l/A:/l/B,"
         "upperdir=/var/lib/docker/overlay2/abc/diff,workdir=/var/lib/docker/overlay2/abc/work\n",
         0, "/var/lib/docker/overlay2/abc/diff"},
        {"700 600 0:60 / / rw - overlay overlay rw,upperdir=/var/lib/containerd/"
         "io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs",
         0, "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs"},
        {"700 600 0:60 / / rw - overlay overlay rw,upperdir=/a\\054b/diff,workdir=/w", 0,
         "/a,b/diff"},
        /* A second root over the first, as a container may mount it. */
        {"700 600 0:60 / / rw - overlay overlay rw,upperdir=/good\n"
         "701 700 0:61 / / rw - overlay overlay rw,upperdir=/etc\n",
         0, "/good"},
        {"700 600 0:60 / /x rw - overlay overlay rw,upperdir=/other\n"
         "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
         -ENOENT, ""},
        {"700 600 0:60 / / ro - overlay overlay ro,lowerdir=/l/A:/l/B", -ENOENT, ""},
        {"700 600 0:60 / / rw - overlay overlay rw,upperdir=abc/diff", -ENOENT, ""},
        {"700 600 0:60 / / rw - overlay overlay rw,upperdir=/", -ENOENT, ""},
        {"700 600 0:60 / / rw - overlay overlay rw,upperdir=", -ENOENT, ""},
        {"", -ENOENT, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char path[128] = "";
        assert_int_equal(tly_mount_upper_dir(tly_text_of(rows[i].text), path, sizeof(path)),
                         rows[i].rc);
        assert_string_equal(path, rows[i].path);
    }
    char small[8];
    assert_int_equal(tly_mount_upper_dir(tly_text_of(rows[0].text), small, sizeof(small)),
                     TLY_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_upper_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
