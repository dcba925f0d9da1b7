"""Linnet's chat templates against PyPI's Jinja2. See scripts/compare-chat-templates, which makes the environment."""

import argparse, json, subprocess, sys
from pathlib import Path

from chat_conversations import cases, sample
from jinja_cases import TEMPLATES, VARIABLES
from jinja_reference import render

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "chat"


def linnets(program, lines):
    """The text of each line, or None with the error."""
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([program], input=stdin.encode(), capture_output=True)
    if done.returncode:
        sys.exit(f"{program}: {done.stderr.decode()}")
    rows = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    return [(row.get("text"), row.get("error")) for row in rows]


def compare(program, name, template, variables):
    """Prints the first difference. Returns the number of conversations that Jinja2 renders, and of differences."""
    ours = linnets(program, [{"template": template, "variables": v} for v in variables])
    differ = rendered = 0
    for v, (text, error) in zip(variables, ours, strict=True):
        expected = render(template, v)
        rendered += expected is not None
        if text == expected:
            continue
        differ += 1
        if differ <= 1:
            print(
                f"{name}: {json.dumps(v.get('messages'))[:600]}\n  Linnet {error or repr(text)}\n  Jinja2 {expected!r}"
            )
    return rendered, differ


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def write_fixtures():
    """What the test chat_templates reads."""
    conversations, names = list(sample()), sorted(path.stem for path in (FIXTURES / "templates").glob("*.jinja"))
    rows = [
        f"{compact(name)}: [\n"
        + ",\n".join(
            compact(render((FIXTURES / "templates" / f"{name}.jinja").read_text(), v)) for v in conversations
        )
        + "]"
        for name in names
    ]
    text = (
        '{"conversations": [\n'
        + ",\n".join(map(compact, conversations))
        + '],\n"templates": {\n'
        + ",\n".join(rows)
        + "}}\n"
    )
    (FIXTURES / "conversations.json").write_text(text)
    rows = [f"[{compact(template)}, {compact(render(template, VARIABLES))}]" for template in TEMPLATES]
    text = f'{{"variables": {compact(VARIABLES)},\n"templates": [\n' + ",\n".join(rows) + "]}\n"
    (FIXTURES / "language.json").write_text(text)
    print(f"{len(names)} templates of {len(conversations)} conversations, {len(TEMPLATES)} small templates")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument(
        "--write-fixtures", action="store_true", help="write the fixtures of the test chat_templates, compare nothing"
    )
    parser.add_argument("templates", nargs="*", type=Path, help=".jinja files")
    args = parser.parse_args()
    if args.write_fixtures:
        return write_fixtures()
    variables, total, wrong = list(cases()), 0, 0
    for path in args.templates:
        rendered, differ = compare(args.program, path.stem, path.read_text(), variables)
        print(
            f"{'DIFFERS' if differ else 'ok     '} {path.stem}: {len(variables)} conversations, "
            f"{rendered} rendered, {differ} differ"
        )
        total += len(variables)
        wrong += differ
    print(f"{len(args.templates)} templates, {total} conversations, {wrong} differ")
    return 1 if wrong or not total else 0


if __name__ == "__main__":
    sys.exit(main())
