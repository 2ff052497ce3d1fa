/*
 * `tallyman audit`: one audit of what runs here, printed. Nothing is kept, sent or served.
 */
#include "collectors/posture/audit.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/command/command.h"
#include "agent/config/settings.h"
#include "agent/engine/engine.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "agent/registry.h"
#include "collectors/posture/report.h"
#include "collectors/vulnerabilities/settings.h"
#include "collectors/vulnerabilities/store.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REPORT_BYTES_MAX  ((size_t)1 << 30)
#define INSPECT_BYTES_MAX ((size_t)256 << 20)
#define CONTAINERS_MAX    64 /* that can be asked for by name */
#define WIDTH_DEFAULT     100

enum format { TABLE, JSON, SARIF, JUNIT, FORMATS };
static const char *const formats[FORMATS + 1] = {"table", "json", "sarif", "junit", NULL};

struct options {
    const char *config, *image, *inspect;
    const char *containers[CONTAINERS_MAX];
    size_t container_count;
    enum format format;
    enum tly_severity fail_on;
    bool all;
};

struct audit {
    const struct tly_command *command;
    struct tly_loop *loop;
    struct tly_subject **subjects; /* owned */
    size_t count, cap;
    struct tly_audit_summary summary;
    struct tly_scan_store *scans; /* owned; NULL: no reports are read */
    bool no_memory;
};

static void judged(void *arg, struct tly_subject *subject)
{
    struct audit *audit = arg;
    if (audit->count == audit->cap) {
        size_t cap = audit->cap ? 2 * audit->cap : 64;
        struct tly_subject **more = realloc(audit->subjects, cap * sizeof(struct tly_subject *));
        if (!more) {
            tly_subject_free(subject);
            audit->no_memory = true;
            return;
        }
        audit->subjects = more;
        audit->cap = cap;
    }
    audit->subjects[audit->count++] = subject;
}

static void done(void *arg, const struct tly_audit_summary *summary)
{
    struct audit *audit = arg;
    audit->summary = *summary;
    tly_loop_stop(audit->loop);
}

/* ---- printing ---- */

static struct tly_report_style style_of(const struct options *options)
{
    const char *no_colour = getenv("NO_COLOR");
    struct winsize size;
    bool terminal = isatty(STDOUT_FILENO) == 1;
    bool sized = terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return (struct tly_report_style){
        .colour = terminal && !(no_colour && *no_colour),
        .all = options->all,
        .width = sized ? size.ws_col : WIDTH_DEFAULT,
    };
}

static int write_report(const struct tly_report *report, const struct options *options,
                        struct tly_buf *buf)
{
    switch (options->format) {
    case JSON:
        return tly_report_json(report, buf);
    case SARIF:
        return tly_report_sarif(report, buf);
    case JUNIT:
        return tly_report_junit(report, buf);
    case TABLE:
    case FORMATS:
        break;
    }
    return tly_report_table(report, style_of(options), buf);
}

static int print(const struct audit *audit, const struct options *options)
{
    struct tly_report report = {
        .subjects = audit->subjects, .count = audit->count, .time_ns = tly_clock_realtime_ns()};
    struct tly_buf buf;
    tly_buf_init(&buf, REPORT_BYTES_MAX);
    tly_report_sort(&report);
    int rc = write_report(&report, options, &buf);
    if (rc == 0) {
        (void)fwrite(buf.at, 1, buf.len, stdout); /* tly_command_finish looks */
    }
    tly_buf_done(&buf);
    if (rc < 0) {
        return tly_command_fail(audit->command, "cannot write the report: %s", tly_error_name(rc));
    }
    return tly_command_finish(audit->command, tly_report_failed(&report, options->fail_on) > 0
                                                  ? TLY_EXIT_NO
                                                  : TLY_EXIT_DONE);
}

/* What was not seen is said, and is no clean bill. */
static int conclude(const struct audit *audit, const struct options *options)
{
    const struct tly_audit_summary *summary = &audit->summary;
    if (summary->code < 0) {
        return tly_command_fail(audit->command, "%s%s", summary->error,
                                tly_docker_engine_advice(summary->code));
    }
    int code = print(audit, options);
    if (summary->missing > 0 && (options->container_count > 0 || options->image)) {
        return tly_command_fail(audit->command, "%zu of what was asked for is not there",
                                summary->missing);
    }
    if (summary->failed > 0 || audit->no_memory) {
        (void)fprintf(stderr, "tallyman audit: incomplete: %zu requests to the engine failed\n",
                      summary->failed);
    }
    return audit->no_memory ? tly_command_fail(audit->command, "out of memory") : code;
}

/* ---- looking ---- */

/* The image's own names are those that a tag may join by. */
static void scan_of(void *arg, struct tly_text image_id, const json_t *image,
                    struct tly_scan_facts *ret_scan)
{
    const struct audit *audit = arg;
    enum tly_scan_match match = TLY_SCAN_BY_TAG;
    struct tly_text tag = tly_json_string(tly_json_item(tly_json_at(image, "RepoTags"), 0));
    const struct tly_scan_report *report = tly_scan_store_find(
        audit->scans, image_id, tag.at ? tag : (struct tly_text){"", 0}, image, &match);
    ret_scan->enabled = true;
    if (report) {
        ret_scan->scanned = true;
        ret_scan->scanned_ns = report->time_ns;
        ret_scan->critical_fixable = (int64_t)report->unique[TLY_VULNERABILITY_CRITICAL][1];
        ret_scan->high_fixable = (int64_t)report->unique[TLY_VULNERABILITY_HIGH][1];
        ret_scan->end_of_life = (tly_tristate)report->end_of_life;
    }
}

static void say_refused(void *arg, const char *name, const char *reason)
{
    const struct tly_vulnerabilities_settings *settings = arg;
    (void)fprintf(stderr, "tallyman audit: %s/%s: %s; it is left out\n", settings->directory, name,
                  reason);
}

/* One that can't be read is said; the audit goes on without. */
static int read_scans(struct audit *audit, const struct tly_config *config, struct tly_error *err)
{
    struct tly_vulnerabilities_settings settings =
        *(const struct tly_vulnerabilities_settings *)tly_config_section(
            config, &tly_vulnerabilities_section);
    if (!settings.directory) {
        return 0;
    }
    int rc = tly_scan_store_new(settings.directory, (size_t)settings.reports_max,
                                (uint64_t)settings.report_bytes_max, &audit->scans);
    if (rc == 0 && (rc = tly_scan_store_look(audit->scans)) < 0) {
        return tly_error_set(err, rc, "cannot read vulnerabilities.directory %s: %s",
                             settings.directory, tly_error_name(rc));
    }
    if (rc == 0) {
        tly_scan_store_each_refused(audit->scans, say_refused, &settings);
    }
    return rc < 0 ? tly_error_set(err, rc, "%s", tly_error_name(rc)) : 0;
}

static int look_at_engine(struct audit *audit, const struct tly_config *config,
                          const struct tly_posture_settings *settings,
                          const struct options *options, struct tly_error *err)
{
    static const struct tly_audit_events events = {.judged = judged, .done = done};
    const struct tly_collect_settings *collect = tly_config_section(config, &tly_collect_section);
    const struct tly_audit_config audit_config = {
        .loop = audit->loop,
        .docker = tly_config_section(config, &tly_docker_section),
        .settings = settings,
        .containers_max = (size_t)collect->containers_max,
        .proc = "/proc",
        .scan = audit->scans ? scan_of : NULL,
        .scan_arg = audit,
    };
    const struct tly_audit_scope scope = {
        .containers = options->containers,
        .container_count = options->container_count,
        .image = options->image,
        .containers_only = options->container_count > 0,
    };
    struct tly_audit *one = NULL;
    if (!audit_config.docker->host || !*audit_config.docker->host) {
        return tly_error_set(err, -EINVAL,
                             "docker.host is empty: without an engine there is "
                             "nothing to ask; --inspect FILE needs none");
    }
    int rc = tly_audit_new(&audit_config, &events, audit, &one, err);
    if (rc == 0 && (rc = tly_audit_run(one, &scope)) < 0) {
        (void)tly_error_set(err, rc, "cannot begin: %s", tly_error_name(rc));
    }
    if (rc == 0) {
        tly_loop_run(audit->loop);
    }
    tly_audit_free(one, NULL, NULL);
    return rc;
}

static int look_at_file(struct audit *audit, const struct tly_posture_settings *settings,
                        const char *path, struct tly_error *err)
{
    struct tly_buf buf;
    tly_buf_init(&buf, INSPECT_BYTES_MAX);
    int rc = strcmp(path, "-") == 0 ? tly_file_read_fd(STDIN_FILENO, &buf)
                                    : tly_file_read(AT_FDCWD, path, &buf);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "cannot read %s: %s", path, tly_error_name(rc));
    } else {
        rc = tly_audit_text(tly_buf_text(&buf), settings, judged, audit, err);
        if (rc < 0) {
            tly_error_prefix(err, "%s", path);
        }
    }
    tly_buf_done(&buf);
    return rc;
}

/* Whether an agent with this configuration forwards logs; the section is an output's. */
static bool forwards(const struct tly_config *config)
{
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(sections[i]->key, "forward") == 0 && sections[i]->type == TLY_OPTION_LIST) {
            const struct tly_list *destinations = tly_config_section(config, sections[i]);
            return destinations->count > 0;
        }
    }
    return false;
}

static int audit_all(const struct tly_command *command, const struct tly_config *config,
                     const struct options *options)
{
    const struct tly_log_settings *log = tly_config_section(config, &tly_log_section);
    struct tly_posture_settings settings = *(const struct tly_posture_settings *)tly_config_section(
        config, &tly_posture_section);
    struct audit audit = {.command = command};
    struct tly_error err = {0};
    settings.forwards = forwards(config);
    tly_log_set_level(log->level > TLY_LOG_WARN ? (enum tly_log_level)log->level : TLY_LOG_WARN);
    int rc = tly_loop_new(&audit.loop);
    if (rc < 0) {
        (void)tly_error_set(&err, rc, "%s", tly_error_name(rc));
    } else if (options->inspect) {
        rc = look_at_file(&audit, &settings, options->inspect, &err);
    } else {
        rc = read_scans(&audit, config, &err);
        rc = rc < 0 ? rc : look_at_engine(&audit, config, &settings, options, &err);
    }
    int code = rc < 0 ? tly_command_fail(command, "%s", err.text) : conclude(&audit, options);
    for (size_t i = 0; i < audit.count; i++) {
        tly_subject_free(audit.subjects[i]);
    }
    free(audit.subjects);
    tly_scan_store_free(audit.scans);
    tly_loop_free(audit.loop);
    return code;
}

/* ---- arguments ---- */

static const struct tly_argument arguments[] = {
    {'c', "config", "FILE",
     "The configuration; without it " TLY_CONFIG_PATH_DEFAULT " if that exists, else the "
     "defaults."},
    {'f', "format", "FORMAT", "table (the default), json, sarif or junit."},
    {'s', "fail-on", "SEVERITY",
     "The least severity that makes the exit code 1: low (the default), medium, high or "
     "critical."},
    {'n', "container", "NAME", "This container alone, by name or id; may be repeated."},
    {'i', "image", "REF", "This image alone, by name or id."},
    {'j', "inspect", "FILE",
     "What `docker inspect` printed, of containers or images, instead of an engine; - is standard "
     "input."},
    {'a', "all", NULL, "Also what passes, does not apply, or could not be decided."},
    {0},
};

static const char *const severities[] = {"low", "medium", "high", "critical", NULL};
static const struct tly_choices choices[] = {{'f', formats}, {'s', severities}, {0}};

static bool take_format(const char *word, enum format *format)
{
    size_t i = 0;
    while (formats[i] && strcmp(formats[i], word) != 0) {
        i++;
    }
    *format = (enum format)i;
    return formats[i] != NULL;
}

/* TLY_EXIT_DONE, or the code to end with. */
static int take_option(const struct tly_command *command, int letter, struct options *options)
{
    switch (letter) {
    case 'c':
        options->config = optarg;
        break;
    case 'f':
        if (!take_format(optarg, &options->format)) {
            return tly_command_fail(command, "--format: `%s` is none of table, json, sarif, junit",
                                    optarg);
        }
        break;
    case 's':
        options->fail_on = tly_severity_find(tly_text_of(optarg));
        if (options->fail_on == TLY_SEVERITY_COUNT || options->fail_on == TLY_SEVERITY_INFO) {
            return tly_command_fail(
                command, "--fail-on: `%s` is none of low, medium, high, critical", optarg);
        }
        break;
    case 'n':
        if (options->container_count == CONTAINERS_MAX) {
            return tly_command_fail(command, "--container: at most %d times", CONTAINERS_MAX);
        }
        options->containers[options->container_count++] = optarg;
        break;
    case 'i':
        options->image = optarg;
        break;
    case 'j':
        options->inspect = optarg;
        break;
    default:
        options->all = true;
        break;
    }
    return TLY_EXIT_DONE;
}

static int run(const struct tly_command *command, int argc, char **argv)
{
    struct options options = {.fail_on = TLY_SEVERITY_LOW};
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        int code = letter < 0 ? tly_arguments_exit(letter) : take_option(command, letter, &options);
        if (letter < 0 || code != TLY_EXIT_DONE) {
            return code;
        }
    }
    if ((options.image != NULL) + (options.inspect != NULL) + (options.container_count > 0) > 1) {
        return tly_command_fail(command, "only one of --container, --image and --inspect");
    }
    struct tly_config *config = NULL;
    int code = tly_command_config(command, options.config, &config);
    if (code == TLY_EXIT_DONE) {
        code = audit_all(command, config, &options);
        tly_config_free(config);
    }
    return code;
}

const struct tly_command tly_command_audit = {
    .name = "audit",
    .summary = "Say whether containers, images and the engine are set up safely",
    .help =
        "Asks the engine (GET only), looks into procfs, judges by the checks of docs/posture.md\n"
        "and prints what fails, and what to do about it. Coloured on a terminal, unless NO_COLOR\n"
        "is set. Run it as root, so that it sees what the kernel enforces.\n"
        "\n"
        "Exit code 1: something fails. 2: it could not look.",
    .arguments = arguments,
    .choices = choices,
    .run = run,
};
