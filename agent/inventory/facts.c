/*
 * From the facts of a container to samples, so that each of these families has one writer whatever
 * source a fact came from. Written in the order of families.def, which saves
 * sorting.
 */
#include "agent/inventory/facts.h"

#include "agent/base/clock.h"

static void number_write(struct tly_samples *samples, enum tly_family_id family, int64_t number)
{
    if (number != TLY_UNKNOWN) {
        tly_samples_add(samples, family, TLY_DIM_NONE, number);
    }
}

/* Times are shown in milliseconds; 0 stands for "never" and has no sample. */
static void time_write(struct tly_samples *samples, enum tly_family_id family, int64_t ns)
{
    if (ns > 0) {
        tly_samples_add(samples, family, TLY_DIM_NONE, ns / TLY_NS_PER_MS);
    }
}

static void health_write(const struct tly_container *container, struct tly_samples *samples)
{
    enum tly_container_health health = container->health;
    if (health == TLY_HEALTH_UNKNOWN) {
        return;
    }
    int64_t state = health == TLY_HEALTH_HEALTHY ? 1 : health == TLY_HEALTH_NONE ? -1 : 0;
    tly_samples_add(samples, TLY_F_container_health_state, TLY_DIM_NONE, state);
    for (int each = TLY_HEALTH_NONE; each < TLY_HEALTH_COUNT; each++) {
        uint16_t dim = tly_samples_dim1(samples, "status",
                                        tly_text_of(tly_container_health_names[each]));
        tly_samples_add(samples, TLY_F_container_health_status, dim, (int)health == each);
    }
    if (health != TLY_HEALTH_NONE) {
        number_write(samples, TLY_F_container_health_failing_streak, container->failing_streak);
        time_write(samples, TLY_F_container_health_last_probe_time_seconds,
                   container->last_probe_ns);
    }
}

static void state_write(const struct tly_container *container, struct tly_samples *samples)
{
    if (container->state == TLY_STATE_UNKNOWN) {
        return;
    }
    for (int each = TLY_STATE_CREATED; each < TLY_STATE_COUNT; each++) {
        uint16_t dim = tly_samples_dim1(samples, "state",
                                        tly_text_of(tly_container_state_names[each]));
        tly_samples_add(samples, TLY_F_container_state, dim, (int)container->state == each);
    }
}

/* The engine's default: what "no shares given" stands for. */
#define CPU_SHARES_DEFAULT 1024

#define MILLION 1000000
/* The kernel's own, which the engine leaves out. */
#define CPU_PERIOD_DEFAULT_US 100000

/* What the cgroups leave, or less: on hosts in transition the quota stands in a tree of cgroup v1,
 * and only the engine tells it. */
static void usable_cpu_write(const struct tly_container *container, struct tly_samples *samples)
{
    int64_t usable = container->usable_cpu_millionths;
    int64_t quota_us = container->cpu_quota_us;
    int64_t period_us = container->cpu_period_us > 0 ? container->cpu_period_us
                                                     : CPU_PERIOD_DEFAULT_US;
    if (usable != TLY_UNKNOWN && quota_us > 0 && quota_us <= INT64_MAX / MILLION &&
        quota_us * MILLION / period_us < usable) {
        usable = quota_us * MILLION / period_us;
    }
    number_write(samples, TLY_F_container_cpu_effective_cores, usable);
}

/* Limits are 0 where there is none; that is cAdvisor's way too, but for the quota. */
static void limits_write(const struct tly_container *container, struct tly_samples *samples)
{
    if (container->cpu_period_us > 0) {
        tly_samples_add(samples, TLY_F_container_spec_cpu_period, TLY_DIM_NONE,
                        container->cpu_period_us);
    }
    if (container->cpu_quota_us > 0) {
        tly_samples_add(samples, TLY_F_container_spec_cpu_quota, TLY_DIM_NONE,
                        container->cpu_quota_us);
    }
    number_write(samples, TLY_F_container_spec_cpu_shares,
                 container->cpu_shares == 0 ? CPU_SHARES_DEFAULT : container->cpu_shares);
    number_write(samples, TLY_F_container_spec_memory_limit_bytes, container->memory_limit_bytes);
    number_write(samples, TLY_F_container_spec_memory_swap_limit_bytes,
                 container->memory_swap_limit_bytes);
    number_write(samples, TLY_F_container_spec_memory_reservation_limit_bytes,
                 container->memory_reservation_bytes);
    usable_cpu_write(container, samples);
}

void tly_facts_write(const struct tly_container *container, struct tly_samples *samples)
{
    health_write(container, samples);
    state_write(container, samples);
    time_write(samples, TLY_F_container_creation_time_seconds, container->created_ns);
    time_write(samples, TLY_F_container_start_time_seconds, container->started_ns);
    time_write(samples, TLY_F_container_finished_time_seconds, container->finished_ns);
    number_write(samples, TLY_F_container_exit_code, container->exit_code);
    number_write(samples, TLY_F_container_oom_killed, container->oom_killed);
    number_write(samples, TLY_F_container_restarts_total, container->restarts);
    number_write(samples, TLY_F_container_desired_running, container->desired_running);
    number_write(samples, TLY_F_container_published_ports, container->published_ports);
    number_write(samples, TLY_F_container_log_rotation_enabled, container->log_rotation);
    limits_write(container, samples);
}
