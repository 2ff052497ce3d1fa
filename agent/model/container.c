/*
 * What is known of one container: building, comparing and merging. The object belongs to whoever
 * holds references on it; it is changed only by its maker, before the first one was given away.
 */
#include "agent/model/container.h"

#include "agent/base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const tly_container_state_names[TLY_STATE_COUNT] = {
    [TLY_STATE_UNKNOWN] = "unknown",       [TLY_STATE_CREATED] = "created",
    [TLY_STATE_RUNNING] = "running",       [TLY_STATE_PAUSED] = "paused",
    [TLY_STATE_RESTARTING] = "restarting", [TLY_STATE_REMOVING] = "removing",
    [TLY_STATE_EXITED] = "exited",         [TLY_STATE_DEAD] = "dead",
};

const char *const tly_container_health_names[TLY_HEALTH_COUNT] = {
    [TLY_HEALTH_UNKNOWN] = "unknown",     [TLY_HEALTH_NONE] = "none",
    [TLY_HEALTH_STARTING] = "starting",   [TLY_HEALTH_HEALTHY] = "healthy",
    [TLY_HEALTH_UNHEALTHY] = "unhealthy",
};

/* Every field that is a string or a number, so that comparing, merging and freeing cannot forget
 * one: where it lies is all that they need to know. */
static const size_t string_fields[] = {
    offsetof(struct tly_container, name),         offsetof(struct tly_container, image),
    offsetof(struct tly_container, image_id),     offsetof(struct tly_container, cgroup_path),
    offsetof(struct tly_container, log_driver),   offsetof(struct tly_container, log_path),
    offsetof(struct tly_container, network_mode), offsetof(struct tly_container, restart_policy),
    offsetof(struct tly_container, user),         offsetof(struct tly_container, health_command),
    offsetof(struct tly_container, upper_dir)};

static const size_t number_fields[] = {
    offsetof(struct tly_container, failing_streak),
    offsetof(struct tly_container, last_probe_ns),
    offsetof(struct tly_container, exit_code),
    offsetof(struct tly_container, oom_killed),
    offsetof(struct tly_container, restarts),
    offsetof(struct tly_container, pid),
    offsetof(struct tly_container, created_ns),
    offsetof(struct tly_container, started_ns),
    offsetof(struct tly_container, finished_ns),
    offsetof(struct tly_container, memory_limit_bytes),
    offsetof(struct tly_container, memory_reservation_bytes),
    offsetof(struct tly_container, memory_swap_limit_bytes),
    offsetof(struct tly_container, cpu_quota_us),
    offsetof(struct tly_container, cpu_period_us),
    offsetof(struct tly_container, cpu_shares),
    offsetof(struct tly_container, pids_limit),
    offsetof(struct tly_container, usable_cpu_millionths),
    offsetof(struct tly_container, published_ports),
    offsetof(struct tly_container, log_rotation),
    offsetof(struct tly_container, desired_running),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char **string_at(struct tly_container *container, size_t offset)
{
    return (char **)(void *)((char *)container + offset);
}

static const char *string_of(const struct tly_container *container, size_t offset)
{
    return *(char *const *)(const void *)((const char *)container + offset);
}

static int64_t *number_at(struct tly_container *container, size_t offset)
{
    return (int64_t *)(void *)((char *)container + offset);
}

static int64_t number_of(const struct tly_container *container, size_t offset)
{
    return *(const int64_t *)(const void *)((const char *)container + offset);
}

struct tly_container *tly_container_new(struct tly_text id)
{
    struct tly_container *container = calloc(1, sizeof(*container));
    if (container == NULL) {
        return NULL;
    }
    container->refs = 1;
    size_t len = id.len < TLY_CONTAINER_ID_MAX ? id.len : TLY_CONTAINER_ID_MAX;
    if (len > 0) {
        memcpy(container->id, id.at, len);
    }
    for (size_t i = 0; i < COUNT(number_fields); i++) {
        *number_at(container, number_fields[i]) = TLY_UNKNOWN;
    }
    return container;
}

struct tly_container *tly_container_ref(struct tly_container *container)
{
    __atomic_add_fetch(&container->refs, 1, __ATOMIC_RELAXED);
    return container;
}

void tly_container_unref(struct tly_container *container)
{
    if (container == NULL || __atomic_sub_fetch(&container->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < COUNT(string_fields); i++) {
        free(*string_at(container, string_fields[i]));
    }
    for (size_t i = 0; i < container->label_count; i++) {
        free(container->labels[i].key);
        free(container->labels[i].value);
    }
    free(container->labels);
    free(container);
}

int tly_container_set(char **field, struct tly_text text)
{
    char *copy = tly_text_dup(text);
    if (copy == NULL) {
        return -ENOMEM;
    }
    free(*field);
    *field = copy;
    return 0;
}

/* Where `key` stands among the sorted labels, or would stand. */
static size_t label_place(const struct tly_container *container, const char *key, bool *ret_found)
{
    size_t low = 0;
    size_t high = container->label_count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(container->labels[middle].key, key);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int tly_container_label_add(struct tly_container *container, struct tly_text key,
                            struct tly_text value)
{
    TLY_AUTO_FREE char *own_key = tly_text_dup(key);
    TLY_AUTO_FREE char *own_value = tly_text_dup(value);
    if (own_key == NULL || own_value == NULL) {
        return -ENOMEM;
    }
    bool found = false;
    size_t place = label_place(container, own_key, &found);
    if (found) {
        free(container->labels[place].value);
        container->labels[place].value = own_value;
        own_value = NULL;
        return 0;
    }
    if (container->label_count >= TLY_CONTAINER_LABELS_MAX) {
        return TLY_E_LIMIT;
    }
    /* Grown at each power of two, so that the capacity need not be kept. */
    size_t count = container->label_count;
    if ((count & (count - 1)) == 0) {
        size_t cap = count == 0 ? 1 : count * 2;
        struct tly_label *grown = realloc(container->labels, cap * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        container->labels = grown;
    }
    memmove(&container->labels[place + 1], &container->labels[place],
            (count - place) * sizeof(*container->labels));
    container->labels[place] = (struct tly_label){.key = own_key, .value = own_value};
    container->label_count++;
    own_key = NULL;
    own_value = NULL;
    return 0;
}

const char *tly_container_label(const struct tly_container *container, const char *key)
{
    bool found = false;
    size_t place = label_place(container, key, &found);
    return found ? container->labels[place].value : NULL;
}

int64_t tly_container_desired(const struct tly_container *container, int64_t stopped)
{
    const char *policy = container->restart_policy == NULL ? "no" : container->restart_policy;
    bool always = strcmp(policy, "always") == 0 || strcmp(policy, "unless-stopped") == 0;
    switch (container->state) {
    case TLY_STATE_UNKNOWN:
    case TLY_STATE_COUNT:
        return TLY_UNKNOWN;
    case TLY_STATE_RUNNING:
    case TLY_STATE_PAUSED:
    case TLY_STATE_RESTARTING:
        return 1;
    case TLY_STATE_CREATED:
    case TLY_STATE_REMOVING:
    case TLY_STATE_DEAD:
        return 0;
    case TLY_STATE_EXITED:
        break;
    }
    if (stopped == 1 || (!always && container->exit_code == 0)) {
        return 0;
    }
    if (stopped == 0) {
        return container->exit_code == TLY_UNKNOWN && !always ? TLY_UNKNOWN : 1;
    }
    return always ? 0 : TLY_UNKNOWN; /* the engine would have started it again, had nobody come */
}

static bool strings_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool tly_container_equal(const struct tly_container *a, const struct tly_container *b)
{
    if (a == b) {
        return true;
    }
    if (strcmp(a->id, b->id) != 0 || a->state != b->state || a->health != b->health ||
        a->label_count != b->label_count || a->labels_left_out != b->labels_left_out) {
        return false;
    }
    for (size_t i = 0; i < COUNT(number_fields); i++) {
        if (number_of(a, number_fields[i]) != number_of(b, number_fields[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < COUNT(string_fields); i++) {
        if (!strings_equal(string_of(a, string_fields[i]), string_of(b, string_fields[i]))) {
            return false;
        }
    }
    for (size_t i = 0; i < a->label_count; i++) {
        if (strcmp(a->labels[i].key, b->labels[i].key) != 0 ||
            strcmp(a->labels[i].value, b->labels[i].value) != 0) {
            return false;
        }
    }
    return true;
}

/* Fills what `into` does not know yet from `from`. */
static int fill(struct tly_container *into, const struct tly_container *from)
{
    for (size_t i = 0; i < COUNT(number_fields); i++) {
        int64_t *number = number_at(into, number_fields[i]);
        if (*number == TLY_UNKNOWN) {
            *number = number_of(from, number_fields[i]);
        }
    }
    for (size_t i = 0; i < COUNT(string_fields); i++) {
        char **string = string_at(into, string_fields[i]);
        const char *known = string_of(from, string_fields[i]);
        if (*string == NULL && known != NULL) {
            int rc = tly_container_set(string, tly_text_of(known));
            if (rc < 0) {
                return rc;
            }
        }
    }
    if (into->state == TLY_STATE_UNKNOWN) {
        into->state = from->state;
    }
    if (into->health == TLY_HEALTH_UNKNOWN) {
        into->health = from->health;
    }
    if (into->label_count == 0) {
        into->labels_left_out = from->labels_left_out;
        for (size_t i = 0; i < from->label_count; i++) {
            int rc = tly_container_label_add(into, tly_text_of(from->labels[i].key),
                                             tly_text_of(from->labels[i].value));
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

struct tly_container *tly_container_merge(const struct tly_container *first,
                                          const struct tly_container *second)
{
    struct tly_container *merged = tly_container_new(tly_text_of(first->id));
    if (merged == NULL) {
        return NULL;
    }
    if (fill(merged, first) < 0 || fill(merged, second) < 0) {
        tly_container_unref(merged);
        return NULL;
    }
    return merged;
}
