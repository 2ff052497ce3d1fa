/*
 * What compressing costs by itself: reads packed chunks from a file, each behind its length (four
 * bytes, the machine's order), and compresses them one after the other to gzip, with a compressor
 * and buffers that stay. Prints, for zlib and libdeflate at their level 1, the CPU time in
 * nanoseconds and the bytes that came out; the best of the runs.
 *
 * usage: pack_floor FILE RUNS
 */
#include <inttypes.h>
#include <libdeflate.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#define NS_PER_S         1000000000
#define LEVEL            1
#define WINDOW_BITS_GZIP (15 + 16)
#define MEMORY_LEVEL     8
#define PACKED_BYTES     (64UL << 20)

struct input {
    unsigned char *at;
    size_t len;
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static int64_t cpu_ns(void)
{
    struct timespec at;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at) < 0) {
        die("clock");
    }
    return (int64_t)at.tv_sec * NS_PER_S + at.tv_nsec;
}

static struct input read_all(const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file || fseek(file, 0, SEEK_END) < 0) {
        die(path);
    }
    struct input input = {.len = (size_t)ftell(file)};
    input.at = malloc(input.len + 1);
    rewind(file);
    if (!input.at || fread(input.at, 1, input.len, file) != input.len || fclose(file) != 0) {
        die(path);
    }
    return input;
}

typedef size_t (*pack_fn)(void *compressor, unsigned char *from, size_t len, unsigned char *to);

static size_t by_zlib(void *compressor, unsigned char *from, size_t len, unsigned char *to)
{
    z_stream *stream = compressor;
    stream->next_in = from;
    stream->avail_in = (uInt)len;
    stream->next_out = to;
    stream->avail_out = PACKED_BYTES;
    return deflateReset(stream) == Z_OK && deflate(stream, Z_FINISH) == Z_STREAM_END
               ? stream->total_out
               : 0;
}

static size_t by_libdeflate(void *compressor, unsigned char *from, size_t len, unsigned char *to)
{
    return libdeflate_gzip_compress(compressor, from, len, to, PACKED_BYTES);
}

static void measure(const char *name, const struct input *input, pack_fn pack, void *compressor,
                    unsigned char *to, long runs)
{
    int64_t best = INT64_MAX;
    size_t bytes = 0;
    for (long run = 0; run < runs; run++) {
        int64_t began = cpu_ns();
        uint32_t len;
        bytes = 0;
        for (size_t at = 0; at < input->len; at += len) {
            memcpy(&len, input->at + at, sizeof(len));
            at += sizeof(len);
            size_t count = pack(compressor, input->at + at, len, to);
            if (count == 0) {
                die(name);
            }
            bytes += count;
        }
        int64_t took = cpu_ns() - began;
        best = took < best ? took : best;
    }
    (void)printf("%s %" PRId64 " %zu\n", name, best, bytes);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: pack_floor FILE RUNS\n");
        return EXIT_FAILURE;
    }
    long runs = strtol(argv[2], NULL, 10);
    struct input input = read_all(argv[1]);
    unsigned char *to = malloc(PACKED_BYTES);
    z_stream stream = {.next_in = NULL};
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);
    if (!to || !compressor ||
        deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        die("memory");
    }
    measure("zlib", &input, by_zlib, &stream, to, runs);
    measure("libdeflate", &input, by_libdeflate, compressor, to, runs);
    (void)deflateEnd(&stream);
    libdeflate_free_compressor(compressor);
    free(to);
    free(input.at);
    return EXIT_SUCCESS;
}
