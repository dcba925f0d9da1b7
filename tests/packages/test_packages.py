"""The packages that cpack makes: files, dependencies and sizes."""
import fnmatch, importlib.machinery, json, os, re, subprocess, sys, tarfile, tempfile, types, unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "docs"))
from test_pages import fault, links

BUILD = Path(os.environ.get("LINNET_BUILD") or ROOT / "build" / "release")
FOLDER = tempfile.TemporaryDirectory(prefix="linnet-packages-")
unittest.addModuleCleanup(FOLDER.cleanup)
MIB = 1 << 20


def output(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def setUpModule():
    command = ["cpack", "--config", BUILD / "CPackConfig.cmake", "-B", FOLDER.name]
    done = subprocess.run(command, capture_output=True, text=True, umask=0o077)  # folders must not take it
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


class Package:
    def __init__(self, name):
        [self.path] = Path(FOLDER.name).glob(f"{name}_*.deb")
        lines = output("dpkg-deb", "-c", self.path).splitlines()
        self.lines = lines
        self.files = {line.split()[5].removeprefix("."): line for line in lines if not line.startswith("d")}
        self.depends = {one.split()[0]: one for one in self.field("Depends").split(", ")}

    def field(self, name):
        return output("dpkg-deb", "-f", self.path, name).strip()


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.runtime, cls.compiler, cls.dev, cls.python = map(
            Package, ("linnet-runtime", "linnet-compiler", "liblinnet-dev", "python3-linnet"))
        cls.all = (cls.runtime, cls.compiler, cls.dev, cls.python)
        cls.root = Path(FOLDER.name) / "root"
        for package in cls.all:
            output("dpkg-deb", "-x", package.path, cls.root)
        [cls.archive] = Path(FOLDER.name).glob("*.tar.gz")
        cls.home = Path(FOLDER.name) / "home"
        with tarfile.open(cls.archive) as opened:
            cls.members = opened.getmembers()
            opened.extractall(cls.home)
        (cls.home / cls.archive.name.removesuffix(".tar.gz")).rename(cls.home / "linnet")

    def contains(self, package, *files):
        for file in files:
            self.assertIn(file, package.files)

    def test_files(self):
        self.contains(self.runtime, "/usr/bin/linnet", "/usr/lib/liblinnet_runtime.so.0.1",
                      "/usr/share/man/man1/linnet.1.gz", "/usr/share/man/man1/linnet-tokenizer-train.1.gz",
                      "/usr/share/doc/linnet-runtime/copyright", "/usr/share/doc/linnet-runtime/changelog.gz",
                      "/usr/share/bash-completion/completions/linnet", "/usr/share/zsh/vendor-completions/_linnet",
                      "/usr/share/fish/vendor_completions.d/linnet.fish")
        self.contains(self.compiler, "/usr/bin/linnet-opt", "/usr/lib/liblinnet_compiler.so")
        self.contains(self.dev, "/usr/include/linnet/c.h", "/usr/include/linnet/detail/support/result.h",
                      "/usr/lib/liblinnet_runtime.so", "/usr/lib/pkgconfig/linnet.pc",
                      "/usr/lib/cmake/Linnet/LinnetConfig.cmake", "/usr/share/doc/linnet/docs/installing.md",
                      "/usr/share/doc/linnet/README.md", "/usr/share/doc/linnet/examples/c/main.c")
        self.contains(self.python, "/usr/lib/python3/dist-packages/linnet/__init__.py")

    def test_no_file_is_in_two_packages(self):
        names = [file for package in self.all for file in package.files]
        self.assertEqual(len(names), len(set(names)))
        for name, line in ((n, l) for package in self.all for n, l in package.files.items()):
            self.assertIn(" root/root ", line)
            self.assertTrue(name.startswith("/usr/"), name)
            self.assertNotRegex(name, r"__pycache__|\.dir/")

    def test_modes(self):
        for line in (line for package in self.all for line in package.lines if not line.startswith("l")):
            self.assertRegex(line, r"^(drwxr-xr-x|-rwxr-xr-x|-rw-r--r--) root/root ")
        for member in (member for member in self.members if not member.issym()):
            self.assertIn(member.mode, (0o755, 0o644) if member.isfile() else (0o755,), member.name)

    def test_pages_have_no_broken_links(self):
        def plain(text):
            return re.sub(r"\[([^\]]*)\]\([^)\s]+\)", r"\1", text)

        for folder in (self.root / "usr", self.home / "linnet"):
            folder, pages, kept = folder / "share/doc/linnet", 0, 0
            for page in folder.rglob("*.md"):
                text = page.read_text()
                for target in links(text):
                    self.assertIsNone(fault(page, target), f"{page}: {target}")
                    kept += 1
                self.assertEqual(plain(text), plain((ROOT / page.relative_to(folder)).read_text()))
                pages += 1
            self.assertGreater(pages, 40)
            self.assertGreater(kept, 100)

    def test_lintian_finds_no_errors(self):
        """An error that stays has a reason in cmake/debian/*.lintian-overrides."""
        command = ["lintian", "--allow-root", "--fail-on", "error", *(package.path for package in self.all)]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, re.findall("(?m)^E: .*", done.stdout)), (0, []), done.stderr)

    def test_dependencies(self):
        self.assertEqual(set(self.runtime.depends), {"libc6", "libfmt9", "libgcc-s1", "libgomp1", "libstdc++6"})
        for package in self.all:
            self.assertNotRegex(package.field("Depends"), "dnnl|opencl|vulkan")
            self.assertEqual(package.field("Recommends"), "")
        self.assertNotRegex(self.runtime.field("Depends"), "llvm|mlir|linnet|python")
        self.assertIn("libmlir-19", self.compiler.depends)
        versions = json.loads(output(self.root / "usr/bin/linnet", "--version", "--json"))
        library = re.search(r"libdnnl\d+", versions.get("onednn_error") or f"libdnnl{versions['onednn']}")[0]
        for package in (self.runtime, self.compiler):
            self.assertIn(library, package.field("Suggests").split(", "))
        version = self.runtime.field("Version")
        for package in (self.compiler, self.dev, self.python):
            self.assertEqual(package.depends["linnet-runtime"], f"linnet-runtime (= {version})")
        self.assertLessEqual({"python3", "python3-numpy"}, set(self.python.depends))
        self.assertEqual(self.python.field("Architecture"), "all")

    def test_sizes(self):
        for package, limit in ((self.runtime, 4), (self.compiler, 8), (self.dev, 1), (self.python, 1)):
            self.assertLess(package.path.stat().st_size, limit * MIB, package.path.name)

    def test_loader_finds_the_library(self):
        program = self.root / "usr/bin/linnet"
        needed = output("ldd", program)
        self.assertIn(f"{self.root}/usr/", re.search(r"liblinnet_runtime\S+ => (\S+)", needed)[1])
        self.assertNotRegex(needed, "not found|dnnl|OpenCL")
        self.assertIn("ldconfig", output("dpkg-deb", "-I", self.runtime.path, "triggers"))
        model = Path(FOLDER.name) / "model"
        output(program, "init", "--preset", "tiny", model)
        output(program, "compile", model, "-o", f"{model}.linnet")
        self.assertTrue(output(program, "run", f"{model}.linnet", "--prompt", "a", "-n", "4"))

    def test_no_file_names_the_build(self):
        for file in self.root.rglob("*"):
            if file.is_file() and not file.is_symlink():
                content = file.read_bytes()
                for path in (ROOT, BUILD.resolve()):
                    self.assertNotIn(str(path).encode() + b"/", content, file)

    def test_the_program_of_the_page(self):
        """docs/installing.md: the archive as a prefix, and a program by pkg-config."""
        folder = self.home
        (folder / "examples").symlink_to(ROOT / "examples")
        page = (ROOT / "docs" / "installing.md").read_text()
        [block] = re.findall(r"```sh\n(export PKG_CONFIG_PATH.*?)```", page, re.S)
        env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        subprocess.run(["bash", "-ec", block], check=True, cwd=folder, env=env)
        linnet, model = folder / "linnet" / "bin" / "linnet", folder / "model"
        output(linnet, "init", "--preset", "tiny", model)
        output(linnet, "compile", model, "-o", f"{model}.linnet")
        done = subprocess.run(["./generate", f"{model}.linnet", "a", "4"], check=True, cwd=folder, env=env,
                              capture_output=True)
        self.assertTrue(done.stdout)

    def test_one_archive_holds_everything(self):
        """Except the Python module, which would not find the library there."""
        names = [member.name for member in self.members]
        top = self.archive.name.removesuffix(".tar.gz")
        self.assertNotRegex("\n".join(names), r"lib/python3|/lintian/|share/doc/(?!linnet[/\n])")
        self.assertEqual({name.split("/")[0] for name in names}, {top})
        for file in ("bin/linnet", "lib/liblinnet_compiler.so", "include/linnet/c.h", "lib/pkgconfig/linnet.pc",
                     "share/man/man1/linnet.1", "share/zsh/site-functions/_linnet"):
            self.assertIn(f"{top}/{file}", names)

    def test_the_dockerfile_names_what_exists(self):
        """scripts/check-dockerfile runs its lines, in minutes."""
        loader = importlib.machinery.SourceFileLoader("check_dockerfile", str(ROOT / "scripts" / "check-dockerfile"))
        script = types.ModuleType(loader.name)
        script.__file__ = loader.path
        loader.exec_module(script)
        lines = list(script.instructions((ROOT / "Dockerfile").read_text()))
        runs = [rest for name, rest in lines if name == "RUN"]
        self.assertEqual(sum(bool(script.MAKES_PACKAGES.match(rest)) for rest in runs), 3)
        [targets] = (rest.split("scripts/build release ")[1].split() for rest in runs if "scripts/build" in rest)
        output("ninja", "-C", BUILD, "-t", "query", *targets)
        [pattern] = {Path(word).name for _, rest in lines for word in rest.split() if word.endswith(".deb")}
        self.assertTrue(fnmatch.fnmatch(self.runtime.path.name, pattern))
        [model] = (rest.split("=")[1] for name, rest in lines if name == "ARG" and rest.startswith("MODEL"))
        self.assertTrue((ROOT / model / "config.json").exists())
        [command] = (json.loads(rest) for name, rest in lines if name == "CMD")
        self.assertIn(command[2], output(self.root / "usr/bin/linnet", command[0], "--help"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
