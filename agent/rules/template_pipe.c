/*
 * What stands in an action of a template, by Go's grammar (pkg.go.dev/text/template): operands,
 * commands, pipelines, declarations. And the bytes of an action, for both files of the parser.
 */
#include "agent/rules/number.h"
#include "agent/rules/template_parser.h"
#include "agent/rules/unquote.h"

#include <errno.h>
#include <stdlib.h>

int tly_template_refuse(struct tly_template_parser *parser, size_t at, int code, const char *format,
                        ...)
{
    va_list args;
    *parser->fault_at = at < parser->text.len ? at : parser->text.len;
    va_start(args, format);
    int rc = tly_error_vset(parser->err, code, format, args);
    va_end(args);
    return rc;
}

void *tly_template_make(struct tly_template_parser *parser, size_t bytes)
{
    void *at = tly_arena_alloc(&parser->template->arena, bytes);
    if (!at) {
        (void)tly_template_refuse(parser, parser->at, TLY_E_LIMIT, "the template is too large");
    }
    return at;
}

bool tly_template_blank(char c)
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

void tly_template_skip_blanks(struct tly_template_parser *parser)
{
    while (parser->at < parser->end && tly_template_blank(parser->text.at[parser->at])) {
        parser->at++;
    }
}

char tly_template_peek(const struct tly_template_parser *parser)
{
    return parser->at < parser->end ? parser->text.at[parser->at] : '\0';
}

bool tly_template_take_if(struct tly_template_parser *parser, const char *what)
{
    size_t len = strlen(what);
    if (parser->end - parser->at < len || memcmp(parser->text.at + parser->at, what, len) != 0) {
        return false;
    }
    parser->at += len;
    return true;
}

struct tly_text tly_template_take_word(struct tly_template_parser *parser)
{
    size_t from = parser->at;
    while (parser->at < parser->end &&
           (letter(parser->text.at[parser->at]) || digit(parser->text.at[parser->at]))) {
        parser->at++;
    }
    return (struct tly_text){parser->text.at + from, parser->at - from};
}

/* ---- operands ---- */

/* Where a quoted string ends, its quote included; 0 if it does not. */
size_t tly_template_quoted_len(struct tly_text rest)
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

static int parse_string(struct tly_template_parser *parser, struct tly_template_operand *operand)
{
    struct tly_text rest = {parser->text.at + parser->at, parser->end - parser->at};
    size_t len = tly_template_quoted_len(rest);
    if (len == 0) {
        return tly_template_refuse(parser, parser->at, TLY_E_MALFORMED,
                                   "a quoted text that is never closed");
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
                        return tly_template_refuse(parser, parser->at + i, TLY_E_MALFORMED,
                                                   "an escape with too few digits");
                    }
                }
            } else if (!strchr("abfnrtv\\\"'", quoted.at[i])) {
                return tly_template_refuse(parser, parser->at + i, TLY_E_MALFORMED,
                                           "`\\%c` is no escape; a backslash is written twice",
                                           quoted.at[i]);
            }
        }
        int rc = tly_string_unquote(&parser->template->arena, quoted, &text);
        if (rc < 0) {
            return tly_template_refuse(parser, parser->at, rc, "%s", tly_error_name(rc));
        }
    }
    operand->constant = tly_template_string(text);
    parser->at += len;
    return 0;
}

static int parse_number(struct tly_template_parser *parser, struct tly_template_operand *operand)
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
        return tly_template_refuse(parser, from, TLY_E_MALFORMED, "`%.*s` is no number",
                                   (int)text.len, text.at);
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
        return tly_template_refuse(parser, from, TLY_E_MALFORMED, "`%.*s` is too large",
                                   (int)text.len, text.at);
    }
    return 0;
}

static bool known(const struct tly_template_parser *parser, struct tly_text name)
{
    for (size_t i = parser->var_count; i-- > 0;) {
        if (tly_text_equal(parser->vars[i], name)) {
            return true;
        }
    }
    return false;
}

static struct tly_text take_variable(struct tly_template_parser *parser)
{
    size_t from = parser->at++;
    (void)tly_template_take_word(parser); /* only its end counts */
    return (struct tly_text){parser->text.at + from, parser->at - from};
}

static int parse_word(struct tly_template_parser *parser, struct tly_template_operand *operand)
{
    size_t from = parser->at;
    struct tly_text word = tly_template_take_word(parser);
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
        return tly_template_refuse(parser, from, TLY_E_MALFORMED, "there is no function `%.*s`",
                                   (int)word.len, word.at);
    }
    if (operand->function->refused) {
        return tly_template_refuse(parser, from, TLY_E_REFUSED, "the function %s is left out: %s",
                                   operand->function->name, operand->function->refused);
    }
    return 0;
}

/* `.a.b` behind an operand, or the dot itself. */
static int parse_fields(struct tly_template_parser *parser, struct tly_template_operand *operand)
{
    struct tly_text names[TLY_TEMPLATE_ARGS_MAX];
    size_t count = 0;
    while (tly_template_peek(parser) == '.') {
        size_t from = parser->at++;
        struct tly_text name = tly_template_take_word(parser);
        if (name.len == 0 || digit(name.at[0]) || count == TLY_TEMPLATE_ARGS_MAX) {
            return tly_template_refuse(parser, from, TLY_E_MALFORMED,
                                       "a field's name is missing behind `.`");
        }
        names[count++] = name;
    }
    if (count == 0) {
        return 0;
    }
    operand->fields = tly_template_make(parser, count * sizeof(*operand->fields));
    if (!operand->fields) {
        return TLY_E_LIMIT;
    }
    memcpy(operand->fields, names, count * sizeof(*names));
    operand->field_count = count;
    return 0;
}

static int parse_paren(struct tly_template_parser *parser, struct tly_template_operand *operand)
{
    size_t from = parser->at++;
    struct tly_template_pipe *pipe = NULL;
    operand->kind = TLY_OPERAND_PIPE;
    if (++parser->depth > TLY_TEMPLATE_DEPTH_MAX) {
        return tly_template_refuse(parser, from, TLY_E_LIMIT, "parentheses nest too deeply");
    }
    int rc = tly_template_parse_pipe(parser, false, &pipe);
    if (rc < 0) {
        return rc;
    }
    parser->depth--;
    operand->pipe = pipe;
    if (!tly_template_take_if(parser, ")")) {
        return tly_template_refuse(parser, from, TLY_E_MALFORMED, "a `(` that is never closed");
    }
    return 0;
}

/* 1: there is one; 0: the command ends here. */
static int parse_operand(struct tly_template_parser *parser, struct tly_template_operand *operand)
{
    char c = tly_template_peek(parser);
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
            rc = tly_template_refuse(parser, operand->at, TLY_E_MALFORMED,
                                     "the variable `%.*s` is not defined", (int)operand->name.len,
                                     operand->name.at);
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
        rc = tly_template_refuse(parser, parser->at, TLY_E_MALFORMED,
                                 "`%c` has no meaning in a template", c);
    }
    rc = rc < 0 ? rc : parse_fields(parser, operand);
    return rc < 0 ? rc : 1;
}

/* ---- pipelines ---- */

static int parse_command(struct tly_template_parser *parser, bool piped,
                         struct tly_template_command **ret_command)
{
    struct tly_template_operand args[TLY_TEMPLATE_ARGS_MAX];
    size_t count = 0;
    size_t from = parser->at;
    for (;;) {
        size_t before = parser->at;
        tly_template_skip_blanks(parser);
        if (count > 0 && parser->at == before && tly_template_peek(parser) != '\0' &&
            tly_template_peek(parser) != '|' && tly_template_peek(parser) != ')') {
            return tly_template_refuse(parser, parser->at, TLY_E_MALFORMED,
                                       "a blank is missing before `%c`", tly_template_peek(parser));
        }
        if (count == TLY_TEMPLATE_ARGS_MAX) {
            return tly_template_refuse(parser, parser->at, TLY_E_LIMIT, "too many arguments");
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
        return tly_template_refuse(parser, from, TLY_E_MALFORMED, "a value is missing here");
    }
    bool function = args[0].kind == TLY_OPERAND_FUNCTION;
    if (!function && (count > 1 || piped)) {
        return tly_template_refuse(parser, args[0].at, TLY_E_MALFORMED,
                                   "only a function takes arguments");
    }
    size_t given = count - 1 + (piped ? 1 : 0);
    if (function && ((int)given < args[0].function->least ||
                     (args[0].function->most >= 0 && (int)given > args[0].function->most))) {
        return tly_template_refuse(
            parser, args[0].at, TLY_E_MALFORMED, "%s takes %s%d argument%s, not %zu",
            args[0].function->name,
            args[0].function->most == args[0].function->least ? "" : "at least ",
            args[0].function->least, args[0].function->least == 1 ? "" : "s", given);
    }
    struct tly_template_command *command = tly_template_make(parser, sizeof(*command));
    struct tly_template_operand *copy = tly_template_make(parser, count * sizeof(*copy));
    if (!command || !copy) {
        return TLY_E_LIMIT;
    }
    memcpy(copy, args, count * sizeof(*copy));
    *command = (struct tly_template_command){.args = copy, .count = count};
    *ret_command = command;
    return 0;
}

/* `$a, $b :=` or `$a =` in front of a pipeline; nothing if there is none. */
static int parse_declaration(struct tly_template_parser *parser, struct tly_template_pipe *pipe)
{
    size_t start = parser->at;
    while (pipe->var_count < 2 && tly_template_peek(parser) == '$') {
        pipe->vars[pipe->var_count++] = take_variable(parser);
        tly_template_skip_blanks(parser);
        if (!tly_template_take_if(parser, ",")) {
            break;
        }
        tly_template_skip_blanks(parser);
    }
    if (pipe->var_count > 0 && tly_template_take_if(parser, ":=")) {
        return 0;
    }
    if (pipe->var_count > 0 && tly_template_take_if(parser, "=")) {
        pipe->assigns = true;
        for (size_t i = 0; i < pipe->var_count; i++) {
            if (!known(parser, pipe->vars[i])) {
                return tly_template_refuse(parser, start, TLY_E_MALFORMED,
                                           "the variable `%.*s` is not defined",
                                           (int)pipe->vars[i].len, pipe->vars[i].at);
            }
        }
        return 0;
    }
    parser->at = start;
    pipe->var_count = 0;
    return 0;
}

int tly_template_declare(struct tly_template_parser *parser, const struct tly_template_pipe *pipe)
{
    for (size_t i = 0; !pipe->assigns && i < pipe->var_count; i++) {
        if (parser->var_count == TLY_TEMPLATE_VARS_MAX - 4) { /* four are there from the start */
            return tly_template_refuse(parser, pipe->at, TLY_E_LIMIT, "too many variables");
        }
        parser->vars[parser->var_count++] = pipe->vars[i];
    }
    return 0;
}

int tly_template_parse_pipe(struct tly_template_parser *parser, bool declares,
                            struct tly_template_pipe **ret_pipe)
{
    struct tly_template_pipe *pipe = tly_template_make(parser, sizeof(*pipe));
    if (!pipe) {
        return TLY_E_LIMIT;
    }
    tly_template_skip_blanks(parser);
    pipe->at = parser->at;
    int rc = declares ? parse_declaration(parser, pipe) : 0;
    struct tly_template_command **next = &pipe->commands;
    while (rc == 0) {
        rc = parse_command(parser, next != &pipe->commands, next);
        if (rc < 0 || !tly_template_take_if(parser, "|")) {
            break;
        }
        next = &(*next)->next;
    }
    *ret_pipe = pipe;
    return rc;
}
