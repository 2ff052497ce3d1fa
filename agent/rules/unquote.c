/* Quoted strings and what they mean. The meaning lives in the caller's arena. */
#include "agent/rules/unquote.h"

#include <errno.h>
#include <string.h>

unsigned tly_hex_value(int c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;
}

bool tly_escape_form(int c, unsigned *ret_digits, unsigned *ret_base)
{
    *ret_base = c >= '0' && c <= '7' ? 8 : 16;
    *ret_digits = *ret_base == 8 ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    return *ret_digits > 0;
}

static size_t utf8_write(uint32_t rune, char *to)
{
    if (rune < 0x80) {
        to[0] = (char)rune;
        return 1;
    }
    size_t len = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (rune & 0x3f));
        rune >>= 6;
    }
    to[0] = (char)((0xf00U >> len & 0xff) | rune);
    return len;
}

int tly_string_unquote(struct tly_arena *arena, struct tly_text quoted, struct tly_text *ret_text)
{
    static const char letters[] = "abfnrtv";
    static const char meant[] = "\a\b\f\n\r\t\v";
    char *to = tly_arena_alloc_raw(arena, quoted.len);
    if (!to) {
        return -ENOMEM;
    }
    size_t len = 0;
    bool raw = quoted.at[0] == '`';
    for (size_t i = 1; i + 1 < quoted.len;) {
        char c = quoted.at[i];
        unsigned digits;
        unsigned base;
        if (c != '\\' || raw) {
            to[len++] = c;
            i++;
        } else if (!tly_escape_form(quoted.at[i + 1], &digits, &base)) {
            const char *letter = strchr(letters, quoted.at[i + 1]);
            to[len++] = letter ? meant[letter - letters] : quoted.at[i + 1];
            i += 2;
        } else {
            i += base == 8 ? 1 : 2;
            uint32_t value = 0;
            for (unsigned k = 0; k < digits; k++) {
                value = value * base + tly_hex_value(quoted.at[i++]);
            }
            if (digits < 4) {
                to[len++] = (char)value; /* a byte, even where it is half a character */
            } else {
                len += utf8_write(value, to + len);
            }
        }
    }
    *ret_text = (struct tly_text){to, len};
    return 0;
}
