/*
 * Files on a real file system: kernel files of unknown size, limits, atomic replacement and what
 * stands in its way.
 */
#include "agent/base/file.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[TEMP_DIR_MAX];
static int dir = -1;

static int make_folder(void **state)
{
    (void)state;
    temp_dir_make(folder);
    return tly_file_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, &dir);
}

static int remove_folder(void **state)
{
    (void)state;
    tly_fd_close(&dir);
    temp_dir_remove(folder);
    return 0;
}

static void write_file(const char *name, const char *content)
{
    TLY_AUTO_FD fd = -1;
    assert_int_equal(tly_file_open(dir, name, O_WRONLY | O_TRUNC, &fd), -ENOENT);
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(tly_file_write_fd(fd, content, strlen(content)), 0);
}

static void expect_content(const char *name, const char *expected)
{
    struct tly_buf buf;
    tly_buf_init(&buf, 4096);
    assert_int_equal(tly_file_read(dir, name, &buf), 0);
    expect_text(tly_buf_text(&buf), expected);
    tly_buf_done(&buf);
}

static size_t count_entries(void)
{
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(stream))) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(stream);
    return count;
}

static void opens_close_on_exec(void **state)
{
    (void)state;
    TLY_AUTO_FD fd = -1;
    assert_int_equal(tly_file_open(AT_FDCWD, "/proc/self/stat", O_RDONLY, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int other = 77;
    assert_int_equal(tly_file_open(dir, "nothing", O_RDONLY, &other), -ENOENT);
    assert_int_equal(other, 77);
    errno = E2BIG;
    tly_fd_close(&fd);
    assert_int_equal(errno, E2BIG);
    assert_int_equal(fd, -1);
    tly_fd_close(&fd);
}

static void reads_kernel_files(void **state)
{
    (void)state;
    struct tly_buf buf;
    tly_buf_init(&buf, 1 << 20);
    assert_int_equal(tly_buf_append(&buf, "before ", 7), 0);
    assert_int_equal(tly_file_read(AT_FDCWD, "/proc/self/maps", &buf), 0);
    assert_memory_equal(buf.at, "before ", 7);
    assert_true(buf.len > 500); /* a file that stat(2) calls empty */
    assert_int_equal(buf.at[buf.len - 1], '\n');
    tly_buf_done(&buf);
}

static void reads_up_to_the_limit(void **state)
{
    (void)state;
    char *content = malloc(10001);
    assert_non_null(content);
    memset(content, 'x', 10000);
    content[10000] = '\0';
    write_file("large", content);
    static const size_t maxima[] = {10000, 10001, 20000, 9999, 4096, 1, 0};
    for (size_t i = 0; i < ROWS(maxima); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, maxima[i]);
        int rc = tly_file_read(dir, "large", &buf);
        assert_int_equal(rc, maxima[i] >= 10000 ? 0 : TLY_E_LIMIT);
        assert_int_equal(buf.len, rc == 0 ? 10000 : 0);
        tly_buf_done(&buf);
    }
    free(content);

    /* From the current offset on, and an empty file fits any buffer. */
    TLY_AUTO_FD fd = -1;
    struct tly_buf buf;
    tly_buf_init(&buf, 100);
    assert_int_equal(tly_file_open(dir, "large", O_RDONLY, &fd), 0);
    assert_int_equal(lseek(fd, 9990, SEEK_SET), 9990);
    assert_int_equal(tly_file_read_fd(fd, &buf), 0);
    expect_text(tly_buf_text(&buf), "xxxxxxxxxx");
    tly_buf_done(&buf);
    write_file("empty", "");
    tly_buf_init(&buf, 0);
    assert_int_equal(tly_file_read(dir, "empty", &buf), 0);
    assert_int_equal(tly_file_read(dir, "missing", &buf), -ENOENT);
    assert_int_equal(tly_file_read(AT_FDCWD, folder, &buf), -EISDIR);
    tly_buf_done(&buf);
}

static void reads_the_head(void **state)
{
    (void)state;
    write_file("ten", "0123456789");
    static const size_t maxima[] = {100, 11, 10, 9, 1, 0};
    for (size_t i = 0; i < ROWS(maxima); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, maxima[i]);
        assert_int_equal(tly_file_read_head(dir, "ten", &buf), 0);
        assert_int_equal(buf.len, maxima[i] < 10 ? maxima[i] : 10);
        assert_memory_equal(buf.len > 0 ? buf.at : "", "0123456789", buf.len);
        tly_buf_done(&buf);
    }

    /* A buffer that has something already, and failures that leave it alone. */
    struct tly_buf buf;
    tly_buf_init(&buf, 10);
    assert_int_equal(tly_buf_append(&buf, "before ", 7), 0);
    assert_int_equal(tly_file_read_head(dir, "missing", &buf), -ENOENT);
    assert_int_equal(tly_file_read_head(AT_FDCWD, folder, &buf), -EISDIR);
    assert_int_equal(tly_file_read_head(dir, "ten", &buf), 0);
    expect_text(tly_buf_text(&buf), "before 012");
    tly_buf_done(&buf);
}

static void reads_at_an_offset(void **state)
{
    (void)state;
    write_file("at", "0123456789");
    TLY_AUTO_FD fd = -1;
    assert_int_equal(tly_file_open(dir, "at", O_RDONLY, &fd), 0);
    char to[8];
    assert_int_equal(tly_file_pread(fd, to, 4, 3), 4);
    assert_memory_equal(to, "3456", 4);
    assert_int_equal(tly_file_pread(fd, to, 8, 8), 2);
    assert_int_equal(tly_file_pread(fd, to, 8, 10), 0);
    assert_int_equal(tly_file_pread(-1, to, 8, 0), -EBADF);
}

static void nothing(int signum)
{
    (void)signum;
}

/* A pipe takes less than is written at once, and a signal interrupts each side. */
static void writes_over_short_counts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const struct sigaction action = {.sa_handler = nothing}; /* without SA_RESTART */
    struct sigaction old;
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    enum { SIZE = 4 << 20 };
    pid_t child = fork();
    assert_true(child >= 0);
    const struct itimerval often = {{0, 2000}, {0, 2000}};
    if (child == 0) {
        (void)setitimer(ITIMER_REAL, &often, NULL);
        (void)close(ends[0]);
        char *bytes = malloc(SIZE);
        if (!bytes) {
            _exit(1);
        }
        for (size_t i = 0; i < SIZE; i++) {
            bytes[i] = (char)(i % 251);
        }
        int rc = tly_file_write_fd(ends[1], bytes, SIZE);
        free(bytes);
        _exit(rc == 0 ? 0 : 1);
    }
    (void)close(ends[1]);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    struct tly_buf buf;
    tly_buf_init(&buf, SIZE);
    int rc = tly_file_read_fd(ends[0], &buf);
    const struct itimerval never = {{0, 0}, {0, 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(buf.len, SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        if (buf.at[i] != (char)(i % 251)) {
            fail_msg("byte %zu", i);
        }
    }
    tly_buf_done(&buf);
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(tly_file_write_fd(-1, "x", 1), -EBADF);
}

static void replaces_atomically(void **state)
{
    (void)state;
    mode_t mask = umask(077);
    assert_int_equal(tly_file_replace(dir, "position", 0644, "one", 3), 0);
    (void)umask(mask);
    expect_content("position", "one");
    struct stat status;
    assert_int_equal(fstatat(dir, "position", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0644);

    /* Who has the old file open keeps the old content: it was replaced, not written over. */
    TLY_AUTO_FD old = -1;
    assert_int_equal(tly_file_open(dir, "position", O_RDONLY, &old), 0);
    assert_int_equal(tly_file_replace(dir, "position", 0600, "another", 7), 0);
    expect_content("position", "another");
    struct tly_buf buf;
    tly_buf_init(&buf, 100);
    assert_int_equal(tly_file_read_fd(old, &buf), 0);
    expect_text(tly_buf_text(&buf), "one");
    tly_buf_done(&buf);
    assert_int_equal(tly_file_replace(dir, "position", 0600, NULL, 0), 0);
    expect_content("position", "");
    assert_int_equal(count_entries(), 1);
}

static void replaces_over_a_crash(void **state)
{
    (void)state;
    /* A temporary file left behind, or a link in its place, is removed and not written through. */
    write_file("victim", "untouched");
    assert_int_equal(symlinkat("victim", dir, "position.new"), 0);
    assert_int_equal(tly_file_replace(dir, "position", 0600, "new", 3), 0);
    expect_content("position", "new");
    expect_content("victim", "untouched");
    assert_int_equal(count_entries(), 2);
}

static void a_failed_replacement_leaves_the_old(void **state)
{
    (void)state;
    char name[NAME_MAX + 1];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(tly_file_replace(dir, name, 0600, "x", 1), -ENAMETOOLONG);
    assert_int_equal(tly_file_replace(dir, "", 0600, "x", 1), -EINVAL);
    assert_int_equal(tly_file_replace(dir, "a/b", 0600, "x", 1), -EINVAL);
    assert_int_equal(tly_file_replace(-1, "a", 0600, "x", 1), -EBADF);
    assert_int_equal(mkdirat(dir, "taken", 0700), 0);
    assert_int_equal(tly_file_replace(dir, "taken", 0600, "x", 1), -EISDIR);
    assert_int_equal(count_entries(), 1); /* no temporary file stays */

    /* A descriptor with O_PATH, which can't be synced itself, serves as well. */
    TLY_AUTO_FD path = -1;
    assert_int_equal(tly_file_open(AT_FDCWD, folder, O_PATH | O_DIRECTORY, &path), 0);
    assert_int_equal(tly_file_replace(path, "ok", 0600, "x", 1), 0);
    expect_content("ok", "x");
}

static void makes_directories(void **state)
{
    (void)state;
    char path[TEMP_DIR_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/a//b/c/", folder);
    assert_int_equal(tly_file_make_dirs(path, 0750), 0);
    assert_int_equal(tly_file_make_dirs(path, 0750), 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0750);

    (void)snprintf(path, sizeof(path), "%s/file", folder);
    write_file("file", "");
    assert_int_equal(tly_file_make_dirs(path, 0750), -ENOTDIR);
    (void)snprintf(path, sizeof(path), "%s/file/below", folder);
    assert_int_equal(tly_file_make_dirs(path, 0750), -ENOTDIR);
    assert_int_equal(tly_file_make_dirs("", 0750), -ENOENT);
    assert_int_equal(tly_file_make_dirs("/", 0750), 0);
    char *longest = malloc(PATH_MAX + 1);
    assert_non_null(longest);
    memset(longest, '/', PATH_MAX);
    longest[PATH_MAX] = '\0';
    assert_int_equal(tly_file_make_dirs(longest, 0750), -ENAMETOOLONG);
    free(longest);
}

static void frees_what_a_cleanup_points_to(void **state)
{
    (void)state;
    TLY_AUTO_FREE char *text = tly_text_dup(TLY_TEXT("gone at the end, says the sanitizer"));
    assert_non_null(text);
    TLY_AUTO_FREE char *none = NULL;
    assert_null(none);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(opens_close_on_exec),
        IN_FOLDER(reads_kernel_files),
        IN_FOLDER(reads_up_to_the_limit),
        IN_FOLDER(reads_the_head),
        IN_FOLDER(reads_at_an_offset),
        IN_FOLDER(writes_over_short_counts),
        IN_FOLDER(replaces_atomically),
        IN_FOLDER(replaces_over_a_crash),
        IN_FOLDER(a_failed_replacement_leaves_the_old),
        IN_FOLDER(makes_directories),
        cmocka_unit_test(frees_what_a_cleanup_points_to),
    };
    return cmocka_run_group_tests_name("base:file", tests, NULL, NULL);
}
