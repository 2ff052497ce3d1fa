/*
 * Names of cgroup directories and of mount points. Everything here reads text that users and
 * engines choose, so nothing is assumed of it.
 */
#include "agent/codec/cgroup_path.h"

#include "agent/codec/mountinfo.h"

#include <errno.h>
#include <stdbool.h>

#define ID_DIGITS 64

static bool hex(struct tly_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        if (!((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'))) {
            return false;
        }
    }
    return true;
}

enum tly_cgroup_kind tly_cgroup_kind_of(struct tly_text name, struct tly_text *ret_id)
{
    const struct tly_text scope = TLY_TEXT(".scope");
    const struct tly_text conmon = TLY_TEXT("conmon");
    if (tly_text_ends(name, scope)) {
        name.len -= scope.len;
    }
    if (name.len < ID_DIGITS) {
        return TLY_CGROUP_PLAIN;
    }
    struct tly_text prefix = {name.at, name.len - ID_DIGITS};
    struct tly_text id = {name.at + prefix.len, ID_DIGITS};
    if (!hex(id)) {
        return TLY_CGROUP_PLAIN;
    }
    if (prefix.len > 0) {
        char mark = prefix.at[prefix.len - 1];
        if (mark != '-' && mark != ':') {
            return TLY_CGROUP_PLAIN;
        }
        prefix.len--;
        if (tly_text_ends(prefix, conmon)) {
            return TLY_CGROUP_HELPER;
        }
    }
    *ret_id = id;
    return TLY_CGROUP_CONTAINER;
}

int tly_cgroup_mount_find(struct tly_text mountinfo, char *to, size_t size)
{
    struct tly_text found = {NULL, 0};
    struct tly_mount mount;
    while (tly_mount_next(&mountinfo, &mount)) {
        if (!tly_text_equal(mount.type, TLY_TEXT("cgroup2"))) {
            continue;
        }
        if (tly_text_equal(mount.root, TLY_TEXT("/"))) {
            found = mount.point;
            break;
        }
        if (found.at == NULL) {
            found = mount.point;
        }
    }
    return found.at == NULL ? -ENOENT : tly_mount_unescape(found, to, size);
}
