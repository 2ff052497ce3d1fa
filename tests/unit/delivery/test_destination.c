/*
 * A destination against sources that append and an output that acknowledges, returns and drops in
 * every order: bounds hold, the books balance, and a kept position never runs ahead.
 */
#include "agent/delivery/delivery.h"

#include "agent/delivery/state.h"
#include "tests/unit/delivery/turns.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define KIB ((size_t)1024)

struct house {
    struct tly_loop *loop;
    struct tly_delivery *delivery;
    struct tly_destination *destination;
    int ready; /* how often the output was called */
};

static const struct tly_destination_limits small = {
    .chunk_bytes_max = 64 * KIB, .chunk_age_ms = 20, .bytes_max = 512 * KIB};

static void house_ready(void *arg)
{
    struct house *house = arg;
    house->ready++;
}

static int set_up(void **state)
{
    struct house *house = calloc(1, sizeof(*house));
    struct tly_error err;
    assert_non_null(house);
    assert_int_equal(tly_loop_new(&house->loop), 0);
    assert_int_equal(tly_delivery_new(house->loop, -1, &house->delivery, &err), 0);
    assert_int_equal(tly_delivery_add(house->delivery, "central", &small, &house->destination), 0);
    tly_destination_attach(house->destination, house_ready, house);
    *state = house;
    return 0;
}

static int tear_down(void **state)
{
    struct house *house = *state;
    tly_delivery_free(house->delivery);
    tly_loop_free(house->loop);
    free(house);
    return 0;
}

static void assert_books_balance(const struct tly_destination *destination)
{
    struct tly_destination_counts c;
    tly_destination_counts(destination, &c);
    assert_int_equal(c.records_appended, c.records_acked + c.records_dropped + c.queued_records);
    assert_int_equal(c.bytes_appended, c.bytes_acked + c.bytes_dropped + c.queued_bytes);
}

/* Appends one record of `len` bytes; the destination's answer. */
static int append(struct tly_destination *destination, const char *tag, char fill, size_t len,
                  struct tly_cursor *cursor, uint64_t offset)
{
    struct tly_chunk *chunk;
    int rc = tly_destination_open(destination, tly_text_of(tag), len, &chunk);
    if (rc < 0) {
        return rc;
    }
    assert_true(tly_chunk_room(chunk) >= len);
    memset(chunk->payload.at + chunk->payload.len, fill, len);
    chunk->payload.len += len;
    struct tly_position position = {.inode = 1, .offset = offset};
    return tly_destination_commit(destination, chunk, 1, cursor, &position);
}

static void append_chunk(struct tly_destination *destination, const char *tag, char fill,
                         struct tly_cursor *cursor, uint64_t offset)
{
    assert_int_equal(append(destination, tag, fill, 64 * KIB, cursor, offset), 0);
}

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

/* The offset kept under "key", or 0. */
static uint64_t kept(const struct house *house)
{
    struct tly_position position;
    return tly_delivery_position(house->delivery, house->destination, TLY_TEXT("key"), &position)
               ? position.offset
               : 0;
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

/* All orders in which four chunks can be acknowledged. */
static void a_position_moves_only_over_a_gapless_prefix(void **state)
{
    struct house *house = *state;
    enum { CHUNKS = 4 };
    for (int order = 0; order < 256; order++) {
        int nth[CHUNKS] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
        unsigned set = 0;
        for (int i = 0; i < CHUNKS; i++) {
            set |= 1u << nth[i];
        }
        if (set != 15) {
            continue; /* not a permutation */
        }
        struct tly_cursor *cursor;
        assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
        struct tly_chunk *chunks[CHUNKS];
        for (int i = 0; i < CHUNKS; i++) {
            append_chunk(house->destination, i & 1 ? "a" : "b", 'x', cursor, (uint64_t)i + 1);
            chunks[i] = tly_destination_take(house->destination);
        }
        bool acked[CHUNKS] = {false};
        for (int i = 0; i < CHUNKS; i++) {
            assert_false(tly_cursor_idle(cursor));
            tly_destination_ack(house->destination, chunks[nth[i]]);
            acked[nth[i]] = true;
            uint64_t reached = 0;
            while (reached < CHUNKS && acked[reached]) {
                reached++;
            }
            assert_int_equal(kept(house), reached);
        }
        assert_true(tly_cursor_idle(cursor));
        tly_cursor_end(cursor);
        assert_int_equal(kept(house), 0);
    }
}

/* A source whose tag changes there and back has two parts in one chunk, another's between. */
static void a_cursor_may_return_to_an_open_chunk(void **state)
{
    struct house *house = *state;
    struct tly_cursor *cursor;
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
    assert_int_equal(append(house->destination, "a", 'x', 10, cursor, 1), 0);
    assert_int_equal(append(house->destination, "b", 'x', 10, cursor, 2), 0);
    assert_int_equal(append(house->destination, "a", 'x', 10, cursor, 3), 0);
    tly_delivery_flush(house->delivery);
    struct tly_chunk *a = tly_destination_take(house->destination);
    struct tly_chunk *b = tly_destination_take(house->destination);
    tly_destination_ack(house->destination, a);
    assert_int_equal(kept(house), 1);
    tly_destination_ack(house->destination, b);
    assert_int_equal(kept(house), 3);
    tly_cursor_detach(cursor);
    assert_int_equal(kept(house), 3);
}

#define INTERLEAVED 3000 /* commits, numbered from 1; each number is all that its record has */

/* Acknowledges the chunk, and marks the commits that it has. */
static void ack_interleaved(struct house *house, struct tly_chunk *chunk, bool acked[])
{
    assert_non_null(chunk->spans);
    assert_null(chunk->spans->next_of_chunk); /* one cursor's part, however often it came back */
    for (size_t at = 0; at < chunk->payload.len; at += sizeof(uint64_t)) {
        uint64_t number;
        memcpy(&number, chunk->payload.at + at, sizeof(number));
        acked[number] = true;
    }
    tly_destination_ack(house->destination, chunk);
}

/* A source whose records have many tags, as the spool: at each acknowledgement the position stands
 * before the first commit that is not delivered, and no further back. */
static void tags_may_alternate(void **state)
{
    struct house *house = *state;
    enum { HELD_MAX = 8 };
    unsigned seed = 20261130;
    bool acked[INTERLEAVED + 1] = {false};
    struct tly_chunk *held[HELD_MAX];
    size_t held_count = 0;
    uint64_t number = 0;
    struct tly_cursor *cursor;
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
    while (number < INTERLEAVED || held_count > 0) {
        unsigned dice = (unsigned)rand_r(&seed);
        struct tly_chunk *chunk = NULL;
        if (number < INTERLEAVED && dice % 8 < 6) {
            const char tag[2] = {(char)('a' + dice / 8 % 4), '\0'};
            number++;
            assert_int_equal(
                tly_destination_open(house->destination, tly_text_of(tag), sizeof(number), &chunk),
                0);
            memcpy(chunk->payload.at + chunk->payload.len, &number, sizeof(number));
            chunk->payload.len += sizeof(number);
            struct tly_position position = {.offset = number};
            assert_int_equal(
                tly_destination_commit(house->destination, chunk, 1, cursor, &position), 0);
        } else if (held_count < HELD_MAX && (chunk = tly_destination_take(house->destination))) {
            held[held_count++] = chunk;
        } else if (held_count > 0) {
            size_t i = dice / 8 % held_count;
            ack_interleaved(house, held[i], acked);
            held[i] = held[--held_count];
        }
        if (dice % 64 == 0 || number == INTERLEAVED) {
            tly_delivery_flush(house->delivery);
        }
        uint64_t reached = 0;
        while (reached < number && acked[reached + 1]) {
            reached++;
        }
        assert_int_equal(kept(house), reached);
    }
    assert_int_equal(kept(house), INTERLEAVED);
    assert_true(tly_cursor_idle(cursor));
    tly_cursor_detach(cursor);
}

static void an_ended_cursor_keeps_its_position_until_all_is_acknowledged(void **state)
{
    struct house *house = *state;
    struct tly_cursor *cursor;
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
    append_chunk(house->destination, "a", 'x', cursor, 1);
    append_chunk(house->destination, "a", 'x', cursor, 2);
    struct tly_chunk *first = tly_destination_take(house->destination);
    struct tly_chunk *second = tly_destination_take(house->destination);
    tly_cursor_end(cursor);
    tly_destination_ack(house->destination, first);
    assert_int_equal(kept(house), 1);
    tly_destination_drop(house->destination, second);
    assert_int_equal(kept(house), 0);
    struct tly_destination_counts counts;
    tly_destination_counts(house->destination, &counts);
    assert_int_equal(counts.records_dropped, 1);
    assert_books_balance(house->destination);
}

static void an_orphaned_cursor_still_keeps(void **state)
{
    struct house *house = *state;
    struct tly_cursor *cursor;
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
    append_chunk(house->destination, "a", 'x', cursor, 7);
    tly_cursor_detach(cursor);
    tly_destination_ack(house->destination, tly_destination_take(house->destination));
    assert_int_equal(kept(house), 7);
}

static void advancing_takes_part_in_the_order(void **state)
{
    struct house *house = *state;
    struct tly_cursor *cursor;
    struct tly_position moved = {.inode = 2, .offset = 100};
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &cursor), 0);
    tly_cursor_advance(cursor, &moved);
    assert_int_equal(kept(house), 100);
    append_chunk(house->destination, "a", 'x', cursor, 200);
    moved.offset = 300;
    tly_cursor_advance(cursor, &moved);
    assert_int_equal(kept(house), 100);
    tly_destination_ack(house->destination, tly_destination_take(house->destination));
    assert_int_equal(kept(house), 300);
    tly_cursor_detach(cursor);
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

#define WITH_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
        WITH_HOUSE(a_position_moves_only_over_a_gapless_prefix),
        WITH_HOUSE(a_cursor_may_return_to_an_open_chunk),
        WITH_HOUSE(tags_may_alternate),
        WITH_HOUSE(an_ended_cursor_keeps_its_position_until_all_is_acknowledged),
        WITH_HOUSE(an_orphaned_cursor_still_keeps),
        WITH_HOUSE(advancing_takes_part_in_the_order),
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
