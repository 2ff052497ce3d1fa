/*
 * The settings that belong to no single collector or output: the core's own sections.
 */
#ifndef TLY_CONFIG_SETTINGS_H
#define TLY_CONFIG_SETTINGS_H

#include "agent/config/option.h"

#include <stdbool.h>
#include <stdint.h>

/* Top-level keys. */
struct tly_settings {
    char *state_dir;
};

/* docker: */
struct tly_docker_settings {
    char *host;      /* "unix:///var/run/docker.sock", "tcp://host:2376"; "": no API */
    char *data_root; /* NULL: what the engine says, else /var/lib/docker */
    char *ca_file, *cert_file, *key_file;
    int64_t timeout_ms;
    int64_t system_df_interval_ms;
};

/* spool: */
struct tly_spool_settings {
    int64_t disk_bytes_max;
    int64_t memory_bytes_max;
    bool sync;
};

/* collect: */
struct tly_collect_settings {
    int64_t interval_ms;
    struct tly_strings labels;
    int64_t containers_max;
    int64_t samples_max; /* of one scrape */
    int64_t labels_max;  /* per container, as metric labels */
    int64_t label_value_bytes_max;
};

/* web: */
struct tly_web_settings {
    struct tly_strings listen;
    char *config_file; /* NULL: neither TLS nor authentication */
    bool reload;       /* POST /-/reload is answered */
    int64_t connections_max;
    int64_t header_bytes_max; /* 0 here and below: the default, for who has no configuration */
    int64_t header_ms, idle_ms, sending_ms;
    int64_t answer_bytes_max;
    int64_t scrapes_max;
};

/* log: the agent's own log */
struct tly_log_settings {
    int level; /* enum tly_log_level */
};

extern const struct tly_section tly_settings_section, tly_docker_section, tly_collect_section,
    tly_spool_section, tly_web_section, tly_log_section;

#endif
