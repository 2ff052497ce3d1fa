/*
 * An alert: a rule's verdict on one label set, and who is told of it. An object describes one
 * alert at one evaluation of its rule; it is made by the rules, never changed afterwards, and
 * counted by references that any thread may take and give back.
 *
 * A sender subscribes with tly_alert_feed_listen when it starts, on the feed of its context
 * (agent/registry.h), and unlistens when it stops. It is called on the loop for every alert that
 * there is news of, several times in one turn when an evaluation changed several: gather them, and
 * send by a deferred call. Nothing is queued for it meanwhile: a sender that can't reach its peer
 * keeps what it needs, within bounds of its own. Resending is not its business: as long as an alert
 * fires, and for a quarter of an hour after it was resolved, it is reported as DUE again and again.
 */
#ifndef TLY_MODEL_ALERT_H
#define TLY_MODEL_ALERT_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stddef.h>
#include <stdint.h>

/* Prometheus's states, as its specification of alert generators has them. */
enum tly_alert_state {
    TLY_ALERT_INACTIVE, /* once fired, now resolved; kept to be reported as such */
    TLY_ALERT_PENDING,  /* for less than the rule's `for`; no Alertmanager hears of it */
    TLY_ALERT_FIRING,
};

/* "inactive", "pending", "firing" */
extern const char *const tly_alert_state_names[3];

struct tly_alert_pair {
    struct tly_text name, value; /* valid UTF-8, NUL-terminated */
};

struct tly_alert {
    unsigned refs;                       /* only through ref and unref */
    const struct tly_alert_pair *labels; /* sorted by name; with alertname, and external labels are
                                          * not among them */
    size_t label_count;
    const struct tly_alert_pair *annotations; /* sorted by name, templates expanded */
    size_t annotation_count;
    struct tly_text rule, group, file; /* where it comes from */
    struct tly_text query;             /* the rule's expression, in canonical form */
    enum tly_alert_state state;
    double value; /* of the expression, when it last had one */
    /* Milliseconds since 1970; 0: never. */
    int64_t active_at_ms;         /* the condition began to hold */
    int64_t fired_at_ms;          /* StartsAt for an Alertmanager */
    int64_t resolved_at_ms;       /* EndsAt once it is resolved, otherwise 0 */
    int64_t keep_firing_since_ms; /* the condition ended, keep_firing_for holds it */
    int64_t valid_until_ms;       /* EndsAt while it fires: four intervals from the evaluation */
};

/* What there is to be told; a set of flags. */
enum {
    /* The state is another one than at the evaluation before. Pending alerts whose condition ended
     * vanish without news: they never fired. */
    TLY_ALERT_CHANGED = 1,
    /* An Alertmanager ought to hear it now: it fired, was resolved, or the time for repeating
     * (resend_delay) has come. Never for a pending one. */
    TLY_ALERT_DUE = 2,
};

/* One piece with all its texts, copied; one reference. Arrays need not be sorted. NULL: no memory.
 */
struct tly_alert *tly_alert_new(const struct tly_alert *from);
struct tly_alert *tly_alert_ref(struct tly_alert *alert);
void tly_alert_unref(struct tly_alert *alert); /* NULL is fine */

/* The value of a label, or {NULL, 0}. */
struct tly_text tly_alert_label(const struct tly_alert *alert, struct tly_text name);

/* ---- those who want to know ---- */

/* On the loop's thread. The alert is borrowed: take a reference to keep it. */
typedef void (*tly_alert_fn)(void *arg, struct tly_alert *alert, unsigned news);

#define TLY_ALERT_LISTENERS_MAX 16

/* Labels that every alert gets on its way out which has none of that name (Prometheus's
 * external_labels). They are no part of the alert: ALERTS and the API are without them. */
struct tly_alert_external {
    const struct tly_alert_pair *labels; /* one without a value is none */
    size_t count;
};

/* The feed of an agent; embedded, zeroed before use. A listener must not add or remove listeners
 * while it is called. */
struct tly_alert_feed {
    struct tly_alert_external external; /* the rules' side's; may be others after a reload */
    struct {
        tly_alert_fn tell;
        void *arg;
    } listeners[TLY_ALERT_LISTENERS_MAX];
    size_t count;
};

/* TLY_E_LIMIT when there is no place left. */
int tly_alert_feed_listen(struct tly_alert_feed *feed, tly_alert_fn tell, void *arg) TLY_CHECK;
void tly_alert_feed_unlisten(struct tly_alert_feed *feed, tly_alert_fn tell, void *arg);
/* For the rules' side: calls every listener. */
void tly_alert_feed_tell(const struct tly_alert_feed *feed, struct tly_alert *alert, unsigned news);

#endif
