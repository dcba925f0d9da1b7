"""linnet finetune and linnet train: small models, generated data."""
import math, random, resource, time
from harness import *


def messages(count=60):
    """Lines that a classifier of bytes can tell apart."""
    draw = random.Random(5)
    rows = []
    for i in range(count):
        spam = i % 3 == 0
        words = ["WIN", "CASH", "NOW", "CALL"] if spam else ["home", "dinner", "later", "see"]
        rows.append(("spam" if spam else "ham") + "\t" + " ".join(draw.choices(words, k=3)))
    return "".join(row + "\n" for row in rows)


@functools.cache
def data():
    path = FOLDER / "messages.tsv"
    path.write_text(messages())
    return path


COLUMNS = FOLDER / "columns"


@functools.cache
def columns():
    """The same eight texts under other headers; labels good and bad."""
    COLUMNS.mkdir()
    rows = [("I love it", "good"), ("awful", "bad"), ("great day", "good"), ("bad day", "bad"), ("so nice", "good"),
            ("so sad", "bad"), ("I like it", "good"), ("I hate it", "bad")]
    for name, header in (("exact", "text,label"), ("capital", "Text,Label"), ("other", "sentence,sentiment"),
                         ("space", "text, label"), ("story", "story,stars")):
        (COLUMNS / f"{name}.csv").write_text(header + "\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (COLUMNS / "keys.jsonl").write_text("".join(json.dumps({"Review": text, "target": label}) + "\n" for text, label in rows))
    return COLUMNS


def classify_arguments(*more):
    return ["finetune", tiny(), "--data", data(), "--task", "classify", "--seq", 16, "--batch", 8, "--held-out", 0.2,
            "--json", *more]


class Finetune(TestCase):
    def test_head_layers_partial_and_full_give_checkpoints_that_classify(self):
        for method in (["head", "--epochs", 40], ["layers", "--hidden", "8", "--pooling", "mean", "--epochs", 60],
                       ["partial", "--last-layers", 1, "--epochs", 8], ["full", "--layer-decay", 0.8, "--lr", 1e-3, "--epochs", 6]):
            with self.subTest(method=method[0]):
                to = fresh(method[0]) / "m"
                report = self.succeeds(*classify_arguments("--method", *method, "-o", to)).json
                self.assertEqual(report["stop"], "finished")
                self.assertEqual(report["held_out_texts"], 12)
                config = json.loads((to / "config.json").read_text())
                self.assertEqual(config["architectures"], ["GPT2ForSequenceClassification"])
                self.assertEqual(config["id2label"], {"0": "ham", "1": "spam"})
                losses = [line for line in map(json.loads, (to / "run/log.jsonl").read_text().splitlines())]
                first, last = losses[0]["held_out_loss"], report["held_out_loss"]
                self.assertLess(last, 0.7 * first)
                evaluations = [line for line in losses if "held_out_loss" in line]
                self.assertGreater(len(evaluations), 10)
                best = [line for line in evaluations if line["best"]][-1]
                self.assertAlmostEqual(best["held_out_accuracy"], report["accuracy"], places=6)
                curves = (to / "run/curves.svg").read_text()
                self.assertIn(f"<title>model finetuned on messages.tsv (classify, {method[0]})</title>", curves)
                self.assertIn("held-out accuracy", curves)
                measured = self.succeeds("classify", to, "--file", data(), "--labels", "--json").json["measures"]
                self.assertGreater(measured["accuracy"], 0.9)

    def test_progress_is_logged_where_there_is_no_terminal(self):
        arguments = classify_arguments("--method", "full", "--steps", 12, "-o", fresh("progress") / "m")
        err = self.succeeds(*arguments, "--progress-every", 0.0001).err
        self.assertRegex(err, r"(?m)^linnet: \d+% 6/12 loss \d+\.\d{4} lr \S+ held \d+\.\d{4}, about \d+ s left$")
        self.assertRegex(err, r"(?m)^linnet: step 6: held-out loss \d+\.\d{4}, accuracy [01]\.\d{4}")
        arguments[-1] = fresh("progress") / "m"
        self.assertNotRegex(self.succeeds(*arguments, "--progress-every", 0).err, r"(?m)^linnet: \d+%")
        self.fails(*arguments, "--progress-every", -1, code=2, says="--progress-every")

    def test_only_what_was_chosen_changes(self):
        to = fresh("partial") / "m"
        self.succeeds(*classify_arguments("--method", "partial", "--train", "h.{1,3}.ln_1.*", "--steps", 3, "-o", to))
        before = read_safetensors(to / "run/start/model.safetensors")
        after = read_safetensors(to / "model.safetensors")
        changed = {name for name in before if before[name][1] != after[name][1]}
        self.assertEqual(changed, {"score.weight", *(f"transformer.h.{i}.ln_1.{p}" for i in (1, 3) for p in ("weight", "bias"))})

    def test_a_pattern_that_matches_nothing_lists_what_there_is(self):
        to = fresh("nothing") / "m"
        self.fails(*classify_arguments("--method", "partial", "--train", "h.9.*", "-o", to),
                   says=['no parameter matches "h.9.*"', "h.{0..3}.attn.c_attn.weight", "score.weight"])

    def test_bad_data(self):
        folder = fresh("bad")
        for name, text, says in (("empty.tsv", "", "no texts in it"), ("one.tsv", "ham\ta\nham\tb\n", "at least two labels"),
                                 ("utf8.tsv", b"ham\ta\nspam\t\xff\n", "line 2: not UTF-8"),
                                 ("quote.csv", 'ham,"a\n', "line 1: a quoted field begins here and never ends")):
            with self.subTest(name=name):
                (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
                self.fails("finetune", tiny(), "--data", folder / name, "--task", "classify", "--method", "head", "-o",
                           folder / "m", says=says)
                self.assertFalse((folder / "m").exists())
        self.fails(*classify_arguments("--method", "head", "--labels", "ham,eggs", "-o", folder / "m"), says="none of ham, eggs")

    def test_columns_are_found_by_usual_names_and_told(self):
        for name, texts, labels in (("exact.csv", 'column "text"', 'column "label"'), ("capital.csv", 'column "Text"', 'column "Label"'),
                                    ("other.csv", 'column "sentence"', 'column "sentiment"'),
                                    ("space.csv", 'column "text"', 'column " label"'), ("keys.jsonl", '"Review"', '"target"')):
            with self.subTest(name=name):
                file, to = columns() / name, fresh("columns") / "m"
                done = self.succeeds("finetune", tiny(), "--data", file, "--task", "classify", "--method", "head", "--steps", 2,
                                     "--batch", 4, "-o", to)
                self.assertIn(f"{file}: 8 texts from {texts}, labels from {labels}\n", done.err)
                self.assertIn("held out: 2 of 8 texts\n", done.err)
                self.assertEqual(json.loads((to / "config.json").read_text())["id2label"], {"0": "bad", "1": "good"})
                done = self.succeeds("classify", to, "--file", file, "--labels", "--json")
                self.assertEqual(done.json["measures"]["examples"], 8)
                self.assertIn(f"{file}: 8 texts from {texts}, labels from {labels}\n", done.err)
                self.assertEqual(len(self.succeeds("classify", to, "--file", file, "--json").json["answers"]), 8)

    def test_the_lines_about_columns_are_those_that_the_page_quotes(self):
        folder, page = fresh("page"), (ROOT / "docs/finetuning.md").read_text()
        (folder / "messages.tsv").write_text("ham\tcome home\nspam\tWIN CASH\n" * 20)
        (folder / "reviews.csv").write_text("Review,Target\n" + "fine,1\npoor,0\n" * 4)
        for name in ("messages.tsv", "reviews.csv"):
            done = self.succeeds("finetune", tiny(), "--data", name, "--task", "classify", "--method", "head", "--steps", 1, "-o",
                                 name + "-m", cwd=folder)
            lines = [line.removeprefix("linnet: ") for line in done.err.splitlines()]
            line, = [line for line in lines if line.startswith(name + ":")]
            self.assertIn(f"\n    {line}\n", page)

    def test_unusual_columns_are_an_error_that_lists_them_in_every_command(self):
        file, folder = columns() / "story.csv", fresh("unusual")
        says = ['"story", "stars"', "--text-column"]
        self.fails("finetune", tiny(), "--data", file, "--task", "classify", "--method", "head", "-o", folder / "m",
                   says=[*says, "--label-column"])
        self.fails("finetune", tiny(), "--data", file, "--task", "lm", "--method", "full", "-o", folder / "m", says=says)
        self.fails("train", "--tokenizer", tiny(), "--preset", "tiny", "--data", file, "-o", folder / "m", says=says)
        self.fails("tokenizer", "train", "--vocab-size", 260, "-o", folder / "v", file, says=says)
        self.leaves_nothing(folder)
        self.succeeds("tokenizer", "train", "--vocab-size", 260, "--text-column", "story", "-o", folder / "v", file)
        to = fresh("usual") / "m"
        self.succeeds("finetune", tiny(), "--data", file, "--task", "classify", "--method", "head", "--steps", 2, "--text-column",
                      "story", "--label-column", "stars", "-o", to)
        self.fails("classify", to, "--file", file, says=says)
        self.assertEqual(len(self.succeeds("classify", to, "--file", file, "--text-column", "story", "--json").json["answers"]), 8)
        # Without a header, and no label twice before the first one comes again.
        (folder / "short.tsv").write_text("good\tyes\nbad\tno\n")
        self.fails("classify", to, "--file", folder / "short.tsv", says=['"good", "yes"', "by number if the file has no header"])
        answers = self.succeeds("classify", to, "--file", folder / "short.tsv", "--text-column", 2, "--label-column", 1, "--labels",
                                "--json").json
        self.assertEqual(answers["measures"]["examples"], 2)

    def test_few_records_are_held_out_whole_and_the_end_is_learned(self):
        folder = fresh("few")
        (folder / "yes.jsonl").write_text("".join(
            json.dumps({"prompt": f"q: {word}? a:", "completion": " yes"}) + "\n"
            for word in "why who how what when where is-it can-it may-it will-it do-they shall-we".split()))
        to = folder / "m"
        report = self.succeeds("finetune", tiny(), "--data", folder / "yes.jsonl", "--task", "lm", "--method", "full", "--seq", 32,
                               "--batch", 4, "--steps", 150, "--lr", 3e-3, "--json", "-o", to)
        self.assertIn("held out: 1 of 12 texts\n", report.err)
        split = json.loads((to / "run/split.json").read_text())
        self.assertEqual((len(split["held_out_lines"]), split["held_out_stretches"]), (1, []))
        self.assertEqual(report.json["held_out_texts"], 1)
        answer = self.succeeds("run", to, "--prompt", "q: why? a:", "-n", 20, "--json").json
        self.assertIn('"text": " yes", "finish_reason": "eos"', json.dumps(answer))

    def test_completions_shorter_than_the_held_out_share_are_learned(self):
        folder = fresh("short")
        (folder / "d.jsonl").write_text("".join(json.dumps({"prompt": f"{word} " * 12, "completion": "!"}) + "\n" for word in
                                                "one two three four five".split()))
        self.succeeds("finetune", tiny(), "--data", folder / "d.jsonl", "--task", "lm", "--method", "full", "--seq", 64, "--batch",
                      4, "--steps", 2, "-o", folder / "m")

    def test_a_stretch_of_a_long_text_is_held_out_and_named(self):
        folder = fresh("stretch")
        text = "the cat sat on the mat. " * 100
        (folder / "t.txt").write_text(text)
        done = self.succeeds("finetune", tiny(), "--data", folder / "t.txt", "--task", "lm", "--method", "full", "--seq", 16,
                             "--steps", 2, "-o", folder / "m")
        stretch, = json.loads((folder / "m/run/split.json").read_text())["held_out_stretches"]
        size = stretch["to_byte"] - stretch["from_byte"]
        self.assertEqual(stretch["line"], 1)
        self.assertLess(abs(size - len(text) / 10), 10)
        self.assertLess(stretch["to_byte"], len(text) - 200)
        self.assertIn(f"held out: a stretch before the end of the text, {size} bytes in all\n", done.err)
        self.assertIn("the first 16 of the model's 256 positions are trained\n", done.err)
        done = self.succeeds("finetune", tiny(), "--data", folder / "t.txt", "--task", "lm", "--method", "full", "--seq", 16,
                             "--steps", 2, "--held-out", 0, "-o", folder / "n")
        self.assertIn("held out: nothing\n", done.err)

    def test_texts_are_joined_by_the_end_that_the_configuration_names(self):
        model = copy_of(tiny(), "joined")
        for name in ("tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"):
            (model / name).unlink()
        (model / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        (model.parent / "d.jsonl").write_text('"once"\n"then"\n')
        arguments = ["finetune", model, "--data", model.parent / "d.jsonl", "--task", "lm", "--method", "full", "--seq", 8, "--steps",
                     40, "--lr", 3e-3, "--held-out", 0, "-o"]
        self.succeeds(*arguments, model.parent / "m")
        answer = self.succeeds("run", model.parent / "m", "--prompt", "onc", "-n", 4, "--json").json
        self.assertIn('"text": "e", "finish_reason": "eos"', json.dumps(answer))
        self.ends_named_by_generation_config(model, arguments)
        config = json.loads((model / "config.json").read_text())
        del config["eos_token_id"]
        (model / "config.json").write_text(json.dumps(config))
        self.fails(*arguments, model.parent / "n", says=["no token joins the 2 texts", "eos_token_id in config.json"])
        self.assertFalse((model.parent / "n").exists())

    def ends_named_by_generation_config(self, model, arguments):
        """Token 10, a plus sign, which config.json does not name."""
        (model / "generation_config.json").write_text('{"eos_token_id": [10, 256]}')
        self.succeeds(*arguments, model.parent / "g")
        answer = self.succeeds("run", model.parent / "g", "--prompt", "onc", "-n", 4, "--ignore-eos", "--json").json
        self.assertTrue(answer["text"].startswith("e+"), answer["text"])
        (model / "generation_config.json").unlink()

    def test_a_head_of_another_kind_is_not_redrawn(self):
        folder = fresh("kinds")
        (folder / "d.tsv").write_text("label\ttext\nLABEL_0\ta\nspam\tb\nLABEL_0\tc\nspam\td\n")
        for model, kind in (("one_label", "regression"), ("multi_label", "multi_label_classification")):
            arguments = ["finetune", ROOT / "tests/models" / model, "--data", folder / "d.tsv", "--task", "classify", "--method", "head",
                         "--steps", 1, "--held-out", 0]
            self.fails(*arguments, "-o", folder / model, says=["one label of several", f"found {kind}", "--new-head"])
            self.assertFalse((folder / model).exists())
            done = self.succeeds(*arguments, "--new-head", "-o", folder / model)
            self.assertIn("the classifier's head is replaced by a new one\n", done.err)
            config = json.loads((folder / model / "config.json").read_text())
            self.assertEqual(config["problem_type"], "single_label_classification")
            self.assertEqual(config["id2label"], {"0": "LABEL_0", "1": "spam"})

    def test_a_classifier_that_is_finetuned_again_keeps_its_head(self):
        folder = fresh("again")
        self.succeeds(*classify_arguments("--method", "full", "--pooling", "mean", "--epochs", 6, "--lr", 1e-3, "-o", folder / "a"))
        again = ["finetune", folder / "a", "--data", data(), "--task", "classify", "--method", "head", "--seq", 16, "--steps", 1,
                 "--lr", 1e-9, "--held-out", 0.2]
        done = self.succeeds(*again, "--json", "-o", folder / "b")
        self.assertIn("the classifier's head is trained further\n", done.err)
        self.assertEqual(json.loads((folder / "b/config.json").read_text())["_linnet_head"]["pooling"], "mean")
        before, after = (read_safetensors(d / "model.safetensors")["score.weight"][1] for d in (folder / "a", folder / "b"))
        self.close_to(after, before, 1e-6)
        self.assertGreater(done.json["accuracy"], 0.9)
        self.fails(*again, "--pooling", "last", "-o", folder / "c", says=["pooling mean", "--pooling is last", "--new-head"])
        self.fails(*again, "--labels", "ham,eggs", "-o", folder / "c", says=["labels ham,spam", "--labels is ham,eggs", "--new-head"])
        (folder / "eggs.tsv").write_text("label\ttext\nham\ta\neggs\tb\n")
        other = [folder / "eggs.tsv" if x == data() else x for x in again]
        self.fails(*other, "-o", folder / "c", says=['label "eggs" is none of ham, spam', "--new-head"])
        self.assertFalse((folder / "c").exists())
        done = self.succeeds(*other, "--new-head", "-o", folder / "c")
        self.assertIn("the classifier's head is replaced by a new one\n", done.err)
        config = json.loads((folder / "c/config.json").read_text())
        self.assertEqual(config["id2label"], {"0": "eggs", "1": "ham"})
        self.assertNotIn("_linnet_head", config)
        self.fails("finetune", tiny(), "--data", data(), "--task", "lm", "--method", "full", "--new-head", "-o", folder / "d", code=2,
                   says="--new-head is for --task classify")

    def test_a_start_that_fails_leaves_nothing_and_the_corrected_command_runs(self):
        folder = fresh("failed")
        arguments = lambda pattern: classify_arguments("--method", "partial", "--train", pattern, "--steps", 1, "-o", folder / "a/m")
        self.fails(*arguments("h.9.*"), says='no parameter matches "h.9.*"')
        self.leaves_nothing(folder)
        longer = arguments("h.1.*")
        longer[longer.index("--seq") + 1] = 1000
        for command in (longer, [*arguments("h.1.*"), "--original", folder / "none.txt"]):
            done = linnet(*command)
            self.assertEqual(done.code, 1)
            self.leaves_nothing(folder)
        self.succeeds(*arguments("h.1.*"))
        self.assertEqual(sorted(os.listdir(folder / "a/m")).count("run"), 1)

    def stopped_while(self, unfinished, arguments):
        """A run that is stopped while `unfinished` lists something, and that list."""
        for attempt in range(20):
            process = subprocess.Popen([LINNET, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=FOLDER,
                                       env=environment())
            while not unfinished() and process.poll() is None:
                time.sleep(0.0005)
            process.send_signal(signal.SIGSTOP)
            # The other threads run on for a moment after the signal is sent.
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            left = unfinished()
            if left:
                break
            process.kill()
            process.wait()
            shutil.rmtree(arguments[-1])
        return process, left

    def test_what_a_killed_run_left_is_swept_by_the_next_and_a_living_one_is_left_alone(self):
        to = fresh("killed") / "m"
        arguments = classify_arguments("--method", "full", "--steps", 3, "-o", to)
        unfinished = lambda: [path for path in to.rglob("*") if ".tmp-" in path.name] if to.exists() else []
        # The configuration is written once the directory is locked.
        process, left = self.stopped_while(lambda: list(to.glob("run.tmp-*/config.json")), arguments)
        self.assertTrue(left, "no run was stopped while a file of it was unfinished")
        self.succeeds(*arguments)
        self.assertTrue(all(path.exists() for path in left), left)
        process.kill()
        process.wait()
        shutil.rmtree(to / "run")
        self.assertTrue(unfinished())
        self.succeeds(*arguments)
        self.assertEqual(unfinished(), [])

    def test_bad_usage(self):
        to = fresh("usage") / "m"
        for more, says in ((["--method", "layers"], "--hidden"), (["--method", "partial"], "needs one of"),
                           (["--method", "full", "--biases"], "are for --method partial"),
                           (["--method", "head", "--dropout", 0.1], "--dropout acts in the model's blocks"),
                           (["--method", "full", "--dtype", "int8"], "--dtype"), (["--method", "full", "--schedule", "steps"], None)):
            done = linnet(*classify_arguments(*more, "-o", to))
            self.assertNotEqual(done.code, 0)
            self.assertEqual(len(done.err.splitlines()), 1)
            if says:
                self.assertIn(says, done.err)
        self.fails("finetune", tiny(), "--data", data(), "--task", "lm", "--method", "head", "-o", to, code=2, says="--task classify")

    def test_more_memory_than_there_is_is_refused(self):
        to = fresh("memory") / "m"
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
        done = self.fails_at_last("finetune", tiny(), "--data", data(), "--task", "classify", "--method", "full", "--batch", 4096,
                                  "--seq", 256, "-o", to, preexec=limit)
        self.assertRegex(done.err.splitlines()[-1], r"linnet: error: .*\d{9}.*")

    def fails_at_last(self, *args, **options):
        """Notes, then one error line."""
        done = linnet(*args, **options)
        self.assertEqual(done.code, 1, done.err)
        self.assertTrue(done.err.splitlines()[-1].startswith("linnet: error: "), done.err)
        return done

    def test_a_finite_loss_with_a_gradient_that_is_not_names_step_and_op(self):
        """The products of both weights of an MLP are as they were, and so is the loss; one weight's gradient is 1e30 times as large."""
        model = copy_of(tiny(), "steep")
        header, body = read_header(model / "model.safetensors")
        body = bytearray(body)
        name = lambda short: next(n for n in header if n.endswith(short))
        for tensor, factor in ((name("h.3.mlp.c_fc.weight"), 1e-30), (name("h.3.mlp.c_proj.weight"), 1e30)):
            begin, end = header[tensor]["data_offsets"]
            body[begin:end] = array.array("f", [factor * x for x in array.array("f", bytes(body[begin:end]))]).tobytes()
        begin, end = header[name("h.3.mlp.c_fc.bias")]["data_offsets"]
        body[begin:end] = bytes(end - begin)
        write_safetensors(model / "model.safetensors", header, bytes(body))
        to = fresh("steep") / "m"
        arguments = [model if a == tiny() else a for a in classify_arguments("--method", "full", "--steps", 2, "-o", to)]
        done = self.fails_at_last(*arguments)
        self.assertRegex(done.err.splitlines()[-1],
                         r"step 1: the gradient is inf, first in linnet\.\w+ at h\.3\.mlp\.c_fc\.weight: element \d+ of \d+ is inf; there is no checkpoint yet$")
        self.assertFalse((to / "config.json").exists())

    def test_a_loss_that_is_no_number_names_step_and_op(self):
        to = fresh("nan") / "m"
        done = self.fails_at_last(*classify_arguments("--method", "full", "--lr", 100, "--weight-decay", 1, "--clip", 0, "--warmup", 0, "--schedule",
                                                      "constant", "--epochs", 30, "--checkpoint-every", 1, "-o", to))
        self.assertRegex(done.err.splitlines()[-1], r"step \d+: the (loss|gradient) is -?(nan|inf), first in .+; the last good checkpoint")
        self.assertTrue((to / "run/checkpoint.safetensors").exists())
        self.assertFalse((to / "config.json").exists())

    def test_a_trace_of_the_steps(self):
        folder = fresh("trace")
        self.succeeds(*classify_arguments("--method", "full", "--steps", 2, "--profile", folder / "trace.json", "-o", folder / "m"))
        phases = self.succeeds("profile", folder / "trace.json", "--json").json["phases"]
        self.assertEqual({phase["name"]: phase["calls"] for phase in phases if phase["name"] != "evaluate"}, {"accumulate": 2, "norm": 2, "update": 2})
        self.fails(*classify_arguments("--method", "full", "--profile", "/nowhere/trace.json", "-o", folder / "n"), says="/nowhere/trace.json")
        self.assertFalse((folder / "n").exists())

    def test_the_original_text_is_measured_before_and_after(self):
        folder = fresh("original")
        (folder / "text.txt").write_text("the old task is here. " * 40)
        report = self.succeeds(*classify_arguments("--method", "full", "--steps", 2, "--original", folder / "text.txt", "-o",
                                                   folder / "m")).json
        self.assertNotEqual(report["original_loss_before"], report["original_loss_after"])
        self.assertLess(report["original_loss_before"], 7)


class Train(TestCase):
    def arguments(self, to, *more):
        folder = fresh("train")
        (folder / "text.txt").write_text("once upon a time there was a cat. the cat sat on the mat. " * 60)
        self.succeeds("tokenizer", "train", "--vocab-size", 280, "-o", folder / "v", folder / "text.txt")
        return ["train", "--preset", "tiny", "--tokenizer", folder / "v", "--data", folder / "text.txt", "--seq", 24, "--batch", 4,
                "--json", "-o", to, *more]

    def test_a_model_from_nothing_writes_what_it_read(self):
        to = fresh("train") / "m"
        report = self.succeeds(*self.arguments(to, "--steps", 120, "--lr", 3e-3, "--save-dtype", "bf16")).json
        self.assertLess(report["held_out_loss"], 1.5)
        self.assertIn("<title>tiny trained on text.txt</title>", (to / "run/curves.svg").read_text())
        evaluations = [line for line in map(json.loads, (to / "run/log.jsonl").read_text().splitlines()) if "held_out_loss" in line]
        for line in evaluations:
            self.assertAlmostEqual(line["held_out_perplexity"], math.exp(line["held_out_loss"]), delta=1e-6 * line["held_out_perplexity"])
        self.assertIn("the cat sat", self.succeeds("run", to, "--prompt", "once upon", "--max-new-tokens", 40).out)

    def test_a_new_model_has_the_positions_that_are_trained(self):
        folder = fresh("positions")
        done = self.succeeds(*self.arguments(folder / "m", "--steps", 2))
        self.assertEqual(json.loads((folder / "m/config.json").read_text())["n_positions"], 24)
        self.assertEqual((done.json["positions"], done.json["trained_positions"]), (24, 24))
        self.assertNotIn("positions are trained", done.err)
        done = self.succeeds(*self.arguments(folder / "n", "--steps", 2, "--config", tiny() / "config.json"))
        self.assertIn("the first 24 of the model's 256 positions are trained\n", done.err)
        self.assertEqual((done.json["positions"], done.json["trained_positions"]), (256, 24))

    def test_stopped_by_ctrl_c_and_resumed_it_is_the_run_that_never_was(self):
        self.stops_and_resumes(9, "--steps", 40, "--checkpoint-every", 7, "--evaluate-every", 9, "--accumulate", 2,
                               "--dropout", 0.1)

    def test_stopped_and_resumed_on_vulkan(self):
        if not has_vulkan():
            self.skipTest("no Vulkan device")
        self.stops_and_resumes(3, "--steps", 7, "--checkpoint-every", 2, "--evaluate-every", 3, "--dropout", 0.1, "--device",
                               "vulkan")

    def stops_and_resumes(self, lines, *options):
        """Each attempt is stopped when it has written so many lines of its log."""
        whole, stopped = fresh("whole") / "m", fresh("stopped") / "m"
        arguments = self.arguments(whole, *options)
        self.succeeds(*arguments)
        arguments[arguments.index(whole)] = stopped
        for attempt in range(60):
            process = subprocess.Popen([LINNET, *map(str, arguments), *(["--resume"] if attempt else [])], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, cwd=FOLDER, env=environment())
            log = stopped / "run/log.jsonl"
            seen = len(log.read_text().splitlines()) if log.exists() else 0
            while process.poll() is None and (len(log.read_text().splitlines()) if log.exists() else 0) < seen + lines:
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=LIMIT)
            self.assertIn(process.returncode, (0, 130), err)
            if process.returncode == 0:
                break
        self.assertGreater(attempt, 1)
        self.assertEqual((stopped / "model.safetensors").read_bytes(), (whole / "model.safetensors").read_bytes())
        first, second = (read_safetensors(d / "run/checkpoint.safetensors") for d in (whole, stopped))
        self.assertEqual(first, second)
        self.fails(*arguments, says="--resume goes on with it")
        self.fails(*arguments, "--resume", "--lr", 0.5, says=["has lr = ", "this command 0.5"])
        if "--device" not in options:
            self.fails(*arguments, "--resume", "--device", "reference", says='has device = "cpu", this command "reference"')
            self.fails(*arguments, "--resume", "--no-onednn", says="has onednn = true, this command false")

    def test_a_device_that_is_not_there_leaves_nothing_behind(self):
        to = fresh("device") / "m"
        self.fails(*self.arguments(to, "--device", "vulkan:nobody"), says="nobody")
        self.fails(*self.arguments(to, "--device", "abacus"), says="unknown device 'abacus'")
        self.assertFalse(to.exists())

    def test_the_same_seed_gives_the_same_bytes(self):
        a, b, c = (fresh("seed") / "m" for _ in range(3))
        arguments = self.arguments(a, "--steps", 5, "--dropout", 0.1, "--dtype", "bf16")
        self.succeeds(*arguments)
        for to, seed in ((b, 0), (c, 1)):
            self.succeeds(*[to if x == a else x for x in arguments], "--seed", seed)
        self.assertEqual((a / "model.safetensors").read_bytes(), (b / "model.safetensors").read_bytes())
        self.assertNotEqual((a / "model.safetensors").read_bytes(), (c / "model.safetensors").read_bytes())


if __name__ == "__main__":
    main()
