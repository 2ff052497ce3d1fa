/*
 * The filter of system calls, compiled by libseccomp. Three kinds: those that the agent and its
 * libraries make are allowed; those that only somebody makes who has taken it over end the process,
 * which the service manager starts anew; all others fail with ENOSYS, as on a kernel that lacks
 * them, for which libraries have another way.
 *
 * Listed calls cost nothing: the kernel keeps a bitmap of those that are always allowed (Linux
 * 5.11). Names that an architecture does not have are skipped.
 */
#include "agent/sandbox/layers.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const allowed[] = {
    /* files */
    "access",
    "chdir",
    "chmod",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents64",
    "inotify_add_watch",
    "inotify_init1",
    "inotify_rm_watch",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread64",
    "preadv",
    "pwrite64",
    "pwritev",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "stat",
    "statfs",
    "statx",
    "sync_file_range",
    "umask",
    "unlink",
    "unlinkat",
    "utimensat",
    "write",
    "writev",
    "sendfile",
    "copy_file_range",
    /* waiting */
    "clock_nanosleep",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "futex",
    "nanosleep",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "restart_syscall",
    "select",
    "signalfd4",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    /* memory */
    "brk",
    "madvise",
    "mincore",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "membarrier",
    /* sockets, whose families stand below */
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socketpair",
    /* the process, and looking at it */
    "arch_prctl",
    "capget",
    "exit",
    "exit_group",
    "get_robust_list",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgrp",
    "getpid",
    "getppid",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "gettid",
    "getuid",
    "ioprio_get",
    "ioprio_set",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "sysinfo",
    "times",
    "uname",
    /* time */
    "clock_getres",
    "clock_gettime",
    "gettimeofday",
    "time",
};

static const char *const deadly[] = {
    /* other programs */
    "execve",
    "execveat",
    "fork",
    "vfork",
    "uselib",
    /* other processes */
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "kcmp",
    /* other views of the host */
    "chroot",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "pivot_root",
    "setns",
    "umount2",
    "unshare",
    "swapon",
    "swapoff",
    "quotactl",
    "acct",
    "fanotify_init",
    /* the kernel */
    "bpf",
    "create_module",
    "delete_module",
    "finit_module",
    "init_module",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "modify_ldt",
    "perf_event_open",
    "personality",
    "reboot",
    "syslog",
    "userfaultfd",
    "clock_settime",
    "clock_adjtime",
    "settimeofday",
    "adjtimex",
    "sethostname",
    "setdomainname",
    /* keys and rights */
    "add_key",
    "keyctl",
    "request_key",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "setfsuid",
    "setfsgid",
};

struct filter {
    scmp_filter_ctx context;
    int rc; /* of the first rule that failed */
};

static void add(struct filter *filter, uint32_t action, const char *name, unsigned count,
                const struct scmp_arg_cmp *arguments)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number < 0 || filter->rc < 0) {
        return; /* this architecture has no such call */
    }
    filter->rc = seccomp_rule_add_array(filter->context, action, number, count, arguments);
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void add_all(struct filter *filter, uint32_t action, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(filter, action, names[i], 0, NULL);
    }
}

static void add_equal(struct filter *filter, uint32_t action, const char *name, unsigned argument,
                      uint64_t value)
{
    const struct scmp_arg_cmp equal = {argument, SCMP_CMP_EQ, value, 0};
    add(filter, action, name, 1, &equal);
}

/* Threads are made, processes are not. clone3(2) hides its flags in memory, where no filter sees
 * them; the C library then takes clone(2). */
static void add_threads(struct filter *filter)
{
    const struct scmp_arg_cmp thread = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD};
    const struct scmp_arg_cmp process = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0};
    add(filter, SCMP_ACT_ALLOW, "clone", 1, &thread);
    add(filter, SCMP_ACT_KILL_PROCESS, "clone", 1, &process);
}

static void add_sockets(struct filter *filter)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    for (size_t i = 0; i < COUNT(families); i++) {
        add_equal(filter, SCMP_ACT_ALLOW, "socket", 0, (uint64_t)families[i]);
    }
    /* The C library asks for the host's addresses when it looks names up. */
    const struct scmp_arg_cmp route[] = {
        {0, SCMP_CMP_EQ, AF_NETLINK, 0},
        {2, SCMP_CMP_EQ, NETLINK_ROUTE, 0},
    };
    add(filter, SCMP_ACT_ALLOW, "socket", COUNT(route), route);
}

static void add_self(struct filter *filter)
{
    static const unsigned requests[] = {FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ};
    static const int options[] = {PR_SET_NAME,         PR_GET_NAME,     PR_GET_DUMPABLE,
                                  PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ, PR_GET_SECCOMP,
                                  0x53564d41 /* PR_SET_VMA: names for the heaps' maps */};
    for (size_t i = 0; i < COUNT(requests); i++) {
        add_equal(filter, SCMP_ACT_ALLOW, "ioctl", 1, requests[i]);
    }
    for (size_t i = 0; i < COUNT(options); i++) {
        add_equal(filter, SCMP_ACT_ALLOW, "prctl", 0, (uint64_t)options[i]);
    }
    add_equal(filter, SCMP_ACT_ALLOW, "prlimit64", 0, 0);
    /* abort(3) and raise(3); nobody else is sent anything. */
    add_equal(filter, SCMP_ACT_ALLOW, "tgkill", 0, (uint64_t)getpid());
    add_equal(filter, SCMP_ACT_ALLOW, "kill", 0, (uint64_t)getpid());
}

static int fill(struct filter *filter)
{
    add_all(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));
    add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
    add_threads(filter);
    add_sockets(filter);
    add_self(filter);
    return filter->rc;
}

/* The newest that libseccomp and the kernel have, or nothing. */
static void set_attributes(scmp_filter_ctx context)
{
    /* Calls by the numbers of another architecture. */
    (void)seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* A tree instead of a list, for what the bitmap does not hold. */
    (void)seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
}

int tly_layer_seccomp(char why[TLY_LAYER_WHY_MAX])
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
        (void)snprintf(why, TLY_LAYER_WHY_MAX, "the kernel has none"); /* fits */
        return -ENOSYS;
    }
    struct filter filter = {.context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS))};
    if (filter.context == NULL) {
        return -ENOMEM;
    }
    set_attributes(filter.context);
    int rc = seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_TSYNC, 1);
    rc = rc < 0 ? rc : fill(&filter);
    rc = rc < 0 ? rc : seccomp_load(filter.context);
    seccomp_release(filter.context);
    if (rc == -EOPNOTSUPP) { /* old kernels, and emulators of them */
        (void)snprintf(why, TLY_LAYER_WHY_MAX, "the kernel has no seccomp(2)"); /* fits */
        return -ENOSYS;
    }
    why[0] = '\0';
    return rc;
}
