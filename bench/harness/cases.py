"""What is measured, and what a machine of given limits could do at most."""
from dataclasses import dataclass

DTYPES = ("f32", "bf16", "int8", "int4")  # what is compared unless told otherwise
ALL_DTYPES = (*DTYPES, "f16")
# Bytes a weight takes as it streams from memory: int8 with a scale a column, int4 with a 16-bit scale for 32 of them.
WEIGHT_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "int8": 1, "int4": 4.5 / 8}
# Of the cache, beside weights of each type.
CACHE_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "int8": 2, "int4": 2}
# Whose multiply-add is the limit. On a CPU 4-bit weights are multiplied as 8-bit ones, f16 ones as f32; on Vulkan all that have
# fewer bits than f32 become f16, which matrix units multiply.
PEAK = {"f32": "f32", "bf16": "bf16", "f16": "f32", "int8": "int8", "int4": "int8"}
PEAK_VULKAN = {"f32": "f32", "bf16": "f16", "f16": "f16", "int8": "f16", "int4": "f16"}


@dataclass(frozen=True)
class Case:
    name: str
    kind: str  # "prefill" or "decode"
    past: int  # of a prefill: its tokens
    count: int = 0
    batch: int = 1

    @property
    def request(self):
        if self.kind == "prefill":
            return f"prefill {self.past} {self.batch}"
        return f"decode {self.past} {self.count} {self.batch}"

    @property
    def tokens(self):
        return (self.past if self.kind == "prefill" else self.count) * self.batch

    @property
    def positions(self):
        return self.past + self.count


CASES = {case.name: case for case in (
    Case("decode", "decode", 128, 32),
    Case("prefill128", "prefill", 128),
    Case("prefill512", "prefill", 512),
    Case("prefill1024", "prefill", 1024),
    Case("batch8", "decode", 32, 16, 8),
    Case("batch32", "decode", 32, 8, 32),
    Case("past16", "decode", 16, 20),
    Case("past1000", "decode", 1000, 20),
)}
# Measured by other means than a rate in turns: see harness/process.py.
WHOLE = ("first-token", "stolen", "memory")


@dataclass(frozen=True)
class Shape:
    layers: int
    heads: int
    width: int
    vocabulary: int
    positions: int

    @classmethod
    def of(cls, config):
        return cls(config["n_layer"], config["n_head"], config["n_embd"], config["vocab_size"], config["n_positions"])

    @property
    def block_weights(self):
        return 12 * self.width * self.width * self.layers

    @property
    def head_weights(self):
        return self.vocabulary * self.width

    def weight_bytes(self, dtype):
        """Of what every token streams: all matrices, the head (which is the embedding) included."""
        return (self.block_weights + self.head_weights) * WEIGHT_BYTES[dtype]


def ceiling(case, shape, dtype, read_bytes_per_s, ops_per_s):
    """Tokens a second where either memory or arithmetic does its most and nothing else takes time; the weights are read
    once a step, the cache once a token, attention counts as multiply-adds of the same type."""
    weights = shape.weight_bytes(dtype)
    if case.kind == "prefill":
        rows = case.past * case.batch
        operations = 2 * (shape.block_weights * rows + shape.head_weights * case.batch)
        operations += 2 * shape.layers * shape.width * rows * (case.past + 1)  # q.k and p.v over half the square
        seconds = max(weights / read_bytes_per_s, operations / ops_per_s if ops_per_s else 0)
        return rows / seconds
    cache = 2 * shape.layers * shape.width * CACHE_BYTES[dtype] * (case.past + case.count / 2) * case.batch
    operations = 2 * (shape.block_weights + shape.head_weights) * case.batch
    seconds = max((weights + cache) / read_bytes_per_s, operations / ops_per_s if ops_per_s else 0)
    return case.batch / seconds


def chosen(text, known, what):
    """A comma list of known names, in the order given; ValueError names the unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ValueError(f"no {what} '{name}': expected some of {', '.join(known)}")
    if not names:
        raise ValueError(f"no {what} named: expected some of {', '.join(known)}")
    return list(dict.fromkeys(names))
