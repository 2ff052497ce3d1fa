/*
 * From the text of a template to its tree, by Go's grammar (pkg.go.dev/text/template): text,
 * actions between {{ and }}, blocks that `end` closes. What is written but can't be expanded here
 * is a fault, so that a rule file fails when it is loaded and not when it fires.
 */
#include "agent/rules/template_parser.h"

#include <errno.h>
#include <stdlib.h>

#define TREE_BYTES_MAX ((size_t)1024 * 1024)

/* ---- blocks ---- */

/* Finds where the action that starts at `at` ends: the }} outside of quotes. */
static int find_end(struct tly_template_parser *parser, size_t open)
{
    struct tly_text text = parser->text;
    size_t i = parser->at;
    while (i + 1 < text.len && memcmp(text.at + i, "}}", 2) != 0) {
        if (text.at[i] == '"' || text.at[i] == '`') {
            size_t len = tly_template_quoted_len((struct tly_text){text.at + i, text.len - i});
            if (len == 0) {
                return tly_template_refuse(parser, i, TLY_E_MALFORMED,
                                           "a quoted text that is never closed");
            }
            i += len;
        } else {
            i++;
        }
    }
    if (i + 1 >= text.len) {
        return tly_template_refuse(parser, open, TLY_E_MALFORMED, "a `{{` that is never closed");
    }
    parser->end = i;
    return 0;
}

/* The text up to the next {{, with blanks trimmed where `-` says so. */
static int parse_text(struct tly_template_parser *parser, struct tly_template_node **ret_node)
{
    struct tly_text rest = {parser->text.at + parser->at, parser->text.len - parser->at};
    const char *open = rest.len > 0 ? memmem(rest.at, rest.len, "{{", 2) : NULL;
    struct tly_text text = {rest.at, open ? (size_t)(open - rest.at) : rest.len};
    parser->at += text.len;
    while (parser->trim && text.len > 0 && tly_template_blank(text.at[0])) {
        text = (struct tly_text){text.at + 1, text.len - 1};
    }
    parser->trim = false;
    size_t behind = parser->at + 2;
    if (open && behind + 1 < parser->text.len && parser->text.at[behind] == '-' &&
        tly_template_blank(parser->text.at[behind + 1])) {
        text = tly_text_trim(text).len == 0
                   ? (struct tly_text){text.at, 0}
                   : (struct tly_text){text.at, (size_t)(tly_text_trim(text).at - text.at) +
                                                    tly_text_trim(text).len};
    }
    *ret_node = NULL;
    if (text.len > 0) {
        struct tly_template_node *node = tly_template_make(parser, sizeof(*node));
        if (!node) {
            return TLY_E_LIMIT;
        }
        node->text = text;
        *ret_node = node;
    }
    return 0;
}

/* How a list of nodes ended. */
enum ending { ENDING_TEXT, ENDING_END, ENDING_ELSE, ENDING_ELSE_MORE };

static int parse_list(struct tly_template_parser *parser, struct tly_template_node **ret_list,
                      enum ending *ret_ending);

/* Puts the parser behind the action; a keyword that stands alone has nothing behind it. */
static int close_action(struct tly_template_parser *parser)
{
    tly_template_skip_blanks(parser);
    bool dash = parser->at + 1 == parser->end && tly_template_peek(parser) == '-' &&
                parser->at > 0 && tly_template_blank(parser->text.at[parser->at - 1]);
    if (dash) {
        parser->trim = true;
        parser->at++;
    }
    if (parser->at != parser->end) {
        return tly_template_refuse(parser, parser->at, TLY_E_MALFORMED, "`%c` does not belong here",
                                   parser->text.at[parser->at]);
    }
    parser->at += 2;
    return 0;
}

/* Takes the `-` of `-}}` off the action, so that no pipeline reads it. */
static void cut_dash(struct tly_template_parser *parser)
{
    if (parser->end - parser->at >= 2 && parser->text.at[parser->end - 1] == '-' &&
        tly_template_blank(parser->text.at[parser->end - 2])) {
        parser->end--;
        parser->trim = true;
    }
}

static int close_pipe(struct tly_template_parser *parser)
{
    tly_template_skip_blanks(parser);
    if (parser->at != parser->end) {
        return tly_template_refuse(parser, parser->at, TLY_E_MALFORMED, "`%c` does not belong here",
                                   parser->text.at[parser->at]);
    }
    parser->at += parser->text.at[parser->end] == '-' ? 3 : 2;
    return 0;
}

static int parse_block(struct tly_template_parser *parser, enum tly_template_node_kind kind,
                       size_t open, struct tly_template_node **ret_node)
{
    struct tly_template_node *node = tly_template_make(parser, sizeof(*node));
    if (!node) {
        return TLY_E_LIMIT;
    }
    if (++parser->depth > TLY_TEMPLATE_DEPTH_MAX) {
        return tly_template_refuse(parser, open, TLY_E_LIMIT, "blocks nest too deeply");
    }
    size_t vars = parser->var_count;
    node->kind = kind;
    cut_dash(parser);
    int rc = tly_template_parse_pipe(parser, true, &node->pipe);
    rc = rc < 0 ? rc : close_pipe(parser);
    rc = rc < 0 ? rc : tly_template_declare(parser, node->pipe);
    enum ending ending = ENDING_TEXT;
    parser->ranges += kind == TLY_TEMPLATE_RANGE;
    rc = rc < 0 ? rc : parse_list(parser, &node->body, &ending);
    parser->ranges -= kind == TLY_TEMPLATE_RANGE;
    if (rc == 0 && ending == ENDING_ELSE_MORE) {
        /* `else if` is an if inside of else, closed by the same `end`. */
        enum tly_template_node_kind inner = tly_template_take_if(parser, "with") ? TLY_TEMPLATE_WITH
                                                                                 : TLY_TEMPLATE_IF;
        (void)(inner == TLY_TEMPLATE_IF &&
               tly_template_take_if(parser, "if")); /* that it stands there is known */
        rc = kind == TLY_TEMPLATE_RANGE ? tly_template_refuse(parser, parser->at, TLY_E_MALFORMED,
                                                              "`else` of a range stands alone")
                                        : parse_block(parser, inner, open, &node->otherwise);
        ending = ENDING_END;
    } else if (rc == 0 && ending == ENDING_ELSE) {
        rc = parse_list(parser, &node->otherwise, &ending);
    }
    if (rc == 0 && ending != ENDING_END) {
        rc = tly_template_refuse(parser, open, TLY_E_MALFORMED, "a block without `{{ end }}`");
    }
    parser->depth--;
    parser->var_count = vars;
    *ret_node = node;
    return rc;
}

static int parse_comment(struct tly_template_parser *parser, size_t open)
{
    struct tly_text rest = {parser->text.at + parser->at, parser->text.len - parser->at};
    const char *close = memmem(rest.at, rest.len, "*/", 2);
    if (!close) {
        return tly_template_refuse(parser, open, TLY_E_MALFORMED,
                                   "a comment that is never closed by `*/`");
    }
    parser->at += (size_t)(close - rest.at) + 2;
    int rc = find_end(parser, open);
    return rc < 0 ? rc : close_action(parser);
}

static const struct {
    const char *word;
    enum tly_template_node_kind kind;
} blocks[] = {{"if", TLY_TEMPLATE_IF}, {"with", TLY_TEMPLATE_WITH}, {"range", TLY_TEMPLATE_RANGE}};

/* break, continue, define, template, block: alone or refused. */
static int parse_keyword(struct tly_template_parser *parser, struct tly_text word, size_t from,
                         struct tly_template_node **ret_node)
{
    bool breaks = tly_text_equal(word, TLY_TEXT("break"));
    if (!breaks && !tly_text_equal(word, TLY_TEXT("continue"))) {
        return tly_template_refuse(parser, from, TLY_E_REFUSED,
                                   "`%.*s` is left out: rules share no templates", (int)word.len,
                                   word.at);
    }
    if (parser->ranges == 0) {
        return tly_template_refuse(parser, from, TLY_E_MALFORMED, "`%.*s` outside of range",
                                   (int)word.len, word.at);
    }
    struct tly_template_node *node = tly_template_make(parser, sizeof(*node));
    if (!node) {
        return TLY_E_LIMIT;
    }
    node->kind = breaks ? TLY_TEMPLATE_BREAK : TLY_TEMPLATE_CONTINUE;
    *ret_node = node;
    return close_action(parser);
}

static int parse_action(struct tly_template_parser *parser, struct tly_template_node **ret_node)
{
    struct tly_template_node *node = tly_template_make(parser, sizeof(*node));
    if (!node) {
        return TLY_E_LIMIT;
    }
    node->kind = TLY_TEMPLATE_ACTION;
    cut_dash(parser);
    int rc = tly_template_parse_pipe(parser, true, &node->pipe);
    rc = rc < 0 ? rc : close_pipe(parser);
    *ret_node = node;
    return rc < 0 ? rc : tly_template_declare(parser, node->pipe);
}

static bool one_of(struct tly_text word, const char *const *words)
{
    for (; *words; words++) {
        if (tly_text_equal(word, tly_text_of(*words))) {
            return true;
        }
    }
    return false;
}

/* An action from its {{ on. A keyword that ends the list is told by `ret_ending`. */
static int parse_braces(struct tly_template_parser *parser, struct tly_template_node **ret_node,
                        enum ending *ret_ending)
{
    static const char *const keywords[] = {"break",    "continue", "define",
                                           "template", "block",    NULL};
    size_t open = parser->at;
    parser->at += 2;
    if (parser->at + 1 < parser->text.len && parser->text.at[parser->at] == '-' &&
        tly_template_blank(parser->text.at[parser->at + 1])) {
        parser->at++;
    }
    parser->end = parser->text.len;
    tly_template_skip_blanks(parser);
    if (tly_template_take_if(parser, "/*")) {
        return parse_comment(parser, open);
    }
    int rc = find_end(parser, open);
    if (rc < 0) {
        return rc;
    }
    size_t from = parser->at;
    struct tly_text word = tly_template_take_word(parser);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (tly_text_equal(word, tly_text_of(blocks[i].word))) {
            return parse_block(parser, blocks[i].kind, open, ret_node);
        }
    }
    if (one_of(word, keywords)) {
        return parse_keyword(parser, word, from, ret_node);
    }
    if (tly_text_equal(word, TLY_TEXT("end"))) {
        *ret_ending = ENDING_END;
        return close_action(parser);
    }
    if (tly_text_equal(word, TLY_TEXT("else"))) {
        tly_template_skip_blanks(parser);
        size_t behind = parser->at;
        struct tly_text more = tly_template_take_word(parser);
        if (tly_text_equal(more, TLY_TEXT("if")) || tly_text_equal(more, TLY_TEXT("with"))) {
            parser->at = behind;
            *ret_ending = ENDING_ELSE_MORE;
            return 0;
        }
        parser->at = behind;
        *ret_ending = ENDING_ELSE;
        return close_action(parser);
    }
    parser->at = from;
    return parse_action(parser, ret_node);
}

static int parse_list(struct tly_template_parser *parser, struct tly_template_node **ret_list,
                      enum ending *ret_ending)
{
    struct tly_template_node **next = ret_list;
    size_t vars = parser->var_count;
    *ret_ending = ENDING_TEXT;
    while (*ret_ending == ENDING_TEXT) {
        struct tly_template_node *node = NULL;
        int rc = parse_text(parser, &node);
        if (rc < 0) {
            return rc;
        }
        if (node) {
            *next = node;
            next = &node->next;
        }
        if (parser->at >= parser->text.len) {
            break;
        }
        node = NULL;
        rc = parse_braces(parser, &node, ret_ending);
        if (rc < 0) {
            return rc;
        }
        if (node) {
            *next = node;
            next = &node->next;
        }
    }
    parser->var_count = vars;
    return 0;
}

/* ---- the whole ---- */

static int parse_all(struct tly_template_parser *parser)
{
    /* What Prometheus defines in front of every template of a rule. */
    static const char *const given[] = {"$", "$labels", "$externalLabels", "$externalURL",
                                        "$value"};
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        parser->vars[parser->var_count++] = tly_text_of(given[i]);
    }
    enum ending ending = ENDING_TEXT;
    int rc = parse_list(parser, &parser->template->nodes, &ending);
    if (rc == 0 && ending != ENDING_TEXT) {
        rc = tly_template_refuse(parser, parser->at, TLY_E_MALFORMED,
                                 "an `%s` without a block before it",
                                 ending == ENDING_END ? "end" : "else");
    }
    return rc;
}

int tly_template_parse(struct tly_text text, struct tly_template **ret_template, size_t *ret_at,
                       struct tly_error *err)
{
    *ret_at = 0;
    if (text.len > TLY_TEMPLATE_LEN_MAX) {
        return tly_error_set(err, TLY_E_LIMIT, "the template is longer than %zu bytes",
                             TLY_TEMPLATE_LEN_MAX);
    }
    struct tly_template *template = calloc(1, sizeof(*template));
    if (!template) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    tly_arena_init(&template->arena, TREE_BYTES_MAX + TLY_TEMPLATE_LEN_MAX);
    template->text = tly_arena_text(&template->arena, text);
    struct tly_template_parser parser = {
        .template = template, .text = template->text, .fault_at = ret_at, .err = err};
    int rc = template->text.at ? parse_all(&parser) : tly_error_set(err, -ENOMEM, "out of memory");
    if (rc < 0) {
        tly_template_free(template);
        return rc;
    }
    *ret_template = template;
    return 0;
}

void tly_template_free(struct tly_template *template)
{
    if (template) {
        tly_arena_done(&template->arena);
        free(template);
    }
}
