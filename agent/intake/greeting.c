/*
 * The handshake that a gate asks for, before the first frame of a connection: it ends well, or with
 * the connection, or after a while.
 */
#include "agent/base/random.h"
#include "agent/intake/intake_state.h"

#include <stdlib.h>

/* One round trip; whoever takes as long as this is no client. */
#define GREETING_MS 10000

#define HELO_BYTES_MAX 4096

static void refused(struct tly_intake_client *client, const char *why)
{
    struct tly_intake *intake = client->intake;
    uint64_t held;
    intake->counts.refused++;
    if (tly_log_limit_pass(&intake->refused_limit, tly_loop_now_ms(intake->spec.loop), &held)) {
        tly_log_warn(intake->spec.who, "%s: %s%s", tly_stream_peer(client->stream), why,
                     tly_log_held(held).text);
    }
}

static void too_late(void *arg)
{
    struct tly_intake_client *client = arg;
    refused(client, "not let in: its handshake took too long");
    tly_intake_client_free(client);
}

bool tly_intake_greeting_begin(struct tly_intake_client *client)
{
    unsigned char random[2 * TLY_FORWARD_SALT_BYTES];
    struct tly_buf helo;
    struct tly_intake_greeting *greeting = calloc(1, sizeof(*greeting));
    if (!greeting) {
        return false;
    }
    tly_random_fill(random, sizeof(random));
    tly_buf_init(&helo, HELO_BYTES_MAX);
    int rc = tly_forward_welcome_init(&greeting->welcome, random, &helo);
    client->greeting = greeting;
    rc = rc < 0 ? rc : tly_timer_new(client->intake->spec.loop, too_late, client, &greeting->timer);
    if (rc == 0) {
        tly_timer_start(greeting->timer, GREETING_MS, 0);
    }
    bool said = rc == 0 && tly_intake_client_say(client, &helo);
    tly_buf_done(&helo);
    return said;
}

void tly_intake_greeting_end(struct tly_intake_client *client)
{
    if (client->greeting) {
        tly_forward_welcome_done(&client->greeting->welcome);
        tly_timer_free(client->greeting->timer);
        free(client->greeting);
        client->greeting = NULL;
    }
}

void tly_intake_greeting_read(struct tly_intake_client *client, struct tly_text bytes)
{
    struct tly_error err = {0};
    struct tly_buf pong;
    tly_buf_init(&pong, HELO_BYTES_MAX);
    int rc = tly_forward_welcome_read(&client->greeting->welcome, client->gate, bytes, &pong, &err);
    if (rc < 0 && rc != TLY_E_MORE) {
        refused(client, err.text);
    }
    client->closed = rc == TLY_E_REFUSED && pong.len > 0; /* it is told why, and then it goes */
    bool stays = rc == 0 || rc == TLY_E_MORE || client->closed;
    if (stays && pong.len > 0) {
        stays = tly_intake_client_say(client, &pong);
    }
    tly_buf_done(&pong);
    if (!stays) {
        tly_intake_client_free(client);
        return;
    }
    if (rc == 0) {
        tly_intake_greeting_end(client);
    } else if (client->closed) {
        tly_intake_client_listen(client); /* not any more */
    }
}
