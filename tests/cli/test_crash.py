"""A pass that crashes: compile and bisect name it, and keep what shows it again."""
import re, shlex, subprocess
from harness import *

PLUGIN = os.environ.get("LINNET_CRASHING_PASS", "")
MODEL = GOLDEN / "tiny"
ENDINGS = {"null": "crashes: segmentation fault", "stack": "crashes: segmentation fault",
           "abort": "crashes: aborted; its last line: operand 3 has no type", "exit": "ends the process with exit code 3"}


def passes(how):
    return ("--load-pass-plugin", PLUGIN, "--first-passes", f"canonicalize,test-crash{{how={how}}}")


class Crash(TestCase):
    def compile_fails(self, *arguments, cwd, says):
        """One line of Linnet's, after what the pass itself wrote."""
        done = linnet("compile", MODEL, *arguments, "-o", "a.linnet", cwd=cwd)
        self.assertEqual(done.code, 1)
        lines = [line for line in done.err.splitlines() if line != "operand 3 has no type"]
        self.assertEqual(len(lines), 1, done.err)
        for part in says:
            self.assertIn(part, lines[0])
        return done

    def test_compile_names_the_pass_and_keeps_the_graph_and_the_dump(self):
        for how, text in ENDINGS.items():
            with self.subTest(how=how):
                folder = fresh("crash")
                done = self.compile_fails(*passes(how), "--dump-dir", "dump", cwd=folder,
                                          says=["error: test-crash " + text, "a.linnet.crash.mlir"])
                self.assertNotIn("canonicalize", done.err)
                self.leaves_nothing(folder, "a.linnet.crash.mlir", "dump")
                page = (folder / "dump" / "index.html").read_text()
                self.assertIn(f"<td>test-crash</td>", page)
                self.assertIn(text, page)
                self.assertIn("00-input.mlir", page)
                links = set(re.findall(r'(?:href|src)="([^"]+)"', page))
                self.assertEqual({name for name in links if not (folder / "dump" / name).exists()}, set())
                # The command in the second line of the kept file reproduces the crash.
                first, second = (folder / "a.linnet.crash.mlir").read_text().splitlines()[:2]
                self.assertEqual(first, "// test-crash " + text)
                words = shlex.split(second.removeprefix("// "))
                self.assertEqual(words[0], "linnet-opt")
                again = subprocess.run([Path(LINNET).parent / "linnet-opt", *words[1:]], cwd=folder, capture_output=True,
                                       timeout=LIMIT)
                self.assertNotEqual(again.returncode, 0)
                if how == "abort":
                    self.assertIn(b"operand 3 has no type", again.stderr)

    def test_ablate_keeps_the_graph(self):
        folder = fresh("crash")
        done = linnet("ablate", MODEL, "--load-pass-plugin", PLUGIN, "--first-passes", "test-crash{how=null}", "-p", 4, "-n", 2,
                      "-r", 1, cwd=folder)
        self.assertEqual(done.code, 1)
        self.assertIn("test-crash crashes: segmentation fault", done.err)
        self.assertIn("ablate.crash.mlir", done.err)
        self.leaves_nothing(folder, "ablate.crash.mlir")

    def test_passes_before_it_are_still_verified(self):
        folder = fresh("crash")
        self.compile_fails(*passes("null"), "--verify-passes", cwd=folder,
                           says=["error: test-crash crashes: segmentation fault"])
        self.leaves_nothing(folder, "a.linnet.crash.mlir")

    def test_a_first_pass(self):
        folder = fresh("crash")
        self.compile_fails("--load-pass-plugin", PLUGIN, "--first-passes", "test-crash", cwd=folder,
                           says=["error: test-crash crashes: aborted"])
        self.leaves_nothing(folder, "a.linnet.crash.mlir")

    def test_bisect_names_the_change_and_cuts_the_graph_down(self):
        for how, text in ENDINGS.items():
            with self.subTest(how=how):
                folder = fresh("crash")
                done = linnet("bisect", MODEL, *passes(how), "--json", cwd=folder)
                self.assertEqual((done.code, done.err), (1, f"linnet: error: {MODEL}: test-crash {text}\n"))
                report = done.json
                self.assertEqual((report["pass"], report["fault"], report["reduced"]["fault"]), ("test-crash", text, text))
                self.assertEqual((report["rewrite"]["name"], report["rewrite"]["op"]), ("mark", "linnet.layer_norm"))
                self.assertEqual((report["rewrite"]["location"], report["rewrite"]["application"]), ("h.0.ln_2", 2))
                self.assertLessEqual(report["reduced"]["ops"], 6)  # two layer norms and their weights
                words = shlex.split(report["repeat"])
                again = linnet(*words[1:], cwd=folder)
                self.assertEqual(again.code, 1)
                self.assertIn(f"error: bisect.mlir: test-crash {text}", again.err)


if __name__ == "__main__":
    main()
