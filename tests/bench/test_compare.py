"""bench/compare, bench/training-step and bench/type-errors as a person runs them, with Linnet alone on tiny models."""
import json, os, subprocess, sys, tempfile, unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("LINNET_BUILD") or str(ROOT / "build" / "release")
COMPARE, TYPE_ERRORS, TRAINING_STEP = (ROOT / "bench" / name for name in ("compare", "type-errors", "training-step"))


def call(program, *args):
    return subprocess.run([sys.executable, "-B", str(program), *map(str, args)], capture_output=True, text=True, timeout=300)


class Compare(unittest.TestCase):
    def test_help(self):
        done = call(COMPARE, "--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--quick", "--peers", "--cases", "prefill1024", "int4", "onnxruntime", "ctranslate2", "openvino",
                     "pytorch-compiled", "--no-install"):
            self.assertIn(word, done.stdout)

    def test_bad_arguments(self):
        for args, expected in ((["--peers", "tensorrt"], "no peer 'tensorrt': expected some of linnet, llama.cpp"),
                               (["--cases", "decode,x"], "no case 'x'"), (["--dtypes", "f64"], "no type 'f64'"),
                               (["--threads", "2,0"], "--threads 2,0: expected numbers from 1"),
                               (["--rounds", "0"], "--rounds 0: expected 1 to 1000"),
                               (["--tries", "0"], "--tries 0: expected 1 to 1000"), (["--drift", "-1"], "expected a share above 0"),
                               (["--probe-seconds", "0"], "--probe-seconds 0.0"), (["--threads", ""], "--threads")):
            done = call(COMPARE, *args)
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(expected, done.stderr)

    def test_no_build_and_no_model(self):
        done = call(COMPARE, "--quick", "--build", "/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/bin/linnet is not there: build first", done.stderr)
        with tempfile.TemporaryDirectory() as folder:
            done = call(COMPARE, "--quick", "--build", BUILD, "--work", folder, "--model", folder)
            self.assertEqual(done.returncode, 1)
            self.assertIn("has no config.json", done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_quick(self):
        with tempfile.TemporaryDirectory() as folder:
            done = call(COMPARE, "--quick", "--build", BUILD, "--work", folder, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(done.stdout)
            self.assertEqual(found["peers"], ["linnet"])
            self.assertEqual([(r["case"], r["dtype"]) for r in found["rows"]], [("decode", "f32"), ("prefill128", "f32")])
            for row in found["rows"]:
                entry = row["peers"]["linnet"]
                turns = entry["discarded"] + entry.get("runs", 0)
                self.assertTrue(entry.get("runs") == 2 or turns == 2 * found["tries"], entry)
            self.assertEqual(found["logit_errors"], {"f32": {"linnet": 0}})
            self.assertEqual(len(found["first_token_ms"]["f32"]["linnet"]), 2)
            self.assertGreater(min(found["resident_mb"]["f32"]["linnet"]), 3)

    def test_table(self):
        with tempfile.TemporaryDirectory() as folder:
            done = call(COMPARE, "--quick", "--build", BUILD, "--work", folder, "--cases", "batch8,prefill1024", "--dtypes", "int8",
                        "--drift", 1000)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("| batch8, int8 |", done.stdout)
            self.assertIn("not measured: prefill1024: needs 1024 positions, the model has 256", done.stdout)
            self.assertIn("discarded: 0 of 2 runs, 0 of 0 pairs", done.stdout)


    def test_a_peer_that_is_not_installed_is_a_dash_with_a_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            done = call(COMPARE, "--preset", "tiny", "--build", BUILD, "--work", folder, "--peers-folder", folder,
                        "--no-install", "--peers", "pytorch,openvino", "--cases", "decode", "--dtypes", "int8",
                        "--threads", 1, "--rounds", 1, "--drift", 1000)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"\| decode, int8 \| [\d.]+ ± 0.0 \| - \[1\] \| - \[2\] \|")
            self.assertIn("[1] pytorch: torch==2.15.0 numpy==2.4.6 is not installed, and --no-install is given\n"
                          "[2] openvino: ", done.stdout)


class TrainingStep(unittest.TestCase):
    def short(self, folder, *args):
        return call(TRAINING_STEP, "--preset", "tiny", "--rounds", 1, "--steps", 2, "--seq", 16, "--batch", 2,
                    "--build", BUILD, "--work", folder, "--peers-folder", folder, "--no-install", *args)

    def test_without_pytorch(self):
        """It is noted."""
        with tempfile.TemporaryDirectory() as folder:
            done = self.short(folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^  linnet +\d+\.\d{3} s a step")
            self.assertIn("  not measured: PyTorch: torch==2.15.0 numpy==2.4.6 is not installed, and --no-install is given",
                          done.stdout)

    def test_beside_busy_processes(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.short(folder, "--stolen", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(done.stdout)
            self.assertEqual(set(found["seconds"]), {f"{busy} {threads}" for busy in (0, 1, 4) for threads in (1, 2)})
            self.assertGreater(min(found["stolen_share"], found["threads_ratio"], *found["seconds"].values()), 0)

    def test_bad_arguments(self):
        self.assertIn("expected pytorch or nothing", call(TRAINING_STEP, "--peers", "abacus").stderr)
        self.assertIn("--rounds 0: expected 1 to 4096", call(TRAINING_STEP, "--rounds", 0).stderr)


class Limits(unittest.TestCase):
    """The program `limits` at each level of instructions."""

    def at(self, level):
        return subprocess.run([f"{BUILD}/bin/limits", "--threads", "1", "--mib", "1", "--seconds", "0.01", "--json"],
                              capture_output=True, text=True, timeout=60, env=os.environ | {"LINNET_CPU_ISA": level})

    def test_every_level_has_a_rate_for_every_type(self):
        for level in ("x86-64", "x86-64-v3", "x86-64-v4", "x86-64-v4-dot"):
            done = self.at(level)
            if done.returncode:
                self.assertRegex(done.stderr, rf"^limits: LINNET_CPU_ISA={level}: this processor lacks \w+\n$")
                self.assertNotEqual(level, "x86-64")
                continue
            rates = json.loads(done.stdout)
            for dtype in ("f32", "bf16", "int8", "int4"):
                self.assertGreater(rates[f"{dtype}_ops_per_s"], 1e8, f"{level}: {done.stdout}")

    def test_an_unknown_level_is_an_error(self):
        done = self.at("x86-64-v9")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("limits: LINNET_CPU_ISA: expected one of x86-64-v4-dot, x86-64-v4", done.stderr)


class OneDnn(unittest.TestCase):
    def test_a_processor_without_bf16_has_dashes(self):
        """oneDNN has no bf16 matmul for AVX2."""
        done = subprocess.run([f"{BUILD}/bin/bench_onednn", "1", "64", "257", "1", "32"], capture_output=True, text=True, timeout=120,
                              env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"})
        self.assertEqual(done.returncode, 0, done.stderr)
        rates = {}
        for matmul in json.loads(done.stdout)["matmuls"]:
            rates.setdefault(matmul["dtype"], []).append(matmul["ops_per_s"])
        self.assertEqual({dtype: len(found) for dtype, found in rates.items()}, {"f32": 10, "bf16": 10, "int8": 10})
        self.assertEqual(set(rates["bf16"]), {None})
        self.assertGreater(min(rates["f32"] + rates["int8"]), 0)


class TypeErrors(unittest.TestCase):
    def test_bad_arguments(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(call(TYPE_ERRORS).returncode, 2)
            self.assertEqual(call(TYPE_ERRORS, folder, __file__, "--positions", 0).returncode, 2)
            done = call(TYPE_ERRORS, folder, __file__, "--build", BUILD)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no checkpoint", done.stderr)

    def test_without_a_tokenizer(self):
        done = call(TYPE_ERRORS, ROOT / "tests" / "golden" / "tiny", __file__, "--build", BUILD, "--positions", 16, "--generate", 8,
                    "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        types = {t["dtype"]: t for t in json.loads(done.stdout)["types"]}
        self.assertEqual(set(types), {"bf16", "int8", "int4"})
        self.assertTrue(0 < types["bf16"]["worst_logit"] < 0.02, types)
        self.assertTrue(types["bf16"]["worst_logit"] < types["int8"]["worst_logit"] < types["int4"]["worst_logit"] < 1, types)
        self.assertIsNone(types["int8"]["perplexity"])

    def test_with_one(self):
        with tempfile.TemporaryDirectory() as folder:
            model, text = Path(folder) / "model", Path(folder) / "text"
            subprocess.run([f"{BUILD}/bin/linnet", "init", "--preset", "tiny", model], check=True, capture_output=True)
            text.write_text("It was the best of times, it was the worst of times. " * 4)
            done = call(TYPE_ERRORS, model, text, "--build", BUILD, "--dtypes", "int8", "--positions", 8, "--generate", 4)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("| int8 |", done.stdout)
            self.assertIn("perplexity in f32 2", done.stdout)  # about the vocabulary's 257: it knows nothing


if __name__ == "__main__":
    unittest.main()
