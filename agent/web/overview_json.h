/*
 * What the status page asks for, as JSON: the state of everything at a glance, and the history of
 * what is in sight. Pure.
 */
#ifndef TLY_WEB_OVERVIEW_JSON_H
#define TLY_WEB_OVERVIEW_JSON_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/inventory/snapshot.h"
#include "agent/web/trend.h"

/*
 * Appends members for an object that the caller has begun and ends:
 *
 *   "time"        of the snapshot, RFC 3339
 *   "host"        {cpu, cpu_max, memory, memory_max, received, sent, read, written}: CPUs, bytes,
 *                 bytes a second; null where unknown
 *   "agent"       {cpu, memory}
 *   "samples"     of agent and host, for the page's other tables, as in /api/v1/containers
 *   "lags"        of each destination: {destination, seconds, bytes, containers}, the longest, the
 *                 sum, and how many containers have lines that wait
 *   "columns"     names of what each row has, in this order
 *   "containers"  rows
 *
 * TLY_E_LIMIT at the buffer's maximum, -ENOMEM.
 */
int tly_overview_json(const struct tly_snapshot *snapshot, const struct tly_trend *trend,
                      struct tly_buf *buf) TLY_CHECK;

/*
 * Appends `"key":{"cpu":[…],"memory":[…],…}`, the whole history of one course, the oldest point
 * first and null where nothing was read; nothing for somebody who is not known. The units are those
 * of the overview: CPUs, bytes, bytes a second. 1 if something was appended, else 0 or an error.
 */
int tly_overview_history_json(const struct tly_trend *trend, struct tly_text who,
                              struct tly_buf *buf) TLY_CHECK;

#endif
