/*
 * Log files: what tells them apart when they were renamed, copied, compressed, cut or replaced; the
 * inflating of compressed ones, sound and damaged; and the walk through a directory.
 */
#include "agent/base/file.h"
#include "collectors/logs/file.h"
#include "collectors/logs/gzip.h"
#include "collectors/logs/walk.h"
#include "tests/unit/descriptors.h"
#include "tests/unit/unit.h"

#include "tests/unit/codec/gzip_member.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[TEMP_DIR_MAX];
    int fd;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    temp_dir_make(place->dir);
    place->fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place->fd >= 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    close(place->fd);
    temp_dir_remove(place->dir);
    free(place);
    return 0;
}

static void put(const struct place *place, const char *name, const char *text)
{
    int fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(tly_file_write_fd(fd, text, strlen(text)), 0);
    close(fd);
}

static void put_gzip(const struct place *place, const char *name, const char *text, size_t cut)
{
    struct tly_buf packed;
    tly_buf_init(&packed, SIZE_MAX);
    gzip_member(&packed, tly_text_of(text));
    int fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(tly_file_write_fd(fd, packed.at, packed.len - cut), 0);
    close(fd);
    tly_buf_done(&packed);
}

static void move(const struct place *place, const char *from, const char *to)
{
    assert_int_equal(renameat(place->fd, from, place->fd, to), 0);
}

static struct tly_log_file *opened(const struct place *place, const char *name)
{
    struct tly_log_file *file;
    bool gzip = tly_text_ends(tly_text_of(name), TLY_TEXT(".gz"));
    assert_int_equal(tly_log_file_open(place->fd, name, gzip, &file), 0);
    return file;
}

static bool matches(const struct place *place, const char *name,
                    const struct tly_position *position)
{
    struct tly_log_file *file = opened(place, name);
    bool same = tly_log_file_matches(file, position);
    tly_log_file_free(file);
    return same;
}

static void files_are_told_apart(void **state)
{
    const struct place *place = *state;
    struct tly_position position;
    put(place, "log", "first line\nsecond line\n");
    struct tly_log_file *file = opened(place, "log");
    tly_log_file_position(file, 5, &position);
    assert_int_equal(position.offset, 5);
    assert_int_equal(position.head_len, 23);
    move(place, "log", "log.1");
    assert_true(matches(place, "log.1", &position));
    put(place, "copy", "first line\nsecond line\nthird line\n"); /* has grown since */
    assert_true(matches(place, "copy", &position));
    put_gzip(place, "log.2.gz", "first line\nsecond line\n", 0);
    assert_true(matches(place, "log.2.gz", &position));
    put(place, "log", "first line\nother line \n");
    assert_false(matches(place, "log", &position));
    put(place, "log", "first line\n"); /* shorter than what was known */
    assert_false(matches(place, "log", &position));
    put_gzip(place, "log.2.gz", "other\n", 0);
    assert_false(matches(place, "log.2.gz", &position));
    tly_log_file_free(file);
}

static void what_is_no_log_file(void **state)
{
    const struct place *place = *state;
    struct tly_log_file *file;
    assert_int_equal(tly_log_file_open(place->fd, "none", false, &file), -ENOENT);
    assert_int_equal(mkdirat(place->fd, "dir", 0700), 0);
    assert_int_equal(tly_log_file_open(place->fd, "dir", false, &file), -EINVAL);
    assert_int_equal(mkfifoat(place->fd, "fifo", 0600), 0);
    assert_int_equal(tly_log_file_open(place->fd, "fifo", false, &file), -EINVAL);
    assert_int_equal(symlinkat("/etc/passwd", place->fd, "link"), 0);
    assert_int_equal(tly_log_file_open(place->fd, "link", false, &file), -ELOOP);
}

static void truncation_is_found_out(void **state)
{
    const struct place *place = *state;
    put(place, "log", "");
    struct tly_log_file *file = opened(place, "log");
    assert_false(tly_log_file_was_cut(file, 0)); /* nothing was there, nothing can be cut */
    put(place, "log", "first line\nsecond line\n");
    assert_false(tly_log_file_was_cut(file, 0));
    assert_int_equal(tly_log_file_look(file), 0);
    assert_int_equal(file->head_len, 23);
    assert_false(tly_log_file_was_cut(file, 23));
    put(place, "log", "first line\nsecond line\nthird line\n");
    assert_int_equal(tly_log_file_look(file), 0);
    assert_false(tly_log_file_was_cut(file, 23));
    put(place, "log", "first line\n");
    assert_int_equal(tly_log_file_look(file), 0);
    assert_int_equal(file->size, 34); /* what it was: so much was lost */
    assert_true(tly_log_file_was_cut(file, 23));
    put(place, "log", "other line\nlonger than the first one was\n");
    assert_true(tly_log_file_was_cut(file, 23));
    assert_false(file->deleted);
    assert_int_equal(unlinkat(place->fd, "log", 0), 0);
    assert_int_equal(tly_log_file_look(file), 0);
    assert_true(file->deleted);
    tly_log_file_free(file);
}

/* ---- gzip ---- */

/* Reads all in steps of `step` bytes; the end's code. */
static ssize_t inflate_all(const struct place *place, const char *name, size_t step,
                           struct tly_buf *to)
{
    struct tly_log_gzip *gzip;
    int fd = openat(place->fd, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(tly_log_gzip_new(fd, &gzip), 0);
    ssize_t count;
    tly_buf_clear(to);
    do {
        char *at;
        assert_int_equal(tly_buf_reserve(to, step, &at), 0);
        count = tly_log_gzip_read(gzip, at, step);
        to->len += count > 0 ? (size_t)count : 0;
    } while (count > 0);
    tly_log_gzip_free(gzip);
    close(fd);
    return count;
}

static void compressed_files_are_inflated(void **state)
{
    const struct place *place = *state;
    struct tly_buf got;
    struct tly_buf twice;
    tly_buf_init(&got, SIZE_MAX);
    tly_buf_init(&twice, SIZE_MAX);
    char *text = malloc(200001);
    assert_non_null(text);
    for (size_t i = 0; i < 200000; i++) {
        text[i] = (char)('a' + i * i % 23);
    }
    text[200000] = '\0';
    put_gzip(place, "one.gz", text, 0);
    static const size_t steps[] = {1000, 16384, 1 << 20};
    for (size_t i = 0; i < ROWS(steps); i++) {
        assert_int_equal(inflate_all(place, "one.gz", steps[i], &got), 0);
        expect_text(tly_buf_text(&got), text);
    }
    /* two members, one behind the other */
    gzip_member(&twice, TLY_TEXT("one "));
    gzip_member(&twice, TLY_TEXT("two"));
    int fd = openat(place->fd, "two.gz", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(tly_file_write_fd(fd, twice.at, twice.len), 0);
    close(fd);
    assert_int_equal(inflate_all(place, "two.gz", 100, &got), 0);
    expect_text(tly_buf_text(&got), "one two");
    put(place, "empty.gz", "");
    assert_int_equal(inflate_all(place, "empty.gz", 100, &got), 0);
    assert_int_equal(got.len, 0);
    free(text);
    tly_buf_done(&twice);
    tly_buf_done(&got);
}

/* What stands before the damage is read. */
static void damaged_files_are_read_as_far_as_they_go(void **state)
{
    const struct place *place = *state;
    struct tly_buf got;
    tly_buf_init(&got, SIZE_MAX);
    put_gzip(place, "torn.gz", "all of this can be read", 4);
    assert_int_equal(inflate_all(place, "torn.gz", 100, &got), TLY_E_MALFORMED);
    expect_text(tly_buf_text(&got), "all of this can be read");
    put(place, "none.gz", "this is no gzip at all");
    assert_int_equal(inflate_all(place, "none.gz", 100, &got), TLY_E_MALFORMED);
    assert_int_equal(got.len, 0);
    put_gzip(place, "flip.gz", "some text that will have a wrong checksum", 0);
    int fd = openat(place->fd, "flip.gz", O_RDWR | O_CLOEXEC);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pwrite(fd, "\xff\x00\xff", 3, st.st_size - 8), 3);
    close(fd);
    assert_int_equal(inflate_all(place, "flip.gz", 100, &got), TLY_E_MALFORMED);
    expect_text(tly_buf_text(&got), "some text that will have a wrong checksum");
    tly_buf_done(&got);
}

/* ---- the walk ---- */

static void contents(const struct tly_log_file *file, char to[256])
{
    ssize_t count;
    if (file->gzip) {
        struct tly_log_gzip *gzip;
        assert_int_equal(tly_log_gzip_new(file->fd, &gzip), 0);
        count = tly_log_gzip_read(gzip, to, 255);
        tly_log_gzip_free(gzip);
    } else {
        count = tly_file_pread(file->fd, to, 255, 0);
    }
    assert_true(count >= 0);
    to[count] = '\0';
}

/* The texts of the files found, oldest first, joined. */
static void expect_walk(const struct place *place, const struct tly_log_known *known, size_t count,
                        const char *expected, bool has_current)
{
    struct tly_log_walk walk;
    char all[1024] = "";
    assert_int_equal(tly_log_walk(place->fd, "log", known, count, &walk), 0);
    for (const struct tly_log_file *file = walk.oldest; file; file = file->newer) {
        char text[256];
        contents(file, text);
        strncat(all, text, sizeof(all) - strlen(all) - 1);
        assert_true(file->newer || file == walk.newest);
    }
    assert_string_equal(all, expected);
    assert_int_equal(walk.has_current, has_current);
    tly_log_walk_done(&walk);
}

static struct tly_log_known known_of(const struct tly_log_file *file, bool held)
{
    struct tly_log_known known = {.held = held};
    tly_log_file_position(file, 0, &known.identity);
    return known;
}

static void walks_find_files_in_order(void **state)
{
    const struct place *place = *state;
    expect_walk(place, NULL, 0, "", false);
    put(place, "log", "e");
    expect_walk(place, NULL, 0, "e", true);
    put(place, "log.1", "d");
    put_gzip(place, "log.2.gz", "c", 0);
    put(place, "log.10", "a");
    put(place, "log.9", "b");
    /* names that mean nothing */
    put(place, "log.0", "x");
    put(place, "log.x", "x");
    put(place, "log.1.bak", "x");
    put(place, "log.99999999999", "x");
    put(place, "logs.3", "x");
    expect_walk(place, NULL, 0, "abcde", true);
    /* while it is compressed, both names are there, and the new one is not finished */
    put_gzip(place, "log.1.gz", "d", 6);
    expect_walk(place, NULL, 0, "abcde", true);
    assert_int_equal(unlinkat(place->fd, "log", 0), 0);
    expect_walk(place, NULL, 0, "abcd", false);
}

/* A file that cannot be opened for want of a descriptor is not passed over. */
static void walks_need_descriptors(void **state)
{
    const struct place *place = *state;
    struct tly_log_walk walk;
    put(place, "log", "c");
    put(place, "log.1", "b");
    put_gzip(place, "log.2.gz", "a", 0);
    for (rlim_t spare = 0; spare < 3; spare++) {
        struct rlimit whole = descriptors_leave(spare);
        int rc = tly_log_walk(place->fd, "log", NULL, 0, &walk);
        descriptors_restore(&whole);
        assert_int_equal(rc, -EMFILE);
    }
    expect_walk(place, NULL, 0, "abc", true);
}

static void walks_end_at_what_is_known(void **state)
{
    const struct place *place = *state;
    put(place, "log", "b");
    put(place, "log.1", "a");
    struct tly_log_file *file = opened(place, "log");
    struct tly_log_known known = known_of(file, true);
    expect_walk(place, &known, 1, "", true);
    move(place, "log", "log.2");
    expect_walk(place, &known, 1, "a", false); /* .1 is newer than .2 */
    put(place, "log.1", "c");
    put(place, "log", "d");
    expect_walk(place, &known, 1, "cd", true);
    /* compressed since: only its beginning tells */
    assert_int_equal(unlinkat(place->fd, "log.2", 0), 0);
    put_gzip(place, "log.2.gz", "b", 0);
    expect_walk(place, &known, 1, "cd", true);
    /* deleted altogether: everything is new */
    assert_int_equal(unlinkat(place->fd, "log.2.gz", 0), 0);
    expect_walk(place, &known, 1, "cd", true);
    tly_log_file_free(file);
    /* not held any more: another file may have its inode, but not its beginning */
    struct tly_log_file *current = opened(place, "log");
    known = known_of(current, false);
    expect_walk(place, &known, 1, "", true);
    known.identity.head_hash++;
    expect_walk(place, &known, 1, "cd", true);
    tly_log_file_free(current);
}

static void copies_are_found(void **state)
{
    const struct place *place = *state;
    struct tly_position position;
    struct tly_log_file *copy;
    put(place, "log", "first line\n");
    struct tly_log_file *file = opened(place, "log");
    tly_log_file_position(file, 11, &position);
    assert_int_equal(tly_log_walk_find(place->fd, "log", &position, &copy), -ENOENT);
    put(place, "log.1", "other\n");
    put(place, "log.2", "first line\nsecond line\n");
    assert_int_equal(tly_log_walk_find(place->fd, "log", &position, &copy), 0);
    char text[256];
    contents(copy, text);
    assert_string_equal(text, "first line\nsecond line\n");
    assert_true(copy->final);
    tly_log_file_free(copy);
    tly_log_file_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        ROW(files_are_told_apart),
        ROW(what_is_no_log_file),
        ROW(truncation_is_found_out),
        ROW(compressed_files_are_inflated),
        ROW(damaged_files_are_read_as_far_as_they_go),
        ROW(walks_find_files_in_order),
        ROW(walks_need_descriptors),
        ROW(walks_end_at_what_is_known),
        ROW(copies_are_found),
#undef ROW
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
