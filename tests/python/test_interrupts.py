"""Ctrl-C: what runs ends, KeyboardInterrupt is raised, and the session can be used again."""
import threading
import time
from unittest import mock

from common import *
from linnet._worker import Worker

CUT = "import sys; sys.path.insert(0, sys.argv[1]); import linnet; model = linnet.Model.load(sys.argv[2]);"


class Interrupts(TestCase):
    def interrupted(self, function):
        """The seconds from ctrl-C to KeyboardInterrupt."""
        moment = []

        def interrupt():
            moment.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.1, interrupt)
        with self.assertRaises(KeyboardInterrupt):
            timer.start()
            function()
        return time.monotonic() - moment[0]

    def check(self, function):
        session = model().session()
        self.assertLess(self.interrupted(lambda: function(session)), 5)
        session.reset()
        expected = list(model().generate(PROMPT, max_new_tokens=9).ids)
        self.assertEqual(list(session.generate(PROMPT, max_new_tokens=9).ids), expected)

    def test_generate(self):
        self.check(lambda session: session.generate_batch([PROMPT] * 2000, max_new_tokens=250, ignore_eos=True))

    def test_a_callback(self):
        def callback(token):
            time.sleep(0.01)

        self.check(lambda session: session.generate(PROMPT, max_new_tokens=250, ignore_eos=True, callback=callback))

    def test_a_stream(self):
        def read(session):
            while True:
                session.reset()
                for _ in session.stream(PROMPT, max_new_tokens=250, ignore_eos=True):
                    pass

        self.check(read)

    def test_long_prompts(self):
        self.check(lambda session: session.perplexity([*range(2000)] * 1000))

    def test_a_model(self):
        self.interrupted(lambda: model().perplexity([*range(2000)] * 1000))
        self.assertEqual(len(model().generate(PROMPT, max_new_tokens=9).ids), 9)

    def interrupted_twice(self, function, pause):
        """The second ctrl-C comes while the call ends, or after it."""
        def interrupt():
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        with self.assertRaises(KeyboardInterrupt):
            try:
                thread.start()
                function()
            finally:
                thread.join()
                time.sleep(0.05)  # for the handler of the second

    def test_two_interrupts(self):
        expected = list(model().generate(PROMPT, max_new_tokens=9).ids)
        for pause in (0, 0.0005, 0.005):
            session = model().session()
            self.interrupted_twice(lambda: session.perplexity([*range(2000)] * 1000), pause)
            self.assertEqual(list(session.generate(PROMPT, max_new_tokens=9).ids), expected)
            self.interrupted_twice(lambda: session.generate_batch(
                [PROMPT] * 2000, max_new_tokens=250, ignore_eos=True, callback=lambda token: None), pause)
            self.assertEqual(list(session.generate(PROMPT, max_new_tokens=9).ids), expected)

    def test_a_second_interrupt_leaves_the_call_to_the_worker(self):
        steps = []

        class Target:
            def cancel(self):
                steps.append("cancel")
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

            def _discard_cancel(self):
                steps.append("discard")
                threads.append(threading.current_thread())

        threads, worker, ended = [], Worker(), threading.Event()

        def work():
            ended.wait(LIMIT)
            steps.append("end")

        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            worker.run(work, Target())
        self.assertEqual(steps, ["cancel"])  # both interrupts came, and the call goes on
        ended.set()
        worker.run(lambda: steps.append("next"), Target())
        self.assertEqual(steps, ["cancel", "end", "discard", "next"])
        self.assertNotIn(threading.main_thread(), threads)

    def test_cancelling_a_job_leaves_the_one_before_it(self):
        steps, worker, ended = [], Worker(), threading.Event()
        target = mock.Mock(cancel=lambda: steps.append("cancel"), _discard_cancel=lambda: steps.append("discard"))
        worker.start(lambda: ended.wait(LIMIT), target)
        job = worker.start(lambda: steps.append("second"), target)
        job.cancel()
        self.assertEqual(steps, [])
        ended.set()
        job.wait()
        self.assertEqual(steps, ["cancel", "second", "discard"])

    def test_other_exceptions_of_signal_handlers(self):
        def handler(number, frame):
            raise TimeoutError

        session, before = model().session(), signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with self.assertRaises(TimeoutError):
                session.perplexity([*range(2000)] * 1000)
        finally:
            signal.signal(signal.SIGALRM, before)
        self.assertEqual(len(session.generate(PROMPT, max_new_tokens=9).ids), 9)

    def test_callbacks(self):
        def interrupt(*unused):
            os.kill(os.getpid(), signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            model().generate(PROMPT, max_new_tokens=250, ignore_eos=True, callback=interrupt)
        self.assertEqual(len(model().generate(PROMPT, max_new_tokens=9).ids), 9)
        loaded = package.Model.load(classifier())
        with self.assertRaises(KeyboardInterrupt):
            loaded.classify([PROMPT] * 2000, progress=interrupt)
            time.sleep(0.05)  # for the handler
        self.assertEqual(len(loaded.classify([PROMPT, "A dog"])), 2)

    def test_closing_cancels_the_prompts_that_are_left(self):
        session = model().session()
        stream = session.stream([5] * (model().config.context - 20), max_new_tokens=9)
        stream.close()
        self.assertEqual(stream.result.finish_reason, "cancelled")
        session.reset()
        self.assertEqual(len(session.generate(PROMPT, max_new_tokens=9).ids), 9)

        kept = []

        def fails(token):
            kept.append(session._stream())
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            session.generate_batch([PROMPT] * 2000, max_new_tokens=250, callback=fails)
        last = kept[0].result[-1]
        self.assertEqual((last.finish_reason, len(last.ids)), ("cancelled", 0))
        self.assertEqual(len(session.generate(PROMPT, max_new_tokens=9).ids), 9)

    def test_an_open_stream_at_the_end_of_the_program(self):
        for rest in ("stream = model.stream('Once'); next(stream)", "s = model.session(); next(s.stream('Once'))",
                     "stream = model.stream('Once'); next(stream); 1 / 0"):
            done = subprocess.run([sys.executable, "-c", f"{CUT} {rest}", str(ROOT / "python"), str(stories())],
                                  capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 1 if "1 / 0" in rest else 0, done.stderr)

    def test_finetuning(self):
        out = fresh("interrupted")
        data = out / "data.txt"
        data.write_text("\n".join(f"Text number {number}." for number in range(200)))
        lines = []

        def progress(fraction, text):
            lines.append(text)
            if fraction:
                os.kill(os.getpid(), signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            package.finetune(tiny(), data=data, task="lm", method="full", output=out / "model", steps=100000, batch=2,
                             seq=16, progress=progress, progress_every=0.01)
        self.assertTrue((out / "model" / "run").is_dir())


if __name__ == "__main__":
    main()
