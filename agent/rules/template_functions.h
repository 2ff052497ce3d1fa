/*
 * What the table of template functions points to. Private to its files.
 */
#ifndef TLY_RULES_TEMPLATE_FUNCTIONS_H
#define TLY_RULES_TEMPLATE_FUNCTIONS_H

#include "agent/rules/template_tree.h"

/* The value as a string, or a failure that names the function. */
int tly_template_want_text(struct tly_template_run *run, const char *function,
                           const struct tly_template_value *value,
                           struct tly_text *ret_text) TLY_CHECK;

/* Go's url.QueryEscape. */
int tly_query_escape(struct tly_buf *buf, struct tly_text text) TLY_CHECK;

#define TLY_TEMPLATE_CALL(name)                                                                    \
    int tly_template_##name(struct tly_template_run *run, const struct tly_template_value *args,   \
                            size_t count, struct tly_template_value *ret_value)
TLY_TEMPLATE_CALL(humanize);
TLY_TEMPLATE_CALL(humanize1024);
TLY_TEMPLATE_CALL(humanize_duration);
TLY_TEMPLATE_CALL(humanize_percentage);
TLY_TEMPLATE_CALL(humanize_timestamp);
TLY_TEMPLATE_CALL(parse_duration);
TLY_TEMPLATE_CALL(now);
TLY_TEMPLATE_CALL(sprint);
TLY_TEMPLATE_CALL(sprintln);
TLY_TEMPLATE_CALL(sprintf);
TLY_TEMPLATE_CALL(title);
TLY_TEMPLATE_CALL(to_upper);
TLY_TEMPLATE_CALL(to_lower);
TLY_TEMPLATE_CALL(match);
TLY_TEMPLATE_CALL(replace_all);
TLY_TEMPLATE_CALL(strip_port);
TLY_TEMPLATE_CALL(strip_domain);
TLY_TEMPLATE_CALL(same);
TLY_TEMPLATE_CALL(html);
TLY_TEMPLATE_CALL(urlquery);
TLY_TEMPLATE_CALL(graph_link);
TLY_TEMPLATE_CALL(table_link);
TLY_TEMPLATE_CALL(external_url);
TLY_TEMPLATE_CALL(path_prefix);

#endif
