/*
 * Scalars: words, sizes, durations, and variables of the environment. The units stand in tables, so
 * that reading and writing cannot disagree.
 */
#include "agent/config/scalar.h"

#include "agent/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
    bool preferred; /* for writing; the first that divides wins */
};

#define KI 1024LL
#define K  1000LL

static const struct unit size_units[] = {
    {"TiB", KI *KI *KI *KI, true},
    {"GiB", KI *KI *KI, true},
    {"MiB", KI *KI, true},
    {"KiB", KI, true},
    {"TB", K *K *K *K, true},
    {"GB", K *K *K, true},
    {"MB", K *K, true},
    {"kB", K, true},
    {"Ti", KI *KI *KI *KI, false},
    {"Gi", KI *KI *KI, false},
    {"Mi", KI *KI, false},
    {"Ki", KI, false},
    {"T", K *K *K *K, false},
    {"G", K *K *K, false},
    {"M", K *K, false},
    {"k", K, false},
    {"B", 1, false},
    {"", 1, true},
};

/* From large to small, the order in which a duration names them. Milliseconds. */
static const struct unit duration_units[] = {
    {"w", 7 * 24 * 3600 * K, false},
    {"d", 24 * 3600 * K, true},
    {"h", 3600 * K, true},
    {"m", 60 * K, true},
    {"s", K, true},
    {"ms", 1, true},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int tly_scalar_bool(struct tly_text text, bool *ret_value)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; i < COUNT(words); i++) {
        for (int value = 0; value < 2; value++) {
            const char *word = words[i][value];
            if (text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0) {
                *ret_value = value == 1;
                return 0;
            }
        }
    }
    return TLY_E_MALFORMED;
}

/* Cuts the digits off the front of `rest`. */
static struct tly_text cut_digits(struct tly_text *rest)
{
    size_t len = 0;
    while (len < rest->len && rest->at[len] >= '0' && rest->at[len] <= '9') {
        len++;
    }
    struct tly_text digits = {rest->at, len};
    rest->at += len;
    rest->len -= len;
    return digits;
}

int tly_scalar_size(struct tly_text text, int64_t *ret_bytes)
{
    struct tly_text unit = text;
    struct tly_text digits = cut_digits(&unit);
    int64_t count = 0;
    int rc = tly_text_i64(digits, &count);
    if (rc == TLY_E_MALFORMED) {
        return rc;
    }
    for (size_t i = 0; i < COUNT(size_units); i++) {
        if (tly_text_equal(unit, tly_text_of(size_units[i].name))) {
            int64_t bytes = 0;
            if (rc < 0 || __builtin_mul_overflow(count, size_units[i].factor, &bytes)) {
                return -ERANGE;
            }
            *ret_bytes = bytes;
            return 0;
        }
    }
    return TLY_E_MALFORMED;
}

int tly_scalar_duration(struct tly_text text, int64_t *ret_ms)
{
    if (tly_text_equal(text, TLY_TEXT("0"))) {
        *ret_ms = 0;
        return 0;
    }
    int64_t sum = 0;
    bool over = false;
    size_t next = 0; /* units from here on are smaller than those before */
    do {
        struct tly_text digits = cut_digits(&text);
        size_t letters = 0;
        while (letters < text.len && (text.at[letters] < '0' || text.at[letters] > '9')) {
            letters++;
        }
        struct tly_text name = {text.at, letters};
        while (next < COUNT(duration_units) &&
               !tly_text_equal(name, tly_text_of(duration_units[next].name))) {
            next++;
        }
        int64_t count = 0;
        int rc = tly_text_i64(digits, &count);
        if (rc == TLY_E_MALFORMED || next == COUNT(duration_units)) {
            return TLY_E_MALFORMED;
        }
        int64_t ms = 0;
        over = over || rc < 0 || __builtin_mul_overflow(count, duration_units[next].factor, &ms) ||
               __builtin_add_overflow(sum, ms, &sum);
        next++;
        text.at += letters;
        text.len -= letters;
    } while (text.len > 0);
    if (over) {
        return -ERANGE;
    }
    *ret_ms = sum;
    return 0;
}

void tly_size_format(int64_t bytes, char to[TLY_SCALAR_TEXT_MAX])
{
    size_t i = 0;
    while (bytes == 0 ? *size_units[i].name != '\0'
                      : !size_units[i].preferred || bytes % size_units[i].factor != 0) {
        i++;
    }
    (void)snprintf(to, TLY_SCALAR_TEXT_MAX, "%" PRId64 "%s", bytes / size_units[i].factor,
                   size_units[i].name);
}

void tly_option_duration_format(int64_t ms, char to[TLY_SCALAR_TEXT_MAX])
{
    if (ms <= 0) {
        (void)snprintf(to, TLY_SCALAR_TEXT_MAX, "%" PRId64, ms);
        return;
    }
    size_t len = 0;
    for (size_t i = 0; i < COUNT(duration_units); i++) {
        int64_t factor = duration_units[i].factor;
        if (duration_units[i].preferred && ms >= factor) {
            len += (size_t)snprintf(to + len, TLY_SCALAR_TEXT_MAX - len, "%" PRId64 "%s",
                                    ms / factor, duration_units[i].name);
            ms %= factor;
        }
    }
}

void tly_option_number_format(enum tly_option_type type, int64_t value,
                              char to[TLY_SCALAR_TEXT_MAX])
{
    if (type == TLY_OPTION_SIZE) {
        tly_size_format(value, to);
    } else if (type == TLY_OPTION_DURATION) {
        tly_option_duration_format(value, to);
    } else {
        (void)snprintf(to, TLY_SCALAR_TEXT_MAX, "%" PRId64, value);
    }
}

/* ---- the environment ---- */

#define VARIABLE_NAME_MAX 128

static bool is_name(struct tly_text name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len > 0 && name.len < VARIABLE_NAME_MAX;
}

/* `inner` is what stands between the braces. */
static int expand_variable(struct tly_text inner, struct tly_buf *buf, struct tly_error *err)
{
    struct tly_text name = inner;
    struct tly_text fallback = {NULL, 0};
    for (size_t i = 0; i + 1 < inner.len; i++) {
        if (inner.at[i] == ':' && inner.at[i + 1] == '-') {
            name.len = i;
            fallback = (struct tly_text){inner.at + i + 2, inner.len - i - 2};
            break;
        }
    }
    if (!is_name(name) || (fallback.len > 0 && memchr(fallback.at, '{', fallback.len))) {
        return tly_error_set(err, TLY_E_MALFORMED,
                             "`${%.*s}` is not understood; write ${NAME}, ${NAME:-default}, or $$ "
                             "for a dollar",
                             (int)(inner.len < VARIABLE_NAME_MAX ? inner.len : VARIABLE_NAME_MAX),
                             inner.at);
    }
    char key[VARIABLE_NAME_MAX];
    memcpy(key, name.at, name.len);
    key[name.len] = '\0';
    const char *value = getenv(key);
    if (fallback.at && (!value || *value == '\0')) {
        return tly_buf_append_text(buf, fallback);
    }
    if (!value) {
        return tly_error_set(err, TLY_E_MALFORMED,
                             "the environment has no variable %s; set it, or give a default by "
                             "${%s:-default}",
                             key, key);
    }
    return tly_buf_append_text(buf, tly_text_of(value));
}

int tly_expand(struct tly_text text, struct tly_buf *buf, struct tly_error *err)
{
    while (text.len > 0) {
        const char *dollar = memchr(text.at, '$', text.len);
        size_t before = dollar ? (size_t)(dollar - text.at) : text.len;
        char next = before + 1 < text.len ? text.at[before + 1] : '\0';
        size_t used = before;
        int rc = tly_buf_append(buf, text.at, before);
        if (rc == 0 && dollar && next == '{') {
            const char *close = memchr(dollar, '}', text.len - before);
            if (!close) {
                return tly_error_set(err, TLY_E_MALFORMED,
                                     "a `${` that is never closed; write $$ for a dollar");
            }
            struct tly_text inner = {dollar + 2, (size_t)(close - dollar) - 2};
            rc = expand_variable(inner, buf, err);
            used += inner.len + 3;
        } else if (rc == 0 && dollar) {
            rc = tly_buf_append(buf, "$", 1);
            used += next == '$' ? 2 : 1;
        }
        if (rc == TLY_E_LIMIT || rc == -ENOMEM) {
            return tly_error_set(err, rc, "the value is too long: %s", tly_error_name(rc));
        }
        if (rc < 0) {
            return rc;
        }
        text.at += used;
        text.len -= used;
    }
    return 0;
}
