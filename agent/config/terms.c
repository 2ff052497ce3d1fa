/*
 * The option table of patterns that choose records.
 */
#include "agent/config/terms.h"

#include <errno.h>

static int verify_pattern(const char *value, struct tly_error *err)
{
    return *value ? 0 : tly_error_set(err, -EINVAL, "an empty pattern fits nothing; remove it");
}

#define TERMS_OFFSET(member) offsetof(struct tly_terms_settings, member)

const struct tly_option tly_terms_options[] = {
    {.key = "tags",
     .type = TLY_OPTION_STRINGS,
     .offset = TERMS_OFFSET(tags),
     .verify = verify_pattern,
     .help = "Tags of records, as patterns with `*` and `?`. Docker's events and received records "
             "are known by their tag alone."},
    {.key = "containers",
     .type = TLY_OPTION_STRINGS,
     .offset = TERMS_OFFSET(containers),
     .verify = verify_pattern,
     .help = "Names of containers, as patterns."},
    {.key = "images",
     .type = TLY_OPTION_STRINGS,
     .offset = TERMS_OFFSET(images),
     .verify = verify_pattern,
     .help = "Images of containers, as they were given to Docker, as patterns."},
    {.key = "labels",
     .type = TLY_OPTION_STRINGS,
     .offset = TERMS_OFFSET(labels),
     .verify = verify_pattern,
     .help = "Labels of containers: `key`, or `key=value`, both as patterns."},
    {.key = NULL},
};
