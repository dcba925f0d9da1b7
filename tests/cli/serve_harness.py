"""Starts linnet serve for tests, and talks to it with plain sockets and http.client."""
import http.client, re, socket, subprocess, time
from harness import *

STORIES = ROOT / "models" / "linnet-stories"
ROLES = ("{% for m in messages %}{% if m.role == 'system' and loop.index > 1 %}{{ raise_exception('late system') }}"
         "{% endif %}{{ m.role }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}")
PROMPT = "Once upon a time"


@functools.cache
def stories():
    """The bundled model for up to four texts, with a chat template."""
    model = copy_of(STORIES, "stories")
    (model / "chat_template.jinja").write_text(ROLES)
    make("compile", model, "--target", "cpu", "--max-batch", "4", "-o", FOLDER / "stories.linnet")
    return FOLDER / "stories.linnet"


@functools.cache
def slow():
    """The same on the interpreter: an answer of 200 tokens takes seconds, and a test can act while it is computed."""
    make("compile", STORIES, "--target", "reference", "--max-batch", "4", "-o", FOLDER / "slow.linnet")
    return FOLDER / "slow.linnet"


class Server:
    def __init__(self, model, *options, env=None):
        self.errors = open(FOLDER / f"serve-{time.monotonic_ns()}.log", "w+")
        command = [LINNET, "serve", str(model), "--port", "0", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, cwd=FOLDER,
                                        env=env or environment())
        self.line = self.process.stdout.readline().decode()
        found = re.search(r" at http://[\d.]+:(\d+)\n", self.line)
        if not found:
            self.process.wait(timeout=LIMIT)
            self.process.stdout.close()
            raise RuntimeError(f"{command}: {self.line}{self.log()}")
        self.port = int(found[1])

    def log(self):
        self.errors.flush()
        return Path(self.errors.name).read_text()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)

    def socket(self, receive_buffer=None):
        raw = socket.socket()
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(LIMIT)
        raw.connect(("127.0.0.1", self.port))
        return raw

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            return self.on(connection, method, path, body, headers)
        finally:
            connection.close()

    def on(self, connection, method, path, body=None, headers=None):
        data = None if body is None else body if isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        return Answer(connection.getresponse())

    def post(self, path, headers=None, **body):
        return self.request("POST", path, body, headers)

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def stream(self, path, **body):
        """The objects of a stream, without [DONE]."""
        answer = self.request("POST", path, {**body, "stream": True})
        if answer.status != 200:
            raise AssertionError(answer.body)
        return events_of(answer.body)

    def metric(self, name):
        found = re.search(rf"(?m)^{re.escape(name)} (\S+)$", self.get("/metrics").body.decode())
        return float(found[1]) if found else 0.0

    def wait_for(self, name, value, seconds=30):
        """Waits until a metric has a value."""
        end = time.monotonic() + seconds
        while self.metric(name) != value:
            if time.monotonic() > end:
                raise AssertionError(f"{name}: expected {value}, found {self.metric(name)}")
            time.sleep(0.02)

    def memory(self):
        """Resident KiB without mapped files: the weights are mapped, and their pages come and go."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1])

    def stop(self, sent=signal.SIGTERM):
        """Ends the server; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sent)
        try:
            self.process.wait(timeout=LIMIT)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.errors.close()
        return self.process.returncode


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


def events_of(body):
    lines = [line for line in body.decode().split("\n\n") if line]
    if lines[-1] != "data: [DONE]":
        raise AssertionError(f"the stream does not end with [DONE]: {lines[-1]}")
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@functools.cache
def shared():
    """A server that tests share; they leave it idle."""
    server = Server(stories(), "--metrics", "--client-timeout", "2", "--max-queue", "64")
    unittest.addModuleCleanup(server.stop)
    return server


@functools.cache
def shared_slow():
    """As shared(), with answers that take long."""
    server = Server(slow(), "--metrics")
    unittest.addModuleCleanup(server.stop)
    return server


def run(*options, model=None):
    """What linnet run prints as JSON."""
    done = make("run", model or stories(), "--json", *options).json
    return done


class ServeCase(TestCase):
    def refused(self, answer, status, says=(), param=None, code=None):
        """An error in OpenAI's form."""
        self.assertEqual(answer.status, status, answer.body)
        error = answer.error
        self.assertEqual(sorted(error), ["code", "message", "param", "type"])
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, error["message"])
        if param is not None:
            self.assertEqual(error["param"], param)
        if code is not None:
            self.assertEqual(error["code"], code)
        return error
