/*
 * The agent's own log. A line is put together on the stack, in a bound that a pipe takes whole, and
 * leaves in one write(2): lines of several threads never mix, and logging never allocates. The only
 * state is the level.
 */
#include "agent/loop/log.h"

#include "agent/base/clock.h"
#include "agent/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* Below PIPE_BUF (4096), up to which a write to a pipe is atomic. */
#define LINE_MAX_BYTES 4000
/* The message before escaping; escapes may fill the line sooner. */
#define MESSAGE_MAX_BYTES 2000
#define WHO_MAX_BYTES     64

enum { ESCAPE_MAX_BYTES = 6, LETTER_MAX_BYTES = 4 };

#define REPEAT_FIRST_MS 60000   /* one minute */
#define REPEAT_MAX_MS   3600000 /* one hour */

static _Atomic(enum tly_log_level) threshold = TLY_LOG_INFO;

struct line {
    size_t len;
    char at[LINE_MAX_BYTES];
};

void tly_log_set_level(enum tly_log_level level)
{
    atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

enum tly_log_level tly_log_get_level(void)
{
    return atomic_load_explicit(&threshold, memory_order_relaxed);
}

/* Adds all of the text, or nothing. `reserve` bytes stay free behind it. */
static bool put(struct line *line, struct tly_text text, size_t reserve)
{
    if (text.len + reserve > sizeof(line->at) - line->len) {
        return false;
    }
    if (text.len > 0) {
        memcpy(line->at + line->len, text.at, text.len);
        line->len += text.len;
    }
    return true;
}

/* What stands in a quoted value for the ASCII character `c`: itself, or its escape as in JSON. */
static struct tly_text escape(const char *c, char space[ESCAPE_MAX_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    switch (*c) {
    case '"':
        return TLY_TEXT("\\\"");
    case '\\':
        return TLY_TEXT("\\\\");
    case '\n':
        return TLY_TEXT("\\n");
    case '\r':
        return TLY_TEXT("\\r");
    case '\t':
        return TLY_TEXT("\\t");
    default:
        break;
    }
    unsigned char byte = (unsigned char)*c;
    if (byte >= ' ' && byte != 0x7F) {
        return (struct tly_text){c, 1};
    }
    const char escaped[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 0x0F]};
    memcpy(space, escaped, sizeof(escaped));
    return (struct tly_text){space, ESCAPE_MAX_BYTES};
}

/* The length of the UTF-8 sequence that `text` begins with, or 0. */
static size_t letter_len(struct tly_text text)
{
    unsigned char lead = (unsigned char)text.at[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    bool whole = len <= text.len && tly_text_utf8_prefix((struct tly_text){text.at, len}) == len;
    return whole ? len : 0;
}

/* A quoted value; bytes that are no UTF-8 become U+FFFD. `cut`: its end is missing already. */
static void put_quoted(struct line *line, struct tly_text text, bool cut)
{
    const struct tly_text ellipsis = TLY_TEXT("...");
    const size_t reserve = ellipsis.len + sizeof("\"\n") - 1;
    (void)put(line, TLY_TEXT("\""), 0); /* what stands before it is far below the bound */
    while (text.len > 0) {
        char space[ESCAPE_MAX_BYTES];
        size_t len = letter_len(text);
        struct tly_text shown = TLY_TEXT("\\ufffd");
        if (len == 1) {
            shown = escape(text.at, space);
        } else if (len > 1) {
            shown = (struct tly_text){text.at, len};
        } else if (cut && text.len < LETTER_MAX_BYTES) {
            break; /* the cut went through a letter */
        } else {
            len = 1;
        }
        if (!put(line, shown, reserve)) {
            cut = true;
            break;
        }
        text.at += len;
        text.len -= len;
    }
    if (cut) {
        (void)put(line, ellipsis, 0); /* in the reserve */
    }
    (void)put(line, TLY_TEXT("\""), 0); /* in the reserve */
}

static bool is_bare(struct tly_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\') {
            return false;
        }
    }
    return text.len > 0;
}

static void put_time(struct line *line)
{
    char text[TLY_TIME_TEXT_MAX];
    tly_time_format(tly_clock_realtime_ns(), text);
    /* Milliseconds are enough for people. */
    struct tly_text time = {text, sizeof("2026-08-23T00:28:30.123") - 1};
    (void)put(line, TLY_TEXT("ts="), 0); /* the line is empty yet */
    (void)put(line, time, 0);
    (void)put(line, TLY_TEXT("Z"), 0);
}

void tly_log(enum tly_log_level level, const char *who, const char *format, ...)
{
    if (level < tly_log_get_level()) {
        return;
    }
    static const struct tly_text levels[] = {
        [TLY_LOG_DEBUG] = {" level=debug who=", sizeof(" level=debug who=") - 1},
        [TLY_LOG_INFO] = {" level=info who=", sizeof(" level=info who=") - 1},
        [TLY_LOG_WARN] = {" level=warn who=", sizeof(" level=warn who=") - 1},
        [TLY_LOG_ERROR] = {" level=error who=", sizeof(" level=error who=") - 1},
    };
    int saved_errno = errno;
    char message[MESSAGE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int printed = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    bool cut = printed >= (int)sizeof(message);
    struct tly_text text = {message, printed < 0 ? 0 : cut ? sizeof(message) - 1 : (size_t)printed};

    struct line line = {.len = 0};
    put_time(&line);
    (void)put(&line, levels[level], 0); /* far below the bound */
    struct tly_text name = {who, strnlen(who, WHO_MAX_BYTES)};
    if (is_bare(name)) {
        (void)put(&line, name, 0); /* at most WHO_MAX_BYTES */
    } else {
        put_quoted(&line, name, false);
    }
    (void)put(&line, TLY_TEXT(" msg="), 0); /* far below the bound */
    put_quoted(&line, text, cut);
    (void)put(&line, TLY_TEXT("\n"), 0); /* in the reserve */

    ssize_t written;
    do {
        written = write(STDERR_FILENO, line.at, line.len);
    } while (written < 0 && errno == EINTR);
    /* Where the log itself can't be written there is nobody left to tell. */
    errno = saved_errno;
}

bool tly_log_limit_pass(struct tly_log_limit *limit, int64_t now_ms, uint64_t *ret_held)
{
    if (limit->interval_ms > 0 && now_ms < limit->next_ms) {
        limit->held++;
        return false;
    }
    /* What has been quiet for as long as the longest interval starts anew. */
    if (limit->interval_ms == 0 || now_ms - limit->next_ms >= REPEAT_MAX_MS) {
        limit->interval_ms = REPEAT_FIRST_MS;
    } else if (limit->interval_ms < REPEAT_MAX_MS) {
        limit->interval_ms = limit->interval_ms < REPEAT_MAX_MS / 2 ? limit->interval_ms * 2
                                                                    : REPEAT_MAX_MS;
    }
    limit->next_ms = now_ms + limit->interval_ms;
    if (ret_held) {
        *ret_held = limit->held;
    }
    limit->held = 0;
    return true;
}

struct tly_log_held tly_log_held(uint64_t held)
{
    struct tly_log_held said = {.text = ""};
    if (held > 0) {
        (void)snprintf(said.text, sizeof(said.text), " (%" PRIu64 " like it before)", held);
    }
    return said;
}
