/*
 * What somebody could do who has taken the agent over: a child enters the sandbox and tries it. As
 * root, as a user with the capabilities that the service has, and as one without any; each attempt
 * in a process of its own, since some are fatal.
 */
#include "agent/sandbox/sandbox.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY       65534
#define CAPABILITIES (UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_SYS_PTRACE)

enum who { ROOT, SERVICE, USER };
static const char *const who_names[] = {"root", "the service's user", "a user"};

/* ---- the host of the test ---- */

static char dir[TEMP_DIR_MAX];
static char own[TEMP_DIR_MAX + 16], foreign[TEMP_DIR_MAX + 16];
static uint16_t own_port, foreign_port;
static long landlock_abi;
static struct tly_loop *loop;

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_make(dir);
    assert_int_equal(chmod(dir, 0755), 0);
    (void)snprintf(own, sizeof(own), "%s/own", dir);
    (void)snprintf(foreign, sizeof(foreign), "%s/foreign", dir);
    assert_int_equal(mkdir(own, 0777) + chmod(own, 0777), 0);
    assert_int_equal(mkdir(foreign, 0777) + chmod(foreign, 0777), 0);
    char there[sizeof(foreign) + 8]; /* what could be removed */
    (void)snprintf(there, sizeof(there), "%s/there", foreign);
    int fd = open(there, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    close(fd);
    (void)listen_somewhere(&own_port);     /* both are open for the life of the test */
    (void)listen_somewhere(&foreign_port); /* and nobody accepts */
    landlock_abi = syscall(444, NULL, 0, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(dir);
    return 0;
}

/* ---- what is tried: 0, or errno ---- */

static int result(long rc)
{
    return rc < 0 ? errno : 0;
}

static int open_it(const char *path, int flags)
{
    return result(open(path, flags | O_CLOEXEC, 0600));
}

static const char *in(const char *folder, const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int execute(void)
{
    char *const argv[] = {"/bin/true", NULL};
    return result(execv(argv[0], argv));
}

static int fork_it(void)
{
    return result(fork());
}

static int trace_parent(void)
{
    return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int read_memory(void)
{
    char byte;
    struct iovec iov = {&byte, 1};
    return result(process_vm_readv(getppid(), &iov, 1, &iov, 1, 0));
}

static int mount_it(void)
{
    return result(mount("none", dir, "tmpfs", 0, NULL));
}

static int new_namespace(void)
{
    return result(unshare(CLONE_NEWUSER));
}

static int load_bpf(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int become_root(void)
{
    return result(setuid(0));
}

static int parents_root(void)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/root/etc/shadow", (int)getppid());
    return open_it(path, O_RDONLY);
}

static int parents_memory(void)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
    return open_it(path, O_RDWR);
}

static int shadow(void)
{
    return open_it("/etc/shadow", O_RDONLY);
}

static int shadow_by_a_link(void)
{
    const char *link = in(own, "link");
    if (symlink("/etc/shadow", link) == 0) {
        return 0; /* links are not the agent's to make either */
    }
    return open_it("/proc/self/root/etc/shadow", O_RDONLY);
}

static int write_elsewhere(void)
{
    return open_it(in(foreign, "file"), O_WRONLY | O_CREAT);
}

static int remove_elsewhere(void)
{
    return result(unlink(in(foreign, "there")));
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int connect_foreign(void)
{
    return connect_to(foreign_port);
}

static int listen_foreign(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(40404)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : result(bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int packet_socket(void)
{
    return result(socket(AF_PACKET, SOCK_RAW, 0));
}

static int signal_parent(void)
{
    return result(kill(getppid(), SIGCONT));
}

static int type_into_terminal(void)
{
    return result(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}

static int take_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{UINT32_MAX, UINT32_MAX, 0}};
    return result(syscall(SYS_capset, &header, data));
}

static int ring(void)
{
    return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int dump(void)
{
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

/* ---- what must work ---- */

static int work_on_files(void)
{
    int fd = open(in(own, "file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char renamed[512];
    (void)snprintf(renamed, sizeof(renamed), "%s/renamed", own);
    if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) < 0 || fsync(fd) < 0) {
        return errno;
    }
    (void)mkdir(in(own, "folder"), 0700);
    return result(rename(in(own, "file"), renamed) + unlink(renamed) + rmdir(in(own, "folder")));
}

static int connect_own(void)
{
    return connect_to(own_port);
}

static void *answer(void *arg)
{
    *(int *)arg = 42;
    return NULL;
}

static int run_thread(void)
{
    pthread_t thread;
    int value = 0;
    int rc = pthread_create(&thread, NULL, answer, &value);
    return rc != 0 ? rc : pthread_join(thread, NULL) != 0 || value != 42 ? ENOTRECOVERABLE : 0;
}

static int look_up(void)
{
    struct addrinfo *found = NULL;
    int rc = getaddrinfo("localhost", "80", NULL, &found);
    if (rc == 0) {
        freeaddrinfo(found);
    }
    return rc == 0 ? 0 : EHOSTUNREACH;
}

static int own_dumps(void)
{
    struct rlimit limit;
    bool none = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0;
    return none && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
                   prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
               ? 0
               : EBADE;
}

static int look_at_itself(void)
{
    int rc = open_it("/proc/self/status", O_RDONLY);
    return rc != 0 ? rc : open_it("/proc/self/fd", O_RDONLY | O_DIRECTORY);
}

/* ---- on a worker ---- */

static int (*worker_try)(void);
static int worker_result;

static void work(void *arg)
{
    (void)arg;
    worker_result = worker_try();
}

static void work_done(void *arg)
{
    (void)arg;
}

static int on_worker(int (*attempt)(void))
{
    worker_try = attempt;
    if (tly_worker_submit(loop, work, work_done, NULL) < 0) {
        return ENOMEM;
    }
    tly_loop_run(loop);
    return worker_result;
}

static int worker_executes(void)
{
    return on_worker(execute);
}

static int worker_traces(void)
{
    return on_worker(trace_parent);
}

static int worker_reads_shadow(void)
{
    return on_worker(shadow);
}

static int worker_writes_elsewhere(void)
{
    return on_worker(write_elsewhere);
}

static int worker_works_on_files(void)
{
    return on_worker(work_on_files);
}

static int parents_folder(void)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/root", (int)getppid());
    return open_it(path, O_RDONLY | O_DIRECTORY);
}

static int worker_looks(void)
{
    return on_worker(parents_folder);
}

/* ---- the table ---- */

#define KILLED 1000 /* by SIGSYS */

static const struct attempt {
    const char *what;
    int (*attempt)(void);
    int expected;  /* errno, 0 or KILLED */
    int least_abi; /* of Landlock; 0: it has no part in it */
} attempts[] = {
    {"execute a program", execute, KILLED, 0},
    {"fork", fork_it, KILLED, 0},
    {"trace another process", trace_parent, KILLED, 0},
    {"read another's memory", read_memory, KILLED, 0},
    {"mount", mount_it, KILLED, 0},
    {"make a namespace", new_namespace, KILLED, 0},
    {"load a BPF program", load_bpf, KILLED, 0},
    {"become root", become_root, KILLED, 0},
    {"open /etc/shadow", shadow, EACCES, 1},
    {"open /etc/shadow another way", shadow_by_a_link, EACCES, 1},
    {"open another's root", parents_root, EACCES, 1},
    {"open another's memory", parents_memory, EACCES, 1},
    {"write elsewhere", write_elsewhere, EACCES, 1},
    {"remove elsewhere", remove_elsewhere, EACCES, 1},
    {"connect to a foreign port", connect_foreign, EACCES, 4},
    {"listen on a foreign port", listen_foreign, EACCES, 4},
    {"read raw packets", packet_socket, ENOSYS, 0},
    {"signal others", signal_parent, ENOSYS, 0},
    {"type into the terminal", type_into_terminal, ENOSYS, 0},
    {"take capabilities", take_capabilities, ENOSYS, 0},
    {"go round the filter by io_uring", ring, ENOSYS, 0},
    {"let memory be dumped", dump, ENOSYS, 0},
    {"execute a program on a worker", worker_executes, KILLED, 0},
    {"trace on a worker", worker_traces, KILLED, 0},
    {"its own files", work_on_files, 0, 0},
    {"its own files on a worker", worker_works_on_files, 0, 0},
    {"connect to its receiver", connect_own, 0, 0},
    {"start a thread", run_thread, 0, 0},
    {"look a name up", look_up, 0, 0},
    {"leave no dumps", own_dumps, 0, 0},
    {"look at itself", look_at_itself, 0, 0},
};

/* Where no feature looks into processes, workers are bound by Landlock, too. */
static const struct attempt bound_attempts[] = {
    {"open /etc/shadow on a worker", worker_reads_shadow, EACCES, 1},
    {"write elsewhere on a worker", worker_writes_elsewhere, EACCES, 1},
    {"its own files on a worker", worker_works_on_files, 0, 0},
};

static const struct attempt looking_attempts[] = {
    {"look into another process on a worker", worker_looks, 0, 0},
    {"look into another process on the loop", parents_folder, EACCES, 1},
};

/* ---- the child ---- */

static void become(enum who who)
{
    if (who == ROOT || geteuid() != 0) {
        return;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    const uint32_t kept = who == SERVICE ? (uint32_t)CAPABILITIES : 0;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 ||
        setuid(NOBODY) < 0) {
        _exit(250);
    }
    data[0].permitted = data[0].effective = data[0].inheritable = kept;
    if (syscall(SYS_capset, &header, data) < 0) {
        _exit(251);
    }
    for (unsigned long i = 0; i < 32; i++) {
        if ((kept >> i & 1) != 0) {
            (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0); /* seen by the test */
        }
    }
}

static char *all_layers[TLY_LAYERS];

static void enter(bool looks)
{
    const struct tly_sandbox_settings settings = {.enabled = true,
                                                  .layers = {all_layers, TLY_LAYERS}};
    struct tly_sandbox sandbox;
    struct tly_needs needs;
    struct tly_error err = {0};
    tly_needs_init(&needs);
    tly_needs_folder(&needs, own, TLY_ACCESS_WRITE);
    tly_needs_folder(&needs, "/proc", TLY_ACCESS_READ);
    tly_needs_folder(&needs, "/usr", TLY_ACCESS_READ);
    tly_needs_folder(&needs, "/lib", TLY_ACCESS_READ);
    tly_needs_file(&needs, "/etc/hosts");
    tly_needs_file(&needs, "/etc/nsswitch.conf");
    tly_needs_connect(&needs, own_port);
    needs.looks_into_processes = looks;
    needs.capabilities = CAPABILITIES;
    tly_sandbox_init(&sandbox);
    if (tly_loop_new(&loop) < 0 || tly_sandbox_enter(&sandbox, loop, &settings, &needs, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        _exit(252);
    }
    tly_needs_done(&needs);
    bool all = sandbox.layers[TLY_LAYER_CAPABILITIES].on &&
               sandbox.layers[TLY_LAYER_NO_NEW_PRIVS].on && sandbox.layers[TLY_LAYER_SECCOMP].on &&
               sandbox.layers[TLY_LAYER_LANDLOCK].on == (landlock_abi > 0);
    if (!all) {
        _exit(253);
    }
}

/* errno of the attempt, KILLED, or what the child says of itself. */
static int outcome(enum who who, bool looks, int (*attempt)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(30); /* a test that hangs is one that failed */
        become(who);
        enter(looks);
        _exit(attempt());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status)                                   ? WEXITSTATUS(status)
           : WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED
                                                               : -WTERMSIG(status);
}

static void try_all(enum who who, bool looks, const struct attempt *table, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (table[i].least_abi > landlock_abi) {
            print_message("this kernel has no Landlock that could forbid: %s\n", table[i].what);
            continue;
        }
        int found = outcome(who, looks, table[i].attempt);
        if (found != table[i].expected) {
            print_error("%s: to %s yields %d instead of %d\n", who_names[who], table[i].what, found,
                        table[i].expected);
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* ---- the tests ---- */

static bool as_root(void)
{
    if (geteuid() != 0) {
        print_message("only root can try what root and the service could do\n");
        skip();
    }
    return true;
}

static void test_root(void **state)
{
    (void)state;
    as_root();
    try_all(ROOT, true, attempts, ROWS(attempts));
    try_all(ROOT, false, bound_attempts, ROWS(bound_attempts));
    try_all(ROOT, true, looking_attempts, ROWS(looking_attempts));
}

static void test_service(void **state)
{
    (void)state;
    as_root();
    try_all(SERVICE, true, attempts, ROWS(attempts));
    try_all(SERVICE, false, bound_attempts, ROWS(bound_attempts));
    try_all(SERVICE, true, looking_attempts, ROWS(looking_attempts));
}

static void test_user(void **state)
{
    (void)state;
    try_all(USER, true, attempts, ROWS(attempts));
    try_all(USER, false, bound_attempts, ROWS(bound_attempts));
}

/* Each of the attempts that end in an error means something only if it would work otherwise. */
static void test_it_is_the_sandbox(void **state)
{
    (void)state;
    as_root();
    assert_int_equal(shadow(), 0);
    assert_int_equal(connect_foreign(), 0);
    assert_int_equal(listen_foreign(), 0);
    assert_int_equal(write_elsewhere(), 0);
    assert_int_equal(open_it(in(foreign, "there"), O_WRONLY | O_CREAT), 0);
    assert_int_equal(parents_root(), 0);
    assert_int_equal(parents_memory(), 0);
    assert_int_equal(packet_socket(), 0);
    assert_int_equal(signal_parent(), 0);
}

static void test_what_is_kept(void **state)
{
    (void)state;
    as_root();
    for (int user = ROOT; user <= USER; user++) {
        int pipe_fds[2];
        char text[4096] = "";
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            become((enum who)user);
            enter(true);
            int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
            ssize_t len = read(fd, text, sizeof(text));
            _exit(len > 0 && write(pipe_fds[1], text, (size_t)len) == len ? 0 : 1);
        }
        (void)waitpid(child, NULL, 0); /* what it wrote tells */
        close(pipe_fds[1]);
        assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
        close(pipe_fds[0]);
        const char *kept = user == USER ? "0000000000000000" : "0000000000080004";
        char line[64];
        (void)snprintf(line, sizeof(line), "CapPrm:\t%s\nCapEff:\t%s\n", kept, kept);
        assert_non_null(strstr(text, line));
        assert_non_null(strstr(text, "CapInh:\t0000000000000000\n"));
        assert_non_null(strstr(text, "CapAmb:\t0000000000000000\n"));
        assert_true(user != ROOT || strstr(text, "CapBnd:\t0000000000080004\n") != NULL);
        assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
        assert_non_null(strstr(text, "Seccomp:\t2\n"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_the_sandbox), cmocka_unit_test(test_root),
        cmocka_unit_test(test_service),           cmocka_unit_test(test_user),
        cmocka_unit_test(test_what_is_kept),
    };
    for (size_t i = 0; i < TLY_LAYERS; i++) {
        all_layers[i] = strdup(tly_layer_names[i]);
    }
    return cmocka_run_group_tests_name("intruder", tests, set_up, tear_down);
}
