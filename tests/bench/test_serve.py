"""bench/serve: one short run, a short soak, and answers that are wrong or lost."""
import http.server, json, os, subprocess, sys, tempfile, threading, unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LINNET_BUILD") or ROOT / "build" / "release")
LINNET = BUILD / "bin" / "linnet"
sys.path.insert(0, str(ROOT / "bench"))
sys.dont_write_bytecode = True
from harness import clients


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)


class Short(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="linnet-bench-serve-")
        cls.model = Path(cls.folder.name) / "m.linnet"
        source = ROOT / "models" / "linnet-stories"
        done = run(LINNET, "compile", source, "--target", "cpu:native", "--max-batch", "4", "-o", cls.model)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def serve(self, *options):
        return run(ROOT / "bench" / "serve", self.model, "--linnet", LINNET, "--prompt", "24", "--tokens", "8", *options)

    def test_a_measurement(self):
        done = self.serve("--clients", "3", "--requests", "12", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        row, = json.loads(done.stdout)
        self.assertEqual((row["server"], row["lost"], row["wrong"]), ("linnet", 0, 0))
        self.assertGreater(row["tokens_per_second"], row["requests_per_second"])
        self.assertLess(row["first_token_p50"], 10)

    def test_a_soak(self):
        done = self.serve("--clients", "6", "--soak", "1", "--requests", "150", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual((found["requests"], found["lost"], found["wrong"], found["exit_code"]), (150, 0, 0, 0))
        self.assertGreater(found["departures_and_malformed"], 10)
        self.assertLess(found["memory_after"] - found["memory_before"], 4 << 20)

    def test_what_is_refused(self):
        done = self.serve("--prompt", "1000")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))
        self.assertIn("expected at most 256 together", done.stderr)


class Checks(unittest.TestCase):
    """Against a server that answers wrongly."""

    def drive(self, body, status=200):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            jobs = [clients.Job(clients.request("/", {}), tokens=2, expected=[1, 2]) for _ in range(3)]
            return clients.drive(server.server_port, jobs, 2)
        finally:
            server.shutdown()
            server.server_close()

    def stream(self, *ids, end="data: [DONE]\n\n"):
        events = [json.dumps({"choices": [{"token_ids": [number]}]}) for number in ids]
        return ("".join(f"data: {event}\n\n" for event in events) + end).encode()

    def test_right_and_wrong_answers(self):
        right = self.drive(self.stream(1, 2))
        self.assertEqual((right.done, right.tokens, len(right.wrong), len(right.lost)), (3, 6, 0, 0))
        self.assertEqual(len(self.drive(self.stream(1, 3)).wrong), 3)
        self.assertEqual(len(self.drive(self.stream(1, 2, end="")).lost), 3)
        self.assertEqual(len(self.drive(b"{}", 500).lost), 3)
        self.assertEqual(self.drive(b"{}", 429).refused, 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
