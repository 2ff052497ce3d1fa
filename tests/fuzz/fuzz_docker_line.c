/*
 * Lines of the json-file driver. A leading blank keeps a line from the fast path and means nothing
 * in JSON: both paths must say the same. The text goes to memory of exactly the line's length.
 */
#include "agent/codec/docker_line.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void ignore_member(void *arg, struct tly_text key, struct tly_text value)
{
    size_t *bytes = arg;
    *bytes += key.len + value.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *blank_first = malloc(size + 1);
    char *to = malloc(size + 1);
    char *to_slow = malloc(size + 1);
    insist(blank_first != NULL && to != NULL && to_slow != NULL);
    blank_first[0] = ' ';
    if (size > 0) {
        memcpy(blank_first + 1, data, size);
    }
    struct tly_line_clock clock = {0};
    struct tly_docker_line fast;
    struct tly_docker_line slow;
    struct tly_text line = {blank_first + 1, size};
    int rc = tly_docker_line_parse(line, &clock, to, &fast);
    int rc_slow = tly_docker_line_parse((struct tly_text){blank_first, size + 1}, &clock, to_slow,
                                        &slow);
    insist(rc == rc_slow);
    if (rc == 0) {
        insist(fast.log_len == slow.log_len && fast.whole == slow.whole &&
               fast.time_ns == slow.time_ns);
        insist(memcmp(to, to_slow, fast.log_len) == 0);
        insist(tly_text_equal(fast.stream, slow.stream) && tly_text_equal(fast.attrs, slow.attrs));
        size_t bytes = 0;
        int attrs_rc = tly_docker_line_attrs(fast.attrs, to, ignore_member, &bytes);
        insist(attrs_rc <= 0 && bytes <= fast.attrs.len);
    }
    free(blank_first);
    free(to);
    free(to_slow);
    return 0;
}
