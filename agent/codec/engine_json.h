/*
 * The rest of what the Docker engine says about itself: API versions and their negotiation, the
 * text of a refusal, /info and execs. Pure.
 */
#ifndef TLY_CODEC_ENGINE_JSON_H
#define TLY_CODEC_ENGINE_JSON_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_api_version {
    int major, minor;
};

/* The span that the agent knows: Docker 1.12 to 29. */
#define TLY_API_OLDEST ((struct tly_api_version){1, 24})
#define TLY_API_NEWEST ((struct tly_api_version){1, 55})

/* "1.44", also with a leading "v". TLY_E_MALFORMED. */
int tly_api_version_parse(struct tly_text text, struct tly_api_version *ret_version) TLY_CHECK;
/* Negative, 0 or positive as `a` is older than, equal to or newer than `b`. */
int tly_api_version_compare(struct tly_api_version a, struct tly_api_version b);

/*
 * The message in the body of a refusal: {"message": "..."}, or the body itself when it is no JSON
 * (HTML of a proxy, plain text of old engines) in its first line. Control characters become blanks;
 * at most `cap` - 1 bytes and a NUL.
 */
void tly_engine_message(struct tly_text body, char *to, size_t cap);

/*
 * The version that a refusal asks for: "client version 1.23 is too old. Minimum supported API
 * version is 1.24, ..." and "client version 1.60 is too new. Maximum supported API version is
 * 1.55". False when `message` says nothing of the kind.
 */
bool tly_engine_wants_version(struct tly_text message, struct tly_api_version *ret_version);

/* What /info tells. Cut to fit; empty where it says nothing. */
struct tly_engine_info {
    char id[128];
    char version[64];
    char data_root[4096];
};
int tly_engine_info_parse(struct tly_text json, struct tly_engine_info *ret_info,
                          struct tly_error *err) TLY_CHECK;

/* What GET /exec/{id}/json tells of one `docker exec`. */
struct tly_engine_exec {
    char container_id[65];
    bool tty, privileged;
    char user[64]; /* as it was asked for, else the container's own; a longer one is cut */
};
/* TLY_E_MALFORMED without a ProcessConfig or a container, -ENOMEM. */
int tly_engine_exec_parse(struct tly_text json, struct tly_engine_exec *ret_exec,
                          struct tly_error *err) TLY_CHECK;

#endif
