"""Checkpoints and graphs that are damaged, hostile or contradict themselves: one clear line, and no files left."""
import random
from harness import *


def rewritten(change, model=None):
    """A copy of a golden checkpoint whose safetensors header and data went through `change(header, body)`."""
    copy = copy_of(model or GOLDEN / "odd", "rewritten")
    header, body = read_header(copy / "model.safetensors")
    new = change(header, body)
    write_safetensors(copy / "model.safetensors", *(new or (header, body)))
    return copy


def configured(**changes):
    copy = copy_of(GOLDEN / "odd", "configured")
    config = json.loads((copy / "config.json").read_text())
    for key, value in changes.items():
        config.pop(key) if value is None else config.update({key: value})
    (copy / "config.json").write_text(json.dumps(config))
    return copy


class BadInput(TestCase):
    def refused(self, model, says=(), *options):
        folder = model.parent if model.is_file() else model
        before = sorted(os.listdir(folder))
        out = fresh("out")
        self.fails("compile", model, *options, "-o", out / "x.linnet", says=says)
        self.leaves_nothing(out)
        cache = fresh("cache")
        done = self.fails("run", model, "--ids", "1,2", says=says, env=environment(LINNET_CACHE_DIR=str(cache)))
        left = [name for _, _, names in os.walk(cache) for name in names if name.endswith(".linnet") or ".tmp" in name]
        self.assertEqual(left, [])
        self.assertEqual(sorted(os.listdir(folder)), before)
        return done.err


class Safetensors(BadInput):
    def test_truncated(self):
        whole = (GOLDEN / "odd" / "model.safetensors").read_bytes()
        for size in (0, 4, 8, 9, 100, 3000, len(whole) // 2, len(whole) - 1):
            with self.subTest(size=size):
                copy = copy_of(GOLDEN / "odd", "truncated")
                (copy / "model.safetensors").write_bytes(whole[:size])
                self.refused(copy, "model.safetensors")

    def test_header_length_beyond_the_file(self):
        whole = (GOLDEN / "odd" / "model.safetensors").read_bytes()
        for length in (len(whole), 2 ** 31, 2 ** 63 - 1, 2 ** 64 - 1):
            with self.subTest(length=length):
                copy = copy_of(GOLDEN / "odd", "length")
                (copy / "model.safetensors").write_bytes(struct.pack("<Q", length) + whole[8:])
                self.refused(copy, "model.safetensors")

    def test_hostile_headers(self):
        def offsets(begin, end):
            def change(header, body):
                header["wpe.weight"]["data_offsets"] = [begin, end]
            return change

        def shape(*dims):
            def change(header, body):
                header["wpe.weight"]["shape"] = list(dims)
            return change

        def field(key, value):
            def change(header, body):
                header["wpe.weight"][key] = value
            return change

        for name, change in (("overlap", offsets(0, 29 * 42 * 4)), ("beyond", offsets(2 ** 40, 2 ** 40 + 29 * 42 * 4)),
                             ("overflow", offsets(2 ** 63, 2 ** 63 + 29 * 42 * 4)), ("backwards", offsets(400, 0)),
                             ("negative", offsets(-4, 29 * 42 * 4 - 4)), ("fraction", offsets(0.5, 1.5)),
                             ("absurd", shape(2 ** 62, 2 ** 62)), ("large", shape(2 ** 31, 2 ** 31, 2 ** 31)),
                             ("minus", shape(-29, -42)), ("wrong shape", shape(42, 29)), ("rank", shape(29 * 42)),
                             ("type", field("dtype", "F64")), ("kind", field("dtype", "I32")),
                             ("no type", field("dtype", "FOO")), ("list", field("dtype", [])),
                             ("dict", field("shape", {})), ("null", field("data_offsets", None))):
            with self.subTest(name):
                self.refused(rewritten(change), "model.safetensors")

    def test_headers_that_are_no_header(self):
        _, body = read_header(GOLDEN / "odd" / "model.safetensors")
        deep = b'{"a":' * 100000 + b"1" + b"}" * 100000
        arrays = b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}"
        twice = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
        for name, text in (("empty", b""), ("no json", b"hello"), ("list", b"[]"), ("open", b'{"a":'), ("deep", deep),
                           ("arrays", arrays), ("twice", twice), ("utf-8", b'{"\xff\xfe": 1}'), ("nul", b"\0" * 64)):
            with self.subTest(name):
                self.refused(rewritten(lambda h, b: (text, body)), "model.safetensors")

    def test_tensors_missing_or_of_another_shape(self):
        def missing(header, body):
            header["another"] = header.pop("h.1.mlp.c_fc.bias")  # its bytes stay: there is no hole
        self.refused(rewritten(missing), "h.1.mlp.c_fc.bias")

        def swapped(header, body):
            header["h.0.attn.c_attn.weight"]["shape"].reverse()
        self.refused(rewritten(swapped), ["h.0.attn.c_attn.weight", "42", "126"])

    def test_noise_never_crashes(self):
        whole = (GOLDEN / "odd" / "model.safetensors").read_bytes()
        size, = struct.unpack_from("<Q", whole)
        draw = random.Random(3)
        copy = copy_of(GOLDEN / "odd", "noise")
        for _ in range(25):
            damaged = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(8 + size)] = draw.randrange(256)
            (copy / "model.safetensors").write_bytes(damaged)
            done = linnet("inspect", copy)
            self.assertIn(done.code, (0, 1), done.err)  # a changed letter of an unused name may go unnoticed
            if done.code:
                self.assertRegex(done.err, r"\Alinnet: error: .*\n\Z")

    def test_shards(self):
        copy = copy_of(GOLDEN / "odd", "shards")
        header, body = read_header(copy / "model.safetensors")
        (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
        index = {"metadata": {}, "weight_map": {name: "model-00001-of-00002.safetensors" for name in header}}

        def with_index(**changes):
            text = json.dumps({**index, "weight_map": {**index["weight_map"], **changes}})
            (copy / "model.safetensors.index.json").write_text(text)
        with_index()
        self.succeeds("inspect", copy)
        with_index(**{"ln_f.bias": "model-00002-of-00002.safetensors"})
        self.refused(copy, "model-00002-of-00002.safetensors")
        with_index(**{"ln_f.bias": "../../etc/passwd"})
        self.refused(copy, "passwd")
        with_index(**{"ln_f.bias": 7})
        self.refused(copy, "model.safetensors.index.json")
        (copy / "model.safetensors.index.json").write_text("{")
        self.refused(copy, "model.safetensors.index.json")
        (copy / "model.safetensors.index.json").unlink()
        self.refused(copy, "model.safetensors")


def with_numbers(name, value, element=None):
    """A copy of a golden checkpoint, one element of a tensor or all of them replaced."""
    def change(header, body):
        begin, end = header[name]["data_offsets"]
        values = array.array("f", body[begin:end])
        for i in range(len(values)) if element is None else [element]:
            values[i] = value
        return header, body[:begin] + values.tobytes() + body[end:]
    return rewritten(change)


class Numbers(BadInput):
    def test_weights_that_are_no_numbers(self):
        for value, says in ((float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")):
            for dtype in ("f32", "bf16", "int8", "auto"):
                with self.subTest(value=value, dtype=dtype):
                    model = with_numbers("h.1.mlp.c_fc.weight", value, 77)
                    self.refused(model, ["tensor 'h.1.mlp.c_fc.weight'", f"element 77 is {says}, expected a finite number"],
                                 *(() if dtype == "f32" else ("--dtype", dtype)))

    def test_weights_beyond_f16(self):
        model, out = with_numbers("h.0.mlp.c_fc.weight", -65520.0, 5), fresh("out")
        self.fails("compile", model, "--dtype", "f16", "-o", out / "x.linnet", says=["h.0.mlp.c_fc.weight", "65520 is beyond the range of f16"])
        self.leaves_nothing(out)
        self.succeeds("compile", with_numbers("h.0.mlp.c_fc.weight", -65519.0, 5), "--dtype", "f16", "-o", out / "x.linnet")

    def test_auto_passes_over_a_type_that_cannot_hold_the_weights(self):
        model, out = with_numbers("h.0.mlp.c_fc.weight", -65520.0, 5), fresh("out") / "x.linnet"
        done = self.succeeds("compile", model, "--target", "vulkan", "--dtype", "auto", "--max-divergence", 0, "-o", out, "--json").json
        self.assertEqual([t["dtype"] for t in done["tried"]], ["int4", "int8", "f16", "bf16"])
        self.assertIn("65520 is beyond the range of f16", done["tried"][2]["failure"])
        self.assertGreater(done["tried"][3]["divergence"], 0)
        self.assertEqual(done["dtype"], "f32")

    def test_sums_that_overflow(self):
        """Every weight is a number, no logit is: no token, whichever way it would be chosen."""
        out = fresh("out") / "x.linnet"
        self.succeeds("compile", with_numbers("wte.weight", 3e38), "-o", out)
        for options in ((), ("--do-sample",), ("--do-sample", "--top-k", "0"), ("--do-sample", "--top-p", "0.5"), ("--repetition-penalty", "1.3")):
            with self.subTest(options=options):
                self.fails("run", out, "--ids", "1,2,3", *options, says="the model's logit after 3 tokens is nan, expected a finite number")


class Config(BadInput):
    def test_contradictions(self):
        for changes, says in (({"vocab_size": 102}, "wte.weight"), ({"n_embd": 45}, "45"), ({"n_layer": 3}, "h.2."),
                              ({"n_positions": 30, "n_ctx": 30}, "wpe.weight"), ({"n_head": 4}, "n_head"),
                              ({"n_head": 0}, "n_head"), ({"n_layer": -1}, "n_layer"), ({"n_embd": "42"}, "n_embd"),
                              ({"n_embd": 1e18}, "n_embd"), ({"n_inner": 100}, "c_fc"),
                              ({"activation_function": "mish"}, "mish"), ({"layer_norm_epsilon": "small"}, "layer_norm"),
                              ({"layer_norm_epsilon": -1}, "layer_norm"), ({"n_embd": None}, "wte.weight"),
                              ({"model_type": "mamba"}, "mamba"), ({"vocab_size": 2 ** 40}, "vocab_size"),
                              ({"eos_token_id": 101}, "eos_token_id is expected to be from -1 to 100, found 101"),
                              ({"eos_token_id": -2}, "eos_token_id"), ({"bos_token_id": 50257}, "bos_token_id"),
                              ({"pad_token_id": 103}, "pad_token_id")):
            with self.subTest(changes=changes):
                self.refused(configured(**changes), says)

    def test_special_ids_that_no_token_has(self):
        """The default that transformers' GPT2Config writes, and a missing one."""
        for number in (50256, -1):
            self.succeeds("inspect", configured(eos_token_id=number, bos_token_id=number))

    def test_settings_that_change_the_numbers(self):
        for changes, name in (({"add_cross_attention": True}, "add_cross_attention"),
                              ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config")):
            with self.subTest(changes=changes):
                self.refused(configured(**changes), name)

    def test_files_that_are_no_config(self):
        for text in (b"", b"{", b"[]", b"null", b'{"a":' * 5000, b"\xff\xfe{}", b'{"n_embd": 42, "n_embd": 43}'):
            with self.subTest(text=text[:20]):
                copy = copy_of(GOLDEN / "odd", "config")
                (copy / "config.json").write_bytes(text)
                self.refused(copy, "config.json")
        copy = copy_of(GOLDEN / "odd", "config")
        (copy / "config.json").unlink()
        self.refused(copy, "config.json")


class TokenizerFiles(BadInput):
    def tokenizer(self, name, change):
        """A copy of the preset that has vocab.json and merges.txt alone, one of them changed."""
        copy = copy_of(tiny(), "tokenizer")
        for file in copy.iterdir():
            if file.name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
                file.unlink()
        (copy / name).write_bytes(change((copy / name).read_bytes()))
        return copy

    def test_broken_files(self):
        vocab = json.loads((tiny() / "vocab.json").read_bytes())
        extra = json.dumps({**vocab, "zzz": 10 ** 6}).encode()
        twice = json.dumps({**vocab, "zzz": 0}).encode()
        for name, change in (("merges.txt", lambda b: b + b"onlyone\n"), ("merges.txt", lambda b: b + b"a b c\n"),
                             ("merges.txt", lambda b: b + "Ġnot Ġthere\n".encode()), ("merges.txt", lambda b: b + b"\xff \xfe\n"),
                             ("vocab.json", lambda b: b[:len(b) // 2]), ("vocab.json", lambda b: b"[]"),
                             ("vocab.json", lambda b: b'{"a": "b"}'), ("vocab.json", lambda b: b'{"a": -1}'),
                             ("vocab.json", lambda b: twice)):
            with self.subTest(name=name, result=change(b"x")[:16]):
                copy = self.tokenizer(name, change)
                self.refused(copy, [])
                self.fails("tokenize", copy, "--prompt", "abc")
        self.refused(self.tokenizer("vocab.json", lambda b: extra), [])

    def test_one_of_a_pair(self):
        for name in ("vocab.json", "merges.txt"):
            copy = self.tokenizer(name, lambda b: b)
            (copy / name).unlink()
            self.refused(copy, name)

    def test_a_vocabulary_larger_than_the_embedding(self):
        copy = copy_of(tiny(), "vocabulary")
        vocabulary = fresh("larger")
        (vocabulary / "text.txt").write_text("".join(f"word{i} word{i} other{i} other{i}\n" for i in range(3000)))
        size = json.loads((copy / "config.json").read_text())["vocab_size"]
        make("tokenizer", "train", "--vocab-size", size + 50, "--min-frequency", 1, "-o", vocabulary / "v", vocabulary / "text.txt")
        shutil.copytree(vocabulary / "v", copy, dirs_exist_ok=True)
        self.refused(copy, str(size))


class Gguf(BadInput):
    def setUp(self):
        path = FOLDER / "whole.gguf"
        if not path.exists():
            make("export", tiny(), "--format", "gguf", "-o", path)
        self.whole = path.read_bytes()

    def changed(self, data):
        path = fresh("gguf") / "m.gguf"
        path.write_bytes(data)
        return path

    def test_truncated(self):
        for size in (0, 3, 4, 8, 16, 23, 24, 100, 1000, len(self.whole) // 2, len(self.whole) - 1):
            with self.subTest(size=size):
                self.refused(self.changed(self.whole[:size]), "m.gguf")

    def test_absurd_counts(self):
        for offset in (8, 16):  # tensors, metadata
            for count in (2 ** 32, 2 ** 63, 2 ** 64 - 1):
                with self.subTest(offset=offset, count=count):
                    damaged = bytearray(self.whole)
                    struct.pack_into("<Q", damaged, offset, count)
                    self.refused(self.changed(damaged), "m.gguf")

    def test_another_version_or_architecture(self):
        damaged = bytearray(self.whole)
        struct.pack_into("<I", damaged, 4, 77)
        self.refused(self.changed(damaged), "77")
        self.assertIn(b"gpt2", self.whole)
        at = self.whole.index(b"general.architecture") + len("general.architecture") + 4 + 8
        self.assertEqual(self.whole[at:at + 4], b"gpt2")
        self.refused(self.changed(self.whole[:at] + b"moon" + self.whole[at + 4:]), "moon")

    def test_noise_never_crashes(self):
        draw = random.Random(5)
        path = self.changed(self.whole)
        for _ in range(25):
            damaged = bytearray(self.whole)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(min(len(damaged), 20000))] = draw.randrange(256)
            path.write_bytes(damaged)
            done = linnet("inspect", path)
            self.assertIn(done.code, (0, 1), done.err)
            if done.code:
                self.assertRegex(done.err, r"\Alinnet: error: .*\n\Z")


class Mlir(BadInput):
    def test_malformed(self):
        good = "func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {\n  return %x : tensor<2x3xf32>\n}\n"
        body = good.split("  return")[0]
        for name, text in (("empty", ""), ("noise", "what is this"), ("open", good[:60]), ("nul", "\0\0\0"),
                           ("deep", "(" * 100000), ("types", "func.func @f(%x: " + "tuple<" * 50000),
                           ("no such op", body + "  %0 = linnet.frobnicate %x : tensor<2x3xf32>\n  return %x : tensor<2x3xf32>\n}"),
                           ("other dialect", body + '  %0 = "arith.addf"(%x, %x) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>\n'
                                                    "  return %0 : tensor<2x3xf32>\n}"),
                           ("shapes", body + "  %0 = linnet.matmul %x, %x : tensor<2x3xf32>, tensor<2x3xf32>\n"
                                             "  return %x : tensor<2x3xf32>\n}"),
                           ("undefined", body + "  return %y : tensor<2x3xf32>\n}"),
                           ("huge", good.replace("2x3", "9999999999999x999999999")),
                           ("no bound", good.replace("2x3xf32>", "?x3xf32, #linnet.dims<batch>>"))):
            with self.subTest(name):
                path = fresh("mlir") / "graph.mlir"
                path.write_text(text)
                out = fresh("out")
                self.fails("compile", path, "-o", out / "x.linnet", says="graph.mlir")
                self.leaves_nothing(out)

    def test_parameters_that_are_not_there(self):
        folder = fresh("mlir")
        (folder / "graph.mlir").write_text('func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {\n  %w = linnet.param "w" : tensor<3xf32>\n'
                                           "  %0 = linnet.add %x, %w : tensor<2x3xf32>, tensor<3xf32>\n  return %0 : tensor<2x3xf32>\n}\n")
        self.fails("compile", folder / "graph.mlir", "-o", folder / "x", says="w")
        write_safetensors(folder / "v.safetensors", {"v": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}, b"\0" * 12)
        self.fails("compile", folder / "graph.mlir", "--weights", folder / "v.safetensors", "-o", folder / "x", says="w")
        write_safetensors(folder / "w.safetensors", {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"\0" * 16)
        self.fails("compile", folder / "graph.mlir", "--weights", folder / "w.safetensors", "-o", folder / "x", says="w")
        self.leaves_nothing(folder, "graph.mlir", "v.safetensors", "w.safetensors")


if __name__ == "__main__":
    main()
