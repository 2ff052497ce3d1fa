/*
 * From the patterns that the configuration has to those that delivery asks: the two rooms know
 * nothing of each other.
 */
#ifndef TLY_TERMS_H
#define TLY_TERMS_H

#include "agent/config/terms.h"
#include "agent/delivery/selection.h"

/* Borrows the strings. */
static inline struct tly_selection_terms tly_terms_of(const struct tly_terms_settings *settings)
{
    return (struct tly_selection_terms){
        .tags = {settings->tags.at, settings->tags.count},
        .containers = {settings->containers.at, settings->containers.count},
        .images = {settings->images.at, settings->images.count},
        .labels = {settings->labels.at, settings->labels.count},
    };
}

#endif
