/*
 * The model of a posture check: a row of checks.def, and the verdict of its pure function over the
 * facts (facts.h). The sources of the checks are the CIS Docker Benchmark 1.6.0 (the numbers in
 * `cis`) and the practices that `practices` names; docs/posture.md is written from this table.
 */
#ifndef TLY_POSTURE_CHECK_H
#define TLY_POSTURE_CHECK_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_posture_facts;

/* In order, least first. What is only `info` is shown and never a reason to fail. */
enum tly_severity {
    TLY_SEVERITY_INFO,
    TLY_SEVERITY_LOW,
    TLY_SEVERITY_MEDIUM,
    TLY_SEVERITY_HIGH,
    TLY_SEVERITY_CRITICAL,
    TLY_SEVERITY_COUNT
};

enum tly_target {
    TLY_TARGET_CONTAINER,
    TLY_TARGET_IMAGE,
    TLY_TARGET_DAEMON,
    TLY_TARGET_HOST,
    TLY_TARGET_COUNT
};

enum tly_status {
    TLY_STATUS_PASS,
    TLY_STATUS_FAIL,
    TLY_STATUS_NA,      /* the question makes no sense here */
    TLY_STATUS_UNKNOWN, /* it could not be decided; the message says why */
    TLY_STATUS_WAIVED,  /* it fails, and the operator has said that it may */
    TLY_STATUS_COUNT
};

extern const char *const tly_severity_names[TLY_SEVERITY_COUNT + 1]; /* ends in NULL */
extern const char *const tly_target_names[TLY_TARGET_COUNT];
extern const char *const tly_status_names[TLY_STATUS_COUNT];

/* TLY_SEVERITY_COUNT for a word that is none. */
enum tly_severity tly_severity_find(struct tly_text word);

#define TLY_VERDICT_TEXT_MAX 320

struct tly_verdict {
    enum tly_status status;
    enum tly_severity severity; /* the check's own at first; a check may find it better or worse */
    char message[TLY_VERDICT_TEXT_MAX]; /* what was found, for a person; cut to fit, valid UTF-8 */
};

/* What a check's function ends in. The message names things, never a secret's value. */
void tly_verdict_pass(struct tly_verdict *verdict, const char *format, ...) TLY_PRINTF(2, 3);
void tly_verdict_ok(struct tly_verdict *verdict); /* passes, and there is nothing to say of it */
void tly_verdict_fail(struct tly_verdict *verdict, const char *format, ...) TLY_PRINTF(2, 3);
void tly_verdict_na(struct tly_verdict *verdict, const char *format, ...) TLY_PRINTF(2, 3);
void tly_verdict_unknown(struct tly_verdict *verdict, const char *format, ...) TLY_PRINTF(2, 3);
/* The same with another severity than the check's own. */
void tly_verdict_fail_as(struct tly_verdict *verdict, enum tly_severity severity,
                         const char *format, ...) TLY_PRINTF(3, 4);

typedef void (*tly_judge_fn)(const struct tly_posture_facts *facts, struct tly_verdict *verdict);

struct tly_posture_check {
    const char *id;
    const char *cis; /* number in the CIS Docker Benchmark, "" for none */
    enum tly_severity severity;
    enum tly_target target;
    const char *practices; /* codes, blanks between */
    const char *passes;    /* what passes, one sentence without a full stop */
    const char *why;       /* why it matters */
    const char *mend;      /* what to do about it */
    tly_judge_fn judge;
};

enum tly_posture_id {
#define TLY_POSTURE(id, cis, severity, target, practices, passes, why, mend) TLY_POSTURE_##id,
#include "collectors/posture/checks.def"
#undef TLY_POSTURE
    TLY_POSTURE_COUNT
};

extern const struct tly_posture_check tly_posture_checks[TLY_POSTURE_COUNT];

/* The practices that the codes stand for; ends in a row with code NULL. */
struct tly_practice {
    const char *code;
    const char *text;
};
extern const struct tly_practice tly_practices[];

/* TLY_POSTURE_COUNT for an id that there is not. */
enum tly_posture_id tly_posture_find(struct tly_text id);

/* Runs one check. A message without a text becomes what the check says of passing. */
void tly_posture_judge(enum tly_posture_id id, const struct tly_posture_facts *facts,
                       struct tly_verdict *ret_verdict);

#endif
