/*
 * /api/v1/rules and /api/v1/alerts in Prometheus's own JSON
 * (prometheus.io/docs/prometheus/latest/querying/api), which Grafana and promtool read.
 */
#include "agent/base/clock.h"
#include "agent/codec/record_json.h"
#include "agent/judge/judge_state.h"
#include "agent/rules/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_BYTES_MAX ((size_t)256 * 1024 * 1024)

static const struct tly_json_style style = {.raw_bytes = false};

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

/* `"key":"value"`, behind a comma unless it is the first. */
static int put_text(struct tly_buf *buf, const char *before, const char *key, struct tly_text value)
{
    int rc = tly_buf_printf(buf, "%s\"%s\":", before, key);
    return rc < 0 ? rc : tly_record_json_text(buf, value, style);
}

static int put_time(struct tly_buf *buf, const char *key, int64_t ms)
{
    int rc = tly_buf_printf(buf, ",\"%s\":", key);
    return rc < 0   ? rc
           : ms > 0 ? tly_record_json_time(buf, ms * TLY_NS_PER_MS)
                    : put(buf, "\"0001-01-01T00:00:00Z\"");
}

/* The shortest digits with an exponent, as strconv.FormatFloat(v, 'e', -1, 64) has them. */
static int put_value(struct tly_buf *buf, double value)
{
    char text[40];
    if (isnan(value) || isinf(value)) {
        return put(buf, isnan(value) ? ",\"value\":\"NaN\""
                        : value > 0  ? ",\"value\":\"+Inf\""
                                     : ",\"value\":\"-Inf\"");
    }
    for (int precision = 0; precision <= 16; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, value); /* fits */
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    return tly_buf_printf(buf, ",\"value\":\"%s\"", text);
}

static int put_pairs(struct tly_buf *buf, const char *before, const char *key,
                     const struct tly_alert_pair *pairs, size_t count)
{
    int rc = tly_buf_printf(buf, "%s\"%s\":{", before, key);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = i > 0 ? put(buf, ",") : 0;
        rc = rc < 0 ? rc : tly_record_json_text(buf, pairs[i].name, style);
        rc = rc < 0 ? rc : put(buf, ":");
        rc = rc < 0 ? rc : tly_record_json_text(buf, pairs[i].value, style);
    }
    return rc < 0 ? rc : put(buf, "}");
}

static int put_rule_pairs(struct tly_buf *buf, const char *key, const struct tly_rule_pair *pairs,
                          size_t count)
{
    int rc = tly_buf_printf(buf, ",\"%s\":{", key);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = i > 0 ? put(buf, ",") : 0;
        rc = rc < 0 ? rc : tly_record_json_text(buf, pairs[i].name, style);
        rc = rc < 0 ? rc : put(buf, ":");
        rc = rc < 0 ? rc : tly_record_json_text(buf, pairs[i].text, style);
    }
    return rc < 0 ? rc : put(buf, "}");
}

static int put_alert(struct tly_buf *buf, const struct tly_alert *alert)
{
    int rc = put_pairs(buf, "{", "labels", alert->labels, alert->label_count);
    rc = rc < 0 ? rc
                : put_pairs(buf, ",", "annotations", alert->annotations, alert->annotation_count);
    rc = rc < 0 ? rc
                : put_text(buf, ",", "state", tly_text_of(tly_alert_state_names[alert->state]));
    rc = rc < 0 ? rc : put_time(buf, "activeAt", alert->active_at_ms);
    if (alert->keep_firing_since_ms > 0) {
        rc = rc < 0 ? rc : put_time(buf, "keepFiringSince", alert->keep_firing_since_ms);
    }
    rc = rc < 0 ? rc : put_value(buf, alert->value);
    return rc < 0 ? rc : put(buf, "}");
}

static int put_alerts(struct tly_buf *buf, const struct tly_verdict_rule *rule, bool *first)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < rule->alert_count; i++) {
        rc = *first ? 0 : put(buf, ",");
        *first = false;
        rc = rc < 0 ? rc : put_alert(buf, rule->alerts[i]);
    }
    return rc;
}

int tly_judge_alerts_json(const struct tly_verdict *verdict, struct tly_buf *buf)
{
    bool first = true;
    int rc = put(buf, "{\"status\":\"success\",\"data\":{\"alerts\":[");
    for (size_t i = 0; verdict && i < verdict->count; i++) {
        for (size_t k = 0; rc == 0 && k < verdict->groups[i].count; k++) {
            rc = put_alerts(buf, &verdict->groups[i].rules[k], &first);
        }
    }
    return rc < 0 ? rc : put(buf, "]}}");
}

/* ---- rules ---- */

/* What a request asks for. */
struct filter {
    const struct tly_http_request *request; /* NULL: everything */
    struct tly_text type;
};

struct looking {
    struct tly_text wanted;
    bool any, found;
};

static void look(void *arg, struct tly_text value)
{
    struct looking *looking = arg;
    looking->any = true;
    looking->found = looking->found || tly_text_equal(value, looking->wanted);
}

/* Whether the request names nothing of that kind, or this. */
static bool asked(const struct filter *filter, const char *name, struct tly_text value)
{
    struct looking looking = {.wanted = value};
    if (filter->request) {
        tly_http_query_each(filter->request, name, look, &looking);
    }
    return !looking.any || looking.found;
}

static const char *rule_state(const struct tly_verdict_rule *rule)
{
    enum tly_alert_state most = TLY_ALERT_INACTIVE;
    for (size_t i = 0; i < rule->alert_count; i++) {
        most = rule->alerts[i]->state > most ? rule->alerts[i]->state : most;
    }
    return tly_alert_state_names[most];
}

static int put_alerting(struct tly_buf *buf, const struct tly_verdict_rule *rule)
{
    bool first = true;
    int rc = put_text(buf, "", "state", tly_text_of(rule_state(rule)));
    rc = rc < 0 ? rc : put_text(buf, ",", "name", rule->rule->name);
    rc = rc < 0 ? rc : put_text(buf, ",", "query", rule->rule->query);
    rc = rc < 0 ? rc
                : tly_buf_printf(buf, ",\"duration\":%.10g,\"keepFiringFor\":%.10g",
                                 (double)rule->rule->for_ms / 1000,
                                 (double)rule->rule->keep_firing_ms / 1000);
    rc = rc < 0 ? rc : put_rule_pairs(buf, "labels", rule->rule->labels, rule->rule->label_count);
    rc = rc < 0 ? rc
                : put_rule_pairs(buf, "annotations", rule->rule->annotations,
                                 rule->rule->annotation_count);
    rc = rc < 0 ? rc : put(buf, ",\"alerts\":[");
    rc = rc < 0 ? rc : put_alerts(buf, rule, &first);
    return rc < 0 ? rc : put(buf, "]");
}

static int put_recording(struct tly_buf *buf, const struct tly_verdict_rule *rule)
{
    int rc = put_text(buf, "", "name", rule->rule->name);
    rc = rc < 0 ? rc : put_text(buf, ",", "query", rule->rule->query);
    if (rule->rule->label_count > 0) {
        rc = rc < 0 ? rc
                    : put_rule_pairs(buf, "labels", rule->rule->labels, rule->rule->label_count);
    }
    return rc;
}

static int put_rule(struct tly_buf *buf, const struct tly_verdict_rule *rule)
{
    static const char *const healths[] = {"unknown", "ok", "err"};
    int rc = put(buf, "{");
    rc = rc < 0 ? rc : rule->rule->alerting ? put_alerting(buf, rule) : put_recording(buf, rule);
    rc = rc < 0 ? rc : put_text(buf, ",", "health", tly_text_of(healths[rule->health]));
    if (rule->error) {
        rc = rc < 0 ? rc : put_text(buf, ",", "lastError", tly_text_of(rule->error));
    }
    rc = rc < 0 ? rc
                : tly_buf_printf(buf, ",\"evaluationTime\":%.9g",
                                 (double)rule->duration_ns / (double)TLY_NS_PER_S);
    rc = rc < 0 ? rc : put_time(buf, "lastEvaluation", rule->evaluated_ms);
    return rc < 0 ? rc
                  : put_text(buf, ",", "type",
                             rule->rule->alerting ? TLY_TEXT("alerting") : TLY_TEXT("recording"));
}

static bool rule_asked(const struct filter *filter, const struct tly_verdict_rule *rule)
{
    bool alert = tly_text_equal(filter->type, TLY_TEXT("alert"));
    bool record = tly_text_equal(filter->type, TLY_TEXT("record"));
    return !(alert && !rule->rule->alerting) && !(record && rule->rule->alerting) &&
           asked(filter, "rule_name[]", rule->rule->name);
}

static int put_group(struct tly_buf *buf, const struct filter *filter,
                     const struct tly_verdict_group *group)
{
    bool first = true;
    int rc = put_text(buf, "{", "name", group->group->name);
    rc = rc < 0 ? rc : put_text(buf, ",", "file", group->group->file);
    rc = rc < 0 ? rc : put(buf, ",\"rules\":[");
    for (size_t i = 0; rc == 0 && i < group->count; i++) {
        if (!rule_asked(filter, &group->rules[i])) {
            continue;
        }
        rc = first ? 0 : put(buf, ",");
        first = false;
        rc = rc < 0 ? rc : put_rule(buf, &group->rules[i]);
        rc = rc < 0 ? rc : put(buf, "}");
    }
    rc = rc < 0 ? rc
                : tly_buf_printf(buf, "],\"interval\":%.10g,\"limit\":%lld,\"evaluationTime\":%.9g",
                                 (double)group->interval_ms / 1000, (long long)group->group->limit,
                                 (double)group->duration_ns / (double)TLY_NS_PER_S);
    rc = rc < 0 ? rc : put_time(buf, "lastEvaluation", group->evaluated_ms);
    return rc < 0 ? rc : put(buf, "}");
}

int tly_judge_rules_json(const struct tly_verdict *verdict, const struct tly_http_request *request,
                         struct tly_buf *buf)
{
    struct filter filter = {.request = request, .type = TLY_TEXT("")};
    bool first = true;
    if (request) {
        filter.type = tly_http_query(request, "type");
    }
    int rc = put(buf, "{\"status\":\"success\",\"data\":{\"groups\":[");
    for (size_t i = 0; verdict && rc == 0 && i < verdict->count; i++) {
        if (!asked(&filter, "rule_group[]", verdict->groups[i].group->name) ||
            !asked(&filter, "file[]", verdict->groups[i].group->file)) {
            continue;
        }
        rc = first ? 0 : put(buf, ",");
        first = false;
        rc = rc < 0 ? rc : put_group(buf, &filter, &verdict->groups[i]);
    }
    return rc < 0 ? rc : put(buf, "]}}");
}

/* ---- routes ---- */

static void answer(struct tly_http_request *request, int rc, struct tly_buf *buf)
{
    if (rc < 0) {
        tly_buf_clear(buf);
        rc = put(buf, "{\"status\":\"error\",\"errorType\":\"internal\",\"error\":\"the answer is "
                      "too large\"}");
        tly_http_answer(request, 500, "application/json", rc < 0 ? NULL : buf);
    } else {
        tly_http_answer_tagged(request, "application/json", buf, 0);
    }
    tly_buf_done(buf);
}

static void handle_rules(void *self, struct tly_http_request *request)
{
    const struct tly_judge *judge = self;
    struct tly_buf buf;
    tly_buf_init(&buf, ANSWER_BYTES_MAX);
    int rc = tly_judge_rules_json(judge->verdict, request, &buf);
    answer(request, rc, &buf);
}

static void handle_alerts(void *self, struct tly_http_request *request)
{
    const struct tly_judge *judge = self;
    struct tly_buf buf;
    tly_buf_init(&buf, ANSWER_BYTES_MAX);
    int rc = tly_judge_alerts_json(judge->verdict, &buf);
    answer(request, rc, &buf);
}

const struct tly_route tly_judge_routes[] = {
    {.path = "/api/v1/rules", .handle = handle_rules, .title = "Rules"},
    {.path = "/api/v1/alerts", .handle = handle_alerts, .title = "Alerts"},
    {.path = NULL},
};
