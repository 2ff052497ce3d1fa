/*
 * docs/posture.md, written from the table of checks.
 */
#ifndef TLY_POSTURE_REFERENCE_H
#define TLY_POSTURE_REFERENCE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* Appends to `buf`; its own errors. */
int tly_posture_reference(struct tly_buf *buf) TLY_CHECK;

#endif
