/*
 * What reading logs costs: one container's log of mixed lines, from the file to packed chunks that
 * a sink acknowledges at once; for each format. The bound is on json-file. Beside it the floor: a
 * program that does nothing but read the same file and look for the newlines. CPU time of this
 * thread and, where the machine lets us count them, instructions; the best of the runs. With an
 * argument, fails above that many times the floor's CPU time.
 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/codec/docker_line.h"
#include "agent/config/settings.h"
#include "agent/registry.h"
#include "collectors/logs/collector.h"
#include "tests/unit/local_entry.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINES       200000
#define RUNS        5
#define FLOOR_BLOCK (128 << 10)
#define ID          "00000000000000000000000000000000000000000000000000000000000000aa"

/* ---- measuring ---- */

struct cost {
    int64_t cpu_ns;
    int64_t wall_ns;
    int64_t instructions; /* 0: they can't be counted here */
};

static int counter_fd = -1;

static void counter_open(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_HW_INSTRUCTIONS,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1};
    counter_fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static struct cost cost_now(void)
{
    struct timespec at;
    struct cost cost = {.wall_ns = tly_clock_monotonic_ns()};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at); /* of our own thread: can't fail */
    cost.cpu_ns = at.tv_sec * TLY_NS_PER_S + at.tv_nsec;
    if (counter_fd >= 0 && read(counter_fd, &cost.instructions, sizeof(cost.instructions)) <
                               (ssize_t)sizeof(int64_t)) {
        cost.instructions = 0;
    }
    return cost;
}

static struct cost cost_since(struct cost then)
{
    struct cost now = cost_now();
    return (struct cost){now.cpu_ns - then.cpu_ns, now.wall_ns - then.wall_ns,
                         now.instructions - then.instructions};
}

static void keep_best(struct cost *best, struct cost cost)
{
    if (best->cpu_ns == 0 || cost.cpu_ns < best->cpu_ns) {
        *best = cost;
    }
}

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* ---- the log ---- */

/* As JSON has them, without what stands around. */
static const char *const texts[] = {
    ("192.168.17.4 - - [23/Aug/2026:00:28:30 +0000] \\\"GET /api/v1/items?page=3\\u0026sort=name "
     "HTTP/1.1\\\" 200 5316 \\\"https://example.com/shop\\\" \\\"Mozilla/5.0 (X11; x86_64)\\\""),
    ("{\\\"level\\\":\\\"info\\\",\\\"ts\\\":1692750510.123,\\\"caller\\\":\\\"handler.go:88\\\","
     "\\\"msg\\\":\\\"request served\\\",\\\"status\\\":200,\\\"path\\\":\\\"/checkout\\\"}"),
    ("Gr\xc3\xbc\xc3\x9f"
     "e aus K\xc3\xb6ln \xe2\x80\x94 Bestellung abgeschlossen \xe2\x9c\x93 \xe6\x97\xa5"),
    "Traceback (most recent call last):",
    "  File \\\"/usr/lib/python3.11/site-packages/app/worker.py\\\", line 217, in run\\u0009raise",
    "ok",
    "2026-08-23T00:28:30.123Z INFO  [main] com.example.shop.OrderService - order accepted",
    "x",
};

static size_t put_line(char *to, size_t cap, unsigned n)
{
    const char *text = texts[n % (sizeof(texts) / sizeof(texts[0]))];
    char wide[601];
    if (text[0] == 'x') {
        memset(wide, 'a' + (int)(n % 26), sizeof(wide) - 1);
        wide[sizeof(wide) - 1] = '\0';
        text = wide;
    }
    int len = snprintf(to, cap,
                       "{\"log\":\"%s\\n\",\"stream\":\"%s\",\"time\":\"2026-08-23T00:%02u:%02u."
                       "%09uZ\"}\n",
                       text, n % 10 == 3 ? "stderr" : "stdout", n / 60000 % 60, n / 1000 % 60,
                       n % 1000 * 1000000 + 123);
    return (size_t)len;
}

enum format { JSON_FILE, LOCAL, PODS, FORMATS };

static const char *const format_names[FORMATS] = {"json-file", "local", "pods"};

/* The same line as another writer has it. */
static size_t put_as(enum format format, char *to, size_t cap, unsigned n)
{
    static struct tly_line_clock clock;
    char json[2048];
    char text[2048];
    struct tly_docker_line line;
    if (format == JSON_FILE) {
        return put_line(to, cap, n);
    }
    size_t len = put_line(json, sizeof(json), n) - 1;
    if (tly_docker_line_parse((struct tly_text){json, len}, &clock, text, &line) < 0) {
        die(json);
    }
    if (format == LOCAL) {
        const struct tly_local_entry entry = {
            .source = line.stream, .time_ns = line.time_ns, .line = {text, line.log_len}};
        return local_entry_write(to, &entry);
    }
    char time[TLY_TIME_TEXT_MAX];
    tly_time_format(line.time_ns, time);
    return (size_t)snprintf(to, cap, "%s %.6s F %.*s\n", time, line.stream.at, (int)line.log_len,
                            text);
}

static const char *const format_dirs[FORMATS] = {"containers/" ID, "containers/" ID "/local-logs",
                                                 "pods/shop_web_uid/app"};
static const char *const format_files[FORMATS] = {ID "-json.log", "container.log", "0.log"};

struct fixture {
    char dir[64];
    char log[320];
    uint64_t bytes;
};

static void fixture_make(struct fixture *fixture, enum format format)
{
    char path[192];
    char line[2048 + LOCAL_ENTRY_EXTRA];
    *fixture = (struct fixture){.bytes = 0};
    (void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/tally-bench-XXXXXX");
    if (!mkdtemp(fixture->dir)) {
        die("mkdtemp");
    }
    (void)snprintf(path, sizeof(path), "%s/%s", fixture->dir, format_dirs[format]);
    if (tly_file_make_dirs(path, 0700) < 0) {
        die(path);
    }
    (void)snprintf(fixture->log, sizeof(fixture->log), "%s/%s", path, format_files[format]);
    FILE *file = fopen(fixture->log, "we");
    if (!file) {
        die(fixture->log);
    }
    for (unsigned n = 0; n < LINES; n++) {
        size_t len = put_as(format, line, sizeof(line), n);
        if (fwrite(line, 1, len, file) != len) {
            die("fwrite");
        }
        fixture->bytes += len;
    }
    if (fclose(file) != 0) {
        die("fclose");
    }
}

static void fixture_remove(const struct fixture *fixture)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf -- %s", fixture->dir);
    if (system(command) != 0) {
        perror(command);
    }
}

/* ---- the floor ---- */

static struct cost run_floor(const struct fixture *fixture)
{
    static char block[FLOOR_BLOCK];
    struct cost then = cost_now();
    unsigned lines = 0;
    ssize_t count;
    int fd = open(fixture->log, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        die(fixture->log);
    }
    while ((count = read(fd, block, sizeof(block))) > 0) {
        const char *end = block + count;
        for (const char *at = block; (at = memchr(at, '\n', (size_t)(end - at))); at++) {
            lines++;
        }
    }
    close(fd);
    if (lines != LINES) {
        (void)fprintf(stderr, "the floor saw %u lines\n", lines);
        exit(EXIT_FAILURE);
    }
    return cost_since(then);
}

/* ---- the collector ---- */

struct sink {
    struct tly_loop *loop;
    struct tly_destination *destination;
    uint64_t records, bytes;
};

static void sink_ready(void *arg)
{
    struct sink *sink = arg;
    struct tly_chunk *chunk;
    while ((chunk = tly_destination_take(sink->destination))) {
        sink->records += chunk->records;
        sink->bytes += chunk->payload.len;
        tly_destination_ack(sink->destination, chunk);
    }
    if (sink->records >= LINES) {
        tly_loop_stop(sink->loop);
    }
}

static void ignore(void *arg)
{
    (void)arg;
}

static void check(int rc, const struct tly_error *err)
{
    if (rc < 0) {
        (void)fprintf(stderr, "%s: %s\n", tly_error_name(rc), err->text);
        exit(EXIT_FAILURE);
    }
}

static struct tly_config *parse_config(const struct fixture *fixture)
{
    static const struct tly_section *sections[4] = {&tly_settings_section, &tly_docker_section,
                                                    &tly_collect_section};
    struct tly_complaints complaints;
    struct tly_config *config;
    char text[256];
    sections[3] = tly_collector_logs.section;
    int len = snprintf(text, sizeof(text),
                       "docker: {data_root: %s}\nlogs: {from: beginning, pods_root: %s/pods}\n",
                       fixture->dir, fixture->dir);
    int rc = tly_config_parse(sections, 4, text, (size_t)len, &complaints, &config);
    if (rc < 0) {
        (void)fprintf(stderr, "%s\n", complaints.at[0].text);
        exit(EXIT_FAILURE);
    }
    return config;
}

static struct cost run_collector(const struct fixture *fixture, uint64_t *ret_bytes)
{
    const struct tly_inventory_limits limits = {
        .containers_max = 100, .label_value_bytes_max = 1024, .labels_max = 32};
    const struct tly_destination_limits destination_limits = {.chunk_age_ms = 1};
    struct tly_error err = {0};
    struct tly_config *config = parse_config(fixture);
    struct tly_context context = {.config = config};
    struct sink sink = {0};
    void *collector;
    check(tly_loop_new(&context.loop), &err);
    check(tly_watcher_new(context.loop, &context.watcher), &err);
    check(tly_inventory_new(&limits, NULL, 0, &context.inventory), &err);
    check(tly_delivery_new(context.loop, -1, &context.delivery, &err), &err);
    check(tly_delivery_add(context.delivery, "sink", &destination_limits, &sink.destination), &err);
    context.docker = tly_config_section(context.config, &tly_docker_section);
    context.collect = tly_config_section(context.config, &tly_collect_section);
    sink.loop = context.loop;
    tly_destination_attach(sink.destination, sink_ready, &sink);
    struct cost then = cost_now();
    check(tly_collector_logs.start(&context, &collector, &err), &err);
    tly_loop_run(context.loop);
    struct cost cost = cost_since(then);
    tly_collector_logs.stop(collector, ignore, NULL);
    tly_delivery_free(context.delivery);
    tly_inventory_free(context.inventory);
    tly_watcher_free(context.watcher);
    tly_loop_free(context.loop);
    tly_config_free(config);
    *ret_bytes = sink.bytes;
    return cost;
}

/* ---- the figures ---- */

static void print(const char *what, struct cost cost)
{
    double cpu_s = (double)cost.cpu_ns / (double)TLY_NS_PER_S;
    printf("%-10s %8.4f CPU-s per million lines, %6.0f ns and", what, cpu_s * 1e6 / LINES,
           (double)cost.cpu_ns / LINES);
    if (cost.instructions > 0) {
        printf(" %6.0f instructions per line", (double)cost.instructions / LINES);
    } else {
        printf(" (instructions can't be counted here)");
    }
    printf(", %5.2f million lines/s\n",
           LINES / 1e6 / ((double)cost.wall_ns / (double)TLY_NS_PER_S));
}

static double measure(enum format format)
{
    struct fixture fixture;
    struct cost floor = {0};
    struct cost collector = {0};
    uint64_t out = 0;
    fixture_make(&fixture, format);
    for (int run = 0; run < RUNS; run++) {
        if (format == JSON_FILE) {
            keep_best(&floor, run_floor(&fixture));
        }
        keep_best(&collector, run_collector(&fixture, &out));
    }
    fixture_remove(&fixture);
    printf("%s: %d lines, %.1f MB in, %.1f MB out\n", format_names[format], LINES,
           (double)fixture.bytes / 1e6, (double)out / 1e6);
    if (format == JSON_FILE) {
        print("floor", floor);
    }
    print("collector", collector);
    return format == JSON_FILE ? (double)collector.cpu_ns / (double)floor.cpu_ns : 0;
}

int main(int argc, char **argv)
{
    counter_open();
    double ratio = measure(JSON_FILE);
    printf("ratio      %8.2f\n", ratio);
    (void)measure(LOCAL);
    (void)measure(PODS);
    return argc > 1 && ratio > strtod(argv[1], NULL) ? EXIT_FAILURE : EXIT_SUCCESS;
}
