"""linnet serve whose device fails: running requests end with an error, and the next one works."""
import time
from serve_harness import *

STOPPED_SECONDS = 1.5  # longer than the patience of the test below
TRIES = 20


@functools.cache
def on_vulkan():
    make("compile", STORIES, "--target", "vulkan", "--max-batch", "4", "-o", FOLDER / "vulkan.linnet")
    return FOLDER / "vulkan.linnet"


class Devices(ServeCase):
    FIELDS = {"prompt": PROMPT, "temperature": 0, "max_tokens": 8}

    def test_a_device_that_never_answers(self):
        self.fails("serve", on_vulkan(), "--port", "0", says="has not finished in 0 seconds",
                   env=environment(LINNET_VULKAN_PATIENCE="0"))

    def test_the_next_request_works(self):
        server = Server(on_vulkan(), "--metrics", env=environment(LINNET_VULKAN_PATIENCE="1"))
        self.addCleanup(server.stop)
        expected = server.post("/v1/completions", **self.FIELDS).json["choices"]
        for _ in range(TRIES):  # while the process is stopped, its patience ends; unless the device was idle just then
            with server.socket() as connection:
                body = json.dumps({**self.FIELDS, "max_tokens": 200, "ignore_eos": True, "n": 4, "stream": True}).encode()
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                   b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                connection.recv(1)
                server.process.send_signal(signal.SIGSTOP)
                time.sleep(STOPPED_SECONDS)
                server.process.send_signal(signal.SIGCONT)
                data = b""
                while piece := connection.recv(1 << 16):
                    data += piece
            if b'"error"' in data:
                break
        self.assertIn(b"has not finished in 1 seconds", data)
        self.assertTrue(data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"))
        server.wait_for("linnet_model_reloads_total", 1)
        server.wait_for("linnet_running_texts", 0)
        self.assertEqual(server.post("/v1/completions", **self.FIELDS).json["choices"], expected)
        self.assertEqual(len(server.post("/v1/embeddings", input=PROMPT).json["data"]), 1)


if __name__ == "__main__":
    main()
