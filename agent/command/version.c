/*
 * `tallyman version`: one line, for people and for scripts.
 */
#include "agent/command/command.h"

static int run(const struct tly_command *command, int argc, char **argv)
{
    int code = tly_arguments_next(command, argc, argv);
    if (code != TLY_ARGUMENTS_END) {
        return tly_arguments_exit(code);
    }
    (void)printf("tallyman %s\n", TLY_VERSION);
    return tly_command_finish(command, TLY_EXIT_DONE);
}

const struct tly_command tly_command_version = {
    .name = "version",
    .summary = "Print the version",
    .help = "Prints the name and the version.",
    .run = run,
};
