"""The Markdown pages of this repository: relative links and anchors resolve, lines and pages are short."""
import re, unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OUTSIDE = re.compile(r"[a-z]+:")
MAX_COLUMNS = 120
MAX_LINES = 300
# Lines of a page, where the limit is not MAX_LINES.
LINES = {"docs/performance.md": 150, "docs/ir.md": None, "docs/passes.md": None}  # the last two are generated
# Lines of generated pages that may be longer: a table's row, the syntax and interfaces that tblgen prints, a model's text.
LONGER = {"docs/ir.md": re.compile(r"\| | +\$|operation ::=|Interfaces: "), "models/linnet-stories/README.md": re.compile("")}


def is_source(path):
    """Build folders and folders of tools hold pages of other projects."""
    return not any(part.startswith((".", "build")) for part in path.relative_to(ROOT).parts[:-1])


PAGES = sorted(path for path in ROOT.rglob("*.md") if is_source(path))


def prose(text):
    """The lines outside fenced blocks."""
    out, fence = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fence = not fence
        elif not fence:
            out.append(line)
    return out


def slug(heading):
    """The anchor that GitHub gives a heading."""
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(text):
    """A repeated heading gets the suffix -1, -2 and so on."""
    out, seen = set(), {}
    for line in prose(text):
        if heading := re.match(r"#+ (.+)", line):
            name = slug(heading[1])
            count = seen[name] = seen.get(name, -1) + 1
            out.add(f"{name}-{count}" if count else name)
    return out | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def links(text):
    """The target of each relative link. Inline code has none. The text of a link may wrap."""
    for paragraph in "\n".join(prose(text)).split("\n\n"):
        for found in LINK.finditer(re.sub(r"`[^`]*`", "`", paragraph)):
            if not OUTSIDE.match(found[1]):
                yield found[1]


def fault(page, target):
    """None, or what is wrong with a link of this page."""
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return "expected a file or folder, found none"
    if anchor and path.suffix == ".md" and anchor not in anchors(path.read_text()):
        return f"expected a heading with this anchor in {path.relative_to(ROOT)}, found none"
    return None


class Links(unittest.TestCase):
    def test_every_relative_link_resolves(self):
        found = [(page, target) for page in PAGES for target in links(page.read_text())]
        self.assertGreater(len(found), 100)
        faults = [f"{page.relative_to(ROOT)}: {target}: {wrong}" for page, target in found
                  if (wrong := fault(page, target))]
        self.assertEqual(faults, [])

    def test_a_broken_link_is_found(self):
        page = ROOT / "README.md"
        self.assertIn("file or folder", fault(page, "docs/missing.md"))
        self.assertIn("heading", fault(page, "docs/README.md#missing"))
        self.assertIsNone(fault(page, "docs/README.md#documentation"))

    def test_anchors(self):
        text = "# A b, c: `d-e`\n## Twice\n## Twice\n```\n# not one\n```\n"
        self.assertEqual(anchors(text), {"a-b-c-d-e", "twice", "twice-1"})

    def test_code_has_no_links(self):
        self.assertEqual(list(links("`[a](b)` [c](d#e) [f](https://g)\n```\n[h](i)\n```\n")), ["d#e"])
        self.assertEqual(list(links("[two\nlines](a) `\n\n[b](c) `")), ["a", "c"])


class Code(unittest.TestCase):
    def test_quoted_code_is_the_file_s(self):
        """A block whose first line is a comment with a file's path holds lines of that file. `...` leaves lines out."""
        quotes = 0
        for page in PAGES:
            for name, code in re.findall(r"(?ms)^```\w+\n// (\S+/\S+\.\w+)\n(.*?)^```$", page.read_text()):
                source = (ROOT / name).read_text()
                for piece in code.split("...\n"):
                    self.assertIn(piece.strip("\n"), source, f"{page.relative_to(ROOT)}: {name}")
                    quotes += 1
        self.assertGreater(quotes, 10)


class Length(unittest.TestCase):
    def test_lines_and_pages_are_short(self):
        faults = []
        for path in PAGES:
            name = path.relative_to(ROOT).as_posix()
            longer = LONGER.get(name)
            lines = path.read_text().splitlines()
            faults += [f"{name}:{number}: expected at most {MAX_COLUMNS} characters, found {len(line)}"
                       for number, line in enumerate(lines, 1)
                       if len(line) > MAX_COLUMNS and not (longer and longer.match(line))]
            most = LINES.get(name, MAX_LINES)
            if most and len(lines) > most:
                faults.append(f"{name}: expected at most {most} lines, found {len(lines)}")
        self.assertEqual(faults, [])

    def test_no_exception_is_left_over(self):
        self.assertEqual([name for name in sorted({*LONGER, *LINES}) if not (ROOT / name).exists()], [])


if __name__ == "__main__":
    unittest.main()
