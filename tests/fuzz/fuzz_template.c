/*
 * Templates of any bytes: what parses expands within its bounds, to a text or to an error that says
 * something; what does not has a place inside of the text.
 */
#include "agent/rules/template.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tly_alert_pair labels[] = {
    {TLY_TEXT("id"), TLY_TEXT("/docker/a")},
    {TLY_TEXT("name"), TLY_TEXT("web")},
};
static struct tly_template_sample samples[] = {{labels, 2, 1.5}, {labels, 1, -3}};

static int query(void *arg, struct tly_text expression, struct tly_arena *arena,
                 struct tly_template_sample **ret_samples, size_t *ret_count, struct tly_error *err)
{
    (void)arg;
    (void)arena;
    *ret_samples = samples;
    *ret_count = 2;
    return expression.len > 20 ? tly_error_set(err, TLY_E_REFUSED, "too long") : 0;
}

static int count(void *arg, struct tly_text expression)
{
    *(size_t *)arg += expression.len;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tly_template_data given = {
        .labels = labels, .label_count = 2, .value = 0.5, .at_ms = 1, .query = query};
    struct tly_template *template = NULL;
    struct tly_error err = {.code = 0};
    size_t at = 0;
    struct tly_text text = {size > 0 ? (const char *)data : "", size};
    if (tly_template_parse(text, &template, &at, &err) < 0) {
        if (err.text[0] == '\0' || at > size) {
            abort();
        }
        return 0;
    }
    size_t asked = 0;
    if (tly_template_queries(template, count, &asked) != 0 || asked > size) {
        abort();
    }
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    int rc = tly_template_expand(template, &given, &buf, &err);
    if (rc < 0 && (err.text[0] == '\0' || buf.len != 0)) {
        abort();
    }
    tly_buf_done(&buf);
    tly_template_free(template);
    return 0;
}
