/*
 * From a byte of a scalar's value back to the place in the file where it was written. YAML folds
 * lines, takes indentation away and unescapes, but it never reorders: value and source are walked
 * side by side, whitespace skipped on both.
 */
#include "agent/config/document.h"

struct walk {
    struct tly_text text;
    size_t at;
    char quote; /* ' or ", or 0 */
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The byte where a node's mark points to; columns count characters. */
static size_t offset_of(struct tly_text text, size_t line, size_t column)
{
    size_t i = 0;
    for (; line > 1 && i < text.len; i++) {
        line -= text.at[i] == '\n';
    }
    for (; column > 1 && i < text.len && text.at[i] != '\n'; column--) {
        i++;
        while (i < text.len && ((unsigned char)text.at[i] & 0xC0) == 0x80) {
            i++;
        }
    }
    return i;
}

static void skip_line(struct walk *walk)
{
    while (walk->at < walk->text.len && walk->text.at[walk->at] != '\n') {
        walk->at++;
    }
}

static void skip_blanks(struct walk *walk)
{
    while (walk->at < walk->text.len && blank(walk->text.at[walk->at])) {
        walk->at++;
    }
}

/* To the first byte of what is written: behind anchor and tag, the quote, or a block's header. */
static void enter(struct walk *walk)
{
    while (walk->at < walk->text.len &&
           (walk->text.at[walk->at] == '&' || walk->text.at[walk->at] == '!')) {
        while (walk->at < walk->text.len && !blank(walk->text.at[walk->at])) {
            walk->at++;
        }
        skip_blanks(walk);
    }
    if (walk->at >= walk->text.len) {
        return;
    }
    char first = walk->text.at[walk->at];
    if (first == '"' || first == '\'') {
        walk->quote = first;
        walk->at++;
    } else if (first == '|' || first == '>') {
        skip_line(walk);
    }
}

/* The length of the escape at the walk's place, and how many bytes it stands for; 0 for blanks. */
static size_t escape_len(const struct walk *walk, size_t *ret_bytes)
{
    char letter = walk->at + 1 < walk->text.len ? walk->text.at[walk->at + 1] : '\0';
    size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    uint32_t rune = 0;
    for (size_t i = 0; i < digits && walk->at + 2 + i < walk->text.len; i++) {
        char c = walk->text.at[walk->at + 2 + i];
        rune = rune * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | ' ') - 'a' + 10);
    }
    *ret_bytes = blank(letter) || letter == 'n' || letter == 't' || letter == 'r' ? 0 : 1;
    if (digits > 0) {
        bool empty = rune < 0x80 && blank((char)rune);
        *ret_bytes = empty ? 0 : rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    } else if (letter == 'N' || letter == '_') {
        *ret_bytes = 2;
    } else if (letter == 'L' || letter == 'P') {
        *ret_bytes = 3;
    }
    return 2 + digits;
}

/* Past the source of so many bytes of the value that are no blanks. */
static void advance(struct walk *walk, size_t count)
{
    while (count > 0 && walk->at < walk->text.len) {
        char c = walk->text.at[walk->at];
        size_t bytes = blank(c) ? 0 : 1;
        size_t len = 1;
        if (walk->quote == '"' && c == '\\') {
            len = escape_len(walk, &bytes);
        } else if (walk->quote == '\'' && c == '\'') {
            len = 2;
        }
        walk->at += len;
        count -= bytes < count ? bytes : count;
    }
}

/* Past blanks, and past escapes that stand for them. */
static void skip_nothing(struct walk *walk)
{
    for (size_t bytes = 0; bytes == 0 && walk->at < walk->text.len;) {
        skip_blanks(walk);
        if (walk->quote != '"' || walk->at >= walk->text.len || walk->text.at[walk->at] != '\\') {
            return;
        }
        size_t len = escape_len(walk, &bytes);
        walk->at += bytes == 0 ? len : 0;
    }
}

void tly_yaml_locate(struct tly_text text, const struct tly_yaml_node *node, size_t offset,
                     size_t *ret_line, size_t *ret_column)
{
    struct walk walk = {.text = text, .at = offset_of(text, node->line, node->column)};
    size_t count = 0;
    for (size_t i = 0; i < offset && i < node->len; i++) {
        count += blank(node->text[i]) ? 0 : 1;
    }
    enter(&walk);
    advance(&walk, count);
    if (offset < node->len && !blank(node->text[offset])) {
        skip_nothing(&walk);
    }
    size_t end = walk.at < text.len ? walk.at : text.len;
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < end; i++) {
        line += text.at[i] == '\n';
        column = text.at[i] == '\n' ? 1 : column + (((unsigned char)text.at[i] & 0xC0) != 0x80);
    }
    *ret_line = line;
    *ret_column = column;
}
