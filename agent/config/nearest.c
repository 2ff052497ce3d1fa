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

/* Two neighbouring letters changed places: one slip of the fingers, though two edits. */
static bool swapped(struct tly_text a, struct tly_text b)
{
    size_t i = 0;
    while (i < a.len && i < b.len && a.at[i] == b.at[i]) {
        i++;
    }
    return a.len == b.len && i + 1 < a.len && a.at[i] == b.at[i + 1] && a.at[i + 1] == b.at[i] &&
           memcmp(a.at + i + 2, b.at + i + 2, a.len - i - 2) == 0;
}

void tly_nearest_try(struct tly_nearest *nearest, const char *name)
{
    struct tly_text text = tly_text_of(name);
    unsigned distance = swapped(nearest->wanted, text)
                            ? 1
                            : tly_text_distance(nearest->wanted, text, nearest->distance);
    if (distance < nearest->distance) {
        nearest->name = name;
        nearest->distance = distance;
    }
}
