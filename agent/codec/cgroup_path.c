/*
 * Names of cgroup directories and of mount points. Everything here reads text that users and
 * engines choose, so nothing is assumed of it.
 */
#include "agent/codec/cgroup_path.h"

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

/* Undoes the octal escapes that proc(5) uses for blanks and backslashes. */
static int path_write(struct tly_text text, char *to, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        if (byte == '\\' && text.len - i > 3) {
            unsigned value = 0;
            bool octal = true;
            for (size_t digit = i + 1; digit <= i + 3; digit++) {
                octal = octal && text.at[digit] >= '0' && text.at[digit] <= '7';
                value = value * 8 + (unsigned char)text.at[digit] - (unsigned)'0';
            }
            if (octal && value > 0 && value <= 0xff) {
                byte = (char)value;
                i += 3;
            }
        }
        if (len + 1 >= size) {
            return TLY_E_LIMIT;
        }
        to[len++] = byte;
    }
    to[len] = '\0';
    return 0;
}

/* The fields of a line that matter: `ID parent major:minor ROOT POINT options [optional...] - TYPE
 * source options`. */
static bool line_parse(struct tly_text line, struct tly_text *ret_root, struct tly_text *ret_point)
{
    struct tly_text rest = line;
    for (int field = 1; rest.at != NULL; field++) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        if (field == 4) {
            *ret_root = word;
        } else if (field == 5) {
            *ret_point = word;
        } else if (field > 6 && tly_text_equal(word, TLY_TEXT("-")) && rest.at != NULL) {
            return tly_text_equal(tly_text_cut(&rest, ' '), TLY_TEXT("cgroup2"));
        }
    }
    return false;
}

int tly_cgroup_mount_find(struct tly_text mountinfo, char *to, size_t size)
{
    struct tly_text found = {NULL, 0};
    while (mountinfo.at != NULL) {
        struct tly_text root = {NULL, 0};
        struct tly_text point = {NULL, 0};
        if (!line_parse(tly_text_cut(&mountinfo, '\n'), &root, &point)) {
            continue;
        }
        if (tly_text_equal(root, TLY_TEXT("/"))) {
            found = point;
            break;
        }
        if (found.at == NULL) {
            found = point;
        }
    }
    return found.at == NULL ? -ENOENT : path_write(found, to, size);
}
