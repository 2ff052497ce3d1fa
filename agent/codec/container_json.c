/*
 * From the engine's JSON to struct tly_container: `inspect` and the files under data_root, which
 * share most of their structure; the rows of a list are in container_row.c. What is wrong in one
 * member never costs the others.
 */
#include "agent/codec/container_json.h"

#include "agent/base/clock.h"
#include "agent/codec/container_word.h"
#include "agent/codec/json.h"

#include <errno.h>
#include <string.h>

/* The kernel's default period for CPU quotas: what the engine uses where only NanoCpus is given. */
#define CPU_PERIOD_US 100000
#define NANOS_PER_CPU 1000000000LL
#define NANO_CPUS_MAX (INT64_MAX / CPU_PERIOD_US)

/* Podman says "json-file" of logs that it writes in the format of Kubernetes, to files so named. */
#define PODMAN_LOG TLY_TEXT("/ctr.log")

static struct tly_text without_slash(struct tly_text name)
{
    if (name.len > 0 && name.at[0] == '/') {
        return (struct tly_text){name.at + 1, name.len - 1};
    }
    return name;
}

/* Sets a string that is there and not empty. */
static int set_text(char **field, struct tly_text text)
{
    return text.len > 0 ? tly_container_set(field, text) : 0;
}

/* A time of the engine; unknown when it can't be read. */
static int64_t time_of(const json_t *object, const char *key)
{
    struct tly_text text = tly_json_text(object, key);
    int64_t ns = 0;
    if (!text.at || tly_time_parse(text, &ns) < 0) {
        return TLY_UNKNOWN;
    }
    return ns;
}

/* A limit, of which 0 and everything below mean that there is none. */
static int64_t limit_of(const json_t *object, const char *key)
{
    int64_t value = 0;
    if (!json_object_get(object, key)) {
        return TLY_UNKNOWN;
    }
    return tly_json_int(object, key, &value) && value > 0 ? value : 0;
}

/* A count or number, unknown when it is absent or negative. */
static int64_t count_of(const json_t *object, const char *key)
{
    int64_t value = 0;
    return tly_json_int(object, key, &value) && value >= 0 ? value : TLY_UNKNOWN;
}

int tly_container_fill_labels(struct tly_container *container, json_t *labels)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(labels, key, value)
    {
        struct tly_text text = tly_json_string(value);
        if (!text.at) {
            continue;
        }
        int rc = tly_container_label_add(container, tly_text_of(key), text);
        if (rc == -ENOMEM) {
            return rc;
        }
        /* Over the maximum of labels the rest is left out: the container itself must be seen. */
        container->labels_left_out += rc == TLY_E_LIMIT;
    }
    return 0;
}

/* The state from its flags: what the engine does to get its own word for it. */
static enum tly_container_state state_of_flags(const json_t *state, int64_t started_ns)
{
    if (tly_json_true(state, "Running")) {
        if (tly_json_true(state, "Paused")) {
            return TLY_STATE_PAUSED;
        }
        return tly_json_true(state, "Restarting") ? TLY_STATE_RESTARTING : TLY_STATE_RUNNING;
    }
    if (tly_json_true(state, "RemovalInProgress")) {
        return TLY_STATE_REMOVING;
    }
    if (tly_json_true(state, "Dead")) {
        return TLY_STATE_DEAD;
    }
    if (!json_object_get(state, "Running")) {
        return TLY_STATE_UNKNOWN;
    }
    return started_ns == 0 ? TLY_STATE_CREATED : TLY_STATE_EXITED;
}

static bool is_running(enum tly_container_state state)
{
    return state == TLY_STATE_RUNNING || state == TLY_STATE_PAUSED;
}

static void fill_state(struct tly_container *container, const json_t *state)
{
    container->started_ns = time_of(state, "StartedAt");
    container->finished_ns = time_of(state, "FinishedAt");
    container->pid = count_of(state, "Pid");
    container->state = tly_container_state_of_word(tly_json_text(state, "Status"));
    if (container->state == TLY_STATE_UNKNOWN) {
        container->state = state_of_flags(state, container->started_ns);
    }
    const json_t *oom_killed = json_object_get(state, "OOMKilled");
    if (json_is_boolean(oom_killed)) {
        container->oom_killed = json_is_true(oom_killed) ? 1 : 0;
    }
    int64_t code = 0;
    if (!tly_json_int(state, "ExitCode", &code)) {
        return;
    }
    /* While it runs, and before it ever ran, the engine writes 0; but a start that failed leaves
     * its code with a container that is still only created. */
    bool ended = !is_running(container->state) && container->state != TLY_STATE_UNKNOWN;
    if (ended && (container->state != TLY_STATE_CREATED || code != 0)) {
        container->exit_code = code;
    }
}

/* Whether a health check is configured, by the image or by the user. */
static bool has_check(const json_t *config)
{
    const json_t *test = json_object_get(json_object_get(config, "Healthcheck"), "Test");
    struct tly_text first = tly_json_string(json_array_get(test, 0));
    return first.len > 0 && !tly_text_equal(first, TLY_TEXT("NONE"));
}

static int64_t last_probe_of(const json_t *log)
{
    int64_t last_ns = TLY_UNKNOWN;
    for (size_t i = 0; i < json_array_size(log); i++) {
        int64_t end_ns = time_of(json_array_get(log, i), "End");
        if (end_ns > last_ns && end_ns > 0) {
            last_ns = end_ns;
        }
    }
    return last_ns;
}

static void fill_health(struct tly_container *container, const json_t *state, const json_t *config)
{
    const json_t *health = json_object_get(state, "Health");
    enum tly_container_health word = tly_container_health_of_word(tly_json_text(health, "Status"));
    bool checked = has_check(config) || word > TLY_HEALTH_NONE;
    if (!checked) {
        container->health = TLY_HEALTH_NONE;
        return;
    }
    container->last_probe_ns = last_probe_of(json_object_get(health, "Log"));
    if (is_running(container->state)) {
        /* Between the start and the first word of its monitor the engine has none to give. */
        container->health = word > TLY_HEALTH_NONE ? word : TLY_HEALTH_STARTING;
        container->failing_streak = count_of(health, "FailingStreak");
    }
}

static void fill_cpu(struct tly_container *container, const json_t *host)
{
    container->cpu_shares = limit_of(host, "CpuShares");
    container->cpu_period_us = limit_of(host, "CpuPeriod");
    container->cpu_quota_us = limit_of(host, "CpuQuota");
    int64_t nanos = limit_of(host, "NanoCpus");
    if (nanos > 0 && nanos <= NANO_CPUS_MAX && container->cpu_quota_us <= 0) {
        container->cpu_period_us = CPU_PERIOD_US;
        container->cpu_quota_us = nanos * CPU_PERIOD_US / NANOS_PER_CPU;
    }
    if (container->cpu_quota_us > 0 && container->cpu_period_us <= 0) {
        container->cpu_period_us = CPU_PERIOD_US;
    }
}

static void fill_memory(struct tly_container *container, const json_t *host)
{
    container->memory_limit_bytes = limit_of(host, "Memory");
    container->memory_reservation_bytes = limit_of(host, "MemoryReservation");
    /* The engine's MemorySwap is memory and swap together; the family shows swap alone. Where both
     * are equal no swap is allowed, which only the cgroup can express: 0 would read as no limit. */
    int64_t both = limit_of(host, "MemorySwap");
    if (both > 0 && container->memory_limit_bytes > 0) {
        int64_t swap = both - container->memory_limit_bytes;
        container->memory_swap_limit_bytes = swap > 0 ? swap : TLY_UNKNOWN;
    } else {
        container->memory_swap_limit_bytes = both > 0 ? TLY_UNKNOWN : both;
    }
}

static int fill_host_config(struct tly_container *container, const json_t *host)
{
    if (!json_is_object(host)) {
        return 0;
    }
    fill_memory(container, host);
    fill_cpu(container, host);
    container->pids_limit = limit_of(host, "PidsLimit");
    struct tly_text driver = tly_json_text(json_object_get(host, "LogConfig"), "Type");
    if (container->log_path && tly_text_ends(tly_text_of(container->log_path), PODMAN_LOG)) {
        driver = TLY_TEXT("k8s-file");
    }
    struct tly_text network = tly_json_text(host, "NetworkMode");
    if (tly_text_equal(network, TLY_TEXT("default"))) {
        network = TLY_TEXT("bridge"); /* what Docker on Linux means by its default */
    }
    int rc = set_text(&container->log_driver, driver);
    return rc < 0 ? rc : set_text(&container->network_mode, network);
}

/* The members that `inspect` and config.v2.json have in common. */
static int fill_common(struct tly_container *container, const json_t *root)
{
    const json_t *config = json_object_get(root, "Config");
    const json_t *state = json_object_get(root, "State");
    container->created_ns = time_of(root, "Created");
    container->restarts = count_of(root, "RestartCount");
    if (json_is_object(state)) {
        fill_state(container, state);
        fill_health(container, state, config);
    }
    int rc = set_text(&container->name, without_slash(tly_json_text(root, "Name")));
    rc = rc < 0 ? rc : set_text(&container->image, tly_json_text(config, "Image"));
    rc = rc < 0 ? rc : set_text(&container->image_id, tly_json_text(root, "Image"));
    rc = rc < 0 ? rc : set_text(&container->log_path, tly_json_text(root, "LogPath"));
    return rc < 0 ? rc : tly_container_fill_labels(container, json_object_get(config, "Labels"));
}

int tly_container_start(const json_t *root, const char *id_key,
                        struct tly_container **ret_container, struct tly_error *err)
{
    struct tly_text id = tly_json_text(root, id_key);
    if (!tly_container_id_valid(id)) {
        return tly_error_set(err, TLY_E_MALFORMED, "a container without a usable %s", id_key);
    }
    *ret_container = tly_container_new(id);
    return *ret_container ? 0 : tly_error_set(err, -ENOMEM, "out of memory for a container");
}

int tly_container_parse_inspect(struct tly_text json, struct tly_container **ret_container,
                                struct tly_error *err)
{
    json_auto_t *root = NULL;
    struct tly_container *container = NULL;
    int rc = tly_json_parse(json, &root, err);
    rc = rc < 0 ? rc : tly_container_start(root, "Id", &container, err);
    if (rc < 0 || !container) {
        return rc;
    }
    rc = fill_common(container, root);
    rc = rc < 0 ? rc : fill_host_config(container, json_object_get(root, "HostConfig"));
    rc = rc < 0 ? rc
                : tly_container_fill_config(container, root, json_object_get(root, "HostConfig"));
    if (rc < 0) {
        tly_container_unref(container);
        return tly_error_set(err, rc, "out of memory for a container");
    }
    *ret_container = container;
    return 0;
}

int tly_container_parse_files(struct tly_text config_v2, struct tly_text host_config,
                              struct tly_container **ret_container, struct tly_error *err)
{
    json_auto_t *root = NULL;
    json_auto_t *host = NULL;
    struct tly_container *container = NULL;
    int rc = tly_json_parse(config_v2, &root, err);
    if (rc >= 0 && host_config.len > 0) {
        rc = tly_json_parse(host_config, &host, err);
    }
    rc = rc < 0 ? rc : tly_container_start(root, "ID", &container, err);
    if (rc < 0 || !container) {
        return rc;
    }
    rc = fill_common(container, root);
    rc = rc < 0 ? rc : fill_host_config(container, host);
    rc = rc < 0 ? rc : tly_container_fill_config(container, root, host);
    if (rc < 0) {
        tly_container_unref(container);
        return tly_error_set(err, rc, "out of memory for a container");
    }
    *ret_container = container;
    return 0;
}
