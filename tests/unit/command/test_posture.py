"""The continuous audit against an engine that refuses, forgets and changes as no real one can be told
to (tests/faults/pretended.py). What a real engine can show is in tests/engine.

usage: test_posture.py BINARY
"""

import contextlib
import json
import pathlib
import sys
import tempfile
import threading
import time
import types
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
sys.path.insert(0, str(HERE.parents[1] / "engine"))
sys.path.insert(0, str(HERE.parents[1] / "faults"))
import host  # noqa: E402
import pretended  # noqa: E402
import runner  # noqa: E402

BINARY = None
HOLD_SECONDS = 30  # what a test holds back comes in the end


def image_id(number):
    return f"sha256:{number:064x}"


def container_id(number):
    return f"c{number:063x}"


def number_of(container):
    return int(container[1:], 16)


class Engine(pretended.Engine):
    """`containers` are numbers with the number of the image that each runs, `tags` what names stand
    for. What `answers` has for a path is told instead, after it was called if it can be."""

    def __init__(self, folder, containers):
        source = types.SimpleNamespace(root=folder / "docker", driver="json-file", ids=[],
                                       log=lambda container: folder / f"{container}.log")
        self.containers = dict(containers)
        self.tags = {f"image:{number}": number for number in set(containers.values())}
        self.answers, self.unversioned = {}, {}
        self.events = []
        super().__init__(folder, source)

    def inspect(self, container):
        number = number_of(container)
        answer = super().inspect(container)
        answer["State"].update(Pid=0)
        answer.update(Name=f"/c{number}", Image=image_id(self.containers[number]))
        own = [tag for tag, of in self.tags.items() if of == self.containers[number]]
        answer["Config"]["Image"] = (own or list(self.tags))[0]
        return answer

    def image(self, number):
        return {"Id": image_id(number), "Created": "2026-01-01T00:00:00Z", "Config": {"User": "1"},
                "RepoTags": [tag for tag, of in self.tags.items() if of == number]}

    def plain(self, path):
        words = path.strip("/").split("/")
        if path == "/images/json":
            return [self.image(number) for number in sorted(
                {*self.tags.values(), *self.containers.values()})]
        if words[0] == "images":
            numbers = [number for number in range(100) if image_id(number) == words[1]]
            return super().answer(path) if words[-1] == "history" else self.image(*numbers)
        if path == "/containers/json":
            return [{**self.listed, "Id": container_id(number), "Names": [f"/c{number}"],
                     "ImageID": image_id(of), "State": "running"}
                    for number, of in sorted(self.containers.items())]
        if words[0] == "containers":
            here = words[1] in map(container_id, self.containers)
            return self.inspect(words[1]) if here else None
        return super().answer(path)

    def ask(self, path):
        answer = super().ask(path)  # the audit asks with a version, the reports' collector without
        return self.unversioned[path](answer) if path in self.unversioned else answer

    def answer(self, path):
        answer = self.plain(path)
        told = self.answers.get(path, answer)
        return told(answer) if callable(told) else told

    def event(self):
        with contextlib.suppress(IndexError):
            return self.events.pop(0)
        return None

    def tell(self, kind, action, name):
        now = time.time_ns()
        self.events.append({"Type": kind, "Action": action, "scope": "local",
                            "Actor": {"ID": name, "Attributes": {}}, "time": now // 10 ** 9,
                            "timeNano": now})

    def start(self, number, image):
        self.containers[number] = image
        for action in ("create", "start"):
            self.tell("container", action, container_id(number))

    def remove(self, number):
        del self.containers[number]
        for action in ("die", "destroy"):
            self.tell("container", action, container_id(number))


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tly-posture-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def start(self, containers, prepare=lambda engine: None, **settings):
        self.engine = Engine(self.folder, containers)
        self.addCleanup(self.engine.end)
        prepare(self.engine)
        agent = host.Agent(BINARY, self.folder, **{
            **self.engine.settings(), "web": {"reload": True},
            "sandbox": {"layers": ["capabilities", "no_new_privs", "seccomp"]},
            "posture": {"sweep": "1h", "records": False}, **settings})
        self.addCleanup(lambda: agent.program.process.poll() is None and agent.stop())
        self.agent = agent.start()
        self.swept = 0
        self.await_sweep()

    def await_sweep(self):
        """Until one more has ended than was awaited before."""
        def ended():
            values = self.agent.values("posture_last_sweep_timestamp_seconds")
            return values and values[0] > self.swept and values[0]
        self.swept = host.await_that("a sweep ends", ended)

    def sweep(self):
        """An image's event asks for one."""
        self.engine.tell("image", "tag", image_id(1))
        self.await_sweep()

    def rows(self):
        return json.loads(self.agent.get("/api/v1/findings"))["findings"]

    def status(self, target, name, check):
        return [row["status"] for row in self.rows()
                if (row["target"], row["name"], row["check"]) == (target, name, check)]

    def subjects(self, target):
        return {row["id"] for row in self.rows() if row["target"] == target}


class Subjects(Case):
    def test_gone_ones_go_while_something_is_refused(self):
        """As by a proxy that lets nobody see the list of images."""
        self.start({1: 1}, lambda engine: engine.answers.update({
            "/images/json": 403, "/version": 403, f"/images/{image_id(1)}/history": 403,
            f"/images/{image_id(2)}/history": 403}))
        self.assertEqual(self.subjects("image"), {image_id(1)})
        self.engine.start(2, 2)
        self.engine.remove(1)
        self.sweep()
        self.assertEqual(self.subjects("container"), {container_id(2)})
        self.assertEqual(self.subjects("image"), {image_id(2)})
        self.assertEqual(len(self.agent.values("image_created_timestamp_seconds")), 1)

    def test_those_that_cannot_be_seen_stay(self):
        self.start({1: 1, 2: 2})
        self.engine.answers[f"/containers/{container_id(2)}/json"] = 500
        self.sweep()
        self.assertEqual(self.subjects("container"), {container_id(1), container_id(2)})
        self.assertEqual(self.subjects("image"), {image_id(1), image_id(2)})

    def test_one_that_goes_while_it_is_judged(self):
        self.start({1: 1, 2: 1})
        sweeps, told, held, free = (threading.Event() for _ in range(4))

        def pass_on(mark):
            def answer(answer):
                mark(sweeps.is_set())
                return answer
            return answer

        def hold(sweeping):
            if sweeping:
                held.set()
                free.wait(HOLD_SECONDS)
        self.addCleanup(free.set)
        self.engine.answers.update({  # no one but a sweep asks for images
            "/images/json": pass_on(lambda _: sweeps.set()),
            f"/containers/{container_id(1)}/json": pass_on(
                lambda sweeping: sweeping and told.set()),
            f"/containers/{container_id(2)}/json": pass_on(hold)})
        self.engine.tell("image", "tag", image_id(1))
        host.await_that("the sweep waits", lambda: told.is_set() and held.is_set())
        self.engine.remove(1)
        host.await_that("it is gone", lambda: container_id(1) not in self.agent.get(
            "/api/v1/containers"))
        free.set()
        self.await_sweep()
        self.assertEqual(self.subjects("container"), {container_id(2)})


class Images(Case):
    def test_a_tag_that_moved_with_its_container(self):
        """Pull, then up: the list of images is of before."""
        self.start({1: 1})
        self.assertEqual(self.status("container", "c1", "image_ref_mutated"), ["pass"])
        self.engine.tags = {"image:1": 2}
        self.engine.start(2, 2)
        host.await_that("it is judged", lambda: self.status("container", "c2", "image_ref_mutated"))
        self.assertEqual(self.status("container", "c2", "image_ref_mutated"), ["unknown"])
        self.sweep()
        self.assertEqual(self.status("container", "c1", "image_ref_mutated"), ["fail"])
        self.assertEqual(self.status("container", "c2", "image_ref_mutated"), ["pass"])

    def test_history_that_failed_is_asked_for_again(self):
        path = f"/images/{image_id(1)}/history"
        self.start({1: 1}, lambda engine: engine.answers.update({path: 500}))
        self.assertEqual(self.status("image", "image:1", "image_add_instruction"), ["unknown"])
        del self.engine.answers[path]
        self.sweep()
        self.assertEqual(self.status("image", "image:1", "image_add_instruction"), ["pass"])


class Switches(Case):
    def series(self):
        return {family for family, _ in self.agent.metrics()
                if family.startswith(("posture_", "image_created"))}

    def reload(self, **settings):
        config = {**json.loads(self.agent.config.read_text()), **settings}
        self.agent.config.write_text(json.dumps(config))

        def done():
            request = urllib.request.Request(f"http://127.0.0.1:{self.agent.port}/-/reload",
                                             method="POST")
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status == 200
        host.await_that("the reload", done)

    def test_nothing_stays_of_what_is_switched_off(self):
        self.start({1: 1})
        self.assertGreater(self.series(), {"posture_check_failed", "posture_checks"})
        self.reload(posture={"enabled": False})
        host.await_that("it is gone", lambda: not self.series())
        self.reload(posture={"sweep": "1h", "records": False})
        self.await_sweep()
        self.assertGreater(self.series(), {"posture_check_failed", "posture_checks"})


class Reports(Case):
    def test_reports_that_were_not_read_yet(self):
        reports = self.folder / "reports"
        reports.mkdir()
        (reports / "one.json").write_text(json.dumps({
            "SchemaVersion": 2, "ArtifactName": "image:1", "ArtifactType": "container_image",
            "CreatedAt": "2026-01-01T00:00:00Z", "Metadata": {"ImageID": image_id(1)},
            "Results": []}))
        free = threading.Event()
        self.addCleanup(free.set)

        def hold(answer):
            free.wait(HOLD_SECONDS)
            return answer
        self.start({1: 1, 2: 2}, lambda engine: engine.unversioned.update({"/images/json": hold}),
                   vulnerabilities={"directory": str(reports)})
        self.assertEqual(self.status("image", "image:1", "image_scanned"), ["unknown"])
        free.set()
        host.await_that("the reports are joined", lambda: self.agent.values("image_unscanned"))
        self.sweep()
        self.assertEqual(self.status("image", "image:1", "image_scanned"), ["pass"])
        self.assertEqual(self.status("image", "image:2", "image_scanned"), ["fail"])

    def test_reports_that_cannot_be_read(self):
        self.start({1: 1}, vulnerabilities={"directory": str(self.folder / "nowhere")})
        self.sweep()
        self.assertEqual(self.status("image", "image:1", "image_scanned"), ["unknown"])
        self.assertEqual(self.agent.values("image_unscanned"), [])


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    runner.main()
