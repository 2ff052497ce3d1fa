/*
 * Why lines can be lost before anybody could read them.
 */
#ifndef TLY_LOGS_LOST_H
#define TLY_LOGS_LOST_H

/* Why lines never came to a destination, although somebody wrote them. */
enum tly_log_lost {
    TLY_LOST_ROTATED,   /* Docker deleted the file before it was ever seen, or while we were away */
    TLY_LOST_TRUNCATED, /* cut in place before its end was read */
    TLY_LOST_UNREADABLE, /* I/O error, or a damaged compressed file */
    TLY_LOST_HELD_MAX,   /* deleted, held open, and given up at the bound */
    TLY_LOST_REMOVED,    /* the container's directory came and went unseen */
    TLY_LOST_COUNT
};
extern const char *const tly_log_lost_names[TLY_LOST_COUNT];

#endif
