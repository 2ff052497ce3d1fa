/*
 * `tallyman healthcheck`: asks a running agent for /-/healthy, as a container image's HEALTHCHECK
 * does.
 */
#include "agent/command/command.h"
#include "agent/command/target.h"
#include "agent/loop/fetch.h"
#include "agent/loop/loop.h"

#include <getopt.h>

#define PATH           "/-/healthy"
#define TIMEOUT_MS     5000
#define BODY_BYTES_MAX 4096

struct question {
    const struct tly_command *command;
    const struct tly_target *target;
    const char *path;
    int code;
};

static void answered(void *arg, const struct tly_response *response)
{
    struct question *question = arg;
    const long ok = 200;
    const long unauthorized = 401;
    const struct tly_target *target = question->target;
    const char *place = tly_target_place(target);
    if (response->code == 0 && response->status == ok) {
        (void)printf("healthy\n");
        question->code = tly_command_finish(question->command, TLY_EXIT_DONE);
        return;
    }
    if (response->code == 0 && response->status == unauthorized && target->asks_password &&
        !target->basic_auth) {
        /* It answers, as only a living one does; more is not to be had without a password. */
        (void)printf("healthy, as far as can be seen without --user and --password-file\n");
        question->code = tly_command_finish(question->command, TLY_EXIT_DONE);
        return;
    }
    question->code = TLY_EXIT_NO;
    if (response->code < 0) {
        (void)tly_command_fail(question->command, "%s does not answer: %s%s", place,
                               response->error,
                               tly_target_advice(target)); /* the code is another one */
    } else {
        (void)tly_command_fail(question->command, "%s%s answers %ld", place, question->path,
                               response->status); /* the code is another one */
    }
}

static int ask(const struct tly_command *command, const struct tly_target *target)
{
    struct tly_loop *loop = NULL;
    struct tly_fetcher *fetcher = NULL;
    struct tly_error err = {0};
    struct question question = {
        .command = command,
        .target = target,
        .path = *target->path ? target->path : PATH,
        .code = TLY_EXIT_USAGE,
    };
    const struct tly_endpoint endpoint = tly_target_endpoint(target);
    const struct tly_request_spec spec = {
        .path = question.path,
        .timeout_ms = TIMEOUT_MS,
        .body_max = BODY_BYTES_MAX,
        .done = answered,
        .arg = &question,
    };
    int rc = tly_loop_new(&loop);
    if (rc == 0) {
        rc = tly_fetcher_new(loop, &endpoint, &fetcher, &err);
    }
    if (rc == 0) {
        rc = tly_fetch_start(fetcher, &spec, NULL);
    }
    if (rc == 0) {
        tly_loop_run(loop);
    } else {
        (void)tly_command_fail(command, "cannot ask: %s",
                               err.code < 0 ? err.text : tly_error_name(rc)); /* set already */
    }
    tly_fetcher_free(fetcher);
    tly_loop_free(loop);
    return question.code;
}

static const struct tly_argument arguments[] = {TLY_TARGET_ARGUMENTS, {0}};

static int run(const struct tly_command *command, int argc, char **argv)
{
    struct tly_target_options options = {0};
    struct tly_target target;
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        if (!tly_target_option(&options, letter, optarg)) {
            return tly_arguments_exit(letter);
        }
    }
    int code = tly_target_find(command, &options, &target);
    if (code == TLY_EXIT_DONE) {
        code = ask(command, &target);
        tly_target_done(&target);
    }
    return code;
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
