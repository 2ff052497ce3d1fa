/*
 * Writing msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md): the few forms that a
 * record of the forward protocol needs. Each value takes its shortest form.
 *
 * Two layers. `tly_record_put_…` write to memory that the caller has made room for and return the
 * byte behind what they wrote: for the hot path. `tly_record_…` append to a buffer and fail,
 * leaving it as it was, when that has no room for the longest form of the value (TLY_E_LIMIT,
 * -ENOMEM).
 */
#ifndef TLY_CODEC_RECORD_H
#define TLY_CODEC_RECORD_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TLY_RECORD_HEAD_MAX 5  /* array, map, str or bin header */
#define TLY_RECORD_INT_MAX  9  /* any integer or float */
#define TLY_RECORD_TIME_MAX 10 /* an EventTime */

/* ---- into memory ---- */

char *tly_record_put_array(char *at, uint32_t count);
char *tly_record_put_map(char *at, uint32_t pairs);
/* Headers alone: `len` bytes follow. */
char *tly_record_put_str_head(char *at, uint32_t len);
char *tly_record_put_bin_head(char *at, uint32_t len);
char *tly_record_put_int(char *at, int64_t value);
char *tly_record_put_uint(char *at, uint64_t value);
char *tly_record_put_float(char *at, double value);
char *tly_record_put_bool(char *at, bool value);
char *tly_record_put_nil(char *at);

/* The five-byte header whatever the length: for text whose length is known only when it stands
 * behind the header. */
static inline char *tly_record_put_str32_head(char *at, uint32_t len)
{
    at[0] = (char)0xdb;
    at[1] = (char)(len >> 24);
    at[2] = (char)(len >> 16);
    at[3] = (char)(len >> 8);
    at[4] = (char)len;
    return at + 5;
}

/* The same of a map or an array, over the TLY_RECORD_HEAD_MAX bytes left free for it. */
void tly_record_put_wide_head(char *at, bool is_map, uint32_t count);

static inline char *tly_record_put_str(char *at, struct tly_text text)
{
    at = tly_record_put_str_head(at, (uint32_t)text.len);
    memcpy(at, text.at, text.len);
    return at + text.len;
}

/*
 * An EventTime of the forward protocol, extension type 0 as fixext 8: seconds and nanoseconds since
 * 1970, each 32 bits. Times before 1970 become 1970; seconds end at 0xfffffffd (in 2106), because
 * Fluent Bit reads the two values above as marks of record groups.
 */
char *tly_record_put_time(char *at, int64_t ns);

/* ---- into a buffer ---- */

int tly_record_array(struct tly_buf *buf, uint32_t count) TLY_CHECK;
int tly_record_map(struct tly_buf *buf, uint32_t pairs) TLY_CHECK;
/* -EMSGSIZE over 2^32 - 1 bytes. */
int tly_record_str(struct tly_buf *buf, struct tly_text text) TLY_CHECK;
int tly_record_bin(struct tly_buf *buf, struct tly_text bytes) TLY_CHECK;
int tly_record_int(struct tly_buf *buf, int64_t value) TLY_CHECK;
int tly_record_float(struct tly_buf *buf, double value) TLY_CHECK;
int tly_record_bool(struct tly_buf *buf, bool value) TLY_CHECK;
int tly_record_nil(struct tly_buf *buf) TLY_CHECK;
int tly_record_time(struct tly_buf *buf, int64_t ns) TLY_CHECK;

#endif
