/*
 * Answers of the agent as rows; see model.h. An answer that is no such one changes nothing: rows
 * are made first, and take the old ones' place when all are there.
 */
#include "agent/top/model.h"

#include "agent/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tly_top_model_init(struct tly_top_model *model)
{
    *model = (struct tly_top_model){.time = NAN,
                                    .interval = NAN,
                                    .host_cpu = NAN,
                                    .host_cpu_max = NAN,
                                    .host_memory = NAN,
                                    .host_memory_max = NAN,
                                    .agent_cpu = NAN,
                                    .agent_memory = NAN};
}

void tly_top_model_detail_clear(struct tly_top_model *model)
{
    tly_json_free(model->detail);
    tly_json_free(model->events);
    model->detail = model->events = NULL;
    model->history.count = 0;
    if (model->detail_findings) {
        tly_top_model_done(model->detail_findings);
        free(model->detail_findings);
        model->detail_findings = NULL;
    }
}

void tly_top_model_done(struct tly_top_model *model)
{
    tly_top_model_detail_clear(model);
    tly_json_free(model->overview);
    tly_json_free(model->alerts_root);
    tly_json_free(model->findings_root);
    free(model->containers);
    free(model->samples);
    free(model->alerts);
    free(model->findings);
    tly_top_model_init(model);
}

/* ---- reading ---- */

double tly_top_number(const json_t *object, const char *key)
{
    double number = NAN;
    return tly_json_number(tly_json_at(object, key), &number) ? number : NAN;
}

double tly_top_time(const json_t *object, const char *key)
{
    int64_t ns = 0;
    struct tly_text text = tly_json_text_at(object, key);
    if (text.len == 0 || tly_time_parse(text, &ns) < 0 || ns == 0) {
        return NAN;
    }
    return (double)ns / (double)TLY_NS_PER_S;
}

/* Room for `count` rows; never NULL but for want of memory. */
static void *rows_new(size_t count, size_t size)
{
    return calloc(count > 0 ? count : 1, size);
}

static int parse(struct tly_text body, const char *must_have, json_t **ret_root,
                 struct tly_error *err)
{
    json_t *root = NULL;
    int rc = tly_json_parse(body, &root, err);
    if (rc == 0 && !tly_json_is_array(tly_json_at(root, must_have))) {
        tly_json_free(root);
        rc = tly_error_set(err, TLY_E_MALFORMED, "an answer without `%s`", must_have);
    }
    if (rc == 0) {
        *ret_root = root;
    }
    return rc;
}

/* ---- the overview ---- */

static const struct {
    const char *name;
    size_t offset;
} text_columns[] = {
    {"id", offsetof(struct tly_top_container, id)},
    {"name", offsetof(struct tly_top_container, name)},
    {"image", offsetof(struct tly_top_container, image)},
    {"project", offsetof(struct tly_top_container, project)},
    {"state", offsetof(struct tly_top_container, state)},
    {"health", offsetof(struct tly_top_container, health)},
};
#define TEXT_COLUMNS (sizeof(text_columns) / sizeof(text_columns[0]))

static const char *const figure_columns[TLY_FIGURE_COUNT] = {
    "since",     "exit_code", "oom_killed",  "restarts",  "cpu",    "cpu_max",
    "throttled", "memory",    "memory_max",  "received",  "sent",   "read",
    "written",   "layer",     "lag_seconds", "lag_bytes", "failed", "failed_high",
};

/* Where each column stands in a row; TLY_NOWHERE. */
struct places {
    size_t texts[TEXT_COLUMNS];
    size_t figures[TLY_FIGURE_COUNT];
};

static size_t place_of(const json_t *columns, const char *name)
{
    for (size_t i = 0; i < tly_json_count(columns); i++) {
        if (tly_text_equal(tly_json_string(tly_json_item(columns, i)), tly_text_of(name))) {
            return i;
        }
    }
    return TLY_NOWHERE;
}

static struct places places_of(const json_t *columns)
{
    struct places places;
    for (size_t i = 0; i < TEXT_COLUMNS; i++) {
        places.texts[i] = place_of(columns, text_columns[i].name);
    }
    for (size_t i = 0; i < TLY_FIGURE_COUNT; i++) {
        places.figures[i] = place_of(columns, figure_columns[i]);
    }
    return places;
}

static void container_take(struct tly_top_container *container, const json_t *row,
                           const struct places *places)
{
    for (size_t i = 0; i < TEXT_COLUMNS; i++) {
        struct tly_text text = tly_json_string(tly_json_item(row, places->texts[i]));
        memcpy((char *)container + text_columns[i].offset, &text, sizeof(text));
    }
    for (size_t i = 0; i < TLY_FIGURE_COUNT; i++) {
        if (!tly_json_number(tly_json_item(row, places->figures[i]), &container->figures[i])) {
            container->figures[i] = NAN;
        }
    }
}

static struct tly_top_container *containers_of(const json_t *root, size_t *ret_count)
{
    const json_t *list = tly_json_at(root, "containers");
    const struct places places = places_of(tly_json_at(root, "columns"));
    struct tly_top_container *rows = rows_new(tly_json_count(list), sizeof(*rows));
    size_t count = 0;
    for (size_t i = 0; rows && i < tly_json_count(list); i++) {
        const json_t *row = tly_json_item(list, i);
        if (tly_json_is_array(row)) {
            container_take(&rows[count], row, &places);
            count += rows[count].id.len > 0 ? 1 : 0;
        }
    }
    *ret_count = count;
    return rows;
}

/* A list of lists: the host's, the agent's. */
static struct tly_top_sample *samples_of(const json_t *root, size_t *ret_count)
{
    const json_t *lists = tly_json_at(root, "samples");
    size_t count = 0;
    for (size_t i = 0; i < tly_json_count(lists); i++) {
        count += tly_json_count(tly_json_item(lists, i));
    }
    struct tly_top_sample *rows = rows_new(count, sizeof(*rows));
    count = 0;
    for (size_t i = 0; rows && i < tly_json_count(lists); i++) {
        const json_t *list = tly_json_item(lists, i);
        for (size_t k = 0; k < tly_json_count(list); k++) {
            const json_t *one = tly_json_item(list, k);
            struct tly_top_sample sample = {tly_json_text_at(one, "name"),
                                            tly_json_at(one, "labels"),
                                            tly_top_number(one, "value")};
            if (sample.name.len > 0 && tly_known(sample.value)) {
                rows[count++] = sample;
            }
        }
    }
    *ret_count = count;
    return rows;
}

/* How fast each destination acknowledges. */
static void rates_take(struct tly_top_model *model)
{
    struct tly_top_rate rates[TLY_TOP_RATES_MAX];
    const struct tly_top_sample *one;
    size_t count = 0;
    for (size_t at = 0; count < TLY_TOP_RATES_MAX &&
                        (one = tly_top_samples_next(
                             model, "tallyman_destination_records_acked_total", &at)) != NULL;) {
        struct tly_text name = tly_top_label(one, "destination");
        struct tly_top_rate *rate = &rates[count];
        if (name.len == 0 || name.len >= sizeof(rate->destination)) {
            continue;
        }
        memcpy(rate->destination, name.at, name.len);
        rate->destination[name.len] = '\0';
        rate->value = one->value;
        rate->time = model->time;
        rate->rate = NAN;
        for (size_t i = 0; i < model->rate_count; i++) {
            const struct tly_top_rate *before = &model->rates[i];
            if (strcmp(before->destination, rate->destination) == 0) {
                rate->rate = rate->time > before->time ? fmax(0, (rate->value - before->value) /
                                                                     (rate->time - before->time))
                                                       : before->rate;
            }
        }
        count++;
    }
    memcpy(model->rates, rates, count * sizeof(*rates));
    model->rate_count = count;
}

int tly_top_model_overview(struct tly_top_model *model, struct tly_text body, struct tly_error *err)
{
    json_t *root = NULL;
    size_t container_count = 0;
    size_t sample_count = 0;
    int rc = parse(body, "containers", &root, err);
    if (rc < 0) {
        return rc;
    }
    struct tly_top_container *containers = containers_of(root, &container_count);
    struct tly_top_sample *samples = samples_of(root, &sample_count);
    if (!containers || !samples) {
        free(containers);
        free(samples);
        tly_json_free(root);
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    free(model->containers);
    free(model->samples);
    tly_json_free(model->overview);
    model->overview = root;
    model->containers = containers;
    model->container_count = container_count;
    model->samples = samples;
    model->sample_count = sample_count;
    model->version = tly_json_text_at(root, "version");
    model->host_name = tly_json_text_at(root, "name");
    model->time = tly_top_time(root, "time");
    model->interval = tly_top_number(root, "interval");
    model->host_cpu = tly_top_number(root, "host.cpu");
    model->host_cpu_max = tly_top_number(root, "host.cpu_max");
    model->host_memory = tly_top_number(root, "host.memory");
    model->host_memory_max = tly_top_number(root, "host.memory_max");
    model->agent_cpu = tly_top_number(root, "agent.cpu");
    model->agent_memory = tly_top_number(root, "agent.memory");
    rates_take(model);
    return 0;
}

/* ---- alerts ---- */

static int compare_alerts(const void *left, const void *right)
{
    const struct tly_top_alert *a = left;
    const struct tly_top_alert *b = right;
    if (a->firing != b->firing) {
        return a->firing ? -1 : 1;
    }
    int levels = (int)tly_severity_level(b->severity) - (int)tly_severity_level(a->severity);
    if (levels != 0) {
        return levels;
    }
    return a->active_at > b->active_at ? -1 : a->active_at < b->active_at ? 1 : 0;
}

int tly_top_model_alerts(struct tly_top_model *model, struct tly_text body, struct tly_error *err)
{
    json_t *root = NULL;
    int rc = parse(body, "data.alerts", &root, err);
    if (rc < 0) {
        return rc;
    }
    const json_t *list = tly_json_at(root, "data.alerts");
    struct tly_top_alert *alerts = rows_new(tly_json_count(list), sizeof(*alerts));
    size_t count = 0;
    if (!alerts) {
        tly_json_free(root);
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < tly_json_count(list); i++) {
        const json_t *one = tly_json_item(list, i);
        struct tly_top_alert alert = {
            .labels = tly_json_at(one, "labels"),
            .name = tly_json_text_at(one, "labels.alertname"),
            .severity = tly_json_text_at(one, "labels.severity"),
            .summary = tly_json_text_at(one, "annotations.summary"),
            .description = tly_json_text_at(one, "annotations.description"),
            .firing = tly_text_equal(tly_json_text_at(one, "state"), TLY_TEXT("firing")),
            .active_at = tly_top_time(one, "activeAt"),
            .container = TLY_NOWHERE,
        };
        if (alert.name.len > 0) {
            alerts[count++] = alert;
        }
    }
    qsort(alerts, count, sizeof(*alerts), compare_alerts);
    free(model->alerts);
    tly_json_free(model->alerts_root);
    model->alerts_root = root;
    model->alerts = alerts;
    model->alert_count = count;
    model->alerts_known = true;
    return 0;
}

/* ---- findings ---- */

static int severity_rank(struct tly_text severity)
{
    static const char *const names[] = {"critical", "high", "medium", "low", "info"};
    int rank = 0;
    while (rank < (int)(sizeof(names) / sizeof(names[0])) &&
           !tly_text_equal(severity, tly_text_of(names[rank]))) {
        rank++;
    }
    return rank;
}

static int compare_texts(struct tly_text a, struct tly_text b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_findings(const void *left, const void *right)
{
    const struct tly_top_finding *a = left;
    const struct tly_top_finding *b = right;
    int order = severity_rank(a->severity) - severity_rank(b->severity);
    order = order != 0 ? order : compare_texts(a->check, b->check);
    return order != 0 ? order : compare_texts(a->name, b->name);
}

int tly_top_model_findings(struct tly_top_model *model, struct tly_text body, struct tly_error *err)
{
    json_t *root = NULL;
    int rc = parse(body, "findings", &root, err);
    if (rc < 0) {
        return rc;
    }
    const json_t *list = tly_json_at(root, "findings");
    struct tly_top_finding *findings = rows_new(tly_json_count(list), sizeof(*findings));
    size_t count = 0;
    if (!findings) {
        tly_json_free(root);
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < tly_json_count(list); i++) {
        const json_t *one = tly_json_item(list, i);
        struct tly_top_finding finding = {
            .check = tly_json_text_at(one, "check"),
            .cis = tly_json_text_at(one, "cis"),
            .severity = tly_json_text_at(one, "severity"),
            .target = tly_json_text_at(one, "target"),
            .id = tly_json_text_at(one, "id"),
            .name = tly_json_text_at(one, "name"),
            .image = tly_json_text_at(one, "image"),
            .message = tly_json_text_at(one, "message"),
            .remediation = tly_json_text_at(one, "remediation"),
        };
        if (finding.check.len > 0) {
            findings[count++] = finding;
        }
    }
    qsort(findings, count, sizeof(*findings), compare_findings);
    free(model->findings);
    tly_json_free(model->findings_root);
    model->findings_root = root;
    model->findings = findings;
    model->finding_count = count;
    model->findings_left_out = tly_top_number(root, "left_out");
    model->findings_known = true;
    return 0;
}

int tly_top_model_detail_findings(struct tly_top_model *model, struct tly_text body,
                                  struct tly_error *err)
{
    if (!model->detail_findings) {
        model->detail_findings = malloc(sizeof(*model->detail_findings));
        if (!model->detail_findings) {
            return tly_error_set(err, -ENOMEM, "out of memory");
        }
        tly_top_model_init(model->detail_findings);
    }
    return tly_top_model_findings(model->detail_findings, body, err);
}

/* ---- one container ---- */

static int replace(json_t **root, struct tly_text body, const char *must_have,
                   struct tly_error *err)
{
    json_t *fresh = NULL;
    int rc = parse(body, must_have, &fresh, err);
    if (rc == 0) {
        tly_json_free(*root);
        *root = fresh;
    }
    return rc;
}

int tly_top_model_detail(struct tly_top_model *model, struct tly_text body, struct tly_error *err)
{
    return replace(&model->detail, body, "containers", err);
}

int tly_top_model_events(struct tly_top_model *model, struct tly_text body, struct tly_error *err)
{
    return replace(&model->events, body, "events", err);
}

/* The newest points; what is not known in the middle stays so. */
static void history_take(struct tly_top_history *history, const json_t *one, double period)
{
    static const char *const names[TLY_SERIES_COUNT] = {"cpu", "memory", "network", "disk"};
    history->count = 0;
    history->period = period;
    for (size_t i = 0; i < TLY_SERIES_COUNT; i++) {
        const json_t *points = tly_json_at(one, names[i]);
        size_t count = tly_json_is_array(points) ? tly_json_count(points) : 0;
        size_t left = count > TLY_HISTORY_MAX ? count - TLY_HISTORY_MAX : 0;
        count -= left;
        history->count = count > history->count ? count : history->count;
        for (size_t k = 0; k < TLY_HISTORY_MAX; k++) {
            double value = NAN;
            bool known = k < count && tly_json_number(tly_json_item(points, left + k), &value);
            history->points[i][k] = known ? value : NAN;
        }
    }
}

int tly_top_model_history(struct tly_top_model *model, struct tly_text id, struct tly_text body,
                          struct tly_error *err)
{
    json_t *root = NULL;
    const char *name = NULL;
    const json_t *one = NULL;
    int rc = tly_json_parse(body, &root, err);
    if (rc < 0) {
        return rc;
    }
    const double period = tly_top_number(root, "period");
    const json_t *all = tly_json_at(root, "history");
    for (void *at = NULL; tly_json_next(all, &at, &name, &one);) {
        if (strcmp(name, "/host") == 0) {
            history_take(&model->host_history, one, period);
        } else if (strcmp(name, "/agent") == 0) {
            history_take(&model->agent_history, one, period);
        } else if (tly_text_equal(tly_text_of(name), id)) {
            history_take(&model->history, one, period);
        }
    }
    tly_json_free(root);
    return 0;
}
