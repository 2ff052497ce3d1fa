/*
 * Landlock by its system calls (landlock(7), Documentation/userspace-api/landlock.rst), as the C
 * library has none. Later versions of the interface can forbid more; what the header of an older
 * kernel lacks stands here.
 */
#include "agent/sandbox/layers.h"

#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on every architecture. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define FS(bit)             (UINT64_C(1) << (bit))
#define FS_EXECUTE          FS(0)
#define FS_WRITE_FILE       FS(1)
#define FS_READ_FILE        FS(2)
#define FS_READ_DIR         FS(3)
#define FS_REMOVE_DIR       FS(4)
#define FS_REMOVE_FILE      FS(5)
#define FS_MAKE_DIR         FS(7)
#define FS_MAKE_REG         FS(8)
#define FS_MAKE_SOCK        FS(9)
#define FS_FIRST_ABI        (FS(13) - 1)
#define FS_REFER            FS(13)      /* ABI 2 */
#define FS_TRUNCATE         FS(14)      /* ABI 3 */
#define FS_IOCTL_DEV        FS(15)      /* ABI 5 */
#define NET_BIND_TCP        UINT64_C(1) /* ABI 4 */
#define NET_CONNECT_TCP     UINT64_C(2) /* ABI 4 */
#define SCOPE_ABSTRACT_UNIX UINT64_C(1) /* ABI 6 */
#define SCOPE_SIGNAL        UINT64_C(2) /* ABI 6 */
#define RULE_NET_PORT       2

/* What is allowed on a file that is no folder. */
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

struct ruleset_attr {
    uint64_t handled_access_fs, handled_access_net, scoped;
};

struct net_port_attr {
    uint64_t allowed_access, port;
};

static uint64_t fs_of(int abi)
{
    return FS_FIRST_ABI | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
           (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static uint64_t fs_allowed(unsigned access)
{
    uint64_t allowed = 0;
    if (access & (TLY_ACCESS_READ | TLY_ACCESS_WRITE | TLY_ACCESS_DEVICE)) {
        allowed |= FS_READ_FILE | FS_READ_DIR;
    }
    if (access & TLY_ACCESS_DEVICE) {
        allowed |= FS_WRITE_FILE;
    }
    if (access & TLY_ACCESS_WRITE) {
        allowed |= FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |
                   FS_MAKE_REG | FS_REFER;
    }
    if (access & TLY_ACCESS_SOCKET) {
        allowed |= FS_MAKE_SOCK | FS_REMOVE_FILE;
    }
    return allowed;
}

/* A path that is gone, or that the agent may not even look at, needs no rule. */
static int add_path(int ruleset, const struct tly_need_path *path, uint64_t handled)
{
    struct stat status;
    TLY_AUTO_FD fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        return 0;
    }
    struct landlock_path_beneath_attr rule = {
        .allowed_access = fs_allowed(path->access) & handled &
                          (S_ISDIR(status.st_mode) ? ~UINT64_C(0) : FS_OF_FILES),
        .parent_fd = fd,
    };
    if (rule.allowed_access == 0) {
        return 0;
    }
    long rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    return rc < 0 ? -errno : 0;
}

static int add_ports(int ruleset, const struct tly_needs *needs)
{
    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        struct net_port_attr rule = {.port = port};
        if (tly_needs_has_port(needs->connect_ports, (uint16_t)port)) {
            rule.allowed_access |= NET_CONNECT_TCP;
        }
        if (tly_needs_has_port(needs->listen_ports, (uint16_t)port)) {
            rule.allowed_access |= NET_BIND_TCP;
        }
        if (rule.allowed_access != 0 &&
            syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0) {
            return -errno;
        }
    }
    return 0;
}

/* A service manager that listens on an abstract socket would not be reached. */
static uint64_t scopes(int abi)
{
    const char *notify = getenv("NOTIFY_SOCKET");
    uint64_t all = SCOPE_SIGNAL | (notify != NULL && *notify == '@' ? 0 : SCOPE_ABSTRACT_UNIX);
    return abi >= 6 ? all : 0;
}

static int make_ruleset(const struct tly_needs *needs, int abi, int *ret_ruleset)
{
    struct ruleset_attr attr = {
        .handled_access_fs = fs_of(abi),
        .handled_access_net = abi >= 4 ? NET_BIND_TCP | NET_CONNECT_TCP : 0,
        .scoped = scopes(abi),
    };
    /* Older kernels take the longer struct, as far as what they don't know is 0. */
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0) {
        return -errno;
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < needs->path_count; i++) {
        rc = add_path(ruleset, &needs->paths[i], attr.handled_access_fs);
    }
    if (rc == 0 && attr.handled_access_net != 0) {
        rc = add_ports(ruleset, needs);
    }
    if (rc < 0) {
        tly_fd_close(&ruleset);
        return rc;
    }
    *ret_ruleset = ruleset;
    return 0;
}

int tly_layer_landlock(const struct tly_needs *needs, char why[TLY_LAYER_WHY_MAX])
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) {
        (void)snprintf(why, TLY_LAYER_WHY_MAX, "%s", /* fits */
                       errno == EOPNOTSUPP ? "it is switched off in the kernel (lsm=)"
                       : errno == EPERM    ? "a filter of the service or container forbids it"
                                           : "the kernel has none (Linux 5.13)");
        return -ENOSYS;
    }
    TLY_AUTO_FD ruleset = -1;
    int rc = make_ruleset(needs, (int)abi, &ruleset);
    if (rc < 0) {
        return rc;
    }
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) {
        return -errno;
    }
    (void)snprintf(why, TLY_LAYER_WHY_MAX, "ABI %ld%s", abi, /* fits */
                   abi >= 4 ? "" : ", no TCP ports");
    return 0;
}
