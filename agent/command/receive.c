/*
 * `tallyman receive`: a receiver of the forward protocol that prints records as JSON lines, for a
 * first look and for tests. This file is the command: arguments, output, signals; the work is
 * line_receiver.c.
 */
#include "agent/base/file.h"
#include "agent/codec/forward.h"
#include "agent/command/command.h"
#include "agent/command/line_receiver.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHO "receive"

#define LISTEN_DEFAULT "127.0.0.1:24224"
#define OUTPUT_MODE    0640

/* What a stop may take, before the output is left as it is. */
#define STOP_MS 5000

struct options {
    const char *listen[TLY_LINE_RECEIVER_LISTEN_MAX];
    size_t listen_count;
    const char *output; /* NULL: standard output */
    const char *port_file;
    struct tly_line_receiver_spec spec;
};

struct receive {
    const struct tly_command *command;
    struct options options;
    struct tly_loop *loop;
    struct tly_line_receiver *receiver;
    struct tly_signal *terminate, *interrupt;
    struct tly_timer *guard; /* of a stop */
    uint16_t port;           /* of the first address */
    bool stopping;
    int code;
};

/* ---- the end ---- */

static void ended(void *arg, int code)
{
    struct receive *receive = arg;
    const char *path = receive->options.output;
    tly_loop_stop(receive->loop);
    if (code == 0 || code == -EPIPE) { /* as with `| head`: whoever reads has seen enough */
        receive->code = TLY_EXIT_DONE;
        return;
    }
    receive->code = tly_command_fail(receive->command, "cannot write to %.200s: %s",
                                     path ? path : "standard output", tly_error_name(code));
}

static void guard_due(void *arg)
{
    (void)arg;
    tly_log_error(WHO, "the output does not take the last lines; they are not acknowledged");
    _exit(TLY_EXIT_USAGE); /* the worker is still at it and cannot be called back */
}

static void caught(void *arg, int signum)
{
    struct receive *receive = arg;
    const char *name = signum == SIGINT ? "SIGINT" : "SIGTERM";
    if (receive->stopping) {
        tly_log_warn(WHO, "%s again: stopping at once", name);
        _exit(TLY_EXIT_NO);
    }
    tly_log_info(WHO, "%s: stopping", name);
    receive->stopping = true;
    tly_timer_start(receive->guard, STOP_MS, 0);
    tly_line_receiver_stop(receive->receiver);
}

/* ---- the start ---- */

/* Where the last line of a file begins: behind its last newline, at `size` if it ends in one. */
static int last_line_at(int fd, off_t size, off_t *ret_at)
{
    enum { BLOCK_BYTES = 65536 };
    char block[BLOCK_BYTES];
    while (size > 0) {
        size_t len = size < BLOCK_BYTES ? (size_t)size : BLOCK_BYTES;
        ssize_t got = tly_file_pread(fd, block, len, size - (off_t)len);
        if (got < (ssize_t)len) {
            return got < 0 ? (int)got : -EIO; /* it shrinks under our hands */
        }
        const char *newline = memrchr(block, '\n', len);
        if (newline) {
            *ret_at = size - (off_t)len + (newline - block) + 1;
            return 0;
        }
        size -= (off_t)len;
    }
    *ret_at = 0;
    return 0;
}

/*
 * A receiver that was killed may have left half a line. It was never acknowledged and will come
 * again, so it is cut off; if it is no line of ours, it only gets its end.
 */
static int end_torn_line(const char *path, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return 0;
    }
    TLY_AUTO_FD reading = -1;
    off_t at = status.st_size;
    int rc = tly_file_open(AT_FDCWD, path, O_RDONLY, &reading);
    rc = rc < 0 ? rc : last_line_at(reading, status.st_size, &at);
    if (rc < 0 || at == status.st_size) {
        return rc;
    }
    const struct tly_text ours = TLY_TEXT("{\"tag\":");
    char start[sizeof("{\"tag\":")];
    ssize_t got = tly_file_pread(reading, start, ours.len, at);
    if (got < 0) {
        return (int)got;
    }
    if (memcmp(start, ours.at, (size_t)got) != 0) {
        return tly_file_write_fd(fd, "\n", 1);
    }
    tly_log_info(WHO, "%s: an unfinished last line is cut off", path);
    return ftruncate(fd, at) < 0 ? -errno : 0;
}

static int open_output(const struct tly_command *command, const char *path, int *ret_fd)
{
    if (!path) {
        *ret_fd = STDOUT_FILENO;
        return TLY_EXIT_DONE;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, OUTPUT_MODE);
    int rc = fd < 0 ? -errno : end_torn_line(path, fd);
    if (rc < 0) {
        tly_fd_close(&fd);
        return tly_command_fail(command, "cannot write to %.200s: %s", path, tly_error_name(rc));
    }
    *ret_fd = fd;
    return TLY_EXIT_DONE;
}

static int listen_on(struct receive *receive, const char *listen)
{
    struct tly_address address;
    struct tly_error err = {0};
    char text[TLY_ADDRESS_TEXT_MAX];
    int rc = tly_address_parse(tly_text_of(listen), TLY_FORWARD_PORT, &address, &err);
    if (rc < 0) {
        return tly_command_fail(receive->command, "--listen: `%.200s`: %s", listen, err.text);
    }
    rc = tly_line_receiver_listen(receive->receiver, &address, &err);
    if (rc < 0) {
        return tly_command_fail(receive->command, "%s", err.text);
    }
    if (receive->port == 0) {
        receive->port = address.port;
    }
    tly_address_format(&address, text);
    tly_log_info(WHO, "listening on %s", text);
    return TLY_EXIT_DONE;
}

/* The port in use, complete as soon as the file has its name. */
static int write_port(const struct receive *receive)
{
    enum { PATH_BYTES_MAX = 4096, PORT_BYTES_MAX = 16 };
    const char *path = receive->options.port_file;
    char temporary[PATH_BYTES_MAX];
    char port[PORT_BYTES_MAX];
    if (!path) {
        return TLY_EXIT_DONE;
    }
    int len = snprintf(port, sizeof(port), "%u\n", receive->port);
    int printed = snprintf(temporary, sizeof(temporary), "%s.new", path);
    TLY_AUTO_FD fd = -1;
    int rc = -ENAMETOOLONG;
    if (printed < (int)sizeof(temporary)) {
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, OUTPUT_MODE);
        rc = fd < 0 ? -errno : tly_file_write_fd(fd, port, (size_t)len);
    }
    if (rc == 0 && rename(temporary, path) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        return tly_command_fail(receive->command, "cannot write %.200s: %s", path,
                                tly_error_name(rc));
    }
    return TLY_EXIT_DONE;
}

static int start(struct receive *receive)
{
    int rc = tly_line_receiver_new(&receive->options.spec, &receive->receiver);
    rc = rc < 0 ? rc : tly_timer_new(receive->loop, guard_due, receive, &receive->guard);
    rc = rc < 0 ? rc : tly_signal_new(receive->loop, SIGTERM, caught, receive, &receive->terminate);
    rc = rc < 0 ? rc : tly_signal_new(receive->loop, SIGINT, caught, receive, &receive->interrupt);
    if (rc < 0) {
        return tly_command_fail(receive->command, "cannot start: %s", tly_error_name(rc));
    }
    for (size_t i = 0; i < receive->options.listen_count; i++) {
        int code = listen_on(receive, receive->options.listen[i]);
        if (code != TLY_EXIT_DONE) {
            return code;
        }
    }
    return write_port(receive);
}

static int receive_on_loop(struct receive *receive)
{
    int code = start(receive);
    if (code == TLY_EXIT_DONE) {
        tly_loop_run(receive->loop);
        code = receive->code;
        struct tly_line_receiver_counts counts = tly_line_receiver_counts(receive->receiver);
        tly_log_info(WHO, "%" PRIu64 " records in %" PRIu64 " frames on %" PRIu64 " connections",
                     counts.records, counts.frames, counts.connections);
    }
    tly_line_receiver_free(receive->receiver);
    tly_timer_free(receive->guard);
    tly_signal_free(receive->terminate);
    tly_signal_free(receive->interrupt);
    return code;
}

static int receive_all(const struct tly_command *command, const struct options *options)
{
    struct receive receive = {.command = command, .options = *options};
    TLY_AUTO_FD fd = -1;
    int code = open_output(command, options->output, &fd);
    if (code != TLY_EXIT_DONE) {
        return code;
    }
    int rc = tly_loop_new(&receive.loop);
    if (rc < 0) {
        return tly_command_fail(command, "cannot start: %s", tly_error_name(rc));
    }
    struct tly_line_receiver_spec *spec = &receive.options.spec;
    spec->loop = receive.loop;
    spec->fd = fd;
    spec->ended = ended;
    spec->arg = &receive;
    code = receive_on_loop(&receive);
    tly_loop_free(receive.loop);
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
        if (options->listen_count == TLY_LINE_RECEIVER_LISTEN_MAX) {
            return tly_command_fail(command, "at most %d addresses", TLY_LINE_RECEIVER_LISTEN_MAX);
        }
        options->listen[options->listen_count++] = optarg;
        return TLY_EXIT_DONE;
    case 'o':
        options->output = optarg;
        return TLY_EXIT_DONE;
    case 's':
        options->spec.sync = true;
        return TLY_EXIT_DONE;
    case 'r':
        options->spec.style.raw_bytes = true;
        return TLY_EXIT_DONE;
    case 'n':
        if (tly_text_u64(tly_text_of(optarg), &options->spec.count) < 0 ||
            options->spec.count == 0) {
            return tly_command_fail(command, "--count: `%.60s` is no number above 0", optarg);
        }
        return TLY_EXIT_DONE;
    case 'q':
        options->spec.quiet = true;
        return TLY_EXIT_DONE;
    case 'a':
        options->spec.no_ack = true;
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
