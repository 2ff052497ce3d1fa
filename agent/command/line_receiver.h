/*
 * The receiver behind `tallyman receive`: takes frames on any number of connections, writes a JSON
 * line for each record, and acknowledges a frame once its lines are written. All of it is bounded:
 * while lines wait for a slow descriptor nothing is read, and a client that takes no answers is not
 * read from.
 */
#ifndef TLY_COMMAND_LINE_RECEIVER_H
#define TLY_COMMAND_LINE_RECEIVER_H

#include "agent/base/error.h"
#include "agent/codec/record_json.h"
#include "agent/intake/intake.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_line_receiver;

#define TLY_LINE_RECEIVER_CONNECTIONS_MAX 1024 /* by default */

struct tly_line_receiver_spec {
    struct tly_loop *loop;
    int fd;         /* where lines go; borrowed */
    bool sync;      /* acknowledge only what has reached the disk */
    bool quiet;     /* write no lines */
    bool no_ack;    /* acknowledge nothing */
    uint64_t count; /* stop when as many records have come; 0: no end */
    /* Most connections at a time, each of which may hold a frame that is not complete yet; more are
     * closed at once. 0: the default. */
    size_t connections_max;
    struct tly_json_style style;
    /* All that was taken is written, after a stop or at the count: 0. Or the descriptor takes no
     * more: the negative errno. Called once; the owner may free the receiver inside. */
    void (*ended)(void *arg, int code);
    void *arg;
};

struct tly_line_receiver_counts {
    uint64_t records, frames, connections;
};

int tly_line_receiver_new(const struct tly_line_receiver_spec *spec,
                          struct tly_line_receiver **ret_receiver) TLY_CHECK;
/* Closes all connections. Only before anything was accepted, or after `ended`. */
void tly_line_receiver_free(struct tly_line_receiver *receiver);

#define TLY_LINE_RECEIVER_LISTEN_MAX TLY_INTAKE_LISTEN_MAX
/* Listens on one more address; port 0 becomes the one that the kernel chose. TLY_E_LIMIT. */
int tly_line_receiver_listen(struct tly_line_receiver *receiver, struct tly_address *address,
                             struct tly_error *err) TLY_CHECK;

/* Takes nothing more; `ended` comes when what was taken is written, maybe from inside. */
void tly_line_receiver_stop(struct tly_line_receiver *receiver);

struct tly_line_receiver_counts tly_line_receiver_counts(const struct tly_line_receiver *receiver);

#endif
