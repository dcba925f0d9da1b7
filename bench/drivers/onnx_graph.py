"""A GPT-2 checkpoint as an ONNX graph that ONNX Runtime runs at its best, for ort.py.

  onnx_graph.py CHECKPOINT f32|int8|int4 OUT.onnx

Attention is com.microsoft.GroupQueryAttention on packed q, k, v with past and present in one buffer; residual and layer norm
are SkipLayerNormalization, bias and gelu FastGelu. int8 is DynamicQuantizeMatMul (weights per column, activations when they
come), int4 MatMulNBits (groups of 32, products in int8). ONNX is written as protobuf by hand: it needs few messages.
"""
import json
import os
import struct
import sys

import numpy

import f32_checkpoint

FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7
MICROSOFT = "com.microsoft"


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, value):
    kind, number = {float: (1, 2), int: (2, 3)}[type(value)]
    return field(1, name) + field(number, value) + field(20, kind)


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.inputs, self.outputs, self.count = [], [], [], [], 0

    def node(self, op, inputs, outputs=1, domain="", **attributes):
        if isinstance(outputs, int):
            outputs = [f"v{self.count}_{i}" for i in range(outputs)]
        self.count += 1
        text = b"".join([field(1, i) for i in inputs] + [field(2, o) for o in outputs])
        text += field(3, f"n{self.count}_{op}") + field(4, op)
        text += b"".join(field(5, attribute(k, v)) for k, v in attributes.items())
        self.nodes.append(text + (field(7, domain) if domain else b""))
        return outputs[0] if len(outputs) == 1 else outputs

    def weight(self, name, values):
        kind = {"float32": FLOAT, "uint8": UINT8, "int8": INT8, "int64": INT64}[values.dtype.name]
        head = b"".join(field(1, int(d)) for d in values.shape) + field(2, kind) + field(8, name)
        self.weights.append(head + field(9, numpy.ascontiguousarray(values).tobytes()))
        return name

    @staticmethod
    def value(name, kind, dims):
        shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
        return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))

    def write(self, path):
        graph = b"".join([*(field(1, n) for n in self.nodes), field(2, "gpt2"), *(field(5, w) for w in self.weights),
                          *(field(11, i) for i in self.inputs), *(field(12, o) for o in self.outputs)])
        if len(graph) >= 1 << 31:
            raise SystemExit("the model is too large for one ONNX file of 2 GiB")
        opsets = field(8, field(1, "") + field(2, 17)) + field(8, field(1, MICROSOFT) + field(2, 1))
        with open(path + ".part", "wb") as out:
            out.write(field(1, 8) + opsets + field(7, graph))
        os.replace(path + ".part", path)


def quantized8(matrix):
    """[K, N] as int8 with a scale for each column."""
    scale = numpy.maximum(numpy.abs(matrix).max(axis=0), 1e-20) / 127
    return numpy.clip(numpy.rint(matrix / scale), -127, 127).astype(numpy.int8), scale.astype(numpy.float32)


def quantized4(matrix, group=32):
    """[K, N] as MatMulNBits reads it: [N, K/32, 16] bytes, low half first, and scales; zero is 8."""
    rows = numpy.ascontiguousarray(matrix.T)
    n, k = rows.shape
    groups = rows.reshape(n, k // group, group)
    place = numpy.abs(groups).argmax(axis=2)[..., None]
    scale = numpy.take_along_axis(groups, place, axis=2) / -8
    scale = numpy.where(scale == 0, numpy.float32(1), scale)
    q = numpy.clip(numpy.rint(groups / scale) + 8, 0, 15).astype(numpy.uint8)
    return q[..., 0::2] | q[..., 1::2] << 4, scale.astype(numpy.float32).reshape(n, k // group)


def build(checkpoint, dtype, out):
    config = json.load(open(os.path.join(checkpoint, "config.json")))
    tensors = f32_checkpoint.read(os.path.join(checkpoint, "model.safetensors"))
    layers, heads, width = config["n_layer"], config["n_head"], config["n_embd"]
    epsilon = float(config.get("layer_norm_epsilon", 1e-5))
    g = Graph()

    def matmul(x, name, matrix, bias=None):
        """matrix: [K, N]."""
        k, n = matrix.shape
        if dtype == "int4":
            q, scale = quantized4(matrix)
            inputs = [x, g.weight(name + ".q", q), g.weight(name + ".scale", scale.reshape(-1))]
            inputs += ["", "", bias] if bias else []
            return g.node("MatMulNBits", inputs, domain=MICROSOFT, K=k, N=n, bits=4, block_size=32, accuracy_level=4)
        if dtype == "int8":
            q, scale = quantized8(matrix)
            inputs = [x, g.weight(name + ".q", q), g.weight(name + ".scale", scale)] + (["", bias] if bias else [])
            return g.node("DynamicQuantizeMatMul", inputs, domain=MICROSOFT)
        product = g.node("MatMul", [x, g.weight(name + ".weight", matrix)])
        return g.node("Add", [product, bias]) if bias else product

    def weight(name):
        return g.weight(name, tensors[name])

    wte = weight("wte.weight")
    x = g.node("Add", [g.node("Gather", [wte, "ids"], axis=0), g.node("Gather", [weight("wpe.weight"), "positions"], axis=0)])
    delta = None  # what is still to be added to x

    def normed(x, delta, norm):
        affine = [weight(norm + ".weight"), weight(norm + ".bias")]
        if delta is None:
            return x, g.node("LayerNormalization", [x, *affine], epsilon=epsilon, axis=-1)
        y, _, _, total = g.node("SkipLayerNormalization", [x, delta, *affine],
                                [f"{norm}.y", "", "", f"{norm}.sum"], domain=MICROSOFT, epsilon=epsilon)
        return total, y

    for i in range(layers):
        h = f"h.{i}."
        x, y = normed(x, delta, h + "ln_1")
        qkv = matmul(y, h + "attn.c_attn", tensors[h + "attn.c_attn.weight"], weight(h + "attn.c_attn.bias"))
        past, present = ([f"{when}.{i}.{which}" for which in ("key", "value")] for when in ("past", "present"))
        attended = g.node("GroupQueryAttention", [qkv, "", "", *past, "seqlens", "total"], [h + "attended", *present],
                          domain=MICROSOFT, num_heads=heads, kv_num_heads=heads)[0]
        delta = matmul(attended, h + "attn.c_proj", tensors[h + "attn.c_proj.weight"], weight(h + "attn.c_proj.bias"))
        x, y = normed(x, delta, h + "ln_2")
        inner = matmul(y, h + "mlp.c_fc", tensors[h + "mlp.c_fc.weight"])
        inner = g.node("FastGelu", [inner, weight(h + "mlp.c_fc.bias")], domain=MICROSOFT)
        delta = matmul(inner, h + "mlp.c_proj", tensors[h + "mlp.c_proj.weight"], weight(h + "mlp.c_proj.bias"))
        for when, where in ((past, g.inputs), (present, g.outputs)):
            where.extend(g.value(name, FLOAT, ["batch", heads, "context", width // heads]) for name in when)

    end = g.weight("end", numpy.array(-1, dtype=numpy.int64))  # the head for the last position alone
    x, delta = (g.node("Gather", [value, end], axis=1) for value in (x, delta))
    y = g.node("LayerNormalization", [g.node("Add", [x, delta]), weight("ln_f.weight"), weight("ln_f.bias")],
               epsilon=epsilon, axis=-1)
    if dtype == "f32":
        logits = g.node("Gemm", [y, wte], transB=1)  # the embedding's own memory
    else:
        logits = matmul(y, "lm_head", tensors["wte.weight"].T)
    g.node("Identity", [logits], ["logits"])
    g.inputs[:0] = [g.value("ids", INT64, ["batch", "seq"]), g.value("positions", INT64, [1, "seq"]),
                    g.value("seqlens", INT32, ["batch"]), g.value("total", INT32, [1])]
    g.outputs.insert(0, g.value("logits", FLOAT, ["batch", config["vocab_size"]]))
    g.write(out)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[2] not in ("f32", "int8", "int4"):
        sys.exit("usage: onnx_graph.py CHECKPOINT f32|int8|int4 OUT.onnx")
    build(*sys.argv[1:])
