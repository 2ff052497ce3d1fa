/*
 * One destination of the forward output: its servers, which of them is sent to, and when the others
 * are tried. Chunks go to one server at a time, the carrier; so what one stream's lines are sent
 * in, is also the order in which a receiver sees them.
 */
#ifndef TLY_OUTPUT_FORWARD_SENDER_H
#define TLY_OUTPUT_FORWARD_SENDER_H

#include "agent/base/error.h"
#include "agent/delivery/delivery.h"
#include "agent/loop/loop.h"
#include "agent/model/sample.h"
#include "outputs/forward/settings.h"

struct tly_forward_sender;

/*
 * Makes a sender that does nothing yet, for `destination`, or for one that it makes (NULL).
 * `settings` is borrowed for the sender's life from `config`, of which it takes a reference.
 */
int tly_forward_sender_new(struct tly_loop *loop, struct tly_delivery *delivery,
                           struct tly_config *config, const struct tly_forward_settings *settings,
                           struct tly_destination *destination,
                           struct tly_forward_sender **ret_sender, struct tly_error *err) TLY_CHECK;
/* Takes the destination, which nobody else has any more, and starts to connect. */
void tly_forward_sender_begin(struct tly_forward_sender *sender);

/* Borrowed. */
const struct tly_forward_settings *
tly_forward_sender_settings(const struct tly_forward_sender *sender);
struct tly_destination *tly_forward_sender_destination(const struct tly_forward_sender *sender);
/* Whether `new` made the destination. */
bool tly_forward_sender_made(const struct tly_forward_sender *sender);

/* Goes on until all that is queued is delivered, at most until `deadline_ms`; then calls `stopped`,
 * maybe from inside. */
void tly_forward_sender_stop(struct tly_forward_sender *sender, int64_t deadline_ms,
                             void (*stopped)(void *arg), void *arg);

/* Closes every connection; what was not acknowledged is the destination's again. */
void tly_forward_sender_free(struct tly_forward_sender *sender);

void tly_forward_sender_meter(const struct tly_forward_sender *sender, struct tly_samples *samples);

#endif
