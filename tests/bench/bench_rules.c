/*
 * What a tick of rules costs: 50 rules as operators write them, over 1,000 containers. Beside it
 * the floor: reading once every sample that the rules' windows hold. Then the same on the history
 * that the agent keeps, compressed, with the memory that it takes. CPU time of this thread, median
 * of the runs. With arguments, fails above so many milliseconds and MB.
 */
#include "agent/base/clock.h"
#include "agent/rules/evaluator.h"
#include "agent/rules/history.h"
#include "tests/promql/memory_storage.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CONTAINERS  1000
#define RUNS        21
#define SYMBOLS_MAX ((size_t)64 << 20)
#define LABELS_MAX  768
#define NOW_MS      1700000000000
#define SECOND_MS   1000

/* Families with the distance of their samples and how many there are: raw ones as collected,
 * recorded ones once a minute as far back as the rules' longest range. `more` is a further label.
 */
static const struct family {
    const char *name, *more;
    int64_t step_ms;
    int count;
    double by; /* growth for each sample */
} families[] = {
    {"container_cpu_usage_seconds_total", ",cpu=\"total\"", 10 * SECOND_MS, 40, 3},
    {"container_network_transmit_bytes_total", ",interface=\"eth0\"", 10 * SECOND_MS, 40, 5000},
    {"container_network_receive_bytes_total", ",interface=\"eth0\"", 10 * SECOND_MS, 40, 9000},
    {"container_fs_writes_bytes_total", ",device=\"/dev/sda\"", 10 * SECOND_MS, 40, 4096},
    {"container:cpu_cores:rate5m", "", 60 * SECOND_MS, 420, 0.0001},
    {"container:tx_bytes:rate5m", "", 60 * SECOND_MS, 420, 1},
    {"container:rx_bytes:rate5m", "", 60 * SECOND_MS, 420, 1},
    {"container:write_bytes:rate5m", "", 60 * SECOND_MS, 420, 1},
    {"container_memory_working_set_bytes", "", 60 * SECOND_MS, 130, 4096},
    {"container_memory_rss", "", 60 * SECOND_MS, 360, 4096},
    {"container_spec_memory_limit_bytes", "", 10 * SECOND_MS, 2, 0},
    {"container_spec_cpu_quota", "", 10 * SECOND_MS, 2, 0},
    {"container_cpu_effective_cores", "", 10 * SECOND_MS, 2, 0},
    {"container_threads", "", 10 * SECOND_MS, 70, 0.01},
    {"container_threads_max", "", 10 * SECOND_MS, 2, 0},
    {"container_oom_events_total", "", 10 * SECOND_MS, 185, 0},
    {"container_restarts_total", "", 10 * SECOND_MS, 65, 0},
    {"container_state", ",state=\"running\"", 10 * SECOND_MS, 2, 0},
    {"container_desired_running", "", 10 * SECOND_MS, 2, 0},
    {"container_exits_total", ",exit_code=\"1\"", 10 * SECOND_MS, 65, 0},
    {"container_pids_limit_hits_total", "", 10 * SECOND_MS, 35, 0},
    {"container_processes_zombie", "", 10 * SECOND_MS, 2, 0},
    {"container_suspicious_processes", ",kind=\"miner\"", 10 * SECOND_MS, 2, 0},
    {"container_suspicious_connections", ",kind=\"miner_port\"", 10 * SECOND_MS, 35, 0},
    {"container_cpu_cfs_periods_total", "", 10 * SECOND_MS, 35, 100},
    {"container_cpu_cfs_throttled_periods_total", "", 10 * SECOND_MS, 35, 10},
    {"container_pressure_memory_stalled_seconds_total", "", 10 * SECOND_MS, 35, 0},
    {"container_pressure_io_stalled_seconds_total", "", 10 * SECOND_MS, 35, 0},
    {"container_fs_usage_bytes", "", 60 * SECOND_MS, 70, 100},
    {"container_start_time_seconds", "", 10 * SECOND_MS, 2, 0},
    {"container_log_bytes_total", "", 10 * SECOND_MS, 185, 50},
    {"container_log_dropped_total", "", 10 * SECOND_MS, 35, 0},
    {"container_health_state", "", 10 * SECOND_MS, 185, 0},
    {"container_health_failing_streak", "", 10 * SECOND_MS, 2, 0},
    {"container_exec_total", ",source=\"api\",privileged=\"false\"", 10 * SECOND_MS, 35, 0},
    {"container_published_ports", "", 10 * SECOND_MS, 2, 0},
    {"container_remote_endpoints", "", 60 * SECOND_MS, 400, 0.01},
    {"container_foreign_processes", "", 10 * SECOND_MS, 2, 0},
    {"container_last_seen", "", 10 * SECOND_MS, 70, 10},
};

#define I   "(id, name, image)"
#define CPU "container:cpu_cores:rate5m"
#define TX  "container:tx_bytes:rate5m"
#define RX  "container:rx_bytes:rate5m"
#define WR  "container:write_bytes:rate5m"
#define MEM "container_memory_working_set_bytes"
#define LIM "container_spec_memory_limit_bytes"
static const char *const rules[] = {
    "sum by " I " (rate(container_cpu_usage_seconds_total[5m]))",
    "sum by " I " (rate(container_network_transmit_bytes_total[5m]))",
    "sum by " I " (rate(container_network_receive_bytes_total[5m]))",
    "sum by " I " (rate(container_fs_writes_bytes_total[5m]))",
    "avg_over_time(" CPU "[30m]) / on" I " container_cpu_effective_cores > 0.8 and on" I
    " stddev_over_time(" CPU "[30m]) / avg_over_time(" CPU "[30m]) < 0.05 and on" I " " TX " + " RX
    " < 65536",
    "max by " I " (container_suspicious_processes{kind=\"miner\"}) > 0",
    "max_over_time(container_suspicious_connections{kind=\"miner_port\"}[5m]) > 0 and on" I " " CPU
    " / on" I " container_cpu_effective_cores > 0.5",
    "increase(container_pids_limit_hits_total[5m]) > 0",
    "container_threads / (container_threads_max > 0) > 0.9",
    "delta(container_threads[2m]) > 300 and container_threads > 4 * (container_threads offset 10m)",
    "container_processes_zombie > 50",
    "predict_linear(" MEM "[2h], 4 * 3600) > (" LIM " > 0) and " MEM " > 0.5 * " LIM
    " and time() - container_start_time_seconds > 7200",
    "predict_linear(container_memory_rss[6h], 86400) > 1e12 unless " LIM " > 0",
    MEM " / (" LIM " > 0) > 0.9",
    MEM " / (" LIM " > 0) > 0.98",
    "increase(container_oom_events_total[5m]) > 0",
    "increase(container_oom_events_total[30m]) >= 3",
    "rate(container_pressure_memory_stalled_seconds_total[5m]) > 0.1",
    "increase(container_restarts_total[10m]) >= 3",
    "container_state{state=\"restarting\"} == 1",
    "increase(container_exits_total{exit_code!~\"0|143\"}[10m]) > 0 and on" I
    " container_desired_running == 1",
    "increase(container_cpu_cfs_throttled_periods_total[5m]) / "
    "(increase(container_cpu_cfs_periods_total[5m]) > 100) > 0.5",
    CPU " / on" I " container_cpu_effective_cores > 0.9 unless on" I
        " container_spec_cpu_quota > 0",
    WR " > 100e6 and " WR " > 5 * avg_over_time(" WR "[6h] offset 30m)",
    "rate(container_pressure_io_stalled_seconds_total[5m]) > 0.4",
    "container_fs_usage_bytes - (container_fs_usage_bytes offset 1h) > 5e9",
    TX " > 1e6 and " TX " > 5 * avg_over_time(" TX "[6h] offset 1h) and " TX " > 10 * " RX,
    "sum by " I " (increase(container_network_transmit_bytes_total[5m])) > 10e9 and on" I
    " container_published_ports == 0",
    "container_remote_endpoints > 200 and container_remote_endpoints > "
    "4 * avg_over_time(container_remote_endpoints[6h] offset 15m)",
    "sum by " I " (rate(container_log_bytes_total[5m])) > 1048576",
    "rate(container_log_dropped_total[5m]) > 0",
    "increase(container_log_bytes_total[30m]) == 0",
    "changes(container_health_state[30m]) >= 4",
    "container_health_failing_streak >= 3",
    "sum by (id, name, image, tty) (increase(container_exec_total{source=\"api\"}[5m])) > 0",
    "increase(container_exec_total{source=\"api\",privileged=\"true\"}[5m]) > 0",
    "container_foreign_processes > 0",
    "absent(container_last_seen)",
    "count(container_last_seen{name!=\"\"}) < 0.5 * count(container_last_seen{name!=\"\"} offset "
    "10m)",
    "topk(10, " CPU ")",
    "quantile by (image) (0.9, " CPU ")",
    "sum without (id, name) (" MEM ")",
    "label_replace(" MEM ", \"short\", \"$1\", \"image\", \".*/([^:]*):.*\") > 1e12",
    "avg by (image) (container_threads) * on(image) group_right() container_threads > 1e9",
    "irate(container_network_receive_bytes_total[1m]) > 1e9",
    "max_over_time(container_threads[10m]) - min_over_time(container_threads[10m]) > 1000",
    "deriv(" MEM "[30m]) > 1e6",
    "clamp_max(container_threads / (container_threads_max > 0), 1) == 1",
    "container_threads{name=~\"project-service-1.*\"} > 1e6",
    "count by (image) (container_state{state=\"running\"}) > 100",
};
#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

static void *checked(void *at)
{
    if (!at) {
        abort();
    }
    return at;
}

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
    size_t middle = RUNS / 2;
    return (double)durations_ns[middle] / (double)TLY_NS_PER_MS;
}

static struct tly_labels labels_of(struct memory_storage *storage, const struct family *family,
                                   size_t c)
{
    char selector[LABELS_MAX];
    (void)snprintf(selector, sizeof(selector),
                   "%s{id=\"/system.slice/docker-%016zx%016zx%016zx%016zx.scope\","
                   "image=\"registry.example.com/team/service-%zu:1.24.3\","
                   "name=\"project-service-%zu-1\","
                   "container_label_com_docker_compose_project=\"project\","
                   "container_label_com_docker_compose_service=\"service-%zu\"%s}",
                   family->name, c, c, c, c, c % 100, c, c % 100, family->more);
    return memory_storage_labels(storage, selector);
}

static void fill(struct memory_storage *storage)
{
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        const struct family *family = &families[f];
        for (size_t c = 0; c < CONTAINERS; c++) {
            struct tly_labels labels = labels_of(storage, family, c);
            for (int i = 0; i < family->count; i++) {
                memory_storage_add(storage, labels,
                                   NOW_MS - (family->count - i) * family->step_ms + (int64_t)c,
                                   1000 + (double)c + family->by * i);
            }
        }
    }
}

/* Adds up what every series holds; returned so that it is not left out. */
static double read_all(const struct tly_storage *storage, const struct tly_expr *all,
                       struct tly_series_list *list)
{
    double sum = 0;
    list->count = 0;
    if (storage->select(storage->arg, all->root->selector.matchers,
                        all->root->selector.matcher_count, 0, NOW_MS, list) < 0) {
        abort();
    }
    for (size_t i = 0; i < list->count; i++) {
        struct tly_points scratch = {NULL, 0, 0};
        struct tly_window window;
        if (storage->window(storage->arg, &list->at[i], 0, NOW_MS, &scratch, &window) < 0) {
            abort();
        }
        for (size_t k = 0; k < window.count; k++) {
            sum += window.at[k].value;
        }
    }
    return sum;
}

#define FAMILIES (sizeof(families) / sizeof(families[0]))
#define TICK_MS  (10 * SECOND_MS)
#define TICKS    2600 /* a little more than the longest look back */

/* Whole numbers as the kernel has them, recorded rates as doubles, at the distances of the family.
 */
static void tick_add(struct tly_history *history, struct tly_history_series *const *series,
                     const struct family *family, size_t c, int tick)
{
    bool recorded = strchr(family->name, ':') != NULL;
    if ((int64_t)tick * TICK_MS % family->step_ms != 0) {
        return;
    }
    double noise = (double)((c * 7919 + (size_t)tick * 104729) % 1000) / 1000;
    double value = 1000 + (double)c + family->by * (tick + noise);
    bool added = recorded ? tly_history_add_value(history, series[c], value)
                          : tly_history_add(history, series[c], (int64_t)(value * 1e6), -6);
    if (!added) {
        abort();
    }
}

/* Hours of ticks, of all families alike: a rule's need decides how much of them is kept. */
static void fill_history(struct tly_history *history, struct memory_storage *names)
{
    struct tly_history_series **series = checked(
        calloc(FAMILIES * CONTAINERS, sizeof(struct tly_history_series *)));
    for (size_t i = 0; i < FAMILIES * CONTAINERS; i++) {
        struct tly_labels labels = labels_of(names, &families[i / CONTAINERS], i % CONTAINERS);
        if (tly_history_series(history, labels, &series[i]) < 0) {
            abort();
        }
        if (series[i]) {
            tly_history_hold(series[i]);
        }
    }
    for (int tick = 0; tick < TICKS; tick++) {
        if (tly_history_tick(history, NOW_MS - (int64_t)(TICKS - 1 - tick) * TICK_MS) < 0) {
            abort();
        }
        for (size_t i = 0; i < FAMILIES * CONTAINERS; i++) {
            if (series[i]) {
                tick_add(history, &series[i / CONTAINERS * CONTAINERS], &families[i / CONTAINERS],
                         i % CONTAINERS, tick);
            }
        }
    }
    for (size_t i = 0; i < FAMILIES * CONTAINERS; i++) {
        if (series[i]) {
            tly_history_release(series[i]);
        }
    }
    free(series);
}

static struct tly_expr *parse(const char *text)
{
    struct tly_expr *expr = NULL;
    struct tly_error err = {.code = 0};
    if (tly_expr_parse(tly_text_of(text), &expr, NULL, &err) < 0) {
        (void)fprintf(stderr, "%s: %s\n", text, err.text);
        abort();
    }
    return expr;
}

/* One tick: every rule once. */
static void tick(struct tly_evaluator *evaluator, struct tly_expr *const *exprs,
                 const struct tly_storage *storage, int64_t *each_ns)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        struct tly_value value;
        struct tly_error err = {.code = 0};
        int64_t start = cpu_ns();
        if (tly_evaluate(evaluator, exprs[i], storage, NOW_MS, &value, &err) < 0) {
            (void)fprintf(stderr, "%s: %s\n", rules[i], err.text);
            abort();
        }
        each_ns[i] += cpu_ns() - start;
    }
}

/* The same rules on the history. */
static bool run_history(struct tly_expr *const *exprs, double ms_max, double mb_max, bool verbose)
{
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct tly_symbols *symbols = checked(tly_symbols_new(SYMBOLS_MAX));
    struct tly_history *history = checked(tly_history_new(symbols, SIZE_MAX));
    tly_history_needs_begin(history);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (tly_history_needs_add(history, exprs[i], 0) < 0) {
            abort();
        }
    }
    tly_history_needs_end(history);
    struct memory_storage *names = memory_storage_new(symbols);
    fill_history(history, names);
    memory_storage_free(names);
    tly_symbols_trim(symbols);
    size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    struct tly_history_stats stats = tly_history_stats(history);
    struct tly_evaluator *evaluator = checked(
        tly_evaluator_new(symbols, (struct tly_evaluator_bounds){0, 0, 0}));
    int64_t durations_ns[RUNS];
    int64_t each_ns[RULE_COUNT] = {0};
    for (int run = 0; run < RUNS; run++) {
        int64_t start = cpu_ns();
        tick(evaluator, exprs, tly_history_storage(history), each_ns);
        tly_symbols_trim(symbols);
        durations_ns[run] = cpu_ns() - start;
    }
    double ms = median_ms(durations_ns);
    double mb = (double)bytes / 1e6;
    for (size_t i = 0; verbose && i < RULE_COUNT; i++) {
        (void)printf("%8.3f ms  %s\n", (double)each_ns[i] / RUNS / TLY_NS_PER_MS, rules[i]);
    }
    (void)printf(
        "on the agent's history: %.1f ms of CPU; %zu series in %.1f MB (%.1f MB by its own "
        "count)\n",
        ms, stats.series, mb, (double)stats.bytes / 1e6);
    tly_evaluator_free(evaluator);
    tly_history_free(history);
    tly_symbols_free(symbols);
    return ms <= ms_max && mb <= mb_max;
}

int main(int argc, char **argv)
{
    struct tly_symbols *symbols = checked(tly_symbols_new(SYMBOLS_MAX));
    struct memory_storage *memory = memory_storage_new(symbols);
    struct tly_evaluator *evaluator = checked(
        tly_evaluator_new(symbols, (struct tly_evaluator_bounds){0, 0, 0}));
    struct tly_expr *exprs[RULE_COUNT];
    for (size_t i = 0; i < RULE_COUNT; i++) {
        exprs[i] = parse(rules[i]);
    }
    struct tly_expr *all = parse("{name!=\"\"}");
    fill(memory);
    const struct tly_storage *storage = memory_storage_view(memory);
    int64_t durations_ns[RUNS];
    int64_t floor_ns[RUNS];
    int64_t each_ns[RULE_COUNT] = {0};
    struct tly_series_list list = {.max = SIZE_MAX};
    double sum = 0;
    for (int run = 0; run < RUNS; run++) {
        int64_t start = cpu_ns();
        tick(evaluator, exprs, storage, each_ns);
        tly_symbols_trim(symbols);
        durations_ns[run] = cpu_ns() - start;
        start = cpu_ns();
        sum += read_all(storage, all, &list);
        floor_ns[run] = cpu_ns() - start;
    }
    double ms = median_ms(durations_ns);
    size_t slowest = 0;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        slowest = each_ns[i] > each_ns[slowest] ? i : slowest;
        if (argc > 3) {
            (void)printf("%8.3f ms  %s\n", (double)each_ns[i] / RUNS / TLY_NS_PER_MS, rules[i]);
        }
    }
    (void)printf("%zu rules over %d containers: %.1f ms of CPU; reading all samples once: %.1f ms "
                 "(sum %g); slowest: %.2f ms for %s\n",
                 RULE_COUNT, CONTAINERS, ms, median_ms(floor_ns), sum,
                 (double)each_ns[slowest] / RUNS / TLY_NS_PER_MS, rules[slowest]);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        tly_expr_free(exprs[i]);
    }
    tly_expr_free(all);
    free(list.at);
    tly_evaluator_free(evaluator);
    memory_storage_free(memory);
    tly_symbols_free(symbols);
    double ms_max = argc > 1 ? strtod(argv[1], NULL) : INFINITY;
    double mb_max = argc > 2 ? strtod(argv[2], NULL) : INFINITY;
    struct tly_expr *again[RULE_COUNT];
    for (size_t i = 0; i < RULE_COUNT; i++) {
        again[i] = parse(rules[i]);
    }
    bool good = run_history(again, ms_max, mb_max, argc > 3);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        tly_expr_free(again[i]);
    }
    return good && ms <= ms_max ? 0 : 1;
}
