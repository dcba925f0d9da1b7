"""Builds the wheel: the package, and the runtime library if LINNET_RUNTIME names it or the build folder has it."""
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

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "build" / "release" / "lib" / "liblinnet_runtime.so"


def project():
    text = (HERE / "pyproject.toml").read_text()
    return {key: re.search(rf'(?m)^{key} = "(.*)"', text)[1] for key in ("name", "version", "description")} | {
        "requires-python": re.search(r'requires-python = "(.*)"', text)[1],
        "dependencies": re.findall(r'"([^"]+)"', re.search(r"dependencies = \[(.*)\]", text)[1])}


def soname():
    return re.search(r'SONAME = "(.*)"', (HERE / "linnet" / "_c.py").read_text())[1]


def runtime():
    """The library to put into the wheel; None: it is found when the package is imported."""
    named = os.environ.get("LINNET_RUNTIME")
    if named and not Path(named).is_file():
        raise FileNotFoundError(f"LINNET_RUNTIME: expected the runtime library, found no file {named}")
    return Path(named) if named else BUILT if BUILT.is_file() else None


def metadata(about):
    lines = ["Metadata-Version: 2.1", f"Name: {about['name']}", f"Version: {about['version']}",
             f"Summary: {about['description']}", f"Requires-Python: {about['requires-python']}",
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
    about, library = project(), runtime()
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform()) if library else "any"
    tag = f"py3-none-{platform}"
    name = f"{about['name']}-{about['version']}"
    info = f"{name}.dist-info"
    wheel = f"Wheel-Version: 1.0\nGenerator: linnet\nRoot-Is-Purelib: {'false' if library else 'true'}\nTag: {tag}\n"
    contents = [*files(library), (f"{info}/METADATA", metadata(about).encode()), (f"{info}/WHEEL", wheel.encode())]
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
        for path in ("pyproject.toml", "build_wheel.py", *(name for name, _ in files(None))):
            archive.add(HERE / path, f"{name}/{path}")
        data = metadata(about).encode()
        entry = tarfile.TarInfo(f"{name}/PKG-INFO")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return f"{name}.tar.gz"
