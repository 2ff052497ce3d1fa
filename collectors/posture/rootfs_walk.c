/*
 * The walk through a container's own file system for modes that let a user become another; see
 * rootfs.h. Folders are opened one component at a time, without following links and without
 * crossing into another mount, so that nothing that moves meanwhile leads elsewhere.
 */
#include "collectors/posture/rootfs.h"

#include "agent/base/clock.h"
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
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX   24   /* folders within folders; each holds a descriptor */
#define PATH_LEN    1024 /* of a path as it is told; deeper ones are cut off */
#define CLOCK_EVERY 256  /* entries between two looks at the clock */

struct level {
    DIR *dir;
    size_t path_len; /* of the folder */
};

struct walk {
    struct level levels[DEPTH_MAX];
    size_t depth;
    char path[PATH_LEN];
    int64_t inodes, inodes_max;
    int64_t deadline_ns;
    bool cut;
    const struct tly_fact_names *remote;
    const struct tly_strings *expected;
    struct tly_rootfs_facts *facts;
};

static int open_folder(int parent_fd, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, parent_fd, name, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

/* A file that carries capabilities is a set-user-id file in small. */
static bool has_capabilities(int folder_fd, const char *name)
{
    char path[64 + NAME_MAX];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", folder_fd, name); /* fits */
    return lgetxattr(path, "security.capability", NULL, 0) > 0;
}

static void judge(struct walk *walk, int folder_fd, const char *name, const struct stat *about)
{
    const bool folder = S_ISDIR(about->st_mode);
    const bool executable = S_ISREG(about->st_mode) && (about->st_mode & 0111);
    if (executable &&
        ((about->st_mode & (S_ISUID | S_ISGID)) || has_capabilities(folder_fd, name)) &&
        (!walk->expected || !tly_text_globs(walk->expected, tly_text_of(walk->path)))) {
        tly_names_push(&walk->facts->setuid, tly_text_of(walk->path));
    }
    bool shared = folder && (about->st_mode & S_ISVTX);
    if ((folder || S_ISREG(about->st_mode)) && (about->st_mode & S_IWOTH) && !shared) {
        tly_names_push(&walk->facts->world_writable, tly_text_of(walk->path));
    }
}

/* Opens a folder of which the path stands in walk->path. */
static void enter(struct walk *walk, int parent_fd, const char *name)
{
    if (walk->depth == DEPTH_MAX) {
        walk->cut = true;
        return;
    }
    int fd = open_folder(parent_fd, name);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        tly_fd_close(&fd); /* another mount, or gone */
        return;
    }
    walk->levels[walk->depth++] = (struct level){dir, strlen(walk->path)};
}

static bool is_skipped(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_over(struct walk *walk)
{
    walk->inodes++;
    if (walk->inodes > walk->inodes_max ||
        (walk->inodes % CLOCK_EVERY == 0 && tly_clock_monotonic_ns() > walk->deadline_ns)) {
        walk->cut = true;
    }
    return walk->cut;
}

static void take_entry(struct walk *walk, struct level *level, const struct dirent *entry)
{
    struct stat about;
    int fd = dirfd(level->dir);
    size_t room = sizeof(walk->path) - level->path_len;
    if (entry->d_type == DT_LNK || entry->d_type == DT_FIFO || entry->d_type == DT_SOCK) {
        return;
    }
    if ((size_t)snprintf(walk->path + level->path_len, room, "/%s", entry->d_name) >= room) {
        walk->path[level->path_len] = '\0';
        walk->cut = true;
        return;
    }
    if (walk->remote && tly_rootfs_is_remote(walk->remote, tly_text_of(walk->path))) {
        return;
    }
    if (fstatat(fd, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0) {
        judge(walk, fd, entry->d_name, &about);
        if (S_ISDIR(about.st_mode)) {
            enter(walk, fd, entry->d_name);
        }
    }
}

void tly_rootfs_walk(int root_fd, const struct tly_rootfs_limits *limits,
                     struct tly_rootfs_facts *facts)
{
    struct walk walk = {
        .inodes_max = limits->inodes_max,
        .deadline_ns = tly_clock_monotonic_ns() + limits->walk_ms * TLY_NS_PER_MS,
        .remote = limits->remote,
        .cut = limits->remote && !tly_rootfs_remote_is_known(limits->remote),
        .expected = limits->expected,
        .facts = facts,
    };
    facts->setuid = facts->world_writable = (struct tly_fact_names){0};
    enter(&walk, root_fd, ".");
    while (walk.depth > 0) {
        struct level *level = &walk.levels[walk.depth - 1];
        struct dirent *entry = walk.cut ? NULL : readdir(level->dir);
        if (!entry) {
            (void)closedir(level->dir); /* nothing was written */
            walk.depth--;
            continue;
        }
        walk.path[level->path_len] = '\0';
        if (!is_skipped(entry->d_name) && !is_over(&walk)) {
            take_entry(&walk, level, entry);
        }
    }
    facts->walked = !walk.cut;
}
