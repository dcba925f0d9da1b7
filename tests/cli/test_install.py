"""Without the compiler library: artifacts run, and what is missing is said."""
import subprocess
from harness import *

RUNTIME = Path(os.environ.get("LINNET_RUNTIME") or Path(LINNET).parents[1] / "lib" / "liblinnet_runtime.so")


class RuntimeAlone(TestCase):
    def setUp(self):
        self.prefix = fresh("prefix")
        (self.prefix / "bin").mkdir()
        (self.prefix / "lib").mkdir()
        shutil.copy2(LINNET, self.prefix / "bin" / "linnet")
        for name in RUNTIME.parent.glob("liblinnet_runtime.so*"):  # links of its SONAME and its version
            shutil.copy2(name, self.prefix / "lib" / name.name)
        self.program = str(self.prefix / "bin" / "linnet")

    def test_artifacts_run(self):
        ids = ["--ids", "1,2,3", "--max-new-tokens", 5, "--json"]
        here = self.succeeds("run", golden("tiny"), *ids, program=self.program)
        self.assertEqual(here.json["ids"], self.succeeds("run", golden("tiny"), *ids).json["ids"])
        self.succeeds("inspect", golden("tiny"), program=self.program)
        self.succeeds("logits", golden("tiny"), "--ids", "1", program=self.program)
        self.succeeds("tokenize", tiny_artifact(), "--prompt", "a", program=self.program)
        self.succeeds("tokenize", tiny(), "--prompt", "a", program=self.program)

    def test_what_compiles_says_what_is_missing(self):
        out = fresh("out")
        for args in (("compile", tiny(), "-o", out / "x"), ("run", tiny(), "--prompt", "a"), ("inspect", tiny()),
                     ("init", "--preset", "tiny", out / "x"), ("export", tiny(), "--format", "gguf", "-o", out / "x"),
                     ("pull", "a/b", out / "x"), ("run", golden("tiny"), "--ids", "1", "--device", "reference")):
            self.fails(*args, program=self.program, says="liblinnet_compiler.so")
        self.leaves_nothing(out)

    def test_a_library_that_is_none(self):
        fake = self.prefix / "lib" / "liblinnet_compiler.so"
        fake.write_bytes(b"\x7fELF nonsense")
        self.fails("compile", tiny(), "-o", "x", program=self.program, says="liblinnet_compiler.so")
        shutil.copy2(RUNTIME, fake)
        self.fails("compile", tiny(), "-o", "x", program=self.program, says="not a Linnet compiler library")

    def test_a_library_named_by_the_environment(self):
        env = environment(LINNET_COMPILER_LIBRARY=str(self.prefix / "nowhere.so"))
        self.fails("compile", tiny(), "-o", "x", env=env, says="nowhere.so")

    def test_running_maps_no_compiler(self):
        maps = subprocess.run(["bash", "-c", 'LD_DEBUG=files "$@" 2>&1 >/dev/null', "bash", LINNET, "run", str(golden("tiny")),
                               "--ids", "1"], capture_output=True, text=True, env=environment(), timeout=LIMIT).stdout
        self.assertIn("liblinnet_runtime.so", maps)
        for library in ("liblinnet_compiler", "libMLIR", "libLLVM"):
            self.assertNotIn(library, maps)


if __name__ == "__main__":
    main()
