/*
 * The list of subcommands, and what they share: usage, the configuration file, messages.
 */
#include "agent/command/command.h"

#include "agent/config/nearest.h"
#include "agent/registry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern const struct tly_command tly_command_run;
extern const struct tly_command tly_command_check;
extern const struct tly_command tly_command_rules;
extern const struct tly_command tly_command_metrics;
extern const struct tly_command tly_command_audit;
extern const struct tly_command tly_command_top;
extern const struct tly_command tly_command_receive;
extern const struct tly_command tly_command_healthcheck;
extern const struct tly_command tly_command_version;

const struct tly_command *const tly_commands[] = {
    &tly_command_run,     &tly_command_check,
    &tly_command_rules,   &tly_command_metrics,
    &tly_command_audit,   &tly_command_top,
    &tly_command_receive, &tly_command_healthcheck,
    &tly_command_version, NULL,
};

static void print_usage(FILE *to)
{
    (void)fprintf(to, "Usage: tallyman COMMAND [OPTIONS]\n"
                      "\n"
                      "Counts every container of this host, forwards its logs, and serves the "
                      "numbers to Prometheus.\n"
                      "\n"
                      "Commands:\n");
    for (size_t i = 0; tly_commands[i]; i++) {
        (void)fprintf(to, "  %-13s %s\n", tly_commands[i]->name, tly_commands[i]->summary);
    }
    (void)fprintf(to, "\n`tallyman COMMAND --help` says more about each.\n");
}

static int unknown_command(const char *name)
{
    struct tly_nearest nearest;
    tly_nearest_init(&nearest, tly_text_of(name));
    for (size_t i = 0; tly_commands[i]; i++) {
        tly_nearest_try(&nearest, tly_commands[i]->name);
    }
    const char *kind = *name == '-' ? "option" : "command";
    if (nearest.name) {
        (void)fprintf(stderr, "tallyman: unknown %s `%s`, did you mean `%s`?\n", kind, name,
                      nearest.name);
    } else {
        (void)fprintf(stderr, "tallyman: unknown %s `%s`; `tallyman --help` lists the commands\n",
                      kind, name);
    }
    return TLY_EXIT_USAGE;
}

int tly_command_main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return TLY_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return fflush(stdout) == 0 ? TLY_EXIT_DONE : TLY_EXIT_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        name = tly_command_version.name;
    }
    for (size_t i = 0; tly_commands[i]; i++) {
        if (strcmp(tly_commands[i]->name, name) == 0) {
            return tly_commands[i]->run(tly_commands[i], argc - 1, argv + 1);
        }
    }
    return unknown_command(name);
}

/* ---- what commands share ---- */

int tly_command_fail(const struct tly_command *command, const char *format, ...)
{
    char text[2 * TLY_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    va_end(args);
    (void)fprintf(stderr, "tallyman %s: %s\n", command->name, text);
    return TLY_EXIT_USAGE;
}

int tly_command_finish(const struct tly_command *command, int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return tly_command_fail(command, "cannot write to standard output: %s",
                                tly_error_name(errno ? -errno : -EIO));
    }
    return code;
}

void tly_command_complain(FILE *to, const char *file, const struct tly_complaints *complaints)
{
    size_t kept = tly_complaints_kept(complaints);
    for (size_t i = 0; i < kept; i++) {
        const struct tly_complaint *complaint = &complaints->at[i];
        if (complaint->line > 0) {
            (void)fprintf(to, "%s:%zu:%zu: %s\n", file, complaint->line, complaint->column,
                          complaint->text);
        } else {
            (void)fprintf(to, "%s: %s\n", file, complaint->text);
        }
    }
    if (complaints->count > kept) {
        (void)fprintf(to, "%s: and %zu more\n", file, complaints->count - kept);
    }
}

const char *tly_command_config_file(const char *path)
{
    if (!path && access(TLY_CONFIG_PATH_DEFAULT, F_OK) == 0) {
        return TLY_CONFIG_PATH_DEFAULT;
    }
    return path;
}

int tly_command_config(const struct tly_command *command, const char *path,
                       struct tly_config **ret_config)
{
    struct tly_complaints complaints;
    struct tly_error err = {0};
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    const char *file = tly_command_config_file(path);
    int rc;
    if (file) {
        rc = tly_config_load(sections, count, file, &complaints, ret_config, &err);
    } else {
        file = "the default configuration";
        rc = tly_config_parse(sections, count, "", 0, &complaints, ret_config);
        (void)tly_error_set(&err, rc, "%s: %s", file, tly_error_name(rc)); /* rc is looked at */
    }
    if (rc == TLY_E_MALFORMED) {
        tly_command_complain(stderr, file, &complaints);
        return TLY_EXIT_USAGE;
    }
    return rc < 0 ? tly_command_fail(command, "%s", err.text) : TLY_EXIT_DONE;
}
