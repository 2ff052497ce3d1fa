/*
 * What the tests of the forward output share: a loop, a delivery without a state directory, one
 * sender with its settings, and records that go in.
 */
#ifndef TLY_TESTS_FORWARD_HOUSE_H
#define TLY_TESTS_FORWARD_HOUSE_H

#include "agent/delivery/delivery.h"
#include "outputs/forward/sender.h"
#include "outputs/forward/settings.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/forward/peer.h"
#include "tests/unit/unit.h"

#define HOUSE_SERVERS_MAX 4

struct house {
    struct tly_loop *loop;
    struct tly_delivery *delivery;
    struct tly_destination *destination;
    struct tly_forward_sender *sender;
    struct tly_forward_settings settings;
    struct tly_forward_server_settings servers[HOUSE_SERVERS_MAX];
    struct peer first, second;
    unsigned stopped;
};

int house_set_up(void **state);
int house_tear_down(void **state);

/* Adds a server to the settings; before house_send. */
void house_add_server(struct house *house, const struct peer *peer, bool standby);
/* Starts the sender. */
void house_send(struct house *house);

/* One record {"log": text}, in a chunk of its own. */
void house_append(struct house *house, const char *tag, const char *text);
/* Records "0" to "count - 1", each in a chunk of its own. */
void house_append_numbers(struct house *house, unsigned count);
/* Records "0" to "count - 1", all in one chunk. */
void house_append_together(struct house *house, unsigned count);
/* The same, with `text` behind the first `before` of them. */
void house_append_around(struct house *house, unsigned before, const char *text, unsigned behind);
/* One record of about `len` bytes. */
void house_append_large(struct house *house, size_t len);

struct tly_destination_counts house_counts(const struct house *house);
bool house_is_empty(void *house);

/* What the sender's meter shows: the sum over all labels; with `label` ("reason=\"closed\"") of
 * those alone that have it. */
int64_t house_metric(const struct house *house, enum tly_family_id family, const char *label);

#endif
