"""The package itself: declarations, compiling and finetuning, the wheel."""
import ctypes
import re
import zipfile
from unittest import mock

from common import *

sys.path.insert(0, str(ROOT / "python"))
import build_wheel
import runpath
from linnet import _c

LIST = (ROOT / "runtime" / "c" / "abi.txt").read_text()


class Declarations(TestCase):
    def test_structs_are_as_listed(self):
        listed, name = {}, None
        for line in LIST.split("\nStructs", 1)[1].splitlines()[1:]:
            words = line.split()
            if words[0] == "struct":
                name = words[1]
                listed[name] = (int(words[2]), [])
            else:
                listed[name][1].append((words[0], int(words[1]), int(words[2])))
        self.assertGreater(len(_c.STRUCTS), 15)
        for struct in _c.STRUCTS:
            places = [(name, getattr(struct, name)) for name, _ in struct._fields_]
            fields = [(name, place.offset, place.size) for name, place in places]
            self.assertEqual((ctypes.sizeof(struct), fields), listed[struct.__name__], struct.__name__)

    def test_functions_have_the_listed_parameters(self):
        listed = {}
        for name, parameters in re.findall(r"(linnet_\w+)\(([^)]*)\)$", LIST.split("\nStructs")[0], re.M):
            listed[name] = 0 if parameters.strip() == "void" else parameters.count(",") + 1
        for name, arguments in _c.FUNCTIONS.items():
            self.assertEqual(len(arguments), listed["linnet_" + name], name)
        for name in _c.FREES:
            self.assertIn("linnet_" + name, listed)

    def test_constants(self):
        for name, value in re.findall(r"LINNET_(?:FINISH|POOL)_(\w+) = (\d+)", LIST):
            table = _c.FINISH[int(value)] if name.lower() not in _c.POOLING else next(
                key for key, number in _c.POOLING.items() if number == int(value))
            self.assertEqual(table, name.lower())

    def test_the_version(self):
        self.assertEqual(build_wheel.project()["version"], package.__version__)

    def test_public_names_are_described(self):
        for name in package.__all__:
            self.assertTrue(getattr(package, name).__doc__, name)
        for owner in (package.Model, package.Session, package.Stream, package.Batch, package.Tokenizer):
            for name, value in vars(owner).items():
                if callable(value) and not name.startswith("_"):
                    self.assertTrue(value.__doc__, name)
                    self.assertIn("return", value.__annotations__, name)


class Commands(TestCase):
    def test_compile(self):
        out = fresh("compiled") / "m.linnet"
        report = package.compile(tiny(), output=out, target=["cpu:native", "reference"], dtype="int8", max_batch=2)
        self.assertEqual((report.output, report.details["dtype"]), (str(out), "int8"))
        loaded = package.Model.load(report.output)
        self.assertEqual((loaded.targets, loaded.config.max_batch), (("cpu", "reference"), 2))

    def test_the_default_output(self):
        here = os.getcwd()
        os.chdir(fresh("here"))
        try:
            self.assertEqual(package.compile(tiny(), target="cpu:native").output, "model.linnet")
            self.assertTrue(Path("model.linnet").is_file())
        finally:
            os.chdir(here)

    def test_errors(self):
        out = fresh("none") / "m.linnet"
        for options in ({"dtype": "int3"}, {"max_context": 10**6}, {"disable_pass": ["nothing"]}):
            words = package._program._words(options)
            line = linnet("compile", tiny(), "-o", out, *words).err.strip().splitlines()[-1]
            with self.assertRaises(package.Error) as caught:
                package.compile(tiny(), output=out, **options)
            self.assertEqual("linnet: error: " + str(caught.exception), line)
        self.leaves_nothing(out.parent)

    def test_no_program(self):
        with mock.patch.dict(os.environ, LINNET_PROGRAM="/nonexistent/linnet"):
            with self.assertRaisesRegex(package.Error, "/nonexistent/linnet: cannot run: No such file"):
                package.compile(tiny(), output="x")

    def test_finetune(self):
        out = fresh("tuned")
        lines = []
        report = package.finetune(ROOT / "models" / "linnet-stories", data=ROOT / "examples" / "spam" / "messages.tsv",
                                  task="classify", method="head", output=out / "spam", steps=30, batch=4, seq=32,
                                  progress=lambda fraction, text: lines.append((fraction, text)), progress_every=0.001)
        self.assertIn("accuracy", report.details)
        fractions = [fraction for fraction, _ in lines if fraction is not None]
        self.assertTrue(fractions and all(0 <= fraction <= 1 for fraction in fractions), lines)
        self.assertTrue(any("held-out loss" in text for fraction, text in lines if fraction is None), lines)
        artifact = package.compile(report.output, output=out / "spam.linnet", target="cpu:native").output
        self.assertIn(package.Model.load(artifact).classify("You won a prize").label, ("ham", "spam"))
        with self.assertRaisesRegex(package.Error, "none.txt"):
            package.finetune(tiny(), data=out / "none.txt", task="lm", method="full", output=out / "x")
        self.assertFalse((out / "x").exists())


class Example(TestCase):
    def run_it(self, *arguments):
        env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
        return subprocess.run([sys.executable, ROOT / "examples" / "python" / "generate.py", *map(str, arguments)],
                              cwd=fresh("example"), capture_output=True, text=True, env=env, timeout=LIMIT)

    def test_it_prints_what_the_program_prints(self):
        expected = make("run", stories(), "--prompt", PROMPT, "-n", 8).out
        self.assertEqual(self.run_it(stories(), PROMPT, 8).stdout, expected)
        self.assertEqual(self.run_it(tiny(), PROMPT, 3).returncode, 0)

    def test_errors(self):
        done = self.run_it("/nonexistent.linnet", PROMPT)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "generate.py: /nonexistent.linnet: cannot open: No such file or directory\n")
        self.assertIn("MODEL PROMPT", self.run_it().stderr)


class Wheel(TestCase):
    def unpacked(self):
        folder = fresh("wheel")
        name = build_wheel.build_wheel(folder)
        with zipfile.ZipFile(folder / name) as archive:
            archive.extractall(folder / "site")
            self.assertEqual(archive.testzip(), None)
            self.assertIn("linnet/py.typed", archive.namelist())
        return folder / "site", name

    def imported(self, site, **environment):
        env = {key: value for key, value in os.environ.items() if key != "LINNET_RUNTIME"}
        code = "import linnet; print(linnet.__file__, linnet._c.candidates()[0])"
        return subprocess.run([sys.executable, "-c", code], cwd=site, capture_output=True, text=True,
                              env={**env, **environment}, timeout=LIMIT)

    def test_a_wheel_with_the_library(self):
        site, name = self.unpacked()
        self.assertRegex(name, r"^linnet-0\.1\.0-py3-none-linux_\w+\.whl$")
        done = self.imported(site)
        self.assertEqual(done.stdout.split(), [str(site / "linnet" / "__init__.py"),
                                               str(site / "linnet" / "lib" / _c.SONAME)], done.stderr)

    def test_a_library_that_is_missing(self):
        site, _ = self.unpacked()
        (site / "linnet" / "lib" / _c.SONAME).unlink()
        done = self.imported(site)
        self.assertRegex(done.stderr.splitlines()[-1], "linnet.Error: expected the runtime library liblinnet_runtime"
                                                       ".so.0.1, found none: .*; set LINNET_RUNTIME to its path")
        self.assertEqual(self.imported(site, LINNET_RUNTIME=_c.candidates()[0]).returncode, 0)

    def refuses(self, line, settings=None, **environment):
        folder = fresh("none")
        with mock.patch.dict(os.environ, environment), self.assertRaisesRegex(SystemExit, line):
            build_wheel.build_wheel(folder, settings)
        self.leaves_nothing(folder)

    def test_no_library(self):
        self.refuses("LINNET_RUNTIME: expected the runtime library, found no file /nonexistent.so; build it, set",
                     LINNET_RUNTIME="/nonexistent.so")
        self.refuses("pure: expected true or false, found yes", {"pure": "yes"})
        with mock.patch.object(build_wheel, "BUILT", Path("/nonexistent/built.so")):
            self.refuses("wheel: expected the runtime library, found no file /nonexistent/built.so; .* pure=true",
                         LINNET_RUNTIME="")

    def test_a_wheel_without_a_library(self):
        folder = fresh("pure")
        name = build_wheel.build_wheel(folder, {"pure": "true"})
        self.assertEqual(name, "linnet-0.1.0-py3-none-any.whl")
        with zipfile.ZipFile(folder / name) as archive:
            self.assertFalse([name for name in archive.namelist() if name.startswith("linnet/lib/")])
            self.assertIn("Root-Is-Purelib: true", archive.read("linnet-0.1.0.dist-info/WHEEL").decode())

    def test_a_library_whose_runpath_depends_on_the_current_folder(self):
        library, copy = Path(_c.candidates()[0]), fresh("runpath") / "copy.so"
        entries = runpath.runpath(library)
        self.assertTrue(entries)
        self.assertFalse([entry for entry in entries if runpath.unsafe(entry)])
        data, safe = library.read_bytes(), b"$ORIGIN/../lib"
        self.assertIn(safe, data)
        for replaced, found in ((b"/usr/lib::/opt", "''"), (b"lib:/usr/lib/x", "'lib'"),
                                (b"$ORIGINAL/libs", r"'\$ORIGINAL/libs'")):
            self.assertEqual(len(replaced), len(safe))
            copy.write_bytes(data.replace(safe, replaced))
            self.refuses(f"copy.so: expected a RUNPATH of folders that begin with / or .ORIGIN, found {found}",
                         LINNET_RUNTIME=str(copy))
        copy.write_bytes(data[:5000])
        self.refuses("copy.so: expected an ELF file, found one that is damaged", LINNET_RUNTIME=str(copy))
        copy.write_text("no library")
        self.refuses("copy.so: expected an ELF file of 64 bits", LINNET_RUNTIME=str(copy))

    def test_the_licence(self):
        site, _ = self.unpacked()
        info = site / "linnet-0.1.0.dist-info"
        self.assertIn("License: Apache-2.0 WITH LLVM-exception\nLicense-File: LICENSE\n",
                      (info / "METADATA").read_text())
        self.assertEqual((info / "LICENSE").read_bytes(), (ROOT / "LICENSE").read_bytes())

    def test_pip_installs_it_without_a_network(self):
        folder = fresh("pip")
        subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--no-index", "--quiet", ROOT / "python"]
        subprocess.run(pip, check=True, timeout=LIMIT)
        done = subprocess.run([folder / "bin" / "python", "-c", "import linnet; print(linnet.__file__)"],
                              cwd=folder, capture_output=True, text=True)
        self.assertTrue(done.stdout.startswith(str(folder)), done.stderr)
        pure = [*pip, "--force-reinstall", "--no-deps", "--config-settings", "pure=true"]
        subprocess.run(pure, check=True, timeout=LIMIT)
        self.assertFalse(list(folder.rglob(_c.SONAME)))
        failed = subprocess.run(pip, capture_output=True, text=True, timeout=LIMIT,
                                env={**os.environ, "LINNET_RUNTIME": "/nonexistent.so"})
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("linnet: LINNET_RUNTIME: expected the runtime library, found no file", failed.stderr)
        self.assertNotIn("Traceback", failed.stderr)

    def test_a_source_distribution(self):
        import tarfile
        folder = fresh("sdist")
        with tarfile.open(folder / build_wheel.build_sdist(folder)) as archive:
            archive.extractall(folder)
        source = folder / "linnet-0.1.0"
        for name in ("PKG-INFO", "LICENSE", "linnet/_c.py"):
            self.assertTrue((source / name).is_file(), name)
        code = "import build_wheel; print(build_wheel.build_wheel('.'))"
        done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=LIMIT)
        self.assertTrue((source / done.stdout.strip()).is_file(), done.stderr)


if __name__ == "__main__":
    main()
