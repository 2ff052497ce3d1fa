/*
 * The rule files that come with the agent, as texts in the program: made from dashboards/prometheus
 * when it is built.
 */
#ifndef TLY_JUDGE_BUILTIN_H
#define TLY_JUDGE_BUILTIN_H

#include <stddef.h>

struct tly_builtin_rules {
    const char *name; /* "builtin:containers.yml"; NULL ends the table */
    const char *text;
    size_t len;
};

extern const struct tly_builtin_rules tly_builtin_rules[];

#endif
