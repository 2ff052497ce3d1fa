/*
 * The parser of json-file lines. Two ways through it: `parse_docker` for the bytes exactly as the
 * driver writes them, and `parse_any` for every other JSON object with these members. Pure; owns
 * nothing.
 */
#include "agent/codec/docker_line.h"

#include "agent/codec/json_text.h"

#include <string.h>

/* Values of unknown members are skipped to this depth; Docker itself nests once. */
#define DEPTH_MAX 16

struct reader {
    const char *at;
    const char *end;
};

/* ---- strings ---- */

static char *unescape(struct reader *in, char *to)
{
    return tly_json_unescape(&in->at, in->end, to);
}

/* Passes a string from behind its opening quote and returns what lies between the quotes. */
static bool skip_string(struct reader *in, struct tly_text *ret_inner)
{
    const char *from = in->at;
    while (in->at < in->end) {
        char c = *in->at++;
        if (c == '"') {
            *ret_inner = (struct tly_text){from, (size_t)(in->at - 1 - from)};
            return true;
        }
        if (c == '\\') {
            if (in->at == in->end) {
                return false;
            }
            in->at++;
        }
    }
    return false;
}

/* ---- Docker's own form ---- */

static bool eat(struct reader *in, struct tly_text expected)
{
    if ((size_t)(in->end - in->at) < expected.len ||
        memcmp(in->at, expected.at, expected.len) != 0) {
        return false;
    }
    in->at += expected.len;
    return true;
}

/* attrs as the driver writes them: one flat object of strings. */
static bool skip_flat_object(struct reader *in)
{
    struct tly_text inner;
    if (!eat(in, TLY_TEXT("{"))) {
        return false;
    }
    if (eat(in, TLY_TEXT("}"))) {
        return true;
    }
    do {
        if (!eat(in, TLY_TEXT("\"")) || !skip_string(in, &inner) || !eat(in, TLY_TEXT(":\"")) ||
            !skip_string(in, &inner)) {
            return false;
        }
    } while (eat(in, TLY_TEXT(",")));
    return eat(in, TLY_TEXT("}"));
}

/* {"log":"…","stream":"…","attrs":{…},"time":"…"}; log and attrs may be missing. */
static bool parse_docker(struct reader in, struct tly_line_clock *clock, char *to,
                         struct tly_docker_line *line)
{
    char *to_end = to;
    if (eat(&in, TLY_TEXT("{\"log\":\""))) {
        to_end = unescape(&in, to);
        if (to_end == NULL || !eat(&in, TLY_TEXT(","))) {
            return false;
        }
    } else if (!eat(&in, TLY_TEXT("{"))) {
        return false;
    }
    if (!eat(&in, TLY_TEXT("\"stream\":\"std")) || in.end - in.at < 4) {
        return false;
    }
    size_t stream_len = in.at[0] == 'o' ? sizeof("stdout") - 1 : sizeof("stderr") - 1;
    line->stream = (struct tly_text){in.at - 3, stream_len};
    if (!eat(&in, TLY_TEXT("out\",")) && !eat(&in, TLY_TEXT("err\","))) {
        return false;
    }
    if (eat(&in, TLY_TEXT("\"attrs\":"))) {
        const char *from = in.at;
        if (!skip_flat_object(&in)) {
            return false;
        }
        line->attrs = (struct tly_text){from, (size_t)(in.at - from)};
        if (!eat(&in, TLY_TEXT(","))) {
            return false;
        }
    }
    if (!eat(&in, TLY_TEXT("\"time\":\"")) || in.end - in.at < 2 || in.end[-1] != '}' ||
        in.end[-2] != '"') {
        return false;
    }
    struct tly_text time = {in.at, (size_t)(in.end - 2 - in.at)};
    int64_t time_ns;
    if (tly_line_clock_parse(clock, time, &time_ns) < 0) {
        return false;
    }
    line->time_ns = time_ns;
    line->log_len = (size_t)(to_end - to);
    return true;
}

/* ---- any JSON object ---- */

static void skip_blanks(struct reader *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\r' || *in->at == '\n')) {
        in->at++;
    }
}

/* A value of whatever kind. Brackets must pair up, strings must end; what a word or a number is
 * made of is not looked at, since nobody reads it. */
static bool skip_value(struct reader *in)
{
    char open[DEPTH_MAX];
    size_t depth = 0;
    struct tly_text inner;
    do {
        skip_blanks(in);
        if (in->at == in->end) {
            return false;
        }
        char c = *in->at;
        if (c == '"') {
            in->at++;
            if (!skip_string(in, &inner)) {
                return false;
            }
        } else if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX) {
                return false;
            }
            open[depth++] = c == '{' ? '}' : ']';
            in->at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0 || open[--depth] != c) {
                return false;
            }
            in->at++;
        } else if (c == ',' || c == ':') {
            if (depth == 0) {
                return false;
            }
            in->at++;
        } else {
            while (in->at < in->end && strchr(",:]}[{\" \t\r\n", *in->at) == NULL) {
                in->at++;
            }
            if (in->at < in->end && *in->at == '\0') {
                return false; /* strchr finds the NUL too */
            }
        }
    } while (depth > 0);
    return true;
}

/* The value of one member: those that matter into `line`, the others passed over. */
static bool read_member(struct reader *in, struct tly_text key, struct tly_line_clock *clock,
                        char *to, struct tly_docker_line *line)
{
    bool is_string = in->at < in->end && *in->at == '"';
    if (is_string && tly_text_equal(key, TLY_TEXT("log"))) {
        in->at++;
        char *to_end = unescape(in, to);
        line->log_len = to_end != NULL ? (size_t)(to_end - to) : 0;
        return to_end != NULL;
    }
    if (is_string && tly_text_equal(key, TLY_TEXT("stream"))) {
        in->at++;
        return skip_string(in, &line->stream);
    }
    if (is_string && tly_text_equal(key, TLY_TEXT("time"))) {
        struct tly_text time;
        in->at++;
        return skip_string(in, &time) && tly_line_clock_parse(clock, time, &line->time_ns) == 0;
    }
    const char *from = in->at;
    bool is_object = from < in->end && *from == '{';
    if (!skip_value(in)) {
        return false;
    }
    if (is_object && tly_text_equal(key, TLY_TEXT("attrs"))) {
        line->attrs = (struct tly_text){from, (size_t)(in->at - from)};
    }
    return true;
}

/* Walks the members of an object; `member` reads the value and returns false to give up. */
static bool walk_object(struct reader *in,
                        bool (*member)(void *arg, struct reader *in, struct tly_text key),
                        void *arg)
{
    skip_blanks(in);
    if (!eat(in, TLY_TEXT("{"))) {
        return false;
    }
    skip_blanks(in);
    if (eat(in, TLY_TEXT("}"))) {
        return true;
    }
    for (;;) {
        struct tly_text key;
        skip_blanks(in);
        if (!eat(in, TLY_TEXT("\"")) || !skip_string(in, &key)) {
            return false;
        }
        skip_blanks(in);
        if (!eat(in, TLY_TEXT(":"))) {
            return false;
        }
        skip_blanks(in);
        if (!member(arg, in, key)) {
            return false;
        }
        skip_blanks(in);
        if (eat(in, TLY_TEXT("}"))) {
            return true;
        }
        if (!eat(in, TLY_TEXT(","))) {
            return false;
        }
    }
}

struct line_target {
    struct tly_line_clock *clock;
    char *to;
    struct tly_docker_line *line;
};

static bool line_member(void *arg, struct reader *in, struct tly_text key)
{
    const struct line_target *target = arg;
    return read_member(in, key, target->clock, target->to, target->line);
}

static bool parse_any(struct reader in, struct tly_line_clock *clock, char *to,
                      struct tly_docker_line *line)
{
    struct line_target target = {clock, to, line};
    if (!walk_object(&in, line_member, &target)) {
        return false;
    }
    skip_blanks(&in);
    return in.at == in.end;
}

/* The newline that ends a whole line is no part of its text. */
static void strip_newline(struct tly_docker_line *line, const char *to)
{
    line->whole = line->log_len > 0 && to[line->log_len - 1] == '\n';
    line->log_len -= line->whole;
}

static int parse_foreign(struct reader in, struct tly_line_clock *clock, char *to,
                         struct tly_docker_line *ret_line)
{
    struct tly_docker_line parsed = {0};
    if (in.at == in.end || !parse_any(in, clock, to, &parsed)) {
        return TLY_E_MALFORMED;
    }
    strip_newline(&parsed, to);
    *ret_line = parsed;
    return 0;
}

int tly_docker_line_parse(struct tly_text line, struct tly_line_clock *clock, char *to,
                          struct tly_docker_line *ret_line)
{
    /* No function that isn't inlined gets its address, so that its members stay in registers: put
     * together in memory just before it is copied, each copy would wait for the parts. */
    struct tly_docker_line parsed = {0};
    struct reader in = {line.at, line.at + line.len};
    if (!parse_docker(in, clock, to, &parsed)) {
        return parse_foreign(in, clock, to, ret_line);
    }
    strip_newline(&parsed, to);
    *ret_line = parsed;
    return 0;
}

/* ---- attrs ---- */

struct attrs_target {
    char *scratch;
    void (*member)(void *arg, struct tly_text key, struct tly_text value);
    void *arg;
};

static bool attrs_member(void *arg, struct reader *in, struct tly_text raw_key)
{
    struct attrs_target *target = arg;
    if (in->at == in->end || *in->at != '"') {
        return skip_value(in);
    }
    /* The key was passed with its closing quote behind it: unescape it again from there. */
    struct reader key_in = {raw_key.at, raw_key.at + raw_key.len + 1};
    char *key_end = unescape(&key_in, target->scratch);
    in->at++;
    char *value_end = key_end != NULL ? unescape(in, key_end) : NULL;
    if (value_end == NULL) {
        return false;
    }
    struct tly_text key = {target->scratch, (size_t)(key_end - target->scratch)};
    struct tly_text value = {key_end, (size_t)(value_end - key_end)};
    target->member(target->arg, key, value);
    return true;
}

int tly_docker_line_attrs(struct tly_text attrs, char *scratch,
                          void (*member)(void *arg, struct tly_text key, struct tly_text value),
                          void *arg)
{
    if (attrs.len == 0) {
        return TLY_E_MALFORMED;
    }
    struct reader in = {attrs.at, attrs.at + attrs.len};
    struct attrs_target target = {scratch, member, arg};
    return walk_object(&in, attrs_member, &target) ? 0 : TLY_E_MALFORMED;
}
