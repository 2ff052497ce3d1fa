/*
 * The positions in memory and on their way to the journal. All changes of one turn of the loop go
 * out in one write(2); what the disk refuses stays marked and is tried again, and nothing waits for
 * it. One per delivery.
 */
#include "agent/delivery/positions.h"

#include "agent/base/map.h"
#include "agent/delivery/journal.h"
#include "agent/delivery/position_line.h"
#include "agent/loop/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_NAME "positions"
#define JOURNAL_HEAD "# tallyman's positions, one change a line; the agent rewrites this file\n"

/* A destination and a container each: far more than a host has. Bounds the memory to some 20 MB. */
#define ENTRIES_MAX 65536

/* The journal is rewritten when it is longer than this and most of it is outdated. */
#define REWRITE_BYTES_MIN  (256 * 1024)
#define REWRITE_LINE_BYTES 512 /* an upper estimate of one entry's line */

#define LINES_BYTES_MAX ((size_t)64 << 20)
#define RETRY_MS        5000

struct entry {
    struct tly_position position;
    bool dirty;   /* the journal does not have it yet */
    bool dropped; /* gone, and only here until the journal knows */
    struct entry *next_dirty;
    size_t destination_len;
    size_t key_len;
    char names[]; /* destination, NUL, key: the map's key */
};

struct tly_positions {
    struct tly_loop *loop;
    struct tly_map *entries;
    struct tly_journal *journal; /* NULL: memory only */
    struct entry *dirty, *dirty_last;
    struct tly_defer *write;
    struct tly_timer *retry;
    struct tly_log_limit limit, full_limit;
    uint64_t dropped; /* entries that only wait to be forgotten */
    uint64_t unwritten, write_errors, lines_damaged;
    bool failing;
    bool whole;  /* nothing of what was kept is missing */
    bool mended; /* the file has no damaged lines, or is being rewritten without them */
};

static struct tly_text entry_destination(const struct entry *entry)
{
    return (struct tly_text){entry->names, entry->destination_len};
}

static struct tly_text entry_key(const struct entry *entry)
{
    return (struct tly_text){entry->names + entry->destination_len + 1, entry->key_len};
}

static struct tly_text entry_names(const struct entry *entry)
{
    return (struct tly_text){entry->names, entry->destination_len + 1 + entry->key_len};
}

#define NAMES_MAX (2 * TLY_POSITION_NAME_MAX + 1)

static int join_names(struct tly_text destination, struct tly_text key, char to[NAMES_MAX],
                      struct tly_text *ret_names)
{
    if (destination.len > TLY_POSITION_NAME_MAX || key.len > TLY_POSITION_NAME_MAX) {
        return TLY_E_LIMIT;
    }
    memcpy(to, destination.at, destination.len);
    to[destination.len] = '\0';
    memcpy(to + destination.len + 1, key.at, key.len);
    *ret_names = (struct tly_text){to, destination.len + 1 + key.len};
    return 0;
}

static struct entry *find(const struct tly_positions *positions, struct tly_text destination,
                          struct tly_text key)
{
    char buffer[NAMES_MAX];
    struct tly_text names;
    if (join_names(destination, key, buffer, &names) < 0) {
        return NULL;
    }
    return tly_map_get(positions->entries, names);
}

static int entry_add(struct tly_positions *positions, struct tly_text destination,
                     struct tly_text key, struct entry **ret_entry)
{
    char buffer[NAMES_MAX];
    struct tly_text names;
    int rc = join_names(destination, key, buffer, &names);
    if (rc < 0) {
        return rc;
    }
    if (tly_map_count(positions->entries) >= ENTRIES_MAX) {
        return TLY_E_LIMIT;
    }
    struct entry *entry = calloc(1, sizeof(*entry) + names.len);
    if (!entry) {
        return -ENOMEM;
    }
    entry->destination_len = destination.len;
    entry->key_len = key.len;
    memcpy(entry->names, names.at, names.len);
    rc = tly_map_put(positions->entries, names, entry, NULL);
    if (rc < 0) {
        free(entry);
        return rc;
    }
    *ret_entry = entry;
    return 0;
}

static void entry_remove(struct tly_positions *positions, struct entry *entry)
{
    (void)tly_map_remove(positions->entries, entry_names(entry));
    free(entry);
}

/* ---- on the way to the journal ---- */

static void entry_changed(struct tly_positions *positions, struct entry *entry)
{
    if (!positions->journal) {
        return;
    }
    if (!entry->dirty) {
        entry->dirty = true;
        entry->next_dirty = NULL;
        if (positions->dirty_last) {
            positions->dirty_last->next_dirty = entry;
        } else {
            positions->dirty = entry;
        }
        positions->dirty_last = entry;
        positions->unwritten++;
    }
    if (!positions->failing) {
        tly_defer_call(positions->write);
    }
}

/* The journal has all that was dirty. */
static void dirty_clear(struct tly_positions *positions)
{
    struct entry *entry = positions->dirty;
    while (entry) {
        struct entry *next = entry->next_dirty;
        entry->dirty = false;
        if (entry->dropped) {
            positions->dropped--;
            entry_remove(positions, entry);
        }
        entry = next;
    }
    positions->dirty = NULL;
    positions->dirty_last = NULL;
    positions->unwritten = 0;
}

static int lines_of(struct tly_buf *buf, const struct entry *entry)
{
    return tly_position_line_write(buf, entry_destination(entry), entry_key(entry),
                                   entry->dropped ? NULL : &entry->position);
}

/* A file with damaged lines, too: what they were is lost now, not again at each start. */
static void rewrite_if_due(struct tly_positions *positions)
{
    uint64_t live = tly_map_count(positions->entries) * (uint64_t)REWRITE_LINE_BYTES;
    uint64_t bytes = tly_journal_bytes(positions->journal);
    bool grown = bytes >= REWRITE_BYTES_MIN && bytes >= 2 * live;
    bool damaged = positions->lines_damaged > 0 && !positions->mended;
    if ((!grown && !damaged) || tly_journal_rewriting(positions->journal)) {
        return;
    }
    struct tly_buf content;
    tly_buf_init(&content, LINES_BYTES_MAX);
    int rc = tly_buf_append_text(&content, TLY_TEXT(JOURNAL_HEAD));
    struct tly_map_entry at;
    for (void *walk = NULL; rc == 0 && tly_map_next(positions->entries, &walk, &at);) {
        const struct entry *entry = at.value;
        rc = entry->dropped ? 0 : lines_of(&content, entry);
    }
    if (rc == 0) {
        rc = tly_journal_rewrite(positions->journal, &content);
    }
    positions->mended = rc == 0;
    tly_buf_done(&content);
    if (rc < 0) {
        tly_log_debug("delivery", "cannot rewrite the positions now: %s", tly_error_name(rc));
    }
}

static int write_dirty(struct tly_positions *positions)
{
    if (!positions->dirty) {
        return 0;
    }
    struct tly_buf lines;
    tly_buf_init(&lines, LINES_BYTES_MAX);
    int rc = 0;
    if (tly_journal_bytes(positions->journal) == 0) {
        rc = tly_buf_append_text(&lines, TLY_TEXT(JOURNAL_HEAD));
    }
    for (const struct entry *entry = positions->dirty; rc == 0 && entry;
         entry = entry->next_dirty) {
        rc = lines_of(&lines, entry);
    }
    if (rc == 0) {
        rc = tly_journal_append(positions->journal, tly_buf_text(&lines));
    }
    tly_buf_done(&lines);
    return rc;
}

static void write_now(void *arg)
{
    struct tly_positions *positions = arg;
    int rc = write_dirty(positions);
    uint64_t held;
    if (rc == 0) {
        if (positions->failing) {
            tly_log_info("delivery", "positions are written again");
        }
        positions->failing = false;
        dirty_clear(positions);
        rewrite_if_due(positions);
        return;
    }
    positions->write_errors++;
    positions->failing = true;
    tly_timer_start(positions->retry, RETRY_MS, 0);
    if (tly_log_limit_pass(&positions->limit, tly_loop_now_ms(positions->loop), &held)) {
        tly_log_warn(
            "delivery",
            "cannot write the positions: %s; delivery goes on, a restart would repeat what "
            "was delivered since",
            tly_error_name(rc));
    }
}

/* ---- at the start ---- */

static int load_line(void *arg, struct tly_text text)
{
    struct tly_positions *positions = arg;
    if (text.len == 0 || text.at[0] == '#') {
        return 0;
    }
    struct tly_position_line line;
    if (tly_position_line_parse(text, &line) < 0) {
        positions->lines_damaged++;
        return 0;
    }
    struct tly_text destination = {line.destination, line.destination_len};
    struct tly_text key = {line.key, line.key_len};
    struct entry *entry = find(positions, destination, key);
    if (line.drop) {
        if (entry) {
            entry_remove(positions, entry);
        }
        return 0;
    }
    int rc = entry ? 0 : entry_add(positions, destination, key, &entry);
    if (rc == 0) {
        entry->position = line.position;
    }
    return rc;
}

static int load(struct tly_positions *positions)
{
    int rc = tly_journal_read(positions->journal, load_line, positions);
    positions->whole = rc == 0 && positions->lines_damaged == 0;
    if (rc < 0 && rc != -ENOMEM) {
        if (rc != -ENOENT) {
            tly_log_warn("delivery",
                         "cannot read all positions that were kept: %s; going on with %zu of them",
                         tly_error_name(rc), tly_map_count(positions->entries));
        }
        rc = 0;
    }
    if (positions->lines_damaged > 0) {
        tly_log_warn("delivery", "skipped %llu damaged lines of the kept positions",
                     (unsigned long long)positions->lines_damaged);
    }
    return rc;
}

int tly_positions_new(struct tly_loop *loop, int dir_fd, struct tly_positions **ret_positions)
{
    struct tly_positions *positions = calloc(1, sizeof(*positions));
    if (!positions) {
        return -ENOMEM;
    }
    positions->loop = loop;
    positions->entries = tly_map_new();
    int rc = positions->entries ? 0 : -ENOMEM;
    if (rc == 0) {
        rc = tly_defer_new(loop, write_now, positions, &positions->write);
    }
    if (rc == 0) {
        rc = tly_timer_new(loop, write_now, positions, &positions->retry);
    }
    if (rc == 0 && dir_fd >= 0) {
        rc = tly_journal_new(loop, dir_fd, JOURNAL_NAME, &positions->journal);
    }
    if (rc == 0 && positions->journal) {
        rc = load(positions);
    }
    if (rc < 0) {
        tly_positions_free(positions);
        return rc;
    }
    *ret_positions = positions;
    return 0;
}

void tly_positions_free(struct tly_positions *positions)
{
    if (!positions) {
        return;
    }
    if (positions->dirty) {
        write_now(positions);
    }
    tly_defer_free(positions->write);
    tly_timer_free(positions->retry);
    tly_journal_free(positions->journal);
    tly_map_free(positions->entries, free);
    free(positions);
}

/* ---- what the rest of delivery asks ---- */

bool tly_positions_whole(const struct tly_positions *positions)
{
    return positions->whole;
}

bool tly_positions_get(const struct tly_positions *positions, struct tly_text destination,
                       struct tly_text key, struct tly_position *ret_position)
{
    const struct entry *entry = find(positions, destination, key);
    if (!entry || entry->dropped) {
        return false;
    }
    *ret_position = entry->position;
    return true;
}

int tly_positions_keep(struct tly_positions *positions, struct tly_text destination,
                       struct tly_text key, const struct tly_position *position)
{
    struct entry *entry = find(positions, destination, key);
    uint64_t held;
    int rc = entry ? 0 : entry_add(positions, destination, key, &entry);
    if (rc < 0) {
        if (tly_log_limit_pass(&positions->full_limit, tly_loop_now_ms(positions->loop), &held)) {
            tly_log_warn("delivery", "cannot keep another position: %s; a restart would repeat it",
                         tly_error_name(rc));
        }
        return rc;
    }
    if (entry->dropped) {
        entry->dropped = false;
        positions->dropped--;
    }
    entry->position = *position;
    entry_changed(positions, entry);
    return 0;
}

static void entry_drop(struct tly_positions *positions, struct entry *entry)
{
    if (!positions->journal) {
        entry_remove(positions, entry);
    } else if (!entry->dropped) {
        entry->dropped = true;
        positions->dropped++;
        entry_changed(positions, entry);
    }
}

void tly_positions_drop(struct tly_positions *positions, struct tly_text destination,
                        struct tly_text key)
{
    struct entry *entry = find(positions, destination, key);
    if (entry) {
        entry_drop(positions, entry);
    }
}

void tly_positions_each(const struct tly_positions *positions, struct tly_text destination,
                        void (*fn)(void *arg, struct tly_text key,
                                   const struct tly_position *position),
                        void *arg)
{
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(positions->entries, &walk, &at);) {
        const struct entry *entry = at.value;
        if (!entry->dropped && tly_text_equal(entry_destination(entry), destination)) {
            fn(arg, entry_key(entry), &entry->position);
        }
    }
}

size_t tly_positions_prune(struct tly_positions *positions, struct tly_text prefix,
                           bool (*keep)(void *arg, struct tly_text key), void *arg)
{
    size_t gone = 0;
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(positions->entries, &walk, &at);) {
        struct entry *entry = at.value;
        struct tly_text key = entry_key(entry);
        if (!entry->dropped && tly_text_starts(key, prefix) && !keep(arg, key)) {
            entry_drop(positions, entry);
            gone++;
        }
    }
    return gone;
}

void tly_positions_counts(const struct tly_positions *positions,
                          struct tly_positions_counts *ret_counts)
{
    *ret_counts = (struct tly_positions_counts){
        .entries = tly_map_count(positions->entries) - positions->dropped,
        .unwritten = positions->unwritten,
        .write_errors = positions->write_errors,
        .lines_damaged = positions->lines_damaged,
        .journal_bytes = positions->journal ? tly_journal_bytes(positions->journal) : 0,
    };
}
