/*
 * Tells changes of verdicts as records, and remembers in the state directory what was told, so that
 * a restart tells only what changed meanwhile. The collector owns it; for the loop's thread.
 */
#ifndef TLY_POSTURE_TELLING_H
#define TLY_POSTURE_TELLING_H

#include "agent/base/error.h"
#include "agent/base/map.h"
#include "agent/delivery/delivery.h"
#include "agent/loop/loop.h"
#include "collectors/posture/finding.h"

#include <stddef.h>

#define TLY_TELLING_FILE "findings"

struct tly_telling;

struct tly_telling_config {
    struct tly_loop *loop;
    struct tly_delivery *delivery;
    int state_dir_fd;               /* borrowed; -1: nothing is remembered */
    const struct tly_map *subjects; /* all that are known now, by tly_told_key(); borrowed */
    size_t subjects_max;            /* as many are taken up from the file */
};

/* Takes up what an earlier run has told; a file that cannot be read is logged, and everything is
 * told anew. -ENOMEM. */
int tly_telling_new(const struct tly_telling_config *config, struct tly_telling **ret_telling,
                    struct tly_error *err) TLY_CHECK;
/* Saves what is not saved yet, frees, and calls `freed` when no worker has anything of it any more,
 * maybe from inside. NULL is fine for both. */
void tly_telling_free(struct tly_telling *telling, void (*freed)(void *arg), void *arg);

/* Tells what changed since `before`, which this run found; NULL: since what an earlier run told.
 * The number of records that could not be written. */
size_t tly_telling_compare(struct tly_telling *telling, struct tly_subject *subject,
                           const struct tly_subject *before);
/* The subject is no more. */
void tly_telling_forget(struct tly_telling *telling, struct tly_text key);
/* Everything there is was judged: what an earlier run told of others is forgotten. */
void tly_telling_settle(struct tly_telling *telling);

#endif
