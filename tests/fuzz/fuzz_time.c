/*
 * Date-times: what the parser accepts must come back unchanged through the formatter.
 */
#include "agent/base/clock.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ns;
    if (tly_time_parse((struct tly_text){(const char *)data, size}, &ns) < 0) {
        return 0;
    }
    char text[TLY_TIME_TEXT_MAX];
    tly_time_format(ns, text);
    int64_t again;
    if (tly_time_parse(tly_text_of(text), &again) < 0 || again != ns) {
        abort();
    }
    return 0;
}
