"""Checkpoints as people have them: names that wrappers change, files of torch.save, keys of config.json, files that are something else."""
import torch_files
from torch_files import Parameter, Storage, Tensor, saved, saved_before_1_6, state_dict
from harness import *

ODD = GOLDEN / "odd"


def weights():
    return read_safetensors(ODD / "model.safetensors")


def directory(name, **changes):
    """A directory with the golden model's config.json alone."""
    to = fresh(name)
    config = json.loads((ODD / "config.json").read_text())
    config.update(changes)
    (to / "config.json").write_text(json.dumps(config))
    return to


def torch_tensors(prefix="transformer.", kind="Float"):
    code = {"Float": "f", "Half": "e"}[kind]
    return {prefix + name: Tensor(Storage(struct.pack(f"<{len(values)}{code}", *values), kind), shape)
            for name, (shape, values) in weights().items()}


class Exported(TestCase):
    def same(self, model, *options, expected=None):
        """Exports it, and compares every tensor with the golden model's, bit for bit."""
        out = fresh("exported") / "model"
        self.succeeds("export", model, "--format", "safetensors", *options, "-o", out)
        found = {name.removeprefix("transformer."): tensor for name, tensor in read_safetensors(out / "model.safetensors").items()}
        self.assertEqual(found, expected or weights())
        return out


class Torch(Exported):
    def test_files_of_torch_save(self):
        for name, data in (("zip", saved(state_dict(torch_tensors()))), ("plain names", saved(torch_tensors(""))),
                           ("old", saved_before_1_6(state_dict(torch_tensors()))),
                           ("parameters", saved({name: Parameter(tensor) for name, tensor in torch_tensors().items()})),
                           ("protocol 4", saved(torch_tensors(), protocol=4))):
            with self.subTest(name):
                model = directory("torch")
                (model / "pytorch_model.bin").write_bytes(data)
                self.same(model)
                self.assertEqual(self.succeeds("inspect", model, "--json").json["format"], "pytorch")
        self.assertEqual(self.succeeds("run", model, "--ids", "1,2,3", "-n", "4").out, self.succeeds("run", ODD, "--ids", "1,2,3", "-n", "4").out)
        self.same(model / "pytorch_model.bin")

    def test_a_tied_head_and_buffers(self):
        tensors = torch_tensors()
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"]  # one storage
        tensors["transformer.h.0.attn.bias"] = Tensor(Storage(bytes(29 * 29), "Bool"), (1, 1, 29, 29))
        tensors["transformer.h.0.attn.masked_bias"] = Tensor(Storage(struct.pack("<f", -1e4)), ())
        model = directory("torch")
        (model / "pytorch_model.bin").write_bytes(saved(state_dict(tensors)))
        self.same(model)

    def test_a_transposed_matrix_and_parts_of_one_storage(self):
        tensors, name = torch_tensors(), "transformer.h.0.mlp.c_fc.weight"
        shape, values = weights()["h.0.mlp.c_fc.weight"]
        by_column = [values[row * shape[1] + column] for column in range(shape[1]) for row in range(shape[0])]
        both = Storage(struct.pack(f"<{len(values) + 42}f", *weights()["ln_f.bias"][1], *by_column))
        tensors[name] = Tensor(both, shape, (1, shape[0]), 42)
        tensors["transformer.ln_f.bias"] = Tensor(both, (42,))
        model = directory("torch")
        (model / "pytorch_model.bin").write_bytes(saved(tensors))
        self.same(model)
        tensors[name] = Tensor(both, (shape[0], shape[1] // 2), (2 * shape[1], 2))
        (model / "pytorch_model.bin").write_bytes(saved(tensors))
        self.fails("inspect", model, says=[name, "strides", ".contiguous()"])

    def test_f16(self):
        model = directory("torch")
        (model / "pytorch_model.bin").write_bytes(saved(torch_tensors(kind="Half")))
        half = {name: (shape, list(struct.unpack(f"<{len(v)}e", struct.pack(f"<{len(v)}e", *v)))) for name, (shape, v) in weights().items()}
        self.same(model, "--dtype", "f32", expected=half)

    def test_shards(self):
        model, tensors = directory("torch"), torch_tensors()
        names = sorted(tensors)
        index = {"weight_map": {}}
        for part, chosen in enumerate((names[::2], names[1::2]), 1):
            file = f"pytorch_model-0000{part}-of-00002.bin"
            (model / file).write_bytes(saved({name: tensors[name] for name in chosen}))
            index["weight_map"].update(dict.fromkeys(chosen, file))
        (model / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        self.same(model)
        (model / "pytorch_model-00002-of-00002.bin").unlink()
        self.fails("inspect", model, says="shard pytorch_model-00002-of-00002.bin is missing")

    def test_a_pickle_runs_nothing(self):
        class Command:
            def __init__(self, function, *arguments):
                self.call = function, arguments

            def __reduce__(self):
                return self.call
        trace = FOLDER / "a-pickle-ran"
        model = directory("hostile")
        for name, value, says in (("system", Command(os.system, f"touch {trace}"), "posix.system"),
                                  ("eval", Command(eval, f"open({str(trace)!r}, 'w')"), "eval"),
                                  ("open", Command(open, str(trace), "w"), "open"),
                                  ("process", Command(subprocess.Popen, ["touch", str(trace)]), "Popen")):
            for saver in (saved, saved_before_1_6):
                for where in ({"transformer.wte.weight": value}, {**torch_tensors(), "extra": value}, value):
                    with self.subTest(name=name, saver=saver.__name__):
                        (model / "pytorch_model.bin").write_bytes(saver(where))
                        self.fails("compile", model, "-o", model / "x.linnet", says=["pytorch_model.bin", says, "only tensors are read, and nothing is run"])
                        self.leaves_nothing(model, "config.json", "pytorch_model.bin")
        self.assertFalse(trace.exists())

    def test_what_is_no_dictionary_of_tensors_is_named(self):
        model, tensors = directory("other"), torch_tensors()
        for value, says in (({"model": tensors, "step": 7}, ['"model" is a dictionary of 28 entries', "state_dict()"]),
                            ({**tensors, "step": 7}, ['"step" is the number 7']), (["a"], ["a list of 1"]),
                            ({3: tensors["transformer.wte.weight"]}, ["the number 3"])):
            (model / "pytorch_model.bin").write_bytes(saved(value))
            self.fails("inspect", model, says=["pytorch_model.bin", *says])
        data = saved(tensors)
        for cut in (0, 4, 100, len(data) // 2, len(data) - 1):
            (model / "pytorch_model.bin").write_bytes(data[:cut])
            self.fails("inspect", model, says="pytorch_model.bin")
        (model / "pytorch_model.bin").write_bytes(saved(tensors, compression=torch_files.zipfile.ZIP_DEFLATED))
        self.fails("inspect", model, says="compressed")
        (model / "pytorch_model.bin").write_bytes(saved(tensors, byteorder=b"big"))
        self.fails("inspect", model, says='byte order "big"')


class Names(Exported):
    def renamed(self, change, metadata=None, **config):
        model = directory("names", **config)
        header, body = read_header(ODD / "model.safetensors")
        renamed = {change(name): info for name, info in header.items() if name != "__metadata__"}
        write_safetensors(model / "model.safetensors", {**renamed, **({"__metadata__": metadata} if metadata else {})}, body)
        return model

    def test_prefixes(self):
        for prefix in ("_orig_mod.transformer.", "module.transformer.", "base_model.model.transformer.", "module._orig_mod."):
            with self.subTest(prefix):
                self.same(self.renamed(lambda name: prefix + name))
        self.fails("run", self.renamed(lambda name: "student." + name), "--ids", "1",
                   says=['tensor "wte.weight" [101, 42] is missing', '"student.wte.weight" [101, 42]'])

    def test_the_tied_tensor_under_its_other_name(self):
        def head_only(name):
            return "lm_head.weight" if name == "wte.weight" else name
        self.same(self.renamed(head_only))
        self.same(self.renamed(head_only, {"transformer.wte.weight": "lm_head.weight"}, tie_word_embeddings=False))
        self.fails("run", self.renamed(head_only, tie_word_embeddings=False), "--ids", "1",
                   says=['"wte.weight" [101, 42] is missing', '"lm_head.weight" is there'])


class Config(TestCase):
    def with_config(self, **changes):
        model = directory("config", **changes)
        shutil.copy(ODD / "model.safetensors", model)
        return model

    def test_keys_that_change_no_numbers(self):
        model = self.with_config(author="me", license="mit", auto_map={"AutoModel": "m.M"}, use_moe=False, note=None, extra={})
        done = self.succeeds("compile", model, "-o", model / "x.linnet", "--json")
        self.assertEqual(done.json["ignored_keys"], ["author", "license", "auto_map", "use_moe", "note", "extra"])
        self.assertIn("ignored, because they change no numbers: author, license, auto_map, use_moe, note, extra", done.err)
        self.assertIn("ignored in config.json, because they change no numbers: author, license", self.succeeds("inspect", model).out)
        self.assertEqual(self.succeeds("run", model, "--ids", "1,2", "-n", "3").out, self.succeeds("run", ODD, "--ids", "1,2", "-n", "3").out)

    def test_keys_that_may_and_set(self):
        model = self.with_config(rotary_dim=64)
        says = ['"rotary_dim" = 64 is not a setting of GPT-2', "--set rotary_dim=null"]
        for command in (("compile", model, "-o", model / "x.linnet"), ("run", model, "--ids", "1"),
                        ("export", model, "--format", "safetensors", "-o", model / "out")):
            self.fails(*command, says=says)
        done = self.succeeds("compile", model, "--set", "rotary_dim=null", "-o", model / "x.linnet", "--json")
        self.assertEqual(done.json["overridden"], ["rotary_dim: null instead of 64"])
        self.assertIn("overridden by --set: rotary_dim: null instead of 64", done.err)
        self.assertEqual(self.succeeds("run", model / "x.linnet", "--ids", "1,2", "-n", "3").out, self.succeeds("run", ODD, "--ids", "1,2", "-n", "3").out)
        self.succeeds("export", model, "--set", "rotary_dim=null", "--format", "safetensors", "-o", model / "clean")
        self.succeeds("run", model / "clean", "--ids", "1")

    def test_set_changes_the_numbers_knowingly(self):
        def logits(*options):
            out = fresh("set") / "x.linnet"
            self.succeeds("compile", ODD, *options, "-o", out)
            return self.succeeds("logits", out, "--ids", "1,2,3", "--json").json["positions"]
        self.assertNotEqual(logits("--set", "activation_function=relu"), logits())
        self.assertEqual(logits("--set", "activation_function=gelu_new"), logits())
        out = fresh("set")
        self.fails("compile", ODD, "--set", "n_layer=3", "-o", out / "x", says='"h.2.ln_1.weight" [42] is missing')
        self.fails("compile", ODD, "--set", "n_layer", "-o", out / "x", code=2, says="expected KEY=VALUE, found 'n_layer'")
        make("export", ODD, "--format", "gguf", "-o", out / "m.gguf")
        self.fails("compile", out / "m.gguf", "--set", "n_layer=3", "-o", out / "x", says="--set is for config.json")
        self.leaves_nothing(out, "m.gguf")


class Gguf(TestCase):
    def test_how_a_text_begins_and_ends(self):
        folder = fresh("gguf")
        model = copy_of(tiny(), "begins")
        config = json.loads((model / "tokenizer_config.json").read_text())
        for changes, ids in (({}, "71,72"), ({"add_bos_token": True}, "256,71,72"), ({"add_eos_token": True}, "71,72,256"),
                             ({"add_bos_token": True, "add_eos_token": True}, "256,71,72,256")):
            (model / "tokenizer_config.json").write_text(json.dumps({**config, **changes}))
            done = self.succeeds("export", model, "--format", "gguf", "-o", folder / "m.gguf")
            self.assertEqual(done.err, "")
            for source in (model, folder / "m.gguf"):
                self.assertEqual(self.succeeds("tokenize", source, "--prompt", "hi", "--ids").out, ids + "\n")

    def test_what_the_file_does_not_hold_is_told(self):
        folder = fresh("told")
        model = copy_of(tiny(), "told")
        (model / "tokenizer.json").unlink()
        config = json.loads((model / "tokenizer_config.json").read_text())
        config["add_prefix_space"] = True
        for token in config["added_tokens_decoder"].values():
            token["lstrip"] = True
        (model / "tokenizer_config.json").write_text(json.dumps(config))
        done = self.succeeds("export", model, "--format", "gguf", "-o", folder / "m.gguf")
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 2, done.err)
        for line, part in zip(lines, ("add_prefix_space", "lstrip and rstrip of <|endoftext|>")):
            self.assertIn(f"m.gguf: gguf loses", line)
            self.assertIn(part, line)
        done = self.succeeds("export", model, "--format", "gguf", "-o", folder / "m.gguf", "--json")
        self.assertEqual(len(done.json["lost"]), 2)
        self.assertEqual(self.succeeds("export", model, "--format", "safetensors", "-o", folder / "m", "--json").json["lost"], [])

    def test_end_tokens_and_settings_that_it_does_not_hold_are_told(self):
        model, to = copy_of(tiny(), "settings"), fresh("settings") / "m.gguf"
        (model / "generation_config.json").write_text('{"eos_token_id": [256, 10], "do_sample": true, "temperature": 0.7}')
        done = self.succeeds("export", model, "--format", "gguf", "-o", to)
        self.assertEqual(done.err.splitlines(), [
            f"linnet: {to}: gguf loses the end token 10: GGUF names one, here 256",
            f"linnet: {to}: gguf loses the settings of generation (do_sample true, temperature 0.7): give them on the command line"])


class OtherFiles(TestCase):
    POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 548118077\n"
    PAGE = b"<!doctype html>\n<html lang=\"en\"><head><title>Sign in</title></head></html>\n"

    def test_pointers_pages_and_empty_files(self):
        for name in ("config.json", "model.safetensors", "vocab.json", "merges.txt", "tokenizer_config.json"):
            model = copy_of(tiny(), "other")
            for extra in ("tokenizer.json",):
                (model / extra).unlink(missing_ok=True)
            self.succeeds("inspect", model)
            for data, says in ((self.POINTER, "a Git LFS pointer"), (self.PAGE, "an HTML page"), (b"", "the file is empty")):
                if name == "merges.txt" and not data:
                    continue  # a tokenizer of bytes has none
                with self.subTest(name=name, says=says):
                    (model / name).write_bytes(data)
                    self.fails("inspect", model, says=[name, says])
        folder = fresh("other")
        for name in ("m.gguf", "m.safetensors", "m.linnet", "pytorch_model.bin", "m"):
            for data, says in ((self.POINTER, "a Git LFS pointer"), (self.PAGE, "an HTML page"), (b"", "the file is empty")):
                (folder / name).write_bytes(data)
                self.fails("run", folder / name, "--ids", "1", says=[name, says])


if __name__ == "__main__":
    main()
