/*
 * The pretended engine of the logs; see log_engine.h. The lock is never held while something is
 * sent.
 */
#include "tests/unit/logs/log_engine.h"

#include "agent/base/clock.h"

#include <string.h>

#define FRAME_HEAD 8

void log_engine_init(struct log_engine *engine, const char *folder)
{
    memset(engine, 0, sizeof(*engine));
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->changed, NULL);
    (void)snprintf(engine->path, sizeof(engine->path), "%s/e", folder);
    engine->newest = 41;
    for (unsigned i = 0; i < LOG_CONTAINERS_MAX; i++) {
        (void)snprintf(engine->containers[i].id, sizeof(engine->containers[i].id), "%064x", i);
        engine->containers[i].gone = true;
    }
}

/* ---- streams ---- */

/* As the engine prints it: always nine digits. */
static size_t put_time(int64_t ns, char *to)
{
    char text[TLY_TIME_TEXT_MAX];
    tly_time_format(ns - ns % TLY_NS_PER_S, text);
    text[strcspn(text, ".Z")] = '\0';
    return (size_t)sprintf(to, "%s.%09lldZ ", text, (long long)(ns % TLY_NS_PER_S));
}

static bool send_frame(struct http_talk *talk, const struct log_container *container,
                       const struct log_kept *kept, size_t step)
{
    char *frame = malloc(FRAME_HEAD + 64 + kept->len);
    size_t head = container->terminal ? 0 : FRAME_HEAD;
    assert_non_null(frame);
    size_t stamp = kept->stream == 3 ? 0 : put_time(kept->time_ns, frame + head);
    size_t size = stamp + kept->len;
    memcpy(frame + head + stamp, kept->text, kept->len);
    if (head > 0) {
        const char bytes[FRAME_HEAD] = {
            (char)kept->stream, 0,         0, 0, (char)(size >> 24), (char)(size >> 16),
            (char)(size >> 8),  (char)size};
        memcpy(frame, bytes, sizeof(bytes));
    }
    bool sent = true;
    size_t len = head + size;
    step = step > 0 ? step : len;
    for (size_t at = 0; sent && at < len; at += step) {
        sent = http_send_chunk(talk, frame + at, at + step < len ? step : len - at);
    }
    free(frame);
    return sent;
}

static bool is_asked_for(const struct log_engine *engine, const struct log_kept *kept,
                         int64_t *since_ns)
{
    if (kept->time_ns < *since_ns) {
        return false;
    }
    *since_ns = engine->since_once ? 0 : *since_ns;
    return true;
}

/* Until the container stops (true: the reply is whole) or the stream is cut. */
static bool send_log(struct log_engine *engine, struct http_talk *talk,
                     struct log_container *container, int64_t since_ns)
{
    unsigned cuts = engine->cuts;
    size_t at = container->first;
    bool sent = true;
    while (sent && !engine->stopping && engine->cuts == cuts) {
        at = at < container->first ? container->first : at; /* a reader that is too slow */
        if (at < container->count) {
            struct log_kept kept = container->kept[at++];
            if (is_asked_for(engine, &kept, &since_ns)) {
                size_t step = engine->piece;
                kept.text = memcpy(malloc(kept.len + 1), kept.text, kept.len);
                pthread_mutex_unlock(&engine->lock);
                sent = send_frame(talk, container, &kept, step);
                free(kept.text);
                pthread_mutex_lock(&engine->lock);
            }
        } else if (!container->running) {
            return sent;
        } else {
            pthread_cond_wait(&engine->changed, &engine->lock);
        }
    }
    return false;
}

static int64_t since_of(const char *target)
{
    const char *since = strstr(target, "since=");
    if (!since) {
        return 0;
    }
    char *end;
    int64_t seconds = strtoll(since + strlen("since="), &end, 10);
    return seconds * TLY_NS_PER_S + (*end == '.' ? strtoll(end + 1, NULL, 10) : 0);
}

static bool tell(struct log_engine *engine, struct http_talk *talk, const char *target,
                 struct log_container *container)
{
    bool whole = false;
    if (http_send_text(talk, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")) {
        pthread_mutex_lock(&engine->lock);
        engine->streams++;
        whole = send_log(engine, talk, container, since_of(target));
        engine->streams--;
        pthread_mutex_unlock(&engine->lock);
    }
    return whole && http_send_text(talk, "0\r\n\r\n");
}

/* ---- requests ---- */

static struct log_container *find(struct log_engine *engine, const char *target, int *ret_minor)
{
    static const char before[] = "/v1.";
    static const char behind[] = "/logs?follow=1&stdout=1&stderr=1&timestamps=1";
    char *rest;
    if (strncmp(target, before, sizeof(before) - 1) != 0) {
        return NULL;
    }
    *ret_minor = (int)strtol(target + sizeof(before) - 1, &rest, 10);
    if (strncmp(rest, "/containers/", sizeof("/containers/") - 1) != 0) {
        return NULL;
    }
    char id[65] = "";
    rest += sizeof("/containers/") - 1;
    size_t len = strspn(rest, "0123456789abcdef");
    if (len >= sizeof(id) || strncmp(rest + len, behind, sizeof(behind) - 1) != 0) {
        return NULL;
    }
    memcpy(id, rest, len);
    for (size_t i = 0; i < LOG_CONTAINERS_MAX; i++) {
        if (strcmp(engine->containers[i].id, id) == 0) {
            return &engine->containers[i];
        }
    }
    return NULL;
}

static bool answer(void *arg, struct http_talk *talk, const struct http_request *request)
{
    struct log_engine *engine = arg;
    int minor = 0;
    char text[128];
    pthread_mutex_lock(&engine->lock);
    engine->not_get += strcmp(request->method, "GET") != 0 || request->body[0] ? 1 : 0;
    struct log_container *container = find(engine, request->target, &minor);
    bool gone = !container || container->gone;
    enum log_manner manner = gone ? LOG_TELLS : container->manner;
    int newest = engine->newest;
    if (container) {
        container->requests++;
    }
    pthread_mutex_unlock(&engine->lock);
    if (minor > newest) {
        (void)snprintf(text, sizeof(text),
                       "{\"message\":\"client version 1.%d is too new. Maximum supported API "
                       "version is 1.%d\"}",
                       minor, newest);
        return http_reply(talk, 400, "Content-Type: application/json\r\n", text);
    }
    if (gone) {
        return http_reply(talk, 404, "", "{\"message\":\"No such container: x\"}");
    }
    switch (manner) {
    case LOG_REFUSES:
        return http_reply(talk, 501, "",
                          "{\"message\":\"configured logging driver does not support reading\"}");
    case LOG_FAILS:
        return http_reply(talk, 500, "", "{\"message\":\"no\"}");
    case LOG_DENIES:
        return http_reply(talk, 403, "", "<html><h1>403 Forbidden</h1></html>");
    case LOG_GARBLES:
        return http_reply(talk, 200, "", "\x01<html>");
    case LOG_TELLS:
        break;
    }
    return tell(engine, talk, request->target, container);
}

/* ---- life ---- */

void log_engine_up(struct log_engine *engine)
{
    engine->stopping = false;
    engine->peer = http_peer_start(engine->path, answer, engine);
}

static void change(struct log_engine *engine)
{
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
}

void log_engine_down(struct log_engine *engine)
{
    if (engine->peer) {
        pthread_mutex_lock(&engine->lock);
        engine->stopping = true;
        change(engine);
        http_peer_stop(engine->peer);
        engine->peer = NULL;
    }
}

void log_engine_done(struct log_engine *engine)
{
    log_engine_down(engine);
    for (size_t i = 0; i < LOG_CONTAINERS_MAX; i++) {
        for (size_t k = 0; k < engine->containers[i].count; k++) {
            free(engine->containers[i].kept[k].text);
        }
        free(engine->containers[i].kept);
    }
    assert_int_equal(engine->not_get, 0);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->changed);
}

static struct log_container *lock(struct log_engine *engine, unsigned number)
{
    assert_true(number < LOG_CONTAINERS_MAX);
    pthread_mutex_lock(&engine->lock);
    return &engine->containers[number];
}

void log_engine_run(struct log_engine *engine, unsigned number)
{
    struct log_container *container = lock(engine, number);
    container->gone = false;
    container->running = true;
    container->starts++;
    change(engine);
}

void log_engine_stop(struct log_engine *engine, unsigned number)
{
    lock(engine, number)->running = false;
    change(engine);
}

void log_engine_remove(struct log_engine *engine, unsigned number)
{
    struct log_container *container = lock(engine, number);
    container->gone = true;
    container->running = false;
    change(engine);
}

void log_engine_behave(struct log_engine *engine, unsigned number, enum log_manner manner)
{
    lock(engine, number)->manner = manner;
    change(engine);
}

void log_engine_write(struct log_engine *engine, unsigned number, int stream, int64_t time_ns,
                      const char *text, size_t len)
{
    struct log_container *container = lock(engine, number);
    if (container->count == container->cap) {
        container->cap = container->cap ? 2 * container->cap : 64;
        container->kept = realloc(container->kept, container->cap * sizeof(*container->kept));
        assert_non_null(container->kept);
    }
    struct log_kept *kept = &container->kept[container->count++];
    *kept = (struct log_kept){.time_ns = time_ns, .stream = stream, .len = len};
    kept->text = memcpy(malloc(len + 1), text, len);
    change(engine);
}

void log_engine_forget(struct log_engine *engine, unsigned number, size_t kept)
{
    struct log_container *container = lock(engine, number);
    container->first = container->count > kept ? container->count - kept : 0;
    change(engine);
}

void log_engine_cut(struct log_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->cuts++;
    change(engine);
}

size_t log_engine_streams(struct log_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    size_t streams = engine->streams;
    pthread_mutex_unlock(&engine->lock);
    return streams;
}

size_t log_engine_requests(struct log_engine *engine, unsigned number)
{
    size_t requests = lock(engine, number)->requests;
    pthread_mutex_unlock(&engine->lock);
    return requests;
}
