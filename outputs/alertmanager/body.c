/*
 * Writing those bodies. A step that fails makes the ones behind it do nothing.
 */
#include "outputs/alertmanager/body.h"

#include "agent/base/clock.h"
#include "agent/codec/record_json.h"

#include <inttypes.h>

/* A time that never was, as Go writes it: Alertmanager's own way to say "not yet". */
#define NEVER "\"0001-01-01T00:00:00Z\""

struct writer {
    struct tly_buf *to;
    int rc;
};

static void put(struct writer *writer, struct tly_text text)
{
    writer->rc = writer->rc < 0 ? writer->rc : tly_buf_append_text(writer->to, text);
}

static void put_string(struct writer *writer, struct tly_text text)
{
    const struct tly_json_style style = {.raw_bytes = false};
    writer->rc = writer->rc < 0 ? writer->rc : tly_record_json_text(writer->to, text, style);
}

static void put_time(struct writer *writer, int64_t ms)
{
    if (ms <= 0) {
        put(writer, TLY_TEXT(NEVER));
    } else if (writer->rc == 0) {
        writer->rc = tly_record_json_time(writer->to, ms * TLY_NS_PER_MS);
    }
}

static void put_pair(struct writer *writer, const struct tly_alert_pair *pair, bool *first)
{
    if (!*first) {
        put(writer, TLY_TEXT(","));
    }
    *first = false;
    put_string(writer, pair->name);
    put(writer, TLY_TEXT(":"));
    put_string(writer, pair->value);
}

static void put_labels(struct writer *writer, const struct tly_alert *alert,
                       const struct tly_alert_extra *extra)
{
    bool first = true;
    put(writer, TLY_TEXT("\"labels\":{"));
    for (size_t i = 0; i < alert->label_count; i++) {
        put_pair(writer, &alert->labels[i], &first);
    }
    for (size_t i = 0; i < extra->count; i++) {
        const struct tly_alert_pair *label = &extra->labels[i];
        if (label->value.len > 0 && !tly_alert_label(alert, label->name).at) {
            put_pair(writer, label, &first);
        }
    }
    put(writer, TLY_TEXT("}"));
}

static void put_annotations(struct writer *writer, const struct tly_alert *alert)
{
    bool first = true;
    put(writer, TLY_TEXT(",\"annotations\":{"));
    for (size_t i = 0; i < alert->annotation_count; i++) {
        put_pair(writer, &alert->annotations[i], &first);
    }
    put(writer, TLY_TEXT("}"));
}

int tly_alert_body_item(struct tly_buf *to, const struct tly_alert *alert,
                        const struct tly_alert_extra *extra)
{
    struct writer writer = {.to = to};
    put(&writer, TLY_TEXT("{"));
    put_labels(&writer, alert, extra);
    put_annotations(&writer, alert);
    put(&writer, TLY_TEXT(",\"startsAt\":"));
    put_time(&writer, alert->fired_at_ms);
    put(&writer, TLY_TEXT(",\"endsAt\":"));
    put_time(&writer,
             alert->state == TLY_ALERT_FIRING ? alert->valid_until_ms : alert->resolved_at_ms);
    put(&writer, TLY_TEXT("}"));
    return writer.rc;
}

int tly_alert_body_webhook_head(struct tly_buf *to, const char *receiver, bool any_firing)
{
    struct writer writer = {.to = to};
    put(&writer,
        TLY_TEXT("{\"version\":\"4\",\"groupKey\":\"{}\",\"truncatedAlerts\":0,\"status\":"));
    put(&writer, any_firing ? TLY_TEXT("\"firing\"") : TLY_TEXT("\"resolved\""));
    put(&writer, TLY_TEXT(",\"receiver\":"));
    put_string(&writer, tly_text_of(receiver));
    put(&writer, TLY_TEXT(",\"groupLabels\":{},\"commonLabels\":{},\"commonAnnotations\":{},"
                          "\"externalURL\":\"\",\"alerts\":["));
    return writer.rc;
}

int tly_alert_body_webhook_item(struct tly_buf *to, const struct tly_alert *alert,
                                const struct tly_alert_extra *extra)
{
    struct writer writer = {.to = to};
    bool firing = alert->state == TLY_ALERT_FIRING;
    put(&writer,
        firing ? TLY_TEXT("{\"status\":\"firing\",") : TLY_TEXT("{\"status\":\"resolved\","));
    put_labels(&writer, alert, extra);
    put_annotations(&writer, alert);
    put(&writer, TLY_TEXT(",\"startsAt\":"));
    put_time(&writer, alert->fired_at_ms);
    put(&writer, TLY_TEXT(",\"endsAt\":"));
    put_time(&writer, firing ? 0 : alert->resolved_at_ms);
    put(&writer, TLY_TEXT(",\"generatorURL\":\"\",\"fingerprint\":"));
    if (writer.rc == 0) {
        writer.rc = tly_buf_printf(to, "\"%016" PRIx64 "\"}", tly_alert_fingerprint(alert));
    }
    return writer.rc;
}

static uint64_t hash_text(uint64_t hash, struct tly_text text)
{
    const uint64_t prime = 0x100000001b3U;
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (unsigned char)text.at[i]) * prime;
    }
    return (hash ^ 0xff) * prime;
}

uint64_t tly_alert_fingerprint(const struct tly_alert *alert)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < alert->label_count; i++) {
        hash = hash_text(hash, alert->labels[i].name);
        hash = hash_text(hash, alert->labels[i].value);
    }
    return hash;
}
