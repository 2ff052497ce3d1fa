/*
 * The names of block devices. Owned by the cgroup tree and used on its worker only.
 */
#include "collectors/cgroup/device.h"

#include "agent/base/file.h"
#include "agent/base/map.h"

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
    struct tly_map *names; /* "major:minor" as struct numbers to char * */
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
    devices->names = tly_map_new();
    if (devices->sys == NULL || devices->names == NULL) {
        tly_devices_free(devices);
        return -ENOMEM;
    }
    *ret_devices = devices;
    return 0;
}

void tly_devices_free(struct tly_devices *devices)
{
    if (devices == NULL) {
        return;
    }
    if (devices->names != NULL) {
        tly_map_free(devices->names, free);
    }
    free(devices->sys);
    free(devices);
}

void tly_devices_forget(struct tly_devices *devices)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(devices->names, &at, &entry);) {
        free(tly_map_remove(devices->names, entry.key));
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

struct tly_text tly_devices_name(struct tly_devices *devices, uint32_t major, uint32_t minor)
{
    const struct numbers numbers = {major, minor};
    const struct tly_text key = {(const char *)&numbers, sizeof(numbers)};
    char *name = tly_map_get(devices->names, key);
    if (name == NULL) {
        name = tly_map_count(devices->names) < DEVICES_MAX ? name_read(devices, numbers) : NULL;
        if (name != NULL && tly_map_put(devices->names, key, name, NULL) < 0) {
            free(name);
            name = NULL;
        }
    }
    return tly_text_of(name);
}
