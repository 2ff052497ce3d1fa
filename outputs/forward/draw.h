/* The draw of one among several by their weights. Pure. */
#ifndef TLY_OUTPUT_FORWARD_DRAW_H
#define TLY_OUTPUT_FORWARD_DRAW_H

#include <stddef.h>
#include <stdint.h>

/*
 * An index below `count`, each with the chance of its share in the sum of the weights, for a
 * `random` that is even over all values. Weights are 0 (never drawn) to UINT32_MAX; `count` when
 * all are 0.
 */
size_t tly_forward_draw(const uint32_t *weights, size_t count, uint64_t random);

#endif
