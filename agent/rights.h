/*
 * Which of the rights that features need the process has: capabilities(7), by /proc/self/status.
 * What a missing one costs is said once, at the start, in one place, instead of by each collector
 * for each file.
 */
#ifndef TLY_RIGHTS_H
#define TLY_RIGHTS_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_right {
    const char *name; /* of the capability: "CAP_SYS_PTRACE" */
    uint64_t any;     /* bits of CapEff, one of which is enough */
    uint64_t least;   /* the one among them that allows least else */
    bool for_looking; /* only needed for looking into other processes */
    const char *lost; /* what the agent cannot do without it */
};

/* Those that features need. */
extern const struct tly_right tly_rights[];
extern const size_t tly_right_count;

/* The set of effective capabilities in the text of /proc/<pid>/status, its line CapEff.
 * TLY_E_MALFORMED without one. */
int tly_rights_parse(struct tly_text status, uint64_t *ret_effective) TLY_CHECK;

/*
 * Takes into force those of them that the process may have (capset(2)): a program whose file
 * carries capabilities that are permitted only (`setcap …=p`) starts with fewer, too, where they
 * are not granted, instead of not at all. What cannot be raised stays as it is, and
 * tly_rights_say() tells.
 */
void tly_rights_raise(void);

/* The capabilities that are to be kept of those that the process is permitted: for each right the
 * least of them that it has. `looks`: other processes are looked into. */
uint64_t tly_rights_needed(bool looks);

/* Those that the process lacks, at most `max`; none where that can't be known. */
size_t tly_rights_missing(const struct tly_right **to, size_t max);

/* Says in the log what is missing, and what that means. */
void tly_rights_say(void);

#endif
