/*
 * Metrics as Prometheus reads them: the text format 0.0.4 and OpenMetrics 1.0
 * (prometheus.io/docs/instrumenting/exposition_formats, github.com/OpenObservability/OpenMetrics).
 * The caller adds rows, each a text of base labels with the sample sets that bear them; `write`
 * turns them round into families, in the order of the table. A scrape is read whole or not at all,
 * so nothing that is written here can break it: no series comes twice, and label texts were escaped
 * where they were made. Pure.
 */
#ifndef TLY_CODEC_EXPOSITION_H
#define TLY_CODEC_EXPOSITION_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/family.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_exposition_format {
    TLY_EXPOSITION_TEXT_0_0_4,
    TLY_EXPOSITION_TEXT_1_0_0, /* the same bytes under another Content-Type */
    TLY_EXPOSITION_OPENMETRICS_0_0_1,
    TLY_EXPOSITION_OPENMETRICS_1_0_0,
    TLY_EXPOSITION_FORMAT_COUNT
};

/* The Content-Type of each format. */
extern const char *const tly_exposition_content_types[TLY_EXPOSITION_FORMAT_COUNT];

/* The rows to be written. Embedded; everything added is borrowed until `clear` or `done`. */
struct tly_exposition {
    struct tly_exposition_row *rows;
    size_t row_count, row_cap;
    struct tly_exposition_cursor *cursors;
    size_t cursor_count, cursor_cap;
    bool hidden[TLY_FAMILY_COUNT]; /* families to leave out; the caller may set it */
};

struct tly_exposition_stats {
    size_t families, samples, bytes; /* written */
    size_t duplicates;               /* left out, being one series with an earlier sample */
};

void tly_exposition_init(struct tly_exposition *exposition);
void tly_exposition_done(struct tly_exposition *exposition);

/* Adds `count` sets (NULL among them is fine) that bear `labels`: `id="..",name=".."`, escaped,
 * without braces, or empty. A row of a snapshot is added so:
 * tly_exposition_add(&exposition, row->labels, row->sets, snapshot->slots). -ENOMEM. */
int tly_exposition_add(struct tly_exposition *exposition, struct tly_text labels,
                       struct tly_sample_set *const *sets, size_t count) TLY_CHECK;

/*
 * Writes all families that have samples, and may be called again. The order of the rows inside the
 * exposition may change. `ret_stats` may be NULL.
 */

/* Appends to `buf`. -ENOMEM; TLY_E_LIMIT at the buffer's maximum, with the buffer as it was. */
int tly_exposition_write(struct tly_exposition *exposition, enum tly_exposition_format format,
                         struct tly_buf *buf, struct tly_exposition_stats *ret_stats) TLY_CHECK;

/* Makes the text in blocks of whole lines, for compressing or sending it without ever holding all
 * of it; one at a time of an exposition. -ENOMEM. */
struct tly_exposition_blocks; /* opaque */
int tly_exposition_blocks_new(struct tly_exposition *exposition, enum tly_exposition_format format,
                              struct tly_exposition_blocks **ret_blocks) TLY_CHECK;
/* The next block, borrowed until the next call; empty after the last one. */
int tly_exposition_blocks_next(struct tly_exposition_blocks *blocks,
                               struct tly_text *ret_block) TLY_CHECK;
/* The next part, instead: a family's samples of some rows, always the same ones, with a key that
 * rises from part to part. So what did not change since an earlier text is the same part again. */
int tly_exposition_blocks_part(struct tly_exposition_blocks *blocks, struct tly_text *ret_part,
                               uint64_t *ret_key) TLY_CHECK;
/* Of the blocks so far; borrowed. */
const struct tly_exposition_stats *
tly_exposition_blocks_stats(const struct tly_exposition_blocks *blocks);
void tly_exposition_blocks_free(struct tly_exposition_blocks *blocks); /* NULL is fine */

/* Hands one block after the other to `sink`. -ENOMEM, or the first negative number that `sink`
 * returned, which ends it. */
int tly_exposition_stream(struct tly_exposition *exposition, enum tly_exposition_format format,
                          int (*sink)(void *arg, struct tly_text block), void *arg,
                          struct tly_exposition_stats *ret_stats) TLY_CHECK;

#endif
