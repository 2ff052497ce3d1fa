/*
 * Cursors: in whatever order chunks are acknowledged, whichever tags the source's records have, the
 * kept position stands before the first that is not delivered.
 */
#include "agent/delivery/delivery.h"

#include "agent/delivery/state.h"
#include "tests/unit/delivery/house.h"

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

/* Parts of two logs stand in one chunk in turn, and its halves are told apart: one is acknowledged,
 * the other dropped. */
static void parts_of_a_chunk_are_those_of_their_logs(void **state)
{
    struct house *house = *state;
    struct tly_cursor *one;
    struct tly_cursor *two;
    struct tly_cursor_counts counts;
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key"), &one), 0);
    assert_int_equal(tly_cursor_new(house->destination, TLY_TEXT("key2"), &two), 0);
    assert_int_equal(append(house->destination, "a", 'x', 10, one, 1), 0);
    assert_int_equal(append(house->destination, "a", 'x', 10, two, 1), 0);
    assert_int_equal(append(house->destination, "a", 'x', 10, one, 2), 0);
    tly_delivery_flush(house->delivery);
    struct tly_chunk *chunk = tly_destination_take(house->destination);
    uint32_t records = chunk->records / 3;
    tly_destination_ack_part(house->destination, chunk, 10, records);
    tly_destination_drop_part(house->destination, chunk, 10, records);
    tly_destination_ack(house->destination, chunk);
    tly_cursor_counts(one, &counts);
    assert_int_equal(counts.acked, 2 * records);
    assert_int_equal(counts.dropped, 0);
    tly_cursor_counts(two, &counts);
    assert_int_equal(counts.acked, 0);
    assert_int_equal(counts.dropped, records);
    tly_cursor_end(one);
    tly_cursor_end(two);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOUSE(a_position_moves_only_over_a_gapless_prefix),
        WITH_HOUSE(a_cursor_may_return_to_an_open_chunk),
        WITH_HOUSE(parts_of_a_chunk_are_those_of_their_logs),
        WITH_HOUSE(tags_may_alternate),
        WITH_HOUSE(an_ended_cursor_keeps_its_position_until_all_is_acknowledged),
        WITH_HOUSE(an_orphaned_cursor_still_keeps),
        WITH_HOUSE(advancing_takes_part_in_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
