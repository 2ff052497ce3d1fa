/*
 * What a source knows of its container: from the engine's own files beside the log, at once and
 * also without the API, and from the inventory, which knows better what changed since.
 */
#include "agent/base/file.h"
#include "agent/codec/container_json.h"
#include "agent/loop/log.h"
#include "collectors/logs/feeds.h"
#include "collectors/logs/source.h"
#include "collectors/logs/state.h"
#include "collectors/logs/tag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The engine's description of a container is some KiB; with thousands of labels still below this.
 */
#define DESCRIPTION_BYTES_MAX ((size_t)8 << 20)

static struct tly_container *read_description(struct tly_log_source *source)
{
    struct tly_buf config;
    struct tly_buf host;
    struct tly_error err;
    struct tly_container *container = NULL;
    tly_buf_init(&config, DESCRIPTION_BYTES_MAX);
    tly_buf_init(&host, DESCRIPTION_BYTES_MAX);
    int rc = tly_file_read(source->dir_fd, "config.v2.json", &config);
    if (rc == 0) {
        if (tly_file_read(source->dir_fd, "hostconfig.json", &host) < 0) {
            tly_buf_clear(&host); /* then the log driver is not known, and all else is */
        }
        rc = tly_container_parse_files(tly_buf_text(&config), tly_buf_text(&host), &container,
                                       &err);
    }
    if (rc < 0 && rc != -ENOENT) {
        tly_logs_error(source->logs, source->id, "cannot read its description", rc);
    }
    tly_buf_done(&config);
    tly_buf_done(&host);
    return rc == 0 ? container : NULL;
}

static bool is_stopped(const struct tly_container *facts)
{
    return facts->state == TLY_STATE_EXITED || facts->state == TLY_STATE_DEAD;
}

static int identify_docker(struct tly_log_source *source, const struct tly_container *facts)
{
    int rc = tly_log_template_identify(&source->template, source->id, facts->name);
    if (rc == TLY_E_LIMIT) { /* nobody's name is that long; the lines matter more */
        rc = tly_log_template_identify(&source->template, source->id, NULL);
    }
    return rc;
}

/* Under the names that Fluentd's and Fluent Bit's filters for Kubernetes made common. */
static int identify_pod(struct tly_log_source *source, const struct tly_container *facts)
{
    const struct tly_log_field fields[] = {
        {"namespace_name", tly_container_label(facts, TLY_LOG_LABEL_NAMESPACE)},
        {"pod_name", tly_container_label(facts, TLY_LOG_LABEL_POD)},
        {"pod_id", tly_container_label(facts, TLY_LOG_LABEL_UID)},
        {"container_name", tly_container_label(facts, TLY_LOG_LABEL_CONTAINER)},
    };
    return tly_log_template_fields(&source->template, fields, sizeof(fields) / sizeof(fields[0]));
}

static bool is_read(const char *driver)
{
    return strcmp(driver, "json-file") == 0 || strcmp(driver, "local") == 0;
}

/* Fields that the configuration adds. */
static int add_fields(struct tly_log_source *source, const struct tly_container *facts)
{
    const struct tly_list *list = &source->logs->settings->fields;
    const struct tly_log_field_settings *rows = list->at;
    if (list->count == 0) {
        return 0;
    }
    struct tly_log_field *fields = calloc(list->count, sizeof(*fields));
    struct tly_buf *values = calloc(list->count, sizeof(*values));
    int rc = fields && values ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        tly_buf_init(&values[i], TLY_LOG_TAG_MAX + 1);
        rc = tly_log_value_expand(rows[i].value, facts, &values[i]);
        rc = rc < 0 ? rc : tly_buf_append(&values[i], "", 1);
        fields[i] = (struct tly_log_field){rows[i].name, values[i].at};
    }
    if (rc == 0) {
        rc = tly_log_template_add(&source->template, fields, list->count);
    }
    for (size_t i = 0; values && i < list->count; i++) {
        tly_buf_done(&values[i]);
    }
    free(values);
    free(fields);
    return rc;
}

static void choose_shape(struct tly_log_source *source, const struct tly_container *facts)
{
    const struct tly_logs *logs = source->logs;
    struct tly_text tag = tly_buf_text(&source->tag);
    source->shape_items = tly_log_shape_items(logs->shape, tag, facts);
    source->rate = tly_log_shape_rate(logs->shape, source->shape_items);
    source->multiline = tly_log_shape_multiline(logs->shape, source->shape_items);
    source->json = tly_log_shape_json(logs->shape, source->shape_items);
    /* Once shaped, always: a message may wait. */
    source->shaped = source->shaped || source->shape_items != 0 || logs->settings->record_id;
    source->excluded = !tly_log_shape_takes(logs->settings, tag, facts);
}

/* The engine opens its copy before it says that the container has started. */
static bool copy_may_come(const struct tly_container *facts)
{
    return facts->started_ns == 0;
}

/* Whether its lines stand in files, or the engine has to tell them. It keeps a copy, if it may and
 * is not too old, of what a driver that cannot be read sends away. Who cannot tell whether there is
 * one looks again: the way is chosen once, and the engine would tell all of them anew. */
static int choose_way(struct tly_log_source *source, const struct tly_container *facts)
{
    const char *driver = facts->log_driver;
    if (!driver || source->pod || source->newest || source->api || source->copied ||
        is_read(driver)) {
        return 0;
    }
    if (tly_log_feeds_accept(source->logs, driver) && !tly_log_feeds_began(source)) {
        int rc = tly_log_source_use_copy(source);
        if (rc != -ENOENT || copy_may_come(facts)) {
            return rc == -ENOENT ? 0 : rc;
        }
    }
    if (tly_log_feeds_want(source->logs, driver)) {
        tly_log_feeds_use(source);
    } else if (!source->told) {
        source->told = true;
        tly_log_info("logs", "container %.12s logs with the driver %s: its lines are not forwarded",
                     source->id, driver);
    }
    return 0;
}

static int take_facts(struct tly_log_source *source, const struct tly_container *facts)
{
    const struct tly_logs *logs = source->logs;
    const struct tly_logs_settings *settings = logs->settings;
    source->stopped = is_stopped(facts);
    source->started_ns = facts->started_ns;
    source->published_movement = UINT64_MAX; /* the inventory may know it only now */
    int rc = tly_log_tag_expand(source->pod ? settings->pods_tag : settings->tag, facts,
                                &source->tag);
    if (rc == 0) {
        rc = source->pod ? identify_pod(source, facts) : identify_docker(source, facts);
    }
    if (rc == 0) {
        rc = add_fields(source, facts);
    }
    choose_shape(source, facts);
    for (size_t i = 0; i < logs->target_count; i++) {
        source->wanted[i] = !source->excluded &&
                            tly_destination_takes(logs->targets[i].destination,
                                                  tly_buf_text(&source->tag), facts);
    }
    int chosen = choose_way(source, facts);
    return rc < 0 ? rc : chosen;
}

/* The inventory's word where it has one, else the description's. One reference, the caller's; NULL
 * when memory is out. */
static struct tly_container *known_facts(const struct tly_log_source *source)
{
    if (source->pod) {
        return tly_container_ref(source->description);
    }
    struct tly_text id = tly_text_of(source->id);
    const struct tly_container *known = tly_inventory_find(source->logs->context->inventory, id);
    struct tly_container *bare = tly_container_new(id);
    if (!known && !source->description) {
        return bare;
    }
    struct tly_container *merged = NULL;
    if (bare) {
        merged = tly_container_merge(known ? known : bare,
                                     source->description ? source->description : bare);
    }
    tly_container_unref(bare);
    return merged;
}

void tly_log_source_read_facts(struct tly_log_source *source)
{
    if (source->description_stale && !source->api) {
        struct tly_container *read = read_description(source);
        if (read) {
            tly_container_unref(source->description);
            source->description = read;
        }
        source->description_stale = false;
    }
    struct tly_container *facts = known_facts(source);
    int rc = facts ? take_facts(source, facts) : -ENOMEM;
    tly_container_unref(facts);
    source->facts_stale = rc < 0;
    if (rc < 0) {
        tly_logs_error(source->logs, source->id, "cannot prepare its records", rc);
    }
}
