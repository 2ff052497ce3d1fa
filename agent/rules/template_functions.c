/*
 * The functions of templates: Go's own (pkg.go.dev/text/template) and Prometheus's. Those on
 * numbers and times are in template_humanize.c, those on texts in template_texts.c.
 */
#include "agent/rules/template_functions.h"
#include "agent/rules/number.h"

#include <errno.h>
#include <stdlib.h>

#define CALL(function)                                                                             \
    static int call_##function(struct tly_template_run *run,                                       \
                               const struct tly_template_value *args, size_t count,                \
                               struct tly_template_value *ret_value)

int tly_template_want_text(struct tly_template_run *run, const char *function,
                           const struct tly_template_value *value, struct tly_text *ret_text)
{
    if (value->kind != TLY_VALUE_STRING) {
        return tly_template_fail(run, TLY_E_REFUSED, "%s: wants a string, not a %s", function,
                                 tly_template_type(value));
    }
    *ret_text = value->string;
    return 0;
}

/* ---- logic and comparison ---- */

CALL(and)
{
    (void)run;
    *ret_value = args[count - 1]; /* an earlier one would have decided */
    for (size_t i = 0; i < count; i++) {
        if (!tly_template_truth(&args[i])) {
            *ret_value = args[i];
            break;
        }
    }
    return 0;
}

CALL(or)
{
    (void)run;
    *ret_value = args[count - 1];
    for (size_t i = 0; i < count; i++) {
        if (tly_template_truth(&args[i])) {
            *ret_value = args[i];
            break;
        }
    }
    return 0;
}

static struct tly_template_value boolean(bool value)
{
    return (struct tly_template_value){.kind = TLY_VALUE_BOOL, .boolean = value};
}

CALL(not )
{
    (void)run;
    (void)count;
    *ret_value = boolean(!tly_template_truth(&args[0]));
    return 0;
}

static int text_compare(struct tly_text a, struct tly_text b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least > 0 ? memcmp(a.at, b.at, least) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* -1, 0, 1; 2 where a NaN makes them neither. Numbers of two types can't be compared in Go. */
static int compare(struct tly_template_run *run, const struct tly_template_value *a,
                   const struct tly_template_value *b, bool orders, int *ret_order)
{
    if (a->kind > TLY_VALUE_STRING || b->kind > TLY_VALUE_STRING ||
        (orders && (a->kind == TLY_VALUE_BOOL || a->kind == TLY_VALUE_NIL))) {
        return tly_template_fail(run, TLY_E_REFUSED, "invalid type for comparison: %s",
                                 tly_template_type(a));
    }
    if (a->kind != b->kind) {
        return tly_template_fail(run, TLY_E_REFUSED, "incompatible types for comparison: %s and %s",
                                 tly_template_type(a), tly_template_type(b));
    }
    switch (a->kind) {
    case TLY_VALUE_INT:
        *ret_order = (a->integer > b->integer) - (a->integer < b->integer);
        break;
    case TLY_VALUE_FLOAT:
        *ret_order = isnan(a->number) || isnan(b->number)
                         ? 2
                         : (a->number > b->number) - (a->number < b->number);
        break;
    case TLY_VALUE_STRING:
        *ret_order = text_compare(a->string, b->string);
        *ret_order = (*ret_order > 0) - (*ret_order < 0);
        break;
    case TLY_VALUE_BOOL:
        *ret_order = a->boolean == b->boolean ? 0 : 1;
        break;
    default:
        *ret_order = 0;
        break;
    }
    return 0;
}

CALL(eq)
{
    bool equal = false;
    for (size_t i = 1; i < count && !equal; i++) {
        int order = 0;
        int rc = compare(run, &args[0], &args[i], false, &order);
        if (rc < 0) {
            return rc;
        }
        equal = order == 0;
    }
    *ret_value = boolean(equal);
    return 0;
}

CALL(ne)
{
    int order = 0;
    (void)count;
    int rc = compare(run, &args[0], &args[1], false, &order);
    *ret_value = boolean(order != 0);
    return rc;
}

#define ORDER(function, test)                                                                      \
    CALL(function)                                                                                 \
    {                                                                                              \
        int order = 0;                                                                             \
        (void)count;                                                                               \
        int rc = compare(run, &args[0], &args[1], true, &order);                                   \
        const bool ordered = order != 2; /* else one of them is not a number */                    \
        *ret_value = boolean(ordered && (order test 0));                                           \
        return rc;                                                                                 \
    }
ORDER(lt, <)
ORDER(le, <=)
ORDER(gt, >)
ORDER(ge, >=)

/* ---- collections ---- */

CALL(len)
{
    (void)count;
    size_t len = args[0].kind == TLY_VALUE_STRING   ? args[0].string.len
                 : args[0].kind == TLY_VALUE_LABELS ? args[0].labels.count
                 : args[0].kind == TLY_VALUE_VECTOR ? args[0].vector.count
                                                    : SIZE_MAX;
    if (len == SIZE_MAX) {
        return tly_template_fail(run, TLY_E_REFUSED, "len of type %s", tly_template_type(&args[0]));
    }
    *ret_value = (struct tly_template_value){.kind = TLY_VALUE_INT, .integer = (int64_t)len};
    return 0;
}

static int index_one(struct tly_template_run *run, struct tly_template_value *value,
                     const struct tly_template_value *key)
{
    if (value->kind == TLY_VALUE_LABELS && key->kind == TLY_VALUE_STRING) {
        struct tly_text found = TLY_TEXT("");
        for (size_t i = 0; i < value->labels.count; i++) {
            if (tly_text_equal(value->labels.at[i].name, key->string)) {
                found = value->labels.at[i].value;
            }
        }
        *value = tly_template_string(found);
        return 0;
    }
    if (value->kind == TLY_VALUE_VECTOR && key->kind == TLY_VALUE_INT) {
        if (key->integer < 0 || (size_t)key->integer >= value->vector.count) {
            return tly_template_fail(run, TLY_E_REFUSED, "index out of range: %lld",
                                     (long long)key->integer);
        }
        const struct tly_template_sample *sample = &value->vector.at[key->integer];
        *value = (struct tly_template_value){.kind = TLY_VALUE_SAMPLE, .sample = sample};
        return 0;
    }
    return tly_template_fail(run, TLY_E_REFUSED, "can't index a %s by a %s",
                             tly_template_type(value), tly_template_type(key));
}

CALL(index)
{
    struct tly_template_value value = args[0];
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < count; i++) {
        rc = index_one(run, &value, &args[i]);
    }
    *ret_value = value;
    return rc;
}

CALL(args)
{
    struct tly_template_value *copy = tly_arena_alloc(&run->arena, (count + 1) * sizeof(*copy));
    if (!copy) {
        return tly_template_no_memory(run);
    }
    if (count > 0) { /* else `args` may be NULL */
        memcpy(copy, args, count * sizeof(*copy));
    }
    *ret_value = (struct tly_template_value){.kind = TLY_VALUE_ARGS};
    ret_value->args.at = copy;
    ret_value->args.count = count;
    return 0;
}

/* ---- queries ---- */

CALL(query)
{
    struct tly_text text = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "query", &args[0], &text);
    if (rc < 0) {
        return rc;
    }
    if (!run->data->query) {
        return tly_template_fail(run, TLY_E_REFUSED, "there is nothing to query here");
    }
    struct tly_template_sample *samples = NULL;
    size_t found = 0;
    rc = run->data->query(run->data->query_arg, text, &run->arena, &samples, &found, run->err);
    if (rc < 0) {
        tly_error_prefix(run->err, "query");
        return rc;
    }
    *ret_value = (struct tly_template_value){.kind = TLY_VALUE_VECTOR};
    ret_value->vector.at = samples;
    ret_value->vector.count = found;
    return 0;
}

CALL(first)
{
    (void)count;
    if (args[0].kind != TLY_VALUE_VECTOR) {
        return tly_template_fail(run, TLY_E_REFUSED, "first: wants what query returns, not a %s",
                                 tly_template_type(&args[0]));
    }
    if (args[0].vector.count == 0) {
        return tly_template_fail(run, TLY_E_REFUSED, "first() called on vector with no elements");
    }
    *ret_value = (struct tly_template_value){.kind = TLY_VALUE_SAMPLE, .sample = args[0].vector.at};
    return 0;
}

static int want_sample(struct tly_template_run *run, const char *function,
                       const struct tly_template_value *value)
{
    if (value->kind != TLY_VALUE_SAMPLE) {
        return tly_template_fail(run, TLY_E_REFUSED, "%s: wants one sample, not a %s", function,
                                 tly_template_type(value));
    }
    return 0;
}

CALL(value)
{
    (void)count;
    int rc = want_sample(run, "value", &args[0]);
    if (rc == 0) {
        *ret_value = (struct tly_template_value){.kind = TLY_VALUE_FLOAT,
                                                 .number = args[0].sample->value};
    }
    return rc;
}

static int sample_label(struct tly_template_run *run, const struct tly_template_value *sample,
                        const struct tly_template_value *name, struct tly_template_value *ret_value)
{
    struct tly_template_value labels = {.kind = TLY_VALUE_LABELS};
    labels.labels.at = sample->sample->labels;
    labels.labels.count = sample->sample->label_count;
    int rc = index_one(run, &labels, name);
    *ret_value = labels;
    return rc;
}

CALL(label)
{
    (void)count;
    int rc = want_sample(run, "label", &args[1]);
    return rc < 0 ? rc : sample_label(run, &args[1], &args[0], ret_value);
}

CALL(strvalue)
{
    const struct tly_template_value name = tly_template_string(TLY_TEXT("__value__"));
    (void)count;
    int rc = want_sample(run, "strvalue", &args[0]);
    return rc < 0 ? rc : sample_label(run, &args[0], &name, ret_value);
}

static struct tly_text value_of(const struct tly_template_sample *sample, struct tly_text name)
{
    for (size_t i = 0; i < sample->label_count; i++) {
        if (tly_text_equal(sample->labels[i].name, name)) {
            return sample->labels[i].value;
        }
    }
    return TLY_TEXT("");
}

static int sample_order(const void *a, const void *b, void *arg)
{
    const struct tly_text *name = arg;
    return text_compare(value_of(a, *name), value_of(b, *name));
}

CALL(sort_by_label)
{
    struct tly_text name = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "sortByLabel", &args[0], &name);
    if (rc < 0) {
        return rc;
    }
    if (args[1].kind != TLY_VALUE_VECTOR) {
        return tly_template_fail(run, TLY_E_REFUSED, "sortByLabel: wants what query returns");
    }
    size_t bytes = args[1].vector.count * sizeof(struct tly_template_sample);
    struct tly_template_sample *copy = tly_arena_alloc(&run->arena, bytes + 1);
    if (!copy) {
        return tly_template_no_memory(run);
    }
    if (bytes > 0) {
        memcpy(copy, args[1].vector.at, bytes);
        qsort_r(copy, args[1].vector.count, sizeof(*copy), sample_order, &name);
    }
    *ret_value = args[1];
    ret_value->vector.at = copy;
    return 0;
}

/* ---- the table ---- */

#define GO_TYPES "it returns one of Go's own types, whose methods are left out"
static const struct tly_template_function functions[] = {
    {"and", 1, -1, call_and, NULL},
    {"or", 1, -1, call_or, NULL},
    {"not", 1, 1, call_not, NULL},
    {"eq", 2, -1, call_eq, NULL},
    {"ne", 2, 2, call_ne, NULL},
    {"lt", 2, 2, call_lt, NULL},
    {"le", 2, 2, call_le, NULL},
    {"gt", 2, 2, call_gt, NULL},
    {"ge", 2, 2, call_ge, NULL},
    {"len", 1, 1, call_len, NULL},
    {"index", 1, -1, call_index, NULL},
    {"print", 0, -1, tly_template_sprint, NULL},
    {"println", 0, -1, tly_template_sprintln, NULL},
    {"printf", 1, -1, tly_template_sprintf, NULL},
    {"html", 0, -1, tly_template_html, NULL},
    {"urlquery", 0, -1, tly_template_urlquery, NULL},
    {"args", 0, -1, call_args, NULL},
    {"title", 1, 1, tly_template_title, NULL},
    {"toUpper", 1, 1, tly_template_to_upper, NULL},
    {"toLower", 1, 1, tly_template_to_lower, NULL},
    {"match", 2, 2, tly_template_match, NULL},
    {"reReplaceAll", 3, 3, tly_template_replace_all, NULL},
    {"stripPort", 1, 1, tly_template_strip_port, NULL},
    {"stripDomain", 1, 1, tly_template_strip_domain, NULL},
    {"safeHtml", 1, 1, tly_template_same, NULL},
    {"graphLink", 1, 1, tly_template_graph_link, NULL},
    {"tableLink", 1, 1, tly_template_table_link, NULL},
    {"externalURL", 0, 0, tly_template_external_url, NULL},
    {"pathPrefix", 0, 0, tly_template_path_prefix, NULL},
    {"query", 1, 1, call_query, NULL},
    {"first", 1, 1, call_first, NULL},
    {"value", 1, 1, call_value, NULL},
    {"label", 2, 2, call_label, NULL},
    {"strvalue", 1, 1, call_strvalue, NULL},
    {"sortByLabel", 2, 2, call_sort_by_label, NULL},
    {"humanize", 1, 1, tly_template_humanize, NULL},
    {"humanize1024", 1, 1, tly_template_humanize1024, NULL},
    {"humanizeDuration", 1, 1, tly_template_humanize_duration, NULL},
    {"humanizePercentage", 1, 1, tly_template_humanize_percentage, NULL},
    {"humanizeTimestamp", 1, 1, tly_template_humanize_timestamp, NULL},
    {"parseDuration", 1, 1, tly_template_parse_duration, NULL},
    {"now", 0, 0, tly_template_now, NULL},
    {"toTime", 1, 1, NULL, GO_TYPES},
    {"toDuration", 1, 1, NULL, GO_TYPES},
    {"slice", 1, -1, NULL, "no rule needs it; use reReplaceAll"},
    {"call", 1, -1, NULL, "there are no functions as values here"},
    {"js", 0, -1, NULL, "alerts are no scripts"},
    {"tmpl", 2, 2, NULL, "rules share no templates"},
};

const struct tly_template_function *tly_template_function_find(struct tly_text name)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (tly_text_equal(name, tly_text_of(functions[i].name))) {
            return &functions[i];
        }
    }
    return NULL;
}
