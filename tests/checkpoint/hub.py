#!/usr/bin/env python3
"""A small Hugging Face hub for the tests of pull: python3 hub.py FILES LOG.

Two servers on free ports of 127.0.0.1, printed as one line: the hub, and the CDN to which it redirects for
model.safetensors. The hub serves every file of FILES under any model's name; the name says how it misbehaves (see
`Hub` and `Cdn`). Each request is one line of LOG: server, method, path, Range, Authorization. Ends with its stdin.
"""
import hashlib, http.server, os, sys, threading
from pathlib import Path

files, log = Path(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
counts, lock = {}, threading.Lock()


def first(key, times=1):
    """True the first `times` times that it is asked about `key`."""
    with lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key] <= times


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, who):
        header = lambda name: self.headers.get(name, "-")
        log.write(f"{who} {self.command} {self.path} {header('Range')} {header('Authorization')}\n")

    def answer(self, status, body=b"", cut=None, **headers):
        """`cut`: so many bytes of the body, then the connection drops."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def do_HEAD(self):
        self.do_GET()

    def rest(self, data):
        """The answer to the Range header: (status, bytes)."""
        wanted = self.headers.get("Range")
        if not wanted:
            return 200, data
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        return (206, data[start:]) if start < len(data) else (416, b"")


class Hub(Server):
    def do_GET(self):
        self.note("hub")
        owner, model, _, _, name = self.path.lstrip("/").split("/", 4)
        path = files / name
        if model == "renamed":
            return self.answer(307, Location=f"/{owner}/plain/resolve/main/{name}")
        if model == "gated" and self.headers.get("Authorization") != "Bearer sesame":
            return self.answer(401)
        if model == "busy" and first(("busy", name), 2):
            return self.answer(503)
        if model == "broken":
            return self.answer(500)
        if model == "sharded" and name == "model.safetensors" or not path.is_file():
            return self.answer(404)
        data = path.read_bytes()
        if name.endswith(".safetensors"):
            return self.answer(302, Location=f"http://127.0.0.1:{cdn.server_port}/{model}/{name}",
                               X_Linked_Etag=f'"{hashlib.sha256(data).hexdigest()}"', X_Linked_Size=len(data))
        status, body = self.rest(data)
        self.answer(status, body, ETag='"%s"' % hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


class Cdn(Server):
    def do_GET(self):
        self.note("cdn")
        if self.command == "HEAD":  # a signed address is for GET
            return self.answer(403)
        model, name = self.path.lstrip("/").split("/")
        data = (files / name).read_bytes()
        status, body = self.rest(data)
        if model == "dropping":  # a third at a time
            return self.answer(status, body, cut=len(data) // 3 + 1)
        if model == "forgetful":  # drops once, and never resumes
            return self.answer(200, data, cut=len(data) // 2 if first(self.path) else None)
        if model == "damaged" or model == "damaged-once" and first(self.path):
            body = body[:-1] + bytes([body[-1] ^ 1])
        if model == "stuck":  # always drops before it sends anything
            return self.answer(status, body, cut=0)
        if model == "cut-once" and first(self.path):
            return self.answer(status, body, cut=len(data) // 2)
        self.answer(status, body)


hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
cdn = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cdn)
for server in (hub, cdn):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(hub.server_port, cdn.server_port, flush=True)
sys.stdin.read()
os._exit(0)
