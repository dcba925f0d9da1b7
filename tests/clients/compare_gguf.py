"""Compares the floats of GGUF files with PyPI's `gguf`, bit by bit. See scripts/compare-gguf."""
import collections, struct, subprocess, sys

import gguf
import numpy


def tensors_of(program, path):
    """Each tensor's name and floats, as Linnet reads them."""
    with subprocess.Popen([program, path], stdout=subprocess.PIPE) as process:
        out = process.stdout
        while first := out.read(1):
            name = first
            while name[-1:] != b"\0":
                name += out.read(1)
            count, = struct.unpack("<Q", out.read(8))
            yield name[:-1].decode(), numpy.frombuffer(out.read(4 * count), numpy.uint32)
    if process.returncode:
        sys.exit(process.returncode)


def compare(program, path):
    expected = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    counts, different = collections.Counter(), []
    for name, bits in tensors_of(program, path):
        tensor = expected.pop(name)
        floats = numpy.ascontiguousarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), numpy.float32)
        counts[tensor.tensor_type.name] += 1
        if not numpy.array_equal(floats.reshape(-1).view(numpy.uint32), bits):
            different.append(name)
    for name in different:
        print(f"{path}: {name} differs")
    for name in expected:
        print(f"{path}: {name} was not read")
    equal = sum(counts.values()) - len(different)
    print(f"{path}: {equal} of {equal + len(different) + len(expected)} tensors are equal bit by bit:",
          ", ".join(f"{count} of {kind}" for kind, count in sorted(counts.items())))
    return not different and not expected


if __name__ == "__main__":
    program, *paths = sys.argv[1:]
    sys.exit(not all([compare(program, path) for path in paths]))
