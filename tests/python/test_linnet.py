"""import linnet: the answers of the program, streams, batches, errors, threads, memory."""
import gc
import threading
import time
from unittest import mock

from common import *


def cli_ids(*options, path=None):
    done = make("run", path or stories(), "--prompt", PROMPT, *options, "--json").json
    return done["ids"], done


def cli_array(command, *options):
    path = fresh("npy") / "values.npy"
    make(command, stories(), "--prompt", PROMPT, *options, "-o", path)
    return np.load(path)


class Answers(TestCase):
    def test_the_same_tokens(self):
        for words, options in ((["-n", 30], {}), (["-n", 40, "--do-sample", "--seed", 5, "--temperature", 0.8,
                                                   "--top-k", 20, "--top-p", 0.9],
                                                  dict(do_sample=True, seed=5, temperature=0.8, top_k=20, top_p=0.9)),
                               (["-n", 30, "--repetition-penalty", 1.3], dict(repetition_penalty=1.3)),
                               (["-n", 60, "--stop", "girl"], dict(stop="girl"))):
            ids, done = cli_ids(*words)
            found = model().generate(PROMPT, max_new_tokens=words[1], **options)
            self.assertEqual([*found.prompt, *found.ids], ids)
            self.assertEqual((found.text, found.finish_reason), (done["text"], done["finish_reason"]))
            self.assertEqual(found.timings.generated_tokens, len(found.ids))
            tokens = list(model().stream(PROMPT, max_new_tokens=words[1], **options))
            self.assertEqual([token.id for token in tokens if token.id >= 0], list(found.ids))
            self.assertEqual("".join(token.text for token in tokens), found.text)

    def test_options(self):
        first, second = model().generate(PROMPT, max_new_tokens=2).ids
        found = model().generate(PROMPT, max_new_tokens=1, logit_bias={int(first): -100}).ids[0]
        self.assertNotEqual(found, first)
        found = model().generate(PROMPT, max_new_tokens=9, eos_ids=[int(second)])
        self.assertEqual((found.finish_reason, list(found.ids)), ("eos", [first, second]))
        found = model().generate(PROMPT, max_new_tokens=300, ignore_eos=True)
        self.assertEqual(found.finish_reason, "context")
        found = model().generate(PROMPT, max_new_tokens=40, frequency_penalty=100, presence_penalty=100)
        self.assertEqual(len(set(found.ids)), len(found.ids))
        found = model().generate(PROMPT, max_new_tokens=9, stop=["zzz", " was"])
        self.assertEqual((found.finish_reason, found.text), ("stop", ", there"))

    def test_the_same_logits(self):
        self.assertTrue(np.array_equal(model().logits(PROMPT, all=True), cli_array("logits", "--all")))
        last = model().logits(PROMPT)
        self.assertEqual((last.shape, last.dtype), ((2048,), np.float32))
        self.assertTrue(np.array_equal(last, cli_array("logits").reshape(-1)))
        ids = model().encode(PROMPT)
        for prompt in (list(map(int, ids)), ids.astype(np.int64), ids[::1], tuple(ids)):
            self.assertTrue(np.array_equal(model().logits(prompt), last))

    def test_the_same_embeddings(self):
        for pooling in ("last", "mean", "first"):
            for layer in (-1, 0, 2):
                found = model().embed(PROMPT, pooling=pooling, layer=layer)
                expected = cli_array("embed", "--pooling", pooling, "--layer", layer).reshape(-1)
                self.assertTrue(np.array_equal(found, expected))
        several = model().embed([PROMPT, "A dog"])
        self.assertEqual(several.shape, (2, 256))
        self.assertTrue(np.array_equal(several[0], model().embed(PROMPT)))
        self.assertEqual(model().embed([]).shape, (0, 256))

    def test_hidden_states(self):
        states = model().hidden_states(PROMPT)
        self.assertEqual((states.shape, states.dtype), ((5, 4, 256), np.float32))
        self.assertTrue(np.array_equal(states[2], model().hidden_states(PROMPT, layer=2)))
        self.assertTrue(np.array_equal(states[-1][-1], model().embed(PROMPT)))
        self.assertTrue(np.array_equal(states[0][0], model().embed(PROMPT, pooling="first", layer=0)))

    def test_perplexity(self):
        path = fresh("text") / "text.txt"
        path.write_text(PROMPT * 100)
        expected = make("eval", stories(), "--perplexity", path, "--stride", 100, "--json").json
        found = model().perplexity(PROMPT * 100, stride=100)
        self.assertEqual((found.perplexity, found.tokens), (expected["perplexity"], expected["tokens"] - 1))

    def test_classify(self):
        texts = ["You won a prize, call now", "Come home", "Dinner"]
        loaded = package.Model.load(classifier())
        self.assertEqual(loaded.config.labels, ("eggs", "ham", "spam"))
        self.assertEqual(loaded.config.problem_type, "single_label_classification")
        fractions = []
        answers = loaded.classify(texts, progress=fractions.append)
        self.assertEqual(fractions[-1], 1)
        for text, answer in zip(texts, answers):
            expected = make("classify", classifier(), "--text", text, "--json").json["answers"][0]
            self.assertEqual(answer.label, expected["label"])
            self.assertEqual(loaded.config.labels[answer.index], answer.label)
            self.assertAlmostEqual(answer.probabilities[answer.index], expected["probabilities"][answer.label], 6)
            self.assertFalse(answer.truncated)
            self.assertEqual(loaded.classify(text).label, answer.label)
        self.assertEqual(loaded.classify([]), [])
        self.assertTrue(loaded.classify(PROMPT * 200).truncated)

        def fails(fraction):
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            loaded.classify(texts, progress=fails)
        self.assertEqual(len(loaded.classify(texts)), 3)

    def test_tokenizer(self):
        tokenizer = model().tokenizer
        ids = tokenizer.encode(PROMPT)
        self.assertEqual(list(ids), make("tokenize", stories(), "--prompt", PROMPT, "--json").json["ids"])
        self.assertEqual(ids.dtype, np.int32)
        self.assertEqual(tokenizer.decode(ids), PROMPT)
        end = tokenizer.encode("a<|endoftext|>")
        self.assertEqual(end[-1], 0)
        self.assertEqual(tokenizer.decode(end, skip_special=True), "a")
        self.assertGreater(len(tokenizer.encode("a<|endoftext|>", parse_special=False)), 2)
        self.assertEqual(len(tokenizer.encode(PROMPT, max_length=2)), 2)
        self.assertEqual(len(tokenizer.encode("")), 0)
        self.assertEqual(tokenizer.decode(tokenizer.encode("é\0ü")), "é\0ü")

    def test_what_a_model_tells(self):
        loaded = model()
        self.assertEqual((loaded.config.n_layer, loaded.config.vocab_size, loaded.config.max_batch), (4, 2048, 4))
        self.assertEqual((loaded.config.eos_ids, loaded.config.labels, loaded.config.problem_type), ((0,), (), None))
        self.assertEqual(json.loads(loaded.config_json)["n_embd"], 256)
        self.assertEqual((loaded.path, loaded.targets, loaded.device_kind), (str(stories()), ("cpu",), "processor"))
        self.assertEqual(loaded.memory.total, sum([loaded.memory.weights, loaded.memory.states, loaded.memory.arena,
                                                   loaded.memory.io, loaded.memory.scratch]))
        self.assertIn("1 thread", package.Model.load(stories(), device="cpu", threads=1).device)
        self.assertEqual(package.devices()[0].device, "cpu")
        listed = make("devices", "--json").json
        self.assertEqual(len(package.devices()) - 1, len(listed["vulkan"]) + ("vulkan_error" in listed))
        with mock.patch.dict(os.environ, LINNET_VULKAN_LOADER="libno-such-vulkan.so.9"):
            found = package.devices()
        self.assertEqual([one.device for one in found], ["cpu", "vulkan"])
        self.assertRegex(found[1].refusal, "^no Vulkan loader: libno-such-vulkan.so.9 cannot be opened")
        self.assertEqual(package.__version__, make("--version").out.split()[-1])


class Sessions(TestCase):
    def test_a_session_goes_on(self):
        whole = model().generate(PROMPT, max_new_tokens=12).ids
        session = model().session()
        parts = [*session.generate(PROMPT, max_new_tokens=5).ids, *session.generate(max_new_tokens=7).ids]
        self.assertEqual(parts, list(whole))
        self.assertEqual(session.position, 16)
        session.rewind(9)
        self.assertEqual(list(session.generate(max_new_tokens=7).ids), list(whole[5:]))
        session.reset()
        self.assertEqual(session.position, 0)
        self.assertGreater(session.memory.total, 0)

    def test_a_stream_computes_what_is_read(self):
        session = model().session()
        with session.stream(PROMPT, max_new_tokens=50) as stream:
            tokens = [next(stream), next(stream), next(stream)]
            with self.assertRaisesRegex(package.Error, "a stream of this session has not ended"):
                session.logits(PROMPT)
            with self.assertRaisesRegex(package.Error, "expected a stream that has ended"):
                stream.result
        self.assertEqual(stream.result.finish_reason, "cancelled")
        self.assertEqual(list(stream.result.ids), [token.id for token in tokens])
        self.assertEqual(session.position, 4 + 3)
        self.assertEqual(list(stream), [])
        stream.close()
        dropped = session.stream(PROMPT, max_new_tokens=50)
        next(dropped)
        del dropped
        self.assertEqual(session.position, 7 + 4 + 1)

    def test_callbacks(self):
        texts = []
        found = model().generate(PROMPT, max_new_tokens=9, callback=lambda token: texts.append(token.text))
        self.assertEqual(("".join(texts), len(found.ids)), (found.text, 9))
        count = iter(range(100))
        found = model().generate(PROMPT, max_new_tokens=9, callback=lambda token: next(count) < 2)
        self.assertEqual((len(found.ids), found.finish_reason), (3, "cancelled"))
        with self.assertRaises(ZeroDivisionError):
            model().generate(PROMPT, callback=lambda token: 1 / 0)
        self.assertEqual(len(model().generate(PROMPT, max_new_tokens=9).ids), 9)

    def test_batches_of_prompts(self):
        prompts = [PROMPT, "A dog", "The sun was", "Lily", PROMPT, "One day"]
        received = {}

        def callback(token):
            received.setdefault(token.sequence, []).append(token.text)
            return not (token.sequence == 1 and len(received[1]) == 3)

        found = model().generate_batch(iter(prompts), max_new_tokens=10, callback=callback)
        for number, (prompt, one) in enumerate(zip(prompts, found)):
            alone = model().generate(prompt, max_new_tokens=10)
            expected = alone.ids[:3] if number == 1 else alone.ids
            self.assertEqual(list(one.ids), list(expected))
            self.assertEqual("".join(received[number]), one.text)
        plain = model().generate_batch(prompts, max_new_tokens=10)
        self.assertEqual([one.text for one in plain if one is not plain[1]],
                         [one.text for one in found if one is not found[1]])
        self.assertEqual(model().generate_batch([]), [])

    def test_a_batch(self):
        batch = model().batch(rows=2)
        prompts = {batch.add(PROMPT, max_new_tokens=8, logprobs=3): PROMPT}
        prompts[batch.add("A dog", max_new_tokens=5)] = "A dog"
        with self.assertRaisesRegex(package.Error, "no free row"):
            batch.add("Lily")
        texts, ends = {}, {}
        for event in batch.run():
            texts[event.number] = texts.get(event.number, "") + event.text
            if event.number == 0:
                self.assertEqual([event.id, event.logprob], list(event.top[0]))
                self.assertEqual((len(event.top), event.error), (3, ""))
            if event.finish_reason:
                ends[event.number] = event.finish_reason
        for number, prompt in prompts.items():
            self.assertEqual(texts[number], model().generate(prompt, max_new_tokens=[8, 5][number]).text)
        self.assertEqual(ends, {0: "length", 1: "length"})
        again = batch.add(PROMPT)
        batch.remove(again)
        self.assertEqual((batch.counts.running, batch.counts.generated_tokens), (0, 13))
        self.assertGreater(batch.memory.total, 0)

    def test_results_outlive_everything(self):
        loaded = package.Model.load(stories())
        logits, ids = loaded.logits(PROMPT, all=True), loaded.generate(PROMPT, max_new_tokens=5).ids
        expected = logits.copy(), ids.copy()
        self.assertFalse(logits.flags.owndata)
        row = logits[1]
        del loaded, logits
        gc.collect()
        package.Model.load(stories()).logits("Something else", all=True)
        self.assertTrue(np.array_equal(row, expected[0][1]))
        self.assertTrue(np.array_equal(ids, expected[1]))


class Errors(TestCase):
    def raises(self, text, function, *arguments, **options):
        with self.assertRaises(package.Error) as caught:
            function(*arguments, **options)
        self.assertIn(text, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_the_line_of_the_program(self):
        cut = fresh("cut") / "cut.linnet"
        cut.write_bytes(stories().read_bytes()[:10**6])
        for words, function in ((["run", cut, "--ids", "1"], lambda: package.Model.load(cut)),
                                (["run", stories(), "--ids", "1", "--device", "vulkan"],
                                 lambda: package.Model.load(stories(), device="vulkan")),
                                (["run", stories(), "--ids", "1," * 300 + "1"], lambda: model().generate([1] * 301))):
            line = linnet(*words).err.strip().splitlines()[-1]
            self.raises(line.removeprefix("linnet: error: "), function)

    def test_arguments(self):
        self.raises("expected a classifier", model().classify, "a")
        self.raises("id 5000 at position 1 is outside the vocabulary", model().generate, [1, 5000])
        self.raises("empty prompt", model().generate, "")
        self.raises("found a larger number", model().generate, [2**40])
        self.raises("expected a text or a list of token ids, found an array of shape [2] and type float64",
                    model().logits, [1.5, 2])
        self.raises("top_p", model().generate, PROMPT, top_p=2)
        self.raises("max_new_tokens: expected int, found 'x'", model().generate, PROMPT, max_new_tokens="x")
        self.raises("top_k: expected a number of 64 bits", model().generate, PROMPT, top_k=2**64)
        self.raises("found a larger number", model().generate, PROMPT, logit_bias={2**32 + 5: 1.0})
        self.raises("a stream of this session has not ended", model().generate, PROMPT,
                    callback=lambda token: model().logits(PROMPT))
        loaded = package.Model.load(classifier())
        session = loaded.session()
        for function in (loaded.embed, session.embed):
            self.raises("expected a session that is idle, found a call from its own callback",
                        getattr(function, "__self__").classify, [PROMPT], progress=lambda fraction: function(PROMPT))
        vectors = []
        session.classify([PROMPT], progress=lambda fraction: vectors.append(loaded.embed(PROMPT)))  # another session
        self.assertGreater(len(vectors), 0)
        self.raises("top_logprobs: expected 0 or more, found -1", model().batch().add, PROMPT, logprobs=-1)
        self.raises("seed: expected from 0", model().generate, PROMPT, seed=-1)
        self.raises("stop: expected texts without NUL", model().generate, PROMPT, stop="a\0b")
        self.raises("pooling: expected one of last, mean, first, found 'max'", model().embed, PROMPT, pooling="max")
        self.raises("layer: expected from -1", model().embed, PROMPT, layer=9)
        self.raises("rows: expected from 1 to 4", model().batch, rows=9)
        self.raises("stride", model().perplexity, PROMPT, stride=-1)
        with self.assertRaisesRegex(TypeError, "expected an option of generation .*, found 'beams'"):
            model().generate(PROMPT, beams=4)

    def test_a_model_without_tokenizer(self):
        loaded = package.Model.load(golden("tiny"))
        self.assertIsNone(loaded.tokenizer)
        self.raises("the model has no tokenizer: expected token ids, found a text", loaded.generate, PROMPT)
        self.assertEqual(len(loaded.generate([1, 2], max_new_tokens=3).ids), 3)


class Threads(TestCase):
    def in_threads(self, function):
        failures = []

        def work():
            try:
                function()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_sessions_and_a_shared_model(self):
        expected = list(model().generate(PROMPT, max_new_tokens=30).ids)

        def work():
            self.assertEqual(list(model().session().generate(PROMPT, max_new_tokens=30).ids), expected)
            self.assertEqual(list(model().generate(PROMPT, max_new_tokens=30).ids), expected)
            streamed = [token.id for token in model().stream(PROMPT, max_new_tokens=30)]
            self.assertEqual([id for id in streamed if id >= 0], expected)
            with self.assertRaisesRegex(package.Error, "outside the vocabulary"):
                model().logits([9999])

        self.in_threads(work)

    def test_other_threads_run_meanwhile(self):
        steps, ended = [], threading.Event()

        def count():
            while not ended.is_set():
                steps.append(time.monotonic())
                time.sleep(0.001)

        thread = threading.Thread(target=count)
        thread.start()
        begin = time.monotonic()
        model().perplexity([*range(2000)] * 10)
        end = time.monotonic()
        ended.set()
        thread.join()
        self.assertGreater(sum(begin < step < end for step in steps), 10)

    def test_cancel(self):
        session = model().session()
        threading.Timer(0.05, session.cancel).start()
        found = session.generate_batch([PROMPT] * 400, max_new_tokens=250, ignore_eos=True)
        self.assertIn("cancelled", [one.finish_reason for one in found])


if __name__ == "__main__":
    main()
