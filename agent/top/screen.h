/*
 * What the terminal shows and what keys do to it: views, the chosen row, the filter that is being
 * typed. Draws into cells (grid.h), so that tests read whole screens. Pure.
 */
#ifndef TLY_TOP_SCREEN_H
#define TLY_TOP_SCREEN_H

#include "agent/top/grid.h"
#include "agent/top/list.h"
#include "agent/top/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_view {
    TLY_VIEW_CONTAINERS,
    TLY_VIEW_ALERTS,
    TLY_VIEW_FINDINGS,
    TLY_VIEW_LOGS,
    TLY_VIEW_AGENT,
    TLY_VIEW_TABS, /* how many have a number */
    TLY_VIEW_CONTAINER = TLY_VIEW_TABS,
    TLY_VIEW_HELP,
};

/* Keys that are no characters; beyond Unicode. */
enum tly_key {
    TLY_KEY_UP = 0x110000,
    TLY_KEY_DOWN,
    TLY_KEY_LEFT,
    TLY_KEY_RIGHT,
    TLY_KEY_PAGE_UP,
    TLY_KEY_PAGE_DOWN,
    TLY_KEY_HOME,
    TLY_KEY_END,
    TLY_KEY_ENTER,
    TLY_KEY_ESCAPE,
    TLY_KEY_BACKSPACE,
    TLY_KEY_TAB,
    TLY_KEY_BACK_TAB,
};

/* What the caller has to do after a key. */
enum tly_act {
    TLY_ACT_NONE,
    TLY_ACT_QUIT,
    TLY_ACT_ASK, /* another view or container: what it needs is asked for */
};

#define TLY_ID_MAX 32

/* The way to the agent. */
struct tly_contact {
    char place[128];     /* its address */
    char failed[256];    /* why the last question has no answer; empty: it has */
    bool answered;       /* there was an answer at all */
    double age_s;        /* of the last one */
    double clock_skew_s; /* the agent's clock less ours, when it answered */
};

struct tly_screen {
    enum tly_view view, before; /* `before`: where Escape leads */
    struct tly_choice choice;
    char findings_filter[TLY_FILTER_MAX];
    bool typing; /* the filter of the view, of containers or of findings */
    char filter_before[TLY_FILTER_MAX];
    bool held; /* nothing is asked until it is let go */

    size_t *order; /* owned: indices of the containers that are listed, in order */
    size_t order_count;
    char chosen[TLY_ID_MAX];    /* the container's id; empty: whichever is at `cursor` */
    size_t cursor, first;       /* rows of the list */
    size_t scroll;              /* rows of the other views that are above the screen */
    size_t page;                /* rows that the view has on the screen */
    char looked_at[TLY_ID_MAX]; /* the container of the detail view */

    struct tly_contact contact;
    double now; /* Unix time of the agent's clock */
};

void tly_screen_init(struct tly_screen *screen);
void tly_screen_done(struct tly_screen *screen);

/* Puts the list in order, after the model or the choice has changed. Without memory it is empty
 * until the next time. */
void tly_screen_arrange(struct tly_screen *screen, const struct tly_top_model *model);

/* A character or an enum tly_key. */
enum tly_act tly_screen_key(struct tly_screen *screen, const struct tly_top_model *model,
                            uint32_t key);

/* Draws everything anew into a blank grid. */
void tly_screen_draw(struct tly_screen *screen, const struct tly_top_model *model,
                     struct tly_grid *grid);

#endif
