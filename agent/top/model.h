/*
 * What the agent has answered, as rows for a screen: /api/v1/overview, alerts, findings, and one
 * container's detail (docs/web.md). The same judgement of what needs attention as the status page's
 * (dashboards/status/status.js). What is absent, null or of another type than expected is not
 * known: NAN, or an empty text. Texts are borrowed from the answers, which the model keeps until
 * the next one of the kind. Pure: no loop, no terminal.
 */
#ifndef TLY_TOP_MODEL_H
#define TLY_TOP_MODEL_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/json.h"
#include "agent/top/amount.h"

#include <stdbool.h>
#include <stddef.h>

enum tly_level { TLY_LEVEL_OK, TLY_LEVEL_WARN, TLY_LEVEL_BAD };

#define TLY_TROUBLES_MAX 8

struct tly_trouble {
    enum tly_level level;
    char text[TLY_AMOUNT_MAX];
};

/* Columns of the overview that are numbers. */
enum tly_figure {
    TLY_FIGURE_SINCE,
    TLY_FIGURE_EXIT_CODE,
    TLY_FIGURE_OOM_KILLED,
    TLY_FIGURE_RESTARTS,
    TLY_FIGURE_CPU,
    TLY_FIGURE_CPU_MAX,
    TLY_FIGURE_THROTTLED,
    TLY_FIGURE_MEMORY,
    TLY_FIGURE_MEMORY_MAX,
    TLY_FIGURE_RECEIVED,
    TLY_FIGURE_SENT,
    TLY_FIGURE_READ,
    TLY_FIGURE_WRITTEN,
    TLY_FIGURE_LAYER,
    TLY_FIGURE_LAG_SECONDS,
    TLY_FIGURE_LAG_BYTES,
    TLY_FIGURE_FAILED,
    TLY_FIGURE_FAILED_HIGH,
    TLY_FIGURE_COUNT,
};

struct tly_top_container {
    struct tly_text id, name, image, project, state, health;
    double figures[TLY_FIGURE_COUNT];
    size_t firing; /* alerts */
    bool grave;    /* one of them is */
    enum tly_level level;
    struct tly_trouble troubles[TLY_TROUBLES_MAX]; /* the worst first */
    size_t trouble_count;
};

#define TLY_NOWHERE ((size_t)-1)

struct tly_top_alert {
    const json_t *labels;
    struct tly_text name, severity, summary, description;
    bool firing; /* else pending */
    double active_at;
    size_t container; /* index, or TLY_NOWHERE */
};

struct tly_top_sample {
    struct tly_text name;
    const json_t *labels; /* NULL: none */
    double value;
};

struct tly_top_finding {
    struct tly_text check, cis, severity, target, id, name, image, message, remediation;
};

/* Of one destination, since the overview before. */
#define TLY_TOP_RATES_MAX 32
struct tly_top_rate {
    char destination[64];
    double value, time, rate;
};

/* What a history has. */
enum tly_series {
    TLY_SERIES_CPU,
    TLY_SERIES_MEMORY,
    TLY_SERIES_NETWORK,
    TLY_SERIES_DISK,
    TLY_SERIES_COUNT
};
#define TLY_HISTORY_MAX 60
struct tly_top_history {
    double points[TLY_SERIES_COUNT][TLY_HISTORY_MAX];
    size_t count; /* points of each series */
    double period;
};

struct tly_top_lack {
    char what[128], lost[256];
};

struct tly_top_model {
    /* The overview. */
    json_t *overview; /* owned, like the others; NULL: none came yet */
    struct tly_text version, host_name;
    double time, interval;
    double host_cpu, host_cpu_max, host_memory, host_memory_max, agent_cpu, agent_memory;
    struct tly_top_container *containers; /* owned, like the others */
    size_t container_count;
    struct tly_top_sample *samples;
    size_t sample_count;
    struct tly_top_rate rates[TLY_TOP_RATES_MAX];
    size_t rate_count;

    json_t *alerts_root;
    struct tly_top_alert *alerts; /* those that fire first, the worst of them at the top */
    size_t alert_count;
    bool alerts_known;

    json_t *findings_root;
    struct tly_top_finding *findings; /* the same check's beside each other, the worst first */
    size_t finding_count;
    double findings_left_out;
    bool findings_known;

    /* Of the container that is looked at. */
    json_t *detail, *events;
    struct tly_top_model *detail_findings; /* its findings, of a model of their own */
    struct tly_top_history history, host_history, agent_history;
};

void tly_top_model_init(struct tly_top_model *model);
void tly_top_model_done(struct tly_top_model *model);

/*
 * Each takes an answer's body. TLY_E_MALFORMED: it is no JSON, or has not what makes it such an
 * answer; -ENOMEM. What was known stays then.
 */
int tly_top_model_overview(struct tly_top_model *model, struct tly_text body,
                           struct tly_error *err) TLY_CHECK;
int tly_top_model_alerts(struct tly_top_model *model, struct tly_text body,
                         struct tly_error *err) TLY_CHECK;
int tly_top_model_findings(struct tly_top_model *model, struct tly_text body,
                           struct tly_error *err) TLY_CHECK;
int tly_top_model_detail(struct tly_top_model *model, struct tly_text body,
                         struct tly_error *err) TLY_CHECK;
int tly_top_model_events(struct tly_top_model *model, struct tly_text body,
                         struct tly_error *err) TLY_CHECK;
int tly_top_model_detail_findings(struct tly_top_model *model, struct tly_text body,
                                  struct tly_error *err) TLY_CHECK;
/* Of the host, the agent, and with `id` that container. */
int tly_top_model_history(struct tly_top_model *model, struct tly_text id, struct tly_text body,
                          struct tly_error *err) TLY_CHECK;
/* Another container is looked at. */
void tly_top_model_detail_clear(struct tly_top_model *model);

/* Judges containers anew, after an overview or alerts. */
void tly_top_model_judge(struct tly_top_model *model);

/* ---- what is asked of it ---- */

/* A number of an object; NAN. And a time (RFC 3339) in Unix seconds. */
double tly_top_number(const json_t *object, const char *key);
double tly_top_time(const json_t *object, const char *key);

/* The agent has a page of that path. */
bool tly_top_has_page(const struct tly_top_model *model, const char *path);
/* A sample's first value; with `label` that of one whose label has this value. NAN. */
double tly_top_sample(const struct tly_top_model *model, const char *name, const char *label,
                      struct tly_text value);
/* The sum of all such. NAN: there is none. */
double tly_top_sum(const struct tly_top_model *model, const char *name, const char *label,
                   struct tly_text value);
/* Samples of one name, one after the other: `at` begins with 0. NULL: no more. */
const struct tly_top_sample *tly_top_samples_next(const struct tly_top_model *model,
                                                  const char *name, size_t *at);
struct tly_text tly_top_label(const struct tly_top_sample *sample, const char *label);
/* Checks that fail, of these severities ("critical,high"). */
double tly_top_failed(const struct tly_top_model *model, const char *severities);
/* Index of the container whose id this is or begins; TLY_NOWHERE. */
size_t tly_top_find(const struct tly_top_model *model, struct tly_text id);
/* Its name, or what of its id people use. */
struct tly_text tly_top_name(const struct tly_top_container *container);
bool tly_top_runs(const struct tly_top_container *container);
/* How far one destination is behind. */
struct tly_top_behind {
    double seconds, bytes, containers;
};
struct tly_top_behind tly_top_behind(const struct tly_top_model *model,
                                     struct tly_text destination);
/* It is sent to servers, none of which is connected. */
bool tly_top_is_cut_off(const struct tly_top_model *model, struct tly_text destination);
/* How many such there are, and the name of the first; empty: none. */
size_t tly_top_cut_off(const struct tly_top_model *model, struct tly_text *ret_name);
/* Seconds that the destination furthest behind is behind; 0. */
double tly_top_worst_lag(const struct tly_top_model *model);
/* One that ran and failed; what has not come to its first run has not. */
bool tly_top_collector_failed(const struct tly_top_model *model, const struct tly_top_sample *one);
/* The n-th reason for which the agent does less than it could; false: there are no more. */
bool tly_top_lack(const struct tly_top_model *model, size_t n, struct tly_top_lack *ret_lack);
size_t tly_top_lack_count(const struct tly_top_model *model);

/* What is wrong on the whole: a level, and what to say. */
struct tly_verdict_text {
    enum tly_level level;
    char text[160], more[320];
};
void tly_top_verdict(const struct tly_top_model *model, struct tly_verdict_text *ret_verdict);

enum tly_level tly_severity_level(struct tly_text severity);
bool tly_severity_grave(struct tly_text severity);

#endif
