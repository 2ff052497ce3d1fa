/*
 * One message of GET /events: Docker's of API 1.22 to 1.55 and Podman's, told in Docker's words.
 * Engine API: https://docs.docker.com/reference/api/engine/ (SystemEvents).
 *
 * Beware of the attributes: the engine copies the container's labels over its own facts, so that a
 * label `exitCode` hides the real one. Only `name` and `image` are always the engine's.
 */
#ifndef TLY_CODEC_DOCKER_EVENT_H
#define TLY_CODEC_DOCKER_EVENT_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>
#include <stdint.h>

struct tly_docker_attribute {
    struct tly_text key, value;
};

/* Every text is borrowed from the event and lives until `done`. */
struct tly_docker_event {
    struct tly_text type; /* "container", "image", "network", ... */
    /* Without what follows ": " in the engine's own text: "exec_create", "health_status". Podman's
     * words are turned into Docker's ("died" into "die"). */
    struct tly_text action;
    /* What followed: the command of an exec, which may hold secrets; the word of a health_status,
     * also where Podman puts it elsewhere. Empty without. */
    struct tly_text detail;
    struct tly_text id;
    struct tly_text name, image; /* attributes; empty where there are none */
    struct tly_text scope;       /* "local", "swarm"; empty from old engines */
    int64_t time_ns;             /* the engine's realtime; 0 when it names none */
    struct tly_docker_attribute *attributes;
    size_t attribute_count;
    void *tree; /* the parser's own */
};

/* TLY_E_MALFORMED without a type and an action, -ENOMEM. `ret_event` is to be given to done. */
int tly_docker_event_parse(struct tly_text json, struct tly_docker_event *ret_event,
                           struct tly_error *err) TLY_CHECK;
void tly_docker_event_done(struct tly_docker_event *event);

/* The value of an attribute; {NULL, 0} without. */
struct tly_text tly_docker_event_attribute(const struct tly_docker_event *event,
                                           struct tly_text key);

#endif
