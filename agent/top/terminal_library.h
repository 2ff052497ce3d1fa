/*
 * ncurses, loaded for the first terminal, so that no other command has it in memory. Private to
 * terminal.c, which calls it by this table alone: functions on windows only, as those without one
 * are macros over the library's variables.
 */
#ifndef TLY_TOP_TERMINAL_LIBRARY_H
#define TLY_TOP_TERMINAL_LIBRARY_H

#include "agent/base/error.h"

#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#include <curses.h>

#define TLY_CURSES_FUNCTIONS(X)                                                                    \
    X(cbreak)                                                                                      \
    X(clearok)                                                                                     \
    X(curs_set)                                                                                    \
    X(delscreen)                                                                                   \
    X(endwin)                                                                                      \
    X(getmaxx)                                                                                     \
    X(getmaxy)                                                                                     \
    X(has_colors)                                                                                  \
    X(init_pair)                                                                                   \
    X(intrflush)                                                                                   \
    X(isendwin)                                                                                    \
    X(keypad)                                                                                      \
    X(leaveok)                                                                                     \
    X(newterm)                                                                                     \
    X(newwin)                                                                                      \
    X(nodelay)                                                                                     \
    X(noecho)                                                                                      \
    X(nonl)                                                                                        \
    X(resizeterm)                                                                                  \
    X(set_escdelay)                                                                                \
    X(start_color)                                                                                 \
    X(tigetstr)                                                                                    \
    X(use_default_colors)                                                                          \
    X(waddnwstr)                                                                                   \
    X(wattr_set)                                                                                   \
    X(werase)                                                                                      \
    X(wget_wch)                                                                                    \
    X(wmove)                                                                                       \
    X(wrefresh)

/* Each has its type from ncurses's header. */
struct tly_curses {
#define TLY_CURSES_MEMBER(name) __typeof__ (&(name))(name);
    TLY_CURSES_FUNCTIONS(TLY_CURSES_MEMBER)
#undef TLY_CURSES_MEMBER
};

/* The library, loaded by the first call; the table lives as long as the process. -ELIBACC, with
 * `err` for a person. */
int tly_curses_load(const struct tly_curses **ret_curses, struct tly_error *err) TLY_CHECK;

#endif
