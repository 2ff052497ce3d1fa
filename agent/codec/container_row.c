/*
 * The rows of GET /containers/json. A list is cheap for the engine but tells the state only in
 * words made for people ("Up 2 hours (healthy)", "Exited (137) 3 minutes ago"); they are read here
 * to learn which containers are worth an inspect.
 */
#include "agent/codec/container_json.h"

#include "agent/base/clock.h"
#include "agent/base/hash.h"
#include "agent/codec/container_word.h"
#include "agent/codec/json.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct word {
    const char *text;
    int value;
};

static const struct word state_words[] = {
    {"created", TLY_STATE_CREATED},
    {"running", TLY_STATE_RUNNING},
    {"paused", TLY_STATE_PAUSED},
    {"restarting", TLY_STATE_RESTARTING},
    {"removing", TLY_STATE_REMOVING},
    {"exited", TLY_STATE_EXITED},
    {"dead", TLY_STATE_DEAD},
    /* Podman's own */
    {"configured", TLY_STATE_CREATED},
    {"initialized", TLY_STATE_CREATED},
    {"stopping", TLY_STATE_RUNNING},
    {"stopped", TLY_STATE_EXITED},
};

static const struct word health_words[] = {
    {"none", TLY_HEALTH_NONE},
    {"starting", TLY_HEALTH_STARTING},
    {"healthy", TLY_HEALTH_HEALTHY},
    {"unhealthy", TLY_HEALTH_UNHEALTHY},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int value_of(const struct word *words, size_t count, struct tly_text text)
{
    for (size_t i = 0; i < count; i++) {
        if (tly_text_equal(tly_text_of(words[i].text), text)) {
            return words[i].value;
        }
    }
    return 0;
}

enum tly_container_state tly_container_state_of_word(struct tly_text word)
{
    return (enum tly_container_state)value_of(state_words, COUNT(state_words), word);
}

enum tly_container_health tly_container_health_of_word(struct tly_text word)
{
    return (enum tly_container_health)value_of(health_words, COUNT(health_words), word);
}

bool tly_container_id_valid(struct tly_text id)
{
    if (id.len == 0 || id.len > TLY_CONTAINER_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (!isxdigit((unsigned char)id.at[i])) {
            return false;
        }
    }
    return true;
}

static void hash_add(uint64_t *hash, const void *bytes, size_t len)
{
    *hash = tly_hash_add(*hash, bytes, len);
}

static void hash_number(uint64_t *hash, int64_t number)
{
    hash_add(hash, &number, sizeof(number));
}

/* The text between the first `open` and the next `close`; empty without them. */
static struct tly_text between(struct tly_text text, char open, char close)
{
    const char *from = text.len ? memchr(text.at, open, text.len) : NULL;
    if (!from) {
        return (struct tly_text){NULL, 0};
    }
    from++;
    const char *to = memchr(from, close, (size_t)(text.at + text.len - from));
    return (struct tly_text){from, to ? (size_t)(to - from) : 0};
}

/*
 * The upper bound of an age that the engine rounded for people: "5 seconds", "About a minute",
 * "2 hours". It rounds to the nearest or downwards, so that one unit more is enough.
 */
static int64_t age_max_of(struct tly_text text)
{
    static const struct {
        struct tly_text unit;
        int64_t seconds;
    } units[] = {
        {{"second", 6}, 1},         {{"minute", 6}, 60},      {{"hour", 4}, 3600},
        {{"day", 3}, 86400},        {{"week", 4}, 7 * 86400}, {{"month", 5}, 31 * 86400},
        {{"year", 4}, 366 * 86400},
    };
    uint64_t count = 1; /* "a", "an", "Less than a" */
    while (text.at) {
        struct tly_text word = tly_text_cut(&text, ' ');
        uint64_t number = 0;
        if (tly_text_u64(word, &number) == 0 && number < 1000000) {
            count = number;
        }
        for (size_t i = 0; i < COUNT(units); i++) {
            if (tly_text_starts(word, units[i].unit)) {
                return (int64_t)(count + 1) * units[i].seconds;
            }
        }
    }
    return TLY_UNKNOWN;
}

/* The name without slashes inside: the others are aliases by legacy links. */
static struct tly_text name_of(const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct tly_text name = tly_json_string(json_array_get(names, i));
        if (name.len > 0 && name.at[0] == '/') {
            name = (struct tly_text){name.at + 1, name.len - 1};
        }
        if (name.len > 0 && !memchr(name.at, '/', name.len)) {
            return name;
        }
    }
    return (struct tly_text){NULL, 0};
}

/* Reads "Up 2 hours (healthy)" and the like. */
static void read_status(struct tly_container *container, struct tly_text status,
                        int64_t *ret_age_max_s)
{
    struct tly_text inside = between(status, '(', ')');
    *ret_age_max_s = age_max_of(status);
    if (tly_text_starts(status, TLY_TEXT("Up "))) {
        if (container->state == TLY_STATE_UNKNOWN) {
            container->state = tly_text_equal(inside, TLY_TEXT("Paused")) ? TLY_STATE_PAUSED
                                                                          : TLY_STATE_RUNNING;
        }
        struct tly_text starting = TLY_TEXT("health: ");
        if (tly_text_starts(inside, starting)) {
            inside.at += starting.len;
            inside.len -= starting.len;
        }
        container->health = tly_container_health_of_word(inside);
        return;
    }
    bool restarting = tly_text_starts(status, TLY_TEXT("Restarting "));
    if (restarting || tly_text_starts(status, TLY_TEXT("Exited "))) {
        int64_t code = 0;
        if (tly_text_i64(inside, &code) == 0) {
            container->exit_code = code;
        }
        if (container->state == TLY_STATE_UNKNOWN) {
            container->state = restarting ? TLY_STATE_RESTARTING : TLY_STATE_EXITED;
        }
    }
}

static int fill_row(struct tly_container *container, const json_t *root, struct tly_text name,
                    int64_t *ret_age_max_s)
{
    container->state = tly_container_state_of_word(tly_json_text(root, "State"));
    read_status(container, tly_json_text(root, "Status"), ret_age_max_s);
    const json_t *health = json_object_get(root, "Health"); /* since API 1.52 */
    enum tly_container_health word = tly_container_health_of_word(tly_json_text(health, "Status"));
    if (word != TLY_HEALTH_UNKNOWN && container->state == TLY_STATE_RUNNING) {
        int64_t streak = 0;
        container->health = word;
        if (word > TLY_HEALTH_NONE && tly_json_int(health, "FailingStreak", &streak)) {
            container->failing_streak = streak;
        }
    }
    int64_t created_s = 0;
    if (tly_json_int(root, "Created", &created_s) && created_s > 0 &&
        created_s < INT64_MAX / TLY_NS_PER_S) {
        container->created_ns = created_s * TLY_NS_PER_S;
    }
    const struct {
        char **field;
        struct tly_text text;
    } texts[] = {
        {&container->name, name},
        {&container->image, tly_json_text(root, "Image")},
        {&container->image_id, tly_json_text(root, "ImageID")},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        int rc = texts[i].text.len > 0 ? tly_container_set(texts[i].field, texts[i].text) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    return tly_container_fill_labels(container, json_object_get(root, "Labels"));
}

int tly_container_parse_row(struct tly_text json, struct tly_container_row *ret_row,
                            struct tly_error *err)
{
    json_auto_t *root = NULL;
    struct tly_container_row row = {.fingerprint = TLY_HASH_FIRST};
    int rc = tly_json_parse(json, &root, err);
    rc = rc < 0 ? rc : tly_container_start(root, "Id", &row.container, err);
    if (rc < 0) {
        return rc;
    }
    struct tly_text name = name_of(json_object_get(root, "Names"));
    rc = fill_row(row.container, root, name, &row.age_max_s);
    if (rc < 0) {
        tly_container_row_done(&row);
        return tly_error_set(err, rc, "out of memory for a container");
    }
    hash_add(&row.fingerprint, name.at, name.len);
    hash_number(&row.fingerprint, row.container->state);
    hash_number(&row.fingerprint, row.container->health);
    hash_number(&row.fingerprint, row.container->failing_streak);
    hash_number(&row.fingerprint, row.container->exit_code);
    *ret_row = row;
    return 0;
}

void tly_container_row_done(struct tly_container_row *row)
{
    tly_container_unref(row->container);
    row->container = NULL;
}
