"""The files of deploy/ run: the compose file by docker-compose with a real Prometheus and Alertmanager,
the stack by a real swarm, and the DaemonSet's pod, whose settings are handed to the engine as the
kubelet would hand them to its runtime.

What of them cannot be here is taken out, and named: limits that this kernel has no controllers for,
Grafana, which no registry of packages has, and Fluentd, in whose place `tallyman receive` stands."""

import json
import os
import pathlib
import re
import subprocess
import unittest
import urllib.parse
import urllib.request

import yaml

import deployment
import host
import stacks
from test_chain import BINARY

DEPLOY = deployment.ROOT / "deploy"
SWARM = DEPLOY / "swarm"
IMAGE = "tallyman:0.1.0"
ELSEWHERE = f"registry.example/{IMAGE}"
PORT, PROMETHEUS, ALERTMANAGER = 10191, 9090, 9093
USER = "10191:10191"
SLEEP = "trap 'exit 0' TERM; while :; do sleep 1; done"
# What there may be neither controllers nor rights for.
LIMITS = ("mem_limit", "memswap_limit", "mem_reservation", "cpus", "cpu_shares", "pids_limit",
          "ulimits")
NEWER = {"name", "cgroup"}  # keys that docker-compose 1 does not know
CLI = "/usr/bin/docker"
TEMPLATES = "/usr/share/prometheus/alertmanager"  # Debian's Alertmanager does not have them inside
OFTEN = {"interval": "2s"}  # a pace of the image's own check that is for tests
PODS = pathlib.Path("/var/log/pods")
# Its address is open in a container, and the engine here is not at the root of the host's cgroups.
EXPECTED = r"without TLS|--cgroupns=host"
UID = "5e1f0c3a-6f0e-4c26-9f1d-0a1b2c3d4e5f"


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        return reply.read().decode()


def metrics():
    return host.parse_metrics(get(PORT, "/metrics"))


def run(command, folder, **environment):
    """Runs a client of the engine; what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env={
        **os.environ, "HOME": str(folder), "DOCKER_HOST": f"unix://{stacks.SOCKET}",
        "DOCKER_GROUP": str(stacks.GROUP), **environment})
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Stacks(unittest.TestCase):
    ARGUMENTS = ()  # of the engine

    @classmethod
    def setUpClass(cls):
        scratch = host.scratch()
        cls.folder = scratch.__enter__()
        cls.addClassCleanup(scratch.__exit__, None, None, None)
        cls.addClassCleanup(stacks.Usual(cls.folder).end)
        cls.engine = stacks.UsualEngine(cls.folder)
        cls.engine.start(*cls.ARGUMENTS)
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.import_busybox()
        context = cls.folder / "build"
        context.mkdir()
        said = cls.engine.post(f"/build?t={IMAGE}", deployment.build_context(BINARY, context),
                               kind="application/x-tar")
        if "Successfully built" not in said:
            raise AssertionError(said)
        stacks.tag(cls.engine, IMAGE, ELSEWHERE)

    def setUp(self):
        self.notes = []

    def container(self, name, script=SLEEP, **config):
        container = self.engine.run(name, script, **config)
        self.addCleanup(self.engine.remove, container)
        return container

    def said(self, container):
        path = pathlib.Path(self.engine.inspect(container)["LogPath"])
        return "".join(json.loads(line)["log"] for line in path.read_text().splitlines())

    def received(self, container):
        """The records that `tallyman receive` in a container has printed."""
        return [json.loads(line)["record"] for line in self.said(container).splitlines()
                if line.startswith("{")]

    def faults(self, container):
        """What the agent says that is wrong, but for what is so here."""
        return [line for line in self.said(container).splitlines()
                if re.search(r"level=(warn|error)", line) and not re.search(EXPECTED, line)]

    def await_healthy(self, container):
        try:
            host.await_that("it is healthy", lambda: self.engine.inspect(container)["State"][
                "Health"]["Status"] == "healthy")
        except AssertionError as error:
            self.fail(f"{error}\n{self.said(container)}")


class Compose(Stacks):
    # What `cgroup: host` says, for clients that don't know it.
    ARGUMENTS = ("--default-cgroupns-mode=host",)

    def compose(self, *arguments):
        return run(["docker-compose", "--project-name", "tallyman", "--project-directory",
                    str(DEPLOY / "compose"), "--file", str(self.folder / "compose.yml"),
                    *arguments], self.folder)

    def write(self):
        """The compose file, without what cannot be here."""
        file = yaml.safe_load((DEPLOY / "compose/compose.yml").read_text())
        del file["services"]["grafana"]
        for service in file["services"].values():
            for key in LIMITS:
                service.pop(key, None)
        del file["services"]["tallyman"]["build"]
        file["services"]["tallyman"]["healthcheck"] = OFTEN
        file["services"]["fluentd"]["command"] = ["receive", "--listen", "0.0.0.0:24224"]
        if run(["docker-compose", "version", "--short"], self.folder).startswith("1."):
            del file["name"], file["services"]["tallyman"]["cgroup"]
        (self.folder / "compose.yml").write_text(yaml.safe_dump(file))
        return {name: service["image"] for name, service in file["services"].items()}

    def test_numbers_alerts_and_lines_go_where_they_are_said_to(self):
        images = self.write()
        stacks.import_program(self.engine, images["prometheus"], "prometheus", "prometheus")
        stacks.import_program(self.engine, images["alertmanager"], "prometheus-alertmanager",
                              "alertmanager", [TEMPLATES])
        stacks.tag(self.engine, IMAGE, images["fluentd"])
        self.addCleanup(self.compose, "down", "--volumes", "--timeout", "5")
        self.compose("up", "--detach", "--no-build")
        self.await_healthy("tallyman")
        speaker = self.container("speaker", f"echo a line; {SLEEP}", Labels={
            "com.docker.compose.project": "shop"})

        def query(expression):
            path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
            return json.loads(get(PROMETHEUS, path))["data"]["result"]
        host.await_that("Prometheus has the container", lambda: query(
            'container_last_seen{job="tallyman",instance="tallyman:10191",name="speaker"}'))
        self.assertEqual(query('up{job="tallyman"}')[0]["value"][1], "1")
        groups = json.loads(get(PROMETHEUS, "/api/v1/rules"))["data"]["groups"]
        self.assertEqual([rule for group in groups for rule in group["rules"]
                          if rule["health"] == "err"], [])
        self.assertGreater(len(groups), 2)

        made = self.engine.post(f"/containers/{speaker}/exec", {
            "Cmd": ["true"], "AttachStdout": True, "Tty": True})
        self.engine.post(f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True})
        host.await_that("Alertmanager hears of it", lambda: [
            alert for alert in json.loads(get(ALERTMANAGER, "/api/v2/alerts"))
            if alert["labels"]["alertname"] == "ContainerExecTerminal" and
            alert["labels"]["name"] == "speaker"])
        fluentd, = [row["Id"] for row in self.engine.get("/containers/json")
                    if row["Labels"].get("com.docker.compose.service") == "fluentd"]
        host.await_that("the receiver has its line", lambda: [
            record for record in self.received(fluentd)
            if record.get("container_id") == speaker and record.get("log") == "a line"])
        self.notes = [f"{len(images)} services by docker-compose, {len(groups)} groups of rules"]


class Swarm(Stacks):
    def test_a_global_service(self):
        file = yaml.safe_load((SWARM / "stack.yml").read_text())
        service = file["services"]["tallyman"]
        self.assertEqual(service["image"], ELSEWHERE)
        # Without controllers and rights; other limits the engine lets go.
        del service["deploy"]["resources"]["limits"]["cpus"], service["ulimits"]
        service["healthcheck"] = OFTEN
        file["configs"]["tallyman"]["file"] = str(SWARM / "tallyman.yml")
        stack = self.folder / "stack.yml"
        stack.write_text(yaml.safe_dump(file))
        self.engine.post("/swarm/init", {"ListenAddr": "127.0.0.1:2377",
                                         "AdvertiseAddr": "127.0.0.1"})
        self.addCleanup(self.engine.post, "/swarm/leave?force=1")
        run([CLI, "stack", "deploy", "--resolve-image", "never", "--compose-file", str(stack),
             "tallyman"], self.folder)
        run([CLI, "service", "create", "--detach", "--name", "shop_web", "--replicas", "2",
             "--no-resolve-image", self.engine.IMAGE, "sh", "-c", SLEEP], self.folder)

        def task(service):
            return [row for row in self.engine.get("/containers/json")
                    if row["Labels"].get("com.docker.swarm.service.name") == service]
        host.await_that("the service runs", lambda: len(task("tallyman_tallyman")) == 1)
        host.await_that("the other one runs", lambda: len(task("shop_web")) == 2)
        agent, = task("tallyman_tallyman")
        self.await_healthy(agent["Id"])

        names = {row["Names"][0].lstrip("/") for row in task("shop_web")}
        host.await_that("it sees the tasks of others, and what they use", lambda: names == {
            dict(labels)["name"] for (family, labels) in metrics()
            if family == "container_cpu_usage_seconds_total" and
            dict(labels).get("container_label_com_docker_swarm_service_name") == "shop_web"})
        self.assertEqual(self.engine.inspect(agent["Id"])["Config"]["User"],
                         f"10191:{stacks.GROUP}")
        # What a swarm cannot give is said, and nothing else.
        said, = self.faults(agent["Id"])
        self.assertIn("--pid=host", said)


def mib(text):
    return int(text.removesuffix("Mi")) << 20


class Pod(Stacks):
    """The DaemonSet's pod on an engine: each container's security context and mounts, translated."""

    def manifests(self):
        with open(DEPLOY / "kubernetes/tallyman.yml", encoding="utf-8") as file:
            found = {document["kind"]: document for document in yaml.safe_load_all(file)}
        return found["DaemonSet"]["spec"]["template"]["spec"], found["ConfigMap"]["data"]

    def mounts(self, pod, container, config):
        sources = {}
        for volume in pod["volumes"]:
            if "configMap" in volume:
                sources[volume["name"]] = str(config)
            else:
                path = pathlib.Path(volume["hostPath"]["path"])
                if volume["hostPath"]["type"] == "DirectoryOrCreate":
                    path.mkdir(mode=0o755, exist_ok=True)
                self.assertTrue(path.is_dir(), path)
                sources[volume["name"]] = str(path)
        return [f"{sources[mount['name']]}:{mount['mountPath']}" +
                (":ro" if mount.get("readOnly") else "") for mount in container["volumeMounts"]]

    def body(self, pod, container, config):
        """A container of the pod, as the engine's API takes it."""
        context = dict(container["securityContext"])
        user = f"{context.pop('runAsUser')}:{context.pop('runAsGroup', 0)}"
        if context.pop("runAsNonRoot", False):
            self.assertNotEqual(user.split(":")[0], "0")
        self.assertEqual(context.pop("seccompProfile", {"type": "RuntimeDefault"}),
                         {"type": "RuntimeDefault"})
        capabilities = context.pop("capabilities")
        options = {
            "ReadonlyRootfs": context.pop("readOnlyRootFilesystem"),
            "CapDrop": capabilities["drop"], "CapAdd": capabilities["add"],
            "SecurityOpt": [] if context.pop("allowPrivilegeEscalation") else
            ["no-new-privileges:true"],
            "Binds": self.mounts(pod, container, config),
            "PidMode": "host" if pod["hostPID"] else "", "CgroupnsMode": "private",
            "NetworkMode": "bridge", "CgroupParent": f"/kubepods/burstable/pod{UID}",
        }
        self.assertEqual(context, {}, "what the test does not know")
        # Command and arguments there are entry point and command here.
        return {"User": user, "HostConfig": options, "Image": container["image"],
                "Entrypoint": container.get("command"), "Cmd": container.get("args")}

    def test_the_daemon_set(self):
        pod, data = self.manifests()
        first, = pod["initContainers"]
        container, = pod["containers"]
        stacks.tag(self.engine, self.engine.IMAGE, first["image"])
        receiver = self.engine.run("fluentd", "", Image=IMAGE, Cmd=[
            "receive", "--listen", "0.0.0.0:24224"], HostConfig={"NetworkMode": "bridge"})
        self.addCleanup(self.engine.remove, receiver)
        address = self.engine.inspect(receiver)["NetworkSettings"]["IPAddress"]
        config = self.folder / "config"
        config.mkdir()
        # With the destination that stands there as an example.
        text = re.sub(r"^( *)#(?! \S)(?=.)", r"\1", data["tallyman.yml"], flags=re.M)
        self.assertIn('"fluentd.logging:24224"', text)
        (config / "tallyman.yml").write_text(text.replace("fluentd.logging", address))

        # A pod of somebody's, as its runtime and the kubelet leave it.
        pods = PODS / f"shop_web-0_{UID}" / "web"
        pods.mkdir(parents=True, mode=0o750)
        lines = pods / "0.log"
        lines.write_text("2026-01-01T00:00:00.000000001Z stdout F before\n")
        lines.chmod(0o640)
        web = self.container("web", HostConfig={
            "NetworkMode": "none", "CgroupParent": f"/kubepods/burstable/pod{UID}"})

        body = self.body(pod, first, config)
        body["Cmd"] = None
        chown = self.engine.create("own-state", "", **body)
        self.addCleanup(self.engine.remove, chown)
        self.engine.post(f"/containers/{chown}/start")
        self.assertEqual(self.engine.wait(chown), 0, self.said(chown))
        body = self.body(pod, container, config)
        port, = [row["containerPort"] for row in container["ports"]]
        body["HostConfig"]["PortBindings"] = {f"{port}/tcp": [{"HostIp": "127.0.0.1",
                                                               "HostPort": str(PORT)}]}
        # The image's own check is nobody's here: the probes are.
        body["Healthcheck"] = {"Test": ["NONE"]}
        agent = self.engine.create("agent", "", **body)
        self.addCleanup(self.engine.remove, agent)
        self.engine.post(f"/containers/{agent}/start")
        probe = container["readinessProbe"]["httpGet"]["path"]
        try:
            host.await_that("it is ready", lambda: get(PORT, probe))
        except AssertionError as error:
            self.fail(f"{error}\n{self.said(agent)}")
        made = self.engine.post(f"/containers/{agent}/exec", {
            "Cmd": container["livenessProbe"]["exec"]["command"], "AttachStdout": True})
        self.engine.post(f"/exec/{made['Id']}/start", {"Detach": False})
        self.assertEqual(self.engine.get(f"/exec/{made['Id']}/json")["ExitCode"], 0)

        with lines.open("a") as file:
            file.write("2026-01-01T00:00:01.000000001Z stderr P in two \n"
                       "2026-01-01T00:00:01.000000002Z stderr F parts\n")
        host.await_that("the line arrives", lambda: [
            record for record in self.received(receiver) if record.get("log") == "in two parts"])
        record, = [record for record in self.received(receiver)
                   if record.get("log") == "in two parts"]
        self.assertEqual({key: record[key] for key in ("source", "namespace_name", "pod_name",
                                                       "container_name")},
                         {"source": "stderr", "namespace_name": "shop", "pod_name": "web-0",
                          "container_name": "web"})

        def seen():
            return [dict(labels)["id"] for (family, labels) in metrics()
                    if family == "container_cpu_usage_seconds_total" and
                    web in dict(labels)["id"]]
        host.await_that("it sees the pod's container", seen)
        status = pathlib.Path(f"/proc/{self.engine.inspect(agent)['State']['Pid']}/status")
        self.assertRegex(status.read_text(), r"\nUid:\t10191\t10191\t10191\t10191\n")
        self.assertRegex(status.read_text(), r"\nCapEff:\t0000000000080004\n")
        self.assertEqual(self.faults(agent), [])
