"""Log shipping: who writes, who is behind, whether the destinations take it, and what was lost."""

from parts import *  # noqa: F403 - the words of this language

TO = '<h>, destination=~"$destination"'
OF = '<c>, destination=~"$destination"'
D = "{{destination}} @ {{instance}}"


def page():
    page = Page("tallyman-logs", "Tallyman / Logs",
                "Who writes logs, who is behind and by how much, whether the destinations take "
                "them, and whether anything was lost.",
                [JOB, INSTANCE, DESTINATION, PROJECT, NAME_IN_PROJECT, TOP],
                [AGENT_STARTS, ALERTS_OF_HOSTS])
    glance(page)
    writers(page)
    behind(page)
    destinations(page)
    losses(page)
    spool(page)
    receiver(page)
    return page


def rate(metric, by="instance, destination", matchers=TO):
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def increase(metric, by="instance, destination", matchers=TO, span="$__rate_interval"):
    return f"sum by ({by}) (increase({metric}{{{matchers}}}[{span}]))"


def most(metric, by="instance, destination", matchers=TO):
    return f"max by ({by}) ({metric}{{{matchers}}})"


def glance(page):
    page.row("Now")
    page.add(stat("Lines", "Log lines read per second, over all hosts and destinations.", PER_SECOND,
                  q(f"sum(rate(tallyman_logs_lines_total{{{TO}}}[$__rate_interval]))")), 4, 4)
    page.add(stat("Delivered", "Bytes of records that were acknowledged, per second.",
                  BYTES_PER_SECOND,
                  q(f"sum(rate(tallyman_destination_acked_bytes_total{{{TO}}}"
                    "[$__rate_interval]))")), 4, 4)
    page.add(stat("Furthest behind", "Age of the oldest line that a destination has not "
                  "acknowledged.", SECONDS, q(f"max(container_log_lag_seconds{{{OF}}})"),
                  steps=(GREEN, (30, YELLOW), (300, RED))), 4, 4)
    page.add(stat("Not delivered yet", "Bytes in log files that were not read yet for a "
                  "destination; they wait on disk.", BYTES,
                  q(f"sum(container_log_lag_bytes{{{OF}}})")), 4, 4)
    page.add(stat("Lost before reading", "Occasions within the time that is shown on which Docker "
                  "or others destroyed lines that nobody could have read yet.", COUNT,
                  now(f"sum(increase(container_log_gaps_total{{{OF}}}[$__range]))"), spark=False,
                  decimals=0, colored="background", steps=(GREEN, (0.5, RED))), 4, 4)
    page.add(stat("Dropped", "Records within the time that is shown that a destination did not get "
                  "because the spool was full, or nobody would take them.", COUNT,
                  now(f"sum(increase(tallyman_destination_records_dropped_total{{{TO}}}[$__range]))"
                      f" + sum(increase(tallyman_spool_dropped_records_total{{{TO}}}[$__range]))"),
                  spark=False, decimals=0, colored="background", steps=(GREEN, (0.5, RED))), 4, 4)


def writers(page):
    page.row("Who writes")
    def of_each(metric):
        inner = f"sum by (instance, name, destination) (rate({metric}{{{OF}}}"
        return top(f"max by (instance, name) ({inner}", ")))")
    page.add(graph("Bytes", "Bytes of text in log lines. Containers that wrote most.",
                   BYTES_PER_SECOND, q(of_each("container_log_bytes_total"), CONTAINER), wide=True,
                   links=[TO_CONTAINER]), 12)
    page.add(graph("Lines", "Log lines. Containers that wrote most.", PER_SECOND,
                   q(of_each("container_log_lines_total"), CONTAINER), wide=True,
                   links=[TO_CONTAINER]), 12)
    page.add(graph("Log files", "Bytes on disk of log files, rotated ones included: they grow "
                   "without end where nothing rotates them.", BYTES,
                   q(top_gauge("container_log_file_bytes"), CONTAINER), wide=True,
                   links=[TO_CONTAINER]), 12)
    page.add(table("Logs that nothing rotates", "Containers whose log driver keeps no bound: set "
                   "max-size.", HOST_AND_CONTAINER,
                   [("Rotates", COUNT, most("container_log_rotation_enabled", "instance, name",
                                            "<c>") + " == 0", {"maps": YES_NO}),
                    ("On disk", BYTES, most("container_log_file_bytes", "instance, name", "<c>"))],
                   sort="On disk", links=[ROW_TO_CONTAINER]), 12)


def behind(page):
    page.row("Who is behind")
    series = CONTAINER + " to {{destination}}"
    by = "instance, name, destination"
    page.add(graph("Seconds", "Age of the oldest line that is not acknowledged.", SECONDS,
                   q(f"topk($top, {most('container_log_lag_seconds', by, OF)})", series),
                   links=[TO_CONTAINER]))
    page.add(graph("Bytes", "Bytes in log files that were not read yet.", BYTES,
                   q(f"topk($top, {most('container_log_lag_bytes', by, OF)})", series),
                   links=[TO_CONTAINER]))
    page.add(graph("Records under way", "Records that were read and are not acknowledged.", COUNT,
                   q(f"topk($top, {most('container_log_pending_records', by, OF)})", series),
                   links=[TO_CONTAINER]))


def destinations(page):
    page.row("Destinations")
    page.add(table(
        "Destinations", "A row for each host and destination.",
        [("instance", "Host"), ("destination", "Destination")], [
            ("Connected", COUNT, most("tallyman_forward_connected"), {"maps": YES_NO}),
            ("Delivered", BYTES_PER_SECOND, rate("tallyman_destination_acked_bytes_total")),
            ("Waiting", COUNT, most("tallyman_destination_queued_records")),
            ("Memory", RATIO, most("tallyman_destination_memory_bytes") + "\n  / " +
             most("tallyman_destination_memory_max_bytes"),
             {"bar": True, "steps": (GREEN, (0.8, YELLOW))}),
            ("Time to the answer", SECONDS, rate("tallyman_forward_ack_seconds_total") + "\n  / (" +
             rate("tallyman_forward_acks_total") + " > 0)"),
            ("Failures", COUNT, increase("tallyman_forward_errors_total", span="$__range"),
             {"steps": (GREEN, (0.5, ORANGE))}),
            ("Sent again", COUNT, increase("tallyman_forward_resent_chunks_total",
                                           span="$__range")),
        ], sort="Waiting"), 24, 6)
    page.add(timeline("Connected", "Whether each server is connected; one that stands by is only "
                      "while it is needed.", YES_NO,
                      q(most("tallyman_forward_connected", "instance, destination, server"),
                        "{{destination}}: {{server}} @ {{instance}}")))
    page.add(graph("Delivered", "Records that were acknowledged.", PER_SECOND,
                   q(rate("tallyman_destination_records_acked_total"), D), links=[TO_HOST]))
    page.add(graph("Time to the answer", "From the sending of a chunk to its acknowledgement, on "
                   "average.", SECONDS,
                   q(rate("tallyman_forward_ack_seconds_total") + "\n  / (" +
                     rate("tallyman_forward_acks_total") + " > 0)", D), links=[TO_HOST]))
    page.add(graph("Waiting in memory", "Records that were taken and are not acknowledged.", COUNT,
                   q(most("tallyman_destination_queued_records"), D), links=[TO_HOST]))
    page.add(graph("Memory", "How full the memory for chunks is: at seven eighths reading waits, "
                   "and the log files keep what comes.", RATIO,
                   q(most("tallyman_destination_memory_bytes") + "\n  / " +
                     most("tallyman_destination_memory_max_bytes"), D), max=1, area=True,
                   steps=(GREEN, (0.875, YELLOW)), links=[TO_HOST]))
    page.add(graph("Failures", "Connections that failed, by reason, and chunks that were sent again "
                   "because no answer had come.", COUNT,
                   q(increase("tallyman_forward_errors_total", "instance, destination, reason") +
                     " > 0", "{{destination}}: {{reason}} @ {{instance}}"),
                   q(increase("tallyman_forward_resent_chunks_total") + " > 0", f"{D}: sent again"),
                   bars=True, links=[TO_HOST]))


def losses(page):
    page.row("What was left out or lost")
    page.add(graph("Gaps", "Occasions on which lines were or may have been lost before they could "
                   "be read, by reason.", COUNT,
                   q(increase("tallyman_logs_gaps_total", "instance, destination, reason") + " > 0",
                     "{{destination}}: {{reason}} @ {{instance}}"), bars=True, links=[TO_HOST]))
    page.add(graph("Left out on purpose", "Lines that logs.shape keeps back, by reason, and secrets "
                   "that it covered.", PER_SECOND,
                   q(rate("tallyman_logs_dropped_lines_total", "instance, destination, reason"),
                     "{{destination}}: {{reason}} @ {{instance}}"),
                   q(rate("tallyman_logs_redactions_total"), f"{D}: secrets covered"),
                   links=[TO_HOST]))
    page.add(graph("Rejected or dropped", "Records that nobody would take, or that the spool had no "
                   "room for.", COUNT,
                   q(increase("tallyman_destination_records_dropped_total"), f"{D}: rejected"),
                   q(increase("tallyman_spool_dropped_records_total"), f"{D}: spool full"),
                   bars=True, links=[TO_HOST]))
    page.add(graph("Odd lines", "Lines that are not in Docker's format, and records that hold a "
                   "part of a very long line.", PER_SECOND,
                   q(rate("tallyman_logs_malformed_lines_total"), f"{D}: malformed"),
                   q(rate("tallyman_logs_split_records_total"), f"{D}: split"), links=[TO_HOST]))
    page.add(graph("Deleted files held open", "How much of logs.held_max deleted log files take "
                   "that are not delivered yet.", RATIO,
                   q("max by (instance) (tallyman_logs_held_bytes{<h>})\n"
                     "  / max by (instance) (tallyman_logs_held_max_bytes{<h>})", HOST), max=1,
                   links=[TO_HOST]))
    page.add(graph("Not readable", "Containers whose log driver lets nobody read, and logs that "
                   "wait for their turn with the engine.", COUNT,
                   q("max by (instance) (tallyman_logs_api_unreadable{<h>})",
                     f"{HOST}: unreadable"),
                   q("max by (instance) (tallyman_logs_api_waiting{<h>})", f"{HOST}: waiting"),
                   links=[TO_HOST]))


def spool(page):
    page.row("Spool: events, alerts and received records")
    page.add(graph("Taken", "Records taken into the spool.", PER_SECOND,
                   q("sum by (instance) (rate(tallyman_spool_records_total{<h>}"
                     "[$__rate_interval]))", HOST), links=[TO_HOST]))
    page.add(graph("How full it is", "At 100 % the oldest records go.", RATIO,
                   q("max by (instance) (tallyman_spool_bytes{<h>})\n"
                     "  / max by (instance) (tallyman_spool_max_bytes{<h>})", HOST), max=1,
                   area=True, steps=(GREEN, (0.9, RED)), links=[TO_HOST]))
    page.add(graph("Not acknowledged", "Bytes in the spool that a destination has not acknowledged.",
                   BYTES, q(most("tallyman_spool_lag_bytes"), D), links=[TO_HOST]))


def receiver(page):
    page.row("Receiver: what others send to the agents", folded=True)

    def of_host(metric):
        return f"sum by (instance) (rate({metric}{{<h>}}[$__rate_interval]))"
    page.add(graph("Records", "Records received, and those that were dropped or were none.",
                   PER_SECOND, q(of_host("tallyman_receiver_records_total"), f"{HOST}: received"),
                   q(of_host("tallyman_receiver_records_dropped_total"), f"{HOST}: dropped"),
                   q(of_host("tallyman_receiver_records_skipped_total"), f"{HOST}: no records"),
                   links=[TO_HOST]))
    page.add(graph("Bytes", "Bytes of frames.", BYTES_PER_SECOND,
                   q(of_host("tallyman_receiver_received_bytes_total"), HOST), links=[TO_HOST]))
    page.add(graph("Connections", "Open now, below the most that may be.", COUNT,
                   q("max by (instance) (tallyman_receiver_connections_open{<h>})",
                     f"{HOST}: open"),
                   q("max by (instance) (tallyman_receiver_connections_max{<h>})",
                     f"{HOST}: limit"), overrides=[dashed("B")], links=[TO_HOST]))
