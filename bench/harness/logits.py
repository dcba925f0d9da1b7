"""Checks that a peer computes the same model as Linnet: logits after the same tokens."""
import array
import math
import tempfile
from pathlib import Path

IDS = [(i * 7919 + 13) % 251 for i in range(16)]
# The largest allowed difference relative to the largest logit, by the type of weights. A wrong graph differs by about
# one. llama.cpp keeps its cache in 16 bits and computes gelu with a table of 16-bit values.
ALLOWED = {"f32": 5e-3, "bf16": 5e-2, "f16": 5e-2, "int8": 1.5e-1, "int4": 6e-1, "int4a": 6e-1,
           "keep": 1.5e-1}


def of(server, ids=IDS):
    with tempfile.TemporaryDirectory(prefix="bench-logits-") as folder:
        path = Path(folder) / "logits"
        server.ask(f"logits {path} {' '.join(map(str, ids))}")
        values = array.array("f")
        values.frombytes(path.read_bytes())
        return values


def error(values, reference):
    """The largest difference divided by the largest logit; infinite if shapes differ or a number is NaN."""
    if len(values) != len(reference):
        return math.inf
    scale = max(map(abs, reference))
    worst = max(abs(a - b) for a, b in zip(values, reference))
    return worst / scale if math.isfinite(worst) and scale else math.inf
