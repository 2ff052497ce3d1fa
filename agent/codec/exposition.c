/*
 * The writer of expositions. Rows come container by container, the formats want family by family:
 * each sample set has a cursor, and as a set is sorted by family, one pass over the cursors for
 * each family finds its samples without a search. A line is a copy of prepared texts and one
 * decimal number.
 *
 * Two samples are one series when their rows have equal labels and their dimensions equal text.
 * Rows with equal labels are made neighbours (a "group"), so duplicates can only be found within a
 * run of neighbouring cursors; see `run_is_plain` for why looking costs next to nothing.
 */
#include "agent/codec/exposition.h"
#include "agent/codec/text_set.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_FIRST    64
#define CURSORS_FIRST 128
#define FAMILY_NONE   UINT16_MAX
_Static_assert(TLY_FAMILY_COUNT < FAMILY_NONE, "families are counted in 16 bits");

/* A line beside its name, labels and dimension: `{`, `,`, `}`, the blank, the number, LF. */
#define LINE_EXTRA (4 + TLY_DECIMAL_MAX + 1)

/* A block ends with the container at which it has this many bytes; its memory leaves room for that
 * container's other samples. It stays in the processor's second-level cache between writing and
 * compressing or sending. */
#define BLOCK_BYTES      (112U << 10)
#define BLOCK_ROOM_BYTES (128U << 10)

/* Rows of a part: few enough that those of containers that idle stay as they are, many enough that
 * compressing each part by itself costs little. */
#define PART_ROWS 128

const char *const tly_exposition_content_types[TLY_EXPOSITION_FORMAT_COUNT] = {
    [TLY_EXPOSITION_TEXT_0_0_4] = "text/plain; version=0.0.4; charset=utf-8",
    [TLY_EXPOSITION_TEXT_1_0_0] = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
    [TLY_EXPOSITION_OPENMETRICS_0_0_1] =
        "application/openmetrics-text; version=0.0.1; charset=utf-8",
    [TLY_EXPOSITION_OPENMETRICS_1_0_0] =
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
};

struct tly_exposition_row {
    struct tly_text labels;
    size_t group; /* index of the first row with these labels */
};

/* Where the writing of a set stands; `at`, `end` and `group` are set by each write. */
struct tly_exposition_cursor {
    const struct tly_sample_set *set;
    const struct tly_sample *at, *end;
    size_t row, group;
    size_t order; /* of adding */
};

void tly_exposition_init(struct tly_exposition *exposition)
{
    *exposition = (struct tly_exposition){0};
}

void tly_exposition_done(struct tly_exposition *exposition)
{
    free(exposition->rows);
    free(exposition->cursors);
    tly_exposition_init(exposition);
}

/* Makes room for `need` entries of `size` bytes. */
static int entries_grow(void **entries, size_t *cap, size_t need, size_t first, size_t size)
{
    if (need <= *cap) {
        return 0;
    }
    size_t grown_cap = *cap == 0 ? first : *cap * 2;
    if (grown_cap < need) {
        grown_cap = need;
    }
    void *grown = reallocarray(*entries, grown_cap, size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *entries = grown;
    *cap = grown_cap;
    return 0;
}

int tly_exposition_add(struct tly_exposition *exposition, struct tly_text labels,
                       struct tly_sample_set *const *sets, size_t count)
{
    void *rows = exposition->rows;
    int rc = entries_grow(&rows, &exposition->row_cap, exposition->row_count + 1, ROWS_FIRST,
                          sizeof(*exposition->rows));
    exposition->rows = rows;
    void *cursors = exposition->cursors;
    if (rc == 0) {
        rc = entries_grow(&cursors, &exposition->cursor_cap, exposition->cursor_count + count,
                          CURSORS_FIRST, sizeof(*exposition->cursors));
    }
    exposition->cursors = cursors;
    if (rc < 0) {
        return rc;
    }
    size_t row = exposition->row_count++;
    exposition->rows[row] = (struct tly_exposition_row){.labels = labels, .group = row};
    for (size_t i = 0; i < count; i++) {
        if (sets[i] != NULL && tly_sample_set_count(sets[i]) > 0) {
            size_t order = exposition->cursor_count++;
            exposition->cursors[order] = (struct tly_exposition_cursor){
                .set = sets[i], .row = row, .order = order};
        }
    }
    return 0;
}

/* ---- groups ---- */

static int cursor_compare(const void *a, const void *b)
{
    const struct tly_exposition_cursor *left = a;
    const struct tly_exposition_cursor *right = b;
    if (left->group != right->group) {
        return left->group < right->group ? -1 : 1;
    }
    return left->order < right->order ? -1 : left->order > right->order;
}

/* Finds rows with equal labels, and moves their cursors together. */
static int rows_group(struct tly_exposition *exposition)
{
    struct tly_text_set labels;
    int rc = tly_text_set_init(&labels, exposition->row_count);
    if (rc < 0) {
        return rc;
    }
    bool equal = false;
    for (size_t i = 0; i < exposition->row_count; i++) {
        struct tly_exposition_row *row = &exposition->rows[i];
        row->group = tly_text_set_put(&labels, row->labels, i + 1) - 1;
        equal = equal || row->group != i;
    }
    tly_text_set_done(&labels);
    for (size_t i = 0; i < exposition->cursor_count; i++) {
        struct tly_exposition_cursor *cursor = &exposition->cursors[i];
        cursor->group = exposition->rows[cursor->row].group;
    }
    if (equal) {
        qsort(exposition->cursors, exposition->cursor_count, sizeof(*exposition->cursors),
              cursor_compare);
    }
    return 0;
}

/* ---- writing ---- */

/* Stands before the group whose first cursor is `index`, in the family `id`: it may stop there and
 * go on later. */
struct writer {
    struct tly_exposition *exposition;
    bool openmetrics;
    uint16_t id;
    size_t index;
    bool by_parts;                   /* stops where a part ends, whatever the buffer has */
    uint64_t part;                   /* being written, or written last */
    bool headed;                     /* the family's metadata is written */
    bool ended;                      /* so is everything */
    const struct tly_family *family; /* being written */
    struct tly_text name;
    uint16_t *next; /* the family where each cursor stands, in one dense array to be searched */
    struct tly_buf *buf;
    char *to, *end; /* the buffer's free part; buf->len is brought up to date by `written_count` */
    struct tly_exposition_stats stats;
};

static void written_count(struct writer *writer)
{
    size_t len = writer->to == NULL ? 0
                                    : (size_t)(writer->to - (writer->buf->at + writer->buf->len));
    writer->buf->len += len;
    writer->stats.bytes += len;
}

static int room_make(struct writer *writer, size_t need)
{
    written_count(writer);
    int rc = tly_buf_reserve(writer->buf, need, &writer->to);
    if (rc < 0) {
        return rc;
    }
    size_t cap = writer->buf->cap < writer->buf->max ? writer->buf->cap : writer->buf->max;
    writer->end = writer->buf->at + cap;
    return 0;
}

/* Makes sure that `need` bytes can be written. */
static inline int room(struct writer *writer, size_t need)
{
    bool enough = writer->to != NULL && (size_t)(writer->end - writer->to) >= need;
    return enough ? 0 : room_make(writer, need);
}

static char *bytes_write(char *to, const char *bytes, size_t len)
{
    memcpy(to, bytes, len);
    return to + len;
}

static char *string_write(char *to, const char *string)
{
    return bytes_write(to, string, strlen(string));
}

/* The family's name in the lines of metadata: OpenMetrics speaks of `foo`, whose sample is
 * `foo_total` or `foo_info`. A name without that suffix can't be of that type there. */
static struct tly_text metadata_name(const struct tly_family *family, bool openmetrics,
                                     const char **ret_type)
{
    struct tly_text name = tly_text_of(family->name);
    *ret_type = family->type == TLY_COUNTER ? "counter" : "gauge";
    if (openmetrics && family->type != TLY_GAUGE) {
        struct tly_text suffix = family->type == TLY_COUNTER ? TLY_TEXT("_total")
                                                             : TLY_TEXT("_info");
        if (tly_text_ends(name, suffix)) {
            name.len -= suffix.len;
            *ret_type = family->type == TLY_COUNTER ? "counter" : "info";
        } else {
            *ret_type = family->type == TLY_COUNTER ? "unknown" : "gauge";
        }
    }
    return name;
}

/* Backslash and line feed are escaped in both formats, the quote in OpenMetrics only. */
static char *help_write(char *to, const char *help, bool openmetrics)
{
    for (; *help != '\0'; help++) {
        if (*help == '\n') {
            to = string_write(to, "\\n");
        } else {
            if (*help == '\\' || (*help == '"' && openmetrics)) {
                *to++ = '\\';
            }
            *to++ = *help;
        }
    }
    return to;
}

/* Room for HELP and TYPE, with every byte of the help escaped. */
static size_t head_room(const struct tly_family *family)
{
    return strlen("# HELP ") + strlen("# TYPE ") + 2 * strlen(family->name) +
           2 * strlen(family->help) + strlen("  counter\n\n");
}

static int head_write(struct writer *writer)
{
    const struct tly_family *family = writer->family;
    int rc = room(writer, head_room(family));
    if (rc < 0) {
        return rc;
    }
    const char *type;
    struct tly_text name = metadata_name(family, writer->openmetrics, &type);
    char *to = string_write(writer->to, "# HELP ");
    to = bytes_write(to, name.at, name.len);
    *to++ = ' ';
    to = help_write(to, family->help, writer->openmetrics);
    to = string_write(to, "\n# TYPE ");
    to = bytes_write(to, name.at, name.len);
    *to++ = ' ';
    to = string_write(to, type);
    *to++ = '\n';
    writer->to = to;
    writer->stats.families++;
    return 0;
}

static inline int line_write(struct writer *writer, struct tly_text labels, struct tly_text dim,
                             int64_t raw)
{
    int rc = room(writer, writer->name.len + labels.len + dim.len + LINE_EXTRA);
    if (rc < 0) {
        return rc;
    }
    char *to = bytes_write(writer->to, writer->name.at, writer->name.len);
    if (labels.len + dim.len > 0) {
        *to++ = '{';
        if (labels.len > 0) {
            to = bytes_write(to, labels.at, labels.len);
        }
        if (dim.len > 0) {
            if (labels.len > 0) {
                *to++ = ',';
            }
            to = bytes_write(to, dim.at, dim.len);
        }
        *to++ = '}';
    }
    *to++ = ' ';
    to += tly_decimal_write(to, raw, writer->family->exponent);
    *to++ = '\n';
    writer->to = to;
    writer->stats.samples++;
    return 0;
}

/* Where the cursor's samples of the family at which it stands end. */
static const struct tly_sample *family_end(const struct tly_exposition_cursor *cursor)
{
    const struct tly_sample *end = cursor->at + 1;
    while (end < cursor->end && end->family == cursor->at->family) {
        end++;
    }
    return end;
}

/*
 * True when the samples from the cursor up to `end` are certainly different series: a set has each
 * dimension once, so strictly rising indices, as collectors produce them, can't repeat.
 */
static bool run_is_plain(const struct tly_exposition_cursor *cursor, const struct tly_sample *end)
{
    for (const struct tly_sample *at = cursor->at + 1; at < end; at++) {
        if (at->dim <= at[-1].dim) {
            return false;
        }
    }
    return true;
}

static void cursor_advance(struct writer *writer, size_t index, const struct tly_sample *to)
{
    struct tly_exposition_cursor *cursor = &writer->exposition->cursors[index];
    cursor->at = to;
    writer->next[index] = to < cursor->end ? to->family : FAMILY_NONE;
}

/* The plain way: the cursor's samples up to `end`, which are of one family. */
static int run_write(struct writer *writer, size_t index, const struct tly_sample *end)
{
    const struct tly_exposition_cursor *cursor = &writer->exposition->cursors[index];
    struct tly_text labels = writer->exposition->rows[cursor->row].labels;
    for (const struct tly_sample *at = cursor->at; at < end; at++) {
        struct tly_text dim = {NULL, 0};
        if (at->dim != TLY_DIM_NONE) {
            dim = tly_sample_set_dim(cursor->set, at->dim);
        }
        int rc = line_write(writer, labels, dim, at->raw);
        if (rc < 0) {
            return rc;
        }
    }
    cursor_advance(writer, index, end);
    return 0;
}

/* Writes the cursor's samples up to `end`, those not that are `seen` already; `*number` counts them
 * for the set. */
static int run_write_unseen(struct writer *writer, size_t index, const struct tly_sample *end,
                            struct tly_text_set *seen, size_t *number)
{
    const struct tly_exposition_cursor *cursor = &writer->exposition->cursors[index];
    struct tly_text labels = writer->exposition->rows[cursor->row].labels;
    for (const struct tly_sample *at = cursor->at; at < end; at++) {
        struct tly_text dim = tly_sample_set_dim(cursor->set, at->dim);
        (*number)++;
        if (tly_text_set_put(seen, dim, *number) != *number) {
            writer->stats.duplicates++;
            continue;
        }
        int rc = line_write(writer, labels, dim, at->raw);
        if (rc < 0) {
            return rc;
        }
    }
    cursor_advance(writer, index, end);
    return 0;
}

/*
 * The slow way, for a family of which one group has samples in several sets, or in an order that
 * proves nothing: cursors `first` up to `last` bear the same labels. Each dimension's text is
 * looked up among those written before.
 */
static int group_write(struct writer *writer, size_t first, size_t last, uint16_t id)
{
    const struct tly_exposition_cursor *cursors = writer->exposition->cursors;
    size_t count = 0;
    for (size_t i = first; i < last; i++) {
        count += writer->next[i] == id ? (size_t)(family_end(&cursors[i]) - cursors[i].at) : 0;
    }
    struct tly_text_set seen;
    int rc = tly_text_set_init(&seen, count);
    if (rc < 0) {
        return rc;
    }
    size_t number = 0;
    for (size_t i = first; i < last && rc == 0; i++) {
        if (writer->next[i] == id) {
            rc = run_write_unseen(writer, i, family_end(&cursors[i]), &seen, &number);
        }
    }
    tly_text_set_done(&seen);
    return rc;
}

/* Writes the family's samples of the group whose first cursor with any is `index`. */
static int group_begin(struct writer *writer, size_t index, uint16_t id)
{
    const struct tly_exposition *exposition = writer->exposition;
    const struct tly_exposition_cursor *cursor = &exposition->cursors[index];
    size_t last = index + 1;
    bool alone = true;
    for (; last < exposition->cursor_count && exposition->cursors[last].group == cursor->group;
         last++) {
        alone = alone && writer->next[last] != id;
    }
    const struct tly_sample *end = family_end(cursor);
    if (alone && run_is_plain(cursor, end)) {
        return run_write(writer, index, end);
    }
    return group_write(writer, index, last, id);
}

static bool has(const struct writer *writer, size_t bytes)
{
    return writer->to != NULL && (size_t)(writer->to - writer->buf->at) >= bytes;
}

/* Rises from one part of a text to the next. */
static uint64_t part_of(const struct writer *writer, size_t cursor)
{
    return (uint64_t)writer->id << 32 | writer->exposition->cursors[cursor].group / PART_ROWS;
}

/* Whether the block that is being written ends before `part`. */
static bool ends_before(const struct writer *writer, uint64_t part, size_t enough)
{
    return writer->by_parts ? part != writer->part && has(writer, 1) : has(writer, enough);
}

/* Writes the family from `index` on, up to its end or until the buffer has `enough` bytes. */
static int family_write(struct writer *writer, size_t enough)
{
    const struct tly_exposition *exposition = writer->exposition;
    const uint16_t id = writer->id;
    writer->family = &tly_families[id];
    writer->name = tly_text_of(writer->family->name);
    for (; writer->index < exposition->cursor_count; writer->index++) {
        size_t i = writer->index;
        if (writer->next[i] != id) {
            continue;
        }
        if (exposition->hidden[id]) {
            cursor_advance(writer, i, family_end(&exposition->cursors[i]));
            continue;
        }
        uint64_t part = part_of(writer, i);
        if (ends_before(writer, part, enough)) {
            return 0;
        }
        writer->part = part;
        int rc = writer->headed ? 0 : head_write(writer);
        writer->headed = true;
        if (rc == 0) {
            rc = group_begin(writer, i, id);
        }
        if (rc < 0) {
            return rc;
        }
    }
    writer->id++;
    writer->index = 0;
    writer->headed = false;
    return 0;
}

/* Writes until the buffer has `enough` bytes, or to the end. */
static int some_write(struct writer *writer, size_t enough)
{
    int rc = 0;
    const size_t full = writer->by_parts ? 1 : enough;
    while (rc == 0 && writer->id < TLY_FAMILY_COUNT && !has(writer, full)) {
        rc = family_write(writer, enough);
    }
    if (rc == 0 && writer->id == TLY_FAMILY_COUNT && !writer->ended && !has(writer, full)) {
        static const char eof[] = "# EOF\n";
        writer->part = (uint64_t)TLY_FAMILY_COUNT << 32;
        rc = writer->openmetrics ? room(writer, sizeof(eof)) : 0;
        if (rc == 0 && writer->openmetrics) {
            writer->to = string_write(writer->to, eof);
        }
        writer->ended = rc == 0;
    }
    written_count(writer);
    return rc;
}

/* Sets a writer to the beginning; its `next` is to be freed. */
static int writer_begin(struct writer *writer, struct tly_exposition *exposition,
                        enum tly_exposition_format format, struct tly_buf *buf)
{
    *writer = (struct writer){.exposition = exposition, .buf = buf};
    int rc = rows_group(exposition);
    if (rc < 0) {
        return rc;
    }
    writer->openmetrics = format == TLY_EXPOSITION_OPENMETRICS_0_0_1 ||
                          format == TLY_EXPOSITION_OPENMETRICS_1_0_0;
    writer->next = calloc(exposition->cursor_count + 1, sizeof(*writer->next));
    if (writer->next == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < exposition->cursor_count; i++) {
        struct tly_exposition_cursor *cursor = &exposition->cursors[i];
        cursor->at = tly_sample_set_at(cursor->set);
        cursor->end = cursor->at + tly_sample_set_count(cursor->set);
        writer->next[i] = cursor->at->family;
    }
    return 0;
}

int tly_exposition_write(struct tly_exposition *exposition, enum tly_exposition_format format,
                         struct tly_buf *buf, struct tly_exposition_stats *ret_stats)
{
    struct writer writer;
    size_t start = buf->len;
    int rc = writer_begin(&writer, exposition, format, buf);
    if (rc == 0) {
        rc = some_write(&writer, SIZE_MAX);
    }
    free(writer.next);
    if (rc < 0) {
        buf->len = start;
    } else if (ret_stats != NULL) {
        *ret_stats = writer.stats;
    }
    return rc;
}

/* ---- in blocks ---- */

struct tly_exposition_blocks {
    struct writer writer;
    struct tly_buf block;
};

int tly_exposition_blocks_new(struct tly_exposition *exposition, enum tly_exposition_format format,
                              struct tly_exposition_blocks **ret_blocks)
{
    struct tly_exposition_blocks *blocks = calloc(1, sizeof(*blocks));
    if (blocks == NULL) {
        return -ENOMEM;
    }
    tly_buf_init(&blocks->block, SIZE_MAX); /* no longer than one container's samples of a family */
    int rc = writer_begin(&blocks->writer, exposition, format, &blocks->block);
    if (rc < 0) {
        tly_exposition_blocks_free(blocks);
        return rc;
    }
    *ret_blocks = blocks;
    return 0;
}

void tly_exposition_blocks_free(struct tly_exposition_blocks *blocks)
{
    if (blocks != NULL) {
        free(blocks->writer.next);
        tly_buf_done(&blocks->block);
        free(blocks);
    }
}

int tly_exposition_blocks_next(struct tly_exposition_blocks *blocks, struct tly_text *ret_block)
{
    tly_buf_clear(&blocks->block);
    blocks->writer.to = NULL; /* what stood there has been counted */
    int rc = room_make(&blocks->writer, BLOCK_ROOM_BYTES);
    if (rc == 0) {
        rc = some_write(&blocks->writer, BLOCK_BYTES);
    }
    if (rc == 0) {
        *ret_block = tly_buf_text(&blocks->block);
    }
    return rc;
}

int tly_exposition_blocks_part(struct tly_exposition_blocks *blocks, struct tly_text *ret_part,
                               uint64_t *ret_key)
{
    blocks->writer.by_parts = true;
    int rc = tly_exposition_blocks_next(blocks, ret_part);
    if (rc == 0) {
        *ret_key = blocks->writer.part;
    }
    return rc;
}

const struct tly_exposition_stats *
tly_exposition_blocks_stats(const struct tly_exposition_blocks *blocks)
{
    return &blocks->writer.stats;
}

int tly_exposition_stream(struct tly_exposition *exposition, enum tly_exposition_format format,
                          int (*sink)(void *arg, struct tly_text block), void *arg,
                          struct tly_exposition_stats *ret_stats)
{
    struct tly_exposition_blocks *blocks = NULL;
    struct tly_text block = {NULL, 0};
    int rc = tly_exposition_blocks_new(exposition, format, &blocks);
    if (rc < 0) {
        return rc;
    }
    do {
        rc = tly_exposition_blocks_next(blocks, &block);
        if (rc == 0 && block.len > 0) {
            rc = sink(arg, block);
        }
    } while (rc == 0 && block.len > 0);
    if (rc == 0 && ret_stats != NULL) {
        *ret_stats = *tly_exposition_blocks_stats(blocks);
    }
    tly_exposition_blocks_free(blocks);
    return rc;
}
