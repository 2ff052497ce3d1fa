/*
 * Docker's events, from API 1.24 to 1.55 (moby/daemon/events); Podman's are told in Docker's words.
 */
#include "collectors/docker/action.h"

/* Grouped by type, "other" last in each. */
const struct tly_docker_action tly_docker_actions[TLY_DOCKER_ACTIONS] = {
    {"container", "archive-path"},
    {"container", "attach"},
    {"container", "checkpoint"},
    {"container", "commit"},
    {"container", "copy"},
    {"container", "create"},
    {"container", "destroy"},
    {"container", "detach"},
    {"container", "die"},
    {"container", "exec_create"},
    {"container", "exec_detach"},
    {"container", "exec_die"},
    {"container", "exec_start"},
    {"container", "export"},
    {"container", "extract-to-dir"},
    {"container", "health_status"},
    {"container", "kill"},
    {"container", "mount"},
    {"container", "oom"},
    {"container", "pause"},
    {"container", "prune"},
    {"container", "rename"},
    {"container", "resize"},
    {"container", "restart"},
    {"container", "start"},
    {"container", "stop"},
    {"container", "top"},
    {"container", "unmount"},
    {"container", "unpause"},
    {"container", "update"},
    {"container", "other"},
    {"image", "create"},
    {"image", "delete"},
    {"image", "import"},
    {"image", "load"},
    {"image", "prune"},
    {"image", "pull"},
    {"image", "push"},
    {"image", "save"},
    {"image", "tag"},
    {"image", "untag"},
    {"image", "other"},
    {"network", "connect"},
    {"network", "create"},
    {"network", "destroy"},
    {"network", "disconnect"},
    {"network", "prune"},
    {"network", "remove"},
    {"network", "update"},
    {"network", "other"},
    {"volume", "create"},
    {"volume", "destroy"},
    {"volume", "mount"},
    {"volume", "prune"},
    {"volume", "unmount"},
    {"volume", "other"},
    {"daemon", "reload"},
    {"daemon", "other"},
    {"plugin", "create"},
    {"plugin", "disable"},
    {"plugin", "enable"},
    {"plugin", "install"},
    {"plugin", "pull"},
    {"plugin", "push"},
    {"plugin", "remove"},
    {"plugin", "upgrade"},
    {"plugin", "other"},
    {"builder", "prune"},
    {"builder", "other"},
    {"service", "create"},
    {"service", "remove"},
    {"service", "update"},
    {"service", "other"},
    {"node", "create"},
    {"node", "remove"},
    {"node", "update"},
    {"node", "other"},
    {"secret", "create"},
    {"secret", "remove"},
    {"secret", "update"},
    {"secret", "other"},
    {"config", "create"},
    {"config", "remove"},
    {"config", "update"},
    {"config", "other"},
    {"other", "other"},
};

size_t tly_docker_action_find(struct tly_text type, struct tly_text action)
{
    size_t other = TLY_DOCKER_ACTIONS - 1;
    for (size_t i = 0; i < TLY_DOCKER_ACTIONS; i++) {
        if (!tly_text_equal(tly_text_of(tly_docker_actions[i].type), type)) {
            continue;
        }
        if (tly_text_equal(tly_text_of(tly_docker_actions[i].action), action)) {
            return i;
        }
        other = i; /* in the end the last one of this type */
    }
    return other;
}
