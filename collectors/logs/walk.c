/*
 * A look at a container's directory. A rotation renames from the highest number down and ends with
 * a new file under the base name: so a walk was disturbed if afterwards the base name is another
 * file, or other numbers are in use.
 */
#include "collectors/logs/walk.h"

#include "agent/base/file.h"
#include "agent/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Rotation takes milliseconds and comes after megabytes: a third disturbance is hardly possible,
 * and then the files found are merely not all of one moment. */
#define TRIES 4

/* More rotated files than anybody keeps; the bound is on descriptors and time. */
#define FILES_MAX 1024

#define NAME_LEN_MAX 300

struct found {
    uint32_t number;
    uint32_t gzip; /* 0 or 1: no padding, so that lists can be compared as bytes */
};

struct names {
    struct found at[FILES_MAX];
    size_t count;
};

static int compare_found(const void *a, const void *b)
{
    const struct found *left = a;
    const struct found *right = b;
    if (left->number != right->number) {
        return left->number < right->number ? -1 : 1;
    }
    return left->gzip < right->gzip
               ? -1
               : left->gzip > right->gzip; /* while it is compressed, both exist */
}

/* BASE.N or BASE.N.gz. */
static bool read_name(struct tly_text name, struct tly_text base, struct found *ret_found)
{
    uint64_t number;
    if (!tly_text_starts(name, base) || name.len < base.len + 2 || name.at[base.len] != '.') {
        return false;
    }
    struct tly_text digits = {name.at + base.len + 1, name.len - base.len - 1};
    ret_found->gzip = tly_text_ends(digits, TLY_TEXT(".gz"));
    digits.len -= ret_found->gzip ? sizeof(".gz") - 1 : 0;
    if (tly_text_u64(digits, &number) < 0 || number == 0 || number > UINT32_MAX) {
        return false;
    }
    ret_found->number = (uint32_t)number;
    return true;
}

static int list_names(int dir_fd, const char *base, struct names *names)
{
    int fd;
    int rc = tly_file_open(dir_fd, ".", O_RDONLY | O_DIRECTORY, &fd);
    names->count = 0;
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc; /* the directory was removed */
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        rc = -errno;
        close(fd);
        return rc;
    }
    const struct dirent *entry;
    while (names->count < FILES_MAX && (entry = readdir(dir))) {
        if (read_name(tly_text_of(entry->d_name), tly_text_of(base), &names->at[names->count])) {
            names->count++;
        }
    }
    closedir(dir);
    qsort(names->at, names->count, sizeof(names->at[0]), compare_found);
    return 0;
}

static int open_found(int dir_fd, const char *base, const struct found *found,
                      struct tly_log_file **ret_file)
{
    char name[NAME_LEN_MAX];
    int len = snprintf(name, sizeof(name), "%s.%u%s", base, found->number,
                       found->gzip ? ".gz" : "");
    if (len < 0 || (size_t)len >= sizeof(name)) {
        return -ENAMETOOLONG;
    }
    int rc = tly_log_file_open(dir_fd, name, found->gzip != 0, ret_file);
    if (rc == 0) {
        (*ret_file)->final = true;
    }
    return rc;
}

static bool same_inode(const struct tly_log_file *a, const struct tly_log_file *b)
{
    return a->device == b->device && a->inode == b->inode;
}

struct known_list {
    const struct tly_log_known *at;
    size_t count;
};

/* By inode, which the beginning has to confirm if the file is not held; when it may have been
 * compressed since, by its beginning alone. */
static bool is_known(const struct tly_log_file *file, const struct known_list *known)
{
    for (size_t i = 0; i < known->count; i++) {
        const struct tly_position *identity = &known->at[i].identity;
        bool same = file->inode == identity->inode && file->device == identity->device;
        bool matches = (same && known->at[i].held) ||
                       ((same || file->gzip) && identity->head_len > 0 &&
                        tly_log_file_matches(file, identity));
        if (matches) {
            return true;
        }
    }
    return false;
}

static bool in_list(const struct tly_log_walk *walk, const struct tly_log_file *file)
{
    const struct tly_log_file *at = walk->oldest;
    while (at && !same_inode(at, file)) {
        at = at->newer;
    }
    return at != NULL;
}

static void prepend(struct tly_log_walk *walk, struct tly_log_file *file)
{
    file->newer = walk->oldest;
    walk->oldest = file;
    if (!walk->newest) {
        walk->newest = file;
    }
}

/* The rotated files, from the newest to the oldest, up to one that is known. */
static void take_rotated(int dir_fd, const char *base, const struct names *names,
                         const struct known_list *known, struct tly_log_walk *walk)
{
    uint32_t taken = 0; /* the last number: its .gz, if there is one, is not finished */
    for (size_t i = 0; i < names->count && !walk->met_known; i++) {
        struct tly_log_file *file;
        if (names->at[i].number == taken || open_found(dir_fd, base, &names->at[i], &file) < 0) {
            continue; /* renamed meanwhile: it comes again under a higher number */
        }
        taken = names->at[i].number;
        walk->met_known = is_known(file, known);
        if (walk->met_known || in_list(walk, file)) {
            tly_log_file_free(file);
        } else {
            prepend(walk, file);
        }
    }
}

/* Whether BASE is still the file that was opened under this name (and is held, so that its inode is
 * not used again), or still absent; and the numbers are the same. */
static bool undisturbed(int dir_fd, const char *base, const struct tly_log_file *current,
                        const struct names *names, struct names *again)
{
    struct stat st;
    bool exists = fstatat(dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists != (current != NULL) || (exists && ((uint64_t)st.st_ino != current->inode ||
                                                   (uint64_t)st.st_dev != current->device))) {
        return false;
    }
    return list_names(dir_fd, base, again) == 0 && again->count == names->count &&
           memcmp(again->at, names->at, names->count * sizeof(names->at[0])) == 0;
}

static int walk_once(int dir_fd, const char *base, const struct known_list *known,
                     struct names names[2], struct tly_log_walk *walk, bool *ret_undisturbed)
{
    struct tly_log_file *current = NULL;
    *walk = (struct tly_log_walk){.oldest = NULL};
    int rc = tly_log_file_open(dir_fd, base, false, &current);
    if (rc < 0 && rc != -ENOENT) {
        return rc;
    }
    walk->has_current = current != NULL;
    walk->met_known = current && is_known(current, known);
    if (current && !walk->met_known) {
        prepend(walk, current);
    }
    rc = list_names(dir_fd, base, &names[0]);
    if (rc == 0 && !walk->met_known) {
        take_rotated(dir_fd, base, &names[0], known, walk);
    }
    *ret_undisturbed = rc == 0 && undisturbed(dir_fd, base, current, &names[0], &names[1]);
    if (current && walk->met_known && current != walk->newest) {
        tly_log_file_free(current);
    }
    return rc;
}

void tly_log_walk_done(struct tly_log_walk *walk)
{
    while (walk->oldest) {
        struct tly_log_file *file = walk->oldest;
        walk->oldest = file->newer;
        tly_log_file_free(file);
    }
    walk->newest = NULL;
}

int tly_log_walk(int dir_fd, const char *base, const struct tly_log_known *known,
                 size_t known_count, struct tly_log_walk *ret_walk)
{
    const struct known_list list = {known, known_count};
    struct names *names = calloc(2, sizeof(*names));
    struct tly_log_walk walk = {.oldest = NULL};
    bool undisturbed_now = false;
    int rc = names ? 0 : -ENOMEM;
    for (int tries = 0; rc == 0 && !undisturbed_now && tries < TRIES; tries++) {
        tly_log_walk_done(&walk); /* of the last try */
        rc = walk_once(dir_fd, base, &list, names, &walk, &undisturbed_now);
    }
    free(names);
    if (rc < 0) {
        tly_log_walk_done(&walk);
        return rc;
    }
    *ret_walk = walk;
    return 0;
}

int tly_log_walk_find(int dir_fd, const char *base, const struct tly_position *position,
                      struct tly_log_file **ret_file)
{
    struct tly_log_file *copy = NULL;
    struct names *names = malloc(sizeof(*names));
    int rc = names ? list_names(dir_fd, base, names) : -ENOMEM;
    for (size_t i = 0; rc == 0 && !copy && i < names->count; i++) {
        struct tly_log_file *file;
        if (open_found(dir_fd, base, &names->at[i], &file) < 0) {
            continue;
        }
        bool same = !file->gzip && file->inode == position->inode;
        if (!same && position->head_len > 0 && tly_log_file_matches(file, position)) {
            copy = file;
        } else {
            tly_log_file_free(file);
        }
    }
    free(names);
    if (!copy) {
        return rc < 0 ? rc : -ENOENT;
    }
    *ret_file = copy;
    return 0;
}
