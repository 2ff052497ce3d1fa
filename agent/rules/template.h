/*
 * Templates of labels and annotations: the part of Go's text/template, and of Prometheus's
 * functions for it, that rule files use (prometheus.io/docs/prometheus/latest/configuration/
 * template_reference). Parsed once, when a file is loaded; what is left out (define, methods of
 * Go's own types) is refused there. Expanding is bounded in steps, memory and length.
 */
#ifndef TLY_RULES_TEMPLATE_H
#define TLY_RULES_TEMPLATE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/alert.h"
#include "agent/rules/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_TEMPLATE_LEN_MAX   ((size_t)64 * 1024)       /* of the source */
#define TLY_TEMPLATE_OUT_MAX   ((size_t)64 * 1024)       /* of the result */
#define TLY_TEMPLATE_BYTES_MAX ((size_t)4 * 1024 * 1024) /* of values under way */

struct tly_template; /* opaque, immutable */

/* A result of `query`. */
struct tly_template_sample {
    const struct tly_alert_pair *labels; /* sorted by name */
    size_t label_count;
    double value;
};

/* What a template is expanded with; all borrowed. */
struct tly_template_data {
    const struct tly_alert_pair *labels; /* of the element, with __name__; sorted by name */
    size_t label_count;
    double value;
    const struct tly_alert_pair *external_labels;
    size_t external_label_count;
    struct tly_text external_url;
    int64_t at_ms; /* of the evaluation */
    /* Evaluates an expression at that time; the samples and their texts in the arena. NULL: there
     * is nothing to ask. An error of the evaluation is the template's. */
    int (*query)(void *arg, struct tly_text expression, struct tly_arena *arena,
                 struct tly_template_sample **ret_samples, size_t *ret_count,
                 struct tly_error *err);
    void *query_arg;
};

/* `*ret_at` is the byte where a fault is, also on failure. TLY_E_MALFORMED, TLY_E_REFUSED,
 * TLY_E_LIMIT, -ENOMEM. The text is copied. */
int tly_template_parse(struct tly_text text, struct tly_template **ret_template, size_t *ret_at,
                       struct tly_error *err) TLY_CHECK;
void tly_template_free(struct tly_template *template); /* NULL is fine */

/* Appends the result. On failure `err` says why and the buffer is as it was; a caller that does as
 * Prometheus does puts tly_template_fault there instead. */
int tly_template_expand(const struct tly_template *template, const struct tly_template_data *data,
                        struct tly_buf *buf, struct tly_error *err) TLY_CHECK;

/* Appends `<error expanding template: …>`. */
int tly_template_fault(struct tly_buf *buf, const struct tly_error *err) TLY_CHECK;

/* Calls `visit` for every expression that the template asks `query` literally. Stops at the first
 * nonzero result and returns it. */
int tly_template_queries(const struct tly_template *template,
                         int (*visit)(void *arg, struct tly_text expression), void *arg) TLY_CHECK;

#endif
