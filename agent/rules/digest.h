/*
 * The digest of a window whose samples are at hand. Storages that need not make points of their
 * samples have a way of their own (agent/rules/storage.h).
 */
#ifndef TLY_RULES_DIGEST_H
#define TLY_RULES_DIGEST_H

#include "agent/rules/storage.h"

/* The window has no markers of the end. */
void tly_digest_window(struct tly_window window, enum tly_digest_part part,
                       struct tly_digest *ret_digest);

#endif
