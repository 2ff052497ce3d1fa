/*
 * Engine events as records; see record.h.
 */
#include "collectors/docker/record.h"

#include "agent/codec/record.h"

/* What follows the action is a word of the engine's, not free text of a user. */
static bool is_open(const struct tly_docker_event *event)
{
    return tly_text_equal(event->action, TLY_TEXT("health_status"));
}

static int write_action(struct tly_buf *buf, const struct tly_docker_event *event, bool commands)
{
    if (event->detail.len == 0 || !(commands || is_open(event))) {
        return tly_record_str(buf, event->action);
    }
    /* "action: detail", as the engine had it. */
    struct tly_text colon = TLY_TEXT(": ");
    size_t len = event->action.len + colon.len + event->detail.len;
    char *at = NULL;
    int rc = len <= UINT32_MAX ? tly_buf_reserve(buf, TLY_RECORD_HEAD_MAX + len, &at) : TLY_E_LIMIT;
    if (rc < 0) {
        return rc;
    }
    char *end = tly_record_put_str_head(at, (uint32_t)len);
    const struct tly_text parts[] = {event->action, colon, event->detail};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        memcpy(end, parts[i].at, parts[i].len);
        end += parts[i].len;
    }
    buf->len += (size_t)(end - at);
    return 0;
}

static int write_attributes(struct tly_buf *buf, const struct tly_docker_event *event)
{
    int rc = tly_record_map(buf, (uint32_t)event->attribute_count);
    for (size_t i = 0; rc == 0 && i < event->attribute_count; i++) {
        rc = tly_record_str(buf, event->attributes[i].key);
        rc = rc < 0 ? rc : tly_record_str(buf, event->attributes[i].value);
    }
    return rc;
}

static int write_map(struct tly_buf *buf, const struct tly_docker_event *event, bool commands)
{
    const struct {
        struct tly_text key, value;
    } texts[] = {
        {TLY_TEXT("type"), event->type},   {TLY_TEXT("id"), event->id},
        {TLY_TEXT("name"), event->name},   {TLY_TEXT("image"), event->image},
        {TLY_TEXT("scope"), event->scope},
    };
    uint32_t pairs = 2; /* action and attributes */
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pairs += texts[i].value.len > 0 ? 1 : 0;
    }
    int rc = tly_record_map(buf, pairs);
    for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].value.len > 0) {
            rc = tly_record_str(buf, texts[i].key);
            rc = rc < 0 ? rc : tly_record_str(buf, texts[i].value);
        }
    }
    rc = rc < 0 ? rc : tly_record_str(buf, TLY_TEXT("action"));
    rc = rc < 0 ? rc : write_action(buf, event, commands);
    rc = rc < 0 ? rc : tly_record_str(buf, TLY_TEXT("attributes"));
    return rc < 0 ? rc : write_attributes(buf, event);
}

int tly_docker_record_write(struct tly_buf *buf, const struct tly_docker_event *event,
                            bool commands, int64_t now_ns)
{
    size_t before = buf->len;
    int rc = tly_record_array(buf, 2);
    rc = rc < 0 ? rc : tly_record_time(buf, event->time_ns > 0 ? event->time_ns : now_ns);
    rc = rc < 0 ? rc : write_map(buf, event, commands);
    if (rc < 0) {
        buf->len = before;
    }
    return rc;
}
