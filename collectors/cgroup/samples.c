/*
 * Numbers to samples. The order of the calls is that of families.def, which saves sorting the set.
 */
#include "collectors/cgroup/samples.h"

#include <stdio.h>
#include <unistd.h>

struct writer {
    struct tly_samples *samples;
    bool root;
    uint16_t plain; /* the dimension of samples that have none of their own */
};

static void add(const struct writer *writer, enum tly_family_id family, uint16_t dim, int64_t value)
{
    if (value != TLY_CGROUP_ABSENT) {
        tly_samples_add(writer->samples, family, dim, value);
    }
}

/* A sample that makes sense only with its labels: left out where there was no room for them. */
static void labelled(const struct writer *writer, enum tly_family_id family, uint16_t dim,
                     int64_t value)
{
    if (dim != TLY_DIM_NONE) {
        add(writer, family, dim, value);
    }
}

static void plain(const struct writer *writer, enum tly_family_id family, int64_t value)
{
    add(writer, family, writer->plain, value);
}

/* A limit, with cAdvisor's 0 where there is none. */
static void limit(const struct writer *writer, enum tly_family_id family, int64_t value)
{
    plain(writer, family, value == TLY_CGROUP_MAX ? 0 : value);
}

/* More names than any family has beside the root's id. */
#define NAMES_MAX 5

static uint16_t dimension(const struct writer *writer, const char *const *names,
                          const struct tly_text *values, size_t count)
{
    if (!writer->root) {
        return tly_samples_dim(writer->samples, names, values, count);
    }
    const char *all_names[NAMES_MAX] = {"id"};
    struct tly_text all_values[NAMES_MAX] = {TLY_TEXT("/")};
    for (size_t i = 0; i < count && i + 1 < NAMES_MAX; i++) {
        all_names[i + 1] = names[i];
        all_values[i + 1] = values[i];
    }
    return tly_samples_dim(writer->samples, all_names, all_values, count + 1);
}

#define ROOT_DIM_BYTES 1024

/* The same of a text that is ready. */
static uint16_t dimension_text(const struct writer *writer, struct tly_text text)
{
    if (!writer->root) {
        return tly_samples_dim_text(writer->samples, text);
    }
    char all[ROOT_DIM_BYTES];
    int len = snprintf(all, sizeof(all), "id=\"/\",%.*s", (int)text.len, text.at);
    if (len >= (int)sizeof(all)) {
        return TLY_DIM_NONE;
    }
    return tly_samples_dim_text(writer->samples, (struct tly_text){all, (size_t)len});
}

static void cpu_write(const struct writer *writer, const struct tly_cgroup_cpu *cpu,
                      const struct tly_cgroup_limits *limits)
{
    labelled(writer, TLY_F_container_cpu_usage_seconds_total,
             dimension_text(writer, TLY_TEXT("cpu=\"total\"")), cpu->usage_us);
    plain(writer, TLY_F_container_cpu_user_seconds_total, cpu->user_us);
    plain(writer, TLY_F_container_cpu_system_seconds_total, cpu->system_us);
    if (limits->cpu_quota_us == TLY_CGROUP_ABSENT || limits->cpu_quota_us == TLY_CGROUP_MAX) {
        return; /* nothing is enforced */
    }
    plain(writer, TLY_F_container_cpu_cfs_periods_total, cpu->periods);
    plain(writer, TLY_F_container_cpu_cfs_throttled_periods_total, cpu->throttled);
    plain(writer, TLY_F_container_cpu_cfs_throttled_seconds_total, cpu->throttled_us);
    plain(writer, TLY_F_container_cpu_cfs_burst_periods_total, cpu->bursts);
    plain(writer, TLY_F_container_cpu_cfs_burst_seconds_total, cpu->burst_us);
}

/* memory.current less the page cache that is easy to give back; as cAdvisor and the kubelet. */
static int64_t working_set(const struct tly_cgroup_memory *memory)
{
    if (memory->current == TLY_CGROUP_ABSENT || memory->inactive_file == TLY_CGROUP_ABSENT) {
        return TLY_CGROUP_ABSENT;
    }
    return memory->current > memory->inactive_file ? memory->current - memory->inactive_file : 0;
}

static void memory_use_write(const struct writer *writer, const struct tly_cgroup_memory *memory)
{
    plain(writer, TLY_F_container_memory_usage_bytes, memory->current);
    plain(writer, TLY_F_container_memory_max_usage_bytes, memory->peak);
    plain(writer, TLY_F_container_memory_working_set_bytes, working_set(memory));
    plain(writer, TLY_F_container_memory_cache, memory->file);
    plain(writer, TLY_F_container_memory_rss, memory->anon);
    plain(writer, TLY_F_container_memory_kernel_usage, memory->kernel);
    plain(writer, TLY_F_container_memory_mapped_file, memory->file_mapped);
    plain(writer, TLY_F_container_memory_swap, memory->swap_current);
    plain(writer, TLY_F_container_memory_failcnt, memory->max);
    plain(writer, TLY_F_container_memory_total_active_file_bytes, memory->active_file);
    plain(writer, TLY_F_container_memory_total_inactive_file_bytes, memory->inactive_file);
    plain(writer, TLY_F_container_memory_file_dirty_bytes, memory->file_dirty);
    plain(writer, TLY_F_container_memory_file_writeback_bytes, memory->file_writeback);
    plain(writer, TLY_F_container_memory_kernel_stack_bytes, memory->kernel_stack);
    plain(writer, TLY_F_container_memory_page_tables_bytes, memory->page_tables);
    plain(writer, TLY_F_container_memory_sock_bytes, memory->sock);
    plain(writer, TLY_F_container_memory_shmem_bytes, memory->shmem);
    plain(writer, TLY_F_container_memory_slab_bytes, memory->slab);
    plain(writer, TLY_F_container_memory_slab_reclaimable_bytes, memory->slab_reclaimable);
    plain(writer, TLY_F_container_memory_swap_max_usage_bytes, memory->swap_peak);
    plain(writer, TLY_F_container_memory_zswap_bytes, memory->zswap);
    plain(writer, TLY_F_container_memory_zswapped_bytes, memory->zswapped);
}

/* The two scopes of one type of page faults. */
static void faults_write(const struct writer *writer, struct tly_text container,
                         struct tly_text hierarchy, int64_t value)
{
    if (value == TLY_CGROUP_ABSENT) {
        return;
    }
    labelled(writer, TLY_F_container_memory_failures_total, dimension_text(writer, container),
             value);
    labelled(writer, TLY_F_container_memory_failures_total, dimension_text(writer, hierarchy),
             value);
}

#define FAULTS(type, scope) TLY_TEXT("failure_type=\"" type "\",scope=\"" scope "\"")

static void memory_events_write(const struct writer *writer, const struct tly_cgroup_memory *memory)
{
    faults_write(writer, FAULTS("pgfault", "container"), FAULTS("pgfault", "hierarchy"),
                 memory->pgfault);
    faults_write(writer, FAULTS("pgmajfault", "container"), FAULTS("pgmajfault", "hierarchy"),
                 memory->pgmajfault);
    plain(writer, TLY_F_container_memory_events_low_total, memory->low);
    plain(writer, TLY_F_container_memory_events_high_total, memory->high);
    plain(writer, TLY_F_container_memory_events_max_total, memory->max);
    plain(writer, TLY_F_container_memory_events_oom_total, memory->oom);
    plain(writer, TLY_F_container_memory_events_oom_kill_total, memory->oom_kill);
    plain(writer, TLY_F_container_memory_events_oom_group_kill_total, memory->oom_group_kill);
    plain(writer, TLY_F_container_memory_swap_events_high_total, memory->swap_high);
    plain(writer, TLY_F_container_memory_swap_events_max_total, memory->swap_max);
    plain(writer, TLY_F_container_memory_swap_events_fail_total, memory->swap_fail);
    plain(writer, TLY_F_container_memory_pgscan_total, memory->pgscan);
    plain(writer, TLY_F_container_memory_pgsteal_total, memory->pgsteal);
    plain(writer, TLY_F_container_memory_workingset_refault_anon_total, memory->refault_anon);
    plain(writer, TLY_F_container_memory_workingset_refault_file_total, memory->refault_file);
    plain(writer, TLY_F_container_oom_events_total, memory->oom_kill);
}

/* ---- extras ---- */

static void numa_write(const struct writer *writer, const struct tly_cgroup_extras *extras)
{
    static const char *const names[] = {"type", "scope", "node"};
    static const char *const scopes[] = {"container", "hierarchy"};
    static const char *const types[TLY_CGROUP_NUMA_TYPES] = {
        [TLY_CGROUP_NUMA_FILE] = "file",
        [TLY_CGROUP_NUMA_ANON] = "anon",
        [TLY_CGROUP_NUMA_UNEVICTABLE] = "unevictable",
    };
    const int64_t page_bytes = sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < extras->node_count * TLY_CGROUP_NUMA_TYPES; at++) {
        size_t type = at % TLY_CGROUP_NUMA_TYPES;
        size_t node = at / TLY_CGROUP_NUMA_TYPES;
        int64_t bytes = extras->numa_bytes[type][node];
        char number[24];
        (void)snprintf(number, sizeof(number), "%zu", node); /* 20 digits at most */
        for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]) && bytes >= 0; i++) {
            const struct tly_text values[] = {tly_text_of(types[type]), tly_text_of(scopes[i]),
                                              tly_text_of(number)};
            labelled(writer, TLY_F_container_memory_numa_pages, dimension(writer, names, values, 3),
                     bytes / page_bytes);
        }
    }
}

static void huge_write(const struct writer *writer, const struct tly_cgroup_extras *extras)
{
    static const char *const names[] = {"pagesize"};
    for (size_t i = 0; i < extras->huge_count; i++) {
        if (extras->huge[i].used_bytes == TLY_CGROUP_ABSENT &&
            extras->huge[i].refused == TLY_CGROUP_ABSENT) {
            continue; /* the controller is off */
        }
        const struct tly_text size = tly_text_of(extras->huge[i].size);
        uint16_t dim = dimension(writer, names, &size, 1);
        labelled(writer, TLY_F_container_hugetlb_usage_bytes, dim, extras->huge[i].used_bytes);
        labelled(writer, TLY_F_container_hugetlb_failcnt, dim, extras->huge[i].refused);
    }
}

static void pressure_write(const struct writer *writer, const struct tly_cgroup_numbers *numbers)
{
    plain(writer, TLY_F_container_pressure_cpu_waiting_seconds_total,
          numbers->cpu_pressure.some_us);
    plain(writer, TLY_F_container_pressure_cpu_stalled_seconds_total,
          numbers->cpu_pressure.full_us);
    plain(writer, TLY_F_container_pressure_memory_waiting_seconds_total,
          numbers->memory_pressure.some_us);
    plain(writer, TLY_F_container_pressure_memory_stalled_seconds_total,
          numbers->memory_pressure.full_us);
    plain(writer, TLY_F_container_pressure_io_waiting_seconds_total, numbers->io_pressure.some_us);
    plain(writer, TLY_F_container_pressure_io_stalled_seconds_total, numbers->io_pressure.full_us);
}

/* The families with the label `device` alone, in their order, and where their numbers lie. */
static const struct {
    enum tly_family_id family;
    size_t offset;
} device_families[] = {
    {TLY_F_container_fs_reads_bytes_total, offsetof(struct tly_cgroup_io, rbytes)},
    {TLY_F_container_fs_reads_total, offsetof(struct tly_cgroup_io, rios)},
    {TLY_F_container_fs_writes_bytes_total, offsetof(struct tly_cgroup_io, wbytes)},
    {TLY_F_container_fs_writes_total, offsetof(struct tly_cgroup_io, wios)},
    {TLY_F_container_fs_discards_bytes_total, offsetof(struct tly_cgroup_io, dbytes)},
    {TLY_F_container_fs_discards_total, offsetof(struct tly_cgroup_io, dios)},
    {TLY_F_container_fs_io_cost_usage_seconds_total, offsetof(struct tly_cgroup_io, cost_usage_us)},
    {TLY_F_container_fs_io_cost_wait_seconds_total, offsetof(struct tly_cgroup_io, cost_wait_us)},
    {TLY_F_container_fs_io_cost_indebt_seconds_total,
     offsetof(struct tly_cgroup_io, cost_indebt_us)},
    {TLY_F_container_fs_io_cost_indelay_seconds_total,
     offsetof(struct tly_cgroup_io, cost_indelay_us)},
};

static void disk_write(const struct writer *writer, const struct tly_cgroup_numbers *numbers,
                       struct tly_devices *devices)
{
    const struct tly_device *found[TLY_CGROUP_DEVICES_MAX];
    uint16_t dims[TLY_CGROUP_DEVICES_MAX];
    for (size_t i = 0; i < numbers->io_count; i++) {
        found[i] = tly_devices_find(devices, numbers->io[i].major, numbers->io[i].minor);
        dims[i] = found[i] == NULL ? TLY_DIM_NONE : dimension_text(writer, found[i]->dim);
    }
    for (size_t at = 0; at < sizeof(device_families) / sizeof(device_families[0]); at++) {
        for (size_t i = 0; i < numbers->io_count; i++) {
            const char *number = (const char *)&numbers->io[i] + device_families[at].offset;
            labelled(writer, device_families[at].family, dims[i],
                     *(const int64_t *)(const void *)number);
        }
    }
    for (size_t i = 0; i < numbers->io_count; i++) {
        const struct tly_cgroup_io *io = &numbers->io[i];
        if (found[i] == NULL) {
            continue;
        }
        labelled(writer, TLY_F_container_blkio_device_usage_total,
                 dimension_text(writer, found[i]->read_dim), io->rbytes);
        labelled(writer, TLY_F_container_blkio_device_usage_total,
                 dimension_text(writer, found[i]->write_dim), io->wbytes);
    }
}

void tly_cgroup_samples_write(struct tly_samples *samples, const struct tly_cgroup_subject *subject,
                              const struct tly_cgroup_numbers *numbers, struct tly_devices *devices)
{
    const struct tly_cgroup_limits *limits = subject->limits;
    struct writer writer = {.samples = samples, .root = subject->root, .plain = TLY_DIM_NONE};
    if (subject->root) {
        writer.plain = dimension(&writer, NULL, NULL, 0);
        if (writer.plain == TLY_DIM_NONE) {
            return;
        }
    }
    plain(&writer, TLY_F_container_last_seen, subject->seen_ms);
    plain(&writer, TLY_F_container_spec_memory_min_bytes, limits->memory_min);
    limit(&writer, TLY_F_container_spec_memory_high_bytes, limits->memory_high);
    plain(&writer, TLY_F_container_cpuset_cpus, limits->cpus);
    plain(&writer, TLY_F_container_cpuset_memory_nodes, limits->memory_nodes);
    cpu_write(&writer, &numbers->cpu, limits);
    memory_use_write(&writer, &numbers->memory);
    memory_events_write(&writer, &numbers->memory);
    if (subject->extras != NULL) {
        numa_write(&writer, subject->extras);
        huge_write(&writer, subject->extras);
    }
    pressure_write(&writer, numbers);
    disk_write(&writer, numbers, devices);
    plain(&writer, TLY_F_container_threads, numbers->pids_current);
    limit(&writer, TLY_F_container_threads_max, limits->pids_max);
    plain(&writer, TLY_F_container_pids_limit_hits_total, numbers->pids_refused);
    plain(&writer, TLY_F_container_cgroup_descendants, numbers->descendants);
    plain(&writer, TLY_F_container_cgroup_dying_descendants, numbers->dying_descendants);
    plain(&writer, TLY_F_container_cgroup_populated, numbers->populated);
    plain(&writer, TLY_F_container_cgroup_frozen, numbers->frozen);
}
