"""Uses Linnet from Python: generate.py MODEL PROMPT [TOKENS] streams a continuation, and ctrl-C ends it early.

MODEL is an artifact, or a checkpoint, which is compiled first."""
import sys
from pathlib import Path

import linnet


def main(path, prompt, tokens=32):
    if Path(path).suffix != ".linnet":
        path = linnet.compile(path, target="cpu:native", dtype="int8").output
    model = linnet.Model.load(path)
    try:
        for token in model.stream(prompt, max_new_tokens=tokens):
            print(token.text, end="", flush=True)
    except KeyboardInterrupt:
        pass
    print()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:3], *map(int, sys.argv[3:4]))
    except linnet.Error as error:
        sys.exit(f"generate.py: {error}")
