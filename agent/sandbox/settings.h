/*
 * sandbox: in the configuration.
 */
#ifndef TLY_SANDBOX_SETTINGS_H
#define TLY_SANDBOX_SETTINGS_H

#include "agent/config/option.h"

struct tly_sandbox_settings {
    bool enabled;
    struct tly_strings layers; /* names; those that are to be used */
    struct tly_strings read;   /* folders beside those that the rest of the configuration names */
};

extern const struct tly_section tly_sandbox_section;

#endif
