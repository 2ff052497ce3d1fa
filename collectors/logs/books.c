/*
 * What the collector counts, as samples: of each container for the inventory, of itself for the
 * agent's own metrics. And the words for what went wrong, which a thousand containers may say at
 * once.
 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "collectors/logs/feed.h"
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

void tly_log_reader_lost(struct tly_log_reader *reader, enum tly_log_lost reason, uint64_t bytes)
{
    reader->gaps[reason]++;
    tly_logs_lost(reader->logs, reader->target, reason, bytes, reader->source->id);
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

void tly_log_reader_balance(const struct tly_log_reader *reader,
                            struct tly_log_balance *ret_balance)
{
    struct tly_log_balance balance = {.taken = reader->parts + reader->malformed,
                                      .joined = reader->joined};
    for (int stream = 0; stream < TLY_LOG_STREAMS; stream++) {
        balance.taken += reader->lines[stream];
        balance.taken += reader->pieces[stream].sent > 0; /* counted as a line when it ends */
        balance.waiting += reader->messages[stream].lines;
    }
    balance.taken += reader->split_ordinal > 0; /* likewise */
    for (int reason = 0; reason < TLY_DROPPED_COUNT; reason++) {
        balance.dropped += reader->dropped[reason];
    }
    tly_cursor_counts(reader->cursor, &balance.delivery);
    *ret_balance = balance;
}

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

/* Something is left to read. Of what the engine tells nobody knows how much that is. */
static bool is_behind(const struct tly_log_reader *reader)
{
    return reader->feed ? tly_log_feed_is_behind(reader->feed) : lag_bytes(reader) > 0;
}

/* The age, at most, of the oldest line that the destination does not have. Unread lines came after
 * the last one that was read, and after the last moment at which nothing was left to read. */
static int64_t lag_ms(const struct tly_log_reader *reader, const struct tly_log_balance *balance)
{
    int64_t now_ms = tly_loop_now_ms(reader->logs->context->loop);
    int64_t under_way_ms = 0;
    int64_t unread_ms = 0;
    if (balance->delivery.under_way > 0) {
        under_way_ms = now_ms - balance->delivery.since_ms;
    }
    if (is_behind(reader) && reader->last_time_ns > 0) {
        unread_ms = (tly_clock_realtime_ns() - reader->last_time_ns) / TLY_NS_PER_MS;
    }
    if (reader->caught_up_ms > 0 && unread_ms > now_ms - reader->caught_up_ms) {
        unread_ms = now_ms - reader->caught_up_ms;
    }
    int64_t most = under_way_ms > unread_ms ? under_way_ms : unread_ms;
    return most > 0 ? most : 0;
}

/* One value for each destination. In the order of the table of families, like all here: that saves
 * the sorting. */
enum figure {
    FIGURE_PARTS,
    FIGURE_MALFORMED,
    FIGURE_WAITING,
    FIGURE_RECORDS,
    FIGURE_ACKED,
    FIGURE_REJECTED,
    FIGURE_PENDING,
    FIGURE_RESENT,
    FIGURE_GAPS,
    FIGURE_LAG_BYTES,
    FIGURE_LAG_MS,
    FIGURE_COUNT
};

static const enum tly_family_id figure_families[FIGURE_COUNT] = {
    [FIGURE_PARTS] = TLY_F_container_log_partial_records_total,
    [FIGURE_MALFORMED] = TLY_F_container_log_malformed_records_total,
    [FIGURE_WAITING] = TLY_F_container_log_waiting_lines,
    [FIGURE_RECORDS] = TLY_F_container_log_records_total,
    [FIGURE_ACKED] = TLY_F_container_log_acknowledged_records_total,
    [FIGURE_REJECTED] = TLY_F_container_log_rejected_records_total,
    [FIGURE_PENDING] = TLY_F_container_log_pending_records,
    [FIGURE_RESENT] = TLY_F_container_log_resent_records_total,
    [FIGURE_GAPS] = TLY_F_container_log_gaps_total,
    [FIGURE_LAG_BYTES] = TLY_F_container_log_lag_bytes,
    [FIGURE_LAG_MS] = TLY_F_container_log_lag_seconds,
};

static int64_t figure(const struct tly_log_reader *reader, const struct tly_log_balance *balance,
                      enum figure which)
{
    uint64_t gaps = 0;
    switch (which) {
    case FIGURE_PARTS:
        return (int64_t)reader->parts;
    case FIGURE_MALFORMED:
        return (int64_t)reader->malformed;
    case FIGURE_WAITING:
        return (int64_t)balance->waiting;
    case FIGURE_RECORDS:
        return (int64_t)balance->delivery.appended;
    case FIGURE_ACKED:
        return (int64_t)balance->delivery.acked;
    case FIGURE_REJECTED:
        return (int64_t)balance->delivery.dropped;
    case FIGURE_PENDING:
        return (int64_t)balance->delivery.under_way;
    case FIGURE_RESENT:
        return (int64_t)balance->delivery.returned;
    case FIGURE_GAPS:
        for (int reason = 0; reason < TLY_LOST_COUNT; reason++) {
            gaps += reader->gaps[reason];
        }
        return (int64_t)gaps;
    case FIGURE_LAG_BYTES:
        return (int64_t)lag_bytes(reader);
    case FIGURE_LAG_MS:
        return lag_ms(reader, balance);
    case FIGURE_COUNT:
        break;
    }
    return 0;
}

static void add_streams(struct tly_log_source *source, enum tly_family_id family)
{
    struct tly_logs *logs = source->logs;
    for (size_t i = 0; i < logs->target_count; i++) {
        const struct tly_log_reader *reader = source->readers[i];
        for (int stream = 0; reader && stream < TLY_LOG_STREAMS; stream++) {
            bool lines = family == TLY_F_container_log_lines_total;
            tly_samples_add(&logs->samples, family,
                            stream_dim(&logs->samples, &logs->targets[i], stream),
                            (int64_t)(lines ? reader->lines : reader->text_bytes)[stream]);
        }
    }
}

static void add_dropped(struct tly_log_source *source)
{
    struct tly_logs *logs = source->logs;
    for (size_t i = 0; i < logs->target_count; i++) {
        const struct tly_log_reader *reader = source->readers[i];
        for (int reason = 0; reader && source->shape_items && reason < TLY_DROPPED_COUNT;
             reason++) {
            tly_samples_add(&logs->samples, TLY_F_container_log_dropped_lines_total,
                            dropped_dim(&logs->samples, &logs->targets[i], reason),
                            (int64_t)reader->dropped[reason]);
        }
    }
    for (size_t i = 0; source->multiline && i < logs->target_count; i++) {
        if (source->readers[i]) {
            tly_samples_add(&logs->samples, TLY_F_container_log_joined_lines_total,
                            target_dim(&logs->samples, &logs->targets[i]),
                            (int64_t)source->readers[i]->joined);
        }
    }
}

static struct tly_sample_set *source_samples(struct tly_log_source *source)
{
    struct tly_logs *logs = source->logs;
    add_streams(source, TLY_F_container_log_lines_total);
    add_streams(source, TLY_F_container_log_bytes_total);
    add_dropped(source);
    for (enum figure which = 0; which < FIGURE_COUNT; which++) {
        for (size_t i = 0; i < logs->target_count; i++) {
            const struct tly_log_reader *reader = source->readers[i];
            struct tly_log_balance balance;
            bool unknown = source->api && which == FIGURE_LAG_BYTES;
            if (reader && reader->cursor && !unknown) {
                tly_log_reader_balance(reader, &balance);
                tly_samples_add(&logs->samples, figure_families[which],
                                target_dim(&logs->samples, &logs->targets[i]),
                                figure(reader, &balance, which));
            }
        }
    }
    return tly_samples_take(&logs->samples);
}

/* Changes with every line that is read, acknowledged or sent again, and with every gap. */
static uint64_t movement(const struct tly_log_reader *reader)
{
    struct tly_log_balance balance;
    tly_log_reader_balance(reader, &balance);
    return balance.taken + balance.delivery.acked + balance.delivery.dropped +
           balance.delivery.returned + (uint64_t)figure(reader, &balance, FIGURE_GAPS);
}

/* Nothing is left to read, wait for, or hear of. */
static bool is_settled(const struct tly_log_reader *reader)
{
    return reader->state == TLY_READER_IDLE && !tly_log_reader_has_pieces(reader) &&
           tly_cursor_idle(reader->cursor);
}

static void publish(struct tly_log_source *source)
{
    struct tly_logs *logs = source->logs;
    uint64_t moved = 0;
    bool settled = true;
    if (!source->begun || source->pod) {
        return; /* no file was found yet, so nothing is known; or the inventory knows it not */
    }
    for (size_t i = 0; i < logs->target_count; i++) {
        struct tly_log_reader *reader = source->readers[i];
        if (!reader || !reader->cursor) {
            continue;
        }
        if (!is_behind(reader)) {
            reader->caught_up_ms = tly_loop_now_ms(logs->context->loop);
        }
        moved += movement(reader);
        settled = settled && is_settled(reader);
    }
    if (settled && source->published_settled && moved == source->published_movement) {
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
    source->published_movement = moved;
    source->published_settled = settled;
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
    tly_log_feeds_meter(logs, samples);
}
