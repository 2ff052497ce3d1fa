/*
 * Writes docs/metrics.md: the groups, a part for each scope with a table for each group, and what
 * cAdvisor has beyond that. The families stand in the order of the exposition, which mixes scopes
 * within a group.
 */
#include "agent/command/family_reference.h"

#include "agent/model/family.h"
#include "agent/model/group.h"

#include <string.h>

static const char preamble[] =
    "# Metrics\n"
    "\n"
    "<!-- Written by `tallyman check --print metrics` from the table in the source. -->\n"
    "\n"
    "Every container family carries `id` (the path of its cgroup), `name` and `image`, and as "
    "`container_label_...` those labels of the container that `collect.labels` chooses. The column "
    "*labels* names what a family has beyond these. A value without a source is absent, never 0; "
    "no "
    "sample has a timestamp.\n"
    "\n"
    "Families marked **c** have cAdvisor's name, labels, type and unit. Where the value differs "
    "from what cAdvisor shows on cgroup v2, the difference is said. Families marked **t** are "
    "totals that the agent carries on when the kernel begins anew with a container's next run.\n";

static const char *const scope_titles[] = {
    [TLY_PER_CONTAINER] = "Containers",
    [TLY_PER_HOST] = "The host",
    [TLY_PER_AGENT] = "The agent itself",
};

static const char *const type_names[] = {
    [TLY_COUNTER] = "counter", [TLY_GAUGE] = "gauge", [TLY_INFO] = "info"};

static const char others[] =
    "\n## Other differences from cAdvisor\n"
    "\n"
    "- No sample has a timestamp, so that Prometheus sees a series end with its container; "
    "cAdvisor's it takes to go on for five minutes more.\n"
    "- A series has the labels that its own container has; cAdvisor gives every series the labels "
    "of "
    "all containers, most of them empty.\n"
    "- Of two container labels with the same name as metric labels the first in byte order is "
    "shown, and the other one counted; in cAdvisor they take turns.\n"
    "- A container in the host's network, or in that of another container, has no network series, "
    "instead of a copy.\n"
    "- Numbers of disks and partitions of the host stand under `id=\"/\"` only.\n"
    "- A total goes on over restarts of the container, under the same series.\n"
    "- Cgroups that are no containers are shown with `cgroup.scope: all` only.\n";

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

/* Inside a table's cell a bar would end it. */
static int put_cell(struct tly_buf *buf, const char *text)
{
    int rc = 0;
    for (struct tly_text rest = tly_text_of(text); rest.at && rc == 0;) {
        rc = tly_buf_append_text(buf, tly_text_cut(&rest, '|'));
        if (rc == 0 && rest.at) {
            rc = put(buf, "\\|");
        }
    }
    return rc;
}

static int put_labels(struct tly_buf *buf, const char *labels)
{
    int rc = 0;
    struct tly_text rest = tly_text_of(labels);
    for (const char *between = ""; rest.at && rest.len > 0 && rc == 0; between = ", ") {
        struct tly_text label = tly_text_cut(&rest, ',');
        rc = tly_buf_printf(buf, "%s`%.*s`", between, (int)label.len, label.at);
    }
    return rc;
}

static int put_family(struct tly_buf *buf, const struct tly_family *family)
{
    const bool cadvisor = (family->flags & TLY_FAMILY_CADVISOR) != 0;
    const bool carried = (family->flags & TLY_FAMILY_CARRIED) != 0;
    int rc = tly_buf_printf(buf, "| `%s` | %s%s%s | ", family->name, type_names[family->type],
                            cadvisor ? " **c**" : "", carried ? " **t**" : "");
    rc = rc < 0 ? rc : put_labels(buf, family->labels);
    rc = rc < 0 ? rc : put(buf, " | ");
    rc = rc < 0 ? rc : put_cell(buf, family->help);
    rc = rc < 0 ? rc : put(buf, ".");
    if (rc == 0 && *family->note) {
        rc = put(buf, cadvisor ? " *Unlike cAdvisor:* " : " ");
        rc = rc < 0 ? rc : put_cell(buf, family->note);
        rc = rc < 0 ? rc : put(buf, ".");
    }
    rc = rc < 0 ? rc : put(buf, " | ");
    rc = rc < 0 ? rc : put_cell(buf, family->source);
    return rc < 0 ? rc : put(buf, " |\n");
}

/* The families of one scope. */
static int put_scope(struct tly_buf *buf, enum tly_family_scope scope)
{
    int rc = tly_buf_printf(buf, "\n## %s\n", scope_titles[scope]);
    const char *group = "";
    for (size_t i = 0; i < TLY_FAMILY_COUNT && rc == 0; i++) {
        const struct tly_family *family = &tly_families[i];
        if (family->scope != scope) {
            continue;
        }
        if (strcmp(group, family->group) != 0) {
            group = family->group;
            rc = strcmp(group, "always") == 0 ? put(buf, "\nAlways there:\n")
                                              : tly_buf_printf(buf, "\nGroup `%s`:\n", group);
            rc = rc < 0 ? rc
                        : put(buf, "\n| name | type | labels | what it says | source |\n"
                                   "| --- | --- | --- | --- | --- |\n");
        }
        rc = rc < 0 ? rc : put_family(buf, family);
    }
    return rc;
}

static int put_groups(struct tly_buf *buf)
{
    int rc = put(buf,
                 "\n## Groups\n"
                 "\n"
                 "`groups.enable` and `groups.disable` switch these. What only a group that is "
                 "off needs is not read.\n"
                 "\n| group | on by default | what it has |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < TLY_GROUP_COUNT && rc == 0; i++) {
        rc = tly_buf_printf(buf, "| `%s` | %s | ", tly_groups[i].name,
                            tly_groups[i].on ? "yes" : "no");
        rc = rc < 0 ? rc : put_cell(buf, tly_groups[i].help);
        rc = rc < 0 ? rc : put(buf, ". |\n");
    }
    return rc;
}

static int put_absent(struct tly_buf *buf)
{
    int rc = put(buf, "\n## What cAdvisor has and the agent does not\n"
                      "\n| name | why |\n| --- | --- |\n");
    for (const struct tly_absent_family *absent = tly_absent_families;
         absent->pattern != NULL && rc == 0; absent++) {
        rc = tly_buf_printf(buf, "| `%s` | ", absent->pattern);
        rc = rc < 0 ? rc : put_cell(buf, absent->reason);
        rc = rc < 0 ? rc : put(buf, ". |\n");
    }
    return rc;
}

int tly_family_reference(struct tly_buf *buf)
{
    int rc = put(buf, preamble);
    rc = rc < 0 ? rc : put_groups(buf);
    for (enum tly_family_scope scope = TLY_PER_CONTAINER; scope <= TLY_PER_AGENT && rc == 0;
         scope++) {
        rc = put_scope(buf, scope);
    }
    rc = rc < 0 ? rc : put_absent(buf);
    return rc < 0 ? rc : put(buf, others);
}
