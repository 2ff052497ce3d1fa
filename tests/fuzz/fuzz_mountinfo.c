/*
 * Any bytes as /proc/<pid>/mountinfo: what is found lies within the text, and paths are whole.
 */
#include "agent/codec/mountinfo.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct tly_text part, struct tly_text whole)
{
    if (part.at && (part.at < whole.at || part.at + part.len > whole.at + whole.len)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tly_text whole = {(const char *)data, size};
    struct tly_text rest = whole;
    struct tly_mount mount;
    char path[64];
    while (tly_mount_next(&rest, &mount)) {
        check_within(mount.root, whole);
        check_within(mount.point, whole);
        check_within(mount.source, whole);
        check_within(mount.options, whole);
        if (tly_mount_unescape(mount.point, path, sizeof(path)) == 0 &&
            strlen(path) > mount.point.len) {
            abort();
        }
    }
    if (tly_mount_upper_dir(whole, path, sizeof(path)) == 0 && path[0] != '/') {
        abort();
    }
    return 0;
}
