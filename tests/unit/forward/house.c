/* The house of the forward tests. */
#include "tests/unit/forward/house.h"

#include "agent/codec/record.h"

#include <string.h>

int house_set_up(void **state)
{
    struct house *house = calloc(1, sizeof(*house));
    struct tly_error err;
    assert_non_null(house);
    assert_int_equal(tly_loop_new(&house->loop), 0);
    assert_int_equal(tly_delivery_new(house->loop, -1, &house->delivery, &err), 0);
    static char name[] = "central";
    house->settings = (struct tly_forward_settings){
        .name = name,
        .servers.at = house->servers,
        .require_ack = true,
        .chunk_bytes = 1 << 20,
        .flush_interval_ms = 20,
        .buffer_bytes_max = 64 << 20,
        .connect_timeout_ms = 5000,
        .ack_timeout_ms = 20000,
        .retry_max_ms = 30000,
        .in_flight_max = 8,
    };
    peer_start(&house->first, house->loop);
    peer_start(&house->second, house->loop);
    *state = house;
    return 0;
}

int house_tear_down(void **state)
{
    struct house *house = *state;
    tly_forward_sender_free(house->sender);
    for (size_t i = 0; i < house->settings.servers.count; i++) {
        free(house->servers[i].host);
    }
    peer_done(&house->first);
    peer_done(&house->second);
    tly_delivery_free(house->delivery);
    tly_loop_free(house->loop);
    free(house);
    return 0;
}

void house_add_server(struct house *house, const struct peer *peer, bool standby)
{
    assert_true(house->settings.servers.count < HOUSE_SERVERS_MAX);
    struct tly_forward_server_settings *server = &house->servers[house->settings.servers.count++];
    server->host = strdup(peer->address.host);
    assert_non_null(server->host);
    server->port = peer->address.port;
    server->standby = standby;
}

void house_send(struct house *house)
{
    struct tly_error err = {0};
    if (tly_forward_sender_new(house->loop, house->delivery, NULL, &house->settings, NULL,
                               &house->sender, &err) < 0) {
        fail_msg("%s", err.text);
    }
    tly_forward_sender_begin(house->sender);
    house->destination = tly_delivery_at(house->delivery, 0);
}

static void append(struct house *house, const char *tag, struct tly_text text)
{
    struct tly_buf record;
    struct tly_chunk *chunk;
    tly_buf_init(&record, text.len + 64);
    assert_int_equal(tly_record_array(&record, 2), 0);
    assert_int_equal(tly_record_time(&record, 1000000000), 0);
    assert_int_equal(tly_record_map(&record, 1), 0);
    assert_int_equal(tly_record_str(&record, TLY_TEXT("log")), 0);
    assert_int_equal(tly_record_str(&record, text), 0);
    assert_int_equal(tly_destination_open(house->destination, tly_text_of(tag), record.len, &chunk),
                     0);
    assert_int_equal(tly_buf_append_text(&chunk->payload, tly_buf_text(&record)), 0);
    assert_int_equal(tly_destination_commit(house->destination, chunk, 1, NULL, NULL), 0);
    tly_buf_done(&record);
}

void house_append(struct house *house, const char *tag, const char *text)
{
    append(house, tag, tly_text_of(text));
    tly_delivery_flush(house->delivery);
}

void house_append_together(struct house *house, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", i);
        append(house, "t", tly_text_of(text));
    }
    tly_delivery_flush(house->delivery);
}

void house_append_around(struct house *house, unsigned before, const char *text, unsigned behind)
{
    for (unsigned i = 0; i < before + behind; i++) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%u", i);
        if (i == before) {
            append(house, "t", tly_text_of(text));
        }
        append(house, "t", tly_text_of(number));
    }
    tly_delivery_flush(house->delivery);
}

void house_append_numbers(struct house *house, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", i);
        house_append(house, "t", text);
    }
}

void house_append_large(struct house *house, size_t len)
{
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    append(house, "t", (struct tly_text){text, len});
    tly_delivery_flush(house->delivery);
    free(text);
}

struct tly_destination_counts house_counts(const struct house *house)
{
    struct tly_destination_counts counts;
    tly_destination_counts(house->destination, &counts);
    assert_int_equal(counts.records_appended,
                     counts.records_acked + counts.records_dropped + counts.queued_records);
    return counts;
}

bool house_is_empty(void *house)
{
    return house_counts(house).queued_chunks == 0;
}

int64_t house_metric(const struct house *house, enum tly_family_id family, const char *label)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    tly_forward_sender_meter(house->sender, &samples);
    struct tly_sample_set *set = tly_samples_take(&samples);
    assert_non_null(set);
    const struct tly_sample *at = tly_sample_set_at(set);
    int64_t sum = 0;
    for (size_t i = 0; i < tly_sample_set_count(set); i++) {
        struct tly_text dim = tly_sample_set_dim(set, at[i].dim);
        if (at[i].family == family &&
            (!label || memmem(dim.at, dim.len, label, strlen(label)) != NULL)) {
            sum += at[i].raw;
        }
    }
    tly_sample_set_unref(set);
    tly_samples_done(&samples);
    return sum;
}
