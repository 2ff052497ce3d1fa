/*
 * Requests to the Docker engine; see engine.h.
 */
#include "agent/engine/engine.h"

#include "agent/engine/endpoint.h"
#include "agent/loop/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where no ping told better: what engines from 2023 on all understand, and older ones correct. */
#define VERSION_UNTOLD ((struct tly_api_version){1, 41})

#define PATH_MAX_BYTES 512
/* Enough of a refusal to see whose it is. */
#define REFUSAL_BYTES_MAX 8192
#define MESSAGE_BYTES_MAX 256

struct tly_docker_engine {
    struct tly_loop *loop;
    const char *who;
    struct tly_docker_requests *requests; /* the owner's */
    struct tly_fetcher *fetcher;
    char *host; /* as configured, for messages */
    bool local;
    struct tly_api_version version;
    bool pinned;                     /* by DOCKER_API_VERSION */
    bool said[TLY_DOCKER_API_COUNT]; /* the refusal of this endpoint is in the log */
    bool said_version;
    struct tly_docker_get *gets; /* under way */
};

struct tly_docker_get {
    struct tly_docker_engine *engine;
    struct tly_docker_get *next, *previous;
    struct tly_docker_request request; /* without its path */
    struct tly_fetch *fetch;
    bool opened;
};

static void say_version(struct tly_docker_engine *engine)
{
    char *to = engine->requests->api_version;
    (void)snprintf(to, TLY_DOCKER_VERSION_MAX, "%d.%d", engine->version.major,
                   engine->version.minor); /* fits */
}

static int read_pin(struct tly_docker_engine *engine, struct tly_error *err)
{
    const char *pin = getenv("DOCKER_API_VERSION");
    engine->version = VERSION_UNTOLD;
    if (!pin || !*pin) {
        return 0;
    }
    if (tly_api_version_parse(tly_text_of(pin), &engine->version) < 0) {
        return tly_error_set(err, -EINVAL,
                             "DOCKER_API_VERSION is `%.40s`; write a version like 1.44, or unset "
                             "it",
                             pin);
    }
    engine->pinned = true;
    return 0;
}

int tly_docker_engine_new(struct tly_loop *loop, const struct tly_docker_settings *settings,
                          const char *who, struct tly_docker_requests *requests,
                          struct tly_docker_engine **ret_engine, struct tly_error *err)
{
    struct tly_docker_engine *engine = calloc(1, sizeof(*engine));
    if (!engine || !(engine->host = strdup(settings->host))) {
        tly_docker_engine_free(engine);
        return tly_error_set(err, -ENOMEM, "out of memory for the Docker engine");
    }
    engine->loop = loop;
    engine->who = who;
    engine->requests = requests;
    int rc = read_pin(engine, err);
    rc = rc < 0 ? rc
                : tly_engine_fetcher_new(loop, settings, &engine->fetcher, &engine->local, err);
    if (rc < 0) {
        tly_docker_engine_free(engine);
        return rc;
    }
    *ret_engine = engine;
    return 0;
}

static void get_free(struct tly_docker_get *get)
{
    if (get->previous) {
        get->previous->next = get->next;
    } else {
        get->engine->gets = get->next;
    }
    if (get->next) {
        get->next->previous = get->previous;
    }
    free(get);
}

void tly_docker_engine_free(struct tly_docker_engine *engine)
{
    if (engine) {
        tly_fetcher_free(engine->fetcher);
        while (engine->gets) {
            get_free(engine->gets);
        }
        free(engine->host);
        free(engine);
    }
}

bool tly_docker_engine_is_local(const struct tly_docker_engine *engine)
{
    return engine->local;
}

const char *tly_docker_engine_host(const struct tly_docker_engine *engine)
{
    return engine->host;
}

const char *tly_docker_engine_advice(int code)
{
    switch (code) {
    case -EACCES:
    case -EPERM:
        return "; run as root, or belong to the group of that socket";
    case -ENOENT:
    case -ECONNREFUSED:
        return "; is it running there? docker.host or DOCKER_HOST names another";
    default:
        return "";
    }
}

struct tly_api_version tly_docker_engine_version(const struct tly_docker_engine *engine)
{
    return engine->version;
}

/* ---- versions ---- */

/* Takes what the ping's header says of the engine's newest version. */
static void negotiate(struct tly_docker_engine *engine, struct tly_text header)
{
    struct tly_api_version theirs;
    if (engine->pinned || tly_api_version_parse(header, &theirs) < 0) {
        say_version(engine);
        return;
    }
    struct tly_api_version newest = TLY_API_NEWEST;
    engine->version = tly_api_version_compare(theirs, newest) < 0 ? theirs : newest;
    say_version(engine);
    if (tly_api_version_compare(theirs, TLY_API_OLDEST) < 0 && !engine->said_version) {
        engine->said_version = true;
        tly_log_warn(engine->who,
                     "the engine's API %d.%d is older than 1.24, the oldest that is tested; what "
                     "it does not tell is left out",
                     theirs.major, theirs.minor);
    }
}

/* Takes the version that a refusal asks for. False when it asks for none that is new. */
static bool renegotiate(struct tly_docker_engine *engine, const char *message)
{
    struct tly_api_version wanted;
    if (!tly_engine_wants_version(tly_text_of(message), &wanted) ||
        tly_api_version_compare(wanted, engine->version) == 0) {
        return false;
    }
    if (engine->pinned && !engine->said_version) {
        engine->said_version = true;
        tly_log_warn(engine->who,
                     "the engine refuses API %d.%d, which DOCKER_API_VERSION asks for; using "
                     "%d.%d instead",
                     engine->version.major, engine->version.minor, wanted.major, wanted.minor);
    }
    engine->version = wanted;
    say_version(engine);
    return true;
}

/* ---- replies ---- */

/* What a refused endpoint costs, and what lets it through at the usual socket proxy. */
static const struct {
    const char *path, *variable, *loss;
} endpoints[TLY_DOCKER_API_COUNT] = {
    [TLY_DOCKER_PING] = {"/_ping", "PING=1", "the API version is guessed"},
    [TLY_DOCKER_INFO] = {"/info", "INFO=1", "data_root is taken from the configuration"},
    [TLY_DOCKER_EVENTS] = {"/events", "EVENTS=1",
                           "containers are listed at collect.interval instead, and there are no "
                           "event records"},
    [TLY_DOCKER_LIST] = {"/containers/json", "CONTAINERS=1",
                         "names and states come from the files below data_root, if they can be "
                         "read"},
    [TLY_DOCKER_INSPECT] = {"/containers/{id}/json", "CONTAINERS=1",
                            "only what a list tells is known of containers"},
    [TLY_DOCKER_EXEC] = {"/exec/{id}/json", "EXEC=1",
                         "execs are counted without their user, terminal and privileges"},
    [TLY_DOCKER_USAGE] = {"/system/df", "SYSTEM=1", "sizes of images and volumes are unknown"},
    [TLY_DOCKER_NETWORKS] = {"/networks", "NETWORKS=1", "the number of networks is unknown"},
    [TLY_DOCKER_LOGS] = {"/containers/{id}/logs", "CONTAINERS=1",
                         "the lines of containers whose log driver has no file are not forwarded"},
};

static void say_denied(struct tly_docker_engine *engine, enum tly_docker_api api, const char *why)
{
    if (!engine->said[api]) {
        engine->said[api] = true;
        tly_log_warn(engine->who,
                     "the engine, or the proxy before it, denies %s (%s), so %s; allow it there "
                     "(at docker-socket-proxy: %s)",
                     endpoints[api].path, why, endpoints[api].loss, endpoints[api].variable);
    }
}

static bool contains(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static enum tly_docker_outcome outcome_of_status(struct tly_docker_get *get, long status,
                                                 const char *message)
{
    enum tly_docker_api api = get->request.api;
    /* 501, before engine 17.06 500: "configured logging driver does not support reading". */
    bool unreadable = api == TLY_DOCKER_LOGS && contains(message, "does not support reading");
    switch (status) {
    case 404:
        /* Docker: "No such container: x"; Podman: "no container with name or ID "x" found". */
        if ((api == TLY_DOCKER_INSPECT || api == TLY_DOCKER_LOGS) &&
            (contains(message, "no such container") || contains(message, "no container with"))) {
            return TLY_DOCKER_GONE;
        }
        /* Docker: "No such exec instance: x"; Podman: "no such exec session". */
        if (api == TLY_DOCKER_EXEC && contains(message, "no such exec")) {
            return TLY_DOCKER_GONE;
        }
        return TLY_DOCKER_DENIED;
    case 401:
    case 403:
    case 405:
    case 501:
        return unreadable ? TLY_DOCKER_UNREADABLE : TLY_DOCKER_DENIED;
    case 400:
        return renegotiate(get->engine, message) ? TLY_DOCKER_VERSION : TLY_DOCKER_FAILED;
    default:
        return unreadable ? TLY_DOCKER_UNREADABLE : TLY_DOCKER_FAILED;
    }
}

static enum tly_docker_outcome outcome_of_code(const struct tly_response *response)
{
    switch (response->code) {
    case 0:
        return TLY_DOCKER_OK;
    case TLY_E_TIMEOUT:
        return TLY_DOCKER_SILENT;
    case TLY_E_LIMIT:
    case TLY_E_MALFORMED:
    case -ENOMEM:
        return TLY_DOCKER_FAILED;
    default:
        return response->status > 0 ? TLY_DOCKER_FAILED : TLY_DOCKER_ABSENT;
    }
}

static void count(struct tly_docker_get *get, const struct tly_response *response)
{
    bool replied = response->status > 0 && response->code != TLY_E_TIMEOUT;
    tly_docker_requests_count(get->engine->requests, get->request.api,
                              replied ? (int)response->status : response->code);
}

static void on_done(void *arg, const struct tly_response *response)
{
    struct tly_docker_get *get = arg;
    struct tly_docker_engine *engine = get->engine;
    char message[MESSAGE_BYTES_MAX];
    char why[MESSAGE_BYTES_MAX + 64] = "";
    struct tly_docker_reply reply = {.body = response->body, .code = response->code, .why = why};
    bool success = response->status >= 200 && response->status <= 299;
    if (!get->opened) { /* an event stream was counted when it opened */
        count(get, response);
    }
    if (success || response->status == 0) {
        reply.outcome = outcome_of_code(response);
        (void)snprintf(why, sizeof(why), "%s", response->error); /* cut to fit */
    } else {
        tly_engine_message(response->body, message, sizeof(message));
        reply.outcome = outcome_of_status(get, response->status, message);
        (void)snprintf(why, sizeof(why), "status %ld: %s", response->status, message);
    }
    if (reply.outcome == TLY_DOCKER_DENIED) {
        say_denied(engine, get->request.api, why);
    } else if (reply.outcome == TLY_DOCKER_OK) {
        engine->said[get->request.api] = false;
    }
    if (get->request.api == TLY_DOCKER_PING && reply.outcome == TLY_DOCKER_OK) {
        negotiate(engine, response->api_version);
    }
    struct tly_docker_request request = get->request;
    get_free(get);
    request.done(request.arg, &reply);
}

static void on_opened(void *arg)
{
    struct tly_docker_get *get = arg;
    if (get->request.opened) {
        get->opened = true;
        tly_docker_requests_count(get->engine->requests, get->request.api, 200);
        get->engine->said[get->request.api] = false;
        get->request.opened(get->request.arg);
    }
}

static void on_chunk(void *arg, struct tly_text bytes)
{
    struct tly_docker_get *get = arg;
    get->request.chunk(get->request.arg, bytes);
}

int tly_docker_engine_get(struct tly_docker_engine *engine,
                          const struct tly_docker_request *request, struct tly_docker_get **ret_get)
{
    char path[PATH_MAX_BYTES];
    int len = request->api == TLY_DOCKER_PING
                  ? snprintf(path, sizeof(path), "%s", request->path)
                  : snprintf(path, sizeof(path), "/v%d.%d%s", engine->version.major,
                             engine->version.minor, request->path);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    struct tly_docker_get *get = calloc(1, sizeof(*get));
    if (!get) {
        return -ENOMEM;
    }
    get->engine = engine;
    get->request = *request;
    get->request.path = NULL;
    struct tly_request_spec spec = {
        .path = path,
        .timeout_ms = request->timeout_ms,
        .body_max = request->body_max > REFUSAL_BYTES_MAX ? request->body_max : REFUSAL_BYTES_MAX,
        .chunk = request->chunk ? on_chunk : NULL,
        .opened = on_opened,
        .done = on_done,
        .arg = get,
    };
    int rc = tly_fetch_start(engine->fetcher, &spec, &get->fetch);
    if (rc < 0) {
        free(get);
        return rc;
    }
    get->next = engine->gets;
    if (get->next) {
        get->next->previous = get;
    }
    engine->gets = get;
    *ret_get = get;
    return 0;
}

void tly_docker_engine_pause(struct tly_docker_get *get)
{
    tly_fetch_pause(get->fetch);
}

void tly_docker_engine_resume(struct tly_docker_get *get)
{
    tly_fetch_resume(get->fetch);
}

void tly_docker_engine_cancel(struct tly_docker_get *get)
{
    if (get) {
        tly_fetch_cancel(get->fetch);
        get_free(get);
    }
}
