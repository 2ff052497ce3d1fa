"""All about one container, or a few of them side by side."""

from parts import *  # noqa: F403 - the words of this language

N = "{{name}}"


def rate(metric, by="instance, name", more=""):
    return f"sum by ({by}) (rate({metric}{{<c>{more}}}[$__rate_interval]))"


def increase(metric, by="instance, name", more=""):
    return f"sum by ({by}) (increase({metric}{{<c>{more}}}[$__rate_interval]))"


def most(metric, by="instance, name", more=""):
    return f"max by ({by}) ({metric}{{<c>{more}}})"


def page():
    page = Page("tallyman-container", "Tallyman / Container",
                "All about one container, or a few side by side: life, CPU, memory, network, disk, "
                "processes, logs, findings.",
                [JOB, INSTANCE, NAME], [STARTS, OOM_KILLS, ALERTS_OF_CONTAINERS], NAMES)
    life(page)
    cpu(page)
    memory(page)
    network(page)
    disk(page)
    processes(page)
    logs(page)
    more_groups(page)
    return page


def life(page):
    page.row("Life")
    labels = [("instance", "Host"), ("name", "Container"), ("image", "Image"),
              ("container_label_com_docker_compose_project", "Project"),
              ("container_label_com_docker_compose_service", "Service")]
    by = ", ".join(label for label, _ in labels)
    page.add(table("Who it is", "What the engine says of it.", labels, [
        ("Created", AGO, most("container_creation_time_seconds", by) + " * 1000"),
        ("Started", AGO, most("container_start_time_seconds", by) + " * 1000"),
        ("Restarts", COUNT, most("container_restarts_total", by)),
        ("Exit code", COUNT, most("container_exit_code", by)),
        ("OOM killed", COUNT, most("container_oom_killed", by),
         {"maps": values((0, "no", GREEN), (1, "yes", RED))}),
        ("Ports", COUNT, most("container_published_ports", by)),
        ("Logs rotate", COUNT, most("container_log_rotation_enabled", by), {"maps": YES_NO}),
    ]), 24, 5)
    page.add(timeline("State", "What the engine says that the container does.", STATE_WORDS,
                      q(coded("container_state", "state", STATES), CONTAINER)), 12, 6)
    page.add(timeline("Health", "What its health check says.", HEALTH_WORDS,
                      q(coded("container_health_status", "status", HEALTH), CONTAINER)), 12, 6)


def cpu(page):
    page.row("CPU")
    page.add(graph("CPU", "CPUs' worth of time in user mode and in the kernel, below what the "
                   "container can have.", CORES,
                   q(rate("container_cpu_user_seconds_total"), f"{N}: user"),
                   q(rate("container_cpu_system_seconds_total"), f"{N}: kernel"),
                   q(most("container_cpu_effective_cores"), f"{N}: can have"),
                   stack=True, overrides=[dashed("C")]))
    page.add(graph("Throttled", "The share of the scheduler's periods in which it had used up its "
                   "quota, and the share of time for which its tasks had to wait for that: above "
                   "100 % several waited at once. Nothing without a CPU limit.", RATIO,
                   q(rate("container_cpu_cfs_throttled_periods_total") + "\n  / " +
                     rate("container_cpu_cfs_periods_total"), f"{N}: periods"),
                   q(rate("container_cpu_cfs_throttled_seconds_total"), f"{N}: time")))
    page.add(graph("Waits for the CPU", "The share of time in which at least one task, or all of "
                   "them, could have run and did not.", RATIO,
                   q(rate("container_pressure_cpu_waiting_seconds_total"), f"{N}: some"),
                   q(rate("container_pressure_cpu_stalled_seconds_total"), f"{N}: all")))


def memory(page):
    page.row("Memory")
    page.add(graph("Against its limits", "The working set is what counts towards a kill; usage has "
                   "the page cache in it that can be dropped.", BYTES,
                   q(most("container_memory_working_set_bytes"), f"{N}: working set"),
                   q(most("container_memory_usage_bytes"), f"{N}: usage"),
                   q(most("container_memory_swap"), f"{N}: swap"),
                   q(most("container_spec_memory_limit_bytes") + " > 0", f"{N}: limit"),
                   q(most("container_spec_memory_reservation_limit_bytes") + " > 0",
                     f"{N}: reservation"), overrides=[dashed("D"), dashed("E")]))
    page.add(graph("What it is made of", "Anonymous memory, page cache (tmpfs in it), the kernel's "
                   "own, network buffers.", BYTES,
                   q(most("container_memory_rss"), f"{N}: anonymous"),
                   q(most("container_memory_cache"), f"{N}: page cache"),
                   q(most("container_memory_slab_bytes"), f"{N}: slab"),
                   q(most("container_memory_page_tables_bytes"), f"{N}: page tables"),
                   q(most("container_memory_kernel_stack_bytes"), f"{N}: kernel stacks"),
                   q(most("container_memory_sock_bytes"), f"{N}: network buffers"), stack=True))
    page.add(graph("Waits for memory", "The share of time in which at least one task, or all of "
                   "them, waited for memory.", RATIO,
                   q(rate("container_pressure_memory_waiting_seconds_total"), f"{N}: some"),
                   q(rate("container_pressure_memory_stalled_seconds_total"), f"{N}: all")))
    page.add(graph("Limits that were hit", "How often the kernel stepped in: slowed the container "
                   "down, reclaimed at its limit, killed.", COUNT,
                   q(increase("container_memory_events_high_total") + " > 0",
                     f"{N}: slowed down"),
                   q(increase("container_memory_events_max_total") + " > 0", f"{N}: at its limit"),
                   q(increase("container_memory_events_oom_total") + " > 0", f"{N}: out of memory"),
                   q(increase("container_oom_events_total") + " > 0", f"{N}: killed"), bars=True))
    page.add(graph("Page faults that read", "Faults for which a page had to be read from disk, and "
                   "pages that came back soon after they were evicted: both say that memory is too "
                   "small.", PER_SECOND,
                   q(rate("container_memory_failures_total",
                          more=', failure_type="pgmajfault", scope="container"'), f"{N}: major"),
                   q(rate("container_memory_workingset_refault_file_total"),
                     f"{N}: file came back"),
                   q(rate("container_memory_workingset_refault_anon_total"),
                     f"{N}: anonymous came back")))
    page.add(graph("Not yet on disk", "Page cache that waits to be written, or is being written.",
                   BYTES, q(most("container_memory_file_dirty_bytes"), f"{N}: dirty"),
                   q(most("container_memory_file_writeback_bytes"), f"{N}: being written")))


def network(page):
    page.row("Network")
    by = "instance, name, interface"
    series = "{{name}} {{interface}}"
    page.add(graph("Bytes", "What came in, and downwards what went out. Nothing for a container in "
                   "the host's network or in that of another one.", BYTES_PER_SECOND,
                   q(rate("container_network_receive_bytes_total", by), f"{series}: in"),
                   q(rate("container_network_transmit_bytes_total", by), f"{series}: out"),
                   min=None, overrides=[below("B")]))
    page.add(graph("Packets", "What came in, and downwards what went out.", "pps",
                   q(rate("container_network_receive_packets_total", by), f"{series}: in"),
                   q(rate("container_network_transmit_packets_total", by), f"{series}: out"),
                   min=None, overrides=[below("B")]))
    page.add(graph("Drops and errors", "Packets that were lost on the container's side.", "pps",
                   q(rate("container_network_receive_packets_dropped_total", by),
                     f"{series}: dropped, in"),
                   q(rate("container_network_transmit_packets_dropped_total", by),
                     f"{series}: dropped, out"),
                   q(rate("container_network_receive_errors_total", by), f"{series}: wrong, in"),
                   q(rate("container_network_transmit_errors_total", by),
                     f"{series}: wrong, out")))


def disk(page):
    page.row("Disk")
    by = "instance, name, device"
    series = "{{name}} {{device}}"
    page.add(graph("Bytes", "Read from each device, and downwards written to it.",
                   BYTES_PER_SECOND,
                   q(rate("container_fs_reads_bytes_total", by), f"{series}: read"),
                   q(rate("container_fs_writes_bytes_total", by), f"{series}: written"),
                   min=None, overrides=[below("B")]))
    page.add(graph("Operations", "Reads of each device, and downwards writes.", "iops",
                   q(rate("container_fs_reads_total", by), f"{series}: reads"),
                   q(rate("container_fs_writes_total", by), f"{series}: writes"),
                   min=None, overrides=[below("B")]))
    page.add(graph("Waits for the disk", "The share of time in which at least one task, or all of "
                   "them, waited for input or output.", RATIO,
                   q(rate("container_pressure_io_waiting_seconds_total"), f"{N}: some"),
                   q(rate("container_pressure_io_stalled_seconds_total"), f"{N}: all")))
    page.add(graph("What it takes on disk", "Its writable layer, its log files, and both with its "
                   "settings; volumes are not in it.", BYTES,
                   q(most("container_fs_writable_layer_bytes"), f"{N}: writable layer"),
                   q(most("container_log_file_bytes"), f"{N}: log files"),
                   q(most("container_fs_usage_bytes"), f"{N}: all of it")), 12)
    page.add(graph("Files in its writable layer", "Files and folders that were made or changed.",
                   COUNT, q(most("container_fs_writable_layer_inodes"), N)), 12)


def processes(page):
    page.row("Processes and findings")
    page.add(graph("Threads", "Threads, below the most that the container may have.", COUNT,
                   q(most("container_threads"), f"{N}: threads"),
                   q(most("container_threads_max") + " > 0", f"{N}: limit"),
                   overrides=[dashed("B")]))
    page.add(graph("What happened", "Ends that tell of an error, processes that somebody started "
                   "from outside (docker exec), threads that were refused.", COUNT,
                   q(increase("container_exits_total", "instance, name, exit_code",
                              ', exit_code!="0"') + " > 0", f"{N}: exit code {{{{exit_code}}}}"),
                   q(increase("container_exec_total", "instance, name, user",
                              ', source="api"') + " > 0", f"{N}: exec as {{{{user}}}}"),
                   q(increase("container_pids_limit_hits_total") + " > 0", f"{N}: fork refused"),
                   bars=True))
    page.add(table("Findings", "Checks of the audit that it fails; `tallyman audit` tells why, and "
                   "how to mend it.",
                   [("instance", "Host"), ("name", "Container"), ("check", "Check"),
                    ("severity", "Severity")],
                   [("Fails", COUNT, most("posture_check_failed",
                                          "instance, name, check, severity"))], sort="Severity"))


def logs(page):
    page.row("Logs")
    page.add(graph("Lines", "Log lines by stream.", PER_SECOND,
                   q("max by (instance, name, stream) (sum by (instance, name, stream, destination) "
                     "(rate(container_log_lines_total{<c>}[$__rate_interval])))",
                     "{{name}} {{stream}}")))
    page.add(graph("Bytes", "Bytes of text in them.", BYTES_PER_SECOND,
                   q("max by (instance, name, stream) (sum by (instance, name, stream, destination) "
                     "(rate(container_log_bytes_total{<c>}[$__rate_interval])))",
                     "{{name}} {{stream}}")))
    page.add(graph("Behind", "Age of the oldest line that a destination has not acknowledged.",
                   SECONDS, q(most("container_log_lag_seconds", "instance, name, destination"),
                              "{{name}} to {{destination}}")))


def more_groups(page):
    page.row("Groups that are off by default (process, tcp, tcp_losses, cpuLoad)", folded=True)
    by_state = "instance, name, tcp_state"
    page.add(graph("TCP sockets", "Sockets by state, over IPv4 and IPv6, where there are any. "
                   "Needs the group tcp.", COUNT,
                   q(most("container_network_tcp_usage_total", by_state) + "\n  + " +
                     most("container_network_tcp6_usage_total", by_state) + " > 0",
                     "{{name}} {{tcp_state}}")))
    page.add(graph("TCP losses", "Segments that were sent again, connections that nobody took in "
                   "time. Needs the group tcp_losses.", PER_SECOND,
                   q(rate("container_network_tcp_retransmits_total"), f"{N}: sent again"),
                   q(rate("container_network_tcp_listen_drops_total"), f"{N}: dropped"),
                   q(rate("container_network_tcp_listen_overflows_total"), f"{N}: queue full")))
    page.add(graph("Threads by state", "What its threads do. Needs the group cpuLoad.", COUNT,
                   q(most("container_tasks_state", "instance, name, state"),
                     "{{name}} {{state}}"), stack=True))
    page.add(graph("Processes", "Processes, and those that ended and were not waited for. Needs "
                   "the group process.", COUNT,
                   q(most("container_processes"), f"{N}: processes"),
                   q(most("container_zombies"), f"{N}: zombies")))
    page.add(graph("File descriptors", "Open in all of its processes, sockets among them. Needs "
                   "the group process.", COUNT,
                   q(most("container_file_descriptors"), f"{N}: all"),
                   q(most("container_sockets"), f"{N}: sockets")))
    page.add(graph("File descriptors against the limit", "Of all processes together, by the limit "
                   "of the first one: what leaks comes near it. Needs the group process.", RATIO,
                   q(most("container_file_descriptors") + "\n  / (" +
                     most("container_ulimits_soft", more=', ulimit="max_open_files"') + " > 0)",
                     N)))
