/*
 * Lines of mountinfo; see mountinfo.h.
 */
#include "agent/codec/mountinfo.h"

#include <errno.h>
#include <string.h>

/* Of three octal digits. */
#define ESCAPE_DIGITS 3

static bool device_parse(struct tly_text word, struct tly_mount *mount)
{
    uint64_t major = 0;
    uint64_t minor = 0;
    struct tly_text rest = word;
    struct tly_text first = tly_text_cut(&rest, ':');
    if (!rest.at || tly_text_u64(first, &major) < 0 || tly_text_u64(rest, &minor) < 0 ||
        major > UINT32_MAX || minor > UINT32_MAX) {
        return false;
    }
    mount->major = (uint32_t)major;
    mount->minor = (uint32_t)minor;
    return true;
}

/* `ID parent major:minor ROOT POINT options [optional...] - TYPE SOURCE OPTIONS` */
static bool line_parse(struct tly_text line, struct tly_mount *ret_mount)
{
    struct tly_mount mount = {0};
    struct tly_text rest = line;
    bool device = false;
    int field = 1;
    for (; rest.at; field++) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        if (field == 1 && tly_text_u64(word, &mount.id) < 0) {
            return false;
        }
        if (field == 3) {
            device = device_parse(word, &mount);
        } else if (field == 4) {
            mount.root = word;
        } else if (field == 5) {
            mount.point = word;
        } else if (field > 6 && tly_text_equal(word, TLY_TEXT("-"))) {
            break;
        }
    }
    if (!device || !rest.at) {
        return false;
    }
    mount.type = tly_text_cut(&rest, ' ');
    mount.source = rest.at ? tly_text_cut(&rest, ' ') : (struct tly_text){NULL, 0};
    mount.options = rest;
    *ret_mount = mount;
    return mount.type.len > 0;
}

bool tly_mount_next(struct tly_text *rest, struct tly_mount *ret_mount)
{
    while (rest->at) {
        if (line_parse(tly_text_cut(rest, '\n'), ret_mount)) {
            return true;
        }
    }
    return false;
}

int tly_mount_unescape(struct tly_text text, char *to, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        if (byte == '\\' && text.len - i > ESCAPE_DIGITS) {
            unsigned value = 0;
            bool octal = true;
            for (size_t digit = i + 1; digit <= i + ESCAPE_DIGITS; digit++) {
                octal = octal && text.at[digit] >= '0' && text.at[digit] <= '7';
                value = value * 8 + (unsigned char)text.at[digit] - (unsigned)'0';
            }
            if (octal && value > 0 && value <= 0xff) {
                byte = (char)value;
                i += ESCAPE_DIGITS;
            }
        }
        if (len + 1 >= size) {
            return TLY_E_LIMIT;
        }
        to[len++] = byte;
    }
    if (size == 0) {
        return TLY_E_LIMIT;
    }
    to[len] = '\0';
    return 0;
}

int tly_mount_upper_dir(struct tly_text mountinfo, char *to, size_t size)
{
    const struct tly_text key = TLY_TEXT("upperdir=");
    struct tly_mount mount;
    /* The first mount at "/" is the one that the engine made; a container with the right to mount
     * could put another one over it, and name any directory in it. */
    do {
        if (!tly_mount_next(&mountinfo, &mount)) {
            return -ENOENT;
        }
    } while (!tly_text_equal(mount.point, TLY_TEXT("/")));
    if (!tly_text_equal(mount.type, TLY_TEXT("overlay"))) {
        return -ENOENT;
    }
    while (mount.options.at) {
        struct tly_text option = tly_text_cut(&mount.options, ',');
        if (tly_text_starts(option, key)) {
            struct tly_text path = {option.at + key.len, option.len - key.len};
            bool absolute = path.len > 1 && path.at[0] == '/';
            return absolute ? tly_mount_unescape(path, to, size) : -ENOENT;
        }
    }
    return -ENOENT;
}
