/*
 * A template under parsing, and what the two files of the parser share: template_parse.c has text
 * and blocks, template_pipe.c what stands in an action. Private to them.
 */
#ifndef TLY_RULES_TEMPLATE_PARSER_H
#define TLY_RULES_TEMPLATE_PARSER_H

#include "agent/rules/template_tree.h"

struct tly_template_parser {
    struct tly_template *template;
    struct tly_text text;
    size_t at;  /* the next byte */
    size_t end; /* of the action under way: where its }} stands */
    bool trim;  /* the text that follows loses its leading blanks */
    unsigned depth;
    unsigned ranges;
    struct tly_text vars[TLY_TEMPLATE_VARS_MAX];
    size_t var_count;
    size_t *fault_at;
    struct tly_error *err;
};

/* Says what is wrong, and where; returns `code`. */
int tly_template_refuse(struct tly_template_parser *parser, size_t at, int code, const char *format,
                        ...) TLY_PRINTF(4, 5);
/* Of the template's memory; NULL, and said, beyond its bound. */
void *tly_template_make(struct tly_template_parser *parser, size_t bytes);

/* ---- template_pipe.c: the bytes of the action under way ---- */

bool tly_template_blank(char c);
void tly_template_skip_blanks(struct tly_template_parser *parser);
/* The next byte, or NUL at the end. */
char tly_template_peek(const struct tly_template_parser *parser);
/* Takes these bytes, if they come next. */
bool tly_template_take_if(struct tly_template_parser *parser, const char *what);
/* Letters and digits, maybe none. */
struct tly_text tly_template_take_word(struct tly_template_parser *parser);

/* How long the quoted text is that `rest` begins with; 0 when it does not end. */
size_t tly_template_quoted_len(struct tly_text rest);

/* ---- template_pipe.c: what they say ---- */

/* A pipeline; with `declares` it may begin with variables. */
int tly_template_parse_pipe(struct tly_template_parser *parser, bool declares,
                            struct tly_template_pipe **ret_pipe) TLY_CHECK;
/* Brings the variables of a pipeline into scope. */
int tly_template_declare(struct tly_template_parser *parser,
                         const struct tly_template_pipe *pipe) TLY_CHECK;

#endif
