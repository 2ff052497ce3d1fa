/*
 * Patterns by which records and containers are chosen, as every section writes them: `match` and
 * `exclude`.
 */
#ifndef TLY_CONFIG_TERMS_H
#define TLY_CONFIG_TERMS_H

#include "agent/config/option.h"

struct tly_terms_settings {
    struct tly_strings tags, containers, images, labels;
};

extern const struct tly_option tly_terms_options[];

#endif
