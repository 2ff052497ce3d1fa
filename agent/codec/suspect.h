/*
 * What the name, the command line, the executable and the connections of a process give away: known
 * miners, mining pools, and executables that are no file any more. A hint, no proof: who renames a
 * miner and hides its pool is not found by it. Pure.
 */
#ifndef TLY_CODEC_SUSPECT_H
#define TLY_CODEC_SUSPECT_H

#include "agent/base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* `comm` is /proc/<pid>/comm, without its newline: at most 15 bytes of the name. `cmdline` is
 * /proc/<pid>/cmdline: arguments that each end in a NUL; empty for a kernel thread. */
bool tly_suspect_is_miner(struct tly_text comm, struct tly_text cmdline);

/* A port at which mining pools listen, and hardly anybody else. */
bool tly_suspect_is_pool_port(int64_t port);

/* Where /proc/<pid>/exe points to: a file that was removed, or one that never had a name on a file
 * system (memfd_create(2)). Replacing a program while it runs looks the same. */
bool tly_suspect_is_deleted(struct tly_text exe);
/* ... one that never had a name alone. */
bool tly_suspect_is_memory(struct tly_text exe);

#endif
