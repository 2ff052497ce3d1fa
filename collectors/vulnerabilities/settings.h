/*
 * The section `vulnerabilities` of the configuration.
 */
#ifndef TLY_VULNERABILITIES_SETTINGS_H
#define TLY_VULNERABILITIES_SETTINGS_H

#include "agent/config/option.h"

#include <stdint.h>

struct tly_vulnerabilities_settings {
    char *directory; /* NULL: nothing is read */
    int64_t interval_ms;
    int64_t reports_max;
    int64_t report_bytes_max;
};

extern const struct tly_section tly_vulnerabilities_section;

#endif
