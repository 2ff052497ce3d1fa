/*
 * What a Docker engine sends for GET /containers/{id}/logs with timestamps=1 (moby api/swagger.yaml
 * "ContainerAttach", pkg/stdcopy, api/server/httputils/write_log_stream.go): one frame for each
 * piece of a line.
 *
 *   {stream: 1 byte, 0, 0, 0, size: 4 bytes, big-endian} 2026-08-23T00:28:30.123456789Z the text\n
 *
 * Stream 1 is stdout, 2 stderr; in 3 the engine tells of an error of its own, without a time. A
 * piece that another one follows has no newline. Of a container with a terminal there are no
 * headers: times and texts follow each other, and where a piece without a newline ends is told by
 * the time of the next one, which stands behind a full buffer of the engine's. Engine 20.10 forgets
 * the newline of the last piece of a long line when it reads what it kept of drivers without files;
 * of a terminal's there is the carriage return before it all the same.
 *
 * Which of the two it is shows in the first byte of a reply. Nothing is copied, and nothing
 * allocated: the caller keeps what is the beginning of a frame and gives it again with more behind.
 */
#ifndef TLY_CODEC_ENGINE_FRAME_H
#define TLY_CODEC_ENGINE_FRAME_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/line_clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The engine's buffer for one piece (daemon/logger/copier.go); a driver may have its own, the
 * largest known of 256 KiB. */
#define TLY_ENGINE_PIECE_BYTES 16384
/* A longer frame is none. */
#define TLY_ENGINE_FRAME_MAX ((size_t)1 << 20)

enum tly_engine_frame_kind {
    TLY_ENGINE_FRAME_UNTOLD, /* nothing came yet */
    TLY_ENGINE_FRAME_MULTIPLEXED,
    TLY_ENGINE_FRAME_RAW, /* of a terminal */
};

/* Of one reply. Zero-initialise. */
struct tly_engine_frames {
    enum tly_engine_frame_kind kind;
    bool full; /* the last piece filled the engine's buffer, and its line goes on */
    struct tly_line_clock clock;
};

enum tly_engine_frame_stream {
    TLY_ENGINE_FRAME_STDOUT,
    TLY_ENGINE_FRAME_STDERR,
    TLY_ENGINE_FRAME_ERROR
};

struct tly_engine_frame {
    enum tly_engine_frame_stream stream;
    bool timed;           /* false: there is no time in it, `text` is all of it */
    bool whole;           /* a newline ended it */
    int64_t time_ns;      /* realtime; 0 without */
    struct tly_text text; /* without that newline; borrowed */
};

/*
 * Reads the frame that `bytes` begin with, and returns its length. TLY_E_MORE: these bytes are the
 * beginning of one; never for more than TLY_ENGINE_FRAME_MAX and a header. TLY_E_MALFORMED: this is
 * no such reply. `ended`: nothing follows, so that what a terminal's piece has is all of it.
 */
ssize_t tly_engine_frame_next(struct tly_engine_frames *frames, struct tly_text bytes, bool ended,
                              struct tly_engine_frame *ret_frame) TLY_CHECK;

/*
 * The length of the time, with the blank behind, that `bytes` begin with; 0: they don't. By the
 * engine's form alone: nine digits of fraction.
 */
size_t tly_engine_stamp_len(struct tly_text bytes);

#endif
