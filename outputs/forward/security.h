/*
 * What a destination's connections are secured by: TLS, and the account for the handshake of the
 * forward protocol.
 */
#ifndef TLY_OUTPUT_FORWARD_SECURITY_H
#define TLY_OUTPUT_FORWARD_SECURITY_H

#include "agent/base/error.h"
#include "agent/codec/forward_auth.h"
#include "agent/loop/tls.h"
#include "outputs/forward/settings.h"

#define TLY_FORWARD_HOSTNAME_MAX 256

/* TLS as configured; NULL where it is off. */
int tly_forward_tls_new(const struct tly_forward_tls_settings *settings, struct tly_tls **ret_tls,
                        struct tly_error *err) TLY_CHECK;

/* Our name in the handshake: the one configured, else one made of the host's. */
void tly_forward_hostname(const struct tly_forward_settings *settings,
                          char to[TLY_FORWARD_HOSTNAME_MAX]);

/* Who we are for one server, whose own settings go before its destination's. All is borrowed.
 * False: no handshake is configured. */
bool tly_forward_account(const struct tly_forward_settings *settings,
                         const struct tly_forward_server_settings *server, const char *hostname,
                         struct tly_forward_account *ret_account);

#endif
