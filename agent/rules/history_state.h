/*
 * What the history's files share. Private to them.
 */
#ifndef TLY_RULES_HISTORY_STATE_H
#define TLY_RULES_HISTORY_STATE_H

#include "agent/base/map.h"
#include "agent/rules/history.h"
#include "agent/rules/history_block.h"

/* Up to here an integer is a double, and so is its quotient by a power of ten. */
#define TLY_EXACT_MAX ((int64_t)1 << 53)

/* One selector of a rule. */
struct tly_history_need {
    const struct tly_matcher *matchers; /* borrowed */
    size_t count;
    int64_t keep_ms;
    bool ranged;
};

struct tly_history_series {
    struct tly_history_series *next; /* in its bucket */
    struct tly_labels labels;        /* kept */
    struct tly_block *first, *last;  /* NULL where the newest sample is enough */
    int64_t keep_ms;
    int64_t raw;     /* of the newest sample */
    uint32_t tick;   /* its tick */
    int8_t exponent; /* its kind */
    bool any;        /* there is one */
    bool ranged;     /* more than the newest sample is needed */
    uint32_t holds;
    uint32_t position; /* in the list of its name */
};

/* The series of one name, ready to be handed out. */
struct tly_name_list {
    struct tly_series *at;
    size_t count, cap;
};

struct tly_history {
    struct tly_symbols *symbols; /* borrowed */
    struct tly_storage storage;
    bool keep_all;
    struct tly_history_need *needs;
    size_t need_count, need_cap;
    struct tly_history_series **buckets;
    size_t bucket_count, series_count;
    size_t sweep;                           /* the next bucket to look through */
    uint32_t sweep_tick;                    /* the oldest one that was seen in this round */
    struct tly_map *names;                  /* of struct tly_name_list, by symbol */
    int64_t *times;                         /* of the ticks from `first_tick` on */
    size_t time_count, time_cap, time_skip; /* the first `time_skip` entries are forgotten */
    uint32_t first_tick;                    /* of times[time_skip] */
    size_t bytes, bytes_max;                /* all but the symbols, which count their own */
    uint64_t refused, shortened;
    uint64_t wanting, wanting_before; /* times that there was no room; as of the round before */
    unsigned pressure;                /* what nobody holds is kept for 2^-pressure of its time */
    bool rehold;                      /* but not now, while holds are taken anew */
    /* The ticks of the times that were asked last, since many series are asked the same. */
    struct tly_asked_tick {
        int64_t at_ms;
        uint32_t tick;
        bool found;
    } asked[2];
};

static inline uint32_t tly_history_now(const struct tly_history *history)
{
    return history->first_tick + (uint32_t)(history->time_count - history->time_skip) - 1;
}

static inline int64_t tly_history_time(const struct tly_history *history, uint32_t tick)
{
    return history->times[history->time_skip + (tick - history->first_tick)];
}

/* NULL if there is no series of that name. */
static inline struct tly_name_list *tly_history_list(const struct tly_history *history,
                                                     uint32_t name)
{
    return tly_map_get(history->names, (struct tly_text){(const char *)&name, sizeof(name)});
}

/* ---- history_read.c ---- */

/* 10^n for n from 0 to 9. */
extern const double tly_decimal_powers[10];

double tly_history_value(int64_t raw, int exponent);
/* The ticks that a window has, both included; false if it has none. */
bool tly_history_span(struct tly_history *history, int64_t after_ms, int64_t to_ms,
                      uint32_t *ret_from, uint32_t *ret_to);
/* The first block with samples at or behind tick `from`; NULL if there is none up to `to`. */
const struct tly_block *tly_history_seek(const struct tly_history_series *series, uint32_t from,
                                         uint32_t to);
/* The indexes of a block's samples within the ticks, the second one not included. */
static inline void tly_block_part(const struct tly_block *block, uint32_t from, uint32_t to,
                                  unsigned *ret_first, unsigned *ret_end)
{
    unsigned stride = block->count == 1 ? 1 : block->stride;
    *ret_first = from > block->tick ? (from - block->tick + stride - 1) / stride : 0;
    *ret_end = to >= tly_block_last_tick(block) ? block->count : (to - block->tick) / stride + 1;
}

int tly_history_select(void *arg, const struct tly_matcher *matchers, size_t count, int64_t from_ms,
                       int64_t to_ms, struct tly_series_list *list);
bool tly_history_latest(void *arg, const struct tly_series *handle, int64_t at_ms,
                        struct tly_point *ret_point);
int tly_history_window(void *arg, const struct tly_series *handle, int64_t after_ms, int64_t to_ms,
                       struct tly_points *scratch, struct tly_window *ret_window);

/* ---- history_digest.c ---- */

int tly_history_digest(void *arg, const struct tly_series *row, size_t left, int64_t after_ms,
                       int64_t to_ms, enum tly_digest_part part, struct tly_digest *ret_digest);

#endif
