/*
 * Lines against patterns. Nothing here is asked for a container that no item fits.
 */
#include "collectors/logs/shape.h"

#include "agent/base/clock.h"
#include "agent/codec/json_fields.h"
#include "agent/codec/pattern.h"
#include "agent/codec/record.h"
#include "agent/codec/token_shape.h"
#include "agent/terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const tly_log_dropped_names[TLY_DROPPED_COUNT] = {
    [TLY_DROPPED_KEEP] = "keep",
    [TLY_DROPPED_DROP] = "drop",
    [TLY_DROPPED_RATE_MAX] = "rate_max",
};

/* A text that grows under its patterns is cut here; no line is as long. */
#define REDACTED_BYTES_MAX ((size_t)16 << 20)

/* Room for packing the longest line that the options allow. */
#define FIELDS_BYTES_MAX ((size_t)32 << 20)

struct patterns {
    struct tly_pattern **at;
    size_t count;
};

struct item {
    const struct tly_log_shape_settings *settings;
    struct patterns keep, drop, redact;
    struct tly_log_rate rate;            /* interval 0: none */
    struct tly_log_multiline *multiline; /* NULL: none */
};

struct tly_log_shape {
    struct item *items;
    size_t count;
    struct tly_buf texts[2]; /* one is read while the other is written */
    struct tly_buf fields;
};

/* ---- compiling ---- */

static int patterns_add(struct patterns *patterns, const char *text, struct tly_error *err)
{
    int rc = tly_pattern_new(text, &patterns->at[patterns->count], err);
    patterns->count += rc == 0;
    return rc;
}

/* Room for one more than there are strings. */
static int patterns_compile(struct patterns *patterns, const struct tly_strings *strings,
                            struct tly_error *err)
{
    int rc = 0;
    patterns->at = calloc(strings->count + 1, sizeof(struct tly_pattern *));
    if (!patterns->at) {
        (void)tly_error_set(err, -ENOMEM, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; rc == 0 && i < strings->count; i++) {
        rc = patterns_add(patterns, strings->at[i], err);
    }
    return rc;
}

static void patterns_free(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++) {
        tly_pattern_free(patterns->at[i]);
    }
    free(patterns->at);
}

static int item_compile(struct item *item, const struct tly_log_shape_settings *settings,
                        struct tly_error *err)
{
    item->settings = settings;
    if (settings->rate_max > 0) {
        item->rate.interval_ns = TLY_NS_PER_S / settings->rate_max;
        item->rate.ahead_ns = item->rate.interval_ns * settings->rate_burst;
    }
    int rc = patterns_compile(&item->keep, &settings->keep, err);
    if (rc == 0) {
        rc = patterns_compile(&item->drop, &settings->drop, err);
    }
    if (rc == 0) {
        rc = patterns_compile(&item->redact, &settings->redact, err);
    }
    if (rc == 0 && settings->redact_tokens) {
        rc = patterns_add(&item->redact, tly_token_shapes_pattern, err);
    }
    if (rc == 0 && (settings->multiline_start || settings->traces.count > 0)) {
        rc = tly_log_multiline_new(settings->multiline_start, &settings->traces,
                                   settings->multiline_wait_ms, &item->multiline, err);
    }
    return rc;
}

int tly_log_shape_new(const struct tly_logs_settings *settings, struct tly_log_shape **ret_shape,
                      struct tly_error *err)
{
    const struct tly_log_shape_settings *rows = settings->shape.at;
    struct tly_log_shape *shape = calloc(1, sizeof(*shape));
    if (!shape) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    tly_buf_init(&shape->texts[0], REDACTED_BYTES_MAX);
    tly_buf_init(&shape->texts[1], REDACTED_BYTES_MAX);
    tly_buf_init(&shape->fields, FIELDS_BYTES_MAX);
    shape->items = calloc(settings->shape.count + 1, sizeof(struct item));
    if (!shape->items) {
        tly_log_shape_free(shape);
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < settings->shape.count; i++) {
        rc = item_compile(&shape->items[i], &rows[i], err);
        shape->count = i + 1;
    }
    if (rc < 0) {
        tly_log_shape_free(shape);
        return rc;
    }
    *ret_shape = shape;
    return 0;
}

void tly_log_shape_free(struct tly_log_shape *shape)
{
    if (!shape) {
        return;
    }
    for (size_t i = 0; shape->items && i < shape->count; i++) {
        patterns_free(&shape->items[i].keep);
        patterns_free(&shape->items[i].drop);
        patterns_free(&shape->items[i].redact);
        tly_log_multiline_free(shape->items[i].multiline);
    }
    tly_buf_done(&shape->texts[0]);
    tly_buf_done(&shape->texts[1]);
    tly_buf_done(&shape->fields);
    free(shape->items);
    free(shape);
}

int tly_log_shape_verify(const char *pattern, struct tly_error *err)
{
    struct tly_pattern *compiled = NULL;
    int rc = tly_pattern_new(pattern, &compiled, err);
    tly_pattern_free(compiled);
    return rc;
}

/* ---- containers ---- */

static bool selected(const struct tly_terms_settings *match,
                     const struct tly_terms_settings *exclude, struct tly_text tag,
                     const struct tly_container *container)
{
    const struct tly_selection selection = {.match = tly_terms_of(match),
                                            .exclude = tly_terms_of(exclude)};
    return tly_selection_takes(&selection, tag, container);
}

static bool says_no(const char *value)
{
    static const char *const words[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool tly_log_shape_takes(const struct tly_logs_settings *settings, struct tly_text tag,
                         const struct tly_container *container)
{
    const char *label = settings->label[0] ? tly_container_label(container, settings->label) : NULL;
    if (label && says_no(label)) {
        return false;
    }
    return selected(&settings->match, &settings->exclude, tag, container);
}

uint64_t tly_log_shape_items(const struct tly_log_shape *shape, struct tly_text tag,
                             const struct tly_container *container)
{
    uint64_t items = 0;
    for (size_t i = 0; i < shape->count; i++) {
        const struct tly_log_shape_settings *settings = shape->items[i].settings;
        if (selected(&settings->match, &settings->exclude, tag, container)) {
            items |= UINT64_C(1) << i;
        }
    }
    return items;
}

struct tly_log_multiline *tly_log_shape_multiline(const struct tly_log_shape *shape, uint64_t items)
{
    for (size_t i = 0; i < shape->count; i++) {
        if ((items >> i & 1) && shape->items[i].multiline) {
            return shape->items[i].multiline;
        }
    }
    return NULL;
}

/* ---- rate ---- */

const struct tly_log_rate *tly_log_shape_rate(const struct tly_log_shape *shape, uint64_t items)
{
    const struct tly_log_rate *lowest = NULL;
    for (size_t i = 0; i < shape->count; i++) {
        const struct tly_log_rate *rate = &shape->items[i].rate;
        if ((items >> i & 1) && rate->interval_ns > 0 &&
            (!lowest || rate->interval_ns > lowest->interval_ns)) {
            lowest = rate;
        }
    }
    return lowest;
}

bool tly_log_rate_pass(const struct tly_log_rate *rate, int64_t time_ns, int64_t *until_ns)
{
    int64_t until = *until_ns > time_ns ? *until_ns : time_ns;
    int64_t ahead = until - time_ns;
    if (ahead > rate->ahead_ns + rate->interval_ns) { /* the clock was set back */
        until = time_ns;
        ahead = 0;
    }
    if (ahead > rate->ahead_ns) {
        return false;
    }
    *until_ns = until + rate->interval_ns;
    return true;
}

/* ---- lines ---- */

static bool fits_any(const struct patterns *patterns, struct tly_text text, bool in_doubt,
                     struct tly_log_shape_counts *counts)
{
    struct tly_pattern_match match;
    for (size_t i = 0; i < patterns->count; i++) {
        int found = tly_pattern_find(patterns->at[i], text, 0, &match);
        counts->failures += found < 0;
        if (found > 0 || (found < 0 && in_doubt)) {
            return true;
        }
    }
    return false;
}

bool tly_log_shape_keeps(struct tly_log_shape *shape, uint64_t items, struct tly_text text,
                         struct tly_log_shape_counts *counts, enum tly_log_dropped *ret_why)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct item *item = &shape->items[i];
        if (!(items >> i & 1)) {
            continue;
        }
        if (item->keep.count > 0 && !fits_any(&item->keep, text, true, counts)) {
            *ret_why = TLY_DROPPED_KEEP;
            return false;
        }
        if (fits_any(&item->drop, text, false, counts)) {
            *ret_why = TLY_DROPPED_DROP;
            return false;
        }
    }
    return true;
}

/* Writes `text` to `to` with each match of the pattern covered. 1: there was one; 0: none, and `to`
 * holds nothing of worth; or a code. */
static int cover(struct tly_pattern *pattern, struct tly_text with, struct tly_text text,
                 struct tly_buf *to, uint64_t *covered)
{
    struct tly_pattern_match match;
    size_t from = 0;
    size_t copied = 0;
    uint64_t count = 0;
    int found;
    tly_buf_clear(to);
    while ((found = tly_pattern_find(pattern, text, from, &match)) > 0) {
        from = match.next;
        if (match.start < copied || match.start == match.end) {
            continue; /* what a look-behind saw again, or nothing */
        }
        int rc = tly_buf_append(to, text.at + copied, match.start - copied);
        rc = rc < 0 ? rc : tly_buf_append_text(to, with);
        if (rc < 0) {
            return rc;
        }
        copied = match.end;
        count++;
    }
    if (found < 0 || count == 0) {
        return found;
    }
    int rc = tly_buf_append(to, text.at + copied, text.len - copied);
    *covered += count;
    return rc < 0 ? rc : 1;
}

static int redact_item(struct tly_log_shape *shape, const struct item *item, struct tly_text *text,
                       struct tly_log_shape_counts *counts)
{
    struct tly_text with = tly_text_of(item->settings->replacement);
    for (size_t i = 0; i < item->redact.count; i++) {
        struct tly_buf *to = &shape->texts[text->at == shape->texts[0].at ? 1 : 0];
        int rc = cover(item->redact.at[i], with, *text, to, &counts->redactions);
        if (rc == TLY_E_LIMIT) {
            *text = with;
            counts->failures++;
            return 0;
        }
        if (rc < 0) {
            return rc;
        }
        *text = rc > 0 ? tly_buf_text(to) : *text;
    }
    return 0;
}

int tly_log_shape_redact(struct tly_log_shape *shape, uint64_t items, struct tly_text text,
                         struct tly_log_shape_counts *counts, struct tly_text *ret_text)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < shape->count; i++) {
        if (items >> i & 1) {
            rc = redact_item(shape, &shape->items[i], &text, counts);
        }
    }
    *ret_text = text;
    return rc;
}

/* ---- fields ---- */

const struct tly_log_shape_settings *tly_log_shape_json(const struct tly_log_shape *shape,
                                                        uint64_t items)
{
    for (size_t i = 0; i < shape->count; i++) {
        if ((items >> i & 1) && shape->items[i].settings->parse_json) {
            return shape->items[i].settings;
        }
    }
    return NULL;
}

static bool is_taken(const void *arg, struct tly_text name)
{
    return tly_log_template_has(arg, name);
}

/* The object beside the record's own fields, or as one of them. */
static int pack(struct tly_buf *to, const struct tly_log_shape_settings *settings,
                const struct tly_log_template *template, struct tly_text text,
                struct tly_json_fields *ret_packed)
{
    struct tly_json_fields members;
    char *free_space;
    struct tly_text key = tly_text_of(settings->json_key);
    if (key.len == 0) {
        return tly_json_fields_pack(text, is_taken, template, to, ret_packed);
    }
    if (tly_log_template_has(template, key)) {
        *ret_packed = (struct tly_json_fields){.left_out = 1};
        return 0;
    }
    int rc = tly_record_str(to, key);
    rc = rc < 0 ? rc : tly_buf_reserve(to, TLY_RECORD_HEAD_MAX, &free_space);
    if (rc < 0) {
        return rc;
    }
    size_t head = to->len;
    to->len += TLY_RECORD_HEAD_MAX;
    rc = tly_json_fields_pack(text, NULL, NULL, to, &members);
    if (rc == 0) {
        tly_record_put_wide_head(to->at + head, true, members.count);
        *ret_packed = (struct tly_json_fields){.count = 1};
    }
    return rc;
}

int tly_log_shape_fields(struct tly_log_shape *shape, const struct tly_log_shape_settings *settings,
                         const struct tly_log_template *template, struct tly_text text,
                         struct tly_log_shape_counts *counts, struct tly_log_fields *ret_fields)
{
    struct tly_json_fields packed = {0};
    tly_buf_clear(&shape->fields);
    int rc = pack(&shape->fields, settings, template, text, &packed);
    if (rc == -ENOMEM) {
        return rc;
    }
    counts->parsed += rc == 0;
    counts->not_parsed += rc < 0;
    *ret_fields = (struct tly_log_fields){0};
    if (rc == 0) {
        *ret_fields = (struct tly_log_fields){.packed = tly_buf_text(&shape->fields),
                                              .count = packed.count,
                                              .say_it_all = !settings->json_keep_log &&
                                                            packed.left_out == 0};
    }
    return 0;
}
