/*
 * An audit: asks the engine (GET only), looks into procfs on a worker, judges, and hands out one
 * subject after the other. Whole ones, and ones of a few containers, with what the last whole one
 * learned of the rest. One at a time; all functions are for the loop's thread.
 */
#ifndef TLY_POSTURE_AUDIT_H
#define TLY_POSTURE_AUDIT_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/config/settings.h"
#include "agent/loop/loop.h"
#include "collectors/posture/finding.h"
#include "collectors/posture/settings.h"

#include <stdbool.h>
#include <stddef.h>

struct tly_audit;

struct tly_audit_config {
    struct tly_loop *loop;
    const struct tly_docker_settings *docker; /* with a host; borrowed for the life of the audit */
    const struct tly_posture_settings *settings; /* the same */
    size_t containers_max;                       /* more are left out, and counted */
    const char *proc;                            /* "/proc" */
    /* CPU time for tables of TCP sockets in one audit; those for which none is left keep what was
     * last found, until it is their turn. 0: no bound. */
    int64_t sockets_budget_ns;
    /* What scanners say of an image, by its id and references; NULL: no reports are read. Called on
     * the loop. */
    void (*scan)(void *arg, struct tly_text image_id, const json_t *image,
                 struct tly_scan_facts *ret_scan);
    void *scan_arg;
};

/* What one audit is about. All empty: everything. */
struct tly_audit_scope {
    const char *const *containers; /* ids or names; borrowed until `done` */
    size_t container_count;
    const char *image;    /* this image alone, by name or id; or NULL */
    bool containers_only; /* neither images nor engine nor host are judged */
};

struct tly_audit_summary {
    int code; /* 0; or why nothing could be looked at: `error` says it */
    char error[TLY_ERROR_TEXT_MAX];
    size_t containers; /* judged */
    size_t images;
    size_t missing; /* of the asked for, or gone before they could be looked at */
    size_t failed;  /* could not be looked at: the engine refused, or broke off */
    size_t unseen;  /* of those, what may be a container or an image that nobody told of: what was
                     * not judged may be there all the same */
    int64_t cpu_ns; /* CPU time on the worker */
    int64_t duration_ns;
};

struct tly_audit_events {
    void (*judged)(void *arg, struct tly_subject *subject); /* takes it over */
    void (*gone)(void *arg, struct tly_text container_id);  /* may be NULL */
    void (*done)(void *arg, const struct tly_audit_summary *summary);
};

/* -EINVAL with `err` for a host that can't be used, -ENOMEM. */
int tly_audit_new(const struct tly_audit_config *config, const struct tly_audit_events *events,
                  void *arg, struct tly_audit **ret_audit, struct tly_error *err) TLY_CHECK;
/* Ends what is under way without calling back; calls `freed` when the worker is done with it,
 * maybe from inside. NULL is fine for both. */
void tly_audit_free(struct tly_audit *audit, void (*freed)(void *arg), void *arg);

/* Starts one; `done` comes later, exactly once. -EBUSY while one is under way, -ENOMEM. */
int tly_audit_run(struct tly_audit *audit, const struct tly_audit_scope *scope) TLY_CHECK;
bool tly_audit_running(const struct tly_audit *audit);

/*
 * Judges what `docker inspect` printed: an array (or one object) of containers and images. Nothing
 * else is asked, so what needs procfs or the engine is unknown. TLY_E_MALFORMED with `err`,
 * -ENOMEM.
 */
int tly_audit_text(struct tly_text json, const struct tly_posture_settings *settings,
                   void (*judged)(void *arg, struct tly_subject *subject), void *arg,
                   struct tly_error *err) TLY_CHECK;

#endif
