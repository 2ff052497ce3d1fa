/*
 * groups: in the configuration, and the choice of metric families that follows from it.
 */
#ifndef TLY_GROUP_SETTINGS_H
#define TLY_GROUP_SETTINGS_H

#include "agent/config/option.h"
#include "agent/model/group.h"

struct tly_group_settings {
    struct tly_strings enable, disable;
};

extern const struct tly_section tly_group_section;

/* The defaults, with what the settings say on top. */
void tly_group_settings_choose(const struct tly_group_settings *settings,
                               struct tly_group_choice *ret_choice);

#endif
