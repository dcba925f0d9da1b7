"""linnet run, logits, embed, eval, bench: what they compute and how they say it."""
import math, os, re, subprocess, unittest
from harness import *


def tokens(text):
    return ",".join(map(str, text))


class Bundled(TestCase):
    """models/linnet-stories, what scripts/demo shows."""

    def test_it_writes_the_beginning_of_a_story(self):
        done = self.succeeds("run", ROOT / "models" / "linnet-stories", "--prompt", "Once upon a time", "--max-new-tokens", 12)
        self.assertTrue(done.out.startswith(", there was a little girl named Lily. She"), done.out)

    def test_what_it_is_made_of_fits_the_card(self):
        model = ROOT / "models" / "linnet-stories"
        self.assertLess((model / "model.safetensors").stat().st_size, 8 << 20)
        self.assertIn(f"{(model / 'model.safetensors').stat().st_size} bytes", (model / "README.md").read_text())


class Golden(TestCase):
    """PyTorch's figures through the whole path."""

    def test_greedy_continuation(self):
        for name in ("tiny", "odd"):
            expected = read_safetensors(GOLDEN / name / "expected.safetensors")["greedy_from_first_5"][1]
            for device in ("cpu", "reference"):
                with self.subTest(model=name, device=device):
                    done = self.succeeds("run", golden(name), "--ids", tokens(expected[:5]), "--max-new-tokens",
                                         len(expected) - 5, "--ignore-eos", "--device", device, "--json")
                    self.assertEqual(done.json["ids"], expected)
                    self.assertEqual(done.json["finish_reason"], "length")
                    self.assertIsNone(done.json["text"])

    def test_logits_of_all_positions(self):
        for name in ("tiny", "odd"):
            fixture = read_safetensors(GOLDEN / name / "expected.safetensors")
            (batch, seq), ids = fixture["input_ids"]
            vocab = fixture["logits"][0][2]
            for row in range(batch):
                with self.subTest(model=name, row=row):
                    out = FOLDER / "logits.npy"
                    mine = ids[row * seq:(row + 1) * seq]
                    self.succeeds("logits", golden(name), "--ids", tokens(mine), "--all", "-o", out)
                    shape, values = read_npy(out)
                    self.assertEqual(shape, [seq, vocab])
                    expected = fixture["logits"][1][row * seq * vocab:(row + 1) * seq * vocab]
                    self.close_to(values, expected)
                    self.succeeds("logits", golden(name), "--ids", tokens(mine), "-o", out)
                    shape, last = read_npy(out)
                    self.assertEqual(shape, [vocab])
                    self.close_to(last, expected[-vocab:])

    def test_embeddings(self):
        fixture = read_safetensors(GOLDEN / "tiny" / "expected.safetensors")
        (_, seq), ids = fixture["input_ids"]
        width = fixture["ln_f"][0][2]
        out = FOLDER / "embedding.npy"
        for layer, key in ((-1, "ln_f"), (0, "hidden_states.0"), (2, "hidden_states.2")):
            rows = [fixture[key][1][i * width:(i + 1) * width] for i in range(seq)]
            mean = [sum(column) / seq for column in zip(*rows)]
            for pooling, expected in (("last", rows[-1]), ("first", rows[0]), ("mean", mean)):
                with self.subTest(layer=layer, pooling=pooling):
                    self.succeeds("embed", golden("tiny"), "--ids", tokens(ids[:seq]), "--pooling", pooling, "--layer",
                                  layer, "-o", out)
                    shape, values = read_npy(out)
                    self.assertEqual(shape, [width])
                    self.close_to(values, expected)


class Run(TestCase):
    def test_streams_ids_without_a_tokenizer(self):
        expected = read_safetensors(GOLDEN / "tiny" / "expected.safetensors")["greedy_from_first_5"][1]
        done = self.succeeds("run", golden("tiny"), "--ids", tokens(expected[:5]), "--max-new-tokens", 7, "--ignore-eos")
        self.assertEqual(done.out, tokens(expected[5:12]) + "\n")
        self.assertEqual(done.err, "")

    def test_streamed_text_is_the_text_of_json(self):
        options = ["--prompt", "Once upon", "--max-new-tokens", 12, "--ignore-eos"]
        done = self.succeeds("run", tiny_artifact(), *options, "--json")
        self.assertEqual(self.succeeds("run", tiny_artifact(), *options).out, done.json["text"] + "\n")
        prompt = self.succeeds("tokenize", tiny_artifact(), "--prompt", "Once upon", "--json").json["ids"]
        self.assertEqual(done.json["ids"][:len(prompt)], prompt)
        self.assertEqual(len(done.json["ids"]), len(prompt) + 12)
        timings = done.json["timings"]
        self.assertEqual((timings["prompt_tokens"], timings["generated_tokens"]), (len(prompt), 12))
        self.assertGreater(timings["prompt_seconds"], 0)

    def test_prompt_from_standard_input(self):
        options = ["--max-new-tokens", 5, "--json"]
        told = self.succeeds("run", tiny_artifact(), "--prompt", "Hallo, Welt!", *options).json["ids"]
        read = self.succeeds("run", tiny_artifact(), "--prompt", "-", *options, stdin="Hallo, Welt!\n").json["ids"]
        self.assertEqual(told, read)
        piped = self.succeeds("run", tiny_artifact(), "--ids", "-", *options, stdin="[1, 2, 3]\n").json["ids"]
        self.assertEqual(piped[:3], [1, 2, 3])

    def test_sampling_depends_on_the_seed_alone(self):
        def draw(seed, *more):
            return self.succeeds("run", golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 20, "--ignore-eos",
                                 "--do-sample", "--seed", seed, "--json", *more).json["ids"]
        self.assertEqual(draw(7), draw(7))
        self.assertEqual(draw(7), draw(7, "-t", 1))
        self.assertNotEqual(draw(7), draw(8))
        greedy = self.succeeds("run", golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 20, "--ignore-eos", "--json")
        self.assertEqual(draw(9, "--top-k", 1), greedy.json["ids"])

    def test_repetition_penalty_changes_what_repeats(self):
        def greedy(penalty):
            return self.succeeds("run", golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 30, "--ignore-eos",
                                 "--repetition-penalty", penalty, "--json").json["ids"][3:]
        self.assertLess(len(set(greedy(1))), len(set(greedy(1000))))

    def test_stop_text_is_not_printed(self):
        whole = self.succeeds("run", tiny_artifact(), "--prompt", "Once", "--max-new-tokens", 20, "--ignore-eos",
                              "--json").json["text"]
        middle = len(whole) // 2
        stop = whole[middle:middle + 2]
        done = self.succeeds("run", tiny_artifact(), "--prompt", "Once", "--max-new-tokens", 20, "--ignore-eos",
                             "--stop", "never to be seen", "--stop", stop, "--json")
        self.assertEqual(done.json["finish_reason"], "stop")
        self.assertEqual(done.json["text"], whole[:whole.index(stop)])

    def test_the_context_ends(self):
        done = self.succeeds("run", golden("tiny"), "--ids", tokens(range(40)), "--max-new-tokens", 100, "--ignore-eos",
                             "--json")
        self.assertEqual(done.json["finish_reason"], "context")
        self.assertLessEqual(len(done.json["ids"]), 49)

    def test_nothing_to_generate(self):
        done = self.succeeds("run", golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 0, "--json")
        self.assertEqual(done.json["ids"], [1, 2, 3])

    def test_stats_go_to_standard_error(self):
        done = self.succeeds("run", golden("tiny"), "--ids", "1,2,3", "--max-new-tokens", 4, "--ignore-eos", "--stats")
        for word in ("load:", "prompt: 3 tokens", "generation: 4 tokens", "memory: weights"):
            self.assertIn(word, done.err)
        self.assertEqual(len(done.out.splitlines()), 1)

    def test_a_checkpoint_is_compiled_once(self):
        cache = fresh("cache")
        env = environment(LINNET_CACHE_DIR=str(cache))
        options = ["--ids", "1,2,3", "--max-new-tokens", 4]
        first = self.succeeds("run", GOLDEN / "odd", *options, env=env)
        self.assertIn("compiled in", first.err)
        second = self.succeeds("run", GOLDEN / "odd", *options, env=env)
        self.assertIn("compiled before", second.err)
        self.assertEqual(first.raw, second.raw)
        other = self.succeeds("run", GOLDEN / "tiny", *options, env=env)
        self.assertIn("compiled in", other.err)
        changed = copy_of(GOLDEN / "odd", "changed")
        config = json.loads((changed / "config.json").read_text())
        config["layer_norm_epsilon"] = 0.5
        (changed / "config.json").write_text(json.dumps(config))
        self.assertIn("compiled in", self.succeeds("run", changed, *options, env=env).err)

    def test_reader_that_leaves_early(self):
        script = '"$1" run "$2" --ids 1 --max-new-tokens 40 --ignore-eos | head -c 3; echo "codes ${PIPESTATUS[0]}"'
        done = subprocess.run(["bash", "-c", script, "bash", LINNET, str(golden("tiny"))], capture_output=True,
                              env=environment(), timeout=LIMIT)
        self.assertEqual(done.stderr, b"")
        self.assertIn(done.stdout.decode().split("codes ")[1].strip(), ("0", "141"))

    def test_closed_and_full_standard_output(self):
        args = [str(golden("tiny")), "--ids", "1,2", "--max-new-tokens", "4"]
        for redirect, reason in ((">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")):
            done = subprocess.run(["bash", "-c", f'"$@" {redirect}', "bash", LINNET, "run", *args], capture_output=True,
                                  env=environment(), timeout=LIMIT)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr.decode(), f"linnet: error: cannot write to standard output: {reason}\n")


class Logits(TestCase):
    def test_table_and_json_agree(self):
        ids = "5,6,7"
        table = self.succeeds("logits", golden("tiny"), "--ids", ids, "--top", 4).out.splitlines()
        self.assertEqual(table[0].split(), ["id", "probability", "logit"])
        top = self.succeeds("logits", golden("tiny"), "--ids", ids, "--top", 4, "--json").json["positions"][0]["top"]
        self.assertEqual([int(line.split()[0]) for line in table[1:]], [one["id"] for one in top])
        self.assertEqual(len(top), 4)

    def test_probabilities_are_a_softmax(self):
        out = FOLDER / "softmax.npy"
        self.succeeds("logits", golden("tiny"), "--ids", "9,8", "-o", out)
        values = read_npy(out)[1]
        total = sum(math.exp(v - max(values)) for v in values)
        top = self.succeeds("logits", golden("tiny"), "--ids", "9,8", "--top", 1000, "--json").json["positions"][0]["top"]
        self.assertEqual(len(top), len(values))
        self.assertAlmostEqual(sum(one["probability"] for one in top), 1, places=6)
        for one in top[:20]:
            self.assertAlmostEqual(one["probability"], math.exp(values[one["id"]] - max(values)) / total, places=6)
        self.assertEqual([one["logit"] for one in top], sorted((one["logit"] for one in top), reverse=True))

    def test_greedy_takes_the_likeliest(self):
        top = self.succeeds("logits", golden("tiny"), "--ids", "9,8", "--top", 1, "--json").json["positions"][0]["top"]
        done = self.succeeds("run", golden("tiny"), "--ids", "9,8", "--max-new-tokens", 1, "--json")
        self.assertEqual(done.json["ids"][2], top[0]["id"])


class Embed(TestCase):
    def test_lines_of_a_file(self):
        lines = ["Once upon a time", "there was", "a compiler"]
        (FOLDER / "lines.txt").write_text("\n".join(lines) + "\n")
        out = FOLDER / "lines.npy"
        self.succeeds("embed", tiny_artifact(), "--file", FOLDER / "lines.txt", "--pooling", "mean", "-o", out)
        (rows, width), values = read_npy(out)
        self.assertEqual(rows, 3)
        for i, line in enumerate(lines):
            one = self.succeeds("embed", tiny_artifact(), "--prompt", line, "--pooling", "mean", "--json").json["values"]
            self.close_to(values[i * width:(i + 1) * width], one, 1e-6)


    def test_a_blank_line_is_an_empty_text_and_gives_a_row(self):
        folder = fresh("blank")
        (folder / "t.txt").write_text("a\n\nb\n\n")
        done = self.succeeds("embed", tiny_artifact(), "--file", folder / "t.txt", "--json")
        self.assertEqual(done.err.splitlines()[-2:], [
            f"linnet: {folder}/t.txt: 4 texts from its lines",
            f"linnet: {folder}/t.txt: 2 empty texts (line 2, 4): the vector is that of <|endoftext|>"])
        page = (ROOT / "docs/cli.md").read_text()
        for line in done.err.splitlines()[-2:]:
            self.assertIn("\n    " + line.replace(f"{folder}/t.txt", "texts.txt") + "\n", page)
        (rows, width), values = done.json["shape"], done.json["values"]
        self.assertEqual((rows, done.json["texts"]), (4, 4))
        begin = self.succeeds("embed", tiny_artifact(), "--ids", "256", "--json").json["values"]
        for row in (1, 3):
            self.close_to(values[row * width:(row + 1) * width], begin, 1e-6)
        nameless = copy_of(tiny(), "nameless")
        for name in ("tokenizer.json", "special_tokens_map.json"):
            (nameless / name).unlink()
        (nameless / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        done = linnet("embed", nameless, "--file", folder / "t.txt")
        self.assertEqual((done.code, done.raw), (1, b""))
        self.assertIn("t.txt: line 2: the text is empty, and the tokenizer names no token that begins a text", done.err)


class Eval(TestCase):
    def test_perplexity_is_that_of_the_logits(self):
        text = "Once upon a time there was a compiler."
        (FOLDER / "short.txt").write_text(text)
        done = self.succeeds("eval", tiny_artifact(), "--perplexity", FOLDER / "short.txt", "--json").json
        ids = self.succeeds("tokenize", tiny_artifact(), "--prompt", text, "--json").json["ids"]
        out = FOLDER / "short.npy"
        self.succeeds("logits", tiny_artifact(), "--prompt", text, "--all", "-o", out)
        (rows, vocab), values = read_npy(out)
        nll = 0
        for i in range(rows - 1):
            row = values[i * vocab:(i + 1) * vocab]
            nll -= row[ids[i + 1]] - max(row) - math.log(sum(math.exp(v - max(row)) for v in row))
        self.assertEqual(done["predicted"], rows - 1)
        self.assertAlmostEqual(done["nll"], nll / (rows - 1), places=4)
        self.assertAlmostEqual(done["perplexity"], math.exp(done["nll"]), places=4)

    def test_the_bundled_model_is_as_good_behind_the_middle_of_its_context(self):
        """Positions that were never trained would cost several times the perplexity."""
        model = ROOT / "models" / "linnet-stories"
        samples = re.findall(r"(?m)^\d+\. (.+)$", (model / "README.md").read_text())
        (FOLDER / "samples.txt").write_text(" ".join(samples))
        perplexities = []
        for context in (128, 256):
            artifact = FOLDER / f"stories-{context}.linnet"
            make("compile", model, "--target", "cpu:native", "--max-context", context, "-o", artifact)
            done = self.succeeds("eval", artifact, "--perplexity", FOLDER / "samples.txt", "--stride", 64, "--json")
            perplexities.append(done.json["perplexity"])
        half, whole = perplexities
        self.assertLess(abs(whole / half - 1), 0.1)

    def test_a_stride_predicts_each_token_once(self):
        (FOLDER / "long.txt").write_text("Once upon a time there was a compiler of graphs. " * 30)
        whole = self.succeeds("eval", tiny_artifact(), "--perplexity", FOLDER / "long.txt", "--json").json
        strided = self.succeeds("eval", tiny_artifact(), "--perplexity", FOLDER / "long.txt", "--stride", 16, "--json").json
        self.assertGreater(strided["tokens"], strided["context"])
        self.assertEqual(strided["predicted"], strided["tokens"] - 1)
        self.assertLessEqual(whole["predicted"], strided["predicted"])
        line = self.succeeds("eval", tiny_artifact(), "--perplexity", FOLDER / "long.txt", "--stride", 16).out
        self.assertIn(f"perplexity {strided['perplexity']:.4f}", line)


class Bench(TestCase):
    def test_table_and_json(self):
        done = self.succeeds("bench", golden("tiny"), "-p", "8,16", "-n", 4, "-b", "1,3", "-r", 2)
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.out.splitlines()
                if line.startswith("|")]  # after the table, a busy machine has a line about noise
        self.assertEqual(rows[0][-2:], ["test", "t/s"])
        self.assertEqual([row[-2] for row in rows[2:]], ["pp8", "pp16", "tg4"] * 2)
        self.assertTrue(all("±" in row[-1] for row in rows[2:]))
        deep = self.succeeds("bench", golden("tiny"), "-p", 0, "-n", "3,4", "-d", "1,40", "-r", 1, "--json").json
        self.assertEqual([(t["test"], t["n_depth"]) for t in deep["tests"]],
                         [("tg3", 1), ("tg4", 1), ("tg3 @ d40", 40), ("tg4 @ d40", 40)])
        report = self.succeeds("bench", golden("tiny"), "-p", 8, "-n", 4, "-r", 3, "-t", 1, "--json").json
        self.assertEqual([(t["n_prompt"], t["n_gen"], t["batch"]) for t in report["tests"]], [(8, 0, 1), (0, 4, 1)])
        self.assertTrue(all(len(t["samples_ts"]) == 3 and min(t["samples_ts"]) > 0 for t in report["tests"]))


if __name__ == "__main__":
    main()
