/*
 * The agent's own log: logfmt lines on standard error, one write(2) each. Who handles an error logs
 * it, once, and says what it does instead. No secret, no log body of a container.
 */
#ifndef TLY_LOOP_LOG_H
#define TLY_LOOP_LOG_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum tly_log_level { TLY_LOG_DEBUG, TLY_LOG_INFO, TLY_LOG_WARN, TLY_LOG_ERROR };

void tly_log_set_level(enum tly_log_level level);
enum tly_log_level tly_log_get_level(void);

/* `who` is the collector, output or room; the text is quoted and escaped as logfmt needs it. */
void tly_log(enum tly_log_level level, const char *who, const char *format, ...) TLY_PRINTF(3, 4);

#define tly_log_debug(who, ...) tly_log(TLY_LOG_DEBUG, who, __VA_ARGS__)
#define tly_log_info(who, ...)  tly_log(TLY_LOG_INFO, who, __VA_ARGS__)
#define tly_log_warn(who, ...)  tly_log(TLY_LOG_WARN, who, __VA_ARGS__)
#define tly_log_error(who, ...) tly_log(TLY_LOG_ERROR, who, __VA_ARGS__)

/*
 * For what may repeat: returns true when it should be said now, at first at once, then at doubling
 * intervals from one minute to one hour; `ret_held` counts what was not said since. After an hour
 * of silence it starts anew. Zero-initialise.
 */
struct tly_log_limit {
    int64_t next_ms;
    int64_t interval_ms;
    uint64_t held;
};
bool tly_log_limit_pass(struct tly_log_limit *limit, int64_t now_ms, uint64_t *ret_held);

/* What was held back, for the end of a message: " (3 like it before)", or nothing where there was
 * none. */
struct tly_log_held {
    char text[40];
};
struct tly_log_held tly_log_held(uint64_t held);

#endif
