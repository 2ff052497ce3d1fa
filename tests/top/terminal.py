"""A terminal for programs under test: tmux, of which one types keys and reads the screen."""

import os
import shutil
import subprocess

import host  # tests/engine

PACKAGE = "tmux is not installed (tools/install-packages full)"


def lacking():
    return None if shutil.which("tmux") else PACKAGE


class Terminal:
    """A shell in a tmux server of its own; the environment is this one's and `more`."""

    count = 0

    def __init__(self, folder, width=80, height=24, **more):
        Terminal.count += 1
        self.socket = str(folder / f"tmux-{Terminal.count}")
        self.environment = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PS1": "$ ",
                            "TERM": "xterm-256color", **more}
        for name in ("TMUX", "NO_COLOR"):
            if name not in more:
                self.environment.pop(name, None)
        self.ask("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "sh")
        self.ask("set-option", "-g", "escape-time", "0")

    def ask(self, *arguments):
        done = subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], capture_output=True,
                              text=True, env=self.environment, timeout=30, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def keys(self, *keys):
        """tmux's names, such as Enter, C-z, Down; other words are typed."""
        self.ask("send-keys", *keys)

    def type(self, text):
        self.ask("send-keys", "-l", text)

    def run(self, command):
        self.type(command)
        self.keys("Enter")

    def lines(self):
        return self.ask("capture-pane", "-p").split("\n")

    def screen(self):
        return "\n".join(self.lines())

    def coloured(self):
        """With its escape sequences, as tmux has understood them."""
        return self.ask("capture-pane", "-p", "-e")

    def resize(self, width, height):
        self.ask("resize-window", "-x", str(width), "-y", str(height))

    def fact(self, name):
        """One of tmux's own formats, such as cursor_flag or alternate_on."""
        return self.ask("display-message", "-p", f"#{{{name}}}").strip()

    def until(self, *parts, absent=()):
        """Awaits a screen that has all of these parts; returns it."""
        def there():
            screen = self.screen()
            missing = [part for part in parts if part not in screen]
            left = [part for part in absent if part in screen]
            if missing or left:
                raise AssertionError(f"without {missing}, with {left}:\n{screen}")
            return screen
        return host.await_that(f"the screen shows {parts}", there, pace=0.1)

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True,
                       env=self.environment, check=False)
