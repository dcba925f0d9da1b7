"""ONNX Runtime for bench/compare (serve.py), with the graph of onnx_graph.py. The cache is one buffer for the keys and
one for the values of each layer; a run reads it and appends in place.

  ort.py CHECKPOINT MODEL.onnx THREADS BATCH CONTEXT
"""
import json
import os
import sys

import numpy
import onnxruntime

import serve


class OnnxRuntime(serve.Peer):
    def __init__(self, checkpoint, graph, threads, batch, context):
        config = json.load(open(os.path.join(checkpoint, "config.json")))
        self.layers, self.heads = config["n_layer"], config["n_head"]
        self.head_size = config["n_embd"] // self.heads
        self.vocabulary, self.limit, self.context, self.reserved = config["vocab_size"], batch, context, 0
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def reset(self, batch):
        """The lengths bound what a run reads, so that old contents do not matter."""
        if batch == self.reserved:
            return
        shape = (batch, self.heads, self.context, self.head_size)
        self.reserved, self.out = batch, numpy.empty((batch, self.vocabulary), dtype=numpy.float32)
        self.binding = self.session.io_binding()
        self.cache = []
        for name in (f"{i}.{which}" for i in range(self.layers) for which in ("key", "value")):
            buffer = onnxruntime.OrtValue.ortvalue_from_numpy(numpy.zeros(shape, dtype=numpy.float32))
            self.cache.append(buffer)
            self.binding.bind_ortvalue_input("past." + name, buffer)
            self.binding.bind_ortvalue_output("present." + name, buffer)
        self.binding.bind_output("logits", "cpu", 0, numpy.float32, self.out.shape, self.out.ctypes.data)

    def run(self, ids, past):
        batch, count = ids.shape
        end = past + count
        inputs = {"ids": ids, "positions": numpy.arange(past, end, dtype=numpy.int64)[None],
                  "seqlens": numpy.full(batch, end - 1, dtype=numpy.int32),
                  "total": numpy.array([end], dtype=numpy.int32)}
        for name, values in inputs.items():
            self.binding.bind_cpu_input(name, values)
        self.session.run_with_iobinding(self.binding)

    def step(self, ids, past):
        self.run(ids, past)
        return self.out.argmax(axis=1, keepdims=True)

    def logits(self, ids):
        self.reset(1)
        self.run(numpy.array([ids], dtype=numpy.int64), 0)
        return self.out[0].copy()


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: ort.py CHECKPOINT MODEL.onnx THREADS BATCH CONTEXT")
    serve.serve(OnnxRuntime(*sys.argv[1:3], *map(int, sys.argv[3:])))
