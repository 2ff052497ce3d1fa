/*
 * A server with a loop, for the tests of this room: `run` lets a client script run on a worker
 * while the loop serves.
 */
#ifndef TESTS_UNIT_WEB_FIXTURE_H
#define TESTS_UNIT_WEB_FIXTURE_H

#include "agent/web/server.h"
#include "tests/unit/web/http_client.h"

#define REPLIES 8
#define CLIENTS 256

#define MADE_BLOCK 50000

struct fixture {
    struct tly_loop *loop;
    struct tly_web *web;
    uint16_t port;
    struct http_reply replies[REPLIES];
    int fds[CLIENTS];
    bool ok[CLIENTS];
    struct tly_http_request *held[CLIENTS]; /* what the route /hold left unanswered */
    size_t held_count;
    size_t body_len; /* what the routes /big and /made send */
    /* Of the route /made. */
    size_t made_blocks;    /* so far */
    size_t made_breaks_at; /* the block that can't be made; 0: all can */
    size_t made_done;      /* answers that came to their end */
    void (*script)(struct fixture *fixture);
};

/* A server with `connections_max` on a port of its own, not started; then `fixture_start`. */
void fixture_new(struct fixture *fixture, int64_t connections_max);
void fixture_start(struct fixture *fixture);
/* Stops and frees everything; the loop aborts when a handle was forgotten. */
void fixture_done(struct fixture *fixture);

void run(struct fixture *fixture, void (*script)(struct fixture *fixture));

/* The server's own count of a family (the sum over its dimensions). */
int64_t metered(struct fixture *fixture, enum tly_family_id family);

#endif
