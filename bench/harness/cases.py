"""The measured cases, and their upper bounds on a machine with given limits."""
from dataclasses import dataclass

DTYPES = ("f32", "bf16", "int8", "int4")  # compared by default
ALL_DTYPES = (*DTYPES, "f16")
FILE_DTYPES = ("int4a", "keep")  # compared on models of files: asymmetric int4, and the types of the file itself
# Bytes per weight read from memory: int8 with a scale per column, int4 with a 16-bit scale for 32 weights, int4a with a
# minimum as well.
WEIGHT_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "int8": 1, "int4": 4.5 / 8, "int4a": 5 / 8}
# Bytes per cache element, by the type of weights.
CACHE_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "int8": 2, "int4": 2, "int4a": 2, "keep": 2}
# The type whose multiply-add rate is the limit. On a CPU f16 weights are multiplied as f32. On Vulkan all types narrower
# than f32 become f16, which matrix units multiply.
PEAK = {"f32": "f32", "bf16": "bf16", "f16": "f32", "int8": "int8", "int4": "int4", "int4a": "int4", "keep": "int4"}
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


# Turns are short, because a turn during which the machine's speed changes is discarded.
CASES = {case.name: case for case in (
    Case("decode", "decode", 128, 16),
    Case("prefill128", "prefill", 128),
    Case("prefill512", "prefill", 512),
    Case("prefill1024", "prefill", 1024),
    Case("batch8", "decode", 32, 6, 8),
    Case("batch32", "decode", 32, 4, 32),
    Case("past16", "decode", 16, 16),
    Case("past1000", "decode", 1000, 16),
)}
# Measured by other means than a rate in turns: see harness/process.py.
WHOLE = ("first-token", "stolen", "memory")


@dataclass(frozen=True)
class Shape:
    layers: int
    width: int
    vocabulary: int
    positions: int
    layer_weights: int  # of the matrices of one layer
    attention_width: int  # of the queries of all heads
    cache_width: int  # of the keys of all heads
    kept_bytes: float = 0  # of a file's matrices

    @classmethod
    def of(cls, config, kept_bytes=0):
        """From a config.json of a family in the style of GPT-2 or of Llama."""
        if "n_embd" in config:
            width = config["n_embd"]
            return cls(config["n_layer"], width, config["vocab_size"], config["n_positions"], 12 * width * width, width,
                       width, kept_bytes)
        width, heads = config["hidden_size"], config["num_attention_heads"]
        head = config.get("head_dim") or width // heads
        queries, keys = heads * head, config.get("num_key_value_heads", heads) * head
        weights = 2 * width * (queries + keys) + 3 * width * config["intermediate_size"]
        return cls(config["num_hidden_layers"], width, config["vocab_size"], config["max_position_embeddings"], weights,
                   queries, keys, kept_bytes)

    @property
    def block_weights(self):
        return self.layer_weights * self.layers

    @property
    def head_weights(self):
        return self.vocabulary * self.width

    def weight_bytes(self, dtype):
        """Bytes of the weights that every token reads: all matrices, including the head (the embedding)."""
        if dtype == "keep":
            return self.kept_bytes
        return (self.block_weights + self.head_weights) * WEIGHT_BYTES[dtype]


def ceiling(case, shape, dtype, read_bytes_per_s, ops_per_s):
    """The upper bound in tokens per second, if memory or arithmetic runs at its limit and nothing else takes time. Weights
    are read once per step, the cache once per token. Attention counts as multiply-adds of the same type."""
    weights = shape.weight_bytes(dtype)
    if case.kind == "prefill":
        rows = case.past * case.batch
        operations = 2 * (shape.block_weights * rows + shape.head_weights * case.batch)
        operations += 2 * shape.layers * shape.attention_width * rows * (case.past + 1)  # q.k and p.v over half the square
        seconds = max(weights / read_bytes_per_s, operations / ops_per_s if ops_per_s else 0)
        return rows / seconds
    cache = 2 * shape.layers * shape.cache_width * CACHE_BYTES[dtype] * (case.past + case.count / 2) * case.batch
    operations = 2 * (shape.block_weights + shape.head_weights) * case.batch
    seconds = max((weights + cache) / read_bytes_per_s, operations / ops_per_s if ops_per_s else 0)
    return case.batch / seconds


def chosen(text, known, what):
    """Parses a comma-separated list of known names. ValueError names an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ValueError(f"no {what} '{name}': expected some of {', '.join(known)}")
    if not names:
        raise ValueError(f"no {what} named: expected some of {', '.join(known)}")
    return list(dict.fromkeys(names))
