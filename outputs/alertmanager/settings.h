/*
 * The sections `alertmanagers:` and `webhooks:` of the configuration: lists of peers that are told
 * of alerts.
 */
#ifndef TLY_OUTPUT_ALERTMANAGER_SETTINGS_H
#define TLY_OUTPUT_ALERTMANAGER_SETTINGS_H

#include "agent/config/option.h"

#include <stdint.h>

struct tly_alert_label_settings {
    char *name, *value;
};

struct tly_alert_peer_settings {
    char *url;  /* no slash at the end */
    char *name; /* NULL: host and port of the URL */
    char *username, *password, *bearer_token;
    char *ca_file, *cert_file, *key_file;
    struct tly_list labels; /* of struct tly_alert_label_settings */
    int64_t timeout_ms;
    int64_t queue_max; /* alerts */
};

extern const struct tly_section tly_alertmanagers_section, tly_webhooks_section;

/* Host and port of a peer's URL: what may be shown of it. */
struct tly_text tly_alert_peer_host(const struct tly_alert_peer_settings *settings);

#endif
