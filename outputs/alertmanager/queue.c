/*
 * A map by labels: it walks in the order of insertion, so it is the queue as well.
 */
#include "outputs/alertmanager/queue.h"

#include "agent/base/buf.h"
#include "agent/base/map.h"

#include <errno.h>
#include <stdlib.h>

#define KEY_BYTES_MAX ((size_t)1 << 20)

struct tly_alert_queue {
    struct tly_map *alerts;
    struct tly_buf key; /* of the alert that is looked for */
    size_t max;
};

static void alert_free(void *alert)
{
    tly_alert_unref(alert);
}

int tly_alert_queue_new(size_t max, struct tly_alert_queue **ret_queue)
{
    struct tly_alert_queue *queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }
    tly_buf_init(&queue->key, KEY_BYTES_MAX);
    queue->max = max;
    queue->alerts = tly_map_new();
    if (!queue->alerts) {
        free(queue);
        return -ENOMEM;
    }
    *ret_queue = queue;
    return 0;
}

void tly_alert_queue_free(struct tly_alert_queue *queue)
{
    if (!queue) {
        return;
    }
    tly_map_free(queue->alerts, alert_free);
    tly_buf_done(&queue->key);
    free(queue);
}

size_t tly_alert_queue_count(const struct tly_alert_queue *queue)
{
    return tly_map_count(queue->alerts);
}

/* Labels are what an alert is: names and values, each with its NUL. */
static int find_key(struct tly_alert_queue *queue, const struct tly_alert *alert)
{
    int rc = 0;
    tly_buf_clear(&queue->key);
    for (size_t i = 0; rc == 0 && i < alert->label_count; i++) {
        const struct tly_alert_pair *pair = &alert->labels[i];
        rc = tly_buf_append(&queue->key, pair->name.at, pair->name.len + 1);
        rc = rc < 0 ? rc : tly_buf_append(&queue->key, pair->value.at, pair->value.len + 1);
    }
    return rc;
}

static struct tly_alert *take_oldest(struct tly_alert_queue *queue)
{
    struct tly_map_entry oldest;
    void *at = NULL;
    if (!tly_map_next(queue->alerts, &at, &oldest)) {
        return NULL;
    }
    return tly_map_remove(queue->alerts, oldest.key);
}

int tly_alert_queue_put(struct tly_alert_queue *queue, struct tly_alert *alert)
{
    void *old = NULL;
    int rc = find_key(queue, alert);
    rc = rc < 0 ? rc : tly_map_put(queue->alerts, tly_buf_text(&queue->key), alert, &old);
    if (rc < 0) {
        return rc;
    }
    (void)tly_alert_ref(alert); /* itself */
    tly_alert_unref(old);
    if (tly_map_count(queue->alerts) <= queue->max) {
        return 0;
    }
    tly_alert_unref(take_oldest(queue));
    return 1;
}

int tly_alert_queue_give_back(struct tly_alert_queue *queue, struct tly_alert *alert)
{
    int rc = find_key(queue, alert);
    if (rc == 0 && tly_map_get(queue->alerts, tly_buf_text(&queue->key))) {
        tly_alert_unref(alert);
        return 0;
    }
    if (rc == 0 && tly_map_count(queue->alerts) >= queue->max) {
        rc = 1;
    }
    rc = rc != 0 ? rc : tly_map_put(queue->alerts, tly_buf_text(&queue->key), alert, NULL);
    if (rc != 0) {
        tly_alert_unref(alert);
    }
    return rc;
}

size_t tly_alert_queue_take(struct tly_alert_queue *queue, size_t max,
                            struct tly_alert **ret_alerts)
{
    size_t count = 0;
    while (count < max && (ret_alerts[count] = take_oldest(queue))) {
        count++;
    }
    return count;
}
