/*
 * The section of the groups. It stands outside of agent/config, which knows no families: the names
 * that it allows are those of the table.
 */
#include "agent/group_settings.h"

#include "agent/config/nearest.h"

#include <errno.h>

static int verify_group(const char *value, struct tly_error *err)
{
    struct tly_nearest nearest;
    if (tly_group_find(tly_text_of(value)) != TLY_GROUP_COUNT) {
        return 0;
    }
    tly_nearest_init(&nearest, tly_text_of(value));
    for (size_t i = 0; i < TLY_GROUP_COUNT; i++) {
        tly_nearest_try(&nearest, tly_groups[i].name);
    }
    if (nearest.name != NULL) {
        return tly_error_set(err, -EINVAL, "there is no group `%.60s`; did you mean `%s`?", value,
                             nearest.name);
    }
    return tly_error_set(err, -EINVAL, "there is no group `%.60s`; docs/metrics.md lists them",
                         value);
}

static int verify_groups(const void *value, struct tly_error *err)
{
    const struct tly_group_settings *settings = value;
    for (size_t i = 0; i < settings->enable.count; i++) {
        for (size_t j = 0; j < settings->disable.count; j++) {
            if (strcmp(settings->enable.at[i], settings->disable.at[j]) == 0) {
                return tly_error_set(err, -EINVAL, "`%.60s` is enabled and disabled",
                                     settings->enable.at[i]);
            }
        }
    }
    return 0;
}

static const struct tly_option rows[] = {
    {.key = "enable",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_group_settings, enable),
     .verify = verify_group,
     .help = "Groups that are shown beside those that are on anyway."},
    {.key = "disable",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_group_settings, disable),
     .verify = verify_group,
     .help = "Groups that are not shown. What only they need is not read."},
    {.key = NULL},
};

const struct tly_section tly_group_section = {
    .key = "groups",
    .type = TLY_OPTION_SECTION,
    .options = rows,
    .size = sizeof(struct tly_group_settings),
    .verify = verify_groups,
    .help = "Which groups of metrics are shown, by cAdvisor's names where it has them; "
            "docs/metrics.md lists them with what each costs.",
};

void tly_group_settings_choose(const struct tly_group_settings *settings,
                               struct tly_group_choice *ret_choice)
{
    tly_group_choice_init(ret_choice);
    for (size_t i = 0; i < settings->enable.count; i++) {
        ret_choice->on[tly_group_find(tly_text_of(settings->enable.at[i]))] = true;
    }
    for (size_t i = 0; i < settings->disable.count; i++) {
        ret_choice->on[tly_group_find(tly_text_of(settings->disable.at[i]))] = false;
    }
}
