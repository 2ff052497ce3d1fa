/*
 * The table of checks, put together from checks.def and the functions that judge, and the words of
 * the model.
 */
#include "collectors/posture/check.h"

#include "collectors/posture/judges.h"

#include <stdarg.h>
#include <stdio.h>

const char *const tly_severity_names[TLY_SEVERITY_COUNT + 1] = {
    [TLY_SEVERITY_INFO] = "info",         [TLY_SEVERITY_LOW] = "low",
    [TLY_SEVERITY_MEDIUM] = "medium",     [TLY_SEVERITY_HIGH] = "high",
    [TLY_SEVERITY_CRITICAL] = "critical", [TLY_SEVERITY_COUNT] = NULL,
};

const char *const tly_target_names[TLY_TARGET_COUNT] = {
    [TLY_TARGET_CONTAINER] = "container",
    [TLY_TARGET_IMAGE] = "image",
    [TLY_TARGET_DAEMON] = "daemon",
    [TLY_TARGET_HOST] = "host",
};

const char *const tly_status_names[TLY_STATUS_COUNT] = {
    [TLY_STATUS_PASS] = "pass",       [TLY_STATUS_FAIL] = "fail",     [TLY_STATUS_NA] = "na",
    [TLY_STATUS_UNKNOWN] = "unknown", [TLY_STATUS_WAIVED] = "waived",
};

const struct tly_posture_check tly_posture_checks[TLY_POSTURE_COUNT] = {
#define TLY_POSTURE(id, cis, severity, target, practices, passes, why, mend)                       \
    {#id, cis,  TLY_SEVERITY_##severity, TLY_TARGET_##target, practices, passes,                   \
     why, mend, tly_judge_##id},
#include "collectors/posture/checks.def"
#undef TLY_POSTURE
};

const struct tly_practice tly_practices[] = {
    {"A1", "A minimal base image from a source that is trusted"},
    {"A2", "Images kept up to date"},
    {"A3", "No root, no privileges, a read-only file system, few devices and interfaces"},
    {"A4", "Signed images, content trust"},
    {"A5", "Secrets from a secret store, none in the environment"},
    {"A6", "A network for each tier, segmentation"},
    {"A7", "Limits and reservations of memory and CPU"},
    {"A8", "Central logging and monitoring"},
    {"A9", "Audits and scans for vulnerabilities"},
    {"B1", "A user that is not root"},
    {"B2", "Builds in stages, small images"},
    {"B3", "Health checks with a sane interval, timeout and count of retries"},
    {"B4", "Images without a distribution in them"},
    {"B5", "Read-only volumes and file systems, tight modes of sensitive files"},
    {"B6", "Scanning and verifying with Clair, Trivy or Grype"},
    {NULL, NULL},
};

enum tly_severity tly_severity_find(struct tly_text word)
{
    size_t i = 0;
    while (i < TLY_SEVERITY_COUNT && !tly_text_equal(word, tly_text_of(tly_severity_names[i]))) {
        i++;
    }
    return (enum tly_severity)i;
}

enum tly_posture_id tly_posture_find(struct tly_text id)
{
    size_t i = 0;
    while (i < TLY_POSTURE_COUNT && !tly_text_equal(id, tly_text_of(tly_posture_checks[i].id))) {
        i++;
    }
    return (enum tly_posture_id)i;
}

/* ---- verdicts ---- */

/* What containers call themselves may be any bytes: control characters and broken UTF-8 become
 * question marks, so that a message can stand in a terminal and in every format. */
static void make_printable(char *text)
{
    struct tly_text rest = tly_text_of(text);
    while (rest.len > 0) {
        size_t good = tly_text_utf8_prefix(rest);
        for (size_t i = 0; i < good; i++) {
            unsigned char byte = (unsigned char)rest.at[i];
            if (byte < ' ' || byte == 0x7f) {
                text[rest.at + i - text] = '?';
            }
        }
        if (good < rest.len) {
            text[rest.at + good - text] = '?';
            good++;
        }
        rest = (struct tly_text){rest.at + good, rest.len - good};
    }
}

static void decide(struct tly_verdict *verdict, enum tly_status status, const char *format,
                   va_list args) TLY_PRINTF(3, 0);

static void decide(struct tly_verdict *verdict, enum tly_status status, const char *format,
                   va_list args)
{
    verdict->status = status;
    (void)vsnprintf(verdict->message, sizeof(verdict->message), format, args); /* cut to fit */
    make_printable(verdict->message);
}

#define DECIDE(verdict, status, format)                                                            \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        decide(verdict, status, format, args);                                                     \
        va_end(args);                                                                              \
    } while (0)

void tly_verdict_pass(struct tly_verdict *verdict, const char *format, ...)
{
    DECIDE(verdict, TLY_STATUS_PASS, format);
}

void tly_verdict_ok(struct tly_verdict *verdict)
{
    verdict->status = TLY_STATUS_PASS;
    verdict->message[0] = '\0';
}

void tly_verdict_fail(struct tly_verdict *verdict, const char *format, ...)
{
    DECIDE(verdict, TLY_STATUS_FAIL, format);
}

void tly_verdict_na(struct tly_verdict *verdict, const char *format, ...)
{
    DECIDE(verdict, TLY_STATUS_NA, format);
}

void tly_verdict_unknown(struct tly_verdict *verdict, const char *format, ...)
{
    DECIDE(verdict, TLY_STATUS_UNKNOWN, format);
}

void tly_verdict_fail_as(struct tly_verdict *verdict, enum tly_severity severity,
                         const char *format, ...)
{
    DECIDE(verdict, TLY_STATUS_FAIL, format);
    verdict->severity = severity;
}

void tly_posture_judge(enum tly_posture_id id, const struct tly_posture_facts *facts,
                       struct tly_verdict *ret_verdict)
{
    const struct tly_posture_check *check = &tly_posture_checks[id];
    *ret_verdict = (struct tly_verdict){.status = TLY_STATUS_UNKNOWN, .severity = check->severity};
    check->judge(facts, ret_verdict);
    if (ret_verdict->message[0] == '\0') {
        (void)snprintf(ret_verdict->message, sizeof(ret_verdict->message), "%s", check->passes);
    }
}
