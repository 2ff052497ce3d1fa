/*
 * Private to this room: TLS between a stream's wire and its owner. The stream hands over what it
 * read and what it is to write; the session decrypts, encrypts piece by piece so that its memory
 * stays small, and tells the stream when the handshake is done or anything failed. It belongs to
 * the stream.
 */
#ifndef TLY_LOOP_TLS_SESSION_H
#define TLY_LOOP_TLS_SESSION_H

#include "agent/loop/stream_state.h"
#include "agent/loop/tls.h"

#include <gnutls/gnutls.h>

/* ---- tls.c ---- */

/* What one load of the files gave; counted, because sessions outlive a reload. */
struct tly_tls_credentials {
    gnutls_certificate_credentials_t handle;
    unsigned refs;
};

struct tly_tls {
    struct tly_tls_spec spec; /* its names are ours */
    struct tly_tls_credentials *credentials;
    struct tly_tls_stamp {
        int64_t mtime_ns, ctime_ns;
        uint64_t inode, size;
    } stamps[3]; /* of the files as they were loaded, or tried to */
};

/* The credentials for a new session, loaded anew if the files have changed. The caller's to
 * unref. */
struct tly_tls_credentials *tly_tls_current(struct tly_tls *tls);
void tly_tls_credentials_unref(struct tly_tls_credentials *credentials);

/* ---- tls_session.c ---- */

struct tly_tls_session;

/* Sets stream->tls for an open handle and begins the handshake; `stood` is called once it is done,
 * never from inside. What fails ends the stream. `host` is that of the address. -ENOMEM, -EPROTO.
 */
int tly_tls_session_start(struct tly_stream *stream, struct tly_tls *tls, const char *host,
                          void (*stood)(struct tly_stream *stream)) TLY_CHECK;
/* Bytes from the wire; len 0: the peer has closed. May free the stream. */
void tly_tls_session_read(struct tly_stream *stream, struct tly_text wire);
/* Goes on with what came while the stream was paused. False: there is nothing. */
bool tly_tls_session_resume(struct tly_stream *stream);
/* Encrypts and writes one more write, which the stream has just queued, or lets it wait its turn.
 * Calls nobody back; what fails ends the stream in a later turn of the loop. */
void tly_tls_session_write(struct tly_stream *stream, struct tly_write *write);
size_t tly_tls_session_queued(const struct tly_tls_session *session);
/* Says goodbye to the peer, if that can be done at once. */
void tly_tls_session_close(struct tly_stream *stream);
/* The stream has ended: nothing happens of itself any more. NULL is fine here and below. */
void tly_tls_session_stop(struct tly_tls_session *session);
void tly_tls_session_free(struct tly_tls_session *session);

#endif
