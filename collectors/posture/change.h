/*
 * A change of verdict as a record for the log pipeline, tag "tallyman.finding".
 */
#ifndef TLY_POSTURE_CHANGE_H
#define TLY_POSTURE_CHANGE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "collectors/posture/finding.h"

#include <stdbool.h>
#include <stdint.h>

#define TLY_POSTURE_TAG "tallyman.finding"

/*
 * Whether a verdict is worth a record: another status or severity than was told of it before;
 * where nothing was (TLY_STATUS_COUNT), only what fails or is waived. Between unknown and na, and
 * from them to pass, nothing is told: a container that stops would else be news in every check.
 */
bool tly_posture_is_news(const struct tly_finding *finding, enum tly_status told,
                         enum tly_severity told_severity);

/*
 * Appends [EventTime, map]: check, cis, severity, target, id, name, image, status, previous ("none"
 * where nothing was told), message, remediation; container_id and container_name for a container,
 * so that it joins its logs. TLY_E_LIMIT, -ENOMEM; the buffer may then have grown by a part.
 */
int tly_posture_record_write(struct tly_buf *buf, const struct tly_subject *subject,
                             const struct tly_finding *finding, enum tly_status told,
                             int64_t now_ns) TLY_CHECK;

#endif
