/*
 * The walk. A container costs no system call of its own: its name and inode stand in its parent's
 * listing. A plain directory is opened, and listed only if its link count says that it has
 * children.
 */
#include "collectors/cgroup/walk.h"

#include "agent/base/file.h"
#include "agent/codec/cgroup_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* All paths of one walk. */
#define TEXT_MAX (64U << 20)

/* A directory that has no subdirectories: its own entry, and "." of itself. File systems that don't
 * count say 1. */
#define LEAF_LINKS 2

struct walker {
    struct tly_cgroup_walk *walk;
    bool all;
    bool listed_inodes; /* a listing's inode numbers are those of stat(2) */
    char path[PATH_MAX];
};

void tly_cgroup_walk_init(struct tly_cgroup_walk *walk)
{
    *walk = (struct tly_cgroup_walk){0};
    tly_buf_init(&walk->text, TEXT_MAX);
}

void tly_cgroup_walk_done(struct tly_cgroup_walk *walk)
{
    free(walk->at);
    tly_buf_done(&walk->text);
    *walk = (struct tly_cgroup_walk){0};
}

/* Units that systemd gives to processes and mounts: no engine puts a container below one, unless
 * the unit has been given children already. */
static bool unit_name(struct tly_text name)
{
    static const struct tly_text ends[] = {{".service", 8}, {".scope", 6}, {".mount", 6},
                                           {".socket", 7},  {".swap", 5},  {".automount", 10}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (tly_text_ends(name, ends[i])) {
            return true;
        }
    }
    return false;
}

/* Adds the directory at walker->path, whose last part holds `id`. */
static int place_add(struct walker *walker, size_t path_len, struct tly_text id, uint64_t inode)
{
    struct tly_cgroup_walk *walk = walker->walk;
    if (walk->count == walk->cap) {
        size_t cap = walk->cap == 0 ? 64 : walk->cap * 2;
        struct tly_cgroup_place *grown = realloc(walk->at, cap * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        walk->at = grown;
        walk->cap = cap;
    }
    size_t start = walk->text.len;
    int rc = tly_buf_append(&walk->text, walker->path, path_len);
    if (rc < 0) {
        return rc;
    }
    walk->at[walk->count++] = (struct tly_cgroup_place){
        .path_at = (uint32_t)start,
        .path_len = (uint32_t)path_len,
        .id_at = id.len == 0 ? 0 : (uint32_t)(start + (size_t)(id.at - walker->path)),
        .id_len = (uint32_t)id.len,
        .inode = inode,
    };
    return 0;
}

static int directory_walk(struct walker *walker, int fd, size_t path_len, int depth);

/* A plain directory: reported, and walked if it has children. Where we lack the means to look into
 * it, nobody knows what is below it, which must not pass for nothing. Else a failure is that it
 * went meanwhile, or may not be read: the others go on. */
static int plain_walk(struct walker *walker, int parent_fd, struct tly_text name, size_t path_len,
                      int depth)
{
    TLY_AUTO_FD fd = -1;
    struct stat status;
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int rc = tly_file_open(parent_fd, name.at, flags, &fd);
    if (rc < 0 || fstat(fd, &status) < 0) {
        return tly_error_lacks_means(rc) ? rc : 0;
    }
    bool children = status.st_nlink != LEAF_LINKS;
    if (walker->all || children || !unit_name(name)) {
        rc = place_add(walker, path_len, (struct tly_text){NULL, 0}, status.st_ino);
        if (rc < 0) {
            return rc;
        }
    }
    if (!children) {
        return 0;
    }
    int own = fd;
    fd = -1;
    return directory_walk(walker, own, path_len, depth + 1);
}

static int entry_walk(struct walker *walker, int parent_fd, const struct dirent *entry,
                      size_t path_len, int depth)
{
    struct tly_text name = tly_text_of(entry->d_name);
    bool maybe_directory = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
    if (!maybe_directory || strcmp(name.at, ".") == 0 || strcmp(name.at, "..") == 0) {
        return 0;
    }
    struct tly_text id = {NULL, 0};
    enum tly_cgroup_kind kind = tly_cgroup_kind_of(name, &id);
    if (kind == TLY_CGROUP_HELPER && !walker->all) {
        return 0;
    }
    if (depth >= TLY_CGROUP_DEPTH_MAX || walker->walk->count >= TLY_CGROUP_DIRECTORIES_MAX ||
        path_len + 1 + name.len >= sizeof(walker->path)) {
        walker->walk->skipped++;
        return 0;
    }
    walker->path[path_len] = '/';
    memcpy(walker->path + path_len + 1, name.at, name.len + 1);
    size_t len = path_len + 1 + name.len;
    if (kind == TLY_CGROUP_CONTAINER) {
        struct stat status;
        uint64_t inode = entry->d_ino;
        if (!walker->listed_inodes) {
            if (fstatat(parent_fd, name.at, &status, AT_SYMLINK_NOFOLLOW) < 0) {
                return 0; /* gone meanwhile */
            }
            inode = status.st_ino;
        }
        id.at = walker->path + path_len + 1 + (id.at - name.at);
        return place_add(walker, len, id, inode);
    }
    return plain_walk(walker, parent_fd, name, len, depth);
}

/* Owns `fd`. */
static int directory_walk(struct walker *walker, int fd, size_t path_len, int depth)
{
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        int rc = -errno;
        tly_fd_close(&fd);
        return tly_error_lacks_means(rc) ? rc : 0;
    }
    int rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(directory)) != NULL) {
        rc = entry_walk(walker, fd, entry, path_len, depth);
    }
    (void)closedir(directory); /* was only read */
    return rc;
}

int tly_cgroup_walk_run(struct tly_cgroup_walk *walk, int root_fd, bool all)
{
    struct walker walker = {.walk = walk, .all = all};
    struct statfs system;
    /* True of cgroup2; an overlay, on which a copy of the tree may lie, has two sets of numbers. */
    walker.listed_inodes = fstatfs(root_fd, &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC;
    walk->count = 0;
    walk->skipped = 0;
    tly_buf_clear(&walk->text);
    int fd = -1;
    int rc = tly_file_open(root_fd, ".", O_RDONLY | O_DIRECTORY, &fd);
    return rc < 0 ? rc : directory_walk(&walker, fd, 0, 0);
}
