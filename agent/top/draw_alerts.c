/*
 * Alerts, and findings of the audit with their mends; see draw.h. Words as on the status page.
 */
#include "agent/top/draw.h"

#include <stdio.h>
#include <string.h>

#define INDENT    3
#define MORE      6
#define TEXT_MAX  1024
#define NAMED_MAX 12 /* subjects of one check that are named */

/* ---- alerts ---- */

/* "key=value" of the labels that are not told otherwise. */
static void draw_labels(const struct tly_top_alert *alert, struct tly_page *page)
{
    static const char *const told[] = {"alertname", "severity", "id", "image", "name"};
    char text[TEXT_MAX];
    size_t len = 0;
    const char *key = NULL;
    const json_t *value = NULL;
    text[0] = '\0';
    for (void *at = NULL; tly_json_next(alert->labels, &at, &key, &value);) {
        bool hidden = false;
        for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
            hidden = hidden || strcmp(key, told[i]) == 0;
        }
        struct tly_text shown = tly_json_string(value);
        if (!hidden && len < sizeof(text)) {
            int more = snprintf(text + len, sizeof(text) - len, "%s%s=%.*s", len > 0 ? "  " : "",
                                key, TLY_SHOW(shown)); /* cut is fine */
            len += more > 0 ? (size_t)more : 0;
        }
    }
    tly_page_wrap(page, MORE, TLY_STYLE_DIM, tly_text_of(text));
}

void tly_draw_alert(const struct tly_screen *screen, const struct tly_top_model *model,
                    const struct tly_top_alert *alert, bool own, struct tly_page *page)
{
    enum tly_level level = TLY_LEVEL_OK;
    struct tly_text who = tly_json_text_at(alert->labels, "name");
    if (alert->firing) {
        level = tly_severity_level(alert->severity);
        level = level > TLY_LEVEL_WARN ? level : TLY_LEVEL_WARN;
    }
    if (alert->container != TLY_NOWHERE) {
        who = tly_top_name(&model->containers[alert->container]);
    }
    size_t row = page->row;
    tly_page_line(page, 0, tly_level_style(level), "%s", tly_level_sign(level));
    page->row = row;
    tly_page_line(page, INDENT, level > TLY_LEVEL_OK ? tly_level_style(level) : TLY_STYLE_STRONG,
                  "%.*s%s%.*s%s%s%.*s, for %s", TLY_SHOW(alert->name),
                  alert->severity.len > 0 ? " (" : "", TLY_SHOW(alert->severity),
                  alert->severity.len > 0 ? ")" : "", !own && who.len > 0 ? " \u00b7 " : "",
                  own ? 0 : (int)who.len, who.at ? who.at : "",
                  tly_amount_span(screen->now - alert->active_at).text);
    struct tly_text text = alert->summary.len > 0 ? alert->summary : alert->description;
    tly_page_wrap(page, MORE, TLY_STYLE_PLAIN, text);
    if (alert->summary.len > 0 && !tly_text_equal(alert->description, text)) {
        tly_page_wrap(page, MORE, TLY_STYLE_DIM, alert->description);
    }
    draw_labels(alert, page);
}

void tly_draw_alerts(const struct tly_screen *screen, const struct tly_top_model *model,
                     struct tly_page *page)
{
    const struct tly_text alerting = TLY_TEXT("alerting");
    const double rules = tly_top_sample(model, "tallyman_rules", "type", alerting);
    size_t firing = 0;
    while (firing < model->alert_count && model->alerts[firing].firing) {
        firing++;
    }
    if (firing > 0) {
        tly_page_title(page, "Firing: %zu", firing);
    } else if (rules > 0) {
        tly_page_line(page, INDENT, TLY_STYLE_GOOD, "No alerts firing. %s looked at all the time.",
                      tly_amount_many(rules, "rule").text);
    } else {
        tly_page_line(page, INDENT, TLY_STYLE_PLAIN,
                      "No alerting rules are in force: rules.builtin and rules.files say which "
                      "ones are.");
    }
    for (size_t i = 0; i < model->alert_count; i++) {
        if (i == firing) {
            tly_page_title(page, "Pending: %zu", model->alert_count - firing);
        }
        tly_draw_alert(screen, model, &model->alerts[i], false, page);
    }
}

/* ---- findings ---- */

static bool fits(const struct tly_top_finding *finding, const char *filter)
{
    const struct tly_text texts[] = {finding->check, finding->severity, finding->name,
                                     finding->image, finding->message,  finding->cis};
    return tly_words_fit(filter, texts, sizeof(texts) / sizeof(texts[0]));
}

/* Findings of one check, of which those that fit are shown. */
struct group {
    const struct tly_top_finding *at;
    size_t count;
    const char *filter;
    const struct tly_top_finding *first; /* that fits; NULL: none does */
    size_t fitting;
    bool same; /* their messages */
};

static struct group look_at(const struct tly_top_finding *at, size_t count, const char *filter)
{
    struct group group = {.at = at, .count = count, .filter = filter, .same = true};
    for (size_t i = 0; i < count; i++) {
        if (fits(&at[i], filter)) {
            group.first = group.first ? group.first : &at[i];
            group.same = group.same && tly_text_equal(at[i].message, group.first->message);
            group.fitting++;
        }
    }
    return group;
}

static void draw_subjects(const struct group *group, struct tly_page *page)
{
    char text[TEXT_MAX];
    size_t len = 0;
    size_t named = 0;
    for (size_t i = 0; i < group->count && named < NAMED_MAX && len < sizeof(text); i++) {
        const struct tly_top_finding *one = &group->at[i];
        if (!fits(one, group->filter)) {
            continue;
        }
        struct tly_text name = one->name.len > 0 ? one->name : one->target;
        int more = snprintf(text + len, sizeof(text) - len, "%s%.*s", named > 0 ? ", " : "",
                            TLY_SHOW(name)); /* cut is fine */
        len += more > 0 ? (size_t)more : 0;
        named++;
    }
    if (group->fitting > NAMED_MAX && len < sizeof(text)) {
        (void)snprintf(text + len, sizeof(text) - len, " and %zu more",
                       group->fitting - NAMED_MAX); /* cut is fine */
    }
    tly_page_wrap(page, MORE, TLY_STYLE_PLAIN, tly_text_of(text));
}

static void draw_group(const struct group *group, bool own, struct tly_page *page)
{
    const struct tly_top_finding *one = group->first;
    enum tly_level level = tly_severity_level(one->severity);
    size_t row = page->row;
    tly_page_line(page, 0, tly_level_style(level), "%s", tly_level_sign(level));
    page->row = row;
    tly_page_line(page, INDENT, level > TLY_LEVEL_OK ? tly_level_style(level) : TLY_STYLE_STRONG,
                  "%.*s (%.*s)%s%.*s%s%s", TLY_SHOW(one->check), TLY_SHOW(one->severity),
                  one->cis.len > 0 ? " CIS " : "", TLY_SHOW(one->cis), own ? "" : " \u00b7 ",
                  own ? "" : tly_amount_count((double)group->fitting).text);
    tly_page_wrap(page, MORE, TLY_STYLE_PLAIN, one->message);
    if (!group->same) {
        tly_page_line(page, MORE, TLY_STYLE_DIM, "(and the like)");
    }
    if (!own) {
        draw_subjects(group, page);
    }
    tly_page_wrap(page, MORE, TLY_STYLE_DIM, one->remediation);
}

/* Whether there is any. */
static bool draw_groups(const struct tly_top_model *model, bool own, const char *filter,
                        struct tly_page *page)
{
    bool any = false;
    for (size_t i = 0, end = 0; i < model->finding_count; i = end) {
        for (end = i; end < model->finding_count &&
                      tly_text_equal(model->findings[end].check, model->findings[i].check);) {
            end++;
        }
        const struct group group = look_at(&model->findings[i], end - i, filter);
        if (group.first &&
            (!own || tly_text_equal(model->findings[i].target, TLY_TEXT("container")))) {
            draw_group(&group, own, page);
            any = true;
        }
    }
    return any;
}

void tly_draw_findings(const struct tly_top_model *model, const struct tly_top_model *house,
                       bool own, const char *filter, struct tly_page *page)
{
    const struct tly_text none = {NULL, 0};
    const double score = tly_top_sample(house, "posture_score", NULL, none);
    if (!own && tly_known(score)) {
        tly_page_title(page, "Findings of the audit: score %s of 100",
                       tly_amount_figures(score).text);
    }
    bool any = model && draw_groups(model, own, filter, page);
    if (!model || !model->findings_known) {
        tly_page_line(page, INDENT, TLY_STYLE_DIM, "Waiting for the audit.");
    } else if (!any && *filter && model->finding_count > 0) {
        tly_page_line(page, INDENT, TLY_STYLE_DIM,
                      "No finding fits. Change the filter, or show all (Esc).");
    } else if (!any && !tly_known(score)) {
        tly_page_line(page, INDENT, TLY_STYLE_DIM, "Nothing was judged yet.");
    } else if (!any) {
        tly_page_line(page, INDENT, TLY_STYLE_GOOD, "No findings.");
    }
    if (model && model->findings_left_out > 0) {
        tly_page_line(page, INDENT, TLY_STYLE_DIM, "%s more are not shown; tallyman audit has all.",
                      tly_amount_count(model->findings_left_out).text);
    }
}
