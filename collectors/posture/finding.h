/*
 * Findings: what all checks of one target say of one subject, a container, an image, the engine or
 * its host.
 */
#ifndef TLY_POSTURE_FINDING_H
#define TLY_POSTURE_FINDING_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "collectors/posture/check.h"
#include "collectors/posture/facts.h"

#include <stddef.h>
#include <stdint.h>

struct tly_finding {
    enum tly_posture_id check;
    enum tly_status status;
    enum tly_severity severity;
    char *message;       /* owned */
    const char *reason;  /* of a waiver, borrowed from the settings; NULL without */
    const char *expires; /* the same; NULL: never, or no waiver */
    /* What was last told as a record, or was no news then; TLY_STATUS_COUNT: nothing yet. */
    enum tly_status told;
    enum tly_severity told_severity;
};

struct tly_subject {
    enum tly_target target;
    char *id;    /* owned; of the container or image, "" for engine and host */
    char *name;  /* owned; of the container, the image's reference, "engine", "host" */
    char *image; /* owned; the container's image as it was given; "" for all others */
    struct tly_finding *findings; /* owned, in the order of the table */
    size_t count;
    int64_t created_ns; /* of an image, realtime; -1 unknown */
};

/* Judges by all checks of the target, and applies waivers. `waived_by_label` is the value of the
 * container's label that may waive, or empty. -ENOMEM. */
int tly_subject_judge(enum tly_target target, struct tly_text id, struct tly_text name,
                      struct tly_text image, struct tly_text waived_by_label,
                      const struct tly_posture_facts *facts,
                      struct tly_subject **ret_subject) TLY_CHECK;
void tly_subject_free(struct tly_subject *subject); /* NULL is fine */

/* How many findings there are of each status and severity. */
struct tly_finding_counts {
    size_t at[TLY_STATUS_COUNT][TLY_SEVERITY_COUNT];
};
void tly_subject_count(const struct tly_subject *subject, struct tly_finding_counts *counts);

/*
 * From 0 to 100: the share of what passes in all that could be decided, each check by the weight of
 * its severity (critical 10, high 5, medium 3, low 1, info 0). Waived ones and those that could not
 * be decided do not count. 100 where nothing counts. In hundredths.
 */
int64_t tly_finding_score(const struct tly_finding_counts *counts);

#endif
