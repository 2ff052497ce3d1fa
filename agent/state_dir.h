/*
 * The folder for what must survive a restart. One agent alone may use it: two would overwrite each
 * other's positions, and lines would be lost.
 */
#ifndef TLY_STATE_DIR_H
#define TLY_STATE_DIR_H

#include "agent/base/error.h"

struct tly_state_dir {
    int dir_fd;
    int lock_fd; /* held until the process ends, by whatever death */
};

#define TLY_STATE_DIR_NONE ((struct tly_state_dir){-1, -1})

/* Makes the folder (mode 0750) where it is missing and locks it. -EBUSY: another agent has it. The
 * error says what to do. */
int tly_state_dir_open(const char *path, struct tly_state_dir *ret_dir,
                       struct tly_error *err) TLY_CHECK;
void tly_state_dir_close(struct tly_state_dir *dir);

#endif
