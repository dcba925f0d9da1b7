"""The quotations of pages: commands, and the outputs below them."""
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# docs/lab-notebook is a diary: its commands are those of its day.
OUTSIDE_DOCS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "models/linnet-stories/README.md")
IN_DOCS = [path for pattern in ("*.md", "devices/*.md") for path in sorted((ROOT / "docs").glob(pattern))]
PAGES = [path.relative_to(ROOT) for path in (*(ROOT / name for name in OUTSIDE_DOCS), *IN_DOCS)]
PROGRAM = re.compile(r"(?:[A-Z_]+=\S+ )*(?:build/release/bin/)?(?:linnet(?:-opt)?|(?:scripts|bench)/[a-z-]+|cmake|"
                     r"ctest|ninja|bench_\w+|limits(?:_vulkan)?|less|pip|apt-get)(?![\w/.:-])")


@dataclass
class Quoted:
    page: str
    line: int
    text: str
    block: bool = True
    output: list | None = None  # lines that the page shows below it; None: it shows none

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    @property
    def command(self):
        """Without the remark at its end."""
        return re.sub(r"\s+# [^\"']*$", "", self.text)


def paragraphs(text):
    """(first line's number, kind, lines): kind is the language of a fenced block, "indented", or None for prose."""
    out, kind, fence = [], None, False
    previous_blank = True
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fence = not fence
            if fence:
                out.append((number + 1, line[3:].strip(), []))
            previous_blank = True
            kind = None
        elif fence:
            out[-1][2].append(line)
        elif line.startswith("    ") and (previous_blank or kind == "indented"):
            if kind != "indented":
                out.append((number, "indented", []))
            kind, previous_blank = "indented", False
            out[-1][2].append(line[4:])
        elif not line.strip():
            if kind == "indented":
                out[-1][2].append("")
            previous_blank = True
        else:
            if kind != "prose" or previous_blank:
                out.append((number, None, []))
            kind, previous_blank = "prose", False
            out[-1][2].append(line)
    return out


def commands_of(language, lines, page="", first=1):
    """The commands of a block. A fence of "sh" holds commands alone; in "console" they begin with "$ ". In an
    indented block they begin with "$ " or a program of ours. Lines that are indented further go on with a synopsis."""
    commands, goes_on, chunk = [], False, 0
    for at, line in enumerate(lines):
        chunk = at if at and not lines[at - 1] else chunk
        if goes_on:
            commands[-1].text += "\n" + line
        elif language == "sh":
            commands.append(Quoted(page, first + at, line))
        elif line.startswith("$ "):
            commands.append(Quoted(page, first + at, line[2:], output=[]))
        elif language == "indented" and PROGRAM.match(line) and not any(o.startswith("$ ") for o in lines[chunk:at]):
            commands.append(Quoted(page, first + at, line))
        elif commands:
            last = commands[-1]
            if is_synopsis(last.command) and line.startswith("      "):
                last.text += "\n" + line
            elif line or last.output:
                last.output = [*(last.output or []), line]
            continue
        goes_on = line.endswith("\\")
    for command in commands:
        while command.output and not command.output[-1]:
            command.output.pop()
    return [command for command in commands if command.text.strip()]


def is_synopsis(text):
    """Whether it has placeholders instead of what a person would type."""
    return bool(re.search(r"\[-|\[[A-Z]|\.\.\.|[A-Za-z\]]\|[A-Za-z\[]|\bCOMMAND\b| \\\| ", text))


def quoted(page):
    """Every command of a page, in the order of its lines."""
    out = []
    for first, kind, lines in paragraphs((ROOT / page).read_text()):
        if kind is not None:
            if kind in ("sh", "console", "indented"):
                out += commands_of(kind, lines, str(page), first)
            elif any(PROGRAM.match(line) or line.startswith("$ ") for line in lines):
                raise ValueError(f"{page}:{first}: expected a block of language sh or console, found '{kind}'")
            continue
        text = "\n".join(lines)
        for found in re.finditer(r"`([^`]+)`", text):
            line = " ".join(found[1].split())
            if PROGRAM.match(line):
                out.append(Quoted(str(page), first + text.count("\n", 0, found.start()), line, block=False))
    return out


def comparable(line):
    """Times differ from run to run."""
    return re.sub(r"\b\d+(\.\d+)? (us|ms|s|min)\b", "TIME", line).rstrip()


def shape(line):
    """Words alone: numbers, sizes, hashes, paths of a cache, threads and the widths of columns differ between machines."""
    line = re.sub(r"\S*/compiled/\S+", "CACHED", comparable(line))
    line = re.sub(r"xxh3-64 [0-9a-f]+", "HASH", re.sub(r"\b\d+ threads?\b", "THREADS", line))
    line = re.sub(r"\b(pp|tg)\d+\b", r"\1N", line)
    line = re.sub(r"~?(?<![\w.])\d[\d,]*(\.\d+)? ([KMG]i)?B\b", "SIZE", line)
    line = re.sub(r"~?(?<![A-Za-z_.])-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?", "N", line)
    return " ".join(re.sub(r"(?<!\S)-(?!\S)|-{2,}:?", "N", line).split())


def first_difference(expected, found, of=comparable):
    """None, or the first quoted line that is not in `found`. "..." matches any lines, or the rest of a line at its end."""
    at, anywhere = 0, False
    for line in map(of, expected):
        if line.strip() == "...":
            anywhere = True
            continue
        matches = (lambda other: other.startswith(line[:-3])) if line.endswith("...") else line.__eq__
        rest = [of(other) for other in (found[at:] if anywhere else found[at:at + 1])]
        number = next((number for number, other in enumerate(rest) if matches(other)), None)
        if number is None:
            return line
        at, anywhere = at + number + 1, False
    return None if anywhere or at == len(found) else "(the end) where " + found[at]
