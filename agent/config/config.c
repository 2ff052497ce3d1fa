/*
 * The parsed file as a whole: which sections it has, where each one's values live, and the end of
 * them. The work on single values is done in fill.c.
 */
#include "agent/base/file.h"
#include "agent/config/document.h"
#include "agent/config/fill.h"
#include "agent/config/nearest.h"
#include "agent/config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct tly_config {
    const struct tly_section *const *sections; /* borrowed */
    size_t count;
    void **values; /* one for each section: its struct, or its struct tly_list */
    struct tly_strings files;
    size_t refs;
};

/* A section that has a key, as the row of a table: so both are filled and released alike. */
static struct tly_option section_row(const struct tly_section *section)
{
    return (struct tly_option){.key = section->key,
                               .type = section->type,
                               .inner = section->options,
                               .inner_size = section->size,
                               .shorthand = section->shorthand};
}

static bool holds_top_keys(const struct tly_section *section)
{
    return *section->key == '\0';
}

/* ---- unknown keys ---- */

static bool known(const struct tly_config *config, struct tly_text key)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct tly_section *section = config->sections[i];
        if (holds_top_keys(section) ? tly_fill_knows(section->options, key)
                                    : tly_text_equal(key, tly_text_of(section->key))) {
            return true;
        }
    }
    return false;
}

/* The section in which such a key would be right; NULL if none. */
static const char *home_of(const struct tly_config *config, struct tly_text key)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct tly_section *section = config->sections[i];
        if (!holds_top_keys(section) && section->type != TLY_OPTION_PAIRS &&
            tly_fill_knows(section->options, key)) {
            return section->key;
        }
    }
    return NULL;
}

/* Few enough to be told in a message: a file that has a page of its own lists none. */
#define FEW_SECTIONS 6

static bool few_keys(const struct tly_config *config)
{
    bool few = config->count <= FEW_SECTIONS;
    for (size_t i = 0; i < config->count; i++) {
        few = few && !holds_top_keys(config->sections[i]);
    }
    return few;
}

static void list_keys(const struct tly_config *config, char *to, size_t cap)
{
    size_t len = 0;
    *to = '\0';
    for (size_t i = 0; i < config->count && len < cap - 1; i++) {
        int added = snprintf(to + len, cap - len, "%s%s", i > 0 ? ", " : "",
                             config->sections[i]->key);
        len += added > 0 ? (size_t)added : 0;
    }
}

static void complain_unknown(const struct tly_config *config, const struct tly_yaml_node *key,
                             struct tly_complaints *complaints)
{
    struct tly_text name = {key->text, key->len};
    struct tly_nearest nearest;
    tly_nearest_init(&nearest, name);
    for (size_t i = 0; i < config->count; i++) {
        const struct tly_section *section = config->sections[i];
        if (!holds_top_keys(section)) {
            tly_nearest_try(&nearest, section->key);
            continue;
        }
        for (const struct tly_option *row = section->options; row->key; row++) {
            tly_nearest_try(&nearest, row->key);
        }
    }
    const char *home = home_of(config, name);
    if (home) {
        tly_complain(complaints, key->line, key->column,
                     "unknown key `%s` at the top; it belongs in the section `%s`, indented below "
                     "`%s:`",
                     key->text, home, home);
    } else if (nearest.name) {
        tly_complain(complaints, key->line, key->column, "unknown key `%.60s`, did you mean `%s`?",
                     key->text, nearest.name);
    } else if (few_keys(config)) {
        char list[TLY_ERROR_TEXT_MAX / 2];
        list_keys(config, list, sizeof(list));
        tly_complain(complaints, key->line, key->column, "unknown key `%.60s`; its keys are %s",
                     key->text, list);
    } else {
        tly_complain(complaints, key->line, key->column,
                     "unknown key `%.60s`; docs/configuration.md lists all", key->text);
    }
}

/* ---- sections ---- */

/* The value of a top-level key; a key that stands twice is complained about. */
static const struct tly_yaml_node *find_top(const struct tly_yaml_node *root, const char *key,
                                            struct tly_complaints *complaints)
{
    const struct tly_yaml_node *found = NULL;
    size_t found_line = 0;
    for (size_t i = 0; root && i < root->count; i += 2) {
        const struct tly_yaml_node *name = root->at[i];
        if (strcmp(name->text, key) != 0) {
            continue;
        }
        if (found) {
            tly_complain(complaints, name->line, name->column,
                         "`%s` stands here a second time; the first is in line %zu", key,
                         found_line);
        } else {
            found = root->at[i + 1];
            found_line = name->line;
        }
    }
    return found;
}

static void fill_section(struct tly_fill *fill, const struct tly_section *section,
                         const struct tly_yaml_node *root, void *value)
{
    const size_t count_before = fill->complaints->count;
    const struct tly_yaml_node *node = NULL;
    if (holds_top_keys(section)) {
        tly_fill_rows(fill, section->options, root, value);
    } else {
        const struct tly_option row = section_row(section);
        node = find_top(root, section->key, fill->complaints);
        tly_fill_value(fill, &row, node, value);
    }
    if (section->verify && fill->complaints->count == count_before && fill->failed == 0) {
        struct tly_error err = {0};
        if (section->verify(value, &err) < 0) {
            tly_complain(fill->complaints, node ? node->line : 0, node ? node->column : 0, "%s%s%s",
                         section->key, *section->key ? ": " : "", err.text);
        }
    }
}

static int fill_all(struct tly_config *config, const struct tly_yaml_node *root,
                    struct tly_fill *fill)
{
    for (size_t i = 0; root && i < root->count; i += 2) {
        const struct tly_yaml_node *key = root->at[i];
        if (!known(config, (struct tly_text){key->text, key->len})) {
            complain_unknown(config, key, fill->complaints);
        }
    }
    for (size_t i = 0; i < config->count; i++) {
        fill_section(fill, config->sections[i], root, config->values[i]);
    }
    if (fill->failed < 0) {
        return fill->failed;
    }
    return fill->complaints->count > 0 ? TLY_E_MALFORMED : 0;
}

static struct tly_config *config_new(const struct tly_section *const *sections, size_t count)
{
    struct tly_config *config = calloc(1, sizeof(*config));
    if (!config) {
        return NULL;
    }
    config->refs = 1;
    config->sections = sections;
    config->values = calloc(count > 0 ? count : 1, sizeof(void *));
    for (size_t i = 0; config->values && i < count; i++) {
        bool list = sections[i]->type == TLY_OPTION_LIST;
        config->values[i] = calloc(1, list ? sizeof(struct tly_list) : sections[i]->size);
        if (!config->values[i]) {
            break;
        }
        config->count++;
    }
    if (config->count < count) {
        tly_config_free(config);
        return NULL;
    }
    return config;
}

/* `folder` and `exposed` as in struct tly_fill. */
static int parse(const struct tly_section *const *sections, size_t section_count,
                 struct tly_text text, const char *folder, bool exposed,
                 struct tly_complaints *complaints, struct tly_config **ret_config)
{
    complaints->count = 0;
    if (text.len > TLY_CONFIG_BYTES_MAX) {
        tly_complain(complaints, 0, 0, "the file is larger than %d bytes", TLY_CONFIG_BYTES_MAX);
        return TLY_E_MALFORMED;
    }
    struct tly_document document = {0};
    int rc = tly_document_parse(text, complaints, &document);
    if (rc < 0) {
        return rc;
    }
    const struct tly_yaml_node *root = document.root;
    if (root && tly_yaml_null(root)) {
        root = NULL;
    }
    struct tly_config *config = config_new(sections, section_count);
    if (!config) {
        rc = -ENOMEM;
    } else if (root && root->kind != TLY_YAML_MAP) {
        tly_complain(complaints, root->line, root->column,
                     "the file must consist of `key: value` lines and sections");
        rc = TLY_E_MALFORMED;
    } else {
        struct tly_fill fill = {.complaints = complaints,
                                .folder = folder,
                                .exposed = exposed,
                                .files = &config->files};
        rc = fill_all(config, root, &fill);
    }
    tly_document_done(&document);
    tly_complaints_sort(complaints);
    if (rc < 0) {
        tly_config_free(config);
        return rc;
    }
    *ret_config = config;
    return 0;
}

int tly_config_parse(const struct tly_section *const *sections, size_t section_count,
                     const char *text, size_t len, struct tly_complaints *complaints,
                     struct tly_config **ret_config)
{
    return parse(sections, section_count, (struct tly_text){text, len}, NULL, false, complaints,
                 ret_config);
}

/* ---- files ---- */

static int read_file(const char *path, struct tly_buf *buf, bool *ret_exposed)
{
    TLY_AUTO_FD fd = -1;
    int rc = tly_file_open(AT_FDCWD, path, O_RDONLY, &fd);
    if (rc < 0) {
        return rc;
    }
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    *ret_exposed = S_ISREG(status.st_mode) && (status.st_mode & S_IROTH);
    /* All at once: growing would leave copies of secrets behind that nobody wipes. */
    char *room = NULL;
    rc = tly_buf_reserve(buf, buf->max, &room);
    return rc < 0 ? rc : tly_file_read_fd(fd, buf);
}

int tly_config_load(const struct tly_section *const *sections, size_t section_count,
                    const char *path, struct tly_complaints *complaints,
                    struct tly_config **ret_config, struct tly_error *err)
{
    complaints->count = 0;
    const char *slash = strrchr(path, '/');
    TLY_AUTO_FREE char *folder = NULL;
    if (slash) {
        size_t len = slash > path ? (size_t)(slash - path) : 1;
        folder = tly_text_dup((struct tly_text){path, len});
        if (!folder) {
            return tly_error_set(err, -ENOMEM, "%s", tly_error_name(-ENOMEM));
        }
    }
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_CONFIG_BYTES_MAX);
    bool exposed = false;
    int rc = read_file(path, &buf, &exposed);
    if (rc == TLY_E_LIMIT) {
        tly_complain(complaints, 0, 0, "the file is larger than %d bytes", TLY_CONFIG_BYTES_MAX);
        rc = TLY_E_MALFORMED;
    } else if (rc == 0) {
        rc = parse(sections, section_count, tly_buf_text(&buf), folder, exposed, complaints,
                   ret_config);
    }
    if (buf.at) {
        explicit_bzero(buf.at, buf.cap);
    }
    tly_buf_done(&buf);
    if (rc == TLY_E_MALFORMED) {
        return tly_error_set(err, rc, "%s has %zu mistake%s", path, complaints->count,
                             complaints->count == 1 ? "" : "s");
    }
    return rc < 0 ? tly_error_set(err, rc, "cannot read %s: %s", path, tly_error_name(rc)) : 0;
}

/* ---- reading and the end ---- */

const void *tly_config_section(const struct tly_config *config, const struct tly_section *section)
{
    for (size_t i = 0; i < config->count; i++) {
        if (config->sections[i] == section) {
            return config->values[i];
        }
    }
    return NULL;
}

const struct tly_strings *tly_config_files(const struct tly_config *config)
{
    return &config->files;
}

static void release_strings(struct tly_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++) {
        free(strings->at[i]);
    }
    free(strings->at);
}

static void release_pairs(struct tly_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->at[i].name);
        tly_secret_free(pairs->at[i].value);
    }
    free(pairs->at);
}

static void release_rows(const struct tly_option *rows, char *values);

static void release(const struct tly_option *row, void *value)
{
    struct tly_list *list = value;
    switch (row->type) {
    case TLY_OPTION_SECRET:
        tly_secret_free(*(char **)value);
        break;
    case TLY_OPTION_STRING:
    case TLY_OPTION_PATH:
        free(*(char **)value);
        break;
    case TLY_OPTION_STRINGS:
    case TLY_OPTION_PATHS:
        release_strings(value);
        break;
    case TLY_OPTION_SECTION:
        release_rows(row->inner, value);
        break;
    case TLY_OPTION_LIST:
        for (size_t i = 0; i < list->count; i++) {
            release_rows(row->inner, (char *)list->at + i * row->inner_size);
        }
        free(list->at);
        break;
    case TLY_OPTION_PAIRS:
        release_pairs(value);
        break;
    default:
        break;
    }
}

static void release_rows(const struct tly_option *rows, char *values)
{
    for (const struct tly_option *row = rows; row->key; row++) {
        release(row, values + row->offset);
    }
}

struct tly_config *tly_config_ref(struct tly_config *config)
{
    if (config) {
        config->refs++;
    }
    return config;
}

void tly_config_free(struct tly_config *config)
{
    if (!config || --config->refs > 0) {
        return;
    }
    for (size_t i = 0; i < config->count; i++) {
        const struct tly_section *section = config->sections[i];
        if (holds_top_keys(section)) {
            release_rows(section->options, config->values[i]);
        } else {
            const struct tly_option row = section_row(section);
            release(&row, config->values[i]);
        }
        free(config->values[i]);
    }
    free(config->values);
    release_strings(&config->files);
    free(config);
}
