/*
 * What an HTTP route is to those who offer one. The server itself (libmicrohttpd) is web's secret.
 * Handlers run on the loop's thread and answer at once or later, also from a later callback.
 */
#ifndef TLY_WEB_ROUTE_H
#define TLY_WEB_ROUTE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_http_request; /* opaque; lives until it is answered */

/* Borrowed until the answer; empty when absent. GET and HEAD only reach handlers, and POST without
 * a body those that say so. */
bool tly_http_is_post(const struct tly_http_request *request);
struct tly_text tly_http_path(const struct tly_http_request *request);
struct tly_text tly_http_header(const struct tly_http_request *request, const char *name);
struct tly_text tly_http_query(const struct tly_http_request *request, const char *name);
/* Calls for each value of a repeated query argument, such as collect[]. */
void tly_http_query_each(const struct tly_http_request *request, const char *name,
                         void (*fn)(void *arg, struct tly_text value), void *arg);

/* Adds a header to the answer to come; strings are copied. */
int tly_http_answer_header(struct tly_http_request *request, const char *name,
                           const char *value) TLY_CHECK;

/* Answers once; takes the bytes of `body` over (the buffer is empty afterwards; NULL: no body).
 * The request is gone afterwards. A client that has left meanwhile does no harm. */
void tly_http_answer(struct tly_http_request *request, unsigned status, const char *content_type,
                     struct tly_buf *body);

/*
 * The same with 200 and a tag, for a client that asks again and again: 304 without a body where it
 * has an answer whose bytes from `from` on were these (RFC 9110, 13.1.2). `from` leaves the time
 * out; it is at most the body's length.
 */
void tly_http_answer_tagged(struct tly_http_request *request, const char *content_type,
                            struct tly_buf *body, size_t from);

/* The text of an answer, made while it is sent. Called on the loop's thread. */
struct tly_http_source {
    /* The next bytes, borrowed until the next call; never empty before the whole length was given.
     * A negative number breaks the answer off. Microseconds: the loop waits for it. */
    int (*next)(void *arg, struct tly_text *ret_block);
    void (*done)(
        void *arg); /* once, when nothing more is wanted, maybe from inside the answering */
    void *arg;
};

/* Answers once, with `len` bytes from the source, which is copied. Otherwise like tly_http_answer;
 * a HEAD request, or a client that leaves, may want nothing of it. */
void tly_http_answer_from(struct tly_http_request *request, unsigned status,
                          const char *content_type, size_t len,
                          const struct tly_http_source *source);

typedef void (*tly_route_fn)(void *self, struct tly_http_request *request);

struct tly_route {
    const char *path; /* exact, or with a final '*' for everything below */
    tly_route_fn handle;
    const char *title; /* for the landing page; NULL: not shown there */
    bool post;         /* POST reaches it, too */
};

#endif
