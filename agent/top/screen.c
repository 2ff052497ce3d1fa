/*
 * What keys do; see screen.h.
 */
#include "agent/top/screen.h"

#include "agent/top/glyph.h"

#include <stdlib.h>
#include <string.h>

void tly_screen_init(struct tly_screen *screen)
{
    *screen = (struct tly_screen){.now = NAN, .page = 1};
}

void tly_screen_done(struct tly_screen *screen)
{
    free(screen->order);
    tly_screen_init(screen);
}

/* ---- the list ---- */

static void id_copy(char to[TLY_ID_MAX], struct tly_text id)
{
    size_t len = id.len < TLY_ID_MAX ? id.len : TLY_ID_MAX - 1;
    memcpy(to, id.at, len);
    to[len] = '\0';
}

static const struct tly_top_container *at_cursor(const struct tly_screen *screen,
                                                 const struct tly_top_model *model)
{
    return screen->cursor < screen->order_count ? &model->containers[screen->order[screen->cursor]]
                                                : NULL;
}

void tly_screen_arrange(struct tly_screen *screen, const struct tly_top_model *model)
{
    size_t room = model->container_count > 0 ? model->container_count : 1;
    size_t *order = reallocarray(screen->order, room, sizeof(*order));
    screen->order_count = 0;
    if (!order) {
        return;
    }
    screen->order = order;
    screen->order_count = tly_list_make(model, &screen->choice, order);
    for (size_t i = 0; *screen->chosen && i < screen->order_count; i++) {
        struct tly_text id = model->containers[order[i]].id;
        if (tly_text_equal(id, tly_text_of(screen->chosen))) {
            screen->cursor = i;
            return;
        }
    }
    if (screen->cursor >= screen->order_count) {
        screen->cursor = screen->order_count > 0 ? screen->order_count - 1 : 0;
    }
}

/* At the top it stays with the row, so that the first is always chosen; elsewhere it goes with the
 * container. */
static void choose(struct tly_screen *screen, const struct tly_top_model *model, size_t row)
{
    size_t last = screen->order_count > 0 ? screen->order_count - 1 : 0;
    screen->cursor = row < last ? row : last;
    screen->chosen[0] = '\0';
    const struct tly_top_container *container = at_cursor(screen, model);
    if (container && screen->cursor > 0) {
        id_copy(screen->chosen, container->id);
    }
}

static void rearrange(struct tly_screen *screen, const struct tly_top_model *model, bool to_top)
{
    if (to_top) {
        screen->chosen[0] = '\0';
        screen->cursor = 0;
    }
    tly_screen_arrange(screen, model);
}

/* ---- the filter ---- */

/* The view's own; NULL: it has none. */
static char *filter_of(struct tly_screen *screen)
{
    return screen->view == TLY_VIEW_CONTAINERS ? screen->choice.filter
           : screen->view == TLY_VIEW_FINDINGS ? screen->findings_filter
                                               : NULL;
}

static void filter_begin(struct tly_screen *screen)
{
    const char *filter = filter_of(screen);
    if (filter) {
        memcpy(screen->filter_before, filter, sizeof(screen->filter_before));
        screen->typing = true;
    }
}

static void filter_end(struct tly_screen *screen, char *filter)
{
    size_t len = strlen(filter);
    while (len > 0 && filter[len - 1] == ' ') {
        filter[--len] = '\0';
    }
    screen->typing = false;
}

static void filter_type(char *filter, uint32_t key)
{
    char bytes[TLY_GLYPH_BYTES_MAX];
    size_t len = strlen(filter);
    size_t more = tly_glyph_write(key, bytes);
    if (key >= ' ' && key != 0x7f && len + more < TLY_FILTER_MAX) {
        memcpy(filter + len, bytes, more);
        filter[len + more] = '\0';
    }
}

static void filter_shorten(char *filter)
{
    size_t len = strlen(filter);
    while (len > 0 && ((unsigned char)filter[len - 1] & 0xc0) == 0x80) {
        len--; /* the rest of a character */
    }
    filter[len > 0 ? len - 1 : 0] = '\0';
}

static enum tly_act key_of_filter(struct tly_screen *screen, const struct tly_top_model *model,
                                  uint32_t key)
{
    char *filter = filter_of(screen);
    switch (key) {
    case TLY_KEY_ENTER:
    case TLY_KEY_UP:
    case TLY_KEY_DOWN:
        filter_end(screen, filter);
        return TLY_ACT_NONE;
    case TLY_KEY_ESCAPE:
        memcpy(filter, screen->filter_before, sizeof(screen->filter_before));
        filter_end(screen, filter);
        break;
    case TLY_KEY_BACKSPACE:
        filter_shorten(filter);
        break;
    case 'U' - '@': /* Ctrl-U, as line editors have it */
        filter[0] = '\0';
        break;
    default:
        if (key < TLY_KEY_UP) {
            filter_type(filter, key);
        }
    }
    screen->scroll = 0;
    rearrange(screen, model, true);
    return TLY_ACT_NONE;
}

/* ---- places ---- */

static enum tly_act go(struct tly_screen *screen, enum tly_view view)
{
    if (view >= TLY_VIEW_TABS && screen->view < TLY_VIEW_TABS) {
        screen->before = screen->view;
    }
    screen->view = view;
    screen->scroll = 0;
    return TLY_ACT_ASK;
}

static enum tly_act open_chosen(struct tly_screen *screen, const struct tly_top_model *model)
{
    const struct tly_top_container *container = at_cursor(screen, model);
    if (!container) {
        return TLY_ACT_NONE;
    }
    id_copy(screen->chosen, container->id);
    id_copy(screen->looked_at, container->id);
    return go(screen, TLY_VIEW_CONTAINER);
}

static enum tly_act escape(struct tly_screen *screen, const struct tly_top_model *model)
{
    if (screen->view >= TLY_VIEW_TABS) {
        return go(screen, screen->before);
    }
    if (screen->view == TLY_VIEW_CONTAINERS &&
        (*screen->choice.filter || screen->choice.show != TLY_SHOW_ALL)) {
        screen->choice.filter[0] = '\0';
        screen->choice.show = TLY_SHOW_ALL;
        rearrange(screen, model, false);
    }
    if (screen->view == TLY_VIEW_FINDINGS) {
        screen->findings_filter[0] = '\0';
    }
    return TLY_ACT_NONE;
}

/* ---- moving ---- */

/* Up and down, by rows: the list's cursor, or what the other views show. */
static void move(struct tly_screen *screen, const struct tly_top_model *model, long by)
{
    size_t *at = screen->view == TLY_VIEW_CONTAINERS ? &screen->cursor : &screen->scroll;
    size_t to = by < 0 && (size_t)-by > *at ? 0 : *at + (size_t)by;
    if (screen->view == TLY_VIEW_CONTAINERS) {
        choose(screen, model, to);
    } else {
        screen->scroll = to; /* drawing knows where the end is */
    }
}

static bool key_of_moving(struct tly_screen *screen, const struct tly_top_model *model,
                          uint32_t key)
{
    const long page = screen->page > 1 ? (long)screen->page - 1 : 1;
    const long all = 1 << 20;
    switch (key) {
    case TLY_KEY_UP:
    case 'k':
        move(screen, model, -1);
        return true;
    case TLY_KEY_DOWN:
    case 'j':
        move(screen, model, 1);
        return true;
    case TLY_KEY_PAGE_UP:
    case 'B' - '@':
        move(screen, model, -page);
        return true;
    case TLY_KEY_PAGE_DOWN:
    case 'F' - '@':
        move(screen, model, page);
        return true;
    case TLY_KEY_HOME:
    case 'g':
        move(screen, model, -all);
        return true;
    case TLY_KEY_END:
    case 'G':
        move(screen, model, all);
        return true;
    default:
        return false;
    }
}

/* ---- the order ---- */

static void sort_by(struct tly_screen *screen, const struct tly_top_model *model,
                    enum tly_sort sort)
{
    screen->choice.reverse = screen->choice.sort == sort ? !screen->choice.reverse : false;
    screen->choice.sort = sort;
    rearrange(screen, model, true);
}

static bool key_of_order(struct tly_screen *screen, const struct tly_top_model *model, uint32_t key)
{
    static const struct {
        char key;
        enum tly_sort sort;
    } letters[] = {
        {'A', TLY_SORT_ATTENTION}, {'N', TLY_SORT_NAME},   {'T', TLY_SORT_STATE},
        {'P', TLY_SORT_CPU},       {'C', TLY_SORT_CPU},    {'M', TLY_SORT_MEMORY},
        {'E', TLY_SORT_NET},       {'D', TLY_SORT_DISK},   {'R', TLY_SORT_RESTARTS},
        {'L', TLY_SORT_LAG},       {'F', TLY_SORT_FAILED},
    };
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (key == (unsigned char)letters[i].key) {
            sort_by(screen, model, letters[i].sort);
            return true;
        }
    }
    switch (key) {
    case 's':
    case TLY_KEY_RIGHT:
        screen->choice.sort = (screen->choice.sort + 1) % TLY_SORT_COUNT;
        break;
    case 'S':
    case TLY_KEY_LEFT:
        screen->choice.sort = (screen->choice.sort + TLY_SORT_COUNT - 1) % TLY_SORT_COUNT;
        break;
    case 'r':
        screen->choice.reverse = !screen->choice.reverse;
        rearrange(screen, model, true);
        return true;
    case 'a':
        screen->choice.show = (screen->choice.show + 1) % TLY_SHOW_COUNT;
        rearrange(screen, model, true);
        return true;
    default:
        return false;
    }
    screen->choice.reverse = false;
    rearrange(screen, model, true);
    return true;
}

/* ---- all keys ---- */

static enum tly_act key_of_list(struct tly_screen *screen, const struct tly_top_model *model,
                                uint32_t key)
{
    if (key == TLY_KEY_ENTER) {
        return open_chosen(screen, model);
    }
    (void)key_of_order(screen, model, key); /* or it means nothing */
    return TLY_ACT_NONE;
}

enum tly_act tly_screen_key(struct tly_screen *screen, const struct tly_top_model *model,
                            uint32_t key)
{
    if (screen->typing) {
        return key_of_filter(screen, model, key);
    }
    if (key >= '1' && key < '1' + TLY_VIEW_TABS) {
        return go(screen, (enum tly_view)(key - '1'));
    }
    switch (key) {
    case 'q':
        return TLY_ACT_QUIT;
    case '?':
    case 'h':
        return screen->view == TLY_VIEW_HELP ? escape(screen, model) : go(screen, TLY_VIEW_HELP);
    case '/':
        filter_begin(screen);
        return TLY_ACT_NONE;
    case ' ':
        screen->held = !screen->held;
        return screen->held ? TLY_ACT_NONE : TLY_ACT_ASK;
    case TLY_KEY_ESCAPE:
    case TLY_KEY_BACKSPACE:
        return escape(screen, model);
    case TLY_KEY_TAB:
        return go(screen, screen->view < TLY_VIEW_TABS ? (screen->view + 1) % TLY_VIEW_TABS
                                                       : screen->before);
    case TLY_KEY_BACK_TAB:
        return go(screen, screen->view < TLY_VIEW_TABS
                              ? (screen->view + TLY_VIEW_TABS - 1) % TLY_VIEW_TABS
                              : screen->before);
    default:
        break;
    }
    if (key_of_moving(screen, model, key)) {
        return TLY_ACT_NONE;
    }
    if (screen->view == TLY_VIEW_CONTAINERS) {
        return key_of_list(screen, model, key);
    }
    return screen->view == TLY_VIEW_CONTAINER && key == TLY_KEY_LEFT ? escape(screen, model)
                                                                     : TLY_ACT_NONE;
}
