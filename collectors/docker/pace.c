/*
 * The pace of an agent at work; see pace.h for what each of the times is and why.
 */
#include "collectors/docker/pace.h"

const struct tly_docker_pace tly_docker_pace_default = {
    .tick = 1000,
    .retry_first = 500,
    .retry_local_max = 1500,
    .retry_remote_max = 30000,
    .steady = 10000,
    .ping_every = 10000,
    .list_every = 300000,
    .list_retry = 30000,
    .list_spacing = 1000,
    .open_max = 5000,
    .open_retry = 60000,
    .stream_life_min = 1000,
    .replay_wait = 100,
    .event_delay = 50,
    .again_first = 5000,
    .healthy_refresh = 60000,
    .doubtful_refresh = 10000,
    .probe_spacing = 2000,
};
