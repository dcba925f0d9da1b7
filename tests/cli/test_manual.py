"""Manual pages and completions: they have every command and option of the help, and their readers accept them."""
import re
from harness import *


@functools.cache
def manual():
    folder = fresh("manual") / "made"
    make("manual", folder)
    return folder


@functools.cache
def page(name):
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", manual() / "man1" / f"{name}.1"],
                          capture_output=True, text=True, env={**os.environ, "MANWIDTH": "100"}, check=True)
    return re.sub(".\x08", "", done.stdout), done.stderr


def options_of(text):
    """Names of options in a help: "-n,--max-new-tokens N" is two."""
    return [name for line in re.findall(r"(?m)^  (-[^ ]+)", text) for name in line.split(",")]


def commands_of(text):
    return re.findall(r"(?m)^  ([a-z]+) ", text.split("\nExample:\n")[0])


COMMANDS = ["", *commands_of(make("--help").out)]
COMMANDS += ["tokenizer " + name for name in commands_of(make("tokenizer", "--help").out)]
HELP = {command: make(*command.split(), "--help").out for command in COMMANDS}


def bash(*words):
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _linnet; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "bash", manual() / "bash" / "linnet", *words], capture_output=True,
                          text=True, cwd=ROOT / "docs", check=True)
    return done.stdout.split()


def fish(*words):
    script = "source $argv[1]; complete -C $argv[2]"
    done = subprocess.run(["fish", "-c", script, manual() / "fish" / "linnet.fish", " ".join(words)], text=True,
                          capture_output=True, cwd=ROOT / "docs", env={**os.environ, "HOME": str(FOLDER)}, check=True)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


class Manual(TestCase):
    def test_the_command_is_hidden(self):
        self.assertNotIn("manual", COMMANDS)
        self.fails("nothing", code=2)
        self.assertNotIn("manual", linnet("nothing").err)
        self.fails("manual", FOLDER / ("x" * 300), says="cannot be created")

    def test_every_command_has_a_page(self):
        pages = sorted(path.name for path in (manual() / "man1").iterdir())
        self.assertEqual(pages, sorted("-".join(["linnet", *name.split()]) + ".1" for name in COMMANDS))
        text, _ = page("linnet")
        for name in COMMANDS[1:]:
            if name.count(" ") == 0:
                self.assertIn(f"linnet-{name}(1)", text)

    def test_pages_of_earlier_commands_go(self):
        folder = fresh("stale") / "made"
        (folder / "man1").mkdir(parents=True)
        for name in ("linnet-gone.1", "linnet-run.1", "other.1"):
            (folder / "man1" / name).write_text("old")
        make("manual", folder)
        found = {path.name: path.read_text() for path in (folder / "man1").iterdir()}
        self.assertNotIn("linnet-gone.1", found)
        self.assertEqual(found.pop("other.1"), "old")
        self.assertEqual(found, {path.name: path.read_text() for path in (manual() / "man1").iterdir()})

    def test_pages_have_every_option(self):
        for command, text in HELP.items():
            with self.subTest(command=command):
                shown, warnings = page("-".join(["linnet", *command.split()]))
                self.assertEqual(warnings, "")
                self.assertGreater(len(options_of(text)), 0)
                for option in options_of(text):
                    self.assertRegex(shown, rf"(?m)^ +(-\S+, )*{option}(,| |$)")
                for line in text.partition("\nExample:\n")[2].splitlines():
                    self.assertIn(line.strip(), shown)

    def test_bash_completes(self):
        self.assertEqual(sorted(bash("linnet", "")), sorted(name for name in COMMANDS[1:] if " " not in name))
        for command, text in HELP.items():
            with self.subTest(command=command):
                self.assertEqual(sorted(bash("linnet", *command.split(), "-")), sorted(options_of(text)))
        self.assertEqual(bash("linnet", "compile", "--kv-cache", ""), ["auto", "f32", "bf16", "f16"])
        self.assertEqual(bash("linnet", "compile", "--kv-cache", "=", "b"), ["bf16"])
        self.assertEqual(bash("linnet", "tokenizer", ""), ["train"])
        self.assertEqual(sorted(bash("linnet", "run", "arch")), ["architecture.md", "architecture.svg"])
        self.assertEqual(sorted(bash("linnet", "compile", "--dump-dir", "")), ["devices", "lab-notebook"])
        self.assertEqual(bash("linnet", "run", "-n", ""), [])

    def test_fish_completes(self):
        self.assertEqual(sorted(fish("linnet", "")), sorted(name for name in COMMANDS[1:] if " " not in name))
        for command in ("compile", "tokenizer train", "train", ""):
            found = fish("linnet", *command.split(), "--")
            for option in options_of(HELP[command]):
                if option.startswith("--"):
                    self.assertIn(option, found, command)
        self.assertNotIn("--vocab-size", fish("linnet", "train", "--"))
        self.assertEqual(sorted(fish("linnet", "compile", "--kv-cache", "")), ["auto", "bf16", "f16", "f32"])

    def test_zsh_loads_it(self):
        file = manual() / "zsh" / "_linnet"
        subprocess.run(["zsh", "-n", file], check=True)
        script = "autoload -Uz compinit; fpath=($1 $fpath); compinit -u -D; print $_comps[linnet]"
        done = subprocess.run(["zsh", "-f", "-c", script, "zsh", file.parent], check=True, text=True,
                              stdout=subprocess.PIPE)
        self.assertEqual(done.stdout, "_linnet\n")
        text = file.read_text()
        for command, shown in HELP.items():
            function = "-".join(["_linnet", *command.split()])
            body = text[text.index(f"\n{function}() {{\n"):].split("\n}\n")[0]
            for option in options_of(shown):
                self.assertRegex(body, rf"(?m)^ +'(\*|\([^)]*\)){option}\[", command)


if __name__ == "__main__":
    main()
