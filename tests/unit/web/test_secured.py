"""The web server behind TLS, client certificates and passwords, met by OpenSSL (Python's ssl) and by
a real Prometheus.

usage: test_secured.py BINARY [TEST]
"""

import http.client
import json
import os
import socket
import ssl
import sys
import urllib.parse
import urllib.request
import warnings

import peers
from peers import HASH, PASSWORD, basic, host

sys.path.insert(0, str(peers.HERE.parents[1]))
import runner  # noqa: E402

TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
USERS = f"basic_auth_users:\n  prom: {HASH}\n"
RIGHT = basic("prom", PASSWORD)
OK = {"Authorization": RIGHT}


class Passwords(peers.WebCase):
    def test_every_route(self):
        self.web_file(USERS)
        program = self.start(self.configure())
        port = self.port(program)
        for path in ("/", "/-/healthy", "/-/ready", "/metrics", "/nothing"):
            connection = self.connect(port)
            status, headers, _ = self.ask(connection, path)
            self.assertEqual(status, 401)
            self.assertTrue(headers["WWW-Authenticate"].startswith("Basic realm="))
        for wrong in (basic("prom", "u*u"), basic("prom", ""), basic("", PASSWORD),
                      basic("nobody", PASSWORD), "Basic", "Basic ====", "Bearer x", "",
                      "Basic " + "A" * 4000, basic("prom", PASSWORD + "\0")):
            self.assertEqual(self.status(port, Authorization=wrong), 401, wrong)
        self.assertEqual(self.status(port, Authorization=RIGHT), 200)
        self.assertEqual(self.status(port, "", "/metrics", Authorization=RIGHT), 200)
        self.assertEqual(self.status(port, "", "/nothing", Authorization=RIGHT), 404)
        connection = self.connect(port)
        self.assertEqual(self.ask(connection, method="HEAD", Authorization=RIGHT)[0], 200)
        self.assertEqual(self.ask(connection, Authorization=RIGHT)[0], 200)  # kept alive
        samples = self.metrics(port, **OK)
        self.assertGreaterEqual(samples["tallyman_http_requests_denied_total", frozenset()], 15)
        said = program.said()
        for secret in (PASSWORD, HASH, RIGHT):
            self.assertNotIn(secret, said)
        self.assertIn("no such user, or a wrong password", said)
        self.assertEqual(program.stop(), 0)

    def test_rate_limit_and_headers(self):
        self.web_file("rate_limit: {interval: 1h, burst: 3}\n"
                      "http_server_config:\n"
                      "  http2: false\n"
                      "  headers:\n"
                      "    Strict-Transport-Security: max-age=1\n"
                      "    X-Frame-Options: deny\n"
                      "    Content-Security-Policy: default-src 'self'\n")
        program = self.start(self.configure())
        port = self.port(program)
        for path in ("/", "/nothing", "/-/healthy"):
            _, headers, _ = self.ask(self.connect(port), path)
            self.assertEqual(headers["X-Frame-Options"], "deny")
            self.assertEqual(headers["Strict-Transport-Security"], "max-age=1")
            self.assertEqual(headers.get_all("Content-Security-Policy"), ["default-src 'self'"])
            self.assertEqual(headers.get_all("X-Content-Type-Options"), ["nosniff"])
        status, headers, _ = self.ask(self.connect(port))
        self.assertEqual(status, 429)
        self.assertEqual(headers["Retry-After"], "1")
        self.web_file("{}")
        host.await_that("the limit is gone", lambda: self.status(port) == 200)
        self.assertEqual(program.stop(), 0)


class Tls(peers.WebCase):
    def setUp(self):
        super().setUp()
        self.ca = self.authority()
        self.ca.sign("server", "DNS:localhost")

    def test_plain_and_tls_do_not_mix(self):
        self.web_file(TLS)
        program = self.start(self.configure())
        port = self.port(program)
        self.assertEqual(self.status(port, self.context()), 200)
        self.assertIn(self.status(port), ("RemoteDisconnected", "ConnectionResetError",
                                          "BadStatusLine"))
        # Many requests on one connection, and one large answer.
        connection = self.connect(port, self.context())
        for _ in range(5):
            status, headers, body = self.ask(connection, "/metrics", Accept_Encoding="gzip")
            self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
            self.assertGreater(len(body), 1000)
        self.assertEqual(self.status(port, self.context(), "/-/healthy"), 200)
        samples = self.metrics(port, self.context())
        expiry = samples["tallyman_http_certificate_expiry_timestamp_seconds", frozenset()]
        text = ssl._ssl._test_decode_cert(str(self.folder / "server.pem"))["notAfter"]
        self.assertEqual(expiry, ssl.cert_time_to_seconds(text))
        self.assertEqual(program.stop(), 0)

    def test_client_certificates(self):
        """What each policy says to no certificate, a good one, one of a stranger, and one that is
        for servers only."""
        self.ca.sign("client", "DNS:scraper,email:a@example.org,IP:10.0.0.7,URI:spiffe://x/y")
        self.ca.sign("service", "DNS:scraper", "extendedKeyUsage=serverAuth")
        self.authority("other").sign("stranger", "DNS:scraper")
        authorities = "  client_ca_file: ca.pem\n"
        expected = {
            "NoClientCert": ("", (200, 200, 200, 200)),
            "RequestClientCert": (authorities, (200, 200, 200, 200)),
            "RequireAnyClientCert": (authorities, (0, 200, 200, 200)),
            "RequireClientCert": ("", (0, 200, 200, 200)),
            "VerifyClientCertIfGiven": (authorities, (200, 200, 0, 0)),
            "RequireAndVerifyClientCert": (authorities, (0, 200, 0, 0)),
        }
        self.web_file(TLS)
        program = self.start(self.configure())
        port = self.port(program)
        contexts = [self.context(client) for client in (None, "client", "stranger", "service")]
        clients = [lambda context=context: self.outcome(port, context) for context in contexts]
        for policy, (more, statuses) in expected.items():
            self.web_file(f"{TLS}{more}  client_auth_type: {policy}\n")
            host.await_that(f"{policy} gives {statuses}",
                            lambda: tuple(ask() for ask in clients) == statuses)
        for name in ("scraper", "a@example.org", "10.0.0.7", "spiffe://x/y"):
            self.web_file(f"{TLS}{authorities}  client_auth_type: RequireAndVerifyClientCert\n"
                          f"  client_allowed_sans: [nobody]\n")
            host.await_that("nobody may", lambda: self.outcome(port, contexts[1]) == 0)
            self.web_file(f"{TLS}{authorities}  client_auth_type: RequireAndVerifyClientCert\n"
                          f"  client_allowed_sans: [nobody, '{name}']\n")
            host.await_that(f"{name} may", lambda: self.outcome(port, contexts[1]) == 200)
        broken = self.metrics(port, contexts[1])["tallyman_http_connections_broken_total",
                                                 frozenset()]
        self.assertGreater(broken, 5)
        self.assertEqual(program.stop(), 0)

    def outcome(self, port, context):
        status = self.status(port, context)
        return status if isinstance(status, int) else 0

    def negotiate(self, port, **options):
        """What a client with these options and the server agree on: (version, suite), or None."""
        context = self.context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        for name, value in options.items():
            if name == "curve":
                context.set_ecdh_curve(value)
            elif name == "ciphers":
                context.set_ciphers(value)
            else:
                setattr(context, name, value)
        try:
            with socket.create_connection(("127.0.0.1", port), peers.SECONDS_MAX) as plain, \
                    context.wrap_socket(plain, server_hostname="localhost") as tls:
                return tls.version(), tls.cipher()[0]
        except (ssl.SSLError, OSError):
            return None

    def test_versions_suites_and_curves(self):
        version = ssl.TLSVersion
        self.web_file(TLS)
        program = self.start(self.configure())
        port = self.port(program)
        only12 = {"maximum_version": version.TLSv1_2}
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions, on purpose
        old = {"minimum_version": version.TLSv1, "maximum_version": version.TLSv1_1}
        self.assertEqual(self.negotiate(port)[0], "TLSv1.3")
        self.assertEqual(self.negotiate(port, **only12)[0], "TLSv1.2")
        self.assertIsNone(self.negotiate(port, **old))

        def await_rules(lines, *expected):
            self.web_file(TLS + "".join(f"  {line}\n" for line in lines))
            host.await_that(f"{lines}", lambda: all(self.negotiate(port, **options) == wanted
                                                    if not callable(wanted)
                                                    else wanted(self.negotiate(port, **options))
                                                    for options, wanted in expected))

        await_rules(["min_version: TLS13"], ({}, lambda got: got and got[0] == "TLSv1.3"),
                    (only12, None))
        await_rules(["max_version: TLS12", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"],
                    ({}, ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")),
                    ({"ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}, None))
        await_rules(["max_version: TLS12", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]"],
                    ({}, ("TLSv1.2", "ECDHE-ECDSA-AES128-SHA")))
        await_rules(["cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "
                     "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", "curve_preferences: [CurveP384]"],
                    ({"curve": "secp384r1"}, lambda got: got and got[0] == "TLSv1.3"),
                    ({"curve": "prime256v1"}, None))
        await_rules(["curve_preferences: [CurveP256, CurveP521]"],
                    ({"curve": "secp521r1"}, lambda got: got is not None),
                    ({"curve": "secp384r1"}, None))
        self.assertNotIn("level=error", program.said())
        self.assertEqual(program.stop(), 0)

    def test_renewed_certificate(self):
        self.web_file(TLS)
        program = self.start(self.configure())
        port = self.port(program)

        def serial():
            with socket.create_connection(("127.0.0.1", port), peers.SECONDS_MAX) as plain, \
                    self.context().wrap_socket(plain, server_hostname="localhost") as tls:
                return tls.getpeercert()["serialNumber"]

        kept = self.connect(port, self.context())
        self.assertEqual(self.ask(kept)[0], 200)
        before = serial()
        self.ca.sign("server", "DNS:localhost")
        host.await_that("the new certificate is shown", lambda: serial() != before)
        # A connection of before was closed after its answer; the next one stands at once.
        self.assertEqual(self.status(port, self.context()), 200)
        # Half a pair: the old one stays.
        good = serial()
        (self.folder / "server.key").write_text("no key\n")
        host.await_that("it is said", lambda: serial() == good and "level=error" in program.said())
        self.assertIn("the certificate", program.said())
        label = ("tallyman_http_config_last_reload_successful", frozenset())
        self.assertEqual(self.metrics(port, self.context())[label], 0)
        self.ca.sign("server", "DNS:localhost")
        host.await_that("it is mended", lambda: self.metrics(port, self.context())[label] == 1)
        self.assertNotEqual(serial(), good)
        self.assertEqual(program.stop(), 0)

    def test_reload(self):
        self.web_file("{}")
        program = self.start(self.configure())
        port = self.port(program)
        kept = self.connect(port)
        self.assertEqual(self.ask(kept)[0], 200)
        self.web_file(TLS + USERS)
        host.await_that("TLS and passwords hold",
                        lambda: self.status(port, self.context()) == 401)
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.ask(kept)  # plain, and from before
        self.assertEqual(self.status(port, self.context(), Authorization=RIGHT), 200)
        for broken, complaint in ((USERS + "nonsense: 1\n", ":3:1: unknown key `nonsense`"),
                                  (TLS + "basic_auth_users: {prom: plain}\n",
                                   "4:26: `prom`: not a bcrypt hash"),
                                  ("\t", ":1:1: YAML")):
            self.web_file(broken)
            host.await_that(f"{complaint} is said", lambda: self.status(
                port, self.context(), Authorization=RIGHT) == 200 and complaint in program.said())
        (self.folder / "web.yml").unlink()
        host.await_that("its loss is said", lambda: self.status(
            port, self.context(), Authorization=RIGHT) == 200 and
            f"cannot read {self.folder}/web.yml" in program.said())
        samples = self.metrics(port, self.context(), **OK)
        self.assertEqual(samples["tallyman_http_config_last_reload_successful", frozenset()], 0)
        self.assertEqual(samples["tallyman_http_config_reload_failures_total", frozenset()], 4)
        self.web_file("{}")
        host.await_that("it is plain again", lambda: self.status(port) == 200)
        self.assertEqual(self.metrics(port)["tallyman_http_config_last_reload_successful",
                                            frozenset()], 1)
        said = program.said()
        self.assertNotIn(HASH, said)
        self.assertEqual(said.count("unknown key"), 1)
        self.assertEqual(program.stop(), 0)

    def test_handshake_of_before(self):
        """A connection that stood before certificates were asked for is never answered after."""
        self.web_file(TLS)
        program = self.start(self.configure())
        kept = self.connect(self.port(program), self.context())
        kept.connect()
        kept.auto_open = False
        self.web_file(TLS + "  client_auth_type: RequireAnyClientCert\n")

        def ended():
            try:
                status, headers, _ = self.ask(kept)
            except (OSError, http.client.HTTPException):
                return True
            self.assertEqual((status, headers["Connection"]), (200, None))
            return False

        host.await_that("it is closed", ended)
        self.assertIn("loaded again", program.said())
        self.assertEqual(program.stop(), 0)

    def test_passwords_on_a_connection_of_before(self):
        """What it asks next is answered, by the new rules, and then it is closed."""
        self.web_file(TLS)
        program = self.start(self.configure())
        kept = self.connect(self.port(program), self.context())
        self.assertEqual(self.ask(kept)[0], 200)
        kept.auto_open = False
        self.web_file(TLS + USERS)

        def asked():
            status, headers, _ = self.ask(kept)
            return (status, headers["Connection"]) == (401, "close")

        host.await_that("it asks for a password", asked)
        self.assertEqual(program.stop(), 0)

    def test_inline(self):
        def indented(name):
            return "".join(f"    {line}\n" for line in
                           (self.folder / name).read_text().splitlines())
        self.ca.sign("client", "DNS:scraper")
        text = ("tls_server_config:\n"
                f"  cert: |\n{indented('server.pem')}  key: |\n{indented('server.key')}"
                f"  client_ca: |\n{indented('ca.pem')}"
                "  client_auth_type: RequireAndVerifyClientCert\n")
        self.web_file(text)
        path = self.configure()
        result = self.tallyman("run", "--config", path)  # a key in a file that all may read
        self.assertEqual(result.returncode, 2)
        self.assertIn("`key`: a secret in a file that everyone may read", result.stderr)
        (self.folder / "web.yml").chmod(0o600)
        program = self.start(path)
        port = self.port(program)
        self.assertEqual(self.status(port, self.context("client")), 200)
        self.assertNotEqual(self.status(port, self.context()), 200)
        self.assertEqual(program.stop(), 0)


class Peers(peers.WebCase):
    """A real Prometheus, over TLS with a password and with a client certificate."""

    def test_prometheus(self):
        ca = self.authority()
        ca.sign("server", "DNS:localhost")
        ca.sign("client", "DNS:scraper")
        self.web_file(TLS + USERS)
        with_password = self.start(self.configure())
        (self.folder / "certs.yml").write_text(
            TLS + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
            "  client_allowed_sans: [scraper]\n")
        path = self.configure()
        path.write_text(path.read_text().replace("web.yml", "certs.yml")
                        .replace("state_dir: state", "state_dir: other"))
        with_certificate = self.start(path)
        (self.folder / "password").write_text(PASSWORD)
        tls = {"ca_file": str(self.folder / "ca.pem")}
        certificate = {**tls, "cert_file": str(self.folder / "client.pem"),
                       "key_file": str(self.folder / "client.key")}

        def job(name, program, **more):
            return {"job_name": name, "scheme": "https",
                    "static_configs": [{"targets": [f"localhost:{self.port(program)}"]}], **more}

        password = {"username": "prom", "password_file": str(self.folder / "password")}
        jobs = [job("password", with_password, tls_config=tls, basic_auth=password),
                job("certificate", with_certificate, tls_config=certificate),
                job("stranger", with_password, tls_config=tls),
                job("nameless", with_certificate, tls_config=tls)]
        port = host.free_port()
        (self.folder / "prometheus.yml").write_text(json.dumps(
            {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
             "scrape_configs": jobs}))
        prometheus = host.Program("prometheus", [
            "prometheus", f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}"], self.folder)
        self.addCleanup(prometheus.stop)

        def query(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode(
                {"query": expression})
            with urllib.request.urlopen(url, timeout=peers.SECONDS_MAX) as reply:
                return {row["metric"]["job"]: float(row["value"][1])
                        for row in json.load(reply)["data"]["result"]}

        host.await_that("it has scraped all, or tried", lambda: query("up") == {
            "password": 1, "certificate": 1, "stranger": 0, "nameless": 0})
        for name in ("password", "certificate"):
            self.assertEqual(query("count by (job) (tallyman_build_info)")[name], 1)
        self.assertEqual(with_password.stop(), 0)
        self.assertEqual(with_certificate.stop(), 0)


if __name__ == "__main__":
    peers.WebCase.binary = os.path.abspath(sys.argv.pop(1))
    runner.main()
