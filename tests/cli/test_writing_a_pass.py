"""docs/writing-a-pass.md: every block runs as written, in one shell, and says what the page quotes."""
import re, subprocess
from harness import *

PAGE = ROOT / "docs" / "writing-a-pass.md"
BUILD = Path(os.environ.get("LINNET_BUILD") or ROOT / "build" / "release")
PAGE_LIMIT = 540  # seconds: the page compiles a plugin


def blocks():
    """(language, lines) of each fenced block."""
    return [(language, text.splitlines()) for language, text in re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", PAGE.read_text())]


def commands_of(language, lines):
    """(command, lines that it is to print, or None where the page quotes none) of a block."""
    commands, going_on = [], False
    for line in lines:
        if going_on:
            commands[-1][0] += "\n" + line
        elif language == "sh":
            commands.append([line, None])
        elif line.startswith("$ "):
            commands.append([line[2:], []])
        else:
            commands[-1][1].append(line)
            continue
        going_on = line.endswith("\\")
    return commands


def comparable(line):
    """Times differ from run to run."""
    return re.sub(r"\b\d+(\.\d+)? (us|ms|s|min)\b", "TIME", line).rstrip()


def first_difference(expected, found):
    """None, or the first quoted line that is not there. A line "..." stands for any lines."""
    at, anywhere = 0, False
    for line in map(comparable, expected):
        if line.strip() == "...":
            anywhere = True
            continue
        rest = [comparable(other) for other in found[at:]]
        if line not in (rest if anywhere else rest[:1]):
            return line
        at, anywhere = at + rest.index(line) + 1, False
    return None if anywhere or at == len(found) else "(the end) where " + found[at]


class Page(TestCase):
    def test_comparison(self):
        self.assertIsNone(first_difference(["a 3.1 ms", "...", "c"], ["a 4 us", "b", "b", "c"]))
        self.assertEqual(first_difference(["a", "c"], ["a", "b", "c"]), "c")
        self.assertEqual(first_difference(["a"], ["a", "b"]), "(the end) where b")
        self.assertEqual(first_difference(["a", "b"], ["a"]), "b")

    def test_every_block_runs_and_says_what_is_quoted(self):
        folder = fresh("page")
        (folder / "build").mkdir()
        (folder / "build" / "release").symlink_to(BUILD)
        (folder / "examples").symlink_to(ROOT / "examples")
        commands = [command for language, lines in blocks() if language in ("sh", "console")
                    for command in commands_of(language, lines)]
        self.assertGreaterEqual(len(commands), 10)
        self.assertGreaterEqual(sum(quoted is not None for _, quoted in commands), 4)
        script = ""
        for i, (command, _) in enumerate(commands):
            (folder / f"command{i}").write_text(command)
            script += f'eval "$(cat "$HOME/command{i}")" >"$HOME/out{i}" 2>"$HOME/err{i}"; echo $? >"$HOME/code{i}"\n'
        env = environment(HOME=str(folder), CMAKE_BUILD_TYPE="Release")
        subprocess.run(["bash", "-c", script], cwd=folder, env=env, timeout=PAGE_LIMIT, check=True, stdin=subprocess.DEVNULL)
        for i, (command, quoted) in enumerate(commands):
            with self.subTest(command=command):
                found = [line for kind in ("out", "err") for line in (folder / f"{kind}{i}").read_text().splitlines()]
                fails = any(line.startswith("linnet: error: ") for line in quoted or [])
                self.assertEqual((folder / f"code{i}").read_text().strip(), "1" if fails else "0", "\n".join(found))
                if quoted is not None:
                    self.assertIsNone(first_difference(quoted, found), "\n".join(found))


if __name__ == "__main__":
    main()
