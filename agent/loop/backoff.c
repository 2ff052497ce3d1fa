/*
 * Waiting times between tries. Pure apart from the dice.
 */
#include "agent/loop/backoff.h"

#include "agent/base/random.h"

#include <limits.h>

void tly_backoff_init(struct tly_backoff *backoff, int64_t first_ms, int64_t max_ms)
{
    /* A wait of nothing would be no back-off, and a doubled zero stays one. */
    backoff->first_ms = first_ms > 0 ? first_ms : 1;
    backoff->max_ms = max_ms > backoff->first_ms ? max_ms : backoff->first_ms;
    backoff->tries = 0;
}

int64_t tly_backoff_next_ms(struct tly_backoff *backoff)
{
    int64_t step = backoff->first_ms;
    for (unsigned i = 0; i < backoff->tries && step < backoff->max_ms; i++) {
        step = step > backoff->max_ms / 2 ? backoff->max_ms : step * 2;
    }
    if (backoff->tries < UINT_MAX) {
        backoff->tries++;
    }
    uint64_t half = (uint64_t)step / 2;
    return step - (int64_t)(tly_random_u64() % (half + 1));
}

void tly_backoff_clear(struct tly_backoff *backoff)
{
    backoff->tries = 0;
}
