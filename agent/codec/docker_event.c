/*
 * Engine events; see docker_event.h. The texts of an event point into jansson's tree, which the
 * event owns.
 */
#include "agent/codec/docker_event.h"

#include "agent/base/clock.h"
#include "agent/codec/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Podman's word for what Docker calls otherwise. */
static const struct {
    struct tly_text podman, docker;
} container_words[] = {
    {{"died", 4}, {"die", 3}},
    {{"exec_died", 9}, {"exec_die", 8}},
    {{"exec", 4}, {"exec_start", 10}},
    {{"remove", 6}, {"destroy", 7}},
};

static struct tly_text docker_word(struct tly_text type, struct tly_text action)
{
    if (!tly_text_equal(type, TLY_TEXT("container"))) {
        return action;
    }
    for (size_t i = 0; i < sizeof(container_words) / sizeof(container_words[0]); i++) {
        if (tly_text_equal(action, container_words[i].podman)) {
            return container_words[i].docker;
        }
    }
    return action;
}

/* Parts "exec_create: sh -c x" at the first ": ". */
static void part_action(struct tly_docker_event *event, struct tly_text whole)
{
    event->action = whole;
    for (size_t i = 0; i + 1 < whole.len; i++) {
        if (whole.at[i] == ':' && whole.at[i + 1] == ' ') {
            event->action.len = i;
            event->detail = (struct tly_text){whole.at + i + 2, whole.len - i - 2};
            return;
        }
    }
    /* A command without words leaves "exec_create:" or "exec_create: ", cut by a proxy's trim. */
    if (whole.len > 0 && whole.at[whole.len - 1] == ':') {
        event->action.len--;
    }
}

static int fill_attributes(struct tly_docker_event *event, json_t *attributes)
{
    size_t count = json_object_size(attributes);
    if (count == 0) {
        return 0;
    }
    event->attributes = calloc(count, sizeof(*event->attributes));
    if (!event->attributes) {
        return -ENOMEM;
    }
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(attributes, key, value)
    {
        struct tly_text text = tly_json_string(value);
        if (text.at) {
            event->attributes[event->attribute_count++] = (struct tly_docker_attribute){
                tly_text_of(key), text};
        }
    }
    return 0;
}

static int64_t time_of(const json_t *root)
{
    int64_t value = 0;
    if (tly_json_int(root, "timeNano", &value) && value > 0) {
        return value;
    }
    if (tly_json_int(root, "time", &value) && value > 0 && value < INT64_MAX / TLY_NS_PER_S) {
        return value * TLY_NS_PER_S;
    }
    return 0;
}

int tly_docker_event_parse(struct tly_text json, struct tly_docker_event *ret_event,
                           struct tly_error *err)
{
    json_auto_t *root = NULL;
    int rc = tly_json_parse(json, &root, err);
    if (rc < 0) {
        return rc;
    }
    const json_t *actor = json_object_get(root, "Actor");
    struct tly_docker_event event = {
        .type = tly_json_text(root, "Type"),
        .id = tly_json_text(actor, "ID"),
        .scope = tly_json_text(root, "scope"),
        .time_ns = time_of(root),
    };
    part_action(&event, tly_json_text(root, "Action"));
    event.action = docker_word(event.type, event.action);
    if (event.type.len == 0 || event.action.len == 0) {
        return tly_error_set(err, TLY_E_MALFORMED, "an event without type or action");
    }
    rc = fill_attributes(&event, json_object_get(actor, "Attributes"));
    if (rc < 0) {
        return tly_error_set(err, rc, "out of memory for an event");
    }
    event.name = tly_docker_event_attribute(&event, TLY_TEXT("name"));
    event.image = tly_docker_event_attribute(&event, TLY_TEXT("image"));
    if (event.detail.len == 0 && tly_text_equal(event.action, TLY_TEXT("health_status"))) {
        event.detail = tly_json_text(root, "HealthStatus"); /* Podman */
    }
    event.tree = root;
    root = NULL;
    *ret_event = event;
    return 0;
}

void tly_docker_event_done(struct tly_docker_event *event)
{
    free(event->attributes);
    json_decref(event->tree);
    *event = (struct tly_docker_event){0};
}

struct tly_text tly_docker_event_attribute(const struct tly_docker_event *event,
                                           struct tly_text key)
{
    for (size_t i = 0; i < event->attribute_count; i++) {
        if (tly_text_equal(event->attributes[i].key, key)) {
            return event->attributes[i].value;
        }
    }
    return (struct tly_text){NULL, 0};
}
