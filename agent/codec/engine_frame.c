/*
 * Frames of the engine's log streams; see engine_frame.h. Pure; borrows all texts.
 */
#include "agent/codec/engine_frame.h"

#include <string.h>

#define HEAD_LEN    8
#define STDERR_BYTE 2
#define SYSTEM_BYTE 3
#define UTC_LEN     (sizeof("2026-08-23T00:28:30.123456789Z") - 1)
#define ZONED_LEN   (sizeof("2026-08-23T00:28:30.123456789+02:00") - 1)

/* ---- times ---- */

static bool has_form(const char *at, const char *form)
{
    for (; *form; at++, form++) {
        bool digit = *at >= '0' && *at <= '9';
        if (*form == '0' ? !digit : *at != *form) {
            return false;
        }
    }
    return true;
}

size_t tly_engine_stamp_len(struct tly_text bytes)
{
    if (bytes.len <= UTC_LEN || !has_form(bytes.at, "0000-00-00T00:00:00.000000000")) {
        return 0;
    }
    const char *zone = bytes.at + UTC_LEN - 1;
    if (has_form(zone, "Z ")) {
        return UTC_LEN + 1;
    }
    bool zoned = bytes.len > ZONED_LEN && (*zone == '+' || *zone == '-') &&
                 has_form(zone + 1, "00:00 ");
    return zoned ? ZONED_LEN + 1 : 0;
}

/* Divides a frame's bytes into its time and its text. */
static void divide(struct tly_engine_frames *frames, struct tly_text bytes,
                   struct tly_engine_frame *frame)
{
    size_t stamp = tly_engine_stamp_len(bytes);
    frame->whole = bytes.len > 0 && bytes.at[bytes.len - 1] == '\n';
    frame->time_ns = 0;
    frame->timed = stamp > 0 &&
                   tly_line_clock_parse(&frames->clock, (struct tly_text){bytes.at, stamp - 1},
                                        &frame->time_ns) == 0 &&
                   frame->time_ns >= 0;
    size_t from = frame->timed ? stamp : 0;
    frame->text = (struct tly_text){bytes.at + from, bytes.len - from - (frame->whole ? 1 : 0)};
}

/* ---- with headers ---- */

static bool is_head(const unsigned char *head, size_t len)
{
    static const unsigned char most[] = {SYSTEM_BYTE, 0, 0, 0};
    for (size_t i = 0; i < len && i < sizeof(most); i++) {
        if (head[i] > most[i]) {
            return false;
        }
    }
    return true;
}

static ssize_t next_multiplexed(struct tly_engine_frames *frames, struct tly_text bytes,
                                struct tly_engine_frame *ret_frame)
{
    const unsigned char *head = (const unsigned char *)bytes.at;
    if (!is_head(head, bytes.len)) {
        return TLY_E_MALFORMED;
    }
    if (bytes.len < HEAD_LEN) {
        return TLY_E_MORE;
    }
    size_t size = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
    if (size > TLY_ENGINE_FRAME_MAX) {
        return TLY_E_MALFORMED;
    }
    if (bytes.len - HEAD_LEN < size) {
        return TLY_E_MORE;
    }
    ret_frame->stream = head[0] == SYSTEM_BYTE   ? TLY_ENGINE_FRAME_ERROR
                        : head[0] == STDERR_BYTE ? TLY_ENGINE_FRAME_STDERR
                                                 : TLY_ENGINE_FRAME_STDOUT;
    divide(frames, (struct tly_text){bytes.at + HEAD_LEN, size}, ret_frame);
    return (ssize_t)(HEAD_LEN + size);
}

/* ---- of a terminal ---- */

/* How long the piece is that begins with a time of `stamp` bytes, or none; 0: it ends nowhere yet.
 * `bytes` go up to a newline, or as far as there are any. */
static size_t piece_end(struct tly_text bytes, size_t stamp)
{
    size_t full = stamp + TLY_ENGINE_PIECE_BYTES;
    if (stamp == 0 || bytes.len <= full) {
        return 0;
    }
    struct tly_text rest = {bytes.at + full, bytes.len - full};
    if (tly_engine_stamp_len(rest) > 0) {
        return full;
    }
    /* A longer buffer than the usual one: all pieces of a line have the time of the first. */
    const char *next = memmem(rest.at, rest.len, bytes.at, stamp);
    return next ? (size_t)(next - bytes.at) : 0;
}

/* The same of a piece that may be the last of its line, with its newline forgotten. */
static size_t tail_end(struct tly_text bytes, size_t stamp)
{
    size_t at = stamp;
    while (at < bytes.len) {
        struct tly_text rest = {bytes.at + at, bytes.len - at};
        if (tly_engine_stamp_len(rest) > 0) {
            return at;
        }
        const char *carriage = memchr(rest.at, '\r', rest.len);
        at = carriage ? (size_t)(carriage - bytes.at) + 1 : bytes.len;
    }
    return 0;
}

static ssize_t next_raw(struct tly_engine_frames *frames, struct tly_text bytes, bool ended,
                        struct tly_engine_frame *ret_frame)
{
    size_t most = bytes.len < TLY_ENGINE_FRAME_MAX ? bytes.len : TLY_ENGINE_FRAME_MAX;
    const char *newline = memchr(bytes.at, '\n', most);
    size_t len = newline ? (size_t)(newline - bytes.at) + 1 : most;
    struct tly_text line = {bytes.at, len};
    size_t stamp = tly_engine_stamp_len(line);
    size_t end = piece_end(line, stamp);
    if (end == 0 && frames->full && stamp > 0) {
        end = tail_end(line, stamp);
    }
    if (end == 0 && !newline && !ended && bytes.len < TLY_ENGINE_FRAME_MAX) {
        return TLY_E_MORE;
    }
    len = end > 0 ? end : len;
    ret_frame->stream = TLY_ENGINE_FRAME_STDOUT;
    divide(frames, (struct tly_text){bytes.at, len}, ret_frame);
    frames->full = ret_frame->timed && !ret_frame->whole &&
                   ret_frame->text.len >= TLY_ENGINE_PIECE_BYTES;
    return (ssize_t)len;
}

ssize_t tly_engine_frame_next(struct tly_engine_frames *frames, struct tly_text bytes, bool ended,
                              struct tly_engine_frame *ret_frame)
{
    struct tly_engine_frame frame;
    if (bytes.len == 0) {
        return TLY_E_MORE;
    }
    if (frames->kind == TLY_ENGINE_FRAME_UNTOLD) {
        frames->kind = (unsigned char)bytes.at[0] <= SYSTEM_BYTE ? TLY_ENGINE_FRAME_MULTIPLEXED
                                                                 : TLY_ENGINE_FRAME_RAW;
    }
    ssize_t len = frames->kind == TLY_ENGINE_FRAME_MULTIPLEXED
                      ? next_multiplexed(frames, bytes, &frame)
                      : next_raw(frames, bytes, ended, &frame);
    if (len > 0) {
        *ret_frame = frame;
    }
    return len;
}
