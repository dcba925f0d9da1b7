"""Compares one GGUF file on Linnet with transformers and llama.cpp: token ids, logits, greedy tokens, perplexity."""
import array
import json
import os
import subprocess

from . import accuracy
from .peers import DRIVERS, NUMPY, TORCH, TRANSFORMERS
from .process import Failed, run

CONTEXT, STRIDE = 512, 256  # of the perplexity's windows
PROMPT, GENERATED = "The capital of France is", 32
POSITIONS = 64  # of the text, whose logits are compared
TEXT_BYTES = 20 * 1024
GGUF = ("gguf==0.19.0", "accelerate==1.15.0")
# The largest difference relative to the largest logit, and relative to the perplexity.
ALLOWED_LOGITS, ALLOWED_PERPLEXITY = 1e-4, 1e-4
HOSTILE = (" ", "\n\n  \n", "a  b   c", "don't we'll I'M", "1234567 3.14",
           "caf\u00e9 \u4e2d\u6587\u3000\U0001f600", "e\u0301\u200d", "<|im_start|>user\nHello<|im_end|>\n",
           "<|im_start|", "\t\tx\r\ny", "https://a.b/c?d=e&f")


class Linnet:
    """The file compiled in one type for one target."""

    def __init__(self, peer, file, dtype, target, threads, folder):
        self.linnet, self.folder, self.threads = peer.options.build / "bin" / "linnet", folder, threads
        self.device = ["--device", "vulkan"] if target == "vulkan" else []
        options = peer.options.target
        peer.options.target = target
        try:
            self.artifact = peer.artifact(file, dtype, 1, CONTEXT)
        finally:
            peer.options.target = options

    def call(self, *arguments):
        return run(self.linnet, *arguments, *self.device, "--threads", self.threads)

    def logits(self, ids):
        path = self.folder / "logits.npy"
        self.call("logits", self.artifact, "--ids", ",".join(map(str, ids)), "--all", "-o", path)
        return accuracy.read_npy(path)

    def greedy(self, ids, count):
        found = json.loads(self.call("run", self.artifact, "--ids", ",".join(map(str, ids)), "--max-new-tokens", count,
                                     "--greedy", "--ignore-eos", "--json"))
        return found["ids"][len(ids):]

    def perplexity(self, text):
        found = json.loads(self.call("eval", self.artifact, "--perplexity", text, "--stride", STRIDE, "--json"))
        return found["perplexity"], found["predicted"]


def text_ids(linnet, file, text):
    return json.loads(run(linnet, "tokenize", file, "--file", text, "--json"))["ids"]


def differing_ids(linnet, llama, file, text, folder):
    """The number of texts, and those whose ids differ between Linnet and llama.cpp: the text, each of its lines, and
    hostile ones."""
    texts = [text.read_text(), *dict.fromkeys(filter(None, text.read_text().splitlines())), *HOSTILE]
    paths = []
    for index, each in enumerate(texts):
        paths.append(folder / f"text-{index}")
        paths[-1].write_text(each)
    theirs = [json.loads(line) for line in run(llama.program, "--tokenize", file, *paths).splitlines()]
    prompts = [part for each in texts for part in ("--prompt", each)]
    mine = [row["ids"] for row in json.loads(run(linnet, "tokenize", file, *prompts, "--json"))]
    return len(texts), [each for each, a, b in zip(texts, mine, theirs, strict=True) if a != b]


def transformers(peer, file, prompt, text, folder, threads):
    """Logits of the text's first positions, greedy tokens and perplexity, by transformers in f32."""
    python = peer.python(NUMPY, TORCH, TRANSFORMERS, *GGUF)
    request = {"prompt": prompt, "generate": GENERATED, "text": text, "positions": POSITIONS, "context": CONTEXT,
               "stride": STRIDE, "logits": str(folder / "reference")}
    done = subprocess.run([str(python), "-B", str(DRIVERS / "reference.py"), str(file.resolve()), str(threads)],
                          input=json.dumps(request), capture_output=True, text=True,
                          env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"})
    if done.returncode:
        raise Failed(f"transformers: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    found["logits"] = array.array("f")
    found["logits"].frombytes((folder / "reference").read_bytes())
    return found


def llama_perplexity(llama, file, text, folder, threads):
    path = folder / "ids"
    path.write_text(" ".join(map(str, text)))
    found = json.loads(run(llama.program, "--perplexity", file, threads, CONTEXT, STRIDE, path))
    return found["perplexity"], found["predicted"]


def accuracy_row(name, model, reference, prompt, seen, text, exact):
    """How far a compiled model is from transformers. `seen`: the ids whose logits are compared. `exact`: in f32, where
    the two must agree."""
    worst, same = accuracy.logits_beside(model.logits(seen), reference["logits"], len(seen))
    different = accuracy.differing(model.greedy(prompt, GENERATED), reference["greedy"])
    perplexity, predicted = model.perplexity(text)
    if predicted != reference["predicted"]:
        raise Failed(f"{name}: expected {reference['predicted']} predicted tokens, found {predicted}")
    off = perplexity / reference["perplexity"] - 1
    wrong = exact and (worst > ALLOWED_LOGITS or different > 0 or abs(off) > ALLOWED_PERPLEXITY)
    return {"name": name, "worst_logit": worst, "same_token": same, "positions": len(seen),
            "greedy_differing": different, "perplexity": perplexity, "perplexity_off": off, "wrong": wrong}
