/*
 * Looking into procfs and into file systems, on this very process and on folders made for it: what
 * mountinfo says, that hostile links lead nowhere, that bounds hold.
 */
#include "agent/base/file.h"
#include "collectors/posture/check.h"
#include "collectors/posture/host.h"
#include "collectors/posture/mounts.h"
#include "collectors/posture/process.h"
#include "collectors/posture/rootfs.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- mountinfo ---- */

static void mountinfo(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int root_read_only, cgroups_writable;
        const char *loose_mount, *loose_tmpfs; /* the first, or NULL */
    } rows[] = {
        {"1 0 0:1 / / rw,relatime - overlay overlay rw,lowerdir=x\n", 0, -1, NULL, NULL},
        {"1 0 0:1 / / ro,relatime master:1 - overlay overlay rw\n", 1, -1, NULL, NULL},
        {"2 1 0:2 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n", -1, 0, NULL, NULL},
        {"2 1 0:2 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw\n", -1, 1, NULL, NULL},
        {"3 1 8:1 /srv /data rw,relatime - ext4 /dev/sda1 rw\n", -1, -1, "/data", NULL},
        {"3 1 8:1 /srv /data rw,nosuid,nodev - ext4 /dev/sda1 rw\n", -1, -1, NULL, NULL},
        {"3 1 8:1 /srv /data ro,relatime - ext4 /dev/sda1 rw\n", -1, -1, NULL, NULL},
        {"3 1 8:1 /h /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n", -1, -1, NULL, NULL},
        {"4 1 0:3 / /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw,size=64k\n", -1, -1, NULL, NULL},
        {"4 1 0:3 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw,size=64k\n", -1, -1, NULL, "/tmp"},
        {"4 1 0:3 / /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw\n", -1, -1, NULL, "/tmp"},
        {"4 1 0:3 / /dev/shm rw - tmpfs shm rw\n", -1, -1, NULL, NULL},
        {"", -1, -1, NULL, NULL},
        {"nonsense\n1 2 3\n1 0 0:1 / / rw", -1, -1, NULL, NULL},
        {"1 0 0:1 / / rw no hyphen overlay overlay rw\n", -1, -1, NULL, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_process_facts facts = {0};
        tly_mounts_judge(tly_text_of(rows[i].text), &facts);
        assert_int_equal(facts.root_read_only, rows[i].root_read_only);
        assert_int_equal(facts.cgroups_writable, rows[i].cgroups_writable);
        assert_int_equal(facts.loose_mounts.count, rows[i].loose_mount != NULL);
        assert_int_equal(facts.loose_tmpfs.count, rows[i].loose_tmpfs != NULL);
        if (rows[i].loose_mount) {
            assert_string_equal(facts.loose_mounts.at[0], rows[i].loose_mount);
        }
        if (rows[i].loose_tmpfs) {
            assert_string_equal(facts.loose_tmpfs.at[0], rows[i].loose_tmpfs);
        }
    }
}

/* Those on which a look may never end. */
static void remote_mounts(void **state)
{
    (void)state;
    struct tly_process_facts facts = {0};
    tly_mounts_judge(TLY_TEXT("1 0 0:1 / / rw - fuse.fuse-overlayfs overlay rw\n"
                              "2 1 0:2 / /a rw,nosuid,nodev - nfs4 server:/a rw\n"
                              "3 1 0:3 / /b ro - fuse.sshfs x ro\n"
                              "4 1 8:1 / /c rw,nosuid,nodev - ext4 /dev/sda1 rw\n"
                              "5 1 0:5 / /dev/x rw - cifs //x rw\n"
                              "6 1 0:6 / /proc/y rw - 9p x rw\n"),
                     &facts);
    assert_int_equal(facts.remote_mounts.count, 4);
    assert_string_equal(facts.remote_mounts.at[0], "/a");
    assert_string_equal(facts.remote_mounts.at[1], "/b");
}

/* ---- procfs ---- */

static void own_process(void **state)
{
    (void)state;
    const struct tly_host_paths paths = {.proc = "/proc", .cgroup = NULL};
    struct tly_process_facts facts;
    char why[160] = "";
    TLY_AUTO_FD fd = -1;
    /* "/" stands in every cgroup file, so it passes for an id here. */
    assert_int_equal(tly_process_open(&paths, getpid(), TLY_TEXT("/"), &fd, why), 0);
    tly_process_look(&paths, fd, TLY_TEXT("/"), &facts);
    assert_true(facts.seen);
    assert_int_equal(facts.processes, 1);
    assert_int_equal(facts.processes_seen, 0); /* no cgroup to ask */
    assert_int_equal(facts.root_processes.count, geteuid() == 0);
    assert_int_equal(facts.memory_max, -1);
    assert_true(facts.open_files_max > 0);
    assert_int_equal(facts.no_new_privileges, 0);
    assert_true(facts.root_read_only >= 0);
    assert_int_equal(facts.listeners_seen, -1);
    tly_process_listeners(fd, &(struct tly_socket_counts){1, 1, 1, 1}, &facts);
    assert_int_equal(facts.listeners_seen, 1);
}

static bool listens(int process_fd, uint16_t port)
{
    struct tly_process_facts facts = {0};
    struct tly_socket_counts counts;
    assert_int_equal(tly_process_sockets(process_fd, &counts), 0);
    tly_process_listeners(process_fd, &counts, &facts);
    for (size_t i = 0; i < facts.listener_count; i++) {
        if (facts.listeners[i].port == port && !facts.listeners[i].udp) {
            return true;
        }
    }
    return false;
}

static uint16_t listen_on(uint32_t address, int *ret_fd)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    socklen_t len = sizeof(name);
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*ret_fd >= 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&name, len), 0);
    assert_int_equal(listen(*ret_fd, 1), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&name, &len), 0);
    return ntohs(name.sin_port);
}

static void sockets(void **state)
{
    (void)state;
    const struct tly_host_paths paths = {.proc = "/proc", .cgroup = NULL};
    char why[160] = "";
    struct tly_socket_counts counts;
    TLY_AUTO_FD fd = -1;
    TLY_AUTO_FD anywhere = -1;
    TLY_AUTO_FD loopback = -1;
    assert_int_equal(tly_process_open(&paths, getpid(), TLY_TEXT("/"), &fd, why), 0);
    uint16_t open_port = listen_on(INADDR_ANY, &anywhere);
    uint16_t inner_port = listen_on(INADDR_LOOPBACK, &loopback);
    assert_int_equal(tly_process_sockets(fd, &counts), 0);
    assert_true(counts.tcp >= 2);
    assert_true(listens(fd, open_port));
    assert_false(listens(fd, inner_port));
    tly_fd_close(&anywhere);
    assert_false(listens(fd, open_port));
}

static void whose_process(void **state)
{
    (void)state;
    const struct tly_host_paths paths = {.proc = "/proc", .cgroup = NULL};
    char why[160] = "";
    int fd = -1;
    assert_int_equal(tly_process_open(&paths, 0, TLY_TEXT("ab"), &fd, why), -ESRCH);
    assert_string_equal(why, "it does not run");
    assert_int_equal(tly_process_open(&paths, getpid(), TLY_TEXT("0123456789abcdef"), &fd, why),
                     -ESRCH);
    assert_non_null(strstr(why, "none of its own"));
    assert_true(tly_process_open(&paths, INT_MAX, TLY_TEXT("/"), &fd, why) < 0);
    assert_int_equal(fd, -1);
}

/* ---- file systems ---- */

struct tree {
    char path[TEMP_DIR_MAX];
    int fd;
};

static void make_file(const struct tree *tree, const char *name, const char *text, mode_t mode)
{
    TLY_AUTO_FD fd = openat(tree->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(tly_file_write_fd(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void make_folder(const struct tree *tree, const char *name)
{
    assert_int_equal(mkdirat(tree->fd, name, 0755), 0);
}

static int make(void **state)
{
    static struct tree tree;
    temp_dir_make(tree.path);
    assert_int_equal(chmod(tree.path, 0755), 0);
    tree.fd = open(tree.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(tree.fd >= 0);
    *state = &tree;
    return 0;
}

static int drop(void **state)
{
    struct tree *tree = *state;
    assert_int_equal(close(tree->fd), 0);
    temp_dir_remove(tree->path);
    return 0;
}

/* ---- pretended processes ---- */

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct pretended {
    long pid;
    const char *name, *arguments, *cgroup;
    bool own_pids; /* a process namespace of its own */
};

static void make_process(const struct tree *tree, const struct pretended *process)
{
    char path[128];
    const struct {
        const char *name, *text;
    } files[] = {
        {"comm", process->name},
        {"cmdline", process->arguments ? process->arguments : ""},
        {"cgroup", process->cgroup},
    };
    (void)snprintf(path, sizeof(path), "%ld", process->pid);
    make_folder(tree, path);
    for (size_t i = 0; i < ROWS(files); i++) {
        (void)snprintf(path, sizeof(path), "%ld/%s", process->pid, files[i].name);
        make_file(tree, path, files[i].text, 0600);
    }
    (void)snprintf(path, sizeof(path), "%ld/ns", process->pid);
    make_folder(tree, path);
    (void)snprintf(path, sizeof(path), "%ld/ns/pid", process->pid);
    if (process->pid == 1 || process->own_pids) {
        make_file(tree, path, "", 0600);
    } else {
        assert_int_equal(linkat(tree->fd, "1/ns/pid", tree->fd, path, 0), 0);
    }
}

/* What an intruder may leave: links out of the root, pipes, a file without an end. */
static void hostile_files(void **state)
{
    const struct tree *tree = *state;
    struct tly_buf buf;
    make_folder(tree, "etc");
    assert_int_equal(symlinkat("/etc/passwd", tree->fd, "etc/os-release"), 0);
    assert_int_equal(symlinkat("../../../../../../etc/passwd", tree->fd, "up"), 0);
    assert_int_equal(symlinkat("/proc/self/root/etc/passwd", tree->fd, "magic"), 0);
    assert_int_equal(mkfifoat(tree->fd, "pipe", 0644), 0);
    assert_int_equal(symlinkat("loop", tree->fd, "loop"), 0);
    tly_buf_init(&buf, 4096);
    assert_int_equal(tly_rootfs_read(tree->fd, "/etc/os-release", &buf), -ENOENT);
    assert_int_equal(tly_rootfs_read(tree->fd, "up", &buf), -ENOENT);
    assert_int_equal(tly_rootfs_read(tree->fd, "magic", &buf), -ENOENT);
    assert_int_equal(tly_rootfs_read(tree->fd, "/../../../etc/passwd", &buf), -ENOENT);
    assert_int_equal(tly_rootfs_read(tree->fd, "pipe", &buf), -EINVAL);
    assert_int_equal(tly_rootfs_read(tree->fd, "loop", &buf), -ELOOP);
    assert_int_equal(tly_rootfs_read(tree->fd, "etc", &buf), -EINVAL);
    make_file(tree, "etc/passwd", "inside", 0644);
    /* The links lead somewhere now: to the root's own file. */
    assert_int_equal(tly_rootfs_read(tree->fd, "up", &buf), 0);
    expect_text(tly_buf_text(&buf), "inside");
    tly_buf_done(&buf);
    tly_buf_init(&buf, 3);
    assert_int_equal(tly_rootfs_read(tree->fd, "etc/passwd", &buf), TLY_E_LIMIT);
    tly_buf_done(&buf);
}

static void image_facts(void **state)
{
    const struct tree *tree = *state;
    struct tly_rootfs_facts facts = {0};
    make_folder(tree, "etc");
    make_folder(tree, "bin");
    make_folder(tree, "usr");
    make_folder(tree, "usr/bin");
    make_file(tree, "etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian 12'\n",
              0644);
    make_file(tree, "bin/busybox", "", 0755);
    assert_int_equal(symlinkat("busybox", tree->fd, "bin/sh"), 0);
    assert_int_equal(symlinkat("nowhere", tree->fd, "usr/bin/gcc"), 0);
    make_file(tree, "usr/bin/curl", "", 0755);
    tly_rootfs_look_image(tree->fd, &facts);
    assert_string_equal(facts.os_id, "debian");
    assert_string_equal(facts.os_version, "12");
    assert_string_equal(facts.os_name, "Debian 12");
    assert_int_equal(facts.shells.count, 2); /* /bin/sh and /bin/busybox */
    assert_int_equal(facts.build_tools.count, 0);
    assert_true(facts.has_curl && !facts.has_wget);
}

static void modes(void **state)
{
    const struct tree *tree = *state;
    struct tly_rootfs_facts facts = {0};
    make_folder(tree, "bin");
    make_folder(tree, "tmp");
    assert_int_equal(fchmodat(tree->fd, "tmp", 01777, 0), 0);
    make_file(tree, "bin/su", "", 04755);
    make_file(tree, "bin/wall", "", 02755);
    make_file(tree, "bin/odd", "", 04644); /* cannot be executed */
    make_file(tree, "bin/open", "", 0666);
    assert_int_equal(symlinkat("bin/su", tree->fd, "link"), 0);
    const struct tly_rootfs_limits limits = {.inodes_max = 1000, .walk_ms = 60000};
    tly_rootfs_walk(tree->fd, &limits, &facts);
    assert_int_equal(facts.walked, 1);
    assert_int_equal(facts.setuid.count, 2);
    assert_int_equal(facts.world_writable.count, 1);
    assert_string_equal(facts.world_writable.at[0], "/bin/open");
    /* The bound on inodes. */
    const struct tly_rootfs_limits few = {.inodes_max = 3, .walk_ms = 60000};
    tly_rootfs_walk(tree->fd, &few, &facts);
    assert_int_equal(facts.walked, 0);
    /* A remote mount whose place is written with an escape: it may be anywhere. */
    const struct tly_fact_names remote = {.count = 1, .at = {"/mnt/my\\040data"}};
    const struct tly_rootfs_limits unclear = {
        .inodes_max = 1000, .walk_ms = 60000, .remote = &remote};
    tly_rootfs_walk(tree->fd, &unclear, &facts);
    assert_int_equal(facts.walked, 0);
}

#define MANY (TLY_FACT_NAMES + 1)

/* Where more are allowed than names are kept, the one that is not still counts. */
static void many_setuid_files(void **state)
{
    const struct tree *tree = *state;
    char pattern[] = "/bin/ok*";
    char *patterns[] = {pattern};
    char path[32];
    const struct tly_posture_settings settings = {.setuid = {patterns, 1}};
    const struct tly_rootfs_limits limits = {
        .inodes_max = 1000, .walk_ms = 60000, .expected = &settings.setuid};
    struct tly_rootfs_facts facts = {.seen = true};
    struct tly_verdict verdict;
    make_folder(tree, "bin");
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof(path), "bin/ok%zu", i);
        make_file(tree, path, "", 04755);
    }
    const struct tly_posture_facts all = {.rootfs = &facts, .settings = &settings};
    tly_rootfs_walk(tree->fd, &limits, &facts);
    tly_posture_judge(TLY_POSTURE_setuid_files, &all, &verdict);
    assert_int_equal(verdict.status, TLY_STATUS_PASS);
    /* Whatever the order of the folder, the other one is not always among the first. */
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof(path), "bin/no%zu", i);
        make_file(tree, path, "", 04755);
        tly_rootfs_walk(tree->fd, &limits, &facts);
        tly_posture_judge(TLY_POSTURE_setuid_files, &all, &verdict);
        assert_int_equal(verdict.status, TLY_STATUS_FAIL);
        assert_int_equal(unlinkat(tree->fd, path, 0), 0);
    }
}

static void many_members(void **state)
{
    const struct tree *tree = *state;
    char pattern[] = "ok*";
    char *patterns[] = {pattern};
    const struct tly_posture_settings settings = {.docker_group = {patterns, 1}};
    const struct tly_host_paths paths = {.proc = tree->path};
    struct tly_host_look look;
    struct tly_verdict verdict;
    make_folder(tree, "1");
    make_file(tree, "1/comm", "dockerd\n", 0600);
    make_file(tree, "1/cmdline", "dockerd", 0600);
    make_file(tree, "1/cgroup", "0::/\n", 0600);
    make_folder(tree, "1/root");
    make_folder(tree, "1/root/etc");
    make_file(tree, "1/root/etc/group", "docker:x:9:ok1,ok2,ok3,ok4,ok5,ok6,ok7,ok8,ok9,eve\n",
              0600);
    tly_host_look(&paths, NULL, NULL, &settings.docker_group, &look);
    const struct tly_posture_facts all = {.host = &look.facts, .settings = &settings};
    tly_posture_judge(TLY_POSTURE_docker_group, &all, &verdict);
    assert_int_equal(verdict.status, TLY_STATUS_FAIL);
    assert_string_equal(verdict.message, "eve");
    tly_host_look_done(&look);
}

/* Folders within folders beyond any sense: it ends, and says that it was not whole. */
static void deep_folders(void **state)
{
    const struct tree *tree = *state;
    struct tly_rootfs_facts facts = {0};
    char path[512] = "d";
    for (size_t i = 0; i < 100; i++) {
        make_folder(tree, path);
        (void)strncat(path, "/d", sizeof(path) - strlen(path) - 1);
    }
    const struct tly_rootfs_limits limits = {.inodes_max = 100000, .walk_ms = 60000};
    tly_rootfs_walk(tree->fd, &limits, &facts);
    assert_int_equal(facts.walked, 0);
}

static void secrets(void **state)
{
    const struct tree *tree = *state;
    const struct tly_fact_names none = {0};
    struct tly_rootfs_facts facts = {0};
    make_folder(tree, "run");
    make_folder(tree, "run/secrets");
    make_folder(tree, "app");
    make_file(tree, "run/secrets/db", "x", 0444);
    make_file(tree, "app/tls.key", "x", 0400);
    make_file(tree, "app/id_rsa", "x", 0644);
    make_file(tree, "app/id_rsa.pub", "x", 0644);
    make_file(tree, "app/main.py", "x", 0644);
    assert_int_equal(symlinkat("/app/main.py", tree->fd, "app/link.key"), 0);
    tly_rootfs_look_container(tree->fd, "/app", &none, &facts);
    assert_int_equal(facts.secret_files, 3);
    assert_int_equal(facts.swarm_secrets.count, 1);
    assert_int_equal(facts.open_secrets.count, 2);
    assert_string_equal(facts.open_secrets.at[1], "/app/id_rsa");
}

static void remote_files(void **state)
{
    const struct tree *tree = *state;
    static const struct {
        const char *points[2];
        size_t files;
        bool passed_over;
    } rows[] = {
        {{"/srv"}, 3, false},      {{"/app2"}, 3, false},
        {{"/app"}, 1, true},       {{"/srv", "/app/tls.key"}, 2, true},
        {{"/srv\\040x"}, 0, true}, /* written with an escape: which it is is not told */
    };
    make_folder(tree, "run");
    make_folder(tree, "run/secrets");
    make_folder(tree, "app");
    make_file(tree, "run/secrets/db", "x", 0400);
    make_file(tree, "app/tls.key", "x", 0400);
    make_file(tree, "app/id_rsa", "x", 0400);
    assert_int_equal(symlinkat("app", tree->fd, "link"), 0);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_rootfs_facts facts = {0};
        struct tly_fact_names remote = {0};
        for (size_t k = 0; k < 2 && rows[i].points[k]; k++) {
            tly_names_push(&remote, tly_text_of(rows[i].points[k]));
        }
        tly_rootfs_look_container(tree->fd, "/app", &remote, &facts);
        assert_int_equal(facts.secret_files, rows[i].files);
        assert_int_equal(facts.passed_over, rows[i].passed_over);
    }
    struct tly_rootfs_facts facts = {0};
    struct tly_fact_names remote = {0};
    tly_rootfs_look_container(tree->fd, "/link", &remote, &facts);
    assert_int_equal(facts.secret_files, 3);
    assert_false(facts.passed_over);
    facts = (struct tly_rootfs_facts){0};
    tly_names_push(&remote, TLY_TEXT("/srv")); /* a link may lead into it */
    tly_rootfs_look_container(tree->fd, "/link", &remote, &facts);
    assert_int_equal(facts.secret_files, 1);
    assert_true(facts.passed_over);
}

static void remote_folders_are_not_walked(void **state)
{
    const struct tree *tree = *state;
    struct tly_rootfs_facts facts = {0};
    struct tly_fact_names remote = {0};
    const struct tly_rootfs_limits limits = {
        .inodes_max = 1000, .walk_ms = 60000, .remote = &remote};
    make_folder(tree, "a");
    make_folder(tree, "b");
    make_file(tree, "a/su", "", 04755);
    make_file(tree, "b/su", "", 04755);
    tly_names_push(&remote, TLY_TEXT("/a"));
    tly_rootfs_walk(tree->fd, &limits, &facts);
    assert_int_equal(facts.walked, 1); /* what is mounted is none of the image */
    assert_int_equal(facts.setuid.count, 1);
    assert_string_equal(facts.setuid.at[0], "/b/su");
    remote.count = TLY_FACT_NAMES + 1;
    tly_rootfs_walk(tree->fd, &limits, &facts);
    assert_int_equal(facts.walked, 0);
}

/* A container with an init system or an engine in it: its processes stand below its own cgroup,
 * which has the limits. */
static void nested_cgroups(void **state)
{
    const struct tree *tree = *state;
    const struct tly_host_paths paths = {.proc = tree->path, .cgroup = tree->path};
    static const char *const folders[] = {"docker", "docker/" ID_A, "docker/" ID_A "/init",
                                          "docker/" ID_A "/app", "docker/" ID_A "/app/deep"};
    static const struct {
        const char *path, *text;
    } files[] = {
        {"docker/" ID_A "/memory.max", "104857600\n"},
        {"docker/" ID_A "/pids.max", "max\n"},
        {"docker/" ID_A "/cgroup.procs", ""},
        {"docker/" ID_A "/init/memory.max", "max\n"},
        {"docker/" ID_A "/init/cgroup.procs", "10\n"},
        {"docker/" ID_A "/app/cgroup.procs", "11\n"},
        {"docker/" ID_A "/app/deep/cgroup.procs", "12\n99\n"}, /* the last one has ended */
        {"10/status", "Name:\tinit\nPid:\t10\nUid:\t1000\t1000\t1000\t1000\n"},
        {"11/status", "Name:\tapp\nPid:\t11\nUid:\t1000\t1000\t1000\t1000\n"},
        {"12/status", "Name:\tsshd\nPid:\t12\nUid:\t0\t0\t0\t0\n"},
    };
    const struct pretended processes[] = {
        {1, "systemd", NULL, "0::/\n", false},
        {10, "init", NULL, "0::/docker/" ID_A "/init\n", true},
        {11, "app", NULL, "0::/docker/" ID_A "/app\n", true},
        {12, "sshd", NULL, "0::/docker/" ID_A "/app/deep\n", true},
        {13, "other", NULL, "0::/\n4:memory:/docker/" ID_A "\n", true},
    };
    struct tly_process_facts facts;
    char why[160] = "";
    TLY_AUTO_FD fd = -1;
    TLY_AUTO_FD other_fd = -1;
    for (size_t i = 0; i < ROWS(processes); i++) {
        make_process(tree, &processes[i]);
    }
    for (size_t i = 0; i < ROWS(folders); i++) {
        make_folder(tree, folders[i]);
    }
    for (size_t i = 0; i < ROWS(files); i++) {
        make_file(tree, files[i].path, files[i].text, 0600);
    }
    assert_int_equal(tly_process_open(&paths, 10, TLY_TEXT(ID_A), &fd, why), 0);
    tly_process_look(&paths, fd, TLY_TEXT(ID_A), &facts);
    assert_int_equal(facts.memory_max, 104857600);
    assert_int_equal(facts.pids_max, INT64_MAX);
    assert_int_equal(facts.processes_seen, 1);
    assert_int_equal(facts.processes, 3);
    assert_int_equal(facts.root_processes.count, 1);
    assert_int_equal(facts.ssh_servers.count, 1);
    /* One whose v2 cgroup is not the container's: nothing of it is the container's. */
    make_file(tree, "cgroup.procs", "10\n11\n12\n", 0600);
    make_file(tree, "memory.max", "1000\n", 0600);
    make_file(tree, "13/status", "Name:\tother\nPid:\t13\nUid:\t1\t1\t1\t1\n", 0600);
    assert_int_equal(tly_process_open(&paths, 13, TLY_TEXT(ID_A), &other_fd, why), 0);
    tly_process_look(&paths, other_fd, TLY_TEXT(ID_A), &facts);
    assert_int_equal(facts.memory_max, -1);
    assert_int_equal(facts.processes_seen, 0);
    assert_int_equal(facts.processes, 1);
}

/* Beyond the bounds not all were seen. */
static void many_cgroups(void **state)
{
    const struct tree *tree = *state;
    const struct tly_host_paths paths = {.proc = tree->path, .cgroup = tree->path};
    char path[256] = "docker/" ID_A;
    const struct pretended processes[] = {{1, "systemd", NULL, "0::/\n", false},
                                          {10, "a", NULL, "0::/docker/" ID_A "\n", true}};
    struct tly_process_facts facts;
    char why[160] = "";
    TLY_AUTO_FD fd = -1;
    make_process(tree, &processes[0]);
    make_process(tree, &processes[1]);
    make_file(tree, "10/status", "Name:\ta\nPid:\t10\nUid:\t1\t1\t1\t1\n", 0600);
    make_folder(tree, "docker");
    for (size_t i = 0; i < 20; i++) {
        char file[300];
        make_folder(tree, path);
        (void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
        make_file(tree, file, i == 0 ? "10\n" : "", 0600);
        (void)strncat(path, "/d", sizeof(path) - strlen(path) - 1);
    }
    assert_int_equal(tly_process_open(&paths, 10, TLY_TEXT(ID_A), &fd, why), 0);
    tly_process_look(&paths, fd, TLY_TEXT(ID_A), &facts);
    assert_int_equal(facts.processes_seen, 0);
    assert_int_equal(facts.processes, 1);
}

/* ---- the engine's process ---- */

/* The one that listens on the socket is the engine wherever it is; by name and arguments alone a
 * process of a container never is. */
static void whose_daemon(void **state)
{
    static const struct {
        const char *what;
        struct pretended processes[4];
        int64_t pid;
    } rows[] = {
        {"a container's names the socket, in namespaces of its own",
         {{1, "systemd", NULL, "0::/init.scope\n", false},
          {10, "dockerd", "./dockerd /run/docker.sock", "0::/docker/" ID_A "\n", true},
          {20, "dockerd", "dockerd -H fd://", "0::/system.slice/docker.service\n", false},
          {30, "dockerd", "./dockerd /run/docker.sock", "0::/docker/" ID_B "\n", true}},
         20},
        {"and in those of the host",
         {{1, "systemd", NULL, "0::/init.scope\n", false},
          {10, "dockerd", "/run/docker.sock", "0::/docker-" ID_A ".scope/x\n", false},
          {20, "dockerd", "dockerd -H fd://", "0::/system.slice/docker.service\n", false},
          {30, "dockerd", "/run/docker.sock", "4:memory:/docker/" ID_B "\n0::/\n", false}},
         20},
        {"a container's alone",
         {{1, "systemd", NULL, "0::/init.scope\n", false},
          {10, "dockerd", "dockerd", "0::/docker/" ID_A "\n", true}},
         0},
        {"all within one container",
         {{1, "init", NULL, "0::/docker/" ID_A "\n", false},
          {10, "dockerd", "dockerd", "0::/docker/" ID_A "/init\n", false},
          {20, "dockerd", "/run/docker.sock", "0::/docker/" ID_A "/" ID_B "\n", false}},
         10},
        {"two of the host",
         {{1, "systemd", NULL, "0::/init.scope\n", false},
          {10, "dockerd", "dockerd -H fd://", "0::/system.slice/docker.service\n", false},
          {20, "dockerd", "dockerd", "0::/user.slice/docker.service\n", false}},
         0},
        {"two of the host, one of which names the data root",
         {{1, "systemd", NULL, "0::/init.scope\n", false},
          {10, "dockerd", "dockerd -H fd://", "0::/system.slice/docker.service\n", false},
          {20, "dockerd", "dockerd --data-root /srv/docker", "0::/user.slice\n", false}},
         20},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        void *made = NULL;
        struct tly_host_look look;
        assert_int_equal(make(&made), 0);
        const struct tree *tree = made;
        for (size_t k = 0; k < ROWS(rows[i].processes) && rows[i].processes[k].pid > 0; k++) {
            make_process(tree, &rows[i].processes[k]);
        }
        const struct tly_host_paths paths = {.proc = tree->path};
        tly_host_look(&paths, "/run/docker.sock", "/srv/docker", NULL, &look);
        if (look.facts.daemon_pid != rows[i].pid) {
            fail_msg("%s: process %jd", rows[i].what, (intmax_t)look.facts.daemon_pid);
        }
        assert_true(rows[i].pid > 0 || look.facts.daemon_why[0] != '\0');
        assert_int_equal(look.facts.arguments.len > 0, rows[i].pid != 0);
        tly_host_look_done(&look);
        assert_int_equal(drop(&made), 0);
    }
}

/* As where the engine that is asked runs in a container, and the agent does not. */
static void daemon_that_listens(void **state)
{
    const struct tree *tree = *state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct tly_host_look look;
    TLY_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct pretended processes[] = {
        {1, "systemd", NULL, "0::/init.scope\n", false},
        {2, "dockerd", "dockerd", "0::/system.slice/docker.service\n", false},
        {getpid(), "dockerd", "dockerd", "0::/docker/" ID_A "\n", true},
    };
    for (size_t i = 0; i < ROWS(processes); i++) {
        make_process(tree, &processes[i]);
    }
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/s", tree->path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(fd, 1), 0);
    const struct tly_host_paths paths = {.proc = tree->path};
    tly_host_look(&paths, name.sun_path, NULL, NULL, &look);
    assert_int_equal(look.facts.daemon_pid, getpid());
    tly_host_look_done(&look);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mountinfo),
        cmocka_unit_test(remote_mounts),
        cmocka_unit_test(own_process),
        cmocka_unit_test(sockets),
        cmocka_unit_test(whose_process),
        cmocka_unit_test_setup_teardown(hostile_files, make, drop),
        cmocka_unit_test_setup_teardown(image_facts, make, drop),
        cmocka_unit_test_setup_teardown(modes, make, drop),
        cmocka_unit_test_setup_teardown(many_setuid_files, make, drop),
        cmocka_unit_test_setup_teardown(many_members, make, drop),
        cmocka_unit_test_setup_teardown(deep_folders, make, drop),
        cmocka_unit_test_setup_teardown(secrets, make, drop),
        cmocka_unit_test_setup_teardown(remote_files, make, drop),
        cmocka_unit_test_setup_teardown(remote_folders_are_not_walked, make, drop),
        cmocka_unit_test_setup_teardown(nested_cgroups, make, drop),
        cmocka_unit_test_setup_teardown(many_cgroups, make, drop),
        cmocka_unit_test(whose_daemon),
        cmocka_unit_test_setup_teardown(daemon_that_listens, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
