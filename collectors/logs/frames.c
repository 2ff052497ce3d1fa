/*
 * From the frames of an engine's log stream to records: what was taken before is passed over, every
 * other one goes the way of a line of a file.
 */
#include "collectors/logs/feed.h"
#include "collectors/logs/lines.h"

#include "agent/codec/engine_frame.h"
#include "agent/loop/log.h"

#include <errno.h>
#include <string.h>

/* An engine's word on its own failure, in a message. */
#define WORD_MAX 200

/* ---- one frame ---- */

/* A line, or a piece of one. */
static int take_line(struct tly_log_reader *reader, const struct tly_engine_frame *frame)
{
    int stream = frame->stream == TLY_ENGINE_FRAME_STDERR ? TLY_LOG_STDERR : TLY_LOG_STDOUT;
    struct tly_log_place place;
    reader->last_time_ns = frame->time_ns;
    if (tly_log_line_is_odd(reader, stream, frame->whole, frame->text.len)) {
        const struct tly_log_line odd = {
            .time_ns = frame->time_ns,
            .stream = {tly_log_stream_names[stream], TLY_LOG_STREAM_LEN},
            .text = frame->text,
            .whole = frame->whole,
            .goes_on = !frame->whole && frame->text.len >= TLY_ENGINE_PIECE_BYTES};
        return tly_log_lines_take_odd(reader, &odd);
    }
    int rc = tly_log_place_find(reader, frame->text.len, &place);
    if (rc < 0) {
        return rc;
    }
    memcpy(place.text, frame->text.at, frame->text.len);
    tly_log_place_take(reader, &place, stream, frame->time_ns, frame->text.len);
    return 0;
}

/* The engine could not read what it keeps. */
static void take_error(struct tly_log_reader *reader, const struct tly_engine_frame *frame)
{
    char word[WORD_MAX + 1];
    size_t len = frame->text.len < WORD_MAX ? frame->text.len : WORD_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = frame->text.at[i];
        word[i] = c >= ' ' && c < 0x7f ? c : '?';
    }
    word[len] = '\0';
    tly_log_debug("logs", "the engine says of the log of container %.12s: %s", reader->source->id,
                  word);
    tly_log_reader_lost(reader, TLY_LOST_UNREADABLE, 0);
}

/* Text without a time, which no connection can be taken up at. */
static int take_untimed(struct tly_log_reader *reader, const struct tly_engine_frame *frame)
{
    struct tly_text rest = frame->text;
    while (rest.len > 0) {
        ssize_t taken = tly_log_lines_take_raw(reader, rest, true);
        if (taken < 0) {
            return (int)taken;
        }
        rest.at += taken;
        rest.len -= (size_t)taken;
    }
    return 0;
}

/* ---- their order ---- */

/* Of a terminal, the next line may stand behind the unfinished last one of a run with nothing
 * between. Where that one ended is known if it was the last that was taken. */
static void part(const struct tly_log_feed *feed, const struct tly_log_anchor *next,
                 struct tly_engine_frame *frame, ssize_t *length)
{
    const struct tly_log_anchor *place = &feed->resume.place;
    bool same = next->stream == place->stream && next->time_ns == place->time_ns &&
                next->count == place->count;
    if (feed->frames.kind != TLY_ENGINE_FRAME_RAW || !same || frame->text.len <= place->len) {
        return;
    }
    struct tly_text behind = {frame->text.at + place->len, frame->text.len - place->len};
    if (tly_engine_stamp_len(behind) > 0) {
        *length -= (ssize_t)(behind.len + (frame->whole ? 1 : 0));
        frame->text.len = place->len;
    }
}

/* Takes a frame, or passes over it: 0, or as of tly_log_frames_take. */
static int take_timed(struct tly_log_feed *feed, struct tly_engine_frame *frame, ssize_t *length)
{
    struct tly_log_reader *reader = feed->reader;
    struct tly_log_resume *resume = &feed->resume;
    int stream = frame->stream == TLY_ENGINE_FRAME_STDERR ? TLY_LOG_STDERR : TLY_LOG_STDOUT;
    struct tly_log_anchor next = tly_log_resume_next(resume, stream, frame->time_ns,
                                                     frame->text.len);
    enum tly_log_verdict verdict = tly_log_resume_judge(resume, &next);
    if (verdict == TLY_LOG_OLD) {
        part(feed, &next, frame, length);
        tly_log_resume_skip(resume, &next);
        feed->logs->feeds.skipped++;
        return 0;
    }
    if (verdict == TLY_LOG_MISSED) {
        bool passed = resume->skipped > 0;
        tly_log_feed_give_up(feed);
        if (passed) {
            return -ESTALE;
        }
    }
    /* The same whenever it is read: parts of it, and its record, are named after that. */
    reader->offset = (uint64_t)next.time_ns + next.count;
    bool delivered = reader->walked < reader->ahead_until && stream + 1 != (int)reader->held;
    int rc = delivered ? 0 : take_line(reader, frame);
    if (rc == 0) {
        reader->walked++;
        tly_log_resume_take(resume, &next);
    }
    return rc;
}

static int take_frame(struct tly_log_feed *feed, struct tly_engine_frame *frame, ssize_t *length)
{
    if (frame->stream == TLY_ENGINE_FRAME_ERROR) {
        take_error(feed->reader, frame);
        return 0;
    }
    if (frame->timed) {
        return take_timed(feed, frame, length);
    }
    return feed->resume.reached ? take_untimed(feed->reader, frame) : 0;
}

int tly_log_frames_take(struct tly_log_feed *feed, bool ended)
{
    struct tly_text rest = tly_buf_text(&feed->carry);
    ssize_t length = 0;
    int rc = 0;
    while (rc == 0 && rest.len > 0) {
        struct tly_engine_frame frame;
        length = tly_engine_frame_next(&feed->frames, rest, ended, &frame);
        if (length < 0) {
            break;
        }
        rc = take_frame(feed, &frame, &length);
        if (rc == 0) {
            rest.at += length;
            rest.len -= (size_t)length;
        }
    }
    size_t taken = feed->carry.len - rest.len;
    (void)tly_log_lines_finish(feed->reader, taken, rc, &rc); /* is `taken` */
    tly_buf_consume(&feed->carry, taken);
    return rc == 0 && length == TLY_E_MALFORMED ? TLY_E_MALFORMED : rc;
}
