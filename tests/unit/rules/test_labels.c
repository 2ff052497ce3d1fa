/* Symbols and label sets: equality, order, text, and memory that is given back. */
#include "agent/rules/labels.h"

#include "agent/rules/arena.h"
#include "tests/unit/unit.h"

#define TABLE_MAX ((size_t)1 << 20)

static uint32_t add(struct tly_symbols *symbols, const char *text)
{
    uint32_t symbol = 0;
    assert_int_equal(tly_symbols_add(symbols, tly_text_of(text), &symbol), 0);
    return symbol;
}

/* A set from name, value, name, value ..., NULL. */
static struct tly_labels set_of(struct tly_symbols *symbols, struct tly_label_pair *pairs,
                                const char *const *texts)
{
    size_t count = 0;
    for (; texts[2 * count]; count++) {
        pairs[count] = (struct tly_label_pair){add(symbols, texts[2 * count]),
                                               add(symbols, texts[2 * count + 1])};
    }
    return tly_labels_make(pairs, count);
}

static void test_symbols(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(TABLE_MAX);
    assert_non_null(symbols);
    assert_int_equal(add(symbols, ""), TLY_SYMBOL_EMPTY);
    assert_int_equal(add(symbols, "__name__"), TLY_SYMBOL_NAME);
    assert_int_equal(add(symbols, "le"), TLY_SYMBOL_LE);
    /* Enough to make the table grow, and each found again. */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            char text[32];
            (void)snprintf(text, sizeof(text), "a longer text with number %d", i);
            uint32_t symbol = add(symbols, text);
            expect_text(tly_symbols_text(symbols, symbol), text);
        }
        assert_int_equal(tly_symbols_count(symbols), 1000 + TLY_SYMBOLS_FIXED);
    }
    uint32_t symbol;
    assert_false(tly_symbols_find(symbols, TLY_TEXT("unknown"), &symbol));
    tly_symbols_free(symbols);
}

/* Texts go one by one, in any order, and all the others are still found. */
static void test_forget(void **state)
{
    (void)state;
    enum { TEXTS = 300, STEPS = 20000 };
    struct tly_symbols *symbols = tly_symbols_new(TABLE_MAX);
    assert_non_null(symbols);
    size_t empty = tly_symbols_bytes(symbols);
    bool known[TEXTS] = {false};
    uint64_t random = 5;
    for (int step = 0; step < STEPS + TEXTS; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        size_t i = step < STEPS ? (random >> 33) % TEXTS : (size_t)(step - STEPS);
        char text[32];
        (void)snprintf(text, sizeof(text), "text %zu", i);
        uint32_t symbol;
        assert_int_equal(tly_symbols_find(symbols, tly_text_of(text), &symbol), known[i]);
        bool add_it = step < STEPS && !known[i];
        if (add_it) {
            symbol = add(symbols, text);
            expect_text(tly_symbols_text(symbols, symbol), text);
        } else if (known[i]) {
            tly_symbols_forget(symbols, symbol);
        }
        known[i] = add_it;
    }
    assert_int_equal(tly_symbols_count(symbols), TLY_SYMBOLS_FIXED);
    assert_int_equal(tly_symbols_bytes(symbols), empty);
    /* Not those that a set holds, nor the fixed ones. */
    struct tly_label_pair pairs[1];
    struct tly_labels kept;
    struct tly_labels set = set_of(symbols, pairs, (const char *const[]){"le", "held", NULL});
    assert_int_equal(tly_labels_keep(symbols, set, &kept), 0);
    tly_symbols_forget(symbols, pairs[0].name);
    tly_symbols_forget(symbols, pairs[0].value);
    expect_text(tly_symbols_text(symbols, kept.at[0].name), "le");
    expect_text(tly_symbols_text(symbols, kept.at[0].value), "held");
    tly_labels_drop(symbols, &kept);
    tly_symbols_forget(symbols, pairs[0].value);
    tly_symbols_forget(symbols, pairs[0].value); /* it is forgotten already */
    assert_int_equal(tly_symbols_bytes(symbols), empty);
    tly_symbols_free(symbols);
}

static void test_bound(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(300);
    assert_non_null(symbols);
    uint32_t symbol;
    char text[256] = {0};
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(tly_symbols_add(symbols, tly_text_of(text), &symbol), TLY_E_LIMIT);
    assert_true(add(symbols, "short") >= TLY_SYMBOLS_FIXED);
    assert_true(tly_symbols_bytes(symbols) <= 300);
    tly_symbols_free(symbols);
}

static void test_trim(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(TABLE_MAX);
    assert_non_null(symbols);
    size_t bytes = tly_symbols_bytes(symbols);
    struct tly_label_pair pairs[4];
    struct tly_labels labels = set_of(symbols, pairs,
                                      (const char *[]){"a", "1", "b", "2", NULL, NULL});
    struct tly_labels kept;
    assert_int_equal(tly_labels_keep(symbols, labels, &kept), 0);
    (void)add(symbols, "passing");
    tly_symbols_trim(symbols);
    uint32_t symbol;
    assert_false(tly_symbols_find(symbols, TLY_TEXT("passing"), &symbol));
    assert_true(tly_symbols_find(symbols, TLY_TEXT("a"), &symbol));
    assert_true(tly_labels_equal(kept, labels));
    tly_labels_drop(symbols, &kept);
    tly_symbols_trim(symbols);
    assert_int_equal(tly_symbols_count(symbols), TLY_SYMBOLS_FIXED);
    assert_int_equal(tly_symbols_bytes(symbols), bytes);
    /* A freed place is taken again. */
    assert_true(add(symbols, "new") < TLY_SYMBOLS_FIXED + 2);
    tly_symbols_free(symbols);
}

static void test_sets(void **state)
{
    (void)state;
    struct tly_symbols *symbols = tly_symbols_new(TABLE_MAX);
    assert_non_null(symbols);
    struct tly_label_pair one[8];
    struct tly_label_pair two[8];
    struct tly_labels a = set_of(
        symbols, one, (const char *[]){"x", "1", "__name__", "up", "y", "", "z", "3", NULL, NULL});
    struct tly_labels b = set_of(symbols, two,
                                 (const char *[]){"z", "3", "x", "0", "x", "1", NULL, NULL});
    assert_int_equal(a.count, 3);
    assert_int_equal(b.count, 2);
    assert_false(tly_labels_equal(a, b));
    struct tly_labels nameless = tly_labels_nameless(a);
    assert_true(tly_labels_equal(nameless, b));
    assert_true(tly_labels_equal(tly_labels_nameless(nameless), b));
    expect_text(tly_symbols_text(symbols, tly_labels_get(a, TLY_SYMBOL_NAME)), "up");
    assert_int_equal(tly_labels_get(a, add(symbols, "y")), TLY_SYMBOL_EMPTY);
    assert_true(tly_labels_compare(symbols, a, a) == 0);
    assert_true(tly_labels_compare(symbols, a, b) < 0); /* "__name__" before "x" */
    assert_true(tly_labels_compare(symbols, b, a) > 0);
    tly_symbols_free(symbols);
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *const labels[7];
        const char *text;
    } rows[] = {
        {{NULL, NULL}, "{}"},
        {{"__name__", "up", NULL, NULL}, "up"},
        {{"__name__", "a:b", "y", "2", "x", "1", NULL}, "a:b{x=\"1\", y=\"2\"}"},
        {{"x", "a\"b\\c\nd\x01\x7f\xff", NULL, NULL}, "{x=\"a\\\"b\\\\c\\nd\\x01\\x7f\\xff\"}"},
        {{"__name__", "a.b", "c.d", "\xc3\xa9", NULL, NULL}, "{\"a.b\", \"c.d\"=\"\xc3\xa9\"}"},
    };
    struct tly_symbols *symbols = tly_symbols_new(TABLE_MAX);
    assert_non_null(symbols);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_label_pair pairs[4];
        struct tly_buf buf;
        tly_buf_init(&buf, 256);
        struct tly_labels labels = set_of(symbols, pairs, rows[i].labels);
        assert_int_equal(tly_labels_append(symbols, labels, &buf), 0);
        expect_text(tly_buf_text(&buf), rows[i].text);
        tly_buf_done(&buf);
    }
    tly_symbols_free(symbols);
}

static void test_arena(void **state)
{
    (void)state;
    struct tly_arena arena;
    tly_arena_init(&arena, 10000);
    for (int round = 0; round < 2; round++) {
        unsigned char *at = tly_arena_alloc(&arena, 100);
        assert_non_null(at);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(at[i], 0);
        }
        memset(at, 1, 100);
        assert_non_null(tly_arena_alloc(&arena, 5000));
        assert_null(tly_arena_alloc(&arena, 9000));
        assert_null(tly_arena_alloc(&arena, SIZE_MAX));
        expect_text(tly_arena_text(&arena, TLY_TEXT("text")), "text");
        size_t bytes = arena.bytes;
        tly_arena_clear(&arena);
        assert_int_equal(arena.bytes, bytes);
    }
    tly_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symbols), cmocka_unit_test(test_forget), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_trim),    cmocka_unit_test(test_sets),   cmocka_unit_test(test_text),
        cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
