/*
 * Connections, from the accepted stream to their end: who may come in, whom to read from, and what
 * their bytes are. One intake per receiver, which owns it.
 */
#include "agent/intake/intake.h"

#include "agent/intake/intake_state.h"

#include <errno.h>
#include <stdlib.h>

/* Answers that wait for their frames to be safe: four times what stops the reading (answer.c), and
 * more than one read of frames, each longer than its answer, can bring above that. */
#define ANSWERS_BYTES_MAX (256UL * 1024)

/* A connection with no more than this of a frame is never the one that takes the memory. */
#define UNFINISHED_BYTES_SMALL (64UL * 1024)

/* ---- connections ---- */

static void count_unfinished(struct tly_intake_client *client, size_t bytes)
{
    client->intake->counts.unfinished_bytes += bytes;
    client->intake->counts.unfinished_bytes -= client->unfinished_bytes;
    client->unfinished_bytes = bytes;
}

void tly_intake_client_free(struct tly_intake_client *client)
{
    struct tly_intake *intake = client->intake;
    if (client->previous) {
        client->previous->next = client->next;
    } else {
        intake->clients = client->next;
    }
    if (client->next) {
        client->next->previous = client->previous;
    }
    intake->counts.open--;
    count_unfinished(client, 0);
    tly_intake_client_forget(client);
    tly_intake_greeting_end(client);
    tly_stream_free(client->stream);
    tly_forward_reader_done(&client->reader);
    tly_buf_done(&client->waiting);
    tly_buf_done(&client->sealed);
    free(client);
}

static bool is_read(const struct tly_intake_client *client)
{
    switch (client->intake->reads) {
    case TLY_INTAKE_READS_ALL:
        return true;
    case TLY_INTAKE_READS_SILENT:
        return !client->asks;
    default:
        return false;
    }
}

void tly_intake_client_listen(struct tly_intake_client *client)
{
    if (client->deaf || client->closed || !is_read(client)) {
        tly_stream_pause(client->stream);
    } else if (tly_stream_resume(client->stream) < 0) {
        tly_log_debug(client->intake->spec.who, "%s: not read any more",
                      tly_stream_peer(client->stream));
    }
}

void tly_intake_read(struct tly_intake *intake, enum tly_intake_reads whom)
{
    if (intake->reads == whom) {
        return;
    }
    intake->reads = whom;
    for (struct tly_intake_client *at = intake->clients; at; at = at->next) {
        tly_intake_client_listen(at);
    }
}

bool tly_intake_client_asks(const struct tly_intake_client *client)
{
    return client->asks;
}

const char *tly_intake_client_peer(const struct tly_intake_client *client)
{
    return tly_stream_peer(client->stream);
}

/* ---- frames ---- */

static int begin_frame(void *arg, const struct tly_forward_frame *frame)
{
    struct tly_intake_client *client = arg;
    const struct tly_intake_spec *spec = &client->intake->spec;
    int rc = spec->events->begin ? spec->events->begin(spec->arg, client, frame) : 0;
    client->asks = client->asks || frame->chunk.len > 0;
    return rc;
}

static int take_record(void *arg, const struct tly_forward_record *record)
{
    const struct tly_intake_client *client = arg;
    const struct tly_intake_spec *spec = &client->intake->spec;
    return spec->events->record(spec->arg, client, record);
}

static void say_skipped(const struct tly_intake_client *client,
                        const struct tly_forward_frame *frame)
{
    struct tly_intake *intake = client->intake;
    uint64_t held;
    intake->counts.skipped += frame->skipped;
    if (frame->skipped > 0 &&
        tly_log_limit_pass(&intake->skipped_limit, tly_loop_now_ms(intake->spec.loop), &held)) {
        tly_log_warn(intake->spec.who, "%s: %zu entries of a frame are no records%s",
                     tly_stream_peer(client->stream), frame->skipped, tly_log_held(held).text);
    }
}

static int take_frame(void *arg, const struct tly_forward_frame *frame)
{
    struct tly_intake_client *client = arg;
    struct tly_intake *intake = client->intake;
    say_skipped(client, frame);
    int rc = intake->spec.events->frame(intake->spec.arg, client, frame);
    if (rc == 0 && frame->chunk.len > 0 && !intake->spec.no_answers) {
        rc = tly_intake_client_owe(client, frame->chunk);
    }
    if (rc < 0) {
        return rc;
    }
    intake->counts.frames++;
    intake->counts.records += frame->records;
    return 0;
}

static void say_broken(struct tly_intake_client *client, int code, const struct tly_error *err)
{
    struct tly_intake *intake = client->intake;
    uint64_t held;
    intake->counts.broken++;
    if (tly_log_limit_pass(&intake->broken_limit, tly_loop_now_ms(intake->spec.loop), &held)) {
        tly_log_warn(intake->spec.who, "%s: connection closed: %s%s",
                     tly_stream_peer(client->stream),
                     err->code < 0 ? err->text : tly_error_name(code), tly_log_held(held).text);
    }
}

/* Whether its unfinished frame may stay. */
static int check_unfinished(struct tly_intake_client *client, struct tly_error *err)
{
    const struct tly_intake *intake = client->intake;
    count_unfinished(client, client->reader.frames.kept.cap);
    if (client->unfinished_bytes > UNFINISHED_BYTES_SMALL &&
        intake->counts.unfinished_bytes > intake->spec.unfinished_bytes_max) {
        return tly_error_set(err, TLY_E_LIMIT,
                             "the unfinished frames of all clients pass %zu bytes, and this one's "
                             "is long",
                             intake->spec.unfinished_bytes_max);
    }
    return 0;
}

static void stream_received(void *arg, struct tly_text bytes)
{
    struct tly_intake_client *client = arg;
    struct tly_intake *intake = client->intake;
    if (client->greeting) {
        tly_intake_greeting_read(client, bytes);
        return;
    }
    const struct tly_forward_sink sink = {
        .begin = begin_frame, .record = take_record, .frame = take_frame, .arg = client};
    struct tly_error err = {0};
    bool asked = client->asks;
    intake->counts.bytes += bytes.len;
    int rc = tly_forward_read(&client->reader, bytes, &sink, &err);
    if (rc < 0) {
        intake->spec.events->broken(intake->spec.arg);
    } else {
        rc = check_unfinished(client, &err);
    }
    if (rc < 0) {
        say_broken(client, rc, &err);
        tly_intake_client_free(client);
    } else if (!asked && client->asks) {
        tly_intake_client_listen(client);
    }
    intake->spec.events->received(intake->spec.arg);
}

static void stream_ended(void *arg, int code, const char *text)
{
    struct tly_intake_client *client = arg;
    (void)code; /* said in `text` */
    tly_log_debug(client->intake->spec.who, "%s", text);
    tly_intake_client_free(client);
}

/* ---- accepting ---- */

/* Room for one more connection; NULL where there is none, which is said. */
static struct tly_intake_client *client_new(struct tly_intake *intake,
                                            const struct tly_stream *stream)
{
    struct tly_intake_client *client = NULL;
    if (intake->counts.open < intake->spec.connections_max) {
        client = calloc(1, sizeof(*client));
    }
    uint64_t held;
    if (client) {
        return client;
    }
    intake->counts.refused++;
    if (tly_log_limit_pass(&intake->refused_limit, tly_loop_now_ms(intake->spec.loop), &held)) {
        tly_log_warn(intake->spec.who, "%s: refused beside %llu other connections%s",
                     tly_stream_peer(stream), (unsigned long long)intake->counts.open,
                     tly_log_held(held).text);
    }
    return NULL;
}

void tly_intake_client_begin(struct tly_intake_door *door, struct tly_stream *stream)
{
    static const struct tly_stream_events events = {.received = stream_received,
                                                    .ended = stream_ended};
    struct tly_intake *intake = door->intake;
    struct tly_intake_client *client = client_new(intake, stream);
    if (!client) {
        tly_stream_free(stream);
        return;
    }
    intake->counts.connections++;
    intake->counts.open++;
    client->intake = intake;
    client->stream = stream;
    client->gate = door->gate;
    tly_forward_reader_init(&client->reader, &intake->spec.limits);
    tly_buf_init(&client->waiting, ANSWERS_BYTES_MAX);
    tly_buf_init(&client->sealed, ANSWERS_BYTES_MAX);
    client->next = intake->clients;
    if (client->next) {
        client->next->previous = client;
    }
    intake->clients = client;
    tly_log_debug(intake->spec.who, "%s: connected", tly_stream_peer(stream));
    if (tly_stream_attach(stream, &events, client) < 0 ||
        (client->gate && !tly_intake_greeting_begin(client))) {
        tly_intake_client_free(client);
        return;
    }
    tly_intake_client_listen(client);
}

static void accepted(void *arg, struct tly_stream *stream)
{
    tly_intake_client_begin(arg, stream);
}

/* ---- life ---- */

int tly_intake_new(const struct tly_intake_spec *spec, struct tly_intake **ret_intake)
{
    struct tly_intake *intake = calloc(1, sizeof(*intake));
    if (!intake) {
        return -ENOMEM;
    }
    intake->spec = *spec;
    *ret_intake = intake;
    return 0;
}

void tly_intake_bar(struct tly_intake *intake)
{
    for (size_t i = 0; i < intake->door_count; i++) {
        tly_listener_free(intake->doors[i].listener);
    }
    intake->door_count = 0;
}

void tly_intake_close(struct tly_intake *intake)
{
    tly_intake_bar(intake);
    while (intake->clients) {
        tly_intake_client_free(intake->clients);
    }
}

void tly_intake_free(struct tly_intake *intake)
{
    if (intake) {
        tly_intake_close(intake);
        free(intake);
    }
}

int tly_intake_listen(struct tly_intake *intake, struct tly_address *address,
                      const struct tly_forward_gate *gate, struct tly_error *err)
{
    if (intake->door_count == TLY_INTAKE_LISTEN_MAX) {
        return tly_error_set(err, TLY_E_LIMIT, "at most %d addresses", TLY_INTAKE_LISTEN_MAX);
    }
    struct tly_intake_door *door = &intake->doors[intake->door_count];
    *door = (struct tly_intake_door){.intake = intake, .gate = gate};
    int rc = tly_listener_new(intake->spec.loop, address, accepted, door, &door->listener, err);
    if (rc < 0) {
        return rc;
    }
    intake->door_count++;
    if (!*address->path) {
        address->port = tly_listener_port(door->listener);
    }
    return 0;
}

void tly_intake_counts(const struct tly_intake *intake, struct tly_intake_counts *ret_counts)
{
    *ret_counts = intake->counts;
}
