/* The choice of chunks, by what their receivers refused of them. */
#include "outputs/forward/picker.h"

#include "outputs/forward/refusal.h"

#include <inttypes.h>
#include <string.h>

#define WHO "forward"

void tly_forward_drop(struct tly_forward_picker *picker, struct tly_chunk *chunk)
{
    uint64_t held;
    if (tly_log_limit_pass(&picker->drop_limit, tly_loop_now_ms(picker->loop), &held)) {
        tly_log_error(WHO,
                      "%s: dropped %" PRIu32 " records, because their tag of %zu bytes is too "
                      "long to be sent%s",
                      picker->name, chunk->records, strlen(chunk->tag), tly_log_held(held).text);
    }
    tly_destination_drop(picker->destination, chunk);
}

/* A chunk that goes before the refused one, by one of the destination's ways to take it. */
static struct tly_chunk *take_proof(struct tly_forward_picker *picker,
                                    const struct tly_chunk *refused,
                                    struct tly_chunk *(*take)(struct tly_destination *destination,
                                                              const struct tly_chunk *refused))
{
    struct tly_chunk *chunk;
    while ((chunk = take(picker->destination, refused)) && !tly_forward_fits(chunk)) {
        tly_forward_drop(picker, chunk);
    }
    return chunk;
}

struct tly_chunk *tly_forward_next(struct tly_forward_picker *picker, struct tly_forward_link *link)
{
    const struct tly_chunk *held = tly_forward_link_held(link);
    if (held) {
        return take_proof(picker, held, tly_destination_take_beside);
    }
    struct tly_chunk *chunk = tly_destination_take(picker->destination);
    if (!chunk || !tly_forward_wants_proof(chunk) || tly_forward_link_in_flight(link) > 0 ||
        (!tly_forward_link_pipelines(link) && tly_forward_link_proved(link))) {
        return chunk;
    }
    struct tly_chunk *other = take_proof(picker, chunk, tly_destination_take_beside);
    if (!other && (!tly_forward_may_be_overtaken(chunk) || tly_forward_stand_back(chunk))) {
        return chunk;
    }
    other = other ? other : take_proof(picker, chunk, tly_destination_take_fresh);
    if (!other) {
        return chunk;
    }
    if (tly_forward_link_pipelines(link)) {
        tly_forward_link_hold(link, chunk);
    } else {
        tly_destination_give_back(picker->destination, chunk); /* for the next connection */
    }
    return other;
}
