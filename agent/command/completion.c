/*
 * What shells need to complete a command line, from the table of commands: its names, its options
 * with the values that they take, and whether files come behind them.
 */
#include "agent/command/command.h"
#include "agent/command/documents.h"

#include <string.h>

#define WRITTEN "# Completion of tallyman(8), written by `tallyman check --print %s`.\n"

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

static bool takes_file(const struct tly_argument *argument)
{
    return argument->value && strcmp(argument->value, "FILE") == 0;
}

/* The values of an argument; NULL if they are not known. */
static const char *const *choices_of(const struct tly_command *command,
                                     const struct tly_argument *argument)
{
    const struct tly_choices *row = command->choices;
    while (row && row->letter && row->letter != argument->letter) {
        row++;
    }
    return row && row->letter ? row->names : NULL;
}

static bool files_behind(const struct tly_command *command)
{
    return command->operands && strstr(command->operands, "FILE");
}

/* A word that stands before the files, as in "test FILE..."; empty if there is none. */
static struct tly_text word_behind(const struct tly_command *command)
{
    struct tly_text rest = tly_text_of(command->operands ? command->operands : "");
    struct tly_text word = tly_text_cut(&rest, ' ');
    return rest.at ? word : (struct tly_text){"", 0};
}

static int put_choices(struct tly_buf *buf, const char *const *choices)
{
    int rc = 0;
    for (size_t i = 0; choices[i] && rc == 0; i++) {
        rc = tly_buf_printf(buf, "%s%s", i > 0 ? " " : "", choices[i]);
    }
    return rc;
}

/* The first clause of a help text, for a menu; quoted for the inside of '…', and with a backslash
 * before each of `special`. */
static int put_clause(struct tly_buf *buf, const char *help, const char *special)
{
    int rc = 0;
    for (const char *at = help; *at && rc == 0; at++) {
        if (strchr(".;:", *at) && (at[1] == ' ' || at[1] == '\0')) {
            break;
        }
        if (*at == '\'') {
            rc = put(buf, "'\\''");
        } else {
            rc = tly_buf_printf(buf, "%s%c", strchr(special, *at) ? "\\" : "", *at);
        }
    }
    return rc;
}

/* ---- bash ---- */

static const char bash_head[] =
    "\n"
    "_tallyman()\n"
    "{\n"
    "    local command=${COMP_WORDS[1]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} words='' files=''\n"
    "    COMPREPLY=()\n"
    "    if ((COMP_CWORD == 1)); then\n"
    "        command='' words='";
static const char bash_options[] = "    esac\n"
                                   "    if [[ -z $words$files && $current == -* ]]; then\n"
                                   "        case $command in\n";
static const char bash_operands[] = "        esac\n"
                                    "    elif [[ -z $words$files ]]; then\n"
                                    "        case $command in\n";
static const char bash_tail[] =
    "        esac\n"
    "    fi\n"
    "    if [[ -n $files ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
    "    fi\n"
    "    if [[ -n $words ]]; then\n"
    "        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
    "    fi\n"
    "}\n"
    "complete -F _tallyman tallyman\n";

/* What follows an option that takes a value. */
static int bash_values(struct tly_buf *buf, const struct tly_command *command)
{
    int rc = 0;
    for (const struct tly_argument *row = command->arguments; row && row->name && rc == 0; row++) {
        if (!row->value) {
            continue;
        }
        rc = tly_buf_printf(buf, "    %s:-%c | %s:--%s) ", command->name, row->letter,
                            command->name, row->name);
        if (rc == 0 && choices_of(command, row)) {
            rc = put(buf, "words='");
            rc = rc < 0 ? rc : put_choices(buf, choices_of(command, row));
            rc = rc < 0 ? rc : put(buf, "' ;;\n");
        } else if (rc == 0) {
            rc = put(buf, takes_file(row) ? "files=yes ;;\n" : "return ;;\n");
        }
    }
    return rc;
}

static int bash_words(struct tly_buf *buf, const struct tly_command *command)
{
    int rc = tly_buf_printf(buf, "        %s) words='", command->name);
    for (const struct tly_argument *row = command->arguments; row && row->name && rc == 0; row++) {
        rc = tly_buf_printf(buf, "-%c --%s ", row->letter, row->name);
    }
    return rc < 0 ? rc : put(buf, "-h --help' ;;\n");
}

static int bash_behind(struct tly_buf *buf, const struct tly_command *command)
{
    const struct tly_text word = word_behind(command);
    int rc = 0;
    if (word.len > 0) {
        rc = tly_buf_printf(buf,
                            "        %s) ((COMP_CWORD == 2)) && words='%.*s' || files=yes ;;\n",
                            command->name, (int)word.len, word.at);
    } else if (files_behind(command)) {
        rc = tly_buf_printf(buf, "        %s) files=yes ;;\n", command->name);
    }
    return rc;
}

static int for_each(struct tly_buf *buf,
                    int (*write)(struct tly_buf *buf, const struct tly_command *command))
{
    int rc = 0;
    for (size_t i = 0; tly_commands[i] && rc == 0; i++) {
        rc = write(buf, tly_commands[i]);
    }
    return rc;
}

static int put_name(struct tly_buf *buf, const struct tly_command *command)
{
    return tly_buf_printf(buf, "%s ", command->name);
}

int tly_completion_bash(struct tly_buf *buf)
{
    int rc = tly_buf_printf(buf, WRITTEN "# shellcheck shell=bash\n", "bash");
    rc = rc < 0 ? rc : put(buf, bash_head);
    rc = rc < 0 ? rc : for_each(buf, put_name);
    rc = rc < 0 ? rc : put(buf, "help -h --help'\n    fi\n    case $command:$previous in\n");
    rc = rc < 0 ? rc : for_each(buf, bash_values);
    rc = rc < 0 ? rc : put(buf, bash_options);
    rc = rc < 0 ? rc : for_each(buf, bash_words);
    rc = rc < 0 ? rc : put(buf, bash_operands);
    rc = rc < 0 ? rc : for_each(buf, bash_behind);
    return rc < 0 ? rc : put(buf, bash_tail);
}

/* ---- zsh ---- */

#define ZSH_SPECIAL "[]:\\"

static const char zsh_head[] = "\n"
                               "local curcontext=$curcontext state line ret=1\n"
                               "typeset -A opt_args\n"
                               "_arguments -C '(-)'{-h,--help}'[Print the list of commands]' \\\n"
                               "    '1: :->command' '*:: :->arguments' && ret=0\n"
                               "case $state in\n"
                               "command)\n"
                               "    local -a commands=(\n";
static const char zsh_commands_end[] = "        help:'Print the list of commands'\n"
                                       "    )\n"
                                       "    _describe -t commands command commands && ret=0\n"
                                       "    ;;\n"
                                       "arguments)\n"
                                       "    case $words[1] in\n";

static int zsh_name(struct tly_buf *buf, const struct tly_command *command)
{
    int rc = tly_buf_printf(buf, "        %s:'", command->name);
    rc = rc < 0 ? rc : put_clause(buf, command->summary, "");
    return rc < 0 ? rc : put(buf, "'\n");
}

static int zsh_argument(struct tly_buf *buf, const struct tly_command *command,
                        const struct tly_argument *row)
{
    const char *const *choices = choices_of(command, row);
    int rc = tly_buf_printf(buf, "            '*'{-%c,--%s}'[", row->letter, row->name);
    rc = rc < 0 ? rc : put_clause(buf, row->help, ZSH_SPECIAL);
    rc = rc < 0 ? rc : put(buf, "]");
    if (rc == 0 && choices) {
        rc = tly_buf_printf(buf, ":%s:(", row->value);
        rc = rc < 0 ? rc : put_choices(buf, choices);
        rc = rc < 0 ? rc : put(buf, ")");
    } else if (rc == 0 && row->value) {
        rc = tly_buf_printf(buf, ":%s:%s", row->value, takes_file(row) ? "_files" : " ");
    }
    return rc < 0 ? rc : put(buf, "' \\\n");
}

static int zsh_arguments(struct tly_buf *buf, const struct tly_command *command)
{
    const struct tly_text word = word_behind(command);
    int rc = tly_buf_printf(buf, "    %s)\n        _arguments -s \\\n", command->name);
    for (const struct tly_argument *row = command->arguments; row && row->name && rc == 0; row++) {
        rc = zsh_argument(buf, command, row);
    }
    if (rc == 0 && word.len > 0) {
        rc = tly_buf_printf(buf, "            '1: :(%.*s)' \\\n", (int)word.len, word.at);
    }
    if (rc == 0 && files_behind(command)) {
        rc = put(buf, "            '*:file:_files' \\\n");
    }
    return rc < 0 ? rc
                  : put(buf, "            '(- *)'{-h,--help}'[Print what the command knows]' && "
                             "ret=0\n        ;;\n");
}

int tly_completion_zsh(struct tly_buf *buf)
{
    int rc = tly_buf_printf(buf, "#compdef tallyman\n" WRITTEN, "zsh");
    rc = rc < 0 ? rc : put(buf, zsh_head);
    rc = rc < 0 ? rc : for_each(buf, zsh_name);
    rc = rc < 0 ? rc : put(buf, zsh_commands_end);
    rc = rc < 0 ? rc : for_each(buf, zsh_arguments);
    return rc < 0 ? rc : put(buf, "    esac\n    ;;\nesac\nreturn ret\n");
}

/* ---- fish ---- */

#define FISH_SPECIAL "\\"

static int fish_name(struct tly_buf *buf, const struct tly_command *command)
{
    int rc = tly_buf_printf(buf, "complete -c tallyman -n __fish_use_subcommand -a %s -d '",
                            command->name);
    rc = rc < 0 ? rc : put_clause(buf, command->summary, FISH_SPECIAL);
    return rc < 0 ? rc : put(buf, "'\n");
}

static int fish_begin(struct tly_buf *buf, const struct tly_command *command)
{
    return tly_buf_printf(buf, "complete -c tallyman -n '__fish_seen_subcommand_from %s'",
                          command->name);
}

static int fish_argument(struct tly_buf *buf, const struct tly_command *command,
                         const struct tly_argument *row)
{
    const char *const *choices = choices_of(command, row);
    int rc = fish_begin(buf, command);
    rc = rc < 0 ? rc : tly_buf_printf(buf, " -s %c -l %s", row->letter, row->name);
    if (rc == 0 && choices) {
        rc = put(buf, " -x -a '");
        rc = rc < 0 ? rc : put_choices(buf, choices);
        rc = rc < 0 ? rc : put(buf, "'");
    } else if (rc == 0 && row->value) {
        rc = put(buf, takes_file(row) ? " -r -F" : " -x");
    }
    rc = rc < 0 ? rc : put(buf, " -d '");
    rc = rc < 0 ? rc : put_clause(buf, row->help, FISH_SPECIAL);
    return rc < 0 ? rc : put(buf, "'\n");
}

static int fish_arguments(struct tly_buf *buf, const struct tly_command *command)
{
    const struct tly_text word = word_behind(command);
    int rc = 0;
    for (const struct tly_argument *row = command->arguments; row && row->name && rc == 0; row++) {
        rc = fish_argument(buf, command, row);
    }
    if (rc == 0 && word.len > 0) {
        rc = fish_begin(buf, command);
        rc = rc < 0 ? rc : tly_buf_printf(buf, " -a %.*s\n", (int)word.len, word.at);
    }
    if (rc == 0 && files_behind(command)) {
        rc = fish_begin(buf, command);
        rc = rc < 0 ? rc : put(buf, " -F\n");
    }
    return rc;
}

int tly_completion_fish(struct tly_buf *buf)
{
    int rc = tly_buf_printf(buf,
                            WRITTEN "\ncomplete -c tallyman -f\n"
                                    "complete -c tallyman -s h -l help -d 'Print help'\n",
                            "fish");
    rc = rc < 0 ? rc : for_each(buf, fish_name);
    rc = rc < 0 ? rc
                : put(buf, "complete -c tallyman -n __fish_use_subcommand -a help "
                           "-d 'Print the list of commands'\n");
    return rc < 0 ? rc : for_each(buf, fish_arguments);
}
