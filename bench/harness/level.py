"""Peers on a lower level of x86 than the processor's, so that a processor with AVX-512 can show what others do on AVX2.

Libraries ask the processor (cpuid) whether it has AVX-512, and the operating system (xgetbv) whether it keeps the wide
registers. In copies of the libraries the low byte of the second answer names the registers of AVX2 alone. The bits of
AMX, in other bytes, stay as they are: this does not limit processors with AMX. A copied package comes before the
original in PYTHONPATH."""
import os
import re
import shutil
from pathlib import Path

LEVELS = ("x86-64-v3",)
# xgetbv of register 0: its number is written to ecx (xor ecx, ecx; mov ecx, 0) directly before.
ASKS = re.compile(rb"(?:\x31\xc9|\x33\xc9|\xb9\0\0\0\0)\x0f\x01\xd0")
ANSWER = b"\xb0\x07\x90"  # mov al, 7; nop: x87, SSE and AVX
# Libraries that read a variable of their own: PyTorch, oneDNN, MKL and CTranslate2.
ENVIRONMENT = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2",
               "MKL_ENABLE_INSTRUCTIONS": "AVX2", "CT2_FORCE_CPU_ISA": "AVX2"}
GGML = ("-DGGML_NATIVE=OFF", "-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON", "-DGGML_BMI2=ON", "-DGGML_AVX512=OFF",
        "-DGGML_AVX_VNNI=OFF")


def without_avx512(code):
    """The bytes of a library with its answers replaced, and how many there were."""
    return ASKS.subn(lambda found: found[0][:-3] + ANSWER, code)


def copy_package(source, to):
    """Copies an installed package's folder. Its libraries are changed; other files are links. Returns the number of
    changed places."""
    changed = 0
    for folder, _, names in os.walk(source):
        target = to / Path(folder).relative_to(source)
        target.mkdir(parents=True)
        for name in names:
            code, count = Path(folder, name).read_bytes() if ".so" in name else b"", 0
            if code:
                code, count = without_avx512(code)
            if count:
                (target / name).write_bytes(code)
                shutil.copymode(Path(folder, name), target / name)
            else:
                # A library's own folder must be that of the copy, for its neighbours that are changed.
                os.link(Path(folder, name), target / name)
            changed += count
    return changed
