/*
 * Whole screens, at several widths, and what keys do to them.
 */
#include "agent/base/file.h"
#include "agent/top/plain.h"
#include "agent/top/screen.h"
#include "tests/unit/top/house.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <locale.h>

static struct tly_top_model model;
static struct tly_screen screen;
static struct tly_buf shown;

static int setup(void **state)
{
    (void)state;
    tly_top_model_init(&model);
    tly_screen_init(&screen);
    tly_buf_init(&shown, 1 << 20);
    assert_int_equal(tly_top_model_overview(&model, tly_text_of(overview_json), NULL), 0);
    assert_int_equal(tly_top_model_alerts(&model, tly_text_of(alerts_json), NULL), 0);
    tly_top_model_judge(&model);
    screen.contact.answered = true;
    screen.now = model.time;
    tly_screen_arrange(&screen, &model);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tly_screen_done(&screen);
    tly_top_model_done(&model);
    tly_buf_done(&shown);
    return 0;
}

/* Draws it, as lines of text. */
static const char *draw(size_t width, size_t height, bool ascii)
{
    struct tly_grid grid;
    assert_int_equal(tly_grid_init(&grid, width, height, ascii), 0);
    tly_screen_draw(&screen, &model, &grid);
    tly_buf_clear(&shown);
    for (size_t row = 0; row < height; row++) {
        assert_int_equal(tly_grid_text(&grid, row, &shown), 0);
        assert_int_equal(tly_buf_append(&shown, "\n", 1), 0);
    }
    assert_int_equal(tly_buf_append(&shown, "", 1), 0);
    tly_grid_done(&grid);
    return shown.at;
}

/* Compares with screens/NAME.txt, and prints what is there instead. */
static void expect_file(const char *name, struct tly_text text)
{
    char path[512];
    struct tly_buf expected;
    tly_buf_init(&expected, 1 << 20);
    (void)snprintf(path, sizeof(path), "%s/%s.txt", SCREENS, name);
    int rc = tly_file_read(AT_FDCWD, path, &expected);
    bool same = rc == 0 && tly_text_equal(text, tly_buf_text(&expected));
    tly_buf_done(&expected);
    if (!same) {
        (void)printf("---- %s ----\n%.*s---- end ----\n", name, (int)text.len, text.at);
        fail_msg("not what %s has", path);
    }
}

static void expect_screen(size_t width, size_t height, bool ascii, const char *name)
{
    expect_file(name, tly_text_of(draw(width, height, ascii)));
}

static void expect_shown(const char *part)
{
    if (!strstr(draw(80, 24, false), part)) {
        fail_msg("\"%s\" is not on the screen:\n%s", part, shown.at);
    }
}

static void press(const char *keys)
{
    for (; *keys; keys++) {
        enum tly_act act = tly_screen_key(&screen, &model, (unsigned char)*keys);
        assert_true(act != TLY_ACT_QUIT);
    }
}

static void test_whole_screens(void **state)
{
    (void)state;
    expect_screen(80, 24, false, "containers-80x24");
    expect_screen(60, 10, true, "containers-60x10-ascii");
    expect_screen(160, 20, false, "containers-160x20");
    screen.choice.sort = TLY_SORT_DISK;
    tly_screen_arrange(&screen, &model);
    expect_screen(80, 24, false, "by-disk-80x24"); /* the column that it is sorted by is there */
    press("2");
    expect_screen(80, 24, false, "alerts-80x24");
    press("4");
    expect_screen(80, 30, false, "logs-80x30");
    press("5");
    expect_screen(130, 40, false, "agent-130x40");
}

/* However small it is, nothing is drawn outside. */
static void test_every_size(void **state)
{
    (void)state;
    for (size_t width = 1; width < 200; width += 7) {
        for (size_t height = 1; height < 40; height += 3) {
            for (enum tly_view view = TLY_VIEW_CONTAINERS; view <= TLY_VIEW_HELP; view++) {
                screen.view = view;
                (void)draw(width, height, false);
            }
        }
    }
}

static void test_agent_gone(void **state)
{
    (void)state;
    screen.contact = (struct tly_contact){
        .failed = "Connection refused", .answered = true, .age_s = 75};
    expect_shown("!! No answer for 1 min 15 s, trying again");
    expect_shown("The agent does not answer: Connection refused");
    expect_shown("web"); /* what was known stays in sight */
    screen.contact.failed[0] = '\0';
    screen.held = true;
    expect_shown("! Held for 1 min 15 s");
}

static void test_nothing_known(void **state)
{
    struct tly_top_model empty;
    struct tly_grid grid;
    (void)state;
    tly_top_model_init(&empty);
    tly_screen_arrange(&screen, &empty);
    for (enum tly_view view = TLY_VIEW_CONTAINERS; view <= TLY_VIEW_HELP; view++) {
        screen.view = view;
        assert_int_equal(tly_grid_init(&grid, 80, 24, false), 0);
        tly_screen_draw(&screen, &empty, &grid);
        tly_grid_done(&grid);
        (void)tly_screen_key(&screen, &empty, TLY_KEY_DOWN);
        (void)tly_screen_key(&screen, &empty, TLY_KEY_ENTER);
    }
}

static void test_views(void **state)
{
    (void)state;
    press("2");
    expect_shown("!! Down (critical) \u00b7 web, for 2 min");
    expect_shown("      it is slow");
    expect_shown("      job=a");
    expect_shown("Pending: 1");
    press("3");
    expect_shown("Waiting for the audit.");
    assert_int_equal(tly_top_model_findings(&model, tly_text_of(findings_json), NULL), 0);
    expect_shown("!! privileged (critical) CIS 5.4 \u00b7 1");
    expect_shown("   no_limits (low) CIS 5.11 \u00b7 2");
    expect_shown("      Store, web");
    expect_shown("      Add --memory.");
    expect_shown("7 more are not shown");
    press("4");
    expect_shown("one:24224 (down)");
    expect_shown("not connected");
    expect_shown("Store                            1 min 15 s behind, 4.00 KiB not read yet");
    press("5");
    expect_shown("Version               0.1.0");
    assert_int_equal(tly_screen_key(&screen, &model, TLY_KEY_END), TLY_ACT_NONE);
    expect_shown("!  CAP_SYS_PTRACE");
    expect_shown("Groups of metrics that are off: system_df.");
    press("?");
    expect_shown("Keys and words");
    assert_int_equal(tly_screen_key(&screen, &model, TLY_KEY_ESCAPE), TLY_ACT_ASK);
    assert_int_equal(screen.view, TLY_VIEW_AGENT);
    assert_int_equal(tly_screen_key(&screen, &model, 'q'), TLY_ACT_QUIT);
}

static void test_detail(void **state)
{
    (void)state;
    (void)setenv("TZ", "UTC", 1);
    press("/web");
    assert_int_equal(tly_screen_key(&screen, &model, TLY_KEY_ENTER), TLY_ACT_NONE);
    assert_int_equal(tly_screen_key(&screen, &model, TLY_KEY_ENTER), TLY_ACT_ASK);
    assert_int_equal(screen.view, TLY_VIEW_CONTAINER);
    expect_text(tly_text_of(screen.looked_at), ID("1"));
    assert_int_equal(tly_top_model_detail(&model, tly_text_of(detail_json), NULL), 0);
    assert_int_equal(tly_top_model_events(&model, tly_text_of(events_json), NULL), 0);
    assert_int_equal(tly_top_model_detail_findings(&model, tly_text_of(findings_json), NULL), 0);
    assert_int_equal(
        tly_top_model_history(&model, TLY_TEXT(ID("1")), tly_text_of(history_json), NULL), 0);
    const char *text = draw(140, 60, false);
    const char *const parts[] = {
        "!! web\n",
        "Running, healthy\n",
        "Image nginx:1.25 \u00b7 Project shop \u00b7 Id 111111111111 \u00b7 Up 1 h",
        "Now, and the last 1 min 30 s",
        "20 % of its limit of 512 MiB",
        "received 1.00 MiB/s, sent 2.00 KiB/s",
        "\u2583 \u2588\u2584", /* 0.1, unknown, 0.3, and 0.1234 now */
        "!! Down (critical), for 2 min",
        "30 s ago              ended, exit code 137",
        "1 h ago               joined network bridge",
        "1 h ago               health: unhealthy",
        "Memory limit          512 MiB",
        "User                  root",
        "Started               2026-08-23 11:00:00 UTC",
        "k=?[2J",
        "container_network_receive_bytes_total interface=eth0  9",
    };
    for (size_t i = 0; i < ROWS(parts); i++) {
        if (!strstr(text, parts[i])) {
            fail_msg("\"%s\" is not on the screen:\n%s", parts[i], text);
        }
    }
    assert_int_equal(tly_screen_key(&screen, &model, TLY_KEY_ESCAPE), TLY_ACT_ASK);
    assert_int_equal(screen.view, TLY_VIEW_CONTAINERS);
    assert_int_equal(screen.order_count, 1); /* the filter is as it was */
    /* It is removed while it is looked at. */
    (void)tly_screen_key(&screen, &model, TLY_KEY_ENTER);
    assert_int_equal(tly_top_model_overview(&model, TLY_TEXT("{\"containers\":[]}"), NULL), 0);
    tly_top_model_judge(&model);
    tly_screen_arrange(&screen, &model);
    expect_shown("This container is not here any more");
}

/* The cursor goes with its container, and stays at the top otherwise. */
static void test_cursor(void **state)
{
    (void)state;
    press("N");
    assert_int_equal(screen.cursor, 0);
    press("jj");
    expect_text(tly_text_of(screen.chosen), ID("3"));
    screen.choice.reverse = true;
    tly_screen_arrange(&screen, &model);
    assert_int_equal(screen.cursor, 2);
    screen.choice.sort = TLY_SORT_CPU;
    tly_screen_arrange(&screen, &model);
    expect_text(model.containers[screen.order[screen.cursor]].id, ID("3"));
    press("g");
    assert_int_equal(screen.cursor, 0);
    expect_text(tly_text_of(screen.chosen), "");
    press("G");
    assert_int_equal(screen.cursor, 4);
    press("jjj");
    assert_int_equal(screen.cursor, 4);
    press("kkkkkkkkk");
    assert_int_equal(screen.cursor, 0);
}

static void test_filter(void **state)
{
    (void)state;
    press("/shop");
    expect_shown("Filter: shop_");
    assert_int_equal(screen.order_count, 2);
    press(" q"); /* a letter of the filter, not the end */
    assert_int_equal(screen.order_count, 0);
    expect_shown("No container fits");
    (void)tly_screen_key(&screen, &model, TLY_KEY_BACKSPACE);
    (void)tly_screen_key(&screen, &model, TLY_KEY_ENTER);
    expect_shown("by attention, /shop ");
    press("/");
    press("x");
    (void)tly_screen_key(&screen, &model, TLY_KEY_ESCAPE); /* as it was before */
    expect_shown("by attention, /shop ");
    (void)tly_screen_key(&screen, &model, TLY_KEY_ESCAPE); /* all again */
    assert_int_equal(screen.order_count, 5);
    press("aaa");
    expect_shown("by attention, only stopped ");
    press("rs");
    expect_shown("by name, only stopped ");
    for (int i = 0; i < 2 * TLY_FILTER_MAX; i++) {
        press(i == 0 ? "/" : "y");
    }
    (void)tly_screen_key(&screen, &model, 0x6f22);
    (void)tly_screen_key(&screen, &model, 'U' - '@');
    expect_text(tly_text_of(screen.choice.filter), "");
}

static bool is_shown(const char *text)
{
    return strstr(draw(80, 24, false), text) != NULL;
}

/* Findings have a filter of their own. */
static void test_filter_of_findings(void **state)
{
    (void)state;
    assert_int_equal(tly_top_model_findings(&model, tly_text_of(findings_json), NULL), 0);
    press("/shop");
    (void)tly_screen_key(&screen, &model, TLY_KEY_ENTER);
    press("3");
    expect_shown("1-5 views  / filter");
    press("/STORE lim");
    expect_shown("Filter: STORE lim_");
    expect_shown("   no_limits (low) CIS 5.11 \u00b7 1");
    expect_shown("      Store\n");
    assert_false(is_shown("privileged"));
    (void)tly_screen_key(&screen, &model, TLY_KEY_ENTER);
    expect_shown("/STORE lim  Esc all");
    press("/");
    press(" none");
    expect_shown("No finding fits");
    (void)tly_screen_key(&screen, &model, TLY_KEY_ESCAPE); /* as it was before */
    expect_shown("/STORE lim ");
    (void)tly_screen_key(&screen, &model, TLY_KEY_ESCAPE);
    expect_shown("no_limits (low) CIS 5.11 \u00b7 2");
    press("/critical");
    expect_shown("privileged (critical)");
    assert_false(is_shown("no_limits"));
    (void)tly_screen_key(&screen, &model, TLY_KEY_ENTER);
    press("1");
    expect_shown("by attention, /shop ");
    press("2/"); /* a view without one */
    expect_shown("1-5 views  up/down");
}

static void test_plain(void **state)
{
    (void)state;
    tly_buf_clear(&shown);
    assert_int_equal(tly_top_plain(&screen, &model, false, &shown), 0);
    expect_file("plain", tly_buf_text(&shown));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole_screens), TEST(test_every_size), TEST(test_agent_gone),
        TEST(test_nothing_known), TEST(test_views),      TEST(test_detail),
        TEST(test_cursor),        TEST(test_filter),     TEST(test_filter_of_findings),
        TEST(test_plain),
    };
    if (!setlocale(LC_CTYPE, "C.UTF-8")) {
        return 77; /* a skip: this system has no UTF-8 */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
