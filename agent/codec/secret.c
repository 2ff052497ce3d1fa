/*
 * Names and forms of secrets; see secret.h. The lists of names and of values that are none follow
 * what official images set in their own environment, and the usual ways to refer to a secret
 * without writing it down (a file, a variable).
 */
#include "agent/codec/secret.h"

#include "agent/codec/pattern.h"
#include "agent/codec/token_shape.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_LEN_MAX    128  /* a longer name is prose */
#define TEXT_LEN_MAX   8192 /* of a command line; more is not searched */
#define SECRET_LEN_MIN 1

struct tly_secret_shapes {
    struct tly_pattern *all;
    struct tly_pattern **each; /* tly_token_shape_count of them */
};

int tly_secret_shapes_new(struct tly_secret_shapes **ret_shapes, struct tly_error *err)
{
    struct tly_secret_shapes *shapes = calloc(1, sizeof(*shapes));
    if (!shapes || !(shapes->each = calloc(tly_token_shape_count, sizeof(struct tly_pattern *)))) {
        tly_secret_shapes_free(shapes);
        return tly_error_set(err, -ENOMEM, "out of memory for the shapes of secrets");
    }
    int rc = tly_pattern_new(tly_token_shapes_pattern, &shapes->all, err);
    for (size_t i = 0; rc == 0 && i < tly_token_shape_count; i++) {
        rc = tly_pattern_new(tly_token_shapes[i].pattern, &shapes->each[i], err);
    }
    if (rc < 0) {
        tly_secret_shapes_free(shapes);
        return rc;
    }
    *ret_shapes = shapes;
    return 0;
}

void tly_secret_shapes_free(struct tly_secret_shapes *shapes)
{
    if (!shapes) {
        return;
    }
    for (size_t i = 0; shapes->each && i < tly_token_shape_count; i++) {
        tly_pattern_free(shapes->each[i]);
    }
    tly_pattern_free(shapes->all);
    free(shapes->each);
    free(shapes);
}

/* ---- keys ---- */

/* What a name ends in, after an underscore or as a whole. */
static const char *const secret_words[] = {
    "PASSWORD",
    "PASSWD",
    "PWD",
    "PASSPHRASE",
    "PASS",
    "SECRET",
    "SECRET_KEY",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "ACCESSKEY",
    "PRIVATE_KEY",
    "PRIVATEKEY",
    "ENCRYPTION_KEY",
    "SIGNING_KEY",
    "AUTH_TOKEN",
    "ACCESS_TOKEN",
    "REFRESH_TOKEN",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
    "CLIENT_SECRET",
    "BASICAUTH_USERS", /* of a proxy: names with hashes of passwords */
    "WEBHOOK_URL",
    "DSN",
    "CONNECTION_STRING",
};

/* Names that only sound like one. */
static const char *const harmless_keys[] = {
    "PWD",
    "OLDPWD",
    "PUBLIC_KEY",
    "GPG_KEY",
    "GPG_KEYS",
    "SSH_AUTH_SOCK",
    "MYSQL_ALLOW_EMPTY_PASSWORD",
    "MYSQL_RANDOM_ROOT_PASSWORD",
    "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD",
    "MARIADB_RANDOM_ROOT_PASSWORD",
    "ALLOW_EMPTY_PASSWORD",
};

static bool is_one_of(const char *const *words, size_t count, struct tly_text text)
{
    for (size_t i = 0; i < count; i++) {
        if (tly_text_equal(text, tly_text_of(words[i]))) {
            return true;
        }
    }
    return false;
}

/* "apiKey" and "api-key" to "API_KEY". */
static struct tly_text canonical(struct tly_text key, char to[2 * KEY_LEN_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < key.len; i++) {
        unsigned char byte = (unsigned char)key.at[i];
        bool hump = isupper(byte) && i > 0 && islower((unsigned char)key.at[i - 1]);
        if (hump) {
            to[len++] = '_';
        }
        to[len++] = (char)(isalnum(byte) ? toupper(byte) : '_');
    }
    return (struct tly_text){to, len};
}

bool tly_secret_key(struct tly_text key)
{
    char to[2 * KEY_LEN_MAX];
    if (key.len == 0 || key.len > KEY_LEN_MAX) {
        return false;
    }
    struct tly_text name = canonical(key, to);
    if (is_one_of(harmless_keys, sizeof(harmless_keys) / sizeof(harmless_keys[0]), name) ||
        tly_text_ends(name, TLY_TEXT("PUBLIC_KEY"))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(secret_words) / sizeof(secret_words[0]); i++) {
        struct tly_text word = tly_text_of(secret_words[i]);
        if (tly_text_ends(name, word) &&
            (name.len == word.len || name.at[name.len - word.len - 1] == '_')) {
            return true;
        }
    }
    return false;
}

/* ---- values ---- */

static bool starts_with_any(struct tly_text text, const char *const *starts)
{
    for (size_t i = 0; starts[i]; i++) {
        if (tly_text_starts(text, tly_text_of(starts[i]))) {
            return true;
        }
    }
    return false;
}

static bool same_word(struct tly_text text, const char *word)
{
    return strlen(word) == text.len && strncasecmp(text.at, word, text.len) == 0;
}

/* A reference to where the secret stands, or no secret at all. */
static bool is_harmless(struct tly_text value)
{
    static const char *const references[] = {"$",     "{{",     "%",     "/run/", "/bin/",
                                             "/etc/", "/home/", "/opt/", "/tmp/", "/usr/",
                                             "/var/", "<",      NULL};
    static const char *const words[] = {"true", "false", "null", "none", "nil",
                                        "yes",  "no",    "on",   "off"};
    if (value.len < SECRET_LEN_MIN || starts_with_any(value, references) ||
        tly_text_ends(value, TLY_TEXT("EXAMPLE"))) {
        return true;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (same_word(value, words[i])) {
            return true;
        }
    }
    for (size_t i = 1; i < value.len; i++) {
        if (value.at[i] != value.at[0]) {
            return false;
        }
    }
    return value.len > 1 || value.at[0] == '*'; /* one character over and over is a blank */
}

static bool is_default(struct tly_text value)
{
    static const char *const words[] = {"changeme", "change-me", "change_me", "password", "passwd",
                                        "admin",    "root",      "secret",    "example",  "default",
                                        "test",     "postgres",  "mysql",     "guest",    "123456"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (same_word(value, words[i])) {
            return true;
        }
    }
    return false;
}

/* Where a token stands in the text; the shape's name, or NULL. */
static const char *token_in(struct tly_secret_shapes *shapes, struct tly_text text)
{
    struct tly_pattern_match match;
    if (tly_pattern_find(shapes->all, text, 0, &match) <= 0) {
        return NULL;
    }
    struct tly_text secret = {text.at + match.start, match.end - match.start};
    if (is_harmless(secret)) {
        return NULL; /* postgres://user:${PASSWORD}@db */
    }
    for (size_t i = 0; i < tly_token_shape_count; i++) {
        if (tly_pattern_find(shapes->each[i], text, 0, &match) > 0) {
            return tly_token_shapes[i].name;
        }
    }
    return "token";
}

struct tly_secret tly_secret_judge(struct tly_secret_shapes *shapes, struct tly_text key,
                                   struct tly_text value)
{
    struct tly_secret none = {TLY_SECRET_NONE, ""};
    value = tly_text_trim(value);
    if (value.len > TEXT_LEN_MAX) {
        value.len = TEXT_LEN_MAX;
    }
    const char *token = token_in(shapes, value);
    if (token) {
        return (struct tly_secret){TLY_SECRET_TOKEN, token};
    }
    if (!tly_secret_key(key) || is_harmless(value)) {
        return none;
    }
    return is_default(value)
               ? (struct tly_secret){TLY_SECRET_DEFAULT, "a value that everybody knows"}
               : (struct tly_secret){TLY_SECRET_KEY, "secret by its name"};
}

/* ---- free text ---- */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\0';
}

static struct tly_text next_word(struct tly_text *rest)
{
    while (rest->len > 0 && is_blank(rest->at[0])) {
        rest->at++;
        rest->len--;
    }
    struct tly_text word = {rest->at, 0};
    while (word.len < rest->len && !is_blank(rest->at[word.len])) {
        word.len++;
    }
    rest->at += word.len;
    rest->len -= word.len;
    return word;
}

static struct tly_text unquoted(struct tly_text text)
{
    while (text.len > 0 && (text.at[0] == '"' || text.at[0] == '\'')) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && strchr("\"';,", text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* "--db-password" to "db-password"; an empty text for what is no option. */
static struct tly_text option_name(struct tly_text word)
{
    size_t dashes = 0;
    while (dashes < word.len && word.at[dashes] == '-') {
        dashes++;
    }
    return dashes == 2 ? (struct tly_text){word.at + 2, word.len - 2} : (struct tly_text){"", 0};
}

static struct tly_secret judge_word(struct tly_secret_shapes *shapes, struct tly_text word,
                                    struct tly_text *option, struct tly_text *ret_key)
{
    const char *sign = memchr(word.at, '=', word.len);
    struct tly_text key = *option;
    struct tly_text value = unquoted(word);
    if (sign) {
        key = unquoted((struct tly_text){word.at, (size_t)(sign - word.at)});
        while (key.len > 0 && key.at[0] == '-') {
            key.at++;
            key.len--;
        }
        value = unquoted((struct tly_text){sign + 1, (size_t)(word.at + word.len - sign - 1)});
    }
    *option = sign ? (struct tly_text){"", 0} : option_name(word);
    *ret_key = key;
    /* An option behind an option is no value of it. */
    if (!sign && word.len > 0 && word.at[0] == '-') {
        key = (struct tly_text){"", 0};
    }
    return tly_secret_judge(shapes, key, value);
}

struct tly_secret tly_secret_find(struct tly_secret_shapes *shapes, struct tly_text text,
                                  struct tly_text *ret_key)
{
    struct tly_text option = {"", 0};
    if (text.len > TEXT_LEN_MAX) {
        text.len = TEXT_LEN_MAX;
    }
    const char *token = token_in(shapes, text);
    struct tly_text rest = text;
    while (rest.len > 0) {
        struct tly_text word = next_word(&rest);
        struct tly_text key;
        if (word.len == 0) {
            break;
        }
        struct tly_secret secret = judge_word(shapes, word, &option, &key);
        if (secret.kind != TLY_SECRET_NONE) {
            *ret_key = key;
            return secret;
        }
    }
    *ret_key = (struct tly_text){"", 0};
    return token ? (struct tly_secret){TLY_SECRET_TOKEN, token}
                 : (struct tly_secret){TLY_SECRET_NONE, ""};
}
