/*
 * Another configuration, in place: every reader keeps its place, its pieces of lines and the
 * descriptors of files that may be deleted already. What is done to lines changes with the next
 * line; destinations that left lose their readers, those that came get theirs at the next look.
 */
#include "collectors/logs/reload.h"

#include "collectors/logs/discovery.h"
#include "collectors/logs/source.h"

#include <errno.h>
#include <stdlib.h>

/* Kept per destination from its first run on: who has it has seen this host's containers before, so
 * that every log that is new to it is read from its beginning. */
static const struct tly_text first_run_key = {"logs", 4};

/* One source's new tables, which have a place for each target. */
struct tables {
    struct tly_log_source *source;
    struct tly_log_reader **readers;
    bool *wanted;
};

struct plan {
    struct tly_log_shape *shape;
    struct tly_log_target *targets;
    struct tables *tables;
    size_t count;
};

int tly_logs_target_begin(struct tly_logs *logs, struct tly_log_target *target,
                          struct tly_destination *destination)
{
    struct tly_position position = {.offset = 0};
    struct tly_delivery *delivery = logs->context->delivery;
    bool known = tly_delivery_position(delivery, destination, first_run_key, &position);
    *target = (struct tly_log_target){
        .destination = destination, .first_run = !known, .generation = logs->generation};
    return known ? 0 : tly_delivery_keep(delivery, destination, first_run_key, &position);
}

static void abandon(void *self, void *arg)
{
    (void)self;
    struct plan *plan = arg;
    for (size_t i = 0; plan->tables && i < plan->count; i++) {
        free(plan->tables[i].readers);
        free(plan->tables[i].wanted);
    }
    tly_log_shape_free(plan->shape);
    free(plan->tables);
    free(plan->targets);
    free(plan);
}

/* Room for as many targets as there can be: destinations that leave are still among them. */
static int make_room(const struct tly_logs *logs, struct plan *plan)
{
    size_t targets = tly_delivery_count(logs->context->delivery) + 1;
    plan->targets = calloc(targets, sizeof(*plan->targets));
    plan->tables = calloc(tly_map_count(logs->sources) + 1, sizeof(*plan->tables));
    if (!plan->targets || !plan->tables) {
        return -ENOMEM;
    }
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        struct tables *tables = &plan->tables[plan->count++];
        tables->source = at.value;
        tables->readers = calloc(targets, sizeof(struct tly_log_reader *));
        tables->wanted = calloc(targets, sizeof(bool));
        if (!tables->readers || !tables->wanted) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int prepare(void *self, const struct tly_context *next, void **ret_plan,
                   struct tly_error *err)
{
    const struct tly_logs *logs = self;
    struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan || logs->old_shape) {
        free(plan);
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    int rc = tly_log_shape_new(tly_config_section(next->config, &tly_logs_section), &plan->shape,
                               err);
    if (rc == 0) {
        rc = make_room(logs, plan);
        (void)(rc < 0 ? tly_error_set(err, rc, "out of memory") : 0); /* rc is returned */
    }
    if (rc < 0) {
        abandon(self, plan);
        return rc;
    }
    *ret_plan = plan;
    return 0;
}

/* ---- putting it in force ---- */

static struct tly_log_target *find(struct tly_log_target *targets, size_t count,
                                   const struct tly_destination *destination)
{
    for (size_t i = 0; i < count; i++) {
        if (targets[i].destination == destination) {
            return &targets[i];
        }
    }
    return NULL;
}

static size_t fill_targets(struct tly_logs *logs, struct tly_log_target *targets)
{
    const struct tly_delivery *delivery = logs->context->delivery;
    size_t count = tly_delivery_count(delivery);
    logs->generation++;
    for (size_t i = 0; i < count; i++) {
        struct tly_destination *destination = tly_delivery_at(delivery, i);
        const struct tly_log_target *known = find(logs->targets, logs->target_count, destination);
        int rc = 0;
        if (known) {
            targets[i] = *known;
        } else {
            rc = tly_logs_target_begin(logs, &targets[i], destination);
        }
        if (rc < 0) {
            tly_log_warn("logs",
                         "%s: cannot keep that it was here: %s; after a restart it counts "
                         "as new",
                         tly_destination_name(destination), tly_error_name(rc));
        }
    }
    return count;
}

/* Readers of targets that are still there move, the others end: their positions stay. */
static void move_readers(const struct tly_logs *logs, struct tables *tables,
                         struct tly_log_target *targets, size_t count)
{
    struct tly_log_source *source = tables->source;
    for (size_t i = 0; i < logs->target_count; i++) {
        struct tly_log_target *target = find(targets, count, logs->targets[i].destination);
        struct tly_log_reader *reader = source->readers[i];
        if (!target) {
            tly_log_reader_free(reader);
            continue;
        }
        tables->readers[target - targets] = reader;
        tables->wanted[target - targets] = source->wanted[i];
        if (reader) {
            reader->target = target;
        }
    }
    free(source->readers);
    free(source->wanted);
    source->readers = tables->readers;
    source->wanted = tables->wanted;
    tables->readers = NULL;
    tables->wanted = NULL;
}

static void use_targets(struct tly_logs *logs, struct plan *plan)
{
    size_t count = fill_targets(logs, plan->targets);
    for (size_t i = 0; i < plan->count; i++) {
        move_readers(logs, &plan->tables[i], plan->targets, count);
    }
    free(logs->targets);
    logs->targets = plan->targets;
    logs->target_count = count;
    plan->targets = NULL;
}

static void take_facts(struct tly_logs *logs)
{
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        struct tly_log_source *source = at.value;
        if (!source->newest && !source->api) {
            source->generation = logs->generation; /* whatever comes there, comes later */
        }
        source->facts_stale = true;
        tly_log_source_read_facts(source);
        tly_logs_stale(logs, source);
    }
}

void tly_logs_forget_old(struct tly_logs *logs)
{
    struct tly_map_entry at;
    for (void *walk = NULL; tly_map_next(logs->sources, &walk, &at);) {
        const struct tly_log_source *source = at.value;
        if (source->facts_stale) {
            return; /* memory was out: it may still use what was before */
        }
    }
    tly_log_shape_free(logs->old_shape);
    tly_config_free(logs->old_config);
    logs->old_shape = NULL;
    logs->old_config = NULL;
}

static void adopt(void *self, const struct tly_context *next, void *arg)
{
    struct tly_logs *logs = self;
    struct plan *plan = arg;
    use_targets(logs, plan);
    logs->old_shape = logs->shape;
    logs->old_config = logs->config;
    logs->shape = plan->shape;
    logs->config = tly_config_ref(next->config);
    logs->settings = tly_config_section(next->config, &tly_logs_section);
    plan->shape = NULL;
    take_facts(logs);
    tly_logs_forget_old(logs);
    tly_logs_look_for_sources(logs);
    abandon(self, plan);
}

const struct tly_reload_ops tly_logs_reload = {
    .prepare = prepare, .adopt = adopt, .abandon = abandon};
