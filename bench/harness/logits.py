"""Whether a peer computes what Linnet computes: logits behind the same tokens."""
import array
import math
import tempfile
from pathlib import Path

IDS = [(i * 7919 + 13) % 251 for i in range(16)]
# The largest difference beside the largest logit that still is the same model, by the type of its weights. A wrong
# graph is off by about one; llama.cpp keeps its cache in 16 bits and looks gelu up in a table of them.
ALLOWED = {"f32": 5e-3, "bf16": 5e-2, "f16": 5e-2, "int8": 1.5e-1, "int4": 6e-1}


def of(server, ids=IDS):
    with tempfile.TemporaryDirectory(prefix="bench-logits-") as folder:
        path = Path(folder) / "logits"
        server.ask(f"logits {path} {' '.join(map(str, ids))}")
        values = array.array("f")
        values.frombytes(path.read_bytes())
        return values


def error(values, reference):
    """The largest difference beside the largest logit; infinite where shapes or numbers do not fit."""
    if len(values) != len(reference):
        return math.inf
    scale = max(map(abs, reference))
    worst = max(abs(a - b) for a, b in zip(values, reference))
    return worst / scale if math.isfinite(worst) and scale else math.inf
