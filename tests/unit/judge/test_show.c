/*
 * What others see of a verdict: Prometheus's JSON of rules and alerts, ALERTS, records.
 */
#include "agent/codec/record_json.h"
#include "agent/judge/judge_state.h"
#include "tests/unit/rules/one_container.h"

#define MINUTE_MS 60000
#define START_MS  1700000000000

static const struct tly_engine_spec spec = {
    .history_bytes_max = 1 << 24,
    .alerts_max = 1, /* the rule Many has more */
    .interval_ms = MINUTE_MS,
    .resend_delay_ms = MINUTE_MS,
    .outage_tolerance_ms = 60 * MINUTE_MS,
    .grace_period_ms = 10 * MINUTE_MS,
};

static const char file[] =
    "groups:\n"
    "- name: 'g\"1'\n"
    "  interval: 90s\n"
    "  limit: 7\n"
    "  rules:\n"
    "  - {record: total, expr: sum(container_memory_working_set_bytes), labels: {kind: sum}}\n"
    "  - alert: Full\n"
    "    expr: container_memory_working_set_bytes > 100\n"
    "    for: 3m\n"
    "    keep_firing_for: 2m30s\n"
    "    labels: {severity: page}\n"
    "    annotations: {summary: '{{ $labels.name }} has {{ $value }}'}\n"
    "- name: g2\n"
    "  rules:\n"
    "  - {alert: Fine, expr: vector(0) > 1}\n"
    "  - {alert: Many, expr: 'label_replace(vector(1), \"a\", \"b\", \"\", \"\") or vector(2)'}\n"
    "  - {alert: Endless, expr: vector(1) / 0}\n"
    "  - {alert: Never, expr: vector(0) / 0}\n";

static struct tly_engine *engine;
static struct tly_verdict *verdict;
static struct tly_buf buf;

static int begin(void **state)
{
    (void)state;
    static struct tly_complaints complaints; /* too large for a stack frame */
    struct tly_rule_file *read = NULL;
    if (tly_rule_file_parse(tly_text_of(file), "f.yml", &complaints, &read) < 0) {
        fail_msg("%s", complaints.at[0].text);
    }
    struct tly_rule_set *set = tly_rule_set_new();
    assert_int_equal(tly_rule_set_add(set, read), 0);
    engine = tly_engine_new(&spec);
    assert_non_null(engine);
    assert_int_equal(tly_engine_load(engine, set), 0);
    tly_rule_set_unref(set);
    assert_int_equal(tly_engine_show(engine, &verdict), 0);
    tly_buf_init(&buf, 1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tly_verdict_unref(verdict);
    verdict = NULL;
    tly_engine_free(engine);
    tly_buf_done(&buf);
    return 0;
}

/* Evaluates everything at a minute, with one container of so many bytes; times are made the same.
 */
static void minute(int number, int64_t bytes)
{
    int64_t now_ms = START_MS + (int64_t)number * MINUTE_MS;
    tly_verdict_unref(verdict);
    verdict = NULL;
    observe_one(engine, now_ms, TLY_TEXT("id=\"/a\",name=\"we\\\"b\""), bytes);
    assert_int_equal(tly_engine_evaluate(engine, now_ms, true, &verdict), 0);
    for (size_t i = 0; i < verdict->count; i++) {
        verdict->groups[i].duration_ns = 1500000;
        for (size_t k = 0; k < verdict->groups[i].count; k++) {
            verdict->groups[i].rules[k].duration_ns = 250000;
        }
    }
}

static bool answer_has(const char *part)
{
    return memmem(buf.at, buf.len, part, strlen(part)) != NULL;
}

#define NEVER "\"lastEvaluation\":\"0001-01-01T00:00:00Z\""
#define FULL                                                                                       \
    "\"name\":\"Full\",\"query\":\"container_memory_working_set_bytes > 100\",\"duration\":180,"   \
    "\"keepFiringFor\":150,\"labels\":{\"severity\":\"page\"},\"annotations\":{\"summary\":\"{{ "  \
    "$labels.name }} has {{ $value }}\"},"
#define LABELS                                                                                     \
    "{\"labels\":{\"alertname\":\"Full\",\"id\":\"/a\",\"name\":\"we\\\"b\",\"severity\":"         \
    "\"page\"},\"annotations\":{\"summary\":\"we\\\"b has 150\"},"

static void before_the_first_evaluation(void **state)
{
    (void)state;
    tly_buf_clear(&buf);
    assert_int_equal(tly_judge_rules_json(verdict, NULL, &buf), 0);
    static const char expected[] =
        "{\"status\":\"success\",\"data\":{\"groups\":[{\"name\":\"g\\\"1\",\"file\":\"f.yml\","
        "\"rules\":[{\"name\":\"total\",\"query\":\"sum(container_memory_working_set_bytes)\","
        "\"labels\":{\"kind\":\"sum\"},\"health\":\"unknown\",\"evaluationTime\":0," NEVER ","
        "\"type\":\"recording\"},{\"state\":\"inactive\"," FULL "\"alerts\":[],\"health\":"
        "\"unknown\",\"evaluationTime\":0," NEVER ",\"type\":\"alerting\"}],\"interval\":90,"
        "\"limit\":7,\"evaluationTime\":0," NEVER "},{\"name\":\"g2\",";
    assert_true(buf.len > sizeof(expected));
    expect_text((struct tly_text){buf.at, sizeof(expected) - 1}, expected);
    assert_int_equal(tly_judge_rules_json(NULL, NULL, &buf), 0); /* no rules at all */
}

static void pending_and_firing(void **state)
{
    (void)state;
    minute(0, 150);
    assert_int_equal(tly_judge_rules_json(verdict, NULL, &buf), 0);
    assert_true(answer_has("{\"state\":\"pending\"," FULL "\"alerts\":[" LABELS
                           "\"state\":\"pending\",\"activeAt\":\"2023-11-14T22:13:20"));
    assert_true(answer_has("\"value\":\"1.5e+02\"}],\"health\":\"ok\",\"evaluationTime\":0.00025,"
                           "\"lastEvaluation\":\"2023-11-14T22:13:20"));
    minute(3, 150);
    tly_buf_clear(&buf);
    assert_int_equal(tly_judge_rules_json(verdict, NULL, &buf), 0);
    assert_true(answer_has("{\"state\":\"firing\"," FULL "\"alerts\":[" LABELS
                           "\"state\":\"firing\",\"activeAt\":\"2023-11-14T22:13:20"));
    minute(4, 50);
    tly_buf_clear(&buf);
    assert_int_equal(tly_judge_rules_json(verdict, NULL, &buf), 0);
    assert_true(answer_has("\"keepFiringSince\":\"2023-11-14T22:17:20"));
}

/* What fails says why, and hurts nobody else. */
static void health(void **state)
{
    (void)state;
    minute(0, 50);
    assert_int_equal(tly_judge_rules_json(verdict, NULL, &buf), 0);
    assert_true(answer_has("{\"state\":\"inactive\",\"name\":\"Fine\",\"query\":\"vector(0) > 1\","
                           "\"duration\":0,\"keepFiringFor\":0,\"labels\":{},\"annotations\":{},"
                           "\"alerts\":[],\"health\":\"ok\""));
    assert_true(answer_has("\"health\":\"err\",\"lastError\":\""));
    assert_true(answer_has("\"evaluationTime\":0.0015,"));
}

static void numbers_without_digits(void **state)
{
    (void)state;
    minute(0, 50);
    assert_int_equal(tly_judge_alerts_json(verdict, &buf), 0);
    assert_true(answer_has("{\"status\":\"success\",\"data\":{\"alerts\":[{\"labels\":{"
                           "\"alertname\":\"Endless\"},\"annotations\":{},\"state\":\"firing\","));
    assert_true(answer_has("\"value\":\"+Inf\"}"));
    assert_true(answer_has("\"value\":\"NaN\"}]}}"));
    tly_buf_clear(&buf);
    assert_int_equal(tly_judge_alerts_json(NULL, &buf), 0);
    expect_text(tly_buf_text(&buf), "{\"status\":\"success\",\"data\":{\"alerts\":[]}}");
}

/* An answer that does not fit is none. */
static void bounds(void **state)
{
    (void)state;
    struct tly_buf small;
    minute(0, 150);
    for (size_t max = 1; max < 400; max += 7) {
        tly_buf_init(&small, max);
        assert_int_equal(tly_judge_rules_json(verdict, NULL, &small), TLY_E_LIMIT);
        tly_buf_done(&small);
        tly_buf_init(&small, max);
        assert_int_equal(tly_judge_alerts_json(verdict, &small), TLY_E_LIMIT);
        tly_buf_done(&small);
    }
}

static const struct tly_alert *alert_of(const char *rule)
{
    for (size_t i = 0; i < verdict->news_count; i++) {
        if (tly_text_equal(verdict->news[i].alert->rule, tly_text_of(rule))) {
            return verdict->news[i].alert;
        }
    }
    fail_msg("no news of %s", rule);
    return NULL;
}

static void expect_record(const char *state, const char *times)
{
    char expected[1024];
    struct tly_buf json;
    tly_buf_clear(&buf);
    tly_buf_init(&json, 4096);
    assert_int_equal(tly_judge_record(&buf, alert_of("Full"), START_MS), 0);
    assert_int_equal(tly_record_json(&json, tly_buf_text(&buf), (struct tly_json_style){0}), 0);
    (void)snprintf(expected, sizeof(expected),
                   "[\"2023-11-14T22:13:20.000000000Z\",{\"alertname\":\"Full\",\"state\":\"%s\","
                   "\"labels\":{\"alertname\":\"Full\",\"id\":\"/a\",\"name\":\"we\\\"b\","
                   "\"severity\":\"page\"},\"annotations\":{\"summary\":\"we\\\"b has 150\"},"
                   "\"value\":150,\"group\":\"g\\\"1\",\"file\":\"f.yml\",%s}]",
                   state, times);
    expect_text(tly_buf_text(&json), expected);
    tly_buf_done(&json);
}

static void records(void **state)
{
    (void)state;
#define ACTIVE "\"active_at\":\"2023-11-14T22:13:20.000000000Z\""
#define STARTS ",\"starts_at\":\"2023-11-14T22:16:20.000000000Z\""
    minute(0, 150);
    expect_record("pending", ACTIVE);
    minute(3, 150);
    expect_record("firing", ACTIVE STARTS);
    minute(4, 50); /* keeps firing */
    minute(7, 50);
    expect_record("resolved", ACTIVE STARTS ",\"ends_at\":\"2023-11-14T22:20:20.000000000Z\"");
}

/* ---- metrics ---- */

static int64_t value(const struct tly_sample_set *set, enum tly_family_id family,
                     const char *labels)
{
    for (size_t i = 0; i < tly_sample_set_count(set); i++) {
        const struct tly_sample *sample = &tly_sample_set_at(set)[i];
        if (sample->family == family &&
            tly_text_equal(tly_sample_set_dim(set, sample->dim), tly_text_of(labels))) {
            return sample->raw;
        }
    }
    return INT64_MIN;
}

static void metrics(void **state)
{
    (void)state;
    const struct tly_rules_settings settings = {.history_bytes_max = 1 << 24};
    struct tly_judge_plan plan = {.settings = &settings, .set = verdict->set};
    minute(0, 150);
    struct tly_judge judge = {.plan = &plan, .verdict = verdict, .skipped = 3};
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_judge_meter(&judge, &samples);
    struct tly_sample_set *set = tly_samples_take(&samples);
#define OF_FULL "alertname=\"Full\",id=\"/a\",name=\"we\\\"b\",severity=\"page\""
    static const struct {
        enum tly_family_id family;
        const char *labels;
        int64_t value;
    } rows[] = {
        {TLY_F_ALERTS, OF_FULL ",alertstate=\"pending\"", 1},
        {TLY_F_ALERTS_FOR_STATE, OF_FULL, START_MS / 1000},
        {TLY_F_ALERTS, "alertname=\"Endless\",alertstate=\"firing\"", 1},
        {TLY_F_ALERTS, "alertname=\"Fine\",alertstate=\"firing\"", INT64_MIN},
        {TLY_F_tallyman_rule_alerts, "state=\"pending\"", 1},
        {TLY_F_tallyman_rule_alerts, "state=\"firing\"", 2},
        {TLY_F_tallyman_rule_alerts_hidden, "", 0},
        {TLY_F_tallyman_rules, "type=\"recording\"", 1},
        {TLY_F_tallyman_rules, "type=\"alerting\"", 5},
        {TLY_F_tallyman_rule_ticks_skipped_total, "", 3},
        {TLY_F_tallyman_rule_evaluations_total, "rule_group=\"f.yml;g2\"", 1},
        {TLY_F_tallyman_rule_evaluation_failures_total, "rule_group=\"f.yml;g2\"", 1},
        {TLY_F_tallyman_rule_evaluation_failures_total, "rule_group=\"f.yml;g\\\"1\"", 0},
        {TLY_F_tallyman_rule_group_duration_seconds, "rule_group=\"f.yml;g2\"", 1500000},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t found = value(set, rows[i].family, rows[i].labels);
        if (found != rows[i].value) {
            fail_msg("row %zu (%s): %lld", i, rows[i].labels, (long long)found);
        }
    }
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
}

int main(void)
{
#define OF_VERDICT(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        OF_VERDICT(before_the_first_evaluation),
        OF_VERDICT(pending_and_firing),
        OF_VERDICT(health),
        OF_VERDICT(numbers_without_digits),
        OF_VERDICT(bounds),
        OF_VERDICT(records),
        OF_VERDICT(metrics),
    };
    return cmocka_run_group_tests_name("show", tests, NULL, NULL);
}
