/*
 * From YAML to groups of rules. Each mistake is a complaint with its place, inside of expressions
 * and templates too, and reading goes on; a file with complaints yields nothing.
 */
#include "agent/rules/rule_file.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"
#include "agent/rules/yaml_fields.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* What a file of the greatest length can become. */
#define ARENA_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define QUERY_BYTES_MAX ((size_t)TLY_EXPR_LEN_MAX * 400)

struct reader {
    struct tly_yaml_reader yaml;
    struct tly_rule_file *file;
    struct tly_text path;
};

static const char *const file_fields[] = {"groups", NULL};
static const char *const group_fields[] = {"name",   "interval", "query_offset", "limit", "rules",
                                           "labels", NULL};
static const char *const rule_fields[] = {"record",          "alert",  "expr",        "for",
                                          "keep_firing_for", "labels", "annotations", NULL};
enum { FIELD_RECORD, FIELD_ALERT, FIELD_EXPR, FIELD_FOR, FIELD_KEEP, FIELD_LABELS, FIELD_NOTES };

static void *make(struct reader *reader, size_t bytes)
{
    void *at = tly_arena_alloc(&reader->file->arena, bytes > 0 ? bytes : 1);
    reader->yaml.no_memory = reader->yaml.no_memory || !at;
    return at;
}

static struct tly_text keep(struct reader *reader, struct tly_text text)
{
    struct tly_text copy = tly_arena_text(&reader->file->arena, text.at ? text : TLY_TEXT(""));
    reader->yaml.no_memory = reader->yaml.no_memory || !copy.at;
    return copy;
}

/* ---- labels and annotations ---- */

static int pair_order(const void *a, const void *b)
{
    const struct tly_text left = ((const struct tly_rule_pair *)a)->name;
    const struct tly_text right = ((const struct tly_rule_pair *)b)->name;
    size_t least = left.len < right.len ? left.len : right.len;
    int order = least > 0 ? memcmp(left.at, right.at, least) : 0;
    return order != 0 ? order : (left.len > right.len) - (left.len < right.len);
}

static void read_template(struct reader *reader, const struct tly_yaml_node *node,
                          struct tly_rule_pair *pair)
{
    struct tly_error err = {0};
    size_t at = 0;
    int rc = tly_template_parse(pair->text, &pair->expands, &at, &err);
    if (rc == -ENOMEM) {
        reader->yaml.no_memory = true;
    } else if (rc < 0) {
        tly_yaml_complain_at(&reader->yaml, node, at, "`%.*s`: %s", (int)pair->name.len,
                             pair->name.at, err.text);
    }
}

/* Appends the pairs of a map to `pairs`, which has room for all; those that are there stay. */
static void read_pairs(struct reader *reader, const struct tly_yaml_node *node, const char *what,
                       bool templates, struct tly_rule_pair *pairs, size_t *count)
{
    if (node && node->kind != TLY_YAML_MAP) {
        tly_yaml_complain(&reader->yaml, node, "`%s` is a section of `name: text` lines", what);
        return;
    }
    for (size_t i = 0; node && !reader->yaml.no_memory && i + 1 < node->count; i += 2) {
        const struct tly_yaml_node *key = node->at[i];
        struct tly_text name = {key->text, key->len};
        struct tly_rule_pair pair = {0};
        if (!tly_yaml_text(&reader->yaml, node->at[i + 1], key->text, &pair.text)) {
            continue;
        }
        if (name.len == 0 || tly_text_utf8_prefix(name) != name.len ||
            (*what == 'l' && tly_text_equal(name, TLY_TEXT("__name__")))) {
            tly_yaml_complain(&reader->yaml, key, "`%.60s` is no name of a label", key->text);
            continue;
        }
        bool twice = false;
        for (size_t k = 0; k + 1 < i; k += 2) {
            const struct tly_yaml_node *earlier = node->at[k];
            assert(earlier->text != NULL); /* as that of every key */
            twice = twice || tly_text_equal((struct tly_text){earlier->text, earlier->len}, name);
        }
        if (twice) {
            tly_yaml_complain(&reader->yaml, key, "`%s` stands here twice; keep one", key->text);
            continue;
        }
        for (size_t k = 0; k < *count; k++) { /* the rule's own come before its group's */
            twice = twice || tly_text_equal(pairs[k].name, name);
        }
        if (twice) {
            continue;
        }
        pair.name = keep(reader, name);
        pair.text = keep(reader, pair.text);
        if (templates && !reader->yaml.no_memory) {
            read_template(reader, node->at[i + 1], &pair);
        }
        pairs[(*count)++] = pair;
    }
}

static size_t pair_count(const struct tly_yaml_node *node)
{
    return node && node->kind == TLY_YAML_MAP ? node->count / 2 : 0;
}

/* ---- a rule ---- */

/* The byte of a place in a text. */
static size_t offset_of(struct tly_text text, struct tly_place place)
{
    size_t at = 0;
    for (unsigned line = place.line; line > 1 && at < text.len; at++) {
        line -= text.at[at] == '\n';
    }
    for (unsigned column = place.column; column > 1 && at < text.len; column--) {
        at++;
        while (at < text.len && ((unsigned char)text.at[at] & 0xc0) == 0x80) {
            at++;
        }
    }
    return at;
}

static void read_query(struct reader *reader, struct tly_rule *rule)
{
    struct tly_buf buf;
    tly_buf_init(&buf, QUERY_BYTES_MAX);
    int rc = tly_expr_print(rule->expr, &buf);
    rule->query = rc < 0 ? rule->expr->text : keep(reader, tly_buf_text(&buf));
    tly_buf_done(&buf);
}

static void read_expr(struct reader *reader, const struct tly_yaml_node *node,
                      struct tly_rule *rule)
{
    struct tly_text text = {NULL, 0};
    if (!tly_yaml_text(&reader->yaml, node, "expr", &text)) {
        return;
    }
    struct tly_error err = {0};
    struct tly_place place = {1, 1};
    int rc = tly_expr_parse(text, &rule->expr, &place, &err);
    if (rc == -ENOMEM) {
        reader->yaml.no_memory = true;
        return;
    }
    if (rc < 0) {
        /* The message begins with the place inside of the text, which the file's own replaces. */
        const char *said = strstr(err.text, ": ");
        tly_yaml_complain_at(&reader->yaml, node, offset_of(text, place), "expr: %s",
                             said && err.text[0] >= '0' && err.text[0] <= '9' ? said + 2
                                                                              : err.text);
        return;
    }
    enum tly_type type = rule->expr->root->type;
    if (type != TLY_TYPE_VECTOR && type != TLY_TYPE_SCALAR) {
        tly_yaml_complain(&reader->yaml, node,
                          "expr: a rule needs an instant vector or a scalar, and this is a %s%s",
                          tly_type_name(type),
                          type == TLY_TYPE_RANGE ? "; put a function such as rate() around it"
                                                 : "");
        return;
    }
    read_query(reader, rule);
}

static void read_name(struct reader *reader, const struct tly_yaml_node *node,
                      const struct tly_yaml_node *record, const struct tly_yaml_node *alert,
                      struct tly_rule *rule)
{
    struct tly_text name = {NULL, 0};
    if (record && alert) {
        tly_yaml_complain(&reader->yaml, alert,
                          "a rule has `record` or `alert`, not both; make two rules of it");
        return;
    }
    if (!record && !alert) {
        tly_yaml_complain(&reader->yaml, node, "a rule needs `record` or `alert`, its name");
        return;
    }
    rule->alerting = alert != NULL;
    const struct tly_yaml_node *given = alert ? alert : record;
    if (!tly_yaml_text(&reader->yaml, given, alert ? "alert" : "record", &name)) {
        return;
    }
    if (name.len == 0) {
        tly_yaml_complain(&reader->yaml, given, "a rule's name must not be empty");
    } else if (record && (memchr(name.at, '{', name.len) || memchr(name.at, '}', name.len))) {
        tly_yaml_complain(&reader->yaml, given,
                          "`%.60s` is no name of a metric; labels go below `labels:`, selectors "
                          "into `expr`",
                          given->text);
    }
    rule->name = keep(reader, name);
}

/* What only an alert can have. */
static void refuse_in_record(struct reader *reader, const struct tly_yaml_node *const *values)
{
    static const int fields[] = {FIELD_FOR, FIELD_KEEP, FIELD_NOTES};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (values[fields[i]]) {
            tly_yaml_complain(&reader->yaml, values[fields[i]],
                              "a recording rule has no `%s`; remove it, or name the rule by "
                              "`alert`",
                              rule_fields[fields[i]]);
        }
    }
}

static void read_rule(struct reader *reader, const struct tly_yaml_node *node,
                      const struct tly_yaml_node *group_labels, struct tly_rule *rule)
{
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    rule->line = node->line;
    if (!tly_yaml_fields(&reader->yaml, node, "a rule", rule_fields, values)) {
        return;
    }
    read_name(reader, node, values[FIELD_RECORD], values[FIELD_ALERT], rule);
    if (values[FIELD_EXPR]) {
        read_expr(reader, values[FIELD_EXPR], rule);
    } else {
        tly_yaml_complain(&reader->yaml, node, "a rule needs `expr`, the expression");
    }
    if (!rule->alerting) {
        refuse_in_record(reader, values);
    }
    /* Complained about where they are wrong, which is all that counts. */
    (void)tly_yaml_duration(&reader->yaml, values[FIELD_FOR], "for", &rule->for_ms);
    (void)tly_yaml_duration(&reader->yaml, values[FIELD_KEEP], "keep_firing_for",
                            &rule->keep_firing_ms);
    size_t labels = pair_count(values[FIELD_LABELS]) + pair_count(group_labels);
    size_t notes = pair_count(values[FIELD_NOTES]);
    rule->labels = make(reader, labels * sizeof(*rule->labels));
    rule->annotations = make(reader, notes * sizeof(*rule->annotations));
    if (reader->yaml.no_memory) {
        return;
    }
    read_pairs(reader, values[FIELD_LABELS], "labels", rule->alerting, rule->labels,
               &rule->label_count);
    read_pairs(reader, group_labels, "labels", rule->alerting, rule->labels, &rule->label_count);
    read_pairs(reader, values[FIELD_NOTES], "annotations", rule->alerting, rule->annotations,
               &rule->annotation_count);
    qsort(rule->labels, rule->label_count, sizeof(*rule->labels), pair_order);
    qsort(rule->annotations, rule->annotation_count, sizeof(*rule->annotations), pair_order);
}

/* ---- groups ---- */

static void read_group(struct reader *reader, const struct tly_yaml_node *node,
                       struct tly_rule_group *group)
{
    enum { NAME, INTERVAL, QUERY_OFFSET, LIMIT, RULES, LABELS };
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    struct tly_text name = {NULL, 0};
    if (!tly_yaml_fields(&reader->yaml, node, "a group", group_fields, values)) {
        return;
    }
    group->file = reader->path;
    if (!tly_yaml_text(&reader->yaml, values[NAME], "name", &name)) {
        name = TLY_TEXT("?");
    } else if (name.len == 0) {
        tly_yaml_complain(&reader->yaml, node, "a group needs a `name`");
    }
    group->name = keep(reader, name);
    /* Complained about where they are wrong, which is all that counts. */
    (void)tly_yaml_duration(&reader->yaml, values[INTERVAL], "interval", &group->interval_ms);
    (void)tly_yaml_duration(&reader->yaml, values[QUERY_OFFSET], "query_offset",
                            &group->query_offset_ms);
    (void)tly_yaml_int(&reader->yaml, values[LIMIT], "limit", &group->limit);
    size_t count = 0;
    if (!tly_yaml_list(&reader->yaml, values[RULES], "rules", &count)) {
        return;
    }
    group->rules = make(reader, count * sizeof(*group->rules));
    for (size_t i = 0; i < count && !reader->yaml.no_memory; i++) {
        group->count++;
        read_rule(reader, values[RULES]->at[i], values[LABELS], &group->rules[i]);
    }
}

static void find_repeated(struct reader *reader, const struct tly_yaml_node *list)
{
    const struct tly_rule_file *file = reader->file;
    for (size_t i = 0; i < file->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (file->groups[i].name.len > 0 &&
                tly_text_equal(file->groups[i].name, file->groups[k].name)) {
                tly_yaml_complain(&reader->yaml, list->at[i],
                                  "the group `%.*s` stands in this file twice; rename one",
                                  (int)file->groups[i].name.len, file->groups[i].name.at);
                break;
            }
        }
    }
}

static void read_file(struct reader *reader, const struct tly_yaml_node *root)
{
    const struct tly_yaml_node *values[TLY_YAML_FIELDS_MAX];
    size_t count = 0;
    if (!root || tly_yaml_null(root)) {
        return; /* an empty file is a valid one, as in Prometheus */
    }
    if (!tly_yaml_fields(&reader->yaml, root, "a rule file", file_fields, values) ||
        !tly_yaml_list(&reader->yaml, values[0], "groups", &count)) {
        return;
    }
    reader->file->groups = make(reader, count * sizeof(struct tly_rule_group));
    for (size_t i = 0; i < count && !reader->yaml.no_memory; i++) {
        reader->file->count++;
        read_group(reader, values[0]->at[i], &reader->file->groups[i]);
    }
    if (count > 0 && !reader->yaml.no_memory) {
        find_repeated(reader, values[0]);
    }
}

int tly_rule_file_parse(struct tly_text text, const char *path, struct tly_complaints *complaints,
                        struct tly_rule_file **ret_file)
{
    complaints->count = 0;
    struct tly_document document;
    struct tly_rule_file *file = calloc(1, sizeof(*file));
    int rc = file ? tly_document_parse(text, complaints, &document) : -ENOMEM;
    if (rc < 0) {
        free(file);
        return rc;
    }
    tly_arena_init(&file->arena, ARENA_BYTES_MAX);
    struct reader reader = {.yaml = {.text = text, .complaints = complaints}, .file = file};
    reader.path = keep(&reader, tly_text_of(path));
    read_file(&reader, document.root);
    tly_document_done(&document);
    tly_complaints_sort(complaints);
    rc = reader.yaml.no_memory ? -ENOMEM : complaints->count > 0 ? TLY_E_MALFORMED : 0;
    if (rc < 0) {
        tly_rule_file_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int tly_rule_file_load(const char *path, struct tly_complaints *complaints,
                       struct tly_rule_file **ret_file, struct tly_error *err)
{
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_RULE_FILE_BYTES_MAX);
    int rc = tly_file_read(AT_FDCWD, path, &buf);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "cannot read %s: %s", path,
                            rc == TLY_E_LIMIT ? "it is larger than 4 MiB" : tly_error_name(rc));
    } else {
        rc = tly_rule_file_parse(buf.at ? tly_buf_text(&buf) : TLY_TEXT(""), path, complaints,
                                 ret_file);
        if (rc < 0) {
            (void)tly_error_set(err, rc, "%s: %s", path, tly_error_name(rc));
        }
    }
    tly_buf_done(&buf);
    return rc;
}

static void pairs_free(struct tly_rule_pair *pairs, size_t count)
{
    for (size_t i = 0; pairs && i < count; i++) {
        tly_template_free(pairs[i].expands);
    }
}

void tly_rule_file_free(struct tly_rule_file *file)
{
    if (!file) {
        return;
    }
    for (size_t i = 0; i < file->count; i++) {
        for (size_t k = 0; k < file->groups[i].count; k++) {
            struct tly_rule *rule = &file->groups[i].rules[k];
            tly_expr_free(rule->expr);
            pairs_free(rule->labels, rule->label_count);
            pairs_free(rule->annotations, rule->annotation_count);
        }
    }
    tly_arena_done(&file->arena);
    free(file);
}

/* ---- what a file is ---- */

enum tly_shape tly_shape_of(struct tly_text text)
{
    struct tly_complaints *complaints = calloc(1, sizeof(*complaints));
    struct tly_document document;
    enum tly_shape shape = TLY_SHAPE_OTHER;
    if (!complaints || tly_document_parse(text, complaints, &document) < 0) {
        free(complaints);
        return shape;
    }
    const struct tly_yaml_node *root = document.root;
    for (size_t i = 0; root && root->kind == TLY_YAML_MAP && i + 1 < root->count; i += 2) {
        const char *key = root->at[i]->text;
        if (strcmp(key, "groups") == 0 && root->at[i + 1]->kind == TLY_YAML_LIST) {
            shape = TLY_SHAPE_RULES;
        } else if (strcmp(key, "rule_files") == 0 || strcmp(key, "tests") == 0) {
            shape = TLY_SHAPE_RULE_TESTS;
        }
    }
    tly_document_done(&document);
    free(complaints);
    return shape;
}
