/*
 * Errors in a structure of fixed size: setting one, adding context in front, naming a code. Nothing
 * here allocates, so a report can't fail on the way. The structure belongs to whoever asked.
 */
#include "agent/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Room for the name of a code that nobody knows. */
#define NAME_MAX_BYTES 32

int tly_error_vset(struct tly_error *err, int code, const char *format, va_list args)
{
    if (err) {
        err->code = code;
        if (vsnprintf(err->text, sizeof(err->text), format, args) < 0) {
            err->text[0] = '\0';
        }
    }
    return code;
}

int tly_error_set(struct tly_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)tly_error_vset(err, code, format, args); /* the code itself */
    va_end(args);
    return code;
}

void tly_error_prefix(struct tly_error *err, const char *format, ...)
{
    if (!err) {
        return;
    }
    char old[TLY_ERROR_TEXT_MAX];
    memcpy(old, err->text, sizeof(old));
    old[sizeof(old) - 1] = '\0';
    va_list args;
    va_start(args, format);
    (void)tly_error_vset(err, err->code, format, args); /* the code stays */
    va_end(args);

    /* Should both together be too long, the old text loses its end. */
    const char *const parts[] = {": ", old};
    size_t len = strlen(err->text);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t room = sizeof(err->text) - 1 - len;
        size_t part = strnlen(parts[i], room);
        memcpy(err->text + len, parts[i], part);
        len += part;
    }
    err->text[len] = '\0';
}

bool tly_error_lacks_means(int code)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOMEM;
}

const char *tly_error_name(int code)
{
    switch (code) {
    case 0:
        return "success";
    case TLY_E_MORE:
        return "incomplete input";
    case TLY_E_MALFORMED:
        return "malformed input";
    case TLY_E_LIMIT:
        return "limit reached";
    case TLY_E_CLOSED:
        return "closed";
    case TLY_E_REFUSED:
        return "refused by the peer";
    case TLY_E_TIMEOUT:
        return "timed out";
    default:
        break;
    }
    /* Unlike strerror, neither translated nor written to a shared buffer. */
    const char *text = code < 0 && code > TLY_E_MORE ? strerrordesc_np(-code) : NULL;
    if (text) {
        return text;
    }
    static _Thread_local char unknown[NAME_MAX_BYTES];
    (void)snprintf(unknown, sizeof(unknown), "error %d", code); /* fits every int */
    return unknown;
}
