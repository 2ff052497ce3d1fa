/*
 * Requests for single execs; see execs.h.
 */
#include "collectors/docker/execs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At a time, beside the inspects of containers. */
#define PLACES 4
/* Of a burst: at some milliseconds for each, what waits longer than a second is no use. */
#define WAITING_MAX 256
#define ID_MAX      64
/* The command with its arguments is part of the reply. */
#define REPLY_BYTES_MAX ((size_t)1 << 20)

struct pair {
    char container_id[ID_MAX + 1], exec_id[ID_MAX + 1];
};

struct place {
    struct tly_docker_execs *execs;
    struct tly_docker_get *get; /* NULL: free */
    struct pair pair;
};

struct tly_docker_execs {
    struct tly_docker_engine *engine;
    int64_t timeout_ms;
    tly_docker_exec_fn told;
    void *arg;
    bool denied;
    struct place places[PLACES];
    struct pair waiting[WAITING_MAX]; /* a ring */
    size_t first, count;
};

int tly_docker_execs_new(struct tly_docker_engine *engine, int64_t timeout_ms,
                         tly_docker_exec_fn told, void *arg, struct tly_docker_execs **ret_execs)
{
    struct tly_docker_execs *execs = calloc(1, sizeof(*execs));
    if (!execs) {
        return -ENOMEM;
    }
    execs->engine = engine;
    execs->timeout_ms = timeout_ms;
    execs->told = told;
    execs->arg = arg;
    for (size_t i = 0; i < PLACES; i++) {
        execs->places[i].execs = execs;
    }
    *ret_execs = execs;
    return 0;
}

void tly_docker_execs_free(struct tly_docker_execs *execs)
{
    if (execs) {
        for (size_t i = 0; i < PLACES; i++) {
            tly_docker_engine_cancel(execs->places[i].get);
        }
        free(execs);
    }
}

void tly_docker_execs_hope(struct tly_docker_execs *execs)
{
    execs->denied = false;
}

/* It becomes part of a path, and a label of the container may have forged it. */
static bool is_id(struct tly_text id)
{
    for (size_t i = 0; i < id.len; i++) {
        if (!strchr("0123456789abcdef", id.at[i]) || id.at[i] == '\0') {
            return false;
        }
    }
    return id.len > 0 && id.len <= ID_MAX;
}

static void pump(struct tly_docker_execs *execs);

static void replied(void *arg, const struct tly_docker_reply *reply)
{
    struct place *place = arg;
    struct tly_docker_execs *execs = place->execs;
    struct tly_engine_exec exec;
    bool known = reply->outcome == TLY_DOCKER_OK &&
                 tly_engine_exec_parse(reply->body, &exec, NULL) == 0 &&
                 strcmp(exec.container_id, place->pair.container_id) == 0;
    place->get = NULL;
    execs->denied = execs->denied || reply->outcome == TLY_DOCKER_DENIED;
    execs->told(execs->arg, tly_text_of(place->pair.container_id), known ? &exec : NULL);
    pump(execs);
}

static int ask(struct tly_docker_execs *execs, struct place *place)
{
    char path[ID_MAX + 32];
    (void)snprintf(path, sizeof(path), "/exec/%s/json", place->pair.exec_id); /* fits */
    struct tly_docker_request request = {
        .api = TLY_DOCKER_EXEC,
        .path = path,
        .timeout_ms = execs->timeout_ms,
        .body_max = REPLY_BYTES_MAX,
        .done = replied,
        .arg = place,
    };
    return execs->denied ? TLY_E_REFUSED
                         : tly_docker_engine_get(execs->engine, &request, &place->get);
}

static struct place *place_free(struct tly_docker_execs *execs)
{
    for (size_t i = 0; i < PLACES; i++) {
        if (!execs->places[i].get) {
            return &execs->places[i];
        }
    }
    return NULL;
}

static void pump(struct tly_docker_execs *execs)
{
    struct place *place = NULL;
    while (execs->count > 0 && (place = place_free(execs))) {
        place->pair = execs->waiting[execs->first];
        execs->first = (execs->first + 1) % WAITING_MAX;
        execs->count--;
        if (ask(execs, place) < 0) {
            execs->told(execs->arg, tly_text_of(place->pair.container_id), NULL);
        }
    }
}

void tly_docker_execs_ask(struct tly_docker_execs *execs, struct tly_text container_id,
                          struct tly_text exec_id)
{
    if (execs->denied || execs->count == WAITING_MAX || !is_id(container_id) || !is_id(exec_id)) {
        execs->told(execs->arg, container_id, NULL);
        return;
    }
    struct pair *pair = &execs->waiting[(execs->first + execs->count) % WAITING_MAX];
    *pair = (struct pair){0};
    memcpy(pair->container_id, container_id.at, container_id.len);
    memcpy(pair->exec_id, exec_id.at, exec_id.len);
    execs->count++;
    pump(execs);
}
