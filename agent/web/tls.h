/*
 * TLS for the web server: what tls_server_config asks for, in GnuTLS's terms. libmicrohttpd makes
 * the sessions; each is given these credentials before its handshake, so that a new certificate
 * needs no new listener.
 */
#ifndef TLY_WEB_TLS_H
#define TLY_WEB_TLS_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/web/policy.h"

#include <stdint.h>

struct tly_web_tls;

/* Loads certificates and the key. `settings` is borrowed for its life. The error names the file.
 * TLY_E_MALFORMED, -errno, -ENOMEM. */
int tly_web_tls_new(const struct tly_web_tls_settings *settings, struct tly_web_tls **ret_tls,
                    struct tly_error *err) TLY_CHECK;
void tly_web_tls_free(struct tly_web_tls *tls); /* NULL is fine */

/* Makes a session (gnutls_session_t), whose handshake has not begun, use it; it must outlive the
 * session. 0 or TLY_E_REFUSED. */
int tly_web_tls_attach(const struct tly_web_tls *tls, void *session) TLY_CHECK;

/* When our own certificate expires, Unix seconds; 0: unknown. */
int64_t tly_web_tls_expiry_s(const struct tly_web_tls *tls);

/* Why a name of a cipher suite or curve can't be used; for option tables. */
int tly_web_tls_verify_suite(const char *name, struct tly_error *err) TLY_CHECK;
int tly_web_tls_verify_curve(const char *name, struct tly_error *err) TLY_CHECK;

/* Appends the priority string (gnutls priority strings manual) that stands for the settings. */
int tly_web_tls_priority(const struct tly_web_tls_settings *settings,
                         struct tly_buf *buf) TLY_CHECK;

#endif
