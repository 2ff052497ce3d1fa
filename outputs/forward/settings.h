/*
 * The section `forward:` of the configuration: a list of destinations, each with its servers.
 */
#ifndef TLY_OUTPUT_FORWARD_SETTINGS_H
#define TLY_OUTPUT_FORWARD_SETTINGS_H

#include "agent/base/error.h"
#include "agent/codec/forward_pack.h"
#include "agent/config/terms.h"
#include "agent/loop/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_forward_server_settings {
    char *host; /* or host:port, or unix:///path */
    int64_t port;
    bool standby;
    int64_t weight; /* 0: none of the servers has one, they are tried in turn */
    char *shared_key, *username, *password; /* NULL: the destination's */
};

struct tly_forward_tls_settings {
    bool enabled;
    bool verify, verify_name;
    char *ca_file, *cert_file, *key_file, *server_name;
};

struct tly_forward_settings {
    char *name;
    struct tly_list servers; /* of struct tly_forward_server_settings, at least one */
    struct tly_terms_settings match, exclude;
    struct tly_forward_tls_settings tls;
    char *shared_key, *username, *password, *self_hostname;
    bool require_ack;
    int compression; /* enum tly_forward_compression */
    int64_t chunk_bytes, flush_interval_ms, buffer_bytes_max;
    int64_t connect_timeout_ms, ack_timeout_ms, retry_max_ms;
    int64_t in_flight_max;
    int64_t give_up_after_ms;
    int64_t connection_max_age_ms; /* 0: for ever */
};

extern const struct tly_section tly_forward_section;

/* Where a server listens. Fails for nothing that the section has accepted. */
int tly_forward_server_address(const struct tly_forward_server_settings *server,
                               struct tly_address *ret_address, struct tly_error *err) TLY_CHECK;

#endif
