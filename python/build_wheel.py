"""Builds the wheel: the package, and the runtime library that LINNET_RUNTIME names or that is in the build folder."""
import base64
import csv
import hashlib
import io
import os
import re
import sysconfig
import tarfile
import zipfile
from pathlib import Path

from runpath import runpath, unsafe

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "build" / "release" / "lib" / "liblinnet_runtime.so"


def project():
    text = (HERE / "pyproject.toml").read_text()
    return {key: re.search(rf'(?m)^{key} = "(.*)"', text)[1] for key in ("name", "version", "description")} | {
        "license": re.search(r'license = { text = "(.*)" }', text)[1],
        "requires-python": re.search(r'requires-python = "(.*)"', text)[1],
        "dependencies": re.findall(r'"([^"]+)"', re.search(r"dependencies = \[(.*)\]", text)[1])}


def soname():
    return re.search(r'SONAME = "(.*)"', (HERE / "linnet" / "_c.py").read_text())[1]


def fail(line):
    raise SystemExit(f"linnet: {line}")  # frontends show it without a traceback


def runtime(config_settings):
    """The library to put into the wheel; None: the setting pure=true asks for a wheel without one."""
    pure = str((config_settings or {}).get("pure", "false"))
    if pure not in ("true", "false"):
        fail(f"pure: expected true or false, found {pure}")
    if pure == "true":
        return None
    named = os.environ.get("LINNET_RUNTIME")
    library = Path(named) if named else BUILT
    if not library.is_file():
        fail(f"{'LINNET_RUNTIME' if named else 'wheel'}: expected the runtime library, found no file {library}; build "
             "it, set LINNET_RUNTIME to its path, or ask for a wheel without it (--config-settings pure=true)")
    try:
        entries = runpath(library)
    except ValueError as error:
        fail(error)
    for entry in filter(unsafe, entries):
        fail(f"{library}: expected a RUNPATH of folders that begin with / or $ORIGIN, found {entry!r}")
    return library


def license_file():
    """The source tree has it above this folder, a source distribution in this folder."""
    return next(folder / "LICENSE" for folder in (HERE, HERE.parent) if (folder / "LICENSE").is_file())


def metadata(about):
    lines = ["Metadata-Version: 2.1", f"Name: {about['name']}", f"Version: {about['version']}",
             f"Summary: {about['description']}", f"License: {about['license']}", "License-File: LICENSE",
             f"Requires-Python: {about['requires-python']}",
             *(f"Requires-Dist: {one}" for one in about["dependencies"])]
    return "\n".join(lines) + "\n"


def files(library):
    """(name in the wheel, bytes) of the package."""
    package = HERE / "linnet"
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".typed"):
            yield path.relative_to(HERE).as_posix(), path.read_bytes()
    if library:
        yield f"linnet/lib/{soname()}", library.read_bytes()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    about, library = project(), runtime(config_settings)
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform()) if library else "any"
    tag = f"py3-none-{platform}"
    name = f"{about['name']}-{about['version']}"
    info = f"{name}.dist-info"
    wheel = f"Wheel-Version: 1.0\nGenerator: linnet\nRoot-Is-Purelib: {'false' if library else 'true'}\nTag: {tag}\n"
    contents = [*files(library), (f"{info}/METADATA", metadata(about).encode()), (f"{info}/WHEEL", wheel.encode()),
                (f"{info}/LICENSE", license_file().read_bytes())]
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for path, data in contents:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow([path, f"sha256={digest}", len(data)])
    rows.writerow([f"{info}/RECORD", "", ""])
    file = f"{name}-{tag}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in [*contents, (f"{info}/RECORD", record.getvalue().encode())]:
            archive.writestr(path, data)
    return file


def build_sdist(sdist_directory, config_settings=None):
    about = project()
    name = f"{about['name']}-{about['version']}"
    with tarfile.open(Path(sdist_directory) / f"{name}.tar.gz", "w:gz") as archive:
        archive.add(license_file(), f"{name}/LICENSE")
        for path in ("pyproject.toml", "build_wheel.py", "runpath.py", *(name for name, _ in files(None))):
            archive.add(HERE / path, f"{name}/{path}")
        data = metadata(about).encode()
        entry = tarfile.TarInfo(f"{name}/PKG-INFO")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return f"{name}.tar.gz"
