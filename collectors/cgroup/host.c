/*
 * The host's row, as far as cgroups tell. Owned by the cgroup tree and used on its worker only.
 */
#include "collectors/cgroup/host.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/machine.h"
#include "collectors/cgroup/samples.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* /proc/meminfo takes 1.5 KiB; the other files are shorter. */
#define FILE_BYTES_MAX 65536

/* Reads prefix/name into the buffer; what is there, trimmed, or an empty text. */
static struct tly_text file_text(struct tly_buf *buf, const char *prefix, const char *name)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", prefix, name);
    tly_buf_clear(buf);
    if (len >= (int)sizeof(path) || tly_file_read(AT_FDCWD, path, buf) < 0) {
        return (struct tly_text){NULL, 0};
    }
    return tly_text_trim(tly_buf_text(buf));
}

void tly_cgroup_host_init(struct tly_cgroup_host *host, const char *proc)
{
    *host = (struct tly_cgroup_host){.proc = proc};
    tly_buf_init(&host->buf, FILE_BYTES_MAX);
}

void tly_cgroup_host_done(struct tly_cgroup_host *host)
{
    tly_buf_done(&host->buf);
}

/* In bytes; TLY_CGROUP_ABSENT where /proc/meminfo doesn't tell. */
struct memory {
    int64_t total, swap_total, swap_free;
};

static struct memory memory_read(struct tly_cgroup_host *host)
{
    struct tly_text text = file_text(&host->buf, host->proc, "meminfo");
    return (struct memory){
        .total = tly_meminfo_bytes(text, TLY_TEXT("MemTotal")),
        .swap_total = tly_meminfo_bytes(text, TLY_TEXT("SwapTotal")),
        .swap_free = tly_meminfo_bytes(text, TLY_TEXT("SwapFree")),
    };
}

/* The root cgroup has no pressure files on older kernels; /proc/pressure says the same. */
static void pressure_fill(struct tly_cgroup_host *host, struct tly_cgroup_pressure *pressure,
                          const char *name)
{
    struct tly_cgroup_pressure found;
    if (pressure->some_us == TLY_CGROUP_ABSENT && pressure->full_us == TLY_CGROUP_ABSENT &&
        tly_cgroup_pressure_parse(file_text(&host->buf, host->proc, name), &found) == 0) {
        *pressure = found;
    }
}

/* What the root cgroup has no file for, from the same sources as cAdvisor. */
static void root_fill(struct tly_cgroup_host *host, const struct memory *memory,
                      struct tly_cgroup_numbers *numbers)
{
    struct tly_cgroup_memory *use = &numbers->memory;
    if (use->current == TLY_CGROUP_ABSENT && use->anon != TLY_CGROUP_ABSENT &&
        use->file != TLY_CGROUP_ABSENT) {
        use->current = use->anon + use->file;
    }
    if (use->swap_current == TLY_CGROUP_ABSENT && memory->swap_free != TLY_CGROUP_ABSENT &&
        memory->swap_total >= memory->swap_free) {
        use->swap_current = memory->swap_total - memory->swap_free;
    }
    pressure_fill(host, &numbers->cpu_pressure, "pressure/cpu");
    pressure_fill(host, &numbers->memory_pressure, "pressure/memory");
    pressure_fill(host, &numbers->io_pressure, "pressure/io");
    /* The kernel writes 0: that all tasks of the host wait for the CPU means nothing. */
    numbers->cpu_pressure.full_us = TLY_CGROUP_ABSENT;
}

int tly_cgroup_host_write(struct tly_cgroup_host *host, struct tly_cgroup_reader *reader,
                          struct tly_cgroup_files *root, struct tly_devices *devices,
                          struct tly_samples *samples)
{
    struct tly_cgroup_limits limits;
    memset(&limits, 0xff, sizeof(limits)); /* all absent */
    int rc = tly_cgroup_files_read(reader, root);
    if (rc < 0) {
        return rc;
    }
    const struct memory memory = memory_read(host);
    root_fill(host, &memory, &reader->numbers);
    const struct tly_cgroup_subject subject = {
        .root = true, .seen_ms = tly_clock_realtime_ns() / TLY_NS_PER_MS, .limits = &limits};
    tly_cgroup_samples_write(samples, &subject, &reader->numbers, devices);
    uint16_t dim = tly_samples_dim1(samples, "id", TLY_TEXT("/"));
    if (dim != TLY_DIM_NONE && memory.total != TLY_CGROUP_ABSENT) {
        tly_samples_add(samples, TLY_F_container_spec_memory_limit_bytes, dim, memory.total);
    }
    if (dim != TLY_DIM_NONE && memory.swap_total != TLY_CGROUP_ABSENT) {
        tly_samples_add(samples, TLY_F_container_spec_memory_swap_limit_bytes, dim,
                        memory.swap_total);
    }
    return 0;
}
