/*
 * What the files of the intake know of each other. Owned by intake.c.
 */
#ifndef TLY_INTAKE_INTAKE_STATE_H
#define TLY_INTAKE_INTAKE_STATE_H

#include "agent/base/buf.h"
#include "agent/intake/intake.h"
#include "agent/loop/log.h"

struct tly_intake_door {
    struct tly_intake *intake;
    struct tly_listener *listener;
    const struct tly_forward_gate *gate; /* NULL: open to all */
};

/* The handshake under way. */
struct tly_intake_greeting {
    struct tly_forward_welcome welcome;
    struct tly_timer *timer;
};

struct tly_intake_client {
    struct tly_intake *intake;
    struct tly_stream *stream;
    const struct tly_forward_gate *gate;
    struct tly_intake_greeting *greeting; /* NULL: done, or none is asked for */
    struct tly_forward_reader reader;
    struct tly_buf waiting, sealed; /* answers */
    size_t unfinished_bytes;        /* as they are counted in */
    bool asks;
    bool deaf;   /* is owed too many answers: nothing is read from it either */
    bool closed; /* may be written to a last time, and goes when that is done */
    bool in_waiting, in_sealed;
    struct tly_intake_client *next, *previous;
    struct tly_intake_client *next_waiting, *next_sealed;
};

struct tly_intake {
    struct tly_intake_spec spec;
    struct tly_intake_door doors[TLY_INTAKE_LISTEN_MAX];
    size_t door_count;
    struct tly_intake_client *clients;
    struct tly_intake_client *waiting, *sealed; /* those with such answers */
    enum tly_intake_reads reads;
    bool closing;
    struct tly_intake_counts counts;
    struct tly_log_limit broken_limit, skipped_limit, refused_limit;
};

/* ---- intake.c ---- */

/* Takes it out of everything and frees it. */
void tly_intake_client_free(struct tly_intake_client *client);
/* Reads from it, unless something speaks against it. */
void tly_intake_client_listen(struct tly_intake_client *client);
/* A connection of a stream that was just accepted, which it owns now. */
void tly_intake_client_begin(struct tly_intake_door *door, struct tly_stream *stream);

/* ---- answer.c ---- */

/* Sends bytes of its own. False: the connection is of no more use. */
bool tly_intake_client_say(struct tly_intake_client *client, struct tly_buf *bytes);
/* Takes it out of the lists of answers. */
void tly_intake_client_forget(struct tly_intake_client *client);
/* The answer to a frame waits from now on. -ENOMEM, TLY_E_LIMIT. */
int tly_intake_client_owe(struct tly_intake_client *client, struct tly_text chunk) TLY_CHECK;

/* ---- greeting.c ---- */

/* Says HELO. False: the connection is of no more use. */
bool tly_intake_greeting_begin(struct tly_intake_client *client);
void tly_intake_greeting_read(struct tly_intake_client *client, struct tly_text bytes);
void tly_intake_greeting_end(struct tly_intake_client *client); /* none is fine */

#endif
