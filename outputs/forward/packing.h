/*
 * The compression of chunks on a worker, one at a time for each packing, which keeps what it works
 * with for the next one. The worker reads the chunk itself: nobody else may write to it meanwhile.
 */
#ifndef TLY_OUTPUT_FORWARD_PACKING_H
#define TLY_OUTPUT_FORWARD_PACKING_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/codec/forward_pack.h"
#include "agent/loop/loop.h"

#include <stdbool.h>

struct tly_forward_packing;

/* For gzip or zstd. -ENOMEM. */
int tly_forward_packing_new(enum tly_forward_compression compression,
                            struct tly_forward_packing **ret_packing) TLY_CHECK;
/* Of one that is busy: `done` is not called any more, and nothing is borrowed when it returns, for
 * which it may wait until the worker is done with the chunk. NULL is fine. */
void tly_forward_packing_free(struct tly_forward_packing *packing);

bool tly_forward_packing_busy(const struct tly_forward_packing *packing);

/* Calls `done` in a later turn of the loop: 0 and what was made of `plain`, borrowed until it
 * returns; or -ENOMEM. `plain` is borrowed until then, or until `free`. Not while it is busy.
 * -ENOMEM, or libuv's code. */
int tly_forward_packing_start(struct tly_forward_packing *packing, struct tly_loop *loop,
                              struct tly_text plain,
                              void (*done)(void *arg, int code, struct tly_text packed),
                              void *arg) TLY_CHECK;

#endif
