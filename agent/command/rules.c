/*
 * `tallyman rules test`: unit tests of rules, in promtool's own format.
 */
#include "agent/command/command.h"
#include "agent/rules/rule_test.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static int test_file(const struct tly_command *command, const char *path)
{
    static struct tly_complaints complaints; /* too large for a stack frame */
    struct tly_buf report;
    struct tly_rule_test_result result;
    struct tly_error err = {0};
    tly_buf_init(&report, TLY_RULE_TEST_REPORT_MAX);
    int rc = tly_rule_test_run(path, &complaints, &report, &result, &err);
    int code = rc == 0 && result.passed ? TLY_EXIT_DONE : TLY_EXIT_NO;
    if (rc == TLY_E_MALFORMED) {
        tly_command_complain(stdout, path, &complaints);
    } else if (rc < 0) {
        code = tly_command_fail(command, "%s", err.text);
    } else {
        (void)printf("Unit Testing:  %s\n%s\n", path, result.passed ? "  SUCCESS" : "  FAILED:");
        if (report.len > 0) {
            (void)fwrite(report.at, 1, report.len, stdout); /* tly_command_finish looks */
        }
        (void)printf("\n");
    }
    tly_buf_done(&report);
    return code;
}

static const struct tly_argument arguments[] = {{0}};

static int run(const struct tly_command *command, int argc, char **argv)
{
    int letter = tly_arguments_next(command, argc, argv);
    if (letter != TLY_ARGUMENTS_END) {
        return tly_arguments_exit(letter);
    }
    if (optind == argc || strcmp(argv[optind], "test") != 0) {
        return tly_command_fail(command, "Usage: tallyman rules test FILE...");
    }
    if (optind + 1 == argc) {
        return tly_command_fail(command, "which file? Usage: tallyman rules test FILE...");
    }
    /* The worst of the files decides, but each is looked at. */
    int code = TLY_EXIT_DONE;
    for (int i = optind + 1; i < argc; i++) {
        int file_code = test_file(command, argv[i]);
        code = file_code > code ? file_code : code;
    }
    return tly_command_finish(command, code);
}

extern const struct tly_command tly_command_rules;
const struct tly_command tly_command_rules = {
    .name = "rules",
    .summary = "Test rule files by unit tests in promtool's format",
    .operands = "test FILE...",
    .help =
        "Runs unit tests of recording and alerting rules, in the format of `promtool test rules`\n"
        "and with its verdicts. Rule files are found from the folder of the tests.",
    .arguments = arguments,
    .run = run,
};
