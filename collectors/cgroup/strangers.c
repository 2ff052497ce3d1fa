/*
 * The walk. Numbers of processes are given out again: what looks like a stranger is looked at once
 * more through its folder in procfs, which a later process of the same number does not take over.
 */
#include "collectors/cgroup/strangers.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/cgroup_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Lists of cgroups: one line for each hierarchy, none longer than a path. */
#define TEXT_BYTES_MAX (1U << 16)
#define NAME_BYTES     48 /* "<pid>/ns/mnt" */
#define LINK_BYTES     48 /* "mnt:[4026531841]" */
/* The clock is looked at once for so many processes. */
#define PER_LOOK 64

void tly_strangers_init(struct tly_strangers *strangers)
{
    *strangers = (struct tly_strangers){0};
    tly_buf_init(&strangers->text, TEXT_BYTES_MAX);
}

void tly_strangers_done(struct tly_strangers *strangers)
{
    tly_buf_done(&strangers->text);
    free(strangers->homes);
    free(strangers->known);
}

/* ---- namespaces ---- */

/* The inode that a link such as "mnt:[4026531841]" names; 0 when it can't be read. */
static uint64_t link_inode(int dir_fd, const char *path)
{
    static const struct tly_text prefix = {"mnt:[", 5};
    char text[LINK_BYTES];
    ssize_t len = readlinkat(dir_fd, path, text, sizeof(text));
    struct tly_text rest = {text, len < 0 ? 0 : (size_t)len};
    int64_t inode = 0;
    if (!tly_text_starts(rest, prefix)) {
        return 0;
    }
    rest = (struct tly_text){rest.at + prefix.len, rest.len - prefix.len};
    return tly_text_i64(tly_text_cut(&rest, ']'), &inode) == 0 && inode > 0 ? (uint64_t)inode : 0;
}

uint64_t tly_mount_namespace(int proc_fd, int64_t pid)
{
    char path[NAME_BYTES];
    (void)snprintf(path, sizeof(path), "%" PRId64 "/ns/mnt", pid);
    return link_inode(proc_fd, path);
}

/* ---- before a walk ---- */

void tly_strangers_clear(struct tly_strangers *strangers)
{
    strangers->home_count = 0;
    strangers->known_count = 0;
}

static int room(void **entries, size_t wanted, size_t *cap, size_t size)
{
    size_t grown_cap = *cap == 0 ? 64 : *cap;
    while (grown_cap < wanted) {
        grown_cap *= 2;
    }
    if (grown_cap == *cap) {
        return 0;
    }
    void *grown = reallocarray(*entries, grown_cap, size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *entries = grown;
    *cap = grown_cap;
    return 0;
}

int tly_strangers_home(struct tly_strangers *strangers, const struct tly_home *home)
{
    void *homes = strangers->homes;
    int rc = room(&homes, strangers->home_count + 1, &strangers->home_cap,
                  sizeof(*strangers->homes));
    strangers->homes = homes;
    if (rc == 0) {
        strangers->homes[strangers->home_count++] = *home;
    }
    return rc;
}

int tly_strangers_knows(struct tly_strangers *strangers, const int32_t *pids, size_t count)
{
    void *known = strangers->known;
    int rc = room(&known, strangers->known_count + count, &strangers->known_cap,
                  sizeof(*strangers->known));
    strangers->known = known;
    if (rc == 0 && count > 0) {
        memcpy(strangers->known + strangers->known_count, pids, count * sizeof(*pids));
        strangers->known_count += count;
    }
    return rc;
}

/* ---- the walk ---- */

static int home_compare(const void *left, const void *right)
{
    uint64_t a = ((const struct tly_home *)left)->mount_ns;
    uint64_t b = ((const struct tly_home *)right)->mount_ns;
    return a < b ? -1 : a > b;
}

static int pid_compare(const void *left, const void *right)
{
    int32_t a = *(const int32_t *)left;
    int32_t b = *(const int32_t *)right;
    return a < b ? -1 : a > b;
}

static struct tly_home *home_of(const struct tly_strangers *strangers, uint64_t mount_ns)
{
    const struct tly_home wanted = {.mount_ns = mount_ns};
    return mount_ns == 0 || strangers->home_count == 0
               ? NULL
               : bsearch(&wanted, strangers->homes, strangers->home_count, sizeof(wanted),
                         home_compare);
}

/* Whether a path of /proc/<pid>/cgroup lies in the home's cgroup. It begins at the root of the
 * reader's own cgroup namespace, which need not be that of the tree. */
static bool line_within(struct tly_text path, const struct tly_home *home)
{
    size_t own = strlen(home->path);
    const char *at = own > 1 ? memmem(path.at, path.len, home->path, own) : NULL;
    if (at != NULL && (at + own == path.at + path.len || at[own] == '/')) {
        return true;
    }
    while (path.at != NULL) {
        struct tly_text id;
        if (tly_cgroup_kind_of(tly_text_cut(&path, '/'), &id) == TLY_CGROUP_CONTAINER &&
            tly_text_equal(id, tly_text_of(home->id))) {
            return true;
        }
    }
    return false;
}

static bool text_within(struct tly_text text, const struct tly_home *home)
{
    while (text.at != NULL) {
        struct tly_text line = tly_text_cut(&text, '\n');
        (void)tly_text_cut(&line, ':'); /* the number of the hierarchy */
        (void)tly_text_cut(&line, ':'); /* its controllers */
        if (line.at != NULL && line_within(line, home)) {
            return true;
        }
    }
    return false;
}

/* Whether one and the same process is in the home's mount namespace and in none of its cgroups. */
static bool is_stranger(struct tly_strangers *strangers, int proc_fd, int64_t pid,
                        const struct tly_home *home)
{
    char name[NAME_BYTES];
    TLY_AUTO_FD fd = -1;
    (void)snprintf(name, sizeof(name), "%" PRId64, pid);
    tly_buf_clear(&strangers->text);
    return tly_file_open(proc_fd, name, O_RDONLY | O_DIRECTORY, &fd) == 0 &&
           tly_file_read(fd, "cgroup", &strangers->text) == 0 &&
           !text_within(tly_buf_text(&strangers->text), home) &&
           link_inode(fd, "ns/mnt") == home->mount_ns;
}

/* Whoever may not be looked into is passed over, as is who is gone. */
static void process_look(struct tly_strangers *strangers, int proc_fd, int64_t pid)
{
    const int32_t key = (int32_t)pid;
    if (strangers->known_count > 0 &&
        bsearch(&key, strangers->known, strangers->known_count, sizeof(key), pid_compare) != NULL) {
        return;
    }
    struct tly_home *home = home_of(strangers, tly_mount_namespace(proc_fd, pid));
    if (home != NULL && *home->strangers >= 0 && is_stranger(strangers, proc_fd, pid, home)) {
        ++*home->strangers;
    }
}

static int walk(struct tly_strangers *strangers, int proc_fd, int64_t deadline_ns)
{
    int fd = -1;
    int rc = tly_file_open(proc_fd, ".", O_RDONLY | O_DIRECTORY, &fd);
    DIR *directory = rc < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        tly_fd_close(&fd);
        return rc < 0 ? rc : -ENOMEM;
    }
    const struct dirent *entry;
    for (size_t seen = 0; rc == 0 && (entry = readdir(directory)) != NULL; seen++) {
        int64_t pid = 0;
        if (seen % PER_LOOK == PER_LOOK - 1 && tly_clock_monotonic_ns() >= deadline_ns) {
            rc = TLY_E_TIMEOUT;
        } else if (tly_text_i64(tly_text_of(entry->d_name), &pid) == 0) {
            process_look(strangers, proc_fd, pid);
        }
    }
    (void)closedir(directory); /* was only read */
    return rc;
}

/* Their namespace is that of everybody. */
static void leave_out(const struct tly_strangers *strangers, uint64_t mount_ns)
{
    struct tly_home *home = home_of(strangers, mount_ns);
    if (home != NULL) {
        *home->strangers = -1;
    }
}

int tly_strangers_count(struct tly_strangers *strangers, int proc_fd, int64_t deadline_ns)
{
    if (strangers->home_count == 0) {
        return 0;
    }
    qsort(strangers->homes, strangers->home_count, sizeof(*strangers->homes), home_compare);
    if (strangers->known_count > 0) {
        qsort(strangers->known, strangers->known_count, sizeof(*strangers->known), pid_compare);
    }
    for (size_t i = 0; i < strangers->home_count; i++) {
        *strangers->homes[i].strangers = 0;
    }
    leave_out(strangers, tly_mount_namespace(proc_fd, 1));
    leave_out(strangers, tly_mount_namespace(proc_fd, (int64_t)getpid()));
    int rc = walk(strangers, proc_fd, deadline_ns);
    for (size_t i = 0; rc < 0 && i < strangers->home_count; i++) {
        *strangers->homes[i].strangers = -1;
    }
    return rc;
}
