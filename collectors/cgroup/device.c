/*
 * The names of block devices. Owned by the cgroup tree and used on its worker only.
 */
#include "collectors/cgroup/device.h"

#include "agent/base/file.h"
#include "agent/base/map.h"
#include "agent/model/sample.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than any host has; a bound against numbers without end. */
#define DEVICES_MAX 4096

struct tly_devices {
    char *sys;
    struct tly_map *known; /* struct numbers to struct known */
};

struct known {
    struct tly_device device; /* its texts lie in the next two */
    char *name;
    struct tly_buf dims;
};

struct numbers {
    uint32_t major, minor;
};

int tly_devices_new(const char *sys, struct tly_devices **ret_devices)
{
    struct tly_devices *devices = calloc(1, sizeof(*devices));
    if (devices == NULL) {
        return -ENOMEM;
    }
    devices->sys = tly_text_dup(tly_text_of(sys));
    devices->known = tly_map_new();
    if (devices->sys == NULL || devices->known == NULL) {
        tly_devices_free(devices);
        return -ENOMEM;
    }
    *ret_devices = devices;
    return 0;
}

static void known_free(void *arg)
{
    struct known *known = arg;
    free(known->name);
    tly_buf_done(&known->dims);
    free(known);
}

void tly_devices_free(struct tly_devices *devices)
{
    if (devices == NULL) {
        return;
    }
    if (devices->known != NULL) {
        tly_map_free(devices->known, known_free);
    }
    free(devices->sys);
    free(devices);
}

void tly_devices_forget(struct tly_devices *devices)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(devices->known, &at, &entry);) {
        known_free(tly_map_remove(devices->known, entry.key));
    }
}

/* The name by the link sys/dev/block/M:m -> .../block/sda; the kernel writes '!' where the name has
 * a slash. Owned by the caller. */
static char *name_read(const struct tly_devices *devices, struct numbers numbers)
{
    char path[PATH_MAX];
    char target[PATH_MAX];
    char *name = NULL;
    int len = snprintf(path, sizeof(path), "%s/dev/block/%u:%u", devices->sys, numbers.major,
                       numbers.minor);
    ssize_t got = len < (int)sizeof(path) ? readlink(path, target, sizeof(target) - 1) : -1;
    if (got <= 0) {
        return asprintf(&name, "%u:%u", numbers.major, numbers.minor) < 0 ? NULL : name;
    }
    target[got] = '\0';
    const char *slash = strrchr(target, '/');
    if (asprintf(&name, "/dev/%s", slash == NULL ? target : slash + 1) < 0) {
        return NULL;
    }
    for (char *mark = strchr(name, '!'); mark != NULL; mark = strchr(mark, '!')) {
        *mark = '/';
    }
    return name;
}

/* All dimensions of one device. */
#define DIMS_MAX 65536

/* Appends a dimension and says where it ends. */
static int dim_append(struct known *known, const char *const *names, const struct tly_text *values,
                      size_t count, size_t *ret_end)
{
    int rc = tly_dim_text_append(&known->dims, names, values, count);
    *ret_end = known->dims.len;
    return rc;
}

static int dims_make(struct known *known, struct numbers numbers)
{
    static const char *const names[] = {"device", "major", "minor", "operation"};
    char major[16];
    char minor[16];
    (void)snprintf(major, sizeof(major), "%u", numbers.major); /* ten digits at most */
    (void)snprintf(minor, sizeof(minor), "%u", numbers.minor);
    struct tly_text values[] = {known->device.name, tly_text_of(major), tly_text_of(minor),
                                TLY_TEXT("Read")};
    size_t ends[3];
    int rc = dim_append(known, names, values, 1, &ends[0]);
    rc = rc < 0 ? rc : dim_append(known, names, values, 4, &ends[1]);
    values[3] = TLY_TEXT("Write");
    rc = rc < 0 ? rc : dim_append(known, names, values, 4, &ends[2]);
    if (rc < 0) {
        return rc;
    }
    const char *at = known->dims.at;
    known->device.dim = (struct tly_text){at, ends[0]};
    known->device.read_dim = (struct tly_text){at + ends[0], ends[1] - ends[0]};
    known->device.write_dim = (struct tly_text){at + ends[1], ends[2] - ends[1]};
    return 0;
}

static struct known *known_new(const struct tly_devices *devices, struct numbers numbers)
{
    struct known *known = calloc(1, sizeof(*known));
    if (known == NULL) {
        return NULL;
    }
    tly_buf_init(&known->dims, DIMS_MAX);
    known->name = name_read(devices, numbers);
    known->device.name = tly_text_of(known->name);
    if (known->name == NULL || dims_make(known, numbers) < 0) {
        known_free(known);
        return NULL;
    }
    return known;
}

const struct tly_device *tly_devices_find(struct tly_devices *devices, uint32_t major,
                                          uint32_t minor)
{
    const struct numbers numbers = {major, minor};
    const struct tly_text key = {(const char *)&numbers, sizeof(numbers)};
    struct known *known = tly_map_get(devices->known, key);
    if (known == NULL) {
        known = tly_map_count(devices->known) < DEVICES_MAX ? known_new(devices, numbers) : NULL;
        if (known != NULL && tly_map_put(devices->known, key, known, NULL) < 0) {
            known_free(known);
            known = NULL;
        }
    }
    return known == NULL ? NULL : &known->device;
}
