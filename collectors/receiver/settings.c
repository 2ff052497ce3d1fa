/*
 * The options of the `receiver` section.
 */
#include "collectors/receiver/settings.h"

#include "agent/codec/forward.h"
#include "agent/intake/intake.h"
#include "agent/loop/stream.h"

#include <errno.h>
#include <string.h>

#define MIB (1024LL * 1024)

static int verify_address(const char *value, struct tly_error *err)
{
    struct tly_address address;
    return tly_address_parse(tly_text_of(value), TLY_FORWARD_PORT, &address, err);
}

static int verify_not_empty(const char *value, struct tly_error *err)
{
    return *value ? 0 : tly_error_set(err, -EINVAL, "is empty");
}

#define TLS_OFFSET(member) offsetof(struct tly_receiver_tls_settings, member)

static const struct tly_option tls_rows[] = {
    {.key = "enabled",
     .type = TLY_OPTION_BOOL,
     .offset = TLS_OFFSET(enabled),
     .fallback = "false",
     .help = "Whether clients have to connect with TLS, 1.2 or 1.3. Unix sockets are never "
             "encrypted."},
    {.key = "cert_file",
     .type = TLY_OPTION_PATH,
     .offset = TLS_OFFSET(cert_file),
     .help = "Our certificate, with its chain, as PEM. It is read again when the file changes, "
             "like the others here."},
    {.key = "key_file",
     .type = TLY_OPTION_PATH,
     .offset = TLS_OFFSET(key_file),
     .help = "Key of that certificate, in a file that others can't read."},
    {.key = "ca_file",
     .type = TLY_OPTION_PATH,
     .offset = TLS_OFFSET(ca_file),
     .help = "Authorities, as PEM, one of which has to have signed a client's certificate. Without "
             "it clients need none."},
    {.key = NULL},
};

static const struct tly_option user_rows[] = {
    {.key = "name",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = offsetof(struct tly_receiver_user_settings, name),
     .verify = verify_not_empty,
     .help = "Name of the user."},
    {.key = "password",
     .type = TLY_OPTION_SECRET,
     .required = true,
     .offset = offsetof(struct tly_receiver_user_settings, password),
     .help = "Password of the user."},
    {.key = NULL},
};

#define OFFSET(member) offsetof(struct tly_receiver_settings, member)

static const struct tly_option rows[] = {
    {.key = "listen",
     .type = TLY_OPTION_STRINGS,
     .offset = OFFSET(listen),
     .verify = verify_address,
     .help = "Where to listen: `host:port`, `[v6]:port`, `:port` for every interface, or "
             "`unix:///path`; the port is 24224 where none is named. Without it nothing is "
             "received."},
    {.key = "tls",
     .type = TLY_OPTION_SECTION,
     .offset = OFFSET(tls),
     .inner = tls_rows,
     .inner_size = sizeof(struct tly_receiver_tls_settings),
     .help = "Encryption of the connections, and who the clients have to be."},
    {.key = "shared_key",
     .type = TLY_OPTION_SECRET,
     .offset = OFFSET(shared_key),
     .help = "Key by which clients that come over the network have to prove themselves, as their "
             "`<security>` section has it. Docker's own driver knows none: let it use a Unix "
             "socket, which is guarded by the mode and the folder of its file instead, or an "
             "address on the loopback interface."},
    {.key = "users",
     .type = TLY_OPTION_LIST,
     .offset = OFFSET(users),
     .inner = user_rows,
     .inner_size = sizeof(struct tly_receiver_user_settings),
     .help = "Who may come in. Beside the shared key, each client has to be one of them."},
    {.key = "self_hostname",
     .type = TLY_OPTION_STRING,
     .offset = OFFSET(self_hostname),
     .verify = verify_not_empty,
     .help = "Our name in that exchange, different from the clients'. Without it: the name of the "
             "host."},
    {.key = "connections_max",
     .type = TLY_OPTION_INT,
     .offset = OFFSET(connections_max),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .help = "Most connections at a time; Docker's driver has one for each container. More are "
             "closed at once. Each takes a file descriptor."},
    {.key = "unfinished_max",
     .type = TLY_OPTION_SIZE,
     .offset = OFFSET(unfinished_bytes_max),
     .fallback = "64MiB",
     .min = MIB,
     .max = 4096 * MIB,
     .help = "Most memory for frames of which only a part has arrived, over all connections. A "
             "client whose long frame would pass it is closed."},
    {.key = NULL},
};

static int verify_receiver(const void *value, struct tly_error *err)
{
    const struct tly_receiver_settings *receiver = value;
    const struct tly_receiver_tls_settings *tls = &receiver->tls;
    if (receiver->listen.count > TLY_INTAKE_LISTEN_MAX) {
        return tly_error_set(err, -EINVAL, "`listen` has more than %d addresses",
                             TLY_INTAKE_LISTEN_MAX);
    }
    if (tls->enabled && (!tls->cert_file || !tls->key_file)) {
        return tly_error_set(err, -EINVAL, "tls needs a cert_file and its key_file");
    }
    if (!tls->enabled && (tls->cert_file || tls->key_file || tls->ca_file)) {
        return tly_error_set(err, -EINVAL, "tls needs `enabled: true`");
    }
    if (receiver->users.count > 0 && !receiver->shared_key) {
        return tly_error_set(err, -EINVAL, "users need a shared_key beside them");
    }
    return 0;
}

const struct tly_section tly_receiver_section = {
    .key = "receiver",
    .type = TLY_OPTION_SECTION,
    .restart = true,
    .options = rows,
    .size = sizeof(struct tly_receiver_settings),
    .verify = verify_receiver,
    .help = "Receives records over the Fluentd forward protocol, from Docker's fluentd log driver "
            "or any other client, and sends them on to the destinations under the tags that they "
            "came with. A client is answered when its records are safe in the spool.",
};
