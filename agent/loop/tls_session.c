/*
 * TLS on one stream, by GnuTLS over memory: it pulls from the bytes that the wire brought last and
 * pushes to a buffer, so that it never sees a socket and never waits. One batch of ciphertext is
 * under way at a time; what the owner queued is encrypted when the one before has been taken. So a
 * stream with a slow peer holds a batch, not a copy of all that waits.
 */
#include "agent/loop/tls_session.h"

#include "agent/base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plain bytes of one batch: a few records, enough that the kernel is not asked too often. */
#define BATCH_BYTES ((size_t)64 * 1024)
/* Largest plaintext of a record (RFC 8446 section 5.1). */
#define RECORD_BYTES 16384
/* A batch with what encryption adds; a flight of the handshake with long chains of certificates. */
#define OUT_BYTES_MAX ((size_t)512 * 1024)
/* A buffer that grew beyond this is given back when nothing is left to write. */
#define KEEP_BYTES_MAX ((size_t)4096)

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct tly_tls_session {
    struct tly_stream *stream; /* borrowed: it owns this */
    struct tly_tls_credentials *credentials;
    gnutls_session_t handle;
    void (*stood)(struct tly_stream *stream);
    bool standing;       /* the handshake is done */
    bool inside;         /* of drain */
    bool wire_closed;    /* nothing follows behind `in` */
    int failure;         /* to be told in a later turn; 0: none */
    struct tly_text in;  /* not pulled yet; borrowed */
    struct tly_buf kept; /* the same, between the turns of a paused stream */
    struct tly_buf out;  /* pushed and not written yet */
    struct tly_buf wire; /* being written */
    bool writing;
    uv_write_t request;
    struct tly_defer *again;
    /* Where encryption stands; NULL: all that was queued is encrypted. */
    struct tly_write *next_write;
    size_t next_run, run_offset;
    size_t queued;  /* plain bytes that the kernel has not taken */
    size_t batched; /* of these in `out` and `wire` */
    size_t whole;   /* writes that end there */
};

static bool is_alive(const struct tly_stream *stream)
{
    return stream->state < TLY_STREAM_ENDED;
}

/* ---- what GnuTLS calls ---- */

static ssize_t pull(gnutls_transport_ptr_t arg, void *to, size_t len)
{
    struct tly_tls_session *session = arg;
    if (session->in.len == 0) {
        if (session->wire_closed) {
            return 0;
        }
        gnutls_transport_set_errno(session->handle, EAGAIN);
        return -1;
    }
    size_t count = len < session->in.len ? len : session->in.len;
    memcpy(to, session->in.at, count);
    session->in.at += count;
    session->in.len -= count;
    return (ssize_t)count;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
    const struct tly_tls_session *session = arg;
    (void)ms; /* what is not there now comes in another turn */
    return session->in.len > 0 || session->wire_closed;
}

static ssize_t push(gnutls_transport_ptr_t arg, const void *bytes, size_t len)
{
    struct tly_tls_session *session = arg;
    if (tly_buf_append(&session->out, bytes, len) < 0) {
        gnutls_transport_set_errno(session->handle, ENOMEM);
        return -1;
    }
    return (ssize_t)len;
}

/* ---- failing ---- */

/* An alert, or a goodbye, if the kernel takes it at once. */
static void write_last(struct tly_tls_session *session)
{
    struct tly_stream *stream = session->stream;
    if (session->out.len > 0 && !session->writing && stream->handle_open) {
        uv_buf_t buf = uv_buf_init(session->out.at, (unsigned)session->out.len);
        int rc = uv_try_write(&stream->handle.stream, &buf, 1);
        session->out.len = 0; /* whatever came of it */
        (void)rc;
    }
}

static void say_refused_certificate(gnutls_session_t handle, char *to, size_t len)
{
    gnutls_datum_t text = {NULL, 0};
    unsigned status = gnutls_session_get_verify_cert_status(handle);
    int rc = gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
    (void)snprintf(to, len, "%s",
                   rc < 0 ? "the peer's certificate is not valid" : (const char *)text.data);
    size_t end = strlen(to);
    while (end > 0 && (to[end - 1] == ' ' || to[end - 1] == '.')) { /* it is a sentence, or two */
        to[--end] = '\0';
    }
    gnutls_free(text.data);
}

static void fail(struct tly_tls_session *session, int code)
{
    enum { TEXT_MAX = 400 };
    char why[TEXT_MAX];
    int ours = -EPROTO;
    if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        say_refused_certificate(session->handle, why, sizeof(why));
        ours = TLY_E_REFUSED;
    } else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        (void)snprintf(why, sizeof(why), "the peer says: %s",
                       gnutls_alert_get_name(gnutls_alert_get(session->handle)));
        ours = TLY_E_REFUSED;
    } else if (session->wire_closed) {
        (void)snprintf(why, sizeof(why), "closed by the peer");
        ours = -ECONNRESET;
    } else {
        (void)snprintf(why, sizeof(why), "%s%s", gnutls_strerror(code),
                       session->standing ? "" : " Does the peer speak TLS?");
    }
    if (is_alive(session->stream)) {
        /* A peer that knows why is a peer whose log says why. */
        if (gnutls_alert_send_appropriate(session->handle, code) >= 0) {
            write_last(session);
        }
        tly_stream_end_saying(session->stream, ours,
                              session->standing ? "TLS failed" : "the TLS handshake failed", why);
    }
}

/* From where nobody may be called back. */
static void fail_later(struct tly_tls_session *session, int code)
{
    session->failure = session->failure < 0 ? session->failure : code;
    tly_defer_call(session->again);
}

/* ---- writing ---- */

/* The next run's next piece, one record of it. False: nothing is left, or encryption failed. */
static bool encrypt_piece(struct tly_tls_session *session)
{
    struct tly_write *write = session->next_write;
    if (!write) {
        return false;
    }
    if (session->next_run < write->run_count) {
        struct tly_text run = write->runs[session->next_run];
        size_t left = run.len - session->run_offset;
        size_t piece = left < RECORD_BYTES ? left : RECORD_BYTES;
        if (piece > 0) {
            ssize_t done = gnutls_record_send(session->handle, run.at + session->run_offset, piece);
            if (done < 0) {
                fail_later(session, done == GNUTLS_E_PUSH_ERROR ? -ENOMEM : -EPROTO);
                return false;
            }
            session->run_offset += (size_t)done;
            session->batched += (size_t)done;
        }
        if (session->run_offset == run.len) {
            session->next_run++;
            session->run_offset = 0;
        }
    }
    if (session->next_run == write->run_count) {
        session->next_write = write->next;
        session->next_run = 0;
        session->whole++;
    }
    return true;
}

static void wire_written(uv_write_t *request, int status);

static void pump(struct tly_tls_session *session)
{
    struct tly_stream *stream = session->stream;
    if (session->writing || session->failure < 0 || !is_alive(stream)) {
        return;
    }
    while (session->standing && session->batched < BATCH_BYTES && encrypt_piece(session)) {
    }
    if (session->out.len == 0 && session->whole == 0) {
        if (session->out.cap > KEEP_BYTES_MAX || session->wire.cap > KEEP_BYTES_MAX) {
            tly_buf_done(&session->out);
            tly_buf_done(&session->wire);
        }
        return;
    }
    struct tly_buf taken = session->wire;
    session->wire = session->out;
    session->out = taken;
    uv_buf_t buf = uv_buf_init(session->wire.at, (unsigned)session->wire.len);
    session->request.data = session;
    int rc = uv_write(&session->request, &stream->handle.stream, &buf, 1, wire_written);
    if (rc < 0) {
        fail_later(session, rc);
        return;
    }
    session->writing = true;
}

static void wire_written(uv_write_t *request, int status)
{
    struct tly_tls_session *session = request->data;
    struct tly_stream *stream = session->stream;
    session->writing = false;
    tly_buf_clear(&session->wire);
    if (status < 0) {
        tly_stream_end(stream, status, "writing failed");
        return;
    }
    size_t whole = session->whole;
    session->whole = 0;
    session->queued -= session->batched;
    session->batched = 0;
    tly_stream_ref(stream);
    for (; whole > 0 && stream->state == TLY_STREAM_OPEN; whole--) {
        tly_stream_first_written(stream);
    }
    pump(session);
    tly_stream_unref(stream);
}

void tly_tls_session_write(struct tly_stream *stream, struct tly_write *write)
{
    struct tly_tls_session *session = stream->tls;
    for (size_t i = 0; i < write->run_count; i++) {
        session->queued += write->runs[i].len;
    }
    if (!session->next_write) {
        session->next_write = write;
    }
    pump(session);
}

size_t tly_tls_session_queued(const struct tly_tls_session *session)
{
    return session->queued;
}

/* ---- reading ---- */

/* GnuTLS says "again" for want of bytes, but also behind a message of its own, such as a session
 * ticket, with more bytes at hand. */
static bool is_waiting(const struct tly_tls_session *session, int code)
{
    return (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED) && session->in.len == 0;
}

/* One step of the handshake. False: it waits for the peer, or the stream has ended. */
static bool step_handshake(struct tly_tls_session *session)
{
    int code = gnutls_handshake(session->handle);
    if (code == GNUTLS_E_SUCCESS) {
        session->standing = true;
        session->stood(session->stream);
        return true;
    }
    if (is_waiting(session, code)) {
        return false;
    }
    if (!gnutls_error_is_fatal(code)) {
        return true; /* a warning */
    }
    fail(session, code);
    return false;
}

/* One record to the owner. False: there is none, or the stream has ended. */
static bool step_record(struct tly_tls_session *session)
{
    struct tly_stream *stream = session->stream;
    char plain[RECORD_BYTES];
    ssize_t count = gnutls_record_recv(session->handle, plain, sizeof(plain));
    if (count > 0) {
        if (stream->events.received) {
            stream->events.received(stream->arg, (struct tly_text){plain, (size_t)count});
        }
        return true;
    }
    if (is_waiting(session, (int)count)) {
        return false;
    }
    /* Many peers close without TLS's own goodbye. What goes through here marks its ends itself, so
     * that a cut is noticed anyway. */
    if (count == 0 || count == GNUTLS_E_PREMATURE_TERMINATION) {
        tly_stream_end(stream, 0, "closed by the peer");
        return false;
    }
    if (count != GNUTLS_E_REHANDSHAKE && !gnutls_error_is_fatal((int)count)) {
        return true;
    }
    fail(session, (int)count);
    return false;
}

/* Works `in` off, as far as the owner wants it. The stream may have been freed by its owner when
 * this returns; the caller holds a reference. */
static void drain(struct tly_tls_session *session)
{
    struct tly_stream *stream = session->stream;
    bool more = true;
    session->inside = true;
    while (more && is_alive(stream)) {
        if (!session->standing) {
            more = step_handshake(session);
        } else if (stream->paused) {
            more = false;
        } else {
            more = step_record(session);
        }
    }
    session->inside = false;
    pump(session); /* answers of TLS itself */
}

void tly_tls_session_read(struct tly_stream *stream, struct tly_text wire)
{
    struct tly_tls_session *session = stream->tls;
    tly_stream_ref(stream);
    session->wire_closed = wire.len == 0;
    if (session->wire_closed) {
        (void)uv_read_stop(&stream->handle.stream); /* always 0 */
    }
    session->in = wire; /* nothing is kept while the stream is read */
    drain(session);
    if (is_alive(stream) && session->in.len > 0 &&
        tly_buf_append_text(&session->kept, session->in) < 0) {
        tly_stream_end(stream, -ENOMEM, "reading failed");
    }
    session->in = (struct tly_text){NULL, 0};
    tly_stream_unref(stream);
}

bool tly_tls_session_resume(struct tly_stream *stream)
{
    struct tly_tls_session *session = stream->tls;
    if (session->inside) {
        return session->wire_closed; /* drain looks again when its callback returns */
    }
    if (session->kept.len == 0 && !session->wire_closed &&
        gnutls_record_check_pending(session->handle) == 0) {
        return false;
    }
    tly_defer_call(session->again);
    return true;
}

static void go_on(void *arg)
{
    struct tly_tls_session *session = arg;
    struct tly_stream *stream = session->stream;
    if (!is_alive(stream)) {
        return;
    }
    if (session->failure < 0) {
        tly_stream_end(stream, session->failure, "writing failed");
        return;
    }
    tly_stream_ref(stream);
    session->in = tly_buf_text(&session->kept);
    drain(session);
    if (is_alive(stream)) {
        tly_buf_consume(&session->kept, session->kept.len - session->in.len);
        if (session->kept.len == 0) {
            tly_buf_done(&session->kept);
        }
        int rc = stream->paused || session->wire_closed ? 0 : tly_stream_start_reading(stream);
        if (rc < 0) {
            tly_stream_end(stream, rc, "reading failed");
        }
    }
    session->in = (struct tly_text){NULL, 0};
    tly_stream_unref(stream);
}

/* ---- life ---- */

static int set_up_client(struct tly_tls_session *session, const struct tly_tls_spec *spec,
                         const char *host)
{
    const char *name = spec->server_name ? spec->server_name : host;
    const struct tly_address address = {.port = 0};
    struct tly_address literal = address;
    union tly_sockaddr unused;
    (void)snprintf(literal.host, sizeof(literal.host), "%s", name);
    int code = 0;
    if (name[0] != '\0' && !tly_address_literal(&literal, &unused)) {
        code = gnutls_server_name_set(session->handle, GNUTLS_NAME_DNS, name, strlen(name));
    }
    if (!spec->skip_verify) {
        /* The name is kept by reference: the address and the spec outlive the session. */
        gnutls_session_set_verify_cert(session->handle, spec->skip_name ? NULL : name, 0);
    }
    return code;
}

static void set_up_server(struct tly_tls_session *session, const struct tly_tls_spec *spec)
{
    if (spec->ca_file) {
        gnutls_certificate_server_set_request(session->handle, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(session->handle, NULL, 0);
    }
}

static int set_up(struct tly_tls_session *session, struct tly_tls *tls, const char *host)
{
    bool server = tls->spec.server;
    unsigned flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK;
    if (gnutls_init(&session->handle, flags) < 0) {
        return -ENOMEM;
    }
    int code = gnutls_priority_set_direct(session->handle, PRIORITY, NULL);
    code = code < 0 ? code
                    : gnutls_credentials_set(session->handle, GNUTLS_CRD_CERTIFICATE,
                                             session->credentials->handle);
    gnutls_transport_set_ptr(session->handle, session);
    gnutls_transport_set_pull_function(session->handle, pull);
    gnutls_transport_set_pull_timeout_function(session->handle, pull_timeout);
    gnutls_transport_set_push_function(session->handle, push);
    gnutls_handshake_set_timeout(session->handle, 0); /* the stream has a timer of its own */
    if (server) {
        set_up_server(session, &tls->spec);
    } else if (code == 0) {
        code = set_up_client(session, &tls->spec, host);
    }
    return code < 0 ? -EPROTO : 0;
}

int tly_tls_session_start(struct tly_stream *stream, struct tly_tls *tls, const char *host,
                          void (*stood)(struct tly_stream *stream))
{
    struct tly_tls_session *session = calloc(1, sizeof(*session));
    if (!session) {
        return -ENOMEM;
    }
    stream->tls = session; /* which frees it, also after a failure */
    session->stream = stream;
    session->stood = stood;
    session->credentials = tly_tls_current(tls);
    tly_buf_init(&session->out, OUT_BYTES_MAX);
    tly_buf_init(&session->wire, OUT_BYTES_MAX);
    tly_buf_init(&session->kept, TLY_READ_BUFFER_BYTES);
    int rc = set_up(session, tls, host);
    rc = rc < 0 ? rc : tly_defer_new(stream->loop, go_on, session, &session->again);
    rc = rc < 0 ? rc : tly_stream_start_reading(stream);
    if (rc == 0) {
        tly_defer_call(session->again); /* a client speaks first */
    }
    return rc;
}

void tly_tls_session_close(struct tly_stream *stream)
{
    struct tly_tls_session *session = stream->tls;
    if (!session->writing && session->failure == 0 && session->out.len == 0 &&
        gnutls_bye(session->handle, GNUTLS_SHUT_WR) == 0) {
        write_last(session);
    }
}

void tly_tls_session_stop(struct tly_tls_session *session)
{
    if (session) {
        tly_defer_free(session->again);
        session->again = NULL;
    }
}

void tly_tls_session_free(struct tly_tls_session *session)
{
    if (session) {
        if (session->handle) {
            gnutls_deinit(session->handle);
        }
        tly_tls_credentials_unref(session->credentials);
        tly_buf_done(&session->kept);
        tly_buf_done(&session->out);
        tly_buf_done(&session->wire);
        free(session);
    }
}
