"""Ctrl-C: what runs ends, KeyboardInterrupt is raised, and the session can be used again."""
import threading
import time

from common import *

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
