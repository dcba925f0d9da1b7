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
