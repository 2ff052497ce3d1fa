/*
 * The best of the names tried so far. The first of equally near ones stays, so that tables decide
 * by their order.
 */
#include "agent/config/nearest.h"

#define LETTERS_WRONG_MAX 3

void tly_nearest_init(struct tly_nearest *nearest, struct tly_text wanted)
{
    size_t third = wanted.len / 3;
    unsigned wrong = third > LETTERS_WRONG_MAX ? LETTERS_WRONG_MAX : (unsigned)third;
    *nearest = (struct tly_nearest){wanted, NULL, (wrong > 0 ? wrong : 1) + 1};
}

void tly_nearest_try(struct tly_nearest *nearest, const char *name)
{
    unsigned distance = tly_text_distance(nearest->wanted, tly_text_of(name), nearest->distance);
    if (distance < nearest->distance) {
        nearest->name = name;
        nearest->distance = distance;
    }
}
