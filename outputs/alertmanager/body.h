/*
 * Alerts as the JSON that their receivers know: Alertmanager's API of version 2
 * (api/v2/openapi.yaml, `postableAlerts`), and what Alertmanager itself posts to webhooks,
 * version 4. Pure.
 */
#ifndef TLY_OUTPUT_ALERTMANAGER_BODY_H
#define TLY_OUTPUT_ALERTMANAGER_BODY_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/model/alert.h"

#include <stddef.h>

/* Labels that alerts get which have none of that name: those of all alerts, then the peer's. */
struct tly_alert_extra {
    struct tly_alert_external external;
    const struct tly_alert_pair *labels;
    size_t count;
};

/* Appends one item of the array that an Alertmanager is posted. TLY_E_LIMIT, -ENOMEM; the buffer
 * may then have grown by a part. */
int tly_alert_body_item(struct tly_buf *to, const struct tly_alert *alert,
                        const struct tly_alert_extra *extra) TLY_CHECK;

/* Appends one item of the list `alerts` of a webhook's message. The same errors. */
int tly_alert_body_webhook_item(struct tly_buf *to, const struct tly_alert *alert,
                                const struct tly_alert_extra *extra) TLY_CHECK;

/* What stands before the items of a webhook's message, through the bracket of their list. */
int tly_alert_body_webhook_head(struct tly_buf *to, const char *receiver,
                                bool any_firing) TLY_CHECK;

/* Prometheus's fingerprint of the labels (FNV-1a, 64 bits, of names and values in order, each
 * followed by 0xff), without the extra ones. */
uint64_t tly_alert_fingerprint(const struct tly_alert *alert);

#endif
