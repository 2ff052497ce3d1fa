/*
 * Text for manual pages, in the language of mdoc(7): both pages are written from tables whose texts
 * are plain, with `words` in backticks.
 */
#ifndef TLY_CONFIG_ROFF_H
#define TLY_CONFIG_ROFF_H

#include "agent/base/buf.h"

/* Of the pages' last change of substance, as `.Dd` wants it. */
#define TLY_ROFF_DATE "November 29, 2026"

/*
 * Appends running text: what stands in backticks is bold, each sentence begins a line, as mdoc
 * wants, and no line is longer than it likes. Line ends count as spaces, two of them end a
 * paragraph. Ends in a line end. The buffer's own errors.
 */
int tly_roff_text(struct tly_buf *buf, struct tly_text text) TLY_CHECK;

/* Appends one word or several as they are typed, with neither hyphens nor dashes made of their
 * signs; good as an argument of a macro. */
int tly_roff_literal(struct tly_buf *buf, struct tly_text text) TLY_CHECK;

#endif
