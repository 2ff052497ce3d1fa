/*
 * histogram_quantile over classic histograms: the buckets of each label set but `le`, made
 * monotonic, and the quantile by interpolation within its bucket.
 */
#include "agent/rules/evaluation.h"
#include "agent/rules/functions.h"
#include "agent/rules/number.h"

#include <stdlib.h>

/* Differences between buckets below this share come from floating point, not from observations. */
#define SMALL_SHARE 1e-12

struct bucket {
    uint64_t key; /* of its histogram */
    uint32_t place;
    double bound, count;
};

static int by_histogram_and_bound(const void *a, const void *b)
{
    const struct bucket *left = a;
    const struct bucket *right = b;
    if (left->key != right->key) {
        return left->key < right->key ? -1 : 1;
    }
    return (left->bound > right->bound) - (left->bound < right->bound);
}

/* Adds up buckets of one bound ("1" and "1.0"); how many are left. */
static size_t coalesce(struct bucket *buckets, size_t count)
{
    size_t kept = 0;
    for (size_t i = 1; i < count; i++) {
        if (buckets[i].bound == buckets[kept].bound) {
            buckets[kept].count += buckets[i].count;
        } else {
            buckets[++kept] = buckets[i];
        }
    }
    return kept + 1;
}

static bool almost_equal(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) && isnan(b);
    }
    double sum = fabs(a) + fabs(b);
    double difference = fabs(a - b);
    /* Next to zero a share means nothing. */
    return a == b || (a == 0 || b == 0 || sum < 2.2250738585072014e-308
                          ? difference < SMALL_SHARE * 2.2250738585072014e-308
                          : difference / fmin(sum, 1.7976931348623157e308) < SMALL_SHARE);
}

static void make_monotonic(struct bucket *buckets, size_t count)
{
    double before = buckets[0].count;
    for (size_t i = 1; i < count; i++) {
        double current = buckets[i].count;
        if (current < before || almost_equal(before, current)) {
            buckets[i].count = before;
        } else {
            before = current;
        }
    }
}

static double interpolate(double q, const struct bucket *buckets, size_t count)
{
    double rank = q * buckets[count - 1].count;
    size_t b = 0;
    while (b < count - 1 && !(buckets[b].count >= rank)) {
        b++;
    }
    if (b == count - 1) {
        return buckets[count - 2].bound;
    }
    if (b == 0 && buckets[0].bound <= 0) {
        return buckets[0].bound;
    }
    double start = 0;
    double inside = buckets[b].count;
    if (b > 0) {
        start = buckets[b - 1].bound;
        inside -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    return start + (buckets[b].bound - start) * (rank / inside);
}

/* What is asked of every histogram: a quantile, or the share between two values. */
struct question {
    double first, second;
    /* Of the sorted buckets of one histogram, which it may change. */
    double (*answer)(const struct question *question, struct bucket *buckets, size_t count);
};

/* Without a bucket for everything a histogram is not whole. */
static bool is_whole(const struct bucket *buckets, size_t count)
{
    return isinf(buckets[count - 1].bound) && buckets[count - 1].bound > 0;
}

static double bucket_quantile(const struct question *question, struct bucket *buckets, size_t count)
{
    double q = question->first;
    if (isnan(q)) {
        return NAN;
    }
    if (q < 0 || q > 1) {
        return q < 0 ? -INFINITY : INFINITY;
    }
    if (!is_whole(buckets, count)) {
        return NAN;
    }
    count = coalesce(buckets, count);
    make_monotonic(buckets, count);
    if (count < 2 || buckets[count - 1].count == 0) {
        return NAN;
    }
    return interpolate(q, buckets, count);
}

/* How many observations lie below a value. A bucket without a finite width counts as empty. */
static double count_below(double value, const struct bucket *buckets, size_t count)
{
    double all = buckets[count - 1].count;
    double low = buckets[0].bound > 0 ? 0 : -INFINITY;
    double before = 0;
    for (size_t i = 0; i < count; i++) {
        if (low >= value) {
            return before < all ? before : all;
        }
        double inside = buckets[i].count - before;
        if (buckets[i].bound > value) {
            double below = isinf(low) ? buckets[i].count
                                      : before + inside * (value - low) / (buckets[i].bound - low);
            return below > all ? all : below;
        }
        before = buckets[i].count;
        low = buckets[i].bound;
    }
    return all;
}

static double bucket_fraction(const struct question *question, struct bucket *buckets, size_t count)
{
    if (!is_whole(buckets, count)) {
        return NAN;
    }
    count = coalesce(buckets, count);
    double all = buckets[count - 1].count;
    if (all == 0 || isnan(question->first) || isnan(question->second)) {
        return NAN;
    }
    if (question->first >= question->second) {
        return 0;
    }
    return (count_below(question->second, buckets, count) -
            count_below(question->first, buckets, count)) /
           all;
}

/* The buckets of a vector: what has no bound in its `le` is none. */
static size_t read_buckets(const struct tly_evaluation *eval, struct tly_vector vector,
                           struct bucket *buckets)
{
    size_t count = 0;
    for (uint32_t i = 0; i < vector.count; i++) {
        struct tly_labels labels = vector.at[i].labels;
        struct tly_label_pair le = {TLY_SYMBOL_LE, tly_labels_get(labels, TLY_SYMBOL_LE)};
        double bound;
        if (le.value == TLY_SYMBOL_EMPTY ||
            tly_float_parse(tly_symbols_text(eval->symbols, le.value), &bound) < 0) {
            continue;
        }
        buckets[count++] = (struct bucket){labels.hash - tly_label_hash(le), i, bound,
                                           vector.at[i].value};
    }
    return count;
}

/* Asks each histogram of a vector. */
static int ask(struct tly_evaluation *eval, const struct tly_node *node,
               const struct question *question, struct tly_vector vector,
               struct tly_vector *ret_vector)
{
    int rc = tly_eval_room(eval, node, vector.count, ret_vector);
    if (rc != 0) {
        return rc;
    }
    struct bucket *buckets = tly_arena_alloc_raw(eval->arena, vector.count * sizeof(*buckets) + 1);
    uint32_t le_name = TLY_SYMBOL_LE;
    struct tly_name_set le = {&le_name, 1};
    if (!buckets) {
        return tly_eval_no_memory(eval, node);
    }
    size_t count = read_buckets(eval, vector, buckets);
    qsort(buckets, count, sizeof(*buckets), by_histogram_and_bound);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && buckets[to].key == buckets[from].key;) {
            to++;
        }
        struct tly_labels labels = tly_name_set_drop(eval->arena, &le,
                                                     vector.at[buckets[from].place].labels, false);
        if (!labels.at) {
            return tly_eval_no_memory(eval, node);
        }
        ret_vector->at[ret_vector->count++] = (struct tly_element){
            labels, question->answer(question, buckets + from, to - from)};
    }
    return tly_eval_drop_names(eval, node, ret_vector);
}

int tly_function_histogram_quantile(struct tly_evaluation *eval, const struct tly_node *node,
                                    struct tly_value *ret_value)
{
    struct question question = {.answer = bucket_quantile};
    struct tly_vector vector;
    int rc = tly_eval_scalar(eval, node->call.args[0], &question.first);
    rc = rc != 0 ? rc : tly_eval_vector(eval, node->call.args[1], &vector);
    return rc != 0 ? rc : ask(eval, node, &question, vector, &ret_value->vector);
}

int tly_function_histogram_fraction(struct tly_evaluation *eval, const struct tly_node *node,
                                    struct tly_value *ret_value)
{
    struct question question = {.answer = bucket_fraction};
    struct tly_vector vector;
    int rc = tly_eval_scalar(eval, node->call.args[0], &question.first);
    rc = rc != 0 ? rc : tly_eval_scalar(eval, node->call.args[1], &question.second);
    rc = rc != 0 ? rc : tly_eval_vector(eval, node->call.args[2], &vector);
    return rc != 0 ? rc : ask(eval, node, &question, vector, &ret_value->vector);
}
