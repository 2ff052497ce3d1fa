/*
 * Environment variables and command lines, whose every byte the container's owner chooses, under
 * the search for secrets. Of the key that it names, each byte lies in the text that was searched.
 */
#include "agent/codec/secret.h"
#include "agent/codec/suspect.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tly_secret_shapes *shapes;
    struct tly_error err;
    if (!shapes && tly_secret_shapes_new(&shapes, &err) < 0) {
        abort();
    }
    struct tly_text text = {size > 0 ? (const char *)data : "", size};
    struct tly_text key = {NULL, 0};
    struct tly_secret secret = tly_secret_find(shapes, text, &key);
    if (secret.kind != TLY_SECRET_NONE &&
        (!secret.what ||
         (key.len > 0 && (key.at < text.at || key.at + key.len > text.at + size)))) {
        abort();
    }
    struct tly_text value = text;
    struct tly_text name = tly_text_cut(&value, '=');
    secret = tly_secret_judge(shapes, name, value.at ? value : TLY_TEXT(""));
    if (secret.kind == TLY_SECRET_KEY && !tly_secret_key(name)) {
        abort();
    }
    struct tly_text cmdline = text;
    struct tly_text comm = tly_text_cut(&cmdline, '\n');
    (void)tly_suspect_is_miner(comm, cmdline.at ? cmdline : TLY_TEXT(""));
    (void)tly_suspect_is_deleted(text);
    return 0;
}
