/*
 * The option table of the forward output. The bounds are those of the receivers in the field:
 * Fluent Bit closes the connection at a frame of 6,144,000 bytes, so a chunk ends well before.
 */
#include "outputs/forward/settings.h"

#include "agent/codec/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define KIB       1024LL
#define MIB       (1024LL * KIB)
#define GIB       (1024LL * MIB)

static int verify_host(const char *value, struct tly_error *err)
{
    struct tly_address address;
    struct tly_error parse_err;
    int rc = tly_address_parse(tly_text_of(value), TLY_FORWARD_PORT, &address, &parse_err);
    bool folder = rc == 0 && strcmp(address.path, "/") == 0;
    if (rc == 0 && !folder && (address.host[0] || address.path[0])) {
        return 0;
    }
    return tly_error_set(err, -EINVAL,
                         "`%.60s` is no address of a receiver; write host, host:port, [v6]:port or "
                         "unix:///path",
                         value);
}

static const struct tly_option server_rows[] = {
    {.key = "host",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = offsetof(struct tly_forward_server_settings, host),
     .verify = verify_host,
     .help = "Name or address of the receiver, also as `host:port`, or `unix:///path`. A name is "
             "looked up anew at every connect."},
    {.key = "port",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_forward_server_settings, port),
     .fallback = "24224",
     .min = 1,
     .max = UINT16_MAX,
     .help = "Port, where `host` names none."},
    {.key = "standby",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_forward_server_settings, standby),
     .fallback = "false",
     .help = "Is used only while no other server of the destination works."},
    {.key = "weight",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_forward_server_settings, weight),
     .min = 1,
     .max = 1000,
     .help = "Chance to be the server that a new connection goes to, beside the others' weights; "
             "so the agents of many hosts share their servers out. Either all servers have one or "
             "none: then they are tried in the order in which they are written."},
    {.key = "shared_key",
     .type = TLY_OPTION_SECRET,
     .offset = offsetof(struct tly_forward_server_settings, shared_key),
     .help = "As of the destination, for this server alone."},
    {.key = "username",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_forward_server_settings, username),
     .help = "As of the destination, for this server alone."},
    {.key = "password",
     .type = TLY_OPTION_SECRET,
     .offset = offsetof(struct tly_forward_server_settings, password),
     .help = "As of the destination, for this server alone."},
    {.key = NULL},
};

#define TLS_OFFSET(member) offsetof(struct tly_forward_tls_settings, member)

static const struct tly_option tls_rows[] = {
    {.key = "enabled",
     .type = TLY_OPTION_BOOL,
     .offset = TLS_OFFSET(enabled),
     .fallback = "false",
     .help = "Whether connections are made with TLS, 1.2 or 1.3."},
    {.key = "ca_file",
     .type = TLY_OPTION_PATH,
     .offset = TLS_OFFSET(ca_file),
     .help = "Authorities that may have signed the receivers' certificates, as PEM. Without it: "
             "those that the system trusts."},
    {.key = "cert_file",
     .type = TLY_OPTION_PATH,
     .offset = TLS_OFFSET(cert_file),
     .help = "Certificate, with its chain, to show to receivers that ask for one, as PEM. It is "
             "read again when the file changes, like the others here."},
    {.key = "key_file",
     .type = TLY_OPTION_PATH,
     .offset = TLS_OFFSET(key_file),
     .help = "Key of that certificate, in a file that others can't read."},
    {.key = "server_name",
     .type = TLY_OPTION_STRING,
     .offset = TLS_OFFSET(server_name),
     .help = "Name that the receivers' certificates have to bear, where it is not the server's "
             "`host`."},
    {.key = "verify_name",
     .type = TLY_OPTION_BOOL,
     .offset = TLS_OFFSET(verify_name),
     .fallback = "true",
     .help = "Whether the name in a receiver's certificate has to be right."},
    {.key = "verify",
     .type = TLY_OPTION_BOOL,
     .offset = TLS_OFFSET(verify),
     .fallback = "true",
     .help = "Whether the receivers' certificates are verified at all. Without it anyone on the "
             "way can read and change what is sent."},
    {.key = NULL},
};

/* The metric's label and the key of the positions on disk. */
static int verify_name(const char *value, struct tly_error *err)
{
    enum { NAME_MAX_BYTES = 64 };
    struct tly_text name = tly_text_of(value);
    if (name.len == 0 || name.len > NAME_MAX_BYTES || tly_text_utf8_prefix(name) < name.len) {
        return tly_error_set(err, -EINVAL, "a name has 1 to %d bytes of UTF-8", NAME_MAX_BYTES);
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.at[i];
        if (byte <= ' ' || byte == 0x7f) {
            return tly_error_set(err, -EINVAL, "a name has no blanks or control characters");
        }
    }
    return 0;
}

static const char *const compressions[] = {
    [TLY_FORWARD_UNCOMPRESSED] = "none",
    [TLY_FORWARD_GZIP] = "gzip",
    [TLY_FORWARD_ZSTD] = "zstd",
    [TLY_FORWARD_ZSTD + 1] = NULL,
};

#define OFFSET(member) offsetof(struct tly_forward_settings, member)

static const struct tly_option rows[] = {
    {.key = "name",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = OFFSET(name),
     .verify = verify_name,
     .help = "Name of the destination, in metrics, messages and the kept positions. A new name "
             "starts with positions of its own."},
    {.key = "servers",
     .type = TLY_OPTION_LIST,
     .required = true,
     .offset = OFFSET(servers),
     .inner = server_rows,
     .inner_size = sizeof(struct tly_forward_server_settings),
     .shorthand = "host",
     .help = "The receivers. One at a time is sent to; when it fails, the next."},
    {.key = "match",
     .type = TLY_OPTION_SECTION,
     .offset = OFFSET(match),
     .inner = tly_terms_options,
     .inner_size = sizeof(struct tly_terms_settings),
     .help = "Which records go here: those that fit one pattern of every kind that is written. "
             "Without it: all. A container that comes to fit is sent from the beginning of what "
             "is there of its log."},
    {.key = "exclude",
     .type = TLY_OPTION_SECTION,
     .offset = OFFSET(exclude),
     .inner = tly_terms_options,
     .inner_size = sizeof(struct tly_terms_settings),
     .help = "Which of these do not: those that fit any pattern of any kind."},
    {.key = "tls",
     .type = TLY_OPTION_SECTION,
     .offset = OFFSET(tls),
     .inner = tls_rows,
     .inner_size = sizeof(struct tly_forward_tls_settings),
     .help = "Encryption of the connections, and who the receivers have to be."},
    {.key = "shared_key",
     .type = TLY_OPTION_SECRET,
     .offset = OFFSET(shared_key),
     .help = "Key by which both sides prove themselves at the beginning of a connection, as the "
             "receiver's `<security>` section has it. It does not encrypt anything."},
    {.key = "username",
     .type = TLY_OPTION_STRING,
     .offset = OFFSET(username),
     .help = "User, for receivers that ask for one beside the shared key."},
    {.key = "password",
     .type = TLY_OPTION_SECRET,
     .offset = OFFSET(password),
     .help = "The user's password."},
    {.key = "self_hostname",
     .type = TLY_OPTION_STRING,
     .offset = OFFSET(self_hostname),
     .verify = verify_name,
     .help = "Our name in that exchange, different from the receiver's. Without it: `tallyman-` "
             "and the name of the host."},
    {.key = "require_ack",
     .type = TLY_OPTION_BOOL,
     .offset = OFFSET(require_ack),
     .fallback = "true",
     .help = "Whether the receiver acknowledges each chunk. Without it a chunk counts as delivered "
             "as soon as the kernel has taken it: what is in the network or in a receiver that "
             "dies is lost."},
    {.key = "compress",
     .type = TLY_OPTION_ENUM,
     .offset = OFFSET(compression),
     .fallback = "none",
     .choices = compressions,
     .help =
         "How chunks are compressed, on a worker. Every receiver knows gzip; zstd, which is "
         "faster and smaller, needs Fluentd 1.19, a Fluent Bit of 2025, or `tallyman receive`."},
    {.key = "chunk_size",
     .type = TLY_OPTION_SIZE,
     .offset = OFFSET(chunk_bytes),
     .fallback = "1MiB",
     .min = KIB,
     .max = 4 * MIB,
     .help = "A chunk is sent when it has this size. A single record may be longer."},
    {.key = "flush_interval",
     .type = TLY_OPTION_DURATION,
     .offset = OFFSET(flush_interval_ms),
     .fallback = "1s",
     .min = 10,
     .max = MINUTE_MS,
     .help = "A chunk is sent when its first record has this age."},
    {.key = "buffer_max",
     .type = TLY_OPTION_SIZE,
     .offset = OFFSET(buffer_bytes_max),
     .fallback = "8MiB",
     .min = 64 * KIB,
     .max = GIB,
     .help = "Most memory for chunks that are open, queued or under way. When it is used up, "
             "reading of logs waits; nothing is dropped that can be read later."},
    {.key = "connect_timeout",
     .type = TLY_OPTION_DURATION,
     .offset = OFFSET(connect_timeout_ms),
     .fallback = "10s",
     .min = 10,
     .max = 10 * MINUTE_MS,
     .help = "How long looking up a name and connecting may take together."},
    {.key = "ack_timeout",
     .type = TLY_OPTION_DURATION,
     .offset = OFFSET(ack_timeout_ms),
     .fallback = "60s",
     .min = 10,
     .max = HOUR_MS,
     .help = "How long the oldest chunk on a connection may wait for its acknowledgement, or for "
             "any of its bytes to be taken, before the connection is given up and the chunk sent "
             "again."},
    {.key = "retry_max",
     .type = TLY_OPTION_DURATION,
     .offset = OFFSET(retry_max_ms),
     .fallback = "30s",
     .min = 10,
     .max = HOUR_MS,
     .help = "Longest wait between two attempts to reach a server. The first waits half a second, "
             "each further one twice as long, and all by chance up to half of it less."},
    {.key = "in_flight",
     .type = TLY_OPTION_INT,
     .offset = OFFSET(in_flight_max),
     .fallback = "8",
     .min = 1,
     .max = 64,
     .help = "Most chunks that are sent on a connection before the first is acknowledged."},
    {.key = "give_up_after",
     .type = TLY_OPTION_DURATION,
     .offset = OFFSET(give_up_after_ms),
     .fallback = "10s",
     .max = 24 * HOUR_MS,
     .help = "How long a record is tried, three times at least, that the receiver does not take "
             "while it takes others; then it is dropped, said and counted. Until then others go "
             "before it, also what is behind it in its stream, and all of it more slowly. For ten "
             "minutes after such a drop three times are enough."},
    {.key = "connection_max_age",
     .type = TLY_OPTION_DURATION,
     .offset = OFFSET(connection_max_age_ms),
     .fallback = "1h",
     .max = 7 * 24 * HOUR_MS,
     .help = "How long a connection is used before the server is chosen anew, by weight or else "
             "from the first on, and its name looked up again; by chance up to half of it less. "
             "So agents come back to a server that was away, and find those that are new. Chunks "
             "under way are acknowledged before; without `require_ack` what the kernel has still "
             "to send goes on by itself, may arrive behind what is sent next, and is lost if the "
             "connection breaks. 0: for as long as it stands."},
    {.key = NULL},
};

/* Weights mean something only beside each other. And twice the same server would be two series of
 * one name, and gains nothing. */
static int verify_servers(const struct tly_forward_settings *settings, struct tly_error *err)
{
    const struct tly_forward_server_settings *servers = settings->servers.at;
    for (size_t i = 0; i < settings->servers.count; i++) {
        struct tly_address address;
        struct tly_address other;
        if ((servers[i].weight == 0) != (servers[0].weight == 0)) {
            return tly_error_set(
                err, -EINVAL, "`%s`: `%s` has %s weight; either all servers have one or none",
                settings->name, servers[i].host, servers[i].weight == 0 ? "no" : "a");
        }
        int rc = tly_forward_server_address(&servers[i], &address, err);
        for (size_t j = 0; rc == 0 && j < i; j++) {
            rc = tly_forward_server_address(&servers[j], &other, err);
            if (rc == 0 && address.port == other.port && strcmp(address.host, other.host) == 0 &&
                strcmp(address.path, other.path) == 0) {
                rc = tly_error_set(err, -EEXIST, "`%s` names the server `%s` twice", settings->name,
                                   servers[i].host);
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Nobody who asks for TLS, or names what belongs to it, gets a connection without. */
static int verify_tls(const struct tly_forward_settings *settings, struct tly_error *err)
{
    const struct tly_forward_tls_settings *tls = &settings->tls;
    if (!tls->enabled && (tls->ca_file || tls->cert_file || tls->key_file || tls->server_name ||
                          !tls->verify || !tls->verify_name)) {
        return tly_error_set(err, -EINVAL, "`%s`: tls needs `enabled: true`", settings->name);
    }
    if (!tls->cert_file != !tls->key_file) {
        return tly_error_set(err, -EINVAL, "`%s`: cert_file and key_file of tls go together",
                             settings->name);
    }
    const struct tly_forward_server_settings *servers = settings->servers.at;
    for (size_t i = 0; i < settings->servers.count; i++) {
        if (tls->enabled && strncmp(servers[i].host, "unix:", sizeof("unix:") - 1) == 0 &&
            !tls->server_name && tls->verify_name && tls->verify) {
            return tly_error_set(err, -EINVAL,
                                 "`%s`: tls over the Unix socket `%s` needs a server_name",
                                 settings->name, servers[i].host);
        }
    }
    return 0;
}

static int verify_destination(const struct tly_forward_settings *settings, struct tly_error *err)
{
    if (settings->servers.count == 0) {
        return tly_error_set(err, -EINVAL, "`%s` needs at least one server", settings->name);
    }
    if (settings->buffer_bytes_max < 2 * settings->chunk_bytes) {
        return tly_error_set(err, -EINVAL,
                             "`%s`: buffer_max has to be at least twice chunk_size, or no chunk "
                             "fills while another is sent",
                             settings->name);
    }
    int rc = verify_servers(settings, err);
    return rc < 0 ? rc : verify_tls(settings, err);
}

static int verify_section(const void *value, struct tly_error *err)
{
    const struct tly_list *list = value;
    const struct tly_forward_settings *all = list->at;
    for (size_t i = 0; i < list->count; i++) {
        int rc = verify_destination(&all[i], err);
        if (rc < 0) {
            return rc;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(all[i].name, all[j].name) == 0) {
                return tly_error_set(err, -EEXIST, "two destinations are named `%s`", all[i].name);
            }
        }
    }
    return 0;
}

const struct tly_section tly_forward_section = {
    .key = "forward",
    .type = TLY_OPTION_LIST,
    .options = rows,
    .size = sizeof(struct tly_forward_settings),
    .verify = verify_section,
    .help = "Where records are sent, over the Fluentd forward protocol: to Fluentd, Fluent Bit, "
            "Vector, or `tallyman receive`. Each destination has its own queue and positions.",
};

int tly_forward_server_address(const struct tly_forward_server_settings *server,
                               struct tly_address *ret_address, struct tly_error *err)
{
    return tly_address_parse(tly_text_of(server->host), (uint16_t)server->port, ret_address, err);
}
