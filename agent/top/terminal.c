/*
 * ncurses; see terminal.h.
 */
#include "agent/top/terminal.h"

#include "agent/base/file.h"
#include "agent/top/screen.h"
#include "agent/top/terminal_library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define ESCAPE_MS      25 /* that a key's sequence may take on its way; what is slower is Esc itself */
#define RUN_MAX        512
#define NAME_BYTES_MAX 256

struct tly_terminal {
    const struct tly_curses *curses;
    int fd;
    SCREEN *screen;
    WINDOW *window; /* all of the screen; the library frees it with that */
    attr_t attributes[TLY_STYLE_COUNT];
    short pairs[TLY_STYLE_COUNT];
};

enum { PAIR_NONE, PAIR_GOOD, PAIR_WARN, PAIR_BAD };

/* ---- looks ---- */

static void looks_choose(struct tly_terminal *terminal, bool colour)
{
    const struct {
        attr_t attributes, without; /* where there are no colours */
        short pair;
    } looks[TLY_STYLE_COUNT] = {
        [TLY_STYLE_STRONG] = {A_BOLD, A_BOLD, PAIR_NONE},
        [TLY_STYLE_DIM] = {A_DIM, A_NORMAL, PAIR_NONE},
        [TLY_STYLE_GOOD] = {A_NORMAL, A_NORMAL, PAIR_GOOD},
        [TLY_STYLE_WARN] = {A_BOLD, A_BOLD, PAIR_WARN},
        [TLY_STYLE_BAD] = {A_BOLD, A_BOLD | A_UNDERLINE, PAIR_BAD},
        [TLY_STYLE_BAR] = {A_REVERSE, A_REVERSE, PAIR_NONE},
    };
    const struct tly_curses *curses = terminal->curses;
    colour = colour && curses->has_colors() && curses->start_color() == OK;
    if (colour) {
        short ground = curses->use_default_colors() == OK ? -1 : COLOR_BLACK;
        (void)curses->init_pair(PAIR_GOOD, COLOR_GREEN, ground); /* else it stays plain */
        (void)curses->init_pair(PAIR_WARN, COLOR_YELLOW, ground);
        (void)curses->init_pair(PAIR_BAD, COLOR_RED, ground);
    }
    for (size_t i = 0; i < TLY_STYLE_COUNT; i++) {
        terminal->attributes[i] = colour ? looks[i].attributes : looks[i].without;
        terminal->pairs[i] = colour ? looks[i].pair : PAIR_NONE;
    }
}

/* ---- coming and going ---- */

/* The same terminal once more. */
static int fd_open(void)
{
    char name[NAME_BYTES_MAX];
    int fd = -1;
    if (ttyname_r(STDIN_FILENO, name, sizeof(name)) == 0) {
        fd = open(name, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    }
    return fd >= 0 ? fd : open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
}

/* What a terminal lacks of these it lacks; the rest works. */
static void modes_set(const struct tly_terminal *terminal)
{
    const struct tly_curses *curses = terminal->curses;
    (void)curses->cbreak();
    (void)curses->noecho();
    (void)curses->nonl();
    (void)curses->curs_set(0);
    (void)curses->set_escdelay(ESCAPE_MS);
    (void)curses->intrflush(terminal->window, FALSE);
    (void)curses->keypad(terminal->window, TRUE);
    (void)curses->nodelay(terminal->window, TRUE);
    (void)curses->leaveok(terminal->window, TRUE);
}

int tly_terminal_open(bool colour, struct tly_terminal **ret_terminal, struct tly_error *err)
{
    const struct tly_curses *curses = NULL;
    int rc = tly_curses_load(&curses, err);
    if (rc < 0) {
        return rc;
    }
    struct tly_terminal *terminal = calloc(1, sizeof(*terminal));
    if (!terminal) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    terminal->curses = curses;
    terminal->fd = fd_open();
    terminal->screen = terminal->fd >= 0 ? curses->newterm(NULL, stdout, stdin) : NULL;
    const char *move_to = terminal->screen ? curses->tigetstr("cup") : NULL;
    if (!move_to || (intptr_t)move_to == -1) {
        tly_terminal_close(terminal);
        return tly_error_set(err, -ENOTSUP, "this terminal has no cursor that can be moved");
    }
    terminal->window = curses->newwin(0, 0, 0, 0);
    if (!terminal->window) {
        tly_terminal_close(terminal);
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    looks_choose(terminal, colour);
    modes_set(terminal);
    *ret_terminal = terminal;
    return 0;
}

void tly_terminal_close(struct tly_terminal *terminal)
{
    if (!terminal) {
        return;
    }
    if (terminal->screen) {
        tly_terminal_leave(terminal);
        terminal->curses->delscreen(terminal->screen);
    }
    tly_fd_close(&terminal->fd);
    free(terminal);
}

int tly_terminal_fd(const struct tly_terminal *terminal)
{
    return terminal->fd;
}

void tly_terminal_leave(struct tly_terminal *terminal)
{
    if (!terminal->curses->isendwin()) {
        (void)terminal->curses->endwin(); /* fails where the terminal is gone */
    }
}

void tly_terminal_enter(struct tly_terminal *terminal)
{
    (void)terminal->curses->wrefresh(terminal->window); /* takes it over again */
    (void)terminal->curses->curs_set(0);
    tly_terminal_measure(terminal);
    tly_terminal_forget(terminal);
}

void tly_terminal_measure(struct tly_terminal *terminal)
{
    const struct tly_curses *curses = terminal->curses;
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 &&
        (size.ws_row != curses->getmaxy(terminal->window) ||
         size.ws_col != curses->getmaxx(terminal->window))) {
        (void)curses->resizeterm(size.ws_row, size.ws_col); /* fails for want of memory: it stays */
    }
}

void tly_terminal_size(const struct tly_terminal *terminal, size_t *ret_width, size_t *ret_height)
{
    int width = terminal->curses->getmaxx(terminal->window);
    int height = terminal->curses->getmaxy(terminal->window);
    *ret_width = width > 0 ? (size_t)width : 1;
    *ret_height = height > 0 ? (size_t)height : 1;
}

/* ---- showing ---- */

static void style_set(const struct tly_terminal *terminal, unsigned style)
{
    unsigned plain = style & ~(unsigned)TLY_STYLE_CHOSEN;
    attr_t attributes = terminal->attributes[plain];
    if (style & TLY_STYLE_CHOSEN) {
        attributes = (attributes & ~(attr_t)A_DIM) | A_REVERSE;
    }
    (void)terminal->curses->wattr_set(terminal->window, attributes, terminal->pairs[plain], NULL);
}

/* One row, run by run of the same style. */
static void row_show(const struct tly_terminal *terminal, const struct tly_grid *grid, size_t row,
                     size_t width)
{
    const struct tly_curses *curses = terminal->curses;
    const struct tly_cell *cells = &grid->at[row * grid->width];
    wchar_t run[RUN_MAX];
    (void)curses->wmove(terminal->window, (int)row, 0);
    for (size_t at = 0; at < width;) {
        unsigned style = cells[at].style;
        int len = 0;
        for (; at < width && cells[at].style == style && len < RUN_MAX; at++) {
            if (cells[at].code != 0) {
                run[len++] = (wchar_t)cells[at].code;
            }
        }
        style_set(terminal, style);
        /* ERR behind the last column of the last row: it is there. */
        (void)curses->waddnwstr(terminal->window, run, len);
    }
}

void tly_terminal_show(struct tly_terminal *terminal, const struct tly_grid *grid)
{
    const struct tly_curses *curses = terminal->curses;
    size_t width = 0;
    size_t height = 0;
    tly_terminal_size(terminal, &width, &height);
    (void)curses->werase(terminal->window);
    for (size_t row = 0; row < grid->height && row < height; row++) {
        row_show(terminal, grid, row, grid->width < width ? grid->width : width);
    }
    (void)curses->wattr_set(terminal->window, A_NORMAL, PAIR_NONE, NULL);
    (void)curses->wrefresh(terminal->window);
}

void tly_terminal_forget(struct tly_terminal *terminal)
{
    (void)terminal->curses->clearok(terminal->window, TRUE);
}

/* ---- keys ---- */

static uint32_t key_of(wint_t code)
{
    static const struct {
        wint_t code;
        uint32_t key;
    } keys[] = {
        {KEY_UP, TLY_KEY_UP},         {KEY_DOWN, TLY_KEY_DOWN},
        {KEY_LEFT, TLY_KEY_LEFT},     {KEY_RIGHT, TLY_KEY_RIGHT},
        {KEY_PPAGE, TLY_KEY_PAGE_UP}, {KEY_NPAGE, TLY_KEY_PAGE_DOWN},
        {KEY_HOME, TLY_KEY_HOME},     {KEY_END, TLY_KEY_END},
        {KEY_ENTER, TLY_KEY_ENTER},   {KEY_BACKSPACE, TLY_KEY_BACKSPACE},
        {KEY_BTAB, TLY_KEY_BACK_TAB},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].code == code) {
            return keys[i].key;
        }
    }
    return 0;
}

static uint32_t key_of_character(wint_t code)
{
    switch (code) {
    case '\r':
    case '\n':
        return TLY_KEY_ENTER;
    case '\t':
        return TLY_KEY_TAB;
    case '\b':
    case 0x7f:
        return TLY_KEY_BACKSPACE;
    case 0x1b:
        return TLY_KEY_ESCAPE;
    default:
        return code < TLY_KEY_UP ? (uint32_t)code : 0;
    }
}

bool tly_terminal_read(struct tly_terminal *terminal, uint32_t *ret_key)
{
    wint_t code = 0;
    int kind = terminal->curses->wget_wch(terminal->window, &code);
    if (kind == ERR) {
        return false;
    }
    *ret_key = kind == KEY_CODE_YES ? key_of(code) : key_of_character(code);
    return true;
}
