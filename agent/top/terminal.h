/*
 * The terminal, by ncurses; the only place that knows it. Shows grids, reads keys. One at a time:
 * ncurses's state is the process's.
 */
#ifndef TLY_TOP_TERMINAL_H
#define TLY_TOP_TERMINAL_H

#include "agent/base/error.h"
#include "agent/top/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_terminal;

/*
 * Takes the terminal on standard input and output over. Signals stay the caller's: SIGWINCH and
 * SIGTSTP must be caught before. -ENOTSUP: what TERM names is not known, or has no cursor to move;
 * -ELIBACC: ncurses is not installed; -ENOMEM.
 */
int tly_terminal_open(bool colour, struct tly_terminal **ret_terminal,
                      struct tly_error *err) TLY_CHECK;
/* Leaves it as it was found. */
void tly_terminal_close(struct tly_terminal *terminal);

/* Leaves it, to be stopped; and takes it over again, whatever was done to it meanwhile. */
void tly_terminal_leave(struct tly_terminal *terminal);
void tly_terminal_enter(struct tly_terminal *terminal);

/* Asks for its size, after SIGWINCH. */
void tly_terminal_measure(struct tly_terminal *terminal);
void tly_terminal_size(const struct tly_terminal *terminal, size_t *ret_width, size_t *ret_height);

/* Writes what has changed since the last time. */
void tly_terminal_show(struct tly_terminal *terminal, const struct tly_grid *grid);
/* The next time everything. */
void tly_terminal_forget(struct tly_terminal *terminal);

/* The next key that was pressed: a character, or an enum tly_key. False: no more for now. */
bool tly_terminal_read(struct tly_terminal *terminal, uint32_t *ret_key);

/* A descriptor that is readable when a key was pressed; borrowed. It is one of its own: who watches
 * it may make it non-blocking, which standard input must not become, as it is the shell's, too. */
int tly_terminal_fd(const struct tly_terminal *terminal);

#endif
