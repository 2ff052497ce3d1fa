"""Where the web server listens and who is told what about it: several addresses, Unix sockets,
sockets from systemd, the warning about open ones, `tallyman check` and `tallyman healthcheck`; and
both text formats as a real Prometheus and the Python client count them.

usage: test_outside.py BINARY [TEST]
"""

import gzip
import http.server
import json
import os
import socket
import sys
import threading
import urllib.parse
import urllib.request

import prometheus_client.openmetrics.parser
import prometheus_client.parser

import peers
from peers import HASH, PASSWORD, host

sys.path.insert(0, str(peers.HERE.parents[1]))
import runner  # noqa: E402

TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
USERS = f"basic_auth_users:\n  prom: {HASH}\n"


HOSTILE = ["plain", 'a"} 1\nup{x="y', "back\\slash", "\u2028 \U0001f433", "# EOF", "x" * 5000,
           "\t\r\x01", "name=\"b\","]


class Listening(peers.WebCase):
    def test_several_addresses(self):
        path = self.configure(("127.0.0.1:0", "[::1]:0", f"unix:{self.folder}/web.sock"),
                              web_file=False)
        program = self.start(path)
        self.assertEqual(len(self.addresses(program)), 3)
        self.assertEqual(self.status(self.port(program)), 200)
        with socket.create_connection(("::1", self.port(program, 1))) as plain:
            plain.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            self.assertIn(b" 200 ", plain.recv(4096))
        self.assertEqual(self.ask(peers.Unix(f"{self.folder}/web.sock"))[0], 200)
        self.assertNotIn("level=warn who=web", program.said())
        self.assertEqual(program.stop(), 0)

    def handed_over(self, sockets, names, listen, pid="$$"):
        """Starts the agent as systemd would: sockets from descriptor 3 on, told of by variables."""
        for index, one in enumerate(sockets):
            os.dup2(one.fileno(), 100 + index, inheritable=True)
        moves = " ".join(f"{3 + index}<&{100 + index}" for index in range(len(sockets)))
        script = (f"exec {moves}; export LISTEN_PID={pid} LISTEN_FDS={len(sockets)} "
                  f"LISTEN_FDNAMES={names}; exec \"$0\" \"$@\"")
        path = self.configure(listen, web_file=False)
        command = ["bash", "-c", script]
        if pid == "1":
            return peers.subprocess.run([*command, self.binary, "run", "--config", str(path)],
                                        capture_output=True, text=True, close_fds=False,
                                        timeout=peers.SECONDS_MAX, check=False,
                                        stdin=peers.subprocess.DEVNULL)
        return self.start(path, command, pass_fds=[100 + index for index in range(len(sockets))])

    def test_systemd_sockets(self):
        tcp, other, unwanted = (socket.socket() for _ in range(3))
        local = socket.socket(socket.AF_UNIX)
        for one in (tcp, other, unwanted):
            one.bind(("127.0.0.1", 0))
        local.bind(str(self.folder / "handed.sock"))
        for one in (tcp, other, unwanted, local):
            one.listen()
            self.addCleanup(one.close)
        program = self.handed_over((tcp, unwanted, other, local), "web:else:web:local",
                                   ("systemd:web", "systemd:local", "127.0.0.1:0"))
        for one in (tcp, other):
            self.assertEqual(self.status(one.getsockname()[1]), 200)
        self.assertEqual(self.ask(peers.Unix(str(self.folder / "handed.sock")))[0], 200)
        said = program.said()
        self.assertIn("hands over the socket `else`, which web.listen does not name", said)
        self.assertIn(f"listening on 127.0.0.1:{tcp.getsockname()[1]}, from systemd", said)
        self.assertEqual(program.stop(), 0)
        self.assertTrue((self.folder / "handed.sock").exists())  # it is systemd's
        # Any name, and a socket that does not listen.
        program = self.handed_over((tcp,), "", ("systemd",))
        self.assertEqual(self.status(tcp.getsockname()[1]), 200)
        self.assertEqual(program.stop(), 0)

    def test_no_systemd_socket(self):
        path = self.configure(("systemd:web",), web_file=False)
        result = self.tallyman("run", "--config", path)
        self.assertEqual(result.returncode, 2)
        self.assertIn("systemd hands over no socket named web", result.stderr)
        result = self.tallyman("healthcheck", "--config", path)
        self.assertEqual(result.returncode, 2)
        self.assertIn("name the address by --url", result.stderr)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            one.listen()
            result = self.handed_over((one,), "web", ("systemd",), pid="1")
        self.assertEqual(result.returncode, 2)
        self.assertIn("systemd hands over no socket", result.stderr)

    def test_open_address_is_said(self):
        self.authority().sign("server", "DNS:localhost")
        for text, expected in (("{}", "without TLS and without authentication"),
                               (TLS, "with TLS and without authentication"),
                               (USERS, "without TLS: passwords and figures go over the network"),
                               (TLS + USERS, None)):
            self.web_file(text)
            program = self.start(self.configure((":0", "0.0.0.0:0", "127.0.0.1:0")))
            said = [line for line in program.said().split("\n") if "from other hosts" in line]
            self.assertEqual(len(said), 1 if expected else 0, text)
            if expected:
                self.assertIn(expected, said[0])
                self.assertIn("(and 1 more)", said[0])
            self.assertEqual(program.stop(), 0)


class Commands(peers.WebCase):
    def test_check(self):
        path = self.configure()
        ca = self.authority()
        ca.sign("server", "DNS:localhost")
        ca.sign("other", "DNS:localhost")
        web = self.folder / "web.yml"
        self.web_file(TLS + USERS)
        result = self.tallyman("check", path)
        self.assertEqual((result.returncode, result.stdout),
                         (0, f"{web}: valid\n{path}: valid\n"))
        result = self.tallyman("check", web)  # by itself
        self.assertEqual((result.returncode, result.stdout), (0, f"{web}: valid\n"))
        rows = [
            ("tls_server_confg: {}", "1:1: unknown key `tls_server_confg`, did you mean "
             "`tls_server_config`?"),
            ("zzz: {}", "1:1: unknown key `zzz`; its keys are tls_server_config, "
             "http_server_config, basic_auth_users, rate_limit"),
            ("tls_server_config:\n  certfile: x\n",
             "2:3: unknown key `certfile` in `tls_server_config`, did you mean `cert_file`?"),
            ("http_server_config:\n  headers:\n    X-Other: y\n",
             "3:5: unknown key `X-Other` in `headers`; its keys are Strict-Transport-Security"),
            ("http_server_config:\n  headers:\n    X-Frame-Options: maybe\n",
             "3:22: `X-Frame-Options`: it is `deny`, `sameorigin`, or left out"),
            ("basic_auth_users:\n  bob: secret\n", "2:8: `bob`: not a bcrypt hash"),
            (f"basic_auth_users:\n  bob: {HASH.replace('$05', '$31')}\n",
             "2:8: `bob`: bcrypt's cost is 31; allowed is 4 to 16"),
            (USERS + f"  prom: {HASH}\n", "3:3: `prom` stands here a second time"),
            ("rate_limit: {burst: 0}", "1:21: `burst`: 0 is too small"),
            (TLS + "  client_auth_type: Verify\n", "4:21: `client_auth_type`: `Verify` is not a"),
            (TLS.replace("server.key", "other.key"), ": tls_server_config: the certificate"),
            (TLS.replace("server.pem", "none.pem"), "none.pem: No such file"),
            (TLS.replace("server.key", "none.key"), "3:13: `key_file`: cannot use"),
        ]
        for text, expected in rows:
            self.web_file(text)
            result = self.tallyman("check", path)
            self.assertEqual(result.returncode, 1, text)
            self.assertIn(str(web), result.stdout)
            self.assertIn(expected, result.stdout)
            self.assertEqual(self.tallyman("run", "--config", path).returncode, 2)
        self.web_file("rate_limit: {burst: 0}\n")
        self.assertIn(":1:21: `burst`: 0 is too small", self.tallyman("check", web).stdout)
        web.unlink()
        self.assertEqual(self.tallyman("check", path).returncode, 2)

    def healthcheck(self, path, *arguments):
        result = self.tallyman("healthcheck", "--config", path, *arguments)
        return result.returncode, result.stdout + result.stderr

    def test_healthcheck(self):
        ca = self.authority()
        ca.sign("server", "DNS:example.org")  # the name by which others know the agent
        ca.sign("client", "DNS:scraper")
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        login = ("--user", "prom", "--password-file", password)
        show = ("--cert-file", "client.pem", "--key-file", "client.key")
        required = ("  client_ca_file: ca.pem\n"
                    "  client_auth_type: RequireAndVerifyClientCert\n")
        for listen in (f":{host.free_port()}", f"unix:{self.folder}/web.sock"):
            path = self.configure((listen,))
            self.web_file(TLS + USERS)
            program = self.start(path)
            self.assertEqual(self.healthcheck(path, *login), (0, "healthy\n"))
            code, said = self.healthcheck(path)
            self.assertEqual(code, 0)
            self.assertIn("as far as can be seen without --user", said)
            self.assertEqual(self.healthcheck(path, "--user", "nobody", *login[2:])[0], 1)
            self.assertEqual(self.healthcheck(path, "--ca-file", "ca.pem")[0], 1)  # another name
            self.web_file(TLS + required)
            host.await_that("the client certificate is asked for", lambda:
                            "it asks for a client certificate" in self.healthcheck(path)[1])
            self.assertEqual(self.healthcheck(path)[0], 1)
            self.assertEqual(self.healthcheck(path, *show), (0, "healthy\n"))
            self.assertEqual(program.stop(), 0)
        for arguments in (login[:2], login[2:], show[:2], show[2:]):
            code, said = self.healthcheck(path, *arguments)
            self.assertEqual(code, 2)
            self.assertIn("go together", said)
        password.chmod(0o644)
        self.assertIn("everyone may read", self.healthcheck(path, *login)[1])


class Pages(peers.WebCase):
    def test_containers(self):
        self.containers(HOSTILE)
        path = self.configure(web_file=False)
        path.write_text(path.read_text() + "collect: {interval: 1h}\n")
        program = self.start(path)
        port = self.port(program)
        host.await_that("it is ready", lambda: self.status(port, path="/-/ready") == 200)
        url = "/api/v1/containers?metric[]=machine_memory_bytes"
        status, headers, body = self.ask(self.connect(port), url)
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        answer = json.loads(body)
        self.assertEqual({container["name"] for container in answer["containers"]},
                         set(HOSTILE))
        self.assertEqual({container["state"] for container in answer["containers"]}, {"running"})
        self.assertEqual([sample["name"] for sample in answer["host"]], ["machine_memory_bytes"])
        self.assertEqual(answer["host"][0]["value"],
                         os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        tag = headers["ETag"]
        status, headers, body = self.ask(self.connect(port), url, If_None_Match=tag)
        self.assertEqual((status, headers["ETag"], body), (304, tag, b""))
        status, headers, body = self.ask(self.connect(port), url, If_None_Match='W/"0"',
                                         Accept_Encoding="gzip")
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
        self.assertEqual(json.loads(gzip.decompress(body))["host"], answer["host"])
        everything = json.loads(self.ask(self.connect(port), "/api/v1/containers")[2])
        self.assertGreater(len(everything["host"]), 1)
        one = json.loads(self.ask(self.connect(port), "/api/v1/containers?name=plain")[2])
        self.assertEqual(len(one["containers"]), 1)
        values = {sample["name"]: sample["value"] for sample in one["containers"][0]["samples"]}
        self.assertEqual(values["container_memory_usage_bytes"], 4096)
        self.assertEqual(values["container_cpu_user_seconds_total"], 1)
        self.assertEqual(self.status(port, path="/api/v1/containers?metric[]=none"), 400)
        connection = self.connect(port)
        self.assertEqual(self.ask(connection, url, method="HEAD")[0], 200)
        self.assertIn(b"status.js", self.ask(connection, "/")[2])
        self.check_overview(port)
        self.assertEqual(program.stop(), 0)


    def check_overview(self, port):
        """What the status page asks for, of the same containers."""
        status, headers, body = self.ask(self.connect(port), "/api/v1/overview",
                                         Accept_Encoding="gzip")
        self.assertEqual((status, headers["Content-Encoding"], headers["Cache-Control"]),
                         (200, "gzip", "no-store"))
        overview = json.loads(gzip.decompress(body))
        rows = [dict(zip(overview["columns"], row, strict=True)) for row in overview["containers"]]
        self.assertEqual({row["name"] for row in rows}, set(HOSTILE))
        self.assertEqual({row["memory"] for row in rows}, {4096 - 512})
        self.assertIn("/metrics", [page["path"] for page in overview["pages"]])
        self.assertEqual({layer["layer"] for layer in overview["sandbox"]},
                         {"capabilities", "no_new_privs", "landlock", "seccomp"})

        def history():
            answer = json.loads(self.ask(self.connect(port), "/api/v1/history?id[]=/host&id[]=none&"
                                         f"id[]={rows[0]['id']}&id[]=%0A&id[]=")[2])
            self.assertEqual(answer["period"], 3 * 3600)
            return answer["history"]
        told = host.await_that("there is a first point", lambda: history() or None)
        self.assertEqual(set(told), {"/host", rows[0]["id"]})
        self.assertEqual(told[rows[0]["id"]]["memory"], [3 * 1024])
        detail = json.loads(self.ask(self.connect(port), "/api/v1/containers?name=plain&"
                                     "detail=true&metric[]=machine_memory_bytes")[2])
        self.assertEqual(detail["containers"][0]["container_labels"]["com.example/label"], "plain")


class Formats(peers.WebCase):
    """Prometheus scrapes through proxies, one of which asks for the older format."""

    def check_lints(self, body):
        """promtool finds nothing but cAdvisor's own names."""
        allow = (peers.HERE.parent / "codec" / "promtool-allow.txt").read_text().splitlines()
        done = peers.subprocess.run(["promtool", "check", "metrics"], input=body, text=True,
                                    capture_output=True, timeout=peers.SECONDS_MAX, check=False)
        self.assertEqual([line for line in done.stderr.splitlines() if line not in allow], [])
        self.assertIn(done.returncode, (0, 3))  # 3: lints

    def test_counts(self):
        self.containers(HOSTILE)
        path = self.configure(web_file=False)
        path.write_text(path.read_text() + 'collect: {labels: ["*"]}\n')
        program = self.start(path)
        port = self.port(program)
        host.await_that("all containers are shown", lambda: len(
            [name for name, _ in self.metrics(port) if name == "container_memory_rss"]) ==
            len(HOSTILE))
        seen = {"openmetrics": [], "text": []}

        class Proxy(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                kind = self.path.strip("/")
                headers = {"Accept": self.headers["Accept"] if kind == "openmetrics"
                           else "text/plain;version=0.0.4"}
                request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics",
                                                 headers=headers)
                with urllib.request.urlopen(request, timeout=peers.SECONDS_MAX) as reply:
                    body, content_type = reply.read(), reply.headers["Content-Type"]
                seen[kind].append((content_type, body.decode()))
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        jobs = [{"job_name": kind, "metrics_path": f"/{kind}", "static_configs": [
            {"targets": [f"127.0.0.1:{proxy.server_address[1]}"]}]} for kind in seen]
        web = host.free_port()
        (self.folder / "prometheus.yml").write_text(json.dumps(
            {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}))
        prometheus = host.Program("prometheus", [
            "prometheus", f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{web}"], self.folder)
        self.addCleanup(prometheus.stop)

        def counts(expression):
            url = f"http://127.0.0.1:{web}/api/v1/query?" + urllib.parse.urlencode(
                {"query": expression + "[10m]"})
            with urllib.request.urlopen(url, timeout=peers.SECONDS_MAX) as reply:
                return {row["metric"]["job"]: [int(value) for _, value in row["values"]]
                        for row in json.load(reply)["data"]["result"]}

        host.await_that("three scrapes of each are stored", lambda: all(
            len(counts("scrape_samples_scraped").get(kind, ())) >= 3 for kind in seen))
        self.assertEqual(set().union(*counts("up").values()), {1})
        parsers = {"openmetrics": prometheus_client.openmetrics.parser,
                   "text": prometheus_client.parser}
        for kind, parser in parsers.items():
            scraped = counts("scrape_samples_scraped")[kind]
            stored = counts("scrape_samples_post_metric_relabeling")[kind]
            written = []
            for content_type, body in seen[kind]:
                self.assertIn("openmetrics" if kind == "openmetrics" else "version=0.0.4",
                              content_type)
                lines = [line for line in body.split("\n") if line and not line.startswith("#")]
                families = list(parser.text_string_to_metric_families(body))
                self.assertEqual(sum(len(family.samples) for family in families), len(lines))
                written.append(len(lines))
            if kind == "text":
                self.check_lints(body)
            # The last scrape may not be stored yet.
            self.assertEqual(scraped, written[:len(scraped)])
            self.assertEqual(stored, written[:len(stored)])
        self.assertEqual(program.stop(), 0)


if __name__ == "__main__":
    peers.WebCase.binary = os.path.abspath(sys.argv.pop(1))
    runner.main()
