/*
 * What the collector counts, as samples: of each container for the inventory, of itself for the
 * agent's own metrics. And the words for what went wrong, which a thousand containers may say at
 * once.
 */
#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <inttypes.h>

const char *const tly_log_lost_names[TLY_LOST_COUNT] = {
    [TLY_LOST_ROTATED] = "rotated",       [TLY_LOST_TRUNCATED] = "truncated",
    [TLY_LOST_UNREADABLE] = "unreadable", [TLY_LOST_HELD_MAX] = "held_max",
    [TLY_LOST_REMOVED] = "removed",
};

static const char *const lost_texts[TLY_LOST_COUNT] = {
    [TLY_LOST_ROTATED] = "Docker rotated files away before they could be opened",
    [TLY_LOST_TRUNCATED] = "the file was truncated before its end was read",
    [TLY_LOST_UNREADABLE] = "a file is damaged or cannot be read",
    [TLY_LOST_HELD_MAX] = "a deleted file was given up at logs.held_max",
    [TLY_LOST_REMOVED] = "the container was removed before its log could be opened",
};

void tly_logs_lost(struct tly_logs *logs, struct tly_log_target *target, enum tly_log_lost reason,
                   uint64_t bytes, const char *id)
{
    uint64_t held;
    target->lost[reason]++;
    target->lost_bytes[reason] += bytes;
    if (tly_log_limit_pass(&logs->lost_limit, tly_loop_now_ms(logs->context->loop), &held)) {
        tly_log_warn("logs",
                     "lines of container %.12s may be lost to destination %s: %s (%" PRIu64
                     " bytes known)%s",
                     id, tly_destination_name(target->destination), lost_texts[reason], bytes,
                     tly_log_held(held).text);
    }
}

void tly_logs_error(struct tly_logs *logs, const char *id, const char *what, int code)
{
    uint64_t held;
    logs->stats.errors++;
    if (tly_log_limit_pass(&logs->error_limit, tly_loop_now_ms(logs->context->loop), &held)) {
        tly_log_warn("logs", "container %.12s: %s: %s; trying again%s", id, what,
                     tly_error_name(code), tly_log_held(held).text);
    }
}

void tly_logs_over_rate(struct tly_logs *logs, const struct tly_log_target *target, const char *id)
{
    uint64_t held;
    if (tly_log_limit_pass(&logs->dropped_limit, tly_loop_now_ms(logs->context->loop), &held)) {
        tly_log_warn("logs",
                     "container %.12s writes more lines than rate_max allows: what is beyond is "
                     "dropped for destination %s and counted%s",
                     id, tly_destination_name(target->destination), tly_log_held(held).text);
    }
}

/* ---- a container's figures ---- */

/* What stands in the files and was not read for this destination. Of a compressed file nobody knows
 * more than the compressed bytes. */
static uint64_t lag_bytes(const struct tly_log_reader *reader)
{
    const struct tly_log_file *file = reader->file;
    uint64_t bytes = 0;
    if (file && !file->gzip && file->size > reader->offset) {
        bytes = file->size - reader->offset;
    } else if (file && file->gzip && (reader->gzip || reader->offset == 0)) {
        bytes = file->size;
    }
    for (file = file ? file->newer : NULL; file; file = file->newer) {
        bytes += file->size;
    }
    return bytes;
}

static uint16_t stream_dim(struct tly_samples *samples, const struct tly_log_target *target,
                           int stream)
{
    static const char *const names[] = {"destination", "stream"};
    const struct tly_text values[] = {tly_text_of(tly_destination_name(target->destination)),
                                      stream == TLY_LOG_STDOUT ? TLY_TEXT("stdout")
                                                               : TLY_TEXT("stderr")};
    return tly_samples_dim(samples, names, values, 2);
}

static uint16_t dropped_dim(struct tly_samples *samples, const struct tly_log_target *target,
                            int reason)
{
    static const char *const names[] = {"destination", "reason"};
    const struct tly_text values[] = {tly_text_of(tly_destination_name(target->destination)),
                                      tly_text_of(tly_log_dropped_names[reason])};
    return tly_samples_dim(samples, names, values, 2);
}

static uint16_t target_dim(struct tly_samples *samples, const struct tly_log_target *target)
{
    return tly_samples_dim1(samples, "destination",
                            tly_text_of(tly_destination_name(target->destination)));
}

/* In the order of the table of families: that saves the sorting. */
static struct tly_sample_set *source_samples(struct tly_log_source *source)
{
    struct tly_logs *logs = source->logs;
    struct tly_samples *samples = &logs->samples;
    for (size_t i = 0; i < logs->target_count; i++) {
        for (int stream = 0; source->readers[i] && stream < TLY_LOG_STREAMS; stream++) {
            tly_samples_add(samples, TLY_F_container_log_lines_total,
                            stream_dim(samples, &logs->targets[i], stream),
                            (int64_t)source->readers[i]->lines[stream]);
        }
    }
    for (size_t i = 0; i < logs->target_count; i++) {
        for (int stream = 0; source->readers[i] && stream < TLY_LOG_STREAMS; stream++) {
            tly_samples_add(samples, TLY_F_container_log_bytes_total,
                            stream_dim(samples, &logs->targets[i], stream),
                            (int64_t)source->readers[i]->text_bytes[stream]);
        }
    }
    for (size_t i = 0; i < logs->target_count; i++) {
        if (source->readers[i]) {
            tly_samples_add(samples, TLY_F_container_log_lag_bytes,
                            target_dim(samples, &logs->targets[i]),
                            (int64_t)lag_bytes(source->readers[i]));
        }
    }
    for (size_t i = 0; i < logs->target_count; i++) {
        for (int reason = 0;
             source->shape_items && source->readers[i] && reason < TLY_DROPPED_COUNT; reason++) {
            tly_samples_add(samples, TLY_F_container_log_dropped_lines_total,
                            dropped_dim(samples, &logs->targets[i], reason),
                            (int64_t)source->readers[i]->dropped[reason]);
        }
    }
    return tly_samples_take(samples);
}

static void publish(struct tly_log_source *source)
{
    struct tly_logs *logs = source->logs;
    uint64_t lines = 0;
    bool idle = true;
    if (!source->begun || source->pod) {
        return; /* no file was found yet, so nothing is known; or the inventory knows it not */
    }
    for (size_t i = 0; i < logs->target_count; i++) {
        const struct tly_log_reader *reader = source->readers[i];
        if (!reader) {
            continue;
        }
        lines += reader->lines[TLY_LOG_STDOUT] + reader->lines[TLY_LOG_STDERR];
        idle = idle && (reader->state == TLY_READER_IDLE || reader->state == TLY_READER_ENDED);
    }
    if (idle && source->published_idle && lines == source->published_lines) {
        return;
    }
    if (source->newest && source->newest->fd >= 0) {
        bool looked = tly_log_file_look(source->newest) == 0;
        (void)looked; /* else the size is the one of the last look */
    }
    struct tly_sample_set *set = source_samples(source);
    if (!set) {
        return; /* the next time there may be memory */
    }
    tly_inventory_publish(logs->context->inventory, logs->slot, tly_text_of(source->id), 0, set);
    source->published_lines = lines;
    source->published_idle = idle;
}

void tly_logs_publish(struct tly_logs *logs)
{
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        publish(at.value);
    }
}

/* ---- the collector's own figures ---- */

static void meter_target(const struct tly_log_target *target, struct tly_samples *samples)
{
    uint16_t dim = target_dim(samples, target);
    tly_samples_add(samples, TLY_F_tallyman_logs_read_bytes_total, dim,
                    (int64_t)target->read_bytes);
    tly_samples_add(samples, TLY_F_tallyman_logs_lines_total, dim, (int64_t)target->lines);
    tly_samples_add(samples, TLY_F_tallyman_logs_malformed_lines_total, dim,
                    (int64_t)target->malformed);
    tly_samples_add(samples, TLY_F_tallyman_logs_split_records_total, dim, (int64_t)target->split);
    tly_samples_add(samples, TLY_F_tallyman_logs_truncations_total, dim,
                    (int64_t)target->truncations);
    for (int reason = 0; reason < TLY_DROPPED_COUNT; reason++) {
        tly_samples_add(samples, TLY_F_tallyman_logs_dropped_lines_total,
                        dropped_dim(samples, target, reason), (int64_t)target->dropped[reason]);
    }
    tly_samples_add(samples, TLY_F_tallyman_logs_joined_lines_total, dim, (int64_t)target->joined);
    tly_samples_add(samples, TLY_F_tallyman_logs_redactions_total, dim,
                    (int64_t)target->shape.redactions);
    tly_samples_add(samples, TLY_F_tallyman_logs_pattern_failures_total, dim,
                    (int64_t)target->shape.failures);
    tly_samples_add(samples, TLY_F_tallyman_logs_parsed_lines_total, dim,
                    (int64_t)target->shape.parsed);
    tly_samples_add(samples, TLY_F_tallyman_logs_not_parsed_lines_total, dim,
                    (int64_t)target->shape.not_parsed);
    for (int reason = 0; reason < TLY_LOST_COUNT; reason++) {
        static const char *const names[] = {"destination", "reason"};
        const struct tly_text values[] = {tly_text_of(tly_destination_name(target->destination)),
                                          tly_text_of(tly_log_lost_names[reason])};
        dim = tly_samples_dim(samples, names, values, 2);
        tly_samples_add(samples, TLY_F_tallyman_logs_gaps_total, dim,
                        (int64_t)target->lost[reason]);
        tly_samples_add(samples, TLY_F_tallyman_logs_lost_bytes_total, dim,
                        (int64_t)target->lost_bytes[reason]);
    }
}

void tly_logs_meter(void *arg, struct tly_samples *samples)
{
    const struct tly_logs *logs = arg;
    tly_samples_add(samples, TLY_F_tallyman_logs_containers, TLY_DIM_NONE,
                    (int64_t)tly_map_count(logs->sources));
    for (size_t i = 0; i < logs->target_count; i++) {
        meter_target(&logs->targets[i], samples);
    }
    tly_samples_add(samples, TLY_F_tallyman_logs_join_bytes, TLY_DIM_NONE,
                    (int64_t)logs->join_bytes);
    tly_samples_add(samples, TLY_F_tallyman_logs_join_max_bytes, TLY_DIM_NONE,
                    logs->settings->join_max_bytes);
    tly_samples_add(samples, TLY_F_tallyman_logs_held_bytes, TLY_DIM_NONE,
                    (int64_t)logs->held_bytes);
    tly_samples_add(samples, TLY_F_tallyman_logs_held_max_bytes, TLY_DIM_NONE,
                    logs->settings->held_max_bytes);
}
