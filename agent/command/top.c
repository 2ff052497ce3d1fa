/*
 * `tallyman top`: what the status page shows, in a terminal. What it does is agent/top.
 */
#include "agent/top/top.h"

#include "agent/command/command.h"
#include "agent/command/target.h"
#include "agent/loop/log.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MIN_S 0.5
#define INTERVAL_MAX_S 3600.0
#define MS_PER_S       1e3

static const struct tly_argument arguments[] = {
    {'i', "interval", "SECONDS",
     "Ask so often; without it every 3 seconds, and every 5 where there are many containers."},
    {'s', "sort", "KEY",
     "attention (the default), name, state, cpu, memory, net, disk, restarts, lag or failed: "
     "figures from most to least, names from A on."},
    {'r', "reverse", NULL, "The other way round."},
    {'f', "filter", "WORDS",
     "Only containers that have all these words in their name, image, project, id, state or "
     "health."},
    {'w', "show", "WHICH", "all (the default), attention, running, stopped or unhealthy."},
    {'1', "once", NULL, "Print one text and end, also in a terminal."},
    {'n', "count", "N", "Print N texts, one after the other, and end."},
    TLY_TARGET_ARGUMENTS,
    {0},
};

static const struct tly_choices choices[] = {
    {'s', tly_sort_names},
    {'w', tly_show_names},
    {0},
};

/* The index of a name in a list; -1. */
static int name_find(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static int interval_take(const struct tly_command *command, const char *text,
                         struct tly_top_options *options)
{
    char *behind = NULL;
    double seconds = strtod(text, &behind);
    if (behind == text || *behind != '\0' ||
        !(seconds >= INTERVAL_MIN_S && seconds <= INTERVAL_MAX_S)) {
        return tly_command_fail(command,
                                "--interval: `%.60s` is no number of seconds from 0.5 to "
                                "3600",
                                text);
    }
    options->interval_ms = (int64_t)(seconds * MS_PER_S);
    return TLY_EXIT_DONE;
}

static int choice_take(const struct tly_command *command, int letter, const char *text,
                       struct tly_choice *choice)
{
    int found;
    switch (letter) {
    case 's':
        found = name_find(tly_sort_names, text);
        choice->sort = found >= 0 ? (enum tly_sort)found : choice->sort;
        break;
    case 'w':
        found = name_find(tly_show_names, text);
        choice->show = found >= 0 ? (enum tly_show)found : choice->show;
        break;
    default:
        found = strlen(text) < sizeof(choice->filter) ? 0 : -1;
        if (found == 0) {
            memcpy(choice->filter, text, strlen(text) + 1);
        }
    }
    if (found >= 0) {
        return TLY_EXIT_DONE;
    }
    return letter == 'f' ? tly_command_fail(command, "--filter: more than %zu bytes",
                                            sizeof(choice->filter) - 1)
                         : tly_command_fail(command,
                                            "--%s: there is no `%.60s`; `tallyman top "
                                            "--help` lists them",
                                            letter == 's' ? "sort" : "show", text);
}

static int argument_take(const struct tly_command *command, int letter,
                         struct tly_top_options *options)
{
    switch (letter) {
    case 'i':
        return interval_take(command, optarg, options);
    case 'r':
        options->choice.reverse = true;
        return TLY_EXIT_DONE;
    case '1':
        options->count = 1;
        return TLY_EXIT_DONE;
    case 'n':
        if (tly_text_u64(tly_text_of(optarg), &options->count) < 0 || options->count == 0) {
            return tly_command_fail(command, "--count: `%.60s` is no number above 0", optarg);
        }
        return TLY_EXIT_DONE;
    default:
        return choice_take(command, letter, optarg, &options->choice);
    }
}

static int show(const struct tly_command *command, const struct tly_target *target,
                struct tly_top_options *options)
{
    struct tly_error err = {0};
    options->endpoint = tly_target_endpoint(target);
    options->path = target->path;
    options->place = tly_target_place(target);
    options->advice = tly_target_advice(target);
    tly_log_set_level(TLY_LOG_ERROR); /* the screen is for what it shows */
    (void)setlocale(LC_CTYPE, "");    /* else it stays ASCII */
    int rc = tly_top_run(options, &err);
    if (rc == 0) {
        return TLY_EXIT_DONE;
    }
    int code = tly_command_fail(command, "%s", err.text);
    return rc == -ELIBACC ? code : TLY_EXIT_NO; /* a library is missing here, or no answer came */
}

static int run(const struct tly_command *command, int argc, char **argv)
{
    struct tly_target_options where = {0};
    struct tly_top_options options = {0};
    struct tly_target target;
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        if (letter < 0) {
            return tly_arguments_exit(letter);
        }
        if (!tly_target_option(&where, letter, optarg)) {
            int code = argument_take(command, letter, &options);
            if (code != TLY_EXIT_DONE) {
                return code;
            }
        }
    }
    int code = tly_target_find(command, &where, &target);
    if (code == TLY_EXIT_DONE) {
        code = show(command, &target, &options);
        tly_target_done(&target);
    }
    return code;
}

const struct tly_command tly_command_top = {
    .name = "top",
    .summary = "Show what a running agent knows, in a terminal",
    .help =
        "Shows what the status page shows: what needs attention, containers, alerts, findings,\n"
        "where logs go, and what the agent itself costs. `?` lists the keys, `q` quits. Where\n"
        "standard output is no terminal it prints one text, whose table always has the same\n"
        "columns. Exits with 1 if no answer comes for a text.",
    .arguments = arguments,
    .choices = choices,
    .run = run,
};
