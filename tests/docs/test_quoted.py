"""Every command that a page quotes runs, and gives what the page shows below it. rules.py says how each is run."""
import re, shlex, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
import gguf_files, pages, rules
from harness import *
from rules import Elsewhere, Named, Run, Targets, Tests

BUILD = Path(os.environ.get("LINNET_BUILD") or ROOT / "build" / "release").resolve()
ALL = [quoted for page in pages.PAGES for quoted in pages.quoted(page)]
COMMAND_LIMIT = 600  # seconds: only so that a hang fails
FAKE = '#!/bin/sh\necho "$(basename "$0") $*" >>"$FAKE_LOG"\n'


def is_name(quoted):
    """A program's name, a command of linnet with options alone, a synopsis: nobody would run it as it stands."""
    words = quoted.command.split()
    if pages.is_synopsis(quoted.command) or quoted.page == "CHANGELOG.md":
        return True
    options_alone = words[0].startswith("linnet") and all(word.startswith("-") for word in words[2:3])
    return not quoted.block and (len(words) == 1 or options_alone)


def rule_of(quoted):
    if is_name(quoted):
        return Named()
    return next((rule for pattern, rule in rules.RULES if re.search(pattern, f"{quoted.page}:{quoted.command}")), None)


@functools.cache
def help_of(command):
    return make(*command.split(), "--help").out


class Folder:
    """A page's folder: looks like the source folder, and has the models and texts that pages name."""

    def __init__(self, models):
        self.path = fresh("page")
        for name in ("docs", "examples", "CMakePresets.json"):
            (self.path / name).symlink_to(ROOT / name)
        for name in ("bench", "scripts", "models"):  # programs find the source folder by their own, and write there
            shutil.copytree(ROOT / name, self.path / name)
        build = self.path / "build" / "release"
        build.mkdir(parents=True)
        for path in BUILD.iterdir():
            (build / path.name).symlink_to(path)
        (self.path / "tests").mkdir()
        (self.path / "tests" / "tokenizer").symlink_to(ROOT / "tests" / "tokenizer")
        self.programs()
        if models:
            self.data()

    def programs(self):
        (self.path / "bin").mkdir()
        for name in ("linnet", "linnet-opt"):
            (self.path / "bin" / name).symlink_to(BUILD / "bin" / name)
        (self.path / "fakes").mkdir()
        for name in rules.FAKES:
            (self.path / "fakes" / name).write_text(FAKE)
            (self.path / "fakes" / name).chmod(0o755)
        test_install = self.path / "scripts" / "test-install"
        test_install.write_text(FAKE)

    def data(self):
        story = "Once upon a time there was a compiler of graphs. "
        (self.path / "text.txt").write_bytes((ROOT / "LICENSE").read_bytes()[:6000])
        (self.path / "TEXT").write_text(story * 10)
        (self.path / "plays.txt").write_text("To be, or not to be, that is the question. " * 10)
        stories = [f"{story}It had {number} passes, and each of them was small." for number in range(30)]
        (self.path / "stories.json").write_text(json.dumps(stories))
        (self.path / "stories.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in stories))
        (self.path / "DATA_DIR").mkdir()
        (self.path / "DATA_DIR" / "tinystories_1000.json").write_text(json.dumps(stories))
        for name in ("messages.tsv", "FILE.tsv"):
            (self.path / name).write_text("ham\tcome home\nspam\tWIN CASH\n" * 10)
        for name in ("ids", "labels"):
            write_npy(self.path / f"{name}.npy", "<i8", (1, 3), [5, 6, 7])
        for name in ("model", "m124", "MODEL", "build/bench/gpt2"):
            shutil.copytree(tiny_model(), self.path / name)
        for name in ("model.linnet", "m124.linnet", "m.linnet", "stories.linnet", "FILE", "MODEL.linnet"):
            shutil.copy(both_targets(), self.path / name)
        shutil.copy(quantized(), self.path / "tiny.gguf")
        shutil.copytree(classifier(), self.path / "classifier")
        shutil.copytree(vocabulary(), self.path / "vocabulary")

    def run(self, command, fakes=False):
        search = [*([self.path / "fakes"] if fakes else []), self.path / "bin", os.environ["PATH"]]
        env = environment(HOME=str(self.path), PATH=":".join(map(str, search)), FAKE_LOG=str(self.path / "calls"),
                          OMP_NUM_THREADS="1")  # other tests run at the same time
        return subprocess.run(["bash", "-c", command], cwd=self.path, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=COMMAND_LIMIT)

    def make_room(self, command):
        """The files of an earlier command of the page that this command makes again."""
        outputs = re.findall(r"(?:-o|--dump-dir) ([\w.-]+)(?= |$)|linnet init [^&]* ([\w.-]+)(?= &&|$)", command)
        for name in filter(None, (name for group in outputs for name in group)):
            path = self.path / name
            if path.exists() and name not in PARTS_OF_THE_SOURCE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


PARTS_OF_THE_SOURCE = ("bench", "scripts", "models", "docs", "examples", "build", "bin", "fakes")


@functools.cache
def tiny_model():
    make("init", "--preset", "tiny", FOLDER / "tiny-of-pages")  # seed 0, as pages have it
    return FOLDER / "tiny-of-pages"


@functools.cache
def quantized():
    make("export", tiny_model(), "--format", "gguf", "-o", FOLDER / "whole.gguf")
    parts = gguf_files.quantized({"token_embd": "Q8_0", "ffn": "Q4_1"}, FOLDER / "whole.gguf")
    return gguf_files.write(FOLDER / "tiny.gguf", *parts)


@functools.cache
def both_targets():
    targets = "cpu:native,vulkan" if has_vulkan() else "cpu:native"
    make("compile", tiny_model(), "--target", targets, "-o", FOLDER / "both.linnet")
    return FOLDER / "both.linnet"


@functools.cache
def classifier():
    make("init", "--preset", "tiny", "--labels", "ham,spam", FOLDER / "classifier-of-pages")
    return FOLDER / "classifier-of-pages"


@functools.cache
def vocabulary():
    """As docs/cli-train.md makes it."""
    text = FOLDER / "text.txt"
    text.write_bytes((ROOT / "LICENSE").read_bytes()[:6000])
    make("tokenizer", "train", "--vocab-size", "400", "-o", FOLDER / "vocabulary-of-pages", text)
    return FOLDER / "vocabulary-of-pages"


def shortened(command, rule):
    for pattern, replacement in [*rules.SHORTER, *rule.change]:
        command = re.sub(pattern, replacement, command, count=1)
    return command


class Quoted(TestCase):
    """A test for each page is added below."""

    def check_page(self, page):
        folder, seen = None, set()
        here = [quoted for quoted in ALL if quoted.page == str(page)]
        models = any(isinstance(rule, Run) and not rule.fakes for rule in map(rule_of, here))
        for quoted in here:
            rule = rule_of(quoted)
            with self.subTest(place=quoted.place, command=quoted.command):
                if isinstance(rule, Run):
                    folder = folder or Folder(models)
                    if quoted.output or quoted.command not in seen:  # a page may name a command twice
                        self.check_run(folder, quoted, rule)
                    seen.add(quoted.command)
                elif rule is not None:
                    getattr(self, "check_" + type(rule).__name__.lower())(quoted, rule)

    def check_run(self, folder, quoted, rule):
        command = shortened(quoted.command, rule)
        folder.make_room(command)
        (folder.path / "calls").unlink(missing_ok=True)
        done = folder.run(command, rule.fakes)
        found = done.stdout + done.stderr
        if rule.vulkan and not has_vulkan():
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(found, "Vulkan")
            return
        fails = any(line.startswith("linnet: error: ") for line in quoted.output or [])
        self.assertEqual(done.returncode in (1, 2) if fails else done.returncode == 0, True, f"{command}\n{found}")
        for pattern in rule.expect:
            self.assertRegex(found, re.compile(pattern, re.M), command)
        calls = (folder.path / "calls").read_text() if (folder.path / "calls").exists() else ""
        for pattern in rule.calls:
            self.assertRegex(calls, re.compile(pattern, re.M), command)
        if quoted.output:
            expected = [line for line in quoted.output if re.search(rule.lines, line)]
            if rule.lines:
                expected = ["...", *(part for line in expected for part in (line, "..."))]
            self.assertTrue(expected)
            of = pages.shape if rule.shape else pages.comparable
            expected = [line for line in expected if line.strip()]
            # A terminal shows both streams as they come.
            differences = [pages.first_difference(expected, [line for line in text.splitlines() if line.strip()], of)
                           for text in (found, done.stderr + done.stdout)]
            self.assertIn(None, differences, f"{command}\n{found}")

    def check_elsewhere(self, quoted, rule):
        self.assertIn(f"def {rule.test}(", (ROOT / rule.file).read_text())

    def answer(self, *command):
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)

    def check_tests(self, quoted, rule):
        folder = ("--preset", "release", "--test-dir", "build/release")
        options = [word for word in shlex.split(quoted.command)[1:] if word not in folder]
        done = self.answer("ctest", "--test-dir", BUILD, "-N", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^Total Tests: [1-9]")

    def check_targets(self, quoted, rule):
        words = quoted.command.split()
        self.assertEqual(words[:3], ["ninja", "-C", "build/release"])
        done = self.answer("ninja", "-C", BUILD, "-t", "query", *words[3:])
        self.assertEqual(done.returncode, 0, done.stderr)

    def check_named(self, quoted, rule):
        words = quoted.command.split()
        program = words[0]
        if program == "linnet" and len(words) > 1 and words[1] not in ("COMMAND", "--version"):
            text = help_of(" ".join(words[1:3] if words[1] == "tokenizer" else words[1:2]))
            for option in re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", quoted.command):
                self.assertRegex(text, rf"(?m)(^|[ ,]){re.escape(option)}\b")
        elif "/" in program:
            self.assertTrue((ROOT / program).exists() or (BUILD.parents[1] / program).exists(), program)


def name_of(page):
    return "test_" + re.sub(r"\W+", "_", str(page).removesuffix(".md").lower())


for one in pages.PAGES:
    setattr(Quoted, name_of(one), lambda self, page=one: self.check_page(page))


class Rules(TestCase):
    def test_no_command_is_forgotten(self):
        self.assertGreater(len(ALL), 200)
        self.assertEqual([f"{q.place}: {q.command}" for q in ALL if rule_of(q) is None], [])

    def test_no_rule_is_left_over(self):
        used = {id(rule_of(q)) for q in ALL}
        self.assertEqual([pattern for pattern, rule in rules.RULES if id(rule) not in used], [])

    def test_a_new_command_is_noticed(self):
        for text in ("frobnicate now", "scripts/new --all", "bench/new 3"):
            self.assertIsNone(rule_of(pages.Quoted("docs/new.md", 1, text)))


class Reader(TestCase):
    def test_blocks(self):
        sh, = pages.commands_of("sh", ["a \\", "  b", ""])
        self.assertEqual((sh.text, sh.output), ("a \\\n  b", None))
        first, second = pages.commands_of("console", ["$ a", "x", "", "y", "$ b  # why"])
        self.assertEqual((first.output, second.output, second.command), (["x", "", "y"], [], "b"))
        block = ["linnet run MODEL [--x]", "           [--y]", "", "linnet devices", "", "cpu", "",
                 "linnet: error: x", "", "bench/compare"]
        synopsis, run, more = pages.commands_of("indented", block)
        self.assertTrue(pages.is_synopsis(synopsis.command))
        self.assertIn("--y", synopsis.text)
        self.assertEqual((run.output, more.text), (["cpu", "", "linnet: error: x"], "bench/compare"))

    def test_comparison(self):
        self.assertIsNone(pages.first_difference(["a 3.1 ms", "...", "c"], ["a 4 us", "b", "b", "c"]))
        self.assertIsNone(pages.first_difference(["a b...", "c"], ["a bcd", "c"]))
        self.assertEqual(pages.first_difference(["a c...", "c"], ["a bcd", "c"]), "a c...")
        self.assertEqual(pages.first_difference(["a", "c"], ["a", "b", "c"]), "c")
        self.assertEqual(pages.first_difference(["a"], ["a", "b"]), "(the end) where b")
        self.assertEqual(pages.first_difference(["a", "b"], ["a"]), "b")
        self.assertEqual(*map(pages.shape, ("| m124   |  ~3.5 MiB | - | ---: |", "| m124 | 12,345 MiB | 7 | ----: |")))
        self.assertNotEqual(pages.shape("weights 3 MiB"), pages.shape("cache 3 MiB"))
        self.assertEqual(pages.shape("| pp512 | 3 MiB |"), pages.shape("| pp16 | 768.0 KiB |"))
        self.assertNotEqual(pages.shape("pp512"), pages.shape("tg512"))


if __name__ == "__main__":
    main()
