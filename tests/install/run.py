#!/usr/bin/python3
"""What `meson install` brings: every file at its place, a program that runs, a manual without faults,
and completions that real shells use.

usage: run.py --build FOLDER [TEST…]
"""

import argparse
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import runner  # noqa: E402

BUILD = None
PREFIX = "usr/local"
SECONDS_MAX = 60  # a bound against hanging
# Beside documents, dashboards and examples, which are listed from the tree.
FILES = {
    "bin/tallyman": 0o755,
    "lib/systemd/system/tallyman.service": 0o644,
    "lib/systemd/system/tallyman.socket": 0o644,
    "lib/sysusers.d/tallyman.conf": 0o644,
    "lib/tmpfiles.d/tallyman.conf": 0o644,
    "share/bash-completion/completions/tallyman": 0o644,
    "share/doc/tallyman/LICENSE": 0o644,
    "share/doc/tallyman/README.md": 0o644,
    "share/fish/vendor_completions.d/tallyman.fish": 0o644,
    "share/man/man5/tallyman.yml.5": 0o644,
    "share/man/man8/tallyman.8": 0o644,
    "share/zsh/site-functions/_tallyman": 0o644,
}
FOLDERS = {"dashboards/grafana": "share/tallyman/grafana",
           "dashboards/prometheus": "share/tallyman/prometheus",
           "deploy/examples": "share/doc/tallyman/examples", "docs": "share/doc/tallyman"}
FAULTLESS = r"STYLE: referenced manual not found|outdated mandoc\.db"  # others' pages, not here


def output(*arguments, **options):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=SECONDS_MAX,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{arguments} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def install(to):
    output("meson", "install", "--no-rebuild", "-C", BUILD, "--destdir", to)


class Tree(unittest.TestCase):
    """With everything installed below a folder."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.root = cls.folder / "root"
        install(cls.root)
        cls.prefix = cls.root / PREFIX
        cls.binary = cls.prefix / "bin/tallyman"


class Installed(Tree):
    def test_every_file_is_at_its_place(self):
        expected = {f"{PREFIX}/{name}": mode for name, mode in FILES.items()}
        for source, target in FOLDERS.items():
            found = [path.relative_to(ROOT / source) for path in (ROOT / source).rglob("*")
                     if path.is_file()]
            self.assertTrue(found, source)
            expected.update({f"{PREFIX}/{target}/{name}": 0o644 for name in found})
        expected["etc/tallyman/tallyman.yml"] = 0o640
        self.assertEqual({str(path.relative_to(self.root)): path.stat().st_mode & 0o777
                          for path in self.root.rglob("*") if path.is_file()}, expected)
        self.notes = [f"{len(expected)} files"]

    def test_the_program_runs(self):
        self.assertRegex(output(self.binary, "version"), r"^tallyman \d+\.\d+\.\d+\n$")
        output(self.binary, "check", self.root / "etc/tallyman/tallyman.yml")

    def test_the_unit_and_the_folders_name_what_is_installed(self):
        unit = (self.prefix / "lib/systemd/system/tallyman.service").read_text()
        self.assertIn(f"\nExecStart=/{PREFIX}/bin/tallyman run\n", unit)
        self.assertNotIn("@", re.sub(r"@[a-z]+(-[a-z]+)*\b", "", unit))  # groups of system calls
        folders = (self.prefix / "lib/tmpfiles.d/tallyman.conf").read_text()
        self.assertIn("z /etc/tallyman/tallyman.yml 0640", folders)

    def test_an_administrators_configuration_stays(self):
        again = self.folder / "again"
        kept = again / "etc/tallyman/tallyman.yml"
        kept.parent.mkdir(parents=True)
        kept.write_text("state_dir: /srv\n")
        install(again)
        self.assertEqual(kept.read_text(), "state_dir: /srv\n")

    def test_the_manual_has_no_faults(self):
        pages = sorted((self.prefix / "share/man").rglob("tallyman*"))
        self.assertEqual(len(pages), 2)
        for page in pages:
            done = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True,
                                  check=False)
            said = [line for line in (done.stdout + done.stderr).splitlines()
                    if not re.search(FAULTLESS, line)]
            self.assertEqual(said, [])
            text = output("man", "--warnings", "--encoding=UTF-8", "--local-file", page,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80",
                               "MAN_KEEP_STDERR": "1"})
            self.assertNotIn("warning", text)
            self.assertGreater(len(text), 5000)

    def test_the_manual_names_every_command_and_option(self):
        page = (self.prefix / "share/man/man8/tallyman.8").read_text().replace("\\-", "-")
        commands = re.findall(r"^  (\w+) ", output(self.binary, "help"), re.M)
        self.assertGreater(len(commands), 5)
        for command in commands:
            part = page.split(f"\n.Ss {command}\n")[1].split("\n.S")[0]
            options = re.findall(r"^  -(\w), --([\w-]+)", output(self.binary, command, "--help"),
                                 re.M)
            self.assertEqual(re.findall(r"^\.It Fl (\w) , Fl -([\w-]+)", part, re.M),
                             options[:-1])  # but --help, which all have


class ElsewhereInstalled(unittest.TestCase):
    def planned(self, *options):
        """Where everything would go."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        output("meson", "setup", folder, ROOT, "-Dtests=disabled", *options)
        return set(json.loads(output("meson", "introspect", "--installed", folder)).values()), (
            pathlib.Path(folder))

    def test_all_stays_below_a_prefix(self):
        places, folder = self.planned("--prefix=/opt/tallyman", "--libdir=lib64")
        self.assertEqual([place for place in places if not place.startswith("/opt/tallyman/")], [])
        self.assertIn("/opt/tallyman/lib/systemd/system/tallyman.service", places)
        self.assertIn("ExecStart=/opt/tallyman/bin/tallyman ", (
            folder / "deploy/tallyman.service").read_text())
        self.assertIn(" /opt/tallyman/etc/tallyman ", (
            folder / "deploy/tallyman.tmpfiles").read_text().replace("\n", " "))

    def test_as_a_distribution_wants_it(self):
        places, folder = self.planned("--prefix=/usr",
                                      "-Dzsh_completions=zsh/vendor-completions")
        self.assertIn("/usr/share/zsh/vendor-completions/_tallyman", places)
        self.assertIn(" /etc/tallyman ", (folder / "deploy/tallyman.tmpfiles").read_text())


class Completions(Tree):
    """Each shell, asked what may come next."""

    ASKED = {  # the line so far, and some of what can follow
        "tallyman ": {"run", "check", "audit", "help", "version"},
        "tallyman re": {"receive"},
        "tallyman audit --fail-on ": {"low", "medium", "high", "critical"},
        "tallyman audit -f j": {"json", "junit"},
        "tallyman check --print tally": {"tallyman.8", "tallyman.yml.5"},
        "tallyman healthcheck --pass": {"--password-file"},
        "tallyman rules ": {"test"},
    }
    EMPTY = ("tallyman metrics --timeout ", "tallyman version x")
    FILES = ("tallyman check my-", "tallyman run --config my-", "tallyman rules test my-",
             "tallyman audit -j my-")

    def setUp(self):
        self.here = self.folder / "here"
        self.here.mkdir(exist_ok=True)
        (self.here / "my-file").touch()

    def examine(self, ask):
        """`ask` tells the set of words that the shell offers for a line."""
        for line, some in self.ASKED.items():
            offered = ask(line)
            self.assertLessEqual(some, offered, line)
            self.assertTrue(all(word.startswith(line.rsplit(" ", 1)[1]) for word in offered), line)
        for line in self.EMPTY:
            self.assertEqual(ask(line), set(), line)
        for line in self.FILES:
            self.assertEqual(ask(line), {"my-file"}, line)
        # And all options, as the program itself tells them.
        for command in re.findall(r"^  (\w+) ", output(self.binary, "help"), re.M):
            options = set(re.findall(r"(?<=, )--[\w-]+", output(self.binary, command, "--help")))
            self.assertEqual({word for word in ask(f"tallyman {command} --")
                              if word.startswith("--")}, options, command)

    def test_bash(self):
        script = self.prefix / "share/bash-completion/completions/tallyman"
        ask = ('. "$1"; COMP_WORDS=($2); [[ $2 != *" " ]] || COMP_WORDS+=(""); '
               'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tallyman; printf "%s\\n" "${COMPREPLY[@]}"')
        self.examine(lambda line: set(output("bash", "-uc", ask, "bash", script, line,
                                             cwd=self.here).split()))
        output("shellcheck", "--shell=bash", script)

    def test_fish(self):
        folder = self.prefix / "share/fish/vendor_completions.d"
        bin_folder = str(self.binary.parent)
        environment = {**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                       "PATH": f"{bin_folder}:{os.environ['PATH']}"}

        def ask(line):
            said = output("fish", "--no-config", "--command",
                          f"source {folder}/tallyman.fish; complete --do-complete '{line}'",
                          cwd=self.here, env=environment)
            return {row.split("\t")[0] for row in said.splitlines()}
        self.examine(ask)

    def test_zsh(self):
        """A terminal, in which Tab is typed: zsh completes nowhere else."""
        shell = Zsh(self.prefix / "share/zsh/site-functions", self.here, self.folder)
        self.addCleanup(shell.stop)
        self.examine(shell.ask)


class Zsh:
    """An interactive zsh whose Tab prints what it would offer, one in a line, between two marks."""

    # compadd is what every completion ends in; -O keeps what matches, -D drops nothing.
    SET_UP = """
        unsetopt zle_bracketed_paste; PS1=; PS2=; fpath=(%s $fpath)
        autoload -Uz compinit; compinit -D -u
        compadd() {
            if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
            local -a found; builtin compadd -O found "$@"
            (( $#found )) && print -rl -- $found; return $(( $#found == 0 ))
        }
        offered() { print; print BEGIN; compstate[insert]=; compstate[list]=; _main_complete
                    print END; compstate[insert]=; compstate[list]=; zle kill-buffer }
        zle -C offered complete-word offered; bindkey '^I' offered
        print READY
        """

    def __init__(self, functions, folder, home):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {
                "PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8"})
        self.said = ""
        path = pathlib.Path(home) / "zsh-set-up"
        path.write_text(self.SET_UP % functions)
        self.type(f"source {path}\n")
        self.read_until("READY")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, mark):
        """What came before a line that is the mark."""
        deadline = time.monotonic() + SECONDS_MAX
        while not re.search(rf"^{mark}\r?$", self.said, re.M):
            ready, _, _ = select.select([self.terminal], [], [], deadline - time.monotonic())
            if not ready:
                raise AssertionError(f"no {mark}:\n{self.said}")
            self.said += os.read(self.terminal, 65536).decode(errors="replace").replace("\r", "")
        before, self.said = re.split(rf"^{mark}\n?", self.said, maxsplit=1, flags=re.M)
        return before

    def ask(self, line):
        self.type("\x15" + line + "\t")
        self.read_until("BEGIN")
        return {word.strip() for word in self.read_until("END").splitlines()} - {""}

    def stop(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def main():
    global BUILD
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", required=True, type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    BUILD = options.build
    lacking = [name for name in ("mandoc", "man", "fish", "zsh") if not shutil.which(name)]
    if lacking:
        print(f"install: these programs are missing: {' '.join(lacking)}; "
              "`tools/install-packages full` installs what all tests need")
        return 2
    return runner.run(runner.chosen(options.tests))


if __name__ == "__main__":
    sys.exit(main())
