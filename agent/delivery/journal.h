/*
 * An append-only file of lines that survives a kill at once and power loss after a few seconds, and
 * can be replaced by a shorter one without a moment in which it is neither the old nor the new one.
 * Appending is one write(2); syncing and rewriting run on a worker. Owned by positions.c.
 */
#ifndef TLY_DELIVERY_JOURNAL_H
#define TLY_DELIVERY_JOURNAL_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_journal;

#define TLY_JOURNAL_LINE_MAX ((size_t)64 << 10)

/* `dir_fd` and `name` are borrowed for its life. Nothing is opened yet. -ENOMEM. */
int tly_journal_new(struct tly_loop *loop, int dir_fd, const char *name,
                    struct tly_journal **ret_journal) TLY_CHECK;
/* Syncs and closes; a rewrite under way is given up. NULL is fine. */
void tly_journal_free(struct tly_journal *journal);

/* Calls `fn` for each line in the file, without its newline, however long the file has grown; one
 * that is longer than TLY_JOURNAL_LINE_MAX comes in several parts. -errno, -ENOENT where there is
 * no file; an error that `fn` returns ends it, too. */
int tly_journal_read(struct tly_journal *journal, int (*fn)(void *arg, struct tly_text line),
                     void *arg) TLY_CHECK;

/* Whole lines. -errno: none of them counts as written, though some may be. */
int tly_journal_append(struct tly_journal *journal, struct tly_text lines) TLY_CHECK;

uint64_t tly_journal_bytes(const struct tly_journal *journal);
bool tly_journal_rewriting(const struct tly_journal *journal);

/* Starts to replace the file by `content` (whose bytes are moved) and whatever is appended
 * meanwhile. A failure leaves the old file in place and is logged. -ENOMEM and libuv's errors. */
int tly_journal_rewrite(struct tly_journal *journal, struct tly_buf *content) TLY_CHECK;

#endif
