"""linnet serve under load, for scripts/check-threads: server_threads.py MODEL. Clients generate, stream, embed, read
the metrics and hang up at the same time. Their answers must be those of one client alone."""
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from serve_harness import *

CLIENTS, ROUNDS = 8, 12
PROMPTS = ["Once upon a time", "A dog", "The sun was", "Lily"]


def completion(server, prompt):
    return server.post("/v1/completions", prompt=prompt, max_tokens=12, temperature=0).json["choices"][0]["text"]


def embedding(server, prompt):
    return server.post("/v1/embeddings", input=prompt).json["data"][0]["embedding"]


def streamed(server, prompt):
    parts = server.stream("/v1/completions", prompt=prompt, max_tokens=12, temperature=0)
    return "".join(part["choices"][0]["text"] for part in parts if part["choices"])


def hang_up(server, prompt):
    body = json.dumps({"prompt": prompt, "max_tokens": 200, "stream": True}).encode()
    raw = server.socket()
    raw.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body)
    raw.recv(100)
    raw.close()


def client(server, number, texts, vectors, failures):
    try:
        for turn in range(ROUNDS):
            prompt = PROMPTS[(number + turn) % len(PROMPTS)]
            for function, expected in ((completion, texts), (streamed, texts), (embedding, vectors)):
                if (found := function(server, prompt)) != expected[prompt]:
                    failures.append(f"{function.__name__}: {prompt}: expected {expected[prompt]}, found {found}")
            hang_up(server, prompt)
            server.get("/metrics"), server.get("/health"), server.post("/v1/completions", prompt=5)
    except Exception as error:
        failures.append(repr(error))


def main(model):
    server = Server(model, "--metrics", "--max-queue", "256")
    texts = {prompt: completion(server, prompt) for prompt in PROMPTS}
    vectors = {prompt: embedding(server, prompt) for prompt in PROMPTS}
    failures = []
    threads = [threading.Thread(target=client, args=(server, number, texts, vectors, failures))
               for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    code, log = server.stop(), Path(server.errors.name).read_text()
    if code or failures or "ThreadSanitizer" in log:
        print(*failures, log, f"linnet serve: ended with {code}", sep="\n", file=sys.stderr)
        return 1
    print(f"linnet serve: {CLIENTS * ROUNDS} rounds of {CLIENTS} clients")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
