"""Where the time goes (profile, run --profile) and what passes buy (ablate): figures that are not times are known."""
import signal, subprocess, time
from harness import *

WORK = {"seconds", "share_of_time", "bytes", "flops", "bytes_per_second", "share_of_bandwidth", "flops_per_second",
        "share_of_peak", "runs", "least_seconds"}


def commands_of(artifact):
    """Commands of @generate: (op, location)."""
    report = make("inspect", artifact, "--commands", "--json").json
    entry, = [e for e in report["programs"][0]["entries"] if e["name"] == "generate"]
    return [(c["op"], c["location"]) for c in entry["command_list"]]


class Traces(TestCase):
    def trace(self, *args):
        path = fresh("trace") / "trace.json"
        done = self.succeeds("run", *args, "--profile", path)
        self.assertIn("trace.json: ", done.err)
        return path, json.loads(path.read_text())

    def test_what_perfetto_needs(self):
        path, trace = self.trace(golden("tiny"), "--ids", "1,2,3,4,5", "--max-new-tokens", 4, "--ignore-eos")
        self.assertIsInstance(trace["traceEvents"], list)
        kinds = {"call": [], "command": []}
        for event in trace["traceEvents"]:
            for key, kind in (("ph", str), ("pid", int), ("tid", int), ("name", str), ("args", dict)):
                self.assertIsInstance(event[key], kind)
            if event["ph"] == "M":
                self.assertIn(event["name"], ("process_name", "thread_name"))
                continue
            self.assertEqual(event["ph"], "X")
            self.assertGreaterEqual(event["ts"], 0)
            self.assertGreaterEqual(event["dur"], 0)
            kinds[event["cat"]].append(event)
        self.assertEqual([c["name"] for c in kinds["call"]], ["prefill", "decode", "decode", "decode"])
        self.assertEqual([c["args"]["dims"]["seq"] for c in kinds["call"]], [5, 1, 1, 1])
        expected = commands_of(golden("tiny"))
        found = [(e["args"]["op"], e["args"]["location"]) for e in kinds["command"]]
        self.assertEqual(found, expected * 4)
        for event in kinds["command"]:
            self.assertTrue(event["args"]["kernel"])
            skipped = (event["args"]["call"], event["args"]["op"]) == (0, "argmax")  # the host chooses after a prompt
            self.assertEqual(event["args"]["bytes"] == 0, skipped, event)
            for key in ("flops", "GB/s", "GFLOP/s", "share_of_bandwidth", "share_of_peak"):
                self.assertGreaterEqual(event["args"][key], 0)
        calls = {c["args"]["call"]: c for c in kinds["call"]}
        ends = {}
        for event in kinds["command"]:  # inside of its call, and not before the one before has ended
            call = calls[event["args"]["call"]]
            begin = ends.get(event["args"]["call"], call["ts"])
            self.assertGreaterEqual(event["ts"], begin - 0.01)
            ends[event["args"]["call"]] = event["ts"] + event["dur"]
            self.assertLessEqual(event["ts"] + event["dur"], call["ts"] + call["dur"] + 0.01)

    def test_the_answer_is_the_same_and_json_stays_one_object(self):
        args = ["run", golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 6, "--json"]
        plain = self.succeeds(*args).json
        path = fresh("trace") / "t.json"
        self.assertEqual(self.succeeds(*args, "--profile", path).json["ids"], plain["ids"])
        self.assertTrue(path.exists())

    def test_the_interpreter(self):
        _, trace = self.trace(golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 2, "--ignore-eos", "--device",
                              "reference")
        commands = [e for e in trace["traceEvents"] if e.get("cat") == "command"]
        self.assertTrue({e["args"]["kernel"] for e in commands} == {"interpreter"})
        self.assertIn("matmul", {e["args"]["op"] for e in commands})

    def test_a_graph(self):
        folder = fresh("graph")
        (folder / "g.mlir").write_text("""
module {
  func.func @main(%x: tensor<?x4xf32, #linnet.dims<batch>> {linnet.name = "x"})
      -> (tensor<?x4xf32, #linnet.dims<batch>> {linnet.name = "y"})
      attributes {linnet.bounds = {batch = 8}} {
    %y = linnet.relu %x : tensor<?x4xf32, #linnet.dims<batch>> loc("knee")
    return %y : tensor<?x4xf32, #linnet.dims<batch>>
  }
}
""")
        write_npy(folder / "x.npy", "<f4", (2, 4), [1.0, -1.0] * 4)
        path = folder / "t.json"
        self.succeeds("run", folder / "g.mlir", "--input", f"x={folder / 'x.npy'}", "--profile", path)
        report = self.succeeds("profile", path, "--json").json
        self.assertEqual([p["name"] for p in report["phases"]], ["main"])
        self.assertEqual([c["location"] for c in report["phases"][0]["commands"]], ["knee"])
        self.fails("profile", folder / "g.mlir", says=["g.mlir", "--profile"])

    def test_files_that_cannot_be_written(self):
        for path in (FOLDER / "no" / "such" / "t.json", FOLDER):
            folder = fresh("unwritable")
            self.fails("run", golden("tiny"), "--ids", "1", "--profile", path, cwd=folder, says=str(path))
            self.leaves_nothing(folder)


class Threads(TestCase):
    def test_what_a_device_is_called(self):
        for threads, name in ((1, "cpu, 1 thread"), (3, "cpu, 3 threads")):
            done = self.succeeds("bench", golden("tiny"), "-p", 4, "-n", 0, "-r", 1, "-t", threads, "--json").json
            self.assertEqual(done["device"], name)

    def test_what_openmp_s_variables_and_the_processors_say(self):
        def on_one():
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        command = ("run", golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 12, "--ignore-eos", "--json")
        tokens = self.succeeds(*command, "-t", 1).json["ids"]
        for variables, options, one, name in (({"OMP_NUM_THREADS": "3"}, (), False, "cpu, 3 threads"), ({"OMP_NUM_THREADS": "4,2"}, (), False, "cpu, 4 threads"),
                                              ({"OMP_NUM_THREADS": "3"}, ("-t", 2), False, "cpu, 2 threads"), ({}, (), True, "cpu, 1 thread"),
                                              ({"OMP_NUM_THREADS": "5"}, (), True, "cpu, 5 threads"), ({"OMP_PROC_BIND": "true"}, ("-t", 3), True, "cpu, 3 threads")):
            with self.subTest(variables=variables, options=options, one=one):
                unset = {"OMP_NUM_THREADS": "", "OMP_PROC_BIND": ""}
                done = self.succeeds(*command, *options, env=environment(**{**unset, **variables}), preexec=on_one if one else None).json
                self.assertEqual((done["device"], done["ids"]), (name, tokens))


class Profile(TestCase):
    def test_an_artifact(self):
        report = self.succeeds("profile", golden("tiny"), "-p", 12, "-n", 5, "-r", 2, "--json").json
        self.assertGreater(report["limits"]["read_bytes_per_second"], 0)
        prefill, decode = report["phases"]
        self.assertEqual((prefill["name"], prefill["calls"], prefill["tokens"]), ("prefill", 2, 24))
        self.assertEqual((decode["name"], decode["calls"], decode["tokens"]), ("decode", 10, 10))
        expected = commands_of(golden("tiny"))
        for phase in (prefill, decode):
            self.assertEqual(sorted(c["command"] for c in phase["commands"]), list(range(len(expected))))
            times = [c["seconds"] for c in phase["commands"]]
            self.assertEqual(times, sorted(times, reverse=True))
            self.assertAlmostEqual(sum(times), phase["command_seconds"], places=9)
            self.assertAlmostEqual(sum(o["seconds"] for o in phase["ops"]), phase["command_seconds"], places=9)
            for groups in ("ops", "places"):
                self.assertEqual(sum(g["commands"] for g in phase[groups]), len(expected))
            self.assertIn("h.*.mlp.c_fc", {p["place"] for p in phase["places"]})
            self.assertAlmostEqual(
                phase["command_seconds"] + phase["between_seconds"] + phase["host_seconds"], phase["wall_seconds"])
            for command in phase["commands"]:
                self.assertEqual((command["op"], command["location"]), expected[command["command"]])
                self.assertEqual(command["runs"], phase["calls"])
                self.assertLessEqual(WORK, set(command))

    def test_the_table(self):
        text = self.succeeds("profile", golden("tiny"), "-p", 8, "-n", 2, "-r", 1, "--top", 3).out
        for part in ("prefill: 1 call of 8 tokens", "decode: 2 calls of 1 token,", " more, a call", "all commands",
                     "between commands", "host", "total", "matmul", "layer_norm", "of limit", " h.*.attn"):
            self.assertIn(part, text)
        expected = commands_of(golden("tiny"))
        for all_of_them in (0, 1000):
            text = self.succeeds("profile", golden("tiny"), "-p", 8, "-n", 0, "-r", 1, "--top", all_of_them).out
            self.assertNotIn(" more, a call", text)
            self.assertNotIn("decode", text)
            for _, location in expected:
                self.assertIn(location, text)

    def test_a_trace_says_the_same(self):
        path = fresh("trace") / "trace.json"
        self.succeeds("run", golden("tiny"), "--ids", "1,2,3,4,5", "--max-new-tokens", 4, "--ignore-eos", "--profile",
                      path)
        report = self.succeeds("profile", path, "--json").json
        events = [e for e in json.loads(path.read_text())["traceEvents"] if e.get("cat") == "command"]
        self.assertEqual([(p["name"], p["tokens"]) for p in report["phases"]], [("prefill", 5), ("decode", 3)])
        total = sum(p["command_seconds"] for p in report["phases"])
        self.assertAlmostEqual(total, sum(e["dur"] for e in events) * 1e-6, places=8)
        self.assertIn("prefill: 1 call of 5 tokens", self.succeeds("profile", path).out)

    def test_what_cannot_be_profiled(self):
        folder = fresh("bad")
        (folder / "other.json").write_text('{"traceEvents": []}')
        self.fails("profile", folder / "other.json", says=["other.json", "not a trace"])
        (folder / "broken.json").write_text('{"traceEvents": [')
        self.fails("profile", folder / "broken.json", says=["broken.json", "malformed"])
        (folder / "notes.txt").write_text("notes")
        self.fails("profile", folder / "notes.txt", says=["notes.txt", "artifact"])
        self.fails("profile", folder / "none", says="none: No such file")
        self.fails("profile", golden("tiny"), "-p", 40, "-n", 20, says=["60", "48"])
        path = folder / "t.json"
        self.succeeds("run", golden("tiny"), "--ids", "1", "--max-new-tokens", 1, "--profile", path)
        self.fails("profile", path, "-p", 4, says=["t.json", "trace"])


class Busy:
    """Programs that want all processors, several times over."""

    def __enter__(self):
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4 * os.cpu_count())]

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


class Disturbed(TestCase):
    """Figures that were taken while other programs ran are marked. How often that is the case in a quiet minute depends
    on the machine, so that a missing mark is not tested here; tests/measure/disturbance_test.cpp has when there is one."""

    NOTE = r"(?m)^~ disturbed: other programs took \d+ % of the processor time that it wanted"

    def test_bench(self):
        with Busy():
            report = self.succeeds("bench", tiny_artifact(), "-p", 0, "-n", 200, "-r", 3, "--json").json
            text = self.succeeds("bench", tiny_artifact(), "-p", 0, "-n", 200, "-r", 3).out
        test, = report["tests"]
        self.assertIs(test["disturbed"], True)
        self.assertGreater(test["disturbed_share"], 0.05)
        self.assertRegex(text, r"\| ~\d+\.\d\d ± ")
        self.assertRegex(text, self.NOTE)

    def test_profile(self):
        path = fresh("trace") / "t.json"
        with Busy():
            command = ("profile", tiny_artifact(), "-p", 64, "-n", 150, "-r", 2)
            report = self.succeeds(*command, "--json").json
            text = self.succeeds(*command, "--top", 1).out
            self.succeeds("run", tiny_artifact(), "--ids", "1,2", "--max-new-tokens", 200, "--ignore-eos", "--profile", path)
        self.assertIs(report["disturbed"], True)
        self.assertGreater(report["limits"]["disturbed_share"], 0.05)
        self.assertRegex(text, self.NOTE + " while the model ran")
        self.assertRegex(text, self.NOTE + " while the limits were measured")
        self.assertRegex(text, r"(?m)^ +~\d+\.\d [um]s .* ~\d+\.\d% .* matmul$")
        self.assertRegex(self.succeeds("profile", path).out, self.NOTE + " while the model ran")

    def test_ablate(self):
        with Busy():
            command = ("ablate", tiny(), "--target", "cpu:native", "-p", 128, "-n", 100, "-r", 2, "--pass", "cse")
            report = self.succeeds(*command, "--json").json
            text = self.succeeds(*command).out
        self.assertTrue(all(row["disturbed"] for row in report["rows"]))
        self.assertRegex(text, r"(?m)^  without cse +~\d\.\d+ \(.*\) +~\d\.\d+ ")
        self.assertRegex(text, self.NOTE)


class Ablate(TestCase):
    def test_a_pass_of_ones_own(self):
        plugin = os.environ["LINNET_MY_PASS"]
        own = ("--load-pass-plugin", plugin, "--first-passes", "my-quick-gelu")
        command = ("ablate", GOLDEN / "tiny", "--target", "cpu:native", "-p", 10, "-n", 4, "-r", 1, *own)
        report = self.succeeds(*command, "--json").json
        self.assertEqual(report["first_passes"], "my-quick-gelu")
        full, without, *others = report["rows"]
        self.assertEqual((full["without"], without["without"]), (None, "my-quick-gelu"))
        self.assertIn("linnet-fuse-epilogue", [row["without"] for row in others])
        # It changes the numbers, adds commands, and is in every other row.
        self.assertGreater(full["logit_error"], 1e-4)
        self.assertLess(without["logit_error"], 1e-5)
        self.assertGreater(full["commands"], without["commands"])
        for row in others:
            self.assertGreater(row["logit_error"], 1e-4, row["without"])
        text = self.succeeds(*command, "--pass", "my-quick-gelu").out
        rows = [line for line in text.splitlines() if line.lstrip().startswith(("full", "without"))]
        self.assertEqual(len(rows), 2)
        self.assertTrue(rows[1].startswith("  without my-quick-gelu "))
        self.fails(*command[:-1], "my-other", says=["--first-passes", "my-other"])
        self.fails("ablate", GOLDEN / "tiny", "--load-pass-plugin", "none.so", says=["--load-pass-plugin", "none.so"])

    def test_every_pass_in_turn(self):
        report = self.succeeds("ablate", GOLDEN / "tiny", "--target", "cpu:native", "-p", 10, "-n", 4, "-r", 2,
                               "--json").json
        self.assertEqual(report["oracle"], "interpreter")
        full, *rest = report["rows"]
        self.assertIsNone(full["without"])
        names = [row["without"] for row in rest]
        self.assertIn("linnet-fuse-epilogue", names)
        self.assertNotIn("linnet-plan-memory", names)
        self.assertEqual(len(names), len(set(names)))
        for row in report["rows"]:
            for key in ("prefill_ts", "decode_ts"):
                self.assertEqual(len(row[key]), 2)
            for key in ("prefill_ratio", "decode_ratio"):
                self.assertLessEqual(row[key]["low"], row[key]["median"])
                self.assertLessEqual(row[key]["median"], row[key]["high"])
            self.assertLess(row["logit_error"], 1e-5)
            self.assertEqual((row["tokens"], row["tokens_differing"]), (4, 0))
            for key in ("peak_bytes", "artifact_bytes", "commands", "compile_seconds"):
                self.assertGreater(row[key], 0)
        self.assertEqual(full["decode_ratio"], {"median": 1, "low": 1, "high": 1})
        fused = rest[names.index("linnet-fuse-epilogue")]
        self.assertGreater(fused["commands"], full["commands"])

    def test_one_pass_and_the_table(self):
        done = self.succeeds("ablate", GOLDEN / "odd", "--target", "cpu:native", "-p", 4, "-n", 2, "-r", 1, "--pass",
                             "cse", "--pass", "cse", "--oracle", "full")
        rows = [line for line in done.out.splitlines() if line.lstrip().startswith(("full", "without"))]
        self.assertEqual(len(rows), 2)
        self.assertIn("those of the full pipeline", done.out)
        self.assertIn("logit error", done.out)
        self.assertIn("0 of 2", rows[1])

    def test_the_interpreter_as_target(self):
        rows = self.succeeds("ablate", GOLDEN / "odd", "--target", "reference", "-p", 4, "-n", 2, "-r", 1, "--json",
                             "--pass", "canonicalize").json["rows"]
        self.assertEqual([row["without"] for row in rows], [None, "canonicalize"])

    def test_what_cannot_be_ablated(self):
        temporary = fresh("temporary")
        env = environment(TMPDIR=str(temporary))
        for args, says in (((GOLDEN / "tiny", "--pass", "linnet-nonsense"), ["linnet-nonsense", "linnet-fuse-epilogue"]),
                           ((GOLDEN / "tiny", "--pass", "linnet-plan-memory"), ["linnet-plan-memory", "left out"]),
                           ((GOLDEN / "tiny", "--target", "abacus"), ["abacus", "cpu"]),
                           ((GOLDEN / "tiny", "-p", 49), ["49", "48"]),
                           ((GOLDEN / "tiny", "-p", 4, "-n", 48), ["49", "48"]),
                           ((golden("tiny"),), ["artifact", "checkpoint"]),
                           ((FOLDER / "none",), "none: No such file")):
            with self.subTest(args=args):
                self.fails("ablate", *args, env=env, says=says)
                self.leaves_nothing(temporary)
        self.fails("ablate", GOLDEN / "tiny", env=environment(TMPDIR=str(FOLDER / "no" / "place")), says="no/place")

    def test_an_interrupt_leaves_nothing(self):
        temporary = fresh("temporary")
        for delay in (0.05, 0.3, 1, 2.5):
            with self.subTest(delay=delay):
                process = subprocess.Popen([LINNET, "ablate", str(GOLDEN / "tiny"), "-p", "10", "-n", "20", "-r", "1000"],
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           env=environment(TMPDIR=str(temporary)))
                until = time.monotonic() + LIMIT
                while not os.listdir(temporary) and process.poll() is None and time.monotonic() < until:
                    time.sleep(0.005)
                self.assertTrue(os.listdir(temporary), "no temporary directory was made")
                time.sleep(delay)
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=LIMIT)
                self.assertEqual((process.returncode, err.decode()), (130, ""))
                self.leaves_nothing(temporary)


if __name__ == "__main__":
    main()
