"""oneDNN: only programs that call it load it, --no-onednn compiles without it, and its absence is one clear line."""
from harness import *

PROMPT = ("--prompt", "Once upon a time there was a lighthouse at the end of a road", "-n", "8", "--greedy")


@functools.cache
def compiled(name, *options):
    artifact = fresh(name) / f"{name}.linnet"
    make("compile", tiny(), "--target", "cpu:native", *options, "-o", artifact)
    return artifact


def plain():
    """At level 0 weights stay as they are, and oneDNN multiplies them."""
    return compiled("plain", "-O", "0")


def without():
    return compiled("without", "-O", "0", "--no-onednn")


def need_of(artifact):
    [program] = linnet("inspect", artifact, "--json").json["programs"]
    return program["needs_onednn"]


class OneDnn(TestCase):
    def loads_it(self, *args):
        done = self.succeeds(*args, env=environment(LD_DEBUG="files"))
        self.assertIn("libfmt", done.err)  # the loader reports its files
        return "libdnnl" in done.err

    def is_missed(self, *args):
        done = self.fails(*args, env=without_onednn())
        self.assertRegex(done.err, r"expected oneDNN (\d) for its matmuls, found \S*/libdnnl\.so\.\1: file too short: "
                         r"install the package libdnnl\1, or compile or train with --no-onednn\n$")
        return done

    def test_the_programs_do_not_link_it(self):
        for file in (LINNET, os.environ["LINNET_RUNTIME"]):
            needed = subprocess.run(["ldd", file], capture_output=True, text=True, check=True).stdout
            self.assertIn("libgomp", needed)
            self.assertNotRegex(needed, "dnnl|OpenCL|not found")

    def test_only_a_program_that_calls_it_loads_it(self):
        self.assertTrue(self.loads_it("run", plain(), *PROMPT))
        for artifact in (without(), tiny_artifact()):
            self.assertFalse(self.loads_it("run", artifact, *PROMPT))
        self.assertFalse(self.loads_it("inspect", plain()))
        self.assertFalse(self.loads_it("--version"))

    def test_an_artifact_tells_whether_it_needs_it(self):
        self.assertEqual(need_of(plain()), "yes")
        self.assertIn("\n  needs oneDNN: yes\n", linnet("inspect", plain()).out)
        self.assertEqual(need_of(without()), "no")
        self.assertIn("\n  needs oneDNN: no\n", linnet("inspect", without()).out)
        self.assertEqual(need_of(compiled("packed")), "no")
        pairs = compiled("pairs", "--dtype", "bf16")
        self.assertEqual(need_of(pairs), "with_amx")
        self.assertIn("\n  needs oneDNN: on processors with AMX\n", linnet("inspect", pairs).out)
        self.assertEqual(need_of(compiled("pairs-without", "--dtype", "bf16", "--no-onednn")), "no")
        # Prompts of at most 64 tokens call the generated kernel on every processor.
        self.assertEqual(need_of(compiled("short", "--dtype", "bf16", "--max-context", "64")), "no")

    def test_the_library_is_missing(self):
        for command in (("run", plain(), *PROMPT), ("bench", plain(), "-p", "8", "-n", "1", "-r", "1")):
            self.assertIn(f"{plain()}: ", self.is_missed(*command).err)
        for artifact in (without(), compiled("packed")):
            self.assertEqual(self.succeeds("run", artifact, *PROMPT, env=without_onednn()).raw,
                             self.succeeds("run", artifact, *PROMPT).raw)

    def test_without_it_the_numbers_are_right(self):
        self.assertEqual(self.succeeds("run", without(), *PROMPT).raw, self.succeeds("run", plain(), *PROMPT).raw)
        folder = fresh("logits")
        values = []
        for artifact in (plain(), without()):
            out = folder / f"{artifact.stem}.npy"
            self.succeeds("logits", artifact, "--prompt", PROMPT[1], "-o", out)
            data = out.read_bytes()
            header = struct.unpack_from("<H", data, 8)[0]
            values.append(array.array("f", data[10 + header:]))
        largest = max(map(abs, values[0]))
        self.assertGreater(largest, 0)
        self.assertLess(max(abs(a - b) for a, b in zip(*values, strict=True)), 1e-5 * largest)

    def test_training(self):
        folder = fresh("training")
        rows, columns = 8, 32
        for name in ("ids", "labels"):
            write_npy(folder / f"{name}.npy", "<i8", (rows, columns), [i % 250 for i in range(rows * columns)])
        grad = ("grad", tiny(), "--ids", folder / "ids.npy", "--labels", folder / "labels.npy", "--json", "-o")
        self.is_missed(*grad, folder / "none.safetensors")
        self.leaves_nothing(folder, "ids.npy", "labels.npy")
        self.assertTrue(self.loads_it(*grad, folder / "with.safetensors"))
        found = self.succeeds(*grad, folder / "without.safetensors", "--no-onednn", env=without_onednn()).json
        expected = self.succeeds(*grad, folder / "with.safetensors").json
        self.assertAlmostEqual(found["loss"], expected["loss"], delta=1e-5 * expected["loss"])
        (folder / "text.txt").write_text("Once upon a time there was a compiler of graphs. " * 40)
        train = ("finetune", tiny(), "--task", "lm", "--method", "full", "--data", folder / "text.txt", "--steps", "2",
                 "--seq", "32", "--batch", "8", "--no-onednn", "-o", folder / "tuned")
        self.succeeds(*train, env=without_onednn())
        self.assertTrue((folder / "tuned" / "model.safetensors").exists())
        settings = json.loads((folder / "tuned/run/config.json").read_text())
        self.assertEqual((settings["device"], settings["onednn"]), ("cpu", False))


if __name__ == "__main__":
    main()
