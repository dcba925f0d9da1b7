"""Clients of a completion server: one thread, non-blocking sockets. Answers are checked after they have ended, so that
the load generator takes little of the processor from the server."""

import json
import random
import re
import selectors
import socket
import time
from dataclasses import dataclass, field

EVENT = b"data: {"
CHUNK_SIZE = 1 << 16


@dataclass
class Results:
    first: list = field(default_factory=list)  # seconds to the first token of each answer
    between: list = field(default_factory=list)  # seconds between two tokens of an answer
    done: int = 0  # complete answers
    tokens: int = 0
    wrong: list = field(default_factory=list)  # complete answers that are not the expected one
    lost: list = field(default_factory=list)  # requests without a complete answer, and why
    refused: int = 0  # 429: the queue was full
    rude: int = 0  # requests that the client gave up, and malformed ones
    seconds: float = 0.0


@dataclass
class Job:
    """A request. `leave_after` closes the connection after this many seconds, `malformed` asks for an error."""

    data: bytes
    tokens: int = 0  # of its answer
    expected: list | None = None  # token ids
    leave_after: float | None = None
    malformed: bool = False


def request(path, body, headers=()):
    body = json.dumps(body).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def unchunked(body):
    """The bytes of a chunked body, or None if it is incomplete."""
    out, at = [], 0
    while True:
        end = body.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(body[at:end], 16)
        if size == 0:
            return b"".join(out)
        if len(body) < end + 2 + size + 2:
            return None
        out.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


class Client:
    """One connection at a time; takes jobs from an iterator until it ends."""

    def __init__(self, port, jobs, results, selector):
        self.port, self.jobs, self.results, self.selector = port, jobs, results, selector
        self.socket, self.job, self.deadline = None, None, None
        self.next()

    def next(self):
        self.job = next(self.jobs, None)
        if self.job is None:
            return self.close()
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(self.socket, selectors.EVENT_READ, self)
        self.received, self.chunked, self.events, self.last = bytearray(), False, 0, None
        self.begin = time.perf_counter()
        self.deadline = self.begin + self.job.leave_after if self.job.leave_after is not None else None
        self.socket.sendall(self.job.data)

    def close(self):
        if self.socket is not None:
            self.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def leave(self):
        """Gives up, as its job says."""
        self.results.rude += 1
        self.close()
        self.next()

    def lose(self, why):
        self.results.lost.append(why)
        self.close()
        self.next()

    def readable(self):
        try:
            data = self.socket.recv(CHUNK_SIZE)
        except ConnectionError as error:
            data = b""
            why = str(error)
        else:
            why = "the server closed the connection"
        if not data:
            return self.lose(why) if not self.job.malformed else self.leave()
        now = time.perf_counter()
        before = len(self.received)
        self.received += data
        new = self.received.count(EVENT, max(0, before - len(EVENT) + 1))
        if new:
            if self.last is None:
                self.results.first.append(now - self.begin)
            else:
                self.results.between.append(now - self.last)
            self.results.between += [0.0] * (new - 1)
            self.last = now
            self.events += new
        if not self.chunked or self.received.endswith(b"0\r\n\r\n"):
            self.finish()

    def finish(self):
        """Handles the answer if it is complete."""
        head, separator, body = bytes(self.received).partition(b"\r\n\r\n")
        if not separator:
            return
        status = int(head.split(b" ", 2)[1])
        self.chunked = b"chunked" in head.lower()
        if self.chunked:
            body = unchunked(body)
            if body is None:
                return
        elif len(body) < int(re.search(rb"(?i)content-length: (\d+)", head)[1]):
            return
        if b"connection: close" in head.lower():
            self.close()
        if self.job.malformed and 400 <= status < 500:
            self.results.rude += 1
        elif status == 429:
            self.results.refused += 1
        elif status != 200:
            self.results.lost.append(f"status {status}: {body[:200]!r}")
        else:
            self.check(body)
        self.next()

    def check(self, body):
        events = [line[len("data: ") :] for line in body.decode().split("\n\n") if line]
        if events[-1:] != ["[DONE]"]:
            self.results.lost.append("a stream without [DONE]")
            return
        self.results.done += 1
        self.results.tokens += self.job.tokens
        if self.job.expected is None:
            return
        choices = [choice for event in events[:-1] for choice in json.loads(event).get("choices", [])]
        ids = [token for choice in choices for token in choice.get("token_ids", [])]
        if ids != self.job.expected:
            self.results.wrong.append((ids, self.job.expected))


def drive(port, jobs, clients, limit=600):
    """Runs jobs with so many clients at once."""
    results, selector = Results(), selectors.DefaultSelector()
    begin = time.perf_counter()
    jobs = iter(jobs)
    all_clients = [Client(port, jobs, results, selector) for _ in range(clients)]
    while selector.get_map():
        now = time.perf_counter()
        waits = [client.deadline - now for client in all_clients if client.socket and client.deadline is not None]
        ready = selector.select(max(0, min([*waits, 1.0])))
        for key, _ in ready:
            key.data.readable()
        now = time.perf_counter()
        for client in all_clients:
            if client.socket and client.deadline is not None and client.deadline <= now:
                client.leave()
            elif client.socket and now - client.begin > limit:
                client.lose(f"no answer within {limit} s")
    results.seconds = time.perf_counter() - begin
    return results


def soak_jobs(polite, seconds, requests, draw=random.Random(1)):
    """Requests of all kinds until the time or the number is over. `polite` makes a request that expects its answer."""
    end, left = time.monotonic() + seconds, requests
    malformed = [
        b"nonsense\r\n\r\n",
        request("/v1/completions", {"prompt": "a", "frobnicate": 1}),
        request("/v1/completions", {"prompt": 5}),
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    ]
    while time.monotonic() < end and left != 0:
        left -= 1
        kind = draw.random()
        if kind < 0.7:
            yield polite()
        elif kind < 0.9:
            job = polite()
            job.leave_after = draw.random() * 0.2
            yield job
        else:
            yield Job(draw.choice(malformed), malformed=True)
