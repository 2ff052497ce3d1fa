/*
 * Texts: numbers read again from what was read, the valid prefix of a valid prefix, and a pattern
 * split off the input at its first line feed. That they end, and stay inside, is half of the test.
 */
#include "agent/base/buf.h"
#include "agent/base/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_number(struct tly_text text)
{
    int64_t value;
    if (tly_text_i64(text, &value) < 0) {
        return;
    }
    char to[TLY_DECIMAL_MAX];
    size_t len = tly_decimal_write(to, value, 0);
    int64_t again;
    if (tly_text_i64((struct tly_text){to, len}, &again) < 0 || again != value) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text text = {(const char *)data, size};
    check_number(text);
    struct tly_text valid = {text.at, tly_text_utf8_prefix(text)};
    if (valid.len > text.len || tly_text_utf8_prefix(valid) != valid.len) {
        abort();
    }
    struct tly_text pattern = tly_text_cut(&text, '\n');
    if (text.at) {
        bool whole = tly_text_glob(pattern, text);
        /* A text that matches still does when any run may stand around it. */
        struct tly_buf around;
        tly_buf_init(&around, size + 2);
        if (tly_buf_printf(&around, "*") < 0 || tly_buf_append_text(&around, pattern) < 0 ||
            tly_buf_append(&around, "*", 1) < 0 ||
            (whole && !tly_text_glob(tly_buf_text(&around), text))) {
            abort();
        }
        tly_buf_done(&around);
        if (tly_text_distance(pattern, text, 8) != tly_text_distance(text, pattern, 8)) {
            abort();
        }
    }
    return 0;
}
