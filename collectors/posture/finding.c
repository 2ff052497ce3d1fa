/*
 * Judging one subject, and waivers; see finding.h.
 */
#include "collectors/posture/finding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- waivers ---- */

static bool fits(const struct tly_strings *patterns, struct tly_text text)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (tly_text_glob(tly_text_of(patterns->at[i]), text)) {
            return true;
        }
    }
    return false;
}

static bool waives(const struct tly_waiver_settings *waiver, const struct tly_subject *subject,
                   enum tly_posture_id check, int64_t now_ns)
{
    const bool container = subject->target == TLY_TARGET_CONTAINER;
    const char *image = container ? subject->image : subject->name;
    int64_t end_ns = INT64_MAX;
    if (waiver->expires && tly_waiver_end(waiver->expires, &end_ns) < 0) {
        return false; /* the configuration does not let it so far */
    }
    if (now_ns > end_ns || !fits(&waiver->checks, tly_text_of(tly_posture_checks[check].id))) {
        return false;
    }
    if (waiver->containers.count > 0 &&
        (!container || !fits(&waiver->containers, tly_text_of(subject->name)))) {
        return false;
    }
    const bool has_image = container || subject->target == TLY_TARGET_IMAGE;
    return waiver->images.count == 0 || (has_image && fits(&waiver->images, tly_text_of(image)));
}

static bool label_waives(struct tly_text label, const char *id)
{
    while (label.at && label.len > 0) {
        struct tly_text name = tly_text_trim(tly_text_cut(&label, ','));
        if (tly_text_equal(name, tly_text_of(id))) {
            return true;
        }
    }
    return false;
}

static void apply_waivers(const struct tly_subject *subject, struct tly_text label,
                          const struct tly_posture_facts *facts, struct tly_finding *finding)
{
    const struct tly_list *waivers = &facts->settings->waivers;
    const struct tly_waiver_settings *rows = waivers->at;
    if (finding->status != TLY_STATUS_FAIL) {
        return;
    }
    for (size_t i = 0; i < waivers->count; i++) {
        if (waives(&rows[i], subject, finding->check, facts->now_ns)) {
            finding->status = TLY_STATUS_WAIVED;
            finding->reason = rows[i].reason;
            finding->expires = rows[i].expires;
            return;
        }
    }
    if (label_waives(label, tly_posture_checks[finding->check].id)) {
        finding->status = TLY_STATUS_WAIVED;
        finding->reason = "the container's label says so";
    }
}

/* ---- subjects ---- */

static int judge_all(struct tly_subject *subject, struct tly_text label,
                     const struct tly_posture_facts *facts)
{
    for (size_t i = 0; i < TLY_POSTURE_COUNT; i++) {
        struct tly_verdict verdict;
        if (tly_posture_checks[i].target != subject->target) {
            continue;
        }
        tly_posture_judge((enum tly_posture_id)i, facts, &verdict);
        struct tly_finding *finding = &subject->findings[subject->count];
        *finding = (struct tly_finding){
            .check = (enum tly_posture_id)i,
            .status = verdict.status,
            .severity = verdict.severity,
            .message = strdup(verdict.message),
            .told = TLY_STATUS_COUNT,
        };
        if (!finding->message) {
            return -ENOMEM;
        }
        subject->count++;
        apply_waivers(subject, label, facts, finding);
    }
    return 0;
}

int tly_subject_judge(enum tly_target target, struct tly_text id, struct tly_text name,
                      struct tly_text image, struct tly_text waived_by_label,
                      const struct tly_posture_facts *facts, struct tly_subject **ret_subject)
{
    struct tly_subject *subject = calloc(1, sizeof(*subject));
    if (!subject) {
        return -ENOMEM;
    }
    subject->target = target;
    subject->created_ns = -1;
    subject->id = tly_text_dup(id);
    subject->name = tly_text_dup(name);
    subject->image = tly_text_dup(image);
    subject->findings = calloc(TLY_POSTURE_COUNT, sizeof(*subject->findings));
    int rc = subject->id && subject->name && subject->image && subject->findings
                 ? judge_all(subject, waived_by_label, facts)
                 : -ENOMEM;
    if (rc < 0) {
        tly_subject_free(subject);
        return rc;
    }
    struct tly_finding *less = realloc(subject->findings,
                                       (subject->count + 1) * sizeof(*subject->findings));
    subject->findings = less ? less : subject->findings;
    *ret_subject = subject;
    return 0;
}

void tly_subject_free(struct tly_subject *subject)
{
    if (!subject) {
        return;
    }
    for (size_t i = 0; i < subject->count; i++) {
        free(subject->findings[i].message);
    }
    free(subject->findings);
    free(subject->id);
    free(subject->name);
    free(subject->image);
    free(subject);
}

/* ---- sums ---- */

void tly_subject_count(const struct tly_subject *subject, struct tly_finding_counts *counts)
{
    for (size_t i = 0; i < subject->count; i++) {
        counts->at[subject->findings[i].status][subject->findings[i].severity]++;
    }
}

int64_t tly_finding_score(const struct tly_finding_counts *counts)
{
    static const int64_t weights[TLY_SEVERITY_COUNT] = {
        [TLY_SEVERITY_INFO] = 0, [TLY_SEVERITY_LOW] = 1,       [TLY_SEVERITY_MEDIUM] = 3,
        [TLY_SEVERITY_HIGH] = 5, [TLY_SEVERITY_CRITICAL] = 10,
    };
    int64_t passed = 0;
    int64_t all = 0;
    for (size_t i = 0; i < TLY_SEVERITY_COUNT; i++) {
        passed += weights[i] * (int64_t)counts->at[TLY_STATUS_PASS][i];
        all += weights[i] *
               (int64_t)(counts->at[TLY_STATUS_PASS][i] + counts->at[TLY_STATUS_FAIL][i]);
    }
    return all > 0 ? passed * 10000 / all : 10000;
}
