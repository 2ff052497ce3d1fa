/*
 * Any bytes as each of the agent's answers that `tallyman top` reads, and every view and the text
 * drawn of what came of it: whatever types it has, nothing crashes, and no control character is
 * left.
 */
#include "agent/top/plain.h"
#include "agent/top/screen.h"

#include <stdlib.h>

#define TEXT_MAX (16U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_all(struct tly_top_model *model, struct tly_text body)
{
    int (*const takers[])(struct tly_top_model *, struct tly_text, struct tly_error *) = {
        tly_top_model_overview, tly_top_model_alerts, tly_top_model_findings,
        tly_top_model_detail,   tly_top_model_events, tly_top_model_detail_findings,
    };
    for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
        struct tly_error err;
        if (takers[i](model, body, &err) > 0) {
            abort();
        }
    }
    if (tly_top_model_history(model, TLY_TEXT("1111111111111111"), body, NULL) > 0) {
        abort();
    }
    tly_top_model_judge(model);
}

static void check_safe(struct tly_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if ((byte < ' ' && byte != '\n') || byte == 0x7f) {
            abort();
        }
    }
    if (tly_text_utf8_prefix(text) != text.len) {
        abort();
    }
}

static void draw_all(struct tly_screen *screen, const struct tly_top_model *model,
                     struct tly_buf *buf)
{
    struct tly_grid grid;
    for (enum tly_view view = TLY_VIEW_CONTAINERS; view <= TLY_VIEW_HELP; view++) {
        if (tly_grid_init(&grid, 80, 24, view % 2 == 0) < 0) {
            return;
        }
        screen->view = view;
        tly_screen_draw(screen, model, &grid);
        tly_buf_clear(buf);
        for (size_t row = 0; row < grid.height; row++) {
            if (tly_grid_text(&grid, row, buf) < 0) {
                break;
            }
        }
        check_safe(tly_buf_text(buf));
        tly_grid_done(&grid);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_top_model model;
    struct tly_screen screen;
    struct tly_buf buf;
    tly_top_model_init(&model);
    tly_screen_init(&screen);
    tly_buf_init(&buf, TEXT_MAX);
    take_all(&model, (struct tly_text){(const char *)data, size});
    tly_screen_arrange(&screen, &model);
    (void)tly_screen_key(&screen, &model, TLY_KEY_ENTER); /* which container is looked at */
    draw_all(&screen, &model, &buf);
    tly_buf_clear(&buf);
    if (tly_top_plain(&screen, &model, false, &buf) == 0) {
        check_safe(tly_buf_text(&buf));
    }
    tly_buf_done(&buf);
    tly_screen_done(&screen);
    tly_top_model_done(&model);
    return 0;
}
