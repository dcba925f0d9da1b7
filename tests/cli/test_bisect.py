"""linnet bisect: what it says, what it writes, and that what it writes shows the same again."""
import shlex
from harness import *

# Below the rounding of f32, so that sums in another order are a fault to find.
TINY = ("--tolerance", "1e-9")
MODEL = GOLDEN / "tiny"


class Bisect(TestCase):
    def test_nothing_to_find(self):
        out = fresh("bisect") / "none.mlir"
        done = self.succeeds("bisect", MODEL, "-o", out)
        self.assertRegex(done.out, r"^nothing to find: after each of \d+ passes, and on cpu, the numbers")
        self.assertFalse(out.exists())
        report = self.succeeds("bisect", MODEL, "--target", "reference", "-o", out, "--json").json
        self.assertIs(report["found"], False)
        self.assertFalse(out.exists())

    def found(self, *args):
        done = linnet("bisect", *args, "--json")
        self.assertEqual(done.code, 1, done.err)
        self.assertEqual(len(done.err.splitlines()), 1)
        report = json.loads(done.out)
        self.assertIs(report["found"], True)
        return report

    def test_a_rewrite_is_named_and_the_graph_repeats_it(self):
        folder = fresh("bisect")
        report = self.found(MODEL, "-o", folder / "cut.mlir", *TINY)
        self.assertEqual((report["kind"], report["pass"]), ("pass", "linnet-fuse-epilogue"))
        rewrite = report["rewrite"]
        self.assertRegex(rewrite["name"], "^Absorb")
        self.assertTrue(rewrite["op"].startswith("linnet."))
        self.assertRegex(rewrite["location"], r"^h\.\d+\.|^lm_head$")
        self.assertLessEqual(1, rewrite["application"])
        self.assertLessEqual(rewrite["application"], report["applications"])
        reduced = report["reduced"]
        self.assertLessEqual(reduced["ops"], 10)
        text = (folder / "cut.mlir").read_text()
        self.assertIn(rewrite["name"], text)
        self.assertIn("// " + report["repeat"], text)
        words = shlex.split(report["repeat"])
        self.assertEqual(words[:2], ["linnet", "bisect"])
        again = self.found(*words[2:-1], folder / "again.mlir")
        self.assertEqual(again["fault"], reduced["fault"])
        self.assertEqual(again["pass"], report["pass"])

    def test_a_target_that_computes_something_else(self):
        folder = fresh("bisect")
        report = self.found(MODEL, "-o", folder / "cut.mlir", "-O", "0", *TINY)
        self.assertEqual(report["kind"], "target")
        self.assertTrue(report["commands"])
        self.assertLessEqual(report["reduced"]["ops"], 10)
        words = shlex.split(report["repeat"])
        again = self.found(*words[2:-1], folder / "again.mlir")
        self.assertEqual(again["kind"], "target")

    def test_people_read_the_same(self):
        out = fresh("bisect") / "cut.mlir"
        done = linnet("bisect", MODEL, "-o", out, *TINY)
        self.assertEqual(done.code, 1)
        self.assertRegex(done.out, r"(?m)^pass      linnet-fuse-epilogue \(number \d+ of \d+\)$")
        self.assertRegex(done.out, r"(?m)^rewrite   Absorb\w+ on linnet\.\w+ at \S+ \(change \d+ of \d+\)$")
        self.assertRegex(done.out, r"(?m)^reduced   \d+ ops? after \d+ trials: ")
        self.assertRegex(done.err, "^linnet: error: .*: linnet-fuse-epilogue changes the numbers: @")

    def test_bad_use(self):
        out = fresh("bisect") / "cut.mlir"
        for args, expected in ((("--disable-pass", "no-such"), "there is no pass of that name"),
                               (("--pass-pipeline", "linnet-no"), "--pass-pipeline: "),
                               (("--dtype", "f8"), "--dtype"), (("--target", "tpu"), "--target")):
            done = linnet("bisect", MODEL, "-o", out, *args)
            self.assertIn(done.code, (1, 2))
            self.assertIn(expected, done.err)
            self.assertEqual(len(done.err.splitlines()), 1)
        done = linnet("bisect", MODEL, "-o", fresh("bisect") / "none" / "cut.mlir", *TINY)
        self.assertEqual(done.code, 1)
        self.assertRegex(done.err, "^linnet: error: .*cut.mlir")


if __name__ == "__main__":
    main()
