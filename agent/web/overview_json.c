/*
 * From a snapshot and what is remembered to JSON; see overview_json.h. Rows are arrays, without
 * names: a page asks for a thousand of them every few seconds.
 */
#include "agent/web/overview_json.h"

#include "agent/base/clock.h"
#include "agent/codec/json_writer.h"
#include "agent/model/container.h"
#include "agent/web/container_json.h"
#include "agent/web/reading.h"

#include <string.h>

#define CPU_EXPONENT   (-4) /* of a trend's CPU */
#define BYTES_PER_UNIT 1024 /* of a trend's memory */
#define LAGS_MAX       32   /* destinations; the configuration has fewer */

static void put_member(struct tly_json_writer *writer, const char *key, int64_t raw, int exponent)
{
    tly_json_put(writer, key);
    tly_json_put_decimal(writer, raw, exponent);
}

/* ---- the agent and its host ---- */

/* Families of which the page makes its other tables, by the beginnings of their names. */
static const char *const shown_names[] = {
    "process_",
    "posture_score",
    "posture_checks",
    "machine_cpu_cores",
    "machine_memory_bytes",
    "machine_boot_time_seconds",
    "tallyman_build_info",
    "tallyman_collector_",
    "tallyman_inventory_containers",
    "tallyman_destination_",
    "tallyman_spool_",
    "tallyman_forward_connected",
    "tallyman_forward_errors_total",
    "tallyman_notifications_",
    "tallyman_docker_up",
    "tallyman_docker_info",
    "tallyman_docker_events_connected",
    "tallyman_logs_gaps_total",
    "tallyman_logs_lost_bytes_total",
    "tallyman_logs_containers",
    "tallyman_logs_api_unreadable",
    "tallyman_rule",
    "tallyman_posture_",
};

static void shown_choose(bool shown[TLY_FAMILY_COUNT])
{
    for (size_t i = 0; i < TLY_FAMILY_COUNT; i++) {
        shown[i] = false;
        for (size_t k = 0; k < sizeof(shown_names) / sizeof(shown_names[0]); k++) {
            shown[i] = shown[i] ||
                       strncmp(tly_families[i].name, shown_names[k], strlen(shown_names[k])) == 0;
        }
    }
}

static void put_host(struct tly_json_writer *writer, const struct tly_reading *reading,
                     const struct tly_rates *rates)
{
    put_member(writer, ",\n\"host\":{\"cpu\":", rates->cpu, CPU_EXPONENT);
    put_member(writer, ",\"cpu_max\":", reading->cpu_max_millionths, -6);
    put_member(writer, ",\"memory\":", reading->memory_bytes, 0);
    put_member(writer, ",\"memory_max\":", reading->memory_max_bytes, 0);
    put_member(writer, ",\"received\":", rates->received, 0);
    put_member(writer, ",\"sent\":", rates->sent, 0);
    put_member(writer, ",\"read\":", rates->read, 0);
    put_member(writer, ",\"written\":", rates->written, 0);
    tly_json_put(writer, "}");
}

/* The rows without a container are the host's and, behind it, the agent's. */
static void put_house(struct tly_json_writer *writer, const struct tly_snapshot *snapshot,
                      const struct tly_trend *trend)
{
    struct tly_reading reading;
    const struct tly_snapshot_row *rows[2] = {NULL, NULL};
    size_t count = 0;
    bool shown[TLY_FAMILY_COUNT];
    shown_choose(shown);
    for (size_t i = 0; i < snapshot->count && count < 2; i++) {
        if (snapshot->rows[i].container == NULL) {
            rows[count++] = &snapshot->rows[i];
        }
    }
    if (count < 2) {
        return; /* never: every snapshot has both */
    }
    struct tly_rates rates = tly_trend_rates(trend, TLY_TREND_HOST);
    tly_reading_take_host(rows[0], snapshot->slots, &reading);
    put_host(writer, &reading, &rates);
    rates = tly_trend_rates(trend, TLY_TREND_AGENT);
    tly_reading_take_agent(rows[1], snapshot->slots, 0, &reading);
    put_member(writer, ",\n\"agent\":{\"cpu\":", rates.cpu, CPU_EXPONENT);
    put_member(writer, ",\"memory\":", reading.memory_bytes, 0);
    tly_json_put(writer, "},\n\"samples\":[");
    for (size_t i = 0; i < 2 && writer->rc == 0; i++) {
        tly_json_put(writer, i > 0 ? "," : "");
        writer->rc = tly_container_samples_json(rows[i], snapshot->slots, shown, writer->buf);
    }
    tly_json_put(writer, "]");
}

/* ---- logs ---- */

struct lag {
    struct tly_text dim; /* `destination="central"` */
    int64_t ms, bytes, containers;
};

struct lags {
    struct lag at[LAGS_MAX];
    size_t count;
};

static struct lag *lag_of(struct lags *lags, struct tly_text dim)
{
    for (size_t i = 0; i < lags->count; i++) {
        if (tly_text_equal(lags->at[i].dim, dim)) {
            return &lags->at[i];
        }
    }
    if (lags->count == LAGS_MAX) {
        return NULL;
    }
    lags->at[lags->count] = (struct lag){.dim = dim};
    return &lags->at[lags->count++];
}

static void lags_take(struct lags *lags, const struct tly_snapshot_row *row, size_t slots)
{
    for (size_t i = 0; i < slots; i++) {
        const struct tly_sample_set *set = row->sets[i];
        size_t count = set != NULL ? tly_sample_set_count(set) : 0;
        const struct tly_sample *samples = count > 0 ? tly_sample_set_at(set) : NULL;
        for (size_t j = 0; j < count; j++) {
            bool age = samples[j].family == TLY_F_container_log_lag_seconds;
            bool size = samples[j].family == TLY_F_container_log_lag_bytes;
            struct lag *lag = age || size ? lag_of(lags, tly_sample_set_dim(set, samples[j].dim))
                                          : NULL;
            if (lag != NULL && age) {
                lag->ms = samples[j].raw > lag->ms ? samples[j].raw : lag->ms;
                lag->containers += samples[j].raw > 0 ? 1 : 0;
            } else if (lag != NULL) {
                lag->bytes += samples[j].raw;
            }
        }
    }
}

/* The name of a destination has nothing that is escaped: the configuration sees to that. */
static struct tly_text destination_name(struct tly_text dim)
{
    struct tly_text name = tly_text_cut(&dim, '"');
    return dim.at != NULL ? tly_text_cut(&dim, '"') : name;
}

static void put_lags(struct tly_json_writer *writer, const struct tly_snapshot *snapshot)
{
    struct lags lags = {.count = 0};
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot->rows[i].container != NULL) {
            lags_take(&lags, &snapshot->rows[i], snapshot->slots);
        }
    }
    tly_json_put(writer, ",\n\"lags\":[");
    for (size_t i = 0; i < lags.count; i++) {
        tly_json_put(writer, i > 0 ? ",{\"destination\":" : "{\"destination\":");
        tly_json_put_text(writer, destination_name(lags.at[i].dim));
        put_member(writer, ",\"seconds\":", lags.at[i].ms, -3);
        put_member(writer, ",\"bytes\":", lags.at[i].bytes, 0);
        put_member(writer, ",\"containers\":", lags.at[i].containers, 0);
        tly_json_put(writer, "}");
    }
    tly_json_put(writer, "]");
}

/* ---- containers ---- */

/* The labels by which those who run many containers tell what belongs together. */
static const char *const project_labels[] = {
    "com.docker.compose.project", "com.docker.stack.namespace", "io.kubernetes.pod.namespace"};

static const char *project_of(const struct tly_container *container)
{
    const char *project = NULL;
    size_t count = sizeof(project_labels) / sizeof(project_labels[0]);
    for (size_t i = 0; i < count && project == NULL; i++) {
        project = tly_container_label(container, project_labels[i]);
    }
    return project;
}

/* Since when it is in its state: Unix time, in whole seconds. */
static int64_t since_of(const struct tly_container *container)
{
    bool runs = container->state == TLY_STATE_RUNNING || container->state == TLY_STATE_PAUSED;
    int64_t ns = container->finished_ns;
    if (runs || ns <= 0) {
        ns = container->started_ns;
    }
    if (ns <= 0) {
        ns = container->created_ns;
    }
    return ns > 0 ? ns / TLY_NS_PER_S : TLY_UNKNOWN;
}

static const char columns[] =
    ",\n\"columns\":[\"id\",\"name\",\"image\",\"project\",\"state\",\"health\",\"since\","
    "\"exit_code\",\"oom_killed\",\"oom_kills\",\"restarts\",\"cpu\",\"cpu_max\",\"throttled\","
    "\"memory\",\"memory_max\",\"received\",\"sent\",\"read\",\"written\",\"layer\","
    "\"lag_seconds\",\"lag_bytes\",\"failed\",\"failed_high\"]";

static void put_container(struct tly_json_writer *writer, const struct tly_container *container,
                          const struct tly_reading *reading, const struct tly_rates *rates)
{
    const char *state = container->state != TLY_STATE_UNKNOWN
                            ? tly_container_state_names[container->state]
                            : NULL;
    const char *health = container->health > TLY_HEALTH_NONE
                             ? tly_container_health_names[container->health]
                             : NULL;
    const struct tly_text texts[] = {
        tly_trend_key(container->id),
        tly_text_of(container->name),
        tly_text_of(container->image),
        tly_text_of(project_of(container)),
        tly_text_of(state),
        tly_text_of(health),
    };
    const struct {
        int64_t raw;
        int exponent;
    } numbers[] = {
        {since_of(container), 0},
        {container->exit_code, 0},
        {container->oom_killed, 0},
        {reading->oom_kills, 0},
        {container->restarts, 0},
        {rates->cpu, CPU_EXPONENT},
        {reading->cpu_max_millionths, -6},
        {rates->throttled, CPU_EXPONENT},
        {reading->memory_bytes, 0},
        {reading->memory_max_bytes, 0},
        {rates->received, 0},
        {rates->sent, 0},
        {rates->read, 0},
        {rates->written, 0},
        {reading->layer_bytes, 0},
        {reading->log_lag_ms, -3},
        {reading->log_lag_bytes, 0},
        {reading->failed, 0},
        {reading->failed_high, 0},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tly_json_put(writer, i > 0 ? "," : "[");
        if (texts[i].at != NULL) {
            tly_json_put_text(writer, texts[i]);
        } else {
            tly_json_put(writer, "null");
        }
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        tly_json_put(writer, ",");
        tly_json_put_decimal(writer, numbers[i].raw, numbers[i].exponent);
    }
    tly_json_put(writer, "]");
}

static void put_containers(struct tly_json_writer *writer, const struct tly_snapshot *snapshot,
                           const struct tly_trend *trend)
{
    tly_json_put(writer, columns);
    tly_json_put(writer, ",\n\"containers\":[");
    const char *before = "\n";
    for (size_t i = 0; i < snapshot->count && writer->rc == 0; i++) {
        const struct tly_snapshot_row *row = &snapshot->rows[i];
        if (row->container == NULL) {
            continue;
        }
        struct tly_reading reading;
        struct tly_rates rates = tly_trend_rates(trend, tly_trend_key(row->container->id));
        tly_reading_take(row, snapshot->slots, &reading);
        tly_json_put(writer, before);
        put_container(writer, row->container, &reading, &rates);
        before = ",\n";
    }
    tly_json_put(writer, "]");
}

int tly_overview_json(const struct tly_snapshot *snapshot, const struct tly_trend *trend,
                      struct tly_buf *buf)
{
    struct tly_json_writer writer = {.buf = buf};
    tly_json_put(&writer, "\"time\":");
    tly_json_put_time(&writer, snapshot->taken_ns);
    put_house(&writer, snapshot, trend);
    put_lags(&writer, snapshot);
    put_containers(&writer, snapshot, trend);
    return writer.rc;
}

int tly_overview_history_json(const struct tly_trend *trend, struct tly_text who,
                              struct tly_buf *buf)
{
    struct tly_json_writer writer = {.buf = buf};
    int64_t points[TLY_TREND_POINTS];
    size_t count = 0;
    for (enum tly_trend_series i = 0; i < TLY_TREND_SERIES; i++) {
        count = tly_trend_history(trend, who, i, points);
        if (count == 0) {
            return 0;
        }
        if (i == 0) {
            tly_json_put_text(&writer, who);
        }
        tly_json_put(&writer, i == 0 ? ":{\"" : ",\"");
        tly_json_put(&writer, tly_trend_names[i]);
        tly_json_put(&writer, "\":[");
        for (size_t k = 0; k < count; k++) {
            bool kib = i == TLY_TREND_MEMORY && points[k] != TLY_UNKNOWN;
            tly_json_put(&writer, k > 0 ? "," : "");
            tly_json_put_decimal(&writer, kib ? points[k] * BYTES_PER_UNIT : points[k],
                                 i == TLY_TREND_CPU ? CPU_EXPONENT : 0);
        }
        tly_json_put(&writer, "]");
    }
    tly_json_put(&writer, "}");
    return writer.rc < 0 ? writer.rc : 1;
}
