/*
 * Alerting rules: the states of their alerts, step by step as Prometheus's rules/alerting does
 * them. Nothing changes unless the whole evaluation was right.
 */
#include "agent/rules/engine_state.h"

#include "agent/base/file.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* An element with its labels and annotations expanded. */
struct fresh {
    struct tly_labels labels; /* first: the index of label sets looks here */
    struct tly_alert_pair *annotations;
    double value;
};

/* ---- templates ---- */

/* What the templates of one rule see; the element's part changes from one to the next. */
struct expansion {
    struct tly_engine *engine;
    struct tly_template_data data;
    int64_t query_ms;
    struct tly_buf buf;
};

static int pairs_of(const struct tly_symbols *symbols, struct tly_labels labels,
                    struct tly_arena *arena, const struct tly_alert_pair **ret_pairs)
{
    struct tly_alert_pair *pairs = tly_arena_alloc_raw(arena, (labels.count + 1) * sizeof(*pairs));
    if (!pairs) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < labels.count; i++) { /* few: sorted as they are put in */
        struct tly_text name = tly_symbols_text(symbols, labels.at[i].name);
        uint32_t at = i;
        for (; at > 0 && strcmp(pairs[at - 1].name.at, name.at) > 0; at--) {
            pairs[at] = pairs[at - 1];
        }
        pairs[at] = (struct tly_alert_pair){name, tly_symbols_text(symbols, labels.at[i].value)};
    }
    *ret_pairs = pairs;
    return 0;
}

/* `query` of a template: by the engine's second evaluator, since the first one's results are in
 * use. */
static int ask(void *arg, struct tly_text expression, struct tly_arena *arena,
               struct tly_template_sample **ret_samples, size_t *ret_count, struct tly_error *err)
{
    struct expansion *expansion = arg;
    struct tly_engine *engine = expansion->engine;
    struct tly_expr *expr = NULL;
    struct tly_value value = {0};
    int rc = tly_expr_parse(expression, &expr, NULL, err);
    if (rc == 0) {
        rc = tly_evaluate(engine->asker, expr, tly_history_storage(engine->history),
                          expansion->query_ms, &value, err);
    }
    if (rc == 0 && value.type != TLY_TYPE_VECTOR && value.type != TLY_TYPE_SCALAR) {
        rc = tly_error_set(err, TLY_E_REFUSED, "query result is not a vector or scalar");
    }
    if (rc < 0) {
        tly_expr_free(expr);
        return rc;
    }
    struct tly_element scalar = {.value = value.type == TLY_TYPE_SCALAR ? value.scalar : 0};
    struct tly_vector vector = value.type == TLY_TYPE_VECTOR ? value.vector
                                                             : (struct tly_vector){&scalar, 1};
    struct tly_template_sample *samples = tly_arena_alloc_raw(arena, (vector.count + 1) *
                                                                         sizeof(*samples));
    rc = samples ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < vector.count; i++) {
        samples[i].value = vector.at[i].value;
        samples[i].label_count = vector.at[i].labels.count;
        rc = pairs_of(engine->symbols, vector.at[i].labels, arena, &samples[i].labels);
    }
    tly_expr_free(expr);
    *ret_samples = samples;
    *ret_count = vector.count;
    return rc < 0 ? tly_error_set(err, rc, "the result takes too much memory") : 0;
}

/* Appends the text with what is no UTF-8 replaced. */
static int append_valid(struct tly_buf *buf, struct tly_text text)
{
    int rc = 0;
    while (rc == 0 && text.len > 0) {
        size_t valid = tly_text_utf8_prefix(text);
        rc = tly_buf_append(buf, text.at, valid);
        text = (struct tly_text){text.at + valid, text.len - valid};
        if (rc == 0 && text.len > 0) {
            rc = tly_buf_append_text(buf, TLY_TEXT("\xef\xbf\xbd"));
            text = (struct tly_text){text.at + 1, text.len - 1};
        }
    }
    return rc;
}

/* A label's or an annotation's text, in the arena. What goes wrong stands in its place. */
static int expand(struct expansion *expansion, const struct tly_rule_pair *pair,
                  struct tly_text *ret_text)
{
    struct tly_error err = {0};
    struct tly_buf *buf = &expansion->buf;
    tly_buf_clear(buf);
    int rc = 0;
    if (tly_template_expand(pair->expands, &expansion->data, buf, &err) < 0) {
        rc = tly_template_fault(buf, &err);
    }
    struct tly_text text = buf->at ? tly_buf_text(buf) : TLY_TEXT("");
    if (rc == 0 && tly_text_utf8_prefix(text) != text.len) {
        struct tly_buf clean;
        tly_buf_init(&clean, 3 * TLY_TEMPLATE_OUT_MAX);
        rc = append_valid(&clean, text);
        *ret_text = rc < 0 ? text : tly_arena_text(&expansion->engine->arena, tly_buf_text(&clean));
        tly_buf_done(&clean);
    } else {
        *ret_text = tly_arena_text(&expansion->engine->arena, text);
    }
    return rc < 0 ? rc : ret_text->at ? 0 : -ENOMEM;
}

/* The labels of the alert: the element's without the metric's name, the rule's, alertname. */
static int fresh_labels(struct expansion *expansion, const struct tly_rule *rule,
                        struct tly_labels element, struct tly_labels *ret_labels)
{
    struct tly_engine *engine = expansion->engine;
    struct tly_labels bare = tly_labels_nameless(element);
    size_t count = bare.count + rule->label_count + 1;
    struct tly_label_pair *pairs = tly_arena_alloc_raw(&engine->arena, count * sizeof(*pairs));
    if (!pairs) {
        return -ENOMEM;
    }
    if (bare.count > 0) {
        memcpy(pairs, bare.at, bare.count * sizeof(*pairs));
    }
    struct tly_label_pair *next = pairs + bare.count;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < rule->label_count; i++, next++) {
        struct tly_text text;
        rc = expand(expansion, &rule->labels[i], &text);
        rc = rc < 0 ? rc : tly_symbols_add(engine->symbols, rule->labels[i].name, &next->name);
        rc = rc < 0 ? rc : tly_symbols_add(engine->symbols, text, &next->value);
    }
    rc = rc < 0 ? rc : tly_symbols_add(engine->symbols, TLY_TEXT("alertname"), &next->name);
    rc = rc < 0 ? rc : tly_symbols_add(engine->symbols, rule->name, &next->value);
    if (rc == 0) {
        *ret_labels = tly_labels_make(pairs, count);
    }
    return rc;
}

static int fresh_make(struct expansion *expansion, const struct tly_rule *rule,
                      const struct tly_element *element, struct fresh *fresh)
{
    struct tly_engine *engine = expansion->engine;
    expansion->data.value = element->value;
    expansion->data.label_count = element->labels.count;
    int rc = pairs_of(engine->symbols, element->labels, &engine->arena, &expansion->data.labels);
    rc = rc < 0 ? rc : fresh_labels(expansion, rule, element->labels, &fresh->labels);
    if (rc < 0) {
        return rc;
    }
    fresh->value = element->value;
    fresh->annotations = tly_arena_alloc(&engine->arena, (rule->annotation_count + 1) *
                                                             sizeof(*fresh->annotations));
    for (size_t i = 0; fresh->annotations && rc == 0 && i < rule->annotation_count; i++) {
        fresh->annotations[i].name = rule->annotations[i].name;
        rc = expand(expansion, &rule->annotations[i], &fresh->annotations[i].value);
    }
    return fresh->annotations ? rc : -ENOMEM;
}

/* All elements of the vector, or a failure: two that became equal, or no memory. */
static int fresh_all(struct tly_engine *engine, const struct tly_group_run *group,
                     const struct tly_rule *rule, const struct tly_vector *vector, int64_t at_ms,
                     struct fresh **ret_fresh, struct tly_error *err)
{
    struct tly_label_index index;
    struct fresh *fresh = tly_arena_alloc(&engine->arena, (vector->count + 1) * sizeof(*fresh));
    int rc = fresh ? tly_label_index_init(&engine->arena, vector->count, &index) : -ENOMEM;
    struct expansion expansion = {
        .engine = engine,
        .query_ms = at_ms - group->group->query_offset_ms,
        .data = {.external_labels = engine->spec.external_labels,
                 .external_label_count = engine->spec.external_label_count,
                 .external_url = engine->spec.external_url,
                 .at_ms = at_ms,
                 .query = ask},
    };
    expansion.data.query_arg = &expansion;
    tly_buf_init(&expansion.buf, TLY_TEMPLATE_OUT_MAX);
    for (uint32_t i = 0; rc == 0 && i < vector->count; i++) {
        rc = fresh_make(&expansion, rule, &vector->at[i], &fresh[i]);
        if (rc == 0 &&
            tly_label_index_put(&index, fresh, sizeof(*fresh), fresh[i].labels, i) != i) {
            rc = tly_error_set(err, TLY_E_REFUSED,
                               "vector contains metrics with the same labelset after applying "
                               "alert labels");
        }
    }
    tly_buf_done(&expansion.buf);
    if (rc < 0 && rc != TLY_E_REFUSED) {
        return tly_error_set(err, rc, "the alerts take too much memory");
    }
    *ret_fresh = fresh;
    return rc;
}

/* ---- active alerts ---- */

void tly_active_done(struct tly_engine *engine, struct tly_active *active)
{
    tly_labels_drop(engine->symbols, &active->labels);
    tly_free(&active->annotations);
}

struct tly_active *tly_active_add(struct tly_rule_run *run)
{
    if (run->active_count == run->active_cap) {
        size_t cap = run->active_cap > 0 ? run->active_cap * 2 : 8;
        struct tly_active *active = reallocarray(run->active, cap, sizeof(*active));
        if (!active) {
            return NULL;
        }
        run->active = active;
        run->active_cap = cap;
    }
    struct tly_active *active = &run->active[run->active_count++];
    *active = (struct tly_active){.state = TLY_ALERT_PENDING};
    return active;
}

int tly_active_annotate(struct tly_active *active, const struct tly_alert_pair *pairs, size_t count)
{
    size_t bytes = count * sizeof(*pairs) + 1;
    for (size_t i = 0; i < count; i++) {
        bytes += pairs[i].name.len + pairs[i].value.len;
    }
    struct tly_alert_pair *copy = malloc(bytes);
    if (!copy) {
        return -ENOMEM;
    }
    char *texts = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        memcpy(texts, pairs[i].name.at, pairs[i].name.len);
        copy[i].name = (struct tly_text){texts, pairs[i].name.len};
        texts += pairs[i].name.len;
        if (pairs[i].value.len > 0) {
            memcpy(texts, pairs[i].value.at, pairs[i].value.len);
        }
        copy[i].value = (struct tly_text){texts, pairs[i].value.len};
        texts += pairs[i].value.len;
    }
    free(active->annotations);
    active->annotations = copy;
    active->annotation_count = count;
    return 0;
}

/* Prometheus forgets a resolved alert as soon as its condition holds again: a new one begins. */
static int active_take(struct tly_engine *engine, struct tly_rule_run *run, uint32_t found,
                       const struct fresh *fresh, int64_t at_ms)
{
    struct tly_active *active = found == UINT32_MAX ? tly_active_add(run) : &run->active[found];
    if (!active) {
        return -ENOMEM;
    }
    if (found == UINT32_MAX) {
        int rc = tly_labels_keep(engine->symbols, fresh->labels, &active->labels);
        if (rc < 0) {
            run->active_count--;
            return rc;
        }
        active->active_at_ms = at_ms;
    } else if (active->state == TLY_ALERT_INACTIVE) {
        active->state = TLY_ALERT_PENDING;
        active->active_at_ms = at_ms;
        active->fired_at_ms = active->resolved_at_ms = active->keep_since_ms = 0;
        active->sent_ms = active->valid_until_ms = 0;
    }
    active->present = true;
    active->value = fresh->value;
    return tly_active_annotate(active, fresh->annotations, run->rule->annotation_count);
}

static int active_update(struct tly_engine *engine, struct tly_rule_run *run,
                         const struct fresh *fresh, size_t count, int64_t at_ms)
{
    struct tly_label_index index;
    size_t before = run->active_count;
    assert((before == 0 || run->active != NULL) && (count == 0 || fresh != NULL));
    int rc = tly_label_index_init(&engine->arena, before, &index);
    for (uint32_t i = 0; rc == 0 && i < before; i++) {
        run->active[i].present = false;
        (void)tly_label_index_put(&index, run->active, sizeof(*run->active), run->active[i].labels,
                                  i); /* they differ from each other */
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint32_t found = tly_label_index_put(&index, run->active, sizeof(*run->active),
                                             fresh[i].labels, UINT32_MAX);
        rc = active_take(engine, run, found, &fresh[i], at_ms);
    }
    return rc;
}

/* One alert's step. false: it is neither pending nor firing now. */
static bool active_step(const struct tly_rule *rule, struct tly_active *active, int64_t at_ms)
{
    if (active->awaited) {
        return true;
    }
    if (active->present) {
        active->keep_since_ms = 0;
    } else {
        bool keep = false;
        if (active->state == TLY_ALERT_FIRING && rule->keep_firing_ms > 0) {
            active->keep_since_ms = active->keep_since_ms > 0 ? active->keep_since_ms : at_ms;
            keep = at_ms - active->keep_since_ms < rule->keep_firing_ms;
        }
        active->gone = active->state == TLY_ALERT_PENDING ||
                       (active->resolved_at_ms > 0 &&
                        at_ms - active->resolved_at_ms > TLY_RESOLVED_RETENTION_MS);
        if (active->state != TLY_ALERT_INACTIVE && !keep) {
            active->state = TLY_ALERT_INACTIVE;
            active->resolved_at_ms = at_ms;
        }
        if (!keep) {
            return false;
        }
    }
    if (active->state == TLY_ALERT_PENDING && at_ms - active->active_at_ms >= rule->for_ms) {
        active->state = TLY_ALERT_FIRING;
        active->fired_at_ms = at_ms;
    }
    return true;
}

static void active_clear(struct tly_engine *engine, struct tly_rule_run *run, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->active_count; i++) {
        if (all || run->active[i].gone) {
            tly_active_done(engine, &run->active[i]);
        } else {
            run->active[kept++] = run->active[i];
        }
    }
    run->active_count = kept;
}

/* ---- what is told of them ---- */

static bool needs_sending(const struct tly_active *active, int64_t at_ms, int64_t resend_delay_ms)
{
    if (active->state == TLY_ALERT_PENDING) {
        return false;
    }
    return active->resolved_at_ms > active->sent_ms || active->sent_ms + resend_delay_ms < at_ms;
}

struct tly_alert *tly_active_show(const struct tly_engine *engine,
                                  const struct tly_group_run *group, const struct tly_rule_run *run,
                                  const struct tly_active *active)
{
    struct tly_alert_pair *pairs = calloc(active->labels.count + 1, sizeof(*pairs));
    if (!pairs) {
        return NULL;
    }
    for (uint32_t i = 0; i < active->labels.count; i++) {
        pairs[i].name = tly_symbols_text(engine->symbols, active->labels.at[i].name);
        pairs[i].value = tly_symbols_text(engine->symbols, active->labels.at[i].value);
    }
    const struct tly_alert from = {
        .labels = pairs,
        .label_count = active->labels.count,
        .annotations = active->annotations,
        .annotation_count = active->annotation_count,
        .rule = run->rule->name,
        .group = group->group->name,
        .file = group->group->file,
        .query = run->rule->query,
        .state = active->state,
        .value = active->value,
        .active_at_ms = active->active_at_ms,
        .fired_at_ms = active->fired_at_ms,
        .resolved_at_ms = active->resolved_at_ms,
        .keep_firing_since_ms = active->keep_since_ms,
        .valid_until_ms = active->valid_until_ms,
    };
    struct tly_alert *alert = tly_alert_new(&from);
    free(pairs);
    return alert;
}

static int news_add(struct tly_engine *engine, const struct tly_group_run *group,
                    const struct tly_rule_run *run, const struct tly_active *active, unsigned news)
{
    if (engine->news_count == engine->news_cap) {
        size_t cap = engine->news_cap > 0 ? engine->news_cap * 2 : 16;
        struct tly_verdict_news *at = reallocarray(engine->news, cap, sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        engine->news = at;
        engine->news_cap = cap;
    }
    struct tly_alert *alert = tly_active_show(engine, group, run, active);
    if (!alert) {
        return -ENOMEM;
    }
    engine->news[engine->news_count++] = (struct tly_verdict_news){alert, news};
    return 0;
}

static int tell(struct tly_engine *engine, const struct tly_group_run *group,
                struct tly_rule_run *run, int64_t at_ms)
{
    int64_t resend_ms = engine->spec.resend_delay_ms;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < run->active_count; i++) {
        struct tly_active *active = &run->active[i];
        unsigned news = active->state != active->told && !active->gone ? TLY_ALERT_CHANGED : 0;
        if (!active->gone && needs_sending(active, at_ms, resend_ms)) {
            int64_t delta = group->interval_ms > resend_ms ? group->interval_ms : resend_ms;
            news |= TLY_ALERT_DUE;
            active->sent_ms = at_ms;
            active->valid_until_ms = at_ms + 4 * delta;
        }
        active->told = active->state;
        rc = news == 0 ? 0 : news_add(engine, group, run, active, news);
    }
    return rc;
}

static bool fires_by_any(const struct tly_group_run *groups, size_t count, struct tly_labels labels)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < groups[i].count; k++) {
            const struct tly_rule_run *run = &groups[i].rules[k];
            for (size_t n = 0; n < run->active_count; n++) {
                if (run->active[n].state == TLY_ALERT_FIRING &&
                    tly_labels_equal(run->active[n].labels, labels)) {
                    return true;
                }
            }
        }
    }
    return false;
}

int tly_rule_end(struct tly_engine *engine, const struct tly_group_run *group,
                 struct tly_rule_run *run, const struct tly_group_run *others, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < run->active_count; i++) {
        struct tly_active *active = &run->active[i];
        if (active->state == TLY_ALERT_FIRING && !fires_by_any(others, count, active->labels)) {
            active->state = TLY_ALERT_INACTIVE;
            active->resolved_at_ms = engine->last_ms;
            rc = news_add(engine, group, run, active, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
        }
    }
    return rc;
}

/* ALERTS and ALERTS_FOR_STATE in the history, for rules that look at them. */
static int outputs_alert(struct tly_engine *engine, struct tly_output_round *round,
                         const struct tly_active *active)
{
    size_t count = active->labels.count + 2;
    struct tly_label_pair *pairs = tly_arena_alloc_raw(&engine->arena, count * sizeof(*pairs));
    if (!pairs) {
        return -ENOMEM;
    }
    struct tly_label_pair *next = pairs + active->labels.count;
    memcpy(pairs, active->labels.at, active->labels.count * sizeof(*pairs));
    next[0].name = TLY_SYMBOL_NAME;
    int rc = tly_symbols_add(engine->symbols, TLY_TEXT("ALERTS"), &next[0].value);
    rc = rc < 0 ? rc : tly_symbols_add(engine->symbols, TLY_TEXT("alertstate"), &next[1].name);
    rc = rc < 0
             ? rc
             : tly_symbols_add(engine->symbols, tly_text_of(tly_alert_state_names[active->state]),
                               &next[1].value);
    rc = rc < 0 ? rc : tly_outputs_put(engine, round, tly_labels_make(pairs, count), 1);
    if (rc < 0) {
        return rc;
    }
    memcpy(pairs, active->labels.at, active->labels.count * sizeof(*pairs));
    next[0].name = TLY_SYMBOL_NAME;
    rc = tly_symbols_add(engine->symbols, TLY_TEXT("ALERTS_FOR_STATE"), &next[0].value);
    /* Whole seconds, as Prometheus writes them. */
    const int64_t since_s = active->active_at_ms / 1000;
    double since = (double)since_s;
    return rc < 0 ? rc : tly_outputs_put(engine, round, tly_labels_make(pairs, count - 1), since);
}

/* ---- the whole ---- */

static int settle(struct tly_engine *engine, const struct tly_group_run *group,
                  struct tly_rule_run *run, int64_t at_ms, struct tly_error *err)
{
    struct tly_output_round round = {.next = {NULL, 0, 0}};
    size_t on = 0;
    int rc = 0;
    bool looked_at = tly_history_wants(engine->history, TLY_TEXT("ALERTS")) ||
                     tly_history_wants(engine->history, TLY_TEXT("ALERTS_FOR_STATE"));
    for (size_t i = 0; i < run->active_count; i++) {
        struct tly_active *active = &run->active[i];
        if (active->awaited && active->state == TLY_ALERT_PENDING && run->evaluated_ms > 0) {
            /* Time of which nothing is known does not count. */
            active->active_at_ms += at_ms - run->evaluated_ms;
        }
        bool is_on = active_step(run->rule, active, at_ms);
        on += is_on && !active->awaited;
        if (rc == 0 && is_on && looked_at) {
            rc = outputs_alert(engine, &round, active);
        }
    }
    if (group->group->limit > 0 && on > (size_t)group->group->limit) {
        active_clear(engine, run, true);
        tly_outputs_done(&round.next);
        return tly_error_set(err, TLY_E_LIMIT, "exceeded limit of %lld with %zu alerts",
                             (long long)group->group->limit, on);
    }
    tly_outputs_end(engine, &run->outputs, &round);
    return rc;
}

int tly_rule_alert(struct tly_engine *engine, const struct tly_group_run *group,
                   struct tly_rule_run *run, int64_t at_ms, struct tly_error *err)
{
    struct tly_vector vector;
    struct fresh *fresh = NULL;
    int rc = tly_rule_query(engine, group, run, at_ms, &vector, err);
    if (rc < 0) {
        return rc;
    }
    if (vector.count > engine->spec.alerts_max) {
        return tly_error_set(err, TLY_E_LIMIT,
                             "%zu alerts are more than rules.alerts_max (%zu); nothing changes",
                             vector.count, engine->spec.alerts_max);
    }
    rc = fresh_all(engine, group, run->rule, &vector, at_ms, &fresh, err);
    if (rc < 0) {
        return rc;
    }
    rc = active_update(engine, run, fresh, vector.count, at_ms);
    rc = rc < 0 ? rc : tly_rule_await(engine, group, run, at_ms);
    rc = rc < 0 ? rc : settle(engine, group, run, at_ms, err);
    rc = rc < 0 ? rc : tell(engine, group, run, at_ms);
    active_clear(engine, run, false);
    return rc < 0 && err->code == 0 ? tly_error_set(err, rc, "the alerts take too much memory")
                                    : rc;
}
