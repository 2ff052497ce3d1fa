/*
 * The option tables of both sections, which differ in what their URL may be.
 */
#include "outputs/alertmanager/settings.h"

#include "agent/base/text.h"
#include "agent/config/secret.h"

#include <errno.h>
#include <string.h>

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)

#define OFFSET(member) offsetof(struct tly_alert_peer_settings, member)

/* Behind the scheme; {NULL, 0} when that is not one of ours. */
static struct tly_text behind_scheme(const char *url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(url, schemes[i], len) == 0) {
            return tly_text_of(url + len);
        }
    }
    return (struct tly_text){NULL, 0};
}

static struct tly_text host_of(const char *url)
{
    struct tly_text rest = behind_scheme(url);
    return (struct tly_text){rest.at, rest.at ? strcspn(rest.at, "/?#") : 0};
}

struct tly_text tly_alert_peer_host(const struct tly_alert_peer_settings *settings)
{
    return host_of(settings->url);
}

/* No message shows the URL: a webhook's is often its only secret. */
static int verify_url(const char *value, struct tly_error *err)
{
    struct tly_text host = host_of(value);
    if (host.len == 0) {
        return tly_error_set(err, -EINVAL, "write http://host:port or https://host:port");
    }
    if (memchr(host.at, '@', host.len)) {
        return tly_error_set(err, -EINVAL,
                             "user and password do not belong into the URL; write `username` and "
                             "`password_file`");
    }
    for (const char *at = value; *at; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f) {
            return tly_error_set(err, -EINVAL, "a URL has no blanks or control characters");
        }
    }
    return 0;
}

static int verify_base_url(const char *value, struct tly_error *err)
{
    int rc = verify_url(value, err);
    if (rc < 0) {
        return rc;
    }
    if (value[strcspn(value, "?#")] != '\0') {
        return tly_error_set(err, -EINVAL, "the URL of an Alertmanager has no query");
    }
    if (value[0] != '\0' && value[strlen(value) - 1] == '/') {
        return tly_error_set(err, -EINVAL, "write it without the slash at the end");
    }
    if (tly_text_ends(tly_text_of(value), TLY_TEXT("/api/v2/alerts"))) {
        return tly_error_set(err, -EINVAL, "write it without /api/v2/alerts, which is added");
    }
    return 0;
}

/* Prometheus's rule for names of labels. */
static int verify_label(const char *value, struct tly_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    bool good = value[0] != '\0' && strchr(letters, value[0]);
    for (const char *at = value; good && *at; at++) {
        good = strchr(letters, *at) || (*at >= '0' && *at <= '9');
    }
    if (!good || strcmp(value, "__name__") == 0) {
        return tly_error_set(err, -EINVAL,
                             "`%.40s` is no name of a label: letters, digits and _, no digit first",
                             value);
    }
    return 0;
}

static const struct tly_option label_rows[] = {
    {.key = "name",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = offsetof(struct tly_alert_label_settings, name),
     .verify = verify_label,
     .help = "Name of the label."},
    {.key = "value",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = offsetof(struct tly_alert_label_settings, value),
     .help = "Its value. `{hostname}` stands for the name of the host; empty: no such label."},
    {.key = NULL},
};

#define NAME_ROW                                                                                   \
    {                                                                                              \
        .key = "name", .type = TLY_OPTION_STRING, .offset = OFFSET(name),                          \
        .help = "Name in metrics and messages. Without it: host and port of the URL."              \
    }

#define AUTH_ROWS                                                                                  \
    {.key = "username",                                                                            \
     .type = TLY_OPTION_STRING,                                                                    \
     .offset = OFFSET(username),                                                                   \
     .help = "User for HTTP basic authentication."},                                               \
        {.key = "password",                                                                        \
         .type = TLY_OPTION_SECRET,                                                                \
         .offset = OFFSET(password),                                                               \
         .help = "The user's password."},                                                          \
        {.key = "bearer_token",                                                                    \
         .type = TLY_OPTION_SECRET,                                                                \
         .offset = OFFSET(bearer_token),                                                           \
         .help = "Token to show instead of a user."},                                              \
        {.key = "ca_file",                                                                         \
         .type = TLY_OPTION_PATH,                                                                  \
         .offset = OFFSET(ca_file),                                                                \
         .help = "Authorities that may have signed the peer's certificate, as PEM. Without it: "   \
                 "those that the system trusts."},                                                 \
        {.key = "cert_file",                                                                       \
         .type = TLY_OPTION_PATH,                                                                  \
         .offset = OFFSET(cert_file),                                                              \
         .help = "Certificate to show to a peer that asks for one, as PEM."},                      \
    {                                                                                              \
        .key = "key_file", .type = TLY_OPTION_PATH, .offset = OFFSET(key_file),                    \
        .help = "Key of that certificate, in a file that others can't read."                       \
    }

#define LIMIT_ROWS                                                                                 \
    {.key = "labels",                                                                              \
     .type = TLY_OPTION_LIST,                                                                      \
     .offset = OFFSET(labels),                                                                     \
     .fallback = "[{name: instance, value: '{hostname}'}]",                                        \
     .inner = label_rows,                                                                          \
     .inner_size = sizeof(struct tly_alert_label_settings),                                        \
     .help = "Labels that every alert gets which has none of that name: they tell the alerts of "  \
             "one host from those of another. Where Prometheus evaluates the same rules, write "   \
             "what it adds, and Alertmanager takes both alerts for one."},                         \
        {.key = "timeout",                                                                         \
         .type = TLY_OPTION_DURATION,                                                              \
         .offset = OFFSET(timeout_ms),                                                             \
         .fallback = "10s",                                                                        \
         .min = 100,                                                                               \
         .max = 10 * MINUTE_MS,                                                                    \
         .help = "How long a request may take. One that failed is made again, at growing "         \
                 "intervals of up to a minute."},                                                  \
    {                                                                                              \
        .key = "queue_max", .type = TLY_OPTION_INT, .offset = OFFSET(queue_max),                   \
        .fallback = "10000", .min = 1, .max = 1000000,                                             \
        .help = "Most alerts that wait while the peer can't be reached, each with its latest "     \
                "state. Beyond it the one that waits longest is dropped, and counted."             \
    }

static const struct tly_option alertmanager_rows[] = {
    {.key = "url",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = OFFSET(url),
     .verify = verify_base_url,
     .help = "Where it listens: `http://host:9093`, or with `https` and a path before `/api`."},
    NAME_ROW,
    AUTH_ROWS,
    LIMIT_ROWS,
    {.key = NULL},
};

static const struct tly_option webhook_rows[] = {
    {.key = "url",
     .type = TLY_OPTION_SECRET,
     .required = true,
     .offset = OFFSET(url),
     .verify = verify_url,
     .help = "Where to post to. It is never shown, since it often is the only secret."},
    NAME_ROW,
    AUTH_ROWS,
    LIMIT_ROWS,
    {.key = NULL},
};

/* What stands for a peer in metrics and messages. */
static struct tly_text name_of(const struct tly_alert_peer_settings *peer)
{
    return peer->name ? tly_text_of(peer->name) : host_of(peer->url);
}

static int verify_peer(const struct tly_alert_peer_settings *peer, struct tly_error *err)
{
    struct tly_text name = name_of(peer);
    if (!peer->cert_file != !peer->key_file) {
        return tly_error_set(err, -EINVAL, "`%.*s`: cert_file and key_file go together",
                             (int)name.len, name.at);
    }
    if (!peer->username != !peer->password) {
        return tly_error_set(err, -EINVAL, "`%.*s`: username and password go together",
                             (int)name.len, name.at);
    }
    if (peer->username && peer->bearer_token) {
        return tly_error_set(err, -EINVAL, "`%.*s`: either a username or a bearer_token",
                             (int)name.len, name.at);
    }
    return tly_secret_check(peer->key_file, err);
}

static int verify_section(const void *value, struct tly_error *err)
{
    const struct tly_list *list = value;
    const struct tly_alert_peer_settings *peers = list->at;
    for (size_t i = 0; i < list->count; i++) {
        int rc = verify_peer(&peers[i], err);
        if (rc < 0) {
            return rc;
        }
        for (size_t j = 0; j < i; j++) {
            struct tly_text name = name_of(&peers[i]);
            if (tly_text_equal(name, name_of(&peers[j]))) {
                return tly_error_set(err, -EEXIST,
                                     "`%.*s` is there twice; give each a `name` of its own",
                                     (int)name.len, name.at);
            }
        }
    }
    return 0;
}

const struct tly_section tly_alertmanagers_section = {
    .key = "alertmanagers",
    .type = TLY_OPTION_LIST,
    .options = alertmanager_rows,
    .size = sizeof(struct tly_alert_peer_settings),
    .shorthand = "url",
    .verify = verify_section,
    .help = "The Alertmanagers that are told of alerts, all of them, over their API of version 2: "
            "when an alert fires, when it is resolved, and again as long as it fires.",
};

const struct tly_section tly_webhooks_section = {
    .key = "webhooks",
    .type = TLY_OPTION_LIST,
    .options = webhook_rows,
    .size = sizeof(struct tly_alert_peer_settings),
    .shorthand = "url",
    .verify = verify_section,
    .help = "Who is told of alerts directly, in the form in which Alertmanager calls its webhooks: "
            "once when an alert fires and once when it is resolved.",
};
