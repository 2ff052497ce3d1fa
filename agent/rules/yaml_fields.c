/*
 * Strict maps. The mistakes that people make most have an answer of their own: `severity` is a
 * label, `summary` an annotation.
 */
#include "agent/rules/yaml_fields.h"

#include "agent/config/nearest.h"
#include "agent/rules/number.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

static const struct {
    const char *key, *advice;
} advices[] = {
    {"severity", "a label; write it below `labels:`"},
    {"summary", "an annotation; write it below `annotations:`"},
    {"description", "an annotation; write it below `annotations:`"},
    {"runbook_url", "an annotation; write it below `annotations:`"},
    {"expression", "likely meant as `expr`"},
    {"query", "likely meant as `expr`"},
    {"evaluation_interval", "likely meant as `interval`"},
    {"partial_response_strategy", "Thanos's, which Prometheus does not know; remove it"},
};

TLY_PRINTF(4, 0)
static void complain(const struct tly_yaml_reader *reader, size_t line, size_t column,
                     const char *format, va_list args) TLY_PRINTF(4, 0);

static void complain(const struct tly_yaml_reader *reader, size_t line, size_t column,
                     const char *format, va_list args)
{
    char text[TLY_ERROR_TEXT_MAX];
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    tly_complain(reader->complaints, line, column, "%s", text);
}

void tly_yaml_complain(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(reader, node->line, node->column, format, args);
    va_end(args);
}

void tly_yaml_complain_at(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                          size_t offset, const char *format, ...)
{
    size_t line;
    size_t column;
    tly_yaml_locate(reader->text, node, offset, &line, &column);
    va_list args;
    va_start(args, format);
    complain(reader, line, column, format, args);
    va_end(args);
}

static void complain_unknown(const struct tly_yaml_reader *reader, const struct tly_yaml_node *key,
                             const char *what, const char *const *names)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        if (strcmp(key->text, advices[i].key) == 0) {
            tly_yaml_complain(reader, key, "%s has no field `%s`; it is %s", what, key->text,
                              advices[i].advice);
            return;
        }
    }
    struct tly_nearest nearest;
    tly_nearest_init(&nearest, (struct tly_text){key->text, key->len});
    char all[TLY_ERROR_TEXT_MAX / 2] = "";
    size_t len = 0;
    for (size_t i = 0; names[i]; i++) {
        tly_nearest_try(&nearest, names[i]);
        int more = snprintf(all + len, sizeof(all) - len, "%s%s", i > 0 ? ", " : "", names[i]);
        len += more > 0 && len + (size_t)more < sizeof(all) ? (size_t)more : 0;
    }
    if (nearest.name) {
        tly_yaml_complain(reader, key, "%s has no field `%.60s`; did you mean `%s`?", what,
                          key->text, nearest.name);
    } else {
        tly_yaml_complain(reader, key, "%s has no field `%.60s`; there are %s", what, key->text,
                          all);
    }
}

bool tly_yaml_fields(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                     const char *what, const char *const *names,
                     const struct tly_yaml_node **values)
{
    bool seen[TLY_YAML_FIELDS_MAX] = {false};
    for (size_t i = 0; names[i]; i++) {
        values[i] = NULL;
    }
    if (node->kind != TLY_YAML_MAP) {
        tly_yaml_complain(reader, node, "%s is a section of `name: value` lines", what);
        return false;
    }
    for (size_t i = 0; i + 1 < node->count; i += 2) {
        const struct tly_yaml_node *key = node->at[i];
        size_t field = 0;
        while (names[field] && strcmp(names[field], key->text) != 0) {
            field++;
        }
        if (!names[field]) {
            complain_unknown(reader, key, what, names);
        } else if (seen[field]) {
            tly_yaml_complain(reader, key, "`%s` stands here twice; keep one", key->text);
        } else {
            seen[field] = true;
            values[field] = tly_yaml_null(node->at[i + 1]) ? NULL : node->at[i + 1];
        }
    }
    return true;
}

bool tly_yaml_text(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                   const char *name, struct tly_text *ret_text)
{
    if (!node) {
        return true;
    }
    if (node->kind != TLY_YAML_SCALAR) {
        tly_yaml_complain(reader, node, "`%s` is one text, not a %s", name,
                          node->kind == TLY_YAML_LIST ? "list" : "section");
        return false;
    }
    struct tly_text text = {node->text, node->len};
    if (tly_text_utf8_prefix(text) != text.len) {
        tly_yaml_complain(reader, node, "`%s` is not valid UTF-8", name);
        return false;
    }
    *ret_text = text;
    return true;
}

bool tly_yaml_list(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                   const char *name, size_t *ret_count)
{
    if (!node) {
        return true;
    }
    if (node->kind != TLY_YAML_LIST) {
        tly_yaml_complain(reader, node, "`%s` is a list; begin each item with `- `", name);
        return false;
    }
    *ret_count = node->count;
    return true;
}

bool tly_yaml_duration(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                       const char *name, int64_t *ret_ms)
{
    struct tly_text text = {NULL, 0};
    if (!tly_yaml_text(reader, node, name, &text)) {
        return false;
    }
    if (!text.at || tly_text_equal(text, TLY_TEXT("0"))) {
        return true;
    }
    int64_t ms;
    int rc = tly_duration_parse(text, &ms);
    if (rc < 0) {
        tly_yaml_complain(reader, node, "`%s`: `%.60s` is %s; write it like 30s, 5m or 1h30m", name,
                          node->text, rc == -ERANGE ? "too long" : "no duration");
        return false;
    }
    *ret_ms = ms;
    return true;
}

bool tly_yaml_int(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                  const char *name, int64_t *ret_value)
{
    struct tly_text text = {NULL, 0};
    if (!tly_yaml_text(reader, node, name, &text)) {
        return false;
    }
    if (text.at && (!node->plain || tly_text_i64(text, ret_value) < 0)) {
        tly_yaml_complain(reader, node, "`%s`: `%.60s` is no whole number", name, node->text);
        return false;
    }
    return true;
}

bool tly_yaml_bool(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                   const char *name, bool *ret_value)
{
    struct tly_text text = {NULL, 0};
    if (!tly_yaml_text(reader, node, name, &text)) {
        return false;
    }
    if (!text.at) {
        return true;
    }
    if (strcasecmp(node->text, "true") != 0 && strcasecmp(node->text, "false") != 0) {
        tly_yaml_complain(reader, node, "`%s`: write true or false", name);
        return false;
    }
    *ret_value = strcasecmp(node->text, "true") == 0;
    return true;
}
