/*
 * Characters that are safe to show in a terminal. Names, images, labels and messages come from
 * whoever runs containers: escape sequences, control characters, marks that turn the direction of
 * writing, characters without a width and broken UTF-8 all become question marks. Pure, but for the
 * process's LC_CTYPE, which says how wide a character is.
 */
#ifndef TLY_TOP_GLYPH_H
#define TLY_TOP_GLYPH_H

#include "agent/base/buf.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Takes the next character off `rest` (which is not empty): its code, and how many columns it
 * takes, 1 or 2. With `ascii` the few signs of our own (dashes, arrows, bars) become similar ones
 * of ASCII, all else beyond it a question mark.
 */
uint32_t tly_glyph_next(struct tly_text *rest, bool ascii, size_t *ret_width);

/* Columns that the whole text takes. */
size_t tly_glyph_width(struct tly_text text, bool ascii);

/* Writes the code as UTF-8 and returns the number of bytes. */
#define TLY_GLYPH_BYTES_MAX 4
size_t tly_glyph_write(uint32_t code, char to[TLY_GLYPH_BYTES_MAX]);

/* Appends the text, made safe; with `joined` blanks become underscores, for columns that programs
 * cut at blanks. */
int tly_glyph_append(struct tly_buf *buf, struct tly_text text, bool ascii, bool joined) TLY_CHECK;

#endif
