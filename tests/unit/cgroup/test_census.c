/*
 * The census of processes on real processes: children of the test, in cgroups made of plain files
 * that list them.
 */
#include "collectors/cgroup/census.h"
#include "tests/unit/cgroup/tree_fixture.h"

#include "agent/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define CHILDREN_MAX 8

static char root[TEMP_DIR_MAX];
static struct tly_census *census;
static size_t lists;       /* of processes, since the test began */
static size_t list_fails;  /* the one without a descriptor left; 0: none */
static size_t known_fails; /* how many more find no memory */

int __real_tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd);
int __wrap_tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd);
int __real_tly_strangers_knows(struct tly_strangers *strangers, const int32_t *pids, size_t count);
int __wrap_tly_strangers_knows(struct tly_strangers *strangers, const int32_t *pids, size_t count);

int __wrap_tly_file_open(int dir_fd, const char *path, int flags, int *ret_fd)
{
    if (strcmp(path, ".") == 0 && ++lists == list_fails) {
        return -EMFILE;
    }
    return __real_tly_file_open(dir_fd, path, flags, ret_fd);
}

int __wrap_tly_strangers_knows(struct tly_strangers *strangers, const int32_t *pids, size_t count)
{
    if (known_fails > 0) {
        known_fails--;
        return -ENOMEM;
    }
    return __real_tly_strangers_knows(strangers, pids, count);
}

static pid_t children[CHILDREN_MAX];
static size_t child_count;
static size_t gone;

static int make_root(void **state)
{
    (void)state;
    temp_dir_make(root);
    child_count = 0;
    gone = 0;
    lists = 0;
    list_fails = 0;
    known_fails = 0;
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    tly_census_free(census);
    census = NULL;
    for (size_t i = 0; i < child_count; i++) {
        (void)kill(children[i], SIGKILL); /* it may have ended */
        (void)waitpid(children[i], NULL, 0);
    }
    temp_dir_remove(root);
    return 0;
}

static void new_census(int64_t budget_ns)
{
    struct tly_census_config config = {.root = root, .proc = "/proc", .budget_ns = budget_ns};
    config.groups.on[TLY_G_process] = true;
    config.groups.on[TLY_G_sched] = true;
    config.groups.on[TLY_G_cpuLoad] = true;
    config.groups.on[TLY_G_suspects] = true;
    assert_int_equal(tly_census_new(&config, &census), 0);
}

/* In the child: what it has, and a word that it has it. */
static void child_live(int ready, size_t sockets, bool zombie)
{
    for (size_t i = 0; i < sockets; i++) {
        if (socket(AF_UNIX, SOCK_STREAM, 0) < 0) {
            _exit(1);
        }
    }
    if (zombie) {
        pid_t pid = fork();
        siginfo_t info;
        if (pid == 0) {
            _exit(0);
        }
        /* Until it has ended, and without taking its last word. */
        if (pid < 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0) {
            _exit(1);
        }
    }
    if (write(ready, "", 1) != 1) {
        _exit(1);
    }
    while (true) {
        (void)pause();
    }
}

static pid_t child_start(size_t sockets, bool zombie)
{
    int ready[2];
    char byte;
    assert_true(child_count < CHILDREN_MAX);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_live(ready[1], sockets, zombie);
    }
    children[child_count++] = pid;
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

static void cgroup_make(const char *path, const pid_t *pids, size_t count)
{
    char text[256] = "";
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "%d\n", pids[i]);
    }
    fixture_folder(root, path);
    fixture_write(root, path, "cgroup.procs", text);
}

static void see_started(const char *id, const char *path, enum tly_container_state state,
                        int64_t started_ns)
{
    struct tly_container *container = tly_container_new(tly_text_of(id));
    assert_non_null(container);
    container->state = state;
    container->started_ns = started_ns;
    assert_int_equal(tly_container_set(&container->cgroup_path, tly_text_of(path)), 0);
    assert_int_equal(tly_census_see(census, container), 0);
    tly_container_unref(container);
}

static void see(const char *id, const char *path, enum tly_container_state state)
{
    see_started(id, path, state, TLY_UNKNOWN);
}

static void node_gone(void *arg, const struct tly_census_node *node)
{
    (void)arg;
    (void)node;
    gone++;
}

static struct tly_census_node *node_of(const char *id)
{
    return tly_map_get(census->nodes, tly_text_of(id));
}

static int64_t value(const char *id, enum tly_family_id family, const char *labels)
{
    return fixture_value(node_of(id)->set, family, labels);
}

static void what_processes_have(void **state)
{
    (void)state;
    const pid_t outer = child_start(3, true);
    const pid_t inner = child_start(1, false);
    cgroup_make("docker/a", &outer, 1);
    cgroup_make("docker/a/nested", &inner, 1);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/docker/a", TLY_STATE_RUNNING);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_processes, ""), 2);
    assert_int_equal(value(ID_A, TLY_F_container_zombies, ""), 1);
    assert_int_equal(value(ID_A, TLY_F_container_sockets, ""), 4);
    assert_true(value(ID_A, TLY_F_container_file_descriptors, "") >= 4);
    assert_int_equal(value(ID_A, TLY_F_container_tasks_state, "state=\"stopped\""), 0);
    assert_true(value(ID_A, TLY_F_container_ulimits_soft, "ulimit=\"max_open_files\"") > 0);
    assert_true(value(ID_A, TLY_F_container_cpu_schedstat_run_seconds_total, "") > 0);
    assert_true(value(ID_A, TLY_F_container_cpu_schedstat_run_periods_total, "") > 0);
    assert_int_equal(census->errors, 0);
}

/* The sanitizers bring threads of their own. */
static int64_t threads_of(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int64_t count = -2; /* . and .. */
    while (readdir(directory)) {
        count++;
    }
    assert_int_equal(closedir(directory), 0);
    return count;
}

/* A stopped process is no running one, and one that ended is none. */
static void states_and_ends(void **state)
{
    (void)state;
    const pid_t pids[] = {child_start(0, false), child_start(0, false)};
    siginfo_t info;
    cgroup_make("a", pids, 2);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    assert_int_equal(kill(pids[0], SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)pids[0], &info, WSTOPPED | WNOWAIT), 0);
    const int64_t stopped = threads_of(pids[0]);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_tasks_state, "state=\"stopped\""), stopped);
    int64_t before_ns = value(ID_A, TLY_F_container_cpu_schedstat_run_seconds_total, "");
    assert_int_equal(kill(pids[1], SIGKILL), 0);
    assert_int_equal(waitpid(pids[1], NULL, 0), pids[1]);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_tasks_state, "state=\"stopped\""), stopped);
    /* What it used is not taken back. */
    assert_true(value(ID_A, TLY_F_container_cpu_schedstat_run_seconds_total, "") >= before_ns);
    assert_int_equal(census->errors, 0);
}

static void program_path(char to[FIXTURE_PATH], const char *name)
{
    fixture_path(to, root, ".", name);
}

static void program_make(const char *name)
{
    char program[FIXTURE_PATH];
    program_path(program, name);
    pid_t copying = fork();
    if (copying == 0) {
        (void)execlp("cp", "cp", "/bin/sleep", program, (char *)NULL);
        _exit(1);
    }
    int status = 1;
    assert_int_equal(waitpid(copying, &status, 0), copying);
    assert_int_equal(status, 0);
}

static pid_t program_start(const char *name)
{
    char program[FIXTURE_PATH];
    program_path(program, name);
    int closed[2]; /* by exec */
    char byte;
    assert_int_equal(pipe2(closed, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execl(program, program, "1000", (char *)NULL);
        _exit(1);
    }
    children[child_count++] = pid;
    (void)close(closed[1]);
    assert_int_equal(read(closed[0], &byte, 1), 0);
    (void)close(closed[0]);
    return pid;
}

/* A program of that name, which is gone from the disk as soon as it runs. */
static pid_t miner_start(const char *name)
{
    program_make(name);
    pid_t pid = program_start(name);
    fixture_remove(root, ".", name);
    return pid;
}

static void what_is_suspicious(void **state)
{
    (void)state;
    const pid_t pids[] = {child_start(0, false), miner_start("xmrig"), miner_start("harmless")};
    cgroup_make("a", pids, 3);
    cgroup_make("b", pids, 1);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    see(ID_B, "/b", TLY_STATE_RUNNING);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_suspicious_processes, "kind=\"miner\""), 1);
    assert_int_equal(value(ID_A, TLY_F_container_processes_deleted_exe, ""), 2);
    assert_int_equal(value(ID_A, TLY_F_container_processes_not_in_image, ""), 2);
    assert_int_equal(value(ID_B, TLY_F_container_processes_not_in_image, ""), 0);
    assert_int_equal(value(ID_B, TLY_F_container_suspicious_processes, "kind=\"miner\""), 0);
    assert_int_equal(value(ID_B, TLY_F_container_processes_deleted_exe, ""), 0);
}

/* A program that lay there before the first process began is the image's own. */
static void what_came_before(void **state)
{
    (void)state;
    pid_t pids[] = {miner_start("earlier"), miner_start("later")};
    cgroup_make("a", pids, 2);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_processes_deleted_exe, ""), 2);
    /* The first one was unlinked after its start, which is a change as well. */
    assert_int_equal(value(ID_A, TLY_F_container_processes_not_in_image, ""), 2);
    /* The engine's word of a later start, as after a change of the clock. */
    cgroup_make("b", pids, 2);
    see_started(ID_B, "/b", TLY_STATE_RUNNING, tly_clock_realtime_ns() + 3600 * TLY_NS_PER_S);
    tly_census_run(census);
    assert_int_equal(value(ID_B, TLY_F_container_processes_not_in_image, ""), 0);
}

/* Until what begins is later: the clocks of files and of processes tick in hundredths of a second,
 * and each is taken for a tick older than it may be. */
static void await_later_than(const char *name)
{
    char program[FIXTURE_PATH];
    struct stat status;
    program_path(program, name);
    assert_int_equal(stat(program, &status), 0);
    const int64_t changed_ns = status.st_ctim.tv_sec * TLY_NS_PER_S + status.st_ctim.tv_nsec;
    while (tly_clock_realtime_ns() < changed_ns + 50 * TLY_NS_PER_MS) {
        (void)sched_yield();
    }
}

/* The census may see a container's next run before the inventory has its start. */
static void a_start_that_is_told_later(void **state)
{
    (void)state;
    program_make("of_the_run_before");
    await_later_than("of_the_run_before");
    const pid_t pids[] = {child_start(0, false), program_start("of_the_run_before")};
    cgroup_make("a", pids, 2);
    new_census(60 * TLY_NS_PER_S);
    see_started(ID_A, "/a", TLY_STATE_RUNNING, tly_clock_realtime_ns() - 3600 * TLY_NS_PER_S);
    tly_census_run(census);
    assert_true(value(ID_A, TLY_F_container_processes_not_in_image, "") > 0);
    see_started(ID_A, "/a", TLY_STATE_RUNNING, tly_clock_realtime_ns());
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_processes_not_in_image, ""), 0);
}

/* Whether those that came later are still there can't be told: that is not none. */
static void no_descriptor_to_settle_with(void **state)
{
    (void)state;
    const pid_t pids[] = {child_start(0, false), miner_start("later")};
    cgroup_make("a", pids, 2);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    list_fails = 2;
    tly_census_run(census);
    assert_true(lists >= list_fails);
    assert_int_equal(value(ID_A, TLY_F_container_processes_not_in_image, ""), INT64_MIN);
    assert_int_equal(value(ID_A, TLY_F_container_processes_deleted_exe, ""), 1);
    assert_int_equal(value(ID_A, TLY_F_container_processes, ""), 2);
    assert_true(value(ID_A, TLY_F_container_ulimits_soft, "ulimit=\"max_open_files\"") > 0);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_processes_not_in_image, ""), 1);
}

/* A megabyte of them. */
static void cgroup_make_huge(const char *path)
{
    char full[FIXTURE_PATH];
    fixture_folder(root, path);
    fixture_path(full, root, path, "cgroup.procs");
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    for (size_t len = 0; len <= 1U << 20; len += 8) {
        assert_true(fputs("1000000\n", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
}

/* It has nothing of the container that was looked at before it. */
static void more_processes_than_are_looked_at(void **state)
{
    (void)state;
    const pid_t pid = child_start(0, false);
    cgroup_make("a", &pid, 1);
    cgroup_make_huge("b");
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    see(ID_B, "/b", TLY_STATE_RUNNING);
    for (size_t round = 0; round < 2; round++) { /* whichever comes first in one */
        tly_census_run(census);
        assert_true(node_of(ID_A)->mount_ns > 0);
        assert_true(value(ID_A, TLY_F_container_ulimits_soft, "ulimit=\"max_open_files\"") > 0);
        assert_true(node_of(ID_B)->over);
        assert_int_equal(node_of(ID_B)->mount_ns, 0);
        assert_int_equal(value(ID_B, TLY_F_container_ulimits_soft, "ulimit=\"max_open_files\""),
                         INT64_MIN);
    }
}

/* What the walk before has found is not told once more. */
static void no_memory_to_look_for_strangers(void **state)
{
    (void)state;
    const pid_t pids[] = {child_start(0, false), child_start(0, false)};
    cgroup_make("a", &pids[0], 1);
    cgroup_make("b", &pids[1], 1);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    see(ID_B, "/b", TLY_STATE_RUNNING);
    tly_census_run(census);
    node_of(ID_A)->strangers = 7;
    node_of(ID_B)->strangers = 7;
    known_fails = 1;
    tly_census_run(census);
    assert_int_equal(known_fails, 0);
    assert_int_equal(value(ID_A, TLY_F_container_foreign_processes, ""), INT64_MIN);
    assert_int_equal(value(ID_B, TLY_F_container_foreign_processes, ""), INT64_MIN);
    assert_int_equal(census->errors, 1);
}

static void since_when(void **state)
{
    (void)state;
    static const struct {
        int64_t process_s, engine_s, since_s;
    } rows[] = {
        {1000, 0, 1000},    {1000, 1001, 1000}, {1000, 1059, 1000},
        {0, 1000, 1000},    {1000, 5000, 5000}, /* the clock was set forward, and back */
        {5000, 1000, 1000}, {0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            tly_image_since(rows[i].process_s * TLY_NS_PER_S, rows[i].engine_s * TLY_NS_PER_S),
            rows[i].since_s * TLY_NS_PER_S);
    }
}

/* In the test's own mount namespace, as everybody is: nobody is a stranger in it. */
static void strangers_are_not_told_of_the_host(void **state)
{
    (void)state;
    const pid_t pid = child_start(0, false);
    cgroup_make("a", &pid, 1);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    tly_census_run(census);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_foreign_processes, ""), INT64_MIN);
    assert_int_equal(census->errors, 0);
}

/* A container's mount namespace, and a process in it that its cgroup has not. */
static void strangers_are_counted(void **state)
{
    (void)state;
    int ready[2];
    pid_t inner = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0) {
            _exit(1);
        }
        inner = fork();
        if (inner > 0 && write(ready[1], &inner, sizeof(inner)) != sizeof(inner)) {
            _exit(1);
        }
        while (true) {
            (void)pause();
        }
    }
    children[child_count++] = pid;
    (void)close(ready[1]);
    const ssize_t told = read(ready[0], &inner, sizeof(inner));
    (void)close(ready[0]);
    if (told == 0) {
        print_message("not allowed to make a mount namespace, as users in a chroot are not\n");
        skip();
    }
    assert_int_equal(told, sizeof(inner));
    children[child_count++] = inner; /* whoever reaps it */
    cgroup_make("a", &pid, 1);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_foreign_processes, ""), INT64_MIN);
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_foreign_processes, ""), 1);
    const pid_t both[] = {pid, inner};
    cgroup_make("a", both, 2);
    tly_census_run(census); /* learns of it */
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_foreign_processes, ""), 0);
    assert_int_equal(census->errors, 0);
}

static void a_budget_that_is_too_small(void **state)
{
    (void)state;
    const pid_t pids[] = {child_start(0, false), child_start(0, false)};
    cgroup_make("a", &pids[0], 1);
    cgroup_make("b", &pids[1], 1);
    new_census(0);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    see(ID_B, "/b", TLY_STATE_RUNNING);
    /* One each round, and only the number of its processes. */
    tly_census_run(census);
    assert_int_equal(value(ID_A, TLY_F_container_processes, ""), 1);
    assert_int_equal(value(ID_A, TLY_F_container_zombies, ""), INT64_MIN);
    assert_int_equal(census->over, 1);
    assert_false(node_of(ID_B)->fresh);
    tly_census_run(census);
    assert_int_equal(value(ID_B, TLY_F_container_processes, ""), 1);
    assert_int_equal(census->over, 2);
}

static void containers_that_end(void **state)
{
    (void)state;
    const pid_t pid = child_start(0, false);
    cgroup_make("a", &pid, 1);
    new_census(60 * TLY_NS_PER_S);
    see(ID_A, "/a", TLY_STATE_RUNNING);
    see(ID_B, "/never/there", TLY_STATE_RUNNING);
    tly_census_run(census);
    assert_true(node_of(ID_B)->fresh);
    assert_null(node_of(ID_B)->set);
    assert_int_equal(census->errors, 0); /* that is ordinary */
    tly_census_look_begin(census);
    see(ID_A, "/a", TLY_STATE_EXITED);
    tly_census_look_end(census, node_gone, NULL);
    assert_int_equal(gone, 2);
    assert_null(node_of(ID_A));
    tly_census_run(census);
}

int main(void)
{
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(what_processes_have),
        IN_ROOT(states_and_ends),
        IN_ROOT(what_is_suspicious),
        IN_ROOT(a_budget_that_is_too_small),
        IN_ROOT(containers_that_end),
        IN_ROOT(what_came_before),
        IN_ROOT(a_start_that_is_told_later),
        IN_ROOT(no_descriptor_to_settle_with),
        IN_ROOT(more_processes_than_are_looked_at),
        IN_ROOT(strangers_are_counted),
        IN_ROOT(strangers_are_not_told_of_the_host),
        IN_ROOT(no_memory_to_look_for_strangers),
        cmocka_unit_test(since_when),
    };
    return cmocka_run_group_tests_name("census", tests, NULL, NULL);
}
