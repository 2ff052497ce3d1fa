/*
 * The feed. A row is known by the text of its labels; its entries are its samples in the order in
 * which they came last time, which is the order in which they will come next time, too.
 */
#include "agent/rules/feed.h"

#include "agent/base/map.h"

#include <errno.h>
#include <stdlib.h>

#define LABELS_MAX 640 /* what the inventory allows, and a dimension's */
#define TEXT_MAX   ((size_t)64 * 1024)
/* Rounds until a series that there was no room for is tried again. */
#define RETRY_ROUNDS 64

struct entry {
    struct tly_history_series *series; /* held; NULL: no rule needs it, or there was no room */
    char *dim;                         /* owned; NULL for none */
    uint32_t dim_len;
    uint32_t round; /* in which it was seen last */
    uint16_t family;
    bool refused; /* there was no room; it is tried again now and then */
};

struct row {
    struct entry *entries;
    size_t count, cap;
    uint32_t round;
};

struct tly_feed {
    struct tly_history *history;
    struct tly_symbols *symbols;
    struct tly_map *rows; /* by the text of their labels */
    bool wanted[TLY_FAMILY_COUNT];
    uint32_t round;
};

/* ---- labels from the exporter's text ---- */

/* The value behind `="`, unescaped into `buf`; `rest` goes behind its closing quote. */
static int value_take(struct tly_text *rest, struct tly_buf *buf)
{
    size_t i = 0;
    int rc = 0;
    while (rc == 0 && i < rest->len && rest->at[i] != '"') {
        char c = rest->at[i++];
        if (c == '\\' && i < rest->len) {
            c = rest->at[i] == 'n' ? '\n' : rest->at[i];
            i++;
        }
        rc = tly_buf_append(buf, &c, 1);
    }
    if (rc == 0 && i >= rest->len) {
        return TLY_E_MALFORMED;
    }
    *rest = (struct tly_text){rest->at + i + 1, rest->len - i - 1};
    return rc == TLY_E_LIMIT ? TLY_E_MALFORMED : rc; /* no room will ever be enough for it */
}

int tly_labels_parse(struct tly_symbols *symbols, struct tly_text text,
                     struct tly_label_pair *pairs, size_t max, size_t *ret_count)
{
    struct tly_buf buf;
    size_t count = 0;
    int rc = 0;
    tly_buf_init(&buf, TEXT_MAX);
    while (rc == 0 && text.len > 0) {
        const char *equals = memchr(text.at, '=', text.len);
        size_t len = equals ? (size_t)(equals - text.at) : 0;
        if (len == 0 || text.len < len + 3 || equals[1] != '"') {
            rc = TLY_E_MALFORMED;
            break;
        }
        if (count == max) {
            rc = TLY_E_MALFORMED;
            break;
        }
        struct tly_text name = {text.at, len};
        text = (struct tly_text){text.at + len + 2, text.len - len - 2};
        tly_buf_clear(&buf);
        rc = value_take(&text, &buf);
        rc = rc < 0 ? rc : tly_symbols_add(symbols, name, &pairs[count].name);
        rc = rc < 0 ? rc
                    : tly_symbols_add(symbols, buf.at ? tly_buf_text(&buf) : TLY_TEXT(""),
                                      &pairs[count].value);
        count += rc == 0;
        if (rc == 0 && text.len > 0 && *text.at != ',') {
            rc = TLY_E_MALFORMED;
        } else if (rc == 0 && text.len > 0) {
            text = (struct tly_text){text.at + 1, text.len - 1};
        }
    }
    tly_buf_done(&buf);
    *ret_count = count;
    return rc;
}

/* ---- rows and entries ---- */

/* The series ends, if there is one. */
static void entry_done(const struct tly_feed *feed, struct entry *entry, bool ends)
{
    if (entry->series) {
        if (ends) {
            tly_history_end(feed->history, entry->series);
        }
        tly_history_release(entry->series);
    }
    free(entry->dim);
}

static void row_free(const struct tly_feed *feed, struct row *row, bool ends)
{
    for (size_t i = 0; i < row->count; i++) {
        entry_done(feed, &row->entries[i], ends);
    }
    free(row->entries);
    free(row);
}

static void rows_free(struct tly_feed *feed)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(feed->rows, &at, &entry);) {
        (void)tly_map_remove(feed->rows, entry.key); /* it is entry.value */
        row_free(feed, entry.value, false);
    }
}

void tly_feed_forget(struct tly_feed *feed)
{
    rows_free(feed);
    tly_history_rehold(feed->history, true);
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        feed->wanted[i] = tly_history_wants(feed->history, tly_text_of(tly_families[i].name));
    }
    /* These the rules write themselves, when they are evaluated. */
    feed->wanted[TLY_F_ALERTS] = false;
    feed->wanted[TLY_F_ALERTS_FOR_STATE] = false;
}

struct tly_feed *tly_feed_new(struct tly_history *history, struct tly_symbols *symbols)
{
    struct tly_feed *feed = calloc(1, sizeof(*feed));
    if (feed) {
        feed->history = history;
        feed->symbols = symbols;
        feed->rows = tly_map_new();
    }
    if (!feed || !feed->rows) {
        free(feed);
        return NULL;
    }
    tly_feed_forget(feed);
    return feed;
}

void tly_feed_free(struct tly_feed *feed)
{
    if (feed) {
        rows_free(feed);
        tly_map_free(feed->rows, NULL);
        free(feed);
    }
}

static bool entry_is(const struct entry *entry, uint16_t family, struct tly_text dim)
{
    return entry->family == family && entry->dim_len == dim.len &&
           (dim.len == 0 || memcmp(entry->dim, dim.at, dim.len) == 0);
}

/* Texts of a series that is not made take no room from others until the next trim. */
static void texts_forget(struct tly_symbols *symbols, const struct tly_label_pair *pairs,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tly_symbols_forget(symbols, pairs[i].name);
        tly_symbols_forget(symbols, pairs[i].value);
    }
}

/* The series of a sample; without one where none is needed or possible. */
static int series_of(const struct tly_feed *feed, struct tly_text labels, uint16_t family,
                     struct tly_text dim, struct tly_history_series **ret_series, bool *ret_refused)
{
    struct tly_label_pair pairs[LABELS_MAX];
    size_t base = 0;
    size_t more = 0;
    *ret_series = NULL;
    pairs[0] = (struct tly_label_pair){TLY_SYMBOL_NAME, TLY_SYMBOL_EMPTY};
    int rc = tly_symbols_add(feed->symbols, tly_text_of(tly_families[family].name),
                             &pairs[0].value);
    rc = rc < 0 ? rc : tly_labels_parse(feed->symbols, labels, pairs + 1, LABELS_MAX - 1, &base);
    rc = rc < 0
             ? rc
             : tly_labels_parse(feed->symbols, dim, pairs + 1 + base, LABELS_MAX - 1 - base, &more);
    if (rc == 0) {
        rc = tly_history_series(feed->history, tly_labels_make(pairs, 1 + base + more), ret_series);
    } else if (rc == TLY_E_LIMIT) {
        tly_history_refuse(feed->history);
    }
    if (!*ret_series) {
        texts_forget(feed->symbols, pairs, 1 + base + more);
    }
    if (rc == -ENOMEM) {
        return rc; /* whether there is room is not known */
    }
    *ret_refused = rc == TLY_E_LIMIT;
    return 0;
}

static int entry_make(const struct tly_feed *feed, struct row *row, struct tly_text labels,
                      uint16_t family, struct tly_text dim)
{
    if (row->count == row->cap) {
        size_t cap = row->cap > 0 ? row->cap * 2 : 16;
        struct entry *entries = reallocarray(row->entries, cap, sizeof(*entries));
        if (!entries) {
            return -ENOMEM;
        }
        row->entries = entries;
        row->cap = cap;
    }
    struct entry made = {.family = family, .dim_len = (uint32_t)dim.len};
    int rc = series_of(feed, labels, family, dim, &made.series, &made.refused);
    if (rc == 0 && dim.len > 0) {
        made.dim = tly_text_dup(dim);
        rc = made.dim ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        return rc;
    }
    if (made.series) {
        tly_history_hold(made.series);
    }
    row->entries[row->count++] = made;
    return 0;
}

/* Finds the entry, from where the last one was found on. */
static struct entry *entry_find(struct row *row, size_t *at, uint16_t family, struct tly_text dim)
{
    for (size_t i = 0; i < row->count; i++) {
        size_t index = *at + i < row->count ? *at + i : *at + i - row->count;
        if (entry_is(&row->entries[index], family, dim)) {
            *at = index + 1 < row->count ? index + 1 : 0;
            return &row->entries[index];
        }
    }
    return NULL;
}

static int entry_retry(const struct tly_feed *feed, struct entry *entry, struct tly_text labels,
                       struct tly_text dim)
{
    if (!entry->refused || feed->round % RETRY_ROUNDS != 0) {
        return 0;
    }
    int rc = series_of(feed, labels, entry->family, dim, &entry->series, &entry->refused);
    if (rc == 0 && entry->series) {
        tly_history_hold(entry->series);
    }
    return rc;
}

static int set_add(const struct tly_feed *feed, struct row *row, struct tly_text labels,
                   const struct tly_sample_set *set, size_t *at)
{
    const struct tly_sample *samples = tly_sample_set_at(set);
    size_t count = tly_sample_set_count(set);
    for (size_t i = 0; i < count; i++) {
        const struct tly_sample *sample = &samples[i];
        if (!feed->wanted[sample->family]) {
            continue;
        }
        struct tly_text dim = tly_sample_set_dim(set, sample->dim);
        struct entry *entry = entry_find(row, at, sample->family, dim);
        int rc = entry ? entry_retry(feed, entry, labels, dim)
                       : entry_make(feed, row, labels, sample->family, dim);
        if (rc < 0) {
            return rc;
        }
        entry = entry ? entry : &row->entries[row->count - 1];
        entry->round = feed->round;
        if (entry->series) {
            /* A repeated series is left out, as in a scrape. */
            (void)tly_history_add(feed->history, entry->series, sample->raw,
                                  tly_families[sample->family].exponent);
        }
    }
    return 0;
}

/* Ends and drops the entries that this round has not seen. */
static void row_prune(const struct tly_feed *feed, struct row *row)
{
    size_t kept = 0;
    for (size_t i = 0; i < row->count; i++) {
        if (row->entries[i].round == feed->round) {
            row->entries[kept++] = row->entries[i];
        } else {
            entry_done(feed, &row->entries[i], true);
        }
    }
    row->count = kept;
}

static int row_add(struct tly_feed *feed, const struct tly_snapshot_row *from, size_t slots)
{
    struct tly_text labels = from->labels.at ? from->labels : TLY_TEXT("");
    struct row *row = tly_map_get(feed->rows, labels);
    if (!row) {
        row = calloc(1, sizeof(*row));
        int rc = row ? tly_map_put(feed->rows, labels, row, NULL) : -ENOMEM;
        if (rc < 0) {
            free(row);
            return rc;
        }
    }
    row->round = feed->round;
    size_t at = 0;
    for (size_t slot = 0; slot < slots; slot++) {
        if (from->sets[slot]) {
            int rc = set_add(feed, row, labels, from->sets[slot], &at);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

int tly_feed_snapshot(struct tly_feed *feed, const struct tly_snapshot *snapshot)
{
    int rc = 0;
    feed->round++;
    for (size_t i = 0; rc == 0 && i < snapshot->count; i++) {
        rc = row_add(feed, &snapshot->rows[i], snapshot->slots);
    }
    if (rc < 0) {
        return rc; /* without the rest of the rows nothing counts as gone */
    }
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(feed->rows, &at, &entry);) {
        struct row *row = entry.value;
        if (row->round == feed->round) {
            row_prune(feed, row);
        } else {
            (void)tly_map_remove(feed->rows, entry.key); /* it is `row` */
            row_free(feed, row, true);
        }
    }
    tly_history_rehold(feed->history, false);
    return 0;
}
