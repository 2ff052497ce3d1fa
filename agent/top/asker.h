/*
 * Asks a running agent every few seconds for what the screen shows, and hands the answers to the
 * model: the overview and alerts always, findings, histories and one container's detail as they
 * are looked at. An agent that does not answer is asked again at the same pace. Lives on the loop.
 */
#ifndef TLY_TOP_ASKER_H
#define TLY_TOP_ASKER_H

#include "agent/base/error.h"
#include "agent/loop/fetch.h"
#include "agent/loop/loop.h"
#include "agent/top/model.h"
#include "agent/top/screen.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_top_asker;

struct tly_top_asker_spec {
    struct tly_loop *loop;
    const struct tly_endpoint *endpoint; /* copied */
    const char *path;                    /* before "/api/v1/…"; copied */
    const char *advice;                  /* behind what is said where no answer comes; copied */
    int64_t interval_ms;                 /* 0: as the status page does, 3 s, with many 5 s */
    struct tly_top_model *model;         /* borrowed for the asker's life */
    /* After each round, and when something else has come. */
    void (*tell)(void *arg, bool round);
    void *arg;
};

/* As tly_fetcher_new(). */
int tly_top_asker_new(const struct tly_top_asker_spec *spec, struct tly_top_asker **ret_asker,
                      struct tly_error *err) TLY_CHECK;
void tly_top_asker_free(struct tly_top_asker *asker);

/* Begins a round now, unless one is under way. */
void tly_top_asker_ask(struct tly_top_asker *asker);
/* What is looked at from now on; asks for what is missing. `id` is a container's, or empty. */
void tly_top_asker_look(struct tly_top_asker *asker, enum tly_view view, const char *id);
/* Held, it asks nothing. */
void tly_top_asker_hold(struct tly_top_asker *asker, bool held);
/* How it stands: `failed`, `answered`, `age_s`, `clock_skew_s` are written. */
void tly_top_asker_contact(const struct tly_top_asker *asker, struct tly_contact *contact);

#endif
