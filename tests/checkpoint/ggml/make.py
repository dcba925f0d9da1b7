#!/usr/bin/env python3
"""Makes types.gguf, which has tensors of all types that Linnet reads, a small model in three split files, and the seeds
for the fuzz targets checkpoint-gguf and checkpoint-split.

Usage: make.py, with gguf 0.19 of PyPI: scripts/client-environment DIR gguf==0.19.0, then DIR/bin/python make.py.
Next to every tensor NAME is a tensor NAME.f32 with the floats that gguf.quants.dequantize returns for it.
"""
import struct
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

HERE = Path(__file__).resolve().parent
# Offsets of the f16 numbers in a block of each type. All other bytes of a block may have any value.
HALVES = {Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q4_K: [0, 2],
          Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_NL: [0]}
# The largest finite numbers, the smallest subnormals, the largest subnormal, zeros of both signs, 1, a usual scale.
EXTREMES = np.array([0x7BFF, 0xFBFF, 0x0001, 0x8001, 0x03FF, 0x0000, 0x8000, 0x3C00, 0x2C12], np.uint16)


def blocks(draw, kind, shape):
    """Random bytes; two blocks have all bits clear or set. Two thirds of the blocks have extreme f16 numbers."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    count = int(np.prod(shape)) // elements
    out = draw.integers(0, 256, (count, size), np.uint8)
    out[-1], out[-2] = 0xFF, 0
    for at in HALVES[kind]:
        halves = draw.integers(0, 0x7C00, count, np.uint16) | draw.integers(0, 2, count, np.uint16) << 15
        extremes = draw.permutation(EXTREMES)[:count - count // 3]
        halves[:len(extremes)] = extremes
        halves[-1] = extremes[0]
        out[:, at:at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return out.reshape(*shape[:-1], shape[-1] // elements * size)


def tensors():
    draw = np.random.default_rng(20)
    yield "F32", draw.normal(size=(3, 7)).astype(np.float32), Type.F32
    halves = draw.integers(0, 0x7C00, 35, np.uint16) | draw.integers(0, 2, 35, np.uint16) << 15
    halves[:len(EXTREMES)] = EXTREMES
    yield "F16", halves.view(np.float16).reshape(5, 7), Type.F16
    bfloats = draw.integers(0, 0x7F80, (7, 1, 5), np.uint16) | draw.integers(0, 2, (7, 1, 5), np.uint16) << 15
    yield "BF16", bfloats.view(np.uint8), Type.BF16
    for kind in HALVES:
        elements = gguf.GGML_QUANT_SIZES[kind][0]
        yield kind.name, blocks(draw, kind, (5, 3, elements) if elements == 32 else (3, 2 * elements)), kind
    for kind in (Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1):  # gguf quantizes to these
        yield f"{kind.name}.drawn", gguf.quants.quantize(draw.normal(size=(3, 64)).astype(np.float32), kind), kind


def write(path, tensors, floats=False, **split):
    """With `floats`, each tensor NAME is followed by NAME.f32."""
    writer = gguf.GGUFWriter(path, "none", **split)
    for name, data, kind in tensors:
        writer.add_tensor(name, data, raw_dtype=kind)
        if floats:
            values = gguf.quants.dequantize(data, kind)
            assert np.isfinite(values).all(), name
            writer.add_tensor(f"{name}.f32", np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_seeds(corpus):
    """One block of each quantized type, and a model of two split files in one seed."""
    draw = np.random.default_rng(21)
    small = [(kind.name, draw.integers(0, 128, gguf.GGML_QUANT_SIZES[kind][1], np.uint8), kind) for kind in HALVES]
    write(corpus / "checkpoint-gguf" / "types.gguf", small)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "m.gguf", list(tensors())[:2], split_max_tensors=1)
        first, second = (path.read_bytes() for path in sorted(Path(folder).iterdir()))
    seed = corpus / "checkpoint-split" / "two"
    seed.parent.mkdir(exist_ok=True)
    seed.write_bytes(struct.pack("<H", len(first)) + first + second)


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    write(HERE / "types.gguf", tensors(), floats=True)
    write(HERE / "split.gguf", list(tensors())[:3], floats=True, split_max_tensors=2)
    write_seeds(HERE.parents[1] / "fuzz" / "corpus")
