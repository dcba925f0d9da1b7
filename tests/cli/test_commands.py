"""linnet compile, inspect, init, export, pull, tokenize, detokenize, tokenizer train; graphs that are no GPT-2."""
import hashlib, http.server, math, threading
from harness import *

PERCEPTRON = """
func.func @main(%x: tensor<?x3xf32, #linnet.dims<batch>> {linnet.name = "x"})
    -> (tensor<?x2xf32, #linnet.dims<batch>> {linnet.name = "y"}) attributes {linnet.bounds = {batch = 4}} {
  %w0 = linnet.param "w0" : tensor<3x5xf32>
  %b0 = linnet.param "b0" : tensor<5xf32>
  %w1 = linnet.param "w1" : tensor<5x4xf32>
  %w2 = linnet.param "w2" : tensor<4x2xf32>
  %0 = linnet.matmul %x, %w0 : tensor<?x3xf32, #linnet.dims<batch>>, tensor<3x5xf32>
  %1 = linnet.add %0, %b0 : tensor<?x5xf32, #linnet.dims<batch>>, tensor<5xf32>
  %2 = linnet.relu %1 : tensor<?x5xf32, #linnet.dims<batch>>
  %3 = linnet.matmul %2, %w1 : tensor<?x5xf32, #linnet.dims<batch>>, tensor<5x4xf32>
  %4 = linnet.relu %3 : tensor<?x4xf32, #linnet.dims<batch>>
  %5 = linnet.matmul %4, %w2 : tensor<?x4xf32, #linnet.dims<batch>>, tensor<4x2xf32>
  %6 = linnet.softmax %5 : tensor<?x2xf32, #linnet.dims<batch>>
  return %6 : tensor<?x2xf32, #linnet.dims<batch>>
}
"""
SHAPES = {"w0": (3, 5), "b0": (5,), "w1": (5, 4), "w2": (4, 2)}


def perceptron():
    """The graph, its weights, and the same function in Python."""
    folder = fresh("perceptron")
    (folder / "mlp.mlir").write_text(PERCEPTRON)
    weights, header, body = {}, {}, b""
    for name, shape in SHAPES.items():
        count = math.prod(shape)
        weights[name] = [math.sin(1.7 * i + len(body)) for i in range(count)]
        data = array.array("f", weights[name]).tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    write_safetensors(folder / "mlp.safetensors", header, body)

    def layer(x, name):
        rows, columns = SHAPES[name]
        return [sum(x[r] * weights[name][r * columns + c] for r in range(rows)) for c in range(columns)]

    def function(x):
        hidden = [max(0, a + b) for a, b in zip(layer(x, "w0"), weights["b0"])]
        last = layer([max(0, v) for v in layer(hidden, "w1")], "w2")
        powers = [math.exp(v - max(last)) for v in last]
        return [p / sum(powers) for p in powers]
    return folder, function


class Graph(TestCase):
    def test_a_perceptron_compiles_and_runs(self):
        folder, function = perceptron()
        rows = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [0.0, 0.0, 1.0]]
        write_npy(folder / "x.npy", "<f4", (3, 3), sum(rows, []))
        expected = sum(map(function, rows), [])
        for target in ("cpu", "reference"):
            for level in ("-O0", "-O2"):
                with self.subTest(target=target, level=level):
                    self.succeeds("compile", folder / "mlp.mlir", "--weights", folder / "mlp.safetensors", "--target",
                                  target, level, "-o", folder / "mlp.linnet")
                    done = self.succeeds("run", folder / "mlp.linnet", "--input", f"x={folder / 'x.npy'}", "--output",
                                         f"y={folder / 'y.npy'}")
                    self.assertEqual(done.out, f"{folder / 'y.npy'}: <f4 [3, 2]\n")
                    shape, values = read_npy(folder / "y.npy")
                    self.assertEqual(shape, [3, 2])
                    self.close_to(values, expected)
        summary = self.succeeds("run", folder / "mlp.linnet", "--input", f"x={folder / 'x.npy'}").out
        self.assertIn("y: <f4 [3, 2], min ", summary)
        printed = self.succeeds("run", folder / "mlp.linnet", "--input", f"x={folder / 'x.npy'}", "--json").json
        self.close_to(printed["y"]["values"], expected)

    def test_what_does_not_fit_is_said(self):
        folder, _ = perceptron()
        self.succeeds("compile", folder / "mlp.mlir", "--weights", folder / "mlp.safetensors", "-o", folder / "mlp.linnet")
        graph, array_file = folder / "mlp.linnet", folder / "x.npy"
        self.fails("run", graph, says="input 'x'")
        self.fails("run", graph, "--input", f"x={array_file}", says="No such file")
        write_npy(array_file, "<f4", (5, 3), [0.0] * 15)
        self.fails("run", graph, "--input", f"x={array_file}", says="4")
        write_npy(array_file, "<f4", (2, 4), [0.0] * 8)
        self.fails("run", graph, "--input", f"x={array_file}", says="3")
        write_npy(array_file, "<i4", (2, 3), [0] * 6)
        self.fails("run", graph, "--input", f"x={array_file}", says="<i4")
        write_npy(array_file, "<f4", (2, 3), [0.0] * 6)
        self.fails("run", graph, "--input", f"x={array_file}", "--input", f"z={array_file}", says="no input 'z'")
        self.fails("run", graph, "--input", f"x={array_file}", "--output", "q=q.npy", says="no output 'q'")
        self.fails("run", graph, "--input", f"x={array_file}", "--entry", "other", says="no entry 'other'")
        for damage in (lambda b: b[:20], lambda b: b[:-4], lambda b: b.replace(b"False", b"True "), lambda b: b"no" + b,
                       lambda b: b.replace(b"(2, 3)", b"(2,-3)"), lambda b: b.replace(b"<f4", b">f4")):
            whole = array_file.read_bytes()
            (folder / "bad.npy").write_bytes(damage(whole))
            self.fails("run", graph, "--input", f"x={folder / 'bad.npy'}", says="bad.npy: ")
        self.fails("run", graph, "--prompt", "a", says="mlp.linnet")
        self.fails("run", golden("tiny"), "--input", f"x={array_file}", says="tiny.linnet")


class Compile(TestCase):
    def test_report(self):
        out = fresh("report") / "tiny.linnet"
        report = self.succeeds("compile", GOLDEN / "tiny", "--max-batch", 2, "--max-context", 32, "-o", out, "--json").json
        self.assertEqual(report["artifact_bytes"], out.stat().st_size)
        program, = report["programs"]
        parts = [program[k] for k in ("weight_bytes", "state_bytes", "arena_bytes", "io_bytes")]
        self.assertEqual(program["peak_bytes"], sum(parts))
        self.assertEqual(program["state_bytes"], 2 * 3 * 2 * 32 * 64 * 4)  # k and v, 3 layers, batch, context, width, f32
        for entry in program["entries"]:
            self.assertLessEqual(entry["live_bytes"], entry["arena_bytes"])
            self.assertLessEqual(entry["arena_bytes"], program["arena_bytes"])
        done = self.succeeds("compile", GOLDEN / "tiny", "--max-batch", 2, "--max-context", 32, "-o", out)
        self.assertIn(f"peak memory, cpu: {program['peak_bytes']} bytes", done.out)
        self.assertEqual(done.err, "")

    def test_a_run_uses_what_was_announced(self):
        for dtype in ("f32", "int8", "int4"):
            with self.subTest(dtype):
                out = fresh("announced") / "tiny.linnet"
                program, = self.succeeds("compile", GOLDEN / "tiny", "--dtype", dtype, "--target", "cpu:native", "-o", out,
                                         "--json").json["programs"]
                memory = self.succeeds("run", out, "--ids", "1,2", "--json").json["memory_bytes"]
                self.assertEqual((memory["states"], memory["arena"]), (program["state_bytes"], program["arena_bytes"]))

    def test_every_level_and_target_gives_the_same_tokens(self):
        expected = read_safetensors(GOLDEN / "odd" / "expected.safetensors")["greedy_from_first_5"][1]
        folder = fresh("levels")
        for options in (["-O0"], ["-O1"], ["-O2"], ["--target", "cpu:native"], ["--target", "reference"],
                        ["--disable-pass", "linnet-fuse-epilogue"]):
            with self.subTest(options=options):
                self.succeeds("compile", GOLDEN / "odd", *options, "-o", folder / "m.linnet")
                done = self.succeeds("run", folder / "m.linnet", "--ids", ",".join(map(str, expected[:5])),
                                     "--max-new-tokens", 24, "--ignore-eos", "--json")
                self.assertEqual(done.json["ids"], expected)

    def test_same_input_same_bytes(self):
        folder = fresh("same")
        for name in ("a", "b"):
            self.succeeds("compile", GOLDEN / "tiny", "-o", folder / f"{name}.linnet")
        self.assertEqual((folder / "a.linnet").read_bytes(), (folder / "b.linnet").read_bytes())
        self.leaves_nothing(folder, "a.linnet", "b.linnet")

    def test_auto_takes_the_fastest_type_that_is_close_enough(self):
        folder = fresh("auto")
        out, text = folder / "tiny.linnet", folder / "text.txt"
        text.write_text("Some words to compare the types on, and a few more of them.")

        def compiled(*more):
            return self.succeeds("compile", tiny(), "--dtype", "auto", *more, "-o", out, "--json").json
        whole = compiled("--max-divergence", 0)
        self.assertEqual(whole["dtype"], "f32")
        self.assertEqual([t["dtype"] for t in whole["tried"]], ["int4", "int8", "bf16", "f16"])
        by_type = {t["dtype"]: t["divergence"] for t in whole["tried"]}
        self.assertGreater(by_type["int4"], by_type["int8"])
        self.assertGreater(by_type["bf16"], by_type["f16"])
        self.assertGreater(by_type["f16"], 0)
        between = (by_type["int4"] + by_type["int8"]) / 2
        chosen = compiled("--max-divergence", between)
        self.assertEqual(chosen["dtype"], "int8")
        self.succeeds("compile", tiny(), "--dtype", "int8", "-o", folder / "int8.linnet")
        self.assertEqual(out.read_bytes(), (folder / "int8.linnet").read_bytes())
        self.assertEqual(compiled("--max-divergence", 100)["dtype"], "int4")
        self.assertNotEqual(compiled("--calibration", text, "--max-divergence", 100)["tried"], chosen["tried"][:1])
        # bf16 gains nothing on Vulkan, where it would be found good enough, too.
        shaders = compiled("--target", "vulkan", "--max-divergence", by_type["bf16"] * 2)
        self.assertEqual([t["dtype"] for t in shaders["tried"]], ["int4", "int8", "f16"])
        self.assertEqual(shaders["dtype"], "f16")
        both = compiled("--target", "vulkan,cpu", "--max-divergence", 0)
        self.assertEqual([t["dtype"] for t in both["tried"]], ["int4", "int8", "bf16", "f16"])
        done = self.succeeds("compile", tiny(), "--dtype", "auto", "--max-divergence", between, "-o", out)
        self.assertIn("dtype int8, chosen for a divergence", done.out)
        self.fails("compile", tiny(), "--dtype", "auto", "--calibration", folder / "none", "-o", out, says=["none", "No such file"])
        graph, _ = perceptron()
        self.fails("compile", graph / "mlp.mlir", "--weights", graph / "mlp.safetensors", "--dtype", "auto", "-o", out,
                   says="--dtype auto compares what a model predicts next")
        self.fails("compile", tiny(), "--dtype", "auto", "--max-divergence", "nan", "-o", out, code=2, says="--max-divergence: Value nan not in range")
        self.fails("compile", tiny(), "--dtype", "auto", "--max-divergence", -1, "-o", out, code=2, says="--max-divergence")


class Inspect(TestCase):
    def test_checkpoint(self):
        for model in (GOLDEN / "tiny", tiny()):
            report = self.succeeds("inspect", model, "--json").json
            header, body = read_header(model / "model.safetensors")
            header.pop("__metadata__", None)
            self.assertEqual((report["kind"], report["format"]), ("checkpoint", "safetensors"))
            self.assertEqual(len(report["tensors"]), len(header))
            self.assertEqual(report["bytes"], len(body))
            self.assertEqual(report["parameters"], sum(math.prod(t["shape"]) for t in header.values()))
            self.assertEqual(report["tokenizer"], model == tiny())
            self.assertEqual(report["config"]["n_layer"], json.loads((model / "config.json").read_text())["n_layer"])
            text = self.succeeds("inspect", model).out
            self.assertIn("ln_f.weight", text)

    def test_artifact(self):
        report = self.succeeds("inspect", golden("tiny"), "--verify", "--weights", "--commands", "--json").json
        self.assertEqual((report["kind"], report["model"], report["verified"]), ("artifact", "language-model", True))
        self.assertEqual({p["target"] for p in report["programs"]}, {"cpu", "reference"})
        self.assertEqual(report["bytes"], golden("tiny").stat().st_size)
        cpu = next(p for p in report["programs"] if p["target"] == "cpu")
        self.assertGreaterEqual(len(cpu["code"]), 2)
        self.assertEqual(len(cpu["weight_list"]), cpu["weights"])
        for entry in cpu["entries"]:
            self.assertEqual(len(entry["command_list"]), entry["commands"])
            self.assertIn("batch", entry["bounds"])
        text = self.succeeds("inspect", golden("tiny"), "--verify", "--weights", "--commands").out
        for part in ("every checksum agrees", "target cpu", "target reference", "entry @"):
            self.assertIn(part, text)

    def test_graph(self):
        folder, _ = perceptron()
        graph = folder / "mlp.mlir"
        report = self.succeeds("inspect", graph, "--weights", "--module", "--json").json
        self.assertEqual((report["kind"], report["params"], report["parameters"]), ("graph", 4, 48))
        self.assertEqual({p["name"]: tuple(p["shape"]) for p in report["weight_list"]}, SHAPES)
        entry, = report["entries"]
        self.assertEqual((entry["name"], entry["bounds"]), ("main", {"batch": 4}))
        self.assertEqual(entry["inputs"], [{"name": "x", "type": "f32 [batch, 3]"}])
        self.assertEqual(entry["outputs"], [{"name": "y", "type": "f32 [batch, 2]"}])
        self.assertEqual(entry["ops"], {"param": 4, "matmul": 3, "relu": 2, "add": 1, "softmax": 1})
        (folder / "again.mlir").write_text(report["module"])
        again = self.succeeds("inspect", folder / "again.mlir", "--weights", "--module", "--json").json
        self.assertEqual(again, report)
        text = self.succeeds("inspect", graph, "--weights", "--module").out
        for part in ("mlp.mlir: graph, 48 parameters, 192 B in 4 tensors", "w1", "entry @main: 11 ops; batch <= 4",
                     "input   x: f32 [batch, 3]", "linnet.softmax"):
            self.assertIn(part, text)
        (folder / "mark.mlir").write_bytes(b"\xef\xbb\xbf" + graph.read_bytes())
        self.assertEqual(self.succeeds("inspect", folder / "mark.mlir", "--json").json["entries"], report["entries"])
        self.succeeds("compile", folder / "mark.mlir", "--weights", folder / "mlp.safetensors", "-o", folder / "mlp.linnet")
        (folder / "bad.mlir").write_text(PERCEPTRON.replace("tensor<5xf32>", "tensor<6xf32>"))
        self.fails("inspect", folder / "bad.mlir", says="bad.mlir:")

    def test_each_flag_is_honoured_or_refused(self):
        folder, _ = perceptron()
        for file, kind in ((folder / "mlp.mlir", "graph"), (tiny(), "checkpoint")):
            refused = ["--commands", "--cost", "--verify"] + (["--module"] if kind == "checkpoint" else [])
            for flag in refused:
                self.fails("inspect", file, flag, says=[str(file), f"{flag} is about artifacts", f"this is a {kind}"])
        self.succeeds("compile", GOLDEN / "odd", "-o", folder / "cpu.linnet")
        self.fails("inspect", folder / "cpu.linnet", "--module", says=["cpu.linnet: --module", "--target reference"])
        programs = self.succeeds("inspect", golden("tiny"), "--module", "--json").json["programs"]
        self.assertEqual({p["target"]: "module" in p for p in programs}, {"cpu": False, "reference": True})
        self.assertIn("func.func @generate", self.succeeds("inspect", golden("tiny"), "--module").out)

    def test_cost(self):
        report = self.succeeds("inspect", golden("tiny"), "--cost", "--at", "batch=1", "--at", "seq=7", "--json").json
        cpu = next(p for p in report["programs"] if p["target"] == "cpu")
        for entry in cpu["entries"]:
            self.assertEqual((entry["cost"]["at"]["batch"], entry["cost"]["at"]["seq"]), (1, 7))
            matmuls = sum(op["flops"] for op in entry["cost"]["ops"] if "matmul" in op["op"])
            attended, behind = 64 * 192, 64 * 64 + 2 * 64 * 256  # weights of a block before and after its attention
            blocks = 3 * 2 * 7 * (attended + behind)
            # The ops after the last attention for the last position only; and heads of all positions or none.
            expected = {"generate": 2 * 64 * 199 - 2 * 6 * behind, "score": 2 * 7 * 64 * 199, "hidden": 0}
            self.assertEqual(matmuls - blocks, expected[entry["name"]])
        self.assertIn("flops", self.succeeds("inspect", golden("tiny"), "--cost").out)
        self.fails("inspect", golden("tiny"), "--cost", "--at", "width=1", says=["width", "batch"])
        self.fails("inspect", golden("tiny"), "--cost", "--at", "batch=99", says="batch=99")


class Init(TestCase):
    def test_same_seed_same_bytes(self):
        folder = fresh("init")
        for name, seed in (("a", 5), ("b", 5), ("c", 6)):
            report = self.succeeds("init", "--preset", "tiny", "--seed", seed, folder / name, "--json").json
            self.assertTrue(report["tokenizer"])
        self.assertEqual((folder / "a/model.safetensors").read_bytes(), (folder / "b/model.safetensors").read_bytes())
        self.assertNotEqual((folder / "a/model.safetensors").read_bytes(), (folder / "c/model.safetensors").read_bytes())
        self.assertIn("untrained", self.succeeds("init", "--preset", "tiny", folder / "d").out)

    def test_nothing_is_overwritten(self):
        folder = fresh("occupied")
        (folder / "mine.txt").write_text("mine")
        self.fails("init", "--preset", "tiny", folder, says=str(folder))
        self.leaves_nothing(folder, "mine.txt")


class Export(TestCase):
    def test_there_and_back(self):
        folder = fresh("export")
        expected = self.succeeds("run", tiny_artifact(), "--prompt", "Once", "--max-new-tokens", 10, "--json").json
        self.succeeds("export", tiny(), "--format", "gguf", "-o", folder / "m.gguf")
        self.succeeds("export", folder / "m.gguf", "--format", "safetensors", "-o", folder / "back")
        for model in (folder / "m.gguf", folder / "back"):
            self.succeeds("compile", model, "-o", folder / "m.linnet")
            done = self.succeeds("run", folder / "m.linnet", "--prompt", "Once", "--max-new-tokens", 10, "--json").json
            self.assertEqual((done["ids"], done["text"]), (expected["ids"], expected["text"]))
        told = self.succeeds("tokenize", tiny(), "--prompt", "Once upon", "--json").json["ids"]
        self.assertEqual(self.succeeds("tokenize", folder / "m.gguf", "--prompt", "Once upon", "--json").json["ids"], told)

    def test_types(self):
        folder = fresh("types")
        sizes = {}
        for dtype in ("f32", "f16", "bf16", "q8_0", "q4_0"):
            path = folder / f"{dtype}.gguf"
            self.succeeds("export", tiny(), "--format", "gguf", "--dtype", dtype, "-o", path)
            sizes[dtype] = path.stat().st_size
            self.succeeds("run", path, "--prompt", "Once", "--max-new-tokens", 2)
        self.assertGreater(sizes["f32"], sizes["f16"])
        self.assertEqual(sizes["f16"], sizes["bf16"])
        self.assertGreater(sizes["f16"], sizes["q8_0"])
        self.assertGreater(sizes["q8_0"], sizes["q4_0"])
        self.fails("export", tiny(), "--format", "safetensors", "--dtype", "q4_0", "-o", folder / "q", says="Q4_0")
        self.assertFalse((folder / "q").exists())


class Text(TestCase):
    def test_there_and_back(self):
        for text in ("hello world", "Grüße, 世界! 🙂", "a\tb\n\nc  "):
            for model in (tiny(), tiny_artifact()):
                ids = self.succeeds("tokenize", model, "--prompt", text, "--ids").out.strip()
                self.assertEqual(self.succeeds("detokenize", model, "--ids", ids).out, text + "\n")
                done = self.succeeds("detokenize", model, "--ids", "-", "--json", stdin=ids).json
                self.assertEqual((done["text"], ",".join(map(str, done["ids"]))), (text, ids))

    def test_batches_padding_and_truncation(self):
        batch = self.succeeds("tokenize", tiny(), "-p", "a", "-p", "a b c", "--padding", "longest", "--pad-id", 3,
                              "--json").json
        self.assertEqual([sum(one["attention_mask"]) for one in batch],
                         [len(self.succeeds("tokenize", tiny(), "-p", t, "--json").json["ids"]) for t in ("a", "a b c")])
        self.assertEqual(len(batch[0]["ids"]), len(batch[1]["ids"]))
        self.assertEqual(batch[0]["ids"][-1], 3)
        left = self.succeeds("tokenize", tiny(), "-p", "a", "--padding", "max_length", "--max-length", 6, "--pad-id", 3,
                             "--padding-side", "left", "--json").json
        self.assertEqual((left["ids"][:5], left["attention_mask"]), ([3] * 5, [0] * 5 + [1]))
        cut = self.succeeds("tokenize", tiny(), "-p", "a b c d e f g", "--truncation", "--max-length", 2, "--json").json
        self.assertEqual(len(cut["ids"]), 2)

    def test_special_tokens(self):
        text = "a<|endoftext|>b"
        special = self.succeeds("tokenize", tiny(), "-p", text, "--json").json["ids"]
        literal = self.succeeds("tokenize", tiny(), "-p", text, "--no-parse-special", "--json").json["ids"]
        self.assertLess(len(special), len(literal))
        ids = ",".join(map(str, special))
        self.assertEqual(self.succeeds("detokenize", tiny(), "--ids", ids, "--skip-special-tokens").out, "ab\n")
        self.assertEqual(self.succeeds("detokenize", tiny(), "--ids", ids).out, text + "\n")

    def test_a_learnt_vocabulary(self):
        folder = fresh("vocabulary")
        (folder / "text.txt").write_text("the cat sat on the mat. the cat sat. " * 50)
        report = self.succeeds("tokenizer", "train", "--vocab-size", 290, "--special", "<pad>", "--special", "<end>", "-o",
                               folder / "v", folder / "text.txt", "--json").json
        self.assertLessEqual(report["vocab_size"], 290)
        self.assertGreater(report["vocab_size"], 258)
        tokens = self.succeeds("tokenize", folder / "v", "-p", "the cat<end>", "--json").json
        self.assertEqual(tokens["ids"][-1], 1)
        self.assertLess(len(tokens["ids"]), 5)
        self.assertEqual(sorted(os.listdir(folder)), ["text.txt", "v"])
        before = {path.name: path.read_bytes() for path in (folder / "v").iterdir()}
        self.fails("tokenizer", "train", "--vocab-size", 270, "-o", folder / "v", folder / "text.txt", says="v: already exists")
        self.assertEqual({path.name: path.read_bytes() for path in (folder / "v").iterdir()}, before)

    def test_a_vocabulary_of_nothing(self):
        folder = fresh("nothing")
        (folder / "text.txt").write_text("the cat sat on the mat. " * 50)
        for name, content in (("empty.txt", b""), ("mark.txt", b"\xef\xbb\xbf"), ("empty.json", b"[]")):
            (folder / name).write_bytes(content)
            self.fails("tokenizer", "train", "--vocab-size", 270, "-o", folder / "v", folder / "text.txt", folder / name,
                       says=f"{name}: ")
            (folder / name).unlink()
        self.leaves_nothing(folder, "text.txt")


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub that breaks off each large file once in the middle, and serves the rest of it when asked for a range."""
    files, broken, requests = {}, set(), []

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.serve(False)

    def do_GET(self):
        self.serve(True)

    def serve(self, body):
        name = self.path.split("/resolve/main/")[-1].split("?")[0]
        Hub.requests.append((self.command, name, self.headers.get("Range")))
        data = Hub.files.get(name)
        if data is None or "/resolve/main/" not in self.path:
            self.send_error(404)
            return
        begin, wanted = 0, self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin = int(first)
            data = data[begin:int(last) + 1] if last else data[begin:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{begin + len(data) - 1}/{len(Hub.files[name])}")
        digest = hashlib.sha256(Hub.files[name]).hexdigest()
        self.send_header("ETag", f'"{digest}"')
        if name.endswith(".safetensors"):
            self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if len(data) > 10000 and name not in Hub.broken:
            Hub.broken.add(name)
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(data)


class Pull(TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        Hub.files = {p.name: p.read_bytes() for p in tiny().iterdir()}
        Hub.broken, Hub.requests = set(), []
        self.env = environment(HF_ENDPOINT=f"http://127.0.0.1:{self.server.server_port}", no_proxy="127.0.0.1")

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def test_a_model_arrives_whole(self):
        folder = fresh("pull")
        done = self.succeeds("pull", "someone/tiny", folder / "m", env=self.env)
        self.assertEqual(done.out, f"{folder / 'm'}\n")
        self.assertIn("model.safetensors", Hub.broken)
        self.assertEqual((folder / "m/model.safetensors").read_bytes(), Hub.files["model.safetensors"])
        self.assertFalse([p for p in os.listdir(folder / "m") if "incomplete" in p])
        self.succeeds("run", folder / "m", "--prompt", "Once", "--max-new-tokens", 2)

    def test_what_is_not_there(self):
        folder = fresh("nothing")
        Hub.files = {}
        self.fails("pull", "someone/else", folder / "m", env=self.env, says="someone/else")
        self.fails("pull", "no-slash", folder / "m", env=self.env, says="no-slash")
        offline = dict(self.env, HF_HUB_OFFLINE="1")
        self.fails("pull", "someone/else", folder / "m", env=offline, says="someone/else")


if __name__ == "__main__":
    main()
