/*
 * Private to this room: the layers one by one. Each returns 0; -ENOSYS where the kernel has none of
 * it, with `why` filled; another error where it could not be made.
 */
#ifndef TLY_SANDBOX_LAYERS_H
#define TLY_SANDBOX_LAYERS_H

#include "agent/sandbox/needs.h"
#include "agent/sandbox/sandbox.h"

/* Keeps those of `keep` that the thread has, drops all others from the permitted, the effective,
 * the inheritable and the ambient set, and from the bounding set as far as that is permitted.
 * `why` names what was kept. */
int tly_layer_capabilities(uint64_t keep, char why[TLY_LAYER_WHY_MAX]) TLY_CHECK;

/* Neither ptrace(2) by others of the same user nor a core file gets at the memory. */
int tly_layer_no_dumps(void) TLY_CHECK;

int tly_layer_no_new_privs(char why[TLY_LAYER_WHY_MAX]) TLY_CHECK;

/* Binds the calling thread. */
int tly_layer_landlock(const struct tly_needs *needs, char why[TLY_LAYER_WHY_MAX]) TLY_CHECK;

/* Binds every thread. */
int tly_layer_seccomp(char why[TLY_LAYER_WHY_MAX]) TLY_CHECK;

#endif
