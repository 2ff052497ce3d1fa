/*
 * Containers with their numbers as JSON, for pages and scripts: what a snapshot holds, in the words
 * of the metrics. Pure.
 */
#ifndef TLY_WEB_CONTAINER_JSON_H
#define TLY_WEB_CONTAINER_JSON_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/codec/secret.h"
#include "agent/inventory/snapshot.h"
#include "agent/model/family.h"

#include <stdbool.h>

struct tly_container_view {
    struct tly_text id, name;     /* only this container; empty: all. `id` may be its beginning */
    bool shown[TLY_FAMILY_COUNT]; /* families whose samples are written */
    bool detail;                  /* also how it was set up, see tly_container_detail_json */
};

/*
 * Appends {"containers": [...], "host": [...]}. A container has `id`, and as far as it is known
 * `name`, `image`, `state`, `health`, `created`, `started`, `finished` (RFC 3339), `exit_code`,
 * `oom_killed`, `restarts`; `labels`, those of its metrics; and `samples`, a list of {"name",
 * "labels" (beyond the container's own, where there are any), "value"}. `host` is a list of
 * samples. Values are exact decimals. TLY_E_LIMIT at the buffer's maximum, -ENOMEM.
 */
int tly_container_json(const struct tly_snapshot *snapshot, const struct tly_container_view *view,
                       struct tly_buf *buf) TLY_CHECK;

/* Appends the samples of a row whose families are `shown`, as a list like those above. */
int tly_container_samples_json(const struct tly_snapshot_row *row, size_t slots,
                               const bool shown[TLY_FAMILY_COUNT], struct tly_buf *buf) TLY_CHECK;

/*
 * Appends `,"key":value` for how a container was set up, as far as it is known: image_id, pid,
 * memory_limit, memory_reservation, memory_swap_limit (bytes; 0: none), cpu_quota, cpu_period
 * (microseconds), cpu_shares, pids_limit, network_mode, published_ports, log_driver,
 * restart_policy, user, failing_streak; and `container_labels`, all its labels. A value that the
 * audit would call a secret is "(covered)".
 */
int tly_container_detail_json(const struct tly_container *container,
                              struct tly_secret_shapes *shapes, struct tly_buf *buf) TLY_CHECK;

#endif
