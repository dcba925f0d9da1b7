"""scripts/verify-matrix: the laboratory is silent about thirty drawn combinations of what is shipped."""
import os, subprocess, sys, unittest
from harness import *

MATRIX = ROOT / "scripts" / "verify-matrix"


def matrix(*args):
    return subprocess.run([sys.executable, "-B", MATRIX, "--linnet", LINNET, *args], capture_output=True, text=True,
                          env=environment(), timeout=600)


class Matrix(TestCase):
    def test_thirty_drawn_combinations_are_silent(self):
        # ctest names a driver where it found one.
        targets = "cpu,vulkan" if "VK_DRIVER_FILES" in os.environ or has_vulkan() else "cpu"
        done = matrix("--draw", "30", "--seed", "17", "--models", "tiny,odd,llama,gemma3", "--targets", targets, "--jobs", "1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^30 of 30 combinations ran in \d+ s; findings: 0\n$")

    def test_a_finding_is_printed_and_counted(self):
        done = subprocess.run([sys.executable, "-B", MATRIX, "--linnet", "/bin/false", "--draw", "2", "--jobs", "1"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.count("/bin/false bisect "), 2)
        self.assertRegex(done.stdout, r"2 of 2 combinations ran in \d+ s; findings: 2\n$")

    def test_an_unknown_word_is_refused(self):
        done = matrix("--dtypes", "f8")
        self.assertEqual(done.returncode, 2)
        self.assertIn("expected f32, bf16, f16, int8, int4, int4a, found f8", done.stderr)


if __name__ == "__main__":
    main()
