/*
 * Both outputs as the registry knows them: a notifier for each peer of the section, all of which
 * are told of every alert.
 */
#include "outputs/alertmanager/alertmanager.h"

#include "agent/loop/stream.h"

#include "outputs/alertmanager/notifier.h"
#include "outputs/alertmanager/settings.h"

#include <errno.h>
#include <stdlib.h>

struct notifiers {
    struct tly_inventory *inventory;
    struct tly_alert_feed *feed;
    void (*stopped)(void *arg);
    void *stopped_arg;
    size_t running; /* that have not stopped */
    size_t count;
    struct tly_notifier *at[];
};

static void meter(void *arg, struct tly_samples *samples)
{
    const struct notifiers *all = arg;
    for (size_t i = 0; i < all->count; i++) {
        tly_notifier_meter(all->at[i], samples);
    }
}

static void tell(void *arg, struct tly_alert *alert, unsigned news)
{
    const struct notifiers *all = arg;
    for (size_t i = 0; i < all->count; i++) {
        tly_notifier_tell(all->at[i], alert, news);
    }
}

static void all_free(struct notifiers *all)
{
    tly_alert_feed_unlisten(all->feed, tell, all);
    tly_inventory_unmeter(all->inventory, meter, all);
    for (size_t i = 0; i < all->count; i++) {
        tly_notifier_free(all->at[i]);
    }
    free(all);
}

static int start(const struct tly_context *context, const struct tly_section *section,
                 const struct tly_alert_dialect *dialect, void **ret_self, struct tly_error *err)
{
    const struct tly_list *list = tly_config_section(context->config, section);
    const struct tly_alert_peer_settings *peers = list->at;
    struct notifiers *all = calloc(1, sizeof(*all) + list->count * sizeof(struct tly_notifier *));
    if (!all) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    all->inventory = context->inventory;
    all->feed = context->alerts;
    int rc = tly_inventory_meter(context->inventory, meter, all);
    rc = rc < 0 ? rc : tly_alert_feed_listen(context->alerts, tell, all);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "alerts: %s", tly_error_name(rc));
    }
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        rc = tly_notifier_new(context->loop, context->alerts, &peers[i], dialect, &all->at[i], err);
        all->count += rc == 0;
    }
    if (rc < 0) {
        all_free(all);
        return rc;
    }
    *ret_self = all;
    return 0;
}

static void one_stopped(void *arg)
{
    struct notifiers *all = arg;
    if (--all->running > 0) {
        return;
    }
    void (*stopped)(void *arg) = all->stopped;
    void *stopped_arg = all->stopped_arg;
    all_free(all);
    stopped(stopped_arg);
}

static void stop(void *self, int64_t deadline_ms, void (*stopped)(void *arg), void *arg)
{
    struct notifiers *all = self;
    all->stopped = stopped;
    all->stopped_arg = arg;
    /* At a reload another instance is told, and counts, from now on. */
    tly_alert_feed_unlisten(all->feed, tell, all);
    tly_inventory_unmeter(all->inventory, meter, all);
    all->running = all->count + 1; /* the one is this call, which needs the list to stay */
    for (size_t i = 0; i < all->count; i++) {
        tly_notifier_stop(all->at[i], deadline_ms, one_stopped, all);
    }
    one_stopped(all);
}

/* Alertmanager forgets an alert that is not repeated, so it is told of those that are due. */
static int start_alertmanagers(const struct tly_context *context, void **ret_self,
                               struct tly_error *err)
{
    static const struct tly_alert_dialect dialect = {.path = "/api/v2/alerts",
                                                     .news = TLY_ALERT_DUE};
    return start(context, &tly_alertmanagers_section, &dialect, ret_self, err);
}

static int start_webhooks(const struct tly_context *context, void **ret_self, struct tly_error *err)
{
    static const struct tly_alert_dialect dialect = {
        .path = "", .news = TLY_ALERT_CHANGED, .webhook = true};
    return start(context, &tly_webhooks_section, &dialect, ret_self, err);
}

#define HTTP_PORT  80
#define HTTPS_PORT 443

static void add_peers(const struct tly_config *config, const struct tly_section *section,
                      struct tly_needs *needs)
{
    const struct tly_list *list = tly_config_section(config, section);
    const struct tly_alert_peer_settings *peers = list->at;
    for (size_t i = 0; i < list->count; i++) {
        bool secure = tly_text_starts(tly_text_of(peers[i].url), TLY_TEXT("https:"));
        struct tly_address address;
        if (tly_address_parse(tly_alert_peer_host(&peers[i]), secure ? HTTPS_PORT : HTTP_PORT,
                              &address, NULL) == 0) {
            tly_needs_connect(needs, address.port);
        }
    }
}

static void needs_of_alertmanagers(const struct tly_config *config, struct tly_needs *needs)
{
    add_peers(config, &tly_alertmanagers_section, needs);
}

static void needs_of_webhooks(const struct tly_config *config, struct tly_needs *needs)
{
    add_peers(config, &tly_webhooks_section, needs);
}

const struct tly_output tly_output_alertmanager = {
    .name = "alertmanager",
    .summary = "Tells Alertmanagers of alerts",
    .section = &tly_alertmanagers_section,
    .start = start_alertmanagers,
    .stop = stop,
    .needs = needs_of_alertmanagers,
};

const struct tly_output tly_output_webhook = {
    .name = "webhook",
    .summary = "Tells webhooks of alerts, in the form in which Alertmanager does",
    .section = &tly_webhooks_section,
    .start = start_webhooks,
    .stop = stop,
    .needs = needs_of_webhooks,
};
