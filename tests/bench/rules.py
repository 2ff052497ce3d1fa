#!/usr/bin/python3
"""What the shipped rules cost Tallyman and what they cost Prometheus, on the same series.

An exporter serves the series of many containers, which change every ten seconds. Two Prometheus
servers scrape it, one with the rules and one without: the difference of their CPU time is what the
rules cost. Then the agent's engine of rules gets the same samples at the same distances. Both take
the files as they are shipped, with their intervals. Fails if the agent takes more than a fifth.

usage: rules.py BENCH_GROUPS [--containers N] [--warm SECONDS] [--measure SECONDS]
"""

import argparse
import contextlib
import functools
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]
import host  # noqa: E402

RULES = [ROOT / "dashboards" / "prometheus" / name for name in ("recording.yml", "alerts.yml")]
STEP_S = 10
START_MS = 1_700_000_000_000
SHARE_MAX = 1 / 5

# Families of each container: further labels, value, growth for each step, and how much of the growth
# comes and goes. What stands still on a healthy host stands still here.
FAMILIES = {
    "container_cpu_cfs_periods_total": ("", 1000, 100, 0),
    "container_cpu_cfs_throttled_periods_total": ("", 100, 2, 1),
    "container_cpu_effective_cores": ("", 2, 0, 0),
    "container_cpu_usage_seconds_total": (',cpu="total"', 500, 3, 0.5),
    "container_desired_running": ("", 1, 0, 0),
    "container_exec_total":
        (',source="api",user="root",tty="false",privileged="false"', 0, 0, 0),
    "container_exits_total": (',exit_code="0"', 0, 0, 0),
    "container_fs_writable_layer_bytes": ("", 1_000_000, 0, 0),
    "container_fs_writes_bytes_total": (',device="/dev/sda"', 1e6, 40_960, 0.9),
    "container_foreign_processes": ("", 0, 0, 0),
    "container_health_failing_streak": ("", 0, 0, 0),
    "container_health_state": ("", 1, 0, 0),
    "container_last_seen": ("", 1.7e9, 10, 0),
    "container_log_bytes_total": ("", 100_000, 500, 0.9),
    "container_log_file_bytes": ("", 100_000, 500, 0.9),
    "container_log_gaps_total": (',reason="removed"', 0, 0, 0),
    "container_log_lag_seconds": (',destination="central"', 0, 0, 0),
    "container_log_rotation_enabled": ("", 1, 0, 0),
    "container_memory_rss": ("", 50e6, 1000, 40),
    "container_memory_working_set_bytes": ("", 60e6, 1000, 40),
    "container_network_receive_bytes_total": (',interface="eth0"', 1e6, 100_000, 0.9),
    "container_network_tcp_usage_total": (',tcp_state="synsent"', 0, 0, 0),
    "container_network_transmit_bytes_total": (',interface="eth0"', 1e6, 90_000, 0.9),
    "container_oom_events_total": ("", 0, 0, 0),
    "container_pids_limit_hits_total": ("", 0, 0, 0),
    "container_pressure_io_stalled_seconds_total": ("", 1, 0.001, 0.9),
    "container_pressure_memory_stalled_seconds_total": ("", 0, 0, 0),
    "container_processes_deleted_exe": ("", 0, 0, 0),
    "container_processes_not_in_image": ("", 0, 0, 0),
    "container_published_ports": ("", 1, 0, 0),
    "container_remote_endpoints": ("", 20, 0, 0),
    "container_restarts_total": ("", 0, 0, 0),
    "container_spec_cpu_quota": ("", 200_000, 0, 0),
    "container_spec_memory_limit_bytes": ("", 512e6, 0, 0),
    "container_start_time_seconds": ("", 1.69e9, 0, 0),
    "container_state": (',state="running"', 1, 0, 0),
    "container_suspicious_connections": (',kind="miner_port"', 0, 0, 0),
    "container_suspicious_processes": (',kind="miner"', 0, 0, 0),
    "container_threads": ("", 12, 0, 0),
    "container_threads_max": ("", 500, 0, 0),
    "container_zombies": ("", 0, 0, 0),
    "posture_check_failed": (',check="container.no-new-privileges",severity="medium"', 1, 0, 0),
}


def labels(number):
    service = f"service-{number % 100}"
    return (f'id="/docker/{number:064x}",image="registry.example.com/team/{service}:1.24.3",'
            f'name="project-{service}-{number // 100}",'
            f'container_label_com_docker_compose_project="project",'
            f'container_label_com_docker_compose_service="{service}"')


class Series:
    """The containers' series and their values at any step."""

    def __init__(self, containers):
        self.rows = []
        for family, (more, value, growth, noise) in FAMILIES.items():
            for number in range(containers):
                self.rows.append((f"{family}{{{labels(number)}{more}}}", value + number % 7 * growth,
                                  growth, noise, number))

    @staticmethod
    def value(row, step):
        _, value, growth, noise, number = row
        if growth == 0:
            return f"{value:g}" if value < 1e6 else f"{value:.0f}"
        swing = (number * 7919 + step * 104_729) % 1000 / 1000 - 0.5
        return f"{value + growth * (step + noise * swing):.3f}"

    @functools.lru_cache(maxsize=2)  # noqa: B019 (one object, as long as the program)
    def text(self, step):
        return "".join([f"{row[0]} {self.value(row, step)}\n" for row in self.rows]).encode()

    def write(self, path, steps):
        with open(path, "w", encoding="utf-8") as file:
            for row in self.rows:
                points = "\t".join([f"{START_MS + step * STEP_S * 1000} {self.value(row, step)}"
                                    for step in range(steps)])
                file.write(f"{row[0]}\t{points}\n")


@contextlib.contextmanager
def exporter(series):
    begin = time.monotonic()
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with lock:
                text = series.text(int((time.monotonic() - begin) / STEP_S))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a server that ends asks for no more
                self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Prometheus:
    def __init__(self, folder, target, rules):
        folder.mkdir()
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": f"{STEP_S}s", "scrape_timeout": f"{STEP_S}s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [{"job_name": "tallyman",
                                "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
        }), encoding="utf-8")
        self.port = host.free_port()
        self.program = host.Program(
            folder.name, ["prometheus", f"--config.file={folder / 'prometheus.yml'}",
                          f"--storage.tsdb.path={folder / 'data'}",
                          f"--web.listen-address=127.0.0.1:{self.port}"], folder)
        host.await_that("Prometheus answers", lambda: self.metrics() is not None, 60)

    def metrics(self):
        """(CPU seconds, evaluations of rules, evaluations that failed), or None."""
        try:
            url = f"http://127.0.0.1:{self.port}/metrics"
            with urllib.request.urlopen(url, timeout=10) as reply:
                text = reply.read().decode()
        except OSError:
            return None

        def total(name):
            return sum(float(value) for value in
                       re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))

        return (total("process_cpu_seconds_total"), total("prometheus_rule_evaluations_total"),
                total("prometheus_rule_evaluation_failures_total"))


def passed(what, seconds):
    end = time.monotonic() + seconds
    host.await_that(what, lambda: time.monotonic() >= end, seconds + 60, 0.25)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("bench_groups")
    parser.add_argument("--containers", type=int, default=1000)
    parser.add_argument("--warm", type=int, default=330, help="the longest window and a little")
    parser.add_argument("--measure", type=int, default=180)
    options = parser.parse_args()
    series = Series(options.containers)
    with host.scratch() as folder, exporter(series) as port:
        ruled = Prometheus(folder / "ruled", port, RULES)
        plain = Prometheus(folder / "plain", port, [])
        try:
            passed("the windows are full", options.warm)
            before = [server.metrics() for server in (ruled, plain)]
            began = time.monotonic()
            passed("enough was evaluated", options.measure)
            after = [server.metrics() for server in (ruled, plain)]
            seconds = time.monotonic() - began
        finally:
            ruled.program.stop()
            plain.program.stop()
        with_rules, without = (theirs[0] - ours[0] for theirs, ours in zip(after, before))
        evaluations = after[0][1] - before[0][1]
        assert after[0][2] == 0, "rules failed in Prometheus"
        samples = folder / "samples"
        series.write(samples, (options.warm + options.measure) // STEP_S + 1)
        own = json.loads(subprocess.run(
            [options.bench_groups, samples, str(START_MS + options.warm * 1000),
             *map(str, RULES)], check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert own["failed"] == 0, "rules failed in the agent"
    theirs = (with_rules - without) / evaluations
    mine = own["cpu_seconds"] / own["evaluations"]
    print(f"{options.containers} containers, {len(series.rows)} series; CPU time a minute: "
          f"Prometheus {with_rules / seconds * 60:.2f} s with the rules, "
          f"{without / seconds * 60:.2f} s without, {evaluations / seconds * 60:.0f} evaluations; "
          f"Tallyman's rules {own['cpu_seconds'] / own['seconds'] * 60:.3f} s, "
          f"{own['evaluations'] / own['seconds'] * 60:.0f} evaluations, {own['series']} series in "
          f"{own['bytes'] / 1e6:.1f} MB")
    print(f"an evaluation of a rule: Prometheus {theirs * 1000:.2f} ms, Tallyman {mine * 1000:.3f} "
          f"ms: 1/{theirs / mine:.0f}")
    return 0 if mine <= theirs * SHARE_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
