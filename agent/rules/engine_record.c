/*
 * Recording rules, and what both kinds of rules share: the query, and series in the history that
 * end when a rule no longer yields them.
 */
#include "agent/rules/engine_state.h"
#include "agent/rules/number.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the query ---- */

int tly_rule_query(struct tly_engine *engine, const struct tly_group_run *group,
                   const struct tly_rule_run *run, int64_t at_ms, struct tly_vector *ret_vector,
                   struct tly_error *err)
{
    struct tly_value value;
    int rc = tly_evaluate(engine->evaluator, run->rule->expr, tly_history_storage(engine->history),
                          at_ms - group->group->query_offset_ms, &value, err);
    if (rc < 0) {
        return rc;
    }
    if (value.type == TLY_TYPE_VECTOR) {
        *ret_vector = value.vector;
        return 0;
    }
    struct tly_element *one = tly_arena_alloc(&engine->arena, sizeof(*one));
    if (!one) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    one->value = value.scalar; /* a rule's expression is nothing else */
    *ret_vector = (struct tly_vector){one, 1};
    return 0;
}

/* ---- series that a rule writes ---- */

int tly_outputs_put(struct tly_engine *engine, struct tly_output_round *round,
                    struct tly_labels labels, double value)
{
    struct tly_history_series *series = NULL;
    int rc = tly_history_series(engine->history, labels, &series);
    if (rc < 0 || !series) {
        return rc == -ENOMEM ? rc : 0; /* for lack of room: counted there */
    }
    if (round->next.count == round->next.cap) {
        size_t cap = round->next.cap > 0 ? round->next.cap * 2 : 16;
        struct tly_history_series **at = reallocarray(round->next.at, cap,
                                                      sizeof(struct tly_history_series *));
        if (!at) {
            return -ENOMEM;
        }
        round->next.at = at;
        round->next.cap = cap;
    }
    tly_history_hold(series);
    round->next.at[round->next.count++] = series;
    (void)tly_history_add_value(engine->history, series, value); /* false: another rule wrote it */
    return 0;
}

static int pointer_order(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (struct tly_history_series *const *)a;
    uintptr_t right = (uintptr_t) * (struct tly_history_series *const *)b;
    return left < right ? -1 : left > right;
}

void tly_outputs_done(struct tly_outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        tly_history_release(outputs->at[i]);
    }
    free(outputs->at);
    *outputs = (struct tly_outputs){NULL, 0, 0};
}

void tly_outputs_end(struct tly_engine *engine, struct tly_outputs *outputs,
                     struct tly_output_round *round)
{
    struct tly_outputs *next = &round->next;
    if (next->count > 1) {
        qsort(next->at, next->count, sizeof(struct tly_history_series *), pointer_order);
    }
    size_t k = 0;
    for (size_t i = 0; i < outputs->count; i++) {
        while (k < next->count && pointer_order(&next->at[k], &outputs->at[i]) < 0) {
            k++;
        }
        if (k == next->count || next->at[k] != outputs->at[i]) {
            tly_history_end(engine->history, outputs->at[i]);
        }
    }
    tly_outputs_done(outputs);
    *outputs = *next;
}

/* ---- equal label sets ---- */

int tly_label_index_init(struct tly_arena *arena, size_t entries, struct tly_label_index *ret_index)
{
    uint32_t slots = 16;
    while (slots < entries * 2 && slots < UINT32_MAX / 4) {
        slots *= 2;
    }
    ret_index->mask = slots - 1;
    ret_index->slots = tly_arena_alloc(arena, slots * sizeof(*ret_index->slots));
    return ret_index->slots ? 0 : -ENOMEM;
}

uint32_t tly_label_index_put(struct tly_label_index *table, const void *sets, size_t stride,
                             struct tly_labels labels, uint32_t index)
{
    uint32_t slot = (uint32_t)labels.hash & table->mask;
    for (; table->slots[slot] != 0; slot = (slot + 1) & table->mask) {
        uint32_t found = table->slots[slot] - 1;
        const struct tly_labels *set = (const void *)((const char *)sets + stride * found);
        if (tly_labels_equal(*set, labels)) {
            return found;
        }
    }
    if (index != UINT32_MAX) {
        table->slots[slot] = index + 1;
    }
    return index;
}

/* ---- recording ---- */

/* The element's labels under the rule's name and with its labels. */
static int relabel(struct tly_engine *engine, const struct tly_rule *rule, struct tly_labels labels,
                   struct tly_labels *ret_labels)
{
    size_t count = labels.count + rule->label_count + 1;
    struct tly_label_pair *pairs = tly_arena_alloc_raw(&engine->arena, count * sizeof(*pairs));
    if (!pairs) {
        return -ENOMEM;
    }
    if (labels.count > 0) {
        memcpy(pairs, labels.at, labels.count * sizeof(*pairs));
    }
    struct tly_label_pair *next = pairs + labels.count;
    next->name = TLY_SYMBOL_NAME;
    int rc = tly_symbols_add(engine->symbols, rule->name, &next->value);
    for (size_t i = 0; rc == 0 && i < rule->label_count; i++) {
        next++;
        rc = tly_symbols_add(engine->symbols, rule->labels[i].name, &next->name);
        rc = rc < 0 ? rc : tly_symbols_add(engine->symbols, rule->labels[i].text, &next->value);
    }
    if (rc == 0) {
        *ret_labels = tly_labels_make(pairs, count);
    }
    return rc;
}

int tly_rule_record(struct tly_engine *engine, const struct tly_group_run *group,
                    struct tly_rule_run *run, int64_t at_ms, struct tly_error *err)
{
    struct tly_vector vector = {NULL, 0};
    int rc = tly_rule_query(engine, group, run, at_ms, &vector, err);
    if (rc < 0) {
        return rc;
    }
    struct tly_label_index index;
    struct tly_labels *sets = tly_arena_alloc_raw(&engine->arena,
                                                  (vector.count + 1) * sizeof(*sets));
    rc = sets ? tly_label_index_init(&engine->arena, vector.count, &index) : -ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < vector.count; i++) {
        rc = relabel(engine, run->rule, vector.at[i].labels, &sets[i]);
        if (rc == 0 && tly_label_index_put(&index, sets, sizeof(*sets), sets[i], i) != i) {
            return tly_error_set(err, TLY_E_REFUSED,
                                 "vector contains metrics with the same labelset after applying "
                                 "rule labels");
        }
    }
    if (rc < 0) {
        return tly_error_set(err, rc, "the results take too much memory");
    }
    if (group->group->limit > 0 && vector.count > (size_t)group->group->limit) {
        return tly_error_set(err, TLY_E_LIMIT, "exceeded limit of %lld with %zu series",
                             (long long)group->group->limit, vector.count);
    }
    struct tly_output_round round = {.next = {NULL, 0, 0}};
    for (size_t i = 0; rc == 0 && i < vector.count; i++) {
        rc = tly_outputs_put(engine, &round, sets[i], vector.at[i].value);
    }
    tly_outputs_end(engine, &run->outputs, &round);
    return rc < 0 ? tly_error_set(err, rc, "out of memory") : 0;
}
