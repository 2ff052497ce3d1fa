/*
 * The options of the `logs` section.
 */
#include "collectors/logs/settings.h"

#include "collectors/logs/multiline.h"
#include "collectors/logs/shape.h"
#include "collectors/logs/tag.h"
#include "collectors/logs/template.h"

#include <errno.h>

static const char *const from_names[] = {"now", "beginning", NULL};

static int verify_pods_root(const char *value, struct tly_error *err)
{
    if (value[0] != '\0' && value[0] != '/') {
        return tly_error_set(err, -EINVAL, "the path has to be absolute");
    }
    return 0;
}

static int verify_field(const char *value, struct tly_error *err)
{
    struct tly_text name = tly_text_of(value);
    if (name.len == 0 || tly_text_utf8_prefix(name) < name.len) {
        return tly_error_set(err, -EINVAL, "the name of a field is text, and not empty");
    }
    if (tly_log_template_reserved(name)) {
        return tly_error_set(err, -EINVAL,
                             "`%.40s` is a field that every record has or may have; choose another "
                             "name",
                             value);
    }
    return 0;
}

static int verify_json_key(const char *value, struct tly_error *err)
{
    return value[0] == '\0' ? 0 : verify_field(value, err);
}

#define SHAPE_OFFSET(member) offsetof(struct tly_log_shape_settings, member)

static const struct tly_option shape_rows[] = {
    {.key = "match",
     .type = TLY_OPTION_SECTION,
     .offset = SHAPE_OFFSET(match),
     .inner = tly_terms_options,
     .inner_size = sizeof(struct tly_terms_settings),
     .help = "Containers whose lines this is for: those that fit one pattern of every kind that is "
             "written. Without it: all. What fits several items has all of them."},
    {.key = "exclude",
     .type = TLY_OPTION_SECTION,
     .offset = SHAPE_OFFSET(exclude),
     .inner = tly_terms_options,
     .inner_size = sizeof(struct tly_terms_settings),
     .help = "Which of these it is not for: those that fit any pattern of any kind."},
    {.key = "multiline_start",
     .type = TLY_OPTION_STRING,
     .offset = SHAPE_OFFSET(multiline_start),
     .verify = tly_log_shape_verify,
     .help = "A regular expression: a line in which it is found begins a message, the lines behind "
             "it are joined to it with newlines, up to `line_max`. Of the items that are for a "
             "container, the first one that joins lines counts."},
    {.key = "traces",
     .type = TLY_OPTION_STRINGS,
     .offset = SHAPE_OFFSET(traces),
     .verify = tly_log_traces_verify,
     .help = "Ready rules instead, which join the lines of a trace and leave all others alone: "
             "`java`, `python`, `go`, `node`."},
    {.key = "multiline_wait",
     .type = TLY_OPTION_DURATION,
     .offset = SHAPE_OFFSET(multiline_wait_ms),
     .fallback = "1s",
     .min = 10,
     .max = 60000,
     .help = "How long a message waits for its next line before it is sent as it is; looked at "
             "once a second."},
    {.key = "keep",
     .type = TLY_OPTION_STRINGS,
     .offset = SHAPE_OFFSET(keep),
     .verify = tly_log_shape_verify,
     .help = "Regular expressions (Perl's): a line in which none of them is found goes no further, "
             "and is counted."},
    {.key = "drop",
     .type = TLY_OPTION_STRINGS,
     .offset = SHAPE_OFFSET(drop),
     .verify = tly_log_shape_verify,
     .help = "Regular expressions: a line in which one of them is found goes no further, and is "
             "counted."},
    {.key = "redact",
     .type = TLY_OPTION_STRINGS,
     .offset = SHAPE_OFFSET(redact),
     .verify = tly_log_shape_verify,
     .help = "Regular expressions: what they find, or only what their first group holds, is "
             "covered. When one of them takes too long on a line, all of that line is."},
    {.key = "redact_tokens",
     .type = TLY_OPTION_BOOL,
     .offset = SHAPE_OFFSET(redact_tokens),
     .fallback = "false",
     .help =
         "Covers credentials that can be told by their form: keys of Amazon, Google, Stripe and "
         "SendGrid, tokens of GitHub, GitLab, Docker Hub, npm, PyPI and Slack, JSON web tokens, "
         "`Authorization` headers, passwords in URLs, private keys."},
    {.key = "replacement",
     .type = TLY_OPTION_STRING,
     .offset = SHAPE_OFFSET(replacement),
     .fallback = "'[redacted]'",
     .help = "What stands in the place of what was covered."},
    {.key = "parse_json",
     .type = TLY_OPTION_BOOL,
     .offset = SHAPE_OFFSET(parse_json),
     .fallback = "false",
     .help = "Lines that are JSON objects become fields of their record, after what had to be "
             "covered in them was. Every other line goes on as it is, as does one that is nested "
             "deeper than 32 levels or was split. Of the items that are for a container, the first "
             "one that parses counts."},
    {.key = "json_key",
     .type = TLY_OPTION_STRING,
     .offset = SHAPE_OFFSET(json_key),
     .fallback = "''",
     .verify = verify_json_key,
     .help = "The field that holds the object. Empty: the object's members stand beside the "
             "record's own fields, and those whose name one of these has are only in `log`."},
    {.key = "json_keep_log",
     .type = TLY_OPTION_BOOL,
     .offset = SHAPE_OFFSET(json_keep_log),
     .fallback = "true",
     .help = "Whether `log` still holds the line when it became fields. It does in any case when a "
             "member of the object found its name taken."},
    {.key = "rate_max",
     .type = TLY_OPTION_INT,
     .offset = SHAPE_OFFSET(rate_max),
     .fallback = "0",
     .min = 0,
     .max = 10000000,
     .help = "Most lines per second of each container, by the time at which they were written. "
             "What is beyond goes no further, and is counted. 0: no limit."},
    {.key = "rate_burst",
     .type = TLY_OPTION_INT,
     .offset = SHAPE_OFFSET(rate_burst),
     .fallback = "1000",
     .min = 1,
     .max = 1000000,
     .help = "Lines that may come at once before `rate_max` counts."},
    {.key = NULL},
};

static const struct tly_option field_rows[] = {
    {.key = "name",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = offsetof(struct tly_log_field_settings, name),
     .verify = verify_field,
     .help = "Name of the field."},
    {.key = "value",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = offsetof(struct tly_log_field_settings, value),
     .verify = tly_log_tag_verify,
     .help = "Its value, with the placeholders of `tag`."},
    {.key = NULL},
};

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
             "value of a label, `{hostname}` the name of the host."},
    {.key = "pods_root",
     .restart = true,
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
     .restart = true,
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_logs_settings, line_max_bytes),
     .fallback = "1MiB",
     .min = 64 << 10, /* one piece of Docker's fits, whatever its bytes became */
     .max = 4 << 20,
     .help = "A longer line becomes several records, each with the fields `partial_message`, "
             "`partial_id`, `partial_ordinal` and `partial_last` as Docker's fluentd driver sends "
             "them. Docker's own pieces of 16 KiB are joined up to this length."},
    {.key = "join_max",
     .restart = true,
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
    {.key = "match",
     .type = TLY_OPTION_SECTION,
     .offset = offsetof(struct tly_logs_settings, match),
     .inner = tly_terms_options,
     .inner_size = sizeof(struct tly_terms_settings),
     .help =
         "Containers whose logs are read, for whichever destination: those that fit one pattern "
         "of every kind that is written. Without it: all."},
    {.key = "exclude",
     .type = TLY_OPTION_SECTION,
     .offset = offsetof(struct tly_logs_settings, exclude),
     .inner = tly_terms_options,
     .inner_size = sizeof(struct tly_terms_settings),
     .help = "Which of these are not: those that fit any pattern of any kind."},
    {.key = "label",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_logs_settings, label),
     .fallback = "tallyman.logs",
     .help =
         "A container that has this label with the value `false` is not read. `\"\"`: labels of "
         "containers change nothing."},
    {.key = "shape",
     .type = TLY_OPTION_LIST,
     .offset = offsetof(struct tly_logs_settings, shape),
     .inner = shape_rows,
     .inner_size = sizeof(struct tly_log_shape_settings),
     .help = "What is done to lines on their way: kept or dropped by pattern, secrets covered, so "
             "many per second. Lines that are too long for one record are judged by their first "
             "part. Costs something only for the containers that an item matches."},
    {.key = "fields",
     .type = TLY_OPTION_LIST,
     .offset = offsetof(struct tly_logs_settings, fields),
     .inner = field_rows,
     .inner_size = sizeof(struct tly_log_field_settings),
     .help = "Fields that every record has beside Docker's own."},
    {.key = "record_id",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_logs_settings, record_id),
     .fallback = "false",
     .help = "Adds the field `record_id`, 32 digits that are the same when a record is sent again, "
             "and different for any other: a receiver can drop repeats by it."},
    {.key = "api",
     .restart = true,
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_logs_settings, api),
     .fallback = "true",
     .help =
         "Whether the logs of containers whose driver keeps no file of its own (journald, syslog, "
         "gelf, awslogs ...) are taken from the engine: from its copy on disk, or, where there is "
         "none to be seen, through `docker.host`, which promises less: see docs/log-sources.md."},
    {.key = "api_except",
     .restart = true,
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_logs_settings, api_except),
     .fallback = "[fluentd]",
     .help = "Drivers whose containers are left out of that, because their lines arrive by another "
             "way: those of Docker's fluentd driver are sent to a receiver already, which may be "
             "this agent."},
    {.key = "api_streams_max",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_logs_settings, api_streams_max),
     .fallback = "128",
     .min = 1,
     .max = 10000,
     .help = "Logs that are read from the engine at the same time, one for each container and "
             "destination. Beyond that they take turns of 10 seconds."},
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
    const struct tly_log_shape_settings *shape = logs->shape.at;
    for (size_t i = 0; i < logs->shape.count; i++) {
        if (shape[i].multiline_start && shape[i].traces.count > 0) {
            return tly_error_set(err, -1,
                                 "an item of `shape` has `multiline_start` and `traces`: lines can "
                                 "be joined by one of them only");
        }
    }
    if (logs->shape.count > TLY_LOG_SHAPES_MAX) {
        return tly_error_set(err, -1, "`shape` has at most %d items", TLY_LOG_SHAPES_MAX);
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
