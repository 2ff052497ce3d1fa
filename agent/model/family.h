/*
 * The metric families: each declared once in families.def. The exporter, the rules and
 * docs/metrics.md all come from that table.
 */
#ifndef TLY_MODEL_FAMILY_H
#define TLY_MODEL_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

enum tly_family_type { TLY_COUNTER, TLY_GAUGE, TLY_INFO };

enum tly_family_scope {
    /* Carries the container's labels. The root cgroup has no container: its samples stand in the
     * host's row and carry `id="/"` in their own dimension, as cAdvisor labels them. */
    TLY_PER_CONTAINER,
    TLY_PER_HOST,  /* machine_* and container_* totals of the host */
    TLY_PER_AGENT, /* tallyman_*, process_* */
};

enum {
    /* The kernel's counter starts anew with the container's cgroup; the inventory carries the total
     * over, so that a restart does not lose what was counted. */
    TLY_FAMILY_CARRIED = 1,
    /* Has cAdvisor's name, labels and meaning. */
    TLY_FAMILY_CADVISOR = 2,
    /* The last value stays to be seen after the container stopped. */
    TLY_FAMILY_KEPT = 4,
};

struct tly_family {
    const char *name; /* the full name, with _total where it is a counter */
    enum tly_family_type type;
    enum tly_family_scope scope;
    int exponent; /* a sample's value is raw * 10^exponent; from -9 to 0 */
    unsigned flags;
    const char *group;  /* cAdvisor's group name where it has one: what the operator switches */
    const char *labels; /* names of labels beyond the base ones, comma-separated; "" for none */
    const char *source; /* the kernel file and field, or API field */
    const char *help;   /* one sentence without a full stop */
    /* Where it differs from cAdvisor's family of that name, and why; "" if it does not. */
    const char *note;
};

enum tly_family_id {
#define TLY_FAMILY(name, type, scope, exponent, flags, group, labels, source, help, note)          \
    TLY_F_##name,
#include "agent/model/families.def"
#undef TLY_FAMILY
    TLY_FAMILY_COUNT
};

extern const struct tly_family tly_families[TLY_FAMILY_COUNT];

/* cAdvisor's families that the agent does not have. */
struct tly_absent_family {
    const char *pattern; /* the name, or names: `*` is any run of letters */
    const char *reason;  /* without a full stop */
};

/* Ends in a row with pattern NULL. */
extern const struct tly_absent_family tly_absent_families[];

#endif
