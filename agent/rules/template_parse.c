/*
 * From the text of a template to its tree, by Go's grammar (pkg.go.dev/text/template): text,
 * actions between {{ and }}, pipelines, blocks that `end` closes. What is written but can't be
 * expanded here is a fault, so that a rule file fails when it is loaded and not when it fires.
 */
#include "agent/rules/number.h"
#include "agent/rules/template_tree.h"
#include "agent/rules/unquote.h"

#include <errno.h>
#include <stdlib.h>

#define TREE_BYTES_MAX ((size_t)1024 * 1024)

struct parser {
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

static int fault(struct parser *parser, size_t at, int code, const char *format, ...)
    TLY_PRINTF(4, 5);

static int fault(struct parser *parser, size_t at, int code, const char *format, ...)
{
    va_list args;
    *parser->fault_at = at < parser->text.len ? at : parser->text.len;
    va_start(args, format);
    int rc = tly_error_vset(parser->err, code, format, args);
    va_end(args);
    return rc;
}

static void *make(struct parser *parser, size_t bytes)
{
    void *at = tly_arena_alloc(&parser->template->arena, bytes);
    if (!at) {
        (void)fault(parser, parser->at, TLY_E_LIMIT, "the template is too large");
    }
    return at;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct parser *parser)
{
    while (parser->at < parser->end && blank(parser->text.at[parser->at])) {
        parser->at++;
    }
}

static char peek(const struct parser *parser)
{
    return parser->at < parser->end ? parser->text.at[parser->at] : '\0';
}

static bool take(struct parser *parser, const char *what)
{
    size_t len = strlen(what);
    if (parser->end - parser->at < len || memcmp(parser->text.at + parser->at, what, len) != 0) {
        return false;
    }
    parser->at += len;
    return true;
}

static struct tly_text take_word(struct parser *parser)
{
    size_t from = parser->at;
    while (parser->at < parser->end &&
           (letter(parser->text.at[parser->at]) || digit(parser->text.at[parser->at]))) {
        parser->at++;
    }
    return (struct tly_text){parser->text.at + from, parser->at - from};
}

/* ---- operands ---- */

static int parse_pipe(struct parser *parser, bool declares, struct tly_template_pipe **ret_pipe);

/* Where a quoted string ends, its quote included; 0 if it does not. */
static size_t quoted_len(struct tly_text rest)
{
    char quote = rest.at[0];
    for (size_t i = 1; i < rest.len; i++) {
        if (rest.at[i] == quote) {
            return i + 1;
        }
        if (rest.at[i] == '\\' && quote != '`') {
            i++;
        } else if (rest.at[i] == '\n' && quote != '`') {
            return 0;
        }
    }
    return 0;
}

static int parse_string(struct parser *parser, struct tly_template_operand *operand)
{
    struct tly_text rest = {parser->text.at + parser->at, parser->end - parser->at};
    size_t len = quoted_len(rest);
    if (len == 0) {
        return fault(parser, parser->at, TLY_E_MALFORMED, "a quoted text that is never closed");
    }
    struct tly_text quoted = {rest.at, len};
    struct tly_text text = {quoted.at + 1, len - 2};
    if (quoted.at[0] != '`') {
        for (size_t i = 1; i + 1 < len; i++) {
            unsigned digits;
            unsigned base;
            if (quoted.at[i] != '\\') {
                continue;
            }
            i++;
            if (tly_escape_form(quoted.at[i], &digits, &base)) {
                size_t from = i + (base == 8 ? 0 : 1);
                for (size_t k = 0; k < digits; k++) {
                    if (from + k + 1 >= len || tly_hex_value(quoted.at[from + k]) >= base) {
                        return fault(parser, parser->at + i, TLY_E_MALFORMED,
                                     "an escape with too few digits");
                    }
                }
            } else if (!strchr("abfnrtv\\\"'", quoted.at[i])) {
                return fault(parser, parser->at + i, TLY_E_MALFORMED,
                             "`\\%c` is no escape; a backslash is written twice", quoted.at[i]);
            }
        }
        int rc = tly_string_unquote(&parser->template->arena, quoted, &text);
        if (rc < 0) {
            return fault(parser, parser->at, rc, "%s", tly_error_name(rc));
        }
    }
    operand->constant = tly_template_string(text);
    parser->at += len;
    return 0;
}

static int parse_number(struct parser *parser, struct tly_template_operand *operand)
{
    size_t from = parser->at;
    while (parser->at < parser->end) {
        char c = parser->text.at[parser->at];
        char before = parser->text.at[parser->at - (parser->at > from ? 1 : 0)];
        bool sign = (c == '+' || c == '-') &&
                    (parser->at == from || before == 'e' || before == 'E');
        if (!sign && !letter(c) && !digit(c) && c != '.') {
            break;
        }
        parser->at++;
    }
    struct tly_text text = {parser->text.at + from, parser->at - from};
    bool negative = text.at[0] == '-';
    struct tly_text bare = text;
    if (negative || text.at[0] == '+') {
        bare = (struct tly_text){text.at + 1, text.len - 1};
    }
    double value;
    if (bare.len == 0 || !(digit(bare.at[0]) || bare.at[0] == '.') ||
        tly_number_parse(bare, &value) < 0) {
        return fault(parser, from, TLY_E_MALFORMED, "`%.*s` is no number", (int)text.len, text.at);
    }
    bool hex = bare.len > 1 && bare.at[0] == '0' && (bare.at[1] | ' ') == 'x';
    bool real = memchr(bare.at, '.', bare.len) ||
                (!hex && (memchr(bare.at, 'e', bare.len) || memchr(bare.at, 'E', bare.len)));
    value = negative ? -value : value;
    if (real) {
        operand->constant = (struct tly_template_value){.kind = TLY_VALUE_FLOAT, .number = value};
    } else if (value >= -9e18 && value <= 9e18) {
        operand->constant = (struct tly_template_value){.kind = TLY_VALUE_INT,
                                                        .integer = (int64_t)value};
    } else {
        return fault(parser, from, TLY_E_MALFORMED, "`%.*s` is too large", (int)text.len, text.at);
    }
    return 0;
}

static bool known(const struct parser *parser, struct tly_text name)
{
    for (size_t i = parser->var_count; i-- > 0;) {
        if (tly_text_equal(parser->vars[i], name)) {
            return true;
        }
    }
    return false;
}

static struct tly_text take_variable(struct parser *parser)
{
    size_t from = parser->at++;
    (void)take_word(parser); /* only its end counts */
    return (struct tly_text){parser->text.at + from, parser->at - from};
}

static int parse_word(struct parser *parser, struct tly_template_operand *operand)
{
    size_t from = parser->at;
    struct tly_text word = take_word(parser);
    bool truth = tly_text_equal(word, TLY_TEXT("true"));
    if (truth || tly_text_equal(word, TLY_TEXT("false"))) {
        operand->constant = (struct tly_template_value){.kind = TLY_VALUE_BOOL, .boolean = truth};
        return 0;
    }
    if (tly_text_equal(word, TLY_TEXT("nil"))) {
        return 0; /* a constant of kind nil */
    }
    operand->kind = TLY_OPERAND_FUNCTION;
    operand->name = word;
    operand->function = tly_template_function_find(word);
    if (!operand->function) {
        return fault(parser, from, TLY_E_MALFORMED, "there is no function `%.*s`", (int)word.len,
                     word.at);
    }
    if (operand->function->refused) {
        return fault(parser, from, TLY_E_REFUSED, "the function %s is left out: %s",
                     operand->function->name, operand->function->refused);
    }
    return 0;
}

/* `.a.b` behind an operand, or the dot itself. */
static int parse_fields(struct parser *parser, struct tly_template_operand *operand)
{
    struct tly_text names[TLY_TEMPLATE_ARGS_MAX];
    size_t count = 0;
    while (peek(parser) == '.') {
        size_t from = parser->at++;
        struct tly_text name = take_word(parser);
        if (name.len == 0 || digit(name.at[0]) || count == TLY_TEMPLATE_ARGS_MAX) {
            return fault(parser, from, TLY_E_MALFORMED, "a field's name is missing behind `.`");
        }
        names[count++] = name;
    }
    if (count == 0) {
        return 0;
    }
    operand->fields = make(parser, count * sizeof(*operand->fields));
    if (!operand->fields) {
        return TLY_E_LIMIT;
    }
    memcpy(operand->fields, names, count * sizeof(*names));
    operand->field_count = count;
    return 0;
}

static int parse_paren(struct parser *parser, struct tly_template_operand *operand)
{
    size_t from = parser->at++;
    struct tly_template_pipe *pipe = NULL;
    operand->kind = TLY_OPERAND_PIPE;
    if (++parser->depth > TLY_TEMPLATE_DEPTH_MAX) {
        return fault(parser, from, TLY_E_LIMIT, "parentheses nest too deeply");
    }
    int rc = parse_pipe(parser, false, &pipe);
    if (rc < 0) {
        return rc;
    }
    parser->depth--;
    operand->pipe = pipe;
    if (!take(parser, ")")) {
        return fault(parser, from, TLY_E_MALFORMED, "a `(` that is never closed");
    }
    return 0;
}

/* 1: there is one; 0: the command ends here. */
static int parse_operand(struct parser *parser, struct tly_template_operand *operand)
{
    char c = peek(parser);
    char next = parser->at + 1 < parser->end ? parser->text.at[parser->at + 1] : '\0';
    int rc = 0;
    *operand = (struct tly_template_operand){.kind = TLY_OPERAND_CONSTANT, .at = parser->at};
    if (c == '\0' || c == '|' || c == ')') {
        return 0;
    }
    if (c == '"' || c == '`') {
        rc = parse_string(parser, operand);
    } else if (c == '(') {
        rc = parse_paren(parser, operand);
    } else if (c == '$') {
        operand->kind = TLY_OPERAND_VARIABLE;
        operand->name = take_variable(parser);
        if (!known(parser, operand->name)) {
            rc = fault(parser, operand->at, TLY_E_MALFORMED, "the variable `%.*s` is not defined",
                       (int)operand->name.len, operand->name.at);
        }
    } else if (digit(c) || ((c == '.' || c == '-' || c == '+') && digit(next))) {
        rc = parse_number(parser, operand);
    } else if (c == '.') {
        operand->kind = TLY_OPERAND_DOT;
        if (!letter(next)) {
            parser->at++;
            return 1;
        }
    } else if (letter(c)) {
        rc = parse_word(parser, operand);
    } else {
        rc = fault(parser, parser->at, TLY_E_MALFORMED, "`%c` has no meaning in a template", c);
    }
    rc = rc < 0 ? rc : parse_fields(parser, operand);
    return rc < 0 ? rc : 1;
}

/* ---- pipelines ---- */

static int parse_command(struct parser *parser, bool piped,
                         struct tly_template_command **ret_command)
{
    struct tly_template_operand args[TLY_TEMPLATE_ARGS_MAX];
    size_t count = 0;
    size_t from = parser->at;
    for (;;) {
        size_t before = parser->at;
        skip_blanks(parser);
        if (count > 0 && parser->at == before && peek(parser) != '\0' && peek(parser) != '|' &&
            peek(parser) != ')') {
            return fault(parser, parser->at, TLY_E_MALFORMED, "a blank is missing before `%c`",
                         peek(parser));
        }
        if (count == TLY_TEMPLATE_ARGS_MAX) {
            return fault(parser, parser->at, TLY_E_LIMIT, "too many arguments");
        }
        int rc = parse_operand(parser, &args[count]);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            break;
        }
        count++;
    }
    if (count == 0) {
        return fault(parser, from, TLY_E_MALFORMED, "a value is missing here");
    }
    bool function = args[0].kind == TLY_OPERAND_FUNCTION;
    if (!function && (count > 1 || piped)) {
        return fault(parser, args[0].at, TLY_E_MALFORMED, "only a function takes arguments");
    }
    size_t given = count - 1 + (piped ? 1 : 0);
    if (function && ((int)given < args[0].function->least ||
                     (args[0].function->most >= 0 && (int)given > args[0].function->most))) {
        return fault(parser, args[0].at, TLY_E_MALFORMED, "%s takes %s%d argument%s, not %zu",
                     args[0].function->name,
                     args[0].function->most == args[0].function->least ? "" : "at least ",
                     args[0].function->least, args[0].function->least == 1 ? "" : "s", given);
    }
    struct tly_template_command *command = make(parser, sizeof(*command));
    struct tly_template_operand *copy = make(parser, count * sizeof(*copy));
    if (!command || !copy) {
        return TLY_E_LIMIT;
    }
    memcpy(copy, args, count * sizeof(*copy));
    *command = (struct tly_template_command){.args = copy, .count = count};
    *ret_command = command;
    return 0;
}

/* `$a, $b :=` or `$a =` in front of a pipeline; nothing if there is none. */
static int parse_declaration(struct parser *parser, struct tly_template_pipe *pipe)
{
    size_t start = parser->at;
    while (pipe->var_count < 2 && peek(parser) == '$') {
        pipe->vars[pipe->var_count++] = take_variable(parser);
        skip_blanks(parser);
        if (!take(parser, ",")) {
            break;
        }
        skip_blanks(parser);
    }
    if (pipe->var_count > 0 && take(parser, ":=")) {
        return 0;
    }
    if (pipe->var_count > 0 && take(parser, "=")) {
        pipe->assigns = true;
        for (size_t i = 0; i < pipe->var_count; i++) {
            if (!known(parser, pipe->vars[i])) {
                return fault(parser, start, TLY_E_MALFORMED, "the variable `%.*s` is not defined",
                             (int)pipe->vars[i].len, pipe->vars[i].at);
            }
        }
        return 0;
    }
    parser->at = start;
    pipe->var_count = 0;
    return 0;
}

static int declare(struct parser *parser, const struct tly_template_pipe *pipe)
{
    for (size_t i = 0; !pipe->assigns && i < pipe->var_count; i++) {
        if (parser->var_count == TLY_TEMPLATE_VARS_MAX - 4) { /* four are there from the start */
            return fault(parser, pipe->at, TLY_E_LIMIT, "too many variables");
        }
        parser->vars[parser->var_count++] = pipe->vars[i];
    }
    return 0;
}

static int parse_pipe(struct parser *parser, bool declares, struct tly_template_pipe **ret_pipe)
{
    struct tly_template_pipe *pipe = make(parser, sizeof(*pipe));
    if (!pipe) {
        return TLY_E_LIMIT;
    }
    skip_blanks(parser);
    pipe->at = parser->at;
    int rc = declares ? parse_declaration(parser, pipe) : 0;
    struct tly_template_command **next = &pipe->commands;
    while (rc == 0) {
        rc = parse_command(parser, next != &pipe->commands, next);
        if (rc < 0 || !take(parser, "|")) {
            break;
        }
        next = &(*next)->next;
    }
    *ret_pipe = pipe;
    return rc;
}

/* ---- blocks ---- */

/* Finds where the action that starts at `at` ends: the }} outside of quotes. */
static int find_end(struct parser *parser, size_t open)
{
    struct tly_text text = parser->text;
    size_t i = parser->at;
    while (i + 1 < text.len && memcmp(text.at + i, "}}", 2) != 0) {
        if (text.at[i] == '"' || text.at[i] == '`') {
            size_t len = quoted_len((struct tly_text){text.at + i, text.len - i});
            if (len == 0) {
                return fault(parser, i, TLY_E_MALFORMED, "a quoted text that is never closed");
            }
            i += len;
        } else {
            i++;
        }
    }
    if (i + 1 >= text.len) {
        return fault(parser, open, TLY_E_MALFORMED, "a `{{` that is never closed");
    }
    parser->end = i;
    return 0;
}

/* The text up to the next {{, with blanks trimmed where `-` says so. */
static int parse_text(struct parser *parser, struct tly_template_node **ret_node)
{
    struct tly_text rest = {parser->text.at + parser->at, parser->text.len - parser->at};
    const char *open = rest.len > 0 ? memmem(rest.at, rest.len, "{{", 2) : NULL;
    struct tly_text text = {rest.at, open ? (size_t)(open - rest.at) : rest.len};
    parser->at += text.len;
    while (parser->trim && text.len > 0 && blank(text.at[0])) {
        text = (struct tly_text){text.at + 1, text.len - 1};
    }
    parser->trim = false;
    size_t behind = parser->at + 2;
    if (open && behind + 1 < parser->text.len && parser->text.at[behind] == '-' &&
        blank(parser->text.at[behind + 1])) {
        text = tly_text_trim(text).len == 0
                   ? (struct tly_text){text.at, 0}
                   : (struct tly_text){text.at, (size_t)(tly_text_trim(text).at - text.at) +
                                                    tly_text_trim(text).len};
    }
    *ret_node = NULL;
    if (text.len > 0) {
        struct tly_template_node *node = make(parser, sizeof(*node));
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

static int parse_list(struct parser *parser, struct tly_template_node **ret_list,
                      enum ending *ret_ending);

/* Puts the parser behind the action; a keyword that stands alone has nothing behind it. */
static int close_action(struct parser *parser)
{
    skip_blanks(parser);
    bool dash = parser->at + 1 == parser->end && peek(parser) == '-' && parser->at > 0 &&
                blank(parser->text.at[parser->at - 1]);
    if (dash) {
        parser->trim = true;
        parser->at++;
    }
    if (parser->at != parser->end) {
        return fault(parser, parser->at, TLY_E_MALFORMED, "`%c` does not belong here",
                     parser->text.at[parser->at]);
    }
    parser->at += 2;
    return 0;
}

/* Takes the `-` of `-}}` off the action, so that no pipeline reads it. */
static void cut_dash(struct parser *parser)
{
    if (parser->end - parser->at >= 2 && parser->text.at[parser->end - 1] == '-' &&
        blank(parser->text.at[parser->end - 2])) {
        parser->end--;
        parser->trim = true;
    }
}

static int close_pipe(struct parser *parser)
{
    skip_blanks(parser);
    if (parser->at != parser->end) {
        return fault(parser, parser->at, TLY_E_MALFORMED, "`%c` does not belong here",
                     parser->text.at[parser->at]);
    }
    parser->at += parser->text.at[parser->end] == '-' ? 3 : 2;
    return 0;
}

static int parse_block(struct parser *parser, enum tly_template_node_kind kind, size_t open,
                       struct tly_template_node **ret_node)
{
    struct tly_template_node *node = make(parser, sizeof(*node));
    if (!node) {
        return TLY_E_LIMIT;
    }
    if (++parser->depth > TLY_TEMPLATE_DEPTH_MAX) {
        return fault(parser, open, TLY_E_LIMIT, "blocks nest too deeply");
    }
    size_t vars = parser->var_count;
    node->kind = kind;
    cut_dash(parser);
    int rc = parse_pipe(parser, true, &node->pipe);
    rc = rc < 0 ? rc : close_pipe(parser);
    rc = rc < 0 ? rc : declare(parser, node->pipe);
    enum ending ending = ENDING_TEXT;
    parser->ranges += kind == TLY_TEMPLATE_RANGE;
    rc = rc < 0 ? rc : parse_list(parser, &node->body, &ending);
    parser->ranges -= kind == TLY_TEMPLATE_RANGE;
    if (rc == 0 && ending == ENDING_ELSE_MORE) {
        /* `else if` is an if inside of else, closed by the same `end`. */
        enum tly_template_node_kind inner = take(parser, "with") ? TLY_TEMPLATE_WITH
                                                                 : TLY_TEMPLATE_IF;
        (void)(inner == TLY_TEMPLATE_IF && take(parser, "if")); /* that it stands there is known */
        rc = kind == TLY_TEMPLATE_RANGE
                 ? fault(parser, parser->at, TLY_E_MALFORMED, "`else` of a range stands alone")
                 : parse_block(parser, inner, open, &node->otherwise);
        ending = ENDING_END;
    } else if (rc == 0 && ending == ENDING_ELSE) {
        rc = parse_list(parser, &node->otherwise, &ending);
    }
    if (rc == 0 && ending != ENDING_END) {
        rc = fault(parser, open, TLY_E_MALFORMED, "a block without `{{ end }}`");
    }
    parser->depth--;
    parser->var_count = vars;
    *ret_node = node;
    return rc;
}

static int parse_comment(struct parser *parser, size_t open)
{
    struct tly_text rest = {parser->text.at + parser->at, parser->text.len - parser->at};
    const char *close = memmem(rest.at, rest.len, "*/", 2);
    if (!close) {
        return fault(parser, open, TLY_E_MALFORMED, "a comment that is never closed by `*/`");
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
static int parse_keyword(struct parser *parser, struct tly_text word, size_t from,
                         struct tly_template_node **ret_node)
{
    bool breaks = tly_text_equal(word, TLY_TEXT("break"));
    if (!breaks && !tly_text_equal(word, TLY_TEXT("continue"))) {
        return fault(parser, from, TLY_E_REFUSED, "`%.*s` is left out: rules share no templates",
                     (int)word.len, word.at);
    }
    if (parser->ranges == 0) {
        return fault(parser, from, TLY_E_MALFORMED, "`%.*s` outside of range", (int)word.len,
                     word.at);
    }
    struct tly_template_node *node = make(parser, sizeof(*node));
    if (!node) {
        return TLY_E_LIMIT;
    }
    node->kind = breaks ? TLY_TEMPLATE_BREAK : TLY_TEMPLATE_CONTINUE;
    *ret_node = node;
    return close_action(parser);
}

static int parse_action(struct parser *parser, struct tly_template_node **ret_node)
{
    struct tly_template_node *node = make(parser, sizeof(*node));
    if (!node) {
        return TLY_E_LIMIT;
    }
    node->kind = TLY_TEMPLATE_ACTION;
    cut_dash(parser);
    int rc = parse_pipe(parser, true, &node->pipe);
    rc = rc < 0 ? rc : close_pipe(parser);
    *ret_node = node;
    return rc < 0 ? rc : declare(parser, node->pipe);
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
static int parse_braces(struct parser *parser, struct tly_template_node **ret_node,
                        enum ending *ret_ending)
{
    static const char *const keywords[] = {"break",    "continue", "define",
                                           "template", "block",    NULL};
    size_t open = parser->at;
    parser->at += 2;
    if (parser->at + 1 < parser->text.len && parser->text.at[parser->at] == '-' &&
        blank(parser->text.at[parser->at + 1])) {
        parser->at++;
    }
    parser->end = parser->text.len;
    skip_blanks(parser);
    if (take(parser, "/*")) {
        return parse_comment(parser, open);
    }
    int rc = find_end(parser, open);
    if (rc < 0) {
        return rc;
    }
    size_t from = parser->at;
    struct tly_text word = take_word(parser);
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
        skip_blanks(parser);
        size_t behind = parser->at;
        struct tly_text more = take_word(parser);
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

static int parse_list(struct parser *parser, struct tly_template_node **ret_list,
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

static int parse_all(struct parser *parser)
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
        rc = fault(parser, parser->at, TLY_E_MALFORMED, "an `%s` without a block before it",
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
    struct parser parser = {
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
