/*
 * Waiting times between tries: doubling from `first_ms` to `max_ms`, each drawn at random from the
 * upper half of its step, so that ten thousand agents do not knock at the same moment. Embedded,
 * pure.
 */
#ifndef TLY_LOOP_BACKOFF_H
#define TLY_LOOP_BACKOFF_H

#include <stdint.h>

struct tly_backoff {
    int64_t first_ms;
    int64_t max_ms;
    unsigned tries;
};

void tly_backoff_init(struct tly_backoff *backoff, int64_t first_ms, int64_t max_ms);
int64_t tly_backoff_next_ms(struct tly_backoff *backoff);
void tly_backoff_clear(struct tly_backoff *backoff); /* after a success */

#endif
