/*
 * The engines' words for states and health, and what the parsers of inspect, files and lists share.
 * Private to agent/codec.
 */
#ifndef TLY_CODEC_CONTAINER_WORD_H
#define TLY_CODEC_CONTAINER_WORD_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/container.h"

#include <jansson.h>
#include <stdbool.h>

/* Docker's words and Podman's; UNKNOWN for any other. */
enum tly_container_state tly_container_state_of_word(struct tly_text word);
enum tly_container_health tly_container_health_of_word(struct tly_text word);

/* Hex digits, as many as TLY_CONTAINER_ID_MAX: it becomes part of URLs and paths. */
bool tly_container_id_valid(struct tly_text id);

/* A container with the id that the object's member `id_key` holds. */
int tly_container_start(const json_t *root, const char *id_key,
                        struct tly_container **ret_container, struct tly_error *err) TLY_CHECK;

/* Copies the string members of `labels` (may be NULL). -ENOMEM. */
int tly_container_fill_labels(struct tly_container *container, json_t *labels) TLY_CHECK;

/* The members of Config and HostConfig that tell how it is run: user, health command, restart
 * policy, log rotation, published ports; and GraphDriver. `host` may be NULL. Sets desired_running
 * as far as the state alone tells. -ENOMEM. */
int tly_container_fill_config(struct tly_container *container, const json_t *root,
                              const json_t *host) TLY_CHECK;

#endif
