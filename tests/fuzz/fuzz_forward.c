/*
 * Forward frames as a receiver reads them: whole, and in pieces whose sizes come from the input;
 * both ways must give the same records. Each record is also printed as JSON, which has to succeed:
 * the reader promises that a record is sound.
 */
#include "agent/codec/forward.h"
#include "agent/codec/record_json.h"

#include <stdlib.h>

/* Small, so that the limits are met; what comes out is bounded by them. */
#define FRAME_BYTES_MAX    65536
#define INFLATED_BYTES_MAX 65536
#define PRINTED_BYTES_MAX  (64UL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct tly_buf printed;
    size_t frames;
    int rc;
};

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static int print_record(void *arg, const struct tly_forward_record *record)
{
    struct outcome *outcome = arg;
    const struct tly_json_style style = {0};
    insist(tly_record_json_text(&outcome->printed, record->tag, style) == 0);
    insist(tly_record_json_time(&outcome->printed, record->time_ns) == 0);
    insist(tly_record_json(&outcome->printed, record->fields, style) == 0);
    return 0;
}

static int answer_frame(void *arg, const struct tly_forward_frame *frame)
{
    struct outcome *outcome = arg;
    outcome->frames++;
    return frame->chunk.len > 0 ? tly_forward_ack(&outcome->printed, frame->chunk) : 0;
}

/* In pieces of data[0] % 16 + 1 bytes, or whole for `step` 0. */
static void read_all(const uint8_t *data, size_t size, size_t step, struct outcome *ret_outcome)
{
    const struct tly_forward_limits limits = {FRAME_BYTES_MAX, INFLATED_BYTES_MAX};
    struct tly_forward_sink sink = {
        .record = print_record, .frame = answer_frame, .arg = ret_outcome};
    struct tly_forward_reader reader;
    struct tly_error err;
    *ret_outcome = (struct outcome){0};
    tly_buf_init(&ret_outcome->printed, PRINTED_BYTES_MAX);
    tly_forward_reader_init(&reader, &limits);
    step = step > 0 ? step : size;
    for (size_t at = 0; at < size && ret_outcome->rc == 0; at += step) {
        struct tly_text part = {(const char *)data + at, size - at < step ? size - at : step};
        ret_outcome->rc = tly_forward_read(&reader, part, &sink, &err);
    }
    tly_forward_reader_done(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { STEPS = 16 };
    if (size == 0) {
        return 0;
    }
    struct outcome whole;
    struct outcome pieces;
    read_all(data + 1, size - 1, 0, &whole);
    read_all(data + 1, size - 1, data[0] % STEPS + 1, &pieces);
    insist(whole.rc == pieces.rc && whole.frames == pieces.frames);
    insist(tly_text_equal(tly_buf_text(&whole.printed), tly_buf_text(&pieces.printed)));
    tly_buf_done(&whole.printed);
    tly_buf_done(&pieces.printed);
    return 0;
}
