/*
 * Processes that are in a container without belonging to it, in a procfs made of plain files.
 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "collectors/cgroup/strangers.h"
#include "tests/unit/cgroup/tree_fixture.h"

#include <fcntl.h>

#define ID      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SCOPE   "/system.slice/docker-" ID ".scope"
#define FOREVER INT64_MAX

static char proc[TEMP_DIR_MAX];
static int proc_fd;
static struct tly_strangers strangers;

static int make_proc(void **state)
{
    (void)state;
    temp_dir_make(proc);
    proc_fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(proc_fd >= 0);
    tly_strangers_init(&strangers);
    return 0;
}

static int remove_proc(void **state)
{
    (void)state;
    tly_strangers_done(&strangers);
    (void)close(proc_fd);
    temp_dir_remove(proc);
    return 0;
}

static void process(const char *pid, const char *mount_ns, const char *cgroup)
{
    char path[FIXTURE_PATH];
    (void)snprintf(path, sizeof(path), "%s/ns", pid);
    fixture_folder(proc, path);
    fixture_path(path, proc, pid, "ns/mnt");
    assert_int_equal(symlink(mount_ns, path), 0);
    if (cgroup != NULL) {
        fixture_write(proc, pid, "cgroup", cgroup);
    }
}

static int64_t count_of(const char *path, const int32_t *known, size_t known_count)
{
    int64_t count = 77;
    const struct tly_home home = {7, ID, path, &count};
    tly_strangers_clear(&strangers);
    assert_int_equal(tly_strangers_home(&strangers, &home), 0);
    assert_int_equal(tly_strangers_knows(&strangers, known, known_count), 0);
    assert_int_equal(tly_strangers_count(&strangers, proc_fd, FOREVER), 0);
    return count;
}

/* Where a process of the container's mount namespace may be. */
static void by_cgroup(void **state)
{
    (void)state;
    static const struct {
        const char *cgroup;
        int64_t strangers;
    } rows[] = {
        {"0::" SCOPE "\n", 0},
        {"0::" SCOPE "/init.scope\n", 0},
        {"12:pids:/x\n0::/docker/" ID "/inner\n", 0},
        {"0::/../docker-" ID ".scope\n", 0}, /* the agent has a cgroup namespace of its own */
        {"0::/user.slice/session-1.scope\n", 1},
        {"0::/system.slice/docker-" OTHER ".scope\n", 1}, /* from another container */
        {"0::" SCOPE "x\n", 1},
        {"0::/\n", 1},
        {"", 1},
    };
    process("1", "mnt:[1]", "0::/init.scope\n");
    process("42", "mnt:[7]", "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_write(proc, "42", "cgroup", rows[i].cgroup);
        int64_t found = count_of(SCOPE, NULL, 0);
        if (found != rows[i].strangers) {
            fail_msg("%s: %lld", rows[i].cgroup, (long long)found);
        }
    }
}

static void who_counts(void **state)
{
    (void)state;
    static const int32_t known[] = {900, 43, 100};
    process("1", "mnt:[1]", "0::/init.scope\n");
    process("42", "mnt:[7]", "0::/user.slice\n");
    process("43", "mnt:[7]", "0::/user.slice\n"); /* was in its cgroup a moment ago */
    process("44", "mnt:[8]", "0::/user.slice\n");
    process("45", "mnt:[7]", NULL); /* gone */
    process("46", "nonsense", "0::/user.slice\n");
    process("self", "mnt:[7]", "0::/user.slice\n");
    fixture_folder(proc, "47");
    assert_int_equal(count_of("/docker/x", known, 3), 1);
    assert_int_equal(count_of("/docker/x", NULL, 0), 2);
    assert_int_equal(count_of("/user.slice", NULL, 0), 0);
}

/* A container in the host's mount namespace shares it with everybody. */
static void the_hosts_own(void **state)
{
    (void)state;
    process("1", "mnt:[7]", "0::/init.scope\n");
    process("42", "mnt:[7]", "0::/user.slice\n");
    assert_int_equal(count_of("/docker/x", NULL, 0), -1);
}

static void out_of_time(void **state)
{
    (void)state;
    int64_t count = 77;
    const struct tly_home home = {7, ID, SCOPE, &count};
    for (int pid = 1; pid < 200; pid++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", pid);
        process(name, "mnt:[1]", NULL);
    }
    assert_int_equal(tly_strangers_home(&strangers, &home), 0);
    assert_int_equal(tly_strangers_count(&strangers, proc_fd, 0), TLY_E_TIMEOUT);
    assert_int_equal(count, -1);
}

int main(void)
{
#define IN_PROC(test) cmocka_unit_test_setup_teardown(test, make_proc, remove_proc)
    const struct CMUnitTest tests[] = {
        IN_PROC(by_cgroup),
        IN_PROC(who_counts),
        IN_PROC(the_hosts_own),
        IN_PROC(out_of_time),
    };
    return cmocka_run_group_tests_name("strangers", tests, NULL, NULL);
}
