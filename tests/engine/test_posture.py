"""The audit on a real engine: for each check that this engine can decide a container or an image that
fails it and one that passes, by what the kernel shows where it runs; and the continuous audit.
"""

import calendar
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

import host
from test_chain import BINARY, Chain

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import sarif  # noqa: E402

SLEEP = "exec sleep 1000"
LISTEN = "httpd -p 8000 -h /tmp; exec sleep 1000"
SECRET = "hunter22hunter22"


def hosted(**config):
    return {"HostConfig": config}


def bind(source, target="/x", mode="rw", **more):
    return hosted(Binds=[f"{source}:{target}:{mode}"], **more)


def health(test=("CMD", "true"), **more):
    return {"Healthcheck": {"Test": list(test), **more}}


RUN, MAKE = True, False  # started, or only created where the engine here could not start it

# check: (started?, what fails, what passes); a `Script` is what runs instead of sleeping.
CASES = {
    "privileged": (MAKE, hosted(Privileged=True), hosted(Privileged=False)),
    "docker_socket_mount": (RUN, bind("SOCKET", "/run/docker.sock", "ro"), bind("FOLDER")),
    "no_new_privileges": (RUN, hosted(SecurityOpt=["no-new-privileges=false"]),
                          hosted(SecurityOpt=["no-new-privileges"])),
    "seccomp": (RUN, hosted(SecurityOpt=["seccomp=unconfined"]), {}),
    "caps_added": (MAKE, hosted(CapAdd=["SYS_ADMIN"]), hosted(CapAdd=["CHOWN"])),
    "caps_dropped": (RUN, {}, hosted(CapDrop=["NET_RAW", "MKNOD"])),
    "caps_effective": (RUN, hosted(CapAdd=["SYS_PTRACE"]), {}),
    "devices": (MAKE, hosted(Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n",
                                       "CgroupPermissions": "rwm"}]), {}),
    "device_cgroup_rules": (MAKE, hosted(DeviceCgroupRules=["a *:* rwm"]), {}),
    "masked_paths": (MAKE, hosted(MaskedPaths=[], ReadonlyPaths=[]), {}),
    "sysctls": (MAKE, hosted(Sysctls={"kernel.msgmax": "65536"}), {}),
    "host_pid": (RUN, hosted(PidMode="host"), {}),
    "host_ipc": (RUN, hosted(IpcMode="host"), hosted(IpcMode="private")),
    "host_uts": (RUN, hosted(UTSMode="host"), {}),
    "host_network": (RUN, hosted(NetworkMode="host"), {}),
    "host_cgroupns": (RUN, hosted(CgroupnsMode="host"), hosted(CgroupnsMode="private")),
    "joined_namespace": (MAKE, hosted(NetworkMode="container:host_pid-pass"), {}),
    "user_nonroot": (RUN, {}, {"User": "1000"}),
    "user_numeric": (MAKE, {"User": "1000"}, {"User": "12345"}),
    "runtime_uid_nonroot": (RUN, {}, {"User": "12345"}),
    "group_add_privileged": (MAKE, hosted(GroupAdd=["docker"]), hosted(GroupAdd=["12345"])),
    # A script's process has the name of its file.
    "sshd_running": (RUN, {"Script": r"printf '#!/bin/sh\nsleep 1000; true\n' >/tmp/sshd; "
                                     "chmod +x /tmp/sshd; exec /tmp/sshd"}, {}),
    "sensitive_mount_rw": (RUN, bind("/etc"), bind("FOLDER")),
    "sensitive_mount_ro": (RUN, bind("/etc", mode="ro"), bind("FOLDER", mode="ro")),
    "volumes_readonly": (RUN, bind("FOLDER"), bind("FOLDER", mode="ro")),
    "mount_propagation": (MAKE, bind("FOLDER", mode="rw,rshared"), bind("FOLDER")),
    "mount_exec_flags": (RUN, bind("FOLDER"), bind("FOLDER", mode="ro")),
    "readonly_rootfs": (RUN, {}, hosted(ReadonlyRootfs=True)),
    "tmpfs_flags": (RUN, hosted(Tmpfs={"/t": "exec"}),
                    hosted(Tmpfs={"/t": "noexec,nosuid,nodev,size=64k"})),
    "secret_file_perms": (RUN, {"Script": f"echo x >/id_rsa; chmod 644 /id_rsa; {SLEEP}"},
                          {"Script": f"echo x >/id_rsa; chmod 400 /id_rsa; {SLEEP}"}),
    "memory_limit": (MAKE, {}, None),  # the engine refuses limits without the kernel's controller
    "memory_reservation": (MAKE, {}, None),
    "swap_limit": (MAKE, {}, None),
    "pids_limit": (MAKE, {}, None),
    "cpu_limit": (MAKE, {}, None),
    "cpu_shares": (MAKE, {}, None),
    "oom_kill_disable": (MAKE, hosted(OomScoreAdj=-900), {}),
    "ulimits": (MAKE, hosted(Ulimits=[{"Name": "nofile", "Soft": 1048577, "Hard": 1048577}]),
                hosted(Ulimits=[{"Name": "nofile", "Soft": 1024, "Hard": 1024}])),
    "restart_policy": (MAKE, hosted(RestartPolicy={"Name": "always"}),
                       hosted(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 5})),
    "cgroup_parent": (MAKE, hosted(CgroupParent="/tallyman-own"), {}),
    "healthcheck_present": (MAKE, {}, health()),
    "healthcheck_not_disabled": (MAKE, health(["NONE"]), health()),
    "healthcheck_sane": (MAKE, health(Interval=600 * 10 ** 9), health()),
    "healthcheck_needs_missing_tool": (RUN, health(["CMD-SHELL", "curl -f localhost"]),
                                       health(["CMD-SHELL", "wget -q localhost"])),
    "published_wildcard": (MAKE, hosted(PortBindings={"80/tcp": [{"HostIp": "::",
                                                                  "HostPort": "18080"}]}),
                           hosted(PortBindings={"80/tcp": [{"HostIp": "127.0.0.1",
                                                            "HostPort": "18081"}]})),
    "published_sensitive_port": (MAKE, hosted(PortBindings={"5432/tcp": [{"HostPort": "1"}]}), {}),
    "privileged_ports": (MAKE, hosted(PortBindings={"80/tcp": [{"HostPort": "1023"}]}),
                         hosted(PortBindings={"80/tcp": [{"HostPort": "1024"}]})),
    "publish_all": (MAKE, hosted(PublishAllPorts=True), {}),
    "undeclared_listener": (RUN, {"Script": LISTEN}, {"Script": LISTEN,
                                                      "ExposedPorts": {"8000/tcp": {}}}),
    "default_bridge": (RUN, hosted(NetworkMode="bridge"), {}),
    "legacy_links": (MAKE, hosted(NetworkMode="bridge", Links=["default_bridge-fail:x"]), {}),
    "log_driver_none": (MAKE, hosted(LogConfig={"Type": "none"}), {}),
    "log_driver_remote": (MAKE, {}, hosted(LogConfig={"Type": "syslog"})),
    "log_rotation": (MAKE, {}, hosted(LogConfig={"Type": "json-file",
                                                 "Config": {"max-size": "1m"}})),
    "log_driver_blocking": (MAKE, hosted(LogConfig={
        "Type": "fluentd", "Config": {"fluentd-async": "true"}}), hosted(LogConfig={
            "Type": "fluentd", "Config": {"mode": "non-blocking"}})),
    "secrets_env_runtime": (RUN, {"Env": [f"DB_PASSWORD={SECRET}"]},
                            {"Env": ["DB_PASSWORD_FILE=/run/secrets/db"]}),
    "secrets_args": (RUN, {"Script": f"true --password={SECRET}; {SLEEP}"}, {}),
    "weak_db_auth": (MAKE, {"Env": ["POSTGRES_HOST_AUTH_METHOD=trust"]}, {}),
    "userns_effective": (RUN, {}, None),  # the engine here does not remap
}

# check: (what an image is committed with that fails, and that passes): its command and changes.
IMAGES = {
    "image_healthcheck": ((), ("HEALTHCHECK CMD true",)),
    "image_user_root": ((), ("USER 12345",)),
    "image_expose_ssh": (("EXPOSE 22",), ("EXPOSE 2222",)),
    "secrets_env_image": ((f"ENV API_TOKEN={SECRET}",), ("ENV API_TOKEN_FILE=/run/secrets/t",)),
}
HISTORIES = {
    "image_add_instruction": ("ADD https://example.org/x /x", "COPY x /x"),
    "image_update_alone": ("RUN apt-get update", "RUN apt-get update && apt-get install -y x"),
    "image_pkg_unverified": ("RUN curl -k https://example.org/x", "RUN curl https://example.org/x"),
    "secrets_history": (f"|1 NPM_TOKEN={SECRET} /bin/sh -c npm ci", "RUN npm ci"),
    "image_build_tools": ("RUN apt-get install build-essential", None),
}


class Audit(Chain):
    """One shot."""

    def audit(self, *arguments, code=(0, 1), **environment):
        done = subprocess.run(
            [BINARY, "audit", *arguments], capture_output=True, text=True, timeout=120,
            env={**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}", **environment})
        self.assertIn(done.returncode, code, done.stderr)
        return done

    def rows(self, *arguments):
        done = self.audit("--format", "json", *arguments)
        self.assertEqual(done.stderr, "")
        self.assertNotIn(SECRET, done.stdout)
        return {(row["target"], row["name"], row["check"]): row
                for row in json.loads(done.stdout)["findings"]}

    def make(self, name, start, config):
        text = json.dumps(config).replace("FOLDER", str(self.directory)).replace(
            "SOCKET", self.engine.socket)
        config = json.loads(text)
        script = config.pop("Script", SLEEP)
        container = self.engine.create(name, script, **config)
        self.addCleanup(self.engine.remove, container)
        if start:
            self.engine.post(f"/containers/{container}/start")
        return container

    def test_each_container_check(self):
        for check, (start, *both) in CASES.items():
            for word, config in zip(("fail", "pass"), both):
                if config is not None:
                    self.make(f"{check}-{word}", start, config)
        host.await_that("what some of them do first is done", lambda: all(
            self.engine.inspect(name)["State"]["Running"] and
            len(self.engine.get(f"/containers/{name}/top")["Processes"]) >= 1
            for name in ("sshd_running-fail", "secret_file_perms-fail")))

        def judged():
            rows = self.rows()
            wrong = {}
            for check, (_, *both) in CASES.items():
                for word, config in zip(("fail", "pass"), both):
                    row = config is not None and rows["container", f"{check}-{word}", check]
                    if row and row["status"] != word:
                        wrong[f"{check}-{word}"] = (row["status"], row["message"])
            self.assertEqual(wrong, {})
            return True
        host.await_that("every verdict is the expected one", judged, 20)
        self.notes.append(f"{len(CASES)} checks of containers")

    def commit(self, name, command, changes):
        container = self.engine.create(f"of-{name}", SLEEP, Cmd=command.split(" "))
        query = urllib.parse.urlencode(
            [("container", container), ("repo", name), ("tag", "1")] +
            [("changes", change) for change in changes])
        self.engine.post(f"/commit?{query}", {})
        self.engine.remove(container)
        self.addCleanup(self.engine.request, "DELETE", f"/images/{name}:1?force=1",
                        ok=(200, 404))

    def test_each_image_check(self):
        expected = {}
        for table in (IMAGES, HISTORIES):
            for check, both in table.items():
                for word, what in zip(("fail", "pass"), both):
                    if what is None:
                        continue
                    name = f"{check}-{word}".replace("_", "-")
                    if table is IMAGES:
                        self.commit(name, "true", what)
                    else:
                        # The history tells the command of the container, as that of a build.
                        self.commit(name, what, ())
                    expected[name] = (check, word)
        wrong = {}
        for name, (check, word) in expected.items():
            row = self.rows("--image", f"{name}:1")["image", f"{name}:1", check]
            if row["status"] != word:
                wrong[name] = (row["status"], row["message"])
        self.assertEqual(wrong, {})

    def test_what_the_file_system_shows(self):
        self.container("busy", SLEEP)
        rows = self.rows()
        image = {check: row for (target, name, check), row in rows.items()
                 if target == "image" and name == self.engine.IMAGE}
        self.assertEqual(image["image_has_shell"]["status"], "fail")
        self.assertIn("/bin/sh", image["image_has_shell"]["message"])
        self.assertEqual(image["image_has_pkg_manager"]["status"], "pass")
        self.assertEqual(image["setuid_files"]["status"], "pass")
        self.assertEqual(image["image_eol_os"]["status"], "na")
        self.assertEqual(image["image_stale_tag"]["status"], "pass")

    def test_moved_tags_are_seen(self):
        self.commit("moved", "true", ())
        container = self.engine.create("old", SLEEP, Image="moved:1")
        self.addCleanup(self.engine.remove, container)
        check = "container", "old", "image_ref_mutated"
        self.assertEqual(self.rows()[check]["status"], "pass")
        self.commit("moved", "false", ())
        self.assertEqual(self.rows()[check]["status"], "fail")

    def test_scopes_and_forms(self):
        self.container("asked", SLEEP)
        self.container("other", SLEEP)
        self.assertEqual({name for _, name, _ in self.rows("--container", "asked")}, {"asked"})
        both = self.rows("--container", "asked", "--container", "other")
        self.assertEqual({name for _, name, _ in both}, {"asked", "other"})
        done = self.audit("--container", "nobody", code=(2,))
        self.assertIn("not there", done.stderr)
        self.audit("--image", "nobody:1", code=(2,))
        sarif.check(json.loads(self.audit("--format", "sarif").stdout))
        rows = self.rows()
        self.assertEqual(rows["daemon", "engine", "engine_seccomp"]["status"], "pass")
        self.assertEqual(rows["daemon", "engine", "icc"]["status"], "pass")  # nobody is on it
        self.assertEqual(rows["daemon", "engine", "engine_log_level"]["status"], "pass")
        self.assertNotEqual(rows["host", "host", "docker_partition"]["status"], "unknown")

    def test_what_is_executed(self):
        """An exec is known to the engine from its making until a while after its end."""
        container = self.container("executed", SLEEP, User="12345")
        checks = "exec_privileged", "exec_root"
        rows = self.rows("--container", "executed")
        self.assertEqual([rows["container", "executed", check]["status"] for check in checks],
                         ["pass", "pass"])
        for more in ({"Privileged": True}, {"User": "root"}):
            self.engine.post(f"/containers/{container}/exec", {"Cmd": ["true"], **more})
        rows = self.rows("--container", "executed")
        self.assertEqual([rows["container", "executed", check]["status"] for check in checks],
                         ["fail", "fail"])

    def test_labels_waive_where_the_operator_lets_them(self):
        self.container("labelled", SLEEP, Labels={"audit.waive": "user_nonroot, memory_limit"})
        config = self.directory / "tallyman.yml"
        for text, status in (("{}", "fail"), ("posture: {waiver_label: audit.waive}", "waived")):
            config.write_text(text)
            rows = self.rows("--container", "labelled", "--config", str(config))
            for check in ("user_nonroot", "memory_limit"):
                self.assertEqual(rows["container", "labelled", check]["status"], status)
            self.assertEqual(rows["container", "labelled", "readonly_rootfs"]["status"], "fail")

    def test_hostile_containers(self):
        """Links out of the root, pipes under the names that are read, folders without an end: the
        audit ends, and shows nothing of the host."""
        self.container("hostile", "mkfifo /run/x; mkdir -p /run /etc; rm -f /etc/os-release; "
                       "ln -s /proc/1/environ /etc/os-release; ln -s / /run/secrets; "
                       "mkfifo /id_rsa; cd /tmp; i=0; while [ $i -lt 60 ]; do mkdir d; cd d; "
                       f"i=$((i + 1)); done; touch /done; {SLEEP}")
        host.await_that("it has made its traps", lambda: self.engine.request(
            "HEAD", "/containers/hostile/archive?path=/done") == "")
        rows = self.rows()
        self.assertEqual(rows["container", "hostile", "readonly_rootfs"]["status"], "fail")

    def test_no_process_can_be_started(self):
        """The program asks no library for a way to do so."""
        names = subprocess.run(["nm", "-D", "--undefined-only", "--format=posix", BINARY],
                               capture_output=True, text=True, check=True).stdout
        imported = {line.split()[0].split("@")[0] for line in names.splitlines() if line}
        self.assertIn("openat64", imported)  # names are as they are thought to be
        starters = re.compile(r"v?fork|clone|exec(l|v)\w*|posix_spawnp?|system|popen|uv_spawn")
        self.assertEqual({name for name in imported if starters.fullmatch(name)}, set())


class Continuous(Chain):
    """What `tallyman run` does all the time."""

    def failed(self, agent, name):
        return {dict(labels)["check"] for (family, labels), _ in agent.metrics().items()
                if family == "posture_check_failed" and dict(labels).get("name") == name}

    def test_a_container_is_judged_as_it_comes_and_changes(self):
        agent = self.agent(posture={"sweep": "1h"}).start()
        host.await_that("the first sweep is over", lambda: agent.values(
            "posture_last_sweep_timestamp_seconds"))
        self.assertEqual(self.failed(agent, "late"), set())
        container = self.container("late", SLEEP)
        host.await_that("it is judged", lambda: "readonly_rootfs" in self.failed(agent, "late"))
        self.assertNotIn("default_bridge", self.failed(agent, "late"))
        # A network says nothing of itself in the inventory.
        other = self.container("bridged", SLEEP, HostConfig={"NetworkMode": "bridge"})
        host.await_that("its network is seen",
                        lambda: "default_bridge" in self.failed(agent, "bridged"))
        self.engine.post("/networks/bridge/disconnect", {"Container": other})
        host.await_that("it left the network, and is judged again",
                        lambda: self.failed(agent, "bridged") and
                        "default_bridge" not in self.failed(agent, "bridged"))
        self.engine.remove(container)
        host.await_that("it is gone", lambda: not self.failed(agent, "late"))
        findings = json.loads(agent.get("/api/v1/findings"))
        self.assertEqual(findings["version"], 1)
        self.assertEqual({row["name"] for row in findings["findings"]
                          if row["target"] == "container"}, {"bridged"})
        self.assertTrue(0 < agent.value("posture_score") < 100)
        fails = sum(row["status"] == "fail" for row in findings["findings"])
        host.await_that("the sums are those of the findings", lambda: sum(
            agent.values("posture_checks", status="fail")) == fails)

    def test_the_age_of_images(self):
        self.container("aged", SLEEP)
        agent = self.agent().start()
        image = self.engine.IMAGE
        value = host.await_that("the image is known", lambda: agent.value(
            "image_created_timestamp_seconds", image=image))
        created = self.engine.get(f"/images/{image}/json")["Created"]
        self.assertEqual(int(value),
                         calendar.timegm(time.strptime(created[:19], "%Y-%m-%dT%H:%M:%S")))

    def test_changes_are_recorded(self):
        receiver = self.receiver()
        agent = host.Agent(BINARY, self.directory, self.engine, receiver.address,
                           posture={"sweep": "1h", "records": True, "waivers": [
                               {"checks": ["user_nonroot"], "containers": ["told"],
                                "reason": "a test"}]})
        self.addCleanup(self.end, agent)
        agent.start()
        container = self.container("told", SLEEP, Env=[f"DB_PASSWORD={SECRET}"],
                                   HostConfig={"NetworkMode": "bridge"})

        def told(check):
            return [row["record"] for row in receiver.records(container)
                    if row["tag"] == "tallyman.finding" and row["record"]["check"] == check]
        host.await_that("the findings arrive", lambda: told("default_bridge"))
        first = told("default_bridge")[0]
        self.assertEqual((first["status"], first["previous"], first["container_name"]),
                         ("fail", "none", "told"))
        self.assertEqual(told("user_nonroot")[0]["status"], "waived")
        self.assertEqual(agent.values("posture_check_waived", name="told", check="user_nonroot"),
                         [1])
        self.assertEqual(told("privileged"), [])  # it passes, and that is no news
        self.engine.post("/networks/bridge/disconnect", {"Container": container})
        host.await_that("the change arrives", lambda: len(told("default_bridge")) == 2)
        self.assertEqual((told("default_bridge")[1]["status"], told("default_bridge")[1]["previous"]),
                         ("pass", "fail"))
        self.assertNotIn(SECRET, receiver.file.read_text())

    def test_a_restart_tells_only_what_changed(self):
        receiver = self.receiver()
        agent = host.Agent(BINARY, self.directory, self.engine, receiver.address,
                           posture={"sweep": "1h", "records": True})
        self.addCleanup(self.end, agent)

        def told(*containers):
            return [(row["record"]["name"], row["record"]["check"], row["record"]["previous"],
                     row["record"]["status"]) for row in receiver.records()
                    if row["tag"] == "tallyman.finding" and
                    (not containers or row["record"].get("container_id") in containers)]

        def restart():
            agent.start()
            host.await_that("all is judged", lambda: agent.values(
                "posture_last_sweep_timestamp_seconds"))
        bridged = {"HostConfig": {"NetworkMode": "bridge"}}
        lasting, other, going = (self.container(name, SLEEP, **bridged)
                                 for name in ("lasting", "other", "going"))
        restart()
        host.await_that("the findings arrive", lambda: {
            name for name, check, _, _ in told() if check == "default_bridge"} == {
                "lasting", "other", "going"})
        agent.stop()
        self.engine.remove(going)
        self.engine.post("/networks/bridge/disconnect", {"Container": other})
        new = self.container("new", SLEEP, **bridged)
        before = len(told())
        restart()
        # It comes behind all that the sweep has to tell.
        self.engine.post("/networks/bridge/disconnect", {"Container": lasting})
        host.await_that("the change arrives",
                        lambda: ("lasting", "default_bridge", "fail", "pass") in told())
        self.assertEqual([row for row in told()[before:] if row[0] != "new"], [
            ("other", "default_bridge", "fail", "pass"),
            ("lasting", "default_bridge", "fail", "pass")])
        self.assertEqual({previous for _, _, previous, _ in told(new)}, {"none"})
        # Killed before it has judged anything, it forgets nothing either.
        agent.stop()
        before = len(told())
        agent.start()
        agent.kill()
        restart()
        self.engine.post("/networks/bridge/connect", {"Container": other})
        host.await_that("the change arrives",
                        lambda: ("other", "default_bridge", "pass", "fail") in told())
        self.assertEqual(told()[before:], [("other", "default_bridge", "pass", "fail")])

    def test_the_cost_of_a_sweep(self):
        """200 containers; those that are only created cost as much of the API, not of procfs."""
        for i in range(200):
            container = self.engine.create(f"many{i}", SLEEP)
            self.addCleanup(self.engine.remove, container)
        agent = self.agent(posture={"sweep": "10s"}).start()
        host.await_that("two sweeps are over", lambda: agent.value(
            "tallyman_posture_judged_total") >= 2 * 203)
        self.assertEqual(agent.value("tallyman_posture_incomplete_total"), 0)
        spent = agent.value("tallyman_posture_cpu_seconds_total") / 2 * 1000
        with subprocess.Popen([BINARY, "audit", "--format", "json"], stdout=subprocess.DEVNULL,
                              env={**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}"}) as \
                audit:
            _, status, usage = os.wait4(audit.pid, 0)
            audit.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(audit.returncode, 1)
        whole = (usage.ru_utime + usage.ru_stime) * 1000
        self.notes.append(f"200 containers: {spent:.0f} ms of CPU for reading and judging, {whole:.0f} "
                          "ms for `tallyman audit` as a whole")
