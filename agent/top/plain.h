/*
 * The same as text without a terminal: a summary, and a table whose columns never change, with no
 * blanks inside of values, for people who pipe it and programs that cut it. Pure.
 */
#ifndef TLY_TOP_PLAIN_H
#define TLY_TOP_PLAIN_H

#include "agent/base/buf.h"
#include "agent/top/screen.h"

/* Appends it; the buffer's own errors. The screen must be arranged. */
int tly_top_plain(const struct tly_screen *screen, const struct tly_top_model *model, bool ascii,
                  struct tly_buf *buf) TLY_CHECK;

#endif
