/* Rule sets and verdicts: counting references, and freeing what they own. */
#include "agent/rules/rule_set.h"

#include <errno.h>
#include <stdlib.h>

struct tly_rule_set *tly_rule_set_new(void)
{
    struct tly_rule_set *set = calloc(1, sizeof(*set));
    if (set) {
        set->refs = 1;
    }
    return set;
}

int tly_rule_set_add(struct tly_rule_set *set, struct tly_rule_file *file)
{
    struct tly_rule_file **files = reallocarray(set->files, set->count + 1,
                                                sizeof(struct tly_rule_file *));
    if (!files) {
        tly_rule_file_free(file);
        return -ENOMEM;
    }
    set->files = files;
    set->files[set->count++] = file;
    return 0;
}

struct tly_rule_set *tly_rule_set_ref(struct tly_rule_set *set)
{
    __atomic_add_fetch(&set->refs, 1, __ATOMIC_RELAXED);
    return set;
}

void tly_rule_set_unref(struct tly_rule_set *set)
{
    if (!set || __atomic_sub_fetch(&set->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        tly_rule_file_free(set->files[i]);
    }
    free(set->files);
    free(set);
}

struct tly_verdict *tly_verdict_ref(struct tly_verdict *verdict)
{
    __atomic_add_fetch(&verdict->refs, 1, __ATOMIC_RELAXED);
    return verdict;
}

static void rule_done(struct tly_verdict_rule *rule)
{
    for (size_t i = 0; i < rule->alert_count; i++) {
        tly_alert_unref(rule->alerts[i]);
    }
    free(rule->alerts);
    free(rule->error);
}

void tly_verdict_unref(struct tly_verdict *verdict)
{
    if (!verdict || __atomic_sub_fetch(&verdict->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < verdict->count; i++) {
        for (size_t k = 0; k < verdict->groups[i].count; k++) {
            rule_done(&verdict->groups[i].rules[k]);
        }
        free(verdict->groups[i].rules);
    }
    for (size_t i = 0; i < verdict->news_count; i++) {
        tly_alert_unref(verdict->news[i].alert);
    }
    free(verdict->groups);
    free(verdict->news);
    tly_rule_set_unref(verdict->set);
    free(verdict);
}
