/*
 * Binary operators: scalars, a vector with a scalar, and the matching of two vectors. Elements
 * match by the sum of their labels' hashes, as far as on or ignoring let them count.
 */
#include "agent/rules/evaluation.h"

#include <math.h>

/* Room for two label sets in a message. */
#define LABELS_TEXT_MAX 4096

static double arithmetic(enum tly_token_kind op, double left, double right)
{
    switch (op) {
    case TLY_TOKEN_ADD:
        return left + right;
    case TLY_TOKEN_SUB:
        return left - right;
    case TLY_TOKEN_MUL:
        return left * right;
    case TLY_TOKEN_DIV:
        return left / right;
    case TLY_TOKEN_MOD:
        return fmod(left, right);
    case TLY_TOKEN_POW:
        return pow(left, right);
    default:
        return atan2(left, right);
    }
}

static bool comparison(enum tly_token_kind op, double left, double right)
{
    switch (op) {
    case TLY_TOKEN_EQUAL:
        return left == right;
    case TLY_TOKEN_NOT_EQUAL:
        return left != right;
    case TLY_TOKEN_LESS:
        return left < right;
    case TLY_TOKEN_LESS_EQUAL:
        return left <= right;
    case TLY_TOKEN_GREATER:
        return left > right;
    default:
        return left >= right;
    }
}

/* The result of two elements' values; false if a comparison filters it out. `kept` is what a
 * comparison lets through. */
static bool combine(const struct tly_node *node, double left, double right, double kept,
                    double *ret_value)
{
    if (!tly_token_is_comparison(node->binary.op)) {
        *ret_value = arithmetic(node->binary.op, left, right);
        return true;
    }
    bool holds = comparison(node->binary.op, left, right);
    *ret_value = node->binary.returns_bool ? (double)holds : kept;
    return holds || node->binary.returns_bool;
}

/* Arithmetic and bool make something new; a filter passes on what was there, name included. */
static bool drops_name(const struct tly_node *node)
{
    return !tly_token_is_comparison(node->binary.op) || node->binary.returns_bool;
}

static int vector_scalar(struct tly_evaluation *eval, const struct tly_node *node,
                         struct tly_vector vector, double scalar, bool scalar_left,
                         struct tly_vector *ret_vector)
{
    /* A result takes no more room than the operand, which nobody else reads. */
    *ret_vector = (struct tly_vector){vector.at, 0};
    for (size_t i = 0; i < vector.count; i++) {
        double value = vector.at[i].value;
        double result;
        if (combine(node, scalar_left ? scalar : value, scalar_left ? value : scalar, value,
                    &result)) {
            ret_vector->at[ret_vector->count++] = (struct tly_element){vector.at[i].labels, result};
        }
    }
    return drops_name(node) ? tly_eval_drop_names(eval, node, ret_vector) : 0;
}

/* ---- matching ---- */

struct match {
    struct tly_evaluation *eval;
    const struct tly_node *node;
    const struct tly_matching *matching;
    struct tly_name_set labels, include;
};

static int match_init(struct tly_evaluation *eval, const struct tly_node *node,
                      struct match *ret_match)
{
    const struct tly_matching *matching = &node->binary.matching;
    *ret_match = (struct match){.eval = eval, .node = node, .matching = matching};
    int rc = tly_eval_names(eval, node, matching->labels, &ret_match->labels);
    return rc != 0 ? rc : tly_eval_names(eval, node, matching->include, &ret_match->include);
}

/* What an element must have in common with another to match it. */
static uint64_t match_key(const struct match *match, struct tly_labels labels)
{
    if (match->matching->on) {
        return tly_name_set_hash(&match->labels, labels);
    }
    labels = tly_labels_nameless(labels);
    return labels.hash - tly_name_set_hash(&match->labels, labels);
}

static int set_operation(struct match *match, struct tly_vector left, struct tly_vector right,
                         struct tly_vector *ret_vector)
{
    enum tly_token_kind op = match->node->binary.op;
    struct tly_vector known = op == TLY_TOKEN_OR ? left : right;
    struct tly_key_table table;
    int rc = tly_key_table_init(match->eval, match->node, known.count, &table);
    if (rc == 0) {
        size_t most = left.count + (op == TLY_TOKEN_OR ? right.count : 0);
        rc = tly_eval_room(match->eval, match->node, most, ret_vector);
    }
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < known.count; i++) {
        (void)tly_key_table_put(&table, match_key(match, known.at[i].labels), 0);
    }
    struct tly_vector asked = op == TLY_TOKEN_OR ? right : left;
    bool wanted = op == TLY_TOKEN_AND;
    for (size_t i = 0; op == TLY_TOKEN_OR && i < left.count; i++) {
        ret_vector->at[ret_vector->count++] = left.at[i];
    }
    for (size_t i = 0; i < asked.count; i++) {
        uint64_t key = match_key(match, asked.at[i].labels);
        bool found = tly_key_table_put(&table, key, TLY_KEY_ABSENT) != TLY_KEY_ABSENT;
        if (found == wanted) {
            ret_vector->at[ret_vector->count++] = asked.at[i];
        }
    }
    return 0;
}

/* Says which two elements of the "one" side share what must be unique there. */
static int not_unique(struct match *match, struct tly_labels first, struct tly_labels second)
{
    struct tly_evaluation *eval = match->eval;
    const char *side = match->matching->card == TLY_CARD_ONE_TO_MANY ? "left" : "right";
    struct tly_labels group = match->matching->on
                                  ? tly_name_set_keep(eval->arena, &match->labels, first)
                                  : tly_name_set_drop(eval->arena, &match->labels, first, true);
    if (tly_labels_compare(eval->symbols, first, second) > 0) {
        struct tly_labels swap = first;
        first = second;
        second = swap;
    }
    struct tly_buf buf;
    tly_buf_init(&buf, LABELS_TEXT_MAX);
    int rc = tly_labels_append(eval->symbols, group, &buf);
    rc = rc != 0 ? rc : tly_buf_printf(&buf, " on the %s hand-side of the operation: [", side);
    rc = rc != 0 ? rc : tly_labels_append(eval->symbols, first, &buf);
    rc = rc != 0 ? rc : tly_buf_append(&buf, ", ", 2);
    rc = rc != 0 ? rc : tly_labels_append(eval->symbols, second, &buf);
    rc = tly_eval_fail(eval, TLY_E_REFUSED, match->node,
                       "many-to-many matching not allowed: matching labels must be unique on one "
                       "side; found duplicate series for the match group %.*s%s",
                       (int)buf.len, buf.len > 0 ? buf.at : "", rc == 0 ? "]" : "...");
    tly_buf_done(&buf);
    return rc;
}

/* The labels of a result: those of the "many" side (the left one where both are one). at == NULL:
 * no memory. */
static struct tly_labels result_labels(const struct match *match, struct tly_labels many,
                                       struct tly_labels one)
{
    struct tly_arena *arena = match->eval->arena;
    const struct tly_matching *matching = match->matching;
    struct tly_labels labels = drops_name(match->node) ? tly_labels_nameless(many) : many;
    if (matching->card == TLY_CARD_ONE_TO_ONE) {
        return matching->on ? tly_name_set_keep(arena, &match->labels, labels)
                            : tly_name_set_drop(arena, &match->labels, labels, false);
    }
    for (size_t i = 0; i < match->include.count; i++) {
        uint32_t name = match->include.at[i];
        struct tly_label_pair pair = {name, tly_labels_get(one, name)};
        if (tly_labels_get(labels, name) != pair.value) {
            labels = tly_labels_with(arena, labels, pair);
            if (!labels.at) {
                break;
            }
        }
    }
    return labels;
}

/* The "one" side by key; equal keys there are a failure. */
static int index_one(struct match *match, struct tly_vector one, struct tly_key_table *table)
{
    int rc = tly_key_table_init(match->eval, match->node, one.count, table);
    for (uint32_t i = 0; rc == 0 && i < one.count; i++) {
        uint32_t known = tly_key_table_put(table, match_key(match, one.at[i].labels), i);
        if (known != i) {
            rc = not_unique(match, one.at[known].labels, one.at[i].labels);
        }
    }
    return rc;
}

/* Only what a comparison lets through can collide: Prometheus's newest versions ask before they
 * filter, so that a rule fails there that gave alerts in all versions before.
 *
 * Whether a result collides with one before it: by its match where both sides are one, else by its
 * labels within the match. */
static int check_result(struct match *match, struct tly_key_table *seen, uint32_t number,
                        uint32_t of_one, struct tly_labels labels)
{
    bool one_to_one = match->matching->card == TLY_CARD_ONE_TO_ONE;
    struct tly_label_pair mark = {of_one, of_one};
    uint64_t key = tly_label_hash(mark) + (one_to_one ? 0 : labels.hash);
    if (tly_key_table_put(seen, key, number) == number) {
        return 0;
    }
    return tly_eval_fail(match->eval, TLY_E_REFUSED, match->node,
                         one_to_one ? "multiple matches for labels: many-to-one matching must be "
                                      "explicit (group_left/group_right)"
                                    : "multiple matches for labels: grouping labels must ensure "
                                      "unique matches");
}

static int matched(struct match *match, struct tly_vector left, struct tly_vector right,
                   struct tly_vector *ret_vector)
{
    bool swapped = match->matching->card == TLY_CARD_ONE_TO_MANY;
    struct tly_vector many = swapped ? right : left;
    struct tly_vector one = swapped ? left : right;
    struct tly_key_table table;
    struct tly_key_table seen;
    int rc = index_one(match, one, &table);
    rc = rc != 0 ? rc : tly_key_table_init(match->eval, match->node, many.count, &seen);
    rc = rc != 0 ? rc : tly_eval_room(match->eval, match->node, many.count, ret_vector);
    for (size_t i = 0; rc == 0 && i < many.count; i++) {
        const struct tly_element *element = &many.at[i];
        uint64_t key = match_key(match, element->labels);
        uint32_t of_one = tly_key_table_put(&table, key, TLY_KEY_ABSENT);
        if (of_one == TLY_KEY_ABSENT) {
            continue;
        }
        double other = one.at[of_one].value;
        double left_value = swapped ? other : element->value;
        double value;
        if (!combine(match->node, left_value, swapped ? element->value : other, left_value,
                     &value)) {
            continue;
        }
        struct tly_labels labels = result_labels(match, element->labels, one.at[of_one].labels);
        if (!labels.at && labels.count == 0 && labels.hash == 0 && element->labels.count > 0) {
            return tly_eval_no_memory(match->eval, match->node);
        }
        rc = check_result(match, &seen, (uint32_t)ret_vector->count, of_one, labels);
        ret_vector->at[ret_vector->count++] = (struct tly_element){labels, value};
    }
    if (rc == 0 && match->matching->card != TLY_CARD_ONE_TO_ONE) {
        rc = tly_eval_unique(match->eval, match->node, ret_vector);
    }
    return rc;
}

static int vector_vector(struct tly_evaluation *eval, const struct tly_node *node,
                         struct tly_vector left, struct tly_vector right,
                         struct tly_vector *ret_vector)
{
    struct match match;
    int rc = match_init(eval, node, &match);
    if (rc != 0) {
        return rc;
    }
    if (match.matching->card == TLY_CARD_MANY_TO_MANY) {
        return set_operation(&match, left, right, ret_vector);
    }
    if (left.count == 0 || right.count == 0) {
        *ret_vector = (struct tly_vector){NULL, 0};
        return 0;
    }
    return matched(&match, left, right, ret_vector);
}

int tly_eval_binary(struct tly_evaluation *eval, const struct tly_node *node,
                    struct tly_value *ret_value)
{
    struct tly_value left;
    struct tly_value right;
    int rc = tly_eval_node(eval, node->binary.left, &left);
    if (rc != 0) {
        return rc;
    }
    bool left_vector = left.type == TLY_TYPE_VECTOR;
    if (left_vector && left.vector.count == 0 && node->binary.op != TLY_TOKEN_OR &&
        node->binary.right->sure) {
        /* Nothing comes of nothing, whatever stands on the right. */
        ret_value->vector = (struct tly_vector){NULL, 0};
        return 0;
    }
    rc = tly_eval_node(eval, node->binary.right, &right);
    if (rc != 0) {
        return rc;
    }
    bool right_vector = right.type == TLY_TYPE_VECTOR;
    rc = tly_eval_touch(eval, node,
                        (left_vector ? left.vector.count : 0) +
                            (right_vector ? right.vector.count : 0));
    if (rc != 0) {
        return rc;
    }
    if (left_vector && right_vector) {
        return vector_vector(eval, node, left.vector, right.vector, &ret_value->vector);
    }
    if (left_vector) {
        return vector_scalar(eval, node, left.vector, right.scalar, false, &ret_value->vector);
    }
    if (right_vector) {
        return vector_scalar(eval, node, right.vector, left.scalar, true, &ret_value->vector);
    }
    (void)combine(node, left.scalar, right.scalar, left.scalar, &ret_value->scalar);
    return 0;
}
