/*
 * Fuzzes the entries of the spool's files: whatever stands there, an entry that is taken for one
 * lies within the input, and sealing it anew gives the same bytes.
 */
#include "agent/delivery/spool_entry.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text rest = {(const char *)data, size};
    struct tly_spool_entry entry;
    while (tly_spool_entry_parse(rest, &entry) == 0) {
        if (entry.size > rest.len || entry.size < TLY_SPOOL_HEAD_LEN ||
            entry.tag.len + entry.payload.len + TLY_SPOOL_HEAD_LEN != entry.size) {
            abort();
        }
        char *copy = malloc(entry.size);
        if (!copy) {
            return 0;
        }
        memcpy(copy, rest.at, entry.size);
        tly_spool_entry_seal(copy, entry.size, entry.tag.len, entry.records);
        if (memcmp(copy, rest.at, entry.size) != 0) {
            abort();
        }
        free(copy);
        rest.at += entry.size;
        rest.len -= entry.size;
    }
    if (tly_spool_entry_seek(rest) > rest.len) {
        abort();
    }
    return 0;
}
