/*
 * One connection to one receiver: chunks go out as frames, compressed on a worker where that is
 * wanted, several before the first is
 * acknowledged; acknowledgements come back in any order. A chunk that was sent belongs to the link
 * until it is acknowledged, or given back in order when the link goes: the link tells the
 * destination either way. Whoever made the link owns it, and hears of it through events.
 */
#ifndef TLY_OUTPUT_FORWARD_LINK_H
#define TLY_OUTPUT_FORWARD_LINK_H

#include "agent/base/error.h"
#include "agent/codec/forward_auth.h"
#include "agent/codec/forward_pack.h"
#include "agent/delivery/destination.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a link ended: the label `reason` of tallyman_forward_errors_total. */
enum tly_forward_reason {
    TLY_FORWARD_CONNECT,  /* it never stood */
    TLY_FORWARD_AUTH,     /* the handshake failed: one side does not trust the other */
    TLY_FORWARD_CLOSED,   /* the receiver or the network ended it */
    TLY_FORWARD_TIMEOUT,  /* nothing was taken or acknowledged in time */
    TLY_FORWARD_PROTOCOL, /* what came back is no acknowledgement of anything sent */
    TLY_FORWARD_REFUSED,  /* the receiver said that it could not store a chunk */
    TLY_FORWARD_LOCAL,    /* out of memory here */
    TLY_FORWARD_REASONS
};
extern const char *const tly_forward_reason_names[TLY_FORWARD_REASONS];

struct tly_forward_counts {
    uint64_t acks;
    int64_t ack_ns; /* from the sending of a chunk to its acknowledgement, added up */
    uint64_t sent_bytes;
};

struct tly_forward_link_spec {
    struct tly_loop *loop;
    struct tly_address address;
    const struct tly_forward_account *account; /* borrowed; NULL: no handshake */
    struct tly_destination *destination;       /* whose chunks these are */
    struct tly_forward_counts *counts;         /* borrowed: added to */
    bool require_ack;
    bool proved; /* the connection before this one had an acknowledgement */
    enum tly_forward_compression compression;
    size_t in_flight_max;
    int64_t connect_timeout_ms; /* of the handshake too, once more */
    int64_t ack_timeout_ms;
    int64_t give_up_after_ms; /* a record that alone is refused; see tly_forward_refused */
};

/* The link may be freed from inside any of them but `gave_up`. */
struct tly_forward_link_events {
    /* It stands, and the handshake, if there is one, is done. */
    void (*opened)(void *arg);
    /* Chunks are through: there is room for more. */
    void (*delivered)(void *arg);
    /* There is room for more, though nothing came through: a chunk is compressed. */
    void (*roomy)(void *arg);
    /* A record of so many bytes was refused too often, and is dropped when the link is freed, which
     * may not be from inside of this one. Called right before `ended`. */
    void (*gave_up)(void *arg, const char *tag, size_t bytes, const char *text);
    /* Called once, also when it never stood. `text` says it for a person. */
    void (*ended)(void *arg, enum tly_forward_reason reason, const char *text);
};

struct tly_forward_link;

/* Starts to connect; never calls back from inside. -ENOMEM, or what tly_stream_connect says. */
int tly_forward_link_new(const struct tly_forward_link_spec *spec,
                         const struct tly_forward_link_events *events, void *arg,
                         struct tly_forward_link **ret_link) TLY_CHECK;
/* Closes. Every chunk that was not acknowledged goes back to the destination. */
void tly_forward_link_free(struct tly_forward_link *link);

bool tly_forward_link_open(const struct tly_forward_link *link);
/* Whether one more chunk may be sent. */
bool tly_forward_link_has_room(const struct tly_forward_link *link);
size_t tly_forward_link_in_flight(const struct tly_forward_link *link);

/*
 * Sends a chunk that was taken from the destination. On failure it stays the caller's. TLY_E_LIMIT
 * and -EMSGSIZE: no frame can hold it. -ENOMEM, TLY_E_CLOSED and other codes: the link is of no
 * more use.
 */
int tly_forward_link_send(struct tly_forward_link *link, struct tly_chunk *chunk) TLY_CHECK;

/* Whether a frame can hold it: false where `send` says TLY_E_LIMIT. */
bool tly_forward_fits(const struct tly_chunk *chunk);

/* False: the receiver closes after each acknowledgement, so that nothing can be held. */
bool tly_forward_link_pipelines(const struct tly_forward_link *link);
/* Whether it is known that the receiver takes others, and nothing has to go first. */
bool tly_forward_link_proved(const struct tly_forward_link *link);

/* Keeps a chunk that was taken until those that are sent next, one at least and a certain number at
 * most, are through, and sends it then. Only while nothing is in flight, and right before a send of
 * what fits. */
void tly_forward_link_hold(struct tly_forward_link *link, struct tly_chunk *chunk);
/* The chunk that is kept, borrowed; NULL: none. */
const struct tly_chunk *tly_forward_link_held(const struct tly_forward_link *link);

#endif
