/*
 * Telling a peer. A batch is taken from the queue, written down as one message, and either
 * delivered, refused for good (a status that another try would not change), or given back.
 */
#include "outputs/alertmanager/notifier.h"

#include "agent/base/buf.h"
#include "agent/loop/backoff.h"
#include "agent/loop/fetch.h"
#include "agent/loop/log.h"
#include "outputs/alertmanager/body.h"
#include "outputs/alertmanager/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_MAX      64                /* alerts in a message, as Prometheus 2 sends them */
#define BODY_BYTES_MAX ((size_t)4 << 20) /* of a message; an alert that has more is dropped */
#define END_BYTES      8                 /* of those: more than stands behind the alerts */
#define REPLY_BYTES    ((size_t)64 << 10)
#define REPLY_SHOWN    200 /* bytes of a refusal that are worth a line */
#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   60000

#define LABELS_MAX 64

struct tly_notifier {
    struct tly_loop *loop;
    struct tly_config *config; /* a reference, for the settings */
    const struct tly_alert_peer_settings *settings;
    const struct tly_alert_dialect *dialect;
    char name[256];
    char hostname[HOST_NAME_MAX + 1];
    struct tly_alert_pair labels[LABELS_MAX];
    const struct tly_alert_feed *feed;
    struct tly_alert_extra extra;
    struct tly_fetcher *fetcher;
    struct tly_alert_queue *queue;
    struct tly_timer *timer; /* for trying again, or for the deadline */
    struct tly_defer *turn;
    struct tly_backoff backoff;
    struct tly_log_limit failed_limit, dropped_limit;
    struct tly_buf body;

    struct tly_alert *batch[BATCH_MAX]; /* under way */
    size_t batch_count;
    bool waiting; /* for another try */
    bool failing; /* the last one failed */

    void (*stopped)(void *arg); /* NULL: it runs */
    void *stopped_arg;

    uint64_t sent, failures, dropped; /* alerts, requests, alerts */
};

/* ---- messages ---- */

static void count_dropped(struct tly_notifier *notifier, size_t alerts, const char *why)
{
    uint64_t held;
    notifier->dropped += alerts;
    if (tly_log_limit_pass(&notifier->dropped_limit, tly_loop_now_ms(notifier->loop), &held)) {
        tly_log_warn("alerts", "%s is not told of some alerts (%zu): %s%s", notifier->name, alerts,
                     why, tly_log_held(held).text);
    }
}

static size_t count_waiting(const struct tly_notifier *notifier)
{
    size_t queued = notifier->queue ? tly_alert_queue_count(notifier->queue) : 0;
    return queued + notifier->batch_count;
}

static void batch_end(struct tly_notifier *notifier)
{
    for (size_t i = 0; i < notifier->batch_count; i++) {
        tly_alert_unref(notifier->batch[i]);
    }
    notifier->batch_count = 0;
}

/* Those from `first` on; the others stay under way. */
static void batch_give_back(struct tly_notifier *notifier, size_t first)
{
    size_t lost = 0;
    for (size_t i = first; i < notifier->batch_count; i++) {
        lost += tly_alert_queue_give_back(notifier->queue, notifier->batch[i]) != 0;
    }
    notifier->batch_count = first;
    if (lost > 0) {
        count_dropped(notifier, lost, "too many wait already (queue_max)");
    }
}

static bool any_fires(const struct tly_notifier *notifier)
{
    for (size_t i = 0; i < notifier->batch_count; i++) {
        if (notifier->batch[i]->state == TLY_ALERT_FIRING) {
            return true;
        }
    }
    return false;
}

static int append_item(struct tly_notifier *notifier, const struct tly_alert *alert, bool first)
{
    size_t before = notifier->body.len;
    int rc = first ? 0 : tly_buf_append(&notifier->body, ",", 1);
    if (rc == 0 && notifier->dialect->webhook) {
        rc = tly_alert_body_webhook_item(&notifier->body, alert, &notifier->extra);
    } else if (rc == 0) {
        rc = tly_alert_body_item(&notifier->body, alert, &notifier->extra);
    }
    if (rc == 0 && notifier->body.len > BODY_BYTES_MAX - END_BYTES) {
        rc = TLY_E_LIMIT;
    }
    if (rc < 0) {
        notifier->body.len = before;
    }
    return rc;
}

/* Takes the first one out, which is longer than any message may be. */
static void batch_drop(struct tly_notifier *notifier)
{
    tly_alert_unref(notifier->batch[0]);
    notifier->batch_count--;
    memmove(&notifier->batch[0], &notifier->batch[1],
            notifier->batch_count * sizeof(struct tly_alert *));
    count_dropped(notifier, 1, "its labels and annotations are too long");
}

/* Writes down as much of the batch as a message may have; how many are in it, or -ENOMEM. */
static ssize_t write_message(struct tly_notifier *notifier)
{
    struct tly_buf *body = &notifier->body;
    bool webhook = notifier->dialect->webhook;
    size_t written = 0;
    tly_buf_clear(body);
    int rc = webhook ? tly_alert_body_webhook_head(body, notifier->name, any_fires(notifier))
                     : tly_buf_append(body, "[", 1);
    while (rc == 0 && written < notifier->batch_count) {
        rc = append_item(notifier, notifier->batch[written], written == 0);
        if (rc == TLY_E_LIMIT && written == 0) {
            batch_drop(notifier);
            rc = 0;
        } else {
            written += rc == 0;
        }
    }
    rc = rc == TLY_E_LIMIT ? 0 : rc;
    rc = rc < 0 ? rc : tly_buf_append_text(body, webhook ? TLY_TEXT("]}") : TLY_TEXT("]"));
    rc = rc < 0 ? rc : tly_buf_append(body, "", 1);
    return rc < 0 ? rc : (ssize_t)written;
}

/* Writes the batch down; what is too much for one message waits for the next. -ENOMEM. */
static int write_batch(struct tly_notifier *notifier)
{
    notifier->extra.external = notifier->feed->external;
    ssize_t written = write_message(notifier);
    while (written >= 0 && (size_t)written < notifier->batch_count) {
        batch_give_back(notifier, (size_t)written);
        written = write_message(notifier); /* since its head tells of those that are in it */
    }
    return written < 0 ? (int)written : 0;
}

/* ---- requests ---- */

static void try_later(struct tly_notifier *notifier, const char *why)
{
    uint64_t held;
    int64_t wait_ms = tly_backoff_next_ms(&notifier->backoff);
    notifier->failures++;
    notifier->failing = true;
    batch_give_back(notifier, 0);
    if (tly_log_limit_pass(&notifier->failed_limit, tly_loop_now_ms(notifier->loop), &held)) {
        tly_log_warn("alerts", "%s can't be told of alerts: %s; trying again, %zu wait%s",
                     notifier->name, why, tly_alert_queue_count(notifier->queue),
                     tly_log_held(held).text);
    }
    if (notifier->stopped) {
        tly_defer_call(notifier->turn);
        return;
    }
    notifier->waiting = true;
    tly_timer_start(notifier->timer, wait_ms, 0);
}

/* Whether the same message may be taken another time. */
static bool is_passing(long status)
{
    enum { REQUEST_TIMEOUT = 408, TOO_MANY_REQUESTS = 429, SERVER_ERRORS = 500 };
    return status == REQUEST_TIMEOUT || status == TOO_MANY_REQUESTS || status >= SERVER_ERRORS;
}

static void request_done(void *arg, const struct tly_response *response)
{
    struct tly_notifier *notifier = arg;
    char why[REPLY_SHOWN + 64];
    /* The status is the answer, however long the text behind it is; so it is to Prometheus. */
    if (response->code < 0 && response->code != TLY_E_LIMIT) {
        try_later(notifier, response->error);
        return;
    }
    struct tly_text shown = tly_text_trim(response->body);
    shown.len = shown.len < REPLY_SHOWN ? shown.len : REPLY_SHOWN;
    shown.len = tly_text_utf8_prefix(shown);
    (void)snprintf(why, sizeof(why), "status %ld, \"%.*s\"", response->status, (int)shown.len,
                   shown.len > 0 ? shown.at : "");
    if (is_passing(response->status)) {
        try_later(notifier, why);
        return;
    }
    if (response->status / 100 == 2) {
        notifier->sent += notifier->batch_count;
        if (notifier->failing) {
            tly_log_info("alerts", "%s is told of alerts again", notifier->name);
        }
        notifier->failing = false;
    } else {
        notifier->failures++;
        count_dropped(notifier, notifier->batch_count, why);
    }
    tly_backoff_clear(&notifier->backoff);
    batch_end(notifier);
    tly_defer_call(notifier->turn);
}

static void send_batch(struct tly_notifier *notifier)
{
    notifier->batch_count = tly_alert_queue_take(notifier->queue, BATCH_MAX, notifier->batch);
    if (notifier->batch_count == 0) {
        return;
    }
    int rc = write_batch(notifier);
    if (rc == 0 && notifier->batch_count == 0) {
        tly_defer_call(notifier->turn);
        return;
    }
    if (rc == 0) {
        const struct tly_request_spec spec = {.path = notifier->dialect->path,
                                              .post_body = notifier->body.at,
                                              .timeout_ms = notifier->settings->timeout_ms,
                                              .body_max = REPLY_BYTES,
                                              .done = request_done,
                                              .arg = notifier};
        rc = tly_fetch_start(notifier->fetcher, &spec, NULL);
    }
    tly_buf_done(&notifier->body); /* alerts are rare, and their texts may be long */
    if (rc < 0) {
        try_later(notifier, tly_error_name(rc));
    }
}

static void turn(void *arg)
{
    struct tly_notifier *notifier = arg;
    if (notifier->batch_count == 0 && !notifier->waiting &&
        !(notifier->stopped && notifier->failing)) {
        send_batch(notifier);
    }
    if (notifier->stopped && notifier->batch_count == 0 &&
        (notifier->failing || tly_alert_queue_count(notifier->queue) == 0)) {
        void (*stopped)(void *arg) = notifier->stopped;
        tly_timer_stop(notifier->timer);
        notifier->stopped = NULL;
        stopped(notifier->stopped_arg);
    }
}

static void timer_due(void *arg)
{
    struct tly_notifier *notifier = arg;
    if (notifier->stopped) { /* that was the deadline */
        void (*stopped)(void *arg) = notifier->stopped;
        notifier->stopped = NULL;
        stopped(notifier->stopped_arg);
        return;
    }
    notifier->waiting = false;
    turn(notifier);
}

static void put(struct tly_notifier *notifier, struct tly_alert *alert)
{
    int rc = tly_alert_queue_put(notifier->queue, alert);
    if (rc != 0) {
        count_dropped(notifier, 1,
                      rc > 0 ? "too many wait already (queue_max)" : tly_error_name(rc));
    }
    tly_defer_call(notifier->turn);
}

void tly_notifier_tell(struct tly_notifier *notifier, struct tly_alert *alert, unsigned news)
{
    if (alert->state != TLY_ALERT_PENDING && (news & notifier->dialect->news) != 0) {
        put(notifier, alert);
    }
}

void tly_notifier_stop(struct tly_notifier *notifier, int64_t deadline_ms,
                       void (*stopped)(void *arg), void *arg)
{
    int64_t left_ms = deadline_ms - tly_loop_now_ms(notifier->loop);
    notifier->stopped = stopped;
    notifier->stopped_arg = arg;
    notifier->waiting = false;
    tly_timer_start(notifier->timer, left_ms > 0 ? left_ms : 0, 0);
    tly_defer_call(notifier->turn);
}

/* ---- making ---- */

static void set_labels(struct tly_notifier *notifier)
{
    const struct tly_alert_label_settings *labels = notifier->settings->labels.at;
    size_t count = notifier->settings->labels.count;
    if (gethostname(notifier->hostname, sizeof(notifier->hostname) - 1) < 0) {
        notifier->hostname[0] = '\0'; /* then alerts have no such label */
    }
    notifier->extra.labels = notifier->labels;
    for (size_t i = 0; i < count && i < LABELS_MAX; i++) {
        bool host = strcmp(labels[i].value, "{hostname}") == 0;
        notifier->labels[i].name = tly_text_of(labels[i].name);
        notifier->labels[i].value = tly_text_of(host ? notifier->hostname : labels[i].value);
        notifier->extra.count = i + 1;
    }
}

static int set_fetcher(struct tly_notifier *notifier, struct tly_error *err)
{
    const struct tly_alert_peer_settings *settings = notifier->settings;
    char *basic_auth = NULL;
    if (settings->username &&
        asprintf(&basic_auth, "%s:%s", settings->username, settings->password) < 0) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    const struct tly_endpoint endpoint = {.base_url = settings->url,
                                          .ca_file = settings->ca_file,
                                          .cert_file = settings->cert_file,
                                          .key_file = settings->key_file,
                                          .basic_auth = basic_auth,
                                          .bearer = settings->bearer_token};
    int rc = tly_fetcher_new(notifier->loop, &endpoint, &notifier->fetcher, err);
    if (basic_auth) {
        explicit_bzero(basic_auth, strlen(basic_auth));
        free(basic_auth);
    }
    return rc;
}

int tly_notifier_new(struct tly_loop *loop, const struct tly_alert_feed *feed,
                     struct tly_config *config, const struct tly_alert_peer_settings *settings,
                     const struct tly_alert_dialect *dialect, struct tly_notifier **ret_notifier,
                     struct tly_error *err)
{
    struct tly_text host = tly_alert_peer_host(settings);
    struct tly_notifier *notifier = calloc(1, sizeof(*notifier));
    if (!notifier) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    notifier->loop = loop;
    notifier->feed = feed;
    notifier->config = tly_config_ref(config);
    notifier->settings = settings;
    notifier->dialect = dialect;
    (void)snprintf(notifier->name, sizeof(notifier->name), "%.*s",
                   settings->name ? INT_MAX : (int)host.len,
                   settings->name ? settings->name : host.at); /* cut to fit */
    tly_backoff_init(&notifier->backoff, RETRY_FIRST_MS, RETRY_MAX_MS);
    tly_buf_init(&notifier->body, BODY_BYTES_MAX);
    set_labels(notifier);
    int rc = set_fetcher(notifier, err);
    if (rc < 0) {
        tly_notifier_free(notifier);
        return rc;
    }
    rc = tly_alert_queue_new((size_t)settings->queue_max, &notifier->queue);
    rc = rc < 0 ? rc : tly_timer_new(loop, timer_due, notifier, &notifier->timer);
    rc = rc < 0 ? rc : tly_defer_new(loop, turn, notifier, &notifier->turn);
    if (rc < 0) {
        tly_notifier_free(notifier);
        return tly_error_set(err, rc, "alerts: %s", tly_error_name(rc));
    }
    *ret_notifier = notifier;
    return 0;
}

void tly_notifier_free(struct tly_notifier *notifier)
{
    if (!notifier) {
        return;
    }
    if (count_waiting(notifier) > 0) {
        count_dropped(notifier, count_waiting(notifier),
                      "they waited for it until it was given up");
    }
    tly_fetcher_free(notifier->fetcher);
    tly_timer_free(notifier->timer);
    tly_defer_free(notifier->turn);
    batch_end(notifier);
    tly_alert_queue_free(notifier->queue);
    tly_buf_done(&notifier->body);
    tly_config_free(notifier->config);
    free(notifier);
}

/* ---- from one to the next ---- */

const char *tly_notifier_name(const struct tly_notifier *notifier)
{
    return notifier->name;
}

const struct tly_alert_peer_settings *tly_notifier_settings(const struct tly_notifier *notifier)
{
    return notifier->settings;
}

void tly_notifier_inherit(struct tly_notifier *notifier, struct tly_notifier *from)
{
    tly_fetcher_free(from->fetcher); /* nothing that is under way ends any more */
    from->fetcher = NULL;
    if (strcmp(notifier->name, from->name) == 0) {
        notifier->sent += from->sent;
        notifier->failures += from->failures;
        notifier->dropped += from->dropped;
    }
    do {
        for (size_t i = 0; i < from->batch_count; i++) {
            put(notifier, from->batch[i]);
        }
        batch_end(from);
        from->batch_count = tly_alert_queue_take(from->queue, BATCH_MAX, from->batch);
    } while (from->batch_count > 0);
}

/* ---- metrics ---- */

void tly_notifier_meter(const struct tly_notifier *notifier, struct tly_samples *samples)
{
    uint16_t dim = tly_samples_dim1(samples, "peer", tly_text_of(notifier->name));
    tly_samples_add(samples, TLY_F_tallyman_notifications_sent_total, dim, (int64_t)notifier->sent);
    tly_samples_add(samples, TLY_F_tallyman_notifications_errors_total, dim,
                    (int64_t)notifier->failures);
    tly_samples_add(samples, TLY_F_tallyman_notifications_dropped_total, dim,
                    (int64_t)notifier->dropped);
    tly_samples_add(samples, TLY_F_tallyman_notifications_queue_length, dim,
                    (int64_t)count_waiting(notifier));
    tly_samples_add(samples, TLY_F_tallyman_notifications_queue_capacity, dim,
                    notifier->settings->queue_max);
}
