/*
 * Reading a folder of reports, and joining them to images; see store.h.
 */
#include "collectors/vulnerabilities/store.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES (64 * 1024)

const char *const tly_scan_match_names[] = {"digest", "id", "tag"};

/* What tells one version of a file from the next. */
struct version {
    int64_t mtime_ns;
    uint64_t size, inode;
};

struct entry {
    char *name;
    struct version version; /* that was read, or refused */
    bool seen;              /* in the look under way */
    bool good;              /* `report` holds */
    bool refused, told;     /* the present version; its refusal was handed out */
    struct version tried; /* that was there at the last try, and what came of that: one that cannot
                           * be opened is tried at each look, and told once */
    int tried_rc;
    struct tly_scan_report report;
    struct tly_error err;
};

struct tly_scan_store {
    const char *directory;
    size_t reports_max;
    uint64_t report_bytes_max;
    struct tly_map *entries;
    uint64_t errors, bytes;
    char *block;
};

static void entry_free(void *arg)
{
    struct entry *entry = arg;
    free(entry->name);
    free(entry);
}

int tly_scan_store_new(const char *directory, size_t reports_max, uint64_t report_bytes_max,
                       struct tly_scan_store **ret_store)
{
    struct tly_scan_store *store = calloc(1, sizeof(*store));
    if (!store || !(store->entries = tly_map_new()) || !(store->block = malloc(BLOCK_BYTES))) {
        tly_scan_store_free(store);
        return -ENOMEM;
    }
    store->directory = directory;
    store->reports_max = reports_max;
    store->report_bytes_max = report_bytes_max;
    *ret_store = store;
    return 0;
}

void tly_scan_store_free(struct tly_scan_store *store)
{
    if (store) {
        tly_map_free(store->entries, entry_free);
        free(store->block);
        free(store);
    }
}

/* ---- one file ---- */

static struct version version_of(const struct stat *about)
{
    return (struct version){
        .mtime_ns = (int64_t)about->st_mtim.tv_sec * TLY_NS_PER_S + about->st_mtim.tv_nsec,
        .size = (uint64_t)about->st_size,
        .inode = (uint64_t)about->st_ino,
    };
}

static bool same_version(struct version a, struct version b)
{
    return a.mtime_ns == b.mtime_ns && a.size == b.size && a.inode == b.inode;
}

static int read_stream(struct tly_scan_store *store, int fd, struct tly_scan_reader *reader,
                       struct tly_error *err)
{
    off_t offset = 0;
    for (;;) {
        ssize_t len = tly_file_pread(fd, store->block, BLOCK_BYTES, offset);
        if (len < 0) {
            return tly_error_set(err, (int)len, "it cannot be read: %s", tly_error_name((int)len));
        }
        if (len == 0) {
            return 0;
        }
        offset += len;
        store->bytes += (uint64_t)len;
        if ((uint64_t)offset > store->report_bytes_max) {
            return tly_error_set(err, TLY_E_LIMIT,
                                 "it is larger than "
                                 "vulnerabilities.report_bytes_max");
        }
        int rc = tly_scan_reader_feed(reader, (struct tly_text){store->block, (size_t)len}, err);
        if (rc < 0) {
            return rc;
        }
    }
}

static int read_open(struct tly_scan_store *store, int fd, struct version before,
                     struct tly_scan_report *report, struct tly_error *err)
{
    struct tly_scan_reader *reader = NULL;
    struct stat after = {0};
    int rc = tly_scan_reader_new(&reader);
    if (rc < 0) {
        return tly_error_set(err, rc, "out of memory");
    }
    rc = read_stream(store, fd, reader, err);
    rc = rc < 0 ? rc : tly_scan_reader_end(reader, report, err);
    tly_scan_reader_free(reader);
    /* What was half written says nothing about its sense. */
    if (fstat(fd, &after) < 0 || !same_version(before, version_of(&after))) {
        return tly_error_set(err, -EAGAIN, "it changes while it is read");
    }
    if (rc == 0 && report->time_ns == 0) {
        report->time_ns = before.mtime_ns;
    }
    return rc;
}

static void read_file(struct tly_scan_store *store, int dir_fd, struct entry *entry,
                      struct version seen)
{
    struct tly_scan_report *report = malloc(sizeof(*report));
    struct stat about = {0};
    int fd = -1;
    int rc = report ? tly_file_open(dir_fd, entry->name, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd)
                    : -ENOMEM;
    entry->err = (struct tly_error){0};
    if (rc == 0 && (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode))) {
        rc = tly_error_set(&entry->err, -EINVAL, "it is no file");
    } else if (rc < 0) {
        (void)tly_error_set(&entry->err, rc, "it cannot be opened: %s", tly_error_name(rc));
    } else {
        entry->version = version_of(&about);
        rc = entry->version.size > store->report_bytes_max
                 ? tly_error_set(&entry->err, TLY_E_LIMIT,
                                 "it is larger than vulnerabilities.report_bytes_max")
                 : read_open(store, fd, entry->version, report, &entry->err);
    }
    tly_fd_close(&fd);
    bool again = rc < 0 && rc == entry->tried_rc && same_version(entry->tried, seen);
    entry->refused = rc < 0;
    entry->told = entry->told && again;
    entry->tried = seen;
    entry->tried_rc = rc;
    if (rc == 0) {
        entry->report = *report;
        entry->good = true;
    } else {
        store->errors += !again;
    }
    if (rc == -EAGAIN) {
        entry->version = (struct version){0}; /* read again at the next look */
    }
    free(report);
}

/* ---- the folder ---- */

static struct entry *entry_of(struct tly_scan_store *store, const char *name)
{
    struct entry *entry = tly_map_get(store->entries, tly_text_of(name));
    if (entry) {
        return entry;
    }
    if (tly_map_count(store->entries) >= store->reports_max) {
        store->errors++;
        return NULL;
    }
    entry = calloc(1, sizeof(*entry));
    if (!entry || !(entry->name = strdup(name)) ||
        tly_map_put(store->entries, tly_text_of(name), entry, NULL) < 0) {
        if (entry) {
            entry_free(entry);
        }
        store->errors++;
        return NULL;
    }
    return entry;
}

static void look_at(struct tly_scan_store *store, int dir_fd, const char *name)
{
    struct stat about = {0};
    if (name[0] == '.' || !tly_text_ends(tly_text_of(name), TLY_TEXT(".json")) ||
        fstatat(dir_fd, name, &about, 0) < 0) {
        return;
    }
    struct entry *entry = entry_of(store, name);
    if (!entry) {
        return;
    }
    entry->seen = true;
    if (!same_version(entry->version, version_of(&about))) {
        read_file(store, dir_fd, entry, version_of(&about));
    }
}

int tly_scan_store_look(struct tly_scan_store *store)
{
    DIR *dir = opendir(store->directory);
    struct tly_map_entry at_entry;
    if (!dir) {
        return -errno;
    }
    for (void *at = NULL; tly_map_next(store->entries, &at, &at_entry);) {
        ((struct entry *)at_entry.value)->seen = false;
    }
    for (struct dirent *found; (found = readdir(dir));) {
        look_at(store, dirfd(dir), found->d_name);
    }
    (void)closedir(dir); /* nothing was written */
    for (void *at = NULL; tly_map_next(store->entries, &at, &at_entry);) {
        struct entry *entry = at_entry.value;
        if (!entry->seen) {
            (void)tly_map_remove(store->entries, at_entry.key); /* it is `entry` */
            entry_free(entry);
        }
    }
    return 0;
}

void tly_scan_store_each_refused(struct tly_scan_store *store,
                                 void (*fn)(void *arg, const char *name, const char *reason),
                                 void *arg)
{
    struct tly_map_entry at_entry;
    for (void *at = NULL; tly_map_next(store->entries, &at, &at_entry);) {
        struct entry *entry = at_entry.value;
        if (entry->refused && !entry->told) {
            entry->told = true;
            fn(arg, entry->name, entry->err.text);
        }
    }
}

size_t tly_scan_store_count(const struct tly_scan_store *store)
{
    struct tly_map_entry at_entry;
    size_t count = 0;
    for (void *at = NULL; tly_map_next(store->entries, &at, &at_entry);) {
        count += ((const struct entry *)at_entry.value)->good;
    }
    return count;
}

uint64_t tly_scan_store_errors(const struct tly_scan_store *store)
{
    return store->errors;
}

uint64_t tly_scan_store_bytes(const struct tly_scan_store *store)
{
    return store->bytes;
}

/* ---- joining ---- */

/* "repo@sha256:…" to "sha256:…". */
static struct tly_text digest_of(struct tly_text text)
{
    const char *at = text.len > 0 ? memchr(text.at, '@', text.len) : NULL;
    return at ? (struct tly_text){at + 1, (size_t)(text.at + text.len - at - 1)} : text;
}

static bool names_digest(const struct tly_scan_report *report, struct tly_text digest)
{
    for (size_t i = 0; i < report->digest_count; i++) {
        if (tly_text_equal(digest_of(tly_text_of(report->digests[i])), digest)) {
            return true;
        }
    }
    return false;
}

static bool by_digest(const struct tly_scan_report *report, struct tly_text reference,
                      const json_t *image)
{
    const json_t *digests = tly_json_at(image, "RepoDigests");
    for (size_t i = 0; i < tly_json_count(digests); i++) {
        struct tly_text digest = tly_json_string(tly_json_item(digests, i));
        if (digest.len > 0 && names_digest(report, digest_of(digest))) {
            return true;
        }
    }
    struct tly_text own = digest_of(reference);
    return own.len != reference.len && names_digest(report, own);
}

static bool by_tag(const struct tly_scan_report *report, struct tly_text reference)
{
    for (size_t i = 0; i < report->name_count; i++) {
        struct tly_text name = tly_text_of(report->names[i]);
        bool latest = name.len == reference.len + 7 && tly_text_starts(name, reference) &&
                      tly_text_ends(name, TLY_TEXT(":latest"));
        if (reference.len > 0 && (tly_text_equal(name, reference) || latest)) {
            return true;
        }
    }
    return false;
}

static bool joins(const struct tly_scan_report *report, struct tly_text image_id,
                  struct tly_text reference, const json_t *image, enum tly_scan_match *match)
{
    if (by_digest(report, reference, image)) {
        *match = TLY_SCAN_BY_DIGEST;
    } else if (image_id.len > 0 && names_digest(report, image_id)) {
        *match = TLY_SCAN_BY_ID;
    } else if (by_tag(report, reference)) {
        *match = TLY_SCAN_BY_TAG;
    } else {
        return false;
    }
    return true;
}

const struct tly_scan_report *tly_scan_store_find(const struct tly_scan_store *store,
                                                  struct tly_text image_id,
                                                  struct tly_text reference, const json_t *image,
                                                  enum tly_scan_match *ret_match)
{
    const struct tly_scan_report *best = NULL;
    struct tly_map_entry at_entry;
    for (void *at = NULL; tly_map_next(store->entries, &at, &at_entry);) {
        const struct entry *entry = at_entry.value;
        enum tly_scan_match match = TLY_SCAN_BY_TAG;
        if (!entry->good || !joins(&entry->report, image_id, reference, image, &match)) {
            continue;
        }
        if (!best || match < *ret_match ||
            (match == *ret_match && entry->report.time_ns > best->time_ns)) {
            best = &entry->report;
            *ret_match = match;
        }
    }
    return best;
}
