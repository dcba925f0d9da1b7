"""Models whose weights are finite and whose numbers are not: an error that names where they begin, never a result."""
from harness import *


def changed(model, values):
    """A copy of a checkpoint with elements of tensors replaced: {name: {element: value}}; None for all of them."""
    copy = copy_of(model, "changed")
    header, body = read_header(copy / "model.safetensors")
    body = bytearray(body)
    for name, elements in values.items():
        begin, end = header[name if name in header else "transformer." + name]["data_offsets"]
        data = array.array("f", bytes(body[begin:end]))
        for i in range(len(data)) if None in elements else elements:
            data[i] = elements.get(i, elements.get(None))
        body[begin:end] = data.tobytes()
    write_safetensors(copy / "model.safetensors", header, bytes(body))
    return copy


@functools.cache
def overflowing():
    """Embeddings whose sums overflow: NaN in the first block, at every position."""
    return changed(tiny(), {"wte.weight": {None: 3e38}})


@functools.cache
def overflowing_at(position):
    """NaN from one position on."""
    width = json.loads((tiny() / "config.json").read_text())["n_embd"]
    return changed(tiny(), {"wpe.weight": {position * width + i: 3e38 for i in range(width)}})


@functools.cache
def large_keys():
    """Keys near 1e5: fine in f32 and bf16, beyond f16."""
    width = json.loads((tiny() / "config.json").read_text())["n_embd"]
    return changed(tiny(), {"h.0.attn.c_attn.bias": {width + i: 1e5 for i in range(width)}})


@functools.cache
def classifier():
    make("init", "--preset", "tiny", "--labels", "ham,spam", FOLDER / "classifier")
    return FOLDER / "classifier"


@functools.cache
def compiled(model, *options):
    out = fresh("compiled") / "x.linnet"
    make("compile", model, *options, "-o", out)
    return out


FINITE = "expected a finite number"
FIRST = "the first such number is in the output of block 0, at position 0 (token "


class LanguageModels(TestCase):
    def test_each_command_that_gives_numbers(self):
        model, out = compiled(overflowing()), fresh("out")
        (FOLDER / "text.txt").write_text("Once upon a time there was a compiler. " * 3)
        array_file = ("-o", out / "x.npy")
        for command in (("eval", model, "--perplexity", FOLDER / "text.txt"), ("logits", model, "--prompt", "hello"),
                        ("logits", model, "--prompt", "hello", "--all", *array_file), ("embed", model, "--prompt", "hello"),
                        ("embed", model, "--prompt", "hello", "--pooling", "mean", *array_file),
                        ("embed", model, "--file", FOLDER / "text.txt"), ("run", model, "--prompt", "hello")):
            for options in ((), ("--json",)):
                with self.subTest(command=command, options=options):
                    self.fails(*command, *options, says=[FINITE, FIRST])
        self.leaves_nothing(out)

    def test_hidden_states_below_the_fault_are_fine(self):
        self.succeeds("embed", compiled(overflowing()), "--prompt", "hello", "--layer", "0")
        self.fails("embed", compiled(overflowing()), "--prompt", "hello", "--layer", "1", says=FIRST)

    def test_the_position_is_named(self):
        model = compiled(overflowing_at(5))
        says = [FINITE, "in the output of block 0, at position 5"]
        self.succeeds("logits", model, "--ids", "1,2,3,4,5")
        self.fails("logits", model, "--ids", "1,2,3,4,5,6", says=says)
        self.fails("logits", model, "--ids", "1,2,3,4,5,6,7", "--all", says=[*says, "after 6 tokens"])
        (FOLDER / "letters.txt").write_text("abcdefghijklmnop")
        self.fails("eval", model, "--perplexity", FOLDER / "letters.txt", says=says)

    def test_a_token_that_is_generated(self):
        """The prompt is fine; the numbers end on the way."""
        for device in ("cpu", *(("vulkan",) if has_vulkan() else ())):
            out = compiled(overflowing_at(5), "--target", device)
            self.succeeds("run", out, "--ids", "1,2,3", "-n", "3", "--ignore-eos", "--json")
            for options in ((), ("--do-sample",), ("--repetition-penalty", "1.3")):
                with self.subTest(device=device, options=options):
                    done = linnet("run", out, "--ids", "1,2,3", "-n", "8", "--ignore-eos", *options)
                    self.assertEqual(done.code, 1, done.err)
                    self.assertIn("the model's logit after", done.err)
                    self.assertIn("in the output of block 0, at position 5", done.err)
                    self.fails("run", out, "--ids", "1,2,3", "-n", "8", "--ignore-eos", *options, "--json", says=FINITE)


class Cache(TestCase):
    def test_keys_beyond_f16(self):
        ids = ("--ids", "71,72,73")
        says = [FINITE, "block 0, at position 0", "beyond 65504", "the f16 KV cache: compile with --kv-cache bf16 or --kv-cache f32"]
        for options, fine in (((), True), (("--dtype", "bf16"), False), (("--dtype", "int8"), False),
                              (("--dtype", "bf16", "--kv-cache", "bf16"), True), (("--dtype", "int8", "--kv-cache", "f32"), True)):
            with self.subTest(options=options):
                out = compiled(large_keys(), *options)
                for command in (("run", out, *ids, "-n", "2"), ("logits", out, *ids), ("embed", out, *ids)):
                    self.succeeds(*command) if fine else self.fails(*command, says=says)

    def test_auto_passes_over_a_type_that_gives_no_numbers(self):
        out = fresh("auto") / "k.linnet"
        done = self.succeeds("compile", large_keys(), "--dtype", "auto", "-o", out, "--json").json
        self.assertEqual(done["dtype"], "f32")
        for trial in done["tried"]:
            self.assertIn("--kv-cache", trial["failure"])


class Classifiers(TestCase):
    def test_scores(self):
        model = compiled(changed(classifier(), {"wte.weight": {None: 3e38}}))
        (FOLDER / "texts.txt").write_text("hello\nagain\n")
        for command in (("--text", "hello"), ("--file", FOLDER / "texts.txt")):
            for options in ((), ("--json",)):
                with self.subTest(command=command, options=options):
                    done = linnet("classify", model, *command, *options)
                    self.assertEqual((done.code, done.raw), (1, b""))
                    for part in (FINITE, FIRST):
                        self.assertIn(part, done.err.splitlines()[-1])
        head = compiled(changed(classifier(), {"score.weight": {None: 3e38}}))
        self.fails("classify", head, "--text", "hello", says=[FINITE, "in the model's head"])

    def test_training_starts_from_numbers(self):
        model, data = overflowing(), FOLDER / "data.tsv"
        data.write_text("ham\tcome home\nspam\tWIN CASH\n" * 20)
        for method, says in (("head", [FINITE, FIRST]), ("full", ["the held-out loss is nan", "first in "])):
            done = linnet("finetune", model, "--data", data, "--task", "classify", "--method", method, "--steps", "2", "-o", fresh("run") / method)
            self.assertEqual(done.code, 1, done.err)
            for part in says:
                self.assertIn(part, done.err.splitlines()[-1])
            self.assertNotIn("held-out loss nan", done.err)

    def test_gradients(self):
        folder = fresh("grad")
        for name in ("ids", "labels"):
            write_npy(folder / f"{name}.npy", "<i8", (1, 3), [5, 6, 7])
        self.fails("grad", overflowing(), "--ids", folder / "ids.npy", "--labels", folder / "labels.npy", "-o", folder / "g.safetensors",
                   says=["the loss is", FINITE, "first in linnet."])
        self.leaves_nothing(folder, "ids.npy", "labels.npy")


class Graphs(TestCase):
    def test_outputs_and_inputs(self):
        folder = fresh("graph")
        (folder / "log.mlir").write_text('func.func @main(%x: tensor<2x3xf32> {linnet.name = "x"}) -> (tensor<2x3xf32> {linnet.name = "y"}) {\n'
                                         "  %0 = linnet.log %x : tensor<2x3xf32>\n  return %0 : tensor<2x3xf32>\n}\n")
        make("compile", folder / "log.mlir", "-o", folder / "log.linnet")

        def run(values, *options):
            write_npy(folder / "x.npy", "<f4", (2, 3), values)
            return ("run", folder / "log.linnet", "--input", f"x={folder / 'x.npy'}", *options)
        good, infinite, bad = [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 0, 6], [1, 2, 3, 4, -5, 6]
        self.assertEqual(len(self.succeeds(*run(good, "--json")).json["y"]["values"]), 6)
        self.assertIn("-inf", self.succeeds(*run(infinite)).out)
        self.fails(*run(infinite, "--json"), says="output 'y': element [1, 1] is -inf, expected a finite number")
        for options in ((), ("--json",), ("--output", f"y={folder / 'y.npy'}")):
            self.fails(*run(bad, *options), says="output 'y': element [1, 1] is nan, expected a")
            self.fails(*run([1, 2, float("nan"), 4, 5, 6], *options), says="input 'x': element [0, 2] is nan, expected a number")
        self.leaves_nothing(folder, "log.linnet", "log.mlir", "x.npy")


if __name__ == "__main__":
    main()
