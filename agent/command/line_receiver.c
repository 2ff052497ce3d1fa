/*
 * Lines, and when their answers may go: they are sealed when the worker takes the lines, and sent
 * when it has written them.
 */
#include "agent/command/line_receiver.h"

#include "agent/base/clock.h"
#include "agent/codec/forward.h"
#include "agent/command/line_writer.h"
#include "agent/intake/intake.h"

#include <errno.h>
#include <stdlib.h>

#define WHO "receive"

/* While more than this waits to be written, nothing more is read. */
#define LINES_BYTES_HIGH (8UL * 1024 * 1024)
/* The lines of one frame may be longer than the frame: tags repeat, control characters become six
 * letters. Beyond this a frame is refused. */
#define LINES_BYTES_MAX (512UL * 1024 * 1024)
/* Frames that are not complete, over all connections. */
#define UNFINISHED_BYTES_MAX (512UL * 1024 * 1024)

struct tly_line_receiver {
    struct tly_line_receiver_spec spec;
    struct tly_intake *intake;
    struct tly_line_writer *writer;
    uint64_t records; /* in whole frames */
    size_t frame_at;  /* where the lines of the frame that is being read begin */
    bool full;        /* reading is paused until lines are written */
    bool stopping;    /* no connection is read any more */
};

static void flush(struct tly_line_receiver *receiver);

static void listen_on(struct tly_line_receiver *receiver)
{
    bool none = receiver->full || receiver->stopping;
    tly_intake_read(receiver->intake, none ? TLY_INTAKE_READS_NONE : TLY_INTAKE_READS_ALL);
}

/* ---- the end ---- */

/* The owner may free the receiver in here. */
static void finish(struct tly_line_receiver *receiver, int code)
{
    receiver->stopping = true;
    tly_intake_close(receiver->intake);
    receiver->spec.ended(receiver->spec.arg, code);
}

void tly_line_receiver_stop(struct tly_line_receiver *receiver)
{
    if (!receiver->stopping) {
        receiver->stopping = true;
        listen_on(receiver);
        flush(receiver);
    }
}

/* ---- lines ---- */

static void written(void *arg, int code)
{
    struct tly_line_receiver *receiver = arg;
    if (code < 0) {
        finish(receiver, code);
        return;
    }
    tly_intake_answer(receiver->intake);
    flush(receiver);
}

/* Hands the lines that have collected to the worker, and with them the answers that wait for them.
 * With nothing left to do, that is the end of a stop. */
static void flush(struct tly_line_receiver *receiver)
{
    if (tly_line_writer_busy(receiver->writer)) {
        return;
    }
    tly_intake_seal(receiver->intake);
    if (tly_line_writer_lines(receiver->writer)->len == 0) {
        tly_intake_answer(receiver->intake);
        if (receiver->stopping) {
            finish(receiver, 0);
        }
        return;
    }
    int rc = tly_line_writer_flush(receiver->writer);
    if (rc < 0) {
        finish(receiver, rc);
        return;
    }
    if (receiver->full) {
        receiver->full = false;
        listen_on(receiver);
    }
}

static int append_line(struct tly_line_receiver *receiver, const struct tly_forward_record *record)
{
    struct tly_buf *lines = tly_line_writer_lines(receiver->writer);
    struct tly_json_style style = receiver->spec.style;
    int64_t time_ns = record->time_ns ? record->time_ns : tly_clock_realtime_ns();
    int rc = tly_buf_append_text(lines, TLY_TEXT("{\"tag\":"));
    rc = rc < 0 ? rc : tly_record_json_text(lines, record->tag, style);
    rc = rc < 0 ? rc : tly_buf_append_text(lines, TLY_TEXT(",\"time\":"));
    rc = rc < 0 ? rc : tly_record_json_time(lines, time_ns);
    rc = rc < 0 ? rc : tly_buf_append_text(lines, TLY_TEXT(",\"record\":"));
    rc = rc < 0 ? rc : tly_record_json(lines, record->fields, style);
    return rc < 0 ? rc : tly_buf_append_text(lines, TLY_TEXT("}\n"));
}

static int take_record(void *arg, const struct tly_intake_client *client,
                       const struct tly_forward_record *record)
{
    struct tly_line_receiver *receiver = arg;
    (void)client;
    return receiver->spec.quiet ? 0 : append_line(receiver, record);
}

static int take_frame(void *arg, const struct tly_intake_client *client,
                      const struct tly_forward_frame *frame)
{
    struct tly_line_receiver *receiver = arg;
    (void)client;
    receiver->records += frame->records;
    receiver->frame_at = tly_line_writer_lines(receiver->writer)->len;
    return 0;
}

/* Of a frame all or nothing. */
static void frame_broken(void *arg)
{
    struct tly_line_receiver *receiver = arg;
    tly_line_writer_lines(receiver->writer)->len = receiver->frame_at;
}

static void received(void *arg)
{
    struct tly_line_receiver *receiver = arg;
    if (tly_line_writer_lines(receiver->writer)->len > LINES_BYTES_HIGH && !receiver->full) {
        receiver->full = true;
        listen_on(receiver);
    }
    if (receiver->spec.count > 0 && receiver->records >= receiver->spec.count) {
        tly_line_receiver_stop(receiver);
        return;
    }
    flush(receiver);
}

/* ---- life ---- */

int tly_line_receiver_new(const struct tly_line_receiver_spec *spec,
                          struct tly_line_receiver **ret_receiver)
{
    struct tly_line_receiver *receiver = calloc(1, sizeof(*receiver));
    if (!receiver) {
        return -ENOMEM;
    }
    receiver->spec = *spec;
    static const struct tly_intake_events events = {
        .record = take_record, .frame = take_frame, .broken = frame_broken, .received = received};
    const struct tly_intake_spec intake = {
        .loop = spec->loop,
        .who = WHO,
        .limits = {.frame_bytes_max = TLY_FORWARD_FRAME_BYTES_MAX,
                   .inflated_bytes_max = TLY_FORWARD_FRAME_BYTES_MAX},
        .connections_max = spec->connections_max ? spec->connections_max
                                                 : TLY_LINE_RECEIVER_CONNECTIONS_MAX,
        .unfinished_bytes_max = UNFINISHED_BYTES_MAX,
        .no_answers = spec->no_ack,
        .events = &events,
        .arg = receiver,
    };
    const struct tly_line_writer_spec writer = {
        .loop = spec->loop,
        .fd = spec->fd,
        .sync = spec->sync,
        .lines_bytes_max = LINES_BYTES_MAX,
        .written = written,
        .arg = receiver,
    };
    int rc = tly_line_writer_new(&writer, &receiver->writer);
    rc = rc < 0 ? rc : tly_intake_new(&intake, &receiver->intake);
    if (rc < 0) {
        tly_line_receiver_free(receiver);
        return rc;
    }
    *ret_receiver = receiver;
    return 0;
}

void tly_line_receiver_free(struct tly_line_receiver *receiver)
{
    if (receiver) {
        tly_intake_free(receiver->intake);
        tly_line_writer_free(receiver->writer);
        free(receiver);
    }
}

int tly_line_receiver_listen(struct tly_line_receiver *receiver, struct tly_address *address,
                             struct tly_error *err)
{
    return tly_intake_listen(receiver->intake, address, NULL, err);
}

struct tly_line_receiver_counts tly_line_receiver_counts(const struct tly_line_receiver *receiver)
{
    struct tly_intake_counts counts;
    tly_intake_counts(receiver->intake, &counts);
    return (struct tly_line_receiver_counts){
        .records = counts.records, .frames = counts.frames, .connections = counts.connections};
}
