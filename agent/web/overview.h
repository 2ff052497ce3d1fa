/*
 * What the status page asks for: /api/v1/overview and /api/v1/history. For the loop's thread.
 */
#ifndef TLY_WEB_OVERVIEW_H
#define TLY_WEB_OVERVIEW_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/web/route.h"

#include <stdint.h>

struct tly_web;
struct tly_web_overview; /* opaque, counted: outlives the server as long as a worker is busy */

int tly_web_overview_new(struct tly_web *web, struct tly_web_overview **ret_overview) TLY_CHECK;
/* Answers those who wait, and lets go of the server. NULL is fine. */
void tly_web_overview_free(struct tly_web_overview *overview);

/* Takes a reading of everything soon and then at every third interval, for the history. Before this
 * call both pages answer 503. */
void tly_web_overview_start(struct tly_web_overview *overview, int64_t interval_ms);

/* Handlers; `self` is the server. */
void tly_web_overview_handle(void *self, struct tly_http_request *request);
void tly_web_history_handle(void *self, struct tly_http_request *request);

#endif
