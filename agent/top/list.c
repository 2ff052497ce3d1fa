/*
 * Which containers, in which order; see list.h.
 */
#include "agent/top/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const tly_sort_names[TLY_SORT_COUNT + 1] = {
    "attention", "name", "state", "cpu", "memory", "net", "disk", "restarts", "lag", "failed",
};

const char *const tly_show_names[TLY_SHOW_COUNT + 1] = {
    "all", "attention", "running", "stopped", "unhealthy",
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(struct tly_text text, struct tly_text word)
{
    for (size_t at = 0; at + word.len <= text.len; at++) {
        size_t same = 0;
        while (same < word.len && lower(text.at[at + same]) == lower(word.at[same])) {
            same++;
        }
        if (same == word.len) {
            return true;
        }
    }
    return false;
}

bool tly_words_fit(const char *words, const struct tly_text *texts, size_t count)
{
    for (struct tly_text rest = tly_text_of(words); rest.at;) {
        struct tly_text word = tly_text_trim(tly_text_cut(&rest, ' '));
        bool found = word.len == 0;
        for (size_t i = 0; i < count && !found; i++) {
            found = contains(texts[i], word);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool fits_filter(const struct tly_top_container *container, const char *filter)
{
    const struct tly_text texts[] = {container->name, container->image, container->project,
                                     container->id,   container->state, container->health};
    return tly_words_fit(filter, texts, sizeof(texts) / sizeof(texts[0]));
}

static bool fits_show(const struct tly_top_container *container, enum tly_show show)
{
    switch (show) {
    case TLY_SHOW_ATTENTION:
        return container->level > TLY_LEVEL_OK;
    case TLY_SHOW_RUNNING:
        return tly_top_runs(container);
    case TLY_SHOW_STOPPED:
        return !tly_top_runs(container);
    case TLY_SHOW_UNHEALTHY:
        return tly_text_equal(container->health, TLY_TEXT("unhealthy"));
    case TLY_SHOW_ALL:
    case TLY_SHOW_COUNT:
        break;
    }
    return true;
}

size_t tly_list_count(const struct tly_top_model *model, enum tly_show show)
{
    size_t count = 0;
    for (size_t i = 0; i < model->container_count; i++) {
        count += fits_show(&model->containers[i], show) ? 1 : 0;
    }
    return count;
}

/* ---- order ---- */

/* The sum of two figures, of which one alone may be known. */
static double sum_of(double a, double b)
{
    if (!tly_known(a) && !tly_known(b)) {
        return NAN;
    }
    return (tly_known(a) ? a : 0) + (tly_known(b) ? b : 0);
}

static double key_of(const struct tly_top_container *container, enum tly_sort sort)
{
    const double *figures = container->figures;
    switch (sort) {
    case TLY_SORT_ATTENTION:
        return (double)container->level;
    case TLY_SORT_CPU:
        return figures[TLY_FIGURE_CPU];
    case TLY_SORT_MEMORY:
        return figures[TLY_FIGURE_MEMORY];
    case TLY_SORT_NET:
        return sum_of(figures[TLY_FIGURE_RECEIVED], figures[TLY_FIGURE_SENT]);
    case TLY_SORT_DISK:
        return sum_of(figures[TLY_FIGURE_READ], figures[TLY_FIGURE_WRITTEN]);
    case TLY_SORT_RESTARTS:
        return figures[TLY_FIGURE_RESTARTS];
    case TLY_SORT_LAG:
        return figures[TLY_FIGURE_LAG_SECONDS];
    case TLY_SORT_FAILED:
        return figures[TLY_FIGURE_FAILED];
    case TLY_SORT_NAME:
    case TLY_SORT_STATE:
    case TLY_SORT_COUNT:
        break;
    }
    return 0;
}

static int compare_bytes(struct tly_text a, struct tly_text b, bool fold)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : fold ? strncasecmp(a.at, b.at, len) : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

struct order {
    const struct tly_top_model *model;
    const struct tly_choice *choice;
};

static int compare_texts(const struct tly_top_container *a, const struct tly_top_container *b,
                         enum tly_sort sort)
{
    if (sort == TLY_SORT_NAME) {
        return compare_bytes(tly_top_name(a), tly_top_name(b), true);
    }
    if (sort == TLY_SORT_STATE) {
        int order = compare_bytes(a->state, b->state, false);
        return order != 0 ? order : compare_bytes(a->health, b->health, false);
    }
    return 0;
}

static int compare(const void *left, const void *right, void *arg)
{
    const struct order *by = arg;
    const struct tly_top_container *a = &by->model->containers[*(const size_t *)left];
    const struct tly_top_container *b = &by->model->containers[*(const size_t *)right];
    const double x = key_of(a, by->choice->sort);
    const double y = key_of(b, by->choice->sort);
    if (tly_known(x) != tly_known(y)) {
        return tly_known(x) ? -1 : 1;
    }
    int order = x > y ? -1 : x < y ? 1 : compare_texts(a, b, by->choice->sort);
    if (order != 0) {
        return by->choice->reverse ? -order : order;
    }
    order = compare_bytes(tly_top_name(a), tly_top_name(b), false);
    return order != 0 ? order : compare_bytes(a->id, b->id, false);
}

size_t tly_list_make(const struct tly_top_model *model, const struct tly_choice *choice, size_t *to)
{
    struct order by = {model, choice};
    size_t count = 0;
    for (size_t i = 0; i < model->container_count; i++) {
        if (fits_show(&model->containers[i], choice->show) &&
            fits_filter(&model->containers[i], choice->filter)) {
            to[count++] = i;
        }
    }
    if (count > 0) {
        qsort_r(to, count, sizeof(*to), compare, &by);
    }
    return count;
}
