/*
 * Reading of what is off by default. The files are opened for each reading.
 */
#include "collectors/cgroup/extras.h"

#include "agent/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#define KIB_PER_MIB 1024
#define KIB_PER_GIB (1024 * 1024)

/* "hugepages-2048kB" to "2MB", as the hugetlb controller names its files. */
static bool size_name(const char *name, char to[TLY_CGROUP_HUGE_SIZE_BYTES])
{
    const struct tly_text prefix = TLY_TEXT("hugepages-");
    const struct tly_text unit = TLY_TEXT("kB");
    struct tly_text text = tly_text_of(name);
    int64_t kib = 0;
    if (!tly_text_starts(text, prefix) || !tly_text_ends(text, unit) ||
        text.len <= prefix.len + unit.len) {
        return false;
    }
    text = (struct tly_text){text.at + prefix.len, text.len - prefix.len - unit.len};
    if (tly_text_i64(text, &kib) < 0 || kib <= 0) {
        return false;
    }
    int64_t factor = kib >= KIB_PER_GIB ? KIB_PER_GIB : kib >= KIB_PER_MIB ? KIB_PER_MIB : 1;
    const char *letters = factor == KIB_PER_GIB ? "GB" : factor == KIB_PER_MIB ? "MB" : "KB";
    int len = snprintf(to, TLY_CGROUP_HUGE_SIZE_BYTES, "%" PRId64 "%s", kib / factor, letters);
    return len < TLY_CGROUP_HUGE_SIZE_BYTES;
}

static void sizes_find(struct tly_cgroup_extras_reader *extras, const char *sys)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/kernel/mm/hugepages", sys);
    DIR *directory = len < (int)sizeof(path) ? opendir(path) : NULL;
    const struct dirent *entry;
    while (directory != NULL && extras->size_count < TLY_CGROUP_HUGE_SIZES_MAX &&
           (entry = readdir(directory)) != NULL) {
        extras->size_count += size_name(entry->d_name, extras->sizes[extras->size_count]);
    }
    if (directory != NULL) {
        (void)closedir(directory); /* was only read */
    }
}

void tly_cgroup_extras_init(struct tly_cgroup_extras_reader *extras,
                            const struct tly_group_choice *groups, const char *sys)
{
    *extras = (struct tly_cgroup_extras_reader){.numa = groups->on[TLY_G_memory_numa]};
    if (groups->on[TLY_G_hugetlb]) {
        sizes_find(extras, sys);
    }
}

static int numa_read(struct tly_cgroup_extras *extras, struct tly_cgroup_reader *reader, int dir_fd)
{
    static const struct tly_text keys[TLY_CGROUP_NUMA_TYPES] = {
        [TLY_CGROUP_NUMA_FILE] = {"file", 4},
        [TLY_CGROUP_NUMA_ANON] = {"anon", 4},
        [TLY_CGROUP_NUMA_UNEVICTABLE] = {"unevictable", 11},
    };
    struct tly_text text;
    int rc = tly_cgroup_file_once(reader, dir_fd, "memory.numa_stat", &text);
    if (rc < 0) {
        return rc;
    }
    for (size_t type = 0; type < TLY_CGROUP_NUMA_TYPES; type++) {
        size_t count = tly_cgroup_numa_parse(text, keys[type], extras->numa_bytes[type],
                                             TLY_CGROUP_NODES_MAX);
        extras->node_count = count > extras->node_count ? count : extras->node_count;
    }
    return 0;
}

static int value_read(struct tly_cgroup_reader *reader, int dir_fd, const char *size,
                      const char *what, int64_t *to)
{
    char name[TLY_CGROUP_HUGE_SIZE_BYTES + sizeof("hugetlb.%s.rsvd.current")];
    struct tly_text text;
    (void)snprintf(name, sizeof(name), "hugetlb.%s.%s", size, what); /* fits by its size */
    int rc = tly_cgroup_file_once(reader, dir_fd, name, &text);
    if (rc == 0 && text.len > 0 && tly_cgroup_value_parse(text, to) < 0) {
        reader->errors++;
    }
    return rc;
}

static int events_read(struct tly_cgroup_reader *reader, int dir_fd, const char *size, int64_t *to)
{
    static const struct tly_cgroup_key keys[] = {{.name = "max", .len = 3, .offset = 0}};
    char name[TLY_CGROUP_HUGE_SIZE_BYTES + sizeof("hugetlb.%s.events")];
    struct tly_text text;
    (void)snprintf(name, sizeof(name), "hugetlb.%s.events", size); /* fits by its size */
    int rc = tly_cgroup_file_once(reader, dir_fd, name, &text);
    if (rc == 0 && text.len > 0 && tly_cgroup_flat_parse(text, keys, 1, to) == 0) {
        reader->errors++;
    }
    return rc;
}

static int huge_read(struct tly_cgroup_extras_reader *self, struct tly_cgroup_reader *reader,
                     int dir_fd)
{
    struct tly_cgroup_extras *extras = &self->extras;
    for (size_t i = 0; i < self->size_count; i++) {
        const char *size = self->sizes[i];
        int64_t used_bytes = TLY_CGROUP_ABSENT;
        int64_t refused = TLY_CGROUP_ABSENT;
        int rc = value_read(reader, dir_fd, size, "rsvd.current", &used_bytes);
        if (rc == 0 && used_bytes == TLY_CGROUP_ABSENT) {
            rc = value_read(reader, dir_fd, size, "current", &used_bytes);
        }
        if (rc == 0) {
            rc = events_read(reader, dir_fd, size, &refused);
        }
        if (rc < 0) {
            return rc;
        }
        extras->huge[i].size = size;
        extras->huge[i].used_bytes = used_bytes;
        extras->huge[i].refused = refused;
    }
    extras->huge_count = self->size_count;
    return 0;
}

int tly_cgroup_extras_read(struct tly_cgroup_extras_reader *extras,
                           struct tly_cgroup_reader *reader, const struct tly_cgroup_files *files)
{
    TLY_AUTO_FD dir_fd = -1;
    extras->extras.node_count = 0;
    extras->extras.huge_count = 0;
    if (!extras->numa && extras->size_count == 0) {
        return 0;
    }
    int rc = tly_cgroup_files_open(files, &dir_fd);
    if (rc == 0 && extras->numa) {
        rc = numa_read(&extras->extras, reader, dir_fd);
    }
    if (rc == 0) {
        rc = huge_read(extras, reader, dir_fd);
    }
    return rc;
}
