/*
 * The entries of Docker's `local` driver: their text is copied into the open chunk. Bytes that are
 * no entry, because the engine or the host died while one was written, are passed over up to the
 * next entry; what they hold is sent as text without sense, but for the zeros that a file system
 * leaves where nothing was written.
 */
#include "collectors/logs/lines.h"

#include "agent/base/hash.h"
#include "agent/codec/local_entry.h"

#include <errno.h>
#include <string.h>

/* Docker's copier hands on full buffers of this size (daemon/logger/copier.go); a shorter piece
 * that is not the last is the end of a stream without a newline. */
#define DOCKER_PIECE_BYTES 16384

/* An entry is one write(2). Half of one that is still half after this time was torn. */
#define TORN_MS 2000

/* Tells the lines of one stream apart; never 0. */
static uint64_t group_of(const struct tly_local_entry *entry)
{
    return entry->partial
               ? tly_hash_add(TLY_HASH_FIRST, entry->partial_id.at, entry->partial_id.len) | 1
               : 0;
}

static int take_odd(struct tly_log_reader *reader, const struct tly_local_entry *entry)
{
    bool whole = !entry->partial || entry->partial_last;
    const struct tly_log_line odd = {.time_ns = entry->time_ns,
                                     .stream = entry->source,
                                     .text = entry->line,
                                     .whole = whole,
                                     .goes_on = !whole && entry->line.len >= DOCKER_PIECE_BYTES,
                                     .group = group_of(entry)};
    return tly_log_lines_take_odd(reader, &odd);
}

static int take_entry(struct tly_log_reader *reader, const struct tly_local_entry *entry)
{
    struct tly_log_template *template = &reader->source->template;
    struct tly_log_place place;
    int stream = tly_log_stream(entry->source);
    if (!tly_log_template_has_attrs(template, entry->attrs) &&
        tly_log_template_attrs(template, entry->attrs, tly_local_entry_attrs) < 0) {
        /* The record goes without them: the line matters more. */
        reader->target->malformed++;
    }
    reader->last_time_ns = entry->time_ns;
    if (tly_log_line_is_odd(reader, stream, !entry->partial, entry->line.len)) {
        return take_odd(reader, entry);
    }
    int rc = tly_log_place_find(reader, entry->line.len, &place);
    if (rc < 0) {
        return rc;
    }
    memcpy(place.text, entry->line.at, entry->line.len);
    tly_log_place_take(reader, &place, stream, entry->time_ns, entry->line.len);
    return 0;
}

/* ---- damage ---- */

/* Whether the beginning of an entry, at the reader's offset, has been no more than that for so long
 * that the rest of it will never come. */
static bool is_torn(struct tly_log_reader *reader)
{
    int64_t now = tly_loop_now_ms(reader->logs->context->loop);
    if (reader->stuck_offset != reader->offset || reader->stuck_since_ms == 0) {
        reader->stuck_offset = reader->offset;
        reader->stuck_since_ms = now;
    }
    reader->retry = true; /* nobody tells that nothing comes */
    return now - reader->stuck_since_ms >= TORN_MS;
}

static size_t zeros(struct tly_text text)
{
    size_t count = 0;
    while (count < text.len && text.at[count] == '\0') {
        count++;
    }
    return count;
}

/* Passes over `damage`, or the first part of it. The bytes passed or a negative code. */
static ssize_t take_damage(struct tly_log_reader *reader, struct tly_text damage)
{
    size_t leading = reader->raw_ordinal == 0 ? zeros(damage) : 0;
    if (leading > 0) {
        reader->target->malformed += leading == damage.len;
        return (ssize_t)leading;
    }
    while (damage.len > 1 && damage.at[damage.len - 1] == '\0') {
        damage.len--;
    }
    return tly_log_lines_take_raw(reader, damage, true);
}

/* What stands at the reader's offset is no entry, or none yet: `why`. 0: it has to be waited for.
 */
static ssize_t take_none(struct tly_log_reader *reader, struct tly_text bytes, ssize_t why,
                         bool ended)
{
    bool more = why == TLY_E_MORE;
    if (more && reader->raw_ordinal == 0 && !ended && !is_torn(reader)) {
        return 0;
    }
    size_t damage = tly_local_entry_pass(bytes, more || ended);
    if (more && !ended && damage == bytes.len) {
        return 0; /* torn or not, nothing stands behind it */
    }
    return take_damage(reader, (struct tly_text){bytes.at, damage});
}

/* ---- blocks ---- */

static size_t take(struct tly_log_reader *reader, struct tly_text block, bool ended, int *ret_rc)
{
    struct tly_text rest = block;
    struct tly_local_entry entry;
    ssize_t taken = 1;
    while (rest.len > 0 && taken > 0) {
        taken = tly_local_entry_parse(rest, &entry);
        if (taken < 0) {
            taken = take_none(reader, rest, taken, ended);
        } else if (reader->walked >= reader->ahead_until ||
                   tly_log_stream(entry.source) + 1 == (int)reader->held) {
            int rc = take_entry(reader, &entry);
            taken = rc < 0 ? rc : taken;
        }
        if (taken > 0) {
            rest.at += taken;
            rest.len -= (size_t)taken;
            tly_log_lines_move(reader, (size_t)taken);
        }
    }
    return tly_log_lines_finish(reader, block.len - rest.len, taken < 0 ? (int)taken : 0, ret_rc);
}

const struct tly_log_format tly_log_entries = {
    .take = take, .last_end = tly_local_entry_last_end, .entry_max = TLY_LOCAL_ENTRY_MAX};
