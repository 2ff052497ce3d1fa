/*
 * Requests to the engine, counted by endpoint and outcome; see requests.h.
 */
#include "agent/engine/requests.h"

#include "agent/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const api_names[TLY_DOCKER_API_COUNT] = {
    [TLY_DOCKER_PING] = "ping",       [TLY_DOCKER_INFO] = "info",
    [TLY_DOCKER_EVENTS] = "events",   [TLY_DOCKER_LIST] = "list",
    [TLY_DOCKER_INSPECT] = "inspect", [TLY_DOCKER_EXEC] = "exec",
    [TLY_DOCKER_USAGE] = "system_df", [TLY_DOCKER_NETWORKS] = "networks",
    [TLY_DOCKER_LOGS] = "logs",
};

/* Why there was no reply, in the words of the label `code`. */
static const struct reason {
    int code;
    const char *word;
} reasons[] = {
    {TLY_E_TIMEOUT, "timeout"},     {TLY_E_CLOSED, "closed"},   {TLY_E_LIMIT, "too_long"},
    {TLY_E_MALFORMED, "malformed"}, {-ENOENT, "absent"},        {-ECONNREFUSED, "absent"},
    {-EHOSTUNREACH, "absent"},      {-EACCES, "no_permission"}, {-EIO, "failed"},
};

/* The first reason with the same word as the code's; the last, where the code has none. */
static const struct reason *reason_of(int code)
{
    const struct reason *last = &reasons[sizeof(reasons) / sizeof(reasons[0]) - 1];
    const struct reason *found = reasons;
    while (found < last && found->code != code) {
        found++;
    }
    const struct reason *first = reasons;
    while (strcmp(first->word, found->word) != 0) {
        first++;
    }
    return first;
}

void tly_docker_requests_count(struct tly_docker_requests *requests, enum tly_docker_api api,
                               int code)
{
    code = code > 0 ? code : reason_of(code)->code;
    for (size_t i = 0; i < requests->at[api].code_count; i++) {
        if (requests->at[api].codes[i].code == code) {
            requests->at[api].codes[i].count++;
            return;
        }
    }
    if (requests->at[api].code_count == TLY_DOCKER_CODES_MAX) {
        requests->at[api].other++;
        return;
    }
    size_t new = requests->at[api].code_count++;
    requests->at[api].codes[new] = (struct tly_docker_code_count){.code = code, .count = 1};
}

static void meter_request(struct tly_samples *samples, const char *endpoint, const char *code,
                          uint64_t count)
{
    static const char *const names[] = {"endpoint", "code"};
    struct tly_text values[] = {tly_text_of(endpoint), tly_text_of(code)};
    tly_samples_add(samples, TLY_F_tallyman_docker_api_requests_total,
                    tly_samples_dim(samples, names, values, 2), (int64_t)count);
}

void tly_docker_requests_meter(const struct tly_docker_requests *requests,
                               struct tly_samples *samples)
{
    for (size_t api = 0; api < TLY_DOCKER_API_COUNT; api++) {
        for (size_t i = 0; i < requests->at[api].code_count; i++) {
            const struct tly_docker_code_count *at = &requests->at[api].codes[i];
            char status[16];
            (void)snprintf(status, sizeof(status), "%d", at->code); /* fits */
            meter_request(samples, api_names[api],
                          at->code > 0 ? status : reason_of(at->code)->word, at->count);
        }
        if (requests->at[api].other > 0) {
            meter_request(samples, api_names[api], "other", requests->at[api].other);
        }
    }
}
