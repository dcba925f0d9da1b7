#!/usr/bin/env python3
"""Writes case_tables.inc: the case mappings of Python's str.upper() and str.lower()."""
import pathlib


def runs(convert):
    pairs = [(c, ord(convert(chr(c)))) for c in range(0x80, 0x110000)
             if not 0xD800 <= c < 0xE000 and len(convert(chr(c))) == 1 and convert(chr(c)) != chr(c)]
    out = []
    for code, to in pairs:
        if out:
            first, last, stride, delta = out[-1]
            step = code - last
            if delta == to - code and (step == stride or (first == last and step <= 2)):
                out[-1] = (first, code, step, delta)
                continue
        out.append((code, code, 1, to - code))
    return out


def long(convert):
    return [(c, convert(chr(c))) for c in range(0x80, 0x110000)
            if not 0xD800 <= c < 0xE000 and len(convert(chr(c))) > 1]


def table(name, convert):
    text = f"constexpr CaseRun k{name}Runs[] = {{\n"
    items = [f"{{0x{a:x}, 0x{b:x}, {s}, {d}}}," for a, b, s, d in runs(convert)]
    text += wrapped(items) + "};\n"
    items = ["{0x%x, \"%s\"}," % (c, "".join("\\x%02x" % b for b in t.encode())) for c, t in long(convert)]
    return text + f"constexpr LongCase k{name}Long[] = {{\n" + wrapped(items) + "};\n"


def wrapped(items):
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) > 108:
            lines.append(line)
            line = "   "
        line += " " + item
    return "\n".join(lines + [line]) + "\n"


text = "// Made by make_case_tables.py. Code points from 0x80 on.\n"
text += table("Upper", str.upper) + table("Lower", str.lower)
(pathlib.Path(__file__).parent / "case_tables.inc").write_text(text)
