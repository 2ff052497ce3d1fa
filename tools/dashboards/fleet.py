"""All hosts and containers at a glance: what is wrong, who uses what, where to look next."""

from parts import *  # noqa: F403 - the words of this language


def by_container(metric):
    return f"sum by (instance, name) (rate({metric}{{<c>}}[$__rate_interval]))"


WORKING_SET = "max by (instance, name) (container_memory_working_set_bytes{<c>})"
LIMIT = "(max by (instance, name) (container_spec_memory_limit_bytes{<c>}) > 0)"
IDLE = 'sum by (instance) (rate(machine_cpu_seconds_total{<h>, mode=~"idle|iowait"}' \
       "[$__rate_interval]))"
ALL_MODES = "sum by (instance) (rate(machine_cpu_seconds_total{<h>}[$__rate_interval]))"
MEMORY_USED = ("1 - max by (instance) (machine_memory_available_bytes{<h>})\n"
               "  / max by (instance) (machine_memory_bytes{<h>})")


def pressure(what):
    return f"max by (instance) (rate(machine_pressure_{what}_seconds_total{{<h>}}" \
           "[$__rate_interval]))"


def page():
    page = Page("tallyman-fleet", "Tallyman / Fleet",
                "Hosts and containers at a glance: what is wrong, who uses what, where to look.",
                [JOB, INSTANCE, PROJECT, NAME_IN_PROJECT, TOP],
                [RESTARTS, OOM_KILLS, ALERTS_OF_CONTAINERS])
    now_row(page)
    hosts(page)
    cpu(page)
    memory(page)
    traffic(page)
    everything(page)
    return page


def now_row(page):
    page.row("Now")
    bad = {"colored": "background", "steps": (GREEN, (1, RED))}
    page.add(stat("Hosts", "Agents that answer.", COUNT, now("count(tallyman_build_info{<h>})")),
             3, 4)
    page.add(stat("Hosts away", "Agents that Prometheus could not scrape just now.", COUNT,
                  now("sum(1 - up{<h>})"), spark=False, **bad), 3, 4)
    page.add(stat("Running", "Containers that run.", COUNT,
                  q('sum(container_state{<c>, state="running"})')), 3, 4)
    page.add(stat("Down", "Containers that are meant to run and do not: they ended by themselves, "
                  "and nobody stopped them.", COUNT,
                  now("sum(container_desired_running{<c>} unless on (instance, id) "
                      '(container_state{<c>, state="running"} == 1)) or vector(0)'),
                  spark=False, **bad), 3, 4)
    page.add(stat("Unhealthy", "Containers whose health check fails.", COUNT,
                  now('sum(container_health_status{<c>, status="unhealthy"})'),
                  spark=False, **bad), 3, 4)
    page.add(stat("Restarts", "Restarts by restart policies within the time that is shown.", COUNT,
                  now("sum(increase(container_restarts_total{<c>}[$__range]))"), spark=False,
                  decimals=0, colored="background", steps=(GREEN, (0.5, ORANGE))), 3, 4)
    page.add(stat("OOM kills", "Processes in containers that were killed for lack of memory, within "
                  "the time that is shown.", COUNT,
                  now("sum(increase(container_oom_events_total{<c>}[$__range]))"), spark=False,
                  decimals=0, colored="background", steps=(GREEN, (0.5, RED))), 3, 4)
    page.add(stat("Alerts", "Alerts that fire, each counted once, be it the agent or Prometheus "
                  "that raised it.", COUNT,
                  now('count(max by (instance, name, alertname) '
                      '(ALERTS{alertstate="firing", instance=~"$instance"})) or vector(0)'),
                  spark=False, **bad), 3, 4)


def hosts(page):
    page.row("Hosts")
    full = (GREEN, (0.8, YELLOW), (0.95, RED))
    page.add(table(
        "Hosts", "One row for each host: how busy it is, and how long its tasks had to wait. "
        "Waiting for the CPU or the disk is the share of time in which at least one task did; for "
        "memory, the share in which all stood still.", [("instance", "Host")], [
            ("Running", COUNT, 'sum by (instance) (container_state{<c>, state="running"})'),
            ("CPU", RATIO, f"1 - {IDLE}\n  / {ALL_MODES}", {"bar": True, "steps": full}),
            ("Memory", RATIO, MEMORY_USED, {"bar": True, "steps": full}),
            ("Waits for CPU", RATIO, pressure("cpu_waiting"),
             {"steps": (GREEN, (0.3, YELLOW), (0.6, RED))}),
            ("Stands for memory", RATIO, pressure("memory_stalled"),
             {"steps": (GREEN, (0.02, YELLOW), (0.1, RED))}),
            ("Waits for disk", RATIO, pressure("io_waiting"),
             {"steps": (GREEN, (0.3, YELLOW), (0.6, RED))}),
            ("Up for", SECONDS, "time() - max by (instance) (machine_boot_time_seconds{<h>})"),
        ], sort="CPU", links=[ROW_TO_FLEET]), 24, 7)
    page.add(graph("CPU of the hosts", "The share of all CPUs that is in use.", RATIO,
                   q(f"1 - {IDLE}\n  / {ALL_MODES}", HOST), max=1, links=[TO_HOST]))
    page.add(graph("Memory of the hosts", "The share that could not be had without swapping.", RATIO,
                   q(MEMORY_USED, HOST), max=1, links=[TO_HOST]))
    page.add(graph("Hosts that stand still for memory", "The share of time in which all tasks "
                   "waited for memory: above a few per cent the host is too full.", RATIO,
                   q(pressure("memory_stalled"), HOST), area=True, links=[TO_HOST],
                   steps=(GREEN, (0.1, RED))))


def cpu(page):
    page.row("CPU of containers")
    link = {"links": [TO_CONTAINER]}
    page.add(graph("CPU", "CPUs' worth of time. Containers with the highest average.", CORES,
                   q(top_rate("container_cpu_usage_seconds_total"), CONTAINER), wide=True, **link),
             12)
    page.add(graph("CPU against what it can have", "The share that the container uses of the CPUs "
                   "that its quota, the quotas above it and its set of CPUs leave it.", RATIO,
                   q(by_container("container_cpu_usage_seconds_total") +
                     "\n  / max by (instance, name) (container_cpu_effective_cores{<c>})",
                     CONTAINER), wide=True, area=True, steps=(GREEN, (0.9, RED)), **link), 12)
    page.add(graph("Throttled", "The share of the scheduler's periods in which a container had used "
                   "up its quota and had to wait. Only containers with a CPU limit.", RATIO,
                   q(by_container("container_cpu_cfs_throttled_periods_total") + "\n  / " +
                     by_container("container_cpu_cfs_periods_total"), CONTAINER), wide=True,
                   area=True, max=1, steps=(GREEN, (0.25, RED)), **link), 12)
    page.add(graph("Waits for the CPU", "The share of time in which at least one of the container's "
                   "tasks was ready to run and did not: for neighbours, or its quota.", RATIO,
                   q(top_rate("container_pressure_cpu_waiting_seconds_total"), CONTAINER),
                   wide=True, max=1, **link), 12)


def memory(page):
    page.row("Memory of containers")
    link = {"links": [TO_CONTAINER]}
    page.add(graph("Working set", "Memory without the page cache that could be dropped at once. "
                   "Containers with the highest average.", BYTES,
                   q(top_gauge("container_memory_working_set_bytes"), CONTAINER), wide=True,
                   **link), 12)
    page.add(graph("Working set against the limit", "At 100 % the next allocation ends in a kill. "
                   "Only containers with a memory limit.", RATIO,
                   q(f"{WORKING_SET}\n  / {LIMIT}", CONTAINER), wide=True, area=True, max=1,
                   steps=(GREEN, (0.9, RED)), **link), 12)
    page.add(graph("Stands still for memory", "The share of time in which all tasks of a container "
                   "waited for memory: it is too small for what it does, long before a kill.", RATIO,
                   q(top_rate("container_pressure_memory_stalled_seconds_total"), CONTAINER),
                   wide=True, **link), 12)
    page.add(graph("OOM kills", "Processes that the kernel killed for lack of memory.", COUNT,
                   q("sum by (instance, name) "
                     "(increase(container_oom_events_total{<c>}[$__rate_interval])) > 0",
                     CONTAINER), bars=True, wide=True, **link), 12)


def traffic(page):
    page.row("Network and disk of containers")
    for title, description, unit, query in (
            ("Received", "Bytes that came in over the network. A container in the host's network "
             "has no numbers of its own.", BYTES_PER_SECOND,
             top_rate("container_network_receive_bytes_total")),
            ("Sent", "Bytes that went out over the network.", BYTES_PER_SECOND,
             top_rate("container_network_transmit_bytes_total")),
            ("Read from disk", "Bytes that reached a device; what the page cache had is not in it.",
             BYTES_PER_SECOND, top_rate("container_fs_reads_bytes_total")),
            ("Written to disk", "Bytes that reached a device.", BYTES_PER_SECOND,
             top_rate("container_fs_writes_bytes_total")),
            ("Waits for the disk", "The share of time in which at least one of the container's "
             "tasks waited for input or output.", RATIO,
             top_rate("container_pressure_io_waiting_seconds_total")),
            ("Writable layers", "Bytes on disk of what containers changed in their own file "
             "system, volumes not included.", BYTES,
             top_gauge("container_fs_writable_layer_bytes"))):
        page.add(graph(title, description, unit, q(query, CONTAINER), wide=True,
                       links=[TO_CONTAINER]), 12)


def everything(page):
    page.row("Every container")
    page.add(table(
        "Containers", "A row for each container; its name leads to all about it.",
        HOST_AND_CONTAINER, [
            ("State", COUNT, coded("container_state", "state", STATES), {"maps": STATE_WORDS}),
            ("Health", COUNT, coded("container_health_status", "status", HEALTH),
             {"maps": HEALTH_WORDS}),
            ("CPU", CORES, by_container("container_cpu_usage_seconds_total")),
            ("Working set", BYTES, WORKING_SET),
            ("Of its limit", RATIO, f"{WORKING_SET}\n  / {LIMIT}",
             {"bar": True, "steps": (GREEN, (0.8, YELLOW), (0.9, RED))}),
            ("Threads", COUNT, "sum by (instance, name) (container_threads{<c>})"),
            ("Received", BYTES_PER_SECOND, by_container("container_network_receive_bytes_total")),
            ("Sent", BYTES_PER_SECOND, by_container("container_network_transmit_bytes_total")),
            ("Log", BYTES_PER_SECOND,
             "max by (instance, name) (sum by (instance, name, destination) "
             "(rate(container_log_bytes_total{<c>}[$__rate_interval])))"),
            ("Restarts", COUNT,
             "sum by (instance, name) (increase(container_restarts_total{<c>}[$__range]))",
             {"steps": (GREEN, (0.5, ORANGE))}),
            ("Started", AGO, "max by (instance, name) (container_start_time_seconds{<c>}) * 1000"),
        ], sort="CPU", links=[ROW_TO_CONTAINER]), 24, 14)
