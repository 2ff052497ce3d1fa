"""A record of what the agent said in the VM, told again to a real Prometheus outside, which is asked
all that the dashboards and rules ask of a kernel with every cgroup v2 controller."""

import base64
import gzip
import http.server
import json
import pathlib
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "dashboards"), str(TESTS / "engine")]

import host  # noqa: E402
import queries  # noqa: E402


class Teller:
    """Answers one scrape after the other with one text after the other, and then the last again."""

    def __init__(self, texts):
        left = list(texts)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = (left.pop(0) if len(left) > 1 else left[0]).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def check(lines, folder):
    """Prints what came of it; whether every query has an answer."""
    started, told_since = time.monotonic(), time.time()
    folder.mkdir()
    teller = Teller(json.loads(gzip.decompress(base64.b64decode("".join(lines)))))
    prometheus = host.Prometheus(folder, teller.port, queries.quick_rules(folder))
    waiting = [asked for asked in queries.every(f"127.0.0.1:{teller.port}", "web")
               if queries.controllers(asked[1]) and not queries.never(asked[1])]
    count = len(waiting)

    def all_answered():
        # What happened at the end is over when a busy machine comes to ask for it.
        waiting[:] = [asked for asked in waiting
                      if not queries.has_data(prometheus, *asked[1:], since=told_since)]
        return not waiting
    try:
        host.await_that("every query has an answer", all_answered, pace=1)
    except AssertionError:
        pass  # those that wait are told
    finally:
        prometheus.stop()
        teller.stop()
    seconds = time.monotonic() - started
    if waiting:
        print(f"FAIL replay ({seconds:.1f} s)\nno data:", *(": ".join(asked[:2])
                                                           for asked in waiting), sep="\n")
    else:
        print(f"ok   replay ({seconds:.1f} s); {count} queries of dashboards and rules about "
              "cgroup v2 controllers have data")
    return not waiting
