/*
 * The agent's destinations and positions in one object, and the books they keep, as samples.
 */
#include "agent/delivery/delivery.h"

#include "agent/delivery/positions.h"
#include "agent/delivery/spool.h"
#include "agent/delivery/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tly_delivery {
    struct tly_loop *loop;
    int state_dir_fd; /* borrowed; -1: none */
    struct tly_positions *positions;
    struct tly_spool *spool;               /* NULL: none */
    struct tly_destination **destinations; /* those that leave stand behind the others */
    size_t count, leaving;
};

int tly_delivery_new(struct tly_loop *loop, int state_dir_fd, struct tly_delivery **ret_delivery,
                     struct tly_error *err)
{
    struct tly_delivery *delivery = calloc(1, sizeof(*delivery));
    if (!delivery) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    delivery->loop = loop;
    delivery->state_dir_fd = state_dir_fd;
    int rc = tly_positions_new(loop, state_dir_fd, &delivery->positions);
    if (rc < 0) {
        free(delivery);
        return tly_error_set(err, rc, "cannot set up the positions: %s", tly_error_name(rc));
    }
    *ret_delivery = delivery;
    return 0;
}

void tly_delivery_free(struct tly_delivery *delivery)
{
    if (!delivery) {
        return;
    }
    tly_spool_free(delivery->spool);
    for (size_t i = 0; i < delivery->count + delivery->leaving; i++) {
        tly_destination_free(delivery->destinations[i]);
    }
    tly_positions_free(delivery->positions);
    free(delivery->destinations);
    free(delivery);
}

int tly_delivery_add(struct tly_delivery *delivery, const char *name,
                     const struct tly_destination_limits *limits,
                     struct tly_destination **ret_destination)
{
    size_t all = delivery->count + delivery->leaving;
    if (tly_delivery_find(delivery, name)) {
        return -EEXIST;
    }
    struct tly_destination **grown = realloc(delivery->destinations,
                                             (all + 1) * sizeof(struct tly_destination *));
    if (!grown) {
        return -ENOMEM;
    }
    delivery->destinations = grown;
    struct tly_destination *destination;
    int rc = tly_destination_new(delivery->loop, delivery->positions, name, limits, &destination);
    if (rc < 0) {
        return rc;
    }
    rc = delivery->spool ? tly_spool_add(delivery->spool, destination) : 0;
    if (rc < 0) {
        tly_destination_free(destination);
        return rc;
    }
    grown[all] = grown[delivery->count];
    grown[delivery->count++] = destination;
    *ret_destination = destination;
    return 0;
}

size_t tly_delivery_count(const struct tly_delivery *delivery)
{
    return delivery->count;
}

struct tly_destination *tly_delivery_at(const struct tly_delivery *delivery, size_t index)
{
    return delivery->destinations[index];
}

struct tly_destination *tly_delivery_find(const struct tly_delivery *delivery, const char *name)
{
    for (size_t i = 0; i < delivery->count; i++) {
        if (strcmp(tly_destination_name(delivery->destinations[i]), name) == 0) {
            return delivery->destinations[i];
        }
    }
    return NULL;
}

void tly_delivery_leave(struct tly_delivery *delivery, struct tly_destination *destination)
{
    struct tly_destination **all = delivery->destinations;
    size_t at = 0;
    while (all[at] != destination) {
        at++;
    }
    for (; at + 1 < delivery->count; at++) {
        all[at] = all[at + 1];
    }
    all[at] = destination;
    delivery->count--;
    delivery->leaving++;
    if (delivery->spool) {
        tly_spool_remove(delivery->spool, destination);
    }
}

void tly_delivery_settle(struct tly_delivery *delivery)
{
    while (delivery->leaving > 0) {
        tly_destination_free(delivery->destinations[delivery->count + --delivery->leaving]);
    }
}

/* ---- what cannot be read again ---- */

int tly_delivery_spool(struct tly_delivery *delivery, const struct tly_spool_spec *spec,
                       struct tly_error *err)
{
    if (delivery->state_dir_fd < 0) {
        return tly_error_set(err, -ENOTSUP, "a spool needs a state directory");
    }
    return tly_spool_new(delivery->loop, delivery->positions, delivery->state_dir_fd, spec,
                         &delivery->spool, err);
}

void tly_delivery_emit(struct tly_delivery *delivery, struct tly_text tag, struct tly_text record)
{
    if (delivery->spool && delivery->count > 0) {
        int rc = tly_spool_append(delivery->spool, tag, record);
        (void)rc; /* counted there */
        return;
    }
    for (size_t i = 0; i < delivery->count; i++) {
        if (tly_destination_takes(delivery->destinations[i], tag, NULL)) {
            tly_destination_emit(delivery->destinations[i], tag, record);
        }
    }
}

bool tly_delivery_has_room(const struct tly_delivery *delivery)
{
    return delivery->spool && tly_spool_has_room(delivery->spool);
}

int tly_delivery_append(struct tly_delivery *delivery, struct tly_text tag, struct tly_text record)
{
    return delivery->spool ? tly_spool_append(delivery->spool, tag, record) : -ENOTSUP;
}

uint64_t tly_delivery_ticket(const struct tly_delivery *delivery)
{
    return delivery->spool ? tly_spool_ticket(delivery->spool) : 0;
}

void tly_delivery_on_safe(struct tly_delivery *delivery, void (*safe)(void *arg, uint64_t ticket),
                          void *arg)
{
    if (delivery->spool) {
        tly_spool_on_safe(delivery->spool, safe, arg);
    }
}

/* ---- all of them ---- */

void tly_delivery_flush(struct tly_delivery *delivery)
{
    for (size_t i = 0; i < delivery->count; i++) {
        tly_destination_flush(delivery->destinations[i]);
    }
}

/* ---- the books ---- */

static void meter_destination(const struct tly_destination *destination,
                              struct tly_samples *samples)
{
    struct tly_destination_counts counts;
    tly_destination_counts(destination, &counts);
    const struct {
        enum tly_family_id family;
        uint64_t value;
    } rows[] = {
        {TLY_F_tallyman_destination_records_appended_total, counts.records_appended},
        {TLY_F_tallyman_destination_appended_bytes_total, counts.bytes_appended},
        {TLY_F_tallyman_destination_records_acked_total, counts.records_acked},
        {TLY_F_tallyman_destination_acked_bytes_total, counts.bytes_acked},
        {TLY_F_tallyman_destination_chunks_acked_total, counts.chunks_acked},
        {TLY_F_tallyman_destination_chunks_returned_total, counts.chunks_returned},
        {TLY_F_tallyman_destination_records_dropped_total, counts.records_dropped},
        {TLY_F_tallyman_destination_dropped_bytes_total, counts.bytes_dropped},
        {TLY_F_tallyman_destination_queued_records, counts.queued_records},
        {TLY_F_tallyman_destination_queued_bytes, counts.queued_bytes},
        {TLY_F_tallyman_destination_queued_chunks, counts.queued_chunks},
        {TLY_F_tallyman_destination_memory_bytes, counts.memory_bytes},
        {TLY_F_tallyman_destination_memory_max_bytes, counts.memory_bytes_max},
    };
    uint16_t dim = tly_samples_dim1(samples, "destination",
                                    tly_text_of(tly_destination_name(destination)));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tly_samples_add(samples, rows[i].family, dim, (int64_t)rows[i].value);
    }
}

void tly_delivery_meter(void *arg, struct tly_samples *samples)
{
    const struct tly_delivery *delivery = arg;
    for (size_t i = 0; i < delivery->count; i++) {
        meter_destination(delivery->destinations[i], samples);
    }
    if (delivery->spool) {
        tly_spool_meter(delivery->spool, samples);
    }
    struct tly_positions_counts counts;
    tly_positions_counts(delivery->positions, &counts);
    tly_samples_add(samples, TLY_F_tallyman_positions_entries, TLY_DIM_NONE,
                    (int64_t)counts.entries);
    tly_samples_add(samples, TLY_F_tallyman_positions_unwritten, TLY_DIM_NONE,
                    (int64_t)counts.unwritten);
    tly_samples_add(samples, TLY_F_tallyman_positions_write_errors_total, TLY_DIM_NONE,
                    (int64_t)counts.write_errors);
    tly_samples_add(samples, TLY_F_tallyman_positions_damaged_lines_total, TLY_DIM_NONE,
                    (int64_t)counts.lines_damaged);
    tly_samples_add(samples, TLY_F_tallyman_positions_journal_bytes, TLY_DIM_NONE,
                    (int64_t)counts.journal_bytes);
}

/* ---- positions ---- */

bool tly_delivery_position(const struct tly_delivery *delivery,
                           const struct tly_destination *destination, struct tly_text key,
                           struct tly_position *ret_position)
{
    return tly_positions_get(delivery->positions, tly_text_of(tly_destination_name(destination)),
                             key, ret_position);
}

int tly_delivery_keep(struct tly_delivery *delivery, const struct tly_destination *destination,
                      struct tly_text key, const struct tly_position *position)
{
    return tly_positions_keep(delivery->positions, tly_text_of(tly_destination_name(destination)),
                              key, position);
}

void tly_delivery_drop(struct tly_delivery *delivery, const struct tly_destination *destination,
                       struct tly_text key)
{
    tly_positions_drop(delivery->positions, tly_text_of(tly_destination_name(destination)), key);
}

void tly_delivery_each_position(
    const struct tly_delivery *delivery, const struct tly_destination *destination,
    void (*fn)(void *arg, struct tly_text key, const struct tly_position *position), void *arg)
{
    tly_positions_each(delivery->positions, tly_text_of(tly_destination_name(destination)), fn,
                       arg);
}

size_t tly_delivery_prune(struct tly_delivery *delivery, struct tly_text prefix,
                          bool (*keep)(void *arg, struct tly_text key), void *arg)
{
    return tly_positions_prune(delivery->positions, prefix, keep, arg);
}
