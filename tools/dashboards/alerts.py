"""Alerts: those that stand, how they came about, and whether people are told."""

from parts import *  # noqa: F403 - the words of this language

SEVERITY = 'alertstate="firing", instance=~"$instance", severity=~"$severity"'
SEVERITIES = variable("severity", "Severity",
                      'label_values(ALERTS{instance=~"$instance"}, severity)', every=".*",
                      description="All has alerts without a severity, too.")


def page():
    page = Page("tallyman-alerts", "Tallyman / Alerts",
                "Alerts that stand, how they came about, whether people are told, and whether the "
                "rules are judged. Alerts of the agent's own rules and of Prometheus's are one.",
                [JOB, INSTANCE, SEVERITIES], [RESTARTS_OF_HOSTS, OOM_OF_HOSTS])
    standing(page)
    history(page)
    telling(page)
    judging(page)
    return page


RESTARTS_OF_HOSTS = annotation(
    "Restarts", ORANGE,
    "sum by (instance, name) (increase(container_restarts_total{<h>}[$__rate_interval])) > 0",
    "{{name}} was restarted by its restart policy", "on {{instance}}", "instance,name")
OOM_OF_HOSTS = annotation(
    "OOM kills", RED,
    "sum by (instance, name) (increase(container_oom_events_total{<h>}[$__rate_interval])) > 0",
    "{{name}}: processes were killed for lack of memory", "on {{instance}}", "instance,name")


def standing(page):
    page.row("Now")
    by = "instance, name, alertname, severity"
    for severity, color, text in (
            ("critical", RED, "Somebody has to look at once."),
            ("warning", ORANGE, "Somebody has to look today."),
            ("info", BLUE, "Worth knowing.")):
        page.add(stat(f"Firing: {severity}", f"{text} Each alert counts once.", COUNT,
                      now(f'count(max by ({by}) (ALERTS{{alertstate="firing", '
                          f'instance=~"$instance", severity="{severity}"}})) or vector(0)'),
                      spark=False, colored="background", steps=(GREEN, (1, color))), 6, 4)
    page.add(stat("Pending", "Conditions that hold, but not yet for as long as the rule asks.", COUNT,
                  now('count(max by (instance, name, alertname) (ALERTS{alertstate="pending", '
                      'instance=~"$instance"})) or vector(0)'), spark=False,
                  steps=(GREEN, (1, YELLOW))), 6, 4)
    page.add(table(
        "Alerts that fire", "Since when, of which container; docs/alerts.md tells of each why it is "
        "there, when it errs, and what to turn.",
        [("severity", "Severity"), ("alertname", "Alert"), ("instance", "Host"),
         ("name", "Container")],
        [("Fires", COUNT, f"max by ({by}) (ALERTS{{{SEVERITY}}})",
          {"maps": values((1, "yes", RED))}),
         ("Since", SECONDS,
          f'max by ({by}) (time() - ALERTS_FOR_STATE{{instance=~"$instance", '
          'severity=~"$severity"})')],
        sort="Since", links=[ROW_TO_CONTAINER]), 24, 9)


def history(page):
    page.row("How it came about")
    page.add(timeline("Alerts over time", "When each alert was pending or fired.",
                      values((1, "pending", YELLOW), (2, "firing", RED)),
                      q('max by (instance, name, alertname) (\n'
                        '  1 * ALERTS{alertstate="pending", instance=~"$instance", '
                        'severity=~"$severity"}\n'
                        f'  or 2 * ALERTS{{{SEVERITY}}}\n)',
                        "{{alertname}} {{name}} @ {{instance}}"), links=[TO_CONTAINER]), 24, 11)
    page.add(graph("Firing by severity", "Alerts that fire.", COUNT,
                   q(f"count by (severity) (max by (instance, name, alertname, severity) "
                     f"(ALERTS{{{SEVERITY}}}))", "{{severity}}"), stack=True), 8)
    page.add(bars("Which alerts", "How many containers or hosts each alert has named within the "
                  "time that is shown.", COUNT,
                  now("topk(15, count by (alertname) (max by (instance, name, alertname) "
                      f"(max_over_time(ALERTS{{{SEVERITY}}}[$__range]))))", "{{alertname}}"),
                  steps=(ORANGE,)), 8)
    page.add(bars("Which containers", "How many different alerts each has raised within the time "
                  "that is shown.", COUNT,
                  now("topk(15, count by (instance, name) (max by (instance, name, alertname) "
                      f'(max_over_time(ALERTS{{{SEVERITY}, name!=""}}[$__range]))))', CONTAINER),
                  steps=(ORANGE,), links=[TO_CONTAINER]), 8)


def telling(page):
    page.row("Telling people")
    peer = "{{peer}} @ {{instance}}"

    def increase(metric):
        return f"sum by (instance, peer) (increase({metric}{{<h>}}[$__rate_interval]))"
    page.add(graph("Told", "Alerts that Alertmanagers and webhooks were told of.", COUNT,
                   q(increase("tallyman_notifications_sent_total"), peer), bars=True,
                   links=[TO_HOST]))
    page.add(graph("Failed", "Requests to them that failed, and alerts that they were not told of.",
                   COUNT, q(increase("tallyman_notifications_errors_total"), f"{peer}: failed"),
                   q(increase("tallyman_notifications_dropped_total"), f"{peer}: dropped"),
                   bars=True, links=[TO_HOST]))
    page.add(graph("Queue", "How full the queue of each is.", RATIO,
                   q("max by (instance, peer) (tallyman_notifications_queue_length{<h>})\n"
                     "  / max by (instance, peer) (tallyman_notifications_queue_capacity{<h>})",
                     peer), max=1, links=[TO_HOST]))


def judging(page):
    page.row("Judging, in the agents")
    group = "{{rule_group}} @ {{instance}}"
    page.add(graph("Alerts in the agents", "What the agents' own rules say.", COUNT,
                   q("sum by (instance, state) (tallyman_rule_alerts{<h>})",
                     "{{state}} @ {{instance}}"), links=[TO_HOST]), 6)
    page.add(graph("Time for each group", "Duration of the last evaluation of each group of rules.",
                   SECONDS,
                   q("max by (instance, rule_group) (tallyman_rule_group_duration_seconds{<h>})",
                     group), links=[TO_HOST]), 6)
    page.add(graph("Rules that failed", "Evaluations that failed, and those that were left out "
                   "because an earlier one took too long; /api/v1/rules of the agent says why.",
                   COUNT,
                   q("sum by (instance, rule_group) "
                     "(increase(tallyman_rule_evaluation_failures_total{<h>}[$__rate_interval]))",
                     f"{group}: failed"),
                   q("sum by (instance, rule_group) "
                     "(increase(tallyman_rule_group_missed_total{<h>}[$__rate_interval]))",
                     f"{group}: left out"), bars=True, links=[TO_HOST]), 6)
    page.add(graph("Memory for looking back", "How full the memory is in which rules look back.",
                   RATIO,
                   q("max by (instance) (tallyman_rule_history_bytes{<h>})\n"
                     "  / max by (instance) (tallyman_rule_history_bytes_max{<h>})", HOST),
                   max=1, links=[TO_HOST]), 6)
