"""Forks of sessions, processors of logits, and profiles."""
from common import *

INFINITY = float("inf")


class Forks(TestCase):
    def test_a_fork_goes_on_alone(self):
        whole = list(model().generate(PROMPT, max_new_tokens=12).ids)
        session = model().session()
        session.generate(PROMPT, max_new_tokens=5)
        fork = session.fork()
        self.assertEqual((fork.position, fork.model), (9, model()))
        other = list(fork.generate(" big dog", max_new_tokens=5).ids)
        self.assertEqual(list(session.generate(max_new_tokens=7).ids), whole[5:])
        del session
        fork.rewind(6)
        self.assertEqual(list(fork.generate(max_new_tokens=10).ids), whole[2:])
        alone = model().session()
        alone.generate(PROMPT, max_new_tokens=5)
        self.assertEqual(list(alone.generate(" big dog", max_new_tokens=5).ids), other)

    def test_a_fork_needs_an_idle_session(self):
        session = model().session()
        with session.stream(PROMPT, max_new_tokens=5) as stream:
            next(stream)
            with self.assertRaisesRegex(package.Error, "a stream of this session has not ended"):
                session.fork()
        self.assertEqual(session.fork().position, session.position)

    def test_too_little_memory(self):
        code = ("import resource, sys; sys.path.insert(0, sys.argv[1]); import linnet; "
                "session = linnet.Model.load(sys.argv[2]).session(); session.generate('A dog', max_new_tokens=3); "
                "used = int(open('/proc/self/statm').read().split()[5]) * resource.getpagesize(); "
                "resource.setrlimit(resource.RLIMIT_DATA, (used + 2**20, -1)); session.fork()")
        done = subprocess.run([sys.executable, "-c", code, ROOT / "python", stories()], capture_output=True, text=True,
                              timeout=LIMIT)
        self.assertRegex(done.stderr.splitlines()[-1], r"^linnet\.Error: .*stories\.linnet: .*bytes")


class Processors(TestCase):
    def test_it_reads_the_logits_of_each_position(self):
        plain = model().generate(PROMPT, max_new_tokens=6)
        seen = []

        def processor(ids, logits):
            seen.append((ids.copy(), logits.copy(), ids.flags.writeable, logits.flags.owndata))

        found = model().generate(PROMPT, max_new_tokens=6, logits_processor=processor)
        self.assertEqual(list(found.ids), list(plain.ids))
        text = [*plain.prompt, *plain.ids]
        for number, (ids, logits, writeable, owns) in enumerate(seen):
            self.assertEqual(list(ids), text[:4 + number])
            self.assertEqual((ids.dtype, logits.dtype, writeable, owns), (np.int32, np.float32, False, False))
            self.assertEqual(np.argmax(logits), plain.ids[number])
        self.assertEqual(len(seen), 6)
        self.assertTrue(np.array_equal(seen[0][1], model().logits(PROMPT)))

    def test_it_changes_them(self):
        first = model().generate(PROMPT, max_new_tokens=1).ids[0]

        def in_place(ids, logits):
            logits[first] = -INFINITY

        def returned(ids, logits):
            return np.where(np.arange(len(logits)) == first, -np.inf, logits)  # float64

        expected = model().generate(PROMPT, max_new_tokens=8, logit_bias={int(first): -1e9}).ids
        for processor in (in_place, returned):
            for call in (lambda **options: model().generate(PROMPT, **options).ids,
                         lambda **options: model().generate_batch([PROMPT, "A dog"], **options)[0].ids,
                         lambda **options: [one.id for one in model().stream(PROMPT, **options) if one.id >= 0]):
                self.assertEqual(list(call(max_new_tokens=8, logits_processor=processor)), list(expected))
        drawn = model().generate(PROMPT, max_new_tokens=30, do_sample=True, temperature=3.0, top_k=0,
                                 logits_processor=lambda ids, logits: logits[10:].fill(-INFINITY))
        self.assertLess(max(drawn.ids), 10)

    def test_it_ends_a_text(self):
        found = model().generate(PROMPT, max_new_tokens=9, logits_processor=lambda ids, logits: len(ids) < 7)
        self.assertEqual((len(found.ids), found.finish_reason), (3, "cancelled"))

    def test_texts_of_a_batch(self):
        batch = model().batch(rows=3)
        forced = batch.add(PROMPT, max_new_tokens=3, logits_processor=lambda ids, logits: np.eye(1, 2048, 9)[0] * 99)
        plain = batch.add("A dog", max_new_tokens=3)
        ids = {}
        for event in batch.run():
            ids.setdefault(event.number, []).append(event.id)
        self.assertEqual(ids[forced], [9, 9, 9])
        self.assertEqual(ids[plain], list(model().generate("A dog", max_new_tokens=3).ids))
        batch.add(PROMPT, logits_processor=lambda ids, logits: batch.counts)
        with self.assertRaisesRegex(package.Error, "expected a batch that is idle, found a call from its own callback"):
            list(batch.run())
        batch.remove(batch.add(PROMPT, logits_processor=lambda ids, logits: None))
        self.assertEqual((batch.counts.running, batch._options), (0, {}))

    def test_errors(self):
        def raises(text, processor, kind=package.Error):
            for call in (lambda: model().generate(PROMPT, logits_processor=processor),
                         lambda: list(model().stream(PROMPT, logits_processor=processor)),
                         lambda: model().generate_batch([PROMPT] * 5, logits_processor=processor)):
                with self.assertRaisesRegex(kind, text) as caught:
                    call()
                self.assertNotIn("\n", str(caught.exception))

        raises("on_logits: token 5: expected a finite number or -inf, found nan",
               lambda ids, logits: logits.__setitem__(5, np.nan))
        raises("on_logits: expected a finite number for at least one token, found -inf for all",
               lambda ids, logits: logits.fill(-INFINITY))
        raises(r"logits_processor: expected None, a bool or 2048 floats, found an array of shape \[3\] and type int64",
               lambda ids, logits: np.arange(3))
        raises("division by zero", lambda ids, logits: 1 / 0, ZeroDivisionError)
        raises("logits_processor: expected a function, found 5", 5)
        raises("read-only", lambda ids, logits: ids.fill(0), ValueError)
        session = model().session()
        with self.assertRaisesRegex(package.Error, "expected a session that is idle, found a call from its own"):
            session.generate(PROMPT, logits_processor=lambda ids, logits: session.position)
        self.assertEqual(len(session.generate("A dog", max_new_tokens=3).ids), 3)


class Profiles(TestCase):
    def test_a_profile_is_what_the_program_prints(self):
        found = package.profile(stories(), n_prompt=9, n_gen=4, repetitions=2, batch=2, threads=1)
        self.assertEqual((found.model, found.threads, found.dropped_calls), (str(stories()), 1, 0))
        self.assertEqual([phase.name for phase in found.phases], ["prefill", "decode"])
        decode = found.phase("decode")
        self.assertEqual((decode.calls, decode.tokens), (8, 16))
        self.assertAlmostEqual(decode.wall_seconds,
                               decode.command_seconds + decode.between_seconds + decode.host_seconds, 6)
        self.assertEqual(decode.ops[0].op, "matmul")
        self.assertEqual(decode.ops[0].commands, sum(one.op == "matmul" for one in decode.commands))
        for works in (decode.commands, decode.places, decode.ops):
            self.assertEqual(sum(one.runs for one in works), 8 * len(decode.commands))
            self.assertGreater(works[0].bytes_per_second, 0)
        self.assertIn("h.*.attn", [one.place for one in decode.places])
        with self.assertRaises(KeyError):
            found.phase("training")

    def test_errors_are_the_programs(self):
        with self.assertRaisesRegex(package.Error, "none.linnet"):
            package.profile("none.linnet")
        line = linnet("profile", stories(), "-p", 500, "-n", 1).err.strip().splitlines()[-1]
        with self.assertRaises(package.Error) as caught:
            package.profile(stories(), n_prompt=500, n_gen=1)
        self.assertEqual("linnet: error: " + str(caught.exception), line)


if __name__ == "__main__":
    main()
