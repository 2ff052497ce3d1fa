/*
 * What the engine's images, containers, volumes and build cache take on disk, in its own words, and
 * how many networks there are. The question makes the engine walk through all of them, so it is
 * asked at a long interval, one at a time, never because of a scrape. Owned by the session.
 */
#ifndef TLY_COLLECTORS_DOCKER_USAGE_H
#define TLY_COLLECTORS_DOCKER_USAGE_H

#include "agent/base/error.h"
#include "agent/engine/engine.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/loop.h"

#include <stdint.h>

struct tly_docker_usage;

/* Replies are published for the host in the collector's own slot. -ENOMEM, TLY_E_LIMIT. */
int tly_docker_usage_new(struct tly_loop *loop, struct tly_inventory *inventory,
                         struct tly_docker_engine *engine, int64_t interval_ms,
                         struct tly_docker_usage **ret_usage) TLY_CHECK;
void tly_docker_usage_free(struct tly_docker_usage *usage); /* NULL is fine */

/* While the engine answers, about once a second: asks when it is time. */
void tly_docker_usage_tick(struct tly_docker_usage *usage);

/* The connection is gone: what was asked is not waited for. */
void tly_docker_usage_cancel(struct tly_docker_usage *usage);

/* Replies that could not be had or read, in all. */
uint64_t tly_docker_usage_errors(const struct tly_docker_usage *usage);

#endif
