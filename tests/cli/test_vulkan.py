"""Vulkan as a person chooses it: --target vulkan, --device vulkan; and what is said where that cannot be."""
import array, functools, json, os, signal, unittest
from harness import *


def setUpModule():
    # ctest names a driver where it found one: that one has to work, or everything fails.
    if "VK_DRIVER_FILES" not in os.environ and not has_vulkan():
        raise unittest.SkipTest("no Vulkan device")


@functools.cache
def compiled(target):
    path = FOLDER / f"tiny-{target.replace(',', '-')}.linnet"
    make("compile", GOLDEN / "tiny", "--target", target, "-o", path)
    return path


@functools.cache
def expected():
    return read_safetensors(GOLDEN / "tiny" / "expected.safetensors")


def tokens(ids):
    return ",".join(map(str, ids))


def greedy(path, device):
    ids = expected()["greedy_from_first_5"][1]
    return ("run", path, "--ids", tokens(ids[:5]), "--max-new-tokens", len(ids) - 5, "--ignore-eos", "--device", device,
            "--json")


class Works(TestCase):
    def test_the_same_greedy_tokens_as_the_cpu(self):
        ids = expected()["greedy_from_first_5"][1]
        for target, device in (("cpu,vulkan", "cpu"), ("cpu,vulkan", "vulkan"), ("vulkan", "vulkan"), ("vulkan", "vulkan:0")):
            with self.subTest(target=target, device=device):
                done = self.succeeds(*greedy(compiled(target), device)).json
                self.assertEqual(done["ids"], ids)
                self.assertTrue(done["device"].startswith(device.split(":")[0]), done["device"])

    def test_an_artifact_for_vulkan_alone_runs_there_unasked(self):
        done = self.succeeds("run", compiled("vulkan"), "--ids", "1,2,3", "--max-new-tokens", 2, "--json").json
        self.assertTrue(done["device"].startswith("vulkan:"), done["device"])

    def test_an_artifact_for_this_device_alone(self):
        ids = expected()["greedy_from_first_5"][1]
        portable, sizes = compiled("vulkan").stat().st_size, {}
        for profile in ("", str(ROOT / "docs" / "devices" / "vulkan-1.1-minimum.json")):
            with self.subTest(profile=profile):
                path = FOLDER / f"native-{bool(profile)}.linnet"
                self.succeeds("compile", GOLDEN / "tiny", "--target", "vulkan:native", "-o", path, env=environment(LINNET_EMULATE_LIMITS=profile))
                sizes[profile] = path.stat().st_size
                self.assertLess(sizes[profile], portable)
                # As the last choices are there, other devices run it, too.
                self.assertEqual(self.succeeds(*greedy(path, "vulkan")).json["ids"], ids)
        self.assertEqual(len(set(sizes.values())), 2)

    def test_logits_of_all_positions(self):
        (_, seq), ids = expected()["input_ids"]
        vocab = expected()["logits"][0][2]
        out = FOLDER / "vulkan.npy"
        self.succeeds("logits", compiled("cpu,vulkan"), "--ids", tokens(ids[:seq]), "--all", "-o", out, "--device", "vulkan")
        shape, values = read_npy(out)
        self.assertEqual(shape, [seq, vocab])
        self.close_to(values, expected()["logits"][1][:seq * vocab])

    def test_a_device_that_does_not_answer(self):
        self.fails("run", compiled("vulkan"), "--ids", "1,2,3", "--max-new-tokens", 1, says="has not finished in 0 seconds",
                   env=environment(LINNET_VULKAN_PATIENCE="0"))
        self.fails("run", compiled("vulkan"), "--ids", "1,2,3", "--max-new-tokens", 1, says="LINNET_VULKAN_PATIENCE: expected a number",
                   env=environment(LINNET_VULKAN_PATIENCE="long"))

    def test_few_dispatches_a_token(self):
        # 5 a layer (norm and qkv; caches and attention; projection; norm and mlp; projection), the embedding, and the
        # head, which chooses the token; a wait before each but the first at most.
        layers = json.loads((GOLDEN / "tiny" / "config.json").read_text())["n_layer"]
        done = self.succeeds("profile", compiled("vulkan"), "-p", 5, "-n", 3, "-r", 1, "--json").json
        decode = next(phase for phase in done["phases"] if phase["name"] == "decode")
        self.assertEqual(decode["calls"], 3)
        self.assertEqual(decode["dispatches"] / decode["calls"], 5 * layers + 2)
        self.assertLess(decode["barriers"], decode["dispatches"])
        # As many where the logits are sampled from on the host.
        trace = FOLDER / "sampled.json"
        self.succeeds("run", compiled("vulkan"), "--ids", "1,2,3", "--max-new-tokens", 3, "--ignore-eos", "--do-sample",
                      "--seed", 5, "--profile", trace, "--json")
        decode = next(phase for phase in self.succeeds("profile", trace, "--json").json["phases"] if phase["name"] == "decode")
        self.assertEqual(decode["dispatches"] / decode["calls"], 5 * layers + 2)
        self.assertIn(f"{5 * layers + 2} dispatches", self.succeeds("profile", compiled("vulkan"), "-p", 5, "-n", 3, "-r", 1).out)

    def test_bench(self):
        done = self.succeeds("bench", compiled("cpu,vulkan"), "-p", 16, "-n", 4, "-r", 1, "--device", "vulkan", "--json").json
        self.assertTrue(done["device"].startswith("vulkan:"), done["device"])
        self.assertEqual([test["test"] for test in done["tests"]], ["pp16", "tg4"])
        self.assertTrue(all(test["avg_ts"] > 0 for test in done["tests"]), done)

    def test_the_processors_limits_are_not_the_devices(self):
        done = self.succeeds("profile", compiled("vulkan"), "-p", 5, "-n", 1, "-r", 1, "--device", "vulkan", "--json").json
        self.assertEqual((done["limits"]["read_bytes_per_second"], done["limits"]["f32_flops_per_second"]), (0, 0))

    def test_a_processor_that_stands_in_for_a_gpu_is_named(self):
        kind = next(device for device in self.succeeds("devices", "--json").json["vulkan"] if device["default"])["kind"]
        said = self.succeeds("logits", compiled("vulkan"), "--ids", "1,2", "--device", "vulkan").err
        self.assertEqual("no GPU that Linnet can use" in said, kind == "CPU", said)
        self.assertNotIn("no GPU", self.succeeds("logits", compiled("vulkan"), "--ids", "1,2", "--device", "vulkan:0").err)

    def test_equal_weights_of_two_targets_are_stored_once(self):
        sizes = {}
        for targets in ("cpu", "vulkan", "cpu,vulkan"):
            path = FOLDER / f"size-{targets}.linnet"
            self.succeeds("compile", GOLDEN / "tiny", "--target", targets, "-o", path)
            sizes[targets] = path.stat().st_size
        info = self.succeeds("inspect", FOLDER / "size-cpu,vulkan.linnet", "--verify").out
        weights = (GOLDEN / "tiny" / "model.safetensors").stat().st_size
        self.assertLess(sizes["cpu,vulkan"], sizes["cpu"] + sizes["vulkan"] - weights // 2, info)

    def test_the_laboratory(self):
        done = self.succeeds("bisect", GOLDEN / "tiny", "--target", "vulkan", "--max-context", 7, "-o", FOLDER / "none.mlir", "--json").json
        self.assertIs(done["found"], False)
        done = self.succeeds("ablate", GOLDEN / "tiny", "--target", "vulkan", "-p", 5, "-n", 2, "-r", 1, "--pass", "linnet-join", "--json").json
        self.assertEqual([(row["without"], row["tokens_differing"]) for row in done["rows"]], [(None, 0), ("linnet-join", 0)])
        whole, apart = (row["commands"] for row in done["rows"])
        self.assertLess(whole, apart)
        self.assertTrue(all(row["logit_error"] < 1e-4 for row in done["rows"]), done)

    def test_the_device_by_name_as_devices_lists_it(self):
        listed = self.succeeds("devices", "--json").json["vulkan"]
        chosen = [device for device in listed if device["default"]]
        self.assertEqual(len(chosen), 1, listed)
        self.assertIn(chosen[0]["name"], self.succeeds("devices").out)
        done = self.succeeds(*greedy(compiled("vulkan"), "vulkan:" + chosen[0]["name"])).json
        self.assertIn(chosen[0]["name"], done["device"])


# Each start with a new cache compiles everything: minutes on SwiftShader, where tests/vulkan/qualification_test.cpp
# makes the same faults on one small program.
@unittest.skipIf("swiftshader" in os.environ.get("VK_DRIVER_FILES", ""), "compiles for minutes there; vulkan_qualification_test_swiftshader does it")
class PutAside(TestCase):
    """Faults of a driver, made on purpose: the tokens are right all the same, and devices tells why."""

    def setUp(self):
        self.cache = fresh("cache")

    def environment(self, trials, fault=""):
        return environment(LINNET_CACHE_DIR=str(self.cache), LINNET_VULKAN_TRIALS=trials, LINNET_VULKAN_FAULT=fault)

    def test_bisect_finds_what_the_driver_does_wrong(self):
        out = FOLDER / "cut.mlir"
        done = linnet("bisect", GOLDEN / "tiny", "--target", "vulkan", "--max-context", 7, "-o", out, "--json",
                      env=self.environment("off", "wrong:matmul"))
        self.assertEqual(done.code, 1, done.err)
        report = json.loads(done.out)
        self.assertEqual(report["kind"], "target")
        self.assertTrue(any("matmul" in command for command in report["commands"]), report["commands"])
        self.assertIn("--target vulkan", report["repeat"])

    @staticmethod
    @functools.cache
    def short():
        """For so short a context that there are few variants."""
        path = FOLDER / "short.linnet"
        make("compile", GOLDEN / "tiny", "--target", "vulkan", "--max-context", 7, "-o", path)
        return path

    def command(self):
        ids = expected()["greedy_from_first_5"][1]
        return ("run", self.short(), "--ids", tokens(ids[:5]), "--max-new-tokens", 2, "--ignore-eos", "--json")

    def right(self, trials, fault):
        done = self.succeeds(*self.command(), env=self.environment(trials, fault)).json
        return done["ids"] == expected()["greedy_from_first_5"][1][:7]

    def put_aside(self):
        listed = self.succeeds("devices", "--json", env=self.environment("all")).json["vulkan"]
        chosen = next(device for device in listed if device["default"])
        text = self.succeeds("devices", env=self.environment("all")).out
        self.assertIn(f"{chosen['variants_tried']} tried, {len(chosen['put_aside'])} put aside", text)
        for one in chosen["put_aside"]:
            self.assertIn(f"{one['shader']}: {one['why']}", text)
        return chosen["put_aside"]

    def test_a_wrong_answer(self):
        fault = "wrong:matmul_direct,wrong:subgroup_attention"
        self.assertFalse(self.right("off", fault))  # the fault is one
        self.assertTrue(self.right("all", fault))
        aside = self.put_aside()
        self.assertTrue(aside)
        for one in aside:
            self.assertRegex(one["shader"], "matmul_direct|subgroup_attention")
            self.assertEqual(one["why"], "wrong answer")
            self.assertRegex(one["detail"], "off by .* of the largest number|not finite")

    def test_nothing_is_used_untried(self):
        """Whatever a first start has time for: all of it, nothing, something."""
        for trials in ("", "0", "0.05"):
            with self.subTest(trials=trials):
                self.cache = fresh("cache")
                for start in range(2):
                    self.assertTrue(self.right(trials, "wrong:matmul_direct,wrong:subgroup_attention"), start)

    def test_a_wrong_last_choice_is_not_what_others_are_judged_by(self):
        self.assertTrue(self.right("all", "wrong:matmul_tiled"))
        self.assertEqual(self.put_aside(), [])

    def test_nothing_left(self):
        """All ways of an operation alike wrong, those of one way included: an error, at this start and the next."""
        for fault, kernel in (("wrong:matmul", "matmul_tiled"), ("wrong:attention", "attention"), ("refused:matmul", "matmul_tiled")):
            with self.subTest(fault=fault):
                self.cache = fresh("cache")
                for start in range(2):
                    done = linnet(*self.command(), env=self.environment("", fault))
                    self.assertEqual(done.code, 1, done.err)
                    self.assertEqual(done.err.count("\n"), 1, done.err)
                    self.assertRegex(done.err, f"error: .*the device .* cannot do it: shader '{kernel}.* was put aside: ")

    def test_a_compile_that_crashes(self):
        """Of a variant once among others and once alone; then it is known. After two of them no other is tried."""
        width = json.loads((GOLDEN / "tiny" / "config.json").read_text())["n_embd"]
        fault = f"matmul_direct1_f32_{width}x{3 * width}_"
        for crashes in range(5):
            done = linnet(*self.command(), env=self.environment("all", "crashes:" + fault))
            if done.code == 0:
                break
            self.assertEqual(done.code, -signal.SIGABRT)
        self.assertEqual(done.json["ids"], expected()["greedy_from_first_5"][1][:7])
        crashed = [one["shader"] for one in self.put_aside() if one["why"] == "crashes the process"]
        self.assertGreater(len(crashed), 0)
        self.assertEqual(crashes, 2 * len(crashed))
        for shader in crashed:
            self.assertIn(fault, shader)

    def test_work_that_does_not_end(self):
        self.assertTrue(self.right("all", "hangs:matmul_direct"))
        self.assertEqual([one["why"] for one in self.put_aside()].count("hangs"), 2)


class Refused(TestCase):
    def test_devices_that_are_not_there(self):
        self.fails(*greedy(compiled("vulkan"), "vulkan:99"), says="no Vulkan device 99, there are: 0 ")
        self.fails(*greedy(compiled("vulkan"), "vulkan:nothing"), says="no Vulkan device is called 'nothing', there are: 0 ")

    def test_devices_that_are_not_named(self):
        for device in ("vulkan:", "cpu:"):
            self.fails(*greedy(compiled("cpu,vulkan"), device), says=f"device '{device}': expected a number or name after the colon")

    def test_faults_that_there_are_not(self):
        """Or a test would see a kernel pass that was never made wrong."""
        for fault in ("wrong", "wrong:", ":matmul", "bogus:matmul", "wrong:matmul,refused"):
            self.fails(*greedy(compiled("vulkan"), "vulkan"), env=environment(LINNET_VULKAN_FAULT=fault),
                       says=f"LINNET_VULKAN_FAULT: expected KIND:PART, KIND one of wrong, refused, crashes, hangs, loses, found '{fault.split(',')[-1]}'")

    def test_profiles_with_names_that_no_device_has(self):
        profile = FOLDER / "misspelled.json"
        profile.write_text('{"features": ["cpu", "subgroup_suffle"]}')
        says = f"{profile}: unknown feature 'subgroup_suffle'; did you mean subgroup_shuffle?"
        self.fails(*greedy(compiled("vulkan"), "vulkan"), "--emulate-limits", profile, says=says)
        self.fails("devices", "--emulate-limits", profile, says=says)

    def test_sums_that_overflow(self):
        """No logit is a number: no token, though the device would choose one."""
        model = copy_of(GOLDEN / "tiny", "overflow")
        header, body = read_header(model / "model.safetensors")
        begin, end = header["wte.weight"]["data_offsets"]
        weights = array.array("f", [3e38] * ((end - begin) // 4)).tobytes()
        write_safetensors(model / "model.safetensors", header, body[:begin] + weights + body[end:])
        path = FOLDER / "overflow.linnet"
        self.succeeds("compile", model, "--target", "vulkan", "-o", path)
        for options in ((), ("--do-sample",)):
            self.fails("run", path, "--ids", "1,2,3", "--device", "vulkan:0", *options, says="the model's logit after 3 tokens is")

    def test_artifacts_without_a_program_for_the_device(self):
        self.fails(*greedy(compiled("cpu"), "vulkan"), says="has no program for target 'vulkan', only for: cpu")
        self.fails(*greedy(compiled("vulkan"), "cpu"), says="has no program for target 'cpu', only for: vulkan")

    def drivers(self, *files):
        """The environment of a loader that knows these driver files."""
        named = ":".join(map(str, files))
        return environment(VK_DRIVER_FILES=named, VK_ICD_FILENAMES=named)

    def test_driver_files_that_are_broken(self):
        """The loader's own words for each are "out of memory" and "incompatible driver"."""
        folder = fresh("drivers")
        working = os.environ.get("VK_DRIVER_FILES", "")
        entry = lambda path: json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": path, "api_version": "1.3.0"}})
        for name, text, says in (("broken", "{ broken", "expected JSON, found something else"),
                                 ("empty", "", "expected JSON, found something else"),
                                 ("nothing", "{}", "expected ICD.library_path, found none"),
                                 ("absent", entry("/nowhere/libdriver.so"), "its library cannot be opened: /nowhere/libdriver.so"),
                                 ("beside", entry("./libdriver.so"), f"its library cannot be opened: {folder}/./libdriver.so"),
                                 ("other", entry("libc.so.6"), "libc.so.6 is not a Vulkan driver"),
                                 ("missing", None, "")):
            with self.subTest(file=name):
                file = folder / f"{name}.json"
                if text is not None:
                    file.write_text(text)
                env = self.drivers(file)
                done = self.fails(*greedy(compiled("vulkan"), "vulkan"), env=env, says=[f"driver file {file}: ", says])
                self.assertNotIn("memory", done.err)
                self.assertIn(str(file), self.succeeds("devices", "--json", env=env).json["vulkan_error"])
        if working:  # one that is broken takes the others with it
            file = folder / "broken.json"
            done = linnet(*greedy(compiled("vulkan"), "vulkan"), env=self.drivers(file, working))
            if done.code:
                self.assertIn(f"driver file {file}: expected JSON", done.err)

    def test_one_workgroup_along_z(self):
        """Kernels that cut a panel in slices are not taken: the tokens stay right."""
        profile = ROOT / "tests" / "vulkan" / "devices" / "one-workgroup-deep.json"
        found = self.succeeds(*greedy(compiled("vulkan"), "vulkan"), "--emulate-limits", profile).json["ids"]
        self.assertEqual(found, expected()["greedy_from_first_5"][1])

    def test_few_allocations(self):
        profile = fresh("few") / "few.json"
        for most, sets in ((3, 1), (4096, 4)):
            limits = {"maxMemoryAllocationCount": most, "maxBoundDescriptorSets": sets}
            profile.write_text(json.dumps({"name": "few", "limits": limits}))
            listed = self.succeeds("devices", "--emulate-limits", profile, "--json").json["vulkan"][0]["limits"]
            self.assertEqual({name: listed[name] for name in limits}, limits)
            command = [*greedy(compiled("vulkan"), "vulkan"), "--emulate-limits", profile]
            if most == 3:
                self.fails(*command, says="allows 3 allocations of memory, all of them are taken: expected one more for ")
            else:
                self.assertEqual(self.succeeds(*command).json["ids"], expected()["greedy_from_first_5"][1])

    def test_no_driver_at_all(self):
        nowhere = str(FOLDER / "no-such-driver.json")
        env = environment(VK_DRIVER_FILES=nowhere, VK_ICD_FILENAMES=nowhere)
        for command in (greedy(compiled("cpu,vulkan"), "vulkan"), greedy(compiled("vulkan"), "vulkan:0"),
                        ("bench", compiled("vulkan"), "-p", 16, "-n", 4, "--device", "vulkan")):
            self.fails(*command, env=env, says="Vulkan")
        self.fails("compile", GOLDEN / "tiny", "--target", "vulkan:native", "-o", FOLDER / "nowhere.linnet", env=env, says="Vulkan")
        self.assertFalse((FOLDER / "nowhere.linnet").exists())
        listed = self.succeeds("devices", "--json", env=env).json
        self.assertEqual(listed["vulkan"], [])
        self.assertIn("Vulkan", listed["vulkan_error"])
        self.assertIn(listed["vulkan_error"], self.succeeds("devices", env=env).out)
        ids = expected()["greedy_from_first_5"][1]
        self.assertEqual(self.succeeds(*greedy(compiled("cpu,vulkan"), "cpu"), env=env).json["ids"], ids)


if __name__ == "__main__":
    main()
