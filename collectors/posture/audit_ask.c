/*
 * The requests of an audit, and what becomes of the replies; see audit_state.h. All of them are
 * GET.
 */
#include "collectors/posture/audit_state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX  4
#define PATH_LEN       640
#define BODY_BYTES_MAX ((size_t)32 << 20)
#define EXECS_MAX      (sizeof(((struct tly_audit_candidate *)0)->execs) / sizeof(json_t *))
#define VERSION_UNTOLD ((struct tly_api_version){1, 41})
#define MESSAGE_LEN    256

struct tly_audit_ask {
    struct tly_audit *audit;
    enum tly_audit_kind kind;
    char path[PATH_LEN];
    struct tly_audit_candidate *candidate;
    struct tly_audit_image *image;
    struct tly_audit_ask *next;
};

/* Something could not be asked, or was not answered. Which containers there are is told by the list
 * and by each container, and the latter names its image. */
static void miss(struct tly_audit *audit, enum tly_audit_kind kind)
{
    audit->summary.failed++;
    audit->summary.unseen += kind == TLY_ASK_PING || kind == TLY_ASK_LIST ||
                             kind == TLY_ASK_CONTAINER;
}

/* ---- requests ---- */

static void answered(void *arg, const struct tly_response *response);

void tly_audit_ask(struct tly_audit *audit, enum tly_audit_kind kind,
                   struct tly_audit_candidate *candidate, struct tly_audit_image *image,
                   const char *format, ...)
{
    struct tly_audit_ask *one = calloc(1, sizeof(*one));
    if (!one) {
        miss(audit, kind);
        return;
    }
    va_list args;
    va_start(args, format);
    int len = vsnprintf(one->path, sizeof(one->path), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(one->path)) {
        free(one);
        miss(audit, kind);
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
    if (one->kind == TLY_ASK_PING) {
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

void tly_audit_pump(struct tly_audit *audit)
{
    while (audit->in_flight < IN_FLIGHT_MAX && audit->asks) {
        struct tly_audit_ask *one = audit->asks;
        audit->asks = one->next;
        if (!audit->asks) {
            audit->asks_end = &audit->asks;
        }
        one->next = NULL;
        if (start(audit, one) < 0) {
            miss(audit, one->kind);
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

bool tly_audit_is_plain(struct tly_text text)
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

/* Its parts are asked for until they are told: an image never changes. */
static void want_image(struct tly_audit *audit, struct tly_audit_image *image)
{
    image->current = true;
    if (image->asked) {
        return;
    }
    image->asked = true;
    if (!image->tree) {
        tly_audit_ask(audit, TLY_ASK_IMAGE, NULL, image, "/images/%s/json", image->id);
    }
    if (!image->history) {
        tly_audit_ask(audit, TLY_ASK_HISTORY, NULL, image, "/images/%s/history", image->id);
    }
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
    candidate->image = tly_audit_is_plain(image_id) ? image_of(audit, image_id) : NULL;
    if (candidate->image) {
        if (reference.len > 0) {
            char *copy = tly_text_dup(reference);
            free(candidate->image->reference);
            candidate->image->reference = copy ? copy : strdup("");
        }
        want_image(audit, candidate->image);
    } else if (image_id.len > 0) {
        audit->summary.unseen++; /* for want of memory */
    }
    struct tly_text now = tly_audit_image_now(audit, reference.at ? reference : TLY_TEXT(""),
                                              image_id);
    candidate->image_now = now.len > 0 ? tly_text_dup(now) : NULL;
    const json_t *execs = tly_json_at(tree, "ExecIDs");
    candidate->execs_told = true;
    for (size_t i = 0; i < tly_json_count(execs) && i < EXECS_MAX; i++) {
        struct tly_text exec = tly_json_string(tly_json_item(execs, i));
        if (tly_audit_is_plain(exec)) {
            tly_audit_ask(audit, TLY_ASK_EXEC, candidate, NULL, "/exec/%.*s/json", (int)exec.len,
                          exec.at);
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
            audit->summary.unseen += count - audit->config.containers_max;
            count = audit->config.containers_max;
        }
        audit->ids = calloc(count + 1, sizeof(*audit->ids));
        for (size_t i = 0; audit->ids && i < count; i++) {
            struct tly_text id = tly_json_text_at(tly_json_item(list, i), "Id");
            char *copy = tly_audit_is_plain(id) ? tly_text_dup(id) : NULL;
            if (copy) {
                audit->ids[audit->id_count++] = copy;
            }
        }
        audit->summary.unseen += count - audit->id_count; /* for want of memory */
    }
    tly_json_free(list);
}

/* `--image`: its id comes with the reply. */
static void take_asked_image(struct tly_audit *audit, json_t *tree)
{
    struct tly_text id = tly_json_text_at(tree, "Id");
    struct tly_audit_image *image = tly_audit_is_plain(id) ? image_of(audit, id) : NULL;
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
    tly_audit_ask(audit, TLY_ASK_HISTORY, NULL, image, "/images/%s/history", image->id);
}

static void take(struct tly_audit *audit, const struct tly_audit_ask *one, json_t *tree)
{
    struct tly_audit_candidate *candidate = one->candidate;
    switch (one->kind) {
    case TLY_ASK_INFO:
        replace(&audit->info, tree);
        if (tly_json_truth_at(tree, "Swarm.ControlAvailable") == 1) {
            tly_audit_ask(audit, TLY_ASK_SWARM, NULL, NULL, "/swarm");
        }
        return;
    case TLY_ASK_VERSION:
        replace(&audit->version_tree, tree);
        return;
    case TLY_ASK_BRIDGE:
        replace(&audit->bridge, tree);
        return;
    case TLY_ASK_NETWORKS:
        replace(&audit->networks, tree);
        return;
    case TLY_ASK_IMAGES:
        replace(&audit->image_list, tree);
        audit->images_fresh = true;
        return;
    case TLY_ASK_SWARM:
        replace(&audit->swarm, tree);
        return;
    case TLY_ASK_LIST:
        take_list(audit, tree);
        return;
    case TLY_ASK_CONTAINER:
        take_container(audit, candidate, tree);
        return;
    case TLY_ASK_EXEC:
        candidate->execs[candidate->exec_count++] = tree;
        return;
    case TLY_ASK_IMAGE:
        if (one->image) {
            replace(&one->image->tree, tree);
        } else {
            take_asked_image(audit, tree);
        }
        return;
    case TLY_ASK_HISTORY:
        replace(&one->image->history, tree);
        return;
    case TLY_ASK_PING:
        break;
    }
    tly_json_free(tree);
}

/* Without an answer to these nothing can be judged. */
static bool is_vital(const struct tly_audit_ask *one)
{
    return one->kind == TLY_ASK_PING || (one->kind == TLY_ASK_LIST && !one->audit->scope.image);
}

static void refused(struct tly_audit *audit, const struct tly_audit_ask *one,
                    const struct tly_response *response)
{
    char message[MESSAGE_LEN] = "";
    if (response->status >= 400) {
        tly_engine_message(response->body, message, sizeof(message));
    }
    if (one->kind == TLY_ASK_EXEC) {
        return; /* it ended meanwhile */
    }
    json_t *nothing = NULL;
    if (response->status == 404 && one->kind == TLY_ASK_BRIDGE &&
        tly_json_parse_any(TLY_TEXT("{}"), &nothing, NULL) == 0) {
        replace(&audit->bridge, nothing); /* the engine was told to have none */
        return;
    }
    if (response->status == 404 && (one->kind == TLY_ASK_CONTAINER || one->kind == TLY_ASK_IMAGE)) {
        audit->summary.missing++;
        if (one->kind == TLY_ASK_CONTAINER && audit->events->gone) {
            audit->events->gone(audit->arg, tly_text_of(one->candidate->id));
        }
        return;
    }
    miss(audit, one->kind);
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
    } else if (one->kind == TLY_ASK_PING) {
        negotiate(audit, response->api_version);
    } else if (tly_json_parse_any(response->body, &tree, NULL) == 0) {
        take(audit, one, tree);
    } else {
        miss(audit, one->kind);
    }
    forget_ask(audit, one);
    tly_audit_pump(audit);
}

static void asks_free(struct tly_audit_ask *asks)
{
    while (asks) {
        struct tly_audit_ask *next = asks->next;
        free(asks);
        asks = next;
    }
}

void tly_audit_asks_drop(struct tly_audit *audit)
{
    asks_free(audit->asks);
    asks_free(audit->under_way);
}
