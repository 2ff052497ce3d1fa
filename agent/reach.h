/*
 * What a configuration needs of the host, as the sandbox wants to know it: what every agent reads,
 * what options name, what each module says of itself.
 */
#ifndef TLY_REACH_H
#define TLY_REACH_H

#include "agent/config/option.h"
#include "agent/sandbox/needs.h"

/*
 * Collects it into `ret_needs`, which the caller empties by tly_needs_done(). `config_path` is the
 * file that the configuration comes from, which is read again at a reload; NULL: none. Capabilities
 * are those of the calling process that features need. What went wrong stands in ret_needs->failed.
 */
void tly_reach(const struct tly_config *config, const char *config_path,
               struct tly_needs *ret_needs);

#endif
