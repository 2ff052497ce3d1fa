/*
 * `tallyman check`: whether configuration files and rule files are right, and the documents that
 * come from the same tables. What a file is shows in its top-level keys.
 */
#include "agent/base/file.h"
#include "agent/command/command.h"
#include "agent/command/documents.h"
#include "agent/command/family_reference.h"
#include "agent/config/nearest.h"
#include "agent/config/reference.h"
#include "agent/registry.h"
#include "agent/rules/rule_file.h"
#include "agent/web/policy.h"
#include "collectors/posture/reference.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>

#define DOCUMENT_BYTES_MAX (1024 * 1024)

/* ---- documents ---- */

static int print_configuration(struct tly_buf *buf)
{
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    return tly_reference_markdown(sections, count, buf);
}

static int print_defaults(struct tly_buf *buf)
{
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    return tly_reference_yaml(sections, count, buf);
}

static int print_manual_of_configuration(struct tly_buf *buf)
{
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    return tly_reference_manual(sections, count, buf);
}

static const char *const document_names[] = {
    "defaults",       "configuration", "metrics", "posture", "tallyman.8",
    "tallyman.yml.5", "bash",          "zsh",     "fish",    NULL,
};
static int (*const document_writers[])(struct tly_buf *buf) = {
    print_defaults,        print_configuration, tly_family_reference,
    tly_posture_reference, tly_command_manual,  print_manual_of_configuration,
    tly_completion_bash,   tly_completion_zsh,  tly_completion_fish,
};
_Static_assert(sizeof(document_names) / sizeof(document_names[0]) ==
                   sizeof(document_writers) / sizeof(document_writers[0]) + 1,
               "each document has a name");

static int print_document(const struct tly_command *command, const char *name)
{
    struct tly_nearest nearest;
    tly_nearest_init(&nearest, tly_text_of(name));
    for (size_t i = 0; document_names[i]; i++) {
        tly_nearest_try(&nearest, document_names[i]);
        if (strcmp(document_names[i], name) != 0) {
            continue;
        }
        struct tly_buf buf;
        tly_buf_init(&buf, DOCUMENT_BYTES_MAX);
        int rc = document_writers[i](&buf);
        if (rc == 0) {
            (void)fwrite(buf.at, 1, buf.len, stdout); /* tly_command_finish looks */
        }
        tly_buf_done(&buf);
        return rc == 0 ? tly_command_finish(command, TLY_EXIT_DONE)
                       : tly_command_fail(command, "cannot print: %s", tly_error_name(rc));
    }
    return tly_command_fail(command,
                            "`%s` cannot be printed%s%s%s; `tallyman check --help` says what can",
                            name, nearest.name ? ", did you mean `" : "",
                            nearest.name ? nearest.name : "", nearest.name ? "`" : "");
}

/* ---- files ---- */

static int check_rules(const struct tly_command *command, const char *path)
{
    struct tly_complaints complaints;
    struct tly_rule_file *file = NULL;
    struct tly_error err = {0};
    int rc = tly_rule_file_load(path, &complaints, &file, &err);
    if (rc == TLY_E_MALFORMED) {
        tly_command_complain(stdout, path, &complaints);
        return TLY_EXIT_NO;
    }
    if (rc < 0) {
        return tly_command_fail(command, "%s", err.text);
    }
    size_t rules = 0;
    for (size_t i = 0; i < file->count; i++) {
        rules += file->groups[i].count;
    }
    (void)printf("%s: valid, %zu rule%s\n", path, rules, rules == 1 ? "" : "s");
    tly_rule_file_free(file);
    return TLY_EXIT_DONE;
}

/* A file that can't be read is none of the shapes; whoever reads it next says why. */
static enum tly_shape shape_of(const char *path, bool *ret_web)
{
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_RULE_FILE_BYTES_MAX);
    enum tly_shape shape = TLY_SHAPE_OTHER;
    *ret_web = false;
    if (tly_file_read(AT_FDCWD, path, &buf) == 0) {
        shape = tly_shape_of(tly_buf_text(&buf));
        *ret_web = shape == TLY_SHAPE_OTHER && tly_web_policy_recognises(tly_buf_text(&buf));
    }
    tly_buf_done(&buf);
    return shape;
}

/* The web configuration file that a configuration names, with its certificates. */
static int check_web_file(const struct tly_command *command, const char *path)
{
    struct tly_complaints complaints = {.count = 0};
    struct tly_web_policy *policy = NULL;
    struct tly_error err = {0};
    int rc = tly_web_policy_load(path, &complaints, &policy, &err);
    if (rc == TLY_E_MALFORMED) {
        tly_command_complain(stdout, path, &complaints);
        return TLY_EXIT_NO;
    }
    if (rc < 0) {
        return tly_command_fail(command, "%s", err.text);
    }
    tly_web_policy_unref(policy);
    (void)printf("%s: valid\n", path);
    return TLY_EXIT_DONE;
}

static int check_config(const struct tly_command *command, const char *path)
{
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    struct tly_complaints complaints;
    struct tly_config *config = NULL;
    struct tly_error err = {0};
    int rc = tly_config_load(sections, count, path, &complaints, &config, &err);
    if (rc == TLY_E_MALFORMED) {
        tly_command_complain(stdout, path, &complaints);
        return TLY_EXIT_NO;
    }
    if (rc < 0) {
        return tly_command_fail(command, "%s", err.text);
    }
    const struct tly_web_settings *web = tly_config_section(config, &tly_web_section);
    int code = web->config_file ? check_web_file(command, web->config_file) : TLY_EXIT_DONE;
    tly_config_free(config);
    if (code == TLY_EXIT_DONE) {
        (void)printf("%s: valid\n", path);
    }
    return code;
}

static int check_file(const struct tly_command *command, const char *path)
{
    bool web = false;
    switch (shape_of(path, &web)) {
    case TLY_SHAPE_RULES:
        return check_rules(command, path);
    case TLY_SHAPE_RULE_TESTS:
        return tly_command_fail(command,
                                "%s holds unit tests of rules; `tallyman rules test %s` runs them",
                                path, path);
    case TLY_SHAPE_OTHER:
        break;
    }
    return web ? check_web_file(command, path) : check_config(command, path);
}

static const struct tly_argument arguments[] = {
    {'p', "print", "WHAT",
     "Print a document instead: `defaults` (a file with every option at its default), "
     "`configuration`, `metrics` or `posture` (the pages in docs/), `tallyman.8` or "
     "`tallyman.yml.5` (the manual), `bash`, `zsh` or `fish` (completion of the shell)."},
    {0},
};
static const struct tly_choices choices[] = {{'p', document_names}, {0}};

static int run(const struct tly_command *command, int argc, char **argv)
{
    const char *document = NULL;
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        switch (letter) {
        case 'p':
            document = optarg;
            break;
        default:
            return tly_arguments_exit(letter);
        }
    }
    if (document && optind < argc) {
        return tly_command_fail(command, "either --print or files, not both");
    }
    if (document) {
        return print_document(command, document);
    }
    if (optind == argc) {
        return tly_command_fail(command, "which file? Usage: tallyman check FILE...");
    }
    /* The worst of the files decides, but each is looked at. */
    int code = TLY_EXIT_DONE;
    for (int i = optind; i < argc; i++) {
        int file_code = check_file(command, argv[i]);
        code = file_code > code ? file_code : code;
    }
    return tly_command_finish(command, code);
}

const struct tly_command tly_command_check = {
    .name = "check",
    .summary = "Say whether configuration and rule files are right",
    .operands = "FILE...",
    .help =
        "Reads configuration files, with the web configuration that they name, and Prometheus\n"
        "rule files as `tallyman run` would, and prints each mistake as file:line:column: what\n"
        "is wrong, and what to write instead. A file with a list of `groups:` is a rule file,\n"
        "one with `tls_server_config:`, `basic_auth_users:` or their like a web configuration.",
    .arguments = arguments,
    .choices = choices,
    .run = run,
};
