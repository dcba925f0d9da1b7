"""Families of models: one that lives in tests/families, docs/adding-a-family.md, and which folders mention a family."""
import math, re, shlex, sys
from harness import *

sys.path.insert(0, str(ROOT / "tests" / "docs"))
from pages import first_difference, quoted

PAGE = ROOT / "docs" / "adding-a-family.md"
WITH_BAG = environment(LINNET_COMPILER_LIBRARY=os.environ.get("LINNET_BAG_FAMILY") or str(ROOT / "build/release/lib/bag-family.so"))


def bag(*args, **more):
    done = linnet(*args, env=WITH_BAG, **more)
    if done.code != 0:
        raise RuntimeError(f"linnet {' '.join(map(str, args))}: exit code {done.code}: {done.err}")
    return done


@functools.cache
def model():
    bag("init", "--preset", "bag", "--seed", 3, FOLDER / "bag")
    return FOLDER / "bag"


def logits(path, ids, **more):
    name = FOLDER / "logits.npy"
    bag("logits", path, "--ids", ",".join(map(str, ids)), "--all", "-o", name, **more)
    return read_npy(name)[1]


def expected(ids):
    """The logits of each position, computed here."""
    header, body = read_header(model() / "model.safetensors")
    floats = {}
    for name, info in header.items():
        if name != "__metadata__":
            floats[name] = array.array("f", body[slice(*info["data_offsets"])])
    width, rows = 32, 257
    table = [floats["embed.weight"][i * width:(i + 1) * width] for i in range(rows)]
    out = []
    for at in range(len(ids)):
        q = table[ids[at]]
        scores = [sum(a * b for a, b in zip(q, table[i])) / math.sqrt(width) for i in ids[:at + 1]]
        powers = [math.exp(score - max(scores)) for score in scores]
        x = [q[c] + sum(p * table[i][c] for p, i in zip(powers, ids)) / sum(powers) for c in range(width)]
        mean = sum(x) / width
        deviation = math.sqrt(sum((v - mean) ** 2 for v in x) / width + 1e-5)
        x = [(v - mean) / deviation * g + b for v, g, b in zip(x, floats["norm.weight"], floats["norm.bias"])]
        out += [sum(a * b for a, b in zip(x, row)) for row in table]
    return out


class Bag(TestCase):
    IDS = [72, 101, 108, 108, 111]

    def assertSame(self, found, wanted, bound=1e-5):
        self.assertEqual(len(found), len(wanted))
        self.assertLess(max(abs(a - b) for a, b in zip(found, wanted)), bound)

    def test_it_computes_what_it_says(self):
        self.assertSame(logits(model(), self.IDS), expected(self.IDS))

    def test_an_artifact_needs_the_family_no_more(self):
        artifact = FOLDER / "bag.linnet"
        bag("compile", model(), "--target", "cpu:native,reference", "-o", artifact)
        report = self.succeeds("inspect", artifact, "--json").json
        self.assertEqual(report["model"], "language-model")
        for device in ("cpu", "reference"):
            done = self.succeeds("run", artifact, "--prompt", "Hello", "-n", 5, "--device", device, "--json").json
            self.assertEqual(len(done["ids"]), 10)  # with the prompt
        name = FOLDER / "hidden.npy"
        self.succeeds("embed", artifact, "--prompt", "Hello", "-o", name)
        self.assertEqual(len(read_npy(name)[1]), 32)
        done = self.fails("inspect", model(), says='config.json: model_type "bag" is not supported (gpt2, ')
        self.assertEqual(len(done.err.splitlines()), 1)

    def test_both_formats_hold_it(self):
        folder = fresh("formats")
        wanted = logits(model(), self.IDS)
        bag("export", model(), "--format", "gguf", "-o", folder / "bag.gguf")
        self.assertSame(logits(folder / "bag.gguf", self.IDS), wanted, 1e-9)
        bag("export", model(), "--format", "safetensors", "-o", folder / "copy")
        self.assertSame(logits(folder / "copy", self.IDS), wanted, 1e-9)
        header, _ = read_header(folder / "copy" / "model.safetensors")
        self.assertEqual(sorted(set(header) - {"__metadata__"}), ["model.embed.weight", "model.norm.bias", "model.norm.weight"])
        config = json.loads((folder / "copy" / "config.json").read_text())
        self.assertEqual((config["architectures"], config["hidden_size"]), (["BagForCausalLM"], 32))
        done = self.fails("inspect", folder / "bag.gguf", says='general.architecture "bag" is not supported (gpt2, ')
        self.assertEqual(len(done.err.splitlines()), 1)

    def test_it_learns(self):
        folder = fresh("learns")
        (folder / "text.txt").write_text("once upon a time there was a cat. the cat sat on the mat. " * 60)
        report = bag("train", "--preset", "bag", "--tokenizer", model(), "--data", folder / "text.txt", "--seq", 24, "--batch", 8,
                     "--steps", 60, "--lr", 1e-2, "--json", "-o", folder / "lm").json
        self.assertLess(report["held_out_loss"], 4)
        self.assertEqual(json.loads((folder / "lm/config.json").read_text())["max_position_embeddings"], 24)
        lines = [f"{label}\t{text} {i}" for i in range(40) for label, text in (("ham", "come home"), ("spam", "WIN CASH"))]
        (folder / "messages.tsv").write_text("\n".join(lines) + "\n")
        for method in (("--method", "full"), ("--method", "partial", "--norms")):
            done = bag("finetune", model(), "--data", folder / "messages.tsv", "--task", "classify", *method, "--epochs", 6,
                       "--lr", 1e-2, "--json", "-o", folder / method[-1].strip("-")).json
            self.assertEqual(done["accuracy"], 1)
        config = json.loads((folder / "full" / "config.json").read_text())
        self.assertEqual(config["architectures"], ["BagForSequenceClassification"])
        self.assertIn("spam", bag("classify", folder / "full", "--text", "WIN CASH 3").out)
        self.assertEqual(self.trained(folder / "norms", model()), {"model.norm.weight", "model.norm.bias", "score.weight"})

    def trained(self, folder, base):
        """Names of the tensors that differ from the base's."""
        (header, body), (old, old_body) = read_header(folder / "model.safetensors"), read_header(base / "model.safetensors")
        def data(header, body, name):
            return body[slice(*header[name]["data_offsets"])] if name in header else None
        return {name for name in header if name != "__metadata__"
                and data(header, body, name) != data(old, old_body, name.removeprefix("model."))}

    def test_faults_are_named(self):
        broken = copy_of(model(), "broken")
        config = json.loads((broken / "config.json").read_text())
        for change, says in (({"hidden_size": 31}, '"model.embed.weight" is [257, 32]'), ({"norm_eps": 2}, "norm_eps is expected"),
                             ({"attention_bias": True}, "attention_bias = true is not supported (only false)"),
                             ({"rotary_dim": 4}, '"rotary_dim" = 4 is not a setting of the bag of embeddings'),
                             ({"architectures": ["GPT2Model"]}, "GPT2Model is not supported (BagForCausalLM, BagModel")):
            (broken / "config.json").write_text(json.dumps({**config, **change}))
            done = linnet("inspect", broken, env=WITH_BAG)
            self.assertEqual(done.code, 1)
            self.assertIn(says.replace("model.embed", "embed"), done.err)


class Page(TestCase):
    def test_every_block_runs_and_says_what_is_quoted(self):
        folder = fresh("page")
        ran = 0
        for block in (found for found in quoted(str(PAGE.relative_to(ROOT))) if found.block):
            with self.subTest(command=block.text):
                script = re.sub(r"\blinnet (?=[a-z])", lambda _: shlex.quote(LINNET) + " ", block.text)
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=WITH_BAG, text=True,
                                      capture_output=True, timeout=LIMIT)
                self.assertEqual(done.returncode, 0, done.stderr)
                said = (done.stdout + done.stderr).splitlines()
                self.assertIsNone(first_difference(block.output or [], said), "\n".join(said))
                ran += 1
        self.assertGreaterEqual(ran, 4)


class Names(TestCase):
    """A family's names are known in its folder alone."""
    OWN = tuple(f"frontend/{family}/" for family in
                ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma3", "gpt_neox"))
    # Kinds of tokenizers have names of families, which other families use, too.
    TOKENIZERS = ("tokenizer/", "frontend/checkpoint/gguf_tokenizer.cpp", "scripts/compare-tokenizers",
                  "scripts/compare-chat-templates")
    FOLDERS = ["backends", "cmake", "compiler", "examples", "frontend", "ir", "lab", "measure", "passes", "runtime", "scripts", "support",
               "tokenizer", "tools", "training"]
    # Names that are not names of families: transformers' class and llama.cpp's type of a tokenizer, which many families have.
    OTHERS = {"tokenizer/files.cpp": r"GPT2Tokenizer(Fast)?", "tokenizer/save.cpp": r"GPT2Tokenizer",
              "frontend/checkpoint/gguf_model.cpp": r'kBytePairs = "gpt2"|kPieces = "llama"', "frontend/CMakeLists.txt": r"LINNET_FAMILIES .*"}
    FAMILY = re.compile(r"(?i:gpt2|qwen|mistral|gemma|neox)|\b(?i:llama)\b(?!\.cpp|-cpp|-bench)|\b(wte|wpe|ln_f|ln_1|ln_2|c_attn|c_proj|c_fc)\b|\bh\.([0-9{*]|N\b)")

    def test_no_other_folder_mentions_them(self):
        found, read = [], 0
        for folder in self.FOLDERS:
            for path in sorted((ROOT / folder).rglob("*")):
                name = str(path.relative_to(ROOT))
                if not path.is_file() or name.startswith(self.OWN + self.TOKENIZERS):
                    continue
                try:
                    text = path.read_text()
                except UnicodeDecodeError:
                    continue
                read += 1
                for number, line in enumerate(text.splitlines(), 1):
                    if self.FAMILY.search(re.sub(self.OTHERS.get(name, r"(?!)"), "", line)):
                        found.append(f"{name}:{number}: {line.strip()}")
        self.assertGreater(read, 300)
        self.assertEqual(found, [])


if __name__ == "__main__":
    main()
