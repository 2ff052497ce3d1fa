/*
 * Checks of containers and images: secrets where none should be. What is found is named by key and
 * place; a value never gets into a message.
 */
#include "collectors/posture/judges.h"

#include <stdio.h>
#include <string.h>

/* "DB_PASSWORD (secret by its name)" */
static void add_secret(struct tly_fact_names *names, struct tly_text key, const char *place,
                       struct tly_secret secret)
{
    char text[TLY_FACT_NAME_MAX];
    if (key.len > 64) {
        key.len = 64;
    }
    (void)snprintf(text, sizeof(text), "%s%s%.*s (%s)", place, key.len > 0 && *place ? " " : "",
                   TLY_TEXT_ARGS(key), secret.what); /* cut to fit */
    tly_names_add(names, tly_text_of(text));
}

static void say(struct tly_verdict *verdict, const struct tly_fact_names *names)
{
    if (names->count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

static bool has_shapes(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->secrets) {
        tly_verdict_unknown(verdict, "out of memory for the shapes of secrets");
    }
    return facts->secrets != NULL;
}

/* ---- environments ---- */

static bool array_has(const json_t *array, struct tly_text text)
{
    for (size_t i = 0; i < tly_json_count(array); i++) {
        if (tly_text_equal(tly_json_string(tly_json_item(array, i)), text)) {
            return true;
        }
    }
    return false;
}

/* Variables that also stand in `inherited` are left out: they are the image's. */
static void search_env(struct tly_secret_shapes *shapes, const json_t *env, const json_t *inherited,
                       struct tly_fact_names *names)
{
    for (size_t i = 0; i < tly_json_count(env); i++) {
        struct tly_text variable = tly_json_string(tly_json_item(env, i));
        if (variable.len == 0 || array_has(inherited, variable)) {
            continue;
        }
        struct tly_text value = variable;
        struct tly_text key = tly_text_cut(&value, '=');
        if (!value.at) {
            continue;
        }
        struct tly_secret secret = tly_secret_judge(shapes, key, value);
        if (secret.kind != TLY_SECRET_NONE) {
            add_secret(names, key, "", secret);
        }
    }
}

void tly_judge_secrets_env_runtime(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict) || !has_shapes(facts, verdict)) {
        return;
    }
    search_env(facts->secrets, tly_json_at(facts->container, "Config.Env"),
               tly_json_at(facts->image, "Config.Env"), &names);
    say(verdict, &names);
}

void tly_judge_secrets_env_image(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_image(facts, verdict) || !has_shapes(facts, verdict)) {
        return;
    }
    search_env(facts->secrets, tly_json_at(facts->image, "Config.Env"), NULL, &names);
    say(verdict, &names);
}

/* ---- commands, labels, options ---- */

/* A list of words is one command: an option's value is the word behind it. */
static void search_words(struct tly_secret_shapes *shapes, const json_t *words, const char *place,
                         struct tly_fact_names *names)
{
    struct tly_text before = TLY_TEXT("");
    for (size_t i = 0; i < tly_json_count(words); i++) {
        struct tly_text word = tly_json_string(tly_json_item(words, i));
        struct tly_text key = before;
        if (word.len == 0) {
            continue;
        }
        struct tly_secret secret = {TLY_SECRET_NONE, ""};
        if (tly_text_starts(before, TLY_TEXT("--")) && word.at[0] != '-') {
            key = (struct tly_text){before.at + 2, before.len - 2};
            secret = tly_secret_judge(shapes, key, word);
        }
        if (secret.kind == TLY_SECRET_NONE) {
            secret = tly_secret_find(shapes, word, &key);
        }
        if (secret.kind != TLY_SECRET_NONE) {
            add_secret(names, key, place, secret);
        }
        before = word;
    }
}

static void search_members(struct tly_secret_shapes *shapes, const json_t *object,
                           const char *place, struct tly_fact_names *names)
{
    const char *key = NULL;
    const json_t *value = NULL;
    for (void *at = NULL; tly_json_next(object, &at, &key, &value);) {
        struct tly_text text = tly_json_string(value);
        struct tly_secret secret = tly_secret_judge(shapes, tly_text_of(key), text);
        if (text.len > 0 && secret.kind != TLY_SECRET_NONE) {
            add_secret(names, tly_text_of(key), place, secret);
        }
    }
}

void tly_judge_secrets_args(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict) || !has_shapes(facts, verdict)) {
        return;
    }
    const json_t *container = facts->container;
    search_words(facts->secrets, tly_json_at(container, "Args"), "argument", &names);
    if (names.count == 0) {
        search_words(facts->secrets, tly_json_at(container, "Config.Cmd"), "command", &names);
        search_words(facts->secrets, tly_json_at(container, "Config.Entrypoint"), "entrypoint",
                     &names);
    }
    search_words(facts->secrets, tly_json_at(container, "Config.Healthcheck.Test"), "health check",
                 &names);
    search_members(facts->secrets, tly_json_at(container, "Config.Labels"), "label", &names);
    search_members(facts->secrets, tly_json_at(container, "HostConfig.LogConfig.Config"),
                   "log option", &names);
    say(verdict, &names);
}

void tly_judge_weak_db_auth(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    static const char *const trusting[] = {
        "POSTGRES_HOST_AUTH_METHOD=trust", "MYSQL_ALLOW_EMPTY_PASSWORD=*",
        "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=*", "ALLOW_EMPTY_PASSWORD=*"};
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *env = tly_json_at(facts->container, "Config.Env");
    for (size_t i = 0; i < tly_json_count(env); i++) {
        struct tly_text variable = tly_json_string(tly_json_item(env, i));
        for (size_t k = 0; variable.len > 0 && k < sizeof(trusting) / sizeof(trusting[0]); k++) {
            if (tly_text_glob(tly_text_of(trusting[k]), variable) &&
                !tly_text_ends(variable, TLY_TEXT("=")) &&
                !tly_text_ends(variable, TLY_TEXT("=no")) &&
                !tly_text_ends(variable, TLY_TEXT("=false"))) {
                struct tly_text rest = variable;
                tly_names_add(&names, tly_text_cut(&rest, '='));
            }
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s lets anybody in", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- history ---- */

void tly_judge_secrets_history(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!has_shapes(facts, verdict)) {
        return;
    }
    if (!facts->history) {
        tly_verdict_unknown(verdict, "the engine did not tell: no GET /images/{id}/history");
        return;
    }
    size_t count = tly_json_count(facts->history);
    for (size_t i = 0; i < count; i++) {
        struct tly_text created_by = tly_json_text_at(tly_json_item(facts->history, i),
                                                      "CreatedBy");
        struct tly_text key;
        char place[32];
        if (created_by.len == 0) {
            continue;
        }
        struct tly_secret secret = tly_secret_find(facts->secrets, created_by, &key);
        if (secret.kind != TLY_SECRET_NONE) {
            /* From the base on, as a Dockerfile reads. */
            (void)snprintf(place, sizeof(place), "layer %zu:", count - i);
            add_secret(&names, key, place, secret);
        }
    }
    say(verdict, &names);
}
