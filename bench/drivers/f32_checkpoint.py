"""Reads one F32 safetensors file into numpy arrays, with the names that GPT-2 checkpoints have without their prefix."""
import json
import struct

import numpy


def read(path):
    data = numpy.memmap(path, dtype=numpy.uint8, mode="r")
    size, = struct.unpack_from("<Q", data[:8].tobytes())
    tensors = {}
    for name, info in json.loads(data[8:8 + size].tobytes()).items():
        if name == "__metadata__":
            continue
        if info["dtype"] != "F32":
            raise SystemExit(f"{path}: {name} is {info['dtype']}, expected F32")
        begin, end = (8 + size + offset for offset in info["data_offsets"])
        name = name[len("transformer."):] if name.startswith("transformer.") else name
        tensors[name] = data[begin:end].view(numpy.float32).reshape(info["shape"])
    return tensors
