/*
 * disk: in the configuration.
 */
#ifndef TLY_COLLECTORS_DISK_SETTINGS_H
#define TLY_COLLECTORS_DISK_SETTINGS_H

#include "agent/config/option.h"

#include <stdint.h>

struct tly_disk_settings {
    int64_t interval_ms;
    int64_t entries_per_second;
    int64_t entries_max;
    int64_t memory_bytes_max;
    int64_t volumes_max;
};

extern const struct tly_section tly_disk_section;

#endif
