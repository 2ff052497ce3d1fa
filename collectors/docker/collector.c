/*
 * The Docker collector as the runner sees it: a session with the API where one is configured, the
 * engine's files while that can't be used, events on as records. The runner starts and stops it.
 */
#include "collectors/docker/docker.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/loop/log.h"
#include "collectors/docker/counts.h"
#include "collectors/docker/files.h"
#include "collectors/docker/recent.h"
#include "collectors/docker/record.h"
#include "collectors/docker/session.h"
#include "collectors/docker/tally.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define WHO "docker"

/* Where every distribution's package keeps it. */
#define DATA_ROOT_DEFAULT "/var/lib/docker"

/* An event is at most half of this, its record not much longer. */
#define RECORD_BYTES_MAX ((size_t)4 << 20)

/* TLY_DOCKER_RECENT_MAX events whose every byte is escaped. */
#define EVENTS_BYTES_MAX ((size_t)8 << 20)

static const struct tly_option events_rows[] = {
    {.key = "records",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_docker_events_settings, records),
     .fallback = "true",
     .help = "Whether each event of the engine is sent on as a record with the tag "
             "`docker.events`. They are counted in any case."},
    {.key = "exec_commands",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_docker_events_settings, exec_commands),
     .fallback = "false",
     .help = "Whether records of `docker exec` tell the command. It may hold passwords."},
    {.key = NULL},
};

const struct tly_section tly_docker_events_section = {
    .key = "docker_events",
    .type = TLY_OPTION_SECTION,
    .options = events_rows,
    .size = sizeof(struct tly_docker_events_settings),
    .help = "What becomes of the Docker engine's events: containers that start, die, are killed or "
            "run out of memory, images pulled, networks and volumes made.",
};

struct collector {
    struct tly_inventory *inventory;
    struct tly_delivery *delivery;
    const struct tly_docker_settings *docker;
    const struct tly_docker_events_settings *settings;
    struct tly_group_choice groups; /* as of the start */
    struct tly_docker_counts counts;
    struct tly_docker_session *session; /* NULL: no API is configured */
    struct tly_docker_files *files;
    struct tly_docker_recent *recent;
    struct tly_buf record;
    struct tly_run_stats stats;
    uint64_t errors; /* of the collector's own */
    bool ready;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

static void errors_take(struct collector *self)
{
    self->stats.errors = self->errors + tly_docker_files_errors(self->files) +
                         (self->session ? tly_docker_session_errors(self->session) : 0);
}

static void run_ended(struct collector *self, bool success, int64_t duration_ns)
{
    self->stats.success = success;
    self->stats.duration_ns = duration_ns;
    self->ready = true;
    errors_take(self);
}

/* ---- what the session says ---- */

/* Who joined a network or left it stands among the attributes. */
static void tell_news(struct collector *self, const struct tly_docker_event *event)
{
    struct tly_engine_news news = {
        .type = event->type,
        .action = event->action,
        .id = event->id,
        .container = TLY_TEXT(""),
    };
    bool network = tly_text_equal(event->type, TLY_TEXT("network"));
    for (size_t i = 0; network && i < event->attribute_count; i++) {
        if (tly_text_equal(event->attributes[i].key, TLY_TEXT("container"))) {
            news.container = event->attributes[i].value;
        }
    }
    tly_inventory_tell(self->inventory, &news);
}

static void keep_recent(struct collector *self, const struct tly_docker_event *event)
{
    const struct tly_container *container = tly_inventory_find(self->inventory, event->id);
    bool health_check = container && tly_docker_is_health_check(container, event->detail);
    tly_docker_recent_add(self->recent, event, health_check, self->settings->exec_commands,
                          tly_clock_realtime_ns());
}

static void session_event(void *arg, const struct tly_docker_event *event)
{
    struct collector *self = arg;
    tell_news(self, event);
    keep_recent(self, event);
    if (!self->settings->records) {
        return;
    }
    tly_buf_clear(&self->record);
    if (tly_docker_record_write(&self->record, event, self->settings->exec_commands,
                                tly_clock_realtime_ns()) < 0) {
        self->errors++;
        return;
    }
    tly_delivery_emit(self->delivery, TLY_TEXT(TLY_DOCKER_EVENTS_TAG), tly_buf_text(&self->record));
}

static void session_synced(void *arg, int64_t duration_ns)
{
    struct collector *self = arg;
    tly_docker_files_stop(self->files); /* the API knows all of it, and more */
    run_ended(self, true, duration_ns);
}

static void session_unusable(void *arg, bool denied)
{
    struct collector *self = arg;
    (void)denied; /* the session has said it; the files help against both */
    self->stats.success = false;
    tly_docker_files_start(self->files);
}

static void session_data_root(void *arg, const char *path)
{
    struct collector *self = arg;
    int rc = tly_inventory_put_data_root(self->inventory, path);
    rc = rc == 0 && !self->docker->data_root ? tly_docker_files_move(self->files, path) : rc;
    if (rc < 0) {
        self->errors++; /* the default stays, and /info is asked at each reconnect */
    }
}

static void files_looked(void *arg, bool success, int64_t duration_ns)
{
    run_ended(arg, success, duration_ns);
}

static void measure(void *arg, struct tly_samples *samples)
{
    struct collector *self = arg;
    errors_take(self);
    tly_docker_counts_meter(&self->counts, samples);
}

/* ---- /api/v1/events ---- */

static void answer_events(void *arg, struct tly_http_request *request)
{
    const struct collector *self = arg;
    struct tly_buf body;
    tly_buf_init(&body, EVENTS_BYTES_MAX);
    int rc = tly_docker_recent_json(self->recent, tly_http_query(request, "container"), &body);
    if (rc < 0) {
        tly_buf_clear(&body);
        tly_http_answer(request, 503, "text/plain", &body);
    } else {
        tly_http_answer_tagged(request, "application/json", &body, 0);
    }
    tly_buf_done(&body);
}

static const struct tly_route routes[] = {
    {.path = "/api/v1/events", .handle = answer_events, .title = "Recent events of the engine"},
    {.path = NULL},
};

/* ---- life ---- */

static bool has_api(const struct tly_context *context)
{
    return context->docker->host && context->docker->host[0] != '\0';
}

static int session_make(struct collector *self, const struct tly_context *context,
                        struct tly_error *err)
{
    static const struct tly_docker_session_events events = {
        .event = session_event,
        .synced = session_synced,
        .unusable = session_unusable,
        .data_root = session_data_root,
    };
    const struct tly_docker_session_config config = {
        .loop = context->loop,
        .inventory = context->inventory,
        .docker = context->docker,
        .collect = context->collect,
        .groups = context->groups,
        .counts = &self->counts,
    };
    if (!has_api(context)) {
        tly_docker_files_start(self->files);
        return 0;
    }
    return tly_docker_session_new(&config, &events, self, &self->session, err);
}

static int parts_make(struct collector *self, const struct tly_context *context)
{
    static const struct tly_docker_files_events events = {.looked = files_looked};
    const struct tly_docker_files_config config = {
        .loop = context->loop,
        .watcher = context->watcher,
        .inventory = context->inventory,
        .interval_ms = context->collect->interval_ms,
        .containers_max = (size_t)context->collect->containers_max,
        .may_be_absent = !has_api(context) && !context->docker->data_root,
    };
    const char *data_root = context->docker->data_root ? context->docker->data_root
                                                       : DATA_ROOT_DEFAULT;
    int rc = tly_docker_recent_new(&self->recent);
    rc = rc < 0 ? rc : tly_docker_files_new(&config, data_root, &events, self, &self->files);
    return rc < 0 ? rc : tly_inventory_meter(self->inventory, measure, self);
}

static void collector_free(void *arg)
{
    struct collector *self = arg;
    void (*stopped)(void *arg) = self->stopped;
    void *stopped_arg = self->stopped_arg;
    tly_buf_done(&self->record);
    tly_docker_recent_free(self->recent);
    free(self);
    if (stopped) {
        stopped(stopped_arg);
    }
}

static void collector_stop(void *arg, void (*stopped)(void *arg), void *stopped_arg)
{
    struct collector *self = arg;
    self->stopped = stopped;
    self->stopped_arg = stopped_arg;
    tly_inventory_unmeter(self->inventory, measure, self);
    tly_docker_session_free(self->session);
    if (self->files) {
        tly_docker_files_free(self->files, collector_free, self);
    } else {
        collector_free(self);
    }
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    struct collector *self = calloc(1, sizeof(*self));
    if (!self) {
        return tly_error_set(err, -ENOMEM, "out of memory for the Docker collector");
    }
    self->inventory = context->inventory;
    self->delivery = context->delivery;
    self->docker = context->docker;
    self->groups = *context->groups;
    self->settings = tly_config_section(context->config, &tly_docker_events_section);
    tly_buf_init(&self->record, RECORD_BYTES_MAX);
    int rc = parts_make(self, context);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "cannot set up the Docker collector: %s", tly_error_name(rc));
    } else {
        rc = session_make(self, context, err);
    }
    if (rc < 0) {
        collector_stop(self, NULL, NULL);
        return rc;
    }
    *ret_self = self;
    return 0;
}

/* ---- another configuration ---- */

/* These groups decide what the session asks the engine for, from its beginning. */
static int prepare(void *arg, const struct tly_context *next, void **ret_plan,
                   struct tly_error *err)
{
    const struct collector *self = arg;
    const enum tly_group_id fixed[] = {TLY_G_events, TLY_G_system_df};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (self->groups.on[fixed[i]] != next->groups->on[fixed[i]]) {
            return tly_error_set(err, -ENOTSUP,
                                 "groups: `%s` cannot be switched by a reload; restart the agent",
                                 tly_groups[fixed[i]].name);
        }
    }
    *ret_plan = NULL;
    return 0;
}

static void adopt(void *arg, const struct tly_context *next, void *plan)
{
    (void)plan;
    struct collector *self = arg;
    self->settings = tly_config_section(next->config, &tly_docker_events_section);
    self->docker = next->docker;
    tly_docker_files_pace(self->files, next->collect->interval_ms);
    if (self->session) {
        tly_docker_session_pace(self->session, next->collect->interval_ms);
    }
}

static void abandon(void *arg, void *plan)
{
    (void)arg;
    (void)plan;
}

static const struct tly_reload_ops reload = {
    .prepare = prepare, .adopt = adopt, .abandon = abandon};

static const struct tly_run_stats *collector_stats(const void *arg)
{
    const struct collector *self = arg;
    return &self->stats;
}

static bool collector_ready(const void *arg)
{
    const struct collector *self = arg;
    return self->ready;
}

const struct tly_collector tly_collector_docker = {
    .name = WHO,
    .summary = "Names, labels, state and health of containers, and the engine's events",
    .section = &tly_docker_events_section,
    .follows = TLY_FOLLOWS_INTERVAL | TLY_FOLLOWS_GROUPS,
    .reload = &reload,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
    .routes = routes,
};
