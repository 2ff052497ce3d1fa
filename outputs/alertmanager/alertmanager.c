/*
 * Both outputs as the registry knows them: a notifier for each peer of the section, all of which
 * are told of every alert. At a reload a notifier whose settings are the same goes on; another one
 * takes over what its predecessor was not rid of.
 */
#include "outputs/alertmanager/alertmanager.h"

#include "agent/loop/stream.h"

#include "outputs/alertmanager/notifier.h"
#include "outputs/alertmanager/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct notifiers {
    struct tly_inventory *inventory;
    struct tly_loop *loop;
    struct tly_alert_feed *feed;
    const struct tly_section *section;
    const struct tly_alert_dialect *dialect;
    void (*stopped)(void *arg);
    void *stopped_arg;
    size_t running; /* that have not stopped */
    size_t count;
    struct tly_notifier **at; /* owned */
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
    free(all->at);
    free(all);
}

/* ---- from one configuration to the next ---- */

struct plan {
    size_t count;
    struct tly_notifier **at;    /* those that go on, and new ones that do nothing yet */
    struct tly_notifier **fresh; /* the new ones, at their places; NULL for the others */
};

static void plan_free(struct plan *plan)
{
    free(plan->at);
    free(plan->fresh);
    free(plan);
}

static struct plan *plan_new(size_t count)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct tly_notifier **at = calloc(count + 1, sizeof(struct tly_notifier *));
    struct tly_notifier **fresh = calloc(count + 1, sizeof(struct tly_notifier *));
    if (!plan || !at || !fresh) {
        free(plan);
        free(at);
        free(fresh);
        return NULL;
    }
    plan->at = at;
    plan->fresh = fresh;
    return plan;
}

static bool has(struct tly_notifier *const *notifiers, size_t count,
                const struct tly_notifier *notifier)
{
    for (size_t i = 0; i < count; i++) {
        if (notifiers[i] == notifier) {
            return true;
        }
    }
    return false;
}

static struct tly_notifier *find_same(const struct notifiers *all,
                                      const struct tly_alert_peer_settings *settings)
{
    for (size_t i = 0; i < all->count; i++) {
        if (tly_options_equal(all->section->options, settings, tly_notifier_settings(all->at[i]))) {
            return all->at[i];
        }
    }
    return NULL;
}

static void abandon(void *self, void *arg)
{
    struct plan *plan = arg;
    (void)self;
    for (size_t i = 0; i < plan->count; i++) {
        tly_notifier_free(plan->fresh[i]);
    }
    plan_free(plan);
}

static int prepare(void *self, const struct tly_context *next, void **ret_plan,
                   struct tly_error *err)
{
    struct notifiers *all = self;
    const struct tly_list *list = tly_config_section(next->config, all->section);
    const struct tly_alert_peer_settings *peers = list->at;
    struct plan *plan = plan_new(list->count);
    int rc = 0;
    if (!plan) {
        (void)tly_error_set(err, -ENOMEM, "out of memory"); /* is returned */
        return -ENOMEM;
    }
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        plan->at[i] = find_same(all, &peers[i]);
        if (!plan->at[i]) {
            rc = tly_notifier_new(all->loop, all->feed, next->config, &peers[i], all->dialect,
                                  &plan->fresh[i], err);
            plan->at[i] = plan->fresh[i];
        }
        plan->count++;
    }
    if (rc < 0) {
        abandon(all, plan);
        return rc;
    }
    *ret_plan = plan;
    return 0;
}

/* Takes the predecessor of a new notifier out of the old ones: that of its name, or, with
 * `any_name`, the first that is left. */
static struct tly_notifier *take_old(struct tly_notifier **old, size_t count,
                                     const struct tly_notifier *fresh, bool any_name)
{
    for (size_t i = 0; i < count; i++) {
        struct tly_notifier *found = old[i];
        if (found &&
            (any_name || strcmp(tly_notifier_name(found), tly_notifier_name(fresh)) == 0)) {
            old[i] = NULL;
            return found;
        }
    }
    return NULL;
}

static void hand_over(struct tly_notifier **old, size_t count, const struct plan *plan,
                      bool any_name)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct tly_notifier *from = plan->fresh[i] ? take_old(old, count, plan->fresh[i], any_name)
                                                   : NULL;
        if (from) {
            tly_notifier_inherit(plan->fresh[i], from);
            tly_notifier_free(from);
            plan->fresh[i] = NULL;
        }
    }
}

static void adopt(void *self, const struct tly_context *next, void *arg)
{
    (void)next;
    struct notifiers *all = self;
    struct plan *plan = arg;
    for (size_t i = 0; i < all->count; i++) {
        all->at[i] = has(plan->at, plan->count, all->at[i]) ? NULL : all->at[i];
    }
    /* A peer without a name is called by its URL: where that was mended, the place tells. */
    hand_over(all->at, all->count, plan, false);
    hand_over(all->at, all->count, plan, true);
    for (size_t i = 0; i < all->count; i++) {
        tly_notifier_free(all->at[i]);
    }
    free(all->at);
    all->at = plan->at;
    all->count = plan->count;
    plan->at = NULL;
    plan_free(plan);
}

static const struct tly_reload_ops reload = {
    .prepare = prepare, .adopt = adopt, .abandon = abandon};

/* ---- life ---- */

static int start(const struct tly_context *context, const struct tly_section *section,
                 const struct tly_alert_dialect *dialect, void **ret_self, struct tly_error *err)
{
    struct notifiers *all = calloc(1, sizeof(*all));
    void *plan = NULL;
    if (!all) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    all->inventory = context->inventory;
    all->loop = context->loop;
    all->feed = context->alerts;
    all->section = section;
    all->dialect = dialect;
    int rc = tly_inventory_meter(context->inventory, meter, all);
    rc = rc < 0 ? rc : tly_alert_feed_listen(context->alerts, tell, all);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "alerts: %s", tly_error_name(rc));
    }
    rc = rc < 0 ? rc : prepare(all, context, &plan, err);
    if (rc < 0) {
        all_free(all);
        return rc;
    }
    adopt(all, context, plan);
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
    tly_alert_feed_unlisten(all->feed, tell, all);
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
    .reload = &reload,
    .start = start_alertmanagers,
    .stop = stop,
    .needs = needs_of_alertmanagers,
};

const struct tly_output tly_output_webhook = {
    .name = "webhook",
    .summary = "Tells webhooks of alerts, in the form in which Alertmanager does",
    .section = &tly_webhooks_section,
    .reload = &reload,
    .start = start_webhooks,
    .stop = stop,
    .needs = needs_of_webhooks,
};
