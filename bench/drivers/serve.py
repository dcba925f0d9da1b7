"""The protocol of serve.h for drivers in Python."""
import json
import sys
import time

import numpy


def random_ids(count, bound):
    """As serve.h's randomIds."""
    state, ids = 12345, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        ids.append((state >> 33) % bound)
    return ids


class Peer:
    """A peer whose driver feeds each token. A subclass has the attributes version, vocabulary and limit (the largest
    batch), and defines reset, step and logits."""
    version, vocabulary, limit = "", 0, 0

    def reset(self, batch):
        """Empties the cache, for `batch` sequences."""
        raise NotImplementedError

    def step(self, ids, past):
        """The likeliest next token of each sequence, [batch, 1], after ids [batch, n] at positions from `past`."""
        raise NotImplementedError

    def logits(self, ids):
        """float32 logits of the last position, from an empty cache."""
        raise NotImplementedError

    def ids(self, count, batch):
        return numpy.array([random_ids(count, self.vocabulary)] * batch, dtype=numpy.int64)

    def now(self):
        return time.perf_counter()

    def prefill(self, tokens, batch):
        """Seconds."""
        ids = self.ids(tokens, batch)
        self.reset(batch)
        begin = self.now()
        self.step(ids, 0)
        return self.now() - begin

    def decode(self, past, count, batch):
        """Seconds for `count` tokens."""
        self.reset(batch)
        following = self.step(self.ids(past, batch), 0)
        begin = self.now()
        for i in range(count):
            following = self.step(following, past + i)
        return self.now() - begin


def answer(peer, line):
    what, *rest = line.split()
    if what == "logits":
        values = numpy.asarray(peer.logits([int(i) for i in rest[1:]]), dtype=numpy.float32)
        values.tofile(rest[0])
        return {"count": len(values)}
    numbers = [int(word) for word in rest]
    batch = numbers[-1]
    if batch > peer.limit:
        raise ValueError(f"a batch of {batch}: at most {peer.limit} was announced")
    return {"seconds": peer.prefill(*numbers) if what == "prefill" else peer.decode(*numbers)}


def serve(peer):
    print(json.dumps({"version": peer.version}), flush=True)
    for line in iter(sys.stdin.readline, ""):
        if line.strip() == "quit":
            break
        try:
            reply = answer(peer, line)
        except Exception as error:  # one line for the harness, which names the peer
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(reply), flush=True)
