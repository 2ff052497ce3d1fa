/*
 * A spool in a folder of its own, destinations that take from it, and numbered records: what the
 * tests of the spool share.
 */
#ifndef TLY_TESTS_DELIVERY_SPOOL_PLACE_H
#define TLY_TESTS_DELIVERY_SPOOL_PLACE_H

#include "agent/delivery/delivery.h"
#include "agent/model/sample.h"
#include "tests/unit/unit.h"

#include <stdbool.h>

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

#define SINKS_MAX 2

struct sink {
    struct tly_destination *destination;
    bool rests; /* takes nothing */
    bool holds; /* acknowledges nothing */
    uint32_t *numbers;
    size_t count, cap;
    char last_tag[32];
};

struct place {
    char dir[TEMP_DIR_MAX];
    int dir_fd;
    struct tly_loop *loop;
    struct tly_delivery *delivery; /* NULL: stopped */
    struct tly_spool_spec spec;
    struct tly_destination_limits limits;
    size_t record_len;
    size_t sink_count;
    struct sink sinks[SINKS_MAX];
    struct tly_selection selections[SINKS_MAX];
    uint64_t ticket; /* of what was appended last */
    uint64_t safe;   /* the highest that was */
    size_t awaited;
};

/* ---- sinks ---- */

/* The sink has taken from <= n < until, each once and in order. */
void sink_expect(const struct sink *sink, uint32_t from, uint32_t until);

/* ---- the place ---- */

int place_set_up(void **state);
int place_tear_down(void **state);
#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

void place_start(struct place *place);
void place_stop(struct place *place);
/* One more, while the others are at work. */
void place_add_destination(struct place *place);

int place_append(struct place *place, const char *tag, uint32_t number);
void place_append_all(struct place *place, const char *tag, uint32_t from, uint32_t until);
/* All that was appended so far is on disk. */
void place_settle(struct place *place);

/* A sink takes what waits for it. */
void place_run(const struct place *place, struct sink *sink);
/* Whether every sink that does not rest has as many as are awaited; they take what waits first. */
bool place_sinks_have(void *arg);
/* Until each has so many. */
void place_await(struct place *place, size_t count);

/* The sum of a family over its labels. */
int64_t place_metric(const struct place *place, enum tly_family_id family);
/* The path of the file with the lowest or the highest number. */
void place_file(const struct place *place, bool last, char to[256]);

#endif
