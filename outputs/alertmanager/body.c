/*
 * Writing those bodies. A step that fails makes the ones behind it do nothing.
 */
#include "outputs/alertmanager/body.h"

#include "agent/base/clock.h"
#include "agent/base/hash.h"
#include "agent/codec/json_writer.h"

#include <inttypes.h>

/* A time that never was, as Go writes it: Alertmanager's own way to say "not yet". */
#define NEVER "\"0001-01-01T00:00:00Z\""

static void put_time(struct tly_json_writer *writer, int64_t ms)
{
    if (ms <= 0) {
        tly_json_put(writer, NEVER);
    } else {
        tly_json_put_time(writer, ms * TLY_NS_PER_MS);
    }
}

static void put_pair(struct tly_json_writer *writer, const struct tly_alert_pair *pair, bool *first)
{
    if (!*first) {
        tly_json_put(writer, ",");
    }
    *first = false;
    tly_json_put_text(writer, pair->name);
    tly_json_put(writer, ":");
    tly_json_put_text(writer, pair->value);
}

static bool has(const struct tly_alert_external *external, struct tly_text name)
{
    for (size_t i = 0; i < external->count; i++) {
        if (external->labels[i].value.len > 0 && tly_text_equal(external->labels[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void put_labels(struct tly_json_writer *writer, const struct tly_alert *alert,
                       const struct tly_alert_extra *extra)
{
    bool first = true;
    tly_json_put(writer, "\"labels\":{");
    for (size_t i = 0; i < alert->label_count; i++) {
        put_pair(writer, &alert->labels[i], &first);
    }
    for (size_t i = 0; i < extra->external.count; i++) {
        const struct tly_alert_pair *label = &extra->external.labels[i];
        if (label->value.len > 0 && !tly_alert_label(alert, label->name).at) {
            put_pair(writer, label, &first);
        }
    }
    for (size_t i = 0; i < extra->count; i++) {
        const struct tly_alert_pair *label = &extra->labels[i];
        if (label->value.len > 0 && !tly_alert_label(alert, label->name).at &&
            !has(&extra->external, label->name)) {
            put_pair(writer, label, &first);
        }
    }
    tly_json_put(writer, "}");
}

static void put_annotations(struct tly_json_writer *writer, const struct tly_alert *alert)
{
    bool first = true;
    tly_json_put(writer, ",\"annotations\":{");
    for (size_t i = 0; i < alert->annotation_count; i++) {
        put_pair(writer, &alert->annotations[i], &first);
    }
    tly_json_put(writer, "}");
}

int tly_alert_body_item(struct tly_buf *to, const struct tly_alert *alert,
                        const struct tly_alert_extra *extra)
{
    struct tly_json_writer writer = {.buf = to};
    tly_json_put(&writer, "{");
    put_labels(&writer, alert, extra);
    put_annotations(&writer, alert);
    tly_json_put(&writer, ",\"startsAt\":");
    put_time(&writer, alert->fired_at_ms);
    tly_json_put(&writer, ",\"endsAt\":");
    put_time(&writer,
             alert->state == TLY_ALERT_FIRING ? alert->valid_until_ms : alert->resolved_at_ms);
    tly_json_put(&writer, "}");
    return writer.rc;
}

int tly_alert_body_webhook_head(struct tly_buf *to, const char *receiver, bool any_firing)
{
    struct tly_json_writer writer = {.buf = to};
    tly_json_put(&writer,
                 "{\"version\":\"4\",\"groupKey\":\"{}\",\"truncatedAlerts\":0,\"status\":");
    tly_json_put(&writer, any_firing ? "\"firing\"" : "\"resolved\"");
    tly_json_put(&writer, ",\"receiver\":");
    tly_json_put_text(&writer, tly_text_of(receiver));
    tly_json_put(&writer, ",\"groupLabels\":{},\"commonLabels\":{},\"commonAnnotations\":{},"
                          "\"externalURL\":\"\",\"alerts\":[");
    return writer.rc;
}

int tly_alert_body_webhook_item(struct tly_buf *to, const struct tly_alert *alert,
                                const struct tly_alert_extra *extra)
{
    struct tly_json_writer writer = {.buf = to};
    bool firing = alert->state == TLY_ALERT_FIRING;
    tly_json_put(&writer, firing ? "{\"status\":\"firing\"," : "{\"status\":\"resolved\",");
    put_labels(&writer, alert, extra);
    put_annotations(&writer, alert);
    tly_json_put(&writer, ",\"startsAt\":");
    put_time(&writer, alert->fired_at_ms);
    tly_json_put(&writer, ",\"endsAt\":");
    put_time(&writer, firing ? 0 : alert->resolved_at_ms);
    tly_json_put(&writer, ",\"generatorURL\":\"\",\"fingerprint\":");
    if (writer.rc == 0) {
        writer.rc = tly_buf_printf(to, "\"%016" PRIx64 "\"}", tly_alert_fingerprint(alert));
    }
    return writer.rc;
}

static uint64_t hash_text(uint64_t hash, struct tly_text text)
{
    return tly_hash_add(tly_hash_add(hash, text.at, text.len), "\xff", 1);
}

uint64_t tly_alert_fingerprint(const struct tly_alert *alert)
{
    uint64_t hash = TLY_HASH_FIRST;
    for (size_t i = 0; i < alert->label_count; i++) {
        hash = hash_text(hash, alert->labels[i].name);
        hash = hash_text(hash, alert->labels[i].value);
    }
    return hash;
}
