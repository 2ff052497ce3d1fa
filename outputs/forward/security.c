/*
 * From settings to what connections need. Secrets stay where the configuration keeps and wipes
 * them; here they are only pointed at.
 */
#include "outputs/forward/security.h"

#include <stdio.h>
#include <unistd.h>

int tly_forward_tls_new(const struct tly_forward_tls_settings *settings, struct tly_tls **ret_tls,
                        struct tly_error *err)
{
    if (!settings->enabled) {
        *ret_tls = NULL;
        return 0;
    }
    const struct tly_tls_spec spec = {
        .ca_file = settings->ca_file,
        .cert_file = settings->cert_file,
        .key_file = settings->key_file,
        .server_name = settings->server_name,
        .skip_name = !settings->verify_name,
        .skip_verify = !settings->verify,
    };
    int rc = tly_tls_new(&spec, ret_tls, err);
    if (rc < 0) {
        tly_error_prefix(err, "tls");
    }
    return rc;
}

void tly_forward_hostname(const struct tly_forward_settings *settings,
                          char to[TLY_FORWARD_HOSTNAME_MAX])
{
    char host[TLY_FORWARD_HOSTNAME_MAX - sizeof("tallyman-")];
    if (settings->self_hostname) {
        (void)snprintf(to, TLY_FORWARD_HOSTNAME_MAX, "%s", settings->self_hostname);
        return;
    }
    if (gethostname(host, sizeof(host)) < 0) {
        host[0] = '\0';
    }
    host[sizeof(host) - 1] = '\0'; /* which gethostname leaves out where it cuts */
    /* Not the plain name: Fluentd on the same host has that, and turns its equals away. */
    (void)snprintf(to, TLY_FORWARD_HOSTNAME_MAX, "tallyman-%s", host);
}

static struct tly_text either(const char *own, const char *common)
{
    return tly_text_of(own ? own : common);
}

bool tly_forward_account(const struct tly_forward_settings *settings,
                         const struct tly_forward_server_settings *server, const char *hostname,
                         struct tly_forward_account *ret_account)
{
    const struct tly_forward_account account = {
        .hostname = tly_text_of(hostname),
        .shared_key = either(server->shared_key, settings->shared_key),
        .username = either(server->username, settings->username),
        .password = either(server->password, settings->password),
    };
    if (account.shared_key.len == 0 && account.username.len == 0) {
        return false;
    }
    *ret_account = account;
    return true;
}
