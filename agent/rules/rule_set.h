/*
 * The rules in force: files that were loaded together, counted, since what is shown of them
 * outlives a reload by as long as somebody reads it. And a verdict: what one round of evaluation
 * came to, immutable, for those on other threads.
 */
#ifndef TLY_RULES_RULE_SET_H
#define TLY_RULES_RULE_SET_H

#include "agent/model/alert.h"
#include "agent/rules/history.h"
#include "agent/rules/rule_file.h"

struct tly_rule_set {
    unsigned refs;                /* only through ref and unref */
    struct tly_rule_file **files; /* owned */
    size_t count;
};

struct tly_rule_set *tly_rule_set_new(void); /* NULL when memory is out */
/* Takes the file over, also on failure. -ENOMEM. */
int tly_rule_set_add(struct tly_rule_set *set, struct tly_rule_file *file) TLY_CHECK;
struct tly_rule_set *tly_rule_set_ref(struct tly_rule_set *set);
void tly_rule_set_unref(struct tly_rule_set *set); /* NULL is fine */

enum tly_rule_health { TLY_RULE_UNKNOWN, TLY_RULE_OK, TLY_RULE_BAD };

struct tly_verdict_rule {
    const struct tly_rule *rule; /* of the verdict's set */
    enum tly_rule_health health;
    char *error; /* owned; NULL unless it is bad */
    int64_t evaluated_ms, duration_ns;
    uint64_t failures;
    struct tly_alert **alerts; /* owned references: pending and firing ones */
    size_t alert_count;
};

struct tly_verdict_group {
    const struct tly_rule_group *group; /* of the verdict's set */
    int64_t interval_ms, evaluated_ms, duration_ns;
    uint64_t evaluations, missed; /* missed: times that passed without one */
    struct tly_verdict_rule *rules;
    size_t count;
};

struct tly_verdict_news {
    struct tly_alert *alert; /* owned reference */
    unsigned news;           /* TLY_ALERT_CHANGED, TLY_ALERT_DUE */
};

struct tly_verdict {
    unsigned refs;
    struct tly_rule_set *set;
    struct tly_verdict_group *groups;
    size_t count;
    struct tly_verdict_news *news; /* of this round alone */
    size_t news_count;
    struct tly_history_stats history;
    size_t pending, firing;
};

struct tly_verdict *tly_verdict_ref(struct tly_verdict *verdict);
void tly_verdict_unref(struct tly_verdict *verdict); /* NULL is fine */

#endif
