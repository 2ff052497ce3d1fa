/*
 * The tables of families, expanded from families.def and absent.def. They are constant and owned by
 * nobody.
 */
#include "agent/model/family.h"

#include <stddef.h>

#define TLY_FAMILY(family_name, family_type, family_scope, family_exponent, family_flags,          \
                   family_group, family_labels, family_source, family_help, family_note)           \
    [TLY_F_##family_name] = {.name = #family_name,                                                 \
                             .type = (family_type),                                                \
                             .scope = (family_scope),                                              \
                             .exponent = (family_exponent),                                        \
                             .flags = (family_flags),                                              \
                             .group = (family_group),                                              \
                             .labels = (family_labels),                                            \
                             .source = (family_source),                                            \
                             .help = (family_help),                                                \
                             .note = (family_note)},

const struct tly_family tly_families[TLY_FAMILY_COUNT] = {
#include "agent/model/families.def"
};

const struct tly_absent_family tly_absent_families[] = {
#define TLY_ABSENT(pattern, reason) {(pattern), (reason)},
#include "agent/model/absent.def"
#undef TLY_ABSENT
    {NULL, NULL},
};
