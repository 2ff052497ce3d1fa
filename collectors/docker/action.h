/*
 * The types and actions of events that are counted apart. The list is closed, so that neither an
 * engine nor what runs on it can make series without end; a word that is not in it counts as
 * "other", of its type where that is known.
 */
#ifndef TLY_COLLECTORS_DOCKER_ACTION_H
#define TLY_COLLECTORS_DOCKER_ACTION_H

#include "agent/base/text.h"

#include <stddef.h>

struct tly_docker_action {
    const char *type, *action;
};

#define TLY_DOCKER_ACTIONS 86
extern const struct tly_docker_action tly_docker_actions[TLY_DOCKER_ACTIONS];

/* The index of the pair, or of the "other" that stands for it. */
size_t tly_docker_action_find(struct tly_text type, struct tly_text action);

#endif
