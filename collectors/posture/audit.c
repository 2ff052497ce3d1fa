/*
 * What an audit asks the engine, and in which order; see audit.h.
 *
 *   PING      the version
 *   ENGINE    info, version, networks, images; what is asked at most once in a partial audit
 *   LIST      which containers there are
 *   FETCH     a wave of containers, with the images and execs that they name
 *   JUDGE     the wave, on a worker; then the next wave
 *   REST      images, engine and host, on a worker
 *
 * A few requests run at a time; when none runs or waits any more, the next stage begins.
 */
#include "collectors/posture/audit_state.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/engine/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX  4
#define PATH_LEN       640
#define BODY_BYTES_MAX ((size_t)32 << 20)
#define MOUNTS_BYTES   (1 << 20)
#define EXECS_MAX      (sizeof(((struct tly_audit_candidate *)0)->execs) / sizeof(json_t *))
#define VERSION_UNTOLD ((struct tly_api_version){1, 41})
#define MESSAGE_LEN    256

enum stage { PING, ENGINE, LIST, FETCH, JUDGE, REST, OVER };

enum kind {
    ASK_PING,
    ASK_INFO,
    ASK_VERSION,
    ASK_BRIDGE,
    ASK_NETWORKS,
    ASK_IMAGES,
    ASK_SWARM,
    ASK_LIST,
    ASK_CONTAINER,
    ASK_EXEC,
    ASK_IMAGE,
    ASK_HISTORY,
};

struct tly_audit_ask {
    struct tly_audit *audit;
    enum kind kind;
    char path[PATH_LEN];
    struct tly_audit_candidate *candidate;
    struct tly_audit_image *image;
    struct tly_audit_ask *next;
};

static void advance(void *arg);

/* ---- requests ---- */

static void answered(void *arg, const struct tly_response *response);

static void ask(struct tly_audit *audit, enum kind kind, struct tly_audit_candidate *candidate,
                struct tly_audit_image *image, const char *format, ...) TLY_PRINTF(5, 6);

static void ask(struct tly_audit *audit, enum kind kind, struct tly_audit_candidate *candidate,
                struct tly_audit_image *image, const char *format, ...)
{
    struct tly_audit_ask *one = calloc(1, sizeof(*one));
    if (!one) {
        audit->summary.failed++;
        return;
    }
    va_list args;
    va_start(args, format);
    int len = vsnprintf(one->path, sizeof(one->path), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(one->path)) {
        free(one);
        audit->summary.failed++;
        return;
    }
    one->audit = audit;
    one->kind = kind;
    one->candidate = candidate;
    one->image = image;
    *audit->asks_end = one;
    audit->asks_end = &one->next;
}

static int start(struct tly_audit *audit, struct tly_audit_ask *one)
{
    char path[PATH_LEN + 32];
    if (one->kind == ASK_PING) {
        (void)snprintf(path, sizeof(path), "%s", one->path);
    } else {
        (void)snprintf(path, sizeof(path), "/v%d.%d%s", audit->version.major, audit->version.minor,
                       one->path); /* fits */
    }
    const struct tly_request_spec spec = {
        .path = path,
        .timeout_ms = audit->config.docker->timeout_ms,
        .body_max = BODY_BYTES_MAX,
        .done = answered,
        .arg = one,
    };
    return tly_fetch_start(audit->fetcher, &spec, NULL);
}

static void pump(struct tly_audit *audit)
{
    while (audit->in_flight < IN_FLIGHT_MAX && audit->asks) {
        struct tly_audit_ask *one = audit->asks;
        audit->asks = one->next;
        if (!audit->asks) {
            audit->asks_end = &audit->asks;
        }
        one->next = NULL;
        if (start(audit, one) < 0) {
            audit->summary.failed++;
            free(one);
            continue;
        }
        one->next = audit->under_way;
        audit->under_way = one;
        audit->in_flight++;
    }
    if (audit->in_flight == 0 && !audit->asks) {
        tly_defer_call(audit->advance);
    }
}

static void forget_ask(struct tly_audit *audit, struct tly_audit_ask *one)
{
    struct tly_audit_ask **at = &audit->under_way;
    while (*at != one) {
        at = &(*at)->next;
    }
    *at = one->next;
    audit->in_flight--;
    free(one);
}

/* ---- replies ---- */

static void replace(json_t **to, json_t *tree)
{
    tly_json_free(*to);
    *to = tree;
}

static struct tly_audit_image *image_of(struct tly_audit *audit, struct tly_text id)
{
    struct tly_audit_image *image = tly_map_get(audit->images, id);
    if (image) {
        return image;
    }
    image = calloc(1, sizeof(*image));
    if (!image || !(image->id = tly_text_dup(id)) ||
        !(image->reference = tly_text_dup(TLY_TEXT(""))) ||
        tly_map_put(audit->images, id, image, NULL) < 0) {
        tly_audit_image_free(image);
        return NULL;
    }
    return image;
}

static bool is_plain(struct tly_text text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-:/@";
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\0' || !strchr(allowed, text.at[i])) {
            return false;
        }
    }
    return text.len > 0 && text.len < 400 && !memmem(text.at, text.len, "..", 2);
}

/* Its parts are asked for once: an image never changes. */
static void want_image(struct tly_audit *audit, struct tly_audit_image *image)
{
    image->current = true;
    if (image->asked) {
        return;
    }
    image->asked = true;
    ask(audit, ASK_IMAGE, NULL, image, "/images/%s/json", image->id);
    ask(audit, ASK_HISTORY, NULL, image, "/images/%s/history", image->id);
}

static void take_container(struct tly_audit *audit, struct tly_audit_candidate *candidate,
                           json_t *tree)
{
    replace(&candidate->tree, tree);
    struct tly_text id = tly_json_text_at(tree, "Id");
    struct tly_text image_id = tly_json_text_at(tree, "Image");
    struct tly_text reference = tly_json_text_at(tree, "Config.Image");
    if (id.len > 0) {
        free(candidate->id);
        candidate->id = tly_text_dup(id);
    }
    candidate->image = is_plain(image_id) ? image_of(audit, image_id) : NULL;
    if (candidate->image) {
        if (reference.len > 0) {
            char *copy = tly_text_dup(reference);
            free(candidate->image->reference);
            candidate->image->reference = copy ? copy : strdup("");
        }
        want_image(audit, candidate->image);
    }
    struct tly_text now = tly_audit_image_now(audit, reference.at ? reference : TLY_TEXT(""));
    candidate->image_now = now.len > 0 ? tly_text_dup(now) : NULL;
    const json_t *execs = tly_json_at(tree, "ExecIDs");
    candidate->execs_told = true;
    for (size_t i = 0; i < tly_json_count(execs) && i < EXECS_MAX; i++) {
        struct tly_text exec = tly_json_string(tly_json_item(execs, i));
        if (is_plain(exec)) {
            ask(audit, ASK_EXEC, candidate, NULL, "/exec/%.*s/json", (int)exec.len, exec.at);
        }
    }
}

static void take_list(struct tly_audit *audit, json_t *list)
{
    size_t count = tly_json_count(list);
    tly_audit_count_crowd(audit, list);
    if (audit->id_count == 0 && !audit->scope.image) {
        if (count > audit->config.containers_max) {
            audit->summary.failed += count - audit->config.containers_max;
            count = audit->config.containers_max;
        }
        audit->ids = calloc(count + 1, sizeof(*audit->ids));
        for (size_t i = 0; audit->ids && i < count; i++) {
            struct tly_text id = tly_json_text_at(tly_json_item(list, i), "Id");
            char *copy = is_plain(id) ? tly_text_dup(id) : NULL;
            if (copy) {
                audit->ids[audit->id_count++] = copy;
            }
        }
    }
    tly_json_free(list);
}

/* `--image`: its id comes with the reply. */
static void take_asked_image(struct tly_audit *audit, json_t *tree)
{
    struct tly_text id = tly_json_text_at(tree, "Id");
    struct tly_audit_image *image = is_plain(id) ? image_of(audit, id) : NULL;
    if (!image) {
        tly_json_free(tree);
        audit->summary.failed++;
        return;
    }
    replace(&image->tree, tree);
    char *reference = strdup(audit->scope.image);
    free(image->reference);
    image->reference = reference ? reference : strdup("");
    image->current = image->asked = true;
    ask(audit, ASK_HISTORY, NULL, image, "/images/%s/history", image->id);
}

static void take(struct tly_audit *audit, const struct tly_audit_ask *one, json_t *tree)
{
    struct tly_audit_candidate *candidate = one->candidate;
    switch (one->kind) {
    case ASK_INFO:
        replace(&audit->info, tree);
        if (tly_json_truth_at(tree, "Swarm.ControlAvailable") == 1) {
            ask(audit, ASK_SWARM, NULL, NULL, "/swarm");
        }
        return;
    case ASK_VERSION:
        replace(&audit->version_tree, tree);
        return;
    case ASK_BRIDGE:
        replace(&audit->bridge, tree);
        return;
    case ASK_NETWORKS:
        replace(&audit->networks, tree);
        return;
    case ASK_IMAGES:
        replace(&audit->image_list, tree);
        return;
    case ASK_SWARM:
        replace(&audit->swarm, tree);
        return;
    case ASK_LIST:
        take_list(audit, tree);
        return;
    case ASK_CONTAINER:
        take_container(audit, candidate, tree);
        return;
    case ASK_EXEC:
        candidate->execs[candidate->exec_count++] = tree;
        return;
    case ASK_IMAGE:
        if (one->image) {
            replace(&one->image->tree, tree);
        } else {
            take_asked_image(audit, tree);
        }
        return;
    case ASK_HISTORY:
        replace(&one->image->history, tree);
        return;
    case ASK_PING:
        break;
    }
    tly_json_free(tree);
}

/* Without an answer to these nothing can be judged. */
static bool is_vital(const struct tly_audit_ask *one)
{
    return one->kind == ASK_PING || (one->kind == ASK_LIST && !one->audit->scope.image);
}

static void refused(struct tly_audit *audit, const struct tly_audit_ask *one,
                    const struct tly_response *response)
{
    char message[MESSAGE_LEN] = "";
    if (response->status >= 400) {
        tly_engine_message(response->body, message, sizeof(message));
    }
    if (one->kind == ASK_EXEC) {
        return; /* it ended meanwhile */
    }
    if (response->status == 404 && (one->kind == ASK_CONTAINER || one->kind == ASK_IMAGE)) {
        audit->summary.missing++;
        if (one->kind == ASK_CONTAINER && audit->events->gone) {
            audit->events->gone(audit->arg, tly_text_of(one->candidate->id));
        }
        return;
    }
    audit->summary.failed++;
    if (is_vital(one) && audit->summary.code == 0) {
        audit->summary.code = response->code < 0 ? response->code : TLY_E_REFUSED;
        (void)snprintf(audit->summary.error, sizeof(audit->summary.error),
                       "the Docker engine at %.100s %s %.60s: %.250s", audit->config.docker->host,
                       response->status > 0 ? "refuses" : "does not answer", one->path,
                       message[0] ? message : response->error); /* cut to fit */
    }
}

static void negotiate(struct tly_audit *audit, struct tly_text header)
{
    const char *pin = getenv("DOCKER_API_VERSION");
    struct tly_api_version theirs;
    audit->version = VERSION_UNTOLD;
    if (pin && tly_api_version_parse(tly_text_of(pin), &theirs) == 0) {
        audit->version = theirs;
    } else if (tly_api_version_parse(header, &theirs) == 0) {
        struct tly_api_version newest = TLY_API_NEWEST;
        audit->version = tly_api_version_compare(theirs, newest) < 0 ? theirs : newest;
    }
}

static void answered(void *arg, const struct tly_response *response)
{
    struct tly_audit_ask *one = arg;
    struct tly_audit *audit = one->audit;
    json_t *tree = NULL;
    bool good = response->code == 0 && response->status >= 200 && response->status <= 299;
    if (!good) {
        refused(audit, one, response);
    } else if (one->kind == ASK_PING) {
        negotiate(audit, response->api_version);
    } else if (tly_json_parse_any(response->body, &tree, NULL) == 0) {
        take(audit, one, tree);
    } else {
        audit->summary.failed++;
    }
    forget_ask(audit, one);
    pump(audit);
}

/* ---- stages ---- */

static void candidates_clear(struct tly_audit_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        struct tly_audit_candidate *candidate = &job->candidates[i];
        for (size_t k = 0; k < candidate->exec_count; k++) {
            tly_json_free(candidate->execs[k]);
        }
        tly_json_free(candidate->tree);
        free(candidate->id);
        free(candidate->image_now);
    }
    job->count = 0;
}

static void subjects_clear(struct tly_audit_job *job)
{
    for (size_t i = 0; i < job->subject_count; i++) {
        tly_subject_free(job->subjects[i]);
    }
    free(job->subjects);
    job->subjects = NULL;
    job->subject_count = job->subject_cap = 0;
}

static void begin_engine(struct tly_audit *audit)
{
    audit->stage = ENGINE;
    bool whole = audit->scope.container_count == 0 && !audit->scope.image;
    if (whole || !audit->info) {
        ask(audit, ASK_INFO, NULL, NULL, "/info");
        ask(audit, ASK_VERSION, NULL, NULL, "/version");
        ask(audit, ASK_BRIDGE, NULL, NULL, "/networks/bridge");
        ask(audit, ASK_NETWORKS, NULL, NULL, "/networks");
        ask(audit, ASK_IMAGES, NULL, NULL, "/images/json");
    }
}

static void begin_list(struct tly_audit *audit)
{
    audit->stage = LIST;
    bool whole = audit->scope.container_count == 0 && !audit->scope.image;
    if (whole || !audit->crowd.whole) {
        ask(audit, ASK_LIST, NULL, NULL, "/containers/json?all=1");
    }
    for (size_t i = 0; i < audit->scope.container_count; i++) {
        const char *name = audit->scope.containers[i];
        char *copy = is_plain(tly_text_of(name)) ? strdup(name) : NULL;
        if (copy) {
            audit->ids[audit->id_count++] = copy;
        } else {
            audit->summary.missing++;
        }
    }
    if (audit->scope.image && !is_plain(tly_text_of(audit->scope.image))) {
        audit->summary.missing++;
    } else if (audit->scope.image) {
        ask(audit, ASK_IMAGE, NULL, NULL, "/images/%s/json", audit->scope.image);
    }
}

static void begin_fetch(struct tly_audit *audit)
{
    struct tly_audit_job *job = &audit->job;
    audit->stage = FETCH;
    candidates_clear(job);
    while (job->count < TLY_AUDIT_WAVE && audit->id_next < audit->id_count) {
        struct tly_audit_candidate *candidate = &job->candidates[job->count++];
        *candidate = (struct tly_audit_candidate){.id = audit->ids[audit->id_next]};
        audit->ids[audit->id_next++] = NULL;
        ask(audit, ASK_CONTAINER, candidate, NULL, "/containers/%s/json", candidate->id);
    }
}

/* Those that could not be had are left out. */
static void drop_missing(struct tly_audit_job *job)
{
    size_t kept = 0;
    for (size_t i = 0; i < job->count; i++) {
        struct tly_audit_candidate candidate = job->candidates[i];
        if (candidate.tree && candidate.id) {
            job->candidates[kept++] = candidate;
        } else {
            tly_json_free(candidate.tree);
            free(candidate.id);
            free(candidate.image_now);
        }
    }
    job->count = kept;
}

static void hand_out(struct tly_audit *audit)
{
    struct tly_audit_job *job = &audit->job;
    for (size_t i = 0; i < job->subject_count; i++) {
        struct tly_subject *subject = job->subjects[i];
        audit->summary.containers += subject->target == TLY_TARGET_CONTAINER;
        audit->summary.images += subject->target == TLY_TARGET_IMAGE;
        audit->events->judged(audit->arg, subject);
    }
    job->subject_count = 0;
    audit->summary.failed += job->failed;
    audit->summary.cpu_ns += job->cpu_ns;
    job->failed = 0;
    job->cpu_ns = 0;
}

static void release(struct tly_audit *audit);

static void worked(void *arg)
{
    struct tly_audit_job *job = arg;
    struct tly_audit *audit = job->audit;
    audit->worker_busy = false;
    if (audit->stopping) {
        release(audit);
        return;
    }
    hand_out(audit);
    tly_defer_call(audit->advance);
}

static void submit(struct tly_audit *audit)
{
    int rc = tly_worker_submit(audit->config.loop, tly_audit_work, worked, &audit->job);
    if (rc < 0) {
        audit->summary.failed += audit->job.count;
        tly_defer_call(audit->advance);
        return;
    }
    audit->worker_busy = true;
}

static void begin_judge(struct tly_audit *audit)
{
    audit->stage = JUDGE;
    drop_missing(&audit->job);
    audit->job.engine = false;
    submit(audit);
}

static void begin_rest(struct tly_audit *audit)
{
    struct tly_map_entry entry;
    audit->stage = REST;
    candidates_clear(&audit->job);
    audit->job.engine = true;
    for (void *at = NULL; tly_map_next(audit->images, &at, &entry);) {
        struct tly_audit_image *image = entry.value;
        audit->crowd.images_used += image->current && audit->scope.container_count == 0;
        image->scan = (struct tly_scan_facts){.end_of_life = -1};
        if (audit->config.scan && image->current) {
            audit->config.scan(audit->config.scan_arg, tly_text_of(image->id), image->tree,
                               &image->scan);
        }
    }
    submit(audit);
}

/* After a whole audit, images without a container are no longer of interest. */
static void forget_images(struct tly_audit *audit)
{
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(audit->images, &at, &entry);) {
        struct tly_audit_image *image = entry.value;
        if (!image->current) {
            (void)tly_map_remove(audit->images, entry.key); /* it is `image` */
            tly_audit_image_free(image);
        }
    }
}

static void ids_clear(struct tly_audit *audit)
{
    for (size_t i = 0; audit->ids && i < audit->id_count; i++) {
        free(audit->ids[i]);
    }
    free(audit->ids);
    audit->ids = NULL;
    audit->id_count = audit->id_next = 0;
}

static void finish(struct tly_audit *audit)
{
    bool whole = audit->scope.container_count == 0 && !audit->scope.image;
    audit->stage = OVER;
    audit->running = false;
    candidates_clear(&audit->job);
    ids_clear(audit);
    if (whole && audit->summary.code == 0) {
        forget_images(audit);
    }
    audit->summary.duration_ns = tly_clock_monotonic_ns() - audit->started_ns;
    audit->events->done(audit->arg, &audit->summary);
}

static void advance(void *arg)
{
    struct tly_audit *audit = arg;
    if (!audit->running || audit->worker_busy || audit->in_flight > 0 || audit->asks) {
        return;
    }
    if (audit->summary.code < 0) {
        finish(audit);
        return;
    }
    switch ((enum stage)audit->stage) {
    case PING:
        begin_engine(audit);
        break;
    case ENGINE:
        begin_list(audit);
        break;
    case FETCH:
        begin_judge(audit);
        return;
    case LIST:
    case JUDGE:
        if (audit->id_next < audit->id_count) {
            begin_fetch(audit);
        } else if (audit->scope.containers_only) {
            finish(audit);
            return;
        } else {
            begin_rest(audit);
            return;
        }
        break;
    case REST:
    case OVER:
        finish(audit);
        return;
    }
    pump(audit);
}

int tly_audit_run(struct tly_audit *audit, const struct tly_audit_scope *scope)
{
    struct tly_map_entry entry;
    if (audit->running) {
        return -EBUSY;
    }
    audit->ids = scope->container_count > 0 ? calloc(scope->container_count, sizeof(char *)) : NULL;
    if (scope->container_count > 0 && !audit->ids) {
        return -ENOMEM;
    }
    for (void *at = NULL; tly_map_next(audit->images, &at, &entry);) {
        struct tly_audit_image *image = entry.value;
        image->current = false;
        image->asked = image->tree != NULL;
    }
    audit->running = true;
    audit->scope = *scope;
    audit->summary = (struct tly_audit_summary){0};
    audit->started_ns = tly_clock_monotonic_ns();
    audit->stage = PING;
    ask(audit, ASK_PING, NULL, NULL, "/_ping");
    pump(audit);
    return 0;
}

bool tly_audit_running(const struct tly_audit *audit)
{
    return audit->running;
}

/* ---- life ---- */

/* "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw" */
static char *find_cgroup(const char *proc)
{
    char path[512];
    struct tly_buf buf;
    char *found = NULL;
    (void)snprintf(path, sizeof(path), "%s/self/mounts", proc);
    tly_buf_init(&buf, MOUNTS_BYTES);
    struct tly_text rest = tly_file_read(AT_FDCWD, path, &buf) == 0 ? tly_buf_text(&buf)
                                                                    : (struct tly_text){NULL, 0};
    while (rest.at && rest.len > 0 && !found) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        (void)tly_text_cut(&line, ' ');
        struct tly_text point = line.at ? tly_text_cut(&line, ' ') : (struct tly_text){NULL, 0};
        if (line.at && tly_text_starts(line, TLY_TEXT("cgroup2 "))) {
            found = tly_text_dup(point);
        }
    }
    tly_buf_done(&buf);
    return found;
}

static int parts_make(struct tly_audit *audit, struct tly_error *err)
{
    const char *host = audit->config.docker->host;
    audit->images = tly_map_new();
    if (!audit->images) {
        return tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    if (strncmp(host, "unix://", 7) == 0) {
        audit->socket = strdup(host + 7);
    }
    audit->cgroup = find_cgroup(audit->config.proc);
    audit->paths = (struct tly_host_paths){audit->config.proc, audit->cgroup};
    int rc = tly_secret_shapes_new(&audit->secrets, err);
    if (rc == 0) {
        rc = tly_engine_fetcher_new(audit->config.loop, audit->config.docker, &audit->fetcher,
                                    &audit->local, err);
    }
    if (rc == 0 && tly_defer_new(audit->config.loop, advance, audit, &audit->advance) < 0) {
        rc = tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    return rc;
}

int tly_audit_new(const struct tly_audit_config *config, const struct tly_audit_events *events,
                  void *arg, struct tly_audit **ret_audit, struct tly_error *err)
{
    struct tly_audit *audit = calloc(1, sizeof(*audit));
    if (!audit) {
        return tly_error_set(err, -ENOMEM, "out of memory for the audit");
    }
    audit->config = *config;
    audit->events = events;
    audit->arg = arg;
    audit->asks_end = &audit->asks;
    audit->job.audit = audit;
    int rc = parts_make(audit, err);
    if (rc < 0) {
        tly_audit_free(audit, NULL, NULL);
        return rc;
    }
    *ret_audit = audit;
    return 0;
}

static void asks_free(struct tly_audit_ask *asks)
{
    while (asks) {
        struct tly_audit_ask *next = asks->next;
        free(asks);
        asks = next;
    }
}

static void release(struct tly_audit *audit)
{
    void (*freed)(void *arg) = audit->freed;
    void *freed_arg = audit->freed_arg;
    json_t *trees[] = {audit->info,  audit->version_tree, audit->bridge,
                       audit->swarm, audit->networks,     audit->image_list};
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        tly_json_free(trees[i]);
    }
    candidates_clear(&audit->job);
    subjects_clear(&audit->job);
    ids_clear(audit);
    if (audit->host_looked) {
        tly_host_look_done(&audit->host);
    }
    if (audit->images) {
        tly_map_free(audit->images, tly_audit_image_free);
    }
    tly_secret_shapes_free(audit->secrets);
    free(audit->socket);
    free(audit->cgroup);
    free(audit);
    if (freed) {
        freed(freed_arg);
    }
}

void tly_audit_free(struct tly_audit *audit, void (*freed)(void *arg), void *arg)
{
    if (!audit) {
        if (freed) {
            freed(arg);
        }
        return;
    }
    audit->freed = freed;
    audit->freed_arg = arg;
    audit->stopping = true;
    if (audit->fetcher) {
        tly_fetcher_free(audit->fetcher);
    }
    tly_defer_free(audit->advance);
    asks_free(audit->asks);
    asks_free(audit->under_way);
    if (!audit->worker_busy) {
        release(audit);
    }
}
