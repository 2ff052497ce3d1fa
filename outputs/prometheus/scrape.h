/*
 * Private to this output: its instance, and one scrape from request to answer.
 */
#ifndef TLY_OUTPUTS_PROMETHEUS_SCRAPE_H
#define TLY_OUTPUTS_PROMETHEUS_SCRAPE_H

#include "agent/codec/exposition.h"
#include "agent/codec/gzip_parts.h"
#include "agent/inventory/inventory.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "agent/model/group.h"
#include "agent/web/route.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Compressed text that is kept for the next scrape, one of each kind: ten thousand containers come
 * to half of it. */
#define TLY_SCRAPE_REMEMBERED_MAX ((size_t)32 << 20)
enum tly_scrape_kind { TLY_SCRAPE_TEXT, TLY_SCRAPE_OPENMETRICS, TLY_SCRAPE_KINDS };

/* For who has no configuration. */
#define TLY_SCRAPES_MAX 64

struct tly_scrape;
TAILQ_HEAD(tly_scrapes, tly_scrape);

struct tly_prometheus {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    const struct tly_group_choice *groups; /* what the configuration shows; NULL: all. Borrowed */

    struct tly_scrapes waiting; /* for fresh readings */
    struct tly_scrapes queued;  /* for their turn on a worker */
    size_t count;               /* of scrapes not answered yet */
    size_t max;                 /* of them */
    size_t samples_max;         /* of one scrape; 0: no bound */
    size_t rendering;           /* of them, those on a worker */
    size_t refreshing;          /* refreshes that will still call back */

    bool stopping;
    void (*stopped)(void *arg); /* NULL: called already */
    void *stopped_arg;
    struct tly_timer *stop_timer;
    struct tly_defer *stopped_defer;

    uint64_t scrapes, failed, late, duplicates, left_out;
    uint64_t late_of[TLY_SLOTS_MAX]; /* scrapes that went without that collector's readings */
    struct tly_exposition_stats last;
    int64_t last_duration_ns, last_render_ns;
    struct {
        struct tly_gzip_parts *parts; /* NULL: there are none, or a scrape has them */
        bool out;
        size_t bytes; /* as of the last scrape */
    } remembered[TLY_SCRAPE_KINDS];
    size_t last_same_bytes;
    struct tly_log_limit failures;
};

/* The handler of /metrics. */
void tly_scrape_handle(void *self, struct tly_http_request *request);

/* Answers all that have not come to a worker yet. */
void tly_scrapes_refuse(struct tly_prometheus *prometheus);

/* Frees what is remembered for later scrapes. */
void tly_scrapes_forget(struct tly_prometheus *prometheus);

/* Called when a scrape or a refresh has ended. */
void tly_prometheus_settle(struct tly_prometheus *prometheus);

#endif
