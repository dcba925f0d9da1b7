"""Shared by the tests of the command line: running linnet, a folder with models in it, small file formats."""
import array, functools, json, os, shutil, signal, struct, subprocess, sys, tempfile, unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
LINNET = os.environ.get("LINNET") or str(ROOT / "build" / "release" / "bin" / "linnet")
LIMIT = 120  # seconds: only so that a hang fails

# A folder of this process: models made on demand, the compile cache, everything gone at the end.
FOLDER = Path(tempfile.mkdtemp(prefix="linnet-cli-"))
unittest.addModuleCleanup(shutil.rmtree, FOLDER, ignore_errors=True)


def environment(**changes):
    env = {**os.environ, "LINNET_CACHE_DIR": str(FOLDER / "cache"), "HOME": str(FOLDER), **changes}
    return {k: v for k, v in env.items() if v != "" and v is not None}


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.raw, self.err = code, out, err

    @property
    def out(self):
        return self.raw.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.raw)


def without_onednn(**changes):
    """An environment whose oneDNN is an empty file, for every version that the runtime may look for."""
    folder = fresh("hidden")
    for major in (2, 3):
        (folder / f"libdnnl.so.{major}").touch()
    return environment(LD_LIBRARY_PATH=str(folder), **changes)


def linnet(*args, stdin=b"", cwd=None, env=None, program=None, preexec=None):
    command = [program or LINNET, *map(str, args)]
    done = subprocess.run(command, input=stdin.encode() if isinstance(stdin, str) else stdin, capture_output=True,
                          cwd=cwd or FOLDER, env=env or environment(), timeout=LIMIT, preexec_fn=preexec)
    return Outcome(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def make(*args):
    """A command that has to work, for fixtures."""
    done = linnet(*args)
    if done.code != 0:
        raise RuntimeError(f"linnet {' '.join(map(str, args))}: exit code {done.code}: {done.err}")
    return done


@functools.cache
def has_vulkan():
    return any(device["usable"] for device in linnet("devices", "--json").json["vulkan"])


@functools.cache
def tiny():
    """The preset: it has a tokenizer."""
    make("init", "--preset", "tiny", "--seed", "1", FOLDER / "model")
    return FOLDER / "model"


@functools.cache
def tiny_artifact():
    make("compile", tiny(), "-o", FOLDER / "model.linnet")
    return FOLDER / "model.linnet"


@functools.cache
def golden(name):
    """Artifact of a golden checkpoint (no tokenizer), for up to four sequences, for both targets."""
    path = FOLDER / f"{name}.linnet"
    make("compile", GOLDEN / name, "--max-batch", "4", "--target", "cpu,reference", "-o", path)
    return path


def fresh(name):
    """An empty folder."""
    return Path(tempfile.mkdtemp(prefix=name + "-", dir=FOLDER))


def copy_of(model, name):
    """A copy of a checkpoint that a test may damage."""
    to = fresh(name) / "model"
    shutil.copytree(model, to)
    return to


def read_safetensors(path):
    """Every tensor as (shape, list of numbers)."""
    data = Path(path).read_bytes()
    size, = struct.unpack_from("<Q", data)
    out = {}
    for name, info in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        values = array.array({"F32": "f", "I64": "q", "I32": "i"}[info["dtype"]])
        values.frombytes(data[8 + size + begin:8 + size + end])
        out[name] = (info["shape"], list(values))
    return out


def read_header(path):
    data = Path(path).read_bytes()
    size, = struct.unpack_from("<Q", data)
    return json.loads(data[8:8 + size]), data[8 + size:]


def write_safetensors(path, header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def read_npy(path):
    data = Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    size, = struct.unpack_from("<H", data, 8)
    assert (10 + size) % 64 == 0
    header = eval(data[10:10 + size].decode(), {})  # a dictionary that our own program wrote
    values = array.array({"<f4": "f", "<i4": "i", "<i8": "q"}[header["descr"]])
    values.frombytes(data[10 + size:])
    return list(header["shape"]), list(values)


def write_npy(path, descr, shape, values):
    header = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)}).encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    body = array.array({"<f4": "f", "<i4": "i", "<i8": "q"}[descr], values).tobytes()
    Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body)


class TestCase(unittest.TestCase):
    def succeeds(self, *args, **options):
        done = linnet(*args, **options)
        self.assertEqual(done.code, 0, f"linnet {' '.join(map(str, args))}: {done.err}")
        return done

    def fails(self, *args, code=1, says=(), **options):
        """One clear line, a non-zero exit, no signal, nothing on standard output."""
        done = linnet(*args, **options)
        command = "linnet " + " ".join(map(str, args))
        self.assertEqual(done.code, code, f"{command}: {done.err or done.raw[:200]}")
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 1, f"{command}: {done.err}")
        self.assertTrue(lines[0].startswith("linnet: error: "), lines[0])
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, lines[0], command)
        return done

    def leaves_nothing(self, folder, *kept):
        self.assertEqual(sorted(os.listdir(folder)), sorted(kept))

    def close_to(self, got, expected, relative=1e-4):
        largest = max(map(abs, expected))
        worst = max(abs(a - b) for a, b in zip(got, expected, strict=True))
        self.assertLessEqual(worst, relative * largest)


def main():
    unittest.main(verbosity=2)
