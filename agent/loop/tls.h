/*
 * TLS for streams: certificates, keys and trust, loaded from PEM files and loaded again when those
 * change. An address with `tls` set is connected to, or listened on, with it (stream.h); the
 * handshake is part of coming to stand, and what goes through the stream is the plain bytes.
 * TLS 1.2 and 1.3.
 */
#ifndef TLY_LOOP_TLS_H
#define TLY_LOOP_TLS_H

#include "agent/base/error.h"

#include <stdbool.h>

struct tly_tls;

/* The names are copied. NULL and "" are the same. */
struct tly_tls_spec {
    bool server;
    /* Who is trusted. For a client, NULL: the authorities that the system trusts. For a server,
     * NULL: clients show no certificate; else only those with one of these authorities come in. */
    const char *ca_file;
    /* Our own certificate, with its chain, and its key, which others must not be able to read. A
     * server needs them; a client needs them where the server asks. */
    const char *cert_file, *key_file;
    /* For a client: the name that the certificate has to bear; NULL: the host of the address. */
    const char *server_name;
    bool skip_name;   /* the certificate may bear any name */
    bool skip_verify; /* the certificate is not looked at: anyone may stand in between */
};

/*
 * Reads the files. They are looked at again before every handshake; when a new content can't be
 * used, the last good one stays and the log says why. -EINVAL for half a pair of certificate and
 * key, -EPERM for a key that others may read, -errno, TLY_E_MALFORMED, -ENOMEM.
 */
int tly_tls_new(const struct tly_tls_spec *spec, struct tly_tls **ret_tls,
                struct tly_error *err) TLY_CHECK;

/* After every listener and stream that was made with it has been freed. */
void tly_tls_free(struct tly_tls *tls);

#endif
