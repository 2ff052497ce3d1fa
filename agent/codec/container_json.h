/*
 * What the Docker engine says of a container, as JSON: the replies to `inspect` and `list` of API
 * 1.24 to 1.55 and of Podman's compatible API, and the two files that the engine keeps per
 * container under data_root. Pure; a field that is absent or has another type stays unknown.
 *
 * Engine API: https://docs.docker.com/reference/api/engine/ (ContainerInspect, ContainerList).
 */
#ifndef TLY_CODEC_CONTAINER_JSON_H
#define TLY_CODEC_CONTAINER_JSON_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/model/container.h"

#include <stdint.h>

/*
 * GET /containers/{id}/json. The result has one reference, the caller's. TLY_E_MALFORMED without a
 * usable id or when the text is no JSON object, -ENOMEM.
 *
 * Where the engine's words mislead, the result says what is so:
 * - ExitCode reads 0 while a container runs: exit_code stays unknown then;
 * - the health of a stopped container reads "unhealthy": health stays unknown unless it runs.
 */
int tly_container_parse_inspect(struct tly_text json, struct tly_container **ret_container,
                                struct tly_error *err) TLY_CHECK;

/*
 * data_root/containers/<id>/config.v2.json and hostconfig.json; the latter may be empty, then the
 * limits and the log driver stay unknown. Errors as above.
 */
int tly_container_parse_files(struct tly_text config_v2, struct tly_text host_config,
                              struct tly_container **ret_container,
                              struct tly_error *err) TLY_CHECK;

/* One element of the array that GET /containers/json?all=1 returns. */
struct tly_container_row {
    struct tly_container *container; /* owned; what a list can tell: no pid, limits, log path */
    /* Changes when the row shows another name, state, health or exit code, and not merely because
     * time passed ("Up 2 minutes", "Up 3 minutes"). */
    uint64_t fingerprint;
    /* The state can't have begun longer ago than this: 180 for "Up 2 minutes". Tells a restart
     * that happened between two looks. TLY_UNKNOWN where the row says nothing of it. */
    int64_t age_max_s;
};

/* Errors as above; `ret_row` is to be given to tly_container_row_done. */
int tly_container_parse_row(struct tly_text json, struct tly_container_row *ret_row,
                            struct tly_error *err) TLY_CHECK;
void tly_container_row_done(struct tly_container_row *row);

#endif
