"""Sizes on disk on a real engine, beside what du(1) and the engine itself say of them."""

import pathlib
import subprocess
import time

import host
from test_chain import SANITIZED, Chain

MIB = 1 << 20
QUICK = {"interval": "1s", "entries_per_second": 100000}


def du(*paths):
    """Bytes on disk, as du(1) counts them: each file once, no other file system."""
    out = subprocess.check_output(["du", "-sxc", "-B1", *map(str, paths)], text=True)
    return int(out.splitlines()[-1].split()[0])


def inodes(path):
    out = subprocess.check_output(["du", "-sx", "--inodes", str(path)], text=True)
    return int(out.split()[0])


class Sizes(Chain):
    def upper(self, container):
        return pathlib.Path(self.engine.inspect(container)["GraphDriver"]["Data"]["UpperDir"])

    def folder(self, container):
        return self.engine.data_root / "containers" / container

    def volume(self, name):
        self.engine.post("/volumes/create", {"Name": name})
        self.addCleanup(self.engine.request, "DELETE", f"/volumes/{name}?force=1")
        return self.engine.data_root / "volumes" / name / "_data"

    def df(self):
        return self.engine.get("/system/df")

    def test_layer_volume_and_logs(self):
        data = self.volume("measured")
        agent = self.agent(SANITIZED, disk=QUICK).start()
        container = self.container(
            "writer", "dd if=/dev/urandom of=/big bs=1048576 count=50 2>/dev/null; mkdir /many; "
            "for i in $(seq 200); do echo $i >/many/$i; done; ln /big /many/again; rm -r /tmp; "
            "dd if=/dev/urandom of=/data/half bs=1048576 count=25 2>/dev/null; ln -s / /data/root; "
            "for i in $(seq 20000); do echo 'a line of the log, one of many'; done; "
            "echo done; sync; exec sleep 1000",
            HostConfig={"NetworkMode": "none", "Binds": ["measured:/data"]})
        value = lambda family, **labels: agent.value(family, name="writer", **labels)
        log = self.folder(container) / f"{container}-json.log"
        host.await_that("all is written", lambda: log.exists() and
                        b'"done\\n"' in log.read_bytes()[-200:])
        upper = self.upper(container)
        host.await_that("the layer is measured", lambda: value(
            "container_fs_writable_layer_bytes") == du(upper))
        self.assertGreaterEqual(du(upper), 50 * MIB)
        self.assertLess(du(upper), 52 * MIB)
        self.assertEqual(value("container_fs_writable_layer_inodes"), inodes(upper))
        self.assertEqual(value("container_fs_measurement_complete"), 1)
        host.await_that("the log is measured", lambda: value(
            "container_log_file_bytes") == du(log))
        self.assertGreater(du(log), MIB)
        # As cAdvisor has it: the layer, and Docker's folder of the container.
        self.assertEqual(value("container_fs_usage_bytes"), du(upper) + du(self.folder(container)))
        host.await_that("the volume is measured", lambda: agent.value(
            "docker_volume_usage_bytes", name="measured") == du(data))
        self.assertGreaterEqual(du(data), 25 * MIB)
        self.assertEqual(agent.value("docker_volume_inodes", name="measured"), inodes(data))
        # The engine counts bytes of content, not blocks on disk.
        rows = self.engine.get("/containers/json?size=1")
        content = next(row["SizeRw"] for row in rows if row["Id"] == container)
        self.assertLess(abs(content - du(upper)), 2 * MIB)
        volumes = {row["Name"]: row["UsageData"]["Size"] for row in self.df()["Volumes"]}
        self.assertLess(abs(volumes["measured"] - du(data)), MIB)
        self.notes.append(f"docker ps -s: {content}, du: {du(upper)}; "
                          f"docker system df -v: {volumes['measured']}, du: {du(data)}")

    def test_each_size_tells_its_age(self):
        self.volume("dated")
        before = time.time()
        agent = self.agent(SANITIZED, disk=QUICK).start()
        self.container("dated", "echo a line; exec sleep 1000",
                       HostConfig={"NetworkMode": "none", "Binds": ["dated:/data"]})
        ages = [("container_fs_measured_timestamp_seconds", "dated"),
                ("container_log_file_measured_timestamp_seconds", "dated"),
                ("docker_volume_measured_timestamp_seconds", "dated")]
        for family, name in ages:
            first = host.await_that(f"{family} is there", lambda family=family, name=name:
                                    agent.value(family, name=name))
            self.assertGreaterEqual(first, int(before))
            later = host.await_that(f"{family} rises", lambda family=family, name=name:
                                    agent.value(family, name=name) > first and
                                    agent.value(family, name=name))
            self.assertLessEqual(later, time.time())

    def test_the_file_system_behind(self):
        agent = self.agent(disk=QUICK).start()
        container = self.container("placed", "echo >/x; exec sleep 1000")
        host.await_that("it is measured", lambda: agent.values(
            "container_fs_limit_bytes", name="placed"))
        upper = self.upper(container)
        source, size, total = subprocess.check_output(
            ["df", "-B1", "--output=source,size,itotal", str(upper)],
            text=True).splitlines()[-1].split()
        self.assertEqual(agent.value("container_fs_limit_bytes", name="placed", device=source),
                         int(size))
        if total not in ("-", "0"):
            self.assertEqual(agent.value("container_fs_inodes_total", name="placed",
                                         device=source), int(total))
        for labels in agent_labels(agent, "container_fs_limit_bytes", id="/"):
            self.assertIn("device", labels)

    def test_both_drivers_rotated_files_included(self):
        agent = self.agent(disk=QUICK).start()
        script = ("for i in $(seq 3000); do echo \"line $i of the log, and some more text\"; done; "
                  "exec sleep 1000")
        for driver in ("json-file", "local"):
            container = self.container(f"logs-{driver}", script, HostConfig={
                "NetworkMode": "none",
                "LogConfig": {"Type": driver, "Config": {"max-size": "20k", "max-file": "4"}}})
            folder = self.folder(container)
            pattern = "*-json.log*" if driver == "json-file" else "local-logs/*"
            host.await_that("it has rotated", lambda f=folder, p=pattern: len(
                list(f.glob(p))) == 4)
            host.await_that("its files are measured", lambda f=folder, p=pattern, d=driver:
                            agent.value("container_log_file_bytes", name=f"logs-{d}") ==
                            du(*f.glob(p)))
            self.assertEqual(agent.value("container_log_rotation_enabled",
                                         name=f"logs-{driver}"), 1)

    def test_measuring_stands_in_nobodys_way(self):
        """Containers with many files are removed while they are walked through."""
        agent = self.agent(SANITIZED, disk={"interval": "1s", "entries_per_second": 2000}).start()
        for number in range(5):
            container = self.engine.run(
                f"brief-{number}", "i=0; while [ $i -lt 300 ]; do mkdir /d$i; echo >/d$i/f; "
                "i=$((i+1)); done; exec sleep 1000")
            before = agent.value("tallyman_disk_entries_total")
            host.await_that("a walk is under way", lambda b=before: agent.value(
                "tallyman_disk_entries_total") > b)
            upper = self.upper(container)
            self.engine.remove(container)  # raises if the engine could not
            self.assertFalse(upper.exists())
            host.await_that("it is gone", lambda n=number: not agent.values(
                "container_fs_usage_bytes", name=f"brief-{n}"))
        self.assertEqual(agent.value("tallyman_disk_unreadable_entries_total"), 0)
        self.assertEqual(agent.value("tallyman_collector_errors_total", collector="disk"), 0)

    def test_volumes_that_are_mounts_are_left_alone(self):
        agent = self.agent(disk=QUICK).start()
        self.engine.post("/volumes/create", {"Name": "elsewhere", "DriverOpts": {
            "type": "tmpfs", "device": "tmpfs", "o": "size=1m"}})
        self.addCleanup(self.engine.request, "DELETE", "/volumes/elsewhere?force=1")
        data = self.volume("here")
        (data / "file").write_bytes(b"x" * 5000)
        self.container("mounting", "exec sleep 1000", HostConfig={
            "NetworkMode": "none", "Binds": ["elsewhere:/e"]})
        host.await_that("the one here is measured", lambda: agent.value(
            "docker_volume_usage_bytes", name="here") == du(data))
        host.await_that("the other one is not", lambda: agent.value(
            "tallyman_disk_volumes_skipped") == 1 and not agent.values(
                "docker_volume_usage_bytes", name="elsewhere"))

    def test_a_stopped_container_keeps_its_size(self):
        agent = self.agent(disk=QUICK).start()
        container = self.container("ended", "dd if=/dev/urandom of=/f bs=1024 count=100 2>/dev/null")
        self.engine.wait(container)
        upper = self.upper(container)
        host.await_that("it is measured", lambda: agent.value(
            "container_fs_writable_layer_bytes", name="ended") == du(upper))
        self.assertGreater(du(upper), 100 * 1024)

    def test_the_layer_by_the_process(self):
        """Without the engine's word for it, as with containerd's image store: by the mounts of the
        container's process."""
        agent = self.agent(disk=QUICK, docker={"host": ""}).start()
        container = self.container("silent", "dd if=/dev/urandom of=/f bs=1024 count=100 "
                                   "2>/dev/null; exec sleep 1000")
        host.await_that("it has written", lambda: (self.upper(container) / "f").stat().st_size ==
                        100 * 1024)
        host.await_that("it is measured", lambda: agent.value(
            "container_fs_writable_layer_bytes", name="silent") == du(self.upper(container)))

    def test_system_df(self):
        data = self.volume("counted")
        (data / "file").write_bytes(b"x" * 100000)
        container = self.container("sized", "head -c 70000 /dev/zero >/f; exec sleep 1000",
                                   HostConfig={"NetworkMode": "none", "Binds": ["counted:/c"]})
        host.await_that("it has written", lambda: (self.upper(container) / "f").stat().st_size ==
                        70000)
        agent = self.agent(SANITIZED, groups={"enable": ["system_df"]},
                           docker={"system_df_interval": "1s"}).start()
        value = lambda family, kind: agent.value(f"docker_system_df_{family}", type=kind)
        host.await_that("the engine has told", lambda: value("objects", "networks") == len(
            self.engine.get("/networks")))
        df = self.df()
        self.assertEqual(value("objects", "images"), len(df["Images"]))
        self.assertEqual(value("size_bytes", "images"), df["LayersSize"])
        self.assertEqual(value("objects", "containers"), 1)
        self.assertEqual(value("active_objects", "containers"), 1)
        self.assertEqual(value("size_bytes", "containers"), 70000)
        self.assertEqual(value("reclaimable_bytes", "containers"), 0)
        self.assertEqual(value("size_bytes", "volumes"), 100000)
        self.assertEqual(value("active_objects", "volumes"), 1)
        self.assertGreater(agent.value("docker_system_df_measured_timestamp_seconds"), 1e9)
        self.engine.remove(container)
        host.await_that("the volume can be won back", lambda: value(
            "reclaimable_bytes", "volumes") == 100000)

    def test_switched_off(self):
        agent = self.agent(disk=QUICK, groups={"disable": ["disk"]}).start()
        self.container("unmeasured", "exec sleep 1000")
        host.await_that("it is seen", lambda: agent.value(
            "container_state", name="unmeasured", state="running") == 1)
        names = {name for name, _ in agent.metrics()}
        self.assertFalse({name for name in names if "disk_" in name and "tallyman" in name or
                          "volume" in name or name == "container_fs_usage_bytes"})


def agent_labels(agent, family, **wanted):
    return [dict(labels) for (name, labels) in agent.metrics()
            if name == family and set(wanted.items()) <= labels]
