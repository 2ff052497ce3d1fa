/*
 * Expressions of any bytes: what parses prints as something that parses again and prints the same;
 * what does not has a message and a place within the text.
 */
#include "agent/rules/expr.h"

#include <stdlib.h>

/* Quoting makes a byte up to four characters, and numbers grow to hundreds. */
#define PRINTED_MAX ((size_t)TLY_EXPR_LEN_MAX * 400)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void printed(const struct tly_expr *expr, struct tly_buf *buf)
{
    tly_buf_init(buf, PRINTED_MAX);
    if (tly_expr_print(expr, buf) < 0) {
        abort();
    }
}

static int count(void *arg, const struct tly_need *need)
{
    *(uint32_t *)arg += need->matcher_count > 0;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text text = {(const char *)data, size};
    struct tly_expr *expr;
    struct tly_error err = {.code = 0};
    struct tly_place place = {0, 0};
    if (tly_expr_parse(text, &expr, &place, &err) < 0) {
        if (err.text[0] == '\0' || (size <= TLY_EXPR_LEN_MAX && place.line == 0)) {
            abort();
        }
        return 0;
    }
    uint32_t selectors = 0;
    if (tly_expr_needs(expr, count, &selectors) != 0 || selectors > expr->selector_count) {
        abort();
    }
    struct tly_buf first;
    printed(expr, &first);
    struct tly_expr *again;
    int rc = tly_expr_parse(tly_buf_text(&first), &again, NULL, &err);
    if (rc == 0) {
        struct tly_buf second;
        printed(again, &second);
        if (!tly_text_equal(tly_buf_text(&first), tly_buf_text(&second))) {
            abort();
        }
        tly_buf_done(&second);
        tly_expr_free(again);
    } else if (rc != TLY_E_LIMIT) {
        abort();
    }
    tly_buf_done(&first);
    tly_expr_free(expr);
    return 0;
}
