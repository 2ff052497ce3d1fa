/*
 * The draw by weights: a point on the line of all weights laid end to end, and whose part it is in.
 */
#include "outputs/forward/draw.h"

size_t tly_forward_draw(const uint32_t *weights, size_t count, uint64_t random)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += weights[i];
    }
    if (sum == 0) {
        return count;
    }
    uint64_t point = random % sum; /* the sum is so small beside 2^64 that nobody is favoured */
    size_t drawn = 0;
    while (point >= weights[drawn]) {
        point -= weights[drawn];
        drawn++;
    }
    return drawn;
}
