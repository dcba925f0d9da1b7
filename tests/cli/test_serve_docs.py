"""docs/server.md: its commands run as written, and give what it shows."""
import shlex, sys
from serve_harness import *

sys.path.insert(0, str(ROOT / "tests" / "docs"))
import pages

PAGE = Path("docs/server.md")


def plain(text):
    """Without line breaks, ids, times and the model's file in the cache: they differ from run to run."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"((?:chat)?cmpl)-[0-9a-f]{24}", r"\1-ID", text)
    text = re.sub(r'"created":\d+', '"created":TIME', text)
    return re.sub(r'(?<=["\],]) (?=["{\[])', "", text).strip()  # the page breaks objects after commas


class Page(ServeCase):
    def test_the_page_runs_as_written(self):
        quoted = pages.quoted(PAGE)
        start, = [q for q in quoted if q.block and q.command.startswith("linnet serve models/")]
        compiled, = [q for q in quoted if q.command.startswith("linnet compile")]
        curls = [q for q in quoted if q.command.startswith("curl")]
        self.assertEqual(len(curls), 3)

        folder = fresh("page")
        (folder / "models").symlink_to(ROOT / "models")
        self.succeeds(*shlex.split(compiled.command)[1:], "--target", "cpu:native", cwd=folder)

        words = shlex.split(start.command)[2:]
        self.assertEqual(words[0], "models/linnet-stories")
        server = Server(folder / words[0], *words[1:])
        self.addCleanup(server.stop)
        shown = start.output[1].replace("8080", str(server.port))
        self.assertEqual(pages.shape(server.line.strip()), pages.shape(shown))
        self.assertRegex(server.log(), r"linnet-stories: compiled in .* to ")

        for one in curls:
            command = one.command.replace("localhost:8080", f"127.0.0.1:{server.port}")
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 0, done.stderr)
            parts = [plain(part) for part in "\n".join(one.output).split("...")]
            found = plain(done.stdout)
            self.assertTrue(found.startswith(parts[0]) and found.endswith(parts[-1]), f"{parts}\n{found}")

    def test_every_option_and_field_is_described(self):
        text = (ROOT / PAGE).read_text()
        options = set(re.findall(r"--[a-z][a-z-]+", make("serve", "--help").out)) - {"--help"}
        for option in options - {"--threads", "--emulate-limits"}:  # of all commands
            self.assertIn(option, text)
        reads = re.compile(r'fields\.(?:integer|number|boolean|text|find)\("(\w+)"')
        for file in ("generation_request.cpp", "api.cpp", "api_work.cpp"):
            for field in reads.findall((ROOT / "server" / file).read_text()):
                self.assertTrue(f"`{field}`" in text, f"{file}: {field}")

    def test_every_metric_is_described(self):
        text = (ROOT / PAGE).read_text()
        for name in re.findall(r'"(linnet_\w+)"', (ROOT / "server" / "metrics.cpp").read_text()):
            self.assertIn(f"`{name}", text)


if __name__ == "__main__":
    main()
