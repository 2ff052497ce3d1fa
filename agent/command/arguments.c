/*
 * Options of a subcommand, by getopt_long(3), from the command's table: parsing, what is said about
 * a wrong one, and --help. getopt's own messages are off, since they know no nearest name.
 */
#include "agent/command/command.h"
#include "agent/config/nearest.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ARGUMENTS_MAX 16
/* Where the help texts of options begin and end. */
#define HELP_COLUMN     24
#define HELP_COLUMN_MAX 90

static size_t count_arguments(const struct tly_command *command)
{
    size_t count = 0;
    while (command->arguments && command->arguments[count].name && count < ARGUMENTS_MAX) {
        count++;
    }
    return count;
}

/* The help is broken between words and stands in its own column. */
static void print_option(char letter, const char *name, const char *value, const char *help)
{
    int column = printf("  -%c, --%s%s%s", letter, name, value ? " " : "", value ? value : "");
    if (column >= HELP_COLUMN) {
        column = printf("\n") - 1;
    }
    (void)printf("%*s", HELP_COLUMN - 1 - column, "");
    column = HELP_COLUMN - 1;
    for (struct tly_text rest = tly_text_of(help); rest.at;) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        if (column + 1 + (int)word.len > HELP_COLUMN_MAX) {
            (void)printf("\n%*s", HELP_COLUMN - 1, "");
            column = HELP_COLUMN - 1;
        }
        (void)printf(" %.*s", (int)word.len, word.at);
        column += 1 + (int)word.len;
    }
    (void)printf("\n");
}

static void print_help(const struct tly_command *command)
{
    size_t count = count_arguments(command);
    (void)printf("Usage: tallyman %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", command->name,
                 command->operands ? " " : "", command->operands ? command->operands : "",
                 command->help);
    for (size_t i = 0; i < count; i++) {
        const struct tly_argument *argument = &command->arguments[i];
        print_option(argument->letter, argument->name, argument->value, argument->help);
    }
    print_option('h', "help", NULL, "Print this text.");
    (void)printf("\nExit codes: 0 done, 1 the answer is no, 2 usage or environment.\n");
}

/* An option that there is not; `written` as it stands in argv, with its dashes. */
static void say_unknown(const struct tly_command *command, const char *written)
{
    struct tly_text name = tly_text_of(written);
    struct tly_nearest nearest;
    while (name.len > 0 && *name.at == '-') {
        name.at++;
        name.len--;
    }
    name = tly_text_cut(&name, '=');
    tly_nearest_init(&nearest, name);
    for (size_t i = 0; i < count_arguments(command); i++) {
        tly_nearest_try(&nearest, command->arguments[i].name);
    }
    tly_nearest_try(&nearest, "help");
    if (nearest.name) {
        (void)tly_command_fail(command, "unknown option `%s`, did you mean `--%s`?", written,
                               nearest.name); /* always the same code */
    } else {
        (void)tly_command_fail(command, "unknown option `%s`; `tallyman %s --help` lists them",
                               written, command->name); /* as above */
    }
}

static int check_operands(const struct tly_command *command, int argc, char **argv)
{
    if (!command->operands && optind < argc) {
        (void)tly_command_fail(command, "`%s` has no meaning here; `tallyman %s --help` says more",
                               argv[optind], command->name); /* always the same code */
        return TLY_ARGUMENTS_WRONG;
    }
    return TLY_ARGUMENTS_END;
}

int tly_arguments_next(const struct tly_command *command, int argc, char **argv)
{
    struct option options[ARGUMENTS_MAX + 2] = {0};
    char letters[2 * ARGUMENTS_MAX + 3];
    size_t len = 0;
    size_t count = count_arguments(command);
    letters[len++] = ':'; /* tells a missing value from an unknown option */
    for (size_t i = 0; i < count; i++) {
        const struct tly_argument *argument = &command->arguments[i];
        options[i] = (struct option){argument->name,
                                     argument->value ? required_argument : no_argument, NULL,
                                     argument->letter};
        letters[len++] = argument->letter;
        if (argument->value) {
            letters[len++] = ':';
        }
    }
    options[count] = (struct option){"help", no_argument, NULL, 'h'};
    letters[len++] = 'h';
    letters[len] = '\0';

    opterr = 0;
    const int at = optind;
    int letter = getopt_long(argc, argv, letters, options, NULL);
    switch (letter) {
    case -1:
        return check_operands(command, argc, argv);
    case 'h':
        print_help(command);
        return TLY_ARGUMENTS_HELP;
    case ':':
        (void)tly_command_fail(command, "option `%s` needs a value", argv[optind - 1]); /* same */
        return TLY_ARGUMENTS_WRONG;
    case '?':
        /* With several letters in one word getopt has not moved on. */
        say_unknown(command, argv[optind > at ? optind - 1 : optind]);
        return TLY_ARGUMENTS_WRONG;
    default:
        return letter;
    }
}

int tly_arguments_exit(int code)
{
    return code == TLY_ARGUMENTS_HELP ? TLY_EXIT_DONE : TLY_EXIT_USAGE;
}
