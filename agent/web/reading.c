/*
 * From samples to what the status page shows; see reading.h.
 */
#include "agent/web/reading.h"

#include "agent/base/clock.h"

#include <string.h>

#define US_PER_MS   1000
#define CPU_MILLION 1000000

static void add(int64_t *sum, int64_t value)
{
    *sum = *sum == TLY_UNKNOWN ? value : *sum + value;
}

static void most(int64_t *so_far, int64_t value)
{
    if (value > *so_far) {
        *so_far = value;
    }
}

/* Whether a dimension has this label: `mode="idle"` among others. */
static bool has(struct tly_text dim, const char *label)
{
    return dim.len > 0 && memmem(dim.at, dim.len, label, strlen(label)) != NULL;
}

static void none(struct tly_reading *reading)
{
    *reading = (struct tly_reading){
        .seen_ms = TLY_UNKNOWN,
        .cpu_us = TLY_UNKNOWN,
        .throttled_us = TLY_UNKNOWN,
        .received_bytes = TLY_UNKNOWN,
        .sent_bytes = TLY_UNKNOWN,
        .read_bytes = TLY_UNKNOWN,
        .written_bytes = TLY_UNKNOWN,
        .cpu_max_millionths = TLY_UNKNOWN,
        .memory_bytes = TLY_UNKNOWN,
        .memory_max_bytes = TLY_UNKNOWN,
        .layer_bytes = TLY_UNKNOWN,
        .log_lag_ms = TLY_UNKNOWN,
        .log_lag_bytes = TLY_UNKNOWN,
        .oom_kills = TLY_UNKNOWN,
        .failed = TLY_UNKNOWN,
        .failed_high = TLY_UNKNOWN,
    };
}

static void sample_take(const struct tly_sample_set *set, const struct tly_sample *sample,
                        struct tly_reading *reading)
{
    switch (sample->family) {
    case TLY_F_container_last_seen:
        reading->seen_ms = sample->raw;
        break;
    case TLY_F_container_cpu_usage_seconds_total:
        reading->cpu_us = sample->raw;
        break;
    case TLY_F_container_cpu_cfs_throttled_seconds_total:
        reading->throttled_us = sample->raw;
        break;
    case TLY_F_container_cpu_effective_cores:
        reading->cpu_max_millionths = sample->raw;
        break;
    case TLY_F_container_memory_working_set_bytes:
        reading->memory_bytes = sample->raw;
        break;
    case TLY_F_container_spec_memory_limit_bytes:
        reading->memory_max_bytes = sample->raw;
        break;
    case TLY_F_container_network_receive_bytes_total:
        add(&reading->received_bytes, sample->raw);
        break;
    case TLY_F_container_network_transmit_bytes_total:
        add(&reading->sent_bytes, sample->raw);
        break;
    case TLY_F_container_fs_reads_bytes_total:
        add(&reading->read_bytes, sample->raw);
        break;
    case TLY_F_container_fs_writes_bytes_total:
        add(&reading->written_bytes, sample->raw);
        break;
    case TLY_F_container_fs_writable_layer_bytes:
        reading->layer_bytes = sample->raw;
        break;
    case TLY_F_container_oom_events_total:
        reading->oom_kills = sample->raw;
        break;
    case TLY_F_container_log_lag_seconds:
        most(&reading->log_lag_ms, sample->raw);
        break;
    case TLY_F_container_log_lag_bytes:
        most(&reading->log_lag_bytes, sample->raw);
        break;
    case TLY_F_posture_check_failed: {
        struct tly_text dim = tly_sample_set_dim(set, sample->dim);
        add(&reading->failed, sample->raw);
        add(&reading->failed_high,
            has(dim, "severity=\"high\"") || has(dim, "severity=\"critical\"") ? sample->raw : 0);
        break;
    }
    default:
        break;
    }
}

/* Calls for every sample of a row. */
static void each(const struct tly_snapshot_row *row, size_t slots, struct tly_reading *reading,
                 void (*take)(const struct tly_sample_set *set, const struct tly_sample *sample,
                              struct tly_reading *reading))
{
    for (size_t i = 0; i < slots; i++) {
        const struct tly_sample_set *set = row->sets[i];
        size_t count = set != NULL ? tly_sample_set_count(set) : 0;
        const struct tly_sample *samples = count > 0 ? tly_sample_set_at(set) : NULL;
        for (size_t j = 0; j < count; j++) {
            take(set, &samples[j], reading);
        }
    }
}

void tly_reading_take(const struct tly_snapshot_row *row, size_t slots,
                      struct tly_reading *ret_reading)
{
    none(ret_reading);
    each(row, slots, ret_reading, sample_take);
}

/* `seen_ms` gathers the time of all modes, `memory_bytes` what could be had; both over all CPUs. */
static void host_sample_take(const struct tly_sample_set *set, const struct tly_sample *sample,
                             struct tly_reading *reading)
{
    switch (sample->family) {
    case TLY_F_machine_cpu_seconds_total: {
        struct tly_text dim = tly_sample_set_dim(set, sample->dim);
        bool idle = has(dim, "mode=\"idle\"") || has(dim, "mode=\"iowait\"");
        add(&reading->seen_ms, sample->raw);
        add(&reading->cpu_us, idle ? 0 : sample->raw);
        break;
    }
    case TLY_F_machine_cpu_cores:
        reading->cpu_max_millionths = sample->raw * CPU_MILLION;
        break;
    case TLY_F_machine_memory_bytes:
        reading->memory_max_bytes = sample->raw;
        break;
    case TLY_F_machine_memory_available_bytes:
        reading->memory_bytes = sample->raw;
        break;
    case TLY_F_container_network_receive_bytes_total:
    case TLY_F_container_network_transmit_bytes_total:
    case TLY_F_container_fs_reads_bytes_total:
    case TLY_F_container_fs_writes_bytes_total:
        sample_take(set, sample, reading);
        break;
    default:
        break;
    }
}

void tly_reading_take_host(const struct tly_snapshot_row *row, size_t slots,
                           struct tly_reading *ret_reading)
{
    none(ret_reading);
    each(row, slots, ret_reading, host_sample_take);
    int64_t cores = ret_reading->cpu_max_millionths / CPU_MILLION;
    if (ret_reading->seen_ms != TLY_UNKNOWN) {
        /* In the time of one CPU all modes add up to the time that passed. */
        ret_reading->seen_ms = cores > 0 ? ret_reading->seen_ms / US_PER_MS / cores : TLY_UNKNOWN;
    }
    if (ret_reading->memory_bytes != TLY_UNKNOWN && ret_reading->memory_max_bytes != TLY_UNKNOWN) {
        ret_reading->memory_bytes = ret_reading->memory_max_bytes - ret_reading->memory_bytes;
    } else {
        ret_reading->memory_bytes = TLY_UNKNOWN;
    }
}

static void agent_sample_take(const struct tly_sample_set *set, const struct tly_sample *sample,
                              struct tly_reading *reading)
{
    (void)set;
    if (sample->family == TLY_F_process_cpu_seconds_total) {
        reading->cpu_us = sample->raw;
    } else if (sample->family == TLY_F_process_resident_memory_bytes) {
        reading->memory_bytes = sample->raw;
    }
}

void tly_reading_take_agent(const struct tly_snapshot_row *row, size_t slots, int64_t now_ms,
                            struct tly_reading *ret_reading)
{
    none(ret_reading);
    each(row, slots, ret_reading, agent_sample_take);
    ret_reading->seen_ms = now_ms;
}
