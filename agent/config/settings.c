/*
 * The tables of the core's own sections. The defaults here are the agent's behaviour without any
 * configuration; each text is read like the user's own.
 */
#include "agent/config/settings.h"

#include "agent/base/text.h"
#include "agent/config/secret.h"

#include <errno.h>

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)

/* ---- top level ---- */

static const struct tly_option top_rows[] = {
    {.key = "state_dir",
     .restart = true,
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_settings, state_dir),
     .fallback = "${STATE_DIRECTORY:-/var/lib/tallyman}",
     .help = "Folder for what must survive a restart: how far each log is delivered. One agent "
             "alone may use it. systemd's StateDirectory= sets STATE_DIRECTORY."},
    {.key = NULL},
};

const struct tly_section tly_settings_section = {
    .key = "",
    .type = TLY_OPTION_SECTION,
    .options = top_rows,
    .size = sizeof(struct tly_settings),
    .help = "Keys that belong to no section.",
};

/* ---- docker ---- */

static int verify_host(const char *value, struct tly_error *err)
{
    const struct tly_text socket = TLY_TEXT("unix:///");
    const struct tly_text tcp = TLY_TEXT("tcp://");
    struct tly_text host = tly_text_of(value);
    if (host.len == 0 || (tly_text_starts(host, socket) && host.len > socket.len) ||
        (tly_text_starts(host, tcp) && host.len > tcp.len)) {
        return 0;
    }
    return tly_error_set(err, -EINVAL,
                         "`%.60s` is no address of a Docker engine; write unix:///path/of/socket, "
                         "tcp://host:port, or \"\" for none",
                         value);
}

static const struct tly_option docker_rows[] = {
    {.key = "host",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_docker_settings, host),
     .fallback = "${DOCKER_HOST:-unix:///var/run/docker.sock}",
     .verify = verify_host,
     .help = "Where the Docker API listens: `unix:///path` or `tcp://host:port`. `\"\"` does "
             "without the API; names and labels then come from the files below `data_root`."},
    {.key = "data_root",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_docker_settings, data_root),
     .help = "Docker's own folder, where container logs and descriptions lie. Without it: what "
             "the engine says, else /var/lib/docker, which may be absent where `host` is `\"\"`."},
    {.key = "ca_file",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_docker_settings, ca_file),
     .help = "For `tcp://` with TLS: certificates (PEM) that the engine's own must be signed by."},
    {.key = "cert_file",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_docker_settings, cert_file),
     .help = "For `tcp://` with TLS: the agent's certificate (PEM)."},
    {.key = "key_file",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_docker_settings, key_file),
     .help = "For `tcp://` with TLS: the key of `cert_file` (PEM)."},
    {.key = "timeout",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_docker_settings, timeout_ms),
     .fallback = "10s",
     .min = SECOND_MS,
     .max = 5 * MINUTE_MS,
     .help = "How long one request to the engine may take. The event stream has no such limit."},
    {.key = "system_df_interval",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_docker_settings, system_df_interval_ms),
     .fallback = "15m",
     .min = SECOND_MS,
     .max = 7 * 24 * HOUR_MS,
     .help = "How often the engine is asked what its images, containers, volumes and build cache "
             "take on disk, where the group `system_df` is on: it walks through all of them then."},
    {.key = NULL},
};

static int verify_docker(const void *value, struct tly_error *err)
{
    const struct tly_docker_settings *docker = value;
    if ((docker->cert_file == NULL) != (docker->key_file == NULL)) {
        return tly_error_set(err, -EINVAL,
                             "`cert_file` and `key_file` go together; `%s` is missing",
                             docker->cert_file ? "key_file" : "cert_file");
    }
    return tly_secret_check(docker->key_file, err);
}

const struct tly_section tly_docker_section = {
    .key = "docker",
    .type = TLY_OPTION_SECTION,
    .restart = true,
    .options = docker_rows,
    .size = sizeof(struct tly_docker_settings),
    .verify = verify_docker,
    .help = "How the Docker engine is reached. The agent only ever reads (GET), may start before "
            "the engine and survives its restart.",
};

/* ---- collect ---- */

static int verify_not_empty(const char *value, struct tly_error *err)
{
    return *value ? 0 : tly_error_set(err, -EINVAL, "an empty text matches nothing; remove it");
}

static const struct tly_option collect_rows[] = {
    {.key = "interval",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_collect_settings, interval_ms),
     .fallback = "10s",
     .min = SECOND_MS,
     .max = HOUR_MS,
     .help = "How often the kernel's files are read when nobody asks. A scrape reads anew."},
    {.key = "labels",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_collect_settings, labels),
     .fallback = "[com.docker.compose.project, com.docker.compose.service, "
                 "com.docker.swarm.service.name, com.docker.swarm.task.name, "
                 "tallyman.alerts.off]",
     .verify = verify_not_empty,
     .help = "Container labels that become metric labels (`container_label_…`), as patterns with "
             "`*` and `?`. Each label with many values multiplies the series in Prometheus."},
    {.key = "containers_max",
     .restart = true,
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_collect_settings, containers_max),
     .fallback = "10000",
     .min = 1,
     .max = 100000,
     .help = "Most containers that are taken in, stopped ones included; more are refused and "
             "counted in tallyman_inventory_containers_refused_total."},
    {.key = "samples_max",
     .restart = true,
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_collect_settings, samples_max),
     .fallback = "5000000",
     .min = 1000,
     .max = 100000000,
     .help = "Most samples of one scrape. Beyond it whole containers are left out, none by halves, "
             "and counted in tallyman_scrape_left_out_samples_total; the host and the agent stay."},
    {.key = "labels_max",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_collect_settings, labels_max),
     .fallback = "64",
     .min = 1,
     .max = 512,
     .help = "Most labels of one container that become metric labels; more are left out and "
             "counted in tallyman_inventory_labels_dropped_total."},
    {.key = "label_value_max",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_collect_settings, label_value_bytes_max),
     .fallback = "1KiB",
     .min = 16,
     .max = 64 * 1024,
     .help = "Longest value of a metric label; longer ones are cut and counted in "
             "tallyman_inventory_label_values_cut_total."},
    {.key = NULL},
};

const struct tly_section tly_collect_section = {
    .key = "collect",
    .type = TLY_OPTION_SECTION,
    .options = collect_rows,
    .size = sizeof(struct tly_collect_settings),
    .help = "What all collectors share.",
};

/* ---- spool ---- */

#define MIB (1024LL * 1024)
#define GIB (1024 * MIB)

static const struct tly_option spool_rows[] = {
    {.key = "max",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_spool_settings, disk_bytes_max),
     .fallback = "1GiB",
     .min = 4 * MIB,
     .max = 1024 * GIB,
     .help = "Most bytes on disk. At the bound the oldest records go, and are counted for each "
             "destination that has not read them in tallyman_spool_dropped_records_total."},
    {.key = "memory_max",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_spool_settings, memory_bytes_max),
     .fallback = "16MiB",
     .min = 1 * MIB,
     .max = GIB,
     .help = "Most bytes that gather in memory while the disk is slow or full. Beyond it clients "
             "that want acknowledgements wait; what others send is dropped and counted."},
    {.key = "sync",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_spool_settings, sync),
     .fallback = "true",
     .help = "Whether each write is synced to the disk before its records are acknowledged to "
             "those who sent them, so that not even power loss takes them. Many records share one "
             "sync. Without it they survive the agent's death, but not the host's."},
    {.key = NULL},
};

static int verify_spool(const void *value, struct tly_error *err)
{
    const struct tly_spool_settings *spool = value;
    if (spool->disk_bytes_max < 4 * spool->memory_bytes_max) {
        return tly_error_set(err, -EINVAL,
                             "`max` has to be at least four times `memory_max`, or one write could "
                             "push out all that came before");
    }
    return 0;
}

const struct tly_section tly_spool_section = {
    .key = "spool",
    .type = TLY_OPTION_SECTION,
    .restart = true,
    .options = spool_rows,
    .size = sizeof(struct tly_spool_settings),
    .verify = verify_spool,
    .help = "Where records wait on disk that can't be read again: Docker's events, alerts, and "
            "what the receiver takes. Log files need no spool; they are one themselves.",
};

/* ---- web ---- */

/* host:port, [v6]:port, :port, unix:/path or systemd; that it can be bound is seen at start. */
static int verify_listen(const char *value, struct tly_error *err)
{
    struct tly_text text = tly_text_of(value);
    if (tly_text_starts(text, TLY_TEXT("unix:///")) || tly_text_starts(text, TLY_TEXT("unix:/")) ||
        tly_text_equal(text, TLY_TEXT("systemd")) || tly_text_starts(text, TLY_TEXT("systemd:"))) {
        return 0;
    }
    const char *colon = strrchr(value, ':');
    uint64_t port = UINT64_MAX;
    bool digits = colon && tly_text_u64(tly_text_of(colon + 1), &port) == 0;
    bool bare_v6 = colon && colon != strchr(value, ':') && *value != '[';
    if (!digits || port > UINT16_MAX || bare_v6) {
        return tly_error_set(err, -EINVAL,
                             "`%.60s` is no address to listen on; write 127.0.0.1:10191, "
                             "[::1]:10191, :10191, unix:///path or systemd",
                             value);
    }
    return 0;
}

static const struct tly_option web_rows[] = {
    {.key = "listen",
     .restart = true,
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_web_settings, listen),
     .fallback = "[\"127.0.0.1:10191\"]",
     .verify = verify_listen,
     .help = "Addresses for /metrics and the status page: `host:port`, `[v6]:port`, `:port` for "
             "every interface, `unix:///path`, or `systemd` for the sockets that a .socket unit "
             "hands over (`systemd:NAME` for the one with that FileDescriptorName). `[]` serves "
             "nothing."},
    {.key = "reload",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_web_settings, reload),
     .fallback = "false",
     .help =
         "Whether `POST /-/reload` applies a changed configuration, as SIGHUP does. Whoever may "
         "read /metrics may then ask for it."},
    {.key = "config_file",
     .restart = true,
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_web_settings, config_file),
     .help = "TLS, client certificates, basic authentication, headers and a limit of requests, in "
             "the web configuration format that Prometheus's own exporters share; see docs/web.md. "
             "Read again when it changes."},
    {.key = "connections_max",
     .restart = true,
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_web_settings, connections_max),
     .fallback = "128",
     .min = 1,
     .max = 20000,
     .help = "Most connections at a time."},
    {.key = "header_max",
     .restart = true,
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_web_settings, header_bytes_max),
     .fallback = "32KiB",
     .min = 8192,
     .max = 1048576,
     .help = "Memory for the header of one request and that of its answer. A longer request is "
             "answered with 414 or 431."},
    {.key = "header_timeout",
     .restart = true,
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_web_settings, header_ms),
     .fallback = "10s",
     .min = 100,
     .max = 600000,
     .help = "From connecting to the end of the first request's header, the TLS handshake "
             "included. Who is slower is cut off."},
    {.key = "idle_timeout",
     .restart = true,
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_web_settings, idle_ms),
     .fallback = "2m",
     .min = 100,
     .max = 86400000,
     .help = "How long a connection stays open between requests; longer than the scrape interval, "
             "or each scrape connects anew."},
    {.key = "send_timeout",
     .restart = true,
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_web_settings, sending_ms),
     .fallback = "1m",
     .min = 100,
     .max = 3600000,
     .help = "How long a client may take over an answer."},
    {.key = "answers_max",
     .restart = true,
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_web_settings, answer_bytes_max),
     .fallback = "256MiB",
     .min = 1048576,
     .help = "Answers in memory that clients have not taken yet, all together. Above that the "
             "slowest clients are cut off, or new requests answered with 503."},
    {.key = "scrapes_max",
     .restart = true,
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_web_settings, scrapes_max),
     .fallback = "64",
     .min = 1,
     .max = 1000,
     .help = "Scrapes under way at a time; more are answered with 503."},
    {.key = NULL},
};

const struct tly_section tly_web_section = {
    .key = "web",
    .type = TLY_OPTION_SECTION,
    .options = web_rows,
    .size = sizeof(struct tly_web_settings),
    .help = "The agent's HTTP server.",
};

/* ---- log ---- */

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

static const struct tly_option log_rows[] = {
    {.key = "level",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct tly_log_settings, level),
     .fallback = "info",
     .choices = log_levels,
     .help = "The least important messages that are still written."},
    {.key = NULL},
};

const struct tly_section tly_log_section = {
    .key = "log",
    .type = TLY_OPTION_SECTION,
    .options = log_rows,
    .size = sizeof(struct tly_log_settings),
    .help = "The agent's own log, as logfmt lines on standard error.",
};
