"""CTranslate2 for bench/compare (serve.py), with the model that its own converter writes.

  ct2.py MODEL_DIR f32|bf16|int8 THREADS BATCH
"""
import json
import os
import sys

import ctranslate2
import numpy

import serve

COMPUTE = {"f32": "float32", "bf16": "bfloat16", "int8": "int8_float32"}  # int8 weights, all else in float32


class CTranslate2(serve.Peer):
    """The library generates whole texts. The time of a prompt is that of one token after it. The time of tokens is
    measured between its callbacks."""

    def __init__(self, folder, dtype, threads, batch):
        self.model = ctranslate2.Generator(folder, device="cpu", compute_type=COMPUTE[dtype], inter_threads=1,
                                           intra_threads=threads)
        if self.model.compute_type != COMPUTE[dtype]:
            raise SystemExit(f"this processor computes in {self.model.compute_type} instead of {COMPUTE[dtype]}")
        self.tokens = json.load(open(os.path.join(folder, "vocabulary.json")))
        self.vocabulary, self.limit = len(self.tokens), batch
        self.version = f"ctranslate2 {ctranslate2.__version__}"

    def generate(self, past, count, batch):
        """Seconds until each sequence has its first token, and until each has `count`."""
        prompt = [self.tokens[i] for i in serve.random_ids(past, self.vocabulary)]
        begin, reached = self.now(), {}

        def heard(result):
            reached[result.step] = self.now()  # of the last sequence
            return False

        self.model.generate_batch([prompt] * batch, max_length=count, min_length=count, sampling_topk=1, beam_size=1,
                                  include_prompt_in_result=False, callback=heard)
        if len(reached) != count:
            raise ValueError(f"expected {count} tokens, found {len(reached)}")
        return min(reached.values()) - begin, max(reached.values()) - begin

    def prefill(self, tokens, batch):
        return self.generate(tokens, 1, batch)[1]

    def decode(self, past, count, batch):
        first, last = self.generate(past, count + 1, batch)
        return last - first

    def logits(self, ids):
        return numpy.array(self.model.forward_batch([[self.tokens[i] for i in ids]]))[0, -1]


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[2] not in COMPUTE:
        sys.exit("usage: ct2.py MODEL_DIR f32|bf16|int8 THREADS BATCH")
    serve.serve(CTranslate2(*sys.argv[1:3], *map(int, sys.argv[3:])))
