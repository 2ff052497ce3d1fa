/*
 * What the host does: CPU time, memory, pressure and disks, by /proc. Formats: proc(5) and the
 * kernel's accounting/psi.rst and admin-guide/iostats.rst.
 */
#include "collectors/machine/machine.h"

#include "agent/codec/cgroup.h"
#include "agent/codec/machine.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define US_PER_S 1000000

static void add(const struct tly_machine *machine, struct tly_samples *samples,
                enum tly_family_id family, int64_t value)
{
    if (value >= 0) {
        tly_samples_add(samples, family, tly_machine_dim(machine, samples, NULL, 0), value);
    }
}

/* ---- memory ---- */

static int memory_write(struct tly_machine *machine, bool all, struct tly_samples *samples)
{
    static const struct {
        const char *key;
        enum tly_family_id family;
        bool always;
    } rows[] = {
        {"MemTotal", TLY_F_machine_memory_bytes, true},
        {"SwapTotal", TLY_F_machine_swap_bytes, true},
        {"MemAvailable", TLY_F_machine_memory_available_bytes, false},
        {"MemFree", TLY_F_machine_memory_free_bytes, false},
        {"Buffers", TLY_F_machine_memory_buffers_bytes, false},
        {"Cached", TLY_F_machine_memory_cached_bytes, false},
        {"Dirty", TLY_F_machine_memory_dirty_bytes, false},
        {"Shmem", TLY_F_machine_memory_shmem_bytes, false},
        {"Slab", TLY_F_machine_memory_slab_bytes, false},
        {"SwapFree", TLY_F_machine_swap_free_bytes, false},
    };
    struct tly_text text = tly_machine_text(machine, machine->proc, "meminfo");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].always || all) {
            add(machine, samples, rows[i].family,
                tly_meminfo_bytes(text, tly_text_of(rows[i].key)));
        }
    }
    return text.len == 0 ? tly_machine_failure(machine) : 0;
}

struct paging {
    int64_t swapped_in, swapped_out, oom_kills;
};

static void paging_write(struct tly_machine *machine, struct tly_samples *samples)
{
    static const struct tly_cgroup_key keys[] = {
        TLY_CGROUP_KEY("pswpin", struct paging, swapped_in),
        TLY_CGROUP_KEY("pswpout", struct paging, swapped_out),
        TLY_CGROUP_KEY("oom_kill", struct paging, oom_kills),
    };
    struct paging paging = {-1, -1, -1};
    (void)tly_cgroup_flat_parse(tly_machine_text(machine, machine->proc, "vmstat"), keys,
                                sizeof(keys) / sizeof(keys[0]), &paging); /* the rest stays -1 */
    add(machine, samples, TLY_F_machine_swapped_in_pages_total, paging.swapped_in);
    add(machine, samples, TLY_F_machine_swapped_out_pages_total, paging.swapped_out);
    add(machine, samples, TLY_F_machine_oom_kills_total, paging.oom_kills);
}

/* ---- CPU time ---- */

/* As many as a kernel can be built for. */
#define CPUS_MAX 8192

/* What goes back by more than this has begun anew, in seconds: a CPU was switched off or on. */
#define BACK_MAX_S 3

/* The ticks that are shown for `ticks`. Waiting for I/O may go back by a little, as proc(5) says,
 * idle time and steal do under some kernels and hypervisors: then what was shown stands until it is
 * reached. */
static int64_t ticks_forward(struct tly_machine_ticks *shown, int64_t ticks, int64_t per_second)
{
    if (shown->top - ticks > BACK_MAX_S * per_second) {
        shown->past += shown->top - ticks;
        shown->top = ticks;
    }
    shown->top = ticks > shown->top ? ticks : shown->top;
    return shown->past + shown->top;
}

/* What was shown of this CPU, or of the sum of all; NULL without memory. */
static struct tly_machine_ticks *cpu_shown(struct tly_machine *machine, int64_t cpu)
{
    if (cpu >= CPUS_MAX) {
        return NULL;
    }
    size_t row = (size_t)(cpu + 1);
    if (row >= machine->cpu_count) {
        struct tly_machine_ticks(*grown)[TLY_CPU_MODES] = realloc(machine->cpus,
                                                                  (row + 1) * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        memset(grown + machine->cpu_count, 0, (row + 1 - machine->cpu_count) * sizeof(*grown));
        machine->cpus = grown;
        machine->cpu_count = row + 1;
    }
    return machine->cpus[row];
}

static void times_write(struct tly_machine *machine, const struct tly_cpu_times *times,
                        struct tly_samples *samples)
{
    static const char *const modes[TLY_CPU_MODES] = {
        [TLY_CPU_USER] = "user",   [TLY_CPU_NICE] = "nice",       [TLY_CPU_SYSTEM] = "system",
        [TLY_CPU_IDLE] = "idle",   [TLY_CPU_IOWAIT] = "iowait",   [TLY_CPU_IRQ] = "irq",
        [TLY_CPU_STEAL] = "steal", [TLY_CPU_SOFTIRQ] = "softirq",
    };
    int64_t per_second = sysconf(_SC_CLK_TCK);
    struct tly_machine_ticks *shown = cpu_shown(machine, times->cpu);
    char cpu[24];
    (void)snprintf(cpu, sizeof(cpu), "%lld", (long long)times->cpu); /* 20 bytes at most */
    for (int mode = 0; shown != NULL && mode < TLY_CPU_MODES; mode++) {
        int64_t ticks = times->ticks[mode];
        const struct tly_machine_label labels[] = {{"cpu", tly_text_of(cpu)},
                                                   {"mode", tly_text_of(modes[mode])}};
        if (ticks >= 0 && ticks <= INT64_MAX / US_PER_S) {
            ticks = ticks_forward(&shown[mode], ticks, per_second);
        }
        if (ticks < 0 || ticks > INT64_MAX / US_PER_S) {
            continue;
        }
        bool sum = times->cpu < 0;
        uint16_t dim = sum ? tly_machine_dim(machine, samples, labels + 1, 1)
                           : tly_machine_dim(machine, samples, labels, 2);
        if (dim != TLY_DIM_NONE) {
            tly_samples_add(samples,
                            sum ? TLY_F_machine_cpu_seconds_total
                                : TLY_F_machine_cpu_core_seconds_total,
                            dim, ticks * US_PER_S / per_second);
        }
    }
}

struct scheduler {
    int64_t boot_s, running, blocked;
};

static void cpu_write(struct tly_machine *machine, const struct tly_group_choice *groups,
                      struct tly_samples *samples)
{
    static const struct tly_cgroup_key keys[] = {
        TLY_CGROUP_KEY("btime", struct scheduler, boot_s),
        TLY_CGROUP_KEY("procs_running", struct scheduler, running),
        TLY_CGROUP_KEY("procs_blocked", struct scheduler, blocked),
    };
    struct scheduler scheduler = {-1, -1, -1};
    struct tly_text text = tly_machine_text(machine, machine->proc, "stat");
    struct tly_cpu_times times;
    for (struct tly_text rest = text; tly_cpu_times_next(&rest, &times);) {
        if (groups->on[times.cpu < 0 ? TLY_G_host : TLY_G_percpu]) {
            times_write(machine, &times, samples);
        }
        if (!groups->on[TLY_G_percpu]) {
            break; /* the sum stands first */
        }
    }
    if (!groups->on[TLY_G_host]) {
        return;
    }
    (void)tly_cgroup_flat_parse(text, keys, sizeof(keys) / sizeof(keys[0]), &scheduler);
    add(machine, samples, TLY_F_machine_processes_running, scheduler.running);
    add(machine, samples, TLY_F_machine_processes_blocked, scheduler.blocked);
    add(machine, samples, TLY_F_machine_boot_time_seconds, scheduler.boot_s);
}

/* ---- pressure ---- */

static void pressure_write(struct tly_machine *machine, struct tly_samples *samples)
{
    /* That all tasks of the host wait for the CPU means nothing; the kernel writes 0. */
    static const struct {
        const char *name;
        enum tly_family_id some, full;
    } rows[] = {
        {"cpu", TLY_F_machine_pressure_cpu_waiting_seconds_total, TLY_FAMILY_COUNT},
        {"memory", TLY_F_machine_pressure_memory_waiting_seconds_total,
         TLY_F_machine_pressure_memory_stalled_seconds_total},
        {"io", TLY_F_machine_pressure_io_waiting_seconds_total,
         TLY_F_machine_pressure_io_stalled_seconds_total},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tly_cgroup_pressure pressure;
        struct tly_text text = tly_machine_text(machine, machine->proc, "pressure/%s",
                                                rows[i].name);
        if (tly_cgroup_pressure_parse(text, &pressure) == 0) {
            add(machine, samples, rows[i].some, pressure.some_us);
            if (rows[i].full != TLY_FAMILY_COUNT) {
                add(machine, samples, rows[i].full, pressure.full_us);
            }
        }
    }
}

/* ---- disks ---- */

/* Disks in the table; the rest is left out. */
#define DISKS_MAX  1024
#define NAME_BYTES 64

/* Whether it is a whole disk, with a folder of its own in sys/block, which was ever used. */
static bool disk_shown(const struct tly_machine *machine, const struct tly_disk *disk)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/block/%.*s", machine->sys, (int)disk->name.len,
                       disk->name.at);
    return disk->name.len < NAME_BYTES && (disk->reads > 0 || disk->writes > 0) &&
           len < (int)sizeof(path) && access(path, F_OK) == 0;
}

static void disk_write(const struct tly_disk *disk, struct tly_samples *samples)
{
    static const char *const names[] = {"id", "device"};
    char name[NAME_BYTES + sizeof("/dev/")];
    (void)snprintf(name, sizeof(name), "/dev/%.*s", (int)disk->name.len, disk->name.at);
    for (char *mark = strchr(name, '!'); mark != NULL; mark = strchr(mark, '!')) {
        *mark = '/'; /* the kernel's way to write a name with a slash */
    }
    const struct tly_text values[] = {TLY_TEXT("/"), tly_text_of(name)};
    const struct {
        enum tly_family_id family;
        int64_t value;
    } rows[] = {
        {TLY_F_container_fs_sector_reads_total, disk->sectors_read},
        {TLY_F_container_fs_reads_merged_total, disk->reads_merged},
        {TLY_F_container_fs_read_seconds_total, disk->read_ms},
        {TLY_F_container_fs_sector_writes_total, disk->sectors_written},
        {TLY_F_container_fs_writes_merged_total, disk->writes_merged},
        {TLY_F_container_fs_write_seconds_total, disk->write_ms},
        {TLY_F_container_fs_io_current, disk->in_progress},
        {TLY_F_container_fs_io_time_seconds_total, disk->busy_ms},
        {TLY_F_container_fs_io_time_weighted_seconds_total, disk->weighted_ms},
    };
    uint16_t dim = tly_samples_dim(samples, names, values, 2);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && dim != TLY_DIM_NONE; i++) {
        tly_samples_add(samples, rows[i].family, dim, rows[i].value);
    }
}

static void disks_write(struct tly_machine *machine, struct tly_samples *samples)
{
    struct tly_text rest = tly_machine_text(machine, machine->proc, "diskstats");
    struct tly_disk disk;
    for (size_t shown = 0; shown < DISKS_MAX && tly_disk_next(&rest, &disk);) {
        if (disk_shown(machine, &disk)) {
            disk_write(&disk, samples);
            shown++;
        }
    }
}

int tly_machine_use_write(struct tly_machine *machine, const struct tly_group_choice *groups,
                          struct tly_samples *samples)
{
    bool all = groups->on[TLY_G_host];
    int rc = memory_write(machine, all, samples);
    if (all || groups->on[TLY_G_percpu]) {
        cpu_write(machine, groups, samples);
    }
    if (all) {
        paging_write(machine, samples);
        pressure_write(machine, samples);
    }
    if (groups->on[TLY_G_diskIO]) {
        disks_write(machine, samples);
    }
    return rc;
}
