/*
 * The HTTP server: libmicrohttpd driven from the loop, with listening sockets and limits of our
 * own. Outputs offer it routes (agent/web/route.h). It answers GET and HEAD, closes what is slow or
 * idle before a newcomer is refused, and never lets one client delay another. All functions are for
 * the loop's thread.
 */
#ifndef TLY_WEB_WEB_H
#define TLY_WEB_WEB_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/config/settings.h"
#include "agent/inventory/snapshot.h"
#include "agent/loop/loop.h"
#include "agent/model/group.h"
#include "agent/model/sample.h"
#include "agent/web/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_web;

#define TLY_WEB_LACKING_MAX 4
#define TLY_WEB_LAYERS_MAX  4

/*
 * Parses the listen addresses; nothing is bound yet. The settings are borrowed until this returns.
 * An error names the offending value. `settings->config_file` is refused as long as this build
 * cannot honour it: nobody who asked for TLS gets a server without.
 */
int tly_web_new(struct tly_loop *loop, const struct tly_web_settings *settings,
                struct tly_web **ret_web, struct tly_error *err) TLY_CHECK;

/* Adds a route, before `start` or after it; `route` is borrowed for the server's life, `self` goes
 * to its handler. -EEXIST for a path that is taken and not withdrawn, TLY_E_LIMIT. */
int tly_web_add(struct tly_web *web, const struct tly_route *route, void *self) TLY_CHECK;

/* The routes of `self` are no longer served: from now on they answer 503. For an output that stops
 * before the server does; requests that it holds stay its own to answer. */
void tly_web_withdraw(struct tly_web *web, const void *self);

/* Whether the web configuration file, if there is one, can be used as it is now, with all that it
 * names. What has changed in it is in force afterwards. */
int tly_web_policy_check(struct tly_web *web, struct tly_error *err) TLY_CHECK;

/* What /-/ready asks. False is answered as 503 with what `ready` appended to `missing`: for people,
 * one line for each thing that is awaited. Without this call the server counts as ready. */
void tly_web_set_ready(struct tly_web *web, bool (*ready)(void *arg, struct tly_buf *missing),
                       void *arg);

/* What /api/v1/containers shows: `take` returns one reference on the present state, or NULL.
 * Without this call that page answers 503. */
void tly_web_set_snapshots(struct tly_web *web, struct tly_snapshot *(*take)(void *arg), void *arg);

/* What the status page shows beside what a snapshot has. */
struct tly_web_page {
    const char *name;    /* of the host */
    int64_t interval_ms; /* at which collectors read */
    struct {
        const char *what, *lost; /* a right that the agent lacks, and what it can't do without */
    } lacking[TLY_WEB_LACKING_MAX];
    size_t lacking_count;
    struct {
        const char *name, *why; /* a layer of the sandbox; what it amounts to, or why it is off */
        bool on;
    } layers[TLY_WEB_LAYERS_MAX];
    size_t layer_count;
    const char *off[TLY_GROUP_COUNT]; /* groups of metrics that are switched off */
    size_t off_count;
    void (*look)(void *arg); /* somebody looks: collectors may read anew. NULL: nobody is told */
    void *look_arg;
};

/* Lets /api/v1/overview and /api/v1/history answer, which take what tly_web_set_snapshots gives.
 * Copied; the texts are borrowed for the server's life. */
void tly_web_set_page(struct tly_web *web, const struct tly_web_page *page);

/* Binds every address and begins to serve. The error says what stands in the way and what to do,
 * e.g. for a port that is in use; nothing is left open then. */
int tly_web_start(struct tly_web *web, struct tly_error *err) TLY_CHECK;

/* The port of the listener with that index (the order of the settings); 0 for a Unix socket. */
uint16_t tly_web_port(const struct tly_web *web, size_t listener);

/*
 * Closes the listeners and idle connections at once, lets requests under way end for up to
 * TLY_WEB_STOP_MS, cuts the rest, then calls `stopped` (never from inside this call). A request
 * that a handler still holds by then may be answered later all the same; that only frees it.
 */
#define TLY_WEB_STOP_MS 2000
void tly_web_stop(struct tly_web *web, void (*stopped)(void *arg), void *arg);

/* After `stopped`, or for a server that was never started. NULL is fine. */
void tly_web_free(struct tly_web *web);

/* Adds the tallyman_http_* samples: a tly_meter_fn whose `arg` is the server. */
void tly_web_meter(void *arg, struct tly_samples *samples);

#endif
