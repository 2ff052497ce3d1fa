/*
 * The `logs` section of the configuration.
 */
#ifndef TLY_LOGS_SETTINGS_H
#define TLY_LOGS_SETTINGS_H

#include "agent/config/terms.h"

#include <stdint.h>

enum tly_logs_from { TLY_LOGS_FROM_NOW, TLY_LOGS_FROM_BEGINNING };

struct tly_log_shape_settings {
    struct tly_terms_settings match, exclude;
    struct tly_strings keep, drop, redact;
    bool redact_tokens;
    char *multiline_start; /* NULL: none */
    struct tly_strings traces;
    int64_t multiline_wait_ms;
    char *replacement;
    bool parse_json;
    char *json_key; /* "": beside the record's other fields */
    bool json_keep_log;
    int64_t rate_max; /* lines per second; 0: any */
    int64_t rate_burst;
};

struct tly_log_field_settings {
    char *name, *value;
};

struct tly_logs_settings {
    int from; /* enum tly_logs_from: for what stands there when the agent first runs */
    char *tag;
    char *pods_root; /* "": none */
    char *pods_tag;
    int64_t line_max_bytes;
    int64_t join_max_bytes;
    int64_t held_max_bytes;
    struct tly_terms_settings match, exclude;
    char *label;            /* "": none */
    struct tly_list shape;  /* of struct tly_log_shape_settings */
    struct tly_list fields; /* of struct tly_log_field_settings */
    bool record_id;
    bool api; /* logs of other drivers are read from the engine */
    struct tly_strings api_except;
    int64_t api_streams_max;
};

extern const struct tly_section tly_logs_section;

#endif
