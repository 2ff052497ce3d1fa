/*
 * A parsed template, and values while it is expanded. Private to the template's files.
 */
#ifndef TLY_RULES_TEMPLATE_TREE_H
#define TLY_RULES_TEMPLATE_TREE_H

#include "agent/rules/template.h"

#define TLY_TEMPLATE_DEPTH_MAX 32 /* of nested blocks and parentheses */
#define TLY_TEMPLATE_ARGS_MAX  16 /* of one call */
#define TLY_TEMPLATE_VARS_MAX  64 /* in scope at a time */

/* ---- values ---- */

enum tly_template_kind {
    TLY_VALUE_NIL,
    TLY_VALUE_BOOL,
    TLY_VALUE_INT,
    TLY_VALUE_FLOAT,
    TLY_VALUE_STRING,
    TLY_VALUE_LABELS, /* a map from strings to strings */
    TLY_VALUE_SAMPLE,
    TLY_VALUE_VECTOR,
    TLY_VALUE_DATA, /* the outermost dot */
    TLY_VALUE_ARGS, /* a map with arg0, arg1 … */
};

struct tly_template_value {
    enum tly_template_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct tly_text string;
        struct {
            const struct tly_alert_pair *at;
            size_t count;
        } labels;
        const struct tly_template_sample *sample;
        struct {
            const struct tly_template_sample *at;
            size_t count;
        } vector;
        struct {
            const struct tly_template_value *at;
            size_t count;
        } args;
    };
};

/* ---- the tree ---- */

struct tly_template_pipe;
struct tly_template_run;

struct tly_template_function {
    const char *name;
    int least, most; /* arguments; most -1: any number */
    /* Returns 0, or what tly_template_fail returned. */
    int (*call)(struct tly_template_run *run, const struct tly_template_value *args, size_t count,
                struct tly_template_value *ret_value);
    const char *refused; /* why it can't be used, for a name that Prometheus knows */
};

/* NULL if there is none. */
const struct tly_template_function *tly_template_function_find(struct tly_text name);

enum tly_operand_kind {
    TLY_OPERAND_CONSTANT,
    TLY_OPERAND_DOT,
    TLY_OPERAND_VARIABLE, /* `name`, with the dollar sign */
    TLY_OPERAND_FUNCTION,
    TLY_OPERAND_PIPE, /* in parentheses */
};

struct tly_template_operand {
    enum tly_operand_kind kind;
    struct tly_template_value constant;
    struct tly_text name;
    const struct tly_template_function *function;
    const struct tly_template_pipe *pipe;
    struct tly_text *fields; /* .a.b behind it */
    size_t field_count;
    size_t at; /* byte of the source */
};

struct tly_template_command {
    struct tly_template_operand *args;
    size_t count;
    struct tly_template_command *next;
};

struct tly_template_pipe {
    struct tly_text vars[2]; /* declared or assigned */
    size_t var_count;
    bool assigns; /* `=`, not `:=` */
    struct tly_template_command *commands;
    size_t at;
};

enum tly_template_node_kind {
    TLY_TEMPLATE_TEXT,
    TLY_TEMPLATE_ACTION,
    TLY_TEMPLATE_IF,
    TLY_TEMPLATE_WITH,
    TLY_TEMPLATE_RANGE,
    TLY_TEMPLATE_BREAK,
    TLY_TEMPLATE_CONTINUE,
};

struct tly_template_node {
    enum tly_template_node_kind kind;
    struct tly_text text;
    struct tly_template_pipe *pipe;
    struct tly_template_node *body, *otherwise; /* lists */
    struct tly_template_node *next;
};

struct tly_template {
    struct tly_arena arena;
    struct tly_text text;
    struct tly_template_node *nodes;
};

/* ---- expanding ---- */

struct tly_template_run {
    const struct tly_template_data *data;
    struct tly_arena arena; /* for values */
    struct tly_buf *buf;
    struct {
        struct tly_text name;
        struct tly_template_value value;
    } vars[TLY_TEMPLATE_VARS_MAX];
    size_t var_count;
    size_t steps;
    struct tly_error *err;
};

int tly_template_fail(struct tly_template_run *run, int code, const char *format, ...)
    TLY_PRINTF(3, 4);
int tly_template_no_memory(struct tly_template_run *run);
/* A buffer's bytes as a string value; the buffer is done with. */
int tly_template_take(struct tly_template_run *run, struct tly_buf *buf, int rc,
                      struct tly_template_value *ret_value);

/* Go's truth: not zero, not empty, not nil. */
bool tly_template_truth(const struct tly_template_value *value);
/* As Go's fmt writes it by %v; a string as it is. */
int tly_template_print(struct tly_buf *buf, const struct tly_template_value *value) TLY_CHECK;
/* "string", "float64", …: Go's names. */
const char *tly_template_type(const struct tly_template_value *value);
/* fmt.Sprintf. */
int tly_template_printf(struct tly_template_run *run, struct tly_text format,
                        const struct tly_template_value *args, size_t count,
                        struct tly_buf *buf) TLY_CHECK;

static inline struct tly_template_value tly_template_string(struct tly_text text)
{
    return (struct tly_template_value){.kind = TLY_VALUE_STRING, .string = text};
}

#endif
