/*
 * `tallyman top`: what the status page shows, in a terminal; or as text, where there is none.
 */
#ifndef TLY_TOP_TOP_H
#define TLY_TOP_TOP_H

#include "agent/base/error.h"
#include "agent/loop/fetch.h"
#include "agent/top/list.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_top_options {
    struct tly_endpoint endpoint; /* borrowed, like all of these */
    const char *path, *place, *advice;
    struct tly_choice choice;
    int64_t interval_ms; /* 0: as the status page does */
    uint64_t count;      /* texts to print; 0: one where there is no terminal, else the screen */
};

/*
 * Runs until a person or a signal ends it, or the texts are printed. Uses standard input and
 * output, and LC_CTYPE as it is set. Negative with `err`: no answer came for a text, standard
 * output took none, a library is not installed (-ELIBACC), or there was no memory.
 */
int tly_top_run(const struct tly_top_options *options, struct tly_error *err) TLY_CHECK;

#endif
