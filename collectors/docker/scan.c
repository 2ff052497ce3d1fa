/*
 * Reading the engine's files; see scan.h. Names come from the disk and are looked up relative to
 * the open folder, never joined into longer paths; links are not followed.
 */
#include "collectors/docker/scan.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/hash.h"
#include "agent/codec/container_json.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As large as an inspect may be. */
#define FILE_BYTES_MAX ((size_t)4 << 20)
#define ID_MIN         12

bool tly_docker_scan_is_id(const char *name, size_t len)
{
    if (len < ID_MIN || len > TLY_CONTAINER_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isxdigit((unsigned char)name[i])) {
            return false;
        }
    }
    return true;
}

struct tly_docker_scan *tly_docker_scan_new(const char *data_root, bool all, size_t max)
{
    struct tly_docker_scan *scan = calloc(1, sizeof(*scan));
    if (!scan) {
        return NULL;
    }
    if (asprintf(&scan->containers_dir, "%s/containers", data_root) < 0) {
        free(scan);
        return NULL;
    }
    scan->all = all;
    scan->max = max;
    return scan;
}

void tly_docker_scan_free(struct tly_docker_scan *scan)
{
    if (scan) {
        for (size_t i = 0; i < scan->count; i++) {
            tly_container_unref(scan->at[i].container);
        }
        free(scan->at);
        free(scan->containers_dir);
        free(scan);
    }
}

int tly_docker_scan_add(struct tly_docker_scan *scan, const char *id, uint64_t stamp)
{
    if (scan->count >= scan->max) {
        scan->left_out++;
        return TLY_E_LIMIT;
    }
    if (scan->count == scan->cap) {
        size_t cap = scan->cap ? scan->cap * 2 : 16;
        struct tly_docker_scanned *at = realloc(scan->at, cap * sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        scan->at = at;
        scan->cap = cap;
    }
    struct tly_docker_scanned *new = &scan->at[scan->count++];
    *new = (struct tly_docker_scanned){.stamp = stamp};
    (void)snprintf(new->id, sizeof(new->id), "%s", id); /* ids were measured */
    return 0;
}

/* ---- one container ---- */

/* Adds what tells one content of the file from the next. A file that is not there has none. */
static int stamp_file(int dir_fd, const char *name, uint64_t *stamp)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    int64_t parts[4] = {(int64_t)st.st_ino, st.st_size, st.st_mtim.tv_sec};
    parts[3] = st.st_mtim.tv_nsec;
    *stamp = tly_hash_add(*stamp, parts, sizeof(parts));
    return 0;
}

static int read_file(int dir_fd, const char *name, struct tly_buf *buf)
{
    TLY_AUTO_FD fd = -1;
    struct stat st;
    /* Not blocking: what has this name might be a pipe. */
    int rc = tly_file_open(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, &fd);
    if (rc < 0) {
        return rc;
    }
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    return S_ISREG(st.st_mode) ? tly_file_read_fd(fd, buf) : -EINVAL;
}

static int read_container(int dir_fd, const char *id, struct tly_container **ret_container)
{
    struct tly_buf config;
    struct tly_buf host;
    struct tly_container *container = NULL;
    tly_buf_init(&config, FILE_BYTES_MAX);
    tly_buf_init(&host, FILE_BYTES_MAX);
    int rc = read_file(dir_fd, TLY_DOCKER_CONFIG_FILE, &config);
    if (rc == 0) {
        rc = read_file(dir_fd, TLY_DOCKER_HOST_FILE, &host);
        rc = rc == -ENOENT ? 0 : rc; /* limits and log driver are then unknown */
    }
    if (rc == 0) {
        rc = tly_container_parse_files(tly_buf_text(&config), tly_buf_text(&host), &container,
                                       NULL);
    }
    tly_buf_done(&config);
    tly_buf_done(&host);
    if (rc == 0 && strcmp(container->id, id) != 0) {
        tly_container_unref(container); /* a copy of another's files */
        return TLY_E_MALFORMED;
    }
    if (rc == 0) {
        *ret_container = container;
    }
    return rc;
}

static void look_at(int containers_fd, struct tly_docker_scanned *scanned)
{
    TLY_AUTO_FD dir_fd = -1;
    uint64_t stamp = TLY_HASH_FIRST;
    int rc = tly_file_open(containers_fd, scanned->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                           &dir_fd);
    scanned->found = rc != -ENOENT && rc != -ENOTDIR;
    if (rc < 0) {
        scanned->rc = scanned->found ? rc : 0;
        return;
    }
    rc = stamp_file(dir_fd, TLY_DOCKER_CONFIG_FILE, &stamp);
    if (rc == -ENOENT) {
        return; /* just being made, or removed */
    }
    (void)stamp_file(dir_fd, TLY_DOCKER_HOST_FILE, &stamp); /* it may be missing */
    if (rc == 0 && stamp != scanned->stamp) {
        rc = read_container(dir_fd, scanned->id, &scanned->container);
    }
    scanned->rc = rc == -ENOENT ? 0 : rc;
    if (rc == 0) {
        scanned->stamp = stamp;
    }
}

/* ---- all ---- */

static int by_id(const void *a, const void *b)
{
    const struct tly_docker_scanned *first = a;
    const struct tly_docker_scanned *second = b;
    return strcmp(first->id, second->id);
}

/* Adds the folders that are not known yet. Known ones were sorted by id. */
static int find_new(struct tly_docker_scan *scan, int containers_fd)
{
    int fd = dup(containers_fd);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int rc = -errno;
        tly_fd_close(&fd);
        return rc;
    }
    size_t known = scan->count;
    int rc = 0;
    for (const struct dirent *entry = NULL; rc != -ENOMEM && (entry = readdir(dir));) {
        struct tly_docker_scanned key = {0};
        size_t len = strlen(entry->d_name);
        if (!tly_docker_scan_is_id(entry->d_name, len)) {
            continue;
        }
        memcpy(key.id, entry->d_name, len + 1);
        if (known == 0 || !bsearch(&key, scan->at, known, sizeof(*scan->at), by_id)) {
            rc = tly_docker_scan_add(scan, key.id, 0);
        }
    }
    (void)closedir(dir); /* it was only read */
    return rc == -ENOMEM ? rc : 0;
}

void tly_docker_scan_run(void *arg)
{
    struct tly_docker_scan *scan = arg;
    TLY_AUTO_FD fd = -1;
    scan->began_ns = tly_clock_monotonic_ns();
    scan->rc = tly_file_open(AT_FDCWD, scan->containers_dir, O_RDONLY | O_DIRECTORY, &fd);
    if (scan->rc == 0 && scan->all) {
        if (scan->count > 0) {
            qsort(scan->at, scan->count, sizeof(*scan->at), by_id);
        }
        scan->rc = find_new(scan, fd);
    }
    for (size_t i = 0; scan->rc == 0 && i < scan->count; i++) {
        look_at(fd, &scan->at[i]);
    }
    scan->ended_ns = tly_clock_monotonic_ns();
}
