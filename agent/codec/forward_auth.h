/*
 * The handshake of the forward protocol, both sides: HELO from the receiver, PING from the sender,
 * PONG from the receiver, which prove to each other that they know the shared key, and that the
 * sender knows a user's password
 * (https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1, handshake messages).
 * Pure: bytes in, bytes and verdict out; whoever has the connection writes what is appended, each
 * time by one write, because Fluent Bit reads a PING in one piece or not at all. Nothing here puts
 * a secret into an error's text.
 */
#ifndef TLY_CODEC_FORWARD_AUTH_H
#define TLY_CODEC_FORWARD_AUTH_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/value_feed.h"

#include <stdbool.h>
#include <stddef.h>

#define TLY_FORWARD_SALT_BYTES 16

/* Longest nonce and salt that a peer may ask for; Fluentd and Fluent Bit use 16. */
#define TLY_FORWARD_NONCE_MAX 128

/* ---- the sender's side ---- */

/* Who we are. Borrowed throughout; empty: none. */
struct tly_forward_account {
    struct tly_text hostname; /* ours; has to differ from the receiver's */
    struct tly_text shared_key;
    struct tly_text username, password;
};

struct tly_forward_greeting {
    struct tly_value_feed feed;
    char salt[2 * TLY_FORWARD_SALT_BYTES]; /* hexadecimal, since Fluent Bit takes text alone */
    char nonce[TLY_FORWARD_NONCE_MAX];
    size_t nonce_len;
    bool answered;  /* the PING is out */
    bool keepalive; /* from HELO: the receiver leaves the connection open after a frame */
};

/* `random` comes from the caller, so that this stays pure. */
void tly_forward_greeting_init(struct tly_forward_greeting *greeting,
                               const unsigned char random[TLY_FORWARD_SALT_BYTES]);
void tly_forward_greeting_done(struct tly_forward_greeting *greeting);

/*
 * Reads what the receiver sent, in pieces of any size. TLY_E_MORE: go on, and write what `answer`
 * may have got. 0: both sides are satisfied, frames may follow. TLY_E_REFUSED: the receiver does
 * not let us in, or is not the one that it should be; TLY_E_MALFORMED, TLY_E_LIMIT, -ENOMEM.
 */
int tly_forward_greeting_read(struct tly_forward_greeting *greeting,
                              const struct tly_forward_account *account, struct tly_text bytes,
                              struct tly_buf *answer, struct tly_error *err) TLY_CHECK;

/* ---- the receiver's side ---- */

struct tly_forward_user {
    struct tly_text name, password;
};

/* Who is let in. Borrowed throughout. */
struct tly_forward_gate {
    struct tly_text hostname; /* ours */
    struct tly_text shared_key;
    const struct tly_forward_user *users;
    size_t user_count; /* 0: the shared key is enough */
};

struct tly_forward_welcome {
    struct tly_value_feed feed;
    char nonce[TLY_FORWARD_SALT_BYTES], auth[TLY_FORWARD_SALT_BYTES];
};

/* Appends the HELO to `answer`: it is the first that goes over a new connection. `random` has to be
 * new for every connection. */
int tly_forward_welcome_init(struct tly_forward_welcome *welcome,
                             const unsigned char random[2 * TLY_FORWARD_SALT_BYTES],
                             struct tly_buf *answer) TLY_CHECK;
void tly_forward_welcome_done(struct tly_forward_welcome *welcome);

/*
 * Reads what the sender sent. TLY_E_MORE: not all is there yet. 0: write `answer` and read frames
 * from now on. TLY_E_REFUSED: write `answer`, which tells the sender, then close; `err` says why,
 * for our log. TLY_E_MALFORMED, TLY_E_LIMIT, -ENOMEM: close.
 */
int tly_forward_welcome_read(struct tly_forward_welcome *welcome,
                             const struct tly_forward_gate *gate, struct tly_text bytes,
                             struct tly_buf *answer, struct tly_error *err) TLY_CHECK;

#endif
