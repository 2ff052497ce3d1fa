/*
 * What tests of the engine of rules share: an engine with a file of rules, and evaluations of it, a
 * minute apart, of which each is held against what it tells.
 */
#ifndef TLY_TESTS_UNIT_RULES_MINUTES_H
#define TLY_TESTS_UNIT_RULES_MINUTES_H

#include "agent/rules/engine.h"

#include "agent/base/clock.h"
#include "tests/unit/rules/one_container.h"

#define MINUTE_MS 60000
#define START_MS  1700000000000

static const struct tly_engine_spec minutes_spec = {
    .history_bytes_max = 1 << 24,
    .alerts_max = 100,
    .interval_ms = MINUTE_MS,
    .resend_delay_ms = MINUTE_MS,
    .outage_tolerance_ms = 60 * MINUTE_MS,
    .grace_period_ms = 10 * MINUTE_MS,
};

static inline struct tly_rule_set *rules(const char *text)
{
    static struct tly_complaints complaints; /* too large for a stack frame */
    struct tly_rule_file *file = NULL;
    if (tly_rule_file_parse(tly_text_of(text), "f.yml", &complaints, &file) < 0) {
        fail_msg("%s", complaints.at[0].text);
    }
    struct tly_rule_set *set = tly_rule_set_new();
    assert_int_equal(tly_rule_set_add(set, file), 0);
    return set;
}

static inline void load(struct tly_engine *engine, const char *text)
{
    struct tly_rule_set *set = rules(text);
    assert_int_equal(tly_engine_load(engine, set), 0);
    tly_rule_set_unref(set);
}

static inline struct tly_engine *start(const char *text)
{
    struct tly_engine *engine = tly_engine_new(&minutes_spec);
    assert_non_null(engine);
    load(engine, text);
    return engine;
}

/* One evaluation at a minute, with containers that use so many bytes; 0: there is none. */
static inline struct tly_verdict *minute(struct tly_engine *engine, int number, int64_t bytes)
{
    int64_t now_ms = START_MS + (int64_t)number * MINUTE_MS;
    struct tly_verdict *verdict = NULL;
    observe_one(engine, now_ms, TLY_TEXT("id=\"/a\",name=\"we\\\"b\""), bytes);
    assert_int_equal(tly_engine_evaluate(engine, now_ms, false, &verdict), 0);
    tly_engine_trim(engine);
    assert_non_null(verdict);
    return verdict;
}

/* What a verdict tells: "P" pending, "F" firing, "I" resolved, with "!" where it is due. */
static inline void expect_minute(struct tly_engine *engine, int number, int64_t bytes,
                                 const char *expected)
{
    struct tly_verdict *verdict = minute(engine, number, bytes);
    char told[64] = "";
    size_t len = 0;
    for (size_t i = 0; i < verdict->news_count && len < sizeof(told) - 3; i++) {
        unsigned news = verdict->news[i].news;
        if (news & TLY_ALERT_CHANGED) {
            told[len++] = "IPF"[verdict->news[i].alert->state];
        }
        if (news & TLY_ALERT_DUE) {
            told[len++] = '!';
        }
        told[len] = '\0';
    }
    if (strcmp(told, expected) != 0) {
        fail_msg("minute %d: %s, not %s (%s)", number, told, expected,
                 verdict->groups[0].rules[0].error ? verdict->groups[0].rules[0].error : "");
    }
    tly_verdict_unref(verdict);
}

/* An alert without a look back, after two minutes. */
#define ALERT                                                                                      \
    "groups:\n- name: g\n  rules:\n  - {alert: Full, expr: container_memory_working_set_bytes > "  \
    "100, for: 2m, annotations: {a: '{{ $labels.name }}'}}\n"

#endif
