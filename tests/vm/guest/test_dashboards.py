"""What the agent says of a container that runs into each of its limits, second by second: recorded
for a Prometheus outside of the VM, which dashboards ask (tests/vm/replay.py)."""

import base64
import gzip
import json

import host
import house
import limits

CONTROLLERS = {"cpu", "io", "memory", "pids"}
LINE = 60000  # characters of the record in one line
# What has to have grown while it was recorded.
GROWING = ["container_oom_events_total", "container_memory_events_max_total",
           "container_cpu_cfs_throttled_periods_total", "container_fs_reads_bytes_total",
           "container_fs_writes_bytes_total"]


class Dashboards(house.Beside):
    def test_a_record_of_a_container_at_its_limits(self):
        container = self.container("web", limits.script(CONTROLLERS),
                                   HostConfig=limits.settings(CONTROLLERS))
        texts = []
        self.record_growth(texts, GROWING)
        # At its limit of processes it does nothing else any more.
        host.await_that("a program starts in it", lambda: self.starts(container), pace=1)
        self.record_growth(texts, ["container_pids_limit_hits_total"])
        packed = base64.b64encode(gzip.compress(json.dumps(texts).encode())).decode()
        for start in range(0, len(packed), LINE):
            print(f"RECORD {packed[start:start + LINE]}", flush=True)
        print("RECORD ", flush=True)  # its end
        self.notes.append(f"{len(texts)} answers, {len(packed)} characters")

    def starts(self, container):
        """Or not: at its limit of memory what is being started may be what the kernel ends."""
        made = self.engine.post(f"/containers/{container}/exec",
                                {"Cmd": ["sh", "-c", limits.FORK], "AttachStdout": True})
        self.engine.post(f"/exec/{made['Id']}/start", {"Detach": True})
        return True

    def record_growth(self, texts, families):
        """Records until each family is above the first number that was recorded of it."""
        first, lacking = {}, []

        def grown():
            texts.append(self.agent.get("/metrics"))
            now = {}
            for (family, labels), value in host.parse_metrics(texts[-1]).items():
                if family in families and ("name", "web") in labels:
                    now[family] = now.get(family, 0) + value
            for family, value in now.items():
                first.setdefault(family, value)
            lacking[:] = [family for family in families
                          if family not in now or now[family] <= first[family]]
            return not lacking
        try:
            host.await_that("all has grown", grown, 120, pace=1)
        except AssertionError:
            self.fail(f"not grown: {lacking}")
