/*
 * `tallyman receive`: a receiver of the forward protocol that prints records as JSON lines. A frame
 * is acknowledged once its lines are written. The acknowledgements of a connection go through three
 * places: `waiting` while their lines collect, `writing` while the worker has them, and then the
 * stream.
 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/forward.h"
#include "agent/codec/record_json.h"
#include "agent/command/command.h"
#include "agent/command/line_writer.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHO "receive"

/* While more than this waits to be written, nothing more is read. */
#define LINES_BYTES_HIGH (8UL * 1024 * 1024)
/* The lines of one frame may be longer than the frame: names repeat, control characters become six
 * letters. Beyond this a frame is refused. */
#define LINES_BYTES_MAX (512UL * 1024 * 1024)
/* Answers that a client does not read. */
#define ANSWERS_BYTES_HIGH (64UL * 1024)
#define ANSWERS_BYTES_MAX  (16UL * 1024 * 1024)
/* What a stop may take, before the output is left as it is. */
#define STOP_MS 5000

#define LISTEN_MAX     8
#define LISTEN_DEFAULT "127.0.0.1:24224"

#define OUTPUT_MODE 0640

struct options {
    const char *listen[LISTEN_MAX];
    size_t listen_count;
    const char *output; /* NULL: standard output */
    const char *port_file;
    uint64_t count; /* 0: no end */
    bool sync, quiet, no_ack;
    struct tly_json_style style;
};

struct receive {
    const struct tly_command *command;
    struct options options;
    struct tly_loop *loop;
    struct tly_listener *listeners[LISTEN_MAX];
    struct tly_signal *terminate, *interrupt;
    struct tly_timer *guard; /* of a stop */
    struct tly_line_writer *writer;
    int fd;
    struct connection *connections;
    uint64_t records, frames, accepted;
    struct tly_log_limit broken_limit, skipped_limit;
    size_t frame_at; /* where the lines of the frame that is being read begin */
    bool full;       /* reading is paused until lines are written */
    bool stopping;   /* no connection is read any more */
    int code;
};

struct connection {
    struct receive *receive;
    struct tly_stream *stream;
    struct tly_forward_reader reader;
    struct tly_buf waiting, writing; /* see above */
    bool deaf;                       /* takes none of its answers: nothing is read from it either */
    struct connection *next, *previous;
};

static void flush(struct receive *receive);

/* ---- connections ---- */

static void connection_free(struct connection *connection)
{
    struct receive *receive = connection->receive;
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        receive->connections = connection->next;
    }
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    tly_stream_free(connection->stream);
    tly_forward_reader_done(&connection->reader);
    tly_buf_done(&connection->waiting);
    tly_buf_done(&connection->writing);
    free(connection);
}

/* Reads from it, unless something speaks against it. */
static void connection_listen(struct connection *connection)
{
    const struct receive *receive = connection->receive;
    if (connection->deaf || receive->full || receive->stopping) {
        tly_stream_pause(connection->stream);
    } else if (tly_stream_resume(connection->stream) < 0) {
        tly_log_debug(WHO, "%s: not read any more", tly_stream_peer(connection->stream));
    }
}

static void listen_all(struct receive *receive)
{
    for (struct connection *at = receive->connections; at; at = at->next) {
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

static void answer_all(struct receive *receive)
{
    struct connection *next;
    for (struct connection *at = receive->connections; at; at = next) {
        next = at->next;
        if (at->writing.len > 0 && !connection_answer(at)) {
            connection_free(at);
        }
    }
}

/* ---- the end ---- */

/* Lets go of everything, so that the loop runs out. */
static void finish(struct receive *receive, int code)
{
    receive->code = code;
    receive->stopping = true;
    for (size_t i = 0; i < LISTEN_MAX; i++) {
        tly_listener_free(receive->listeners[i]);
        receive->listeners[i] = NULL;
    }
    while (receive->connections) {
        connection_free(receive->connections);
    }
    tly_timer_free(receive->guard);
    tly_signal_free(receive->terminate);
    tly_signal_free(receive->interrupt);
    receive->guard = NULL;
    receive->terminate = NULL;
    receive->interrupt = NULL;
}

/* Takes nothing more; what was taken is written and answered. */
static void stop(struct receive *receive)
{
    if (receive->stopping) {
        return;
    }
    receive->stopping = true;
    listen_all(receive);
    tly_timer_start(receive->guard, STOP_MS, 0);
    flush(receive);
}

static void guard_due(void *arg)
{
    const struct receive *receive = arg;
    tly_log_error(WHO, "the output does not take the last lines; they are not acknowledged");
    (void)receive;
    _exit(TLY_EXIT_USAGE); /* the worker is still at it and cannot be called back */
}

static void caught(void *arg, int signum)
{
    struct receive *receive = arg;
    if (receive->stopping) {
        _exit(TLY_EXIT_NO);
    }
    tly_log_info(WHO, "%s: stopping", signum == SIGINT ? "SIGINT" : "SIGTERM");
    stop(receive);
}

static void output_failed(struct receive *receive, int code)
{
    if (code == -EPIPE) { /* as with `| head`: whoever reads has seen enough */
        finish(receive, TLY_EXIT_DONE);
        return;
    }
    finish(receive,
           tly_command_fail(receive->command, "cannot write to %s: %s",
                            receive->options.output ? receive->options.output : "standard output",
                            tly_error_name(code)));
}

/* ---- lines ---- */

static void written(void *arg, int code)
{
    struct receive *receive = arg;
    if (code < 0) {
        output_failed(receive, code);
        return;
    }
    answer_all(receive);
    flush(receive);
}

/* Hands the lines that have collected to the worker, and with them the answers that wait for them.
 * With nothing left to do, that is the end of a stop. */
static void flush(struct receive *receive)
{
    if (tly_line_writer_busy(receive->writer)) {
        return;
    }
    for (struct connection *at = receive->connections; at; at = at->next) {
        struct tly_buf empty = at->writing;
        at->writing = at->waiting;
        at->waiting = empty;
    }
    if (tly_line_writer_lines(receive->writer)->len == 0) {
        answer_all(receive);
        if (receive->stopping) {
            finish(receive, TLY_EXIT_DONE);
        }
        return;
    }
    int rc = tly_line_writer_flush(receive->writer);
    if (rc < 0) {
        output_failed(receive, rc);
        return;
    }
    if (receive->full) {
        receive->full = false;
        listen_all(receive);
    }
}

static int append_line(struct receive *receive, const struct tly_forward_record *record)
{
    struct tly_buf *lines = tly_line_writer_lines(receive->writer);
    struct tly_json_style style = receive->options.style;
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
    struct receive *receive = connection->receive;
    return receive->options.quiet ? 0 : append_line(receive, record);
}

static int take_frame(void *arg, const struct tly_forward_frame *frame)
{
    struct connection *connection = arg;
    struct receive *receive = connection->receive;
    uint64_t held;
    if (frame->skipped > 0 &&
        tly_log_limit_pass(&receive->skipped_limit, tly_loop_now_ms(receive->loop), &held)) {
        tly_log_warn(WHO, "%s: %zu entries of a frame are no records (%" PRIu64 " frames before)",
                     tly_stream_peer(connection->stream), frame->skipped, held);
    }
    if (frame->chunk.len > 0 && !receive->options.no_ack) {
        int rc = tly_forward_ack(&connection->waiting, frame->chunk);
        if (rc < 0) {
            return rc;
        }
    }
    receive->frames++;
    receive->records += frame->records;
    receive->frame_at = tly_line_writer_lines(receive->writer)->len;
    return 0;
}

/* ---- what the streams tell ---- */

static void say_broken(struct connection *connection, int code, const struct tly_error *err)
{
    struct receive *receive = connection->receive;
    uint64_t held;
    if (tly_log_limit_pass(&receive->broken_limit, tly_loop_now_ms(receive->loop), &held)) {
        tly_log_warn(WHO, "%s: connection closed: %s (%" PRIu64 " others before)",
                     tly_stream_peer(connection->stream),
                     err->code < 0 ? err->text : tly_error_name(code), held);
    }
}

static void stream_received(void *arg, struct tly_text bytes)
{
    struct connection *connection = arg;
    struct receive *receive = connection->receive;
    const struct tly_forward_sink sink = {take_record, take_frame, connection};
    struct tly_buf *lines = tly_line_writer_lines(receive->writer);
    struct tly_error err = {0};
    receive->frame_at = lines->len;
    int rc = tly_forward_read(&connection->reader, bytes, &sink, &err);
    if (rc < 0) {
        lines->len = receive->frame_at; /* of a frame all or nothing */
        say_broken(connection, rc, &err);
        connection_free(connection);
    }
    if (lines->len > LINES_BYTES_HIGH && !receive->full) {
        receive->full = true;
        listen_all(receive);
    }
    if (receive->options.count > 0 && receive->records >= receive->options.count) {
        stop(receive);
        return;
    }
    flush(receive);
}

static void stream_ended(void *arg, int code, const char *text)
{
    (void)code; /* said in `text` */
    tly_log_debug(WHO, "%s", text);
    connection_free(arg);
}

static void accepted(void *arg, struct tly_stream *stream)
{
    static const struct tly_stream_events events = {.received = stream_received,
                                                    .ended = stream_ended};
    static const struct tly_forward_limits limits = {
        .frame_bytes_max = TLY_FORWARD_FRAME_BYTES_MAX,
        .inflated_bytes_max = TLY_FORWARD_FRAME_BYTES_MAX};
    struct receive *receive = arg;
    struct connection *connection = receive->stopping ? NULL : calloc(1, sizeof(*connection));
    if (!connection) {
        tly_stream_free(stream);
        return;
    }
    receive->accepted++;
    connection->receive = receive;
    connection->stream = stream;
    tly_forward_reader_init(&connection->reader, &limits);
    tly_buf_init(&connection->waiting, ANSWERS_BYTES_MAX);
    tly_buf_init(&connection->writing, ANSWERS_BYTES_MAX);
    connection->next = receive->connections;
    if (connection->next) {
        connection->next->previous = connection;
    }
    receive->connections = connection;
    tly_log_debug(WHO, "%s: connected", tly_stream_peer(stream));
    if (tly_stream_attach(stream, &events, connection) < 0) {
        connection_free(connection);
        return;
    }
    connection_listen(connection);
}

/* ---- the start ---- */

/* A receiver that was killed may have left half a line: the next one begins anew. */
static int end_torn_line(const char *path, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        return 0;
    }
    TLY_AUTO_FD reading = -1;
    int rc = tly_file_open(AT_FDCWD, path, O_RDONLY, &reading);
    char last = '\n';
    if (rc == 0) {
        ssize_t got = tly_file_pread(reading, &last, 1, status.st_size - 1);
        rc = got < 0 ? (int)got : 0;
    }
    return rc < 0 || last == '\n' ? rc : tly_file_write_fd(fd, "\n", 1);
}

static int open_output(struct receive *receive)
{
    const char *path = receive->options.output;
    if (!path) {
        receive->fd = STDOUT_FILENO;
        return 0;
    }
    receive->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, OUTPUT_MODE);
    int rc = receive->fd < 0 ? -errno : end_torn_line(path, receive->fd);
    if (rc < 0) {
        return tly_command_fail(receive->command, "cannot write to %s: %s", path,
                                tly_error_name(rc));
    }
    return 0;
}

static int listen_on(struct receive *receive, size_t index)
{
    struct tly_address address;
    struct tly_error err = {0};
    char text[TLY_ADDRESS_TEXT_MAX];
    int rc = tly_address_parse(tly_text_of(receive->options.listen[index]), TLY_FORWARD_PORT,
                               &address, &err);
    if (rc == 0) {
        rc = tly_listener_new(receive->loop, &address, accepted, receive,
                              &receive->listeners[index], &err);
    }
    if (rc < 0) {
        return tly_command_fail(receive->command, "%s", err.text);
    }
    if (!*address.path) {
        address.port = tly_listener_port(receive->listeners[index]);
    }
    tly_address_format(&address, text);
    tly_log_info(WHO, "listening on %s", text);
    return 0;
}

/* The port in use, complete as soon as the file has its name. */
static int write_port(const struct receive *receive)
{
    enum { PATH_BYTES_MAX = 4096, PORT_BYTES_MAX = 16 };
    const char *path = receive->options.port_file;
    char temporary[PATH_BYTES_MAX];
    char port[PORT_BYTES_MAX];
    if (!path) {
        return 0;
    }
    int len = snprintf(port, sizeof(port), "%u\n", tly_listener_port(receive->listeners[0]));
    int printed = snprintf(temporary, sizeof(temporary), "%s.new", path);
    TLY_AUTO_FD fd = printed < (int)sizeof(temporary)
                         ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, OUTPUT_MODE)
                         : -1;
    int rc = fd < 0 ? -errno : tly_file_write_fd(fd, port, (size_t)len);
    if (rc == 0 && rename(temporary, path) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        return tly_command_fail(receive->command, "cannot write %s: %s", path, tly_error_name(rc));
    }
    return 0;
}

static int start(struct receive *receive)
{
    const struct tly_line_writer_spec writer = {
        .loop = receive->loop,
        .fd = receive->fd,
        .sync = receive->options.sync,
        .lines_bytes_max = LINES_BYTES_MAX,
        .written = written,
        .arg = receive,
    };
    int rc = tly_line_writer_new(&writer, &receive->writer);
    rc = rc < 0 ? rc : tly_timer_new(receive->loop, guard_due, receive, &receive->guard);
    rc = rc < 0 ? rc : tly_signal_new(receive->loop, SIGTERM, caught, receive, &receive->terminate);
    rc = rc < 0 ? rc : tly_signal_new(receive->loop, SIGINT, caught, receive, &receive->interrupt);
    if (rc < 0) {
        return tly_command_fail(receive->command, "cannot start: %s", tly_error_name(rc));
    }
    for (size_t i = 0; i < receive->options.listen_count; i++) {
        int code = listen_on(receive, i);
        if (code != 0) {
            return code;
        }
    }
    return write_port(receive);
}

static int receive_all(const struct tly_command *command, const struct options *options)
{
    struct receive receive = {.command = command, .options = *options, .fd = -1};
    int code = open_output(&receive);
    if (code != 0) {
        tly_fd_close(&receive.fd);
        return code;
    }
    int rc = tly_loop_new(&receive.loop);
    if (rc < 0) {
        return tly_command_fail(command, "cannot start: %s", tly_error_name(rc));
    }
    code = start(&receive);
    if (code == 0) {
        tly_loop_run(receive.loop);
        code = receive.code;
        tly_log_info(WHO, "%" PRIu64 " records in %" PRIu64 " frames on %" PRIu64 " connections",
                     receive.records, receive.frames, receive.accepted);
    } else {
        finish(&receive, code);
    }
    tly_line_writer_free(receive.writer);
    tly_loop_free(receive.loop);
    tly_fd_close(&receive.fd);
    return code;
}

static const struct tly_argument arguments[] = {
    {'l', "listen", "ADDR",
     "Where to listen: host:port, [v6]:port, :port for every interface, or unix:///path; port 0 "
     "lets the kernel choose. May be given several times. Default: " LISTEN_DEFAULT "."},
    {'o', "output", "FILE", "Append to this file instead of printing to standard output."},
    {'s', "fsync", NULL, "Acknowledge only what has reached the disk."},
    {'r', "raw-bytes", NULL,
     "Leave bytes that are not UTF-8 as they are, instead of showing U+FFFD for each. Such a line "
     "is no valid JSON for most readers, but exact."},
    {'n', "count", "N", "Stop when N records have come, with the frame that holds the Nth."},
    {'q', "quiet", NULL, "Print no records; count and acknowledge them."},
    {'a', "no-ack", NULL, "Acknowledge nothing, to see what a sender makes of it."},
    {'p', "port-file", "FILE", "Write the port of the first address to this file when it is open."},
    {0},
};

static int take_argument(const struct tly_command *command, int letter, struct options *options)
{
    switch (letter) {
    case 'l':
        if (options->listen_count == LISTEN_MAX) {
            return tly_command_fail(command, "at most %d addresses", LISTEN_MAX);
        }
        options->listen[options->listen_count++] = optarg;
        return TLY_EXIT_DONE;
    case 'o':
        options->output = optarg;
        return TLY_EXIT_DONE;
    case 's':
        options->sync = true;
        return TLY_EXIT_DONE;
    case 'r':
        options->style.raw_bytes = true;
        return TLY_EXIT_DONE;
    case 'n':
        if (tly_text_u64(tly_text_of(optarg), &options->count) < 0 || options->count == 0) {
            return tly_command_fail(command, "--count: `%.60s` is no number above 0", optarg);
        }
        return TLY_EXIT_DONE;
    case 'q':
        options->quiet = true;
        return TLY_EXIT_DONE;
    case 'a':
        options->no_ack = true;
        return TLY_EXIT_DONE;
    default:
        options->port_file = optarg;
        return TLY_EXIT_DONE;
    }
}

static int run(const struct tly_command *command, int argc, char **argv)
{
    struct options options = {0};
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        if (letter < 0) {
            return tly_arguments_exit(letter);
        }
        int code = take_argument(command, letter, &options);
        if (code != TLY_EXIT_DONE) {
            return code;
        }
    }
    if (options.listen_count == 0) {
        options.listen[options.listen_count++] = LISTEN_DEFAULT;
    }
    return receive_all(command, &options);
}

const struct tly_command tly_command_receive = {
    .name = "receive",
    .summary = "Receive records of the forward protocol and print them as JSON lines",
    .help =
        "Receives records from the agent or any other client of the Fluentd forward protocol\n"
        "and prints each as one line of JSON, {\"tag\": ..., \"time\": ..., \"record\": {...}}.\n"
        "A frame is acknowledged when its lines are written. SIGINT and SIGTERM end it, once\n"
        "all that has come is written. Anyone who can connect can send: there is neither TLS\n"
        "nor authentication.",
    .arguments = arguments,
    .run = run,
};
