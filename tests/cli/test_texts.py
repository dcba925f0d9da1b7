"""Texts as people give them: byte order marks, other encodings, pipes; and names of models that are not here."""
from harness import *

MARK = b"\xef\xbb\xbf"
TEXT = "Once upon a time there was a compiler of graphs.\n"


class Marks(TestCase):
    def files(self, name, content):
        """The same content without and with a byte order mark."""
        folder = fresh("marks")
        for prefix, data in (("plain-", content), ("marked-", MARK + content)):
            (folder / (prefix + name)).write_bytes(data)
        return folder / ("plain-" + name), folder / ("marked-" + name)

    def same(self, pair, *args):
        plain, marked = (self.succeeds(*[file if arg is None else arg for arg in args]).json for file in pair)
        for report in (plain, marked):
            for key in ("seconds", "output", "file", "text_bytes"):
                report.pop(key, None) if isinstance(report, dict) else None
        self.assertEqual(plain, marked)

    def test_a_mark_is_no_text(self):
        pair = self.files("text.txt", TEXT.encode() * 8)
        self.same(pair, "tokenize", tiny(), "--file", None, "--json")
        self.same(pair, "eval", tiny_artifact(), "--perplexity", None, "--json")
        self.same(pair, "embed", tiny_artifact(), "--file", None, "--json")
        for number, file in enumerate(pair):
            out = fresh("vocabulary") / "v"
            self.succeeds("tokenizer", "train", "--vocab-size", 280, "-o", out, file)
            if number == 0:
                vocabulary = (out / "vocab.json").read_bytes()
        self.assertEqual((out / "vocab.json").read_bytes(), vocabulary)

    def test_a_mark_in_records(self):
        make("init", "--preset", "tiny", "--labels", "ham,spam", FOLDER / "marks-classifier")
        for name, content in (("a.tsv", b"label\ttext\nham\tcome home\nspam\tWIN CASH\n"), ("a.csv", b"label,text\nham,come home\n"),
                              ("a.jsonl", b'{"text": "come home"}\n'), ("a.json", b'[{"text": "come home"}]')):
            with self.subTest(name=name):
                self.same(self.files(name, content), "classify", FOLDER / "marks-classifier", "--file", None, "--json")

    def test_other_encodings_are_told(self):
        folder = fresh("encodings")
        for encoding, name in (("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-32-le", "UTF-32"), ("utf-32-be", "UTF-32")):
            file = folder / "text.txt"
            file.write_bytes(("\ufeff" + TEXT).encode(encoding))
            for args in (("tokenize", tiny(), "--file"), ("eval", tiny_artifact(), "--perplexity"),
                         ("embed", tiny_artifact(), "--file"), ("tokenizer", "train", "-o", folder / "v")):
                self.fails(*args, file, says=["text.txt: expected text in UTF-8", name])
        self.leaves_nothing(folder, "text.txt")

    def test_standard_input(self):
        def ids(given, *more):
            return self.succeeds("tokenize", tiny(), "--prompt", "-", "--ids", *more, stdin=given).out
        expected = self.succeeds("tokenize", tiny(), "--prompt", "hi", "--ids").out
        for given in (b"hi", b"hi\n", b"hi\r\n", MARK + b"hi\n"):
            self.assertEqual(ids(given), expected, given)
        self.assertEqual(ids(b"hi\n\n"), self.succeeds("tokenize", tiny(), "--prompt", "hi\n", "--ids").out)
        self.fails("tokenize", tiny(), "--prompt", "-", stdin="hi".encode("utf-16"), says="standard input: expected text in UTF-8")

    def test_a_pipe_continues_as_the_argument(self):
        options = ("--max-new-tokens", 6, "--json")
        expected = self.succeeds("run", tiny_artifact(), "--prompt", "Once upon", *options).json["ids"]
        self.assertEqual(self.succeeds("run", tiny_artifact(), "--prompt", "-", *options, stdin="Once upon\n").json["ids"], expected)


class HowMany(TestCase):
    """How many texts a command reads from a file."""

    def test_lines_or_the_whole_file(self):
        folder = fresh("how-many")
        (folder / "t.txt").write_text("come home\r\nWIN CASH\ndinner")
        (folder / "t.jsonl").write_text('"come home"\n"WIN CASH"\n')
        make("init", "--preset", "tiny", "--labels", "ham,spam", FOLDER / "lines-classifier")
        one, lines = "1 text from the whole file", "3 texts from its lines"
        for args, expected in (
                (("embed", tiny_artifact(), "--file"), lines), (("embed", tiny_artifact(), "--whole-file", "--file"), one),
                (("classify", FOLDER / "lines-classifier", "--file"), lines),
                (("classify", FOLDER / "lines-classifier", "--whole-file", "--file"), one),
                (("eval", tiny_artifact(), "--perplexity"), one), (("tokenize", tiny(), "--file"), one)):
            with self.subTest(args=args):
                done = self.succeeds(*args, folder / "t.txt", "--json")
                self.assertIn(f"linnet: {folder}/t.txt: {expected}\n", done.err)
                self.assertEqual(done.json["texts"], int(expected[0]))
        for command in (("embed", tiny_artifact()), ("classify", FOLDER / "lines-classifier")):
            done = self.succeeds(*command, "--file", folder / "t.jsonl", "--json")
            self.assertIn(f"{folder}/t.jsonl: 2 texts from strings\n", done.err)
            self.assertEqual(done.json["texts"], 2)

    def test_records_are_no_plain_text(self):
        file = fresh("records") / "story.csv"
        file.write_text("story,year\nOnce upon a time,1999\n")
        says = "story.csv: expected one plain text, found a name of a file of records"
        self.fails("eval", tiny_artifact(), "--perplexity", file, says=says)
        self.fails("tokenize", tiny(), "--file", file, says=says)

    def test_a_line_is_classified_as_the_text_alone(self):
        folder = fresh("aligned")
        (folder / "t.txt").write_text("come home\nWIN CASH\n")
        make("init", "--preset", "tiny", "--labels", "ham,spam", folder / "model")
        answers = self.succeeds("classify", folder / "model", "--file", folder / "t.txt", "--json").json["answers"]
        for text, answer in zip(("come home", "WIN CASH"), answers, strict=True):
            alone = self.succeeds("classify", folder / "model", "--text", text, "--json").json["answers"][0]
            self.close_to(list(answer["scores"].values()), list(alone["scores"].values()), 1e-5)
        (folder / "t.txt").write_text("come home\n\nWIN CASH\n")
        self.fails("classify", folder / "model", "--file", folder / "t.txt", says="t.txt: line 2: the text is empty")

    def test_training_reads_one_text(self):
        folder = fresh("training")
        (folder / "t.txt").write_text("once upon a time\n" * 20)
        for number, command in enumerate((("train", "--preset", "tiny", "--tokenizer", tiny()),
                                          ("finetune", tiny(), "--task", "lm", "--method", "full"))):
            done = self.succeeds(*command, "--data", folder / "t.txt", "--seq", 8, "--steps", 1, "-o", folder / str(number), "--json")
            self.assertIn(f"linnet: {folder}/t.txt: 1 text from the whole file\n", done.err)
            self.assertEqual(done.json["texts"], 1)


class Missing(TestCase):
    def test_names_of_the_hub(self):
        for args in (("run", None, "--ids", "1"), ("compile", None, "-o", "m.linnet"), ("inspect", None), ("bench", None),
                     ("export", None, "--format", "gguf", "-o", "m.gguf"), ("tokenize", None, "--prompt", "a")):
            for name, pulled in (("openai-community/gpt2", "openai-community/gpt2"), ("distilgpt2", "distilbert/distilgpt2")):
                self.fails(*[name if arg is None else arg for arg in args],
                           says=[f"{name}: No such file or directory", f"'linnet pull {pulled}' downloads"])
        done = self.fails("run", "nowhere/model.linnet", "--ids", "1", says="No such file or directory")
        self.assertNotIn("pull", done.err)

    def test_libraries_do_not_speak(self):
        model = copy_of(tiny(), "speak")
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            whole = (model / name).read_bytes()
            for bad in (b"{", whole[:-20], b"{\"a\": nope}", whole.replace(b":", b"=", 1)):
                (model / name).write_bytes(bad)
                done = self.fails("inspect", model, says=[name, "malformed JSON: "])
                self.assertNotIn("json.exception", done.err)
            (model / name).write_bytes(whole)


if __name__ == "__main__":
    main()
