"""Life of containers: health checks, restarts, ends, what people and the engine did."""

from parts import *  # noqa: F403 - the words of this language


def page():
    page = Page("tallyman-health", "Tallyman / Health and events",
                "Which containers are healthy, which restarted or ended and why, who ran something "
                "in them, what the engine did.",
                [JOB, INSTANCE, PROJECT, NAME_IN_PROJECT],
                [STARTS, OOM_KILLS, ALERTS_OF_CONTAINERS])
    health(page)
    restarts(page)
    ends(page)
    people(page)
    engine(page)
    return page


def health(page):
    page.row("Health")
    for title, status, color, text in (
            ("Healthy", "healthy", GREEN, "Containers whose last health checks passed."),
            ("Starting", "starting", YELLOW, "Containers that were started so lately that a failed "
             "check does not count yet."),
            ("Unhealthy", "unhealthy", RED, "Containers whose last health checks failed."),
            ("Without a check", "none", GREY, "Containers of which nobody knows whether they do "
             "what they should.")):
        page.add(stat(title, text, COUNT,
                      q(f'sum(container_health_status{{<c>, status="{status}"}})'),
                      steps=(GREY, (1, color))), 4, 4)
    page.add(stat("Longest without a check", "Time since the last health check of the container "
                  "that was left alone for longest: the engine does not come to it.", SECONDS,
                  now("max(time() - container_health_last_probe_time_seconds{<c>} "
                      'and on (instance, id) container_state{<c>, state="running"} == 1)'),
                  spark=False), 4, 4)
    page.add(stat("Ended by themselves", "Ends of containers that were not asked for, within the "
                  "time that is shown: all exit codes but 0 and 143.", COUNT,
                  now('sum(increase(container_exits_total{<c>, exit_code!~"0|143"}[$__range]))'),
                  spark=False, decimals=0, steps=(GREEN, (0.5, ORANGE))), 4, 4)
    page.add(timeline("Health", "What the health checks say, of containers that have one.",
                      HEALTH_WORDS, q(coded("container_health_status", "status", HEALTH) + " > 0",
                                      CONTAINER), links=[TO_CONTAINER]), 24, 9)
    page.add(graph("Failures in a row", "Health checks that failed one after another; how many "
                   "make a container unhealthy is its own setting.", COUNT,
                   q("max by (instance, name) (container_health_failing_streak{<c>}) > 0",
                     CONTAINER), links=[TO_CONTAINER], wide=True), 12)
    page.add(timeline("State", "What the engine says that each container does.", STATE_WORDS,
                      q(coded("container_state", "state", STATES), CONTAINER),
                      links=[TO_CONTAINER]), 12)


def restarts(page):
    page.row("Restarts and kills")
    page.add(graph("Restarts", "Restarts by restart policies.", COUNT,
                   q("sum by (instance, name) (increase(container_restarts_total{<c>}"
                     "[$__rate_interval])) > 0", CONTAINER), bars=True, links=[TO_CONTAINER]))
    page.add(graph("OOM kills", "Processes that the kernel killed for lack of memory, counted over "
                   "restarts of the container.", COUNT,
                   q("sum by (instance, name) (increase(container_oom_events_total{<c>}"
                     "[$__rate_interval])) > 0", CONTAINER), bars=True, links=[TO_CONTAINER]))
    page.add(bars("Restarts of each", "Within the time that is shown, most first.", COUNT,
                  now("topk(15, sum by (instance, name) (increase(container_restarts_total{<c>}"
                      "[$__range])) > 0)", CONTAINER), decimals=0, links=[TO_CONTAINER],
                  steps=(YELLOW, (3, ORANGE), (10, RED))))


def ends(page):
    page.row("Ends")
    page.add(graph("Ends by exit code", "137 is a kill (SIGKILL, lack of memory among its causes), "
                   "139 a crash, 143 a stop that was asked for, 126 and 127 a command that could "
                   "not be run.", COUNT,
                   q("sum by (instance, name, exit_code) (increase(container_exits_total{<c>}"
                     "[$__rate_interval])) > 0", f"{CONTAINER}: {{{{exit_code}}}}"), bars=True,
                   links=[TO_CONTAINER]))
    by = "max by (instance, name, image)"
    stopped = ' unless on (instance, id) (container_state{<c>, state="running"} == 1)'
    page.add(table(
        "Containers that do not run", "How they ended, and whether they are meant to run.",
        [("instance", "Host"), ("image", "Image"), ("name", "Container")], [
            ("Exit code", COUNT, f"{by} (container_exit_code{{<c>}}{stopped})",
             {"steps": (GREEN, (1, ORANGE))}),
            ("Ended", AGO, f"{by} (container_finished_time_seconds{{<c>}}{stopped}) * 1000"),
            ("OOM killed", COUNT, f"{by} (container_oom_killed{{<c>}}{stopped})",
             {"maps": values((0, "no", GREEN), (1, "yes", RED))}),
            ("Meant to run", COUNT, f"{by} (container_desired_running{{<c>}}{stopped})",
             {"maps": values((0, "no", GREEN), (1, "yes", RED))}),
        ], sort="Ended", links=[ROW_TO_CONTAINER]), 16)


def people(page):
    page.row("What people did")
    page.add(graph("Processes started from outside", "docker exec and the like, without health "
                   "checks, by user.", COUNT,
                   q('sum by (instance, name, user) (increase(container_exec_total{<c>, '
                     'source="api"}[$__rate_interval])) > 0', f"{CONTAINER} as {{{{user}}}}"), bars=True,
                   links=[TO_CONTAINER]))
    page.add(table("Who was in where", "Processes that were started from outside within the time "
                   "that is shown: with a terminal somebody sat at it, and with privileges it could "
                   "do what root of the host can.",
                   [("instance", "Host"), ("user", "User"), ("tty", "Terminal"),
                    ("privileged", "Privileged"), ("name", "Container")],
                   [("Times", COUNT, 'sum by (instance, name, user, tty, privileged) '
                     '(increase(container_exec_total{<c>, source="api"}[$__range])) > 0')],
                   sort="Times", links=[ROW_TO_CONTAINER]), 16)


def engine(page):
    page.row("The engine")
    page.add(graph("Events", "Events of the engine by type and action, those of health checks "
                   "apart.", COUNT,
                   q('sum by (instance, type, action) (increase(docker_events_total{<h>, '
                     'action!~"exec_.*|health_status.*"}[$__rate_interval])) > 0',
                     "{{type}} {{action}} @ {{instance}}"), bars=True, wide=True), 16)
    page.add(timeline("Engine answers", "Whether the Docker engine answers the agent. Containers "
                      "run on without it, but nothing new is known of them.", YES_NO,
                      q("max by (instance) (tallyman_docker_up{<h>})", HOST)), 8)
