/*
 * The program `tallyman`. Everything it can do is a command.
 */
#include "agent/command/command.h"

int main(int argc, char **argv)
{
    return tly_command_main(argc, argv);
}
