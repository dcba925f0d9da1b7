"""How a text goes on and where it ends: generation_config.json, several end tokens, drawing, lines from a terminal."""
import pty, shutil, signal, subprocess, unittest
from harness import *

MODELS = ROOT / "tests" / "models"
SAYS = [3, 7, 4, 5, 0]  # tests/models/counting after token 1


def counting(generation=None, **config):
    """A copy of the model with another generation_config.json (None: none) and other keys in config.json."""
    model = copy_of(MODELS / "counting", "counting")
    (model / "generation_config.json").unlink()
    if generation is not None:
        (model / "generation_config.json").write_text(json.dumps(generation))
    (model / "config.json").write_text(json.dumps({**json.loads((model / "config.json").read_text()), **config}))
    return model


def storyteller(**generation):
    """The preset with a tokenizer, and settings of generation."""
    model = copy_of(tiny(), "storyteller")
    (model / "generation_config.json").write_text(json.dumps(generation))
    return model


class EndTokens(TestCase):
    def continued(self, model, *options, count=6):
        done = self.succeeds("run", model, "--ids", "1", "-n", count, "--json", *options).json
        return done["ids"][1:], done["finish_reason"]

    def test_each_of_several_ends_the_text(self):
        self.assertEqual(self.continued(MODELS / "counting"), ([3, 7], "eos"))
        self.assertEqual(self.continued(counting(eos_token_id=[0, 7])), ([3, 7], "eos"))
        self.assertEqual(self.continued(counting(eos_token_id=[0, 5])), ([3, 7, 4, 5], "eos"))
        self.assertEqual(self.continued(counting()), (SAYS, "eos"))

    def test_generation_config_has_the_say(self):
        self.assertEqual(self.continued(counting({"eos_token_id": 4}, eos_token_id=[0, 7])), ([3, 7, 4], "eos"))
        self.assertEqual(self.continued(counting({"top_k": 3}, eos_token_id=[7])), ([3, 7], "eos"))

    def test_the_command_line_names_others(self):
        model = MODELS / "counting"
        self.assertEqual(self.continued(model, "--eos-id", "4"), ([3, 7, 4], "eos"))
        self.assertEqual(self.continued(model, "--eos-id", "9,5"), ([3, 7, 4, 5], "eos"))
        self.assertEqual(self.continued(model, "--ignore-eos", count=4), ([3, 7, 4, 5], "length"))
        self.fails("run", golden("tiny"), "--ids", "1", "--eos-id", "3,99999", says="eos_ids: id 99999 at position 1 is outside")

    def test_the_artifact_carries_them(self):
        folder = fresh("carried")
        self.succeeds("compile", MODELS / "counting", "--target", "cpu,reference", "-o", folder / "m.linnet")
        for device in ("cpu", "reference"):
            self.assertEqual(self.continued(folder / "m.linnet", "--device", device), ([3, 7], "eos"))
        config = self.succeeds("inspect", folder / "m.linnet", "--json").json["config"]
        self.assertEqual(config["generation_config"], {"eos_token_id": [0, 7]})

    def test_a_changed_file_is_another_model_in_the_cache(self):
        model = counting({"eos_token_id": 4})
        self.assertEqual(self.continued(model)[0], [3, 7, 4])
        (model / "generation_config.json").write_text('{"eos_token_id": 7}')
        self.assertEqual(self.continued(model)[0], [3, 7])


class Defaults(TestCase):
    OURS = {"do_sample": True, "temperature": 1.5, "top_k": 0, "top_p": 0.9, "repetition_penalty": 1.2, "max_new_tokens": 9}
    GIVEN = ("--do-sample", "--temperature", "1.5", "--top-k", "0", "--top-p", "0.9", "--repetition-penalty", "1.2", "-n", "9")

    def ids(self, model, *options):
        return self.succeeds("run", model, "--ids", "1,2", "--ignore-eos", "--json", *options).json["ids"]

    def test_settings_are_those_of_the_command_line(self):
        model, plain = storyteller(**self.OURS), tiny()
        self.assertEqual(self.ids(model), self.ids(plain, *self.GIVEN))
        self.assertEqual(self.ids(model, "--seed", 5), self.ids(plain, *self.GIVEN, "--seed", 5))
        self.assertNotEqual(self.ids(model, "--seed", 5), self.ids(model))
        self.assertEqual(len(self.ids(model)), 2 + 9)

    def test_the_command_line_overrides_them(self):
        model, plain = storyteller(**self.OURS), tiny()
        self.assertEqual(self.ids(model, "-n", 4), self.ids(plain, *self.GIVEN[:-1], "4"))
        cooler = self.ids(plain, "--do-sample", "--temperature", "0.5", *self.GIVEN[3:])
        self.assertEqual(self.ids(model, "--temperature", "0.5"), cooler)
        greedy = self.ids(plain, "-n", 9, "--repetition-penalty", "1.2")
        for options in (("--greedy",), ("--temperature", "0"), ("--top-p", "0"), ("--top-k", "1")):
            with self.subTest(options=options):
                self.assertEqual(self.ids(model, *options), greedy)

    def test_config_json_counts_without_the_file(self):
        model = copy_of(tiny(), "old")
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "do_sample": True, "temperature": 1.5, "top_k": 7}))
        self.assertEqual(self.ids(model, "-n", 9), self.ids(tiny(), "-n", 9, "--do-sample", "--temperature", "1.5", "--top-k", "7"))
        (model / "generation_config.json").write_text("{}")
        self.assertEqual(self.ids(model, "-n", 9), self.ids(tiny(), "-n", 9))

    def test_a_drawn_run_prints_its_seed(self):
        model = storyteller(**self.OURS)
        self.succeeds("run", model, "--prompt", "Once")  # compiled
        done = self.succeeds("run", model, "--prompt", "Once", "--seed", 3)
        self.assertIn("linnet: drawn with seed 3: temperature 1.5, top_k 0, top_p 0.9\n", done.err)
        sampling = self.succeeds("run", model, "--prompt", "Once", "--seed", 3, "--json").json["sampling"]
        self.assertEqual((sampling["seed"], sampling["temperature"], sampling["top_k"]), (3, 1.5, 0))
        self.assertAlmostEqual(sampling["top_p"], 0.9, places=6)
        for options in (("--greedy",), ("--temperature", "0")):
            self.assertNotIn("drawn", self.succeeds("run", model, "--prompt", "Once", *options).err)
            self.assertIsNone(self.succeeds("run", model, "--prompt", "Once", "--json", *options).json["sampling"])

    def test_what_linnet_does_not_do_is_told(self):
        model = storyteller(num_beams=4, no_repeat_ngram_size=0, pad_token_id=256, stop_strings=["x"], made_up=True)
        told = 'settings of generation that Linnet does not have: num_beams 4, stop_strings ["x"], made_up true'
        self.assertIn(told, self.succeeds("run", model, "--prompt", "Once", "-n", 1).err)
        self.assertIn(told, self.succeeds("compile", model, "-o", fresh("told") / "m.linnet").err)
        self.assertIn(told, self.succeeds("inspect", model).out)

    def test_bad_settings(self):
        for settings, says in (({"temperature": -1}, "temperature is expected to be 0 or more, found -1"),
                               ({"eos_token_id": [1, 999]}, "eos_token_id is expected to be from -1 to 256"),
                               ({"do_sample": "yes"}, "do_sample is expected to be true or false"), ([], "JSON object")):
            with self.subTest(settings=settings):
                model = copy_of(tiny(), "bad")
                (model / "generation_config.json").write_text(json.dumps(settings))
                out = fresh("bad") / "m.linnet"
                self.fails("compile", model, "-o", out, says=["generation_config.json", says])
                self.assertFalse(out.exists())

    def test_checkpoints_that_are_written_keep_the_file(self):
        settings = {"eos_token_id": [3, 256], "do_sample": True, "top_k": 5, "num_beams": 4}
        model, folder = storyteller(**settings), fresh("kept")
        self.succeeds("export", model, "--format", "safetensors", "-o", folder / "exported")
        self.assertEqual(json.loads((folder / "exported/generation_config.json").read_text()), settings)
        (folder / "t.txt").write_text("Once upon a time there was a compiler. " * 20)
        self.succeeds("finetune", model, "--data", folder / "t.txt", "--task", "lm", "--method", "partial", "--norms",
                      "--seq", 8, "--batch", 1, "--steps", 1, "-o", folder / "tuned")
        self.assertEqual(json.loads((folder / "tuned/generation_config.json").read_text()), settings)
        self.succeeds("export", tiny(), "--format", "safetensors", "-o", folder / "plain")
        self.assertFalse((folder / "plain/generation_config.json").exists())


class Ends(TestCase):
    def test_a_full_context_is_told(self):
        done = self.succeeds("run", golden("tiny"), "--ids", "1,2,3", "-n", 100, "--ignore-eos")
        self.assertEqual(done.err, "linnet: the text ends here: the context of 48 tokens is full\n")
        small = fresh("small") / "m.linnet"
        self.succeeds("compile", tiny(), "--max-context", 16, "-o", small)
        done = self.succeeds("run", small, "--prompt", "Once", "-n", 100, "--ignore-eos")
        self.assertIn("the context of 16 tokens is full (the model has 256: compile with --max-context)\n", done.err)

    def test_a_stop_text_may_be_the_end_of_a_line(self):
        model = ROOT / "models" / "linnet-stories"
        options = ["--prompt", "Once upon a time", "-n", 120]
        whole = self.succeeds("run", model, *options, "--json").json["text"]
        self.assertIn("\n", whole)
        for stop in ("\n", "\\n"):
            done = self.succeeds("run", model, *options, "--stop", stop, "--json").json
            self.assertEqual(done["text"], whole[:whole.index("\n")])
            self.assertEqual(done["finish_reason"], "stop")


class Bench(TestCase):
    def test_without_options_it_fits_the_context(self):
        tests = self.succeeds("bench", golden("tiny"), "-r", 1, "--json").json["tests"]
        self.assertEqual([t["test"] for t in tests], ["pp48", "tg47"])
        tests = self.succeeds("bench", golden("tiny"), "-r", 1, "-d", 40, "-p", 9, "--json").json["tests"]
        self.assertEqual([t["test"] for t in tests], ["pp9", "tg8 @ d40"])

    def test_so_does_profile(self):
        phases = self.succeeds("profile", golden("tiny"), "-r", 1, "--json").json["phases"]
        self.assertEqual(phases[0]["tokens"], 24)


class Terminal:
    """linnet run with a terminal as its standard input."""

    def __init__(self, *args):
        self.keyboard, terminal = pty.openpty()
        self.process = subprocess.Popen([LINNET, "run", *map(str, args)], stdin=terminal, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, cwd=FOLDER, env=environment())
        os.close(terminal)

    def type(self, *lines):
        for line in lines:
            os.write(self.keyboard, line.encode())

    def finish(self):
        out, err = self.process.communicate(timeout=LIMIT)
        os.close(self.keyboard)
        return Outcome(self.process.returncode, out, err.decode())


class Session(TestCase):
    END = "\x04"

    def session(self, *lines, options=("-n", 6, "--ignore-eos"), model=None):
        terminal = Terminal(model or tiny_artifact(), *options)
        terminal.type(*lines, self.END)
        return terminal.finish()

    def test_each_line_continues_the_text(self):
        done = self.session("Once\n", "upon\n")
        self.assertEqual(done.code, 0, done.err)
        options = ["-n", 6, "--ignore-eos", "--json"]
        first = self.succeeds("run", tiny_artifact(), "--prompt", "Once", *options).json["ids"]
        added = self.succeeds("tokenize", tiny_artifact(), "--prompt", "\nupon", "--json").json["ids"]
        second = self.succeeds("run", tiny_artifact(), "--ids", ",".join(map(str, first + added)), *options).json
        self.assertEqual(done.out, self.succeeds("detokenize", tiny_artifact(), "--ids", ",".join(map(str, first[4:]))).out
                         + second["text"] + "\n")
        self.assertEqual(done.err.count("> "), 3)

    def test_reset_begins_a_new_text(self):
        once = self.succeeds("run", tiny_artifact(), "--prompt", "Once", "-n", 6, "--ignore-eos").out
        done = self.session("Once\n", "/reset\n", "\n", "Once\n")
        self.assertEqual(done.out, once * 2)
        self.assertIn("the text is empty", done.err)

    def test_a_full_context_does_not_end_the_session(self):
        done = self.session("Once\n", "again\n", "/reset\n", "Once\n", options=("-n", 100, "--ignore-eos"),
                            model=golden_with_text())
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(done.err.count("the context of 16 tokens is full; /reset begins a new text")
                         + done.err.count("the context of 16 tokens is full (the model has 256"), 2)
        self.assertIn("longer than what is left of the context", done.err)
        self.assertEqual(len(set(done.out.splitlines())), 1)

    def test_control_c_stops_a_text_and_not_the_session(self):
        slow = fresh("slow") / "m.linnet"
        self.succeeds("compile", tiny(), "--target", "reference", "-o", slow)
        terminal = Terminal(slow, "-n", 200, "--ignore-eos")
        terminal.type("Once\n")
        self.assertTrue(terminal.process.stdout.read(1))
        terminal.process.send_signal(signal.SIGINT)
        terminal.type("/reset\n", self.END)
        done = terminal.finish()
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(done.err.count("> "), 3)

    def test_a_drawn_session_prints_its_seed(self):
        self.assertIn("drawn with seed 9:", self.session("Once\n", options=("-n", 3, "--do-sample", "--seed", 9)).err)

    def test_what_needs_a_prompt(self):
        for option in ("--json", "--stats"):
            done = self.session(options=(option,))
            self.assertEqual(done.code, 2)
            self.assertIn("--json and --stats are for one prompt", done.err)
        done = self.session(model=golden("tiny"))
        self.assertEqual(done.code, 1)
        self.assertIn("give --ids", done.err)

    def test_elsewhere_it_is_a_usage_error(self):
        self.fails("run", tiny_artifact(), code=2, says="one of --prompt and --ids is required", stdin="Once\n")


@functools.cache
def golden_with_text():
    path = fresh("short") / "m.linnet"
    make("compile", tiny(), "--max-context", 16, "-o", path)
    return path


if __name__ == "__main__":
    main()
