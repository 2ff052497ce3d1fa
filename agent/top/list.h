/*
 * The table of containers: which of them, in which order, and its columns; the status page's own
 * (dashboards/status/status.js: SORTS, SHOWS, COLUMNS). Pure.
 */
#ifndef TLY_TOP_LIST_H
#define TLY_TOP_LIST_H

#include "agent/base/text.h"
#include "agent/top/model.h"

#include <stdbool.h>
#include <stddef.h>

/* By names as options and screens have them: tly_sort_names. */
enum tly_sort {
    TLY_SORT_ATTENTION,
    TLY_SORT_NAME,
    TLY_SORT_STATE,
    TLY_SORT_CPU,
    TLY_SORT_MEMORY,
    TLY_SORT_NET,
    TLY_SORT_DISK,
    TLY_SORT_RESTARTS,
    TLY_SORT_LAG,
    TLY_SORT_FAILED,
    TLY_SORT_COUNT,
};

enum tly_show {
    TLY_SHOW_ALL,
    TLY_SHOW_ATTENTION,
    TLY_SHOW_RUNNING,
    TLY_SHOW_STOPPED,
    TLY_SHOW_UNHEALTHY,
    TLY_SHOW_COUNT,
};

extern const char *const tly_sort_names[TLY_SORT_COUNT + 1]; /* end in NULL */
extern const char *const tly_show_names[TLY_SHOW_COUNT + 1];

#define TLY_FILTER_MAX 128

/* Whether each of the words, apart by blanks, is somewhere in one of the texts; in either case of
 * ASCII. No words fit everything. */
bool tly_words_fit(const char *words, const struct tly_text *texts, size_t count);

struct tly_choice {
    enum tly_sort sort; /* numbers from most to least, texts from A on, what is worst first */
    bool reverse;
    enum tly_show show;
    char filter[TLY_FILTER_MAX]; /* words that all have to be somewhere in a row */
};

/* Writes the indices of those that fit, in order, to `to`, which has room for all; how many. What
 * is not known comes last in either direction. */
size_t tly_list_make(const struct tly_top_model *model, const struct tly_choice *choice,
                     size_t *to);
/* How many a choice shows, whatever the filter. */
size_t tly_list_count(const struct tly_top_model *model, enum tly_show show);

#define TLY_CELL_MAX 512

struct tly_column {
    const char *title;
    size_t width;  /* at least */
    size_t most;   /* it may grow to; 0: it does not */
    bool right;    /* figures */
    bool optional; /* not shown where nobody knows any */
    int order;     /* of importance: the lowest are shown first */
    int sort;      /* enum tly_sort that it is sorted by, or -1 */
    /* Writes the text (UTF-8, not made safe) and returns its style (enum tly_style). */
    unsigned (*write)(const struct tly_top_model *model, const struct tly_top_container *container,
                      char to[TLY_CELL_MAX]);
};

#define TLY_COLUMN_COUNT 17
extern const struct tly_column tly_columns[TLY_COLUMN_COUNT];
/* Which of the columns nobody knows anything of. */
void tly_columns_empty(const struct tly_top_model *model, bool ret_empty[TLY_COLUMN_COUNT]);

/* "Exited (137)" */
void tly_state_words(const struct tly_top_container *container, char to[TLY_CELL_MAX]);

#endif
