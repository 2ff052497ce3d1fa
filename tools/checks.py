#!/usr/bin/python3
"""The steps of ./check, which see for how it is called.

Each step is a function that takes the run and returns a Verdict; its output is kept in a file and
shown in full when it fails. A step whose build failed fails too. Many steps mostly wait, so some
run at a time: each begins when its builds are done and nobody else has what it must have alone.
What only computes, such as a build, runs beside them, one at a time.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILDS = "build-check"  # one folder for each kind of build below

# What a sanitizer's report needs, a line for each address, and a linker that is quick with it:
# there are two hundred programs.
SANITIZED = ["-Doptimization=1", "-Ddebug=false", "-Dc_args=-g1"]
LINKER = {"CC_LD": "lld"}
# kind -> environment and options of its `meson setup`
KINDS = {
    "gcc": ({"CC": "gcc"}, ["--buildtype=debugoptimized"]),
    # Also what the engine tests run under ASan, and the home of the libFuzzer programs.
    "clang": ({"CC": "clang", **LINKER}, [*SANITIZED, "-Dfuzz=true",
                                          "-Db_sanitize=address,undefined", "-Db_lundef=false"]),
    "tsan": ({"CC": "gcc", **LINKER}, [*SANITIZED, "-Db_sanitize=thread"]),
}
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1:"
                    f"suppressions={ROOT}/tests/tsan.supp",
}
# What of the engine tests moves most between threads, and takes less than a minute under TSan.
TSAN_ENGINE_TESTS = ("test_churn", "test_chain.Hostile",
                     "test_chain.Losing.test_short_lived_and_removed_containers")
# What of them waits more than it computes, a third of their time: a step of its own.
WAITING_ENGINE_TESTS = ("test_alerts", "test_stacks")
FUZZ_SECONDS = 4  # for each target; longer campaigns are run by hand
# States that clang's analyzer looks at in one function. Its own bound, 225000, takes four times as
# long and reaches no more than one block in two thousand that this one does not; half of this one
# misses ten times as many.
ANALYZER_NODES_MAX = 40000
STEP_SECONDS_MAX = 900
ENGINE_SECONDS_MAX = 1800  # of many tests with times of their own, beside other steps
VM_SECONDS_MAX = 2400      # it may be emulated, beside other steps
TESTING_AT_A_TIME = 2    # steps with times to keep, which mostly wait: more disturb each other
COMPUTING_AT_A_TIME = 1  # steps that take every processor by themselves
TIDY_NICENESS = 5        # a third of the weight: nobody waits for it, and tests have times to keep
# Tests of one suite that run at a time: they wait for timers and peers more than they compute.
TESTS_AT_A_TIME = 2 * (os.cpu_count() or 2)
MEMORY_BYTES_MIN = 1 << 30  # for a run of the unit tests
COMMAND_SHOWN = 300  # characters; the formatter is given every file by name


class Verdict:
    def __init__(self, passed=0, failed=0, skipped=0, show=""):
        self.passed, self.failed, self.skipped = passed, failed, skipped
        self.show = show  # what is worth a line although nothing failed: skips, measured values


class Failure(Exception):
    """The step's command failed; its output says why."""


class Run:
    """One step under way: runs commands and keeps what they print."""

    processes = set()  # of all steps, to be stopped when the user has had enough

    def __init__(self, log):
        self.log = log

    def write(self, text):
        self.log.write(text.encode())
        self.log.flush()

    def command(self, arguments, env=None, may_fail=False, seconds=STEP_SECONDS_MAX):
        """Runs a command to its end; its exit code and what it printed."""
        start = self.log.tell()
        said = " ".join(map(str, arguments))
        self.write(f"$ {said if len(said) < COMMAND_SHOWN else said[:COMMAND_SHOWN] + ' …'}\n")
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self.log,
                                   stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True,
                                   env={**os.environ, **SANITIZERS, **(env or {})})
        Run.processes.add(process)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            stop_group(process)
            self.write(f"\nstopped: it took longer than {seconds} s\n")
            code = 124
        finally:
            Run.processes.discard(process)
        self.log.seek(0, os.SEEK_END)
        if code != 0 and not may_fail:
            raise Failure(f"exit code {code}")
        return code, self.text(start)

    def text(self, start=0):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            file.seek(start)
            return file.read()


def be_nice(process, niceness):
    """Lowers the weight of a process that leads its session: its own and, where the kernel weighs
    sessions against each other, the session's."""
    try:
        niceness += os.getpriority(os.PRIO_PROCESS, process.pid)
        os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        with open(f"/proc/{process.pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(niceness))
    except OSError:
        pass  # it has ended, or this kernel does not weigh sessions


def stop_group(process):
    """Not a kill at first: the tests have engines and chroots to clear away."""
    for number, patience in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=patience)
            return
        except (ProcessLookupError, PermissionError):
            return
        except subprocess.TimeoutExpired:
            continue


def as_root(arguments):
    """The command with root's rights, keeping the few variables that tests listen to."""
    if os.geteuid() == 0:
        return arguments
    kept = [f"{name}={os.environ[name]}" for name in ("CI", "TMPDIR", *SANITIZERS)
            if name in os.environ]
    return ["sudo", "env", *kept, *arguments]


def sources(*suffixes):
    found = []
    for top in ("agent", "collectors", "outputs", "tests"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            found += [os.path.relpath(os.path.join(folder, name), ROOT)
                      for name in names if name.endswith(suffixes)]
    return sorted(found)


# ---- builds ----

def build(run, kind):
    """Sets the build folder up where it is missing or of another kind, and builds."""
    folder = os.path.join(BUILDS, kind)
    env, options = KINDS[kind]
    stamp = os.path.join(ROOT, folder, "options")
    wanted = json.dumps([env, options])
    known = open(stamp, encoding="utf-8").read() if os.path.exists(stamp) else ""
    if known != wanted:
        shutil.rmtree(os.path.join(ROOT, folder), ignore_errors=True)
        run.command(["meson", "setup", folder, *options], env=env)
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(wanted)
    run.command(["ninja", "-C", folder])
    return Verdict(passed=1)


def package_folder():
    return os.path.join(ROOT, BUILDS, "package")


def build_package(run):
    """The Debian package, unless nothing has changed since it was built."""
    folder = package_folder()
    built = max((os.path.getmtime(path)
                 for path in glob.glob(os.path.join(folder, "tallyman_*.deb"))), default=0)
    if not built or built < newest_source():
        shutil.rmtree(folder, ignore_errors=True)
        run.command(["tools/build-package", "--no-tests", folder])
    return Verdict(passed=1)


def newest_source():
    """When a file that goes into the package was written last."""
    newest = 0
    for top, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in (".git", "__pycache__", "tests") and
                      not (top == ROOT and name.startswith("build"))]
        newest = max([newest, *(os.lstat(os.path.join(top, name)).st_mtime for name in names)])
    return newest


def agent(kind):
    return os.path.join(ROOT, BUILDS, kind, "agent", "tallyman")


# ---- tests by meson ----

def count_cmocka(output):
    """Single tests in the standard output of a cmocka program: passed, failed, skipped; None if it
    is not one. A test that began and has no outcome took the program with it."""
    begun = len(re.findall(r"^\[ RUN +\] ", output, flags=re.M))
    passed = len(re.findall(r"^\[ +OK \] ", output, flags=re.M))
    skipped = len(skipped_in(output))
    return (passed, begun - passed - skipped, skipped) if begun else None


def skipped_in(output):
    """Names of the single tests that were skipped, of the same output."""
    return re.findall(r"^\[ +SKIPPED +\] (\w+)$", output, flags=re.M)


def quick_folder():
    """A folder in memory for the tests' files, where there is one: what they sync then waits for no
    disk that other steps keep busy."""
    memory = "/dev/shm"
    try:
        good = os.access(memory, os.W_OK | os.X_OK)
        return memory if good and shutil.disk_usage(memory).free > MEMORY_BYTES_MIN else None
    except OSError:
        return None


def meson_tests(run, kind, suite):
    folder = os.path.join(BUILDS, kind)
    memory = quick_folder()
    code, _ = run.command(["meson", "test", "-C", folder, "--no-rebuild", "--suite", suite,
                           "--logbase", f"testlog-{suite}",
                           "--num-processes", str(TESTS_AT_A_TIME), "--print-errorlogs",
                           "--timeout-multiplier", "6", "--logbase", f"testlog-{suite}"],
                          may_fail=True, env={"TMPDIR": memory} if memory else None)
    # A log of its own for each suite: they may run beside each other in one build folder.
    log = os.path.join(ROOT, folder, "meson-logs", f"testlog-{suite}.json")
    passed = failed = skipped = 0
    names = []
    with open(log, encoding="utf-8") as file:
        for line in file:
            test = json.loads(line)
            counts = count_cmocka(test.get("stdout", ""))
            good = test["result"] in ("OK", "EXPECTEDFAIL")
            if test["result"] == "SKIP" and not counts:
                counts = (0, 0, 1)
            elif good and not counts:
                counts = (1, 0, 0)
            elif not good and (not counts or not counts[1]):
                # It crashed, timed out, or failed outside of any single test.
                counts = ((counts or (0, 0, 0))[0], 1, (counts or (0, 0, 0))[2])
            passed, failed, skipped = (passed + counts[0], failed + counts[1],
                                       skipped + counts[2])
            if counts[2]:
                which = ", ".join(skipped_in(test.get("stdout", ""))) or "all of it"
                names.append(f"skipped in {test['name']}: {which}")
    if code != 0 and not failed:
        raise Failure(f"meson test: exit code {code}")
    if not passed + failed:
        raise Failure(f"no test of suite '{suite}' ran")
    return Verdict(passed, failed, skipped, "\n".join(names))


# ---- tests by Python ----

def python_tests(run, arguments, seconds=STEP_SECONDS_MAX):
    """A test script of tests/: its last line has the counts (tests/runner.py)."""
    code, output = run.command(arguments, may_fail=True, seconds=seconds)
    last = output.strip().rsplit("\n", 1)[-1]
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", last)
    if not counts or (code != 0 and counts[2] == "0"):
        raise Failure(f"exit code {code}")
    show = [line for line in output.split("\n") if line.startswith("SKIP") or "; " in line]
    return Verdict(*(int(count) for count in counts.groups()), "\n".join(show))


def python(path, *arguments):
    return ["/usr/bin/python3", "-B", path, *arguments]


def engine_tests():
    """The engine tests' modules that have no step of their own."""
    modules = glob.glob(os.path.join(ROOT, "tests", "engine", "test_*.py"))
    return sorted({os.path.basename(path).removesuffix(".py") for path in modules} -
                  set(WAITING_ENGINE_TESTS))


# ---- gates ----

def gate(run, arguments):
    run.command(arguments)
    return Verdict(passed=1)


def format_gate(run):
    return gate(run, ["clang-format", "--dry-run", "-Werror", *sources(".c", ".h", ".def")])


def side_by_side(run, commands, niceness=0):
    """Runs commands as many at a time as there are CPUs; how many failed. Only what a failed one
    printed is kept."""
    def perform_one(arguments):
        with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              env={**os.environ, **SANITIZERS}, start_new_session=True) as process:
            if niceness:
                be_nice(process, niceness)
            Run.processes.add(process)
            output, _ = process.communicate()
            Run.processes.discard(process)
        return arguments, process.returncode, output

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for arguments, code, output in pool.map(perform_one, commands):
            if code != 0:
                failed += 1
                run.write(f"$ {' '.join(arguments)}\n{output}\n")
    return failed


def tidy_gate(run):
    """clang-tidy over every source that the clang build knows."""
    folder = os.path.join(BUILDS, "clang")
    with open(os.path.join(ROOT, folder, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    files = sorted({os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
                    for entry in entries})
    # The analyzer, which follows every path, takes nearly all of the time: it is for what is
    # shipped, and gives a function up sooner than it would by itself.
    extra = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang",
                                                f"max-nodes={ANALYZER_NODES_MAX}")]
    failed = side_by_side(run, [
        ["clang-tidy", "--quiet", "-p", folder,
         *(["--checks=-clang-analyzer-*"] if path.startswith("tests/") else extra), path]
        for path in files], TIDY_NICENESS)
    if failed:
        raise Failure(f"{failed} of {len(files)} files")
    return Verdict(passed=1)


def symbols_gate(run):
    """Every symbol that a room exports carries the project's prefix; what tests share need not."""
    archives = [path for top in ("agent", "collectors", "outputs")
                for path in glob.glob(os.path.join(ROOT, BUILDS, "gcc", top, "**", "lib*.a"),
                                      recursive=True)]
    if not archives:
        raise Failure("no library was built")
    _, output = run.command(["nm", "-g", "--defined-only", "--format=posix", *archives])
    wrong = sorted({line.split()[0] for line in output.split("\n")
                    if re.match(r"\w+ [A-Z] ", line) and not line.startswith("tly_")})
    if wrong:
        run.write("without tly_: " + " ".join(wrong) + "\n")
        raise Failure(f"{len(wrong)} symbols")
    return Verdict(passed=1)


def shell_gate(run):
    scripts = ["check", "quickstart", ".ci/run", "tools/generate-docs", "tools/install-packages",
               "deploy/install-configuration.sh", "deploy/container/make-root.sh",
               "deploy/completions/tallyman.bash", "deploy/debian/postrm", "tools/build-package"]
    scripts += sorted(os.path.relpath(path, ROOT)
                      for path in glob.glob(os.path.join(ROOT, "tests", "**", "*.sh"),
                                            recursive=True))
    return gate(run, ["shellcheck", *scripts])


def documents_gate(run):
    """docs/ that come from the option and family tables are as the binary writes them now."""
    return gate(run, ["tools/generate-docs", "--check", agent("gcc")])


def hardening_gate(run):
    """The program, and every library that it needs is known by its package."""
    run.command(python("tools/check-binary", agent("gcc")))
    _, text = run.command(python("tools/sbom", agent("gcc")))
    bill = json.loads(text[text.index("\n{"):])
    unknown = [part["name"] for part in bill["components"] if "purl" not in part]
    if unknown:
        raise Failure(f"of no package: {', '.join(unknown)}")
    return Verdict(passed=2, show=f"{len(bill['components'])} libraries in the bill of materials")


def reproducible_gate(run):
    """The same sources in another folder make the same program, byte for byte."""
    _, options = KINDS["gcc"]
    _, listed = run.command(["git", "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard"])
    with tempfile.TemporaryDirectory(prefix="tallyman-again-") as scratch:
        there = os.path.join(scratch, "a", "folder", "with", "another", "name")
        for path in listed.split("\n", 1)[1].split("\0"):
            if os.path.isfile(os.path.join(ROOT, path)):
                os.makedirs(os.path.dirname(os.path.join(there, path)), exist_ok=True)
                shutil.copy2(os.path.join(ROOT, path), os.path.join(there, path))
        folder = os.path.join(there, BUILDS, "gcc")  # so deep, too
        env = {"CC": "gcc", "CCACHE_DISABLE": "1"}  # what another folder's build left is no proof
        run.command(["meson", "setup", folder, there, *options, "-Dtests=disabled"], env=env)
        run.command(["ninja", "-C", folder, "agent/tallyman"], env=env)
        with open(os.path.join(folder, "agent", "tallyman"), "rb") as again, \
                open(agent("gcc"), "rb") as first:
            if again.read() != first.read():
                raise Failure("the program differs")
    return Verdict(passed=1)


def fuzz_run(run):
    """A short run of each libFuzzer program from its corpus; finds go to a scratch folder, and the
    output has their bytes."""
    programs = sorted(path for path in glob.glob(os.path.join(ROOT, BUILDS, "clang", "tests",
                                                              "fuzz", "fuzz_*"))
                      if os.access(path, os.X_OK) and os.path.isfile(path))
    if not programs:
        raise Failure("no fuzz target was built")
    with tempfile.TemporaryDirectory(prefix="tallyman-fuzz-") as scratch:
        commands = []
        for program in programs:
            name = os.path.basename(program).removeprefix("fuzz_")
            grown = os.path.join(scratch, name)
            os.mkdir(grown)
            commands.append([program, f"-max_total_time={FUZZ_SECONDS}", "-timeout=5",
                             "-verbosity=0", f"-artifact_prefix={grown}/", grown,
                             os.path.join("tests", "fuzz", "corpus", name)])
        failed = side_by_side(run, commands)
    return Verdict(len(programs) - failed, failed)


# ---- the list ----

class Step:
    def __init__(self, name, what, action, needs=(), fast=False, alone=None, computes=False):
        self.name, self.what, self.action = name, what, action
        self.needs, self.fast = needs, fast
        self.alone = alone        # what only one step at a time can have
        self.computes = computes  # it takes every processor, and nothing in it has a time to keep


# What others wait for, or takes longest, stands first. The engine's tests and the VM's have the
# most times to keep and are not beside each other.
STEPS = [
    Step("rooms", "who includes whom, lengths, marks of unfinished work",
         lambda run: gate(run, ["tools/check-rooms"]), fast=True),
    Step("tools", "tests of the project's own tools",
         lambda run: python_tests(run, python("tests/tools/run.py")), fast=True),
    Step("build-gcc", "gcc, warnings are errors", lambda run: build(run, "gcc"),
         fast=True, computes=True),
    Step("build-clang", "clang with ASan and UBSan, fuzz targets",
         lambda run: build(run, "clang"), computes=True),
    Step("symbols", "the prefix of every exported symbol", symbols_gate, ["build-gcc"], fast=True),
    Step("documents", "generated documents are not stale", documents_gate, ["build-gcc"],
         fast=True),
    Step("hardening", "what compiler and linker defend, seen in the program; its libraries",
         hardening_gate, ["build-gcc"], fast=True),
    Step("unit", "unit tests", lambda run: meson_tests(run, "gcc", "unit"), ["build-gcc"],
         fast=True),
    Step("corpora", "each parser over its corpus", lambda run: meson_tests(run, "gcc", "fuzz"),
         ["build-gcc"], fast=True),
    Step("build-package", "the Debian package, as tools/build-package makes it",
         build_package, computes=True),
    Step("build-tsan", "gcc with TSan", lambda run: build(run, "tsan"), computes=True),
    Step("tidy", "clang-tidy", tidy_gate, ["build-clang"], computes=True),
    Step("fuzz", f"{FUZZ_SECONDS} s of libFuzzer for each parser",
         fuzz_run, ["build-clang"], computes=True),
    Step("reproducible", "the same program from another folder", reproducible_gate,
         ["build-gcc"], computes=True),
    Step("format", "clang-format", format_gate, fast=True, computes=True),
    Step("shell", "shellcheck", shell_gate, computes=True),
    Step("engine-waits", "the chain where alerts take their time, and the files of deploy/ at work",
         lambda run: python_tests(run, as_root(python(
             "tests/engine/run.py", "--agent", agent("gcc"), *WAITING_ENGINE_TESTS))),
         ["build-gcc"]),
    Step("engine", "the whole chain on a real Docker engine and Prometheus",
         lambda run: python_tests(run, as_root(python(
             "tests/engine/run.py", "--agent", agent("gcc"), "--asan-agent", agent("clang"),
             *engine_tests())), seconds=ENGINE_SECONDS_MAX),
         ["build-gcc", "build-clang"], alone="calm"),
    Step("vm", "a VM: a kernel with every cgroup v2 controller, the service under systemd",
         lambda run: python_tests(run, as_root(python(
             "tests/vm/run.py", "--packages", package_folder(),
             "--keep", os.path.join(ROOT, BUILDS))), seconds=VM_SECONDS_MAX),
         ["build-package"], alone="calm"),
    Step("bare", "quickstart and check in a fresh minimal Debian",
         lambda run: python_tests(run, as_root(python("tests/bare/run.py"))), alone="ports"),
    Step("unit-asan", "unit tests under ASan and UBSan",
         lambda run: meson_tests(run, "clang", "unit"), ["build-clang"]),
    Step("unit-tsan", "unit tests under TSan", lambda run: meson_tests(run, "tsan", "unit"),
         ["build-tsan"]),
    Step("faults", "calls of the agent that fail, one place after the other; nothing is lost by it",
         lambda run: python_tests(run, python(
             "tests/faults/run.py", "--agent", agent("gcc"), "--library",
             os.path.join(ROOT, BUILDS, "gcc", "tests", "faults", "libfaults.so"),
             "--keep", os.path.join(ROOT, BUILDS, "faults"))),
         ["build-gcc"]),
    Step("dashboards", "Grafana's dashboards are not stale, and as their rules want them",
         lambda run: python_tests(run, python("tests/dashboards/run.py")), fast=True),
    Step("promql", "expressions, the same in a real Prometheus",
         lambda run: python_tests(run, python(
             "tests/promql/run.py", "--evaluate",
             os.path.join(ROOT, BUILDS, "gcc", "tests", "promql", "promql_evaluate"))),
         ["build-gcc"]),
    Step("rules", "the shipped rules: promtool's word, each alert's case and near miss",
         lambda run: python_tests(run, python("tests/rules/run.py"))),
    Step("promtool", "rules, the same under promtool",
         lambda run: python_tests(run, python(
             "tests/promql/rules.py", "--tallyman", agent("gcc"))),
         ["build-gcc"]),
    Step("judge", "rules in the agent, beside a real Prometheus",
         lambda run: python_tests(run, python("tests/judge/run.py", "--agent", agent("gcc"))),
         ["build-gcc"]),
    Step("peers", "the forward protocol against another implementation, both ways",
         lambda run: python_tests(run, python("tests/peers/run.py", "--agent", agent("gcc"))),
         ["build-gcc"]),
    Step("page", "the status page in a real browser: a real engine, a thousand containers",
         lambda run: python_tests(run, as_root(python("tests/page/run.py", "--agent",
                                                      agent("gcc")))),
         ["build-gcc"]),
    Step("top", "`tallyman top` in a real terminal: a real engine, a thousand containers",
         lambda run: python_tests(run, as_root(python("tests/top/run.py", "--agent",
                                                      agent("gcc")))),
         ["build-gcc"]),
    Step("outage", "receivers that are down, slow or silent, with many logs",
         lambda run: python_tests(run, python(
             "tests/outage/run.py", "--agent", agent("gcc"), "--flood",
             os.path.join(ROOT, BUILDS, "gcc", "tests", "outage", "outage_flood"))),
         ["build-gcc"]),
    Step("limits", "a full disk, a read-only one, no descriptors, no inotify: all of them real",
         lambda run: python_tests(run, as_root(python("tests/limits/run.py", "--agent",
                                                      agent("gcc")))),
         ["build-gcc"]),
    Step("engine-tsan", "some of these under TSan: containers that come and go, all ways at once",
         lambda run: python_tests(run, as_root(python(
             "tests/engine/run.py", "--agent", agent("tsan"), *TSAN_ENGINE_TESTS))),
         ["build-tsan"]),
    Step("package", "the Debian package: lintian, a fresh Debian, its removal",
         lambda run: python_tests(run, as_root(python("tests/package/run.py", "--packages",
                                                      package_folder()))),
         ["build-package"]),
    Step("deploy", "what stands in deploy/, and the documents' examples of configurations",
         lambda run: python_tests(run, python("tests/deploy/run.py", "--agent", agent("gcc"))),
         ["build-gcc"]),
    Step("install", "what `meson install` brings: the tree, the manual, completions in real shells",
         lambda run: python_tests(run, python("tests/install/run.py", "--build",
                                              os.path.join(ROOT, BUILDS, "gcc"))),
         ["build-gcc"]),
    Step("readme", "every command in README.md",
         lambda run: python_tests(run, python("tests/docs/test_readme.py")), alone="ports"),
]


def chosen(names, fast):
    """The steps to run, in the list's order, with the builds that they need."""
    known = {step.name: step for step in STEPS}
    for name in names:
        if name not in known:
            sys.exit(f"check: there is no step '{name}'; --list prints them")
    wanted = set(names) or {step.name for step in STEPS if step.fast or not fast}
    for step in STEPS:
        if step.name in wanted:
            wanted.update(step.needs)
    return [step for step in STEPS if step.name in wanted]


def perform(step, broken):
    """Runs one step: the verdict, and what there is to say of it."""
    started = time.monotonic()
    said = []
    with tempfile.NamedTemporaryFile(prefix="tallyman-check-", suffix=".log") as log:
        run = Run(log)
        lacking = [need for need in step.needs if need in broken]
        try:
            if lacking:
                raise Failure(f"{', '.join(lacking)} failed")
            verdict = step.action(run)
            why = f"{verdict.failed} failed" if verdict.failed else ""
        except Exception as error:  # pylint: disable=broad-except # a fault here is the step's
            verdict, why = Verdict(failed=1), str(error) or repr(error)
        seconds = time.monotonic() - started
        if verdict.failed:
            if not lacking:
                said.append(run.text().rstrip())
            said.append(f"FAIL {step.name:<12} {seconds:6.1f} s  {step.what}: {why}")
        else:
            skipped = f", {verdict.skipped} skipped" if verdict.skipped else ""
            said.append(f"ok   {step.name:<12} {seconds:6.1f} s  {step.what}: "
                        f"{verdict.passed} passed{skipped}")
            said += [f"       {line}" for line in verdict.show.split("\n") if line]
    return verdict, said


def next_step(waiting, running, done):
    """The first step that can begin, or None."""
    taken = {step.alone for step in running if step.alone}
    names = {step.name for step in waiting} | {step.name for step in running}
    computing = sum(step.computes for step in running)
    free = {True: computing < COMPUTING_AT_A_TIME,
            False: len(running) - computing < TESTING_AT_A_TIME}
    for step in waiting:
        if free[step.computes] and step.alone not in taken and not any(
                need in names and need not in done for need in step.needs):
            return step
    return None


def perform_all(steps):
    """Runs the steps, some at a time, and prints what came of each; all counts, and the names of
    those that failed."""
    waiting, running, done, broken = list(steps), [], set(), set()
    totals = Verdict()
    ended = queue.Queue()
    while waiting or running:
        step = next_step(waiting, running, done)
        if step:
            waiting.remove(step)
            running.append(step)
            threading.Thread(target=lambda step=step: ended.put((step, *perform(step, broken))),
                             daemon=True).start()
            continue
        step, verdict, said = ended.get()
        running.remove(step)
        done.add(step.name)
        print("\n".join(said), flush=True)
        totals.passed += verdict.passed
        totals.failed += verdict.failed
        totals.skipped += verdict.skipped
        if verdict.failed:
            broken.add(step.name)
    return totals, broken


def main():
    parser = argparse.ArgumentParser(prog="./check", add_help=False)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--no-packages", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("steps", nargs="*", metavar="STEP")
    options = parser.parse_args()
    if options.list:
        for step in STEPS:
            print(f"{step.name:<12} {'fast  ' if step.fast else '      '}{step.what}")
        return 0
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    started = time.monotonic()
    try:
        totals, broken = perform_all(chosen(options.steps, options.fast))
    except BaseException:
        for process in list(Run.processes):
            stop_group(process)
        raise
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    print(f"{minutes} min {seconds} s; failed steps: {', '.join(sorted(broken)) or 'none'}")
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped")
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
