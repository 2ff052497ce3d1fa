/*
 * tallyman(8), from the table of commands, as --help is.
 */
#include "agent/command/command.h"
#include "agent/command/documents.h"
#include "agent/config/roff.h"

static const char head[] =
    ".\\\" Written by `tallyman check --print tallyman.8` from the table of commands.\n"
    ".Dd " TLY_ROFF_DATE "\n"
    ".Dt TALLYMAN 8\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm tallyman\n"
    ".Nd count containers, forward their logs and judge both\n"
    ".Sh SYNOPSIS\n"
    ".Nm\n"
    ".Ar command\n"
    ".Op Ar options\n"
    ".Op Ar operands\n"
    ".Nm\n"
    ".Fl -help\n"
    ".Sh DESCRIPTION\n"
    ".Nm\n"
    "is an agent for a host with containers.\n"
    "It counts what every container uses and serves the numbers to Prometheus,\n"
    "forwards every line that they write over the Fluentd forward protocol and\n"
    "loses none, and tells of abuse and of unsafe set-ups.\n"
    "It reads the kernel's files, Docker's files and Docker's API, and changes\n"
    "nothing.\n"
    ".Pp\n"
    "Numbers and a status page are at\n"
    ".Lk http://127.0.0.1:10191/\n"
    "as long as the configuration says nothing else; see\n"
    ".Xr tallyman.yml 5 .\n"
    ".Sh COMMANDS\n"
    "Each knows\n"
    ".Fl h ,\n"
    ".Fl -help .\n";

static const char tail[] =
    ".Sh ENVIRONMENT\n"
    "The configuration can name any variable; by default it uses these:\n"
    ".Bl -tag -width STATE_DIRECTORY\n"
    ".It Ev DOCKER_HOST\n"
    "Where the Docker engine listens.\n"
    ".It Ev STATE_DIRECTORY\n"
    "The folder for what must survive a restart;\n"
    ".Xr systemd.exec 5\n"
    "sets it.\n"
    ".It Ev NO_COLOR\n"
    "With any value nothing is coloured.\n"
    ".El\n"
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa " TLY_CONFIG_PATH_DEFAULT "\n"
    "The configuration, where\n"
    ".Fl -config\n"
    "names no other.\n"
    "Without it the agent runs by its defaults.\n"
    ".It Pa /var/lib/tallyman\n"
    "How far each log is delivered, what waits for a receiver, states of alerts\n"
    "and findings.\n"
    ".It Pa /run/docker.sock\n"
    "The Docker engine.\n"
    ".El\n"
    ".Sh EXIT STATUS\n"
    ".Bl -tag -width Ds\n"
    ".It 0\n"
    "Done.\n"
    ".It 1\n"
    "The answer is no: a file that is wrong, a finding, an agent that is not\n"
    "healthy.\n"
    ".It 2\n"
    "Wrong arguments, or surroundings in which nothing can be done.\n"
    ".El\n"
    ".Sh EXAMPLES\n"
    "What a scrape would see, without a service:\n"
    ".Pp\n"
    ".Dl # tallyman metrics | less\n"
    ".Pp\n"
    "What is set up unsafely, and how to mend it:\n"
    ".Pp\n"
    ".Dl # tallyman audit\n"
    ".Pp\n"
    "A configuration is looked at before the service uses it:\n"
    ".Pp\n"
    ".Dl # tallyman check " TLY_CONFIG_PATH_DEFAULT " && systemctl restart tallyman\n"
    ".Sh SEE ALSO\n"
    ".Xr docker 1 ,\n"
    ".Xr systemd.unit 5 ,\n"
    ".Xr tallyman.yml 5\n";

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

static int put_argument(struct tly_buf *buf, const struct tly_argument *argument)
{
    int rc = tly_buf_printf(buf, ".It Fl %c , Fl -", argument->letter);
    rc = rc < 0 ? rc : tly_roff_literal(buf, tly_text_of(argument->name));
    if (rc == 0 && argument->value) {
        rc = tly_buf_printf(buf, " Ar %s", argument->value);
    }
    rc = rc < 0 ? rc : put(buf, "\n");
    return rc < 0 ? rc : tly_roff_text(buf, tly_text_of(argument->help));
}

static int put_command(struct tly_buf *buf, const struct tly_command *command)
{
    const struct tly_argument *argument = command->arguments;
    const bool any = argument && argument->name;
    int rc = tly_buf_printf(buf, ".Ss %s\n.Nm\n.Cm %s\n", command->name, command->name);
    rc = rc < 0 || !any ? rc : put(buf, ".Op Ar options\n");
    rc = rc < 0 || !command->operands ? rc : tly_buf_printf(buf, ".Ar %s\n", command->operands);
    rc = rc < 0 ? rc : put(buf, ".Pp\n");
    rc = rc < 0 ? rc : tly_roff_text(buf, tly_text_of(command->help));
    rc = rc < 0 || !any ? rc : put(buf, ".Bl -tag -width Ds\n");
    for (; rc == 0 && any && argument->name; argument++) {
        rc = put_argument(buf, argument);
    }
    return rc < 0 || !any ? rc : put(buf, ".El\n");
}

int tly_command_manual(struct tly_buf *buf)
{
    int rc = put(buf, head);
    for (size_t i = 0; tly_commands[i] && rc == 0; i++) {
        rc = put_command(buf, tly_commands[i]);
    }
    return rc < 0 ? rc : put(buf, tail);
}
