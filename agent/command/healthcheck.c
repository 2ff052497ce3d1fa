/*
 * `tallyman healthcheck`: asks a running agent for /-/healthy, as a container image's HEALTHCHECK
 * does. Finds the address in the same configuration that the agent reads.
 */
#include "agent/command/command.h"
#include "agent/config/settings.h"
#include "agent/loop/fetch.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define PATH           "/-/healthy"
#define TIMEOUT_MS     5000
#define BODY_BYTES_MAX 4096
#define URL_BYTES_MAX  512

/* Where to ask. */
struct target {
    char base_url[URL_BYTES_MAX];
    char path[URL_BYTES_MAX];
    char unix_socket[sizeof(((struct tly_address *)NULL)->path)]; /* empty: none */
};

struct question {
    const struct tly_command *command;
    const struct target *target;
    int code;
};

static void answered(void *arg, const struct tly_response *response)
{
    struct question *question = arg;
    const long ok = 200;
    const struct target *target = question->target;
    const char *place = *target->unix_socket ? target->unix_socket : target->base_url;
    if (response->code == 0 && response->status == ok) {
        (void)printf("healthy\n");
        question->code = tly_command_finish(question->command, TLY_EXIT_DONE);
        return;
    }
    question->code = TLY_EXIT_NO;
    if (response->code < 0) {
        (void)tly_command_fail(question->command, "%s does not answer: %s", place,
                               response->error); /* the code is another one */
    } else {
        (void)tly_command_fail(question->command, "%s%s answers %ld", place, target->path,
                               response->status); /* the code is another one */
    }
}

static int ask(const struct tly_command *command, const struct target *target)
{
    struct tly_loop *loop = NULL;
    struct tly_fetcher *fetcher = NULL;
    struct question question = {command, target, TLY_EXIT_USAGE};
    const struct tly_endpoint endpoint = {
        .base_url = target->base_url,
        .unix_socket = *target->unix_socket ? target->unix_socket : NULL,
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

/* "http://host:port", with or without a path. */
static int target_of_url(const struct tly_command *command, const char *url,
                         struct target *ret_target)
{
    const char *const scheme = "http://"; /* the agent speaks no other */
    if (strncmp(url, scheme, strlen(scheme)) != 0 || strlen(url) >= URL_BYTES_MAX) {
        return tly_command_fail(command, "--url: `%.100s` is no URL such as http://127.0.0.1:10191",
                                url);
    }
    const char *path = strchr(url + strlen(scheme), '/');
    size_t base_len = path ? (size_t)(path - url) : strlen(url);
    *ret_target = (struct target){0};
    memcpy(ret_target->base_url, url, base_len);
    (void)snprintf(ret_target->path, sizeof(ret_target->path), "%s",
                   path && path[1] ? path : PATH); /* fits: it is a part of the URL */
    return TLY_EXIT_DONE;
}

/* The first address that the agent listens on; "any" is reached on the loopback. */
static int target_of_config(const struct tly_command *command, const struct tly_config *config,
                            struct target *ret_target)
{
    const struct tly_web_settings *web = tly_config_section(config, &tly_web_section);
    struct tly_address address;
    struct tly_error err = {0};
    if (web->listen.count == 0) {
        return tly_command_fail(command, "the agent listens nowhere: `web.listen` is empty");
    }
    if (tly_address_parse(tly_text_of(web->listen.at[0]), 0, &address, &err) < 0) {
        return tly_command_fail(command, "%s", err.text);
    }
    *ret_target = (struct target){.path = PATH, .base_url = "http://localhost"};
    if (*address.path) {
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
    (void)snprintf(ret_target->base_url, sizeof(ret_target->base_url), "http://%s%s%s:%u",
                   v6 ? "[" : "", host, v6 ? "]" : "", (unsigned)address.port); /* fits */
    return TLY_EXIT_DONE;
}

static const struct tly_argument arguments[] = {
    {'c', "config", "FILE",
     "The agent's configuration; without it " TLY_CONFIG_PATH_DEFAULT " if that exists, else the "
     "defaults."},
    {'u', "url", "URL", "Ask this address instead of the configured one."},
    {0},
};

static int run(const struct tly_command *command, int argc, char **argv)
{
    const char *path = NULL;
    const char *url = NULL;
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        switch (letter) {
        case 'c':
            path = optarg;
            break;
        case 'u':
            url = optarg;
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
    return code == TLY_EXIT_DONE ? ask(command, &target) : code;
}

const struct tly_command tly_command_healthcheck = {
    .name = "healthcheck",
    .summary = "Ask a running agent whether it is healthy",
    .help = "Asks a running agent for /-/healthy, at the address in its configuration. Exits with\n"
            "0 if it is healthy and with 1 if it is not or does not answer.",
    .arguments = arguments,
    .run = run,
};
