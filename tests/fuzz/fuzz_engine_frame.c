/*
 * The engine's log streams, frame by frame. What is read lies within the bytes, and a stream means
 * the same however it is cut: the first byte says after how many bytes it is.
 */
#include "agent/codec/engine_frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void compare(const struct tly_engine_frame *a, const struct tly_engine_frame *b)
{
    insist(a->stream == b->stream && a->timed == b->timed && a->whole == b->whole);
    insist(a->time_ns == b->time_ns && a->text.at == b->text.at && a->text.len == b->text.len);
}

/* The next frame of `rest`, which arrives `step` bytes at a time. */
static ssize_t next_slowly(struct tly_engine_frames *frames, struct tly_text rest, size_t step,
                           struct tly_engine_frame *ret_frame)
{
    size_t there = 0;
    ssize_t taken = TLY_E_MORE;
    while (taken == TLY_E_MORE && there < rest.len) {
        there = there + step < rest.len ? there + step : rest.len;
        taken = tly_engine_frame_next(frames, (struct tly_text){rest.at, there}, there == rest.len,
                                      ret_frame);
    }
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_engine_frames whole = {.kind = TLY_ENGINE_FRAME_UNTOLD};
    struct tly_engine_frames cut = {.kind = TLY_ENGINE_FRAME_UNTOLD};
    if (size < 2) {
        return 0;
    }
    size_t step = (size_t)data[0] * 97 + 1;
    struct tly_text rest = {(const char *)data + 1, size - 1};
    while (rest.len > 0) {
        struct tly_engine_frame frame;
        struct tly_engine_frame again;
        ssize_t taken = tly_engine_frame_next(&whole, rest, true, &frame);
        insist(next_slowly(&cut, rest, step, &again) == taken);
        if (taken <= 0) {
            insist(taken == TLY_E_MORE || taken == TLY_E_MALFORMED);
            break;
        }
        compare(&frame, &again);
        insist((size_t)taken <= rest.len && frame.text.len <= (size_t)taken);
        insist(frame.text.at >= rest.at && frame.text.at + frame.text.len <= rest.at + taken);
        insist(frame.timed ? frame.time_ns >= 0 : frame.time_ns == 0);
        rest.at += taken;
        rest.len -= (size_t)taken;
    }
    return 0;
}
