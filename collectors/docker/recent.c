/*
 * The last events, in a list from the oldest to the newest; see recent.h. All of it is walked
 * through for each event that is kept: it is short, and such events are few.
 */
#include "collectors/docker/recent.h"

#include "agent/codec/record_json.h"
#include "agent/model/container.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct entry {
    TAILQ_ENTRY(entry) link;
    int64_t time_ns;
    bool of_container;
    char id[TLY_CONTAINER_ID_MAX + 1];
    char *texts; /* owned: type, action, name, detail, exit code and signal, each with its NUL */
};

enum { TYPE, ACTION, NAME, DETAIL, EXIT_CODE, SIGNAL, TEXTS };

TAILQ_HEAD(entries, entry);

struct tly_docker_recent {
    struct entries entries;
    size_t count;
};

static const struct tly_json_style plain = {.raw_bytes = false};

int tly_docker_recent_new(struct tly_docker_recent **ret_recent)
{
    struct tly_docker_recent *recent = calloc(1, sizeof(*recent));
    if (recent == NULL) {
        return -ENOMEM;
    }
    TAILQ_INIT(&recent->entries);
    *ret_recent = recent;
    return 0;
}

static void drop(struct tly_docker_recent *recent, struct entry *entry)
{
    TAILQ_REMOVE(&recent->entries, entry, link);
    recent->count--;
    free(entry->texts);
    free(entry);
}

void tly_docker_recent_free(struct tly_docker_recent *recent)
{
    if (recent != NULL) {
        while (!TAILQ_EMPTY(&recent->entries)) {
            drop(recent, TAILQ_FIRST(&recent->entries));
        }
        free(recent);
    }
}

static const char *text_of(const struct entry *entry, int which)
{
    const char *at = entry->texts;
    for (int i = 0; i < which; i++) {
        at += strlen(at) + 1;
    }
    return at;
}

static bool is(struct tly_text text, const char *word)
{
    return tly_text_equal(text, tly_text_of(word));
}

/* The container that the event is about, or that joined or left what it is about. */
static struct tly_text container_of(const struct tly_docker_event *event)
{
    if (is(event->type, "container")) {
        return event->id;
    }
    if (is(event->type, "network") || is(event->type, "volume")) {
        return tly_docker_event_attribute(event, TLY_TEXT("container"));
    }
    return TLY_TEXT(""); /* an image's attributes are labels, which say anything */
}

/* Also a text with a NUL in it is one text. */
static size_t text_put(char *to, struct tly_text text)
{
    size_t len = text.len < TLY_DOCKER_RECENT_TEXT_MAX ? text.len : TLY_DOCKER_RECENT_TEXT_MAX;
    for (size_t i = 0; i < len; i++) {
        to[i] = text.at[i] != '\0' ? text.at[i] : '?';
    }
    to[len] = '\0';
    return len + 1;
}

static struct entry *entry_new(const struct tly_docker_event *event, bool commands, int64_t now_ns)
{
    char all[TEXTS * (TLY_DOCKER_RECENT_TEXT_MAX + 1)];
    struct tly_text container = container_of(event);
    bool of_container = container.len > 0;
    bool secret = is(event->action, "exec_start") && !commands;
    const struct tly_text texts[TEXTS] = {
        [TYPE] = event->type,
        [ACTION] = event->action,
        [NAME] = event->name,
        [DETAIL] = secret ? TLY_TEXT("") : event->detail,
        [EXIT_CODE] = is(event->action, "die")
                          ? tly_docker_event_attribute(event, TLY_TEXT("exitCode"))
                          : TLY_TEXT(""),
        [SIGNAL] = is(event->action, "kill") ? tly_docker_event_attribute(event, TLY_TEXT("signal"))
                                             : TLY_TEXT(""),
    };
    size_t len = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        len += text_put(all + len, texts[i]);
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    char *copy = malloc(len);
    if (entry == NULL || copy == NULL) {
        free(entry);
        free(copy);
        return NULL;
    }
    memcpy(copy, all, len);
    entry->texts = copy;
    entry->time_ns = event->time_ns > 0 ? event->time_ns : now_ns;
    entry->of_container = of_container;
    struct tly_text id = of_container ? container : event->id;
    (void)snprintf(entry->id, sizeof(entry->id), "%.*s", (int)id.len, id.len > 0 ? id.at : "");
    return entry;
}

/* Health checks run all the time, and of the four events of an exec the start says enough. */
static bool is_noise(const struct tly_docker_event *event, bool health_check)
{
    static const char *const words[] = {"exec_create", "exec_die", "exec_detach", "resize", "top"};
    if (!is(event->type, "container")) {
        return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (is(event->action, words[i])) {
            return true;
        }
    }
    return health_check && is(event->action, "exec_start");
}

static bool same_owner(const struct entry *a, const struct entry *b)
{
    return a->of_container && b->of_container && strcmp(a->id, b->id) == 0;
}

/* Whether the container's last health status was this one: Podman tells every probe. */
static bool is_repeat(const struct tly_docker_recent *recent, const struct entry *entry)
{
    const struct entry *at;
    if (strcmp(text_of(entry, ACTION), "health_status") != 0) {
        return false;
    }
    TAILQ_FOREACH_REVERSE(at, &recent->entries, entries, link)
    {
        if (same_owner(at, entry) && strcmp(text_of(at, ACTION), "start") == 0) {
            return false;
        }
        if (same_owner(at, entry) && strcmp(text_of(at, ACTION), "health_status") == 0) {
            return strcmp(text_of(at, DETAIL), text_of(entry, DETAIL)) == 0;
        }
    }
    return false;
}

/* Makes room for one more, of the same container or at all. */
static void bound(struct tly_docker_recent *recent, const struct entry *entry)
{
    struct entry *at;
    struct entry *oldest = NULL;
    size_t same = 0;
    TAILQ_FOREACH(at, &recent->entries, link)
    {
        if (same_owner(at, entry)) {
            same++;
            oldest = oldest != NULL ? oldest : at;
        }
    }
    if (same >= TLY_DOCKER_RECENT_CONTAINER_MAX) {
        drop(recent, oldest);
    } else if (recent->count >= TLY_DOCKER_RECENT_MAX) {
        drop(recent, TAILQ_FIRST(&recent->entries));
    }
}

void tly_docker_recent_add(struct tly_docker_recent *recent, const struct tly_docker_event *event,
                           bool health_check, bool commands, int64_t now_ns)
{
    if (is_noise(event, health_check)) {
        return;
    }
    struct entry *entry = entry_new(event, commands, now_ns);
    if (entry == NULL) {
        return;
    }
    if (is_repeat(recent, entry)) {
        free(entry->texts);
        free(entry);
        return;
    }
    bound(recent, entry);
    TAILQ_INSERT_TAIL(&recent->entries, entry, link);
    recent->count++;
}

static int member_put(struct tly_buf *buf, const char *key, const char *text)
{
    if (*text == '\0') {
        return 0;
    }
    int rc = tly_buf_printf(buf, ",\"%s\":", key);
    return rc < 0 ? rc : tly_record_json_text(buf, tly_text_of(text), plain);
}

static int entry_put(struct tly_buf *buf, const struct entry *entry)
{
    int rc = tly_buf_printf(buf, "{\"time\":");
    rc = rc < 0 ? rc : tly_record_json_time(buf, entry->time_ns);
    rc = rc < 0 ? rc : member_put(buf, "type", text_of(entry, TYPE));
    rc = rc < 0 ? rc : member_put(buf, "action", text_of(entry, ACTION));
    rc = rc < 0 ? rc : member_put(buf, "id", entry->id);
    rc = rc < 0 ? rc : member_put(buf, "name", text_of(entry, NAME));
    rc = rc < 0 ? rc : member_put(buf, "detail", text_of(entry, DETAIL));
    rc = rc < 0 ? rc : member_put(buf, "exit_code", text_of(entry, EXIT_CODE));
    rc = rc < 0 ? rc : member_put(buf, "signal", text_of(entry, SIGNAL));
    return rc < 0 ? rc : tly_buf_printf(buf, "}");
}

int tly_docker_recent_json(const struct tly_docker_recent *recent, struct tly_text container,
                           struct tly_buf *buf)
{
    const struct entry *entry;
    const char *before = "\n";
    int rc = tly_buf_printf(buf, "{\"events\":[");
    TAILQ_FOREACH_REVERSE(entry, &recent->entries, entries, link)
    {
        bool wanted = container.len == 0 ||
                      (entry->of_container && tly_text_starts(tly_text_of(entry->id), container));
        if (rc < 0 || !wanted) {
            continue;
        }
        rc = tly_buf_printf(buf, "%s", before);
        rc = rc < 0 ? rc : entry_put(buf, entry);
        before = ",\n";
    }
    return rc < 0 ? rc : tly_buf_printf(buf, "]}\n");
}
