/*
 * The state folder: made, locked against a second agent, and refused with advice.
 */
#include "agent/state_dir.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[TEMP_DIR_MAX];

static int make_folder(void **state)
{
    (void)state;
    temp_dir_make(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void path_below(const char *name, char to[2 * TEMP_DIR_MAX])
{
    (void)snprintf(to, 2 * TEMP_DIR_MAX, "%s/%s", folder, name);
}

static void test_open(void **state)
{
    (void)state;
    char path[2 * TEMP_DIR_MAX];
    path_below("a/b", path);
    struct tly_state_dir dir;
    struct tly_error err = {0};
    (void)umask(0);
    assert_int_equal(tly_state_dir_open(path, &dir, &err), 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0750);
    assert_int_equal(fcntl(dir.dir_fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(dir.lock_fd, F_GETFD), FD_CLOEXEC);

    struct tly_state_dir second;
    assert_int_equal(tly_state_dir_open(path, &second, &err), -EBUSY);
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "(process %d)", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, path));

    tly_state_dir_close(&dir);
    assert_int_equal(dir.dir_fd, -1);
    assert_int_equal(tly_state_dir_open(path, &second, &err), 0);
    tly_state_dir_close(&second);
}

/* A lock dies with the process that held it, however that ended. */
static void test_after_kill(void **state)
{
    (void)state;
    char path[2 * TEMP_DIR_MAX];
    path_below("killed", path);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct tly_state_dir dir;
        char done = tly_state_dir_open(path, &dir, NULL) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &done, 1);
        for (;;) {
            (void)pause();
        }
    }
    assert_true(child > 0);
    char done = 'n';
    assert_int_equal(read(ready[0], &done, 1), 1);
    assert_int_equal(done, 'y');
    struct tly_state_dir dir;
    struct tly_error err = {0};
    assert_int_equal(tly_state_dir_open(path, &dir, &err), -EBUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(tly_state_dir_open(path, &dir, &err), 0);
    tly_state_dir_close(&dir);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void test_refused(void **state)
{
    (void)state;
    char path[2 * TEMP_DIR_MAX];
    path_below("file", path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    struct tly_state_dir dir;
    struct tly_error err = {0};
    assert_true(tly_state_dir_open(path, &dir, &err) < 0);
    assert_non_null(strstr(err.text, "set `state_dir` to a folder"));
    assert_true(tly_state_dir_open("/proc/nowhere", &dir, &err) < 0);
    assert_non_null(strstr(err.text, "/proc/nowhere"));

    /* A link where the lock should be could make the agent write to any file. */
    char link[2 * TEMP_DIR_MAX];
    path_below("linked", path);
    path_below("linked/lock", link);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(symlink("/dev/null", link), 0);
    assert_int_equal(tly_state_dir_open(path, &dir, &err), -ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_after_kill),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
