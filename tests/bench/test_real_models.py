"""bench/real-models on a tiny model, without its peers, and its comparison with recorded references."""
import array, json, math, os, subprocess, sys, tempfile, unittest
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("LINNET_BUILD") or str(ROOT / "build" / "release")
sys.path.insert(0, str(ROOT / "bench"))
from harness import process, real  # noqa: E402


def call(*args):
    return subprocess.run([sys.executable, "-B", str(ROOT / "bench" / "real-models"), *map(str, args)],
                          capture_output=True, text=True, timeout=300)


class RealModels(unittest.TestCase):
    def test_bad_arguments(self):
        for args, expected in ((["--parts", "x"], "no part 'x': expected some of accuracy, speed, shape"),
                               (["--dtypes", "f64"], "no type 'f64'"), (["--targets", "cuda"], "no target 'cuda'"),
                               (["--rounds", "0"], "--rounds 0: expected 1 to 1000")):
            done = call(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(expected, done.stderr)
        done = call("--file", "/nowhere.gguf", "--build", BUILD, "--no-install")
        self.assertEqual(done.returncode, 1)
        self.assertIn("real-models: error: /nowhere.gguf: expected a GGUF file, found none\n", done.stderr)

    def test_without_peers(self):
        with tempfile.TemporaryDirectory() as folder:
            model, file = Path(folder) / "model", Path(folder) / "tiny.gguf"
            for command in (["init", "--preset", "tiny", model], ["export", model, "--format", "gguf", "-o", file]):
                subprocess.run([f"{BUILD}/bin/linnet", *command], check=True, capture_output=True)
            done = call("--file", file, "--build", BUILD, "--work", folder, "--peers-folder", folder, "--no-install",
                        "--dtypes", "f32,int8", "--threads", 1, "--rounds", 1, "--drift", 1000)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^\| tiny decode, int8 \| [\d.]+ ± 0.0 \| - \[1\] \|")
            self.assertIn("[1] llama.cpp: llama.cpp is not installed, and --no-install is given\n", done.stdout)
            self.assertRegex(done.stdout, r"\[2\] transformers: .* is not installed")
            self.assertIn("not measured: prefill512: needs 512 positions, the model has 256", done.stdout)

    def test_a_shape(self):
        with tempfile.TemporaryDirectory() as folder:
            done = call("--parts", "shape", "--preset", "tiny", "--build", BUILD, "--work", folder, "--peers-folder",
                        folder, "--no-install", "--dtypes", "bf16,keep", "--threads", 1, "--rounds", 1, "--drift", 1000,
                        "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(done.stdout)
            self.assertEqual([(row["case"], row["dtype"]) for row in found["rows"]], [("tiny decode", "bf16")])
            self.assertEqual(list(found["absent"]), ["llama.cpp"])


class Accuracy(unittest.TestCase):
    REFERENCE = {"logits": array.array("f", [1, -4, 2, 0, 3, 1]), "greedy": [5, 6], "perplexity": 20.0, "predicted": 9}

    def row(self, exact, logits=(1, -4, 2, 0, 3, 1), greedy=(5, 6), perplexity=(20.0, 9)):
        model = SimpleNamespace(logits=lambda ids: array.array("f", logits), greedy=lambda ids, count: list(greedy),
                                perplexity=lambda text: perplexity)
        return real.accuracy_row("m", model, self.REFERENCE, [1], [1, 2], None, exact)

    def test_rounding_is_right(self):
        row = self.row(True, logits=(1, -4.0002, 2, 0, 3, 1), perplexity=(20.001, 9))
        self.assertEqual((row["wrong"], row["same_token"], row["greedy_differing"]), (False, 2, 0))
        self.assertTrue(math.isclose(row["worst_logit"], 5e-5, rel_tol=1e-2), row)

    def test_more_than_rounding_is_wrong_in_f32_only(self):
        for more in ({"logits": (1, -4.01, 2, 0, 3, 1)}, {"greedy": (5, 7)}, {"perplexity": (20.01, 9)}):
            self.assertTrue(self.row(True, **more)["wrong"], more)
            self.assertFalse(self.row(False, **more)["wrong"], more)

    def test_the_same_tokens_are_predicted(self):
        with self.assertRaisesRegex(process.Failed, "m: expected 9 predicted tokens, found 8"):
            self.row(True, perplexity=(20.0, 8))


if __name__ == "__main__":
    unittest.main()
