/*
 * States of alerts as a text, and back. One alert a line: numbers, then quoted texts, so that a
 * person can read it; the first line names the version and the time, the last one holds a checksum
 * of all before it.
 *
 * What was firing goes on firing; what was pending goes on by Prometheus's rules for
 * ALERTS_FOR_STATE: the outage does not count as time that the condition held.
 */
#include "agent/base/hash.h"
#include "agent/rules/engine_state.h"
#include "agent/rules/unquote.h"

#include <errno.h>
#include <stdlib.h>

#define HEAD      "tallyman alerts 1 "
#define SAVED_MAX 100000

/* Against truncation and stray bytes, not against people. */
static uint64_t checksum(struct tly_text text)
{
    return tly_hash_add(TLY_HASH_FIRST, text.at, text.len);
}

/* ---- writing ---- */

static int put_text(struct tly_buf *buf, struct tly_text text)
{
    int rc = tly_buf_append(buf, " ", 1);
    return rc < 0 ? rc : tly_quoted_append(buf, text.at ? text : TLY_TEXT(""));
}

static int put_active(const struct tly_engine *engine, const struct tly_group_run *group,
                      const struct tly_rule_run *run, const struct tly_active *active,
                      struct tly_buf *buf)
{
    uint64_t bits;
    memcpy(&bits, &active->value, sizeof(bits));
    int rc = tly_buf_printf(buf, "%d %lld %lld %lld %llu %u %zu", (int)active->state,
                            (long long)active->active_at_ms, (long long)active->fired_at_ms,
                            (long long)active->keep_since_ms, (unsigned long long)bits,
                            active->labels.count, active->annotation_count);
    rc = rc < 0 ? rc : put_text(buf, group->group->file);
    rc = rc < 0 ? rc : put_text(buf, group->group->name);
    rc = rc < 0 ? rc : put_text(buf, run->rule->name);
    for (uint32_t i = 0; rc == 0 && i < active->labels.count; i++) {
        rc = put_text(buf, tly_symbols_text(engine->symbols, active->labels.at[i].name));
        rc = rc < 0 ? rc
                    : put_text(buf, tly_symbols_text(engine->symbols, active->labels.at[i].value));
    }
    for (size_t i = 0; rc == 0 && i < active->annotation_count; i++) {
        rc = put_text(buf, active->annotations[i].name);
        rc = rc < 0 ? rc : put_text(buf, active->annotations[i].value);
    }
    return rc < 0 ? rc : tly_buf_append(buf, "\n", 1);
}

int tly_engine_save(const struct tly_engine *engine, int64_t now_ms, struct tly_buf *buf)
{
    size_t start = buf->len;
    int rc = tly_buf_printf(buf, HEAD "%lld\n", (long long)now_ms);
    for (size_t i = 0; i < engine->count; i++) {
        for (size_t k = 0; k < engine->groups[i].count; k++) {
            const struct tly_rule_run *run = &engine->groups[i].rules[k];
            for (size_t n = 0; rc == 0 && n < run->active_count; n++) {
                if (run->active[n].state != TLY_ALERT_INACTIVE) {
                    rc = put_active(engine, &engine->groups[i], run, &run->active[n], buf);
                }
            }
        }
    }
    uint64_t sum = rc < 0 ? 0 : checksum((struct tly_text){buf->at + start, buf->len - start});
    rc = rc < 0 ? rc : tly_buf_printf(buf, "%016llx\n", (unsigned long long)sum);
    if (rc < 0) {
        buf->len = start;
    }
    return rc;
}

/* ---- reading ---- */

static int take_number(struct tly_text *line, int64_t *ret_number)
{
    if (!line->at) {
        return TLY_E_MALFORMED;
    }
    return tly_text_i64(tly_text_cut(line, ' '), ret_number);
}

static int take_text(struct tly_arena *arena, struct tly_text *line, struct tly_text *ret_text)
{
    size_t end = 1;
    if (!line->at || line->len < 2 || line->at[0] != '"') {
        return TLY_E_MALFORMED;
    }
    while (end < line->len && line->at[end] != '"') {
        end += line->at[end] == '\\' ? 2 : 1;
    }
    if (end >= line->len) {
        return TLY_E_MALFORMED;
    }
    int rc = tly_string_unquote(arena, (struct tly_text){line->at, end + 1}, ret_text);
    size_t taken = end + 1 < line->len ? end + 2 : line->len; /* and the blank */
    *line = (struct tly_text){line->at + taken, line->len - taken};
    return rc;
}

static int take_pairs(struct tly_arena *arena, struct tly_text *line, int64_t count,
                      struct tly_alert_pair **ret_pairs, size_t *ret_count)
{
    if (count < 0 || count > (int64_t)line->len) {
        return TLY_E_MALFORMED;
    }
    struct tly_alert_pair *pairs = tly_arena_alloc(arena, (size_t)(count + 1) * sizeof(*pairs));
    int rc = pairs ? 0 : -ENOMEM;
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        rc = take_text(arena, line, &pairs[i].name);
        rc = rc < 0 ? rc : take_text(arena, line, &pairs[i].value);
    }
    *ret_pairs = pairs;
    *ret_count = (size_t)count;
    return rc;
}

static int take_saved(struct tly_arena *arena, struct tly_text line, struct tly_saved *saved)
{
    int64_t numbers[4] = {0};
    int64_t counts[2] = {0};
    uint64_t bits = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 4; i++) {
        rc = take_number(&line, &numbers[i]);
    }
    rc = rc < 0 || !line.at ? TLY_E_MALFORMED : tly_text_u64(tly_text_cut(&line, ' '), &bits);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        rc = take_number(&line, &counts[i]);
    }
    if (rc < 0 || (numbers[0] != TLY_ALERT_PENDING && numbers[0] != TLY_ALERT_FIRING)) {
        return TLY_E_MALFORMED;
    }
    saved->state = (enum tly_alert_state)numbers[0];
    saved->active_at_ms = numbers[1];
    saved->fired_at_ms = numbers[2];
    saved->keep_since_ms = numbers[3];
    memcpy(&saved->value, &bits, sizeof(bits));
    rc = take_text(arena, &line, &saved->file);
    rc = rc < 0 ? rc : take_text(arena, &line, &saved->group);
    rc = rc < 0 ? rc : take_text(arena, &line, &saved->rule);
    rc = rc < 0 ? rc : take_pairs(arena, &line, counts[0], &saved->labels, &saved->label_count);
    return rc < 0
               ? rc
               : take_pairs(arena, &line, counts[1], &saved->annotations, &saved->annotation_count);
}

/* The lines between the head and the checksum, and when they were saved. */
static int check(struct tly_text saved, struct tly_text *ret_lines, int64_t *ret_ms)
{
    struct tly_text rest = saved;
    if (!tly_text_starts(saved, TLY_TEXT(HEAD)) || saved.len < sizeof(HEAD) + 17 ||
        saved.at[saved.len - 1] != '\n' || saved.at[saved.len - 18] != '\n') {
        return TLY_E_MALFORMED;
    }
    uint64_t sum = 0;
    for (size_t i = saved.len - 17; i + 1 < saved.len; i++) {
        sum = sum * 16 + tly_hex_value(saved.at[i]);
    }
    if (sum != checksum((struct tly_text){saved.at, saved.len - 17})) {
        return TLY_E_MALFORMED;
    }
    rest.len -= 17;
    struct tly_text head = tly_text_cut(&rest, '\n');
    *ret_lines = rest;
    int rc = tly_text_i64(
        (struct tly_text){head.at + sizeof(HEAD) - 1, head.len - sizeof(HEAD) + 1}, ret_ms);
    return rc == 0 && *ret_ms < 0 ? TLY_E_MALFORMED : rc;
}

static void forget(struct tly_engine *engine)
{
    free(engine->saved);
    engine->saved = NULL;
    engine->saved_count = 0;
    tly_arena_done(&engine->saved_arena);
}

int tly_engine_restore(struct tly_engine *engine, struct tly_text saved, struct tly_error *err)
{
    struct tly_text lines = {NULL, 0};
    forget(engine);
    int rc = check(saved, &lines, &engine->saved_ms);
    size_t count = 0;
    for (size_t i = 0; i < lines.len; i++) {
        count += lines.at[i] == '\n';
    }
    if (rc == 0 && count > SAVED_MAX) {
        rc = TLY_E_LIMIT;
    }
    engine->saved = rc < 0 ? NULL : calloc(count + 1, sizeof(*engine->saved));
    rc = rc < 0 ? rc : engine->saved ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = take_saved(&engine->saved_arena, tly_text_cut(&lines, '\n'), &engine->saved[i]);
    }
    if (rc < 0) {
        forget(engine);
        return tly_error_set(err, rc, "%s",
                             rc == TLY_E_MALFORMED ? "it is damaged, or of another version"
                                                   : tly_error_name(rc));
    }
    engine->saved_count = count;
    return 0;
}

/* ---- taking up ---- */

static int labels_of(struct tly_engine *engine, const struct tly_saved *saved,
                     struct tly_labels *ret_labels)
{
    struct tly_label_pair *pairs = tly_arena_alloc(&engine->arena,
                                                   (saved->label_count + 1) * sizeof(*pairs));
    int rc = pairs ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < saved->label_count; i++) {
        rc = tly_symbols_add(engine->symbols, saved->labels[i].name, &pairs[i].name);
        rc = rc < 0 ? rc
                    : tly_symbols_add(engine->symbols, saved->labels[i].value, &pairs[i].value);
    }
    if (rc == 0) {
        *ret_labels = tly_labels_make(pairs, saved->label_count);
    }
    return rc;
}

/* Whether the alert may be the rule's: one that is not has other labels than the rule gives. */
static bool has_labels(const struct tly_saved *saved, const struct tly_rule *rule)
{
    bool has = true;
    for (size_t i = 0; has && i < rule->label_count; i++) {
        struct tly_text value = rule->labels[i].text;
        has = value.len == 0 || memmem(value.at, value.len, "{{", 2) != NULL;
        for (size_t k = 0; !has && k < saved->label_count; k++) {
            has = tly_text_equal(saved->labels[k].name, rule->labels[i].name) &&
                  tly_text_equal(saved->labels[k].value, value);
        }
    }
    return has;
}

/* With less to wait than the grace period, restoring a pending one would only make it longer. */
static bool belongs(const struct tly_engine *engine, const struct tly_group_run *group,
                    const struct tly_rule_run *run, const struct tly_saved *saved, int64_t at_ms)
{
    return at_ms - engine->saved_ms <= engine->spec.outage_tolerance_ms &&
           tly_text_equal(saved->rule, run->rule->name) &&
           tly_text_equal(saved->group, group->group->name) &&
           tly_text_equal(saved->file, group->group->file) && has_labels(saved, run->rule) &&
           (saved->state == TLY_ALERT_FIRING || run->rule->for_ms >= engine->spec.grace_period_ms);
}

/* Times may lie ahead, where the clock was set back meanwhile. */
static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Prometheus's Group.RestoreForState. */
static int64_t pending_since_ms(const struct tly_engine *engine, const struct tly_rule *rule,
                                const struct tly_saved *saved, int64_t at_ms)
{
    int64_t spent_ms = engine->saved_ms - saved->active_at_ms;
    int64_t left_ms = rule->for_ms - spent_ms;
    if (left_ms <= 0) {
        return earlier(saved->active_at_ms, at_ms - spent_ms);
    }
    if (left_ms < engine->spec.grace_period_ms) {
        return at_ms + engine->spec.grace_period_ms - rule->for_ms;
    }
    return saved->active_at_ms + (at_ms - engine->saved_ms);
}

static int saved_add(struct tly_engine *engine, struct tly_rule_run *run,
                     const struct tly_saved *saved, int64_t at_ms)
{
    struct tly_labels labels = {NULL, 0, 0};
    int rc = labels_of(engine, saved, &labels);
    for (size_t i = 0; rc == 0 && i < run->active_count; i++) {
        if (tly_labels_equal(run->active[i].labels, labels)) {
            return 0; /* memory was out the first time, behind this one */
        }
    }
    struct tly_active *active = rc < 0 ? NULL : tly_active_add(run);
    if (!active) {
        return rc < 0 ? rc : -ENOMEM;
    }
    rc = tly_labels_keep(engine->symbols, labels, &active->labels);
    if (rc < 0) {
        run->active_count--;
        return rc;
    }
    active->value = saved->value;
    active->state = saved->state;
    /* That an alert is held by keep_firing_for means that its condition was found to have ended. */
    active->awaited = saved->keep_since_ms == 0;
    if (saved->state == TLY_ALERT_PENDING) {
        active->active_at_ms = pending_since_ms(engine, run->rule, saved, at_ms);
    } else {
        active->told = TLY_ALERT_FIRING;
        active->active_at_ms = earlier(saved->active_at_ms, at_ms);
        active->fired_at_ms = earlier(saved->fired_at_ms, at_ms);
        active->keep_since_ms = earlier(saved->keep_since_ms, at_ms);
    }
    return tly_active_annotate(active, saved->annotations, saved->annotation_count);
}

int tly_rule_restore(struct tly_engine *engine, const struct tly_group_run *group,
                     struct tly_rule_run *run, int64_t at_ms)
{
    int rc = 0;
    /* What is awaited comes on top of what there is, so the bound holds for it alone, too. */
    for (size_t i = 0; rc == 0 && i < engine->saved_count; i++) {
        const struct tly_saved *saved = &engine->saved[i];
        if (run->active_count < engine->spec.alerts_max &&
            belongs(engine, group, run, saved, at_ms)) {
            rc = saved_add(engine, run, saved, at_ms);
        }
    }
    return rc;
}
