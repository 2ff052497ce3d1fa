/*
 * The forward output: sends the records of every destination in the section `forward:` to a
 * receiver of the Fluentd forward protocol.
 */
#ifndef TLY_OUTPUT_FORWARD_FORWARD_H
#define TLY_OUTPUT_FORWARD_FORWARD_H

#include "agent/registry.h"
#include "outputs/forward/settings.h"

extern const struct tly_output tly_output_forward;

#endif
