/*
 * The section `receiver:` of the configuration.
 */
#ifndef TLY_RECEIVER_SETTINGS_H
#define TLY_RECEIVER_SETTINGS_H

#include "agent/config/option.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_receiver_tls_settings {
    bool enabled;
    char *cert_file, *key_file, *ca_file;
};

struct tly_receiver_user_settings {
    char *name, *password;
};

struct tly_receiver_settings {
    struct tly_strings listen; /* none: no receiver */
    struct tly_receiver_tls_settings tls;
    char *shared_key;
    struct tly_list users; /* of struct tly_receiver_user_settings */
    char *self_hostname;
    int64_t connections_max;
    int64_t unfinished_bytes_max;
};

extern const struct tly_section tly_receiver_section;

#endif
