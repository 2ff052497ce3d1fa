/*
 * Answers on their way back: they wait until their frames are safe, are sealed as a lot, and are
 * sent when that lot is. Only clients that have some are looked at, since there may be thousands
 * that have none.
 */
#include "agent/intake/intake_state.h"

#include <stdlib.h>

/* Answers of a client that wait for its frames to be safe, or for it to take them. Beyond this
 * nothing is read from it. */
#define ANSWERS_BYTES_HIGH (64UL * 1024)

struct answer {
    struct tly_intake_client *client;
    char *bytes;
};

/* All that it is still to get. */
static size_t owed_bytes(const struct tly_intake_client *client)
{
    return tly_stream_queued(client->stream) + client->waiting.len + client->sealed.len;
}

static void check_owed(struct tly_intake_client *client)
{
    if (owed_bytes(client) > ANSWERS_BYTES_HIGH) {
        client->deaf = true;
        tly_intake_client_listen(client);
    }
}

static void answer_written(void *arg, int code)
{
    struct answer *answer = arg;
    struct tly_intake_client *client = answer->client;
    free(answer->bytes);
    free(answer);
    if (code < 0 || tly_stream_queued(client->stream) > 0) {
        return; /* with a code the stream's end follows, or is where this comes from */
    }
    if (client->closed) {
        tly_intake_client_free(client);
    } else if (client->deaf && owed_bytes(client) <= ANSWERS_BYTES_HIGH) {
        client->deaf = false;
        tly_intake_client_listen(client);
    }
}

bool tly_intake_client_say(struct tly_intake_client *client, struct tly_buf *bytes)
{
    struct answer *answer = malloc(sizeof(*answer));
    if (!answer) {
        return false;
    }
    struct tly_text text;
    answer->client = client;
    answer->bytes = tly_buf_take(bytes, &text.len);
    text.at = answer->bytes;
    if (tly_stream_write(client->stream, text, (struct tly_text){0}, answer_written, answer) < 0) {
        free(answer->bytes);
        free(answer);
        return false;
    }
    check_owed(client);
    return true;
}

int tly_intake_client_owe(struct tly_intake_client *client, struct tly_text chunk)
{
    struct tly_intake *intake = client->intake;
    int rc = tly_forward_ack(&client->waiting, chunk);
    if (rc == 0 && !client->in_waiting) {
        client->in_waiting = true;
        client->next_waiting = intake->waiting;
        intake->waiting = client;
    }
    check_owed(client);
    return rc;
}

/* What is sealed and what waits, as one. */
static bool join(struct tly_intake_client *client)
{
    if (client->sealed.len > 0) {
        int rc = tly_buf_append_text(&client->sealed, tly_buf_text(&client->waiting));
        tly_buf_clear(&client->waiting);
        return rc == 0;
    }
    struct tly_buf empty = client->sealed;
    client->sealed = client->waiting;
    client->waiting = empty;
    return true;
}

void tly_intake_seal(struct tly_intake *intake)
{
    while (intake->waiting) {
        struct tly_intake_client *client = intake->waiting;
        intake->waiting = client->next_waiting;
        client->in_waiting = false;
        if (!join(client)) {
            tly_intake_client_free(client); /* it has to send those frames once more */
        } else if (!client->in_sealed) {
            client->in_sealed = true;
            client->next_sealed = intake->sealed;
            intake->sealed = client;
        }
    }
}

void tly_intake_answer(struct tly_intake *intake)
{
    while (intake->sealed) {
        struct tly_intake_client *client = intake->sealed;
        intake->sealed = client->next_sealed;
        client->in_sealed = false;
        if (!tly_intake_client_say(client, &client->sealed)) {
            tly_intake_client_free(client);
        }
    }
}

bool tly_intake_owes(const struct tly_intake *intake)
{
    for (const struct tly_intake_client *at = intake->clients; at; at = at->next) {
        if (owed_bytes(at) > 0) {
            return true;
        }
    }
    return false;
}

void tly_intake_client_forget(struct tly_intake_client *client)
{
    struct tly_intake *intake = client->intake;
    struct tly_intake_client **link = &intake->waiting;
    while (client->in_waiting && *link != client) {
        link = &(*link)->next_waiting;
    }
    if (client->in_waiting) {
        *link = client->next_waiting;
        client->in_waiting = false;
    }
    link = &intake->sealed;
    while (client->in_sealed && *link != client) {
        link = &(*link)->next_sealed;
    }
    if (client->in_sealed) {
        *link = client->next_sealed;
        client->in_sealed = false;
    }
}
