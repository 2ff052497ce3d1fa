/*
 * Where two configurations of the same sections differ, by the tables that filled them.
 */
#include "agent/config/option.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 128

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_strings(const struct tly_strings *a, const struct tly_strings *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = same_text(a->at[i], b->at[i]);
    }
    return same;
}

static bool same_pairs(const struct tly_pairs *a, const struct tly_pairs *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = same_text(a->at[i].name, b->at[i].name) && same_text(a->at[i].value, b->at[i].value);
    }
    return same;
}

static bool same_list(const struct tly_option *inner, size_t inner_size, const struct tly_list *a,
                      const struct tly_list *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = tly_options_equal(inner, (const char *)a->at + i * inner_size,
                                 (const char *)b->at + i * inner_size);
    }
    return same;
}

static bool same_value(const struct tly_option *row, const void *a, const void *b)
{
    switch (row->type) {
    case TLY_OPTION_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case TLY_OPTION_ENUM:
        return *(const int *)a == *(const int *)b;
    case TLY_OPTION_INT:
    case TLY_OPTION_SIZE:
    case TLY_OPTION_DURATION:
        return *(const int64_t *)a == *(const int64_t *)b;
    case TLY_OPTION_STRING:
    case TLY_OPTION_SECRET:
    case TLY_OPTION_PATH:
        return same_text(*(char *const *)a, *(char *const *)b);
    case TLY_OPTION_STRINGS:
    case TLY_OPTION_PATHS:
        return same_strings(a, b);
    case TLY_OPTION_PAIRS:
        return same_pairs(a, b);
    case TLY_OPTION_LIST:
        return same_list(row->inner, row->inner_size, a, b);
    case TLY_OPTION_SECTION:
        return tly_options_equal(row->inner, a, b);
    }
    return false;
}

bool tly_options_equal(const struct tly_option *rows, const void *a, const void *b)
{
    for (const struct tly_option *row = rows; row->key; row++) {
        if (!same_value(row, (const char *)a + row->offset, (const char *)b + row->offset)) {
            return false;
        }
    }
    return true;
}

/* ---- of whole files ---- */

struct comparison {
    const struct tly_section *section;
    tly_config_differs_fn differs;
    void *arg;
};

static void compare_rows(const struct comparison *comparison, const struct tly_option *rows,
                         const char *a, const char *b, const char *path, bool restart)
{
    for (const struct tly_option *row = rows; row->key; row++) {
        char name[PATH_MAX_BYTES];
        (void)snprintf(name, sizeof(name), "%s%s%s", path, *path ? "." : "",
                       row->key); /* keys are short */
        if (row->type == TLY_OPTION_SECTION) {
            compare_rows(comparison, row->inner, a + row->offset, b + row->offset, name,
                         restart || row->restart);
        } else if (!same_value(row, a + row->offset, b + row->offset)) {
            comparison->differs(comparison->arg, comparison->section, name,
                                restart || row->restart);
        }
    }
}

void tly_config_compare(const struct tly_config *before, const struct tly_config *after,
                        const struct tly_section *const *sections, size_t count,
                        tly_config_differs_fn differs, void *arg)
{
    for (size_t i = 0; i < count; i++) {
        const struct tly_section *section = sections[i];
        const struct comparison comparison = {section, differs, arg};
        const void *a = tly_config_section(before, section);
        const void *b = tly_config_section(after, section);
        bool same = true;
        if (section->type == TLY_OPTION_SECTION) {
            compare_rows(&comparison, section->options, a, b, section->key, section->restart);
        } else if (section->type == TLY_OPTION_LIST) {
            same = same_list(section->options, section->size, a, b);
        } else {
            same = same_pairs(a, b);
        }
        if (!same) {
            differs(arg, section, section->key, section->restart);
        }
    }
}
