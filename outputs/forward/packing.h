/*
 * The compression of one chunk on a worker. The worker gets a copy, so that whoever asked for it
 * may go, and the chunk with it, before it is done.
 */
#ifndef TLY_OUTPUT_FORWARD_PACKING_H
#define TLY_OUTPUT_FORWARD_PACKING_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/codec/forward_pack.h"
#include "agent/loop/loop.h"

struct tly_forward_packing;

/* Calls `done` in a later turn of the loop: 0 and what was made of `plain`, which it may take out
 * of the buffer; or -ENOMEM. Then the packing is gone. -ENOMEM, or libuv's code. */
int tly_forward_packing_start(struct tly_loop *loop, enum tly_forward_compression compression,
                              struct tly_text plain,
                              void (*done)(void *arg, int code, struct tly_buf *packed), void *arg,
                              struct tly_forward_packing **ret_packing) TLY_CHECK;

/* `done` is not called any more. NULL is fine. */
void tly_forward_packing_forget(struct tly_forward_packing *packing);

#endif
