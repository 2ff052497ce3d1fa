/*
 * What the option tables say, written for people: docs/configuration.md, and a configuration file
 * that holds every option at its default.
 */
#ifndef TLY_CONFIG_REFERENCE_H
#define TLY_CONFIG_REFERENCE_H

#include "agent/base/buf.h"
#include "agent/config/option.h"

/* Both append to `buf`; the buffer's own errors. */
int tly_reference_markdown(const struct tly_section *const *sections, size_t count,
                           struct tly_buf *buf) TLY_CHECK;
int tly_reference_yaml(const struct tly_section *const *sections, size_t count,
                       struct tly_buf *buf) TLY_CHECK;

#endif
