/*
 * Each part is a run of deflate blocks (RFC 1951) that refers to nothing before it and ends at a
 * whole byte, which a flush of zlib sees to; so parts may stand in any order and come from
 * anywhere. The parts of the text before are walked along with those of the present one, as both
 * rise by key.
 */
#include "agent/codec/gzip_parts.h"

#include "agent/base/random.h"

#include <errno.h>
#include <libdeflate.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST /* zlib only reads its input: let its interface say so */
#include <zlib.h>

#define WINDOW_BITS_RAW (-15) /* the largest window, and no wrapper: see deflateInit2 */
#define MEMORY_LEVEL    8     /* zlib's default */
#define FLUSH_ROOM      16    /* what a flush adds to a part, and more */
#define PARTS_FIRST     256

/* What zlib needs for such a window and memory level (zconf.h), and some more. In one block of this
 * size it goes back to the kernel when it is freed, instead of staying in the heap. */
#define STATE_BYTES (320U << 10)
#define STATE_ALIGN 16U

/* Odd, with bits set evenly. */
#define HASH_FACTOR_1 0x9e3779b97f4a7c15U
#define HASH_FACTOR_2 0xc2b2ae3d27d4eb4fU

struct part {
    uint64_t key;
    uint64_t hash[2];
    size_t plain_len;
    uint32_t crc; /* of the plain text */
    size_t len;
    char *bytes; /* compressed, owned; NULL: not remembered */
};

struct list {
    struct part *at;
    size_t count, cap;
};

struct tly_gzip_parts {
    int level;
    z_stream stream; /* its memory is there from `begin` to `finish` only */
    char *state;     /* that memory */
    size_t state_used;
    uint64_t seed;
    size_t remembered_max;
    size_t remembered_bytes, same_bytes;
    struct list before, now;
    size_t next; /* in `before`: the first that may still come */
    struct tly_buf *buf;
    struct tly_buf scratch; /* one compressed part */
    uint32_t crc;
    uint64_t plain_len;
};

static void list_clear(struct tly_gzip_parts *parts, struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i].bytes != NULL) {
            parts->remembered_bytes -= list->at[i].len;
            free(list->at[i].bytes);
        }
    }
    list->count = 0;
}

int tly_gzip_parts_new(int level, size_t remembered_max, struct tly_gzip_parts **ret_parts)
{
    if (level < Z_BEST_SPEED || level > Z_BEST_COMPRESSION) {
        return -EINVAL;
    }
    struct tly_gzip_parts *parts = calloc(1, sizeof(*parts));
    if (parts == NULL) {
        return -ENOMEM;
    }
    parts->level = level;
    parts->seed = tly_random_u64();
    parts->remembered_max = remembered_max;
    *ret_parts = parts;
    return 0;
}

static void *state_alloc(void *opaque, unsigned count, unsigned size)
{
    struct tly_gzip_parts *parts = opaque;
    size_t bytes = ((size_t)count * size + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
    if (bytes > STATE_BYTES - parts->state_used) {
        return NULL;
    }
    void *at = parts->state + parts->state_used;
    parts->state_used += bytes;
    return at;
}

static void state_free(void *opaque, void *at)
{
    (void)opaque;
    (void)at; /* all of it at once, in text_end */
}

static int state_begin(struct tly_gzip_parts *parts)
{
    parts->state = malloc(STATE_BYTES);
    if (parts->state == NULL) {
        return -ENOMEM;
    }
    parts->state_used = 0;
    parts->stream = (z_stream){.zalloc = state_alloc, .zfree = state_free, .opaque = parts};
    int state = deflateInit2(&parts->stream, parts->level, Z_DEFLATED, WINDOW_BITS_RAW,
                             MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    if (state != Z_OK) { /* the arguments are good */
        free(parts->state);
        parts->state = NULL;
        return -ENOMEM;
    }
    tly_buf_init(&parts->scratch, SIZE_MAX);
    return 0;
}

/* Lets go of what is only needed for the text under way. */
static void text_end(struct tly_gzip_parts *parts)
{
    if (parts->state != NULL) {
        (void)deflateEnd(&parts->stream); /* only says that output was thrown away */
        free(parts->state);
        parts->state = NULL;
        tly_buf_done(&parts->scratch);
    }
}

void tly_gzip_parts_free(struct tly_gzip_parts *parts)
{
    if (parts == NULL) {
        return;
    }
    list_clear(parts, &parts->before);
    list_clear(parts, &parts->now);
    free(parts->before.at);
    free(parts->now.at);
    text_end(parts);
    free(parts);
}

int tly_gzip_parts_begin(struct tly_gzip_parts *parts, struct tly_buf *buf)
{
    /* Deflate, without a name, a time and hints; on Unix. */
    static const unsigned char header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    text_end(parts);
    list_clear(parts, &parts->now); /* of a text that was given up */
    int rc = state_begin(parts);
    if (rc < 0) {
        return rc;
    }
    parts->next = 0;
    parts->buf = buf;
    parts->crc = (uint32_t)crc32(0, NULL, 0);
    parts->plain_len = 0;
    parts->same_bytes = 0;
    return tly_buf_append(buf, header, sizeof(header));
}

static uint64_t word(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* Two lanes, each of every other word, so that the processor works on both at a time. A step can be
 * turned round, so that one changed word always changes its lane. */
static void hash(const struct tly_gzip_parts *parts, struct tly_text text, uint64_t ret_hash[2])
{
    uint64_t one = parts->seed;
    uint64_t two = ~parts->seed;
    char last[2 * sizeof(uint64_t)] = {0};
    for (; text.len >= sizeof(last); text.at += sizeof(last), text.len -= sizeof(last)) {
        one = rotate(one ^ word(text.at), 29) * HASH_FACTOR_1;
        two = rotate(two ^ word(text.at + sizeof(uint64_t)), 31) * HASH_FACTOR_2;
    }
    if (text.len > 0) {
        memcpy(last, text.at, text.len);
    }
    ret_hash[0] = rotate(one ^ word(last), 29) * HASH_FACTOR_1;
    ret_hash[1] = rotate(two ^ word(last + sizeof(uint64_t)), 31) * HASH_FACTOR_2;
}

/* The part of the text before with this key, if it is the same; it is moved out of there. */
static bool part_find(struct tly_gzip_parts *parts, struct part *part)
{
    struct list *before = &parts->before;
    while (parts->next < before->count && before->at[parts->next].key < part->key) {
        parts->next++;
    }
    if (parts->next == before->count) {
        return false;
    }
    struct part *found = &before->at[parts->next];
    if (found->key != part->key || found->bytes == NULL || found->plain_len != part->plain_len ||
        found->hash[0] != part->hash[0] || found->hash[1] != part->hash[1]) {
        return false;
    }
    *part = *found;
    found->bytes = NULL;
    return true;
}

/* Compresses into the scratch buffer. */
static int part_compress(struct tly_gzip_parts *parts, struct tly_text text)
{
    z_stream *stream = &parts->stream;
    if (text.len > UINT_MAX / 2) {
        return TLY_E_LIMIT; /* zlib counts in unsigned int */
    }
    char *to;
    size_t room = deflateBound(stream, (uLong)text.len) + FLUSH_ROOM;
    tly_buf_clear(&parts->scratch);
    int rc = tly_buf_reserve(&parts->scratch, room, &to);
    if (rc < 0) {
        return rc;
    }
    stream->next_in = (const Bytef *)text.at;
    stream->avail_in = (uInt)text.len;
    stream->next_out = (Bytef *)to;
    stream->avail_out = (uInt)room;
    if (deflateReset(stream) != Z_OK || deflate(stream, Z_SYNC_FLUSH) != Z_OK ||
        stream->avail_in > 0 || stream->avail_out == 0) {
        return -EINVAL;
    }
    parts->scratch.len = room - stream->avail_out;
    return 0;
}

/* Keeps what was compressed, as far as there is room. */
static void part_remember(struct tly_gzip_parts *parts, struct part *part)
{
    size_t len = parts->scratch.len;
    if (len <= parts->remembered_max - parts->remembered_bytes) {
        part->bytes = malloc(len);
    }
    if (part->bytes != NULL) {
        memcpy(part->bytes, parts->scratch.at, len);
        part->len = len;
        parts->remembered_bytes += len;
    }
}

static int list_grow(struct list *list)
{
    if (list->count < list->cap) {
        return 0;
    }
    size_t cap = list->cap == 0 ? PARTS_FIRST : list->cap * 2;
    struct part *grown = reallocarray(list->at, cap, sizeof(*grown));
    if (grown == NULL) {
        return -ENOMEM;
    }
    list->at = grown;
    list->cap = cap;
    return 0;
}

int tly_gzip_parts_add(struct tly_gzip_parts *parts, uint64_t key, struct tly_text text)
{
    struct part part = {.key = key, .plain_len = text.len};
    int rc = list_grow(&parts->now);
    if (rc < 0 || text.len == 0) {
        return rc;
    }
    hash(parts, text, part.hash);
    if (part_find(parts, &part)) {
        parts->same_bytes += text.len;
        rc = tly_buf_append(parts->buf, part.bytes, part.len);
    } else {
        part.crc = libdeflate_crc32(0, text.at, text.len);
        rc = part_compress(parts, text);
        if (rc < 0) {
            return rc;
        }
        part_remember(parts, &part);
        rc = tly_buf_append_text(parts->buf, tly_buf_text(&parts->scratch));
    }
    parts->now.at[parts->now.count++] = part;
    parts->crc = (uint32_t)crc32_combine(parts->crc, part.crc, (z_off_t)text.len);
    parts->plain_len += text.len;
    return rc;
}

static void number_write(uint32_t number, unsigned char *to)
{
    for (unsigned i = 0; i < sizeof(number); i++) {
        to[i] = (unsigned char)(number >> (8 * i));
    }
}

int tly_gzip_parts_finish(struct tly_gzip_parts *parts)
{
    /* An empty last block with fixed codes, the checksum and the length modulo 2^32. */
    unsigned char trailer[10] = {3, 0};
    number_write(parts->crc, trailer + 2);
    number_write((uint32_t)parts->plain_len, trailer + 6);
    text_end(parts);
    struct list before = parts->before;
    parts->before = parts->now;
    parts->now = before;
    list_clear(parts, &parts->now);
    return tly_buf_append(parts->buf, trailer, sizeof(trailer));
}

struct tly_gzip_parts_stats tly_gzip_parts_stats(const struct tly_gzip_parts *parts)
{
    return (struct tly_gzip_parts_stats){.remembered_bytes = parts->remembered_bytes,
                                         .same_bytes = parts->same_bytes};
}
