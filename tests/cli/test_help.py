"""Help: every command has it, and every example in it runs as written."""
import re, shlex, subprocess
from harness import *

def help_of(command):
    return make(*command.split(), "--help").out


def commands_of(text):
    """Names of the commands that a help lists: indented by two, in groups of their own after the options."""
    return re.findall(r"(?m)^  ([a-z]+) ", text.split("\nExample:\n")[0])


COMMANDS = [name for name in commands_of(help_of("")) if name != "tokenizer"]
COMMANDS += ["tokenizer " + name for name in commands_of(help_of("tokenizer"))]


class Help(TestCase):
    def test_all_commands_are_found(self):
        self.assertGreaterEqual(len(COMMANDS), 21)
        for command in ("run", "grad", "bisect", "pull", "tokenizer train"):
            self.assertIn(command, COMMANDS)

    def test_lines_fit_a_terminal(self):
        for command in COMMANDS:
            for line in help_of(command).splitlines():
                self.assertLessEqual(len(line), 120, f"{command}: {line}")

    def test_version(self):
        self.assertRegex(make("--version").out, r"^linnet \d+\.\d+\.\d+\n$")

    def test_versions_as_json(self):
        told = self.succeeds("--version", "--json").json
        self.assertEqual(f"linnet {told['linnet']}\n", make("--version").out)
        self.assertEqual(told["artifact_format"], 1)
        self.assertEqual(told["compiler"]["linnet"], told["linnet"])
        self.assertRegex(told["compiler"]["llvm"], r"^19\.\d+\.\d+$")
        self.assertRegex(told["onednn"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(told["devices"], make("devices", "--json").json)
        self.assertEqual(self.succeeds("--json", "--version").json, told)
        plain = self.succeeds("--version", "--json", env=environment(LINNET_CPU_ISA="x86-64")).json["processor"]
        self.assertEqual(plain["level"], "x86-64")
        self.assertIn("sse2", plain["features"])
        self.assertNotIn("avx", plain["features"])
        self.fails("--json", "run", "x", code=2, says="--json requires --version")
        self.fails("--version", "--json", env=environment(LINNET_CPU_ISA="none"), says="LINNET_CPU_ISA")

    def test_versions_without_libraries(self):
        env = without_onednn(LINNET_COMPILER_LIBRARY=str(fresh("empty") / "none.so"))
        told = self.succeeds("--version", "--json", env=env).json
        self.assertIsNone(told["compiler"])
        self.assertIn("none.so", told["compiler_error"])
        self.assertIsNone(told["onednn"])
        self.assertIn("install the package libdnnl", told["onednn_error"])

    def test_examples_run(self):
        folder = fresh("examples")
        (folder / "text.txt").write_text("Once upon a time there was a compiler of graphs. " * 20)
        for name in ("ids", "labels"):
            write_npy(folder / f"{name}.npy", "<i8", (1, 3), [5, 6, 7])
        (folder / "messages.tsv").write_text("ham\tcome home\nspam\tWIN CASH\n" * 20)
        program = shlex.quote(LINNET)
        for command in ["", *COMMANDS]:
            text = help_of(command)
            self.assertIn("\nExample:\n", text, command)
            for line in re.findall(r"(?m)^  (linnet .*)$", text.split("\nExample:\n")[1]):
                if line.startswith(("linnet pull", "linnet serve")):
                    continue  # one reaches the hub, the other runs until it is stopped: other tests run them
                with self.subTest(example=line):
                    script = re.sub(r"\blinnet (?=[a-z])", lambda _: program + " ", line)
                    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment(),
                                          capture_output=True, timeout=LIMIT)
                    self.assertEqual(done.returncode, 0, done.stderr.decode())
                    self.assertTrue(done.stdout)


class ProjectFiles(TestCase):
    def test_the_license_is_whole(self):
        text = (ROOT / "LICENSE").read_text()
        for part in ("Apache License", "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION", "9. Accepting Warranty",
                     "END OF TERMS AND CONDITIONS", "LLVM Exceptions to the Apache 2.0 License", "Combined"):
            self.assertIn(part, text)

    def test_the_changelog_begins_with_this_version(self):
        version = make("--version").out.split()[1]
        self.assertEqual(re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())[1], version)

    def test_links_lead_somewhere(self):
        for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
                self.assertTrue((ROOT / link).exists(), f"{page}: {link}")


class Page(TestCase):
    """docs/cli.md and the pages that its tables link to, against the help."""
    PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("cli.md", "cli-compile.md", "cli-train.md", "chat.md", "server.md")}

    def test_every_command_is_in_the_table_and_has_a_section(self):
        rows = re.findall(r"(?m)^\| \[([a-z, ]+)\]\(([a-z.-]*)#([a-z-]+)\) \|", self.PAGES["cli.md"])
        self.assertEqual(sorted(name for names, _, _ in rows for name in names.split(", ")), sorted(COMMANDS))
        for names, page, anchor in rows:
            headings = re.findall(r"(?m)^## (.*)$", self.PAGES[page or "cli.md"])
            self.assertIn(anchor, [heading.lower().replace(",", "").replace(" ", "-") for heading in headings])
            for name in names.split(", "):
                self.assertIn("linnet-" + name.replace(" ", "-"), anchor)


if __name__ == "__main__":
    main()
