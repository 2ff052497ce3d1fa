/*
 * The parts of a scrape by name. Families name their group by text; the part of each is looked up
 * once for a scrape that asks, and not at all for one that does not.
 */
#include "outputs/prometheus/selection.h"

#include <errno.h>
#include <stdio.h>

/* The groups come first, then what belongs to none. */
enum { PART_CONTAINER = TLY_GROUP_COUNT, PART_MACHINE, PART_AGENT, PARTS };

/* Of a name that is not known; longer ones are cut in the answer. */
#define SHOWN_MAX 40

struct reading {
    const struct tly_group_choice *groups;
    bool named[PARTS];
    bool any;
    struct tly_error *err;
    int rc;
};

static const char *part_name(size_t part)
{
    static const char *const others[] = {"container", "machine", "agent"};
    return part < TLY_GROUP_COUNT ? tly_groups[part].name : others[part - TLY_GROUP_COUNT];
}

static size_t part_find(struct tly_text name)
{
    size_t part = 0;
    while (part < PARTS && !tly_text_equal(tly_text_of(part_name(part)), name)) {
        part++;
    }
    return part;
}

static size_t part_of(const struct tly_family *family)
{
    enum tly_group_id group = tly_group_find(tly_text_of(family->group));
    if (group != TLY_GROUP_COUNT) {
        return group;
    }
    return family->scope == TLY_PER_CONTAINER ? PART_CONTAINER
           : family->scope == TLY_PER_HOST    ? PART_MACHINE
                                              : PART_AGENT;
}

static int refuse_unknown(struct tly_text name, struct tly_error *err)
{
    char list[TLY_ERROR_TEXT_MAX * 3 / 4] = "";
    size_t len = 0;
    for (size_t part = 0; part < PARTS; part++) {
        int added = snprintf(list + len, sizeof(list) - len, "%s%s", part > 0 ? ", " : "",
                             part_name(part));
        len += added > 0 ? (size_t)added : 0;
        len = len < sizeof(list) ? len : sizeof(list) - 1;
    }
    char shown[SHOWN_MAX + 1];
    size_t shown_len = name.len < SHOWN_MAX ? name.len : SHOWN_MAX;
    for (size_t i = 0; i < shown_len; i++) {
        bool plain = name.at[i] > ' ' && name.at[i] < 0x7F;
        shown[i] = '?';
        if (plain) {
            shown[i] = name.at[i];
        }
    }
    shown[shown_len] = '\0';
    return tly_error_set(err, -EINVAL, "there is no group `%s`; there are %s", shown, list);
}

static void name_read(void *arg, struct tly_text name)
{
    struct reading *reading = arg;
    size_t part = part_find(name);
    if (reading->rc < 0) {
        return;
    }
    reading->any = true;
    if (part == PARTS) {
        reading->rc = refuse_unknown(name, reading->err);
    } else if (part < TLY_GROUP_COUNT && reading->groups != NULL && !reading->groups->on[part]) {
        reading->rc = tly_error_set(reading->err, -EINVAL,
                                    "the group `%s` is switched off; `groups: {enable: [%s]}` in "
                                    "the agent's configuration switches it on",
                                    part_name(part), part_name(part));
    } else {
        reading->named[part] = true;
    }
}

int tly_selection_read(const struct tly_http_request *request,
                       const struct tly_group_choice *groups, struct tly_selection *ret_selection,
                       struct tly_error *err)
{
    struct reading collect = {.groups = groups, .err = err};
    struct reading exclude = {.err = err}; /* leaving out what is off anyway is no mistake */
    *ret_selection = (struct tly_selection){0};
    tly_http_query_each(request, "collect[]", name_read, &collect);
    tly_http_query_each(request, "exclude[]", name_read, &exclude);
    if (collect.rc < 0 || exclude.rc < 0) {
        return collect.rc < 0 ? collect.rc : exclude.rc;
    }
    if (collect.any && exclude.any) {
        return tly_error_set(err, -EINVAL, "either collect[] or exclude[], not both");
    }
    if (!collect.any && !exclude.any) {
        return 0;
    }
    ret_selection->any = true;
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        size_t part = part_of(&tly_families[i]);
        ret_selection->hidden[i] = collect.any ? !collect.named[part] : exclude.named[part];
    }
    return 0;
}
