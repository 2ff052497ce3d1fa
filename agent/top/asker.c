/*
 * Asks the agent; see asker.h. One question of each kind is under way at a time.
 */
#include "agent/top/asker.h"

#include "agent/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS            3000 /* as the status page has it */
#define POLL_LARGE_MS      5000
#define LARGE              300 /* containers */
#define TIMEOUT_MS         10000
#define BODY_MAX           ((size_t)32 << 20) /* as the agent's own bound */
#define PATH_MAX_LEN       512
#define MS_PER_S           1e3
#define STATUS_OK          200
#define STATUS_NO_PASSWORD 401

enum kind {
    ASK_OVERVIEW,
    ASK_ALERTS,
    ASK_FINDINGS,
    ASK_DETAIL,
    ASK_EVENTS,
    ASK_DETAIL_FINDINGS,
    ASK_HISTORY,
    ASK_KINDS,
};

struct question {
    struct tly_top_asker *asker;
    enum kind kind;
    bool busy;
    char id[TLY_ID_MAX]; /* of the container that it is about */
};

struct tly_top_asker {
    struct tly_top_asker_spec spec;
    struct tly_fetcher *fetcher;
    struct tly_timer *timer;
    struct question questions[ASK_KINDS];
    char path[PATH_MAX_LEN];
    char advice[128];

    enum tly_view view;
    char id[TLY_ID_MAX];
    bool held;
    bool round; /* under way */
    char failed[sizeof(((struct tly_contact *)NULL)->failed)];
    int64_t answered_ns; /* monotonic; 0: never */
    double clock_skew_s;
    int64_t history_ms; /* when the next one is due */
    double findings_of; /* what had been judged when they were asked for */
};

static void round_end(struct tly_top_asker *asker);

/* ---- what came ---- */

static int take(struct tly_top_asker *asker, const struct question *question, struct tly_text body,
                struct tly_error *err)
{
    struct tly_top_model *model = asker->spec.model;
    switch (question->kind) {
    case ASK_OVERVIEW:
        return tly_top_model_overview(model, body, err);
    case ASK_ALERTS:
        return tly_top_model_alerts(model, body, err);
    case ASK_FINDINGS:
        return tly_top_model_findings(model, body, err);
    case ASK_DETAIL:
        return tly_top_model_detail(model, body, err);
    case ASK_EVENTS:
        return tly_top_model_events(model, body, err);
    case ASK_DETAIL_FINDINGS:
        return tly_top_model_detail_findings(model, body, err);
    case ASK_HISTORY:
        return tly_top_model_history(model, tly_text_of(question->id), body, err);
    case ASK_KINDS:
        break;
    }
    return 0;
}

static bool is_of_detail(enum kind kind)
{
    return kind == ASK_DETAIL || kind == ASK_EVENTS || kind == ASK_DETAIL_FINDINGS;
}

static void fail(struct tly_top_asker *asker, const struct tly_response *response,
                 const struct tly_error *err)
{
    if (response->code < 0) {
        (void)snprintf(asker->failed, sizeof(asker->failed), "%s%s", response->error,
                       asker->advice); /* cut is fine, as for all of these */
    } else if (response->status == STATUS_NO_PASSWORD) {
        (void)snprintf(asker->failed, sizeof(asker->failed),
                       "it asks for a password: see --user and --password-file");
    } else if (response->status != STATUS_OK) {
        (void)snprintf(asker->failed, sizeof(asker->failed), "it answered %ld", response->status);
    } else {
        (void)snprintf(asker->failed, sizeof(asker->failed), "it answered with %.200s", err->text);
    }
}

static void ask(struct tly_top_asker *asker, enum kind kind);

static void overview_came(struct tly_top_asker *asker)
{
    asker->failed[0] = '\0';
    asker->answered_ns = tly_clock_monotonic_ns();
    asker->clock_skew_s = asker->spec.model->time -
                          (double)tly_clock_realtime_ns() / (double)TLY_NS_PER_S;
    if (tly_top_has_page(asker->spec.model, "/api/v1/alerts")) {
        ask(asker, ASK_ALERTS);
    } else {
        round_end(asker);
    }
}

static void came(void *arg, const struct tly_response *response)
{
    struct question *question = arg;
    struct tly_top_asker *asker = question->asker;
    struct tly_error err = {0};
    bool good = response->code == 0 && response->status == STATUS_OK;
    question->busy = false;
    if (is_of_detail(question->kind) && strcmp(question->id, asker->id) != 0) {
        return; /* another one is looked at by now */
    }
    good = good && take(asker, question, response->body, &err) == 0;
    if (question->kind == ASK_FINDINGS && !good) {
        asker->findings_of = NAN; /* once more */
    }
    if (question->kind == ASK_OVERVIEW && good) {
        overview_came(asker);
    } else if (question->kind == ASK_OVERVIEW) {
        fail(asker, response, &err);
        round_end(asker);
    } else if (question->kind == ASK_ALERTS) {
        round_end(asker);
    } else if (good) {
        asker->spec.tell(asker->spec.arg, false);
    }
}

/* ---- questions ---- */

static void path_write(const struct tly_top_asker *asker, enum kind kind, char to[PATH_MAX_LEN])
{
    static const char *const paths[ASK_KINDS] = {
        [ASK_OVERVIEW] = "/api/v1/overview",
        [ASK_ALERTS] = "/api/v1/alerts",
        [ASK_FINDINGS] = "/api/v1/findings?status=fail&limit=5000",
        [ASK_DETAIL] = "/api/v1/containers?detail=true&id=",
        [ASK_EVENTS] = "/api/v1/events?container=",
        [ASK_DETAIL_FINDINGS] = "/api/v1/findings?status=fail&id=",
        [ASK_HISTORY] = "/api/v1/history?id%5B%5D=%2Fhost&id%5B%5D=%2Fagent&id%5B%5D=",
    };
    /* Ids are checked to be plain when they come. */
    (void)snprintf(to, PATH_MAX_LEN, "%.256s%s%s", asker->path, paths[kind],
                   is_of_detail(kind) || kind == ASK_HISTORY ? asker->id : ""); /* fits */
}

static void ask(struct tly_top_asker *asker, enum kind kind)
{
    struct question *question = &asker->questions[kind];
    char path[PATH_MAX_LEN];
    const struct tly_request_spec spec = {
        .path = path,
        .timeout_ms = TIMEOUT_MS,
        .body_max = BODY_MAX,
        .done = came,
        .arg = question,
    };
    if (question->busy) {
        return;
    }
    path_write(asker, kind, path);
    memcpy(question->id, asker->id, sizeof(question->id));
    question->busy = tly_fetch_start(asker->fetcher, &spec, NULL) == 0;
    if (!question->busy && (kind == ASK_OVERVIEW || kind == ASK_ALERTS)) {
        (void)snprintf(asker->failed, sizeof(asker->failed), "out of memory"); /* fits */
        round_end(asker);
    }
}

/* What only the view needs. */
static void ask_for_view(struct tly_top_asker *asker)
{
    const struct tly_top_model *model = asker->spec.model;
    const struct tly_text none = {NULL, 0};
    if (!model->overview || asker->held) {
        return;
    }
    if (asker->view == TLY_VIEW_FINDINGS) {
        /* They are many, and change when the audit has judged anew. */
        double judged = tly_top_sum(model, "tallyman_posture_judged_total", NULL, none);
        judged = tly_known(judged) ? judged : 0;
        if (judged != asker->findings_of && tly_top_has_page(model, "/api/v1/findings")) {
            asker->findings_of = judged;
            ask(asker, ASK_FINDINGS);
        }
    }
    if (asker->view == TLY_VIEW_CONTAINER && *asker->id) {
        ask(asker, ASK_DETAIL);
        if (tly_top_has_page(model, "/api/v1/events")) {
            ask(asker, ASK_EVENTS);
        }
        if (tly_top_has_page(model, "/api/v1/findings")) {
            ask(asker, ASK_DETAIL_FINDINGS);
        }
    }
    int64_t now_ms = tly_clock_monotonic_ns() / TLY_NS_PER_MS;
    if ((asker->view == TLY_VIEW_CONTAINER || asker->view == TLY_VIEW_AGENT) &&
        now_ms >= asker->history_ms) {
        double period = 3 * model->interval; /* of its points */
        asker->history_ms = now_ms + (tly_known(period) ? (int64_t)(period * MS_PER_S) : POLL_MS);
        ask(asker, ASK_HISTORY);
    }
}

/* ---- rounds ---- */

static int64_t pace_ms(const struct tly_top_asker *asker)
{
    if (asker->spec.interval_ms > 0) {
        return asker->spec.interval_ms;
    }
    return asker->spec.model->container_count > LARGE ? POLL_LARGE_MS : POLL_MS;
}

static void round_end(struct tly_top_asker *asker)
{
    asker->round = false;
    tly_top_model_judge(asker->spec.model);
    tly_timer_start(asker->timer, pace_ms(asker), 0);
    if (asker->failed[0] == '\0') {
        ask_for_view(asker);
    }
    asker->spec.tell(asker->spec.arg, true);
}

void tly_top_asker_ask(struct tly_top_asker *asker)
{
    if (!asker->round && !asker->held) {
        asker->round = true;
        tly_timer_stop(asker->timer);
        ask(asker, ASK_OVERVIEW);
    }
}

static void due(void *arg)
{
    tly_top_asker_ask(arg);
}

void tly_top_asker_hold(struct tly_top_asker *asker, bool held)
{
    asker->held = held;
    if (held) {
        tly_timer_stop(asker->timer);
    } else {
        tly_top_asker_ask(asker);
    }
}

/* As container ids are: nothing in it means anything in a URL. */
static bool is_plain(const char *id)
{
    for (; *id; id++) {
        if (!((*id >= '0' && *id <= '9') || (*id >= 'a' && *id <= 'z') ||
              (*id >= 'A' && *id <= 'Z') || *id == '_' || *id == '-' || *id == '.')) {
            return false;
        }
    }
    return true;
}

void tly_top_asker_look(struct tly_top_asker *asker, enum tly_view view, const char *id)
{
    asker->view = view;
    if (strcmp(asker->id, id) != 0) {
        tly_top_model_detail_clear(asker->spec.model);
        (void)snprintf(asker->id, sizeof(asker->id), "%s", is_plain(id) ? id : ""); /* fits */
        asker->history_ms = 0;
    }
    ask_for_view(asker);
}

void tly_top_asker_contact(const struct tly_top_asker *asker, struct tly_contact *contact)
{
    memcpy(contact->failed, asker->failed, sizeof(contact->failed));
    contact->answered = asker->answered_ns > 0;
    contact->age_s = (double)(tly_clock_monotonic_ns() - asker->answered_ns) / (double)TLY_NS_PER_S;
    contact->clock_skew_s = asker->clock_skew_s;
}

int tly_top_asker_new(const struct tly_top_asker_spec *spec, struct tly_top_asker **ret_asker,
                      struct tly_error *err)
{
    struct tly_top_asker *asker = calloc(1, sizeof(*asker));
    if (!asker) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    asker->spec = *spec;
    asker->findings_of = NAN;
    for (int i = 0; i < ASK_KINDS; i++) {
        asker->questions[i] = (struct question){.asker = asker, .kind = (enum kind)i};
    }
    (void)snprintf(asker->path, sizeof(asker->path), "%.256s", spec->path); /* fits */
    for (size_t len = strlen(asker->path); len > 0 && asker->path[len - 1] == '/'; len--) {
        asker->path[len - 1] = '\0';
    }
    (void)snprintf(asker->advice, sizeof(asker->advice), "%s", spec->advice); /* cut is fine */
    int rc = tly_fetcher_new(spec->loop, spec->endpoint, &asker->fetcher, err);
    if (rc == 0 && tly_timer_new(spec->loop, due, asker, &asker->timer) < 0) {
        rc = tly_error_set(err, -ENOMEM, "out of memory");
    }
    if (rc < 0) {
        tly_top_asker_free(asker);
        return rc;
    }
    *ret_asker = asker;
    return 0;
}

void tly_top_asker_free(struct tly_top_asker *asker)
{
    if (asker) {
        tly_fetcher_free(asker->fetcher);
        tly_timer_free(asker->timer);
        free(asker);
    }
}
