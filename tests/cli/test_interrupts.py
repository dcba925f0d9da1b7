"""Signals and full disks: nothing half-written, the exit code that shells expect."""
import random, resource, signal, subprocess, time
from harness import *


def handles_interrupts(pid):
    """True once the program has its handlers (before that, the kernel ends it, as any program)."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    caught = int(text.split("SigCgt:")[1].split()[0], 16)
    return bool(caught & 1 << (signal.SIGINT - 1))


def interrupted(delay, *args, sent=signal.SIGINT, env=None):
    """Starts linnet, sends a signal `delay` seconds after it handles signals; its exit code and standard error."""
    process = subprocess.Popen([LINNET, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=FOLDER,
                               env=env or environment())
    while not handles_interrupts(process.pid) and process.poll() is None:
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(sent)
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err.decode()


def duration(*args):
    begin = time.monotonic()
    make(*args)
    return time.monotonic() - begin


class Interrupts(TestCase):
    """Each command is interrupted at random moments of its usual duration. Either it was done, or it leaves nothing."""

    def moments(self, seconds, count=12):
        draw = random.Random(count)
        return [draw.random() * seconds for _ in range(count)]

    def test_compile(self):
        folder = fresh("compile")
        usual = duration("compile", tiny(), "-o", folder / "first.linnet")
        codes = set()
        for delay in self.moments(usual):
            folder = fresh("compile")
            code, _, err = interrupted(delay, "compile", tiny(), "-o", folder / "m.linnet")
            codes.add(code)
            self.assertIn(code, (0, 130), err)
            left = os.listdir(folder)
            self.assertIn(left, ([], ["m.linnet"]))
            if left:
                self.succeeds("inspect", folder / "m.linnet", "--verify")
            else:
                self.assertEqual((code, err), (130, ""))
        self.assertIn(130, codes)

    def test_compile_over_an_older_artifact(self):
        folder = fresh("older")
        usual = duration("compile", GOLDEN / "odd", "-o", folder / "m.linnet")
        for delay in self.moments(usual, 6):
            interrupted(delay, "compile", GOLDEN / "tiny", "-o", folder / "m.linnet")
            self.leaves_nothing(folder, "m.linnet")
            self.succeeds("inspect", folder / "m.linnet", "--verify")

    def test_init(self):
        usual = duration("init", "--preset", "tiny", fresh("init") / "first")
        for delay in self.moments(usual):
            folder = fresh("init")
            code, _, err = interrupted(delay, "init", "--preset", "tiny", folder / "m")
            self.assertIn(code, (0, 130), err)
            left = os.listdir(folder)
            self.assertIn(left, ([], ["m"]))
            if left:
                self.succeeds("inspect", folder / "m")

    def test_export(self):
        usual = duration("export", tiny(), "--format", "gguf", "-o", fresh("export") / "m.gguf")
        for form in ("gguf", "safetensors"):
            for delay in self.moments(usual, 8):
                folder = fresh("export")
                code, _, err = interrupted(delay, "export", tiny(), "--format", form, "-o", folder / "m")
                self.assertIn(code, (0, 130), err)
                left = os.listdir(folder)
                self.assertIn(left, ([], ["m"]))
                if left:
                    self.succeeds("inspect", folder / "m")

    def test_tokenizer_train(self):
        folder = fresh("train")
        (folder / "text.txt").write_text("".join(f"word{i * 7919 % 1000} and {i}\n" for i in range(30000)))
        arguments = ["tokenizer", "train", "--vocab-size", 3000]
        usual = duration(*arguments, "-o", fresh("train") / "v", folder / "text.txt")
        for delay in self.moments(usual, 8):
            to = fresh("train")
            code, _, err = interrupted(delay, *arguments, "-o", to / "v", folder / "text.txt")
            self.assertIn(code, (0, 130), err)
            left = os.listdir(to)
            self.assertIn(left, ([], ["v"]))
            if left:
                self.succeeds("tokenize", to / "v", "--prompt", "word1")

    def test_run_stops_between_tokens(self):
        for command in (["run", golden("tiny"), "--ids", "1", "--max-new-tokens", 40, "--ignore-eos", "--device", "reference"],
                        ["bench", golden("tiny"), "-p", 40, "-n", 40, "-r", 1000],
                        ["run", tiny_artifact(), "--prompt", "a", "--max-new-tokens", 1000, "--ignore-eos"]):
            for delay in (0, 0.01, 0.05, 0.2):
                with self.subTest(command=command[:3], delay=delay):
                    code, out, err = interrupted(delay, *command)
                    self.assertIn(code, (130, 0) if command[0] == "run" else (130,))
                    self.assertNotIn("error", err)

    def test_run_of_a_checkpoint_leaves_no_half_compiled_artifact(self):
        usual = duration("compile", tiny(), "-o", fresh("usual") / "m.linnet")
        for delay in self.moments(usual, 6):
            cache = fresh("cache")
            env = environment(LINNET_CACHE_DIR=str(cache))
            code, _, err = interrupted(delay, "run", tiny(), "--prompt", "a", "--max-new-tokens", 3, env=env)
            self.assertIn(code, (0, 130), err)
            files = [Path(where) / name for where, _, names in os.walk(cache) for name in names]
            self.assertEqual([f for f in files if ".tmp" in f.name], [])
            for file in files:
                if file.suffix == ".linnet":
                    self.succeeds("inspect", file, "--verify")

    def test_other_signals(self):
        for sent, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            folder = fresh("signal")
            got, _, _ = interrupted(0, "compile", tiny(), "-o", folder / "m.linnet", sent=sent)
            self.assertEqual(got, code)
            self.leaves_nothing(folder)

    def test_waiting_for_standard_input(self):
        process = subprocess.Popen([LINNET, "run", str(tiny_artifact()), "--prompt", "-"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        while not handles_interrupts(process.pid):
            time.sleep(0.001)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT)
        self.assertEqual((process.returncode, err), (130, b""))


class FullDisk(TestCase):
    """A limit on the size of files simulates a full disk: writes fail half-way."""

    def limited(self, size):
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    def test_nothing_half_written(self):
        text = fresh("text") / "text.txt"
        text.write_text("the cat sat on the mat " * 500)
        for size in (0, 1000, 20000):
            for args in (["compile", tiny(), "-o", "m"], ["init", "--preset", "tiny", "m"],
                         ["export", tiny(), "--format", "gguf", "-o", "m"],
                         ["export", tiny(), "--format", "safetensors", "-o", "m"],
                         ["logits", golden("tiny"), "--ids", ",".join(["1"] * 40), "--all", "-o", "m"]):
                with self.subTest(command=args[0], size=size):
                    folder = fresh("full")
                    self.fails(*args, cwd=folder, preexec=self.limited(size), says="File too large")
                    self.leaves_nothing(folder)
            if size < 20000:
                folder = fresh("full")
                self.fails("tokenizer", "train", "--vocab-size", 300, "-o", "m", text, cwd=folder,
                           preexec=self.limited(size), says="File too large")
                self.leaves_nothing(folder)

    def test_the_cache(self):
        cache = fresh("cache")
        self.fails("run", tiny(), "--prompt", "a", env=environment(LINNET_CACHE_DIR=str(cache)),
                   preexec=self.limited(5000), says="File too large")
        files = [name for _, _, names in os.walk(cache) for name in names]
        self.assertEqual([name for name in files if name.endswith(".linnet") or ".tmp" in name], [])

    def test_a_small_file_system(self):
        if os.geteuid() != 0 or not mountable():
            print("no right to mount: the limit on file sizes above stands for it", end=" ", flush=True)
            return
        folder = fresh("tmpfs")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
        try:
            self.fails("compile", tiny(), "-o", folder / "m.linnet", says="No space left on device")
            self.leaves_nothing(folder)
            self.fails("init", "--preset", "tiny", folder / "m", says="No space left on device")
            self.leaves_nothing(folder)
        finally:
            subprocess.run(["umount", str(folder)], check=True)


def mountable():
    folder = fresh("probe")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True).returncode:
        return False
    subprocess.run(["umount", str(folder)], check=True)
    return True


if __name__ == "__main__":
    main()
