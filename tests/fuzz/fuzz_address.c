/*
 * Addresses: what the parser accepts must be the same address when it is written and read again.
 */
#include "agent/loop/stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_address address;
    struct tly_error err;
    if (tly_address_parse((struct tly_text){(const char *)data, size}, 24224, &address, &err) < 0) {
        return 0;
    }
    char text[TLY_ADDRESS_TEXT_MAX];
    tly_address_format(&address, text);
    struct tly_address again;
    if (tly_address_parse(tly_text_of(text), 0, &again, NULL) < 0 || again.port != address.port ||
        strcmp(again.host, address.host) != 0 || strcmp(again.path, address.path) != 0) {
        abort();
    }
    return 0;
}
