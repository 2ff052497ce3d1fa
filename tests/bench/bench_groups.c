/*
 * What the groups of rule files cost over given samples, for tests/bench/rules.py, which gives the
 * same to Prometheus.
 *
 * usage: bench_groups SAMPLES FROM_MS RULES…
 *
 * Takes the samples at their times, with a tick halfway between two of them, and evaluates what is
 * due at each tick, as the agent does. From FROM_MS on it counts; then it prints a line of JSON:
 * the seconds that were counted, CPU seconds of the evaluations, evaluations of rules, series,
 * bytes of history, rules that failed, alerts that are pending or fire.
 */
#include "agent/base/clock.h"
#include "agent/rules/engine.h"
#include "tests/promql/sample_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HISTORY_MAX ((size_t)256 << 20)
#define ALERTS_MAX  10000

struct bench {
    struct tly_engine *engine;
    int64_t from_ms, cpu_ns;
    uint64_t evaluations;
    size_t failed, active;
};

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

static void load_rules(struct tly_engine *engine, char *const *paths, int count)
{
    struct tly_rule_set *set = checked(tly_rule_set_new());
    for (int i = 0; i < count; i++) {
        struct tly_complaints complaints = {.count = 0};
        struct tly_error err = {.code = 0};
        struct tly_rule_file *file = NULL;
        if (tly_rule_file_load(paths[i], &complaints, &file, &err) < 0 ||
            tly_rule_set_add(set, file) < 0) {
            (void)fprintf(stderr, "bench_groups: %s is no file of rules\n", paths[i]);
            exit(2);
        }
    }
    if (tly_engine_load(engine, set) < 0) {
        abort();
    }
    tly_rule_set_unref(set);
}

/* Counts what was evaluated at that time. */
static void count(struct bench *bench, const struct tly_verdict *verdict, int64_t at_ms)
{
    bench->failed = 0;
    bench->active = verdict->pending + verdict->firing;
    for (size_t i = 0; i < verdict->count; i++) {
        const struct tly_verdict_group *group = &verdict->groups[i];
        for (size_t k = 0; k < group->count; k++) {
            bench->evaluations += at_ms > bench->from_ms && group->evaluated_ms == at_ms;
            bench->failed += group->rules[k].health == TLY_RULE_BAD;
        }
    }
}

static void evaluate(struct bench *bench, int64_t at_ms)
{
    struct tly_verdict *verdict = NULL;
    int64_t start = cpu_ns();
    if (tly_engine_evaluate(bench->engine, at_ms, false, &verdict) < 0) {
        abort();
    }
    if (at_ms > bench->from_ms) {
        bench->cpu_ns += cpu_ns() - start;
    }
    if (verdict) {
        count(bench, verdict, at_ms);
        tly_verdict_unref(verdict);
    }
    tly_engine_trim(bench->engine);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fprintf(stderr, "usage: bench_groups SAMPLES FROM_MS RULES...\n");
        return 2;
    }
    const struct tly_engine_spec spec = {.history_bytes_max = HISTORY_MAX,
                                         .alerts_max = ALERTS_MAX,
                                         .interval_ms = 60000,
                                         .resend_delay_ms = 60000};
    struct bench bench = {.engine = checked(tly_engine_new(&spec)),
                          .from_ms = strtoll(argv[2], NULL, 10)};
    load_rules(bench.engine, argv + 3, argc - 3);
    struct memory_storage *names = memory_storage_new(tly_engine_symbols(bench.engine));
    struct samples samples = {NULL, 0, 0};
    samples_load(&samples, names, argv[1]);
    samples_sort(&samples);
    struct tly_history *history = tly_engine_history(bench.engine);
    int64_t last_ms = 0;
    for (size_t i = 0; i < samples.count;) {
        int64_t at_ms = samples.at[i].t_ms;
        int64_t halfway_ms = last_ms + (at_ms - last_ms) / 2;
        if (last_ms > 0 && tly_history_tick(history, halfway_ms) == 0) {
            evaluate(&bench, halfway_ms);
        }
        if (tly_history_tick(history, at_ms) < 0) {
            abort();
        }
        i = samples_add(&samples, i, history);
        evaluate(&bench, at_ms);
        last_ms = at_ms;
    }
    struct tly_history_stats stats = tly_history_stats(history);
    (void)printf(
        "{\"seconds\": %.3f, \"cpu_seconds\": %.6f, \"evaluations\": %llu, \"series\": %zu, "
        "\"bytes\": %zu, \"failed\": %zu, \"active\": %zu}\n",
        (double)(last_ms - bench.from_ms) / 1000, (double)bench.cpu_ns / TLY_NS_PER_S,
        (unsigned long long)bench.evaluations, stats.series, stats.bytes, bench.failed,
        bench.active);
    samples_done(&samples);
    memory_storage_free(names);
    tly_engine_free(bench.engine);
    return 0;
}
