/*
 * How a container was set up, as JSON; see container_json.h. Labels may hold what is nobody's
 * business, as passwords of a proxy do: such values are covered.
 */
#include "agent/codec/json_writer.h"
#include "agent/web/container_json.h"

static void put_key(struct tly_json_writer *writer, const char *key)
{
    tly_json_put(writer, ",\"");
    tly_json_put(writer, key);
    tly_json_put(writer, "\":");
}

static void put_labels(struct tly_json_writer *writer, const struct tly_container *container,
                       struct tly_secret_shapes *shapes)
{
    put_key(writer, "container_labels");
    tly_json_put(writer, "{");
    for (size_t i = 0; i < container->label_count; i++) {
        struct tly_text key = tly_text_of(container->labels[i].key);
        struct tly_text value = tly_text_of(container->labels[i].value);
        bool secret = tly_secret_judge(shapes, key, value).kind != TLY_SECRET_NONE;
        tly_json_put(writer, i > 0 ? "," : "");
        tly_json_put_text(writer, key);
        tly_json_put(writer, ":");
        tly_json_put_text(writer, secret ? TLY_TEXT("(covered)") : value);
    }
    tly_json_put(writer, "}");
}

int tly_container_detail_json(const struct tly_container *container,
                              struct tly_secret_shapes *shapes, struct tly_buf *buf)
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
    struct tly_json_writer writer = {.buf = buf};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i].value != TLY_UNKNOWN) {
            put_key(&writer, numbers[i].key);
            tly_json_put_decimal(&writer, numbers[i].value, 0);
        }
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].value != NULL) {
            put_key(&writer, texts[i].key);
            tly_json_put_text(&writer, tly_text_of(texts[i].value));
        }
    }
    put_labels(&writer, container, shapes);
    return writer.rc;
}
