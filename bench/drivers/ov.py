"""OpenVINO for bench/compare (serve.py), with the model that optimum-intel exports.

  ov.py MODEL_DIR f32|bf16|int8|int4 THREADS BATCH
"""
import os
import sys

import numpy
import openvino
from openvino import opset13

import serve


def last_position(model):
    """Cuts the head's input to the last position, as openvino-genai does when it loads a model."""
    head = model.output("logits").get_node().input_value(0).get_node()
    hidden = head.input_value(0)
    start, stop, step, axis = -1, numpy.iinfo(numpy.int64).max, 1, 1
    bounds = (opset13.constant(numpy.array([value], dtype=numpy.int64)) for value in (start, stop, step, axis))
    head.input(0).replace_source_output(opset13.slice(hidden, *bounds).output(0))
    model.validate_nodes_and_infer_types()


class OpenVino(serve.Peer):
    def __init__(self, folder, dtype, threads, batch):
        core = openvino.Core()
        model = core.read_model(os.path.join(folder, "openvino_model.xml"))
        last_position(model)
        self.vocabulary, self.limit = model.output("logits").partial_shape[-1].get_length(), batch
        how = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        if dtype in ("f32", "bf16"):  # quantized models compute in the type that OpenVINO chooses
            how["INFERENCE_PRECISION_HINT"] = dtype
        compiled = core.compile_model(model, "CPU", how)
        self.request = compiled.create_infer_request()
        self.positions = any(port.get_any_name() == "position_ids" for port in compiled.inputs)
        kind = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.version = f"openvino {openvino.__version__}, activations in {kind}"

    def reset(self, batch):
        self.request.reset_state()

    def run(self, ids, past):
        batch, count = ids.shape
        inputs = {"input_ids": ids, "attention_mask": numpy.ones((batch, past + count), dtype=numpy.int64),
                  "beam_idx": numpy.arange(batch, dtype=numpy.int32)}
        if self.positions:
            inputs["position_ids"] = numpy.tile(numpy.arange(past, past + count, dtype=numpy.int64), (batch, 1))
        self.request.infer(inputs, share_inputs=True)
        return self.request.get_tensor("logits").data[:, -1]

    def step(self, ids, past):
        return self.run(ids, past).argmax(axis=1, keepdims=True)

    def logits(self, ids):
        self.reset(1)
        return self.run(numpy.array([ids], dtype=numpy.int64), 0)[0].copy()


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[2] not in ("f32", "bf16", "int8", "int4"):
        sys.exit("usage: ov.py MODEL_DIR f32|bf16|int8|int4 THREADS BATCH")
    serve.serve(OpenVino(*sys.argv[1:3], *map(int, sys.argv[3:])))
