/*
 * Accept and Accept-Encoding headers of any bytes: a known format comes out, and the same one each
 * time.
 */
#include "agent/codec/accept.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text header = {(const char *)data, size};
    enum tly_exposition_format format = tly_accept_format(header);
    bool gzip = tly_accept_gzip(header);
    if ((unsigned)format >= TLY_EXPOSITION_FORMAT_COUNT || format != tly_accept_format(header) ||
        gzip != tly_accept_gzip(header)) {
        abort();
    }
    return 0;
}
