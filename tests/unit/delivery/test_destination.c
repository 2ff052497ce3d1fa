/*
 * A destination against sources that append and an output that acknowledges, returns and drops in
 * every order: bounds hold, the books balance, and a kept position never runs ahead.
 */
#include "agent/delivery/delivery.h"

#include "agent/delivery/state.h"
#include "tests/unit/delivery/house.h"
#include "tests/unit/delivery/turns.h"

#include <errno.h>
#include <unistd.h>

static void seals_by_size_and_in_order(void **state)
{
    struct house *house = *state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(append(house->destination, "a", (char)('0' + i), 20 * KIB, NULL, 0), 0);
    }
    struct tly_chunk *chunk = NULL;
    char next = '0';
    for (int i = 0; i < 3; i++) { /* three records fit in each; the tenth is still open */
        chunk = tly_destination_take(house->destination);
        assert_non_null(chunk);
        assert_string_equal(chunk->tag, "a");
        assert_int_equal(strlen(chunk->id), TLY_CHUNK_ID_MAX);
        assert_int_equal(chunk->records, 3);
        assert_int_equal(chunk->sends, 1);
        for (size_t at = 0; at < chunk->payload.len; at += 20 * KIB) {
            assert_int_equal(chunk->payload.at[at], next++);
        }
        tly_destination_ack(house->destination, chunk);
    }
    assert_null(tly_destination_take(house->destination));
    tly_delivery_flush(house->delivery);
    chunk = tly_destination_take(house->destination);
    assert_int_equal(chunk->payload.at[0], '9');
    tly_destination_ack(house->destination, chunk);
    assert_books_balance(house->destination);
}

static bool was_ready(void *arg)
{
    return ((struct house *)arg)->ready > 0;
}

static void seals_by_age_and_says_so_once(void **state)
{
    struct house *house = *state;
    int64_t before = tly_loop_now_ms(house->loop);
    assert_int_equal(append(house->destination, "a", 'a', 10, NULL, 0), 0);
    assert_int_equal(append(house->destination, "b", 'b', 10, NULL, 0), 0);
    assert_null(tly_destination_take(house->destination));
    assert_true(turns_until(house->loop, was_ready, house));
    assert_true(tly_loop_now_ms(house->loop) - before >= small.chunk_age_ms);
    assert_int_equal(house->ready, 1);
    struct tly_chunk *first = tly_destination_take(house->destination);
    struct tly_chunk *second = tly_destination_take(house->destination);
    assert_string_equal(first->tag, "a");
    assert_string_equal(second->tag, "b");
    tly_destination_ack(house->destination, second);
    tly_destination_ack(house->destination, first);
    append_chunk(house->destination, "a", 'c', NULL, 0);
    assert_int_equal(house->ready, 1); /* never from inside */
    assert_true(turns_few(house->loop));
    assert_int_equal(house->ready, 2);
}

static void an_output_that_comes_late_is_called(void **state)
{
    struct house *house = *state;
    tly_destination_attach(house->destination, NULL, NULL);
    append_chunk(house->destination, "a", 'c', NULL, 0);
    assert_true(turns_few(house->loop));
    assert_int_equal(house->ready, 0);
    tly_destination_attach(house->destination, house_ready, house);
    assert_true(turns_few(house->loop));
    assert_int_equal(house->ready, 1);
}

static void what_comes_back_takes_its_old_place(void **state)
{
    struct house *house = *state;
    for (int i = 0; i < 5; i++) {
        append_chunk(house->destination, i % 2 ? "odd" : "even", (char)('0' + i), NULL, 0);
    }
    struct tly_chunk *taken[4];
    for (int i = 0; i < 4; i++) {
        taken[i] = tly_destination_take(house->destination);
    }
    static const int back[] = {2, 0, 3, 1};
    for (int i = 0; i < 4; i++) {
        tly_destination_give_back(house->destination, taken[back[i]]);
    }
    for (int i = 0; i < 5; i++) {
        struct tly_chunk *chunk = tly_destination_take(house->destination);
        assert_int_equal(chunk->payload.at[0], '0' + i);
        assert_int_equal(chunk->sends, i < 4 ? 2 : 1);
        tly_destination_ack(house->destination, chunk);
    }
    struct tly_destination_counts counts;
    tly_destination_counts(house->destination, &counts);
    assert_int_equal(counts.chunks_returned, 4);
    assert_int_equal(counts.chunks_acked, 5);
    assert_books_balance(house->destination);
}

/* Of a chunk's three records the first is through, the second is dropped, and the third comes back:
 * the books say so, the position stands until all of it is through. */
static void parts_of_a_chunk_go_one_by_one(void **state)
{
    struct house *house = *state;
    struct tly_cursor *cursor;
    struct tly_destination_counts counts;
    struct tly_cursor_counts own;
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            append(house->destination, "a", (char)('0' + i), 20 * KIB, cursor, (uint64_t)i + 1), 0);
    }
    tly_destination_flush(house->destination);
    struct tly_chunk *chunk = tly_destination_take(house->destination);
    assert_int_equal(chunk->records, 3);
    tly_destination_ack_part(house->destination, chunk, 20 * KIB, 1);
    tly_destination_drop_part(house->destination, chunk, 20 * KIB, 1);
    tly_destination_give_back(house->destination, chunk);
    tly_destination_counts(house->destination, &counts);
    tly_cursor_counts(cursor, &own);
    assert_int_equal(counts.records_acked, 1);
    assert_int_equal(counts.records_dropped, 1);
    assert_int_equal(counts.queued_records, 1);
    assert_int_equal(counts.queued_bytes, 20 * KIB);
    assert_int_equal(own.acked, 1);
    assert_int_equal(own.dropped, 1);
    assert_int_equal(own.under_way, 1);
    assert_int_equal(own.returned, 1);
    assert_int_equal(kept(house), 0);
    chunk = tly_destination_take(house->destination);
    assert_int_equal(chunk->payload.at[0], '2');
    tly_destination_ack(house->destination, chunk);
    tly_cursor_counts(cursor, &own);
    assert_int_equal(own.acked, 2);
    assert_int_equal(own.under_way, 0);
    assert_int_equal(kept(house), 3);
    tly_cursor_end(cursor);
}

/* Another tag's before the same tag's, and none that was refused. */
static void a_fresh_chunk_is_taken_beside_another(void **state)
{
    struct house *house = *state;
    for (int i = 0; i < 4; i++) {
        append_chunk(house->destination, i == 2 ? "b" : "a", (char)('0' + i), NULL, 0);
    }
    struct tly_chunk *refused = tly_destination_take(house->destination);
    refused->unproved = 1;
    struct tly_chunk *first = tly_destination_take_fresh(house->destination, refused);
    assert_int_equal(first->payload.at[0], '2');
    tly_destination_give_back(house->destination, refused);
    struct tly_chunk *second = tly_destination_take_fresh(house->destination, refused);
    assert_int_equal(second->payload.at[0], '1');
    struct tly_chunk *third = tly_destination_take_fresh(house->destination, refused);
    assert_int_equal(third->payload.at[0], '3');
    assert_null(tly_destination_take_fresh(house->destination, refused));
}

/* ---- order beside what is refused ---- */

#define STREAMS 6

/* Streams that share two tags, and how far the receiver has them: always the next chunk, unless it
 * had to see one of the very stream that it had refused. */
struct streams {
    struct tly_destination *destination;
    struct tly_cursor *cursors[STREAMS];
    uint64_t written[STREAMS], taken[STREAMS];
    bool disordered[STREAMS];
    unsigned beside; /* chunks of other streams that went before a refused one */
};

static unsigned stream_of(const struct tly_chunk *chunk)
{
    return (unsigned char)chunk->payload.at[0];
}

static void receive(struct streams *streams, struct tly_chunk *chunk)
{
    unsigned stream = stream_of(chunk);
    uint64_t number = chunk->spans->position.offset;
    assert_true(streams->disordered[stream] || number == streams->taken[stream] + 1);
    streams->taken[stream] = number;
    tly_destination_ack(streams->destination, chunk);
}

/* One goes before the refused chunk: of another stream, if any waits. */
static void prove(struct streams *streams, const struct tly_chunk *refused)
{
    unsigned own = stream_of(refused);
    bool others = false;
    for (const struct tly_chunk *at = streams->destination->queue.first; at; at = at->next) {
        others = others || stream_of(at) != own;
    }
    struct tly_chunk *chunk = tly_destination_take_fresh(streams->destination, refused);
    if (!chunk) {
        return;
    }
    assert_int_equal(stream_of(chunk) != own, others);
    streams->beside += others;
    streams->disordered[own] = streams->disordered[own] || !others;
    receive(streams, chunk);
}

/* A receiver that takes chunks or refuses them, by chance; one that it refused it may take later.
 */
static void streams_keep_their_order_beside_refused_chunks(void **state)
{
    enum { ROUNDS = 4000, WAITING = 5 };
    struct house *house = *state;
    struct streams streams = {.destination = house->destination};
    unsigned seed = (unsigned)getpid();
    print_message("seed %u\n", seed);
    for (unsigned i = 0; i < STREAMS; i++) {
        const char key = (char)('a' + i);
        assert_int_equal(
            tly_cursor_new(house->destination, (struct tly_text){&key, 1}, &streams.cursors[i]), 0);
    }
    for (unsigned waiting = 0, round = 0; round < ROUNDS; round++) {
        unsigned i = (unsigned)rand_r(&seed) % STREAMS;
        while (waiting < WAITING) {
            append_chunk(house->destination, i % 2 ? "odd" : "even", (char)i, streams.cursors[i],
                         ++streams.written[i]);
            waiting++;
            i = (unsigned)rand_r(&seed) % STREAMS;
        }
        struct tly_chunk *chunk = tly_destination_take(house->destination);
        if (rand_r(&seed) % 3 > 0) {
            receive(&streams, chunk);
            waiting--;
            continue;
        }
        chunk->unproved = 1;
        prove(&streams, chunk);
        tly_destination_give_back(house->destination, chunk);
        waiting--;
    }
    assert_true(streams.beside > ROUNDS / 10);
    for (unsigned i = 0; i < STREAMS; i++) {
        tly_cursor_detach(streams.cursors[i]);
    }
}

static void many_tags_stay_in_the_bound(void **state)
{
    struct house *house = *state;
    struct tly_destination_counts counts;
    uint64_t appended = 0;
    unsigned waits = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 200; i++) {
            char tag[16];
            (void)snprintf(tag, sizeof(tag), "tag.%d", i);
            int rc = append(house->destination, tag, 'x', 1000, NULL, 0);
            if (rc == -EAGAIN) {
                waits++;
                struct tly_chunk *chunk = tly_destination_take(house->destination);
                assert_non_null(chunk); /* what is open was sealed, so that waiting has an end */
                tly_destination_ack(house->destination, chunk);
            } else {
                assert_int_equal(rc, 0);
                appended++;
            }
            tly_destination_counts(house->destination, &counts);
            assert_true(counts.memory_bytes <= small.bytes_max);
        }
    }
    assert_true(waits > 0);
    assert_int_equal(counts.records_appended, appended);
    assert_books_balance(house->destination);
}

static void a_long_record_travels_alone(void **state)
{
    struct house *house = *state;
    assert_int_equal(append(house->destination, "a", 's', 10, NULL, 0), 0);
    assert_int_equal(append(house->destination, "a", 'l', 100 * KIB, NULL, 0), 0);
    assert_int_equal(append(house->destination, "a", 't', 10, NULL, 0), 0);
    tly_delivery_flush(house->delivery);
    static const char expected[] = {'s', 'l', 't'};
    for (int i = 0; i < 3; i++) {
        struct tly_chunk *chunk = tly_destination_take(house->destination);
        assert_int_equal(chunk->records, 1);
        assert_int_equal(chunk->payload.at[0], expected[i]);
        tly_destination_ack(house->destination, chunk);
    }
    /* Longer than the whole bound: only when nothing else is there. */
    assert_int_equal(append(house->destination, "a", 's', 10, NULL, 0), 0);
    assert_int_equal(append(house->destination, "b", 'L', 600 * KIB, NULL, 0), -EAGAIN);
    tly_destination_ack(house->destination, tly_destination_take(house->destination));
    assert_int_equal(append(house->destination, "b", 'L', 600 * KIB, NULL, 0), 0);
    struct tly_chunk *chunk = tly_destination_take(house->destination);
    assert_int_equal(chunk->payload.len, 600 * KIB);
    tly_destination_ack(house->destination, chunk);
    assert_int_equal(append(house->destination, "a", 'x', TLY_RECORD_BYTES_MAX + 1, NULL, 0),
                     TLY_E_LIMIT);
}

/* An empty open chunk of another source must not block a long record for ever. */
static void a_chunk_without_records_gives_way(void **state)
{
    struct house *house = *state;
    struct tly_chunk *chunk;
    assert_int_equal(tly_destination_open(house->destination, TLY_TEXT("idle"), 100, &chunk), 0);
    assert_int_equal(append(house->destination, "b", 'L', 600 * KIB, NULL, 0), 0);
    tly_destination_ack(house->destination, tly_destination_take(house->destination));
}

static void events_have_a_share_of_their_own(void **state)
{
    struct house *house = *state;
    char record[1000];
    memset(record, 'e', sizeof(record));
    int rc = 0;
    while (tly_destination_has_room(house->destination) && rc == 0) {
        rc = append(house->destination, "logs", 'x', 16 * KIB, NULL, 0);
    }
    struct tly_text event = {record, sizeof(record)};
    tly_delivery_emit(house->delivery, TLY_TEXT("docker.events"), event);
    struct tly_destination_counts counts;
    tly_destination_counts(house->destination, &counts);
    assert_int_equal(counts.records_dropped, 0);
    for (int i = 0; i < 200; i++) {
        tly_delivery_emit(house->delivery, TLY_TEXT("docker.events"), event);
    }
    tly_destination_counts(house->destination, &counts);
    assert_in_range(counts.records_dropped, 1, 200);
    assert_true(counts.memory_bytes <= small.bytes_max);
    assert_books_balance(house->destination);
}

struct waiting {
    struct tly_room_waiter waiter;
    int *order;
    int resumed_as; /* 0: not yet */
};

static void waiting_resumed(void *arg)
{
    struct waiting *waiting = arg;
    waiting->resumed_as = ++*waiting->order;
}

static void those_who_wait_are_called_once_in_order(void **state)
{
    struct house *house = *state;
    int order = 0;
    struct waiting w[4];
    for (int i = 0; i < 4; i++) {
        w[i] = (struct waiting){.order = &order};
        w[i].waiter = (struct tly_room_waiter){.resume = waiting_resumed, .arg = &w[i]};
        tly_destination_wait(house->destination, &w[i].waiter);
        tly_destination_wait(house->destination, &w[i].waiter);
    }
    tly_destination_unwait(house->destination, &w[3].waiter);
    tly_destination_unwait(house->destination, &w[1].waiter);
    tly_destination_wait(house->destination, &w[1].waiter);
    append_chunk(house->destination, "a", 'x', NULL, 0);
    assert_int_equal(order, 0);
    tly_destination_ack(house->destination, tly_destination_take(house->destination));
    assert_int_equal(w[0].resumed_as, 1);
    assert_int_equal(w[2].resumed_as, 2);
    assert_int_equal(w[1].resumed_as, 3);
    assert_int_equal(w[3].resumed_as, 0);
    append_chunk(house->destination, "a", 'x', NULL, 0);
    tly_destination_ack(house->destination, tly_destination_take(house->destination));
    assert_int_equal(order, 3);
}

static bool memory_is_given_back(void *arg)
{
    const struct house *house = arg;
    struct tly_destination_counts counts;
    tly_destination_counts(house->destination, &counts);
    return counts.memory_bytes == 0;
}

static void an_idle_destination_gives_its_memory_back(void **state)
{
    struct house *house = *state;
    for (int i = 0; i < 6; i++) {
        append_chunk(house->destination, "a", 'x', NULL, 0);
        tly_destination_ack(house->destination, tly_destination_take(house->destination));
    }
    assert_false(memory_is_given_back(house));
    assert_true(turns_until(house->loop, memory_is_given_back, house));
}

/* Two destinations, two cursors each, and an output that does anything in any order. */
static void the_books_balance_whatever_happens(void **state)
{
    struct house *house = *state;
    enum { HELD_MAX = 16, STEPS = 20000 };
    unsigned seed = 20250117;
    struct tly_cursor *cursor;
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
    struct tly_chunk *held[HELD_MAX];
    size_t held_count = 0;
    uint64_t offset = 0;
    uint64_t last_kept = 0;
    for (int step = 0; step < STEPS; step++) {
        unsigned dice = (unsigned)rand_r(&seed);
        if (dice % 8 < 4) {
            char tag[2] = {(char)('a' + dice / 8 % 5), '\0'};
            int rc = append(house->destination, tag, 'x', 1 + dice / 64 % (30 * KIB), cursor,
                            offset + 1);
            assert_true(rc == 0 || rc == -EAGAIN);
            offset += rc == 0;
        } else if (dice % 8 < 6 && held_count < HELD_MAX) {
            struct tly_chunk *chunk = tly_destination_take(house->destination);
            if (chunk) {
                held[held_count++] = chunk;
            }
        } else if (held_count > 0) {
            size_t i = dice / 8 % held_count;
            void (*const ends[])(struct tly_destination *, struct tly_chunk *) = {
                tly_destination_ack, tly_destination_ack, tly_destination_give_back,
                tly_destination_drop};
            ends[dice / 512 % 4](house->destination, held[i]);
            held[i] = held[--held_count];
        }
        assert_books_balance(house->destination);
        assert_true(kept(house) >= last_kept && kept(house) <= offset);
        last_kept = kept(house);
    }
    while (held_count > 0) {
        tly_destination_ack(house->destination, held[--held_count]);
    }
    tly_delivery_flush(house->delivery);
    struct tly_chunk *chunk;
    while ((chunk = tly_destination_take(house->destination))) {
        tly_destination_ack(house->destination, chunk);
    }
    assert_int_equal(kept(house), offset);
    assert_true(tly_cursor_idle(cursor));
    tly_cursor_detach(cursor);
}

static void names_are_unique(void **state)
{
    struct house *house = *state;
    struct tly_destination *other;
    assert_int_equal(tly_delivery_add(house->delivery, "central", &small, &other), -EEXIST);
    assert_int_equal(tly_delivery_add(house->delivery, "second", &small, &other), 0);
    assert_int_equal(tly_delivery_count(house->delivery), 2);
    assert_string_equal(tly_destination_name(tly_delivery_at(house->delivery, 1)), "second");
}

static void the_meter_shows_every_destination(void **state)
{
    struct house *house = *state;
    append_chunk(house->destination, "a", 'x', NULL, 0);
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_delivery_meter(house->delivery, &samples);
    struct tly_sample_set *set = tly_samples_take(&samples);
    assert_non_null(set);
    bool seen = false;
    for (size_t i = 0; i < tly_sample_set_count(set); i++) {
        const struct tly_sample *sample = &tly_sample_set_at(set)[i];
        if (sample->family == TLY_F_tallyman_destination_appended_bytes_total) {
            assert_true(tly_text_equal(tly_sample_set_dim(set, sample->dim),
                                       TLY_TEXT("destination=\"central\"")));
            assert_int_equal(sample->raw, 64 * KIB);
            seen = true;
        }
    }
    assert_true(seen);
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
}

/* A full buffer that was kept: where it lies. */
static const char *keep_a_buffer(struct tly_destination *destination)
{
    append_chunk(destination, "full", 'f', NULL, 0);
    struct tly_chunk *chunk = tly_destination_take(destination);
    assert_non_null(chunk);
    const char *at = chunk->payload.at;
    tly_destination_ack(destination, chunk);
    return at;
}

static void what_fills_fast_takes_a_kept_buffer(void **state)
{
    struct house *house = *state;
    struct tly_chunk *chunk;
    const char *kept = keep_a_buffer(house->destination);
    for (int i = 0; i < 15; i++) {
        assert_int_equal(append(house->destination, "a", (char)('a' + i), 4 * KIB, NULL, 0), 0);
    }
    assert_int_equal(tly_destination_open(house->destination, TLY_TEXT("a"), 1, &chunk), 0);
    assert_ptr_equal(chunk->payload.at, kept);
    assert_int_equal(chunk->payload.len, 60 * KIB);
    for (size_t i = 0; i < chunk->payload.len; i++) {
        assert_int_equal(chunk->payload.at[i], 'a' + (int)(i / (4 * KIB)));
    }
    assert_int_equal(house->destination->used_bytes, chunk->payload.cap);
    assert_books_balance(house->destination);
}

struct aging {
    const struct tly_loop *loop;
    int64_t until_ms;
};

static bool is_old(void *arg)
{
    const struct aging *aging = arg;
    return tly_loop_now_ms(aging->loop) >= aging->until_ms;
}

/* Many that fill slowly would take all memory. */
static void what_fills_slowly_takes_none(void **state)
{
    static const struct tly_destination_limits patient = {
        .chunk_bytes_max = 64 * KIB, .chunk_age_ms = 10000, .bytes_max = 512 * KIB};
    struct house *house = *state;
    struct tly_destination *destination;
    struct tly_chunk *chunk;
    assert_int_equal(tly_delivery_add(house->delivery, "patient", &patient, &destination), 0);
    const char *kept = keep_a_buffer(destination);
    assert_int_equal(append(destination, "a", 'a', 20 * KIB, NULL, 0), 0);
    struct aging aging = {house->loop, tly_loop_now_ms(house->loop) + 100};
    assert_true(turns_until(house->loop, is_old, &aging));
    assert_int_equal(append(destination, "a", 'a', 20 * KIB, NULL, 0), 0);
    assert_int_equal(tly_destination_open(destination, TLY_TEXT("a"), 8 * KIB, &chunk), 0);
    assert_int_equal(chunk->payload.len, 40 * KIB);
    assert_true(chunk->payload.at != kept);
    assert_int_equal(destination->used_bytes, chunk->payload.cap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOUSE(what_fills_fast_takes_a_kept_buffer),
        WITH_HOUSE(what_fills_slowly_takes_none),
        WITH_HOUSE(seals_by_size_and_in_order),
        WITH_HOUSE(seals_by_age_and_says_so_once),
        WITH_HOUSE(an_output_that_comes_late_is_called),
        WITH_HOUSE(what_comes_back_takes_its_old_place),
        WITH_HOUSE(parts_of_a_chunk_go_one_by_one),
        WITH_HOUSE(a_fresh_chunk_is_taken_beside_another),
        WITH_HOUSE(streams_keep_their_order_beside_refused_chunks),
        WITH_HOUSE(many_tags_stay_in_the_bound),
        WITH_HOUSE(a_long_record_travels_alone),
        WITH_HOUSE(a_chunk_without_records_gives_way),
        WITH_HOUSE(events_have_a_share_of_their_own),
        WITH_HOUSE(those_who_wait_are_called_once_in_order),
        WITH_HOUSE(an_idle_destination_gives_its_memory_back),
        WITH_HOUSE(the_books_balance_whatever_happens),
        WITH_HOUSE(names_are_unique),
        WITH_HOUSE(the_meter_shows_every_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
