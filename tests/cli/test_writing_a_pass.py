"""docs/writing-a-pass.md: every block runs as written, in one shell, and says what the page quotes."""
import subprocess, sys
from harness import *

sys.path.insert(0, str(ROOT / "tests" / "docs"))
import pages

PAGE = "docs/writing-a-pass.md"
BUILD = Path(os.environ.get("LINNET_BUILD") or ROOT / "build" / "release")
PAGE_LIMIT = 540  # seconds: the page compiles a plugin


class Page(TestCase):
    def test_every_block_runs_and_says_what_is_quoted(self):
        folder = fresh("page")
        (folder / "build").mkdir()
        (folder / "build" / "release").symlink_to(BUILD)
        (folder / "examples").symlink_to(ROOT / "examples")
        commands = [(quoted.text, quoted.output) for quoted in pages.quoted(PAGE) if quoted.block]
        self.assertGreaterEqual(len(commands), 10)
        self.assertGreaterEqual(sum(quoted is not None for _, quoted in commands), 4)
        script = ""
        for i, (command, _) in enumerate(commands):
            (folder / f"command{i}").write_text(command)
            script += f'eval "$(cat "$HOME/command{i}")" >"$HOME/out{i}" 2>"$HOME/err{i}"; echo $? >"$HOME/code{i}"\n'
        env = environment(HOME=str(folder), CMAKE_BUILD_TYPE="Release")
        subprocess.run(["bash", "-c", script], cwd=folder, env=env, timeout=PAGE_LIMIT, check=True,
                       stdin=subprocess.DEVNULL)
        for i, (command, quoted) in enumerate(commands):
            with self.subTest(command=command):
                found = [line for kind in ("out", "err") for line in (folder / f"{kind}{i}").read_text().splitlines()]
                fails = any(line.startswith("linnet: error: ") for line in quoted or [])
                self.assertEqual((folder / f"code{i}").read_text().strip(), "1" if fails else "0", "\n".join(found))
                if quoted is not None:
                    self.assertIsNone(pages.first_difference(quoted, found), "\n".join(found))


if __name__ == "__main__":
    main()
