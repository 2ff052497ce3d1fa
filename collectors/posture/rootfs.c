/*
 * Bounded and guarded looks into a container's file system; see rootfs.h. The walk is in
 * rootfs_walk.c.
 */
#include "collectors/posture/rootfs.h"

#include "agent/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OS_RELEASE_BYTES_MAX 8192
#define ENTRIES_MAX          1024 /* of one folder that is searched for secrets */

static int open_within(int root_fd, const char *path, uint64_t flags, uint64_t more_resolve)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | more_resolve,
    };
    long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int tly_rootfs_open(int process_fd, int *ret_root_fd, char why[160])
{
    int fd = -1;
    int rc = tly_file_open(process_fd, "root", O_PATH | O_DIRECTORY, &fd);
    if (rc == 0) {
        int probe = open_within(fd, "/", O_PATH | O_DIRECTORY, 0);
        rc = probe < 0 ? probe : 0;
        tly_fd_close(&probe);
    }
    if (rc < 0) {
        tly_fd_close(&fd);
        (void)snprintf(why, 160, "%s",
                       rc == -ENOSYS ? "the kernel has no openat2 (Linux 5.6)"
                       : rc == -EACCES || rc == -EPERM
                           ? "no permission; it needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
                           : tly_error_name(rc));
        return rc;
    }
    *ret_root_fd = fd;
    return 0;
}

int tly_rootfs_find(int root_fd, const char *path, int *ret_fd)
{
    int fd = open_within(root_fd, path, O_PATH, 0);
    if (fd < 0) {
        return fd;
    }
    *ret_fd = fd;
    return 0;
}

static int read_within(int root_fd, const char *path, uint64_t more_resolve, struct tly_buf *buf)
{
    struct stat about;
    /* O_NONBLOCK: a pipe under that name must not hold the worker. */
    TLY_AUTO_FD fd = open_within(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, more_resolve);
    if (fd < 0) {
        return fd;
    }
    if (fstat(fd, &about) < 0) {
        return -errno;
    }
    return S_ISREG(about.st_mode) ? tly_file_read_fd(fd, buf) : -EINVAL;
}

int tly_rootfs_read(int root_fd, const char *path, struct tly_buf *buf)
{
    return read_within(root_fd, path, 0, buf);
}

/* What is mounted over the image is none of it. */
static bool exists(int root_fd, const char *path)
{
    TLY_AUTO_FD fd = open_within(root_fd, path, O_PATH, RESOLVE_NO_XDEV);
    return fd >= 0;
}

/* ---- the image ---- */

/* One of os-release(5), without its quotes. */
static void take_value(struct tly_text text, const char *key, char *to, size_t cap)
{
    struct tly_text start = tly_text_of(key);
    while (text.at && text.len > 0) {
        struct tly_text line = tly_text_trim(tly_text_cut(&text, '\n'));
        if (!tly_text_starts(line, start)) {
            continue;
        }
        struct tly_text value = {line.at + start.len, line.len - start.len};
        if (value.len >= 2 && (value.at[0] == '"' || value.at[0] == '\'')) {
            value = (struct tly_text){value.at + 1, value.len - 2};
        }
        (void)snprintf(to, cap, "%.*s", (int)(value.len < cap ? value.len : cap - 1),
                       value.len > 0 ? value.at : ""); /* cut to fit */
        return;
    }
}

static void take_os(int root_fd, struct tly_rootfs_facts *facts)
{
    struct tly_buf buf;
    tly_buf_init(&buf, OS_RELEASE_BYTES_MAX);
    if (read_within(root_fd, "/etc/os-release", RESOLVE_NO_XDEV, &buf) == 0 ||
        read_within(root_fd, "/usr/lib/os-release", RESOLVE_NO_XDEV, &buf) == 0) {
        struct tly_text text = tly_buf_text(&buf);
        take_value(text, "ID=", facts->os_id, sizeof(facts->os_id));
        take_value(text, "VERSION_ID=", facts->os_version, sizeof(facts->os_version));
        take_value(text, "PRETTY_NAME=", facts->os_name, sizeof(facts->os_name));
        if (facts->os_name[0] == '\0') {
            (void)snprintf(facts->os_name, sizeof(facts->os_name), "%s", facts->os_id);
        }
    }
    tly_buf_done(&buf);
}

static void look_for(int root_fd, const char *const *paths, struct tly_fact_names *names)
{
    for (size_t i = 0; paths[i]; i++) {
        if (exists(root_fd, paths[i])) {
            tly_names_push(names, tly_text_of(paths[i]));
        }
    }
}

void tly_rootfs_look_image(int root_fd, struct tly_rootfs_facts *facts)
{
    static const char *const shells[] = {"/bin/sh",      "/bin/bash",   "/bin/ash",
                                         "/bin/busybox", "/usr/bin/sh", NULL};
    static const char *const managers[] = {
        "/usr/bin/apt",       "/usr/bin/dpkg",      "/sbin/apk",    "/usr/bin/rpm",
        "/usr/bin/dnf",       "/usr/bin/microdnf",  "/usr/bin/yum", "/usr/bin/pip",
        "/usr/local/bin/pip", "/usr/local/bin/npm", "/usr/bin/npm", NULL};
    static const char *const tools[] = {"/usr/bin/gcc",   "/usr/bin/cc",   "/usr/bin/make",
                                        "/usr/bin/go",    "/usr/local/go", "/usr/bin/cargo",
                                        "/usr/bin/javac", "/usr/bin/git",  NULL};
    take_os(root_fd, facts);
    look_for(root_fd, shells, &facts->shells);
    look_for(root_fd, managers, &facts->package_managers);
    look_for(root_fd, tools, &facts->build_tools);
    facts->has_curl = exists(root_fd, "/usr/bin/curl") || exists(root_fd, "/bin/curl") ||
                      exists(root_fd, "/usr/local/bin/curl");
    facts->has_wget = exists(root_fd, "/usr/bin/wget") || exists(root_fd, "/bin/wget") ||
                      exists(root_fd, "/usr/local/bin/wget");
    facts->seen = true;
    facts->walked = -1;
}

/* ---- remote mounts ---- */

static bool is_at_or_below(struct tly_text path, struct tly_text point)
{
    return tly_text_starts(path, point) && (path.len == point.len || path.at[point.len] == '/');
}

bool tly_rootfs_remote_is_known(const struct tly_fact_names *remote)
{
    bool known = remote->count <= TLY_FACT_NAMES;
    for (size_t i = 0; known && i < remote->count; i++) {
        struct tly_text point = tly_text_of(remote->at[i]);
        /* Neither cut nor written with escapes. */
        known = point.len < TLY_FACT_NAME_MAX - 1 && !memchr(point.at, '\\', point.len);
    }
    return known;
}

bool tly_rootfs_is_remote(const struct tly_fact_names *remote, struct tly_text path)
{
    bool is_remote = !tly_rootfs_remote_is_known(remote);
    for (size_t i = 0; !is_remote && i < remote->count; i++) {
        is_remote = is_at_or_below(path, tly_text_of(remote->at[i]));
    }
    return is_remote;
}

/* ---- the container's secrets ---- */

static bool looks_secret(const char *name)
{
    static const char *const patterns[] = {"*.pem",       "*.key", "id_rsa*",
                                           "id_ed25519*", ".env",  "config.json"};
    struct tly_text text = tly_text_of(name);
    if (tly_text_ends(text, TLY_TEXT(".pub"))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (tly_text_glob(tly_text_of(patterns[i]), text)) {
            return true;
        }
    }
    return false;
}

/* Calls for each regular file of a folder within the root, of which there may be too many. Where
 * there are remote mounts no link is followed: it may lead into one. */
static void each_file(int root_fd, const char *folder, const struct tly_fact_names *remote,
                      void (*fn)(struct tly_rootfs_facts *facts, const char *path, const char *name,
                                 const struct stat *about),
                      struct tly_rootfs_facts *facts)
{
    if (tly_rootfs_is_remote(remote, tly_text_of(folder))) {
        facts->passed_over = true;
        return;
    }
    int fd = open_within(root_fd, folder, O_RDONLY | O_DIRECTORY | O_NONBLOCK,
                         remote->count > 0 ? RESOLVE_NO_SYMLINKS : 0);
    facts->passed_over = facts->passed_over || (remote->count > 0 && fd == -ELOOP);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        tly_fd_close(&fd);
        return;
    }
    size_t seen = 0;
    for (struct dirent *entry; seen < ENTRIES_MAX && (entry = readdir(dir)); seen++) {
        char path[PATH_MAX];
        struct stat about;
        if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN) {
            continue;
        }
        bool slash = folder[0] != '\0' && folder[strlen(folder) - 1] == '/';
        (void)snprintf(path, sizeof(path), "%s%s%s", folder, slash ? "" : "/",
                       entry->d_name); /* cut to fit */
        if (tly_rootfs_is_remote(remote, tly_text_of(path))) {
            facts->passed_over = true;
        } else if (fstatat(dirfd(dir), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
                   S_ISREG(about.st_mode)) {
            fn(facts, path, entry->d_name, &about);
        }
    }
    (void)closedir(dir); /* nothing was written */
}

static void take_secret(struct tly_rootfs_facts *facts, const char *path, const char *name,
                        const struct stat *about)
{
    (void)name;
    tly_names_push(&facts->swarm_secrets, tly_text_of(path));
    facts->secret_files++;
    if (about->st_mode & 077) {
        tly_names_push(&facts->open_secrets, tly_text_of(path));
    }
}

static void take_likely_secret(struct tly_rootfs_facts *facts, const char *path, const char *name,
                               const struct stat *about)
{
    if (looks_secret(name)) {
        facts->secret_files++;
        if (about->st_mode & 077) {
            tly_names_push(&facts->open_secrets, tly_text_of(path));
        }
    }
}

void tly_rootfs_look_container(int root_fd, const char *working_folder,
                               const struct tly_fact_names *remote, struct tly_rootfs_facts *facts)
{
    facts->seen = true;
    each_file(root_fd, "/run/secrets", remote, take_secret, facts);
    each_file(root_fd, working_folder && working_folder[0] ? working_folder : "/", remote,
              take_likely_secret, facts);
}
