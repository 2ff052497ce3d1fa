/*
 * What rendering costs: 1,000 containers with 80 samples each, written as text 0.0.4 into fresh
 * memory each time, as for a scrape. Beside it the floor: a copy of as many bytes into fresh
 * memory. CPU time of this thread, median of the runs. With an argument, fails above that many
 * milliseconds.
 */
#include "agent/base/clock.h"
#include "agent/codec/exposition.h"
#include "agent/codec/gzip.h"
#include "agent/codec/gzip_parts.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CONTAINERS  1000
#define SAMPLES     80
#define CPUS        8
#define RUNS        31
#define BUF_MAX     (256U << 20)
#define LABELS_MAX  512
#define SETS_OF_ROW 2
#define MAPPED_FROM (1 << 20)
#define GZIP_LEVEL  1

#define REMEMBERED_MAX (32U << 20)

static unsigned checksum; /* of all runs */

static int64_t cpu_ns(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at); /* of our own thread: can't fail */
    return at.tv_sec * TLY_NS_PER_S + at.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static double median_ms(int64_t *durations_ns)
{
    qsort(durations_ns, RUNS, sizeof(*durations_ns), compare);
    int64_t median_ns = durations_ns[RUNS / 2];
    return (double)median_ns / (double)TLY_NS_PER_MS;
}

/* Labels as a Compose service on a systemd host has them. */
static char *labels_new(size_t container)
{
    char *labels = malloc(LABELS_MAX);
    if (labels == NULL) {
        abort();
    }
    (void)snprintf(labels, LABELS_MAX,
                   "id=\"/system.slice/docker-%016zx%016zx%016zx%016zx.scope\","
                   "image=\"registry.example.com/team/service-%zu:1.24.3\","
                   "name=\"project-service-%zu-1\","
                   "container_label_com_docker_compose_project=\"project\","
                   "container_label_com_docker_compose_service=\"service-%zu\"",
                   container, container * 7, container * 13, container * 31, container % 40,
                   container, container % 40);
    return labels;
}

/* `count` samples: one each of the container families from `*family` on, and `cpus` CPUs. */
static struct tly_sample_set *set_new(unsigned *family, size_t count, size_t cpus, int64_t salt)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    for (size_t left = count - cpus; left > 0 && *family < TLY_FAMILY_COUNT; (*family)++) {
        if (tly_families[*family].scope == TLY_PER_CONTAINER &&
            *family != TLY_F_container_cpu_usage_seconds_total) {
            tly_samples_add(&samples, (enum tly_family_id) * family, TLY_DIM_NONE,
                            (int64_t)*family * 7919 * salt);
            left--;
        }
    }
    for (size_t cpu = 0; cpu < cpus; cpu++) {
        char name[sizeof("cpu18446744073709551615")];
        (void)snprintf(name, sizeof(name), "cpu%02zu", cpu);
        tly_samples_add(&samples, TLY_F_container_cpu_usage_seconds_total,
                        tly_samples_dim1(&samples, "cpu", tly_text_of(name)),
                        (int64_t)cpu * 123456789 + salt);
    }
    struct tly_sample_set *set = tly_samples_take(&samples);
    tly_samples_done(&samples);
    if (set == NULL) {
        abort();
    }
    return set;
}

struct fixture {
    char *labels[CONTAINERS];
    struct tly_sample_set *sets[CONTAINERS][SETS_OF_ROW];
};

/* The one after `salt` scrapes: the first half of its samples has changed at each. */
static void fixture_fill(struct fixture *fixture, int64_t salt)
{
    for (size_t i = 0; i < CONTAINERS; i++) {
        int64_t own = (int64_t)i + 1;
        fixture->labels[i] = labels_new(i);
        unsigned family = 0;
        fixture->sets[i][0] = set_new(&family, SAMPLES / SETS_OF_ROW, CPUS, own + salt);
        fixture->sets[i][1] = set_new(&family, SAMPLES / SETS_OF_ROW, 0, own);
    }
}

static void fixture_done(struct fixture *fixture)
{
    for (size_t i = 0; i < CONTAINERS; i++) {
        free(fixture->labels[i]);
        tly_sample_set_unref(fixture->sets[i][0]);
        tly_sample_set_unref(fixture->sets[i][1]);
    }
}

/* What each way of rendering ends in. */
struct target {
    struct tly_buf buf;    /* whole, or compressed */
    struct tly_gzip *gzip; /* NULL: blocks are looked at and thrown away */
    struct tly_gzip_parts *parts;
    unsigned sum; /* of bytes looked at, so that no work is optimised away */
};

static int sink(void *arg, struct tly_text block)
{
    struct target *target = arg;
    target->sum += (unsigned char)block.at[block.len / 2];
    return target->gzip != NULL ? tly_gzip_add(target->gzip, block) : 0;
}

enum way { WAY_BLOCKS, WAY_WHOLE, WAY_GZIP, WAY_HALF, WAY_SAME, WAY_FLOOR, WAY_COUNT };

static const char *const way_names[WAY_COUNT] = {
    [WAY_BLOCKS] = "render in blocks",        [WAY_WHOLE] = "render into one buffer",
    [WAY_GZIP] = "render in blocks and gzip", [WAY_HALF] = "gzip of the half that changed",
    [WAY_SAME] = "gzip when nothing changed", [WAY_FLOOR] = "floor: copy as many bytes",
};

static void must(int rc)
{
    if (rc < 0) {
        abort();
    }
}

static void render_parts(struct tly_exposition *exposition, struct target *target,
                         struct tly_exposition_stats *ret_stats)
{
    struct tly_exposition_blocks *blocks = NULL;
    struct tly_text part = {NULL, 0};
    uint64_t key = 0;
    must(tly_gzip_parts_begin(target->parts, &target->buf));
    must(tly_exposition_blocks_new(exposition, TLY_EXPOSITION_TEXT_0_0_4, &blocks));
    do {
        must(tly_exposition_blocks_part(blocks, &part, &key));
        must(tly_gzip_parts_add(target->parts, key, part));
    } while (part.len > 0);
    must(tly_gzip_parts_finish(target->parts));
    *ret_stats = *tly_exposition_blocks_stats(blocks);
    tly_exposition_blocks_free(blocks);
}

/* As a scrape does it, from the rows to the text. */
static void render(const struct fixture *fixture, enum way way, struct target *target,
                   struct tly_exposition_stats *ret_stats)
{
    struct tly_exposition exposition;
    tly_exposition_init(&exposition);
    for (size_t i = 0; i < CONTAINERS; i++) {
        must(tly_exposition_add(&exposition, tly_text_of(fixture->labels[i]), fixture->sets[i],
                                SETS_OF_ROW));
    }
    if (way == WAY_GZIP) {
        must(tly_gzip_new(&target->buf, GZIP_LEVEL, &target->gzip));
    }
    if (way == WAY_HALF || way == WAY_SAME) {
        render_parts(&exposition, target, ret_stats);
    } else if (way == WAY_WHOLE) {
        must(tly_exposition_write(&exposition, TLY_EXPOSITION_TEXT_0_0_4, &target->buf, ret_stats));
    } else {
        must(
            tly_exposition_stream(&exposition, TLY_EXPOSITION_TEXT_0_0_4, sink, target, ret_stats));
    }
    if (way == WAY_GZIP) {
        must(tly_gzip_finish(target->gzip));
        tly_gzip_free(target->gzip);
    }
    tly_exposition_done(&exposition);
}

static int64_t measure(const struct fixture *fixture, enum way way, const struct tly_buf *text,
                       struct tly_gzip_parts *parts, struct tly_exposition_stats *ret_stats)
{
    struct target target = {.parts = parts};
    tly_buf_init(&target.buf, BUF_MAX);
    int64_t start = cpu_ns();
    if (way == WAY_FLOOR) {
        must(tly_buf_append(&target.buf, text->at, text->len));
    } else {
        render(fixture, way, &target, ret_stats);
    }
    int64_t duration_ns = cpu_ns() - start;
    if (target.buf.len > 0) {
        target.sum += (unsigned char)target.buf.at[target.buf.len / 2];
    }
    checksum += target.sum;
    tly_buf_done(&target.buf);
    return duration_ns;
}

int main(int argc, char **argv)
{
    /* Fixed, so that each buffer is mapped anew and its pages are paid for, as after a pause. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    static struct fixture fixture, later;
    fixture_fill(&fixture, 0);
    fixture_fill(&later, 1);
    struct tly_gzip_parts *parts = NULL;
    must(tly_gzip_parts_new(GZIP_LEVEL, REMEMBERED_MAX, &parts));
    struct tly_exposition_stats stats;
    struct target text = {0};
    tly_buf_init(&text.buf, BUF_MAX);
    render(&fixture, WAY_WHOLE, &text, &stats);

    static int64_t durations_ns[WAY_COUNT][RUNS];
    for (size_t run = 0; run < RUNS; run++) {
        for (enum way way = 0; way < WAY_COUNT; way++) {
            const struct fixture *shown = way == WAY_HALF && run % 2 == 0 ? &later : &fixture;
            if (way == WAY_SAME) {
                (void)measure(shown, way, &text.buf, parts, &stats);
            }
            durations_ns[way][run] = measure(shown, way, &text.buf, parts, &stats);
        }
    }
    printf("exposition: %zu samples in %zu families, %zu bytes (checksum %u)\n", stats.samples,
           stats.families, text.buf.len, checksum);
    double ms[WAY_COUNT];
    for (enum way way = 0; way < WAY_COUNT; way++) {
        ms[way] = median_ms(durations_ns[way]);
    }
    for (enum way way = 0; way < WAY_COUNT; way++) {
        printf("  %-30s %7.2f ms %6.0f ns a sample %6.2f times the floor\n", way_names[way],
               ms[way], ms[way] * 1e6 / (double)stats.samples, ms[way] / ms[WAY_FLOOR]);
    }
    tly_buf_done(&text.buf);
    tly_gzip_parts_free(parts);
    fixture_done(&fixture);
    fixture_done(&later);
    double most_ms = argc > 1 ? strtod(argv[1], NULL) : 0;
    if (most_ms > 0 && ms[WAY_BLOCKS] > most_ms) {
        (void)fprintf(stderr, "over the bound of %.1f ms\n", most_ms);
        return 1;
    }
    return 0;
}
