"""linnet serve with the openai packages of PyPI and npm, with curl and with chromium. Arguments: an empty folder, and
the folder of the npm packages."""

import json, re, subprocess, sys
from pathlib import Path

import openai
from common import LINNET, ROOT, Checks, linnet

WORK, NPM = Path(sys.argv[1]), Path(sys.argv[2])
PAGE = (ROOT / "docs" / "server.md").read_text()
PROMPT = "Once upon a time"
CHAT = "user:A dog ran.\nassistant:"
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
KEY = "the-key-of-this-check"
checks = Checks()


def start(device):
    """A server of the bundled model, and its port."""
    command = [
        LINNET,
        "serve",
        WORK / "linnet-stories.linnet",
        "--port",
        "0",
        "--api-key-file",
        WORK / "keys",
        "--device",
    ]
    command += [device, "--chat-template", WORK / "roles.jinja", "--metrics"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, int(re.search(r":(\d+)$", process.stdout.readline())[1])


def text_of_run(prompt, count):
    return json.loads(linnet("run", WORK / "linnet-stories.linnet", "--prompt", prompt, "-n", count, "--json"))["text"]


def check_python(port):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0)
    model = client.models.list().data[0].id
    checks.equal("openai (PyPI): models", [model, client.models.retrieve(model).id], ["linnet-stories"] * 2)
    expected = text_of_run(PROMPT, 24)
    done = client.completions.create(model=model, prompt=PROMPT, max_tokens=24, temperature=0, logprobs=2)
    checks.equal("openai (PyPI): completion", (done.choices[0].text, done.usage.completion_tokens), (expected, 24))
    checks.equal("openai (PyPI): log probabilities", "".join(done.choices[0].logprobs.tokens), expected)
    stream = client.completions.create(model=model, prompt=PROMPT, max_tokens=24, temperature=0, stream=True)
    checks.equal("openai (PyPI): streamed completion", "".join(chunk.choices[0].text for chunk in stream), expected)
    expected = text_of_run(CHAT, 16)
    fields = {
        "model": model,
        "messages": [{"role": "user", "content": "A dog ran."}],
        "max_completion_tokens": 16,
        "temperature": 0,
    }
    done = client.chat.completions.create(**fields, logprobs=True, top_logprobs=2)
    checks.equal("openai (PyPI): chat", done.choices[0].message.content, expected)
    checks.equal(
        "openai (PyPI): chat's log probabilities", "".join(t.token for t in done.choices[0].logprobs.content), expected
    )
    chunks = list(client.chat.completions.create(**fields, stream=True, stream_options={"include_usage": True}))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    checks.equal("openai (PyPI): streamed chat", (said, chunks[-1].usage.completion_tokens), (expected, 16))
    again = client.chat.completions.create(
        model=model,
        max_tokens=2,
        messages=[*fields["messages"], done.choices[0].message, {"role": "user", "content": "Why?"}],
    )
    checks.equal("openai (PyPI): an answer that is sent back", again.usage.completion_tokens, 2)
    floats = client.embeddings.create(model=model, input=[PROMPT, "A dog"], encoding_format="float")
    packed = client.embeddings.create(model=model, input=[PROMPT, "A dog"])  # the client asks for base64
    for one, other in zip(floats.data, packed.data, strict=True):
        checks.close("openai (PyPI): embedding", one.embedding, other.embedding, 1e-6)
    for what, call, kind in (
        ("a wrong key", lambda: client.with_options(api_key="x").models.list(), openai.AuthenticationError),
        ("another model", lambda: client.completions.create(model="gpt-4", prompt="a"), openai.NotFoundError),
        (
            "tools",
            lambda: client.chat.completions.create(**fields, tools=[{"type": "function", "function": {"name": "f"}}]),
            openai.BadRequestError,
        ),
    ):
        try:
            call()
            found = None
        except openai.APIStatusError as error:
            found = type(error)
        checks.equal(f"openai (PyPI): {what}", found, kind)


def check_examples(port):
    """The examples of the page, as they stand but for the address and the key."""

    def changed(text):
        return text.replace("localhost:8080", f"127.0.0.1:{port}").replace('"none"', f'"{KEY}"')

    python = re.search(r"```python\n(.*?)```", PAGE, re.S)[1]
    done = subprocess.run([sys.executable, "-c", changed(python)], capture_output=True, text=True)
    expected = text_of_run("user:Tell me of a dog.\nassistant:", 24)
    checks.equal("docs/server.md: the example in Python", (done.stdout, done.stderr), (expected, ""))
    script = re.search(r"```js\n(.*?)```", PAGE, re.S)[1]
    (NPM / "example.mjs").write_text(changed(script))
    done = subprocess.run(["node", NPM / "example.mjs"], capture_output=True, text=True)
    checks.equal(
        "docs/server.md: the example in JavaScript", (done.stdout, done.stderr), (text_of_run(PROMPT, 24) + "\n", "")
    )


def check_node(port):
    done = subprocess.run(["node", NPM / "openai_client.mjs", str(port), KEY], capture_output=True, text=True)
    if done.returncode:
        checks.equal("openai (npm)", done.stderr, "")
        return
    found = json.loads(done.stdout)
    checks.equal("openai (npm): completion", found["completion"], text_of_run(PROMPT, 24))
    checks.equal("openai (npm): streamed completion", found["streamed"], text_of_run(PROMPT, 24))
    checks.equal("openai (npm): streamed chat", found["chat"], text_of_run(CHAT, 16))
    checks.close("openai (npm): embedding has length 1", [sum(x * x for x in found["embedding"])], [1], 1e-5)
    checks.equal(
        "openai (npm): errors", found["errors"], ["AuthenticationError 401 null", "BadRequestError 400 temprature"]
    )


def check_curl(port):
    body = json.dumps({"prompt": PROMPT, "temperature": 0, "max_tokens": 24, "stream": True})
    done = subprocess.run(
        [
            "curl",
            "-sSN",
            f"http://127.0.0.1:{port}/v1/completions",
            "-H",
            f"Authorization: Bearer {KEY}",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
        ],
        capture_output=True,
        text=True,
    )
    events = [line.removeprefix("data: ") for line in done.stdout.split("\n\n") if line]
    checks.equal("curl: the last event", events[-1], "[DONE]")
    checks.equal(
        "curl: stream",
        "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1]),
        text_of_run(PROMPT, 24),
    )


def check_browser(port, slow_port):
    done = subprocess.run(
        ["node", NPM / "server_page.mjs", str(port), str(slow_port), KEY, WORK / "page.png"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        checks.equal("chromium", done.stderr, "")
        return
    found = json.loads(done.stdout)
    checks.equal("chromium: asks for a key", "Bearer KEY" in found["without_key"], True)
    checks.equal("chromium: the model", found["model"], "Linnet: linnet-stories")
    checks.equal("chromium: completion", found["completion"], text_of_run(PROMPT, 24))
    checks.equal("chromium: chat", found["chat"], text_of_run(CHAT, 24))
    checks.equal(
        "chromium: status",
        bool(re.fullmatch(r"24 tokens in \d+\.\d\d s, \d+\.\d tokens/s, the first after \d+\.\d\d s", found["status"])),
        True,
    )
    checks.equal("chromium: messages after New", found["left"], 0)
    checks.equal("chromium: an answer that was stopped", found["stopped"], "stopped")
    checks.equal("chromium: errors of the page", found["errors"], [])


(WORK / "keys").write_text(KEY + "\n")
(WORK / "roles.jinja").write_text(TEMPLATE)
linnet(
    "compile",
    ROOT / "models" / "linnet-stories",
    "--target",
    "cpu,reference",
    "--max-batch",
    "4",
    "-o",
    WORK / "linnet-stories.linnet",
)
process, port = start("cpu")
slow, slow_port = start("reference")
try:
    check_python(port)
    check_node(port)
    check_examples(port)
    check_curl(port)
    check_browser(port, slow_port)
finally:
    for server in (process, slow):
        server.terminate()
    codes = [server.wait() for server in (process, slow)]
checks.equal("linnet serve: exit codes", codes, [0, 0])
sys.exit(checks.end())
