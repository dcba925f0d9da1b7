"""Files as torch.save writes them, without torch: Python's own pickler on classes that go by torch's names.

The layouts are those of torch/serialization.py: a ZIP archive of a pickle and one member for each storage, and, before
torch 1.6, pickles that the storages follow. `python3 torch_files.py FOLDER` writes the seeds of tests/fuzz/corpus/checkpoint-pytorch.
"""
import collections, io, pickle, struct, sys, types, zipfile
from pathlib import Path

torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
SIZES = {"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1}
for _kind in SIZES:
    setattr(torch, _kind + "Storage", type(_kind + "Storage", (), {"__module__": "torch"}))
for _name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"):
    def _function(*arguments):
        raise AssertionError("only named, never called")
    _function.__module__, _function.__qualname__, _function.__name__ = "torch._utils", _name, _name
    setattr(utils, _name, _function)


class Storage:
    def __init__(self, data, kind="Float"):
        self.data, self.kind, self.elements, self.key = bytes(data), kind, len(data) // SIZES[kind], None


class Tensor:
    """A view of a storage; strides and offset in elements."""
    function = "_rebuild_tensor_v2"

    def __init__(self, storage, shape, stride=None, offset=0):
        if stride is None:
            stride, step = [], 1
            for size in reversed(shape):
                stride.insert(0, step)
                step *= size
        self.storage, self.shape, self.stride, self.offset = storage, tuple(shape), tuple(stride), offset

    def __reduce_ex__(self, protocol):
        arguments = (self.storage, self.offset, self.shape, self.stride)
        if self.function == "_rebuild_tensor_v2":
            arguments += (False, collections.OrderedDict())
        return getattr(utils, self.function), arguments


class OldTensor(Tensor):
    function = "_rebuild_tensor"


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce_ex__(self, protocol):
        return utils._rebuild_parameter, (self.tensor, True, collections.OrderedDict())


def state_dict(tensors):
    """An OrderedDict with the attribute that Module.state_dict() gives it."""
    out = collections.OrderedDict(tensors)
    out._metadata = collections.OrderedDict({"": {"version": 1}, "h.0": {"version": 1}})
    return out


def pickled(value, storages, old=False, protocol=2):
    class Pickler(pickle.Pickler):
        def persistent_id(self, found):
            if not isinstance(found, Storage):
                return None
            if found.key is None or storages.get(found.key) is not found:
                found.key = str(len(storages))
                storages[found.key] = found
            parts = ("storage", getattr(torch, found.kind + "Storage"), found.key, "cpu", found.elements)
            return parts + (None,) if old else parts
    hidden = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        out = io.BytesIO()
        Pickler(out, protocol).dump(value)
        return out.getvalue()
    finally:
        for name, module in hidden.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})


def zipped(members, folder="archive", compression=zipfile.ZIP_STORED):
    """As PyTorchStreamWriter does it: data at multiples of 64 bytes, and the end of a ZIP64 directory always."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(f"{folder}/{name}")
            info.compress_type = compression
            pad = -(out.tell() + 30 + len(info.filename) + 4) % 64
            info.extra = struct.pack("<HH", 0x4246, pad) + b"Z" * pad
            archive.writestr(info, data)
    data = out.getvalue()
    end = data[-22:]
    count, size, offset = struct.unpack_from("<HII", end, 10)
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, count, count, size, offset)
    return data[:-22] + end64 + struct.pack("<IIQI", 0x07064b50, 0, len(data) - 22, 1) + end


def saved(value, byteorder=b"little", protocol=2, **options):
    """torch.save since 1.6."""
    storages = {}
    members = [("data.pkl", pickled(value, storages, protocol=protocol))]
    if byteorder is not None:
        members.append(("byteorder", byteorder))
    members += [(f"data/{key}", storage.data) for key, storage in storages.items()]
    return zipped(members + [("version", b"3\n")], **options)


def saved_before_1_6(value):
    """torch.save(..., _use_new_zipfile_serialization=False)."""
    storages = {}
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    body = pickled(value, storages, old=True)
    out = [pickle.dumps(part, 2) for part in (0x1950a86a20f9469cfc6c, 1001, facts)] + [body]
    keys = sorted(storages)
    out.append(pickle.dumps(keys, 2))
    return b"".join(out + [struct.pack("<q", storages[key].elements) + storages[key].data for key in keys])


def seeds():
    floats = Storage(struct.pack("<12f", *range(12)))
    halves = Storage(struct.pack("<6e", *range(6)), "Half")
    flags = Storage(bytes([1, 0, 1, 1]), "Bool")
    plain = state_dict({"wte.weight": Tensor(floats, (4, 3)), "wpe.weight": Tensor(floats, (2, 3), offset=3),
                        "h.0.attn.bias": Tensor(flags, (1, 1, 2, 2)), "scale": Tensor(Storage(b"\0\0\x80?"), ())})
    views = {"transposed": Tensor(halves, (2, 3), (1, 2)), "parameter": Parameter(Tensor(halves, (3,))),
             "old": OldTensor(floats, (3, 4)), "empty": Tensor(Storage(b""), (0, 7))}
    return {"zip": saved(plain), "old": saved_before_1_6(plain), "views": saved(views, byteorder=None),
            "old-views": saved_before_1_6(views), "protocol-4": saved(plain, protocol=4)}


if __name__ == "__main__":
    for name, data in seeds().items():
        (Path(sys.argv[1]) / name).write_bytes(data)
