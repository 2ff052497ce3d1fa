/*
 * The receiver's side of the forward protocol on the network: it listens, lets clients in, reads
 * their frames and sends their answers. What becomes of the records, and when a frame may be
 * answered, is its owner's affair.
 *
 * All of it is bounded: connections, the bytes of unfinished frames over all of them, and the
 * answers that a client is owed, beyond which it is not read from.
 */
#ifndef TLY_INTAKE_INTAKE_H
#define TLY_INTAKE_INTAKE_H

#include "agent/base/error.h"
#include "agent/codec/forward.h"
#include "agent/codec/forward_auth.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_intake;
struct tly_intake_client; /* one connection */

struct tly_intake_events {
    /* A frame is there as a whole, with `records` and `skipped` as they will be at its end. A
     * negative code closes the connection before any of its records. NULL is fine. */
    int (*begin)(void *arg, const struct tly_intake_client *client,
                 const struct tly_forward_frame *frame);
    /* One record of a frame, and then the frame's end. A negative code closes the connection, and
     * the frame is not answered. */
    int (*record)(void *arg, const struct tly_intake_client *client,
                  const struct tly_forward_record *record);
    int (*frame)(void *arg, const struct tly_intake_client *client,
                 const struct tly_forward_frame *frame);
    /* A frame ended otherwise: what `record` was given of it does not count. */
    void (*broken)(void *arg);
    /* All frames that came at one time are through. The intake may be closed, not freed. */
    void (*received)(void *arg);
};

struct tly_intake_spec {
    struct tly_loop *loop;
    const char *who; /* in the log */
    struct tly_forward_limits limits;
    size_t connections_max;      /* more are closed at once */
    size_t unfinished_bytes_max; /* of frames over all connections; a client whose long frame would
                                  * pass it is closed */
    bool no_answers;             /* none are sent */
    const struct tly_intake_events *events;
    void *arg;
};

struct tly_intake_counts {
    uint64_t connections, records, frames, skipped, bytes;
    uint64_t refused; /* connections: too many, or not let in */
    uint64_t broken;  /* connections closed for what they sent */
    uint64_t open;    /* connections now */
    uint64_t unfinished_bytes;
};

int tly_intake_new(const struct tly_intake_spec *spec, struct tly_intake **ret_intake) TLY_CHECK;
/* Closes all first. Not from inside an event; NULL is fine. */
void tly_intake_free(struct tly_intake *intake);

#define TLY_INTAKE_LISTEN_MAX 16

/* Listens on one more address; port 0 becomes the one that the kernel chose. `gate`, borrowed, asks
 * for the handshake; NULL: none. TLY_E_LIMIT over TLY_INTAKE_LISTEN_MAX. */
int tly_intake_listen(struct tly_intake *intake, struct tly_address *address,
                      const struct tly_forward_gate *gate, struct tly_error *err) TLY_CHECK;

/* Who is read from. Clients that ever asked for an answer can wait without loss. */
enum tly_intake_reads { TLY_INTAKE_READS_ALL, TLY_INTAKE_READS_SILENT, TLY_INTAKE_READS_NONE };
void tly_intake_read(struct tly_intake *intake, enum tly_intake_reads whom);

/* Whether the client ever asked for an answer; in `begin` not yet for the frame that begins. */
bool tly_intake_client_asks(const struct tly_intake_client *client);
const char *tly_intake_client_peer(const struct tly_intake_client *client); /* borrowed */

/* Answers collect until they are sealed, and are sent by `answer`: so one lot can be on its way to
 * the disk while the next collects. */
void tly_intake_seal(struct tly_intake *intake);
void tly_intake_answer(struct tly_intake *intake);

/* Lets nobody in any more; the connections that stand stay. */
void tly_intake_bar(struct tly_intake *intake);
/* Whether there are answers that wait, or that the kernel has not taken yet. */
bool tly_intake_owes(const struct tly_intake *intake);
/* Closes every connection, too. */
void tly_intake_close(struct tly_intake *intake);

void tly_intake_counts(const struct tly_intake *intake, struct tly_intake_counts *ret_counts);

#endif
