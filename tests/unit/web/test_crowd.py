"""Ten thousand connections that send one byte a second: they neither stop a scrape nor hold it up,
be there room for all of them or for few.

usage: test_crowd.py BINARY [TEST]
"""

import contextlib
import os
import resource
import select
import socket
import sys
import time

import peers
from peers import host

sys.path.insert(0, str(peers.HERE.parents[1]))
import runner  # noqa: E402

CROWD = 10000
TICKS = 10  # a tenth of the crowd at a time, so that bytes come evenly
SPARE = 500  # descriptors beside the crowd's
AT_ONCE = 100  # of those that were cut off come again before the clock is looked at
SCRAPES = 20
GATHER_SECONDS = 200  # against hanging: a machine that is busy takes a minute and more
HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: "


def raise_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = CROWD + SPARE
    with contextlib.suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), max(hard, need)))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= need


class Member:
    """One connection, and how much of its endless request it has sent."""

    def __init__(self, index, port, epoll, members):
        self.index, self.port, self.epoll, self.members = index, port, epoll, members
        self.socket = None
        self.connect()

    def connect(self):
        self.socket = socket.socket()
        self.sent = 0
        # Ports that others may listen on all the same: the crowd has nearly all that there are.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Of many peers, each with few connections, as the limit for each peer sees it.
        self.socket.bind((f"127.{1 + self.index // 200}.0.1", 0))
        self.socket.connect(("127.0.0.1", self.port))
        self.socket.setblocking(False)
        self.members[self.socket.fileno()] = self
        self.epoll.register(self.socket.fileno(), select.EPOLLIN | select.EPOLLRDHUP)

    def again(self):
        self.epoll.unregister(self.socket.fileno())
        del self.members[self.socket.fileno()]
        self.socket.close()
        self.connect()

    def send(self):
        byte = HEAD[self.sent:self.sent + 1] or b"a"
        with contextlib.suppress(OSError):  # closed: seen in the next look
            self.sent += self.socket.send(byte)


def crowd(port):
    """Stays until it is killed; who is cut off comes again."""
    assert raise_descriptors()
    epoll = select.epoll()
    members = {}
    everyone = [Member(index, port, epoll, members) for index in range(CROWD)]
    print("all are there", flush=True)
    cut = rounds = 0
    while True:
        for tick in range(TICKS):
            for member in everyone[tick::TICKS]:
                member.send()
            until = time.monotonic() + 1 / TICKS
            while (left := until - time.monotonic()) > 0:
                for descriptor, _ in epoll.poll(left, AT_ONCE):
                    members[descriptor].again()
                    cut += 1
        rounds += 1
        print(f"round {rounds}, {cut} came again", flush=True)


class Crowd(peers.WebCase):
    def setUp(self):
        super().setUp()
        if not raise_descriptors():
            raise runner.Lacking(f"the right to open {CROWD + SPARE} files")

    def scrape(self, port):
        """Seconds for a scrape on a connection of its own, as a Prometheus makes it."""
        start = time.monotonic()
        connection = self.connect(port)
        status, headers, body = self.ask(connection, "/metrics", Accept_Encoding="gzip",
                                         X_Prometheus_Scrape_Timeout_Seconds="10")
        connection.close()
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
        self.assertGreater(len(body), 1000)
        return time.monotonic() - start

    def measure(self, port):
        times = sorted(self.scrape(port) for _ in range(SCRAPES))
        return f"median {times[SCRAPES // 2] * 1000:.0f} ms, worst {times[-1] * 1000:.0f} ms"

    def run_crowd(self, **web):
        program = self.start(self.configure(web_file=False, **web))
        port = self.port(program)
        alone = self.measure(port)
        kept = self.connect(port)  # a scraper that was there before
        self.assertEqual(self.ask(kept, "/metrics")[0], 200)
        crowd_of = host.Program("crowd", [sys.executable, "-B", __file__, "--crowd", str(port)],
                                self.folder)
        self.addCleanup(crowd_of.kill)
        host.await_that("the crowd is there and has sent", lambda:
                        crowd_of.assert_running() and "round 1," in crowd_of.said(),
                        GATHER_SECONDS)
        beside = self.measure(port)
        samples = self.metrics(port)
        self.assertEqual(self.status(port), 200)
        host.await_that("the crowd goes on", lambda: "round 2," in crowd_of.said(),
                        GATHER_SECONDS)
        self.assertEqual(samples["tallyman_http_connections_refused_total", frozenset()], 0)
        self.assertEqual(samples["tallyman_scrapes_failed_total", frozenset()], 0)
        self.assertEqual(samples["tallyman_scrapes_late_total", frozenset()], 0)
        self.notes = [f"alone {alone}; beside {CROWD} slow connections {beside}"]
        crowd_of.kill()
        self.assertEqual(program.stop(), 0)
        return samples["tallyman_http_connections", frozenset()], kept

    def test_room_for_all(self):
        held, kept = self.run_crowd(connections_max=CROWD + SPARE, header_timeout="10m",
                                    idle_timeout="10m")
        self.assertGreaterEqual(held, CROWD)
        kept.close()

    def test_room_for_few(self):
        held, kept = self.run_crowd()
        self.assertLessEqual(held, 128)
        kept.close()


if __name__ == "__main__":
    if sys.argv[1] == "--crowd":
        crowd(int(sys.argv[2]))
    peers.WebCase.binary = os.path.abspath(sys.argv.pop(1))
    runner.main()
