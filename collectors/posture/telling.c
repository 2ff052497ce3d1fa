/*
 * What was told of verdicts; see telling.h.
 */
#include "collectors/posture/telling.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "collectors/posture/change.h"
#include "collectors/posture/told.h"

#include <errno.h>
#include <stdlib.h>

#define WHO              "posture"
#define RECORD_BYTES_MAX ((size_t)64 << 10)
#define FILE_BYTES_MAX   ((size_t)64 << 20)
#define FILE_MODE        0640
/* Longer than the spool takes to have records safe on disk: what is remembered as told was. */
#define SAVE_AFTER_MS 3000

/* What a worker writes. */
struct save_job {
    struct tly_buf text;
    int dir_fd;
    int rc;
};

struct tly_telling {
    struct tly_telling_config config;
    struct tly_map *earlier; /* key -> struct tly_subject: told by an earlier run, not judged yet */
    struct tly_timer *timer;
    struct tly_buf record;
    struct save_job job;
    bool saving, changed;
    struct tly_log_limit limit;
    void (*freed)(void *arg); /* stopping, when `stopping` */
    void *freed_arg;
    bool stopping;
};

static void subject_free(void *subject)
{
    tly_subject_free(subject);
}

/* ---- the file ---- */

static int write_map(struct tly_buf *buf, const struct tly_map *map)
{
    struct tly_map_entry entry;
    int rc = 0;
    for (void *at = NULL; rc == 0 && tly_map_next(map, &at, &entry);) {
        rc = tly_told_write(buf, entry.value);
    }
    return rc;
}

static int write_text(const struct tly_telling *telling, struct tly_buf *buf)
{
    tly_buf_clear(buf);
    int rc = tly_told_write_head(buf);
    rc = rc < 0 ? rc : write_map(buf, telling->config.subjects);
    return rc < 0 ? rc : write_map(buf, telling->earlier);
}

static void save(void *arg)
{
    struct save_job *job = arg;
    job->rc = tly_file_replace(job->dir_fd, TLY_TELLING_FILE, FILE_MODE, job->text.at,
                               job->text.len);
}

static void say_unsaved(struct tly_telling *telling, int rc)
{
    uint64_t held;
    if (rc < 0 &&
        tly_log_limit_pass(&telling->limit, tly_loop_now_ms(telling->config.loop), &held)) {
        tly_log_warn(WHO,
                     "what was told of findings cannot be saved: %s; after a restart they are told "
                     "again%s",
                     tly_error_name(rc), tly_log_held(held).text);
    }
}

static void later(struct tly_telling *telling)
{
    telling->changed = true;
    if (telling->timer && !telling->saving && !tly_timer_active(telling->timer)) {
        tly_timer_start(telling->timer, SAVE_AFTER_MS, 0);
    }
}

static void finish(struct tly_telling *telling)
{
    void (*freed)(void *arg) = telling->freed;
    void *arg = telling->freed_arg;
    if (telling->changed && telling->config.state_dir_fd >= 0) {
        int rc = write_text(telling, &telling->job.text);
        if (rc == 0) {
            save(&telling->job);
            rc = telling->job.rc;
        }
        say_unsaved(telling, rc);
    }
    tly_timer_free(telling->timer);
    tly_map_free(telling->earlier, subject_free);
    tly_buf_done(&telling->record);
    tly_buf_done(&telling->job.text);
    free(telling);
    if (freed) {
        freed(arg);
    }
}

static void saved(void *arg)
{
    struct save_job *job = arg;
    struct tly_telling *telling = (void *)((char *)job - offsetof(struct tly_telling, job));
    telling->saving = false;
    say_unsaved(telling, job->rc);
    if (telling->stopping) {
        finish(telling);
    } else if (telling->changed) {
        later(telling);
    }
}

static void due(void *arg)
{
    struct tly_telling *telling = arg;
    int rc = write_text(telling, &telling->job.text);
    telling->changed = false;
    if (rc == 0) {
        rc = tly_worker_submit(telling->config.loop, save, saved, &telling->job);
    }
    telling->saving = rc == 0;
    if (rc < 0) {
        say_unsaved(telling, rc);
        later(telling);
    }
}

static void take_up(struct tly_telling *telling)
{
    struct tly_buf buf;
    struct tly_error err = {0};
    tly_buf_init(&buf, FILE_BYTES_MAX);
    int rc = tly_file_read(telling->config.state_dir_fd, TLY_TELLING_FILE, &buf);
    if (rc == 0) {
        rc = tly_told_read(tly_buf_text(&buf), telling->config.subjects_max, telling->earlier,
                           &err);
    } else {
        (void)tly_error_set(&err, rc, "%s", tly_error_name(rc)); /* rc is looked at */
    }
    tly_buf_done(&buf);
    if (rc < 0 && rc != -ENOENT) {
        tly_log_warn(
            WHO,
            "what was told of findings cannot be taken up from %s in the state folder: %s; "
            "they are told again",
            TLY_TELLING_FILE, err.text);
    }
}

/* ---- life ---- */

int tly_telling_new(const struct tly_telling_config *config, struct tly_telling **ret_telling,
                    struct tly_error *err)
{
    struct tly_telling *telling = calloc(1, sizeof(*telling));
    if (!telling) {
        return tly_error_set(err, -ENOMEM, "out of memory for what was told of findings");
    }
    telling->config = *config;
    telling->job.dir_fd = config->state_dir_fd;
    tly_buf_init(&telling->record, RECORD_BYTES_MAX);
    tly_buf_init(&telling->job.text, FILE_BYTES_MAX);
    telling->earlier = tly_map_new();
    int rc = telling->earlier ? 0 : -ENOMEM;
    if (rc == 0 && config->state_dir_fd >= 0) {
        rc = tly_timer_new(config->loop, due, telling, &telling->timer);
    }
    if (rc < 0) {
        tly_telling_free(telling, NULL, NULL);
        return tly_error_set(err, rc, "cannot remember what was told of findings: %s",
                             tly_error_name(rc));
    }
    if (config->state_dir_fd >= 0) {
        take_up(telling);
    }
    *ret_telling = telling;
    return 0;
}

void tly_telling_free(struct tly_telling *telling, void (*freed)(void *arg), void *arg)
{
    if (!telling) {
        if (freed) {
            freed(arg);
        }
        return;
    }
    telling->freed = freed;
    telling->freed_arg = arg;
    telling->stopping = true;
    if (!telling->saving) {
        finish(telling);
    }
}

/* ---- telling ---- */

static size_t tell(struct tly_telling *telling, const struct tly_subject *subject,
                   const struct tly_finding *finding, enum tly_status told)
{
    tly_buf_clear(&telling->record);
    if (tly_posture_record_write(&telling->record, subject, finding, told,
                                 tly_clock_realtime_ns()) < 0) {
        return 1;
    }
    tly_delivery_emit(telling->config.delivery, TLY_TEXT(TLY_POSTURE_TAG),
                      tly_buf_text(&telling->record));
    return 0;
}

size_t tly_telling_compare(struct tly_telling *telling, struct tly_subject *subject,
                           const struct tly_subject *before)
{
    char text[TLY_TOLD_KEY_MAX];
    struct tly_text key = tly_told_key(text, subject->target, tly_text_of(subject->id));
    struct tly_subject *earlier = tly_map_remove(telling->earlier, key);
    const struct tly_subject *last = before ? before : earlier;
    size_t failed = 0;
    bool changed = !last;
    for (size_t i = 0; i < subject->count; i++) {
        struct tly_finding *finding = &subject->findings[i];
        const struct tly_finding *old = last && i < last->count ? &last->findings[i] : NULL;
        enum tly_status told = old ? old->told : TLY_STATUS_COUNT;
        enum tly_severity severity = old ? old->told_severity : finding->severity;
        /* A new run has to look first: that it does not know yet takes nothing back. */
        bool too_early = !before && told < TLY_STATUS_COUNT &&
                         finding->status == TLY_STATUS_UNKNOWN;
        if (!too_early && tly_posture_is_news(finding, told, severity)) {
            failed += tell(telling, subject, finding, told);
        }
        finding->told = too_early ? told : finding->status;
        finding->told_severity = too_early ? severity : finding->severity;
        changed = changed || finding->told != told || finding->told_severity != severity;
    }
    tly_subject_free(earlier);
    if (changed) {
        later(telling);
    }
    return failed;
}

void tly_telling_forget(struct tly_telling *telling, struct tly_text key)
{
    tly_subject_free(tly_map_remove(telling->earlier, key));
    later(telling);
}

void tly_telling_settle(struct tly_telling *telling)
{
    struct tly_map_entry entry;
    if (tly_map_count(telling->earlier) == 0) {
        return;
    }
    for (void *at = NULL; tly_map_next(telling->earlier, &at, &entry);) {
        struct tly_subject *subject = entry.value;
        (void)tly_map_remove(telling->earlier, entry.key); /* it is `subject` */
        tly_subject_free(subject);
    }
    later(telling);
}
