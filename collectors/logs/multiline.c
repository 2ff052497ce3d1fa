/*
 * The rules of messages of several lines, as small automata: a row says which line takes a message
 * from one state to another. Rows of a state are tried in their order, then those that begin a
 * message; a line that none fits is a message of its own, which waits for nothing.
 */
#include "collectors/logs/multiline.h"

#include "agent/codec/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { JAVA = 1, PYTHON = 2, GO = 4, NODE = 8 };

static const struct {
    const char *name;
    unsigned language;
} languages[] = {{"java", JAVA}, {"python", PYTHON}, {"go", GO}, {"node", NODE}};

enum {
    FRAMES = TLY_MULTILINE_OPEN + 1, /* an exception, and "at ..." below it */
    NODE_PLACE,
    NODE_CODE,
    NODE_MARK,
    NODE_MEMBERS,
    PYTHON_FRAMES,
    PYTHON_END,
    PYTHON_GAP,
    PYTHON_CHAIN,
    GO_HEAD,
    GO_FRAMES,
};

/* After the documents and the source of each runtime: java.lang.Throwable.printStackTrace, Python's
 * traceback module, Go's runtime/panic.go and traceback.go, Node.js's lib/internal/process. */
static const struct row {
    unsigned languages;
    int from;
    const char *pattern;
    int to;
} rows[] = {
    /* within a message */
    {JAVA | NODE, FRAMES, "^[\\t ]+at .* \\{$", NODE_MEMBERS},
    {JAVA | NODE, FRAMES,
     "^[\\t ]+(?:eval )?at |^[\\t ]*(?:Caused by|Suppressed): |^[\\t ]+\\.{3} \\d+ |"
     "^[\\t ]+- (?:locked|waiting) |^[\\t ]*nested exception is|^[\\t ]*\\[cause\\]: ",
     FRAMES},
    {NODE, NODE_MEMBERS, "^[\\t ]", NODE_MEMBERS},
    {NODE, NODE_MEMBERS, "^\\}", FRAMES},
    {NODE, NODE_PLACE, "", NODE_CODE},
    {NODE, NODE_CODE, "^[\\t ]*\\^+[\\t ]*$", NODE_MARK},
    {NODE, NODE_MARK, "^$", NODE_MARK},
    {NODE, NODE_MARK, "^[\\w$.]*(?:Error|Exception)\\b|^Uncaught ", FRAMES},
    {PYTHON, PYTHON_FRAMES, "^[\\t ]", PYTHON_FRAMES},
    {PYTHON, PYTHON_FRAMES, "^(?!Traceback \\()[A-Za-z_]", PYTHON_END},
    {PYTHON, PYTHON_END, "^$", PYTHON_GAP},
    {PYTHON, PYTHON_GAP,
     "^During handling of the above exception|^The above exception was the direct cause",
     PYTHON_CHAIN},
    {PYTHON, PYTHON_CHAIN, "^$", PYTHON_CHAIN},
    {PYTHON, PYTHON_CHAIN, "^Traceback \\(most recent call last\\):", PYTHON_FRAMES},
    {GO, GO_HEAD, "^goroutine \\d+ \\[", GO_FRAMES},
    {GO, GO_HEAD, "^$|^\\[signal |^\\t|^panic: |^runtime: ", GO_HEAD},
    {GO, GO_FRAMES,
     "^$|^\\t|^created by |^goroutine \\d+ \\[|^exit status \\d|^\\.\\.\\.additional frames|"
     "^[\\w./*()%~\\[\\]-]+\\(.*\\)$",
     GO_FRAMES},
    /* its beginning */
    {PYTHON, TLY_MULTILINE_NONE, "^Traceback \\(most recent call last\\):", PYTHON_FRAMES},
    {GO, TLY_MULTILINE_NONE, "^panic: |^fatal error: |http: panic serving ", GO_HEAD},
    {GO, TLY_MULTILINE_NONE, "^goroutine \\d+ \\[[^\\]]+\\]:$", GO_FRAMES},
    {NODE, TLY_MULTILINE_NONE, "^(?:file://|node:|/|[A-Z]:\\\\)\\S*[jt]s:\\d+$|^node:\\S+:\\d+$",
     NODE_PLACE},
    {JAVA | NODE, TLY_MULTILINE_NONE, "(?:Exception|Error|Throwable)\\b", FRAMES},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct tly_log_multiline {
    struct tly_pattern *start;      /* NULL: the rows */
    struct tly_pattern *rows[ROWS]; /* NULL: of another language, or fits every line */
    unsigned languages;
    int64_t wait_ms;
};

static unsigned language_of(const char *name)
{
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
        if (strcmp(name, languages[i].name) == 0) {
            return languages[i].language;
        }
    }
    return 0;
}

int tly_log_traces_verify(const char *name, struct tly_error *err)
{
    if (language_of(name) != 0) {
        return 0;
    }
    return tly_error_set(err, -EINVAL,
                         "there are no rules for `%.40s`; write java, python, go or node, or use "
                         "multiline_start",
                         name);
}

static int compile_rows(struct tly_log_multiline *rules, struct tly_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ROWS; i++) {
        if ((rows[i].languages & rules->languages) && rows[i].pattern[0] != '\0') {
            rc = tly_pattern_new(rows[i].pattern, &rules->rows[i], err);
        }
    }
    return rc;
}

int tly_log_multiline_new(const char *start, const struct tly_strings *traces, int64_t wait_ms,
                          struct tly_log_multiline **ret_rules, struct tly_error *err)
{
    struct tly_log_multiline *rules = calloc(1, sizeof(*rules));
    if (!rules) {
        (void)tly_error_set(err, -ENOMEM, "out of memory");
        return -ENOMEM;
    }
    rules->wait_ms = wait_ms;
    for (size_t i = 0; i < traces->count; i++) {
        rules->languages |= language_of(traces->at[i]);
    }
    int rc = start ? tly_pattern_new(start, &rules->start, err) : compile_rows(rules, err);
    if (rc < 0) {
        tly_log_multiline_free(rules);
        return rc;
    }
    *ret_rules = rules;
    return 0;
}

void tly_log_multiline_free(struct tly_log_multiline *rules)
{
    if (!rules) {
        return;
    }
    tly_pattern_free(rules->start);
    for (size_t i = 0; i < ROWS; i++) {
        tly_pattern_free(rules->rows[i]);
    }
    free(rules);
}

int64_t tly_log_multiline_wait_ms(const struct tly_log_multiline *rules)
{
    return rules->wait_ms;
}

static bool fits(struct tly_pattern *pattern, struct tly_text line)
{
    struct tly_pattern_match match;
    return !pattern || tly_pattern_find(pattern, line, 0, &match) > 0;
}

/* The state to which a line takes a message in state `from`; NONE: it does not fit. */
static int step(const struct tly_log_multiline *rules, int from, struct tly_text line)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].from == from && (rows[i].languages & rules->languages) &&
            fits(rules->rows[i], line)) {
            return rows[i].to;
        }
    }
    return TLY_MULTILINE_NONE;
}

bool tly_log_multiline_follows(struct tly_log_multiline *rules, int state, struct tly_text line,
                               int *ret_state)
{
    if (line.len > 0 && line.at[line.len - 1] == '\r') {
        line.len--; /* of a terminal, or of Windows */
    }
    if (rules->start) {
        struct tly_pattern_match match;
        *ret_state = TLY_MULTILINE_OPEN;
        return state != TLY_MULTILINE_NONE && tly_pattern_find(rules->start, line, 0, &match) == 0;
    }
    int next = state == TLY_MULTILINE_NONE ? TLY_MULTILINE_NONE : step(rules, state, line);
    if (next != TLY_MULTILINE_NONE) {
        *ret_state = next;
        return true;
    }
    *ret_state = step(rules, TLY_MULTILINE_NONE, line);
    return false;
}
