"""linnet classify, and the checkpoints of classifiers: GPT2ForSequenceClassification, with and without Linnet's own head."""
import array, math, re, shlex
from harness import *

LABELS = ["eggs", "ham", "spam"]


@functools.cache
def classifier():
    make("init", "--preset", "tiny", "--labels", ",".join(LABELS), "--seed", "3", FOLDER / "classifier")
    return FOLDER / "classifier"


def with_head(pooling, hidden, activation):
    """A copy whose scores come through hidden layers, and its head's tensors."""
    folder = copy_of(classifier(), "head")
    header, body = read_header(folder / "model.safetensors")
    width, made = 128, {}
    for i, out in enumerate(hidden):
        made[f"head.{i}.weight"], made[f"head.{i}.bias"] = (width, out), (out,)
        width = out
    made["score.weight"] = (len(LABELS), width)
    header.pop("score.weight")
    tensors = {}
    for name, info in header.items():
        if name != "__metadata__":
            tensors[name] = (info["shape"], body[slice(*info["data_offsets"])])
    values = {}
    for name, shape in made.items():
        values[name] = [math.sin(1.3 * i + len(name)) * 0.2 for i in range(math.prod(shape))]
        tensors[name] = (list(shape), array.array("f", values[name]).tobytes())
    header, body = {}, b""
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    write_safetensors(folder / "model.safetensors", header, body)
    config = json.loads((folder / "config.json").read_text())
    config["_linnet_head"] = {"pooling": pooling, "hidden": hidden, "activation": activation}
    (folder / "config.json").write_text(json.dumps(config))
    return folder, values


def softmax(scores):
    powers = [math.exp(s - max(scores)) for s in scores]
    return [p / sum(powers) for p in powers]


def states(text):
    """The body's last hidden states of a text, a row a token: the same seed makes the same body."""
    if not (FOLDER / "body").exists():
        make("init", "--preset", "tiny", "--seed", "3", FOLDER / "body")
    rows = []
    for end in range(1, len(text) + 1):
        rows.append(make("embed", FOLDER / "body", "--prompt", text[:end], "--json").json["values"])
    return rows


def expected(text, pooling, hidden, values, activation):
    rows = states(text)
    x = {"last": rows[-1], "first": rows[0], "mean": [sum(c) / len(rows) for c in zip(*rows)]}[pooling]
    gelu = {"relu": lambda v: max(v, 0), "gelu": lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2)))}[activation]
    for i, out in enumerate(hidden):
        weight, bias = values[f"head.{i}.weight"], values[f"head.{i}.bias"]
        x = [gelu(sum(x[r] * weight[r * out + c] for r in range(len(x))) + bias[c]) for c in range(out)]
    weight = values["score.weight"]
    return softmax([sum(a * b for a, b in zip(x, weight[r * len(x):])) for r in range(len(LABELS))])


class Classify(TestCase):
    def artifact(self, model):
        path = fresh("artifact") / "m.linnet"
        self.succeeds("compile", model, "--max-batch", 3, "-o", path)
        return path

    def test_the_head_of_transformers(self):
        values = {"score.weight": read_safetensors(classifier() / "model.safetensors")["score.weight"][1]}
        found = self.succeeds("classify", self.artifact(classifier()), "--text", "win", "--json").json
        self.assertEqual(found["labels"], LABELS)
        probabilities = [found["answers"][0]["probabilities"][name] for name in LABELS]
        self.close_to(probabilities, expected("win", "last", [], values, "relu"))
        self.assertEqual(found["answers"][0]["label"], LABELS[probabilities.index(max(probabilities))])

    def test_poolings_and_hidden_layers(self):
        for pooling, hidden, activation in (("mean", [], "gelu"), ("first", [5], "relu"), ("last", [7, 3], "gelu")):
            with self.subTest(pooling=pooling, hidden=hidden):
                model, values = with_head(pooling, hidden, activation)
                found = self.succeeds("classify", model, "--text", "win", "--json").json
                self.close_to([found["answers"][0]["probabilities"][name] for name in LABELS],
                              expected("win", pooling, hidden, values, activation))

    def test_a_batch_is_its_texts_one_by_one(self):
        folder = fresh("texts")
        texts = ["a", "you won", "come home now, dinner is ready", "b", "x" * 300]
        (folder / "t.jsonl").write_text("".join(json.dumps({"text": t, "label": "ham"}) + "\n" for t in texts))
        artifact = self.artifact(classifier())
        together = self.succeeds("classify", artifact, "--file", folder / "t.jsonl", "--json").json["answers"]
        for text, answer in zip(texts, together):
            alone = self.succeeds("classify", artifact, "--text", text, "--json").json["answers"][0]
            self.assertEqual(alone["label"], answer["label"])
            self.close_to(list(answer["probabilities"].values()), list(alone["probabilities"].values()), 1e-5)

    MODELS = ROOT / "tests" / "models"

    def answer(self, model, text, *options):
        return self.succeeds("classify", model, "--text", text, "--json", *options).json["answers"][0]

    def test_one_label_is_its_score_or_its_sigmoid(self):
        """Scores from a forward pass in float64; problem_type as transformers' pipeline reads it."""
        sigmoid = copy_of(self.MODELS / "one_label", "sigmoid")
        config = json.loads((sigmoid / "config.json").read_text())
        config.pop("problem_type")
        (sigmoid / "config.json").write_text(json.dumps(config))
        for text, score in (("good", 3.2226), ("bad", -2.2797)):
            found = self.answer(self.MODELS / "one_label", text)
            self.assertEqual(list(found), ["scores"])
            self.assertAlmostEqual(found["scores"]["LABEL_0"], score, places=4)
            found = self.answer(sigmoid, text)
            self.assertAlmostEqual(found["probabilities"]["LABEL_0"], 1 / (1 + math.exp(-score)), places=4)
            self.assertNotIn("label", found)
        self.assertRegex(self.succeeds("classify", self.MODELS / "one_label", "--text", "good").out, r"(?m)^label +score\nLABEL_0 +3\.222")

    def test_several_labels_at_once(self):
        found = self.answer(self.MODELS / "multi_label", "good")
        self.assertEqual(found["labels"], ["a", "b"])
        self.close_to([found["probabilities"][name] for name in "ab"], [0.9617, 0.9633])
        folder = fresh("several")
        (folder / "t.jsonl").write_text('{"text": "good", "label": "a"}\n')
        done = linnet("classify", self.MODELS / "multi_label", "--file", folder / "t.jsonl", "--labels")
        self.assertEqual((done.code, done.raw), (1, b""))
        self.assertIn("several labels at once", done.err.splitlines()[-1])
        done = linnet("classify", self.MODELS / "one_label", "--file", folder / "t.jsonl", "--labels")
        self.assertIn("gives scores", done.err.splitlines()[-1])
        lines = self.succeeds("classify", self.MODELS / "multi_label", "--file", folder / "t.jsonl").out.splitlines()
        page = (ROOT / "docs/cli.md").read_text()
        for line in lines:
            self.assertIn(f"\n    {line.rstrip()}\n", page)
        self.assertRegex(lines[1], r'a, b +0\.96\d\d, 0\.96\d\d +"good"')

    def test_padding_at_the_end_does_not_count(self):
        for model in ("one_label", "multi_label"):
            plain = self.answer(self.MODELS / model, "good")
            padded = self.answer(self.MODELS / model, "good<|endoftext|><|endoftext|>")
            self.close_to(list(padded["scores"].values()), list(plain["scores"].values()), 1e-5)

    def test_what_linnet_writes_can_be_padded(self):
        config = json.loads((classifier() / "config.json").read_text())
        settings = json.loads((classifier() / "tokenizer_config.json").read_text())
        self.assertEqual((config["pad_token_id"], settings["pad_token"]), (256, "<|endoftext|>"))
        self.assertEqual(json.loads((classifier() / "special_tokens_map.json").read_text())["pad_token"], "<|endoftext|>")

    def test_measures(self):
        folder = fresh("measures")
        (folder / "t.tsv").write_text("ham\tcome home\nspam\twin now\nham\tdinner\n")
        artifact = self.artifact(classifier())
        answers = self.succeeds("classify", artifact, "--file", folder / "t.tsv", "--labels", "--json").json
        said = [a["label"] for a in answers["answers"]]
        self.assertEqual(answers["measures"]["accuracy"], sum(a == b for a, b in zip(said, ["ham", "spam", "ham"])) / 3)
        self.assertEqual(sum(map(sum, answers["measures"]["confusion"])), 3)
        self.assertAlmostEqual(answers["measures"]["largest_label_share"], 2 / 3)
        text = self.succeeds("classify", artifact, "--file", folder / "t.tsv", "--labels").out
        self.assertRegex(text, r"^accuracy [01]\.\d{4} of 3 texts \(always the most frequent label: 0\.6667\)")
        self.assertEqual(len(self.succeeds("classify", artifact, "--file", folder / "t.tsv").out.splitlines()), 4)

    def test_bad_input(self):
        folder = fresh("bad")
        (folder / "t.tsv").write_text("label\ttext\nham\tcome home\nbacon\twin now\n")
        (folder / "n.jsonl").write_text('{"text": "a", "label": 7}\n')
        (folder / "e.tsv").write_text("")
        artifact = self.artifact(classifier())
        self.fails("classify", artifact, "--file", folder / "t.tsv", "--labels", says=["line 3", '"bacon"', "eggs, ham, spam"])
        self.fails("classify", artifact, "--file", folder / "n.jsonl", "--labels", says=["line 1: label 7 is out of range"])
        self.fails("classify", artifact, "--file", folder / "e.tsv", says="no texts in it")
        self.fails("classify", artifact, "--text", "", says="--text is empty")
        self.fails("classify", tiny_artifact(), "--text", "a",
                   says=["expected a classifier", "model.linnet", "type 'linnet run "])
        self.fails("classify", artifact, code=2, says="--text TEXT or --file FILE")

    def test_other_commands_say_what_to_type(self):
        artifact, text = self.artifact(classifier()), fresh("text") / "t.txt"
        text.write_text("come home now\n")
        for args in (("run", "--prompt", "a"), ("logits", "--prompt", "a"), ("eval", "--perplexity", text), ("bench", "-p", 4),
                     ("profile",)):
            with self.subTest(command=args[0]):
                self.fails(args[0], artifact, *args[1:],
                           says=[f"linnet {args[0]} expected a language model, found a classifier of 3 labels (eggs, ham, spam)",
                                 f"type 'linnet classify {artifact} --text TEXT'"])

    def test_embeddings(self):
        """A classifier's vectors are its body's."""
        artifact = self.artifact(classifier())
        for pooling in ("last", "mean", "first"):
            vector = self.succeeds("embed", artifact, "--prompt", "win", "--pooling", pooling, "--json").json["values"]
            rows = states("win")
            self.close_to(vector, {"last": rows[-1], "first": rows[0], "mean": [sum(c) / 3 for c in zip(*rows)]}[pooling])

    def test_bad_heads(self):
        for head, says in (({"pooling": "max"}, "not last, mean or first"), ({"hidden": [0]}, "a list of at most"),
                           ({"hidden": "9"}, "a list of at most"), ({"activation": "mish"}, "is not supported"),
                           ({"hidden": [9]}, 'tensor "head.0.weight" [128, 9] is missing'), (3, "to be an object")):
            with self.subTest(head=head):
                model = copy_of(classifier(), "bad")
                config = json.loads((model / "config.json").read_text())
                config["_linnet_head"] = head
                (model / "config.json").write_text(json.dumps(config))
                self.fails("inspect", model, says=says)

    def test_export_keeps_the_head(self):
        model, values = with_head("mean", [5], "relu")
        to = fresh("export") / "m"
        self.succeeds("export", model, "--format", "safetensors", "-o", to)
        self.assertEqual(json.loads((to / "config.json").read_text())["_linnet_head"]["hidden"], [5])
        self.assertIn("head.0.weight", read_safetensors(to / "model.safetensors"))
        self.fails("export", model, "--format", "gguf", "-o", fresh("export") / "m.gguf", says="classification head")


class Readme(TestCase):
    def test_the_example_answers_as_readme_shows(self):
        """README's commands as written, in a folder with the repository's models and examples."""
        folder = fresh("readme")
        for name in ("models", "examples"):
            (folder / name).symlink_to(ROOT / name)
        block = next(b for b in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "linnet classify" in b)
        answers = []
        for part in block.replace("\\\n", "").split("$ ")[1:]:
            command, _, shown = part.partition("\n")
            done = self.succeeds(*shlex.split(command)[1:], cwd=folder, env=environment(OMP_NUM_THREADS="1"))  # other tests run
            if "classify" in command.split()[1]:
                probabilities = [dict(re.findall(r"(?m)^(ham|spam) +([\d.]+)$", text)) for text in (shown, done.out)]
                shown, found = ({label: float(p) for label, p in text.items()} for text in probabilities)
                self.assertEqual(set(found), {"ham", "spam"}, done.out)
                answers.append(max(shown, key=shown.get))
                self.assertGreater(found[answers[-1]], 0.9, command)  # digits differ between processors
        self.assertEqual(answers, ["spam", "ham"])


if __name__ == "__main__":
    main()
