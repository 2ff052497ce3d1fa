/*
 * The file of told verdicts; see told.h.
 */
#include "collectors/posture/told.h"

#include "agent/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "tallyman findings 1"

static const char status_letters[TLY_STATUS_COUNT + 1] = {
    [TLY_STATUS_PASS] = 'p',   [TLY_STATUS_FAIL] = 'f',
    [TLY_STATUS_NA] = 'n',     [TLY_STATUS_UNKNOWN] = 'u',
    [TLY_STATUS_WAIVED] = 'w', [TLY_STATUS_COUNT] = '-', /* nothing was told */
};

/* The checks of each target in the order of a file's letters. */
struct order {
    enum tly_posture_id checks[TLY_TARGET_COUNT][TLY_POSTURE_COUNT];
    size_t counts[TLY_TARGET_COUNT];
};

struct tly_text tly_told_key(char to[TLY_TOLD_KEY_MAX], enum tly_target target, struct tly_text id)
{
    int len = snprintf(to, TLY_TOLD_KEY_MAX, "%s/%.*s", tly_target_names[target],
                       (int)(id.len < 400 ? id.len : 400), id.len > 0 ? id.at : "");
    return (struct tly_text){to, (size_t)len}; /* fits */
}

/* ---- writing ---- */

int tly_told_write_head(struct tly_buf *buf)
{
    int rc = tly_buf_append_text(buf, TLY_TEXT(HEAD "\n"));
    for (size_t t = 0; rc == 0 && t < TLY_TARGET_COUNT; t++) {
        rc = tly_buf_printf(buf, "checks %s", tly_target_names[t]);
        for (size_t i = 0; rc == 0 && i < TLY_POSTURE_COUNT; i++) {
            if (tly_posture_checks[i].target == t) {
                rc = tly_buf_printf(buf, " %s", tly_posture_checks[i].id);
            }
        }
        rc = rc < 0 ? rc : tly_buf_append_text(buf, TLY_TEXT("\n"));
    }
    return rc;
}

static bool is_plain(const char *id)
{
    for (const char *at = id; *at; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f) {
            return false;
        }
    }
    return strlen(id) <= TLY_TOLD_KEY_MAX / 2;
}

int tly_told_write(struct tly_buf *buf, const struct tly_subject *subject)
{
    char letters[2 * TLY_POSTURE_COUNT];
    if (!is_plain(subject->id)) {
        return 0;
    }
    for (size_t i = 0; i < subject->count; i++) {
        const struct tly_finding *finding = &subject->findings[i];
        letters[2 * i] = status_letters[finding->told];
        letters[2 * i + 1] = (char)('0' + finding->told_severity);
    }
    return tly_buf_printf(buf, "%s %.*s %s\n", tly_target_names[subject->target],
                          (int)(2 * subject->count), letters, subject->id);
}

/* ---- reading ---- */

static enum tly_target find_target(struct tly_text word)
{
    size_t t = 0;
    while (t < TLY_TARGET_COUNT && !tly_text_equal(word, tly_text_of(tly_target_names[t]))) {
        t++;
    }
    return (enum tly_target)t;
}

/* "container privileged ...", behind the word `checks`. An unknown check stands as
 * TLY_POSTURE_COUNT, and its letters are passed over. */
static int read_order(struct tly_text line, struct order *order)
{
    if (!line.at) {
        return TLY_E_MALFORMED;
    }
    enum tly_target target = find_target(tly_text_cut(&line, ' '));
    if (target == TLY_TARGET_COUNT || order->counts[target] > 0) {
        return TLY_E_MALFORMED;
    }
    while (line.at) {
        if (order->counts[target] == TLY_POSTURE_COUNT) {
            return TLY_E_MALFORMED;
        }
        order->checks[target][order->counts[target]++] = tly_posture_find(tly_text_cut(&line, ' '));
    }
    return 0;
}

/* One for each check of the target, in the table's order, about which nothing was told. */
static struct tly_subject *new_subject(enum tly_target target, struct tly_text id)
{
    struct tly_subject *subject = calloc(1, sizeof(*subject));
    if (!subject) {
        return NULL;
    }
    subject->target = target;
    subject->id = tly_text_dup(id);
    subject->findings = calloc(TLY_POSTURE_COUNT, sizeof(*subject->findings));
    if (!subject->id || !subject->findings) {
        tly_subject_free(subject);
        return NULL;
    }
    for (size_t i = 0; i < TLY_POSTURE_COUNT; i++) {
        if (tly_posture_checks[i].target == target) {
            subject->findings[subject->count++] = (struct tly_finding){
                .check = (enum tly_posture_id)i, .told = TLY_STATUS_COUNT};
        }
    }
    return subject;
}

static int read_letters(struct tly_text letters, const struct order *order,
                        struct tly_subject *subject)
{
    size_t count = order->counts[subject->target];
    if (letters.len != 2 * count) {
        return TLY_E_MALFORMED;
    }
    for (size_t i = 0; i < count; i++) {
        const char *status = memchr(status_letters, letters.at[2 * i], sizeof(status_letters));
        int severity = letters.at[2 * i + 1] - '0';
        if (!status || severity < 0 || severity >= TLY_SEVERITY_COUNT) {
            return TLY_E_MALFORMED;
        }
        for (size_t k = 0; k < subject->count; k++) {
            if (subject->findings[k].check == order->checks[subject->target][i]) {
                subject->findings[k].told = (enum tly_status)(status - status_letters);
                subject->findings[k].told_severity = (enum tly_severity)severity;
            }
        }
    }
    return 0;
}

static int read_subject(struct tly_text target_word, struct tly_text line,
                        const struct order *order, struct tly_map *subjects)
{
    char text[TLY_TOLD_KEY_MAX];
    void *old = NULL;
    enum tly_target target = find_target(target_word);
    if (target == TLY_TARGET_COUNT || !line.at) {
        return TLY_E_MALFORMED;
    }
    struct tly_text letters = tly_text_cut(&line, ' ');
    if (line.len > TLY_TOLD_KEY_MAX / 2) {
        return TLY_E_MALFORMED;
    }
    struct tly_subject *subject = new_subject(target, line.at ? line : TLY_TEXT(""));
    if (!subject) {
        return -ENOMEM;
    }
    int rc = read_letters(letters, order, subject);
    rc = rc < 0 ? rc
                : tly_map_put(subjects, tly_told_key(text, target, tly_text_of(subject->id)),
                              subject, &old);
    if (rc < 0) {
        tly_subject_free(subject);
        return rc;
    }
    tly_subject_free(old);
    return 0;
}

int tly_told_read(struct tly_text text, size_t max, struct tly_map *subjects, struct tly_error *err)
{
    TLY_AUTO_FREE struct order *order = calloc(1, sizeof(*order));
    size_t number = 0;
    size_t count = 0;
    if (!order) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    while (text.at && text.len > 0 && count < max) {
        struct tly_text line = tly_text_cut(&text, '\n');
        int rc = 0;
        number++;
        if (number == 1) {
            rc = tly_text_equal(line, TLY_TEXT(HEAD)) ? 0 : TLY_E_MALFORMED;
        } else if (line.len > 0 && memchr(line.at, '\0', line.len)) {
            rc = TLY_E_MALFORMED;
        } else {
            struct tly_text word = tly_text_cut(&line, ' ');
            bool checks = tly_text_equal(word, TLY_TEXT("checks"));
            rc = checks ? read_order(line, order) : read_subject(word, line, order, subjects);
            count += !checks;
        }
        if (rc < 0) {
            return tly_error_set(err, rc, "line %zu: %s", number, tly_error_name(rc));
        }
    }
    return 0;
}
