/*
 * Rule files as Prometheus reads them
 * (prometheus.io/docs/prometheus/latest/configuration/recording_rules): strict YAML, groups of
 * recording and alerting rules. What Prometheus 3 loads is loaded here, up to the constructs of the
 * expression and template languages that this agent leaves out, which are refused by name and
 * place.
 */
#ifndef TLY_RULES_RULE_FILE_H
#define TLY_RULES_RULE_FILE_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/config/option.h"
#include "agent/rules/arena.h"
#include "agent/rules/expr.h"
#include "agent/rules/template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer file is refused. */
#define TLY_RULE_FILE_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* A label or annotation. */
struct tly_rule_pair {
    struct tly_text name, text;   /* the text as written */
    struct tly_template *expands; /* owned; NULL in a recording rule, which has no templates */
};

struct tly_rule {
    bool alerting;
    struct tly_text name;  /* of the alert, or of the metric that is recorded */
    struct tly_expr *expr; /* owned; an instant vector or a scalar */
    struct tly_text query; /* the expression in canonical form */
    int64_t for_ms, keep_firing_ms;
    struct tly_rule_pair *labels, *annotations; /* sorted by name; the group's labels are among */
    size_t label_count, annotation_count;       /* them where the rule has no other of that name */
    size_t line;                                /* in the file, from 1 */
};

struct tly_rule_group {
    struct tly_text name, file;
    int64_t interval_ms; /* 0: the agent's own */
    int64_t query_offset_ms;
    int64_t limit; /* of alerts or series of one rule; 0: none */
    struct tly_rule *rules;
    size_t count;
};

struct tly_rule_file {
    struct tly_arena arena; /* all of it but what is said to be owned */
    struct tly_rule_group *groups;
    size_t count;
};

/*
 * Reads the text of a file; `path` is what groups carry as their file's name. Every mistake is
 * collected in `complaints`, which is overwritten. 0 with a file; TLY_E_MALFORMED with complaints;
 * -ENOMEM.
 */
int tly_rule_file_parse(struct tly_text text, const char *path, struct tly_complaints *complaints,
                        struct tly_rule_file **ret_file) TLY_CHECK;
/* Reads the file first. -errno with `err` set when it can't be read. */
int tly_rule_file_load(const char *path, struct tly_complaints *complaints,
                       struct tly_rule_file **ret_file, struct tly_error *err) TLY_CHECK;
void tly_rule_file_free(struct tly_rule_file *file); /* NULL is fine */

/* What a YAML file seems to be, by its top-level keys; TLY_SHAPE_OTHER also for broken ones. */
enum tly_shape { TLY_SHAPE_OTHER, TLY_SHAPE_RULES, TLY_SHAPE_RULE_TESTS };
enum tly_shape tly_shape_of(struct tly_text text);

#endif
