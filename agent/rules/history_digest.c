/*
 * Digests of windows, straight from the blocks. Samples are integers of one exponent, so that sums
 * over them are exact, and a block that is a straight line needs no look at its samples. Doubles,
 * changing exponents and integers beyond what a double holds are left to whoever reads the window.
 */
#include "agent/rules/history_state.h"

#include <math.h>

/* How many series ahead the memory of a block is asked for. */
#define AHEAD 4
/* A product below this is held exactly by the sums, with room for a sign. */
#define EXACT_PRODUCT 0x1p125

typedef __int128 wide;

/* A digest under way. Values are raw; `x` are ms since the first sample, `y` raw distances to it.
 */
struct gathering {
    const struct tly_history *history;
    enum tly_digest_part part;
    uint32_t from, to;
    size_t count, resets, changes;
    int8_t exponent;
    int64_t first_ms, first, last_but_one_ms, last_but_one, last_ms, last;
    int64_t least, most;
    wide lost, sum; /* sum: of y */
    wide squares;   /* of y */
    wide x, xx, xy;
};

/* Samples of a block that are to be counted in. */
struct part {
    const struct tly_block *block;
    unsigned first, count;
    const int64_t *times; /* of the first one */
    unsigned stride;
    int64_t head, tail; /* the first and the last one's value */
};

static void add_turns(struct gathering *to, const struct part *part, const int64_t *raws)
{
    int64_t before = to->count > 0 ? to->last : part->head;
    if (!raws) { /* a straight line that does not fall */
        to->lost += part->head < before ? before : 0;
        to->resets += part->head < before;
        to->changes += (part->head != before) + (part->head != part->tail ? part->count - 1 : 0);
        return;
    }
    int64_t lost = 0; /* at most 64 of less than 2^53 */
    unsigned resets = 0;
    unsigned changes = 0;
    for (unsigned i = 0; i < part->count; i++) {
        int64_t raw = raws[i];
        changes += raw != before;
        if (raw < before) {
            lost += before;
            resets++;
        }
        before = raw;
    }
    to->lost += lost;
    to->resets += resets;
    to->changes += changes;
}

static void add_extremes(struct gathering *to, const struct part *part, const int64_t *raws)
{
    int64_t least = part->head < part->tail ? part->head : part->tail;
    int64_t most = part->head < part->tail ? part->tail : part->head;
    for (unsigned i = 0; raws && i < part->count; i++) {
        least = raws[i] < least ? raws[i] : least;
        most = raws[i] > most ? raws[i] : most;
    }
    to->least = to->count == 0 || least < to->least ? least : to->least;
    to->most = to->count == 0 || most > to->most ? most : to->most;
}

static void add_sum(struct gathering *to, const struct part *part, const int64_t *raws)
{
    if (!raws) {
        to->sum += (wide)part->count * (part->head - to->first + part->tail - to->first) / 2;
        return;
    }
    int64_t sum = 0; /* at most 64 of less than 2^54 */
    for (unsigned i = 0; i < part->count; i++) {
        sum += raws[i] - to->first;
    }
    to->sum += sum;
}

static void add_squares(struct gathering *to, const struct part *part, const int64_t *raws)
{
    int64_t sum = 0; /* at most 64 of less than 2^54 */
    wide squares = 0;
    for (unsigned i = 0; i < part->count; i++) {
        int64_t y = raws[i] - to->first;
        sum += y;
        squares += (wide)y * y;
    }
    to->sum += sum;
    to->squares += squares;
}

static void add_line(struct gathering *to, const struct part *part, const int64_t *raws)
{
    const int64_t *time = part->times;
    int64_t first_ms = to->first_ms;
    int64_t first = to->first;
    int64_t sum_x = 0; /* at most 64 of some years in ms, and of less than 2^54 */
    int64_t sum_y = 0;
    wide xx = 0;
    wide xy = 0;
    for (unsigned i = 0; i < part->count; i++, time += part->stride) {
        int64_t x = *time - first_ms;
        int64_t y = raws[i] - first;
        sum_x += x;
        sum_y += y;
        xx += (wide)x * x;
        xy += (wide)x * y;
    }
    to->x += sum_x;
    to->sum += sum_y;
    to->xx += xx;
    to->xy += xy;
}

/* Whether the part asks for each sample of the block. */
static bool needs_samples(enum tly_digest_part part, const struct tly_block *block)
{
    switch (part) {
    case TLY_DIGEST_ENDS:
        return false;
    case TLY_DIGEST_TURNS:
        return block->width > 0 || block->slope < 0;
    case TLY_DIGEST_EXTREMES:
    case TLY_DIGEST_SUM:
        return block->width > 0;
    default:
        return true;
    }
}

static void add_part(struct gathering *to, const struct part *part, const int64_t *raws)
{
    switch (to->part) {
    case TLY_DIGEST_TURNS:
        add_turns(to, part, raws);
        break;
    case TLY_DIGEST_EXTREMES:
        add_extremes(to, part, raws);
        break;
    case TLY_DIGEST_SUM:
        add_sum(to, part, raws);
        break;
    case TLY_DIGEST_SPREAD:
        add_squares(to, part, raws);
        break;
    case TLY_DIGEST_LINE:
        add_line(to, part, raws);
        break;
    case TLY_DIGEST_ENDS:
        break;
    }
}

/* Whether every sample is one that a double holds exactly, told from the line and the width of the
 * offsets, so that a few that are have to be read otherwise. */
static bool exact(const struct tly_block *block)
{
    if (block->width == 8) {
        return false;
    }
    wide head = block->base;
    wide tail = head + (wide)block->slope * block->count;
    wide most = TLY_EXACT_MAX - (wide)tly_block_mask(block->width);
    return head < most && head > -TLY_EXACT_MAX && tail < most && tail > -TLY_EXACT_MAX;
}

static void add_ends(struct gathering *to, const struct part *part)
{
    const int64_t *last = part->times + (size_t)part->stride * (part->count - 1);
    if (part->count > 1) {
        to->last_but_one_ms = last[-(ptrdiff_t)part->stride];
        to->last_but_one = tly_block_at(part->block, part->first + part->count - 2);
    } else {
        to->last_but_one_ms = to->last_ms;
        to->last_but_one = to->last;
    }
    to->last_ms = *last;
    to->last = part->tail;
    to->count += part->count;
}

/* Counts a block's samples in. false: they are not of the kind. */
static bool add_block(struct gathering *to, const struct tly_block *block)
{
    unsigned first;
    unsigned end;
    tly_block_part(block, to->from, to->to, &first, &end);
    if (first >= end || block->exponent == TLY_BLOCK_MARKER) {
        return true;
    }
    if (block->exponent == TLY_HISTORY_FLOAT || !exact(block) ||
        (to->count > 0 && block->exponent != to->exponent)) {
        return false;
    }
    unsigned stride = block->count == 1 ? 1 : block->stride;
    struct part part = {
        .block = block,
        .first = first,
        .count = end - first,
        .times = to->history->times + to->history->time_skip +
                 (block->tick + stride * first - to->history->first_tick),
        .stride = stride,
        .head = tly_block_at(block, first),
        .tail = tly_block_at(block, end - 1),
    };
    int64_t raws[TLY_BLOCK_SAMPLES];
    bool samples = needs_samples(to->part, block);
    if (samples) {
        tly_block_read(block, first, end, raws);
    }
    if (to->count == 0) {
        to->exponent = block->exponent;
        to->first_ms = *part.times;
        to->first = part.head;
    }
    add_part(to, &part, samples ? raws : NULL);
    add_ends(to, &part);
    return true;
}

/* n * ab - a * b, exact where it fits. */
static double cross(double n, wide ab, wide a, wide b)
{
    if (n * fabs((double)ab) < EXACT_PRODUCT && fabs((double)a) * fabs((double)b) < EXACT_PRODUCT) {
        return (double)((wide)n * ab - a * b);
    }
    return n * (double)ab - (double)a * (double)b;
}

static void finish(const struct gathering *from, struct tly_digest *digest)
{
    double power = tly_decimal_powers[-from->exponent];
    double n = (double)from->count;
    switch (from->part) {
    case TLY_DIGEST_TURNS:
        digest->lost = (double)from->lost / power;
        digest->resets = from->resets;
        digest->changes = from->changes;
        break;
    case TLY_DIGEST_EXTREMES:
        digest->least = (double)from->least / power;
        digest->most = (double)from->most / power;
        break;
    case TLY_DIGEST_SUM:
        digest->sum = (double)(from->sum + (wide)from->first * (wide)from->count) / power;
        digest->mean = digest->sum / n;
        break;
    case TLY_DIGEST_SPREAD:
        digest->variance = cross(n, from->squares, from->sum, from->sum) / (n * n) /
                           (power * power);
        break;
    case TLY_DIGEST_LINE:
        digest->mean = ((double)from->sum / n + (double)from->first) / power;
        digest->mean_s = (double)from->x / n / 1000;
        digest->slope = from->count > 1 ? cross(n, from->xy, from->x, from->sum) /
                                              cross(n, from->xx, from->x, from->x) * 1000 / power
                                        : 0;
        break;
    case TLY_DIGEST_ENDS:
        break;
    }
}

int tly_history_digest(void *arg, const struct tly_series *row, size_t left, int64_t after_ms,
                       int64_t to_ms, enum tly_digest_part part, struct tly_digest *ret_digest)
{
    struct tly_history *history = arg;
    const struct tly_history_series *series = row->handle;
    if (left > AHEAD) {
        const struct tly_history_series *ahead = row[AHEAD].handle;
        __builtin_prefetch(ahead->last);
    }
    struct gathering gathering = {.history = history, .part = part};
    if (tly_history_span(history, after_ms, to_ms, &gathering.from, &gathering.to)) {
        for (const struct tly_block *block = tly_history_seek(series, gathering.from, gathering.to);
             block && block->tick <= gathering.to; block = block->next) {
            if (!add_block(&gathering, block)) {
                return 1;
            }
        }
    }
    ret_digest->count = gathering.count;
    if (gathering.count == 0) {
        return 0;
    }
    int8_t exponent = gathering.exponent;
    ret_digest->first = (struct tly_point){gathering.first_ms,
                                           tly_history_value(gathering.first, exponent)};
    ret_digest->last = (struct tly_point){gathering.last_ms,
                                          tly_history_value(gathering.last, exponent)};
    if (gathering.count > 1) {
        ret_digest->last_but_one = (struct tly_point){
            gathering.last_but_one_ms, tly_history_value(gathering.last_but_one, exponent)};
    }
    finish(&gathering, ret_digest);
    return 0;
}
