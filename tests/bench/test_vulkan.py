"""Compares the limits of a Vulkan device with the CPU's, on a driver that uses that CPU, and runs bench/compare with them."""
import json, os, subprocess, sys, tempfile, unittest
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("LINNET_BUILD") or str(ROOT / "build" / "release")
sys.path.insert(0, str(ROOT / "bench"))
from harness import peers  # noqa: E402
from harness.process import Server  # noqa: E402


def call(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)


class Limits(unittest.TestCase):
    SIZE = ("--mib", 64, "--seconds", 0.1)

    def server(self, program, *args):
        return Server([f"{BUILD}/bin/{program}", "--serve", *self.SIZE, *args], greets=False)

    def test_beside_the_cpu(self):
        with self.server("limits_vulkan") as server:
            f32, f16, other = (server.ask(kind) for kind in ("f32", "f16", "int7"))
        for reply in (f32, f16, other):
            self.assertIn("llvmpipe", reply["device"])
            self.assertIn("llvmpipe", reply["driver"])
            self.assertGreater(reply["read_bytes_per_s"], 1e7)
        for reply in (f32, f16):
            self.assertGreater(reply["ops_per_s"], 1e8)
        self.assertEqual((f32["kernel"], other["kernel"], other["ops_per_s"]), ("limits_f32", "", 0))
        read, peak = (max(r[key] for r in (f32, f16, other)) for key in ("read_bytes_per_s", "ops_per_s"))
        self.assert_possible(read, peak)

    def assert_possible(self, read, peak):
        """Others may keep the CPU from showing what it can: one core is asked until it has."""
        cores, best_read, best_peak = len(os.sched_getaffinity(0)), 0, 0
        with self.server("limits", "--threads", 1) as server:
            for _ in range(100):
                reply = server.ask("f32")
                best_read = max(best_read, cores * reply["read_bytes_per_s"])
                best_peak = max(best_peak, cores * reply["ops_per_s"])
                if read < 3 * best_read and (peak < 1.5 * best_peak or not best_peak):
                    return
        self.fail(f"{read} bytes/s and {peak} operations/s, the CPU does {best_read} and {best_peak}")

    def test_once(self):
        done = call(f"{BUILD}/bin/limits_vulkan", "--device", "llvmpipe", "--mib", 1, "--seconds", 0.01, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(set(json.loads(done.stdout)), {"number", "device", "driver", "read_bytes_per_s", "f32_ops_per_s",
                                                        "f32_kernel", "f16_ops_per_s", "f16_kernel"})

    def test_errors(self):
        for args, code, expected in ((["--device", 7], 1, "limits_vulkan: no Vulkan device 7, there are: 0 llvmpipe"),
                                     (["--mib", 1 << 20], 1, "bytes, the device allocates at most"),
                                     (["--mib", 0], 105, "--mib"), (["--seconds", "x"], 105, "--seconds")):
            done = call(f"{BUILD}/bin/limits_vulkan", *args)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(expected, done.stderr)


class Compare(unittest.TestCase):
    def compare(self, folder, *args):
        return call(sys.executable, "-B", ROOT / "bench" / "compare", "--quick", "--target", "vulkan", "--build", BUILD, "--work",
                    folder, "--drift", 1000, *args)

    def test_quick(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.compare(folder, "--cases", "decode,prefill128", "--dtypes", "f32,f16", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(done.stdout)
            self.assertIn("llvmpipe", found["device"]["device"])
            self.assertIn("llvmpipe", found["versions"]["linnet"])
            self.assertEqual(len(found["rows"]), 4)
            for row in found["rows"]:
                entry = row["peers"]["linnet"]
                self.assertEqual(entry["runs"], 2)
                self.assertTrue(min(entry[k] for k in ("tokens_per_s", "ceiling_tokens_per_s", "ops_per_s")) > 0, entry)
            done = self.compare(folder, "--cases", "decode")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("- limits: of vulkan:0, llvmpipe", done.stdout)

    def test_no_build(self):
        done = self.compare("/tmp", "--build", "/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/bin/limits_vulkan is not there: build first", done.stderr)

    def test_peers(self):
        options = SimpleNamespace(vulkan={"number": 3}, peers_folder=Path(), work=Path(), no_install=True)
        self.assertEqual(peers.LlamaVulkan(options).environment, {"GGML_VK_VISIBLE_DEVICES": "3"})
        torch = peers.PyTorch(options)
        self.assertEqual(torch.dtypes, ("f32", "f16"))
        torch.python = lambda *packages: sys.executable
        torch.CUDA = "print(False)"  # whatever is installed here
        with self.assertRaisesRegex(peers.Missing, "PyTorch finds no CUDA device"):
            torch.tools()
        torch.CUDA = "print(True)"
        torch.tools()
        command = torch.command("m", "f16", 2, 1, 64)
        self.assertEqual((command[0], *command[-2:]), (sys.executable, "eager", "cuda"))


if __name__ == "__main__":
    unittest.main()
