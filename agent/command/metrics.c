/*
 * `tallyman metrics`: one collection, printed as Prometheus would scrape it. Nothing is kept, sent
 * or served, so it can run beside the agent and needs no state folder.
 */
#include "agent/codec/exposition.h"
#include "agent/command/command.h"
#include "agent/config/scalar.h"
#include "agent/config/settings.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "agent/runner.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#define TIMEOUT_DEFAULT_MS 10000
/* Collectors do not say when they become ready; asking is cheap. */
#define POLL_MS           20
#define MISSING_BYTES_MAX 4096

struct collection {
    const struct tly_command *command;
    struct tly_loop *loop;
    struct tly_runner *runner;
    struct tly_timer *poll;
    int64_t deadline_ms;
    int code;
    bool clean;
};

static void stopped(void *arg, bool clean)
{
    struct collection *collection = arg;
    collection->clean = clean;
    tly_loop_stop(collection->loop);
}

static int block_print(void *arg, struct tly_text block)
{
    (void)arg;
    (void)fwrite(block.at, 1, block.len, stdout); /* tly_command_finish looks */
    return 0;
}

static int print_snapshot(struct collection *collection, const struct tly_snapshot *snapshot)
{
    struct tly_exposition exposition;
    tly_exposition_init(&exposition);
    int rc = 0;
    for (size_t i = 0; i < snapshot->count && rc == 0; i++) {
        rc = tly_exposition_add(&exposition, snapshot->rows[i].labels, snapshot->rows[i].sets,
                                snapshot->slots);
    }
    if (rc == 0) {
        rc = tly_exposition_stream(&exposition, TLY_EXPOSITION_TEXT_0_0_4, block_print, NULL, NULL);
    }
    tly_exposition_done(&exposition);
    return rc < 0 ? tly_command_fail(collection->command, "cannot write the metrics: %s",
                                     tly_error_name(rc))
                  : tly_command_finish(collection->command, TLY_EXIT_DONE);
}

static void refreshed(void *arg)
{
    struct collection *collection = arg;
    struct tly_snapshot *snapshot = tly_inventory_snapshot(
        tly_runner_inventory(collection->runner));
    if (snapshot) {
        collection->code = print_snapshot(collection, snapshot);
        tly_snapshot_unref(snapshot);
    } else {
        collection->code = tly_command_fail(collection->command, "%s", tly_error_name(-ENOMEM));
    }
    tly_runner_stop(collection->runner, stopped, collection);
}

/* Goes on when all collectors are ready, or the time is over. */
static void look(void *arg)
{
    struct collection *collection = arg;
    struct tly_buf missing;
    tly_buf_init(&missing, MISSING_BYTES_MAX);
    const bool ready = tly_runner_ready(collection->runner, &missing);
    const bool late = tly_loop_now_ms(collection->loop) >= collection->deadline_ms;
    if (!ready && late) {
        (void)fprintf(stderr, "tallyman metrics: incomplete, as the time is up:\n%.*s",
                      (int)missing.len, missing.at ? missing.at : "");
    }
    tly_buf_done(&missing);
    if (!ready && !late) {
        return;
    }
    tly_timer_stop(collection->poll);
    int rc = tly_inventory_refresh(tly_runner_inventory(collection->runner), 0, refreshed,
                                   collection);
    if (rc < 0) {
        collection->code = tly_command_fail(collection->command, "%s", tly_error_name(rc));
        tly_runner_stop(collection->runner, stopped, collection);
    }
}

static void collect(struct collection *collection, int64_t timeout_ms)
{
    struct tly_error err = {0};
    collection->deadline_ms = tly_loop_now_ms(collection->loop) + timeout_ms;
    if (tly_runner_start_collectors(collection->runner, &err) < 0) {
        collection->code = tly_command_fail(collection->command, "%s", err.text);
        tly_runner_stop(collection->runner, stopped, collection);
    } else {
        tly_timer_start(collection->poll, 0, POLL_MS);
    }
    tly_loop_run(collection->loop);
    if (!collection->clean) {
        _Exit(collection->code); /* something still runs; what is printed is whole */
    }
}

static int run_collection(const struct tly_command *command, struct tly_config *config,
                          int64_t timeout_ms)
{
    const struct tly_log_settings *log = tly_config_section(config, &tly_log_section);
    tly_log_set_level(log->level > TLY_LOG_WARN ? (enum tly_log_level)log->level : TLY_LOG_WARN);
    struct collection collection = {.command = command};
    struct tly_error err = {0};
    int rc = tly_loop_new(&collection.loop);
    if (rc == 0) {
        rc = tly_timer_new(collection.loop, look, &collection, &collection.poll);
    }
    if (rc < 0) {
        collection.code = tly_command_fail(command, "%s", tly_error_name(rc));
    } else if (tly_runner_new(collection.loop, config, -1, NULL, &collection.runner, &err) < 0) {
        collection.code = tly_command_fail(command, "%s", err.text);
    } else {
        collect(&collection, timeout_ms);
    }
    tly_timer_free(collection.poll);
    tly_runner_free(collection.runner);
    tly_loop_free(collection.loop);
    return collection.code;
}

static const struct tly_argument arguments[] = {
    {'c', "config", "FILE",
     "The configuration; without it " TLY_CONFIG_PATH_DEFAULT " if that exists, else the "
     "defaults."},
    {'t', "timeout", "DURATION", "How long collectors may take to get ready; default 10s."},
    {0},
};

static int run(const struct tly_command *command, int argc, char **argv)
{
    const char *path = NULL;
    int64_t timeout_ms = TIMEOUT_DEFAULT_MS;
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        switch (letter) {
        case 'c':
            path = optarg;
            break;
        case 't':
            if (tly_scalar_duration(tly_text_of(optarg), &timeout_ms) < 0) {
                return tly_command_fail(command, "--timeout: `%s` is not a duration such as 10s",
                                        optarg);
            }
            break;
        default:
            return tly_arguments_exit(letter);
        }
    }
    struct tly_config *config = NULL;
    int code = tly_command_config(command, path, &config);
    if (code == TLY_EXIT_DONE) {
        code = run_collection(command, config, timeout_ms);
        tly_config_free(config);
    }
    return code;
}

const struct tly_command tly_command_metrics = {
    .name = "metrics",
    .summary = "Collect once and print the metrics",
    .help = "Collects once and prints what a scrape of /metrics would show, to standard output.\n"
            "Serves, sends and keeps nothing.",
    .arguments = arguments,
    .run = run,
};
