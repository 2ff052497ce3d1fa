/*
 * Connections, lines and answers. The answers of a connection go through three places: `waiting`
 * while their lines collect, `writing` while the worker has them, and then the stream.
 */
#include "agent/command/line_receiver.h"

#include "agent/base/clock.h"
#include "agent/codec/forward.h"
#include "agent/command/line_writer.h"
#include "agent/loop/log.h"

#include <errno.h>
#include <stdlib.h>

#define WHO "receive"

/* While more than this waits to be written, nothing more is read. */
#define LINES_BYTES_HIGH (8UL * 1024 * 1024)
/* The lines of one frame may be longer than the frame: tags repeat, control characters become six
 * letters. Beyond this a frame is refused. */
#define LINES_BYTES_MAX (512UL * 1024 * 1024)
/* Answers that a client does not read. */
#define ANSWERS_BYTES_HIGH (64UL * 1024)
#define ANSWERS_BYTES_MAX  (16UL * 1024 * 1024)

struct tly_line_receiver {
    struct tly_line_receiver_spec spec;
    struct tly_listener *listeners[TLY_LINE_RECEIVER_LISTEN_MAX];
    size_t listener_count;
    struct tly_line_writer *writer;
    struct connection *connections;
    size_t connection_count;
    struct tly_line_receiver_counts counts;
    struct tly_log_limit broken_limit, skipped_limit, refused_limit;
    size_t frame_at; /* where the lines of the frame that is being read begin */
    bool full;       /* reading is paused until lines are written */
    bool stopping;   /* no connection is read any more */
};

struct connection {
    struct tly_line_receiver *receiver;
    struct tly_stream *stream;
    struct tly_forward_reader reader;
    struct tly_buf waiting, writing; /* see above */
    bool deaf;                       /* takes none of its answers: nothing is read from it either */
    struct connection *next, *previous;
};

static void flush(struct tly_line_receiver *receiver);

/* ---- connections ---- */

static void connection_free(struct connection *connection)
{
    struct tly_line_receiver *receiver = connection->receiver;
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        receiver->connections = connection->next;
    }
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    receiver->connection_count--;
    tly_stream_free(connection->stream);
    tly_forward_reader_done(&connection->reader);
    tly_buf_done(&connection->waiting);
    tly_buf_done(&connection->writing);
    free(connection);
}

/* Reads from it, unless something speaks against it. */
static void connection_listen(struct connection *connection)
{
    const struct tly_line_receiver *receiver = connection->receiver;
    if (connection->deaf || receiver->full || receiver->stopping) {
        tly_stream_pause(connection->stream);
    } else if (tly_stream_resume(connection->stream) < 0) {
        tly_log_debug(WHO, "%s: not read any more", tly_stream_peer(connection->stream));
    }
}

static void listen_all(struct tly_line_receiver *receiver)
{
    for (struct connection *at = receiver->connections; at; at = at->next) {
        connection_listen(at);
    }
}

/* ---- answers ---- */

struct answer {
    struct connection *connection;
    char *bytes;
};

static void answer_written(void *arg, int code)
{
    struct answer *answer = arg;
    struct connection *connection = answer->connection;
    free(answer->bytes);
    free(answer);
    if (code == 0 && connection->deaf && tly_stream_queued(connection->stream) == 0) {
        connection->deaf = false;
        connection_listen(connection);
    }
}

/* Sends the answers whose lines are written. False: the connection is of no more use. */
static bool connection_answer(struct connection *connection)
{
    struct answer *answer = malloc(sizeof(*answer));
    if (!answer) {
        return false;
    }
    struct tly_text bytes;
    answer->connection = connection;
    answer->bytes = tly_buf_take(&connection->writing, &bytes.len);
    bytes.at = answer->bytes;
    if (tly_stream_write(connection->stream, bytes, (struct tly_text){0}, answer_written, answer) <
        0) {
        free(answer->bytes);
        free(answer);
        return false;
    }
    if (tly_stream_queued(connection->stream) > ANSWERS_BYTES_HIGH) {
        connection->deaf = true;
        connection_listen(connection);
    }
    return true;
}

static void answer_all(struct tly_line_receiver *receiver)
{
    struct connection *next;
    for (struct connection *at = receiver->connections; at; at = next) {
        next = at->next;
        if (at->writing.len > 0 && !connection_answer(at)) {
            connection_free(at);
        }
    }
}

/* ---- the end ---- */

static void close_all(struct tly_line_receiver *receiver)
{
    receiver->stopping = true;
    for (size_t i = 0; i < receiver->listener_count; i++) {
        tly_listener_free(receiver->listeners[i]);
    }
    receiver->listener_count = 0;
    struct connection *next;
    for (struct connection *at = receiver->connections; at; at = next) {
        next = at->next;
        connection_free(at);
    }
}

/* The owner may free the receiver in here. */
static void finish(struct tly_line_receiver *receiver, int code)
{
    close_all(receiver);
    receiver->spec.ended(receiver->spec.arg, code);
}

void tly_line_receiver_stop(struct tly_line_receiver *receiver)
{
    if (!receiver->stopping) {
        receiver->stopping = true;
        listen_all(receiver);
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
    answer_all(receiver);
    flush(receiver);
}

/* Hands the lines that have collected to the worker, and with them the answers that wait for them.
 * With nothing left to do, that is the end of a stop. */
static void flush(struct tly_line_receiver *receiver)
{
    if (tly_line_writer_busy(receiver->writer)) {
        return;
    }
    for (struct connection *at = receiver->connections; at; at = at->next) {
        struct tly_buf empty = at->writing;
        at->writing = at->waiting;
        at->waiting = empty;
    }
    if (tly_line_writer_lines(receiver->writer)->len == 0) {
        answer_all(receiver);
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
        listen_all(receiver);
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

static int take_record(void *arg, const struct tly_forward_record *record)
{
    struct connection *connection = arg;
    struct tly_line_receiver *receiver = connection->receiver;
    return receiver->spec.quiet ? 0 : append_line(receiver, record);
}

static int take_frame(void *arg, const struct tly_forward_frame *frame)
{
    struct connection *connection = arg;
    struct tly_line_receiver *receiver = connection->receiver;
    uint64_t held;
    if (frame->skipped > 0 &&
        tly_log_limit_pass(&receiver->skipped_limit, tly_loop_now_ms(receiver->spec.loop), &held)) {
        tly_log_warn(WHO, "%s: %zu entries of a frame are no records%s",
                     tly_stream_peer(connection->stream), frame->skipped, tly_log_held(held).text);
    }
    if (frame->chunk.len > 0 && !receiver->spec.no_ack) {
        int rc = tly_forward_ack(&connection->waiting, frame->chunk);
        if (rc < 0) {
            return rc;
        }
    }
    receiver->counts.frames++;
    receiver->counts.records += frame->records;
    receiver->frame_at = tly_line_writer_lines(receiver->writer)->len;
    return 0;
}

/* ---- what the streams tell ---- */

static void say_broken(struct connection *connection, int code, const struct tly_error *err)
{
    struct tly_line_receiver *receiver = connection->receiver;
    uint64_t held;
    if (tly_log_limit_pass(&receiver->broken_limit, tly_loop_now_ms(receiver->spec.loop), &held)) {
        tly_log_warn(WHO, "%s: connection closed: %s%s", tly_stream_peer(connection->stream),
                     err->code < 0 ? err->text : tly_error_name(code), tly_log_held(held).text);
    }
}

static void stream_received(void *arg, struct tly_text bytes)
{
    struct connection *connection = arg;
    struct tly_line_receiver *receiver = connection->receiver;
    const struct tly_forward_sink sink = {take_record, take_frame, connection};
    struct tly_buf *lines = tly_line_writer_lines(receiver->writer);
    struct tly_error err = {0};
    receiver->frame_at = lines->len;
    int rc = tly_forward_read(&connection->reader, bytes, &sink, &err);
    if (rc < 0) {
        lines->len = receiver->frame_at; /* of a frame all or nothing */
        say_broken(connection, rc, &err);
        connection_free(connection);
    }
    if (lines->len > LINES_BYTES_HIGH && !receiver->full) {
        receiver->full = true;
        listen_all(receiver);
    }
    if (receiver->spec.count > 0 && receiver->counts.records >= receiver->spec.count) {
        tly_line_receiver_stop(receiver);
        return;
    }
    flush(receiver);
}

static void stream_ended(void *arg, int code, const char *text)
{
    (void)code; /* said in `text` */
    tly_log_debug(WHO, "%s", text);
    connection_free(arg);
}

/* Room for one more connection; NULL where there is none, which is said. */
static struct connection *connection_new(struct tly_line_receiver *receiver,
                                         const struct tly_stream *stream)
{
    struct connection *connection = NULL;
    if (receiver->connection_count < receiver->spec.connections_max) {
        connection = calloc(1, sizeof(*connection));
    }
    uint64_t held;
    if (!connection &&
        tly_log_limit_pass(&receiver->refused_limit, tly_loop_now_ms(receiver->spec.loop), &held)) {
        tly_log_warn(WHO, "%s: refused beside %zu other connections%s", tly_stream_peer(stream),
                     receiver->connection_count, tly_log_held(held).text);
    }
    return connection;
}

static void accepted(void *arg, struct tly_stream *stream)
{
    static const struct tly_stream_events events = {.received = stream_received,
                                                    .ended = stream_ended};
    static const struct tly_forward_limits limits = {
        .frame_bytes_max = TLY_FORWARD_FRAME_BYTES_MAX,
        .inflated_bytes_max = TLY_FORWARD_FRAME_BYTES_MAX};
    struct tly_line_receiver *receiver = arg;
    struct connection *connection = receiver->stopping ? NULL : connection_new(receiver, stream);
    if (!connection) {
        tly_stream_free(stream);
        return;
    }
    receiver->counts.connections++;
    receiver->connection_count++;
    connection->receiver = receiver;
    connection->stream = stream;
    tly_forward_reader_init(&connection->reader, &limits);
    tly_buf_init(&connection->waiting, ANSWERS_BYTES_MAX);
    tly_buf_init(&connection->writing, ANSWERS_BYTES_MAX);
    connection->next = receiver->connections;
    if (connection->next) {
        connection->next->previous = connection;
    }
    receiver->connections = connection;
    tly_log_debug(WHO, "%s: connected", tly_stream_peer(stream));
    if (tly_stream_attach(stream, &events, connection) < 0) {
        connection_free(connection);
        return;
    }
    connection_listen(connection);
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
    if (spec->connections_max == 0) {
        receiver->spec.connections_max = TLY_LINE_RECEIVER_CONNECTIONS_MAX;
    }
    const struct tly_line_writer_spec writer = {
        .loop = spec->loop,
        .fd = spec->fd,
        .sync = spec->sync,
        .lines_bytes_max = LINES_BYTES_MAX,
        .written = written,
        .arg = receiver,
    };
    int rc = tly_line_writer_new(&writer, &receiver->writer);
    if (rc < 0) {
        free(receiver);
        return rc;
    }
    *ret_receiver = receiver;
    return 0;
}

void tly_line_receiver_free(struct tly_line_receiver *receiver)
{
    if (receiver) {
        close_all(receiver);
        tly_line_writer_free(receiver->writer);
        free(receiver);
    }
}

int tly_line_receiver_listen(struct tly_line_receiver *receiver, struct tly_address *address,
                             struct tly_error *err)
{
    if (receiver->listener_count == TLY_LINE_RECEIVER_LISTEN_MAX) {
        return tly_error_set(err, TLY_E_LIMIT, "at most %d addresses",
                             TLY_LINE_RECEIVER_LISTEN_MAX);
    }
    struct tly_listener **listener = &receiver->listeners[receiver->listener_count];
    int rc = tly_listener_new(receiver->spec.loop, address, accepted, receiver, listener, err);
    if (rc < 0) {
        return rc;
    }
    receiver->listener_count++;
    if (!*address->path) {
        address->port = tly_listener_port(*listener);
    }
    return 0;
}

struct tly_line_receiver_counts tly_line_receiver_counts(const struct tly_line_receiver *receiver)
{
    return receiver->counts;
}
