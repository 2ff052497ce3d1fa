/*
 * Which records a destination takes.
 */
#include "agent/delivery/selection.h"

#include "tests/unit/unit.h"

#define PATTERNS(...)                                                                              \
    {                                                                                              \
        .at = (char *const[]){__VA_ARGS__},                                                        \
        .count = sizeof((char *const[]){__VA_ARGS__}) / sizeof(char *)                             \
    }
#define P(text) ((char[]){text})

static struct tly_container *shop(void)
{
    struct tly_container *container = tly_container_new(TLY_TEXT("0123456789ab"));
    assert_non_null(container);
    assert_int_equal(tly_container_set(&container->name, TLY_TEXT("shop-web-1")), 0);
    assert_int_equal(tly_container_set(&container->image, TLY_TEXT("registry/shop:2")), 0);
    assert_int_equal(tly_container_label_add(container, TLY_TEXT("tier"), TLY_TEXT("front")), 0);
    assert_int_equal(tly_container_label_add(container, TLY_TEXT("odd"), TLY_TEXT("a=b")), 0);
    return container;
}

static void test_container(void **state)
{
    (void)state;
    const struct {
        struct tly_selection selection;
        bool takes;
    } rows[] = {
        {{.match = {.tags = {0}}}, true},
        {{.match.tags = PATTERNS(P("docker.*"))}, true},
        {{.match.tags = PATTERNS(P("other"), P("docker.???"))}, true},
        {{.match.tags = PATTERNS(P("docker"))}, false},
        {{.match.containers = PATTERNS(P("shop-*"))}, true},
        {{.match.containers = PATTERNS(P("shop"))}, false},
        {{.match.images = PATTERNS(P("*/shop:*"))}, true},
        {{.match.images = PATTERNS(P("shop:*"))}, false},
        {{.match.labels = PATTERNS(P("tier"))}, true},
        {{.match.labels = PATTERNS(P("tier=front"))}, true},
        {{.match.labels = PATTERNS(P("t*=f*"))}, true},
        {{.match.labels = PATTERNS(P("tier=back"))}, false},
        {{.match.labels = PATTERNS(P("tier="))}, false},
        {{.match.labels = PATTERNS(P("odd=a=b"))}, true},
        {{.match.labels = PATTERNS(P("tie"))}, false},
        /* every kind that is written */
        {{.match = {.containers = PATTERNS(P("shop-*")), .labels = PATTERNS(P("tier"))}}, true},
        {{.match = {.containers = PATTERNS(P("bank-*")), .labels = PATTERNS(P("tier"))}}, false},
        /* any that is excluded */
        {{.exclude.containers = PATTERNS(P("*-web-*"))}, false},
        {{.exclude.images = PATTERNS(P("nginx"))}, true},
        {{.match.labels = PATTERNS(P("tier")), .exclude.tags = PATTERNS(P("docker.abc"))}, false},
        {{.exclude = {.containers = PATTERNS(P("x")), .labels = PATTERNS(P("tier=front"))}}, false},
    };
    struct tly_container *container = shop();
    for (size_t i = 0; i < ROWS(rows); i++) {
        if (tly_selection_takes(&rows[i].selection, TLY_TEXT("docker.abc"), container) !=
            rows[i].takes) {
            fail_msg("row %zu", i);
        }
    }
    tly_container_unref(container);
}

/* What is of no container, or of one that nothing is known of, fits no pattern of containers. */
static void test_unknown(void **state)
{
    (void)state;
    const struct tly_selection all = {.match = {.tags = {0}}};
    const struct tly_selection some = {.match.containers = PATTERNS(P("*"))};
    const struct tly_selection not_some = {.exclude.containers = PATTERNS(P("*"))};
    struct tly_container *bare = tly_container_new(TLY_TEXT("0123456789ab"));
    const struct tly_container *const containers[] = {NULL, bare};
    assert_non_null(bare);
    for (size_t i = 0; i < ROWS(containers); i++) {
        assert_true(tly_selection_takes(&all, TLY_TEXT("t"), containers[i]));
        assert_false(tly_selection_takes(&some, TLY_TEXT("t"), containers[i]));
        assert_true(tly_selection_takes(&not_some, TLY_TEXT("t"), containers[i]));
    }
    tly_container_unref(bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
