"""GGUF files taken apart and put together again: their metadata as bytes, their tensors with any type."""
import random, struct
from dataclasses import dataclass

ALIGNMENT = 32
NUMBERS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # value type: bytes
STRING, ARRAY = 8, 9
# GGML's number, elements and bytes of a block.
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22),
         "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q4_K": (12, 256, 144),
         "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18), "BF16": (30, 1, 2)}
NAMES = {number: name for name, (number, _, _) in TYPES.items()}


@dataclass
class Tensor:
    name: str
    sizes: list  # as in the file: the length of a row first
    kind: str
    data: bytes


def bytes_of(kind, sizes):
    elements = 1
    for size in sizes:
        elements *= size
    _, block, size = TYPES[kind]
    return elements // block * size


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def number(value):
    return struct.pack("<II", 4, value)  # u32


def f32(value):
    return struct.pack("<If", 6, value)


def string(value):
    return struct.pack("<I", STRING) + text(value)


def strings(values):
    return struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(text, values))


def read(path):
    return read_bytes(path.read_bytes())


def read_bytes(data):
    """Metadata (key: its type and value as bytes) and tensors."""
    at = 24
    tensors, keys = struct.unpack_from("<QQ", data, 8)

    def skip(kind, at):
        if kind == STRING:
            return at + 8 + struct.unpack_from("<Q", data, at)[0]
        if kind != ARRAY:
            return at + NUMBERS[kind]
        element, count = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(count):
            at = skip(element, at)
        return at

    def string(at):
        end = skip(STRING, at)
        return data[at + 8:end].decode(), end

    metadata, list_of = {}, []
    for _ in range(keys):
        key, at = string(at)
        end = skip(struct.unpack_from("<I", data, at)[0], at + 4)
        metadata[key], at = data[at:end], end
    for _ in range(tensors):
        name, at = string(at)
        rank, = struct.unpack_from("<I", data, at)
        sizes = list(struct.unpack_from(f"<{rank}Q", data, at + 4))
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * rank)
        at += 16 + 8 * rank
        list_of.append((Tensor(name, sizes, NAMES[kind], b""), offset))
    start = -(-at // ALIGNMENT) * ALIGNMENT
    for tensor, offset in list_of:
        tensor.data = data[start + offset:start + offset + bytes_of(tensor.kind, tensor.sizes)]
    return metadata, [tensor for tensor, _ in list_of]


def drawn(kind, sizes):
    """Random blocks with small f16 numbers: weights as large as a model's. Each block has other scales, so that a wrong
    order of scales changes the numbers."""
    draw = random.Random(kind)
    size = TYPES[kind][2]
    halves = {"Q6_K": [208], "Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2]}.get(kind, [0])
    out = bytearray(draw.randbytes(bytes_of(kind, sizes)))
    for at in range(0, len(out), size):
        for half in halves:
            scale = (0.0001 if kind.endswith("K") else 0.002) * draw.uniform(0.5, 2) * draw.choice((1, -1))
            struct.pack_into("<e", out, at + half, scale)
    return bytes(out)


def quantized(kinds, source):
    """The metadata and tensors of a file. A tensor whose name contains a key has that type, and drawn values."""
    metadata, tensors = read(source)
    changed = []
    for tensor in tensors:
        kind = next((kind for part, kind in kinds.items() if part in tensor.name), None)
        if kind:
            tensor = Tensor(tensor.name, tensor.sizes, kind, drawn(kind, tensor.sizes))
        changed.append(tensor)
    return metadata, changed


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def write(path, metadata, tensors):
    header, body = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)), b""
    for key, value in metadata.items():
        header += text(key) + value
    for tensor in tensors:
        header += text(tensor.name) + struct.pack(f"<I{len(tensor.sizes)}Q", len(tensor.sizes), *tensor.sizes)
        header += struct.pack("<IQ", TYPES[tensor.kind][0], len(body))
        body += padded(tensor.data)
    path.write_bytes(padded(header) + body)
    return path


def write_split(folder, metadata, tensors, parts):
    """Split files as llama.cpp's gguf-split writes them: the metadata in the first one only."""
    paths = []
    for part in range(parts):
        split = {"split.no": number(part), "split.count": number(parts), "split.tensors.count": number(len(tensors))}
        path = folder / f"model-{part + 1:05}-of-{parts:05}.gguf"
        paths.append(write(path, {**(metadata if part == 0 else {}), **split}, tensors[part::parts]))
    return paths
