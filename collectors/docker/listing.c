/*
 * Listing all containers; see listing.h.
 */
#include "collectors/docker/listing.h"

#include "agent/codec/container_json.h"
#include "agent/codec/json_split.h"

#include <errno.h>
#include <stdlib.h>

/* A list may be large (10,000 containers: 20 MB), one row of it not. */
#define ROW_BYTES_MAX  ((size_t)1 << 20)
#define LIST_BYTES_MAX ((size_t)256 << 20)

struct tly_docker_listing {
    struct tly_docker_engine *engine;
    struct tly_docker_roster *roster;
    int64_t timeout_ms;
    tly_docker_listed_fn listed;
    void *arg;
    struct tly_docker_get *get; /* NULL: none under way */
    struct tly_json_split split;
    size_t bytes;
    uint64_t bad_rows; /* of this list */
    uint64_t errors;
};

int tly_docker_listing_new(struct tly_docker_engine *engine, struct tly_docker_roster *roster,
                           int64_t timeout_ms, tly_docker_listed_fn listed, void *arg,
                           struct tly_docker_listing **ret_listing)
{
    struct tly_docker_listing *listing = calloc(1, sizeof(*listing));
    if (!listing) {
        return -ENOMEM;
    }
    listing->engine = engine;
    listing->roster = roster;
    listing->timeout_ms = timeout_ms;
    listing->listed = listed;
    listing->arg = arg;
    *ret_listing = listing;
    return 0;
}

void tly_docker_listing_free(struct tly_docker_listing *listing)
{
    if (listing) {
        tly_docker_listing_cancel(listing);
        free(listing);
    }
}

static void end(struct tly_docker_listing *listing)
{
    listing->get = NULL;
    listing->errors += listing->bad_rows + listing->split.oversized;
    tly_json_split_done(&listing->split);
}

void tly_docker_listing_cancel(struct tly_docker_listing *listing)
{
    if (listing && listing->get) {
        tly_docker_engine_cancel(listing->get);
        end(listing);
    }
}

bool tly_docker_listing_busy(const struct tly_docker_listing *listing)
{
    return listing->get != NULL;
}

uint64_t tly_docker_listing_errors(const struct tly_docker_listing *listing)
{
    return listing->errors;
}

static int take_row(void *arg, struct tly_text json)
{
    struct tly_docker_listing *listing = arg;
    struct tly_container_row row;
    if (tly_container_parse_row(json, &row, NULL) < 0) {
        listing->bad_rows++;
        return 0;
    }
    tly_docker_roster_list_row(listing->roster, &row);
    return 0;
}

static void take_bytes(void *arg, struct tly_text bytes)
{
    struct tly_docker_listing *listing = arg;
    listing->bytes += bytes.len;
    int rc = tly_json_split_feed(&listing->split, bytes, take_row, listing);
    if (rc < 0 || listing->bytes > LIST_BYTES_MAX || listing->split.malformed > 0) {
        static const struct tly_docker_reply reply = {
            .outcome = TLY_DOCKER_FAILED,
            .code = TLY_E_MALFORMED,
            .why = "the reply is no list of containers",
        };
        tly_docker_listing_cancel(listing); /* the rest of it is not worth waiting for */
        listing->listed(listing->arg, &reply, false);
    }
}

static void done(void *arg, const struct tly_docker_reply *reply)
{
    struct tly_docker_listing *listing = arg;
    bool closed = tly_json_split_complete(&listing->split);
    bool whole = closed && listing->bad_rows == 0 && listing->split.oversized == 0;
    struct tly_docker_reply outcome = *reply;
    if (reply->outcome == TLY_DOCKER_OK && !closed) {
        outcome.outcome = TLY_DOCKER_FAILED;
        outcome.why = "the list broke off";
    }
    end(listing);
    listing->listed(listing->arg, &outcome, whole);
}

int tly_docker_listing_start(struct tly_docker_listing *listing)
{
    struct tly_docker_request request = {
        .api = TLY_DOCKER_LIST,
        .path = "/containers/json?all=1",
        .timeout_ms = listing->timeout_ms,
        .chunk = take_bytes,
        .done = done,
        .arg = listing,
    };
    if (listing->get) {
        return 0;
    }
    int rc = tly_docker_engine_get(listing->engine, &request, &listing->get);
    if (rc < 0) {
        return rc;
    }
    tly_json_split_init(&listing->split, TLY_JSON_ELEMENTS, ROW_BYTES_MAX);
    listing->bytes = 0;
    listing->bad_rows = 0;
    tly_docker_roster_list_begin(listing->roster);
    return 0;
}
