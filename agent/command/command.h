/*
 * A subcommand: one constant per file here, listed in command.c and nowhere else. Its table of
 * arguments yields both the parsing and the text of --help.
 */
#ifndef TLY_COMMAND_COMMAND_H
#define TLY_COMMAND_COMMAND_H

#include "agent/config/option.h"

#include <stdio.h>

/* Exit codes, the same for every command. */
enum {
    TLY_EXIT_DONE = 0,
    TLY_EXIT_NO = 1,    /* the answer is no: an invalid file, an agent that is not healthy */
    TLY_EXIT_USAGE = 2, /* wrong arguments, or an environment in which nothing can be done */
};

struct tly_argument {
    char letter;       /* -c */
    const char *name;  /* --config */
    const char *value; /* what stands behind it, for --help ("FILE"); NULL: nothing */
    const char *help;
};

/* All the values that an argument can have. */
struct tly_choices {
    char letter;              /* of the argument */
    const char *const *names; /* ends in NULL */
};

struct tly_command {
    const char *name;
    const char *summary;                  /* one line, for the list of commands */
    const char *operands;                 /* for --help, "FILE..."; NULL: none are allowed */
    const char *help;                     /* what it does, for --help; may have several lines */
    const struct tly_argument *arguments; /* ends in a row with name NULL; -h is not among them */
    const struct tly_choices *choices;    /* ends in a row with letter 0; NULL: none are known */
    int (*run)(const struct tly_command *command, int argc, char **argv);
};

extern const struct tly_command *const tly_commands[]; /* ends in NULL */

/* What `tallyman` itself does with its arguments; the exit code. */
int tly_command_main(int argc, char **argv);

/*
 * The next option, by getopt_long(3), so that `optarg` holds its value and `optind` the first
 * operand: its letter, or one of the negative codes. `argv[0]` is the command's name. After the
 * end, operands stand at optind and behind; ones that the command has no use for are an error
 * already.
 *
 *     for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
 *         switch (letter) {
 *         case 'c': path = optarg; break;
 *         default: return tly_arguments_exit(letter);
 *         }
 *     }
 */
enum {
    TLY_ARGUMENTS_END = -1,
    TLY_ARGUMENTS_HELP = -2,  /* --help was asked for and given */
    TLY_ARGUMENTS_WRONG = -3, /* said on standard error already */
};
int tly_arguments_next(const struct tly_command *command, int argc, char **argv);
/* The exit code that belongs to a negative code. */
int tly_arguments_exit(int code);

/* "tallyman COMMAND: text" on standard error. Returns TLY_EXIT_USAGE, so that a command can end in
 * it. */
int tly_command_fail(const struct tly_command *command, const char *format, ...) TLY_PRINTF(2, 3);

/* Flushes standard output; `code`, or TLY_EXIT_USAGE (said) if not all could be written. */
int tly_command_finish(const struct tly_command *command, int code);

/* Used where --config is absent, if it exists. */
#define TLY_CONFIG_PATH_DEFAULT TLY_CONFIG_DIR "/tallyman.yml"

/* The file that `--config` names, or the default place if there is one; NULL: neither. */
const char *tly_command_config_file(const char *path);

/*
 * Reads the configuration: `path`; or with NULL the default file; or, without that file, the
 * defaults. Mistakes are said on standard error. Nonzero is the exit code to end with.
 */
int tly_command_config(const struct tly_command *command, const char *path,
                       struct tly_config **ret_config) TLY_CHECK;

/* "file:line:column: text" for each complaint. */
void tly_command_complain(FILE *to, const char *file, const struct tly_complaints *complaints);

#endif
