#!/usr/bin/python3
"""What stands in deploy/ and in the documents' examples: each of Tallyman's configurations passes
`tallyman check`, manifests pass Kubernetes' own schemas (PyPI's kubernetes-validate), compose files
have no key but those that the Compose specification knows for it, the configurations of Prometheus
and Alertmanager pass promtool and amtool, files that are named are there, and images have versions.

usage: run.py --agent BINARY [TEST…]
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEPLOY = ROOT / "deploy"
sys.path.insert(0, str(HERE.parent))

import runner  # noqa: E402

PACKAGE = "kubernetes-validate==1.37.0"
VERSIONS = "1.25", "1.29", "1.34"  # of Kubernetes
SECONDS_MAX = 300  # a bound against hanging
BINARY = None

# What the compose files use of the Compose specification: key, and the types of its value.
SERVICE = {
    "image": str, "build": dict, "container_name": str, "user": str, "group_add": list,
    "cap_add": list, "cap_drop": list, "pid": str, "cgroup": str, "read_only": bool,
    "volumes": list, "ports": list, "networks": list, "restart": str, "stop_grace_period": str,
    "mem_limit": str, "memswap_limit": str, "mem_reservation": str, "cpus": float,
    "cpu_shares": int, "pids_limit": int, "ulimits": dict, "logging": dict, "command": list,
    "security_opt": list, "environment": dict, "depends_on": list, "labels": dict,
}
# Of those that `docker stack deploy` takes, which leaves others out without a word.
STACK = {key: SERVICE[key] for key in (
    "image", "user", "cap_add", "cap_drop", "read_only", "volumes", "ports", "stop_grace_period",
    "ulimits", "logging")} | {"configs": list, "deploy": dict}
FILE = {"name", "version", "services", "networks", "volumes", "configs"}
POD_MONITOR = {"selector", "podMetricsEndpoints"}
ENDPOINT = {"port", "interval", "relabelings"}
VALIDATE = """
import json, sys
import kubernetes_validate
manifests = json.load(sys.stdin)
for version in sys.argv[1:]:
    for name, document in manifests:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            print(name, document["kind"], version, error.message)
"""


def documents(path):
    with open(path, encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def check(text, name):
    """What `tallyman check` says of a configuration, or None."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tallyman.yml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        done = subprocess.run([BINARY, "check", path], capture_output=True, text=True, check=False,
                              env={**os.environ, "PASSWORD": "x"})
    return f"{name}: {done.stdout}{done.stderr}" if done.returncode else None


class Configurations(unittest.TestCase):
    def test_each_of_tallyman(self):
        texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
                 for path in sorted(DEPLOY.rglob("tallyman.yml"))
                 if path.parent.name != "kubernetes"}
        for document in documents(DEPLOY / "kubernetes/tallyman.yml"):
            if document["kind"] == "ConfigMap":
                texts["kubernetes' ConfigMap"] = document["data"]["tallyman.yml"]
        self.assertGreaterEqual(len(texts), 5)
        for name, text in list(texts.items()):
            # And with every example in it switched on, but for files that are not there.
            text = re.sub(r"^( *)#(?! \S)(?=.)", r"\1", text, flags=re.M)
            texts[f"{name}, all of it"] = re.sub(r"^ *config_file:.*\n", "", text, flags=re.M)
        faults = [fault for fault in (check(text, name) for name, text in texts.items()) if fault]
        self.assertEqual(faults, [])
        self.notes = [f"{len(texts)} configurations"]

    def test_each_in_the_documents(self):
        """Every block of YAML there is Tallyman's, unless its first line names another file."""
        faults = []
        count = 0
        for page in sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md"]:
            for text in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"),
                                   re.M | re.S):
                if not re.match(r"# \S+\.yml\n", text):
                    count += 1
                    faults.append(check(text, page.name))
        self.assertEqual([fault for fault in faults if fault], [])
        self.assertGreaterEqual(count, 4)
        self.notes = [f"{count} examples"]

    def test_those_of_others(self):
        for command in (
                ["promtool", "check", "config", "--syntax-only",
                 DEPLOY / "compose/prometheus/prometheus.yml"],
                ["amtool", "check-config", DEPLOY / "compose/alertmanager/alertmanager.yml"]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rules = documents(DEPLOY / "compose/prometheus/prometheus.yml")[0]["rule_files"]
        self.assertEqual([rule for rule in rules if not (
            ROOT / "dashboards/prometheus" / pathlib.Path(rule).name).is_file()], [])
        for name in ("fluent-bit.yaml", "opentelemetry.yaml", "vector.yaml"):
            self.assertTrue(documents(DEPLOY / "examples" / name)[0])


class Compose(unittest.TestCase):
    def examine(self, path, known):
        file, = documents(path)
        self.assertEqual(file.keys() - FILE, set())
        faults = []
        for name, service in file["services"].items():
            for key, value in service.items():
                if not isinstance(value, known.get(key, ())):
                    faults.append(f"{name}: {key}: {value!r}")
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    if not (path.parent / source).exists():
                        faults.append(f"{name}: {source} is not there")
                elif not source.startswith("/") and source not in file["volumes"]:
                    faults.append(f"{name}: no volume {source}")
            faults += [f"{name}: no network {network}" for network in service.get("networks", [])
                       if network not in file["networks"]]
            if not re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"]):
                faults.append(f"{name}: {service['image']} has no version")
        self.assertEqual(faults, [])
        return file

    def test_the_compose_file(self):
        file = self.examine(DEPLOY / "compose/compose.yml", SERVICE)
        for name, service in file["services"].items():
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertTrue(service["mem_limit"] and service["pids_limit"], name)
            # Nothing is open to other hosts.
            self.assertEqual([port for port in service.get("ports", [])
                              if not port.startswith("127.0.0.1:")], [])

    def test_the_stack(self):
        file = self.examine(DEPLOY / "swarm/stack.yml", STACK)
        self.assertEqual(file["services"]["tallyman"]["deploy"]["mode"], "global")
        for config in file["configs"].values():
            self.assertTrue((DEPLOY / "swarm" / config["file"]).is_file())

    def test_the_dockerfile(self):
        """Another than root, with a health check, and nothing of the build in the image."""
        text = (DEPLOY / "container/Dockerfile").read_text(encoding="utf-8")
        last = text.rsplit("\nFROM ", 1)[1]
        self.assertTrue(last.startswith("scratch\n"))
        self.assertRegex(last, r"(?m)^USER 10191:10191$")
        self.assertRegex(last, r"(?m)^HEALTHCHECK ")
        self.assertNotRegex(text, r":latest|^FROM [^:$]+$")
        names = re.findall(r"tallyman:(\d[\w.]*)", text)
        version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
        self.assertEqual(set(names), {version})


class Kubernetes(unittest.TestCase):
    def manifests(self):
        return [(path.name, document) for path in sorted((DEPLOY / "kubernetes").glob("*.yml"))
                for document in documents(path)]

    def test_manifests_fit_the_schemas(self):
        with tempfile.TemporaryDirectory(prefix="tallyman-deploy-") as folder:
            done = subprocess.run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, PACKAGE],
                capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
            if done.returncode != 0:
                self.skipTest(f"pip could not install {PACKAGE}: {done.stderr[-300:]}")
            rows = [row for row in self.manifests() if "monitoring.coreos" not in
                    row[1]["apiVersion"]]
            self.assertGreaterEqual(len(rows), 6)
            wrong = json.loads(json.dumps(rows))
            daemon = next(document for _, document in wrong if document["kind"] == "DaemonSet")
            daemon["spec"]["template"]["spec"]["containers"][0]["privilege"] = True
            for given, faults in ((rows, 0), (wrong, len(VERSIONS))):
                done = subprocess.run([sys.executable, "-c", VALIDATE, *VERSIONS], text=True,
                                      input=json.dumps(given), capture_output=True, check=False,
                                      env={**os.environ, "PYTHONPATH": folder})
                self.assertEqual((done.returncode, len(done.stdout.splitlines())), (0, faults),
                                 done.stdout + done.stderr)

    def test_the_monitor(self):
        monitor = next(document for _, document in self.manifests()
                       if document["kind"] == "PodMonitor")
        self.assertEqual(monitor["spec"].keys(), POD_MONITOR)
        daemon = next(document for _, document in self.manifests()
                      if document["kind"] == "DaemonSet")
        ports = [port["name"] for container in daemon["spec"]["template"]["spec"]["containers"]
                 for port in container["ports"]]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            self.assertLessEqual(endpoint.keys(), ENDPOINT)
            self.assertIn(endpoint["port"], ports)
        self.assertEqual(monitor["spec"]["selector"], daemon["spec"]["selector"])
        self.assertEqual(daemon["spec"]["template"]["metadata"]["labels"],
                         daemon["spec"]["selector"]["matchLabels"])


def main():
    global BINARY
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    BINARY = os.path.abspath(options.agent)
    return runner.run(runner.chosen(options.tests))


if __name__ == "__main__":
    sys.exit(main())
