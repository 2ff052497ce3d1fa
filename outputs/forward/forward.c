/*
 * The output as the registry knows it: one sender for each destination of the section, started,
 * metered and stopped together.
 */
#include "outputs/forward/forward.h"

#include "outputs/forward/sender.h"
#include "outputs/forward/settings.h"

#include <errno.h>
#include <stdlib.h>

struct forward {
    struct tly_inventory *inventory;
    void (*stopped)(void *arg);
    void *stopped_arg;
    size_t running; /* senders that have not stopped */
    size_t count;
    struct tly_forward_sender *senders[];
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
    free(forward);
}

static int start(const struct tly_context *context, void **ret_self, struct tly_error *err)
{
    const struct tly_list *list = tly_config_section(context->config, &tly_forward_section);
    const struct tly_forward_settings *settings = list->at;
    struct forward *forward = calloc(1, sizeof(*forward) +
                                            list->count * sizeof(struct tly_forward_sender *));
    if (!forward) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    forward->inventory = context->inventory;
    int rc = tly_inventory_meter(context->inventory, meter, forward);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "metrics: %s", tly_error_name(rc));
    }
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        rc = tly_forward_sender_new(context->loop, context->delivery, &settings[i],
                                    &forward->senders[i], err);
        forward->count += rc == 0;
    }
    if (rc < 0) {
        forward_free(forward);
        return rc;
    }
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

const struct tly_output tly_output_forward = {
    .name = "forward",
    .summary = "Sends records to receivers of the Fluentd forward protocol",
    .section = &tly_forward_section,
    .start = start,
    .stop = stop,
};
