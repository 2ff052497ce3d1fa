/* The house of the logs tests. */
#include "tests/unit/logs/house.h"

#include "agent/codec/record_json.h"
#include "agent/codec/record_reader.h"
#include "agent/loop/log.h"
#include "agent/model/sample.h"
#include "collectors/logs/collector.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- sinks ---- */

static void append_extra(struct taken *taken, struct tly_text key, struct tly_text value)
{
    char *text;
    assert_true(asprintf(&text, "%s%.*s=%.*s;", taken->extra ? taken->extra : "", (int)key.len,
                         key.at, (int)value.len, value.at) > 0);
    free(taken->extra);
    taken->extra = text;
}

/* What is no text, as its JSON. */
static void take_structure(struct taken *taken, struct tly_text key, struct tly_text value)
{
    struct tly_buf json;
    tly_buf_init(&json, 1U << 20);
    assert_int_equal(tly_record_json(&json, value, (struct tly_json_style){0}), 0);
    append_extra(taken, key, tly_buf_text(&json));
    tly_buf_done(&json);
}

static void take_field(struct taken *taken, struct tly_text key, struct tly_text value)
{
    const struct {
        const char *key;
        char **to;
    } fields[] = {
        {"container_id", &taken->id},
        {"container_name", &taken->name},
        {"source", &taken->source},
        {"log", &taken->log},
        {"pod_id", &taken->id},
        {"partial_id", &taken->partial_id},
        {"partial_ordinal", &taken->partial_ordinal},
        {"partial_last", &taken->partial_last},
    };
    for (size_t i = 0; i < ROWS(fields); i++) {
        if (tly_text_equal(key, tly_text_of(fields[i].key))) {
            assert_null(*fields[i].to); /* no key comes twice */
            *fields[i].to = tly_text_dup(value);
            assert_non_null(*fields[i].to);
            taken->log_len = fields[i].to == &taken->log ? value.len : taken->log_len;
            return;
        }
    }
    taken->malformed = taken->malformed || tly_text_equal(key, TLY_TEXT("malformed"));
    append_extra(taken, key, value);
}

static void take_record(struct sink *sink, struct tly_text *rest, const char *tag)
{
    struct tly_value value;
    struct tly_value key;
    if (sink->count == sink->cap) {
        sink->cap = sink->cap ? 2 * sink->cap : 256;
        sink->taken = realloc(sink->taken, sink->cap * sizeof(*sink->taken));
        assert_non_null(sink->taken);
    }
    struct taken *taken = &sink->taken[sink->count++];
    *taken = (struct taken){.tag = strdup(tag)};
    assert_int_equal(tly_value_next(rest, &value), 0);
    assert_int_equal(value.type, TLY_VALUE_ARRAY);
    assert_int_equal(value.count, 2);
    assert_int_equal(tly_value_next(rest, &value), 0);
    assert_int_equal(tly_value_time(&value, &taken->time_ns), 0);
    assert_int_equal(tly_value_next(rest, &value), 0);
    assert_int_equal(value.type, TLY_VALUE_MAP);
    for (uint32_t pairs = value.count; pairs > 0; pairs--) {
        assert_int_equal(tly_value_next(rest, &key), 0);
        assert_int_equal(key.type, TLY_VALUE_STR);
        struct tly_text bytes;
        assert_int_equal(tly_value_whole(rest, &value, &bytes), 0);
        if (value.type == TLY_VALUE_STR) {
            take_field(taken, key.bytes, value.bytes);
        } else {
            take_structure(taken, key.bytes, bytes);
        }
    }
    assert_true(taken->log || taken->extra); /* fields may stand for it */
    assert_non_null(taken->id);
}

/* The last record is one that came before. */
static bool is_repeat(const struct sink *sink)
{
    const char *id = sink->taken[sink->count - 1].extra;
    for (size_t i = 0; id && i + 1 < sink->count; i++) {
        if (strcmp(sink->taken[i].extra, id) == 0) {
            return true;
        }
    }
    return false;
}

static void sink_ready(void *arg)
{
    struct sink *sink = arg;
    struct tly_chunk *chunk;
    while (sink->mode != SINK_RESTS && sink->held_count < ROWS(sink->held) &&
           (chunk = tly_destination_take(sink->destination))) {
        struct tly_text rest = tly_buf_text(&chunk->payload);
        uint32_t records = 0;
        while (rest.len > 0) {
            take_record(sink, &rest, chunk->tag);
            records++;
            if (sink->drops_repeats && is_repeat(sink)) {
                sink_cut(sink, sink->count - 1);
            }
        }
        assert_int_equal(records, chunk->records);
        if (sink->mode == SINK_ACKS) {
            tly_destination_ack(sink->destination, chunk);
        } else {
            sink->held[sink->held_count++] = chunk;
        }
    }
}

void sink_release(struct sink *sink)
{
    for (size_t i = 0; i < sink->held_count; i++) {
        tly_destination_ack(sink->destination, sink->held[i]);
    }
    sink->held_count = 0;
    sink_ready(sink);
}

void sink_refuse(struct sink *sink)
{
    for (size_t i = 0; i < sink->held_count; i++) {
        tly_destination_drop(sink->destination, sink->held[i]);
    }
    sink->held_count = 0;
    sink_ready(sink);
}

void sink_lose(struct sink *sink, size_t count)
{
    for (size_t i = 0; i < sink->held_count; i++) {
        tly_destination_give_back(sink->destination, sink->held[i]);
    }
    sink->held_count = 0;
    sink_cut(sink, count);
    sink_ready(sink);
}

void sink_set(struct sink *sink, enum sink_mode mode)
{
    sink->mode = mode;
    sink_ready(sink);
}

void sink_cut(struct sink *sink, size_t count)
{
    for (size_t i = count; i < sink->count; i++) {
        struct taken *taken = &sink->taken[i];
        char *owned[] = {
            taken->tag,         taken->id,    taken->name,       taken->source,
            taken->log,         taken->extra, taken->partial_id, taken->partial_ordinal,
            taken->partial_last};
        for (size_t at = 0; at < ROWS(owned); at++) {
            free(owned[at]);
        }
    }
    sink->count = count;
}

void sink_clear(struct sink *sink)
{
    sink_cut(sink, 0);
}

struct awaited {
    const struct sink *sink;
    size_t count;
};

static bool has_come(void *arg)
{
    const struct awaited *awaited = arg;
    return awaited->sink->count >= awaited->count;
}

void sink_await(struct house *house, struct sink *sink, size_t count)
{
    struct awaited awaited = {sink, count};
    if (!turns_until(house->loop, has_come, &awaited)) {
        fail_msg("%zu records came, %zu were awaited", sink->count, count);
    }
}

/* ---- the house ---- */

int house_set_up(void **state)
{
    struct house *house = calloc(1, sizeof(*house));
    char path[TEMP_DIR_MAX + 16];
    assert_non_null(house);
    tly_log_set_level(TLY_LOG_ERROR); /* gaps and errors are what the tests are about */
    temp_dir_make(house->dir);
    (void)snprintf(house->containers, sizeof(house->containers), "%s/containers", house->dir);
    assert_int_equal(mkdir(house->containers, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/state", house->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    house->state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(house->state_fd >= 0);
    (void)snprintf(house->pods, sizeof(house->pods), "%s/pods", house->dir);
    assert_int_equal(mkdir(house->pods, 0700), 0);
    house->closing_ms = 2;
    house->sink_count = 1;
    house->limits = (struct tly_destination_limits){.chunk_age_ms = 5};
    (void)snprintf(house->options, sizeof(house->options), "from: beginning");
    *state = house;
    return 0;
}

int house_tear_down(void **state)
{
    struct house *house = *state;
    if (house->collector) {
        house_kill(house);
    }
    for (size_t i = 0; i < HOUSE_SINKS_MAX; i++) {
        sink_clear(&house->sinks[i]);
        free(house->sinks[i].taken);
    }
    close(house->state_fd);
    temp_dir_remove(house->dir);
    free(house);
    return 0;
}

static void parse_options(struct house *house)
{
    static const struct tly_section *const sections[] = {&tly_settings_section, &tly_docker_section,
                                                         &tly_collect_section, &tly_logs_section};
    struct tly_complaints complaints;
    char text[sizeof(house->options) + 3 * TEMP_DIR_MAX + 128];
    int len = snprintf(text, sizeof(text),
                       "docker: {data_root: %s, host: \"%s\"}\nlogs: {pods_root: \"%s\", %s}\n",
                       house->dir, house->host, house->pods, house->options);
    if (tly_config_parse(sections, ROWS(sections), text, (size_t)len, &complaints, &house->config) <
        0) {
        fail_msg("%s", complaints.at[0].text);
    }
}

static void add_sink(const struct house *house, struct sink *sink)
{
    static const char *const names[HOUSE_SINKS_MAX] = {"central", "second"};
    size_t number = (size_t)(sink - house->sinks);
    assert_int_equal(
        tly_delivery_add(house->delivery, names[number], &house->limits, &sink->destination), 0);
    tly_destination_select(sink->destination, &house->selections[number]);
    tly_destination_attach(sink->destination, sink_ready, sink);
}

void house_reload(struct house *house, size_t sink_count)
{
    void *plan = NULL;
    const struct tly_reload_ops *reload = tly_collector_logs.reload;
    while (house->sink_count < sink_count) {
        add_sink(house, &house->sinks[house->sink_count++]);
    }
    assert_int_equal(reload->prepare(house->collector, &house->context, &plan, NULL), 0);
    reload->adopt(house->collector, &house->context, plan);
}

void house_start(struct house *house)
{
    const struct tly_inventory_limits limits = {
        .containers_max = 100, .label_value_bytes_max = 1024, .labels_max = 32};
    struct tly_error err = {0};
    parse_options(house);
    assert_int_equal(tly_loop_new(&house->loop), 0);
    assert_int_equal(tly_watcher_new(house->loop, &house->watcher), 0);
    assert_int_equal(tly_inventory_new(&limits, NULL, 0, &house->inventory), 0);
    assert_int_equal(tly_delivery_new(house->loop, house->state_fd, &house->delivery, &err), 0);
    for (size_t i = 0; i < house->sink_count && i < HOUSE_SINKS_MAX; i++) {
        add_sink(house, &house->sinks[i]);
    }
    house->context = (struct tly_context){
        .loop = house->loop,
        .watcher = house->watcher,
        .inventory = house->inventory,
        .delivery = house->delivery,
        .config = house->config,
        .settings = tly_config_section(house->config, &tly_settings_section),
        .docker = tly_config_section(house->config, &tly_docker_section),
        .collect = tly_config_section(house->config, &tly_collect_section),
    };
    if (tly_collector_logs.start(&house->context, &house->collector, &err) < 0) {
        fail_msg("%s", err.text);
    }
    struct tly_logs *logs = house->collector;
    logs->closing_ms = house->closing_ms;
    logs->feeds.pace = house->pace ? house->pace : logs->feeds.pace;
}

void house_fill_soon(struct house *house)
{
    house->limits = (struct tly_destination_limits){
        .chunk_age_ms = 5, .chunk_bytes_max = 8192, .bytes_max = 32768};
    house->sinks[0].mode = SINK_RESTS;
}

static void note_stopped(void *arg)
{
    bool *stopped = arg;
    *stopped = true;
}

void house_kill(struct house *house)
{
    bool stopped = false;
    tly_collector_logs.stop(house->collector, note_stopped, &stopped);
    assert_true(stopped);
    house->collector = NULL;
    for (size_t i = 0; i < house->sink_count; i++) {
        tly_destination_attach(house->sinks[i].destination, NULL, NULL);
        house->sinks[i].destination = NULL;
        house->sinks[i].held_count = 0;
    }
    tly_delivery_free(house->delivery);
    tly_inventory_free(house->inventory);
    tly_watcher_free(house->watcher);
    tly_loop_free(house->loop);
    tly_config_free(house->config);
}

static bool is_ready(void *arg)
{
    const struct house *house = arg;
    const struct tly_logs *logs = house->collector;
    return tly_collector_logs.ready(house->collector) && !logs->stale && !logs->ready;
}

static void check_reader(const struct tly_log_reader *reader)
{
    struct tly_log_balance b;
    tly_log_reader_balance(reader, &b);
    assert_int_equal(b.taken, b.joined + b.dropped + b.waiting + b.delivery.appended);
    assert_int_equal(b.delivery.appended,
                     b.delivery.acked + b.delivery.dropped + b.delivery.under_way);
    assert_int_equal(b.delivery.since_ms > 0, b.delivery.under_way > 0);
}

void house_check_books(const struct house *house)
{
    const struct tly_logs *logs = house->collector;
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        const struct tly_log_source *source = at.value;
        for (size_t i = 0; i < logs->target_count; i++) {
            if (source->readers[i] && source->readers[i]->cursor) {
                check_reader(source->readers[i]);
            }
        }
    }
    for (size_t i = 0; i < house->sink_count; i++) {
        struct tly_destination_counts c;
        tly_destination_counts(house->sinks[i].destination, &c);
        assert_int_equal(c.records_appended,
                         c.records_acked + c.records_dropped + c.queued_records);
    }
}

static const struct tly_log_source *find_source(const struct house *house, const char *id)
{
    const struct tly_logs *logs = house->collector;
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        const struct tly_log_source *source = at.value;
        if (strcmp(source->id, id) == 0) {
            return source;
        }
    }
    return NULL;
}

uint64_t house_gaps(const struct house *house, const char *id)
{
    const struct tly_log_source *source = find_source(house, id);
    uint64_t gaps = 0;
    for (size_t i = 0; source && i < house->sink_count; i++) {
        for (int reason = 0; source->readers[i] && reason < TLY_LOST_COUNT; reason++) {
            gaps += source->readers[i]->gaps[reason];
        }
    }
    return gaps;
}

bool house_entered(const struct house *house, const char *id)
{
    const struct tly_log_source *source = find_source(house, id);
    bool entered = true;
    for (size_t i = 0; source && i < house->sink_count; i++) {
        entered = entered && source->readers[i] && source->readers[i]->entered;
    }
    return entered;
}

void house_settle(struct house *house)
{
    /* Twice: what the kernel has to tell comes after a turn. */
    for (int i = 0; i < 2; i++) {
        assert_true(turns_until(house->loop, is_ready, house));
        assert_true(turns_few(house->loop));
    }
    tly_delivery_flush(house->delivery);
    assert_true(turns_few(house->loop));
    house_check_books(house);
}

struct ticking {
    const struct tly_logs *logs;
    uint64_t until;
};

static bool has_ticked(void *arg)
{
    const struct ticking *ticking = arg;
    return ticking->logs->ticks >= ticking->until;
}

void house_ticks(struct house *house, uint64_t ticks)
{
    const struct tly_logs *logs = house->collector;
    struct ticking ticking = {logs, logs->ticks + ticks};
    assert_true(turns_until(house->loop, has_ticked, &ticking));
    house_settle(house);
}

int64_t house_metric(const struct house *house, enum tly_family_id family, const char *label)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_logs_meter(house->collector, &samples);
    struct tly_sample_set *set = tly_samples_take(&samples);
    assert_non_null(set);
    const struct tly_sample *at = tly_sample_set_at(set);
    int64_t sum = 0;
    for (size_t i = 0; i < tly_sample_set_count(set); i++) {
        struct tly_text dim = tly_sample_set_dim(set, at[i].dim);
        if (at[i].family == family &&
            (!label || memmem(dim.at, dim.len, label, strlen(label)) != NULL)) {
            sum += at[i].raw;
        }
    }
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
    return sum;
}

/* ---- looking at what came ---- */

void expect_lines(const struct sink *sink, const char *id, unsigned from, unsigned until)
{
    unsigned next = from;
    for (size_t i = 0; i < sink->count; i++) {
        const struct taken *taken = &sink->taken[i];
        char text[64];
        if (strcmp(taken->id, id) != 0) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "%u: the quick brown fox", next);
        assert_string_equal(taken->log, text);
        assert_string_equal(taken->source, "stdout");
        next++;
    }
    assert_int_equal(next, until);
}

void expect_whole(struct house *house, struct sink *sink, const char *id, unsigned count)
{
    sink_await(house, sink, count);
    house_settle(house);
    expect_lines(sink, id, 0, count);
    assert_int_equal(house_metric(house, TLY_F_tallyman_logs_gaps_total, NULL), 0);
}

void expect_no_repeat(struct house *house, struct sink *sink)
{
    house_kill(house);
    sink_clear(sink);
    house_start(house);
    house_settle(house);
    assert_int_equal(sink->count, 0);
}
