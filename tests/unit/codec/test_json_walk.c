/*
 * Walking through JSON: the same events however it was cut into pieces; what is no JSON is refused
 * where it goes wrong; strings are cut, depth is bounded.
 */
#include "agent/base/buf.h"
#include "agent/codec/json_walk.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct tly_buf told;

static void note(void *arg, const struct tly_json_walk_event *event)
{
    static const char marks[] = "{}[]ks#tfn";
    (void)arg;
    assert_int_equal(tly_buf_printf(&told, "%c%zu", marks[event->type], event->depth), 0);
    if (event->type == TLY_JSON_WALK_KEY || event->type == TLY_JSON_WALK_STRING ||
        event->type == TLY_JSON_WALK_NUMBER) {
        assert_int_equal(tly_buf_printf(&told, "<%.*s>%s", (int)event->text.len, event->text.at,
                                        event->cut ? "+" : ""),
                         0);
    }
}

static int walk_in_pieces(struct tly_text text, size_t piece)
{
    struct tly_json_walk walk;
    tly_buf_clear(&told);
    tly_json_walk_init(&walk, note, NULL);
    while (text.len > 0) {
        size_t len = text.len < piece ? text.len : piece;
        int rc = tly_json_walk_feed(&walk, (struct tly_text){text.at, len});
        if (rc < 0) {
            return rc;
        }
        text = (struct tly_text){text.at + len, text.len - len};
    }
    return tly_json_walk_end(&walk);
}

static const struct {
    const char *text;
    int rc;
    const char *events; /* NULL: not compared */
} rows[] = {
    {"{}", 0, "{0}0"},
    {" [ ] ", 0, "[0]0"},
    {"{\"a\":1}", 0, "{0k1<a>#1<1>}0"},
    {"{\"a\":[1,-2.5e3,{\"b\":null}],\"c\":true}", 0,
     "{0k1<a>[1#2<1>#2<-2.5e3>{2k3<b>n3}2]1k1<c>t1}0"},
    {"[false,\"x\"]", 0, "[0f1s1<x>]0"},
    {"\"\\u00e9\\n\\\"\\/\"", 0, "s0<\xc3\xa9\n\"/>"},
    {"\"\\ud83d\\ude00!\"", 0, "s0<\xf0\x9f\x98\x80!>"},
    {"\"\\ud83dx\"", 0, "s0<\xef\xbf\xbdx>"},
    {"\"\\ude00\"", 0, "s0<\xef\xbf\xbd>"},
    {"12", 0, "#0<12>"},
    {"", TLY_E_MORE, NULL},
    {"{", TLY_E_MORE, NULL},
    {"{\"a\":", TLY_E_MORE, NULL},
    {"\"abc", TLY_E_MORE, NULL},
    {"tru", TLY_E_MORE, NULL},
    {"[1,]", TLY_E_MALFORMED, NULL},
    {"{\"a\":1,}", TLY_E_MALFORMED, NULL},
    {"{a:1}", TLY_E_MALFORMED, NULL},
    {"{\"a\" 1}", TLY_E_MALFORMED, NULL},
    {"[1}", TLY_E_MALFORMED, NULL},
    {"{\"a\":1]", TLY_E_MALFORMED, NULL},
    {"]", TLY_E_MALFORMED, NULL},
    {"{} {}", TLY_E_MALFORMED, NULL},
    {"truth", TLY_E_MALFORMED, NULL},
    {"\"\\x\"", TLY_E_MALFORMED, NULL},
    {"\"\\u12g4\"", TLY_E_MALFORMED, NULL},
    {"\"a\nb\"", TLY_E_MALFORMED, NULL},
};

static void events(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        for (size_t piece = 1; piece < 9; piece++) {
            int rc = walk_in_pieces(tly_text_of(rows[i].text), piece);
            if (rc != rows[i].rc) {
                fail_msg("%s: %d instead of %d", rows[i].text, rc, rows[i].rc);
            }
            if (rows[i].events) {
                expect_text(tly_buf_text(&told), rows[i].events);
            }
        }
    }
}

static void long_strings_are_cut(void **state)
{
    (void)state;
    char text[2 * TLY_JSON_WALK_STRING_MAX + 3];
    memset(text, 'x', sizeof(text));
    text[0] = text[sizeof(text) - 1] = '"';
    for (size_t piece = 1; piece < sizeof(text); piece += 97) {
        assert_int_equal(walk_in_pieces((struct tly_text){text, sizeof(text)}, piece), 0);
        assert_int_equal(told.len, TLY_JSON_WALK_STRING_MAX + strlen("s0<>+"));
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char text[2 * TLY_JSON_WALK_DEPTH_MAX + 2];
    size_t depth = TLY_JSON_WALK_DEPTH_MAX;
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    assert_int_equal(walk_in_pieces((struct tly_text){text, 2 * depth}, 5), 0);
    memset(text, '[', depth + 1);
    assert_int_equal(walk_in_pieces((struct tly_text){text, depth + 1}, 5), TLY_E_LIMIT);
}

static int make(void **state)
{
    (void)state;
    tly_buf_init(&told, 1 << 20);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    tly_buf_done(&told);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events),
        cmocka_unit_test(long_strings_are_cut),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
