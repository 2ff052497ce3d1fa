/*
 * The groups of metric families that an operator switches on and off, and one choice of them.
 */
#ifndef TLY_MODEL_GROUP_H
#define TLY_MODEL_GROUP_H

#include "agent/base/text.h"
#include "agent/model/family.h"

#include <stdbool.h>

enum tly_group_id {
#define TLY_GROUP(name, on, help) TLY_G_##name,
#include "agent/model/groups.def"
#undef TLY_GROUP
    TLY_GROUP_COUNT
};

struct tly_group {
    const char *name; /* as in the families' rows */
    bool on;          /* without any configuration */
    const char *help; /* one line without a full stop */
};

extern const struct tly_group tly_groups[TLY_GROUP_COUNT];

struct tly_group_choice {
    bool on[TLY_GROUP_COUNT];
};

/* What holds without any configuration. */
void tly_group_choice_init(struct tly_group_choice *choice);

/* TLY_GROUP_COUNT for a name that no group has. */
enum tly_group_id tly_group_find(struct tly_text name);

/* Whether a family is shown; one that belongs to no group ("always") is. */
bool tly_family_chosen(const struct tly_group_choice *choice, enum tly_family_id family);

#endif
