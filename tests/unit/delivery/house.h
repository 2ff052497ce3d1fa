/*
 * A destination in a delivery without a folder, and sources of records: what the tests of queues
 * and of cursors share.
 */
#ifndef TLY_TESTS_DELIVERY_HOUSE_H
#define TLY_TESTS_DELIVERY_HOUSE_H

#include "agent/delivery/delivery.h"
#include "agent/delivery/state.h"
#include "tests/unit/unit.h"

#include <string.h>

#define KIB ((size_t)1024)

struct house {
    struct tly_loop *loop;
    struct tly_delivery *delivery;
    struct tly_destination *destination;
    int ready; /* how often the output was called */
};

static const struct tly_destination_limits small = {
    .chunk_bytes_max = 64 * KIB, .chunk_age_ms = 20, .bytes_max = 512 * KIB};

static inline void house_ready(void *arg)
{
    struct house *house = arg;
    house->ready++;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    struct house *house = *state;
    tly_delivery_free(house->delivery);
    tly_loop_free(house->loop);
    free(house);
    return 0;
}

static inline void assert_books_balance(const struct tly_destination *destination)
{
    struct tly_destination_counts c;
    tly_destination_counts(destination, &c);
    assert_int_equal(c.records_appended, c.records_acked + c.records_dropped + c.queued_records);
    assert_int_equal(c.bytes_appended, c.bytes_acked + c.bytes_dropped + c.queued_bytes);
}

/* Appends one record of `len` bytes; the destination's answer. */
static inline int append(struct tly_destination *destination, const char *tag, char fill,
                         size_t len, struct tly_cursor *cursor, uint64_t offset)
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

static inline void append_chunk(struct tly_destination *destination, const char *tag, char fill,
                                struct tly_cursor *cursor, uint64_t offset)
{
    assert_int_equal(append(destination, tag, fill, 64 * KIB, cursor, offset), 0);
}

/* The offset kept under "key", or 0. */
static inline uint64_t kept(const struct house *house)
{
    struct tly_position position;
    return tly_delivery_position(house->delivery, house->destination, TLY_TEXT("key"), &position)
               ? position.offset
               : 0;
}

#define WITH_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
