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

/* The set that is being made, and what became of the files so far. */
struct reading {
    struct tly_rule_set *set;
    struct tly_complaints *complaints; /* of the file that was read last */
    size_t failed;
    struct tly_error *first; /* what is wrong with the first of those */
};

/* Adds what was read, or says why it was not. */
static int add(struct reading *reading, const char *path, int rc, struct tly_rule_file *file,
               const struct tly_error *err)
{
    const struct tly_complaints *complaints = reading->complaints;
    if (rc == 0) {
        return tly_rule_set_add(reading->set, file);
    }
    if (rc == -ENOMEM) {
        return rc;
    }
    if (rc == TLY_E_MALFORMED) {
        say(path, complaints);
    } else {
        tly_log_error(LOG_NAME, "%s; it is left out", err->text);
    }
    if (reading->failed++ == 0 && rc == TLY_E_MALFORMED) {
        (void)tly_error_set(reading->first, rc, "%s:%zu:%zu: %s", path, complaints->at[0].line,
                            complaints->at[0].column, complaints->at[0].text);
    } else if (reading->failed == 1) {
        *reading->first = *err;
    }
    return 0;
}

static int add_path(struct reading *reading, const char *path)
{
    const struct tly_rule_set *set = reading->set;
    struct tly_rule_file *file = NULL;
    struct tly_error err = {0};
    /* Two patterns may find one file. */
    for (size_t i = 0; i < set->count; i++) {
        if (set->files[i]->count > 0 &&
            tly_text_equal(set->files[i]->groups[0].file, tly_text_of(path))) {
            return 0;
        }
    }
    int rc = tly_rule_file_load(path, reading->complaints, &file, &err);
    return add(reading, path, rc, file, &err);
}

/* A pattern that finds nothing is fine; a plain path has to be there. */
static int add_pattern(struct reading *reading, const char *pattern)
{
    glob_t found = {0};
    int rc = glob(pattern, strpbrk(pattern, "*?[") ? 0 : GLOB_NOCHECK, NULL, &found);
    if (rc == GLOB_NOSPACE) {
        return -ENOMEM;
    }
    rc = 0;
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++) {
        rc = add_path(reading, found.gl_pathv[i]);
    }
    globfree(&found);
    return rc;
}

static int add_builtin(struct reading *reading)
{
    int rc = 0;
    for (const struct tly_builtin_rules *at = tly_builtin_rules; rc == 0 && at->name; at++) {
        struct tly_rule_file *file = NULL;
        struct tly_error err = {0};
        rc = tly_rule_file_parse((struct tly_text){at->text, at->len}, at->name,
                                 reading->complaints, &file);
        rc = add(reading, at->name, rc, file, &err);
    }
    return rc;
}

int tly_judge_read(const struct tly_rules_settings *settings, struct tly_rule_set **ret_set,
                   size_t *ret_failed, struct tly_error *first)
{
    struct reading reading = {.set = tly_rule_set_new(),
                              .complaints = calloc(1, sizeof(*reading.complaints)),
                              .first = first};
    int rc = reading.set && reading.complaints ? 0 : -ENOMEM;
    if (rc == 0 && settings->builtin) {
        rc = add_builtin(&reading);
    }
    for (size_t i = 0; rc == 0 && i < settings->files.count; i++) {
        rc = add_pattern(&reading, settings->files.at[i]);
    }
    free(reading.complaints);
    if (rc < 0) {
        tly_rule_set_unref(reading.set);
        return rc;
    }
    *ret_failed = reading.failed;
    *ret_set = reading.set;
    return 0;
}
