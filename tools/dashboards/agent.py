"""The agent itself: what it costs, whether its sources can be read, how full each of its bounds is."""

from parts import *  # noqa: F403 - the words of this language

# Each bound: its name, what stands below it, the bound, and what it is for one of.
BOUNDS = [
    ("containers", "tallyman_inventory_containers", "tallyman_inventory_containers_max", ""),
    ("file descriptors", "process_open_fds", "process_max_fds", ""),
    ("cgroup files held open", "tallyman_cgroup_descriptors", "tallyman_cgroup_descriptors_max", ""),
    ("samples of a scrape", "tallyman_scrape_samples", "tallyman_scrape_samples_max", ""),
    ("scrapes under way", "tallyman_scrapes_under_way", "tallyman_scrapes_under_way_max", ""),
    ("HTTP connections", "tallyman_http_connections", "tallyman_http_connections_max", ""),
    ("HTTP answers", "tallyman_http_answers_bytes", "tallyman_http_answers_max_bytes", ""),
    ("history of rules", "tallyman_rule_history_bytes", "tallyman_rule_history_bytes_max", ""),
    ("spool", "tallyman_spool_bytes", "tallyman_spool_max_bytes", ""),
    ("spool, in memory", "tallyman_spool_memory_bytes", "tallyman_spool_memory_max_bytes", ""),
    ("deleted log files", "tallyman_logs_held_bytes", "tallyman_logs_held_max_bytes", ""),
    ("pieces of log lines", "tallyman_logs_join_bytes", "tallyman_logs_join_max_bytes", ""),
    ("logs read from the engine", "tallyman_logs_api_streams", "tallyman_logs_api_streams_max", ""),
    ("vulnerability reports", "tallyman_vulnerabilities_reports",
     "tallyman_vulnerabilities_reports_max", ""),
    ("clients of the receiver", "tallyman_receiver_connections_open",
     "tallyman_receiver_connections_max", ""),
    ("fullest destination", "tallyman_destination_memory_bytes",
     "tallyman_destination_memory_max_bytes", ", destination"),
    ("fullest queue of alerts", "tallyman_notifications_queue_length",
     "tallyman_notifications_queue_capacity", ", peer"),
]


def rate(metric, by="instance", more=""):
    return f"sum by ({by}) (rate({metric}{{<h>{more}}}[$__rate_interval]))"


def increase(metric, by="instance", more=""):
    return f"sum by ({by}) (increase({metric}{{<h>{more}}}[$__rate_interval]))"


def most(metric, by="instance"):
    return f"max by ({by}) ({metric}{{<h>}})"


def page():
    page = Page("tallyman-agent", "Tallyman / Agent",
                "The agent itself: what it costs, whether its sources can be read, how full each of "
                "its bounds is, what its web server answers.",
                [JOB, INSTANCE], [AGENT_STARTS, ALERTS_OF_HOSTS])
    glance(page)
    cost(page)
    collectors(page)
    bounds(page)
    engine(page)
    scrapes(page)
    web(page)
    return page


def glance(page):
    page.row("Agents")
    page.add(table("Agents", "A row for each agent: what it is, and what it costs its host.",
                   [("version", "Version"), ("instance", "Host")], [
                       ("Up for", SECONDS,
                        "time() - max by (instance, version) (process_start_time_seconds{<h>} "
                        "* on (job, instance) group_left (version) tallyman_build_info{<h>})"),
                       ("Containers", COUNT, most("tallyman_inventory_containers")),
                       ("CPU", CORES, rate("process_cpu_seconds_total")),
                       ("Memory", BYTES, most("process_resident_memory_bytes")),
                       ("Samples", COUNT, most("tallyman_scrape_samples")),
                       ("Time of a scrape", SECONDS, most("tallyman_scrape_duration_seconds")),
                       ("Collectors that fail", COUNT,
                        "sum by (instance) (1 - tallyman_collector_success{<h>})",
                        {"steps": (GREEN, (1, RED))}),
                   ], sort="CPU"), 24, 7)


def cost(page):
    page.row("What it costs")
    page.add(graph("CPU", "CPUs' worth of time of the agent.", CORES,
                   q(rate("process_cpu_seconds_total"), HOST)))
    page.add(graph("CPU for each container", "The same, by the containers that it knows.", CORES,
                   q(rate("process_cpu_seconds_total") + "\n  / " +
                     most("tallyman_inventory_containers"), HOST)))
    page.add(graph("Share of the host", "Of all CPUs of its host.", RATIO,
                   q(rate("process_cpu_seconds_total") + "\n  / " + most("machine_cpu_cores"),
                     HOST)))
    page.add(graph("Memory", "Resident memory.", BYTES,
                   q(most("process_resident_memory_bytes"), HOST)))
    page.add(graph("File descriptors", "Open file descriptors.", COUNT,
                   q(most("process_open_fds"), HOST)))
    page.add(graph("Threads", "Threads of the agent.", COUNT, q(most("process_threads"), HOST)))


def collectors(page):
    page.row("Collectors")
    series = "{{collector}} @ {{instance}}"
    page.add(timeline("Whether they succeed", "Of the last run of each; the agent's log says why it "
                      "failed.", YES_NO,
                      q("min by (instance, collector) (tallyman_collector_success{<h>})", series)),
             8, 9)
    page.add(graph("How long they take", "Duration of the last run of each.", SECONDS,
                   q(most("tallyman_collector_duration_seconds", "instance, collector"), series)),
             8, 9)
    page.add(graph("What they could not read", "Failures, each of one value or one container.",
                   COUNT, q(increase("tallyman_collector_errors_total", "instance, collector") +
                            " > 0", series), bars=True), 8, 9)
    page.add(graph("Cgroups", "Directories seen on the last walk, and files held open.", COUNT,
                   q(most("tallyman_cgroup_directories"), f"{HOST}: directories"),
                   q(most("tallyman_cgroup_descriptors"), f"{HOST}: files")))
    page.add(graph("Sizes on disk", "Files and folders looked at.", PER_SECOND,
                   q(rate("tallyman_disk_entries_total"), HOST)))
    page.add(graph("Age of processes' numbers", "Of the oldest: far above collect.interval where "
                   "processes.budget is too small.", SECONDS,
                   q(most("tallyman_processes_oldest_reading_seconds"), HOST)))


def bounds(page):
    page.row("Bounds")
    full = (GREEN, (0.7, YELLOW), (0.9, RED))
    page.add(bars("How full each bound is", "Everything that could grow has a bound, which the "
                  "configuration sets. Of several hosts the fullest.", RATIO,
                  *(now(f"max({most(used, 'instance' + of)}\n"
                        f"  / ({most(bound, 'instance' + of)} > 0))", name)
                    for name, used, bound, of in BOUNDS),
                  max=1, steps=full), 12, 14)
    page.add(graph("What the bounds kept out", "Containers that were refused, labels that were left "
                   "out, samples left out of scrapes, series not kept for rules, records refused by "
                   "the spool.", COUNT,
                   q(increase("tallyman_inventory_containers_refused_total"),
                     f"{HOST}: containers"),
                   q(increase("tallyman_scrape_left_out_samples_total"), f"{HOST}: samples"),
                   q(increase("tallyman_rule_history_refused_total"), f"{HOST}: series of rules"),
                   q(increase("tallyman_spool_refused_records_total"), f"{HOST}: records"),
                   q(increase("tallyman_inventory_labels_dropped_total"), f"{HOST}: labels"), bars=True),
             12, 7)
    page.add(graph("What the disk did not take", "Writes of the spool and of positions that failed, "
                   "and positions that wait to be written.", COUNT,
                   q(increase("tallyman_spool_write_errors_total"), f"{HOST}: spool"),
                   q(increase("tallyman_positions_write_errors_total"), f"{HOST}: positions"),
                   q(most("tallyman_positions_unwritten"), f"{HOST}: positions that wait"),
                   bars=True), 12, 7)


def engine(page):
    page.row("The Docker engine, as the agent sees it")
    page.add(timeline("Answers", "Whether the engine answers, and whether its stream of events "
                      "stands.", YES_NO, q(most("tallyman_docker_up"), f"{HOST}: answers"),
                      q(most("tallyman_docker_events_connected"), f"{HOST}: events")))
    page.add(graph("Requests", "Requests to its API by endpoint and status.", PER_SECOND,
                   q(rate("tallyman_docker_api_requests_total", "instance, endpoint, code"),
                     "{{endpoint}} {{code}} @ {{instance}}")))
    page.add(graph("Events", "Events handled, and those that were not.", PER_SECOND,
                   q(rate("tallyman_docker_events_total"), f"{HOST}: handled"),
                   q(rate("tallyman_docker_events_skipped_total", "instance, reason"),
                     "{{instance}}: {{reason}}")))
    page.add(graph("Reconnects", "Times that the stream of events broke off, and times that events "
                   "may have been missed; every container is inspected anew then.", COUNT,
                   q(increase("tallyman_docker_reconnects_total"), f"{HOST}: broke off"),
                   q(increase("tallyman_docker_events_gap_total"), f"{HOST}: maybe missed"),
                   bars=True))
    page.add(graph("Waiting", "Containers that wait to be inspected.", COUNT,
                   q(most("tallyman_docker_inspects_pending"), HOST)))
    page.add(graph("Events that wait", "Bytes of events received and not yet handled.", BYTES,
                   q(most("tallyman_docker_events_queued_bytes"), HOST)))


def scrapes(page):
    page.row("Scrapes")
    page.add(graph("Time", "Of the last scrape as a whole, and for writing its text.", SECONDS,
                   q(most("tallyman_scrape_duration_seconds"), f"{HOST}: all"),
                   q(most("tallyman_scrape_render_duration_seconds"), f"{HOST}: writing")))
    page.add(graph("Samples", "Samples in the last scrape.", COUNT,
                   q(most("tallyman_scrape_samples"), HOST)))
    page.add(graph("Size", "Bytes of its text before compression.", BYTES,
                   q(most("tallyman_scrape_bytes"), HOST)))
    page.add(graph("As Prometheus sees it", "How long a scrape took Prometheus, over the network "
                   "and with its own work.", SECONDS,
                   q(most("scrape_duration_seconds"), HOST)), 12)
    page.add(graph("Scrapes that lacked something", "Refused or not answered for lack of room, "
                   "answered without a collector that was late, samples that were there twice.",
                   COUNT, q(increase("tallyman_scrapes_failed_total"), f"{HOST}: failed"),
                   q(increase("tallyman_scrapes_late_total"), f"{HOST}: late"),
                   q(increase("tallyman_scrape_duplicates_total"), f"{HOST}: twice"), bars=True),
             12)


def web(page):
    page.row("Web server")
    page.add(graph("Requests", "Requests that were answered, by status.", PER_SECOND,
                   q(rate("tallyman_http_requests_total", "instance, code"),
                     "{{code}} @ {{instance}}")))
    page.add(graph("Turned away", "Requests without a right name and password, above the limit, and "
                   "connections refused, cut off or broken.", COUNT,
                   q(increase("tallyman_http_requests_denied_total"), f"{HOST}: denied"),
                   q(increase("tallyman_http_requests_limited_total"), f"{HOST}: over the limit"),
                   q(increase("tallyman_http_connections_refused_total"), f"{HOST}: refused"),
                   q(increase("tallyman_http_connections_cut_total", "instance, reason") + " > 0",
                     "{{instance}}: {{reason}}"),
                   q(increase("tallyman_http_connections_broken_total"), f"{HOST}: broken"),
                   bars=True))
    page.add(stat("Certificate", "Time until the web server's certificate expires, the first of "
                  "all hosts; nothing where there is none.", SECONDS,
                  now("min(tallyman_http_certificate_expiry_timestamp_seconds{<h>} - time())"),
                  spark=False, steps=(RED, (7 * 86400, ORANGE), (21 * 86400, GREEN))), 4)
    page.add(stat("Web configuration", "Whether the web configuration file can be used as it is "
                  "now; if not, an older one holds. Nothing where there is none.", COUNT,
                  now("min(tallyman_http_config_last_reload_successful{<h>})"), spark=False,
                  maps=YES_NO), 4)
