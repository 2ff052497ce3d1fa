/*
 * One list of all containers: the request, its reply cut into rows as it arrives, each row given to
 * the roster. However long the reply, only one row is held. Owned by the session.
 */
#ifndef TLY_COLLECTORS_DOCKER_LISTING_H
#define TLY_COLLECTORS_DOCKER_LISTING_H

#include "agent/base/error.h"
#include "agent/engine/engine.h"
#include "collectors/docker/roster.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_docker_listing;

/* How a list ended; `whole`: each of its rows could be read, so that what it lacks does not exist.
 * The roster's list_end is for the receiver to call, after an OK. */
typedef void (*tly_docker_listed_fn)(void *arg, const struct tly_docker_reply *reply, bool whole);

int tly_docker_listing_new(struct tly_docker_engine *engine, struct tly_docker_roster *roster,
                           int64_t timeout_ms, tly_docker_listed_fn listed, void *arg,
                           struct tly_docker_listing **ret_listing) TLY_CHECK;
void tly_docker_listing_free(struct tly_docker_listing *listing);

/* Does nothing while one is under way. */
int tly_docker_listing_start(struct tly_docker_listing *listing) TLY_CHECK;
void tly_docker_listing_cancel(struct tly_docker_listing *listing);
bool tly_docker_listing_busy(const struct tly_docker_listing *listing);

/* Rows that could not be read, in all. */
uint64_t tly_docker_listing_errors(const struct tly_docker_listing *listing);

#endif
