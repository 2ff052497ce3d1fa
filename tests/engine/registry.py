"""A registry with one image in it, which an engine can pull from: the reading half of the
distribution specification, as a mirror of Docker's own."""

import hashlib
import http.server
import json
import re
import threading


class Registry:
    def __init__(self, config, layers):
        """`config` and `layers` are the bytes of an image's parts."""
        kind = "application/vnd.docker."
        self.blobs = {digest(data): data for data in (config, *layers)}
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": kind + "distribution.manifest.v2+json",
            "config": {"mediaType": kind + "container.image.v1+json", "size": len(config),
                       "digest": digest(config)},
            "layers": [{"mediaType": kind + "image.rootfs.diff.tar", "size": len(data),
                        "digest": digest(data)} for data in layers]}).encode()
        self.digest = digest(manifest)
        self.manifest = manifest
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def find(self, path):
        """What stands at a path: bytes and their type, or None."""
        if path == "/v2/":
            return b"{}", "application/json"
        match = re.fullmatch(r"/v2/library/[\w-]+/(manifests|blobs)/([\w.:-]+)", path)
        if match and match[1] == "manifests":
            return self.manifest, "application/vnd.docker.distribution.manifest.v2+json"
        data = match and self.blobs.get(match[2])
        return (data, "application/octet-stream") if data else None

    def handler(registry):  # noqa: N805 - the inner class has a self of its own
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = registry.find(self.path)
                data, kind = found or (b"{}", "application/json")
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Docker-Content-Digest", digest(data))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

            do_HEAD = do_GET

            def log_message(self, *arguments):
                pass
        return Handler


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
