"""The computations of the harness on recorded runs: medians, discarded rounds, ceilings, turns, tables."""
import array, ctypes, json, math, platform, struct, subprocess, sys, tempfile, unittest
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from harness import accuracy, cases, level, logits, measure, peers, process, report, stats  # noqa: E402
from harness.stats import Run  # noqa: E402

GPT2 = cases.Shape.of({"n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50257, "n_positions": 1024})
SMOLLM2 = cases.Shape.of({"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
                          "hidden_size": 576, "intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 8192},
                         kept_bytes=95e6)


class Statistics(unittest.TestCase):
    def test_median_and_spread(self):
        self.assertIsNone(stats.median([]))
        self.assertEqual(stats.median([5, 1, 9]), 5)
        self.assertEqual(stats.median([1, 2, 3, 100]), 2.5)
        self.assertEqual(stats.spread([7]), 0)
        self.assertEqual(stats.spread([1, 2, 3, 4, 5]), 1)  # quartiles 2 and 4

    def test_a_run_across_a_change_of_mode_is_discarded(self):
        runs = [Run(60, 31e9, 32e9), Run(80, 31e9, 50e9), Run(99, 50e9, 50e9)]
        kept, discarded = stats.steady(runs, 0.15)
        self.assertEqual([r.rate for r in kept], [60, 99])
        self.assertEqual(discarded, 1)
        self.assertEqual(stats.drift(Run(1, 0, 5)), math.inf)

    def test_a_pair_needs_one_mode_for_both(self):
        mine = [Run(60, 30, 30), Run(100, 50, 50), Run(62, 31, 31)]
        theirs = [Run(30, 30, 31), Run(31, 31, 31), Run(20, 31, 30)]
        ratios, discarded = stats.paired(list(zip(mine, theirs)), 0.15)
        self.assertEqual(ratios, [2, 3.1])
        self.assertEqual(discarded, 1)  # the round with one fast run

    def test_every_peer_begins_and_follows_others(self):
        names = ["a", "b", "c"]
        orders = [stats.rotated(names, i) for i in range(6)]
        self.assertEqual({o[0] for o in orders}, set(names))
        self.assertTrue(all(sorted(o) == names for o in orders))
        self.assertNotEqual(orders[0], orders[1])
        self.assertEqual(stats.rotated([], 3), [])


class Turns(unittest.TestCase):
    """A group whose probes and servers are recorded."""

    def group(self, probes, names=("linnet", "a"), tries=4):
        group = object.__new__(measure.Group)
        group.options, group.shape, group.dtype = SimpleNamespace(drift=0.15, tries=tries), GPT2, "f32"
        group.notes, self.order, rest = measure.Notes(), [], iter(probes)
        group.probe = lambda: (next(rest) * 1e9, 1e12)

        def server(name):
            return SimpleNamespace(ask=lambda request: self.order.append(name) or {"seconds": 1}, close=lambda: None)
        group.servers = {name: server(name) for name in names}
        return group

    def test_a_peer_has_its_turn_next_to_linnet_s(self):
        runs = self.group([30] * 10, ["linnet", "a", "b"]).measure(cases.CASES["decode"], 2)
        self.assertEqual([len(runs[name]) for name in ("linnet", "a", "b")], [4, 2, 2])
        self.assertEqual(self.order[3:7], ["linnet", "a", "linnet", "b"])  # after the warm-up
        self.assertEqual(len(self.order), 11)
        self.assertEqual(self.order[7::2].count("linnet"), 0)  # the second round: the peers go first

    def test_turns_are_repeated_until_enough_pairs_are_valid(self):
        group = self.group([30, 30, 60, 30, 30, 30])
        runs = group.measure(cases.CASES["decode"], 1)
        self.assertEqual([group.valid([pair]) for pair in runs["a"]], [0, 1])

    def test_tries_bound_the_turns(self):
        group = self.group([30, 60] * 20, tries=3)
        self.assertEqual(len(group.measure(cases.CASES["decode"], 2)["a"]), 6)
        self.assertEqual(len(self.group([30, 60] * 20, ["linnet"], 3).measure(cases.CASES["decode"], 2)["linnet"]), 6)

    def test_a_peer_that_computes_no_logits_is_dropped(self):
        group = self.group([])

        def answer(request):
            what, path, *ids = request.split()
            Path(path).write_bytes(array.array("f", [1, 2]).tobytes())

        def fail(request):
            raise process.Failed("no compiler")
        group.servers["linnet"].ask, group.servers["a"].ask = answer, fail
        self.assertEqual(group.check(array.array("f", [1, 2])), {"linnet": 0})
        self.assertEqual((list(group.servers), group.notes.absent), (["linnet"], {"a": {"f32": "no compiler"}}))

    def test_a_peer_that_fails_is_dropped(self):
        group = self.group([30] * 9, ["linnet", "a", "b"])

        def fail(request):
            raise process.Failed("gone")
        group.servers["a"].ask = fail
        runs = group.measure(cases.CASES["decode"], 1)
        self.assertEqual(([len(runs[name]) for name in ("linnet", "b")], runs.get("a", [])), ([1, 1], []))
        self.assertEqual(group.notes.absent, {"a": {"f32": "gone"}})


class Ceilings(unittest.TestCase):
    def test_decode_is_bound_by_reading(self):
        case = cases.CASES["decode"]
        rate = cases.ceiling(case, GPT2, "f32", 31e9, 229e9)
        self.assertAlmostEqual(rate, 31e9 / (4 * 123_532_032 + 2 * 12 * 768 * 4 * 136), places=6)
        self.assertTrue(60 < rate < 63, rate)

    def test_prefill_and_large_batches_are_bound_by_arithmetic(self):
        self.assertAlmostEqual(cases.ceiling(cases.CASES["prefill128"], GPT2, "f32", 31e9, 229e9), 1324, delta=3)
        self.assertAlmostEqual(cases.ceiling(cases.CASES["batch32"], GPT2, "f32", 31e9, 229e9), 927, delta=1)
        self.assertLess(cases.ceiling(cases.CASES["batch8"], GPT2, "f32", 31e9, 229e9), 500)  # reading

    def test_a_processor_without_the_instruction_has_only_memory(self):
        case = cases.CASES["decode"]
        self.assertEqual(cases.ceiling(case, GPT2, "bf16", 31e9, 0), cases.ceiling(case, GPT2, "bf16", 31e9, 1e18))

    def test_on_vulkan_what_is_not_f32_becomes_f16(self):
        self.assertEqual([cases.PEAK_VULKAN[d] for d in cases.ALL_DTYPES], ["f32", "f16", "f16", "f16", "f16"])
        rate = cases.ceiling(cases.CASES["past1000"], GPT2, "f16", 1e12, 1e15)
        self.assertAlmostEqual(rate, 1e12 / (2 * 123_532_032 + 2 * 12 * 768 * 2 * 1008), places=6)

    def test_types_shrink_weights(self):
        sizes = [GPT2.weight_bytes(d) for d in cases.DTYPES]
        self.assertEqual(sizes, [494_128_128, 247_064_064, 123_532_032, 69_486_768])

    def test_few_key_heads_make_a_small_cache(self):
        self.assertEqual(SMOLLM2.weight_bytes("f32"), 4 * 134_479_872)  # and norms: 134.5 M parameters
        self.assertEqual(SMOLLM2.weight_bytes("keep"), 95e6)
        rate = cases.ceiling(cases.CASES["past1000"], SMOLLM2, "bf16", 31e9, 1e15)
        self.assertAlmostEqual(rate, 31e9 / (2 * 134_479_872 + 2 * 30 * 192 * 2 * 1008), places=6)


class Choosing(unittest.TestCase):
    def test_lists(self):
        self.assertEqual(cases.chosen("bf16, f32,bf16", cases.DTYPES, "type"), ["bf16", "f32"])
        for bad in ("f64", "", "f32,,x"):
            with self.assertRaisesRegex(ValueError, "expected some of f32, bf16, int8, int4"):
                cases.chosen(bad, cases.DTYPES, "type")


class Reports(unittest.TestCase):
    def turn(self, rate, before=31e9, after=31e9):
        return measure.Turn(rate, before, after, ceiling=100, read=31e9, operations=229e9)

    def test_row_names_the_best_peer_and_counts_what_is_lost(self):
        mine = [self.turn(90), self.turn(80, after=60e9), self.turn(92)]
        runs = {"linnet": mine, "a": list(zip(mine, [self.turn(45), self.turn(45), self.turn(46)])),
                "b": [(mine[0], self.turn(30)), (mine[2], self.turn(30))]}
        row = report.case_row(cases.CASES["decode"], "f32", 2, runs, 0.15)
        self.assertEqual((row["best_peer"], row["linnet_ratio"]), ("a", 2))
        self.assertEqual(row["peers"]["linnet"]["tokens_per_s"], 91)
        self.assertEqual(row["peers"]["linnet"]["ceiling_share"], 0.91)
        self.assertEqual(row["peers"]["linnet"]["discarded"], 1)
        self.assertEqual(row["peers"]["a"]["pairs_discarded"], 1)
        self.assertEqual(row["peers"]["b"]["pairs"], 2)
        notes = report.Footnotes({"c": {"": "not here"}, "d": {"int8": "no int8"}})
        table = report.rates_table([row], ["linnet", "a", "b", "c", "d"], 2, notes)
        self.assertIn("| decode, f32 | 91.0 ± 0.5 | 45.0 ± 0.2 | 30.0 ± 0.0 | - [1] | - | 100 | 91 % | 2.00 (a, 2) |", table)
        self.assertEqual((notes.dash("d", "int8"), notes.dash("c", "int8")), ("- [2]", "- [1]"))
        self.assertEqual(notes.lines(), ["[1] c: not here", "[2] d: no int8"])
        self.assertEqual(report.discarded([row]), {"runs": 8, "runs_discarded": 1, "pairs": 5, "pairs_discarded": 1})

    def test_a_ratio_below_one_stands_out(self):
        turns = [self.turn(40), self.turn(50)]
        row = report.case_row(cases.CASES["decode"], "f32", 2, {"linnet": turns[:1], "a": [tuple(turns)]}, 0.15)
        self.assertIn("| **0.80** (a, 1) |", report.rates_table([row], ["linnet", "a"], 2))

    def test_the_device_and_its_driver_are_named(self):
        line = report.device_line({"number": 1, "device": "Some GPU", "driver": "radv 23.1 ", "f32_kernel": "limits_f32",
                                   "f16_kernel": "limits_matrix_16x16x16"})
        self.assertEqual(line, "of vulkan:1, Some GPU, radv 23.1; peak f32 by limits_f32, f16 by limits_matrix_16x16x16")

    def test_a_primitive_that_onednn_lacks_is_a_dash(self):
        matmuls = [{"dtype": "bf16", "m": 1, "shape": shape, "ops_per_s": rate} for shape, rate in (("c_fc", None), ("head", 3e9))]
        self.assertIn("| bf16, 1 rows | - | 3 |", report.onednn_table({"version": "2.6.3", "matmuls": matmuls}))

    def test_nothing_kept(self):
        row = report.case_row(cases.CASES["decode"], "f32", 1, {"linnet": [self.turn(9, 1, 2)]}, 0.15)
        self.assertIsNone(row["peers"]["linnet"]["tokens_per_s"])
        self.assertIn("| decode, f32 | - | - | - | - |", report.rates_table([row], ["linnet"], 1))


class Peers(unittest.TestCase):
    def peer(self, folder):
        options = SimpleNamespace(peers_folder=Path(folder), work=Path(folder), no_install=True, say=lambda text: None)
        return peers.Peer(options)

    def test_packages_that_are_there_are_not_installed_again(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(peers.Missing, "a==1 b==2 is not installed, and --no-install is given"):
                self.peer(folder).python("a==1", "b==2")
            (Path(folder) / "python").mkdir()
            (Path(folder) / "python" / "installed").write_text("a==1\nb==2\n")
            self.assertEqual(self.peer(folder).python("b==2", "a==1"), Path(folder) / "python" / "bin" / "python")
            with self.assertRaisesRegex(peers.Missing, "^b==3 is not"):  # another version
                self.peer(folder).python("a==1", "b==3")

    def test_what_pip_refuses_is_missing(self):
        with tempfile.TemporaryDirectory() as folder:
            python = Path(folder) / "python" / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text("#!/bin/sh\necho no such package >&2; exit 1\n")
            python.chmod(0o755)
            peer = self.peer(folder)
            peer.options.no_install = False
            with self.assertRaisesRegex(peers.Missing, "^pip does not install a==1: .*no such package$"):
                peer.python("a==1")

    def test_a_changed_package_sees_no_avx512(self):
        """Its code runs: it asks the system as libraries do, and reads SSE and AVX alone."""
        if platform.machine() != "x86_64":
            return
        with tempfile.TemporaryDirectory() as folder:
            installed = Path(folder) / "python" / "lib" / "python3.11" / "site-packages" / "p"
            installed.mkdir(parents=True)
            source, library = installed / "asks.c", installed / "asks.so"
            source.write_text("""unsigned registers_kept(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low & 0xff;
}
""")
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
            library.chmod(0o755)
            (installed / "other.so").write_bytes(b"\x0f\x01\xd0")  # no number of a register: other data
            peer = self.peer(folder)
            peer.packages, peer.level, peer.name = ("p",), "x86-64-v3", "asker"
            environment = peer.environment
            self.assertEqual(environment["LINNET_CPU_ISA"], "x86-64-v3")
            copy = Path(environment["PYTHONPATH"]) / "p"
            self.assertEqual(ctypes.CDLL(str(copy / "asks.so")).registers_kept(), 7)
            self.assertNotEqual((copy / "asks.so").read_bytes(), library.read_bytes())
            self.assertEqual((copy / "other.so").read_bytes(), b"\x0f\x01\xd0")
            self.assertTrue((copy / "asks.c").samefile(source))
            peer.packages, peer.name = ("q",), "asks nothing"
            (installed.parent / "q").mkdir()
            with self.assertRaisesRegex(process.Failed, "^asks nothing: no library asks"):
                peer.environment

    def test_a_small_vocabulary_is_cut(self):
        """Its tokens: the bytes, the first merges, the end of a text."""
        with tempfile.TemporaryDirectory() as folder:
            files, model = Path(folder) / "npm", Path(folder) / "model"
            files.mkdir()
            model.mkdir()
            words = [f"b{i}" for i in range(peers.BYTES)] + ["xy", "xyz", "<|endoftext|>"]
            (files / "encoder.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
            (files / "vocab.bpe").write_text("#version\nx y\nxy z\n")
            (model / "model.safetensors").touch()
            peer = self.peer(folder)
            peer.npm = lambda package: files
            for size, merges in ((peers.BYTES + 3, ["x y", "xy z"]), (peers.BYTES + 2, ["x y"])):
                (model / "config.json").write_text(json.dumps({"vocab_size": size}))
                made = peers.with_tokenizer(peer, model)
                vocabulary = json.loads((made / "vocab.json").read_text())
                self.assertEqual((len(vocabulary), vocabulary["<|endoftext|>"]), (size, size - 1))
                self.assertEqual((made / "merges.txt").read_text().splitlines(), ["#version", *merges])
            (model / "config.json").write_text(json.dumps({"vocab_size": 60000}))
            with self.assertRaisesRegex(peers.Missing, "expected 257 to 259 tokens, found 60000"):
                peers.with_tokenizer(peer, model)


class Answers(unittest.TestCase):
    def test_drivers_that_fail_are_named(self):
        script = "import sys\nprint('{\"version\": \"x\"}', flush=True)\nfor line in sys.stdin:\n print('{\"error\": \"no \" }' " \
                 "if 'bad' in line else '{\"seconds\": 2}', flush=True)\n if 'die' in line: sys.exit('gone')"
        with process.Server([sys.executable, "-c", script]) as server:
            self.assertEqual(server.hello, {"version": "x"})
            self.assertEqual(server.ask("decode 1 1 1"), {"seconds": 2})
            with self.assertRaisesRegex(process.Failed, "no "):
                server.ask("bad")
            server.ask("die")
            with self.assertRaisesRegex(process.Failed, "exit code 1: gone"):
                server.ask("decode 1 1 1")

    def test_logits(self):
        self.assertEqual(logits.error([1, -4, 2], [1, -4, 3]), 0.25)
        self.assertEqual(logits.error([1], [1, 2]), math.inf)
        self.assertEqual(logits.error([math.nan, 1], [1, 2]), math.inf)

    def test_types(self):
        self.assertEqual(accuracy.differing([1, 2, 3], [1, 5, 3]), 1)
        self.assertEqual(accuracy.differing([1], [1, 5, 3]), 2)
        values, truth = array.array("f", [1, 2, 4, 3]), array.array("f", [1, 3, 3, 4])
        self.assertEqual(accuracy.logits_beside(values, truth, 2), (0.25, 1))
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.npy"
            path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<2f", 1.5, 2))
            self.assertEqual(list(accuracy.read_npy(path)), [1.5, 2])


if __name__ == "__main__":
    unittest.main()
