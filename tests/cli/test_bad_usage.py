"""Command lines and prompts that cannot be meant: what is wrong is said in one line."""
from harness import *


class Usage(TestCase):
    def test_usage_errors(self):
        model = golden("tiny")
        for args, says in (
                ((), "expected a command"),
                (("frobnicate",), "no command 'frobnicate'"),
                (("compil", "x"), "did you mean compile?"),
                (("run", model, "--ids", "1", "--max-token", "3"), "did you mean --max-new-tokens?"),
                (("run", model, "--frob"), "unknown option --frob"),
                (("run",), "MODEL"),
                (("run", model, "extra", "--ids", "1"), "unexpected argument 'extra'"),
                (("run", model, "--ids", "1", "--prompt", "a"), "--ids"),
                (("run", model, "--ids", "1", "--max-new-tokens", "x"), "--max-new-tokens"),
                (("run", model, "--ids", "1", "--max-new-tokens", "-1"), "--max-new-tokens"),
                (("run", model, "--ids", "1", "--max-new-tokens", "99999999999999999999"), "--max-new-tokens"),
                (("run", model, "--ids", "1", "--do-sample", "--temperature", "-1"), "--temperature: Value -1 not in range 0 to"),
                (("run", model, "--ids", "1", "--do-sample", "--top-p", "1.5"), "--top-p: Value 1.5 not in range"),
                (("run", model, "--ids", "1", "--do-sample", "--top-k", "-1"), "--top-k: Value -1 not in range"),
                (("run", model, "--ids", "1", "--temperature", "2"), "--temperature requires --do-sample"),
                (("run", model, "--ids", "1", "--top-k", "2", "--temperature", "1"), "--temperature requires --do-sample"),
                (("run", model, "--ids", "1", "--greedy", "--top-p", "0.5"), "--top-p excludes --greedy"),
                (("run", model, "--ids", "1", "--greedy", "--do-sample"), "--greedy"),
                (("run", model, "--ids", "1", "--eos-id", ""), "--eos-id"),
                (("run", model, "--ids", "1", "--eos-id", "1,x"), "--eos-id: expected token ids"),
                (("run", model, "--ids", "1", "--eos-id", "1", "--ignore-eos"), "--ignore-eos"),
                (("run", model, "--ids", "1", "--stop", "a\\s"), "--stop: expected \\n, \\r, \\t or \\\\, found '\\s'"),
                (("run", model, "--ids", "1", "--stop", "a\\"), "--stop: expected \\n"),
                (("run", model), "one of --prompt and --ids is required; without them linnet run reads lines from a terminal"),
                (("run", model, "--ids", "1", "--seed", "1.5"), "--seed"),
                (("run", model, "--ids", "1", "--seed", "-1"), "--seed: expected a whole number from 0 to 18446744073709551615, found -1"),
                (("run", model, "--ids", "1", "--seed", "18446744073709551616"), "--seed"),
                (("init", "--preset", "tiny", "--seed", "-1", "x"), "--seed"),
                (("compile", "x", "-o", "y", "--verify-passes", "--seed", "18446744073709551616"), "--seed"),
                (("compile", "x", "-o", "y", "--seed", "1"), "--seed requires --verify-passes"),
                (("compile", "x", "-o", "y", "--tolerance", "1"), "--tolerance requires --verify-passes"),
                (("compile", "x", "-o", "y", "--verify-passes", "--tolerance", "nan"), "--tolerance: Value nan not in range"),
                (("compile", "x", "-o", "y", "--dtype", "int8", "--max-divergence", "1"), "--max-divergence is for --dtype auto"),
                (("compile", "x", "-o", "y", "--calibration", "z"), "--calibration is for --dtype auto"),
                (("compile", "x", "-o", "y", "--target", "vulkan,reference", "--no-onednn"), "goes with --target cpu"),
                (("compile", "x", "-o", "y", "--emit", "spirv", "--no-onednn"), "goes with --target cpu"),
                (("bisect", "x", "--target", "vulkan:native", "--no-onednn"), "goes with --target cpu"),
                (("ablate", "x", "--target", "reference", "--no-onednn"), "goes with --target cpu"),
                (("grad", "x", "--ids", "y", "--labels", "z", "-o", "o", "--device", "vulkan:0", "--no-onednn"),
                 "goes with --device cpu"),
                (("train", "--tokenizer", "x", "--data", "y", "-o", "z", "--device", "reference", "--no-onednn"),
                 "--no-onednn is for the cpu: it goes with --device cpu"),
                (("finetune", "x", "--task", "lm", "--method", "full", "--data", "y", "-o", "z", "--device", "vulkan",
                  "--no-onednn"), "goes with --device cpu"),
                (("train", "--tokenizer", "x", "--data", "y", "-o", "z", "--lr", "nan"), "--lr: Value nan not in range"),
                (("run", model, "--ids", "1", "--stop", ""), "--stop"),
                (("run", model, "--ids", "1", "-t", "0"), "--threads"),
                (("run", model, "--ids"), "--ids"),
                (("run", model, "--input", "x"), "NAME=FILE.npy"),
                (("run", model, "--input", "x=a.npy", "--ids", "1"), "--input"),
                (("logits", model), "--prompt"),
                (("logits", model, "--ids", "1", "--top", "0"), "--top"),
                (("embed", model, "--ids", "1", "--pooling", "max"), "--pooling"),
                (("embed", model, "--ids", "1", "--file", "x"), "--file"),
                (("embed", model, "--ids", "1", "--whole-file"), "--whole-file requires --file"),
                (("classify", model, "--text", "a", "--whole-file"), "--whole-file requires --file"),
                (("eval", model), "--perplexity"),
                (("eval", model, "--perplexity", "x", "--stride", "0"), "--stride"),
                (("bench", model, "-p", "4,,5"), "-p"),
                (("bench", model, "-p", "4x"), "-p"),
                (("bench", model, "-p", "0", "-n", "0"), "nothing to measure"),
                (("bench", model, "-b", "0"), "-b"),
                (("bench", model, "-d", "0"), "-d"),
                (("bench", model, "--emulate-limits", ROOT / "docs/devices/vulkan-1.1-minimum.json"), "goes with --device vulkan"),
                (("bench", model, "-r", "0"), "-r"),
                (("profile",), "FILE"),
                (("profile", model, "-p", "0"), "-p"),
                (("profile", model, "-r", "0"), "-r"),
                (("profile", model, "--top", "-1"), "--top"),
                (("ablate",), "MODEL"),
                (("ablate", "x", "-n", "0"), "-n"),
                (("ablate", "x", "--target", "cpu,reference"), "one target"),
                (("ablate", "x", "--oracle", "delphi"), "--oracle"),
                (("compile", "x"), "--output"),
                (("compile", "x", "-o", "y", "--target", "abacus"), "abacus"),
                (("compile", "x", "-o", "y", "-O3"), "-O"),
                (("compile", "x", "-o", "y", "--max-context", "0"), "--max-context"),
                (("init", "--preset", "gpt5", "x"), "gpt2-medium"),
                (("init", "--preset", "tiny"), "DIR"),
                (("export", "x", "--format", "onnx", "-o", "y"), "safetensors"),
                (("export", "x", "--format", "gguf"), "--output"),
                (("tokenize", "x"), "--prompt"),
                (("tokenizer",), "train"),
                (("tokenizer", "train", "-o", "x"), "FILES"),
                (("tokenizer", "train", "--vocab-size", "5", "-o", "x", "y"), "--vocab-size"),
                (("run", model, "--ids", "1", "--ids", "2"), "--ids is given 2 times, expected once"),
                (("run", model, "--ids", "1", "--seed=1", "--seed=2"), "--seed is given 2 times"),
                (("run", model, "--ids", "1", "--json=maybe"), "--json takes no value"),
                (("run", model, "--ids", "1", "--max-new-tokens"), "--max-new-tokens: expected N after it, found nothing"),
                (("tokenize", model, "--prompt", "a", "--pad-id", "one"), "--pad-id"),
                (("bench", model, "-r", "few"), "-r"),
                (("export", "x", "--format", "onnx", "-o", "y"), "--format: expected one of gguf,safetensors, found 'onnx'"),
                (("run", model, "--ids", "1", "--device", "vulkan", "--emulate-limits", "nowhere.json"),
                 "--emulate-limits: nowhere.json: No such file or directory"),
                (("inspect", model, "--at", "batch=1"), "--at requires --cost"),
                (("inspect", model, "--cost", "--at", "batch"), "NAME=N")):
            with self.subTest(args=args):
                done = self.fails(*args, code=2, says=says)
                self.assertRegex(done.err, r"\(see 'linnet( [a-z]+)* --help'\)\n$")


class Prompts(TestCase):
    def test_prompts_that_cannot_run(self):
        for command, more in (("run", ()), ("logits", ()), ("embed", ())):
            with self.subTest(command=command):
                self.fails(command, golden("tiny"), "--ids", "", says="empty")
                self.fails(command, tiny_artifact(), "--prompt", "", says="empty")
                self.fails(command, golden("tiny"), "--ids", "1,199", says=["199"])
                self.fails(command, golden("tiny"), "--ids", "1,2147483647", says=["2147483647"])
                self.fails(command, golden("tiny"), "--ids", "1,-2", says="--ids")
                self.fails(command, golden("tiny"), "--ids", "1,99999999999", says="--ids")
                self.fails(command, golden("tiny"), "--ids", "1;2", says="--ids")
                self.fails(command, golden("tiny"), "--ids", "1,,2", says="--ids")
                self.fails(command, golden("tiny"), "--ids", ",".join(["1"] * 49), says=["49", "48"])
                self.fails(command, golden("tiny"), "--prompt", "text", says="tokenizer")

    def test_embeddings_that_are_not_there(self):
        self.fails("embed", golden("tiny"), "--ids", "1", "--layer", 4, says=["4", "3"])
        (FOLDER / "empty.txt").write_text("")
        self.fails("embed", tiny_artifact(), "--file", FOLDER / "empty.txt", says="empty.txt")
        (FOLDER / "a.csv").write_text("text,label\na,b\n")
        self.fails("embed", tiny_artifact(), "--file", FOLDER / "a.csv", "--whole-file", says="--whole-file expects plain text")
        self.fails("embed", tiny_artifact(), "--file", FOLDER / "a.csv", "--text-column", "x", says='no column "x"')
        (FOLDER / "unnamed").write_text("a\n")
        self.fails("embed", tiny_artifact(), "--file", FOLDER / "unnamed", says=["its name does not say what it is", "--format"])

    def test_perplexity_of_nothing(self):
        (FOLDER / "empty.txt").write_text("")
        self.fails("eval", tiny_artifact(), "--perplexity", FOLDER / "empty.txt")
        self.fails("eval", tiny_artifact(), "--perplexity", FOLDER / "not there", says="not there")
        self.fails("eval", golden("tiny"), "--perplexity", FOLDER / "empty.txt", says="tokenizer")

    def test_numbers_that_are_none(self):
        for option in ("--temperature", "--top-p", "--repetition-penalty"):
            self.fails("run", golden("tiny"), "--ids", "1", "--do-sample", option, "nan", code=2, says=f"{option}: Value nan not in range")

    def test_stop_needs_text(self):
        self.fails("run", golden("tiny"), "--ids", "1", "--stop", "x", says="tokenizer")

    def test_bounds_of_a_benchmark(self):
        self.fails("bench", golden("tiny"), "-p", 49, says=["49", "48"])
        self.fails("bench", golden("tiny"), "-p", 4, "-n", 48, says=["49", "48"])
        self.fails("bench", golden("tiny"), "-p", 0, "-n", 9, "-d", 40, says=["49", "48"])
        self.fails("bench", golden("tiny"), "-p", 4, "-n", 4, "-b", 5, says=["5", "4"])

    def test_ids_that_are_no_tokens(self):
        self.fails("detokenize", tiny(), "--ids", "1,999999", says="999999")
        self.fails("detokenize", tiny(), "--ids", "one", says="one")
        self.fails("tokenize", GOLDEN / "tiny", "--prompt", "a", says="tokenizer")

    def test_a_device_that_is_not_there(self):
        self.fails("run", golden("tiny"), "--ids", "1", "--device", "abacus", says="abacus")
        only = fresh("device") / "cpu.linnet"
        make("compile", GOLDEN / "odd", "--target", "cpu", "-o", only)
        self.fails("run", only, "--ids", "1", "--device", "reference", says=["reference", "cpu"])

    def test_output_that_cannot_be_written(self):
        self.fails("logits", golden("tiny"), "--ids", "1", "-o", FOLDER / "no" / "such" / "x.npy", says="x.npy")
        self.fails("logits", golden("tiny"), "--ids", "1", "-o", FOLDER, says=str(FOLDER))
        self.fails("compile", GOLDEN / "tiny", "-o", FOLDER / "no" / "x.linnet", says="x.linnet")
        self.fails("compile", GOLDEN / "tiny", "-o", FOLDER, says=str(FOLDER))
        (FOLDER / "file").write_text("not a directory")
        self.fails("init", "--preset", "tiny", FOLDER / "file" / "model", says="file")

    def test_models_that_are_not_there(self):
        for command in ("run", "logits", "embed"):
            self.fails(command, FOLDER / "nowhere", "--ids", "1", says="nowhere: No such file or directory")
        for args in (("bench",), ("inspect",), ("tokenize", "-p", "a"), ("detokenize", "--ids", "1"),
                     ("compile", "-o", "x.linnet"), ("export", "--format", "gguf", "-o", "x.gguf")):
            self.fails(args[0], FOLDER / "nowhere", *args[1:], says="nowhere")
        self.fails("run", "", "--ids", "1", says="empty name")
        (FOLDER / "notes.txt").write_text("these are notes")
        self.fails("run", FOLDER / "notes.txt", "--ids", "1", says="notes.txt")
        self.fails("inspect", fresh("bare"), says="config.json")
        self.fails("run", fresh("bare"), "--ids", "1", says="config.json")


if __name__ == "__main__":
    main()
