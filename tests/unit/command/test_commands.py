"""The program as people and scripts meet it: every command run for real, its exit code, and what it
says when something is wrong.

usage: test_commands.py BINARY
"""

import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
sys.path.insert(0, str(HERE.parents[1] / "engine"))
import host  # noqa: E402
import runner  # noqa: E402

BINARY = None
COMMANDS = ["run", "check", "metrics", "audit", "top", "receive", "healthcheck", "version"]
SECONDS_MAX = 60  # a bound against hanging


def tallyman(*arguments, env=None, **more):
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("DOCKER_HOST", "STATE_DIRECTORY")}
    environment.update(env or {})
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True,
                          timeout=SECONDS_MAX, stdin=subprocess.DEVNULL, env=environment,
                          check=False, **more)


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tally-command-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def write(self, name, text, mode=0o644):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def expect(self, result, code, out=None, err=None):
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        if out is not None:
            self.assertEqual(result.stdout, out)
        if err is not None:
            self.assertEqual(result.stderr, err)


class Usage(Case):
    def test_nothing(self):
        result = tallyman()
        self.expect(result, 2, out="")
        for name in COMMANDS:
            self.assertRegex(result.stderr, rf"\n  {name} ")

    def test_help(self):
        for argument in ("--help", "-h", "help"):
            result = tallyman(argument)
            self.expect(result, 0, err="")
            self.assertTrue(result.stdout.startswith("Usage: tallyman COMMAND"))

    def test_help_of_each_command(self):
        for name in COMMANDS:
            for option in ("--help", "-h"):
                result = tallyman(name, option)
                self.expect(result, 0, err="")
                self.assertTrue(result.stdout.startswith(f"Usage: tallyman {name}"))
                self.assertIn("--help", result.stdout)
                self.assertIn("Exit codes: 0 done, 1 the answer is no, 2 usage", result.stdout)
                self.assertLessEqual(max(map(len, result.stdout.splitlines())), 100)

    def test_unknown_command(self):
        self.expect(tallyman("metric"), 2, "",
                    "tallyman: unknown command `metric`, did you mean `metrics`?\n")
        self.expect(tallyman("rnu"), 2, "",
                    "tallyman: unknown command `rnu`, did you mean `run`?\n")
        self.expect(tallyman("frobnicate"), 2, "",
                    "tallyman: unknown command `frobnicate`; `tallyman --help` lists the "
                    "commands\n")
        self.expect(tallyman("--frobnicate"), 2, "",
                    "tallyman: unknown option `--frobnicate`; `tallyman --help` lists the "
                    "commands\n")

    def test_unknown_option(self):
        self.expect(tallyman("run", "--confg", "x"), 2, "",
                    "tallyman run: unknown option `--confg`, did you mean `--config`?\n")
        self.expect(tallyman("run", "--confg=x"), 2, "",
                    "tallyman run: unknown option `--confg=x`, did you mean `--config`?\n")
        self.expect(tallyman("check", "a", "-z"), 2, "",
                    "tallyman check: unknown option `-z`; `tallyman check --help` lists them\n")

    def test_missing_value(self):
        self.expect(tallyman("run", "--config"), 2, "",
                    "tallyman run: option `--config` needs a value\n")
        self.expect(tallyman("run", "-c"), 2, "", "tallyman run: option `-c` needs a value\n")

    def test_operand_without_meaning(self):
        self.expect(tallyman("run", "tallyman.yml"), 2, "",
                    "tallyman run: `tallyman.yml` has no meaning here; `tallyman run --help` says "
                    "more\n")

    def test_version(self):
        for argument in ("version", "--version", "-V"):
            result = tallyman(argument)
            self.expect(result, 0, err="")
            self.assertRegex(result.stdout, r"^tallyman \d+\.\d+\.\d+\n$")

    def test_full_output(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([BINARY, "version"], stdout=full, stderr=subprocess.PIPE,
                                    text=True, timeout=SECONDS_MAX, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("cannot write to standard output", result.stderr)


class Check(Case):
    def test_valid(self):
        path = self.write("good.yml", "state_dir: /var/lib/x\ncollect:\n  interval: 5s\n")
        self.expect(tallyman("check", str(path)), 0, f"{path}: valid\n", "")

    def test_mistakes(self):
        path = self.write("bad.yml", "stat_dir: x\ncollect:\n  intervall: 5s\n  interval: 5\n"
                                     "log: {level: loud}\n")
        self.expect(tallyman("check", str(path)), 1, "".join(f"{path}:{line}\n" for line in (
            "1:1: unknown key `stat_dir`, did you mean `state_dir`?",
            "3:3: unknown key `intervall` in `collect`, did you mean `interval`?",
            "4:13: `interval`: `5` is not a duration; write it as 250ms, 10s, 5m, 1h30m or 7d",
            "5:14: `level`: `loud` is not a choice; allowed is debug, info, warn or error",
        )), "")

    def test_each_file_is_looked_at(self):
        good = self.write("good.yml", "")
        bad = self.write("bad.yml", "x: 1\n")
        result = tallyman("check", str(bad), str(good))
        self.expect(result, 1, err="")
        self.assertIn(f"{bad}:1:1: unknown key `x`", result.stdout)
        self.assertIn(f"{good}: valid", result.stdout)
        result = tallyman("check", str(bad), str(self.folder / "none.yml"), str(good))
        self.expect(result, 2)
        self.assertIn("none.yml: No such file or directory", result.stderr)
        self.assertIn(f"{good}: valid", result.stdout)

    def test_no_file(self):
        self.expect(tallyman("check"), 2, "",
                    "tallyman check: which file? Usage: tallyman check FILE...\n")

    def test_environment_of_defaults(self):
        path = self.write("good.yml", "")
        result = tallyman("check", str(path), env={"DOCKER_HOST": "ssh://far"})
        self.expect(result, 1)
        self.assertIn(f"{path}: the default of `host`, which is ${{DOCKER_HOST:-", result.stdout)

    def test_contract(self):
        """Every key that tests and tools of others may count on."""
        path = self.write("tallyman.yml", """
state_dir: /var/lib/tallyman
docker:
  host: unix:///var/run/docker.sock
  data_root: /var/lib/docker
cgroup:
  root: /sys/fs/cgroup
  scope: containers
collect:
  interval: 10s
  labels: [com.docker.compose.*]
web:
  listen: ["127.0.0.1:10191"]
logs:
  from: now
  tag: "docker.{id}"
forward:
  - name: central
    servers: ["fluentd-1:24224", {host: fluentd-2, port: 24224, standby: true}]
    require_ack: true
    compress: none
""")
        self.expect(tallyman("check", str(path)), 0, f"{path}: valid\n", "")

    def test_defaults_are_valid(self):
        result = tallyman("check", "--print", "defaults")
        self.expect(result, 0, err="")
        path = self.write("defaults.yml", result.stdout)
        self.expect(tallyman("check", str(path)), 0)

    def test_documents_are_complete(self):
        pages = tallyman("check", "--print=configuration").stdout
        for key in ("state_dir", "host", "data_root", "scope", "interval", "listen", "from", "tag",
                    "servers", "require_ack"):
            self.assertIn(f"| `{key}` |", pages)
        metrics = tallyman("check", "--print=metrics").stdout
        for name in ("container_cpu_usage_seconds_total", "tallyman_build_info",
                     "process_open_fds"):
            self.assertIn(f"| `{name}` |", metrics)
        self.expect(tallyman("check", "--print=metric"), 2, "",
                    "tallyman check: `metric` cannot be printed, did you mean `metrics`; `tallyman "
                    "check --help` says what can\n")
        self.expect(tallyman("check", "--print=metrics", "x"), 2)


class Libraries(Case):
    """Those that few commands need are loaded by them, and linked with nothing."""

    def test_none_of_them_is_linked(self):
        done = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True)
        self.assertIn("libuv", done.stdout)
        self.assertNotRegex(done.stdout, "curl|curses")

    def without(self, *names):
        """An environment in which the loader finds files under these names that are no libraries."""
        for name in names:
            (self.folder / name).touch()
        return {"LD_LIBRARY_PATH": str(self.folder)}

    def test_without_libcurl(self):
        env = self.without("libcurl.so.4", "libcurl-gnutls.so.4")
        words = r"libcurl, without which there are no HTTP requests, cannot be loaded " \
            r"\(\S+/libcurl\S*\.so\.4: file too short\); install libcurl3-gnutls or libcurl4\n"
        result = tallyman("healthcheck", env=env)
        self.expect(result, 2, out="")
        self.assertRegex(result.stderr, f"^tallyman healthcheck: cannot ask: {words}$")
        path = self.write("tallyman.yml", f"{{state_dir: {self.folder}/state, "
                          "web: {listen: ['127.0.0.1:0']}, docker: {host: 'unix:///nowhere'}}", 0o600)
        result = tallyman("run", "--config", str(path), env=env)
        self.expect(result, 2)
        self.assertRegex(result.stderr, f"(?m)collector docker: {words}")
        self.expect(tallyman("version", env=env), 0)
        self.expect(tallyman("check", str(path), env=env), 0)

    def test_without_ncurses(self):
        env = self.without("libncursesw.so.6")
        ours, its = os.openpty()
        self.addCleanup(os.close, ours)
        try:
            done = subprocess.run([BINARY, "top"], stdin=its, stdout=its, stderr=subprocess.PIPE,
                                  text=True, timeout=SECONDS_MAX, check=False,
                                  env={**os.environ, **env, "TERM": "xterm"})
        finally:
            os.close(its)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, "^tallyman top: cannot use the terminal: ncurses, .*; "
                                      "install libncursesw6\n$")


class Running(Case):
    """The agent on its own: no engine, an empty cgroup tree and an empty data root."""

    def setUp(self):
        super().setUp()
        self.started = 0
        (self.folder / "cgroup").mkdir()
        (self.folder / "data").mkdir()

    def configure(self, listen="127.0.0.1:0", **keys):
        lines = {"state_dir": "state", "docker": '{host: "", data_root: data}',
                 "cgroup": "{root: cgroup, scope: all}", "web": f'{{listen: ["{listen}"]}}', **keys}
        return self.write("tallyman.yml", "".join(f"{key}: {value}\n"
                                                  for key, value in lines.items()))

    def start(self, *arguments):
        self.started += 1
        program = host.Program(f"agent{self.started}", [BINARY, "run", *map(str, arguments)],
                               self.folder)
        self.addCleanup(lambda: program.process.poll() is None and program.kill())
        host.await_that("it runs", lambda: program.assert_running() and " runs;" in program.said())
        return program

    def address(self, program):
        return re.findall(r'msg="listening on ([^"]+)"', program.said())[-1]

    def get(self, program, path):
        url = f"http://{self.address(program)}{path}"
        with urllib.request.urlopen(url, timeout=SECONDS_MAX) as reply:
            return reply.read().decode()

    def test_whole_life(self):
        path = self.configure()
        program = self.start("--config", path)
        state = self.folder / "state"
        self.assertEqual(stat.S_IMODE(state.stat().st_mode), 0o750)
        host.await_that("it is ready", lambda: self.get(program, "/-/ready"))
        samples = host.parse_metrics(self.get(program, "/metrics"))
        names = {name for name, _ in samples}
        for name in ("tallyman_build_info", "process_cpu_seconds_total", "process_open_fds",
                     "process_max_fds", "process_threads", "process_start_time_seconds",
                     "process_resident_memory_bytes", "process_virtual_memory_bytes"):
            self.assertIn(name, names)
        for collector in ("cgroup", "docker", "logs"):
            labels = frozenset({("collector", collector)})
            for what in ("duration_seconds", "success", "errors_total"):
                self.assertIn((f"tallyman_collector_{what}", labels), samples)

        url = f"http://{self.address(program)}"
        self.expect(tallyman("healthcheck", "--url", url), 0, "healthy\n", "")
        self.expect(tallyman("healthcheck", "--url", url + "/-/ready"), 0, "healthy\n", "")
        self.expect(tallyman("healthcheck", "--url", url + "/none"), 1, "")

        self.assertEqual(program.stop(), 0)
        self.assertIn("SIGTERM: stopping", program.said())
        self.assertIn("stopped", program.said())
        result = tallyman("healthcheck", "--url", url)
        self.expect(result, 1, "")
        self.assertIn("does not answer: Connection refused", result.stderr)

    def layers(self, program):
        samples = host.parse_metrics(self.get(program, "/metrics"))
        return {dict(labels)["layer"]: value for (name, labels), value in samples.items()
                if name == "tallyman_sandbox_enabled"}

    def test_the_sandbox_and_what_it_holds(self):
        """On by itself, by layers, and off; the kernel says the same."""
        every = {"capabilities", "no_new_privs", "landlock", "seccomp"}
        for given, wanted in ((None, every), ("{layers: [no_new_privs, seccomp]}",
                                              {"no_new_privs", "seccomp"}),
                              ("{enabled: false}", set())):
            path = self.configure(**({"sandbox": given} if given else {}))
            program = self.start("--config", path)
            status = dict(line.split(":\t", 1) for line in pathlib.Path(
                f"/proc/{program.process.pid}/status").read_text().splitlines() if ":\t" in line)
            on = {layer for layer, value in self.layers(program).items() if value == 1}
            lacking = {layer for layer in wanted - on
                       if re.search(rf"off: .*{layer} \((the kernel|it is|built with)", program.said())}
            self.assertEqual(on | lacking, wanted)
            self.assertEqual(set(self.layers(program)), every)
            self.assertEqual(status["NoNewPrivs"], str(int("no_new_privs" in on)))
            self.assertEqual(status["Seccomp"], "2" if "seccomp" in on else "0")
            if "capabilities" in on:
                self.assertEqual(int(status["CapPrm"], 16) & ~(1 << 1 | 1 << 2 | 1 << 19), 0)
            self.assertEqual(program.said().count("who=sandbox"), 1)
            self.assertEqual(program.stop(), 0)

    def test_interrupt(self):
        program = self.start("-c", self.configure())
        program.process.send_signal(signal.SIGINT)
        self.assertEqual(program.process.wait(SECONDS_MAX), 0)

    def test_second_agent(self):
        path = self.configure()
        first = self.start("-c", path)
        result = tallyman("run", "-c", str(path))
        self.expect(result, 2)
        self.assertIn(f"another agent (process {first.pid}) uses the state folder "
                      f"{self.folder}/state", result.stderr)
        first.kill()
        self.assertEqual(self.start("-c", path).stop(), 0)

    def test_port_in_use(self):
        first = self.start("-c", self.configure())
        path = self.configure(listen=self.address(first), state_dir="other")
        result = tallyman("run", "-c", str(path))
        self.expect(result, 2)
        self.assertIn(self.address(first), result.stderr)
        self.assertIn("in use", result.stderr)

    def test_healthcheck_by_configuration(self):
        port = host.free_port()
        path = self.configure(listen=f":{port}")
        self.expect(tallyman("healthcheck", "-c", str(path)), 1)
        program = self.start("-c", path)
        self.expect(tallyman("healthcheck", "-c", str(path)), 0)
        self.assertEqual(program.stop(), 0)
        path = self.configure(listen=f"unix://{self.folder}/web.sock")
        program = self.start("-c", path)
        self.expect(tallyman("healthcheck", "-c", str(path)), 0)
        self.assertEqual(program.stop(), 0)
        path = self.configure(web="{listen: []}")
        self.expect(tallyman("healthcheck", "-c", str(path)), 2, "",
                    "tallyman healthcheck: the agent listens nowhere: `web.listen` is empty\n")
        for url in ("localhost", "ftp://localhost", "/x?http://localhost", ""):
            self.expect(tallyman("healthcheck", "-u", url), 2, "",
                        f"tallyman healthcheck: --url: `{url}` is no URL such as "
                        "http://127.0.0.1:10191\n")

    def test_wrong_configuration(self):
        path = self.configure(collect="{intervall: 5s}")
        for command in ("run", "metrics", "healthcheck"):
            self.expect(tallyman(command, "-c", str(path)), 2, "",
                        f"{path}:5:11: unknown key `intervall` in `collect`, did you mean "
                        "`interval`?\n")
        self.expect(tallyman("run", "-c", "/none.yml"), 2, "",
                    "tallyman run: cannot read /none.yml: No such file or directory\n")

    def test_state_is_no_folder(self):
        path = self.configure(state_dir="tallyman.yml")
        result = tallyman("run", "-c", str(path))
        self.expect(result, 2)
        self.assertIn("set `state_dir` to a folder", result.stderr)

    def test_metrics(self):
        path = self.configure()
        program = self.start("-c", path)  # beside a running agent
        result = tallyman("metrics", "-c", str(path))
        self.expect(result, 0)
        samples = host.parse_metrics(result.stdout)
        self.assertTrue(any(name == "tallyman_build_info" for name, _ in samples))
        self.assertTrue(any(name == "machine_memory_bytes" for name, _ in samples))
        self.assertEqual(program.stop(), 0)
        path = self.configure(state_dir="untouched")
        self.expect(tallyman("metrics", "-c", str(path)), 0)
        self.assertFalse((self.folder / "untouched").exists())

    def test_metrics_timeout(self):
        self.expect(tallyman("metrics", "--timeout", "soon"), 2, "",
                    "tallyman metrics: --timeout: `soon` is not a duration such as 10s\n")


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    runner.main()
