/*
 * What needs attention, in the status page's words and by its bounds (dashboards/status/status.js:
 * troubles, lackings, verdictOf); and what else is asked of the model. Keep the two alike.
 */
#include "agent/top/model.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_WARN    0.9 /* shares of the limit */
#define MEMORY_BAD     0.97
#define THROTTLED_WARN 0.25 /* share of the time */
#define LAG_WARN_S     60.0
#define LAG_BAD_S      600.0
#define EXIT_BY_TERM   143.0 /* 128 + SIGTERM: it was stopped */
#define ID_LEN         16    /* digits that the overview tells */
#define ID_LEN_WHOLE   64
#define ID_LEN_SHOWN   12
#define ID_LEN_LEAST   4
#define NAMED_MAX      3 /* containers that the verdict names */
#define NAME_SHOWN     40

static bool is(struct tly_text text, const char *word)
{
    return tly_text_equal(text, tly_text_of(word));
}

bool tly_severity_grave(struct tly_text severity)
{
    return is(severity, "critical") || is(severity, "page") || is(severity, "error");
}

enum tly_level tly_severity_level(struct tly_text severity)
{
    if (tly_severity_grave(severity) || is(severity, "high")) {
        return TLY_LEVEL_BAD;
    }
    return is(severity, "warning") || is(severity, "medium") ? TLY_LEVEL_WARN : TLY_LEVEL_OK;
}

bool tly_top_runs(const struct tly_top_container *container)
{
    return is(container->state, "running") || is(container->state, "paused") ||
           is(container->state, "restarting");
}

struct tly_text tly_top_name(const struct tly_top_container *container)
{
    if (container->name.len > 0) {
        return container->name;
    }
    size_t len = container->id.len < ID_LEN_SHOWN ? container->id.len : ID_LEN_SHOWN;
    return (struct tly_text){container->id.at, len};
}

size_t tly_top_find(const struct tly_top_model *model, struct tly_text id)
{
    struct tly_text key = {id.at, id.len < ID_LEN ? id.len : ID_LEN};
    for (size_t i = 0; i < model->container_count && key.len >= ID_LEN_LEAST; i++) {
        if (tly_text_starts(model->containers[i].id, key)) {
            return i;
        }
    }
    return TLY_NOWHERE;
}

/* ---- alerts and their containers ---- */

/* The id of 64 digits in the path of a cgroup. */
static struct tly_text id_in(struct tly_text path)
{
    size_t run = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        run = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ? run + 1 : 0;
        if (run == ID_LEN_WHOLE) {
            return (struct tly_text){path.at + i + 1 - ID_LEN_WHOLE, ID_LEN_WHOLE};
        }
    }
    return (struct tly_text){NULL, 0};
}

static size_t container_of_alert(const struct tly_top_model *model,
                                 const struct tly_top_alert *alert)
{
    size_t found = tly_top_find(model, id_in(tly_json_text_at(alert->labels, "id")));
    struct tly_text name = tly_json_text_at(alert->labels, "name");
    for (size_t i = model->container_count; found == TLY_NOWHERE && name.len > 0 && i > 0; i--) {
        if (tly_text_equal(model->containers[i - 1].name, name)) {
            found = i - 1; /* the last of that name, as on the page */
        }
    }
    return found;
}

static void alerts_assign(struct tly_top_model *model)
{
    for (size_t i = 0; i < model->container_count; i++) {
        model->containers[i].firing = 0;
        model->containers[i].grave = false;
    }
    for (size_t i = 0; i < model->alert_count; i++) {
        struct tly_top_alert *alert = &model->alerts[i];
        alert->container = container_of_alert(model, alert);
        if (alert->container != TLY_NOWHERE && alert->firing) {
            struct tly_top_container *container = &model->containers[alert->container];
            container->firing++;
            container->grave = container->grave || tly_severity_grave(alert->severity);
        }
    }
}

/* ---- troubles ---- */

static void trouble_add(struct tly_top_container *container, enum tly_level level, const char *text,
                        struct tly_amount amount, const char *behind)
{
    if (container->trouble_count < TLY_TROUBLES_MAX) {
        struct tly_trouble *trouble = &container->troubles[container->trouble_count++];
        trouble->level = level;
        (void)snprintf(trouble->text, sizeof(trouble->text), "%s%.30s%s", text, amount.text,
                       behind); /* fits */
    }
}

static void trouble_of_end(struct tly_top_container *container)
{
    const double *figures = container->figures;
    struct tly_amount none = {""};
    if (figures[TLY_FIGURE_OOM_KILLED] == 1) {
        trouble_add(container, TLY_LEVEL_BAD, "out of memory", none, "");
    } else if (is(container->state, "exited") && figures[TLY_FIGURE_EXIT_CODE] > 0 &&
               figures[TLY_FIGURE_EXIT_CODE] != EXIT_BY_TERM) {
        struct tly_amount code;
        (void)snprintf(code.text, sizeof(code.text), "%.0f", figures[TLY_FIGURE_EXIT_CODE]);
        trouble_add(container, TLY_LEVEL_WARN, "exit ", code, "");
    }
}

static void troubles_judge(struct tly_top_container *container)
{
    const double *figures = container->figures;
    struct tly_amount none = {""};
    container->trouble_count = 0;
    if (container->firing > 0) {
        trouble_add(container, container->grave ? TLY_LEVEL_BAD : TLY_LEVEL_WARN, "",
                    tly_amount_many((double)container->firing, "alert"), "");
    }
    if (is(container->health, "unhealthy")) {
        trouble_add(container, TLY_LEVEL_BAD, "unhealthy", none, "");
    }
    if (is(container->state, "restarting") || is(container->state, "dead")) {
        trouble_add(container, TLY_LEVEL_BAD, is(container->state, "dead") ? "dead" : "restarting",
                    none, "");
    }
    trouble_of_end(container);
    double share = figures[TLY_FIGURE_MEMORY_MAX] > 0
                       ? figures[TLY_FIGURE_MEMORY] / figures[TLY_FIGURE_MEMORY_MAX]
                       : 0;
    if (share >= MEMORY_WARN) {
        trouble_add(container, share >= MEMORY_BAD ? TLY_LEVEL_BAD : TLY_LEVEL_WARN, "memory ",
                    tly_amount_percent(share), "");
    }
    if (figures[TLY_FIGURE_THROTTLED] > THROTTLED_WARN) {
        trouble_add(container, TLY_LEVEL_WARN, "throttled ",
                    tly_amount_percent(figures[TLY_FIGURE_THROTTLED]), "");
    }
    if (figures[TLY_FIGURE_LAG_SECONDS] > LAG_WARN_S) {
        bool bad = figures[TLY_FIGURE_LAG_SECONDS] > LAG_BAD_S;
        trouble_add(container, bad ? TLY_LEVEL_BAD : TLY_LEVEL_WARN, "log ",
                    tly_amount_span(figures[TLY_FIGURE_LAG_SECONDS]), " behind");
    }
}

/* Stable: those of one level stay in their order. */
static void troubles_sort(struct tly_top_container *container)
{
    for (size_t i = 1; i < container->trouble_count; i++) {
        struct tly_trouble one = container->troubles[i];
        size_t at = i;
        for (; at > 0 && container->troubles[at - 1].level < one.level; at--) {
            container->troubles[at] = container->troubles[at - 1];
        }
        container->troubles[at] = one;
    }
    container->level = container->trouble_count > 0 ? container->troubles[0].level : TLY_LEVEL_OK;
}

void tly_top_model_judge(struct tly_top_model *model)
{
    alerts_assign(model);
    for (size_t i = 0; i < model->container_count; i++) {
        troubles_judge(&model->containers[i]);
        troubles_sort(&model->containers[i]);
    }
}

/* ---- samples ---- */

const struct tly_top_sample *tly_top_samples_next(const struct tly_top_model *model,
                                                  const char *name, size_t *at)
{
    while (*at < model->sample_count) {
        const struct tly_top_sample *one = &model->samples[(*at)++];
        if (is(one->name, name)) {
            return one;
        }
    }
    return NULL;
}

struct tly_text tly_top_label(const struct tly_top_sample *sample, const char *label)
{
    return sample ? tly_json_text_at(sample->labels, label) : (struct tly_text){NULL, 0};
}

double tly_top_sample(const struct tly_top_model *model, const char *name, const char *label,
                      struct tly_text value)
{
    const struct tly_top_sample *one;
    for (size_t at = 0; (one = tly_top_samples_next(model, name, &at)) != NULL;) {
        if (!label || tly_text_equal(tly_top_label(one, label), value)) {
            return one->value;
        }
    }
    return NAN;
}

double tly_top_sum(const struct tly_top_model *model, const char *name, const char *label,
                   struct tly_text value)
{
    const struct tly_top_sample *one;
    double sum = NAN;
    for (size_t at = 0; (one = tly_top_samples_next(model, name, &at)) != NULL;) {
        if (!label || tly_text_equal(tly_top_label(one, label), value)) {
            sum = tly_known(sum) ? sum + one->value : one->value;
        }
    }
    return sum;
}

double tly_top_failed(const struct tly_top_model *model, const char *severities)
{
    const struct tly_top_sample *one;
    double sum = 0;
    for (size_t at = 0; (one = tly_top_samples_next(model, "posture_checks", &at)) != NULL;) {
        bool counts = false;
        for (struct tly_text rest = tly_text_of(severities); rest.at;) {
            struct tly_text severity = tly_text_cut(&rest, ',');
            counts = counts || tly_text_equal(severity, tly_top_label(one, "severity"));
        }
        if (counts && is(tly_top_label(one, "status"), "fail")) {
            sum += one->value;
        }
    }
    return sum;
}

bool tly_top_has_page(const struct tly_top_model *model, const char *path)
{
    const json_t *pages = tly_json_at(model->overview, "pages");
    for (size_t i = 0; i < tly_json_count(pages); i++) {
        if (is(tly_json_text_at(tly_json_item(pages, i), "path"), path)) {
            return true;
        }
    }
    return false;
}

bool tly_top_is_cut_off(const struct tly_top_model *model, struct tly_text destination)
{
    return tly_top_sum(model, "tallyman_forward_connected", "destination", destination) == 0;
}

size_t tly_top_cut_off(const struct tly_top_model *model, struct tly_text *ret_name)
{
    const struct tly_top_sample *one;
    size_t count = 0;
    *ret_name = (struct tly_text){NULL, 0};
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_destination_queued_records", &at)) != NULL;) {
        struct tly_text name = tly_top_label(one, "destination");
        if (tly_top_is_cut_off(model, name)) {
            *ret_name = count == 0 ? name : *ret_name;
            count++;
        }
    }
    return count;
}

double tly_top_worst_lag(const struct tly_top_model *model)
{
    const json_t *lags = tly_json_at(model->overview, "lags");
    double worst = 0;
    for (size_t i = 0; i < tly_json_count(lags); i++) {
        worst = fmax(worst, tly_top_number(tly_json_item(lags, i), "seconds"));
    }
    return worst;
}

struct tly_top_behind tly_top_behind(const struct tly_top_model *model, struct tly_text destination)
{
    const json_t *lags = tly_json_at(model->overview, "lags");
    for (size_t i = 0; i < tly_json_count(lags); i++) {
        const json_t *one = tly_json_item(lags, i);
        if (tly_text_equal(tly_json_text_at(one, "destination"), destination)) {
            return (struct tly_top_behind){tly_top_number(one, "seconds"),
                                           tly_top_number(one, "bytes"),
                                           tly_top_number(one, "containers")};
        }
    }
    return (struct tly_top_behind){0, 0, 0};
}

/* ---- what is lacking ---- */

bool tly_top_collector_failed(const struct tly_top_model *model, const struct tly_top_sample *one)
{
    struct tly_text name = tly_top_label(one, "collector");
    return one->value == 0 &&
           (tly_top_sample(model, "tallyman_collector_duration_seconds", "collector", name) > 0 ||
            tly_top_sample(model, "tallyman_collector_errors_total", "collector", name) > 0);
}

static bool lack_set(struct tly_top_lack *lack, const char *before, struct tly_text what,
                     const char *lost_before, struct tly_text lost, const char *behind)
{
    /* Cut is fine. */
    (void)snprintf(lack->what, sizeof(lack->what), "%s%.*s", before, (int)what.len,
                   what.at ? what.at : "");
    (void)snprintf(lack->lost, sizeof(lack->lost), "%s%.*s%s", lost_before, (int)lost.len,
                   lost.at ? lost.at : "", behind);
    return true;
}

static bool lack_of_right(const struct tly_top_model *model, size_t n,
                          struct tly_top_lack *ret_lack)
{
    const json_t *one = tly_json_item(tly_json_at(model->overview, "lacking"), n);
    return lack_set(ret_lack, "", tly_json_text_at(one, "what"), "Without it ",
                    tly_json_text_at(one, "lost"), ".");
}

/* The n-th of what the agent's own metrics tell. */
static bool lack_of_work(const struct tly_top_model *model, size_t n, struct tly_top_lack *ret_lack)
{
    const struct tly_text none = {NULL, 0};
    const struct tly_top_sample *one;
    if (tly_top_sample(model, "tallyman_docker_up", NULL, none) == 0) {
        if (n-- == 0) {
            return lack_set(ret_lack, "", TLY_TEXT("Docker engine"),
                            "It does not answer; what was known stays.", none, "");
        }
    } else if (tly_top_sample(model, "tallyman_docker_events_connected", NULL, none) == 0 &&
               n-- == 0) {
        return lack_set(ret_lack, "", TLY_TEXT("Events of the engine"),
                        "They can't be had: containers are listed at intervals.", none, "");
    }
    for (size_t at = 0;
         (one = tly_top_samples_next(model, "tallyman_collector_success", &at)) != NULL;) {
        if (tly_top_collector_failed(model, one) && n-- == 0) {
            return lack_set(ret_lack, "Collector ", tly_top_label(one, "collector"),
                            "Its last run failed; the log says why.", none, "");
        }
    }
    double unreadable = tly_top_sample(model, "tallyman_logs_api_unreadable", NULL, none);
    if (unreadable > 0 && n == 0) {
        struct tly_amount many = tly_amount_many(unreadable, "container");
        return lack_set(ret_lack, "Logs of ", tly_text_of(many.text),
                        "The engine can't read them back from their log driver: they are not "
                        "forwarded.",
                        none, "");
    }
    return false;
}

bool tly_top_lack(const struct tly_top_model *model, size_t n, struct tly_top_lack *ret_lack)
{
    size_t rights = tly_json_count(tly_json_at(model->overview, "lacking"));
    return n < rights ? lack_of_right(model, n, ret_lack)
                      : lack_of_work(model, n - rights, ret_lack);
}

size_t tly_top_lack_count(const struct tly_top_model *model)
{
    struct tly_top_lack lack;
    size_t count = 0;
    while (tly_top_lack(model, count, &lack)) {
        count++;
    }
    return count;
}

/* ---- the verdict ---- */

struct sentence {
    char *at;
    size_t cap, len;
};

/* Cut at the end of its room. */
static void say(struct sentence *sentence, const char *separator, const char *text)
{
    int len = snprintf(sentence->at + sentence->len, sentence->cap - sentence->len, "%s%s",
                       sentence->len > 0 ? separator : "", text);
    if (len > 0) {
        sentence->len += (size_t)len;
        sentence->len = sentence->len < sentence->cap ? sentence->len : sentence->cap - 1;
    }
}

static void name_the_worst(const struct tly_top_model *model, size_t wrong,
                           struct sentence *sentence)
{
    char text[NAME_SHOWN + TLY_AMOUNT_MAX + 8];
    size_t named = 0;
    for (int level = TLY_LEVEL_BAD; level > TLY_LEVEL_OK; level--) {
        for (size_t i = 0; i < model->container_count && named < NAMED_MAX; i++) {
            const struct tly_top_container *container = &model->containers[i];
            if ((int)container->level == level) {
                struct tly_text name = tly_top_name(container);
                name.len = name.len < NAME_SHOWN ? name.len : NAME_SHOWN;
                (void)snprintf(text, sizeof(text), "%.*s: %s", (int)name.len, name.at,
                               container->troubles[0].text); /* fits */
                say(sentence, " \u00b7 ", text);
                named++;
            }
        }
    }
    if (wrong > named) {
        (void)snprintf(text, sizeof(text), "and %s more",
                       tly_amount_count((double)(wrong - named)).text); /* fits */
        say(sentence, " \u00b7 ", text);
    }
}

static void all_is_well(const struct tly_top_model *model, struct sentence *sentence)
{
    char text[TLY_AMOUNT_MAX + 16];
    size_t running = 0;
    for (size_t i = 0; i < model->container_count; i++) {
        running += tly_top_runs(&model->containers[i]) ? 1 : 0;
    }
    (void)snprintf(text, sizeof(text), "%s running",
                   tly_amount_many((double)running, "container").text); /* fits */
    say(sentence, ", ", text);
    struct tly_text cut_off;
    if (tly_json_count(tly_json_at(model->overview, "lags")) > 0 &&
        tly_top_cut_off(model, &cut_off) == 0) {
        say(sentence, ", ", "logs up to date");
    }
    if (model->alerts_known) {
        say(sentence, ", ", "no alerts");
    }
}

void tly_top_verdict(const struct tly_top_model *model, struct tly_verdict_text *ret_verdict)
{
    size_t firing = 0;
    size_t wrong = 0;
    bool bad = false;
    char text[TLY_AMOUNT_MAX + 32];
    struct tly_verdict_text verdict = {.level = TLY_LEVEL_OK};
    struct sentence head = {verdict.text, sizeof(verdict.text), 0};
    struct sentence more = {verdict.more, sizeof(verdict.more), 0};
    for (size_t i = 0; i < model->alert_count; i++) {
        firing += model->alerts[i].firing ? 1 : 0;
        bad = bad || (model->alerts[i].firing && tly_severity_grave(model->alerts[i].severity));
    }
    for (size_t i = 0; i < model->container_count; i++) {
        wrong += model->containers[i].level > TLY_LEVEL_OK ? 1 : 0;
        bad = bad || model->containers[i].level == TLY_LEVEL_BAD;
    }
    const double worst = tly_top_worst_lag(model);
    if (firing > 0) {
        (void)snprintf(text, sizeof(text), "%s firing",
                       tly_amount_many((double)firing, "alert").text); /* fits, as all of these */
        say(&head, ", ", text);
    }
    if (wrong > 0) {
        (void)snprintf(text, sizeof(text), "%s need%s attention",
                       tly_amount_many((double)wrong, "container").text, wrong == 1 ? "s" : "");
        say(&head, ", ", text);
    }
    if (worst > LAG_WARN_S) {
        (void)snprintf(text, sizeof(text), "logs %s behind", tly_amount_span(worst).text);
        say(&head, ", ", text);
    }
    if (head.len == 0) {
        say(&head, "", model->container_count > 0 ? "All is well" : "Nothing runs here yet");
        all_is_well(model, &more);
    } else {
        verdict.level = bad || worst > LAG_BAD_S ? TLY_LEVEL_BAD : TLY_LEVEL_WARN;
        name_the_worst(model, wrong, &more);
    }
    *ret_verdict = verdict;
}
