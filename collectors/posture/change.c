/*
 * Changes of verdict; see change.h.
 */
#include "collectors/posture/change.h"

#include "agent/codec/record.h"

static bool is_bad(enum tly_status status)
{
    return status == TLY_STATUS_FAIL || status == TLY_STATUS_WAIVED;
}

bool tly_posture_is_news(const struct tly_finding *finding, enum tly_status told,
                         enum tly_severity told_severity)
{
    if (told == TLY_STATUS_COUNT) {
        return is_bad(finding->status);
    }
    if (is_bad(finding->status) && finding->severity != told_severity) {
        return true;
    }
    return finding->status != told && (is_bad(finding->status) || is_bad(told));
}

int tly_posture_record_write(struct tly_buf *buf, const struct tly_subject *subject,
                             const struct tly_finding *finding, enum tly_status told,
                             int64_t now_ns)
{
    const struct tly_posture_check *check = &tly_posture_checks[finding->check];
    const bool container = subject->target == TLY_TARGET_CONTAINER;
    const struct {
        const char *key, *value;
    } pairs[] = {
        {"check", check->id},
        {"cis", check->cis},
        {"severity", tly_severity_names[finding->severity]},
        {"target", tly_target_names[subject->target]},
        {"id", subject->id},
        {"name", subject->name},
        {"image", subject->image},
        {"status", tly_status_names[finding->status]},
        {"previous", told < TLY_STATUS_COUNT ? tly_status_names[told] : "none"},
        {"message", finding->message},
        {"remediation", check->mend},
        {"container_id", subject->id},
        {"container_name", subject->name},
    };
    const size_t count = sizeof(pairs) / sizeof(pairs[0]) - (container ? 0 : 2);
    int rc = tly_record_array(buf, 2);
    rc = rc < 0 ? rc : tly_record_time(buf, now_ns);
    rc = rc < 0 ? rc : tly_record_map(buf, (uint32_t)count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = tly_record_str(buf, tly_text_of(pairs[i].key));
        rc = rc < 0 ? rc : tly_record_str(buf, tly_text_of(pairs[i].value));
    }
    return rc;
}
