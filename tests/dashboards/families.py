"""What docs/metrics.md says of each family: its type, its labels, its unit."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTAINER_LABELS = {
    "id", "name", "image", "container_label_com_docker_compose_project",
    "container_label_com_docker_compose_service", "container_label_com_docker_swarm_service_name",
    "container_label_com_docker_swarm_task_name", "container_label_tallyman_alerts_off"}
TARGET_LABELS = {"job", "instance"}

# Series that Prometheus makes itself.
PROMETHEUS = {"up": "gauge", "scrape_duration_seconds": "gauge"}
# Names from before units stood in names.
BYTES = {"container_memory_rss", "container_memory_cache", "container_memory_swap",
         "container_memory_mapped_file", "container_memory_kernel_usage"}
CORES = {"container_cpu_effective_cores", "machine_cpu_cores"}
MOMENTS = re.compile(r"(_timestamp_seconds|_time_seconds|^container_last_seen|^ALERTS_FOR_STATE)$")
CPU_TIME = re.compile(r"(_cpu_(usage|user|system)_seconds_total|^process_cpu_seconds_total"
                      r"|^machine_cpu_seconds_total|_posture_cpu_seconds_total)$")


@dataclasses.dataclass
class Family:
    name: str
    kind: str
    labels: set
    group: str

    @property
    def unit(self):
        if MOMENTS.search(self.name):
            return "timestamp"
        if CPU_TIME.search(self.name):
            return "cpu"
        if self.name in BYTES or re.search(r"_bytes(_total|_max)?$", self.name):
            return "bytes"
        if re.search(r"_seconds(_total)?$", self.name):
            return "s"
        return "cores" if self.name in CORES else "count"


def read(path=ROOT / "docs" / "metrics.md"):
    """{name: Family} of every family, and of what Prometheus and the shipped rules add."""
    found = {name: Family(name, kind, set(TARGET_LABELS), "prometheus")
             for name, kind in PROMETHEUS.items()}
    section = group = ""
    for line in pathlib.Path(path).read_text(encoding="utf-8").split("\n"):
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("Group `"):
            group = line.split("`")[1]
        elif line.startswith("Always there"):
            group = "always"
        row = re.match(r"\| `([a-zA-Z_]\w*)` \| (counter|gauge|info)[^|]*\| ([^|]*) \|", line)
        if not row or section.startswith("What cAdvisor"):
            continue
        labels = set(re.findall(r"`(\w+)`", row[3])) | TARGET_LABELS
        if section == "Containers":
            labels |= CONTAINER_LABELS
        found[row[1]] = Family(row[1], row[2], labels, group)
    for name in ("ALERTS", "ALERTS_FOR_STATE"):  # and the labels of whatever the alert is about
        found[name].labels |= CONTAINER_LABELS | {"severity", "destination", "check", "collector",
                                                  "peer", "action", "image", "user"}
    return found
