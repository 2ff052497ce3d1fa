/*
 * Finding and reading rule files. A mistake costs its own file: it is said with its place, and the
 * others are in force.
 */
#include "agent/judge/builtin.h"
#include "agent/judge/judge_state.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#define LOG_NAME "rules"
/* Of one file; `tallyman check` shows all. */
#define COMPLAINTS_SHOWN 5

static void say(const char *path, const struct tly_complaints *complaints)
{
    size_t kept = tly_complaints_kept(complaints);
    for (size_t i = 0; i < kept && i < COMPLAINTS_SHOWN; i++) {
        tly_log_error(LOG_NAME, "%s:%zu:%zu: %s", path, complaints->at[i].line,
                      complaints->at[i].column, complaints->at[i].text);
    }
    tly_log_error(LOG_NAME, "%s is left out for %zu mistake%s; `tallyman check %s` shows them",
                  path, complaints->count, complaints->count == 1 ? "" : "s", path);
}

/* Adds what was read, or says why it was not. */
static int add(struct tly_rule_set *set, const char *path, int rc, struct tly_rule_file *file,
               const struct tly_complaints *complaints, const struct tly_error *err, size_t *failed)
{
    if (rc == 0) {
        return tly_rule_set_add(set, file);
    }
    if (rc == -ENOMEM) {
        return rc;
    }
    if (rc == TLY_E_MALFORMED) {
        say(path, complaints);
    } else {
        tly_log_error(LOG_NAME, "%s; it is left out", err->text);
    }
    (*failed)++;
    return 0;
}

static int add_path(struct tly_rule_set *set, const char *path, struct tly_complaints *complaints,
                    size_t *failed)
{
    struct tly_rule_file *file = NULL;
    struct tly_error err = {0};
    /* Two patterns may find one file. */
    for (size_t i = 0; i < set->count; i++) {
        if (set->files[i]->count > 0 &&
            tly_text_equal(set->files[i]->groups[0].file, tly_text_of(path))) {
            return 0;
        }
    }
    int rc = tly_rule_file_load(path, complaints, &file, &err);
    return add(set, path, rc, file, complaints, &err, failed);
}

/* A pattern that finds nothing is fine; a plain path has to be there. */
static int add_pattern(struct tly_rule_set *set, const char *pattern,
                       struct tly_complaints *complaints, size_t *failed)
{
    glob_t found = {0};
    int rc = glob(pattern, strpbrk(pattern, "*?[") ? 0 : GLOB_NOCHECK, NULL, &found);
    if (rc == GLOB_NOSPACE) {
        return -ENOMEM;
    }
    rc = 0;
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++) {
        rc = add_path(set, found.gl_pathv[i], complaints, failed);
    }
    globfree(&found);
    return rc;
}

static int add_builtin(struct tly_rule_set *set, struct tly_complaints *complaints, size_t *failed)
{
    int rc = 0;
    for (const struct tly_builtin_rules *at = tly_builtin_rules; rc == 0 && at->name; at++) {
        struct tly_rule_file *file = NULL;
        struct tly_error err = {0};
        rc = tly_rule_file_parse((struct tly_text){at->text, at->len}, at->name, complaints, &file);
        rc = add(set, at->name, rc, file, complaints, &err, failed);
    }
    return rc;
}

int tly_judge_read(const struct tly_rules_settings *settings, struct tly_rule_set **ret_set,
                   size_t *ret_failed)
{
    struct tly_rule_set *set = tly_rule_set_new();
    struct tly_complaints *complaints = calloc(1, sizeof(*complaints));
    int rc = set && complaints ? 0 : -ENOMEM;
    *ret_failed = 0;
    if (rc == 0 && settings->builtin) {
        rc = add_builtin(set, complaints, ret_failed);
    }
    for (size_t i = 0; rc == 0 && i < settings->files.count; i++) {
        rc = add_pattern(set, settings->files.at[i], complaints, ret_failed);
    }
    free(complaints);
    if (rc < 0) {
        tly_rule_set_unref(set);
        return rc;
    }
    *ret_set = set;
    return 0;
}
