"""What the tests of the web server share: an agent on its own, an authority with certificates by
openssl, and a client."""

import base64
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
sys.path.insert(0, str(HERE.parents[1] / "engine"))
import host  # noqa: E402

# A vector of bcrypt's authors: "U*U".
PASSWORD = "U*U"
HASH = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
SECONDS_MAX = 60  # a bound against hanging


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True,
                   timeout=SECONDS_MAX)


class Authority:
    """NAME.pem and NAME.key in a folder, and what it signs beside them."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "3",
                "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, name, alternative, *extensions, key=("ec", "-pkeyopt",
                                                        "ec_paramgen_curve:P-256")):
        folder = self.folder
        openssl("req", "-newkey", *key, "-nodes", "-keyout", folder / f"{name}.key", "-out",
                folder / f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text("\n".join([f"subjectAltName={alternative}",
                                                       *extensions]) + "\n")
        fresh = folder / f"{name}.new"
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA",
                folder / f"{self.name}.pem", "-CAkey", folder / f"{self.name}.key", "-days", "2",
                "-out", fresh, "-extfile", folder / f"{name}.ext")
        fresh.rename(folder / f"{name}.pem")
        (folder / f"{name}.key").chmod(0o600)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS_MAX)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class WebCase(unittest.TestCase):
    """An agent with a web configuration file, whose parts the tests change."""

    binary = None

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tally-web-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.started = 0
        for name in ("cgroup", "data"):
            (self.folder / name).mkdir()

    def authority(self, name="ca"):
        return Authority(self.folder, name)

    def containers(self, names):
        """Containers as a stopped engine leaves them on disk, with cgroups beside them; each has its
        name as the value of a label, too."""
        example = json.loads((HERE.parents[1] / "fixtures/docker/config.v2.json").read_text())
        numbers = {"cgroup.events": "populated 1\nfrozen 0\n", "memory.current": "4096\n",
                   "memory.max": "max\n", "memory.stat": "anon 1024\nfile 2048\ninactive_file 512\n",
                   "pids.current": "3\n", "cgroup.procs": "", "cgroup.threads": "",
                   "cpu.stat": "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n"}
        for index, name in enumerate(names):
            key = f"{index:064x}"
            folder = self.folder / "data/containers" / key
            folder.mkdir(parents=True)
            labels = {"com.example/label": name, f"key{index}": "x"}
            (folder / "config.v2.json").write_text(json.dumps(
                {**example, "ID": key, "Name": f"/{name}",
                 "Config": {**example["Config"], "Labels": labels}}))
            (folder / "hostconfig.json").write_text(
                (HERE.parents[1] / "fixtures/docker/hostconfig.json").read_text())
            group = self.folder / "cgroup/docker" / key
            group.mkdir(parents=True)
            for file, text in numbers.items():
                (group / file).write_text(text)

    def web_file(self, text):
        """Replaces web.yml, as an editor or a deployment does."""
        fresh = self.folder / "web.new"
        fresh.write_text(text)
        fresh.rename(self.folder / "web.yml")

    def configure(self, listen=("127.0.0.1:0",), web_file=True, **web):
        listed = ", ".join(f'"{address}"' for address in listen)
        more = "".join(f", {key}: {value}" for key, value in web.items())
        if web_file:
            more += ", config_file: web.yml"
        path = self.folder / "tallyman.yml"
        path.write_text(f'state_dir: state\ndocker: {{host: "", data_root: data}}\n'
                        f"cgroup: {{root: cgroup, scope: all}}\nweb: {{listen: [{listed}]{more}}}\n")
        return path

    def start(self, path, command=(), **more):
        self.started += 1
        program = host.Program(f"agent{self.started}",
                               [*command, self.binary, "run", "--config", str(path)], self.folder,
                               **more)
        self.addCleanup(lambda: program.process.poll() is None and program.kill())
        host.await_that("it runs", lambda: program.assert_running() and " runs;" in program.said())
        return program

    def tallyman(self, *arguments):
        return subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True,
                              timeout=SECONDS_MAX, stdin=subprocess.DEVNULL, check=False,
                              cwd=self.folder)

    @staticmethod
    def addresses(program):
        return re.findall(r'msg="listening on ([^",]+)', program.said())

    def port(self, program, which=0):
        return int(self.addresses(program)[which].rsplit(":", 1)[1])

    def context(self, client=None, ca="ca"):
        context = ssl.create_default_context(cafile=str(self.folder / f"{ca}.pem"))
        if client:
            context.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}.key")
        return context

    def connect(self, port, context=None):
        if context:
            return http.client.HTTPSConnection("localhost", port, timeout=SECONDS_MAX,
                                               context=context)
        return http.client.HTTPConnection("localhost", port, timeout=SECONDS_MAX)

    def ask(self, connection, path="/-/healthy", method="GET", **headers):
        """(status, headers, body)"""
        connection.request(method, path, headers={key.replace("_", "-"): value
                                                  for key, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def status(self, port, context=None, path="/-/healthy", **headers):
        """The status of one request, or the name of what went wrong on the way."""
        connection = self.connect(port, context)
        try:
            return self.ask(connection, path, **headers)[0]
        except (ssl.SSLError, OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()

    def metrics(self, port, context=None, **headers):
        connection = self.connect(port, context)
        status, _, body = self.ask(connection, "/metrics", **headers)
        connection.close()
        self.assertEqual(status, 200)
        return host.parse_metrics(body.decode())


def environment(**more):
    return {**os.environ, **more}
