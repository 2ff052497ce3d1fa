/*
 * The `logs` section of the configuration.
 */
#ifndef TLY_LOGS_SETTINGS_H
#define TLY_LOGS_SETTINGS_H

#include "agent/config/option.h"

#include <stdint.h>

enum tly_logs_from { TLY_LOGS_FROM_NOW, TLY_LOGS_FROM_BEGINNING };

struct tly_logs_settings {
    int from; /* enum tly_logs_from: for what stands there when the agent first runs */
    char *tag;
    char *pods_root; /* "": none */
    char *pods_tag;
    int64_t line_max_bytes;
    int64_t join_max_bytes;
    int64_t held_max_bytes;
};

extern const struct tly_section tly_logs_section;

#endif
