/*
 * ncurses's table; see terminal_library.h.
 */
#include "agent/top/terminal_library.h"

#include "agent/base/library.h"

#include <stdbool.h>
#include <stddef.h>

/* TLY_CURSES_FILES, from the build: the library that it found. */
static const char *const files[] = {TLY_CURSES_FILES, NULL};

#define FUNCTION_NAME(name) #name,
static const char *const functions[] = {TLY_CURSES_FUNCTIONS(FUNCTION_NAME) NULL};

TLY_LIBRARY_NOTE("[{\"feature\":\"top\",\"description\":\"The screen of tallyman top\","
                 "\"priority\":\"suggested\","
                 "\"soname\":" TLY_LIBRARY_JSON(TLY_CURSES_FILES) "}]");

int tly_curses_load(const struct tly_curses **ret_curses, struct tly_error *err)
{
    static struct tly_curses curses;
    static bool loaded;
    static const struct tly_library library = {
        .name = "ncurses",
        .purpose = "screens",
        .packages = "libncursesw6",
        .files = files,
        .functions = functions,
    };
    _Static_assert(sizeof(curses) == sizeof(functions) - sizeof(functions[0]),
                   "a pointer for each name");
    if (!loaded) {
        int rc = tly_library_load(&library, &curses, err);
        if (rc < 0) {
            return rc;
        }
        loaded = true;
    }
    *ret_curses = &curses;
    return 0;
}
