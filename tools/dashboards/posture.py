"""How safely containers are set up, and what is known of vulnerabilities in their images."""

from parts import *  # noqa: F403 - the words of this language

SEVERITY_STEPS = {"critical": RED, "high": ORANGE, "medium": YELLOW, "low": BLUE}


def page():
    page = Page("tallyman-posture", "Tallyman / Posture and vulnerabilities",
                "How safely containers, images and the engine are set up, what got worse, and what "
                "scanners found in the images.",
                [JOB, INSTANCE, PROJECT, NAME_IN_PROJECT], [STARTS, ALERTS_OF_CONTAINERS])
    score(page)
    checks(page)
    suspects(page)
    vulnerabilities(page)
    return page


def score(page):
    page.row("Score")
    page.add(gauge("Score", "The share of what passes in all that could be decided, by weight, from "
                   "0 to 100; of several hosts the lowest.", "none",
                   now("min(posture_score{<h>})"), min=0, max=100,
                   steps=(RED, (50, ORANGE), (70, YELLOW), (85, GREEN))), 4, 8)
    for severity, color in SEVERITY_STEPS.items():
        page.add(stat(f"Failed: {severity}", f"Checks of severity {severity} that fail, over all "
                      "containers, images, engines and hosts.", COUNT,
                      q(f'sum(posture_checks{{<h>, status="fail", severity="{severity}"}})'),
                      steps=(GREEN, (1, color))), 3, 8)
    page.add(graph("Score over time", "A step down: something was changed, or something unsafe was "
                   "started.", "none", q("max by (instance) (posture_score{<h>})", HOST), max=100),
             8, 8)
    page.add(graph("Verdicts", "Of all checks, by what came of them: unknown is what the agent could "
                   "not look at.", COUNT,
                   q("sum by (status) (posture_checks{<h>})", "{{status}}"), stack=True), 12, 8)
    page.add(graph("Failed checks of each container", "It is set up less safely where the line goes "
                   "up while it runs.", COUNT,
                   q("sum by (instance, name) (posture_check_failed{<c>})", CONTAINER),
                   links=[TO_CONTAINER]), 8, 8)
    page.add(stat("Since the last sweep", "Time since everything was last judged, on the host where "
                  "that is longest; posture.sweep says how long it may be.", SECONDS,
                  now("max(time() - posture_last_sweep_timestamp_seconds{<h>})"), spark=False), 4, 8)


def checks(page):
    page.row("Checks that fail")
    page.add(table("Failed checks", "`tallyman audit` tells of each why it fails and how to mend "
                   "it; docs/posture.md lists them and tells how to waive one.",
                   [("severity", "Severity"), ("check", "Check"), ("instance", "Host"),
                    ("name", "Container")],
                   [("Fails", COUNT, "max by (instance, name, check, severity) "
                     "(posture_check_failed{<c>})", {"maps": values((1, "fails", RED))})],
                   sort="Severity", links=[ROW_TO_CONTAINER]), 14, 12)
    page.add(bars("Most common", "How many containers fail each check: what is worth mending in a "
                  "template.", COUNT,
                  now("topk(20, count by (check, severity) (posture_check_failed{<c>}))",
                      "{{check}} ({{severity}})"), steps=(ORANGE,)), 10, 12)
    page.add(table("Waived checks", "Checks that fail and may, by the configuration's word.",
                   [("severity", "Severity"), ("check", "Check"), ("instance", "Host"),
                    ("name", "Container")],
                   [("Waived", COUNT, "max by (instance, name, check, severity) "
                     "(posture_check_waived{<c>})", {"maps": values((1, "waived", BLUE))})],
                   sort="Severity", links=[ROW_TO_CONTAINER]), 14, 7)
    page.add(graph("Cost of the audit", "CPU time for reading procfs and judging.", CORES,
                   q("sum by (instance) (rate(tallyman_posture_cpu_seconds_total{<h>}"
                     "[$__rate_interval]))", HOST), links=[TO_HOST]), 10, 7)


def suspects(page):
    page.row("Suspicious processes")
    page.add(graph("Miners", "Processes that are known as miners, by their name or by the address "
                   "of a pool.", COUNT,
                   q("sum by (instance, name, kind) (container_suspicious_processes{<c>}) > 0",
                     f"{CONTAINER}: {{{{kind}}}}"), links=[TO_CONTAINER]), 12, 7)
    page.add(graph("Programs that are no file any more", "Processes whose executable was removed or "
                   "never was on a disk: what droppers do, and updates in place.", COUNT,
                   q("sum by (instance, name) (container_processes_deleted_exe{<c>}) > 0",
                     CONTAINER), links=[TO_CONTAINER]), 12, 7)


def vulnerabilities(page):
    page.row("Vulnerabilities in images")
    newest = "max by (image, image_id, severity, fixable) (image_vulnerabilities{<h>"
    page.add(stat("Critical with a fix", "Different critical vulnerabilities for which there is a "
                  "fix, over all images of containers.", COUNT,
                  q(f'sum({newest}, severity="critical", fixable="true"}}))'),
                  steps=(GREEN, (1, RED))), 4, 4)
    page.add(stat("Images never scanned", "Images of containers that no report is about.", COUNT,
                  q("sum(max by (image, image_id) (image_unscanned{<h>}))"),
                  steps=(GREEN, (1, ORANGE))), 4, 4)
    page.add(stat("Oldest scan", "What became known since is not in it.", SECONDS,
                  now("max(time() - image_scan_timestamp_seconds{<h>})"), spark=False,
                  steps=(GREEN, (7 * 86400, ORANGE))), 4, 4)
    page.add(graph("By severity", "Different vulnerabilities over all images of containers.", COUNT,
                   q(f"sum by (severity) ({newest}}}))", "{{severity}}"), stack=True), 12, 8)
    columns = [(severity.capitalize(), COUNT,
                f'sum by (image) ({newest}, severity="{severity}"}}))',
                {"steps": (GREEN, (1, color))}) for severity, color in SEVERITY_STEPS.items()]
    page.add(table("Images", "Vulnerabilities by severity, those with a fix beside them, and how old "
                   "the report is.", [("image", "Image")], [
                       *columns,
                       ("With a fix", COUNT, f'sum by (image) ({newest}, fixable="true"}}))'),
                       ("Scanned", AGO,
                        "max by (image) (image_scan_timestamp_seconds{<h>}) * 1000"),
                   ], sort="Critical"), 16, 10)
    page.add(table("Reports", "Who scanned, and by what the report was joined to the image: a tag "
                   "may have moved on since.",
                   [("image", "Image"), ("scanner", "Scanner"), ("version", "Version"),
                    ("match", "Joined by")],
                   [("Reports", COUNT, "count by (image, scanner, version, match) "
                     "(image_scan_info{<h>})")]), 8, 10)
