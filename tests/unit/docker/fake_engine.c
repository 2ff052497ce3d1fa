/*
 * The pretended engine; see fake_engine.h. Handlers run on the threads of http_peer, one for each
 * connection; the lock is never held while something is sent.
 */
#include "tests/unit/docker/fake_engine.h"

#include "agent/base/clock.h"

#include <string.h>

#define BODY_MAX    ((size_t)1 << 20)
#define FLOOD_BYTES ((size_t)100 << 20)

/* Events of one engine are this far apart, so that an overlap of seconds repeats some. */
#define EVENT_STEP_NS TLY_NS_PER_MS

/* The first API version whose replies lack what older clients knew. */
#define SLIM_MINOR 52

static const char forbidden_page[] =
    "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n"
    "</body></html>\n";

/* ---- bodies ---- */

static const char *yes_no(bool yes)
{
    return yes ? "true" : "false";
}

static bool is(const struct fake_container *container, const char *state)
{
    return strcmp(container->state, state) == 0;
}

static void write_time(int64_t ns, char to[TLY_TIME_TEXT_MAX])
{
    if (ns > 0) {
        tly_time_format(ns, to);
    } else {
        (void)snprintf(to, TLY_TIME_TEXT_MAX, "0001-01-01T00:00:00Z");
    }
}

static void write_inspect(const struct fake_container *container, int minor, char *to, size_t cap)
{
    char started[TLY_TIME_TEXT_MAX];
    char finished[TLY_TIME_TEXT_MAX];
    char health[128] = "";
    bool running = is(container, "running") || is(container, "paused") ||
                   is(container, "restarting");
    write_time(container->started_ns, started);
    write_time(container->finished_ns, finished);
    if (container->health) {
        (void)snprintf(health, sizeof(health),
                       ",\"Health\":{\"Status\":\"%s\",\"FailingStreak\":%d,\"Log\":[]}",
                       container->health, container->failing_streak);
    }
    (void)snprintf(
        to, cap,
        "{\"Id\":\"%s\",\"Created\":\"2026-08-23T00:28:30.123456789Z\",\"State\":{"
        "\"Status\":\"%s\",\"Running\":%s,\"Paused\":%s,\"Restarting\":%s,\"OOMKilled\":false,"
        "\"Dead\":false,\"Pid\":%d,\"ExitCode\":%d,\"StartedAt\":\"%s\",\"FinishedAt\":\"%s\"%s},"
        "\"Image\":\"sha256:0123\",\"Name\":\"/%s\",\"RestartCount\":%d,\"HostConfig\":{"
        "\"LogConfig\":{\"Type\":\"json-file\"},\"NetworkMode\":\"default\",\"Memory\":1048576,"
        "\"RestartPolicy\":{\"Name\":\"%s\"}},"
        "\"Config\":{\"Image\":\"busybox:test\",\"User\":\"%s\",\"Labels\":{%s}%s},"
        "\"NetworkSettings\":{%s"
        "\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\"}}}}",
        container->foreign ? container->foreign : container->id, container->state, yes_no(running),
        yes_no(is(container, "paused")), yes_no(is(container, "restarting")), running ? 4711 : 0,
        running ? 0 : container->exit_code, started, finished, health, container->name,
        container->restarts, container->policy ? container->policy : "no",
        container->user ? container->user : "", container->labels ? container->labels : "",
        container->health ? ",\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"]}" : "",
        minor < SLIM_MINOR ? "\"IPAddress\":\"172.17.0.2\",\"MacAddress\":\"02:42:ac:11:00:02\","
                           : "");
}

static int write_row(const struct fake_container *container, int minor, char *to, size_t cap)
{
    const char *age = container->since ? container->since : "2 hours";
    char status[96] = "Created";
    char health[96] = "";
    if (container->bad_row) {
        return snprintf(to, cap, "{\"Id\":7}");
    }
    if (is(container, "exited")) {
        (void)snprintf(status, sizeof(status), "Exited (%d) %s ago", container->exit_code, age);
    } else if (is(container, "running")) {
        (void)snprintf(status, sizeof(status), container->health ? "Up %s (%s)" : "Up %s", age,
                       container->health);
    }
    if (minor >= SLIM_MINOR) {
        (void)snprintf(health, sizeof(health),
                       ",\"Health\":{\"Status\":\"%s\",\"FailingStreak\":%d}",
                       container->health ? container->health : "none", container->failing_streak);
    }
    return snprintf(to, cap,
                    "{\"Id\":\"%s\",\"Names\":[\"/%s\"],\"Image\":\"busybox:test\","
                    "\"ImageID\":\"sha256:0123\",\"Created\":1787444910,\"Ports\":[],"
                    "\"Labels\":{%s},\"State\":\"%s\",\"Status\":\"%s\"%s}",
                    container->id, container->name, container->labels ? container->labels : "",
                    container->state, status, health);
}

static void write_list(const struct fake_engine *engine, int minor, char *to)
{
    size_t len = 1;
    to[0] = '[';
    for (size_t i = 0; i < engine->container_count; i++) {
        len += (size_t)snprintf(to + len, BODY_MAX - len, "%s", i > 0 ? "," : "");
        len += (size_t)write_row(&engine->containers[i], minor, to + len, BODY_MAX - len);
    }
    (void)snprintf(to + len, BODY_MAX - len, "]\n"); /* far from full */
}

static const char *name_of(const struct fake_engine *engine, const char *id)
{
    for (size_t i = 0; i < engine->container_count; i++) {
        if (strcmp(engine->containers[i].id, id) == 0) {
            return engine->containers[i].name;
        }
    }
    return "gone";
}

static void write_event(const struct fake_engine *engine, const struct fake_event *event, int minor,
                        char *to, size_t cap)
{
    char legacy[256] = "";
    if (minor < SLIM_MINOR) {
        (void)snprintf(legacy, sizeof(legacy),
                       "\"status\":\"%s\",\"id\":\"%s\",\"from\":\"busybox:test\",", event->action,
                       event->id);
    }
    (void)snprintf(to, cap,
                   "{%s\"Type\":\"%s\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{"
                   "%s%s\"image\":\"busybox:test\",\"name\":\"%s\"}},\"scope\":\"local\","
                   "\"time\":%lld,\"timeNano\":%lld}\n",
                   legacy, event->type, event->action, event->id, event->attributes,
                   event->attributes[0] ? "," : "", name_of(engine, event->id),
                   (long long)(event->time_ns / TLY_NS_PER_S), (long long)event->time_ns);
}

/* ---- endpoints ---- */

static bool send_event(struct http_talk *talk, const char *json, size_t piece)
{
    size_t len = strlen(json);
    size_t step = piece > 0 ? piece : len;
    for (size_t at = 0; at < len; at += step) {
        if (!http_send_chunk(talk, json + at, at + step < len ? step : len - at)) {
            return false;
        }
    }
    return true;
}

/* As the engine does: back from the newest one, up to the first that is older. */
static size_t first_since(const struct fake_engine *engine, const char *target)
{
    const char *since = strstr(target, "since=");
    size_t at = engine->event_count;
    if (!since) {
        return at;
    }
    char *end;
    int64_t seconds = strtoll(since + strlen("since="), &end, 10);
    int64_t nanos = *end == '.' ? strtoll(end + 1, &end, 10) : 0;
    while (at > engine->event_first &&
           engine->events[at - 1].time_ns >= seconds * TLY_NS_PER_S + nanos) {
        at--;
    }
    return at;
}

static bool answer_events(struct fake_engine *engine, struct http_talk *talk, const char *target,
                          int minor)
{
    char json[1024];
    /* From before the reply begins: who sees it begin misses nothing that comes after. */
    pthread_mutex_lock(&engine->lock);
    unsigned cuts = engine->cuts;
    size_t at = first_since(engine, target);
    engine->streams++;
    pthread_mutex_unlock(&engine->lock);
    bool sent = http_send_text(talk, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                     "Transfer-Encoding: chunked\r\n\r\n");
    pthread_mutex_lock(&engine->lock);
    while (sent && !engine->stopping && engine->cuts == cuts) {
        if (at == engine->event_count) {
            pthread_cond_wait(&engine->changed, &engine->lock);
            continue;
        }
        write_event(engine, &engine->events[at++], minor, json, sizeof(json));
        size_t piece = engine->piece;
        pthread_mutex_unlock(&engine->lock);
        sent = send_event(talk, json, piece);
        pthread_mutex_lock(&engine->lock);
    }
    engine->streams--;
    pthread_mutex_unlock(&engine->lock);
    return false;
}

static bool answer_ping(struct fake_engine *engine, struct http_talk *talk)
{
    char headers[128] = "";
    pthread_mutex_lock(&engine->lock);
    if (engine->tells_version) {
        (void)snprintf(headers, sizeof(headers), "Api-Version: 1.%d\r\nOstype: linux\r\n",
                       engine->newest);
    }
    pthread_mutex_unlock(&engine->lock);
    return http_reply(talk, 200, headers, "OK");
}

/* False: there is no such container. */
static bool find(struct fake_engine *engine, const char *target, int minor, char *to)
{
    for (size_t i = 0; i < engine->container_count; i++) {
        if (strstr(target, engine->containers[i].id)) {
            write_inspect(&engine->containers[i], minor, to, BODY_MAX);
            return true;
        }
    }
    return false;
}

/* Waits while the endpoint holds its replies back. */
static void hold(struct fake_engine *engine, enum fake_endpoint endpoint)
{
    pthread_mutex_lock(&engine->lock);
    while (engine->manners[endpoint] == FAKE_HOLDS && !engine->stopping) {
        pthread_cond_wait(&engine->changed, &engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
}

/* A reply with JSON, or a spoilt one. */
static bool reply_json(struct http_talk *talk, enum fake_manner manner, const char *json)
{
    char head[128];
    size_t len = strlen(json);
    if (manner == FAKE_SHORTENS) {
        return http_reply_bytes(talk, 200, "", json, len / 2);
    }
    if (manner != FAKE_HALVES) {
        return http_reply(talk, 200, "Content-Type: application/json\r\n", json);
    }
    (void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
    (void)http_send_text(talk, head);     /* the client may */
    (void)http_send(talk, json, len / 2); /* be gone */
    return false;
}

static bool flood(struct http_talk *talk, enum fake_endpoint endpoint)
{
    char block[1 << 14];
    char head[128];
    memset(block, 'a', sizeof(block));
    (void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                   FLOOD_BYTES);
    bool sent = http_send_text(talk, head) &&
                http_send_text(talk, endpoint == FAKE_LIST ? "[{\"" : "{\"");
    for (size_t at = 0; sent && at < FLOOD_BYTES; at += sizeof(block)) {
        sent = http_send(talk, block, sizeof(block));
    }
    return false;
}

static bool answer_well(struct fake_engine *engine, struct http_talk *talk,
                        enum fake_endpoint endpoint, const char *target, int minor,
                        enum fake_manner manner)
{
    bool found = true;
    bool kept = false;
    if (endpoint == FAKE_PING) {
        return answer_ping(engine, talk);
    }
    if (endpoint == FAKE_EVENTS) {
        return answer_events(engine, talk, target, minor);
    }
    char *body = malloc(BODY_MAX);
    if (!body) {
        return false;
    }
    (void)snprintf(body, BODY_MAX,
                   "{\"ID\":\"X\",\"ServerVersion\":\"1.%d-fake\","
                   "\"DockerRootDir\":\"/data/fake\"}",
                   minor);
    pthread_mutex_lock(&engine->lock);
    if (endpoint == FAKE_LIST) {
        write_list(engine, minor, body);
    } else if (endpoint == FAKE_INSPECT) {
        found = find(engine, target, minor, body);
    } else if (endpoint == FAKE_USAGE) {
        (void)snprintf(body, BODY_MAX,
                       "{\"LayersSize\":%zu,\"Images\":[{\"Size\":7}],\"Containers\":null,"
                       "\"Volumes\":[],\"BuildCache\":null}",
                       engine->seen[FAKE_USAGE]); /* fits */
    } else if (endpoint == FAKE_NETWORKS) {
        (void)snprintf(body, BODY_MAX, "[{\"Name\":\"a\"},{\"Name\":\"b\"}]\n"); /* fits */
    } else if (endpoint == FAKE_EXEC) {
        found = engine->exec[0] != '\0';
        (void)snprintf(body, BODY_MAX, "%s", engine->exec); /* fits */
    }
    pthread_mutex_unlock(&engine->lock);
    hold(engine, endpoint);
    kept = found ? reply_json(talk, manner, body)
                 : http_reply(talk, 404, "",
                              endpoint == FAKE_EXEC ? "{\"message\":\"No such exec instance: x\"}"
                                                    : "{\"message\":\"No such container: x\"}");
    free(body);
    return kept;
}

static enum fake_endpoint endpoint_of(const char *path)
{
    if (strcmp(path, "/_ping") == 0) {
        return FAKE_PING;
    }
    if (strcmp(path, "/info") == 0) {
        return FAKE_INFO;
    }
    if (strncmp(path, "/events", strlen("/events")) == 0) {
        return FAKE_EVENTS;
    }
    if (strcmp(path, "/containers/json?all=1") == 0) {
        return FAKE_LIST;
    }
    if (strcmp(path, "/system/df") == 0) {
        return FAKE_USAGE;
    }
    if (strcmp(path, "/networks") == 0) {
        return FAKE_NETWORKS;
    }
    if (strncmp(path, "/exec/", strlen("/exec/")) == 0) {
        return FAKE_EXEC;
    }
    return strncmp(path, "/containers/", strlen("/containers/")) == 0 ? FAKE_INSPECT : FAKE_OTHER;
}

/* Notes the request; its path without the version, and the version's minor number or 0. */
static enum fake_endpoint note(struct fake_engine *engine, const struct http_request *request,
                               int *ret_minor)
{
    const char *path = request->target;
    *ret_minor = 0;
    if (strncmp(path, "/v1.", strlen("/v1.")) == 0) {
        *ret_minor = (int)strtol(path + strlen("/v1."), NULL, 10);
        path = strchr(path + 1, '/');
    }
    enum fake_endpoint endpoint = endpoint_of(path);
    if (engine->target_count < FAKE_REQUESTS_MAX) {
        (void)snprintf(engine->targets[engine->target_count++], sizeof(engine->targets[0]),
                       "%.100s", request->target);
    }
    engine->seen[endpoint]++;
    engine->not_get += strcmp(request->method, "GET") != 0 || request->body[0] ? 1 : 0;
    return endpoint;
}

static bool refuse_version(struct http_talk *talk, int minor, int oldest, int newest)
{
    char body[256];
    if (minor < oldest) {
        (void)snprintf(body, sizeof(body),
                       "{\"message\":\"client version 1.%d is too old. Minimum supported API "
                       "version is 1.%d, please upgrade your client to a newer version\"}",
                       minor, oldest);
    } else {
        (void)snprintf(body, sizeof(body),
                       "{\"message\":\"client version 1.%d is too new. Maximum supported API "
                       "version is 1.%d\"}",
                       minor, newest);
    }
    return http_reply(talk, 400, "Content-Type: application/json\r\n", body);
}

static bool answer(void *arg, struct http_talk *talk, const struct http_request *request)
{
    struct fake_engine *engine = arg;
    int minor = 0;
    pthread_mutex_lock(&engine->lock);
    enum fake_endpoint endpoint = note(engine, request, &minor);
    enum fake_manner manner = engine->manners[endpoint];
    int oldest = engine->oldest;
    int newest = engine->newest;
    pthread_mutex_unlock(&engine->lock);
    if (manner == FAKE_HANGS) {
        http_hang(talk);
        return false;
    }
    if (manner == FAKE_DENIES) {
        return http_reply(talk, 403, "Content-Type: text/html\r\n", forbidden_page);
    }
    if (endpoint != FAKE_PING && (minor < oldest || minor > newest)) {
        return refuse_version(talk, minor, oldest, newest);
    }
    switch (manner) {
    case FAKE_FAILS:
        return http_reply(talk, 500, "", "{\"message\":\"the disk is on fire\"}");
    case FAKE_GARBLES:
        return http_reply(talk, 200, "Content-Type: text/html\r\n", forbidden_page);
    case FAKE_FLOODS:
        return flood(talk, endpoint);
    default:
        return answer_well(engine, talk, endpoint, request->target, minor, manner);
    }
}

/* ---- life ---- */

void fake_engine_init(struct fake_engine *engine, const char *folder, int newest)
{
    memset(engine, 0, sizeof(*engine));
    assert_int_equal(pthread_mutex_init(&engine->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&engine->changed, NULL), 0);
    (void)snprintf(engine->path, sizeof(engine->path), "%s/docker.sock", folder);
    engine->oldest = newest < 44 ? 12 : 24; /* as those engines did */
    engine->newest = newest;
    engine->tells_version = true;
    engine->now_ns = tly_clock_realtime_ns();
}

void fake_engine_up(struct fake_engine *engine)
{
    engine->stopping = false;
    engine->peer = http_peer_start(engine->path, answer, engine);
}

void fake_engine_down(struct fake_engine *engine)
{
    if (engine->peer) {
        pthread_mutex_lock(&engine->lock);
        engine->stopping = true;
        pthread_cond_broadcast(&engine->changed);
        pthread_mutex_unlock(&engine->lock);
        http_peer_stop(engine->peer);
        engine->peer = NULL;
    }
}

void fake_engine_done(struct fake_engine *engine)
{
    fake_engine_down(engine);
    assert_int_equal(engine->not_get, 0);
    assert_int_equal(engine->seen[FAKE_OTHER], 0);
    pthread_cond_destroy(&engine->changed);
    pthread_mutex_destroy(&engine->lock);
}

void fake_engine_behave(struct fake_engine *engine, enum fake_endpoint endpoint,
                        enum fake_manner manner)
{
    pthread_mutex_lock(&engine->lock);
    engine->manners[endpoint] = manner;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
}

void fake_engine_speak(struct fake_engine *engine, int oldest, int newest)
{
    pthread_mutex_lock(&engine->lock);
    engine->oldest = oldest;
    engine->newest = newest;
    pthread_mutex_unlock(&engine->lock);
}

/* ---- containers and events ---- */

const char *fake_id(unsigned number, char to[65])
{
    (void)snprintf(to, 65, "%064x", number); /* fits */
    return to;
}

struct fake_container fake_running(unsigned number)
{
    struct fake_container container = {
        .state = "running",
        .started_ns = tly_clock_realtime_ns() - 3600 * TLY_NS_PER_S,
    };
    (void)fake_id(number, container.id);
    (void)snprintf(container.name, sizeof(container.name), "c%u", number);
    return container;
}

/* Its place, or that behind the last. */
static size_t place_of(const struct fake_engine *engine, const char *id)
{
    size_t at = 0;
    while (at < engine->container_count && strcmp(engine->containers[at].id, id) != 0) {
        at++;
    }
    return at;
}

void fake_engine_put(struct fake_engine *engine, const struct fake_container *container)
{
    pthread_mutex_lock(&engine->lock);
    size_t at = place_of(engine, container->id);
    assert_true(at < FAKE_CONTAINERS_MAX);
    engine->containers[at] = *container;
    engine->container_count += at == engine->container_count ? 1 : 0;
    pthread_mutex_unlock(&engine->lock);
}

void fake_engine_remove(struct fake_engine *engine, unsigned number)
{
    char id[65];
    pthread_mutex_lock(&engine->lock);
    size_t at = place_of(engine, fake_id(number, id));
    if (at < engine->container_count) {
        engine->containers[at] = engine->containers[--engine->container_count];
    }
    pthread_mutex_unlock(&engine->lock);
}

int64_t fake_engine_event(struct fake_engine *engine, unsigned number, const char *action,
                          const char *attributes)
{
    pthread_mutex_lock(&engine->lock);
    assert_true(engine->event_count < FAKE_EVENTS_MAX);
    struct fake_event *event = &engine->events[engine->event_count++];
    (void)snprintf(event->type, sizeof(event->type), "container");
    (void)snprintf(event->action, sizeof(event->action), "%s", action);
    (void)snprintf(event->attributes, sizeof(event->attributes), "%s",
                   attributes ? attributes : "");
    (void)fake_id(number, event->id);
    event->time_ns = engine->now_ns;
    engine->now_ns += EVENT_STEP_NS;
    int64_t time_ns = event->time_ns;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
    return time_ns;
}

void fake_engine_forget_events(struct fake_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->event_first = engine->event_count;
    pthread_mutex_unlock(&engine->lock);
}

void fake_engine_cut(struct fake_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->cuts++;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
}

/* ---- what it saw ---- */

size_t fake_engine_seen(struct fake_engine *engine, enum fake_endpoint endpoint)
{
    pthread_mutex_lock(&engine->lock);
    size_t seen = engine->seen[endpoint];
    pthread_mutex_unlock(&engine->lock);
    return seen;
}

size_t fake_engine_seen_target(struct fake_engine *engine, const char *part)
{
    size_t count = 0;
    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; i < engine->target_count; i++) {
        count += strstr(engine->targets[i], part) ? 1 : 0;
    }
    pthread_mutex_unlock(&engine->lock);
    return count;
}

size_t fake_engine_streams(struct fake_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    size_t streams = engine->streams;
    pthread_mutex_unlock(&engine->lock);
    return streams;
}
