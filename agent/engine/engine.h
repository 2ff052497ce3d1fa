/*
 * The Docker engine's API as the collectors use it: where it listens, the version agreed on, and
 * requests, all of them GET: nothing here can carry a body. Whoever asks has one of its own.
 *
 * What an endpoint refuses (a proxy that forbids it, a version that lacks it) is said once in the
 * log, with what to do, and again only after it had worked.
 */
#ifndef TLY_ENGINE_ENGINE_H
#define TLY_ENGINE_ENGINE_H

#include "agent/base/error.h"
#include "agent/codec/engine_json.h"
#include "agent/config/settings.h"
#include "agent/engine/requests.h"
#include "agent/loop/fetch.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_docker_engine;

/* `who` names the caller in the log; a constant. `settings` has a host that is not empty. -EINVAL
 * with `err` for a host or files that can't be used, -ENOMEM. DOCKER_API_VERSION, DOCKER_TLS_VERIFY
 * and DOCKER_CERT_PATH are honoured. */
int tly_docker_engine_new(struct tly_loop *loop, const struct tly_docker_settings *settings,
                          const char *who, struct tly_docker_requests *requests,
                          struct tly_docker_engine **ret_engine, struct tly_error *err) TLY_CHECK;
/* Ends every request without calling back. */
void tly_docker_engine_free(struct tly_docker_engine *engine);

/* Whether the engine is on this host, so that knocking often costs nothing. */
bool tly_docker_engine_is_local(const struct tly_docker_engine *engine);
const char *tly_docker_engine_host(const struct tly_docker_engine *engine);

/* What may help where the engine cannot be reached, by the code of a request ("; is it running
 * ..."), or "". */
const char *tly_docker_engine_advice(int code);

enum tly_docker_outcome {
    TLY_DOCKER_OK,         /* a 2xx reply, whole */
    TLY_DOCKER_DENIED,     /* 401, 403, 404 of an endpoint, 405, 501: this endpoint is not for us */
    TLY_DOCKER_GONE,       /* 404: there is no such container */
    TLY_DOCKER_UNREADABLE, /* the container's log driver can't be read from */
    TLY_DOCKER_VERSION,    /* another API version was asked for, and is in use from now on */
    TLY_DOCKER_FAILED,     /* another status, or a reply that broke off or passed its limit */
    TLY_DOCKER_SILENT,     /* no reply in time */
    TLY_DOCKER_ABSENT,     /* nobody there: the connection failed or was closed unanswered */
};

struct tly_docker_reply {
    enum tly_docker_outcome outcome;
    struct tly_text body; /* borrowed until the callback returns */
    int code;             /* 0, or why there is no reply */
    const char *why;      /* for a person; empty when OK */
};

struct tly_docker_request {
    enum tly_docker_api api;
    const char *path;   /* "/info"; the version goes before it, but for PING */
    int64_t timeout_ms; /* 0: none */
    size_t body_max;
    void (*opened)(void *arg);                       /* may be NULL */
    void (*chunk)(void *arg, struct tly_text bytes); /* may be NULL: the body is kept */
    void (*done)(void *arg, const struct tly_docker_reply *reply);
    void *arg;
};

struct tly_docker_get; /* a request under way; gone when `done` was called */
int tly_docker_engine_get(struct tly_docker_engine *engine,
                          const struct tly_docker_request *request,
                          struct tly_docker_get **ret_get) TLY_CHECK;
void tly_docker_engine_cancel(struct tly_docker_get *get); /* NULL is fine */

/* The same as tly_fetch_pause and tly_fetch_resume, of the bytes that go to `chunk`. */
void tly_docker_engine_pause(struct tly_docker_get *get);
void tly_docker_engine_resume(struct tly_docker_get *get);

/* After a ping: takes the newest version that both sides know. A ping whose header says nothing
 * leaves the version as it was. */
struct tly_api_version tly_docker_engine_version(const struct tly_docker_engine *engine);

#endif
