"""The folders in which the loader looks for the libraries that a library needs, as its ELF file lists them."""
import re
import struct

_LOAD, _DYNAMIC = 1, 2  # types of segments
_STRTAB, _RPATH, _RUNPATH = 5, 15, 29  # tags of the dynamic section


def runpath(path):
    """The entries of DT_RPATH and DT_RUNPATH."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path}: expected an ELF file of 64 bits, little endian")
    try:
        return _entries(data)
    except (struct.error, ValueError, StopIteration):
        raise ValueError(f"{path}: expected an ELF file, found one that is damaged") from None


def unsafe(entry):
    """Whether the entry depends on the current folder of the process. The loader takes an empty one as that folder."""
    return not re.match(r"/|(\$ORIGIN|\$\{ORIGIN\})(/|$)", entry)


def _entries(data):
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    # (type, offset in the file, address, size in the file)
    segments = [struct.unpack_from("<I4xQQ8xQ", data, offset + i * size) for i in range(count)]
    if any(begin + length > len(data) for kind, begin, _, length in segments if kind == _DYNAMIC):
        raise ValueError
    tags = [tag for kind, begin, _, length in segments if kind == _DYNAMIC
            for tag in struct.iter_unpack("<QQ", data[begin:begin + length])]
    strings = next((value for tag, value in tags if tag == _STRTAB), None)
    found = []
    for tag, value in tags:
        if tag in (_RPATH, _RUNPATH):
            begin = next(start + strings - address for kind, start, address, length in segments
                         if kind == _LOAD and address <= strings < address + length) + value
            found += data[begin:data.index(b"\0", begin)].decode().split(":")
    return found
