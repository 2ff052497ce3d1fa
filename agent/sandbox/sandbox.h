/*
 * The sandbox: after its start the agent gives up what its configuration does not need, so that
 * whoever takes it over, by a log line, a frame or an answer that a parser mishandles, gains
 * little. Four layers, each of them used where the kernel has it:
 *
 *   capabilities   all but the needed ones leave every set (capabilities(7)); no core dump shows
 *                  secrets (PR_SET_DUMPABLE in prctl(2), RLIMIT_CORE)
 *   no_new_privs   no program that is executed could bring any back (prctl(2))
 *   landlock       files and TCP ports beyond the needs are out of reach (landlock(7))
 *   seccomp        system calls beyond a list fail; those that only an intruder makes end the
 *                  process (seccomp(2), by libseccomp)
 *
 * Capabilities, no_new_privs and seccomp bind every thread. Landlock binds the loop's thread and
 * those that it starts later, libcurl's resolvers; the workers too, unless they have to look into
 * other processes, which Landlock forbids to whoever it binds. There is no way back: what a later
 * configuration needs must have been allowed at the start.
 */
#ifndef TLY_SANDBOX_SANDBOX_H
#define TLY_SANDBOX_SANDBOX_H

#include "agent/base/error.h"
#include "agent/loop/loop.h"
#include "agent/sandbox/needs.h"
#include "agent/sandbox/settings.h"

#include <stdbool.h>

enum tly_layer {
    TLY_LAYER_CAPABILITIES,
    TLY_LAYER_NO_NEW_PRIVS,
    TLY_LAYER_LANDLOCK,
    TLY_LAYER_SECCOMP,
    TLY_LAYERS
};

extern const char *const tly_layer_names[TLY_LAYERS]; /* "capabilities" … */

#define TLY_LAYER_WHY_MAX 160

struct tly_sandbox {
    struct {
        bool on;
        /* What it amounts to ("ABI 7"), or why it is not on ("the kernel has none"). */
        char why[TLY_LAYER_WHY_MAX];
    } layers[TLY_LAYERS];
    struct tly_needs allowed; /* owned; what was asked for at the start */
};

/* Nothing is on; -ENOMEM never. */
void tly_sandbox_init(struct tly_sandbox *sandbox);
void tly_sandbox_done(struct tly_sandbox *sandbox);

/*
 * Enters it, with the layers that `settings` names; takes what is in `needs`, which is empty then.
 * To be called before any thread exists but libuv's workers, which it starts on `loop` where they
 * are to stay outside of Landlock. A layer that the kernel lacks is no error; one that failed by
 * halves is: the process must not go on.
 */
int tly_sandbox_enter(struct tly_sandbox *sandbox, struct tly_loop *loop,
                      const struct tly_sandbox_settings *settings, struct tly_needs *needs,
                      struct tly_error *err) TLY_CHECK;

/* Says in the log, in one line, which layers are on, and what the others lack. */
void tly_sandbox_say(const struct tly_sandbox *sandbox);

/* Whether the loop's thread may reach the path: true where Landlock does not bind it, and for a
 * sandbox of NULL. */
bool tly_sandbox_allows(const struct tly_sandbox *sandbox, const char *path, unsigned access);

/* Whether a changed configuration, which needs `wanted`, can be lived up to in this sandbox.
 * Otherwise -EACCES, and `err` says what stands against it. */
int tly_sandbox_check(const struct tly_sandbox *sandbox, const struct tly_needs *wanted,
                      struct tly_error *err) TLY_CHECK;

#endif
