/* The lists that storages fill. They belong to the evaluator, which uses them again and again. */
#include "agent/rules/storage.h"

#include <errno.h>
#include <stdlib.h>

#define CAP_FIRST 64

int tly_series_list_add(struct tly_series_list *list, struct tly_labels labels, void *handle)
{
    if (list->count == list->max) {
        return TLY_E_LIMIT;
    }
    if (list->count == list->cap) {
        size_t cap = list->cap > 0 ? list->cap * 2 : CAP_FIRST;
        struct tly_series *at = realloc(list->at, cap * sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        list->at = at;
        list->cap = cap;
    }
    list->at[list->count++] = (struct tly_series){labels, handle};
    return 0;
}

int tly_points_add(struct tly_points *points, struct tly_point point)
{
    if (points->count == points->cap) {
        size_t cap = points->cap > 0 ? points->cap * 2 : CAP_FIRST;
        struct tly_point *at = realloc(points->at, cap * sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        points->at = at;
        points->cap = cap;
    }
    points->at[points->count++] = point;
    return 0;
}

void tly_points_done(struct tly_points *points)
{
    free(points->at);
    *points = (struct tly_points){NULL, 0, 0};
}
