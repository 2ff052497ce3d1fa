/*
 * Passwords of basic_auth_users. bcrypt takes a tenth of a second by design, so it runs on a
 * worker, one at a time, and what came out is remembered by digest: a scraper pays once. A name
 * that there is not costs as much as one that there is.
 */
#ifndef TLY_WEB_AUTH_H
#define TLY_WEB_AUTH_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/loop/loop.h"
#include "agent/web/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Different credentials that may wait for their turn; more are answered with 503. */
#define TLY_AUTH_QUEUE_MAX 64
/* Of those, by one peer, so that who guesses keeps nobody else out. */
#define TLY_AUTH_PEER_MAX 8
#define TLY_AUTH_PEER_LEN 16

struct tly_web_auth;

int tly_web_auth_new(struct tly_loop *loop, struct tly_web_auth **ret_auth) TLY_CHECK;
/* Tells those who wait no, from inside this call. A worker under way is not waited for; what it
 * needs stays until it is done. NULL is fine. */
void tly_web_auth_free(struct tly_web_auth *auth);

enum tly_web_verdict { TLY_WEB_YES, TLY_WEB_NO, TLY_WEB_LATER, TLY_WEB_BUSY };

/*
 * Judges an Authorization header by the policy's users. `peer` says who asks, in at most
 * TLY_AUTH_PEER_LEN bytes; empty: a local client, without a limit of its own. LATER: `decided` will
 * be called from the loop, not from inside this call. Nothing given is kept as text but for the
 * time of the check.
 */
enum tly_web_verdict tly_web_auth_check(struct tly_web_auth *auth,
                                        const struct tly_web_policy *policy, struct tly_text peer,
                                        struct tly_text authorization,
                                        void (*decided)(void *arg, bool ok), void *arg);

/* For figures: different credentials being checked or waiting. */
size_t tly_web_auth_pending(const struct tly_web_auth *auth);

#endif
