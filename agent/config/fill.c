/*
 * From nodes to structs. Each type of option has one function here that reads a scalar or a list
 * and says what is allowed instead of what it found. Defaults are YAML texts in the tables and take
 * the same way as the user's.
 */
#include "agent/config/fill.h"

#include "agent/config/nearest.h"
#include "agent/config/scalar.h"
#include "agent/config/secret.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUE_BYTES_MAX 65536 /* of one scalar, variables replaced */
#define SHOWN_MAX       60    /* bytes of a wrong value that a message repeats */
#define FILE_SUFFIX     "_file"

static void complain(struct tly_fill *fill, const struct tly_option *row,
                     const struct tly_yaml_node *node, const char *format, ...) TLY_PRINTF(4, 5);

static void complain(struct tly_fill *fill, const struct tly_option *row,
                     const struct tly_yaml_node *node, const char *format, ...)
{
    char text[TLY_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    va_end(args);
    if (fill->defaulting) {
        tly_complain(fill->complaints, 0, 0, "the default of `%s`, which is %s: %s",
                     fill->defaulting->key, fill->defaulting->fallback, text);
    } else {
        tly_complain(fill->complaints, node->line, node->column, "`%s`: %s", row->key, text);
    }
}

static void out_of_memory(struct tly_fill *fill)
{
    fill->failed = -ENOMEM;
}

/* ---- scalars ---- */

/* The node's text with variables replaced, owned by the caller; NULL: complained about. */
static char *scalar_text(struct tly_fill *fill, const struct tly_option *row,
                         const struct tly_yaml_node *node)
{
    if (node->kind != TLY_YAML_SCALAR) {
        complain(fill, row, node, "one value belongs here, not %s",
                 node->kind == TLY_YAML_LIST ? "a list" : "a section");
        return NULL;
    }
    if (tly_yaml_null(node)) {
        complain(fill, row, node, "it has no value; leave the line out for the default%s",
                 row->type == TLY_OPTION_STRING ? ", or write \"\" for an empty text" : "");
        return NULL;
    }
    struct tly_buf buf;
    struct tly_error err;
    tly_buf_init(&buf, VALUE_BYTES_MAX);
    int rc = tly_expand((struct tly_text){node->text, node->len}, &buf, &err);
    char *text = NULL;
    if (rc < 0) {
        complain(fill, row, node, "%s", err.text);
    } else {
        text = tly_text_dup(tly_buf_text(&buf));
        if (!text) {
            out_of_memory(fill);
        }
    }
    if (buf.at) {
        explicit_bzero(buf.at, buf.cap); /* it may have been a secret */
    }
    tly_buf_done(&buf);
    return text;
}

static void complain_range(struct tly_fill *fill, const struct tly_option *row,
                           const struct tly_yaml_node *node, const char *text, bool below)
{
    char least[TLY_SCALAR_TEXT_MAX];
    char most[TLY_SCALAR_TEXT_MAX];
    tly_option_number_format(row->type, row->min, least);
    tly_option_number_format(row->type, row->max, most);
    if (row->max > row->min) {
        complain(fill, row, node, "%.*s is too %s; allowed is %s to %s", SHOWN_MAX, text,
                 below ? "small" : "large", least, most);
    } else if (below) {
        complain(fill, row, node, "%.*s is too small; allowed is %s or more", SHOWN_MAX, text,
                 least);
    } else {
        complain(fill, row, node, "%.*s is too large", SHOWN_MAX, text);
    }
}

static void fill_number(struct tly_fill *fill, const struct tly_option *row,
                        const struct tly_yaml_node *node, const char *text, int64_t *to)
{
    struct tly_text trimmed = tly_text_trim(tly_text_of(text));
    int64_t value = 0;
    int rc;
    const char *form;
    if (row->type == TLY_OPTION_SIZE) {
        rc = tly_scalar_size(trimmed, &value);
        form = "a size; write it as 512, 64KiB, 10MiB, 1GiB, or with k, M, G for powers of 1000";
    } else if (row->type == TLY_OPTION_DURATION) {
        rc = tly_scalar_duration(trimmed, &value);
        form = "a duration; write it as 250ms, 10s, 5m, 1h30m or 7d";
    } else {
        rc = tly_text_i64(trimmed, &value);
        form = "a whole number";
    }
    if (rc == TLY_E_MALFORMED) {
        complain(fill, row, node, "`%.*s` is not %s", SHOWN_MAX, text, form);
    } else if (rc < 0) {
        complain_range(fill, row, node, text, *trimmed.at == '-');
    } else if (value < row->min || (row->max > row->min && value > row->max)) {
        complain_range(fill, row, node, text, value < row->min);
    } else {
        *to = value;
    }
}

static void fill_enum(struct tly_fill *fill, const struct tly_option *row,
                      const struct tly_yaml_node *node, const char *text, int *to)
{
    struct tly_nearest nearest;
    tly_nearest_init(&nearest, tly_text_of(text));
    char list[TLY_ERROR_TEXT_MAX / 2] = "";
    size_t len = 0;
    for (int i = 0; row->choices[i]; i++) {
        if (strcmp(text, row->choices[i]) == 0) {
            *to = i;
            return;
        }
        tly_nearest_try(&nearest, row->choices[i]);
        const char *between = i == 0 ? "" : row->choices[i + 1] ? ", " : " or ";
        int added = snprintf(list + len, sizeof(list) - len, "%s%s", between, row->choices[i]);
        len += added > 0 ? (size_t)added : 0;
        len = len < sizeof(list) ? len : sizeof(list) - 1;
    }
    if (nearest.name) {
        complain(fill, row, node, "`%.*s` is not a choice, did you mean `%s`? Allowed is %s",
                 SHOWN_MAX, text, nearest.name, list);
    } else {
        complain(fill, row, node, "`%.*s` is not a choice; allowed is %s", SHOWN_MAX, text, list);
    }
}

static bool verified(struct tly_fill *fill, const struct tly_option *row,
                     const struct tly_yaml_node *node, const char *text)
{
    struct tly_error err = {0};
    if (!row->verify || row->verify(text, &err) == 0) {
        return true;
    }
    complain(fill, row, node, "%s", err.text);
    return false;
}

static void note_file(struct tly_fill *fill, const char *path)
{
    struct tly_strings *files = fill->files;
    if (files == NULL) {
        return;
    }
    char **grown = reallocarray(files->at, files->count + 1, sizeof(*grown));
    char *copy = strdup(path);
    if (grown != NULL) {
        files->at = grown;
    }
    if (grown == NULL || copy == NULL) {
        free(copy);
        out_of_memory(fill);
        return;
    }
    files->at[files->count++] = copy;
}

static void fill_path(struct tly_fill *fill, const struct tly_option *row,
                      const struct tly_yaml_node *node, const char *text, char **to)
{
    if (*text == '\0') {
        complain(fill, row, node, "the path is empty; leave the line out for the default");
        return;
    }
    if (!verified(fill, row, node, text)) {
        return;
    }
    bool relative = *text != '/' && fill->folder && !fill->defaulting;
    if (asprintf(to, "%s%s%s", relative ? fill->folder : "", relative ? "/" : "", text) < 0) {
        *to = NULL;
        out_of_memory(fill);
        return;
    }
    note_file(fill, *to);
}

static void fill_scalar(struct tly_fill *fill, const struct tly_option *row,
                        const struct tly_yaml_node *node, void *to)
{
    char *text = scalar_text(fill, row, node);
    if (!text) {
        return;
    }
    switch (row->type) {
    case TLY_OPTION_BOOL:
        if (tly_scalar_bool(tly_text_of(text), to) < 0) {
            complain(fill, row, node, "`%.*s` is neither true nor false", SHOWN_MAX, text);
        }
        break;
    case TLY_OPTION_ENUM:
        fill_enum(fill, row, node, text, to);
        break;
    case TLY_OPTION_PATH:
        fill_path(fill, row, node, text, to);
        break;
    case TLY_OPTION_STRING:
        if (verified(fill, row, node, text)) {
            *(char **)to = text;
            text = NULL;
        }
        break;
    default:
        fill_number(fill, row, node, text, to);
        break;
    }
    free(text);
}

/* ---- secrets ---- */

static void fill_secret(struct tly_fill *fill, const struct tly_option *row,
                        const struct tly_yaml_node *node, char **to)
{
    char *text = scalar_text(fill, row, node);
    if (text && fill->exposed && !strstr(node->text, "${")) {
        complain(fill, row, node,
                 "a secret in a file that everyone may read; take that away by `chmod o=`, or use "
                 "`%s" FILE_SUFFIX "` or ${NAME}",
                 row->key);
    } else if (text && *text == '\0') {
        complain(fill, row, node, "the secret is empty");
    } else if (text && verified(fill, row, node, text)) {
        *to = text;
        text = NULL;
    }
    tly_secret_free(text);
}

static void fill_secret_file(struct tly_fill *fill, const struct tly_option *row,
                             const struct tly_yaml_node *node, char **to)
{
    char key[128];
    (void)snprintf(key, sizeof(key), "%s" FILE_SUFFIX, row->key); /* keys are short */
    const struct tly_option path_row = {.key = key, .type = TLY_OPTION_PATH};
    char *path = NULL;
    fill_scalar(fill, &path_row, node, &path);
    if (!path) {
        return;
    }
    struct tly_error err = {0};
    char *secret = NULL;
    if (tly_secret_read(path, &secret, &err) < 0) {
        complain(fill, &path_row, node, "cannot use %s: %s", path, err.text);
    } else if (verified(fill, row, node, secret)) {
        *to = secret;
        secret = NULL;
    }
    tly_secret_free(secret);
    free(path);
}

/* ---- lists ---- */

static void fill_strings(struct tly_fill *fill, const struct tly_option *row,
                         const struct tly_yaml_node *node, struct tly_strings *to)
{
    if (tly_yaml_null(node)) {
        return;
    }
    if (node->kind == TLY_YAML_MAP) {
        complain(fill, row, node, "a list belongs here, not a section");
        return;
    }
    const bool single = node->kind == TLY_YAML_SCALAR;
    size_t count = single ? 1 : node->count;
    if (count == 0) {
        return;
    }
    to->at = calloc(count, sizeof(char *));
    if (!to->at) {
        out_of_memory(fill);
        return;
    }
    to->count = count;
    const struct tly_option item_row = {.key = row->key,
                                        .type = row->type == TLY_OPTION_PATHS ? TLY_OPTION_PATH
                                                                              : TLY_OPTION_STRING,
                                        .verify = row->verify};
    for (size_t i = 0; i < count; i++) {
        fill_scalar(fill, &item_row, single ? node : node->at[i], &to->at[i]);
    }
}

/* What a struct is filled from: a map, or a plain text that stands for one of its keys. */
struct source {
    const struct tly_yaml_node *map;
    const char *shorthand;
    const struct tly_yaml_node *text;
};

static void fill_from(struct tly_fill *fill, const struct tly_option *rows,
                      const struct source *source, char *to);

static void complain_unknown(struct tly_fill *fill, const struct tly_option *row,
                             const struct tly_yaml_node *key)
{
    struct tly_nearest nearest;
    tly_nearest_init(&nearest, (struct tly_text){key->text, key->len});
    char list[TLY_ERROR_TEXT_MAX / 2] = "";
    size_t len = 0;
    for (const struct tly_option *at = row->inner; at->key; at++) {
        tly_nearest_try(&nearest, at->key);
        int added = snprintf(list + len, sizeof(list) - len, "%s%s", len > 0 ? ", " : "", at->key);
        len += added > 0 ? (size_t)added : 0;
        len = len < sizeof(list) ? len : sizeof(list) - 1;
    }
    if (nearest.name) {
        tly_complain(fill->complaints, key->line, key->column,
                     "unknown key `%.*s` in `%s`, did you mean `%s`?", SHOWN_MAX, key->text,
                     row->key, nearest.name);
    } else {
        tly_complain(fill->complaints, key->line, key->column,
                     "unknown key `%.*s` in `%s`; its keys are %s", SHOWN_MAX, key->text, row->key,
                     list);
    }
}

/* A section or an item of a list. */
static void fill_struct(struct tly_fill *fill, const struct tly_option *row,
                        const struct tly_yaml_node *node, char *to)
{
    struct source source = {0};
    if (node->kind == TLY_YAML_MAP) {
        source.map = node;
        for (size_t i = 0; i < node->count; i += 2) {
            const struct tly_yaml_node *key = node->at[i];
            if (!tly_fill_knows(row->inner, (struct tly_text){key->text, key->len})) {
                complain_unknown(fill, row, key);
            }
        }
    } else if (node->kind == TLY_YAML_SCALAR && row->type == TLY_OPTION_LIST && row->shorthand &&
               !tly_yaml_null(node)) {
        source.shorthand = row->shorthand;
        source.text = node;
    } else if (row->type == TLY_OPTION_SECTION && tly_yaml_null(node)) {
        source = (struct source){0};
    } else {
        complain(fill, row, node, "`key: value` lines belong here%s, not %s",
                 row->type == TLY_OPTION_LIST && row->shorthand ? ", or a text" : "",
                 node->kind == TLY_YAML_LIST ? "a list"
                 : tly_yaml_null(node)       ? "nothing"
                                             : "a single value");
        return;
    }
    fill_from(fill, row->inner, &source, to);
}

static void fill_list(struct tly_fill *fill, const struct tly_option *row,
                      const struct tly_yaml_node *node, struct tly_list *to)
{
    if (tly_yaml_null(node)) {
        return;
    }
    if (node->kind != TLY_YAML_LIST) {
        complain(fill, row, node, "a list belongs here, even for one; begin %s with `- `",
                 node->kind == TLY_YAML_MAP ? "its first line" : "the item");
        return;
    }
    if (node->count == 0) {
        return;
    }
    to->at = calloc(node->count, row->inner_size);
    if (!to->at) {
        out_of_memory(fill);
        return;
    }
    to->count = node->count;
    for (size_t i = 0; i < node->count; i++) {
        fill_struct(fill, row, node->at[i], (char *)to->at + i * row->inner_size);
    }
}

/* ---- pairs ---- */

static void fill_pairs(struct tly_fill *fill, const struct tly_option *row,
                       const struct tly_yaml_node *node, struct tly_pairs *to)
{
    if (tly_yaml_null(node)) {
        return;
    }
    if (node->kind != TLY_YAML_MAP) {
        complain(fill, row, node, "`name: text` lines belong here");
        return;
    }
    if (node->count == 0) {
        return;
    }
    to->at = calloc(node->count / 2, sizeof(struct tly_pair));
    if (!to->at) {
        out_of_memory(fill);
        return;
    }
    for (size_t i = 0; i < node->count; i += 2) {
        const struct tly_yaml_node *name = node->at[i];
        struct tly_pair *pair = &to->at[to->count++];
        const struct tly_option value_row = {
            .key = name->text, .type = TLY_OPTION_STRING, .verify = row->inner->verify};
        pair->name = tly_text_dup((struct tly_text){name->text, name->len});
        fill_scalar(fill, &value_row, node->at[i + 1], &pair->value);
        if (!pair->name) {
            out_of_memory(fill);
        }
        for (size_t j = 0; j < i; j += 2) {
            if (strcmp(node->at[j]->text, name->text) == 0) {
                tly_complain(fill->complaints, name->line, name->column,
                             "`%.*s` stands here a second time; the first is in line %zu",
                             SHOWN_MAX, name->text, node->at[j]->line);
                break;
            }
        }
    }
}

/* ---- rows ---- */

static void fill_default(struct tly_fill *fill, const struct tly_option *row, void *to)
{
    struct tly_document document = {0};
    int rc = tly_document_parse(tly_text_of(row->fallback), fill->complaints, &document);
    if (rc == -ENOMEM) {
        out_of_memory(fill);
    }
    if (rc < 0 || !document.root) {
        return; /* a table's own mistake, which the tests of the tables find */
    }
    const struct tly_option *outer = fill->defaulting;
    fill->defaulting = row;
    tly_fill_value(fill, row, document.root, to);
    fill->defaulting = outer;
    tly_document_done(&document);
}

void tly_fill_value(struct tly_fill *fill, const struct tly_option *row,
                    const struct tly_yaml_node *node, void *to)
{
    if (!node && row->fallback) {
        fill_default(fill, row, to);
        return;
    }
    switch (row->type) {
    case TLY_OPTION_SECTION:
        if (node) {
            fill_struct(fill, row, node, to);
        } else {
            fill_from(fill, row->inner, &(struct source){0}, to);
        }
        return;
    case TLY_OPTION_LIST:
        if (node) {
            fill_list(fill, row, node, to);
        }
        return;
    case TLY_OPTION_PAIRS:
        if (node) {
            fill_pairs(fill, row, node, to);
        }
        return;
    case TLY_OPTION_STRINGS:
    case TLY_OPTION_PATHS:
        if (node) {
            fill_strings(fill, row, node, to);
        }
        return;
    case TLY_OPTION_SECRET:
        if (node) {
            fill_secret(fill, row, node, to);
        }
        return;
    default:
        if (node) {
            fill_scalar(fill, row, node, to);
        }
        return;
    }
}

static const struct tly_yaml_node *find(struct tly_fill *fill, const struct source *source,
                                        const char *key)
{
    if (source->text) {
        return strcmp(source->shorthand, key) == 0 ? source->text : NULL;
    }
    const struct tly_yaml_node *found = NULL;
    size_t found_line = 0;
    for (size_t i = 0; source->map && i < source->map->count; i += 2) {
        const struct tly_yaml_node *name = source->map->at[i];
        if (strcmp(name->text, key) != 0) {
            continue;
        }
        if (found) {
            tly_complain(fill->complaints, name->line, name->column,
                         "`%s` stands here a second time; the first is in line %zu", key,
                         found_line);
        } else {
            found = source->map->at[i + 1];
            found_line = name->line;
        }
    }
    return found;
}

static void fill_row(struct tly_fill *fill, const struct tly_option *row,
                     const struct source *source, char *to)
{
    const struct tly_yaml_node *node = find(fill, source, row->key);
    const struct tly_yaml_node *file = NULL;
    if (row->type == TLY_OPTION_SECRET) {
        char key[128];
        (void)snprintf(key, sizeof(key), "%s" FILE_SUFFIX, row->key); /* keys are short */
        file = find(fill, source, key);
    }
    if (file && node) {
        complain(fill, row, file, "either the secret itself or `%s" FILE_SUFFIX "`, not both",
                 row->key);
    } else if (file) {
        fill_secret_file(fill, row, file, (char **)(void *)to);
        return;
    }
    const struct tly_yaml_node *written = source->map ? source->map : source->text;
    if (!node && row->required && written) {
        complain(fill, row, written, "it is missing, and has no default%s%s%s",
                 row->help ? " (" : "", row->help ? row->help : "", row->help ? ")" : "");
        return;
    }
    tly_fill_value(fill, row, node, to);
}

static void fill_from(struct tly_fill *fill, const struct tly_option *rows,
                      const struct source *source, char *to)
{
    for (const struct tly_option *row = rows; row->key; row++) {
        fill_row(fill, row, source, to + row->offset);
    }
}

void tly_fill_rows(struct tly_fill *fill, const struct tly_option *rows,
                   const struct tly_yaml_node *map, char *to)
{
    fill_from(fill, rows, &(struct source){.map = map}, to);
}

bool tly_fill_knows(const struct tly_option *rows, struct tly_text key)
{
    for (const struct tly_option *row = rows; row->key; row++) {
        struct tly_text name = tly_text_of(row->key);
        if (tly_text_equal(name, key)) {
            return true;
        }
        if (row->type == TLY_OPTION_SECRET && tly_text_starts(key, name) &&
            tly_text_equal((struct tly_text){key.at + name.len, key.len - name.len},
                           TLY_TEXT(FILE_SUFFIX))) {
            return true;
        }
    }
    return false;
}
