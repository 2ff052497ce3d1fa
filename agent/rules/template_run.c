/*
 * Expanding a template: the tree is walked, values live in an arena, every step and byte counts
 * against a bound. Errors stop it; the caller decides what stands in the result's place.
 */
#include "agent/rules/template_tree.h"

#include <errno.h>
#include <stdlib.h>

#define STEPS_MAX 100000

/* How a list of nodes was left. */
enum leave { LEAVE_END, LEAVE_BREAK, LEAVE_CONTINUE };

int tly_template_fail(struct tly_template_run *run, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = tly_error_vset(run->err, code, format, args);
    va_end(args);
    return rc;
}

int tly_template_no_memory(struct tly_template_run *run)
{
    return tly_template_fail(run, TLY_E_LIMIT, "the template takes too much memory");
}

int tly_template_take(struct tly_template_run *run, struct tly_buf *buf, int rc,
                      struct tly_template_value *ret_value)
{
    struct tly_text text = {NULL, 0};
    if (rc == 0) {
        text = tly_arena_text(&run->arena, buf->at ? tly_buf_text(buf) : TLY_TEXT(""));
    }
    tly_buf_done(buf);
    if (!text.at) {
        return tly_template_no_memory(run);
    }
    *ret_value = tly_template_string(text);
    return 0;
}

static int step(struct tly_template_run *run)
{
    if (++run->steps > STEPS_MAX) {
        return tly_template_fail(run, TLY_E_LIMIT, "the template takes more than %d steps",
                                 STEPS_MAX);
    }
    return 0;
}

/* ---- fields ---- */

static int field_of_data(struct tly_template_run *run, struct tly_text name,
                         struct tly_template_value *value)
{
    const struct tly_template_data *data = run->data;
    if (tly_text_equal(name, TLY_TEXT("Labels"))) {
        value->kind = TLY_VALUE_LABELS;
        value->labels.at = data->labels;
        value->labels.count = data->label_count;
    } else if (tly_text_equal(name, TLY_TEXT("ExternalLabels"))) {
        value->kind = TLY_VALUE_LABELS;
        value->labels.at = data->external_labels;
        value->labels.count = data->external_label_count;
    } else if (tly_text_equal(name, TLY_TEXT("ExternalURL"))) {
        *value = tly_template_string(data->external_url);
    } else if (tly_text_equal(name, TLY_TEXT("Value"))) {
        value->kind = TLY_VALUE_FLOAT;
        value->number = data->value;
    } else {
        return tly_template_fail(run, TLY_E_REFUSED, "can't evaluate field %.*s of the data",
                                 (int)name.len, name.at);
    }
    return 0;
}

/* The label's value, or "" as Prometheus has it for absent ones. */
static struct tly_template_value label_value(const struct tly_alert_pair *pairs, size_t count,
                                             struct tly_text name)
{
    for (size_t i = 0; i < count; i++) {
        if (tly_text_equal(pairs[i].name, name)) {
            return tly_template_string(pairs[i].value);
        }
    }
    return tly_template_string(TLY_TEXT(""));
}

static int field(struct tly_template_run *run, struct tly_text name,
                 struct tly_template_value *value)
{
    if (value->kind == TLY_VALUE_DATA) {
        return field_of_data(run, name, value);
    }
    if (value->kind == TLY_VALUE_LABELS) {
        *value = label_value(value->labels.at, value->labels.count, name);
        return 0;
    }
    if (value->kind == TLY_VALUE_SAMPLE && tly_text_equal(name, TLY_TEXT("Value"))) {
        double number = value->sample->value;
        *value = (struct tly_template_value){.kind = TLY_VALUE_FLOAT, .number = number};
        return 0;
    }
    if (value->kind == TLY_VALUE_SAMPLE && tly_text_equal(name, TLY_TEXT("Labels"))) {
        const struct tly_template_sample *sample = value->sample;
        *value = (struct tly_template_value){.kind = TLY_VALUE_LABELS};
        value->labels.at = sample->labels;
        value->labels.count = sample->label_count;
        return 0;
    }
    uint64_t index = 0;
    if (value->kind == TLY_VALUE_ARGS && tly_text_starts(name, TLY_TEXT("arg")) &&
        tly_text_u64((struct tly_text){name.at + 3, name.len - 3}, &index) == 0 &&
        index < value->args.count) {
        *value = value->args.at[index];
        return 0;
    }
    return tly_template_fail(run, TLY_E_REFUSED, "can't evaluate field %.*s in type %s",
                             (int)name.len, name.at, tly_template_type(value));
}

/* ---- pipelines ---- */

static int run_pipe(struct tly_template_run *run, const struct tly_template_pipe *pipe,
                    const struct tly_template_value *dot, struct tly_template_value *ret_value);

static int operand_value(struct tly_template_run *run, const struct tly_template_operand *operand,
                         const struct tly_template_value *dot, struct tly_template_value *ret_value)
{
    int rc = step(run);
    switch (operand->kind) {
    case TLY_OPERAND_CONSTANT:
        *ret_value = operand->constant;
        break;
    case TLY_OPERAND_DOT:
        *ret_value = *dot;
        break;
    case TLY_OPERAND_VARIABLE:
        for (size_t i = run->var_count; i-- > 0;) {
            if (tly_text_equal(run->vars[i].name, operand->name)) {
                *ret_value = run->vars[i].value;
                break;
            }
        }
        break;
    case TLY_OPERAND_FUNCTION: /* as an argument: called with none */
        if (rc == 0 && operand->function->least > 0) {
            return tly_template_fail(run, TLY_E_REFUSED, "%s needs arguments",
                                     operand->function->name);
        }
        rc = rc < 0 ? rc : operand->function->call(run, NULL, 0, ret_value);
        break;
    case TLY_OPERAND_PIPE:
        rc = rc < 0 ? rc : run_pipe(run, operand->pipe, dot, ret_value);
        break;
    }
    for (size_t i = 0; rc == 0 && i < operand->field_count; i++) {
        rc = field(run, operand->fields[i], ret_value);
    }
    return rc;
}

/* and, or: the first argument that decides, the others are not looked at. */
static bool decides(const struct tly_template_function *function,
                    const struct tly_template_value *value)
{
    bool conjunction = strcmp(function->name, "and") == 0;
    return (conjunction || strcmp(function->name, "or") == 0) &&
           tly_template_truth(value) != conjunction;
}

static int run_command(struct tly_template_run *run, const struct tly_template_command *command,
                       const struct tly_template_value *dot, const struct tly_template_value *piped,
                       struct tly_template_value *ret_value)
{
    const struct tly_template_operand *first = &command->args[0];
    if (first->kind != TLY_OPERAND_FUNCTION) {
        return operand_value(run, first, dot, ret_value);
    }
    struct tly_template_value args[TLY_TEMPLATE_ARGS_MAX + 1] = {{.kind = TLY_VALUE_NIL}};
    size_t count = 0;
    for (size_t i = 1; i < command->count; i++) {
        int rc = operand_value(run, &command->args[i], dot, &args[count]);
        if (rc < 0) {
            return rc;
        }
        if (decides(first->function, &args[count])) {
            *ret_value = args[count];
            return 0;
        }
        count++;
    }
    if (piped) {
        args[count++] = *piped;
    }
    int rc = first->function->call(run, args, count, ret_value);
    for (size_t i = 0; rc == 0 && i < first->field_count; i++) {
        rc = field(run, first->fields[i], ret_value);
    }
    return rc;
}

static int run_pipe(struct tly_template_run *run, const struct tly_template_pipe *pipe,
                    const struct tly_template_value *dot, struct tly_template_value *ret_value)
{
    struct tly_template_value value = {.kind = TLY_VALUE_NIL};
    bool piped = false;
    for (const struct tly_template_command *command = pipe->commands; command;
         command = command->next) {
        struct tly_template_value result = {.kind = TLY_VALUE_NIL};
        int rc = step(run);
        rc = rc < 0 ? rc : run_command(run, command, dot, piped ? &value : NULL, &result);
        if (rc < 0) {
            return rc;
        }
        value = result;
        piped = true;
    }
    *ret_value = value;
    return 0;
}

static int var_push(struct tly_template_run *run, struct tly_text name,
                    const struct tly_template_value *value)
{
    if (run->var_count == TLY_TEMPLATE_VARS_MAX) {
        return tly_template_fail(run, TLY_E_LIMIT, "too many variables");
    }
    run->vars[run->var_count].name = name;
    run->vars[run->var_count++].value = *value;
    return 0;
}

/* What a pipeline declares or assigns. */
static int var_set(struct tly_template_run *run, const struct tly_template_pipe *pipe, size_t index,
                   const struct tly_template_value *value)
{
    if (!pipe->assigns) {
        return var_push(run, pipe->vars[index], value);
    }
    for (size_t i = run->var_count; i-- > 0;) {
        if (tly_text_equal(run->vars[i].name, pipe->vars[index])) {
            run->vars[i].value = *value;
            break;
        }
    }
    return 0;
}

/* ---- nodes ---- */

static int run_list(struct tly_template_run *run, const struct tly_template_node *node,
                    const struct tly_template_value *dot, enum leave *ret_leave);

struct turn {
    const struct tly_template_node *node;
    enum leave leave;
    size_t count;
};

static int range_turn(struct tly_template_run *run, struct turn *turn,
                      const struct tly_template_value *key, const struct tly_template_value *value)
{
    const struct tly_template_pipe *pipe = turn->node->pipe;
    size_t vars = run->var_count;
    turn->count++;
    int rc = 0;
    if (pipe->var_count == 2) {
        rc = var_set(run, pipe, 0, key);
        rc = rc < 0 ? rc : var_set(run, pipe, 1, value);
    } else if (pipe->var_count == 1) {
        rc = var_set(run, pipe, 0, value);
    }
    rc = rc < 0 ? rc : run_list(run, turn->node->body, value, &turn->leave);
    run->var_count = vars;
    return rc;
}

static int range_over(struct tly_template_run *run, struct turn *turn,
                      const struct tly_template_value *over)
{
    int rc = 0;
    size_t count = over->kind == TLY_VALUE_LABELS   ? over->labels.count
                   : over->kind == TLY_VALUE_VECTOR ? over->vector.count
                                                    : 0;
    if (over->kind != TLY_VALUE_LABELS && over->kind != TLY_VALUE_VECTOR &&
        over->kind != TLY_VALUE_NIL) {
        return tly_template_fail(run, TLY_E_REFUSED, "range can't iterate over a %s",
                                 tly_template_type(over));
    }
    for (size_t i = 0; rc == 0 && i < count && turn->leave != LEAVE_BREAK; i++) {
        struct tly_template_value key = {.kind = TLY_VALUE_INT, .integer = (int64_t)i};
        struct tly_template_value value = {.kind = TLY_VALUE_SAMPLE};
        if (over->kind == TLY_VALUE_LABELS) {
            key = tly_template_string(over->labels.at[i].name);
            value = tly_template_string(over->labels.at[i].value);
        } else {
            value.sample = &over->vector.at[i];
        }
        rc = range_turn(run, turn, &key, &value);
    }
    return rc;
}

static int run_block(struct tly_template_run *run, const struct tly_template_node *node,
                     const struct tly_template_value *dot, enum leave *ret_leave)
{
    struct tly_template_value value = {.kind = TLY_VALUE_NIL};
    size_t vars = run->var_count;
    int rc = run_pipe(run, node->pipe, dot, &value);
    if (rc < 0) {
        return rc;
    }
    if (node->kind == TLY_TEMPLATE_RANGE) {
        struct turn turn = {.node = node};
        rc = range_over(run, &turn, &value);
        if (rc == 0 && turn.count == 0) {
            rc = run_list(run, node->otherwise, dot, ret_leave);
        }
    } else {
        if (node->pipe->var_count > 0) {
            rc = var_set(run, node->pipe, 0, &value);
        }
        bool truth = tly_template_truth(&value);
        const struct tly_template_value *inner = truth && node->kind == TLY_TEMPLATE_WITH ? &value
                                                                                          : dot;
        rc = rc < 0 ? rc : run_list(run, truth ? node->body : node->otherwise, inner, ret_leave);
    }
    run->var_count = vars;
    return rc;
}

static int run_action(struct tly_template_run *run, const struct tly_template_node *node,
                      const struct tly_template_value *dot)
{
    struct tly_template_value value = {.kind = TLY_VALUE_NIL};
    int rc = run_pipe(run, node->pipe, dot, &value);
    if (rc == 0 && node->pipe->var_count > 0) {
        return var_set(run, node->pipe, 0, &value);
    }
    if (rc == 0 && tly_template_print(run->buf, &value) < 0) {
        rc = tly_template_fail(run, TLY_E_LIMIT, "the result is longer than %zu bytes",
                               TLY_TEMPLATE_OUT_MAX);
    }
    return rc;
}

static int run_list(struct tly_template_run *run, const struct tly_template_node *node,
                    const struct tly_template_value *dot, enum leave *ret_leave)
{
    size_t vars = run->var_count;
    int rc = 0;
    *ret_leave = LEAVE_END;
    for (; node && rc == 0 && *ret_leave == LEAVE_END; node = node->next) {
        rc = step(run);
        if (rc < 0) {
            break;
        }
        switch (node->kind) {
        case TLY_TEMPLATE_TEXT:
            if (tly_buf_append_text(run->buf, node->text) < 0) {
                rc = tly_template_fail(run, TLY_E_LIMIT, "the result is longer than %zu bytes",
                                       TLY_TEMPLATE_OUT_MAX);
            }
            break;
        case TLY_TEMPLATE_ACTION:
            rc = run_action(run, node, dot);
            break;
        case TLY_TEMPLATE_BREAK:
            *ret_leave = LEAVE_BREAK;
            break;
        case TLY_TEMPLATE_CONTINUE:
            *ret_leave = LEAVE_CONTINUE;
            break;
        default:
            rc = run_block(run, node, dot, ret_leave);
            break;
        }
    }
    run->var_count = vars;
    return rc;
}

/* ---- the whole ---- */

static int prepare(struct tly_template_run *run, const struct tly_template_value *data)
{
    static const char *const names[] = {"Labels", "ExternalLabels", "ExternalURL", "Value"};
    static const char *const vars[] = {"$labels", "$externalLabels", "$externalURL", "$value"};
    int rc = var_push(run, TLY_TEXT("$"), data);
    for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        struct tly_template_value value = *data;
        rc = field_of_data(run, tly_text_of(names[i]), &value);
        rc = rc < 0 ? rc : var_push(run, tly_text_of(vars[i]), &value);
    }
    return rc;
}

int tly_template_expand(const struct tly_template *template, const struct tly_template_data *data,
                        struct tly_buf *buf, struct tly_error *err)
{
    if (!template->nodes) {
        return 0;
    }
    if (template->nodes->kind == TLY_TEMPLATE_TEXT && !template->nodes->next) {
        int plain = tly_buf_append_text(buf, template->nodes->text);
        return plain < 0 ? tly_error_set(err, plain, "the result is too long") : 0;
    }
    struct tly_template_run *run = calloc(1, sizeof(*run));
    if (!run) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    size_t before = buf->len;
    run->data = data;
    run->buf = buf;
    run->err = err;
    tly_arena_init(&run->arena, TLY_TEMPLATE_BYTES_MAX);
    struct tly_template_value dot = {.kind = TLY_VALUE_DATA};
    enum leave leave = LEAVE_END;
    int rc = prepare(run, &dot);
    rc = rc < 0 ? rc : run_list(run, template->nodes, &dot, &leave);
    tly_arena_done(&run->arena);
    free(run);
    if (rc < 0) {
        buf->len = before;
    }
    return rc;
}

int tly_template_fault(struct tly_buf *buf, const struct tly_error *err)
{
    return tly_buf_printf(buf, "<error expanding template: %s>", err->text);
}

/* ---- what a template asks ---- */

struct asking {
    int (*visit)(void *arg, struct tly_text expression);
    void *arg;
};

static int ask_pipe(const struct asking *asking, const struct tly_template_pipe *pipe)
{
    int rc = 0;
    const struct tly_template_command *before = NULL;
    for (const struct tly_template_command *command = pipe->commands; rc == 0 && command;
         before = command, command = command->next) {
        for (size_t i = 0; rc == 0 && i < command->count; i++) {
            const struct tly_template_operand *arg = &command->args[i];
            rc = arg->kind == TLY_OPERAND_PIPE ? ask_pipe(asking, arg->pipe) : 0;
        }
        const struct tly_template_operand *first = &command->args[0];
        if (rc != 0 || first->kind != TLY_OPERAND_FUNCTION ||
            strcmp(first->function->name, "query") != 0) {
            continue;
        }
        const struct tly_template_operand *text = command->count > 1 ? &command->args[1]
                                                  : before           ? &before->args[0]
                                                                     : NULL;
        if (text && text->kind == TLY_OPERAND_CONSTANT && text->constant.kind == TLY_VALUE_STRING) {
            rc = asking->visit(asking->arg, text->constant.string);
        }
    }
    return rc;
}

static int ask_list(const struct asking *asking, const struct tly_template_node *node)
{
    int rc = 0;
    for (; rc == 0 && node; node = node->next) {
        rc = node->pipe ? ask_pipe(asking, node->pipe) : 0;
        rc = rc != 0 ? rc : ask_list(asking, node->body);
        rc = rc != 0 ? rc : ask_list(asking, node->otherwise);
    }
    return rc;
}

int tly_template_queries(const struct tly_template *template,
                         int (*visit)(void *arg, struct tly_text expression), void *arg)
{
    const struct asking asking = {visit, arg};
    return ask_list(&asking, template->nodes);
}
