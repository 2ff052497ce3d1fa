/*
 * What the engine's host shows beyond the API: the daemon's process, its settings, the files and
 * groups that guard it, the kernel's settings. Only where the engine is on this host. May run on a
 * worker; reads only, within the daemon's own root.
 */
#ifndef TLY_POSTURE_HOST_H
#define TLY_POSTURE_HOST_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "collectors/posture/facts.h"
#include "collectors/posture/process.h"

/* The facts with what they borrow from. */
struct tly_host_look {
    struct tly_host_facts facts;
    json_t *settings;         /* owned; facts.settings */
    struct tly_buf arguments; /* owned; facts.arguments */
};

/* `socket` is the path of the engine's socket, `data_root` what /info says, `members` are patterns
 * of members of the group docker to pass over; all three may be NULL. */
void tly_host_look(const struct tly_host_paths *paths, const char *socket, const char *data_root,
                   const struct tly_strings *members, struct tly_host_look *ret_look);
void tly_host_look_done(struct tly_host_look *look);

#endif
