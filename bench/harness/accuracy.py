"""Runs one checkpoint in one type through the command line, and compares two of them."""
import array
import json
import operator
import struct
from pathlib import Path

from .process import run


class Compiled:
    def __init__(self, linnet, model, dtype, target, folder):
        self.linnet, self.folder, self.file = linnet, folder, folder / f"{dtype}.linnet"
        run(linnet, "compile", model, "--dtype", dtype, "--target", target, "-o", self.file)
        config = json.loads((model / "config.json").read_text())
        self.context, self.vocabulary = config["n_positions"], config["vocab_size"]
        self.bytes = self.file.stat().st_size
        self.has_tokenizer = (model / "tokenizer.json").exists() or (model / "vocab.json").exists()

    def logits(self, ids):
        """Logits of all positions, concatenated."""
        path = self.folder / "logits.npy"
        run(self.linnet, "logits", self.file, "--ids", ",".join(map(str, ids)), "--all", "-o", path)
        return read_npy(path)

    def greedy(self, ids, count):
        out = run(self.linnet, "run", self.file, "--ids", ",".join(map(str, ids)), "--max-new-tokens", count,
                  "--ignore-eos", "--json")
        return json.loads(out)["ids"][len(ids):]

    def perplexity(self, text):
        """None without a tokenizer."""
        if not self.has_tokenizer:
            return None
        return json.loads(run(self.linnet, "eval", self.file, "--perplexity", text, "--json"))["perplexity"]

    def remove(self):
        self.file.unlink()


def ids_of(compiled, text):
    if compiled.has_tokenizer:
        return json.loads(run(compiled.linnet, "tokenize", compiled.file, "--file", text, "--json"))["ids"]
    return [byte % compiled.vocabulary for byte in Path(text).read_bytes()]


def read_npy(path):
    """The numbers of a float32 array."""
    data = Path(path).read_bytes()
    size, = struct.unpack_from("<H", data, 8)
    values = array.array("f")
    values.frombytes(data[10 + size:])
    return values


def logits_beside(values, truth, positions):
    """The largest difference divided by the largest logit, and the number of positions with the same likeliest token."""
    worst = max(map(abs, map(operator.sub, values, truth))) / max(map(abs, truth))
    width = len(truth) // positions
    same = 0
    for i in range(positions):
        a, b = values[i * width:(i + 1) * width], truth[i * width:(i + 1) * width]
        same += a.index(max(a)) == b.index(max(b))
    return worst, same


def differing(tokens, truth):
    """The number of positions with different tokens."""
    return sum(a != b for a, b in zip(tokens, truth)) + abs(len(tokens) - len(truth))
