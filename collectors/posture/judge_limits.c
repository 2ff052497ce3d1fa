/*
 * Checks of a container: limits, restarts, health and logs.
 */
#include "collectors/posture/judges.h"

#include <string.h>

#define RESTARTS_MAX        5
#define PIDS_SANE_MAX       32768
#define OPEN_FILES_SANE_MAX 1048576
#define OOM_SCORE_ADJ_MIN   (-500)
#define CPU_SHARES_DEFAULT  1024
#define INTERVAL_MIN_NS     (INT64_C(1000000000))
#define INTERVAL_MAX_NS     (INT64_C(300) * 1000000000)
#define INTERVAL_DEFAULT_NS (INT64_C(30) * 1000000000)
#define RETRIES_MAX         10

static int64_t number_at(const json_t *root, const char *path)
{
    int64_t value = 0;
    return tly_json_int_at(root, path, &value) ? value : 0;
}

static int64_t container_number(const struct tly_posture_facts *facts, const char *path)
{
    return number_at(facts->container, path);
}

/* ---- memory ---- */

void tly_judge_memory_limit(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    int64_t asked = container_number(facts, "HostConfig.Memory");
    int64_t live = tly_facts_live(facts) ? facts->process->memory_max : -1;
    int64_t total = number_at(facts->info, "MemTotal");
    int64_t limit = live > 0 ? live : asked;
    if (live == INT64_MAX || (live < 0 && asked <= 0)) {
        tly_verdict_fail(verdict, live == INT64_MAX && asked > 0
                                      ? "the kernel enforces no limit of memory, though one is set"
                                      : "no limit of memory");
    } else if (total > 0 && limit >= total) {
        tly_verdict_fail(verdict, "its limit is all the memory of the host");
    } else {
        tly_verdict_pass(verdict, "%lld MiB", (long long)(limit >> 20));
    }
}

void tly_judge_memory_reservation(const struct tly_posture_facts *facts,
                                  struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    int64_t reserved = container_number(facts, "HostConfig.MemoryReservation");
    int64_t limit = container_number(facts, "HostConfig.Memory");
    if (reserved <= 0) {
        tly_verdict_fail(verdict, "no memory is reserved");
    } else if (limit > 0 && reserved > limit) {
        tly_verdict_fail(verdict, "more is reserved than the limit allows");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_swap_limit(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    int64_t swap = container_number(facts, "HostConfig.MemorySwap");
    if (swap == -1) {
        tly_verdict_fail(verdict, "swap without a limit (--memory-swap -1)");
    } else if (container_number(facts, "HostConfig.Memory") <= 0) {
        tly_verdict_fail(verdict, "no limit of memory, and so none of swap");
    } else {
        tly_verdict_ok(verdict); /* the engine's default is twice the memory */
    }
}

void tly_judge_oom_kill_disable(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    int64_t adjust = container_number(facts, "HostConfig.OomScoreAdj");
    if (tly_json_truth_at(facts->container, "HostConfig.OomKillDisable") == 1) {
        if (container_number(facts, "HostConfig.Memory") > 0) {
            tly_verdict_fail(verdict, "the kernel may not kill it (--oom-kill-disable)");
        } else {
            tly_verdict_fail_as(verdict, TLY_SEVERITY_HIGH,
                                "the kernel may not kill it, and its memory has no limit");
        }
    } else if (adjust < OOM_SCORE_ADJ_MIN) {
        tly_verdict_fail(verdict, "others are killed before it (--oom-score-adj %lld)",
                         (long long)adjust);
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- CPU ---- */

void tly_judge_cpu_limit(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text cpus = tly_json_text_at(facts->container, "HostConfig.CpusetCpus");
    if (container_number(facts, "HostConfig.NanoCpus") > 0) {
        tly_verdict_pass(verdict, "limited by --cpus");
    } else if (container_number(facts, "HostConfig.CpuQuota") > 0) {
        tly_verdict_pass(verdict, "limited by --cpu-quota");
    } else if (cpus.len > 0) {
        tly_verdict_pass(verdict, "bound to CPUs %.*s", TLY_TEXT_ARGS(cpus));
    } else {
        tly_verdict_fail(verdict, "no limit of CPU time");
    }
}

void tly_judge_cpu_shares(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    int64_t shares = container_number(facts, "HostConfig.CpuShares");
    if (shares == 0 || shares == CPU_SHARES_DEFAULT) {
        tly_verdict_fail(verdict, "the default share of the CPU");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- processes and descriptors ---- */

void tly_judge_pids_limit(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    int64_t asked = container_number(facts, "HostConfig.PidsLimit");
    int64_t live = tly_facts_live(facts) ? facts->process->pids_max : -1;
    int64_t limit = live > 0 ? live : asked;
    if (live == INT64_MAX || (live < 0 && asked <= 0)) {
        tly_verdict_fail(verdict, "no limit of processes");
    } else if (limit > PIDS_SANE_MAX) {
        tly_verdict_fail(verdict, "a limit of %lld processes stops no fork bomb in time",
                         (long long)limit);
    } else {
        tly_verdict_pass(verdict, "at most %lld processes", (long long)limit);
    }
}

void tly_judge_ulimits(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    int64_t files = tly_facts_live(facts) ? facts->process->open_files_max : -1;
    const json_t *ulimits = tly_json_at(facts->container, "HostConfig.Ulimits");
    for (size_t i = 0; files < 0 && i < tly_json_count(ulimits); i++) {
        const json_t *ulimit = tly_json_item(ulimits, i);
        if (tly_text_equal(tly_json_text_at(ulimit, "Name"), TLY_TEXT("nofile"))) {
            files = number_at(ulimit, "Soft");
        }
    }
    if (files < 0) {
        tly_verdict_unknown(verdict, "it does not run, and inherits the engine's limits");
    } else if (files > OPEN_FILES_SANE_MAX) {
        tly_verdict_fail(verdict, files == INT64_MAX ? "open files without a limit"
                                                     : "more than a million open files allowed");
    } else {
        tly_verdict_pass(verdict, "at most %lld open files", (long long)files);
    }
}

void tly_judge_restart_policy(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text name = tly_json_text_at(facts->container, "HostConfig.RestartPolicy.Name");
    int64_t count = container_number(facts, "HostConfig.RestartPolicy.MaximumRetryCount");
    bool endless = tly_text_equal(name, TLY_TEXT("always")) ||
                   tly_text_equal(name, TLY_TEXT("unless-stopped"));
    if (endless && facts->settings->restart_always) {
        tly_verdict_pass(verdict, "%.*s, which the configuration allows", TLY_TEXT_ARGS(name));
    } else if (endless) {
        tly_verdict_fail(verdict, "restarted without an end (%.*s)", TLY_TEXT_ARGS(name));
    } else if (!tly_text_equal(name, TLY_TEXT("on-failure"))) {
        tly_verdict_fail(verdict, "not restarted after a failure");
    } else if (count < 1 || count > RESTARTS_MAX) {
        tly_verdict_fail(verdict, count == 0 ? "restarted after failures without an end"
                                             : "restarted after failures more than five times");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_cgroup_parent(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text parent = tly_json_text_at(facts->container, "HostConfig.CgroupParent");
    if (parent.len == 0 || tly_text_globs(&facts->settings->cgroup_parents, parent)) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "its cgroup stands below %.*s", TLY_TEXT_ARGS(parent));
    }
}

/* ---- health ---- */

static const json_t *health_test(const struct tly_posture_facts *facts)
{
    return tly_json_at(facts->container, "Config.Healthcheck.Test");
}

static bool health_disabled(const struct tly_posture_facts *facts)
{
    return tly_text_equal(tly_json_string(tly_json_item(health_test(facts), 0)), TLY_TEXT("NONE"));
}

static bool has_healthcheck(const struct tly_posture_facts *facts)
{
    return (tly_json_count(health_test(facts)) > 0 && !health_disabled(facts)) ||
           tly_json_at(facts->container, "State.Health");
}

void tly_judge_healthcheck_present(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (has_healthcheck(facts)) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "no health check");
    }
}

void tly_judge_healthcheck_not_disabled(const struct tly_posture_facts *facts,
                                        struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (health_disabled(facts)) {
        tly_verdict_fail(verdict, "the health check is switched off (NONE)");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_healthcheck_sane(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (!has_healthcheck(facts)) {
        tly_verdict_na(verdict, "no health check");
        return;
    }
    /* 0 inherits the defaults: 30 s, 30 s, 3. */
    int64_t interval_ns = container_number(facts, "Config.Healthcheck.Interval");
    int64_t timeout_ns = container_number(facts, "Config.Healthcheck.Timeout");
    int64_t retries = container_number(facts, "Config.Healthcheck.Retries");
    bool interval_given = interval_ns != 0;
    bool timeout_given = timeout_ns != 0;
    interval_ns = interval_given ? interval_ns : INTERVAL_DEFAULT_NS;
    timeout_ns = timeout_given ? timeout_ns : INTERVAL_DEFAULT_NS;
    if (interval_ns < INTERVAL_MIN_NS) {
        tly_verdict_fail(verdict, "checked more than once a second");
    } else if (interval_ns > INTERVAL_MAX_NS) {
        tly_verdict_fail(verdict, "checked every %lld s only",
                         (long long)(interval_ns / 1000000000));
    } else if (timeout_given && timeout_ns > interval_ns) {
        tly_verdict_fail(verdict, "the timeout of a check is longer than its interval");
    } else if (retries > RETRIES_MAX) {
        tly_verdict_fail(verdict, "unhealthy only after %lld failures", (long long)retries);
    } else {
        tly_verdict_ok(verdict);
    }
}

static bool test_names(const struct tly_posture_facts *facts, const char *tool)
{
    const json_t *test = health_test(facts);
    for (size_t i = 0; i < tly_json_count(test); i++) {
        struct tly_text word = tly_json_string(tly_json_item(test, i));
        if (word.len > 0 && memmem(word.at, word.len, tool, strlen(tool))) {
            return true;
        }
    }
    return false;
}

void tly_judge_healthcheck_needs_missing_tool(const struct tly_posture_facts *facts,
                                              struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    bool curl = test_names(facts, "curl");
    bool wget = test_names(facts, "wget");
    if (!curl && !wget) {
        tly_verdict_na(verdict, "its health check names neither curl nor wget");
    } else if (tly_judge_has_rootfs(facts, verdict)) {
        bool found = (curl && facts->rootfs->has_curl) || (wget && facts->rootfs->has_wget);
        if (found) {
            tly_verdict_ok(verdict);
        } else {
            tly_verdict_fail(verdict, "its health check needs %s, which is not there",
                             curl ? "curl" : "wget");
        }
    }
}

/* ---- logs ---- */

static struct tly_text log_type(const struct tly_posture_facts *facts)
{
    return tly_json_text_at(facts->container, "HostConfig.LogConfig.Type");
}

static struct tly_text log_option(const struct tly_posture_facts *facts, const char *name)
{
    const json_t *config = tly_json_at(facts->container, "HostConfig.LogConfig.Config");
    return tly_json_text(config, name);
}

static bool is_network_driver(struct tly_text type)
{
    static const char *const drivers[] = {"fluentd", "gelf",       "syslog",  "splunk", "awslogs",
                                          "gcplogs", "logentries", "etwlogs", NULL};
    for (size_t i = 0; drivers[i]; i++) {
        if (tly_text_equal(type, tly_text_of(drivers[i]))) {
            return true;
        }
    }
    return false;
}

void tly_judge_log_driver_none(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (tly_text_equal(log_type(facts), TLY_TEXT("none"))) {
        tly_verdict_fail(verdict, "log driver none");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_log_driver_remote(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text type = log_type(facts);
    bool ours = tly_text_equal(type, TLY_TEXT("json-file")) ||
                tly_text_equal(type, TLY_TEXT("local"));
    if (is_network_driver(type) || tly_text_equal(type, TLY_TEXT("journald"))) {
        tly_verdict_pass(verdict, "log driver %.*s", TLY_TEXT_ARGS(type));
    } else if (ours && facts->settings->forwards) {
        tly_verdict_pass(verdict, "forwarded by this agent");
    } else {
        tly_verdict_fail(verdict, "log driver %.*s, and nobody forwards it", TLY_TEXT_ARGS(type));
    }
}

void tly_judge_log_rotation(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text type = log_type(facts);
    struct tly_text size = log_option(facts, "max-size");
    if (!tly_text_equal(type, TLY_TEXT("json-file"))) {
        if (tly_text_equal(type, TLY_TEXT("local"))) {
            tly_verdict_pass(verdict, "the driver local rotates by itself");
        } else {
            tly_verdict_na(verdict, "the engine keeps no file of it");
        }
    } else if (size.len == 0 || tly_text_equal(size, TLY_TEXT("-1"))) {
        tly_verdict_fail(verdict, "its log grows without a bound");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_log_driver_blocking(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (!is_network_driver(log_type(facts))) {
        tly_verdict_na(verdict, "its log driver is local");
    } else if (tly_text_equal(log_option(facts, "mode"), TLY_TEXT("non-blocking"))) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "log driver %.*s blocks it", TLY_TEXT_ARGS(log_type(facts)));
    }
}
