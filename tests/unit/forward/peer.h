/*
 * A receiver for tests, on the loop of what it tests: it takes frames apart by the codec's reader,
 * keeps what it heard as text, and behaves as it is told, well or badly.
 */
#ifndef TLY_TESTS_FORWARD_PEER_H
#define TLY_TESTS_FORWARD_PEER_H

#include "agent/base/buf.h"
#include "agent/codec/forward.h"
#include "agent/codec/forward_auth.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"

#include <stdbool.h>
#include <stddef.h>

#define PEER_FRAMES_MAX 1024

enum peer_way {
    PEER_ACKS,          /* each frame, at once */
    PEER_HOLDS,         /* acknowledges only when the test says so, by peer_ack */
    PEER_ACKS_WRONG,    /* an id that nobody sent */
    PEER_ACKS_BYTEWISE, /* each byte of an answer in a packet of its own */
    PEER_SAYS,          /* `saying` instead of an acknowledgement */
    PEER_CLOSES_EARLY,  /* after the first bytes of the first frame */
    PEER_RESETS,        /* the same, with bytes unread: the connection is reset */
    PEER_READS_NOTHING,
};

struct peer_stream;

struct peer_frame {
    struct tly_buf chunk; /* for the answer */
    struct peer_stream *from;
    bool answered;
};

struct peer {
    struct tly_loop *loop;
    struct tly_listener *listener;
    struct tly_address address;          /* with `tls`, where a test sets it before peer_start */
    const struct tly_forward_gate *gate; /* NULL: no handshake */
    bool closes; /* after each acknowledgement, as its greeting says; with a gate */
    enum peer_way way;
    size_t frame_bytes_max; /* closes at a larger one, as Fluent Bit does; 0: its own maximum */
    struct tly_text saying;
    struct peer_stream *streams;
    unsigned accepted;    /* connections, ever */
    unsigned connected;   /* now */
    unsigned ended;       /* connections that the other side closed */
    struct tly_buf heard; /* for each record "tag:fields ", fields being the text of the map's first
                           * value */
    size_t records;
    size_t frames; /* with room for as many in `frame` */
    struct peer_frame frame[PEER_FRAMES_MAX];
    struct tly_error failure; /* the last frame that could not be read */
};

/* Listens on 127.0.0.1, on a port that the kernel chooses, where `address` names none; after
 * peer_stop again on the same. */
void peer_start(struct peer *peer, struct tly_loop *loop);
/* Closes every connection and stops to listen. */
void peer_stop(struct peer *peer);
void peer_done(struct peer *peer);

/* Closes the connections and goes on listening. */
void peer_hang_up(struct peer *peer);
/* Answers the frame with this index (from 0), if its connection still stands. */
void peer_ack(struct peer *peer, size_t index);
/* Reads on, where it read nothing. */
void peer_read_on(struct peer *peer);

#endif
