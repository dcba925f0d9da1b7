"""GGUF files of quantized types, and models in split files."""
import math, random
import gguf_files
from harness import *


@functools.cache
def exported():
    """The preset's model in f32."""
    make("export", tiny(), "--format", "gguf", "--dtype", "f32", "-o", FOLDER / "tiny.gguf")
    return FOLDER / "tiny.gguf"


def quantized(kinds, source=None):
    return gguf_files.quantized(kinds, source or exported())


class Quantized(TestCase):
    # Rows of the second matrix of an MLP have 512 elements, all others 128: only they fill blocks of 256.
    KINDS = {"token_embd.weight": "Q8_0", "blk.0.attn_qkv.weight": "Q4_0", "blk.1.attn_qkv.weight": "Q4_1",
             "blk.2.attn_qkv.weight": "Q5_0", "blk.3.attn_qkv.weight": "Q5_1", "blk.0.ffn_up.weight": "IQ4_NL",
             "blk.0.ffn_down.weight": "Q4_K", "blk.1.ffn_down.weight": "Q5_K", "blk.2.ffn_down.weight": "Q6_K"}

    def test_inspect_shows_the_stored_types_and_the_model_runs(self):
        path = gguf_files.write(fresh("quantized") / "m.gguf", *quantized(self.KINDS))
        found = self.succeeds("inspect", path, "--json").json
        types = {tensor["name"]: (tensor["dtype"], tensor["bytes"]) for tensor in found["tensors"]}
        self.assertEqual(types["wte.weight"], ("Q8_0", 257 * 128 // 32 * 34))
        self.assertEqual(types["h.0.attn.c_attn.weight"], ("Q4_0", 128 * 384 // 32 * 18))
        self.assertEqual(types["h.1.attn.c_attn.weight"], ("Q4_1", 128 * 384 // 32 * 20))
        self.assertEqual(types["h.2.attn.c_attn.weight"], ("Q5_0", 128 * 384 // 32 * 22))
        self.assertEqual(types["h.3.attn.c_attn.weight"], ("Q5_1", 128 * 384 // 32 * 24))
        self.assertEqual(types["h.0.mlp.c_fc.weight"], ("IQ4_NL", 128 * 512 // 32 * 18))
        self.assertEqual(types["h.0.mlp.c_proj.weight"], ("Q4_K", 128 * 512 // 256 * 144))
        self.assertEqual(types["h.1.mlp.c_proj.weight"], ("Q5_K", 128 * 512 // 256 * 176))
        self.assertEqual(types["h.2.mlp.c_proj.weight"], ("Q6_K", 128 * 512 // 256 * 210))
        self.assertEqual(types["h.3.mlp.c_proj.weight"], ("F32", 128 * 512 * 4))
        self.assertRegex(self.succeeds("inspect", path).out, r"h\.2\.mlp\.c_proj\.weight +Q6_K +\[512, 128\] +53760\n")
        # Its floats make the same model.
        self.succeeds("export", path, "--format", "safetensors", "--dtype", "f32", "-o", path.parent / "floats")
        run = [self.succeeds("run", model, "--ids", "1,2,3", "-n", "8").out for model in (path, path.parent / "floats")]
        self.assertEqual(run[0], run[1])

    def test_a_type_that_is_not_read_is_named(self):
        path = gguf_files.write(fresh("q2") / "m.gguf", *quantized({"blk.1.ffn_down.weight": "Q2_K"}))
        for command in ("inspect", "run"):
            self.fails(command, path, *(["--ids", "1"] if command == "run" else []),
                       says=['m.gguf: tensor "blk.1.ffn_down.weight" has GGML type Q2_K; supported are F32'])

    def test_control_characters_of_a_name_stay_out_of_the_error(self):
        metadata, tensors = quantized({"blk.1.ffn_down.weight": "Q2_K"})
        next(tensor for tensor in tensors if tensor.kind == "Q2_K").name = "a\nb\x1b[31m\x7f"
        done = self.fails("inspect", gguf_files.write(fresh("control") / "m.gguf", metadata, tensors),
                          says='tensor "a b [31m " has GGML type Q2_K')
        self.assertNotIn("\x1b", done.err)

    def test_rows_that_do_not_fill_blocks(self):
        path = gguf_files.write(fresh("rows") / "m.gguf", *quantized({"blk.1.ffn_up.weight": "Q4_K"}))
        self.fails("inspect", path, says='"blk.1.ffn_up.weight": 128 elements do not fill Q4_K blocks of 256')

    def test_truncated_and_damaged_files(self):
        path = fresh("damaged") / "m.gguf"
        whole = gguf_files.write(path, *quantized(self.KINDS)).read_bytes()
        draw = random.Random(5)
        for size in [draw.randrange(len(whole) - 32) for _ in range(8)]:
            path.write_bytes(whole[:size])
            self.fails("inspect", path, says="m.gguf")
        header = len(whole) - sum(len(gguf_files.padded(tensor.data)) for tensor in gguf_files.read_bytes(whole)[1])
        for _ in range(25):
            damaged = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(header)] = draw.randrange(256)
            path.write_bytes(damaged)
            done = linnet("inspect", path)
            self.assertIn(done.code, (0, 1), done.err)  # a changed letter of a token goes unnoticed
            if done.code:
                self.assertRegex(done.err, r"\Alinnet: error: .*\n\Z")


@functools.cache
def llama():
    """A GGUF file in f32 of two small layers whose heads share keys."""
    folder = fresh("llama")
    width, inner, vocabulary, key_width, layers = 64, 96, 48, 32, 2
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width, "vocab_size": vocabulary,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False}))
    shapes = {"model.embed_tokens": [vocabulary, width], "model.norm": [width], "lm_head": [vocabulary, width]}
    for layer in range(layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in {
            "input_layernorm": [width], "post_attention_layernorm": [width], "self_attn.q_proj": [width, width],
            "self_attn.k_proj": [key_width, width], "self_attn.v_proj": [key_width, width],
            "self_attn.o_proj": [width, width], "mlp.gate_proj": [inner, width], "mlp.up_proj": [inner, width],
            "mlp.down_proj": [width, inner]}.items()}
    draw, header, data = random.Random(3), {}, b""
    for name, shape in shapes.items():
        begin = len(data)
        data += struct.pack(f"<{math.prod(shape)}f", *[draw.uniform(-0.3, 0.3) for _ in range(math.prod(shape))])
        header[name + ".weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    make("export", folder, "--format", "gguf", "--dtype", "f32", "-o", folder / "m.gguf")
    return folder / "m.gguf"


class Kept(TestCase):
    # Layer 0 multiplies q and k together, and v alone; layer 1 multiplies all three together.
    LLAMA = {"token_embd.weight": "Q4_1", "output.weight": "Q8_0", "blk.0.attn_q.": "Q4_0", "blk.0.attn_k.": "Q4_0",
             "blk.0.attn_v.": "Q8_0", "blk.1.attn_q.": "Q4_1", "blk.1.attn_k.": "Q4_1", "blk.1.attn_v.": "Q4_1",
             "ffn_gate": "Q5_0", "ffn_up": "IQ4_NL", "ffn_down": "Q4_1"}
    # Rows of the second matrix of an MLP have 512 elements.
    GPT2 = {"token_embd.weight": "Q8_0", "blk.0.attn_qkv.weight": "Q4_0", "blk.1.attn_qkv.weight": "Q4_1",
            "blk.2.attn_qkv.weight": "Q5_0", "blk.0.ffn_up.weight": "IQ4_NL", "blk.0.ffn_down.weight": "Q4_K",
            "blk.2.ffn_down.weight": "Q6_K", "blk.3.attn_qkv.weight": "F16"}

    def file(self, name, source, kinds):
        return gguf_files.write(fresh(name) / "m.gguf", *quantized(kinds, source))

    def logits(self, path, target, *options):
        """What the compiler reports, and the logits of every position."""
        artifact, output = fresh("kept") / "m.linnet", fresh("kept") / "logits.npy"
        device = target.partition(":")[0]
        done = self.succeeds("compile", path, "--target", target, "--kv-cache", "f32", *options, "-o", artifact, "--json")
        self.succeeds("logits", artifact, "--device", device, "--ids", "1,2,3,4,5,6,7,8,9,10", "--all", "-o", output)
        return done.json, list(read_npy(output)[1])

    def test_the_interpreter_computes_the_bits_of_f32(self):
        for name, source, kinds in (("gpt2", exported(), self.GPT2), ("llama", llama(), self.LLAMA)):
            with self.subTest(name):
                path = self.file(name, source, kinds)
                report, kept = self.logits(path, "reference")
                self.assertEqual(report["dtype"], "keep")
                self.assertEqual(kept, self.logits(path, "reference", "--dtype", "f32")[1])

    def test_every_backend_computes_nearly_the_same(self):
        exact = ["--disable-pass", "linnet-quantize-rows", "--disable-pass", "linnet-round-attention"]
        for name, source, kinds in (("gpt2", exported(), self.GPT2), ("llama", llama(), self.LLAMA)):
            path = self.file(name, source, kinds)
            expected = self.logits(path, "reference")[1]
            largest = max(map(abs, expected))
            for target in ("cpu:native", "vulkan") if name == "llama" and has_vulkan() else ("cpu:native",):
                with self.subTest(name, target=target):
                    found = self.logits(path, target, *exact)[1]
                    self.assertLess(max(abs(a - b) for a, b in zip(found, expected)), 1e-3 * largest)

    def test_verified_passes(self):
        path = self.file("verified", llama(), {**self.LLAMA, "blk.1.ffn_gate": "Q5_1"})
        self.logits(path, "cpu:native", "--verify-passes")

    def test_the_types_and_their_errors_are_printed(self):
        path = self.file("types", exported(), Quantized.KINDS)
        done = self.succeeds("compile", path, "--target", "cpu:native", "-o", path.parent / "m.linnet")
        line = next(line for line in done.err.splitlines() if "--dtype keep" in line)
        for part in ("Q8_0 as int8 in groups of 32 (1 tensor, exact)", "Q4_0 as int4 in groups of 32 (1 tensor, exact)",
                     "Q4_1 as int4a in groups of 32 (1 tensor, exact)", "Q4_K as int4a in groups of 32 (1 tensor, exact)",
                     "Q5_0 as int8 in groups of 32 (1 tensor, exact)", "IQ4_NL as int8 in groups of 32 (1 tensor, exact)",
                     "Q6_K as int8 in groups of 16 (1 tensor, exact)"):
            self.assertIn(part, line)
        self.assertRegex(line, r"Q5_1 as f16 \(1 tensor, relative error [1-3]\.\de-04\)")
        self.assertRegex(line, r"Q5_K as f16 \(1 tensor, relative error [1-3]\.\de-04\)")
        self.assertRegex(line, r"F32 as f32 \(\d+ tensors, exact\)")
        sizes = [self.succeeds("compile", path, "--dtype", dtype, "--target", "cpu:native", "-o", path.parent / "n.linnet",
                               "--json").json["artifact_bytes"] for dtype in ("keep", "f32")]
        self.assertLess(sizes[0], sizes[1])

    def test_other_inputs_are_refused(self):
        for path, says in ((tiny(), "a checkpoint in safetensors"), (exported(), "a GGUF file without any")):
            self.fails("compile", path, "--dtype", "keep", "-o", path.parent / "no.linnet",
                       says=f"{path.name}: --dtype keep is for a GGUF file with quantized weights, found {says}")
        self.assertEqual(self.succeeds("compile", exported(), "--target", "reference", "-o", FOLDER / "f.linnet",
                                       "--json").json["dtype"], "f32")


class Metadata(TestCase):
    TEMPLATE = "{% for message in messages %}" + "{{ message['content'] }}é\n" * 20 + "{% endfor %}"

    def inspected(self, **metadata):
        kept, tensors = gguf_files.read(exported())
        kept.pop("general.name")
        path = gguf_files.write(fresh("metadata") / "m.gguf", {**kept, **metadata}, tensors)
        return self.succeeds("inspect", path, "--json").json["metadata"], self.succeeds("inspect", path).out

    def test_what_a_file_says_about_its_model(self):
        keys = {"general.name": gguf_files.string("A\nname"), "general.languages": gguf_files.strings(["en", "de"]),
                "general.size": gguf_files.number(7), "general.scale": gguf_files.f32(0.5),
                "tokenizer.chat_template": gguf_files.string(self.TEMPLATE),
                "tokenizer.chat_template.tools": gguf_files.string("{{ tools }}"), "another.key": gguf_files.number(1)}
        found, out = self.inspected(**keys)
        self.assertEqual(found, {
            "general.architecture": "gpt2", "general.file_type": 0, "general.languages": ["en", "de"],
            "general.name": "A\nname", "general.scale": 0.5, "general.size": 7,
            "tokenizer.chat_template": self.TEMPLATE, "tokenizer.chat_template.tools": "{{ tools }}"})
        for line in ('  general.name: "A\\nname"', '  general.languages: ["en","de"]', "  general.size: 7",
                     f"... ({len(self.TEMPLATE.encode())} bytes)", '  tokenizer.chat_template.tools: "{{ tools }}"'):
            self.assertIn(line + "\n", out)
        self.assertNotIn("\\x", out)  # a template is not cut inside of a character

    def test_values_of_other_types_and_hostile_ones(self):
        found, out = self.inspected(**{
            "general.name": gguf_files.number(5), "tokenizer.chat_template": gguf_files.strings([]),
            "general.nan": gguf_files.f32(float("nan")), "general.bytes": gguf_files.string(b"\xff\x1b[31m"),
            "general.line\nbreak": gguf_files.number(1), "general.": gguf_files.string("")})
        self.assertEqual(found, {
            "general.": "", "general.architecture": "gpt2", "general.bytes": "\ufffd\x1b[31m", "general.file_type": 0,
            "general.name": 5, "general.nan": "nan", "tokenizer.chat_template": []})
        self.assertNotIn("\x1b", out)
        many, _ = self.inspected(**{f"general.z{i:05}": gguf_files.number(i) for i in range(1000)})
        self.assertEqual(len(many), 256)  # the first ones


class Split(TestCase):
    def files(self, parts=3):
        return gguf_files.write_split(fresh("split"), *gguf_files.read(exported()), parts)

    def test_any_of_them_opens_all(self):
        whole = self.succeeds("run", exported(), "--prompt", "hi", "-n", "6").out
        tensors = self.succeeds("inspect", exported(), "--json").json["tensors"]
        for path in self.files():
            with self.subTest(path.name):
                self.assertEqual(self.succeeds("inspect", path, "--json").json["tensors"], tensors)
                self.assertEqual(self.succeeds("run", path, "--prompt", "hi", "-n", "6").out, whole)
                self.assertEqual(self.succeeds("tokenize", path, "--prompt", "hi", "--ids").out, "71,72\n")

    def test_a_change_of_any_of_them_is_noticed(self):
        first, second, third = self.files()
        before = self.succeeds("run", first, "--ids", "1,2,3", "-n", "6")
        self.assertIn("using", self.succeeds("run", first, "--ids", "1,2,3", "-n", "6").err)
        metadata, tensors = gguf_files.read(third)
        for tensor in tensors:
            tensor.data = bytes(len(tensor.data))
        gguf_files.write(third, metadata, tensors)
        after = self.succeeds("run", first, "--ids", "1,2,3", "-n", "6")
        self.assertIn("compiled in", after.err)
        self.assertNotEqual(before.out, after.out)

    def test_missing_and_foreign_ones_are_named(self):
        first, second, third = self.files()
        second.rename(second.parent / "away")
        for path in (first, third):
            for command in (["inspect", path], ["run", path, "--ids", "1"], ["tokenize", path, "--prompt", "hi"]):
                self.fails(*command, says=f"{second}: missing: {path} is split file ")
            self.fails("compile", path, "-o", path.parent / "x.linnet", says="model-00002-of-00003.gguf: missing")
        self.leaves_nothing(first.parent, "away", first.name, third.name)
        shutil.copy(third, second)
        self.fails("inspect", first, says=f"{second}: expected split file 2 of 3, found 3 of 3")
        shutil.copy(exported(), second)
        self.fails("inspect", first, says=f"{second}: expected split file 2 of 3, found a whole model")
        second.write_bytes((second.parent / "away").read_bytes()[:1000])
        self.fails("inspect", third, says=f"{second}: ")
        third.rename(third.parent / "m.gguf")
        self.fails("inspect", third.parent / "m.gguf",
                   says="m.gguf: split file 3 of 3 is expected to have a name that ends with -00003-of-00003.gguf")


if __name__ == "__main__":
    main()
