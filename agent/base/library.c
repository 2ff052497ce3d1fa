/*
 * The C library's loader; see library.h.
 */
#include "agent/base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether it has all functions; otherwise `why` names the first that is missing. */
static bool complete(void *handle, const char *const *functions, const char *file,
                     char why[TLY_ERROR_TEXT_MAX])
{
    for (; *functions; functions++) {
        if (!dlsym(handle, *functions)) {
            (void)snprintf(why, TLY_ERROR_TEXT_MAX, "%s has no %s()", file, *functions); /* cut */
            return false;
        }
    }
    return true;
}

/* NULL, with what was wrong with the first file, which is the one that the program was built for.
 */
static void *handle_open(const struct tly_library *library, char why[TLY_ERROR_TEXT_MAX])
{
    why[0] = '\0';
    for (const char *const *file = library->files; *file; file++) {
        char text[TLY_ERROR_TEXT_MAX];
        void *handle = dlopen(*file, RTLD_NOW | RTLD_LOCAL);
        if (!handle) {
            (void)snprintf(text, sizeof(text), "%s", dlerror()); /* cut to fit */
        } else if (complete(handle, library->functions, *file, text)) {
            return handle;
        }
        if (!why[0]) {
            memcpy(why, text, sizeof(text));
        }
    }
    return NULL;
}

int tly_library_load(const struct tly_library *library, void *ret_functions, struct tly_error *err)
{
    char why[TLY_ERROR_TEXT_MAX];
    char *to = ret_functions;
    void *handle = handle_open(library, why);
    if (!handle) {
        return tly_error_set(err, -ELIBACC,
                             "%s, without which there are no %s, cannot be loaded (%s); install %s",
                             library->name, library->purpose, why, library->packages);
    }
    for (const char *const *function = library->functions; *function; function++) {
        void *at = dlsym(handle, *function);
        memcpy(to, &at, sizeof(at)); /* POSIX: a function's address fits */
        to += sizeof(at);
    }
    return 0;
}
