/*
 * A look at a container's directory. A rotation of Docker's renames from the highest number down
 * and ends with a new file under the base name, one of the kubelet's gives the file a new name: so
 * a walk was disturbed if afterwards the base name is another file, or other names are in use.
 */
#include "collectors/logs/walk.h"

#include "agent/base/file.h"
#include "agent/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

/* The rank of the kubelet's N.log among the files of its start: newer than all that were rotated.
 */
#define RANK_CURRENT UINT64_MAX

/* A file by its name; no padding, so that lists can be compared as bytes. */
struct found {
    uint64_t rank;     /* the newer, the higher */
    uint32_t instance; /* which start of the container; 0 with Docker */
    uint32_t gzip;     /* 0 or 1 */
};

struct names {
    struct found at[FILES_MAX];
    size_t count;
};

/* From the newest to the oldest. While a file is compressed, both exist. */
static int compare_found(const void *a, const void *b)
{
    const struct found *left = a;
    const struct found *right = b;
    if (left->instance != right->instance) {
        return left->instance > right->instance ? -1 : 1;
    }
    if (left->rank != right->rank) {
        return left->rank > right->rank ? -1 : 1;
    }
    return left->gzip < right->gzip ? -1 : left->gzip > right->gzip;
}

/* BASE.N or BASE.N.gz. */
static bool read_numbered(struct tly_text name, struct tly_text base, struct found *ret_found)
{
    uint64_t number;
    if (!tly_text_starts(name, base) || name.len < base.len + 2 || name.at[base.len] != '.') {
        return false;
    }
    struct tly_text digits = {name.at + base.len + 1, name.len - base.len - 1};
    bool gzip = tly_text_ends(digits, TLY_TEXT(".gz"));
    digits.len -= gzip ? sizeof(".gz") - 1 : 0;
    if (tly_text_u64(digits, &number) < 0 || number == 0 || number > UINT32_MAX) {
        return false;
    }
    *ret_found = (struct found){.rank = UINT32_MAX - number, .gzip = gzip};
    return true;
}

/* N.log, N.log.YYYYMMDD-HHMMSS or N.log.YYYYMMDD-HHMMSS.gz. */
static bool read_kubelet(struct tly_text name, struct found *ret_found)
{
    const size_t day_len = sizeof("YYYYMMDD") - 1;
    const size_t stamp_len = sizeof("YYYYMMDD-HHMMSS") - 1;
    uint64_t instance;
    uint64_t day;
    uint64_t second;
    const char *dot = name.len > 0 ? memchr(name.at, '.', name.len) : NULL;
    if (!dot || tly_text_u64((struct tly_text){name.at, (size_t)(dot - name.at)}, &instance) < 0 ||
        instance > UINT32_MAX) {
        return false;
    }
    struct tly_text rest = {dot, name.len - (size_t)(dot - name.at)};
    *ret_found = (struct found){.rank = RANK_CURRENT, .instance = (uint32_t)instance};
    if (tly_text_equal(rest, TLY_TEXT(".log"))) {
        return true;
    }
    ret_found->gzip = tly_text_ends(rest, TLY_TEXT(".gz"));
    rest.len -= ret_found->gzip ? sizeof(".gz") - 1 : 0;
    struct tly_text stamp = {rest.at + sizeof(".log.") - 1, stamp_len};
    if (!tly_text_starts(rest, TLY_TEXT(".log.")) || rest.at + rest.len != stamp.at + stamp_len ||
        stamp.at[day_len] != '-' || tly_text_u64((struct tly_text){stamp.at, day_len}, &day) < 0 ||
        tly_text_u64((struct tly_text){stamp.at + day_len + 1, stamp_len - day_len - 1}, &second) <
            0) {
        return false;
    }
    ret_found->rank = day * 1000000 + second;
    return true;
}

/* The name again. `base` NULL: the kubelet's. */
static int write_name(const char *base, const struct found *found, char to[NAME_LEN_MAX])
{
    const char *end = found->gzip ? ".gz" : "";
    int len;
    if (base) {
        len = snprintf(to, NAME_LEN_MAX, "%s.%" PRIu64 "%s", base, UINT32_MAX - found->rank, end);
    } else if (found->rank == RANK_CURRENT) {
        len = snprintf(to, NAME_LEN_MAX, "%" PRIu32 ".log", found->instance);
    } else {
        len = snprintf(to, NAME_LEN_MAX, "%" PRIu32 ".log.%08" PRIu64 "-%06" PRIu64 "%s",
                       found->instance, found->rank / 1000000, found->rank % 1000000, end);
    }
    return len > 0 && len < NAME_LEN_MAX ? 0 : -ENAMETOOLONG;
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
        struct tly_text name = tly_text_of(entry->d_name);
        struct found *found = &names->at[names->count];
        names->count += base ? read_numbered(name, tly_text_of(base), found)
                             : read_kubelet(name, found);
    }
    closedir(dir);
    qsort(names->at, names->count, sizeof(names->at[0]), compare_found);
    return 0;
}

static int open_found(int dir_fd, const char *base, const struct found *found,
                      struct tly_log_file **ret_file)
{
    char name[NAME_LEN_MAX];
    int rc = write_name(base, found, name);
    if (rc < 0) {
        return rc;
    }
    rc = tly_log_file_open(dir_fd, name, found->gzip != 0, ret_file);
    if (rc < 0) {
        return rc;
    }
    (*ret_file)->final = true;
    (*ret_file)->instance = found->instance;
    return 0;
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
static int take_rotated(int dir_fd, const char *base, const struct names *names, size_t from,
                        const struct known_list *known, struct tly_log_walk *walk)
{
    const struct found *taken = NULL;
    for (size_t i = from; i < names->count && !walk->met_known; i++) {
        const struct found *found = &names->at[i];
        struct tly_log_file *file;
        /* A .gz of what was taken is not finished, or the same once more. */
        if (taken && taken->instance == found->instance && taken->rank == found->rank) {
            continue;
        }
        int rc = open_found(dir_fd, base, found, &file);
        if (tly_error_lacks_means(rc)) {
            return rc;
        }
        if (rc < 0) {
            continue; /* renamed meanwhile: it comes again under another name */
        }
        taken = found;
        walk->met_known = is_known(file, known);
        if (walk->met_known || in_list(walk, file)) {
            tly_log_file_free(file);
        } else {
            prepend(walk, file);
        }
    }
    return 0;
}

/* The name of the file being written, as far as the names tell: `names` are sorted. */
static int current_name(const char *base, const struct names *names, char to[NAME_LEN_MAX])
{
    if (base) {
        int len = snprintf(to, NAME_LEN_MAX, "%s", base);
        return len < NAME_LEN_MAX ? 0 : -ENAMETOOLONG;
    }
    struct found newest = {.rank = RANK_CURRENT,
                           .instance = names->count > 0 ? names->at[0].instance : 0};
    return write_name(NULL, &newest, to);
}

/* Whether the current name still is the file that was opened under it (and is held, so that its
 * inode is not used again), or still absent; and the other names are the same. */
static bool undisturbed(int dir_fd, const char *base, const char *current_name,
                        const struct tly_log_file *current, struct names names[2])
{
    struct stat st;
    bool exists = fstatat(dir_fd, current_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                  !S_ISLNK(st.st_mode);
    if (exists != (current != NULL) || (exists && ((uint64_t)st.st_ino != current->inode ||
                                                   (uint64_t)st.st_dev != current->device))) {
        return false;
    }
    return list_names(dir_fd, base, &names[1]) == 0 && names[1].count == names[0].count &&
           memcmp(names[1].at, names[0].at, names[0].count * sizeof(names[0].at[0])) == 0;
}

static int walk_once(int dir_fd, const char *base, const struct known_list *known,
                     struct names names[2], struct tly_log_walk *walk, bool *ret_undisturbed)
{
    struct tly_log_file *current = NULL;
    char name[NAME_LEN_MAX];
    *walk = (struct tly_log_walk){.oldest = NULL};
    int rc = list_names(dir_fd, base, &names[0]);
    if (rc == 0) {
        rc = current_name(base, &names[0], name);
    }
    if (rc == 0) {
        rc = tly_log_file_open(dir_fd, name, false, &current);
        /* A link leads to the log of an engine that is read elsewhere. */
        rc = rc == -ENOENT || (!base && rc == -ELOOP) ? 0 : rc;
    }
    if (rc < 0) {
        return rc;
    }
    walk->has_current = current != NULL;
    walk->met_known = current && is_known(current, known);
    if (current) {
        current->instance = base ? 0 : names[0].at[0].instance;
    }
    if (current && !walk->met_known) {
        prepend(walk, current);
    }
    if (!walk->met_known) {
        bool listed = !base && names[0].count > 0 && names[0].at[0].rank == RANK_CURRENT;
        rc = take_rotated(dir_fd, base, &names[0], listed ? 1 : 0, known, walk);
        if (rc < 0) {
            return rc; /* what was opened is in the list */
        }
    }
    *ret_undisturbed = undisturbed(dir_fd, base, name, current, names);
    if (current && walk->met_known && current != walk->newest) {
        tly_log_file_free(current);
    }
    return 0;
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

/* Opens a rotated file if it is the one looked for, see tly_log_walk_find. */
static int open_copy(int dir_fd, const char *base, const struct found *found,
                     const struct tly_position *position, struct tly_log_file **ret_file)
{
    struct tly_log_file *file;
    int rc = found->rank == RANK_CURRENT ? -ENOENT : open_found(dir_fd, base, found, &file);
    if (rc < 0) {
        return tly_error_lacks_means(rc) ? rc : -ENOENT;
    }
    bool same = !file->gzip && file->inode == position->inode;
    if (same || position->head_len == 0 || !tly_log_file_matches(file, position)) {
        tly_log_file_free(file);
        return -ENOENT;
    }
    *ret_file = file;
    return 0;
}

int tly_log_walk_find(int dir_fd, const char *base, const struct tly_position *position,
                      struct tly_log_file **ret_file)
{
    struct names *names = malloc(sizeof(*names));
    int rc = names ? list_names(dir_fd, base, names) : -ENOMEM;
    rc = rc < 0 ? rc : -ENOENT;
    for (size_t i = 0; rc == -ENOENT && i < names->count; i++) {
        rc = open_copy(dir_fd, base, &names->at[i], position, ret_file);
    }
    free(names);
    return rc;
}

int tly_log_walk_kubelet_base(int dir_fd, char ret_base[TLY_LOG_KUBELET_NAME_MAX])
{
    char name[NAME_LEN_MAX];
    struct names *names = malloc(sizeof(*names));
    int rc = names ? list_names(dir_fd, NULL, names) : -ENOMEM;
    if (rc == 0) {
        rc = names->count > 0 ? current_name(NULL, names, name) : -ENOENT;
    }
    if (rc == 0) {
        (void)snprintf(ret_base, TLY_LOG_KUBELET_NAME_MAX, "%.*s", TLY_LOG_KUBELET_NAME_MAX - 1,
                       name);
    }
    free(names);
    return rc;
}

bool tly_log_walk_is_kubelet_base(struct tly_text name)
{
    struct found found;
    return read_kubelet(name, &found) && found.rank == RANK_CURRENT;
}
