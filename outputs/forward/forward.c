/*
 * The output as the registry knows it: one sender for each destination of the section, started,
 * metered and stopped together. At a reload a sender whose settings are the same goes on; another
 * one takes over the queue of its destination, and what its predecessor had under way.
 */
#include "outputs/forward/forward.h"

#include "outputs/forward/sender.h"
#include "outputs/forward/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct forward {
    struct tly_inventory *inventory;
    struct tly_loop *loop;
    struct tly_delivery *delivery;
    void (*stopped)(void *arg);
    void *stopped_arg;
    size_t running; /* senders that have not stopped */
    size_t count;
    struct tly_forward_sender **senders; /* owned */
};

static void meter(void *arg, struct tly_samples *samples)
{
    const struct forward *forward = arg;
    for (size_t i = 0; i < forward->count; i++) {
        tly_forward_sender_meter(forward->senders[i], samples);
    }
}

static void forward_free(struct forward *forward)
{
    tly_inventory_unmeter(forward->inventory, meter, forward);
    for (size_t i = 0; i < forward->count; i++) {
        tly_forward_sender_free(forward->senders[i]);
    }
    free(forward->senders);
    free(forward);
}

/* ---- from one configuration to the next ---- */

struct plan {
    size_t count;
    struct tly_forward_sender **senders; /* those that go on, and new ones that do nothing yet */
};

static bool has(struct tly_forward_sender *const *senders, size_t count,
                const struct tly_forward_sender *sender)
{
    for (size_t i = 0; i < count; i++) {
        if (senders[i] == sender) {
            return true;
        }
    }
    return false;
}

static struct tly_forward_sender *find_same(const struct forward *forward,
                                            const struct tly_forward_settings *settings)
{
    for (size_t i = 0; i < forward->count; i++) {
        if (tly_options_equal(tly_forward_section.options, settings,
                              tly_forward_sender_settings(forward->senders[i]))) {
            return forward->senders[i];
        }
    }
    return NULL;
}

/* Where the sender before sent to; another output's destination of that name is not ours to take.
 */
static struct tly_destination *find_own(const struct forward *forward, const char *name)
{
    for (size_t i = 0; i < forward->count; i++) {
        if (strcmp(tly_forward_sender_settings(forward->senders[i])->name, name) == 0) {
            return tly_forward_sender_destination(forward->senders[i]);
        }
    }
    return NULL;
}

static void abandon(void *self, void *arg)
{
    struct forward *forward = self;
    struct plan *plan = arg;
    for (size_t i = 0; i < plan->count; i++) {
        struct tly_forward_sender *sender = plan->senders[i];
        if (has(forward->senders, forward->count, sender)) {
            continue;
        }
        if (tly_forward_sender_made(sender)) {
            tly_delivery_leave(forward->delivery, tly_forward_sender_destination(sender));
        }
        tly_forward_sender_free(sender);
    }
    tly_delivery_settle(forward->delivery);
    free(plan->senders);
    free(plan);
}

static int prepare(void *self, const struct tly_context *next, void **ret_plan,
                   struct tly_error *err)
{
    struct forward *forward = self;
    const struct tly_list *list = tly_config_section(next->config, &tly_forward_section);
    const struct tly_forward_settings *settings = list->at;
    struct plan *plan = calloc(1, sizeof(*plan));
    struct tly_forward_sender **senders = calloc(list->count + 1,
                                                 sizeof(struct tly_forward_sender *));
    if (!plan || !senders) {
        free(plan);
        free(senders);
        (void)tly_error_set(err, -ENOMEM, "out of memory"); /* is returned */
        return -ENOMEM;
    }
    plan->senders = senders;
    for (size_t i = 0; i < list->count; i++) {
        struct tly_forward_sender *sender = find_same(forward, &settings[i]);
        int rc = sender ? 0
                        : tly_forward_sender_new(forward->loop, forward->delivery, next->config,
                                                 &settings[i], find_own(forward, settings[i].name),
                                                 &sender, err);
        if (rc < 0) {
            abandon(forward, plan);
            return rc;
        }
        plan->senders[plan->count++] = sender;
    }
    *ret_plan = plan;
    return 0;
}

static bool names(const struct plan *plan, const struct tly_destination *destination)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (tly_forward_sender_destination(plan->senders[i]) == destination) {
            return true;
        }
    }
    return false;
}

/* The old senders go first: two must not have one destination. */
static void adopt(void *self, const struct tly_context *next, void *arg)
{
    (void)next;
    struct forward *forward = self;
    struct plan *plan = arg;
    struct tly_forward_sender **old = forward->senders;
    size_t old_count = forward->count;
    forward->senders = plan->senders;
    forward->count = plan->count;
    for (size_t i = 0; i < old_count; i++) {
        struct tly_destination *destination = tly_forward_sender_destination(old[i]);
        if (has(plan->senders, plan->count, old[i])) {
            continue;
        }
        if (!names(plan, destination)) {
            tly_delivery_leave(forward->delivery, destination);
        }
        tly_forward_sender_free(old[i]);
        old[i] = NULL;
    }
    for (size_t i = 0; i < plan->count; i++) {
        if (!has(old, old_count, plan->senders[i])) {
            tly_forward_sender_begin(plan->senders[i]);
        }
    }
    free(old);
    free(plan);
}

static const struct tly_reload_ops reload = {
    .prepare = prepare, .adopt = adopt, .abandon = abandon};

/* ---- life ---- */

static int start(const struct tly_context *context, void **ret_self, struct tly_error *err)
{
    struct forward *forward = calloc(1, sizeof(*forward));
    void *plan = NULL;
    if (!forward) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    forward->inventory = context->inventory;
    forward->loop = context->loop;
    forward->delivery = context->delivery;
    int rc = tly_inventory_meter(context->inventory, meter, forward);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "metrics: %s", tly_error_name(rc));
    }
    rc = rc < 0 ? rc : prepare(forward, context, &plan, err);
    if (rc < 0) {
        forward_free(forward);
        return rc;
    }
    adopt(forward, context, plan);
    *ret_self = forward;
    return 0;
}

static void sender_stopped(void *arg)
{
    struct forward *forward = arg;
    if (--forward->running > 0) {
        return;
    }
    void (*stopped)(void *arg) = forward->stopped;
    void *stopped_arg = forward->stopped_arg;
    forward_free(forward);
    stopped(stopped_arg);
}

static void stop(void *self, int64_t deadline_ms, void (*stopped)(void *arg), void *arg)
{
    struct forward *forward = self;
    forward->stopped = stopped;
    forward->stopped_arg = arg;
    forward->running = forward->count + 1; /* the one is this call, which needs the list to stay */
    for (size_t i = 0; i < forward->count; i++) {
        tly_forward_sender_stop(forward->senders[i], deadline_ms, sender_stopped, forward);
    }
    sender_stopped(forward);
}

static void needs(const struct tly_config *config, struct tly_needs *needs)
{
    const struct tly_list *list = tly_config_section(config, &tly_forward_section);
    const struct tly_forward_settings *destinations = list->at;
    for (size_t i = 0; i < list->count; i++) {
        const struct tly_forward_server_settings *servers = destinations[i].servers.at;
        for (size_t j = 0; j < destinations[i].servers.count; j++) {
            struct tly_address address;
            if (tly_forward_server_address(&servers[j], &address, NULL) == 0 &&
                address.path[0] == '\0') {
                tly_needs_connect(needs, address.port);
            }
        }
    }
}

const struct tly_output tly_output_forward = {
    .name = "forward",
    .summary = "Sends records to receivers of the Fluentd forward protocol",
    .section = &tly_forward_section,
    .reload = &reload,
    .start = start,
    .stop = stop,
    .needs = needs,
};
