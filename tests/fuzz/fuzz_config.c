/*
 * Configuration files: any bytes end in a configuration or in complaints with a place inside the
 * text. The table has a row of every type; the core's own sections come with it.
 */
#include "agent/config/settings.h"

#include <stdlib.h>
#include <string.h>

struct inner {
    char *name, *secret;
    int64_t count, wait_ms, bytes;
    bool on;
    int mode;
    struct tly_strings words;
    struct tly_list deeper;
};

static const char *const modes[] = {"fast", "careful", NULL};

static const struct tly_option deeper_rows[] = {
    {.key = "name", .type = TLY_OPTION_STRING, .required = true},
    {.key = NULL},
};

static const struct tly_option rows[] = {
    {.key = "name", .type = TLY_OPTION_STRING, .offset = offsetof(struct inner, name)},
    {.key = "secret", .type = TLY_OPTION_SECRET, .offset = offsetof(struct inner, secret)},
    {.key = "count", .type = TLY_OPTION_INT, .offset = offsetof(struct inner, count), .min = -9},
    {.key = "wait", .type = TLY_OPTION_DURATION, .offset = offsetof(struct inner, wait_ms)},
    {.key = "bytes", .type = TLY_OPTION_SIZE, .offset = offsetof(struct inner, bytes)},
    {.key = "on", .type = TLY_OPTION_BOOL, .offset = offsetof(struct inner, on)},
    {.key = "mode",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct inner, mode),
     .choices = modes},
    {.key = "words", .type = TLY_OPTION_STRINGS, .offset = offsetof(struct inner, words)},
    {.key = "deeper",
     .type = TLY_OPTION_LIST,
     .offset = offsetof(struct inner, deeper),
     .inner = deeper_rows,
     .inner_size = sizeof(char *),
     .shorthand = "name"},
    {.key = NULL},
};

static const struct tly_section list_section = {.key = "list",
                                                .type = TLY_OPTION_LIST,
                                                .options = rows,
                                                .size = sizeof(struct inner),
                                                .shorthand = "name"};
static const struct tly_section *const sections[] = {&tly_settings_section, &tly_docker_section,
                                                     &tly_collect_section,  &tly_web_section,
                                                     &tly_log_section,      &list_section};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tly_complaints complaints; /* large, and overwritten each time */
    struct tly_config *config = NULL;
    int rc = tly_config_parse(sections, sizeof(sections) / sizeof(sections[0]), (const char *)data,
                              size, &complaints, &config);
    if (rc == 0) {
        if (complaints.count != 0 || !tly_config_section(config, &list_section)) {
            abort();
        }
        tly_config_free(config);
        return 0;
    }
    if (config || (rc == TLY_E_MALFORMED && complaints.count == 0)) {
        abort();
    }
    for (size_t i = 0; i < tly_complaints_kept(&complaints); i++) {
        const struct tly_complaint *complaint = &complaints.at[i];
        if (complaint->line > size + 1 || strlen(complaint->text) == 0) {
            abort();
        }
    }
    return 0;
}
