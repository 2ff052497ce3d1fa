/*
 * Depth first, by a stack of folders in which each names the one above it, so that a path can be
 * made for any of them: nothing but the folder being read is open. See walk.h.
 */
#include "collectors/disk/walk.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"
#include "collectors/disk/links.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* st_blocks and stx_blocks count these, whatever the file system's own. stat(2) */
#define BLOCK_BYTES 512

/* The kernel goes through so many parts of a path in the time of one entry, roughly: who makes
 * deep trees pays for it with his own budget. */
#define PARTS_PER_ENTRY 64

#define NO_PARENT UINT32_MAX

struct folder {
    uint32_t parent; /* its index in the stack; NO_PARENT: the top one */
    uint32_t name;   /* where its name begins in `names` */
    bool marked;
    bool opened; /* its entries are on the stack above it, or were */
};

struct tly_disk_walk {
    char *root;
    struct tly_disk_limits limits;
    struct tly_disk_size size;
    uint64_t entries; /* looked at, folders once more when they are opened */
    size_t toll;      /* what the last folder's depth cost beside that */
    bool over;
    dev_t device;

    struct folder *stack;
    size_t count, cap;
    struct tly_buf names; /* each with a closing NUL, in the order of the stack */

    DIR *open; /* the folder being read, or NULL */
    uint32_t reading;
    struct tly_disk_links links;
};

/* ---- looking ---- */

#define WANTED (STATX_TYPE | STATX_NLINK | STATX_INO | STATX_BLOCKS | STATX_MNT_ID)

static int look(int dir_fd, const char *name, struct statx *ret_stat)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    if (name[0] == '\0') {
        flags |= AT_EMPTY_PATH;
    }
    return statx(dir_fd, name, flags, WANTED, ret_stat) < 0 ? -errno : 0;
}

/* Whether it is the root of another mount. Kernels before 5.8 do not say; there the device has to
 * do, which misses a bind mount of the same file system. */
static bool is_mount(const struct statx *stat, dev_t device)
{
    if (stat->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) {
        return (stat->stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    }
    return makedev(stat->stx_dev_major, stat->stx_dev_minor) != device;
}

static int root_open(const struct tly_disk_walk *walk, int *ret_fd)
{
    return tly_file_open(AT_FDCWD, walk->root, O_PATH | O_DIRECTORY | O_NOFOLLOW, ret_fd);
}

static int root_check(struct tly_disk_walk *walk)
{
    TLY_AUTO_FD fd = -1;
    struct statx stat;
    struct stat above;
    struct statvfs fs;
    int rc = root_open(walk, &fd);
    rc = rc < 0 ? rc : look(fd, "", &stat);
    if (rc < 0) {
        return rc;
    }
    if (fstatat(fd, "..", &above, AT_NO_AUTOMOUNT) < 0) {
        return -errno;
    }
    if (is_mount(&stat, above.st_dev)) {
        return -EXDEV;
    }
    walk->device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
    walk->size.major = stat.stx_dev_major;
    walk->size.minor = stat.stx_dev_minor;
    walk->size.mount_id = stat.stx_mask & STATX_MNT_ID ? stat.stx_mnt_id : 0;
    if (fstatvfs(fd, &fs) == 0) {
        walk->size.fs_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
        walk->size.fs_inodes = fs.f_files;
        walk->size.fs_inodes_free = fs.f_ffree;
    }
    return 0;
}

/* ---- opening ---- */

/* The path of a folder below the top one, written from the end of `to` backwards, and its number of
 * parts. NULL when it is too long for the kernel. */
static const char *path_of(const struct tly_disk_walk *walk, uint32_t folder, char to[PATH_MAX],
                           size_t *ret_depth)
{
    size_t at = PATH_MAX - 1;
    to[at] = '\0';
    *ret_depth = 0;
    for (; walk->stack[folder].parent != NO_PARENT; folder = walk->stack[folder].parent) {
        const char *name = walk->names.at + walk->stack[folder].name;
        size_t len = strlen(name);
        size_t slash = to[at] == '\0' ? 0 : 1;
        if (at < len + slash) {
            return NULL;
        }
        if (slash > 0) {
            to[--at] = '/';
        }
        at -= len;
        memcpy(to + at, name, len);
        (*ret_depth)++;
    }
    return to[at] == '\0' ? "." : to + at;
}

/* One part after the other, none of them a link or on another device. */
static int open_plainly(int root_fd, const char *path, dev_t device, int *ret_fd)
{
    int dir_fd = root_fd;
    TLY_AUTO_FD last = -1;
    while (*path) {
        char name[NAME_MAX + 1];
        size_t len = strcspn(path, "/");
        if (len > NAME_MAX) {
            return -ENAMETOOLONG;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        path += len + (path[len] == '/');
        int fd = -1;
        struct stat stat;
        int rc = tly_file_open(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
        if (rc < 0) {
            return rc;
        }
        tly_fd_close(&last);
        last = dir_fd = fd;
        if (fstat(fd, &stat) < 0) {
            return -errno;
        }
        if (stat.st_dev != device) {
            return -EXDEV;
        }
    }
    *ret_fd = last;
    last = -1;
    return 0;
}

static int open_beneath(int root_fd, const char *path, int *ret_fd)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    long fd = -1;
    do {
        fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = (int)fd;
    return 0;
}

static int folder_open(struct tly_disk_walk *walk, uint32_t folder, int *ret_fd)
{
    char buffer[PATH_MAX];
    TLY_AUTO_FD root_fd = -1;
    size_t depth = 0;
    const char *path = path_of(walk, folder, buffer, &depth);
    int rc = path ? root_open(walk, &root_fd) : -ENAMETOOLONG;
    if (rc < 0) {
        return rc;
    }
    if (!walk->limits.plain_open) {
        rc = open_beneath(root_fd, path, ret_fd);
        /* Kernels before 5.6 have no openat2(2), and a seccomp filter may hide it with EPERM. */
        walk->limits.plain_open = rc == -ENOSYS || rc == -EPERM;
    }
    walk->toll = walk->limits.plain_open ? depth : depth / PARTS_PER_ENTRY;
    return walk->limits.plain_open ? open_plainly(root_fd, path, walk->device, ret_fd) : rc;
}

/* ---- the stack ---- */

static int push(struct tly_disk_walk *walk, uint32_t parent, const char *name, bool marked)
{
    size_t len = strlen(name) + 1;
    size_t memory = (walk->count + 1) * sizeof(*walk->stack) + walk->names.len + len;
    if (memory > walk->limits.memory_bytes_max || walk->names.len > UINT32_MAX - len) {
        return TLY_E_LIMIT;
    }
    if (walk->count == walk->cap) {
        size_t cap = walk->cap > 0 ? walk->cap * 2 : 64;
        struct folder *grown = realloc(walk->stack, cap * sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        walk->stack = grown;
        walk->cap = cap;
    }
    struct folder folder = {.parent = parent, .name = (uint32_t)walk->names.len, .marked = marked};
    int rc = tly_buf_append(&walk->names, name, len);
    if (rc == 0) {
        walk->stack[walk->count++] = folder;
    }
    return rc;
}

static void pop(struct tly_disk_walk *walk)
{
    walk->names.len = walk->stack[--walk->count].name;
}

/* ---- entries ---- */

static bool is_marked(const struct tly_disk_walk *walk, const char *name)
{
    for (const char *const *mark = walk->limits.marks; mark && *mark; mark++) {
        if (strncmp(name, *mark, strlen(*mark)) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether it was counted under another name. */
static bool is_known(struct tly_disk_walk *walk, const struct statx *stat)
{
    if (stat->stx_nlink < 2 || S_ISDIR(stat->stx_mode)) {
        return false;
    }
    bool known = false;
    if (tly_disk_links_add(&walk->links, makedev(stat->stx_dev_major, stat->stx_dev_minor),
                           stat->stx_ino, &known) < 0) {
        walk->size.cut |= TLY_DISK_CUT_LINKS;
    }
    return known;
}

static void count(struct tly_disk_walk *walk, const struct statx *stat, bool marked)
{
    if (is_known(walk, stat)) {
        return;
    }
    walk->size.inodes++;
    walk->size.bytes += stat->stx_blocks * BLOCK_BYTES;
    if (marked && !S_ISDIR(stat->stx_mode)) {
        walk->size.marked_bytes += stat->stx_blocks * BLOCK_BYTES;
    }
}

static bool is_gone(int rc)
{
    /* ENOTDIR and ELOOP: something else of that name took its place. */
    return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP || rc == -ESTALE;
}

static void entry(struct tly_disk_walk *walk, const char *name)
{
    struct statx stat;
    bool marked = walk->stack[walk->reading].marked ||
                  (walk->stack[walk->reading].parent == NO_PARENT && is_marked(walk, name));
    int rc = look(dirfd(walk->open), name, &stat);
    if (rc < 0) {
        walk->size.unreadable += is_gone(rc) ? 0 : 1;
        return;
    }
    if (is_mount(&stat, walk->device)) {
        return;
    }
    count(walk, &stat, marked);
    if (S_ISDIR(stat.stx_mode) && push(walk, walk->reading, name, marked) < 0) {
        walk->size.cut |= TLY_DISK_CUT_MEMORY;
    }
}

/* Opens the folder on top of the stack; it leaves the stack when that is not possible. */
static void open_next(struct tly_disk_walk *walk)
{
    int fd = -1;
    uint32_t folder = (uint32_t)(walk->count - 1);
    int rc = folder_open(walk, folder, &fd);
    if (rc == 0) {
        walk->open = fdopendir(fd);
        rc = walk->open ? 0 : -errno;
    }
    if (rc == 0) {
        walk->stack[folder].opened = true;
        walk->reading = folder;
        return;
    }
    tly_fd_close(&fd);
    if (is_gone(rc) && walk->stack[folder].parent == NO_PARENT) {
        walk->size.inodes = walk->size.bytes = 0;
    }
    if (rc == -ENAMETOOLONG) {
        walk->size.cut |= TLY_DISK_CUT_DEPTH;
    } else if (rc != -EXDEV) { /* a mount is none of ours */
        walk->size.unreadable += is_gone(rc) ? 0 : 1;
    }
    pop(walk);
}

static void read_next(struct tly_disk_walk *walk)
{
    errno = 0;
    const struct dirent *found = readdir(walk->open);
    if (!found) {
        walk->size.unreadable += errno != 0 && errno != ENOENT; /* ENOENT: it was removed */
        (void)closedir(walk->open); /* only reading: nothing can be lost */
        walk->open = NULL;
    } else if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0) {
        entry(walk, found->d_name);
    }
}

/* One more entry or folder; false when there is none. */
static bool advance(struct tly_disk_walk *walk)
{
    if (walk->open) {
        read_next(walk);
        return true;
    }
    while (walk->count > 0 && walk->stack[walk->count - 1].opened) {
        pop(walk);
    }
    if (walk->count == 0) {
        return false;
    }
    open_next(walk);
    return true;
}

bool tly_disk_walk_step(struct tly_disk_walk *walk, size_t entries, size_t *ret_done)
{
    size_t done = 0;
    while (!walk->over && done < entries) {
        if (!advance(walk)) {
            walk->over = true;
            break;
        }
        done += 1 + walk->toll;
        walk->toll = 0;
        if (++walk->entries > walk->limits.entries_max) {
            walk->size.cut |= TLY_DISK_CUT_ENTRIES;
            walk->over = true;
        }
    }
    *ret_done = done;
    return !walk->over;
}

/* ---- life ---- */

/* The top folder itself counts too. */
static int root_count(struct tly_disk_walk *walk)
{
    struct statx stat;
    int rc = look(AT_FDCWD, walk->root, &stat);
    if (rc == 0) {
        count(walk, &stat, false);
        rc = push(walk, NO_PARENT, "", false);
    }
    return rc;
}

int tly_disk_walk_new(const char *root, const struct tly_disk_limits *limits,
                      struct tly_disk_walk **ret_walk)
{
    struct tly_disk_walk *walk = calloc(1, sizeof(*walk));
    if (!walk) {
        return -ENOMEM;
    }
    walk->limits = *limits;
    tly_buf_init(&walk->names, limits->memory_bytes_max);
    walk->root = strdup(root);
    int rc = walk->root ? root_check(walk) : -ENOMEM;
    rc = rc < 0 ? rc : root_count(walk);
    if (rc < 0) {
        tly_disk_walk_free(walk);
        return rc;
    }
    *ret_walk = walk;
    return 0;
}

void tly_disk_walk_free(struct tly_disk_walk *walk)
{
    if (!walk) {
        return;
    }
    if (walk->open) {
        (void)closedir(walk->open); /* as above */
    }
    tly_disk_links_done(&walk->links);
    tly_buf_done(&walk->names);
    free(walk->stack);
    free(walk->root);
    free(walk);
}

const struct tly_disk_size *tly_disk_walk_size(const struct tly_disk_walk *walk)
{
    return &walk->size;
}
