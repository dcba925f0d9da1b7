"""A real model: README's conversation as written, and the greedy text in f32. The argument is a folder with the GGUF file."""
import os, re, subprocess, sys, tempfile, unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else None
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def conversation():
    """The commands of README's block, and the lines that it shows below each."""
    block = re.search(r"## A conversation\n.*?```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    parts = re.split(r"^\$ ", block, flags=re.M)[1:]
    return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]


class RealModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="linnet-real-model-")
        cls.path = Path(cls.folder.name)
        (cls.path / "scripts").symlink_to(ROOT / "scripts")
        (cls.path / "smollm2").symlink_to(MODELS)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_line(self, line):
        path = f"{Path(os.environ['LINNET']).parent}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", line], cwd=self.path, env=os.environ | {"PATH": path}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_conversation_is_as_readme_shows(self):
        commands = conversation()
        self.assertEqual(len(commands), 3)
        for command, shown in commands:
            with self.subTest(command):
                said = self.run_line(command)
                if shown.strip() != "...":
                    self.assertEqual(said, shown)

    def test_the_capital_of_france_in_f32(self):
        self.run_line(f"linnet compile smollm2/{NAME} --dtype f32 --max-context 64 --target cpu:native -o f32.linnet")
        said = self.run_line('linnet run f32.linnet --greedy -n 1 --prompt "The capital of France is"')
        self.assertEqual(said.strip("\n"), " Paris")


if __name__ == "__main__":
    unittest.main()
