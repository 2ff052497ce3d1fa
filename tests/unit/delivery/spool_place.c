/*
 * The spool's place: see spool_place.h.
 */
#include "tests/unit/delivery/spool_place.h"

#include "tests/unit/delivery/turns.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NUMBER_LEN 8 /* of each record, then filling */

/* ---- sinks ---- */

static uint32_t number_of(const char *record)
{
    char digits[NUMBER_LEN + 1];
    memcpy(digits, record, NUMBER_LEN);
    digits[NUMBER_LEN] = '\0';
    return (uint32_t)strtoul(digits, NULL, 10);
}

static void sink_take(const struct place *place, struct sink *sink, const struct tly_chunk *chunk)
{
    assert_int_equal(chunk->payload.len, chunk->records * place->record_len);
    if (sink->count + chunk->records > sink->cap) {
        sink->cap = 2 * (sink->count + chunk->records);
        sink->numbers = realloc(sink->numbers, sink->cap * sizeof(*sink->numbers));
        assert_non_null(sink->numbers);
    }
    for (size_t at = 0; at < chunk->payload.len; at += place->record_len) {
        sink->numbers[sink->count++] = number_of(chunk->payload.at + at);
    }
    (void)snprintf(sink->last_tag, sizeof(sink->last_tag), "%s", chunk->tag);
}

void place_run(const struct place *place, struct sink *sink)
{
    struct tly_chunk *chunk;
    while (!sink->rests && (chunk = tly_destination_take(sink->destination))) {
        sink_take(place, sink, chunk);
        if (!sink->holds) {
            tly_destination_ack(sink->destination, chunk);
        }
    }
}

bool place_sinks_have(void *arg)
{
    struct place *place = arg;
    bool all = true;
    for (size_t i = 0; i < place->sink_count; i++) {
        place_run(place, &place->sinks[i]);
        all = all && (place->sinks[i].rests || place->sinks[i].count >= place->awaited);
    }
    return all;
}

void place_await(struct place *place, size_t count)
{
    place->awaited = count;
    if (!turns_until(place->loop, place_sinks_have, place)) {
        fail_msg("%zu and %zu records came, %zu were awaited", place->sinks[0].count,
                 place->sinks[1].count, count);
    }
}

void sink_expect(const struct sink *sink, uint32_t from, uint32_t until)
{
    assert_int_equal(sink->count, until - from);
    for (uint32_t i = 0; i < until - from; i++) {
        assert_int_equal(sink->numbers[i], from + i);
    }
}

/* ---- the place ---- */

static void note_safe(void *arg, uint64_t ticket)
{
    struct place *place = arg;
    assert_true(ticket > place->safe);
    place->safe = ticket;
}

static void sink_add(struct place *place, size_t index)
{
    static const char *const names[SINKS_MAX] = {"first", "second"};
    struct sink *sink = &place->sinks[index];
    assert_int_equal(
        tly_delivery_add(place->delivery, names[index], &place->limits, &sink->destination), 0);
    tly_destination_select(sink->destination, &place->selections[index]);
}

void place_add_destination(struct place *place)
{
    assert_true(place->sink_count < SINKS_MAX);
    sink_add(place, place->sink_count++);
}

void place_start(struct place *place)
{
    struct tly_error err;
    assert_int_equal(tly_delivery_new(place->loop, place->dir_fd, &place->delivery, &err), 0);
    assert_int_equal(tly_delivery_spool(place->delivery, &place->spec, &err), 0);
    tly_delivery_on_safe(place->delivery, note_safe, place);
    place->safe = 0;
    place->ticket = 0;
    for (size_t i = 0; i < place->sink_count && i < SINKS_MAX; i++) {
        sink_add(place, i);
    }
}

void place_stop(struct place *place)
{
    tly_delivery_free(place->delivery);
    place->delivery = NULL;
    /* To the end of what a worker still writes: nobody else may begin before, as no process does.
     */
    tly_loop_run(place->loop);
}

int place_set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    temp_dir_make(place->dir);
    place->dir_fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place->dir_fd >= 0);
    assert_int_equal(tly_loop_new(&place->loop), 0);
    place->spec = (struct tly_spool_spec){.disk_bytes_max = MIB, .memory_bytes_max = 64 * KIB};
    place->limits = (struct tly_destination_limits){.chunk_age_ms = 1};
    place->record_len = 100;
    place->sink_count = 1;
    *state = place;
    return 0;
}

int place_tear_down(void **state)
{
    struct place *place = *state;
    tly_delivery_free(place->delivery);
    tly_loop_free(place->loop);
    close(place->dir_fd);
    temp_dir_remove(place->dir);
    for (size_t i = 0; i < SINKS_MAX; i++) {
        free(place->sinks[i].numbers);
    }
    free(place);
    return 0;
}

int place_append(struct place *place, const char *tag, uint32_t number)
{
    char *record;
    assert_true(asprintf(&record, "%0*u%*s", NUMBER_LEN, number,
                         (int)(place->record_len - NUMBER_LEN), "") > 0);
    int rc = tly_delivery_append(place->delivery, tly_text_of(tag),
                                 (struct tly_text){record, place->record_len});
    place->ticket = tly_delivery_ticket(place->delivery);
    free(record);
    return rc;
}

void place_append_all(struct place *place, const char *tag, uint32_t from, uint32_t until)
{
    for (uint32_t number = from; number < until; number++) {
        assert_int_equal(place_append(place, tag, number), 0);
    }
}

static bool all_safe(void *arg)
{
    const struct place *place = arg;
    return place->safe >= place->ticket;
}

void place_settle(struct place *place)
{
    assert_true(turns_until(place->loop, all_safe, place));
}

int64_t place_metric(const struct place *place, enum tly_family_id family)
{
    struct tly_samples samples;
    int64_t sum = 0;
    tly_samples_init(&samples);
    tly_delivery_meter(place->delivery, &samples);
    struct tly_sample_set *set = tly_samples_take(&samples);
    assert_non_null(set);
    const struct tly_sample *all = tly_sample_set_at(set);
    for (size_t i = 0; i < tly_sample_set_count(set); i++) {
        sum += all[i].family == (uint16_t)family ? all[i].raw : 0;
    }
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
    return sum;
}

void place_file(const struct place *place, bool last, char to[256])
{
    char path[128];
    char name[64] = "";
    (void)snprintf(path, sizeof(path), "%s/spool", place->dir);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        int order = strcmp(entry->d_name, name);
        if (entry->d_name[0] != '.' && (!*name || (last ? order > 0 : order < 0))) {
            (void)snprintf(name, sizeof(name), "%.60s", entry->d_name);
        }
    }
    closedir(dir);
    assert_true(*name);
    (void)snprintf(to, 256, "%s/%s", path, name);
}
