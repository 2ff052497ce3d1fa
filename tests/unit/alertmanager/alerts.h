/*
 * Alerts for the tests of those who send them.
 */
#ifndef TLY_TESTS_ALERTS_H
#define TLY_TESTS_ALERTS_H

#include "agent/model/alert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ALERT_FIRED_MS    1700000000123LL /* 2023-11-14T22:13:20.123Z */
#define ALERT_VALID_MS    1700000240000LL
#define ALERT_RESOLVED_MS 1700000300000LL

/* An alert of this name on this container, with this for its summary. */
static inline struct tly_alert *alert_make_with(const char *rule, const char *container,
                                                enum tly_alert_state state, struct tly_text summary)
{
    const struct tly_alert_pair labels[] = {
        {TLY_TEXT("name"), tly_text_of(container)},
        {TLY_TEXT("alertname"), tly_text_of(rule)},
    };
    const struct tly_alert_pair annotations[] = {{TLY_TEXT("summary"), summary}};
    const struct tly_alert alert = {
        .labels = labels,
        .label_count = 2,
        .annotations = annotations,
        .annotation_count = 1,
        .rule = tly_text_of(rule),
        .group = TLY_TEXT("group"),
        .file = TLY_TEXT("rules.yml"),
        .query = TLY_TEXT("up == 0"),
        .state = state,
        .value = 1,
        .active_at_ms = ALERT_FIRED_MS - 1000,
        .fired_at_ms = ALERT_FIRED_MS,
        .resolved_at_ms = state == TLY_ALERT_INACTIVE ? ALERT_RESOLVED_MS : 0,
        .valid_until_ms = ALERT_VALID_MS,
    };
    struct tly_alert *made = tly_alert_new(&alert);
    assert_non_null(made);
    return made;
}

static inline struct tly_alert *alert_make(const char *rule, const char *container,
                                           enum tly_alert_state state)
{
    return alert_make_with(rule, container, state, TLY_TEXT("it \"burns\""));
}

#endif
