/*
 * How a container was set up, as JSON; see container_json.h. Labels may hold what is nobody's
 * business, as passwords of a proxy do: such values are covered.
 */
#include "agent/codec/pattern.h"
#include "agent/codec/record_json.h"
#include "agent/codec/token_shape.h"
#include "agent/web/container_json.h"

#include <string.h>
#include <strings.h>

#define COVERED "(covered)"

static const struct tly_json_style plain = {.raw_bytes = false};

/* Words of keys whose values are secrets. */
static const char *const secret_words[] = {"pass",       "secret",     "token",   "credential",
                                           "basicauth",  "apikey",     "api_key", "api-key",
                                           "privatekey", "private_key"};

static int number_put(struct tly_buf *buf, const char *key, int64_t number)
{
    return number == TLY_UNKNOWN ? 0 : tly_buf_printf(buf, ",\"%s\":%lld", key, (long long)number);
}

static int text_put(struct tly_buf *buf, const char *key, const char *text)
{
    if (text == NULL) {
        return 0;
    }
    int rc = tly_buf_printf(buf, ",\"%s\":", key);
    return rc < 0 ? rc : tly_record_json_text(buf, tly_text_of(text), plain);
}

static bool has_secret_key(const char *key)
{
    for (size_t i = 0; i < sizeof(secret_words) / sizeof(secret_words[0]); i++) {
        if (strcasestr(key, secret_words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* `shapes` is NULL when memory is out: then any value counts as one. */
static bool is_secret(const struct tly_label *label, struct tly_pattern *shapes)
{
    struct tly_pattern_match match;
    return has_secret_key(label->key) || shapes == NULL ||
           tly_pattern_find(shapes, tly_text_of(label->value), 0, &match) != 0;
}

static int labels_put(struct tly_buf *buf, const struct tly_container *container)
{
    struct tly_pattern *shapes = NULL;
    struct tly_error err;
    if (tly_pattern_new(tly_token_shapes_pattern, &shapes, &err) < 0) {
        shapes = NULL; /* every value is covered */
    }
    int rc = tly_buf_printf(buf, ",\"container_labels\":{");
    for (size_t i = 0; i < container->label_count && rc == 0; i++) {
        const struct tly_label *label = &container->labels[i];
        rc = tly_buf_printf(buf, "%s", i > 0 ? "," : "");
        rc = rc < 0 ? rc : tly_record_json_text(buf, tly_text_of(label->key), plain);
        rc = rc < 0 ? rc : tly_buf_printf(buf, ":");
        rc = rc < 0
                 ? rc
                 : tly_record_json_text(
                       buf, tly_text_of(is_secret(label, shapes) ? COVERED : label->value), plain);
    }
    tly_pattern_free(shapes);
    return rc < 0 ? rc : tly_buf_printf(buf, "}");
}

int tly_container_detail_json(const struct tly_container *container, struct tly_buf *buf)
{
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"pid", container->pid},
        {"memory_limit", container->memory_limit_bytes},
        {"memory_reservation", container->memory_reservation_bytes},
        {"memory_swap_limit", container->memory_swap_limit_bytes},
        {"cpu_quota", container->cpu_quota_us},
        {"cpu_period", container->cpu_period_us},
        {"cpu_shares", container->cpu_shares},
        {"pids_limit", container->pids_limit},
        {"published_ports", container->published_ports},
        {"failing_streak", container->failing_streak},
    };
    const struct {
        const char *key, *value;
    } texts[] = {
        {"image_id", container->image_id},
        {"network_mode", container->network_mode},
        {"log_driver", container->log_driver},
        {"user", container->user},
        {"restart_policy", container->restart_policy},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && rc == 0; i++) {
        rc = number_put(buf, numbers[i].key, numbers[i].value);
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && rc == 0; i++) {
        rc = text_put(buf, texts[i].key, texts[i].value);
    }
    return rc < 0 ? rc : labels_put(buf, container);
}
