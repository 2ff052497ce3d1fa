/*
 * Lines of container runtimes, one after the other with the same clock. What is read lies within
 * the line, and a line means the same whatever came before it.
 */
#include "agent/codec/cri_line.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_line_clock clock = {.zone_len = 0};
    struct tly_text rest = {(const char *)data, size};
    while (size > 0 && rest.at) {
        struct tly_line_clock fresh = {.zone_len = 0};
        struct tly_cri_line line;
        struct tly_cri_line again;
        struct tly_text text = tly_text_cut(&rest, '\n');
        int rc = tly_cri_line_parse(text, &clock, &line);
        insist(rc == tly_cri_line_parse(text, &fresh, &again));
        if (rc == 0) {
            insist(line.time_ns == again.time_ns && line.whole == again.whole);
            insist(line.stream.at > text.at && line.stream.len == 6);
            insist(line.text.at + line.text.len == text.at + text.len);
            insist(line.text.at >= line.stream.at + line.stream.len + 2);
        }
    }
    return 0;
}
