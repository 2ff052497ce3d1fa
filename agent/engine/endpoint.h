/*
 * Where the Docker engine listens, as the section `docker` and Docker's own environment say it: a
 * client that can be asked for what is there. Shared by all that speak to the engine.
 */
#ifndef TLY_ENGINE_ENDPOINT_H
#define TLY_ENGINE_ENDPOINT_H

#include "agent/base/error.h"
#include "agent/config/settings.h"
#include "agent/loop/fetch.h"
#include "agent/loop/loop.h"

#include <stdbool.h>

/*
 * `settings` has a host that is not empty. DOCKER_TLS_VERIFY and DOCKER_CERT_PATH are honoured
 * where the settings name no files. `ret_local`: the engine is on this host. -EINVAL with `err` for
 * a host or files that can't be used, -ENOMEM.
 */
int tly_engine_fetcher_new(struct tly_loop *loop, const struct tly_docker_settings *settings,
                           struct tly_fetcher **ret_fetcher, bool *ret_local,
                           struct tly_error *err) TLY_CHECK;

#endif
