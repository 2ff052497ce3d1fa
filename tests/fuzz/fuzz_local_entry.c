/*
 * Bytes of a local driver's file: read entry by entry, damage passed over, as a reader does that
 * has all of it, and as one that has a part and may only wait for more.
 */
#include "agent/codec/local_entry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static bool within(struct tly_text inner, struct tly_text outer)
{
    return inner.len == 0 || (inner.at >= outer.at && inner.at + inner.len <= outer.at + outer.len);
}

static void told(void *arg, struct tly_text key, struct tly_text value)
{
    const struct tly_text *attrs = arg;
    insist(within(key, *attrs) && within(value, *attrs));
}

static void look_at(struct tly_text bytes, const struct tly_local_entry *entry)
{
    struct tly_text attrs = entry->attrs;
    insist(within(entry->source, bytes) && within(entry->line, bytes));
    insist(within(entry->partial_id, bytes) && within(attrs, bytes));
    int rc = tly_local_entry_attrs(attrs, NULL, told, &attrs);
    insist(rc == 0 || rc == TLY_E_MALFORMED);
}

static void read_all(struct tly_text rest, bool complete)
{
    struct tly_local_entry entry;
    while (rest.len > 0) {
        ssize_t taken = tly_local_entry_parse(rest, &entry);
        if (taken == TLY_E_MORE && !complete) {
            return;
        }
        if (taken > 0) {
            insist((size_t)taken <= rest.len);
            look_at((struct tly_text){rest.at, (size_t)taken}, &entry);
        } else {
            insist(taken == TLY_E_MORE || taken == TLY_E_MALFORMED);
            taken = (ssize_t)tly_local_entry_pass(rest, complete);
            insist(taken > 0 && (size_t)taken <= rest.len);
        }
        rest.at += taken;
        rest.len -= (size_t)taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text bytes = {(const char *)data, size};
    struct tly_local_entry entry;
    read_all(bytes, true);
    read_all(bytes, false);
    size_t end = tly_local_entry_last_end(bytes);
    insist(end <= size);
    if (end > 0) {
        size_t from = 0;
        while (tly_local_entry_parse((struct tly_text){bytes.at + from, end - from}, &entry) !=
               (ssize_t)(end - from)) {
            from++;
            insist(from < end);
        }
    }
    return 0;
}
