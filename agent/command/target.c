/*
 * Where a running agent can be asked; see target.h.
 */
#include "agent/command/target.h"

#include "agent/config/secret.h"
#include "agent/config/settings.h"
#include "agent/web/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool tly_target_option(struct tly_target_options *options, int letter, const char *value)
{
    const struct {
        int letter;
        const char **to;
    } rows[] = {
        {'c', &options->config},        {'u', &options->url},      {'A', &options->ca_file},
        {'C', &options->cert_file},     {'K', &options->key_file}, {'U', &options->user},
        {'P', &options->password_file},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].letter == letter) {
            *rows[i].to = value;
            return true;
        }
    }
    return false;
}

/* "http://host:port" or "https://host:port", with or without a path. */
static int target_of_url(const struct tly_command *command, const char *url,
                         struct tly_target *ret_target)
{
    size_t scheme_len = strncmp(url, "http://", 7) == 0 ? 7 : 8;
    if ((scheme_len == 8 && strncmp(url, "https://", 8) != 0) ||
        strlen(url) >= TLY_TARGET_URL_MAX) {
        return tly_command_fail(command, "--url: `%.100s` is no URL such as http://127.0.0.1:10191",
                                url);
    }
    const char *path = strchr(url + scheme_len, '/');
    size_t base_len = path ? (size_t)(path - url) : strlen(url);
    memcpy(ret_target->base_url, url, base_len);
    (void)snprintf(ret_target->path, sizeof(ret_target->path), "%s",
                   path && path[1] ? path : ""); /* fits: it is a part of the URL */
    return TLY_EXIT_DONE;
}

/* What stands before every page, from the web configuration file. */
static int protection_of(const struct tly_command *command, const char *web_file,
                         struct tly_target *target, bool *ret_tls)
{
    struct tly_complaints complaints = {.count = 0};
    struct tly_web_policy *policy = NULL;
    struct tly_error err = {0};
    *ret_tls = false;
    if (!web_file) {
        return TLY_EXIT_DONE;
    }
    if (tly_web_policy_load(web_file, &complaints, &policy, &err) < 0) {
        return tly_command_fail(command, "%s", err.text);
    }
    const struct tly_web_tls_settings *tls = policy->tls_settings;
    *ret_tls = policy->tls != NULL;
    target->asks_password = policy->users->count > 0;
    target->asks_certificate = tls->client_auth != TLY_WEB_NO_CLIENT_CERT;
    if (policy->tls && tls->cert_file) {
        (void)snprintf(target->own_certificate, sizeof(target->own_certificate), "%s",
                       tls->cert_file); /* a longer path is none that could have been opened */
    }
    tly_web_policy_unref(policy);
    return TLY_EXIT_DONE;
}

/* The first address that the agent opens itself; NULL: there is none. */
static const char *first_address(const struct tly_web_settings *web)
{
    for (size_t i = 0; i < web->listen.count; i++) {
        if (strncmp(web->listen.at[i], "systemd", strlen("systemd")) != 0) {
            return web->listen.at[i];
        }
    }
    return NULL;
}

/* Where the agent can be asked; "any" is reached on the loopback. */
static int target_of_config(const struct tly_command *command, const struct tly_config *config,
                            struct tly_target *ret_target)
{
    const struct tly_web_settings *web = tly_config_section(config, &tly_web_section);
    const char *listen = first_address(web);
    struct tly_address address;
    struct tly_error err = {0};
    bool tls = false;
    if (web->listen.count == 0) {
        return tly_command_fail(command, "the agent listens nowhere: `web.listen` is empty");
    }
    if (!listen) {
        return tly_command_fail(command, "the agent listens where systemd tells it to; name the "
                                         "address by --url");
    }
    if (tly_address_parse(tly_text_of(listen), 0, &address, &err) < 0) {
        return tly_command_fail(command, "%s", err.text);
    }
    int code = protection_of(command, web->config_file, ret_target, &tls);
    if (code != TLY_EXIT_DONE) {
        return code;
    }
    const char *scheme = tls ? "https" : "http";
    if (*address.path) {
        (void)snprintf(ret_target->base_url, sizeof(ret_target->base_url), "%s://localhost",
                       scheme); /* fits */
        memcpy(ret_target->unix_socket, address.path, sizeof(address.path));
        return TLY_EXIT_DONE;
    }
    const char *host = address.host;
    if (*host == '\0' || strcmp(host, "0.0.0.0") == 0) {
        host = "127.0.0.1";
    } else if (strcmp(host, "::") == 0) {
        host = "::1";
    }
    const bool v6 = strchr(host, ':') != NULL;
    (void)snprintf(ret_target->base_url, sizeof(ret_target->base_url), "%s://%s%s%s:%u", scheme,
                   v6 ? "[" : "", host, v6 ? "]" : "", (unsigned)address.port); /* fits */
    return TLY_EXIT_DONE;
}

/* Reads the password that belongs to --user. */
static int password_read(const struct tly_command *command,
                         const struct tly_target_options *options, char **ret_basic_auth)
{
    struct tly_error err = {0};
    char *password = NULL;
    if (!options->cert_file != !options->key_file) {
        return tly_command_fail(command, "--cert-file and --key-file go together");
    }
    if (!options->user != !options->password_file) {
        return tly_command_fail(command, "--user and --password-file go together");
    }
    *ret_basic_auth = NULL;
    if (!options->user) {
        return TLY_EXIT_DONE;
    }
    if (tly_secret_read(options->password_file, &password, &err) < 0) {
        return tly_command_fail(command, "--password-file: cannot use %s: %s",
                                options->password_file, err.text);
    }
    int len = asprintf(ret_basic_auth, "%s:%s", options->user, password);
    tly_secret_free(password);
    if (len < 0) {
        *ret_basic_auth = NULL;
        return tly_command_fail(command, "%s", tly_error_name(-ENOMEM));
    }
    return TLY_EXIT_DONE;
}

int tly_target_find(const struct tly_command *command, const struct tly_target_options *options,
                    struct tly_target *ret_target)
{
    struct tly_target target = {.options = *options};
    int code = TLY_EXIT_DONE;
    if (options->url) {
        code = target_of_url(command, options->url, &target);
    } else {
        struct tly_config *config = NULL;
        code = tly_command_config(command, options->config, &config);
        if (code == TLY_EXIT_DONE) {
            code = target_of_config(command, config, &target);
            tly_config_free(config);
        }
    }
    if (code == TLY_EXIT_DONE) {
        code = password_read(command, options, &target.basic_auth);
    }
    if (code == TLY_EXIT_DONE) {
        *ret_target = target;
    }
    return code;
}

void tly_target_done(struct tly_target *target)
{
    tly_secret_free(target->basic_auth);
    target->basic_auth = NULL;
}

struct tly_endpoint tly_target_endpoint(const struct tly_target *target)
{
    const struct tly_target_options *options = &target->options;
    const bool own = !options->ca_file && *target->own_certificate;
    return (struct tly_endpoint){
        .base_url = target->base_url,
        .unix_socket = *target->unix_socket ? target->unix_socket : NULL,
        .ca_file = own ? target->own_certificate : options->ca_file,
        .any_name = own,
        .cert_file = options->cert_file,
        .key_file = options->key_file,
        .basic_auth = target->basic_auth,
    };
}

const char *tly_target_place(const struct tly_target *target)
{
    return *target->unix_socket ? target->unix_socket : target->base_url;
}

const char *tly_target_advice(const struct tly_target *target)
{
    return target->asks_certificate
               ? "; it asks for a client certificate, see --cert-file and --key-file"
               : "";
}
