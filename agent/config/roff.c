/*
 * Plain text to roff: what roff would take as a command or replace by a nicer sign is escaped, and
 * lines are broken where mdoc(7) wants them.
 */
#include "agent/config/roff.h"

#include <stdbool.h>

#define COLUMNS 80 /* what mandoc asks for, in bytes */
#define ESCAPES 6  /* bytes of a word's signs that are not seen, as a rule: \fB and \fP */

/* The code point of a sequence of `len` bytes, which is well-formed: our own texts are. */
static unsigned code_point(const char *at, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)at;
    unsigned value = bytes[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    return value;
}

static size_t sequence_len(unsigned char lead)
{
    return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* One word. `*literal` tells whether it begins within backticks, and then whether it ends so. */
static int put_word(struct tly_buf *buf, struct tly_text word, bool *literal)
{
    int rc = 0;
    for (size_t i = 0; i < word.len && rc == 0;) {
        const char at = word.at[i];
        const size_t len = sequence_len((unsigned char)at);
        if (len > 1 && i + len <= word.len) {
            rc = tly_buf_printf(buf, "\\[u%04X]", code_point(word.at + i, len));
            i += len;
            continue;
        }
        if (at == '`') {
            *literal = !*literal;
            rc = tly_buf_printf(buf, "%s", *literal ? "\\fB" : "\\fP");
        } else if (at == '\\') {
            rc = tly_buf_printf(buf, "\\e");
        } else if (at == '-' && *literal) {
            rc = tly_buf_printf(buf, "\\-");
        } else if (at == '~' || at == '^') {
            rc = tly_buf_printf(buf, at == '~' ? "\\(ti" : "\\(ha");
        } else if (at == '\'' && *literal) {
            rc = tly_buf_printf(buf, "\\(aq");
        } else {
            rc = tly_buf_append(buf, &at, 1);
        }
        i++;
    }
    return rc;
}

static bool ends_sentence(struct tly_text word, bool literal)
{
    while (word.len > 0 && (word.at[word.len - 1] == ')' || word.at[word.len - 1] == '"')) {
        word.len--;
    }
    const char last = word.len > 0 ? word.at[word.len - 1] : '\0';
    return !literal && (last == '.' || last == '!' || last == '?');
}

/* A line must not begin with what roff takes as a command. */
static int put_guard(struct tly_buf *buf, struct tly_text word)
{
    return word.at[0] == '.' || word.at[0] == '\'' ? tly_buf_printf(buf, "\\&") : 0;
}

static int put_paragraph(struct tly_buf *buf, struct tly_text text)
{
    bool literal = false;
    bool fresh = true; /* the next word opens a line */
    size_t column = 0;
    int rc = 0;
    for (struct tly_text rest = text; rest.at && rc == 0;) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        if (word.len == 0) {
            continue;
        }
        const size_t before = buf->len;
        /* The escapes of a word make it longer: \fB…\fP. */
        if (!fresh && column + 1 + word.len + ESCAPES > COLUMNS) {
            rc = tly_buf_printf(buf, "\n");
            fresh = true;
            column = 0;
        } else if (!fresh) {
            rc = tly_buf_printf(buf, " ");
        }
        rc = rc == 0 && fresh ? put_guard(buf, word) : rc;
        rc = rc == 0 ? put_word(buf, word, &literal) : rc;
        column = fresh ? buf->len - before : column + buf->len - before;
        fresh = false;
        if (rc == 0 && ends_sentence(word, literal) && rest.at) {
            rc = tly_buf_printf(buf, "\n");
            fresh = true;
            column = 0;
        }
    }
    return rc == 0 && !fresh ? tly_buf_printf(buf, "\n") : rc;
}

int tly_roff_text(struct tly_buf *buf, struct tly_text text)
{
    struct tly_buf paragraph;
    tly_buf_init(&paragraph, text.len + 1);
    bool first = true;
    int rc = 0;
    for (struct tly_text rest = text; rest.at && rc == 0;) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (line.len > 0) {
            rc = paragraph.len > 0 ? tly_buf_printf(&paragraph, " ") : 0;
            rc = rc == 0 ? tly_buf_append_text(&paragraph, line) : rc;
        }
        if (rc == 0 && paragraph.len > 0 && (line.len == 0 || !rest.at)) {
            rc = first ? 0 : tly_buf_printf(buf, ".Pp\n");
            rc = rc == 0 ? put_paragraph(buf, tly_buf_text(&paragraph)) : rc;
            tly_buf_clear(&paragraph);
            first = false;
        }
    }
    tly_buf_done(&paragraph);
    return rc;
}

int tly_roff_literal(struct tly_buf *buf, struct tly_text text)
{
    bool literal = true;
    return put_word(buf, text, &literal);
}
