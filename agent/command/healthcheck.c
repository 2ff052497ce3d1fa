/*
 * `tallyman healthcheck`: asks a running agent for /-/healthy, as a container image's HEALTHCHECK
 * does. Finds the address, and what TLS and passwords stand before it, in the same configuration
 * that the agent reads.
 */
#include "agent/command/command.h"
#include "agent/config/secret.h"
#include "agent/config/settings.h"
#include "agent/loop/fetch.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"
#include "agent/web/policy.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define PATH           "/-/healthy"
#define TIMEOUT_MS     5000
#define BODY_BYTES_MAX 4096
#define URL_BYTES_MAX  512
#define PATH_BYTES_MAX 4096

/* Where to ask. */
struct target {
    char base_url[URL_BYTES_MAX];
    char path[URL_BYTES_MAX];
    char unix_socket[sizeof(((struct tly_address *)NULL)->path)]; /* empty: none */
    /* The web configuration file's certificate: who has its key is the agent, under any name. */
    char own_certificate[PATH_BYTES_MAX];
    bool asks_password;
    bool asks_certificate;
};

/* What the command line says of TLS and passwords; NULL: nothing. */
struct credentials {
    const char *ca_file, *cert_file, *key_file, *user, *password_file;
};

struct question {
    const struct tly_command *command;
    const struct target *target;
    bool has_password;
    int code;
};

static void answered(void *arg, const struct tly_response *response)
{
    struct question *question = arg;
    const long ok = 200;
    const long unauthorized = 401;
    const struct target *target = question->target;
    const char *place = *target->unix_socket ? target->unix_socket : target->base_url;
    if (response->code == 0 && response->status == ok) {
        (void)printf("healthy\n");
        question->code = tly_command_finish(question->command, TLY_EXIT_DONE);
        return;
    }
    if (response->code == 0 && response->status == unauthorized && target->asks_password &&
        !question->has_password) {
        /* It answers, as only a living one does; more is not to be had without a password. */
        (void)printf("healthy, as far as can be seen without --user and --password-file\n");
        question->code = tly_command_finish(question->command, TLY_EXIT_DONE);
        return;
    }
    question->code = TLY_EXIT_NO;
    if (response->code < 0 && target->asks_certificate) {
        (void)tly_command_fail(question->command,
                               "%s does not answer: %s; it asks for a client certificate, see "
                               "--cert-file and --key-file",
                               place, response->error); /* the code is another one */
    } else if (response->code < 0) {
        (void)tly_command_fail(question->command, "%s does not answer: %s", place,
                               response->error); /* the code is another one */
    } else {
        (void)tly_command_fail(question->command, "%s%s answers %ld", place, target->path,
                               response->status); /* the code is another one */
    }
}

static int ask(const struct tly_command *command, const struct target *target,
               const struct credentials *credentials, const char *basic_auth)
{
    struct tly_loop *loop = NULL;
    struct tly_fetcher *fetcher = NULL;
    struct question question = {command, target, basic_auth != NULL, TLY_EXIT_USAGE};
    const bool own = !credentials->ca_file && *target->own_certificate;
    const struct tly_endpoint endpoint = {
        .base_url = target->base_url,
        .unix_socket = *target->unix_socket ? target->unix_socket : NULL,
        .ca_file = own ? target->own_certificate : credentials->ca_file,
        .any_name = own,
        .cert_file = credentials->cert_file,
        .key_file = credentials->key_file,
        .basic_auth = basic_auth,
    };
    const struct tly_request_spec spec = {
        .path = target->path,
        .timeout_ms = TIMEOUT_MS,
        .body_max = BODY_BYTES_MAX,
        .done = answered,
        .arg = &question,
    };
    int rc = tly_loop_new(&loop);
    if (rc == 0) {
        rc = tly_fetcher_new(loop, &endpoint, &fetcher);
    }
    if (rc == 0) {
        rc = tly_fetch_start(fetcher, &spec, NULL);
    }
    if (rc == 0) {
        tly_loop_run(loop);
    } else {
        (void)tly_command_fail(command, "cannot ask: %s", tly_error_name(rc)); /* set already */
    }
    tly_fetcher_free(fetcher);
    tly_loop_free(loop);
    return question.code;
}

/* Reads the password, asks, and wipes it. */
static int ask_as(const struct tly_command *command, const struct target *target,
                  const struct credentials *credentials)
{
    if (!credentials->cert_file != !credentials->key_file) {
        return tly_command_fail(command, "--cert-file and --key-file go together");
    }
    if (!credentials->user != !credentials->password_file) {
        return tly_command_fail(command, "--user and --password-file go together");
    }
    if (!credentials->user) {
        return ask(command, target, credentials, NULL);
    }
    struct tly_error err = {0};
    char *password = NULL;
    if (tly_secret_read(credentials->password_file, &password, &err) < 0) {
        return tly_command_fail(command, "--password-file: cannot use %s: %s",
                                credentials->password_file, err.text);
    }
    char *basic_auth = NULL;
    int code = TLY_EXIT_USAGE;
    if (asprintf(&basic_auth, "%s:%s", credentials->user, password) < 0) {
        basic_auth = NULL;
        (void)tly_command_fail(command, "%s", tly_error_name(-ENOMEM)); /* the same code */
    } else {
        code = ask(command, target, credentials, basic_auth);
    }
    tly_secret_free(password);
    tly_secret_free(basic_auth);
    return code;
}

/* "http://host:port" or "https://host:port", with or without a path. */
static int target_of_url(const struct tly_command *command, const char *url,
                         struct target *ret_target)
{
    size_t scheme_len = strncmp(url, "http://", 7) == 0 ? 7 : 8;
    if ((scheme_len == 8 && strncmp(url, "https://", 8) != 0) || strlen(url) >= URL_BYTES_MAX) {
        return tly_command_fail(command, "--url: `%.100s` is no URL such as http://127.0.0.1:10191",
                                url);
    }
    const char *path = strchr(url + scheme_len, '/');
    size_t base_len = path ? (size_t)(path - url) : strlen(url);
    *ret_target = (struct target){0};
    memcpy(ret_target->base_url, url, base_len);
    (void)snprintf(ret_target->path, sizeof(ret_target->path), "%s",
                   path && path[1] ? path : PATH); /* fits: it is a part of the URL */
    return TLY_EXIT_DONE;
}

/* What stands before every page, from the web configuration file. */
static int protection_of(const struct tly_command *command, const char *web_file,
                         struct target *target, bool *ret_tls)
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
                            struct target *ret_target)
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
    *ret_target = (struct target){.path = PATH};
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

static const struct tly_argument arguments[] = {
    {'c', "config", "FILE",
     "The agent's configuration; without it " TLY_CONFIG_PATH_DEFAULT " if that exists, else the "
     "defaults."},
    {'u', "url", "URL", "Ask this address instead of the configured one."},
    {'A', "ca-file", "FILE",
     "Trust the authorities in this file; without it the certificate that the configuration names, "
     "else those that the system trusts."},
    {'C', "cert-file", "FILE", "The certificate to show where the agent asks for one."},
    {'K', "key-file", "FILE", "Its key."},
    {'U', "user", "NAME", "The name for basic authentication."},
    {'P', "password-file", "FILE", "Its password, in a file that others must not read."},
    {0},
};

static int run(const struct tly_command *command, int argc, char **argv)
{
    const char *path = NULL;
    const char *url = NULL;
    struct credentials credentials = {0};
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        switch (letter) {
        case 'c':
            path = optarg;
            break;
        case 'u':
            url = optarg;
            break;
        case 'A':
            credentials.ca_file = optarg;
            break;
        case 'C':
            credentials.cert_file = optarg;
            break;
        case 'K':
            credentials.key_file = optarg;
            break;
        case 'U':
            credentials.user = optarg;
            break;
        case 'P':
            credentials.password_file = optarg;
            break;
        default:
            return tly_arguments_exit(letter);
        }
    }
    struct target target = {0};
    int code;
    if (url) {
        code = target_of_url(command, url, &target);
    } else {
        struct tly_config *config = NULL;
        code = tly_command_config(command, path, &config);
        if (code == TLY_EXIT_DONE) {
            code = target_of_config(command, config, &target);
            tly_config_free(config);
        }
    }
    return code == TLY_EXIT_DONE ? ask_as(command, &target, &credentials) : code;
}

const struct tly_command tly_command_healthcheck = {
    .name = "healthcheck",
    .summary = "Ask a running agent whether it is healthy",
    .help = "Asks a running agent for /-/healthy, at the address in its configuration. Exits with\n"
            "0 if it is healthy and with 1 if it is not or does not answer. An agent that asks\n"
            "for a password which is not given counts as healthy: it answers.",
    .arguments = arguments,
    .run = run,
};
