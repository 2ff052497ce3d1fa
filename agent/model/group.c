/*
 * The table of groups, expanded from groups.def. Families name their group by text, so that
 * families.def stays a table that a person can read; the text is looked up at start only.
 */
#include "agent/model/group.h"

const struct tly_group tly_groups[TLY_GROUP_COUNT] = {
#define TLY_GROUP(name, on, help) {#name, on, help},
#include "agent/model/groups.def"
#undef TLY_GROUP
};

void tly_group_choice_init(struct tly_group_choice *choice)
{
    for (size_t i = 0; i < TLY_GROUP_COUNT; i++) {
        choice->on[i] = tly_groups[i].on;
    }
}

enum tly_group_id tly_group_find(struct tly_text name)
{
    size_t i = 0;
    while (i < TLY_GROUP_COUNT && !tly_text_equal(tly_text_of(tly_groups[i].name), name)) {
        i++;
    }
    return (enum tly_group_id)i;
}

bool tly_family_chosen(const struct tly_group_choice *choice, enum tly_family_id family)
{
    enum tly_group_id group = tly_group_find(tly_text_of(tly_families[family].group));
    return group == TLY_GROUP_COUNT || choice->on[group];
}
