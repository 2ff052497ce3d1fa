/*
 * Strings of JSON (RFC 8259, section 7), unescaped straight to where the caller wants them: for log
 * lines, which are too many for a JSON library.
 */
#ifndef TLY_CODEC_JSON_TEXT_H
#define TLY_CODEC_JSON_TEXT_H

/*
 * Reads a string from behind its opening quote at `*at` through its closing one, and moves `*at`
 * behind that. `to` has room for `end - *at` bytes; text never outgrows its escaped form. Lone
 * surrogates become U+FFFD; all other bytes stay as they are, control characters that should have
 * been escaped and broken UTF-8 included. Returns the end of what was written; NULL, and `*at`
 * stays: no closing quote, or no such escape.
 */
char *tly_json_unescape(const char **at, const char *end, char *to);

#endif
