"""linnet serve under many, slow, rude and departing clients; its queue, its deadlines, and how it ends."""
import socket, threading, time
from serve_harness import *

LONG = {"prompt": PROMPT, "max_tokens": 200, "ignore_eos": True, "temperature": 0}
CONNECTIONS = 1000


def raw_request(path="/health", method="GET", body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def completion(**fields):
    return raw_request("/v1/completions", "POST", json.dumps({**LONG, **fields}).encode())


def read_all(connection):
    """Everything until the server closes."""
    data = b""
    while piece := connection.recv(1 << 16):
        data += piece
    return data


class Reader:
    """Reads answers one after the other from one connection."""

    def __init__(self, connection):
        self.file = connection.makefile("rb")

    def makefile(self, mode):
        return self

    def close(self):
        """HTTPResponse closes its file after each answer; bytes that were read ahead belong to the next one."""

    def __getattr__(self, name):
        return getattr(self.file, name)

    def answer(self):
        """Status, headers, body."""
        response = http.client.HTTPResponse(self)
        response.begin()
        return response.status, response.headers, response.read()


def read_answer(connection):
    return Reader(connection).answer()


class Requests(ServeCase):
    """What a client may send."""

    def send(self, data, server=None):
        with (server or shared()).socket() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def test_malformed_requests(self):
        for data, status in (
                (b"nonsense\r\n\r\n", 400), (b"GET /\r\n\r\n", 400), (b"\x00\x01\x02\xff\r\n\r\n", 400),
                (b"GET / HTTP/3.0\r\n\r\n", 505), (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
                (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
                (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
                (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 400),
                (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
                (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
                (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413),
                (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20000 + b"\r\n\r\n", 431),
                (raw_request(headers=["Expect: miracles"]), 417)):
            answer = self.send(data)
            self.assertRegex(answer, rb"^HTTP/1\.1 %d " % status, data[:80])
            self.assertIn(b"Connection: close\r\n", answer)
            self.assertEqual(sorted(json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]),
                             ["code", "message", "param", "type"])
        self.assertEqual(shared().get("/health").status, 200)

    def test_a_body_that_is_too_long_gets_its_answer(self):
        with shared().socket() as connection:
            connection.sendall(raw_request("/v1/completions", "POST", headers=["Content-Length: 9000000"]))
            try:
                for _ in range(90):  # the client goes on sending
                    connection.sendall(b"a" * 100000)
            except (BrokenPipeError, ConnectionResetError):
                self.fail("the connection was reset before the answer was read")
            self.assertEqual(read_answer(connection)[0], 413)

    def test_bodies_in_chunks(self):
        body = json.dumps({"prompt": PROMPT, "max_tokens": 4, "temperature": 0}).encode()
        head = raw_request("/v1/completions", "POST",
                           headers=["Transfer-Encoding: chunked", "Content-Type: application/json"])
        pieces = b"".join(b"%x\r\n%s\r\n" % (1, body[i:i + 1]) for i in range(len(body))) + b"0\r\n\r\n"
        with shared().socket() as connection:
            for at in range(0, len(head + pieces), 7):  # in pieces that end anywhere
                connection.sendall((head + pieces)[at:at + 7])
            status, _, answer = read_answer(connection)
        self.assertEqual((status, json.loads(answer)["usage"]["completion_tokens"]), (200, 4))

    def test_expect_continue(self):
        with shared().socket() as connection:
            connection.sendall(raw_request("/tokenize", "POST", headers=["Expect: 100-continue", "Content-Length: 15"]))
            self.assertEqual(connection.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(b'{"prompt": "a"}')
            self.assertEqual(read_answer(connection)[0], 200)

    def test_a_connection_serves_many_requests(self):
        connection = shared().connect()
        for _ in range(20):
            self.assertEqual(shared().on(connection, "GET", "/health").status, 200)
            self.assertEqual(shared().on(connection, "GET", "/nowhere").status, 404)
            done = shared().on(connection, "POST", "/v1/completions", {"prompt": PROMPT, "max_tokens": 1})
            self.assertEqual(done.status, 200)
        connection.close()

    def test_pipelined_requests_are_answered_in_order(self):
        first = completion(max_tokens=4)
        with shared().socket() as connection:
            connection.sendall(first + raw_request("/nowhere") + raw_request() * 50)
            reader = Reader(connection)
            self.assertEqual(json.loads(reader.answer()[2])["usage"]["completion_tokens"], 4)
            self.assertEqual([reader.answer()[0] for _ in range(51)], [404] + [200] * 50)
        with shared().socket() as connection:  # more than the server reads ahead
            connection.sendall(first)
            sender = threading.Thread(target=connection.sendall, args=(raw_request("/") * 5000,))
            sender.start()
            reader = Reader(connection)
            statuses = [reader.answer()[0] for _ in range(5001)]
            sender.join()
        self.assertEqual(set(statuses), {200})

    def test_http_1_0(self):
        answer = self.send(b"GET /health HTTP/1.0\r\n\r\n")
        self.assertIn(b"Connection: close\r\n", answer)
        with shared().socket() as connection:
            connection.sendall(completion(max_tokens=5, stream=True).replace(b"HTTP/1.1", b"HTTP/1.0"))
            head, body = read_all(connection).split(b"\r\n\r\n", 1)
        self.assertNotIn(b"chunked", head)
        self.assertEqual(len(events_of(body)), 5)


class Clients(ServeCase):
    """Clients that wait, leave, or do not read."""

    def test_a_thousand_idle_connections(self):
        server = Server(stories(), "--metrics")
        self.addCleanup(server.stop)
        before = server.memory()
        idle = [server.socket() for _ in range(CONNECTIONS)]
        for connection in idle[::10]:
            connection.sendall(raw_request()[:20])  # a tenth of them has begun a request
        server.wait_for("linnet_connections", CONNECTIONS + 1)
        expected = run("--prompt", PROMPT, "-n", 8)["text"]
        answer = server.post("/v1/completions", prompt=PROMPT, max_tokens=8, temperature=0)
        self.assertEqual(answer.json["choices"][0]["text"], expected)
        self.assertLess(server.memory() - before, 20_000)  # 20 KiB a connection
        for connection in idle:
            connection.close()
        server.wait_for("linnet_connections", 1)

    def test_large_requests(self):
        """They are read on another thread."""
        server = shared()
        text = "A dog ran. " * 300_000  # of a body of at most 4 MiB
        self.refused(server.post("/v1/completions", prompt=text), 400, "expected at most 255 tokens", "prompt",
                     "context_length_exceeded")
        self.refused(server.request("POST", "/v1/completions", "[" * 100_000), 400, "deeper")
        tokens = server.post("/tokenize", prompt=text[:100_000]).json["tokens"]
        self.assertEqual(server.post("/detokenize", tokens=tokens).json["prompt"], text[:100_000])
        many = server.post("/v1/embeddings", input=["A dog ran."] * 2000).json
        one = server.post("/tokenize", prompt="A dog ran.").json["count"]
        self.assertEqual(many["usage"]["prompt_tokens"], 2000 * one)
        cancelled = server.metric("linnet_requests_cancelled_total")
        for _ in range(3):
            with server.socket() as connection:
                connection.sendall(raw_request("/v1/completions", "POST", json.dumps({"prompt": text}).encode()))
        server.wait_for("linnet_requests_cancelled_total", cancelled + 3)
        self.assertEqual(server.get("/health").status, 200)

    def test_more_connections_than_allowed(self):
        server = Server(stories(), "--max-connections", "3", "--metrics")
        self.addCleanup(server.stop)
        idle = [server.socket() for _ in range(3)]
        with server.socket() as connection:
            self.assertTrue(read_all(connection).startswith(b"HTTP/1.1 503 "))
        for connection in idle:
            connection.close()
        server.wait_for("linnet_connections", 1)

    def test_timeouts(self):
        server = Server(stories(), "--client-timeout", "0.3", "--idle-timeout", "0.6")
        self.addCleanup(server.stop)
        with server.socket() as connection:  # idle
            self.assertEqual(read_all(connection), b"")
        for data in (b"GET / HT", raw_request("/tokenize", "POST", headers=["Content-Length: 15"]) + b"{"):
            with server.socket() as connection:
                connection.sendall(data)
                self.assertTrue(read_all(connection).startswith(b"HTTP/1.1 408 "))
        with server.socket() as connection:  # a byte now and then does not help
            connection.sendall(b"G")
            begin = time.monotonic()
            try:
                while time.monotonic() < begin + 10:
                    connection.sendall(b"E")
                    time.sleep(0.05)
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.assertLess(time.monotonic() - begin, 9)

    def test_a_client_that_leaves_frees_its_row(self):
        server = shared_slow()
        for stream in (False, True):
            cancelled = server.metric("linnet_requests_cancelled_total")
            connection = server.socket()
            connection.sendall(completion(n=4, stream=stream, prompt=[5] * 40))
            server.wait_for("linnet_running_texts", 4)
            connection.close()
            server.wait_for("linnet_running_texts", 0, 5)
            self.assertEqual(server.metric("linnet_requests_cancelled_total"), cancelled + 1)

    def test_a_client_that_closes_its_sending_half_is_gone(self):
        with shared_slow().socket() as connection:
            connection.sendall(completion(n=4))
            shared_slow().wait_for("linnet_running_texts", 4)
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(connection), b"")
        shared_slow().wait_for("linnet_running_texts", 0, 5)
        with shared_slow().socket() as connection:  # what is answered at once is delivered
            connection.sendall(raw_request() * 3)
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(connection).count(b'{"status":"ok"}'), 3)

    def test_a_client_in_the_queue_leaves(self):
        server = shared_slow()
        first, second = server.socket(), server.socket()
        first.sendall(completion(n=4, stream=True))
        server.wait_for("linnet_running_texts", 4)
        second.sendall(completion(n=3))
        server.wait_for("linnet_queue_texts", 3)
        second.close()
        server.wait_for("linnet_queue_texts", 0)
        first.close()
        server.wait_for("linnet_running_texts", 0, 5)

    def test_a_slow_reader_is_disconnected_and_stops_nobody(self):
        server = shared()
        slow = server.metric("linnet_slow_readers_total")
        with server.socket(receive_buffer=4096) as connection:
            # About two megabytes of events, which are not read.
            connection.sendall(completion(n=3, stream=True, logprobs=20, return_token_ids=True))
            answer = server.post("/v1/completions", prompt=PROMPT, max_tokens=8, temperature=0)
            self.assertEqual(answer.json["choices"][0]["text"], run("--prompt", PROMPT, "-n", 8)["text"])
            server.wait_for("linnet_slow_readers_total", slow + 1)
        server.wait_for("linnet_running_texts", 0, 5)

    def test_pages_of_other_origins_and_names_are_refused(self):
        server = shared()
        body = {"prompt": PROMPT, "max_tokens": 1}
        own = f"http://127.0.0.1:{server.port}"
        self.assertEqual(server.post("/v1/completions", {"Origin": own}, **body).status, 200)
        for headers, code in (({"Origin": "https://example.com"}, "wrong_origin"), ({"Origin": "null"}, "wrong_origin"),
                              ({"Host": "example.com"}, "wrong_host"), ({"Host": f"example.com:{server.port}"}, "wrong_host")):
            answer = server.post("/v1/completions", headers, **body)
            self.assertEqual((answer.status, answer.error["code"]), (403, code), headers)

    def test_endless_extensions_and_trailers_are_refused(self):
        head = raw_request("/v1/completions", "POST", headers=["Transfer-Encoding: chunked"])
        for rest in (b"1;" + b"a" * (1 << 20), b"0\r\nA: " + b"a" * (1 << 20)):
            with shared().socket() as connection:
                connection.sendall(head + rest)
                self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 431 "))

    def test_objects_with_many_keys_are_refused_at_once(self):
        body = "{" + ",".join(f'"key{number:06}": 1' for number in range(60000)) + "}"
        begin = time.monotonic()
        answer = shared().request("POST", "/v1/completions", body)
        self.assertEqual((answer.status, answer.error["code"]), (400, "malformed_json"))
        self.assertLess(time.monotonic() - begin, 5)
        answer = shared().post("/v1/completions", **{"n" * 100000: 1})
        self.assertEqual(answer.status, 400)
        self.assertLess(len(answer.error["message"]), 300)

    def test_usage_tells_what_was_in_the_cache(self):
        prompt = "A fox and a hen met at the old mill. " * 6
        usages = [shared().post("/v1/completions", prompt=prompt, max_tokens=1, temperature=0).json["usage"] for _ in range(2)]
        cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]
        self.assertLess(cached[0], 8)
        self.assertEqual(cached[1], usages[0]["prompt_tokens"] - 2)

    def test_many_clients_at_once_get_their_own_answers(self):
        prompts = [f"{PROMPT} there was a {thing}" for thing in ("dog", "cat", "bird", "tree", "boat", "king")]
        expected = {prompt: run("--prompt", prompt, "-n", 20)["text"] for prompt in prompts}
        wrong, right = [], []

        def client(number):
            for turn in range(4):
                prompt = prompts[(number + turn) % len(prompts)]
                body = {"prompt": prompt, "max_tokens": 20, "temperature": 0}
                if turn % 2:
                    text = "".join(c["choices"][0]["text"] for c in shared().stream("/v1/completions", **body))
                else:
                    text = shared().post("/v1/completions", **body).json["choices"][0]["text"]
                (right if text == expected[prompt] else wrong).append((prompt, text))

        threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(right), 12 * 4)

    def test_rude_clients_leave_memory_as_it_was(self):
        server = Server(stories(), "--metrics")
        self.addCleanup(server.stop)
        rude = [b"\r\n" * 100, b"GET /" + b"a" * 30000, b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n",
                raw_request("/v1/completions", "POST", b'{"prompt": "' + b"a" * 5000),
                raw_request("/v1/completions", "POST", headers=["Content-Length: 4000000"]) + b"{",
                completion(stream=True), raw_request("/nowhere")]

        def annoy(rounds):
            for number in range(rounds):
                with server.socket() as connection:
                    connection.sendall(rude[number % len(rude)])

        annoy(700)  # the allocator has its arenas after as many
        server.wait_for("linnet_connections", 1)
        before = server.memory()
        annoy(700)
        server.wait_for("linnet_connections", 1)
        server.wait_for("linnet_running_texts", 0)
        self.assertLess(server.memory() - before, 4000)
        self.assertEqual(server.post("/v1/completions", prompt=PROMPT, max_tokens=1).status, 200)


class Limits(ServeCase):
    def test_a_full_queue(self):
        server = Server(slow(), "--max-batch", "1", "--max-queue", "1", "--metrics")
        self.addCleanup(server.stop)
        running, waiting = server.socket(), server.socket()
        running.sendall(completion(stream=True))
        server.wait_for("linnet_running_texts", 1)
        waiting.sendall(completion(max_tokens=3))
        server.wait_for("linnet_queue_texts", 1)
        answer = server.post("/v1/completions", prompt=PROMPT)
        self.refused(answer, 429, "the queue is full: 2 texts", code="queue_full")
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        self.refused(server.post("/v1/embeddings", input="a"), 429, "full")
        self.refused(server.post("/v1/completions", prompt=PROMPT, n=3), 400, "at most 2 texts")
        running.close()
        self.assertEqual(json.loads(read_answer(waiting)[2])["usage"]["completion_tokens"], 3)
        waiting.close()
        self.assertEqual(server.post("/v1/completions", prompt=PROMPT, max_tokens=1).status, 200)

    def test_the_queue_is_first_come_first_served(self):
        server = Server(slow(), "--max-batch", "1", "--metrics")
        self.addCleanup(server.stop)
        order, threads = [], []
        blocker = server.socket()
        blocker.sendall(completion(stream=True))
        server.wait_for("linnet_running_texts", 1)
        for number in range(5):
            def client(number=number):
                server.post("/v1/completions", **{**LONG, "max_tokens": 10})
                order.append(number)
            threads.append(threading.Thread(target=client))
            threads[-1].start()
            server.wait_for("linnet_queue_texts", number + 1)
        blocker.close()
        for thread in threads:
            thread.join()
        self.assertEqual(order, list(range(5)))

    def test_deadlines(self):
        server = Server(slow(), "--max-batch", "1", "--timeout", "0.3", "--metrics")
        self.addCleanup(server.stop)
        with server.socket() as connection:
            connection.sendall(completion())
            status, _, body = read_answer(connection)
            self.assertEqual((status, json.loads(body)["error"]["code"]), (504, "timeout"))
        server.wait_for("linnet_running_texts", 0)
        answer = server.request("POST", "/v1/completions", {**LONG, "stream": True})
        self.assertEqual(events_of(answer.body)[-1]["error"]["code"], "timeout")
        server.wait_for("linnet_queue_texts", 0)

    def test_metrics(self):
        server = shared()
        names = ("linnet_generated_tokens_total", "linnet_time_to_first_token_seconds_count",
                 "linnet_time_between_tokens_seconds_count", "linnet_request_seconds_count",
                 'linnet_requests_total{endpoint="/v1/completions",status="200"}')
        before = [server.metric(name) for name in names]
        server.post("/v1/completions", **{**LONG, "max_tokens": 10})
        time.sleep(0.2)
        self.assertEqual([server.metric(name) - b for name, b in zip(names, before)], [10, 1, 9, 1, 1])
        text = server.get("/metrics")
        self.assertTrue(text.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        for line in text.body.decode().splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) linnet_\w+ .+|linnet_\w+(\{([a-z]+="[^"]*",?)+\})? [\d.e+-]+)$')
        plain = Server(stories())
        self.addCleanup(plain.stop)
        self.refused(plain.get("/metrics"), 404, "--metrics")


class Ending(ServeCase):
    def test_sigterm_answers_what_runs_and_refuses_the_rest(self):
        server = Server(slow(), "--metrics")
        running = server.socket()
        running.sendall(completion(stream=True, n=4, max_tokens=80))
        server.wait_for("linnet_running_texts", 4)
        idle = server.socket()
        self.assertEqual(server.get("/health").status, 200)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(read_all(idle), b"")
        self.refused(server.post("/v1/completions", prompt="a"), 503, "ending", code="shutting_down")
        self.assertEqual(server.get("/health").status, 503)
        data = read_all(running)
        self.assertIn(b"data: [DONE]\n\n", data)
        self.assertEqual(data.count(b'"finish_reason":"length"'), 4)
        self.assertEqual(server.process.wait(timeout=LIMIT), 0)
        server.stop()

    def test_an_idle_server_ends_at_once(self):
        for sent in (signal.SIGTERM, signal.SIGINT):
            begin = time.monotonic()
            server = Server(stories())
            self.assertEqual(server.stop(sent), 0)
            self.assertLess(time.monotonic() - begin, 10)

    def test_a_second_signal_ends_at_once(self):
        server = Server(slow(), "--metrics")
        running = server.socket()
        running.sendall(completion(n=60, stream=True))
        server.wait_for("linnet_running_texts", 4)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(timeout=LIMIT), 143)
        running.close()
        server.stop()


if __name__ == "__main__":
    main()
