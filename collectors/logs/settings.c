/*
 * The options of the `logs` section.
 */
#include "collectors/logs/settings.h"

#include "collectors/logs/tag.h"

#include <errno.h>

static const char *const from_names[] = {"now", "beginning", NULL};

static int verify_pods_root(const char *value, struct tly_error *err)
{
    if (value[0] != '\0' && value[0] != '/') {
        return tly_error_set(err, -EINVAL, "the path has to be absolute");
    }
    return 0;
}

static const struct tly_option logs_rows[] = {
    {.key = "from",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct tly_logs_settings, from),
     .fallback = "now",
     .choices = from_names,
     .help = "Where to begin in log files that stand there when the agent runs for the first time. "
             "What is written later, also while the agent is down, is read from its beginning."},
    {.key = "tag",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_logs_settings, tag),
     .fallback = "docker.{id}",
     .verify = tly_log_tag_verify,
     .help = "The tag of each container's records. `{id}` is the first 12 digits of its id, "
             "`{full_id}` all of them, `{name}` its name, `{image}` its image, `{label:KEY}` the "
             "value of a label."},
    {.key = "pods_root",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_logs_settings, pods_root),
     .fallback = "/var/log/pods",
     .verify = verify_pods_root,
     .help = "The folder in which a kubelet keeps the logs of its pods' containers, written by "
             "containerd or CRI-O. It may be absent; `\"\"` switches this off."},
    {.key = "pods_tag",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_logs_settings, pods_tag),
     .fallback = "kubernetes.{label:io.kubernetes.pod.namespace}.{label:io.kubernetes.pod.name}."
                 "{name}",
     .verify = tly_log_tag_verify,
     .help = "The same for containers of Kubernetes: `{name}` is the container's name within its "
             "pod, `{id}` and `{full_id}` are the pod's, and the labels are "
             "`io.kubernetes.pod.namespace`, `io.kubernetes.pod.name`, `io.kubernetes.pod.uid` and "
             "`io.kubernetes.container.name`."},
    {.key = "line_max",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_logs_settings, line_max_bytes),
     .fallback = "1MiB",
     .min = 64 << 10, /* one piece of Docker's fits, whatever its bytes became */
     .max = 4 << 20,
     .help = "A longer line becomes several records, each with the fields `partial_message`, "
             "`partial_id`, `partial_ordinal` and `partial_last` as Docker's fluentd driver sends "
             "them. Docker's own pieces of 16 KiB are joined up to this length."},
    {.key = "join_max",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_logs_settings, join_max_bytes),
     .fallback = "8MiB",
     .min = 64 << 10,
     .max = 1 << 30,
     .help = "Memory for pieces of lines that wait for the rest of their line, over all "
             "containers. When it is used up, lines are split earlier than at `line_max`."},
    {.key = "held_max",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_logs_settings, held_max_bytes),
     .fallback = "1GiB",
     .min = 0,
     .max = INT64_MAX,
     .help = "Most bytes on disk that are kept from vanishing: log files that Docker deleted, "
             "rotating or removing the container, before they were delivered. Beyond it the "
             "container that holds most gives up its oldest file, which is counted."},
    {.key = NULL},
};

static int verify_logs(const void *value, struct tly_error *err)
{
    const struct tly_logs_settings *logs = value;
    if (logs->join_max_bytes < logs->line_max_bytes) {
        return tly_error_set(
            err, -1,
            "`join_max` is less than `line_max`: a line of that length could never "
            "be joined; raise join_max or lower line_max");
    }
    return 0;
}

const struct tly_section tly_logs_section = {
    .key = "logs",
    .type = TLY_OPTION_SECTION,
    .options = logs_rows,
    .size = sizeof(struct tly_logs_settings),
    .verify = verify_logs,
    .help = "The log lines of containers: where reading begins and how records are made.",
};
