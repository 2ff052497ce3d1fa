/*
 * Private to this output: which families a scrape asks for, by `collect[]` and `exclude[]` in its
 * query, as node_exporter's users know them. A name is a group of the table
 * (agent/model/groups.def) or, for the families that belong to no group, what they are about:
 * container, machine or agent.
 */
#ifndef TLY_OUTPUTS_PROMETHEUS_SELECTION_H
#define TLY_OUTPUTS_PROMETHEUS_SELECTION_H

#include "agent/base/error.h"
#include "agent/model/family.h"
#include "agent/model/group.h"
#include "agent/web/route.h"

#include <stdbool.h>

struct tly_selection {
    bool any; /* something is hidden */
    bool hidden[TLY_FAMILY_COUNT];
};

/*
 * Reads the query of the request. `groups` is what the configuration shows; NULL: all. Without
 * arguments nothing is hidden. -EINVAL with `err`, for the scraper's operator: a name that there is
 * not (the error lists those that there are), a group that is switched off, or both arguments at
 * once.
 */
int tly_selection_read(const struct tly_http_request *request,
                       const struct tly_group_choice *groups, struct tly_selection *ret_selection,
                       struct tly_error *err) TLY_CHECK;

#endif
