/* docs/metrics.md, from the table of families. */
#ifndef TLY_COMMAND_FAMILY_REFERENCE_H
#define TLY_COMMAND_FAMILY_REFERENCE_H

#include "agent/base/buf.h"

/* Appends the page; the buffer's own errors. */
int tly_family_reference(struct tly_buf *buf) TLY_CHECK;

#endif
