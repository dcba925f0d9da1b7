"""Shared by the checks against other clients."""
import json, os, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINNET = os.environ["LINNET"]
TEXTS = ["", "Once upon a time", " Once upon a time, there was a little girl.", "caf\u00e9 \u4e2d\u6587 \U0001f600", "a <A> b", "bed time, times",
         "time\u0301 and \u200dtime", "<|endoftext|> The end.<|endoftext|>", "   \n\n\t spaces  ", "don't we'll I'm", "1234 \u00b2\u00bd"]


def linnet(*args):
    done = subprocess.run([LINNET, *map(str, args)], capture_output=True)
    if done.returncode:
        sys.exit(f"linnet {' '.join(map(str, args))}: {done.stderr.decode()}")
    return done.stdout.decode()


def linnets_ids(model, texts):
    options = [part for text in texts for part in ("--prompt", text)]
    return [row["ids"] for row in json.loads(linnet("tokenize", model, *options, "--json"))]


class Checks:
    def __init__(self):
        self.done = self.wrong = 0

    def equal(self, what, found, expected):
        self.done += 1
        if found == expected:
            print(f"ok       {what}")
            return
        self.wrong += 1
        print(f"DIFFERS  {what}\n  found    {found}\n  expected {expected}")

    def close(self, what, found, expected, tolerance):
        worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        self.equal(f"{what}: largest difference {worst:.1e}, allowed {tolerance:.0e}", bool(worst <= tolerance), True)

    def end(self):
        print(f"{self.done} checks, {self.wrong} differ")
        return 1 if self.wrong or not self.done else 0
