"""Activation functions of the MLP, by the formulas in transformers: a small GPT-2 in float64 compared with every target, logits and gradients."""
import math, random
from harness import *

C, HEADS, INNER, POSITIONS, VOCAB, EPSILON = 10, 2, 23, 12, 19, 1e-5  # no vector or tile divides these
IDS, LABELS = [3, 0, 17, 8, 8, 11, 2], [0, 17, 8, -100, 11, 2, 5]

# transformers' activations.py
FORMULAS = {
    "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "gelu_fast": lambda x: 0.5 * x * (1 + math.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x)))}


def shapes():
    layer = {"ln_1.weight": (C,), "ln_1.bias": (C,), "attn.c_attn.weight": (C, 3 * C), "attn.c_attn.bias": (3 * C,),
             "attn.c_proj.weight": (C, C), "attn.c_proj.bias": (C,), "ln_2.weight": (C,), "ln_2.bias": (C,),
             "mlp.c_fc.weight": (C, INNER), "mlp.c_fc.bias": (INNER,), "mlp.c_proj.weight": (INNER, C), "mlp.c_proj.bias": (C,)}
    return {"wte.weight": (VOCAB, C), "wpe.weight": (POSITIONS, C), "ln_f.weight": (C,), "ln_f.bias": (C,),
            **{f"h.0.{name}": shape for name, shape in layer.items()}}


@functools.cache
def weights():
    """Rounded to float32, as the file holds them. c_fc is wide, so that the functions differ and bend."""
    draw = random.Random(7)
    def values(name, shape):
        size = 1.2 if "c_fc" in name else 0.5
        return array.array("f", [(1 if name.endswith("ln_f.weight") else 0) + draw.gauss(0, size) for _ in range(math.prod(shape))])
    return {name: values(name, shape) for name, shape in shapes().items()}


@functools.cache
def model(activation):
    folder = fresh(activation) / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 1, "n_head": HEADS, "n_embd": C, "n_inner": INNER,
        "n_positions": POSITIONS, "vocab_size": VOCAB, "activation_function": activation, "layer_norm_epsilon": EPSILON,
        "bos_token_id": 0, "eos_token_id": 0}))
    header, body = {}, b""
    for name, shape in shapes().items():
        data = weights()[name].tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    write_safetensors(folder / "model.safetensors", header, body)
    return folder


def norm(x, gain, bias):
    mean = sum(x) / len(x)
    scale = 1 / math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + EPSILON)
    return [(v - mean) * scale * g + b for v, g, b in zip(x, gain, bias)]


def linear(x, w, b):
    return [sum(v * w[i * len(b) + j] for i, v in enumerate(x)) + b[j] for j in range(len(b))]


def forward(p, function):
    """The logits of IDS, a row a position."""
    layer = lambda name: p["h.0." + name]
    rows = [[p["wte.weight"][i * C + c] + p["wpe.weight"][t * C + c] for c in range(C)] for t, i in enumerate(IDS)]
    projected = [linear(norm(x, layer("ln_1.weight"), layer("ln_1.bias")), layer("attn.c_attn.weight"), layer("attn.c_attn.bias"))
                 for x in rows]
    size = C // HEADS
    out = []
    for t, x in enumerate(rows):
        mixed = []
        for h in range(HEADS):
            part = lambda s, which: projected[s][which * C + h * size:which * C + (h + 1) * size]
            scores = [sum(a * b for a, b in zip(part(t, 0), part(s, 1))) / math.sqrt(size) for s in range(t + 1)]
            powers = [math.exp(s - max(scores)) for s in scores]
            mixed += [sum(w * part(s, 2)[c] for s, w in enumerate(powers)) / sum(powers) for c in range(size)]
        x = [a + b for a, b in zip(x, linear(mixed, layer("attn.c_proj.weight"), layer("attn.c_proj.bias")))]
        u = linear(norm(x, layer("ln_2.weight"), layer("ln_2.bias")), layer("mlp.c_fc.weight"), layer("mlp.c_fc.bias"))
        m = linear([function(v) for v in u], layer("mlp.c_proj.weight"), layer("mlp.c_proj.bias"))
        x = norm([a + b for a, b in zip(x, m)], p["ln_f.weight"], p["ln_f.bias"])
        out.append([sum(a * p["wte.weight"][i * C + c] for c, a in enumerate(x)) for i in range(VOCAB)])
    return out


def loss(p, function):
    lost = [math.log(sum(map(math.exp, row))) - row[label] for row, label in zip(forward(p, function), LABELS) if label >= 0]
    return sum(lost) / len(lost)


def targets():
    return ["cpu", "reference", *(["vulkan"] if has_vulkan() else [])]


class Activations(TestCase):
    def test_logits_are_those_of_the_formula(self):
        ids = ",".join(map(str, IDS))
        for name, function in FORMULAS.items():
            expected = [value for row in forward(weights(), function) for value in row]
            for target in targets():
                for options in ((), ("-O", 0)):
                    with self.subTest(activation=name, target=target, options=options):
                        folder = fresh("logits")
                        self.succeeds("compile", model(name), "--target", target, *options, "-o", folder / "m.linnet")
                        self.succeeds("logits", folder / "m.linnet", "--ids", ids, "--all", "--device", target, "-o", folder / "l.npy")
                        shape, found = read_npy(folder / "l.npy")
                        self.assertEqual(shape, [len(IDS), VOCAB])
                        self.close_to(found, expected, 2e-6)

    def test_formulas_are_told_apart(self):
        """Else the comparison above would hold for a wrong function."""
        rows = {name: [v for row in forward(weights(), function) for v in row] for name, function in FORMULAS.items()}
        apart = lambda a, b: max(abs(x - y) for x, y in zip(rows[a], rows[b])) / max(map(abs, rows[a]))
        self.assertGreater(apart("quick_gelu", "silu"), 1e-2)
        self.assertGreater(apart("quick_gelu", "gelu_fast"), 1e-3)

    def test_passes_keep_the_numbers(self):
        for name in ("quick_gelu", "silu"):
            self.succeeds("compile", model(name), "--verify-passes", "-o", fresh("verified") / "m.linnet")

    def test_gradients_are_central_differences(self):
        folder = fresh("grad")
        write_npy(folder / "ids.npy", "<i8", (1, len(IDS)), IDS)
        write_npy(folder / "labels.npy", "<i8", (1, len(LABELS)), LABELS)
        step = 1e-5
        for name in ("quick_gelu", "silu"):
            function = FORMULAS[name]
            def slope(tensor, i):
                def moved(by):
                    changed = array.array("d", weights()[tensor])
                    changed[i] += by
                    return loss({**weights(), tensor: changed}, function)
                return (moved(step) - moved(-step)) / (2 * step)
            places = [("h.0.mlp.c_fc.weight", i) for i in range(0, C * INNER, 17)] + [("h.0.mlp.c_fc.bias", i) for i in range(INNER)] + [
                ("h.0.ln_2.weight", i) for i in range(C)] + [("wte.weight", i) for i in range(0, VOCAB * C, 29)]
            expected = [slope(*place) for place in places]
            for target in targets():
                with self.subTest(activation=name, target=target):
                    self.succeeds("grad", model(name), "--ids", folder / "ids.npy", "--labels", folder / "labels.npy", "--target",
                                  target, "-o", folder / "g.safetensors")
                    found = read_safetensors(folder / "g.safetensors")
                    self.assertAlmostEqual(found["loss"][1][0], loss(weights(), function), places=5)
                    self.close_to([found[tensor][1][i] for tensor, i in places], expected, 1e-5)
                    (folder / "g.safetensors").unlink()

    def test_safetensors_keep_the_name_and_gguf_refuses_it(self):
        for name in ("quick_gelu", "silu", "swish"):
            folder = fresh("export")
            self.succeeds("export", model(name), "--format", "safetensors", "-o", folder / "m")
            self.assertEqual(json.loads((folder / "m/config.json").read_text())["activation_function"], name)
            self.fails("export", model(name), "--format", "gguf", "-o", folder / "m.gguf",
                       says=f"llama.cpp's GPT-2 has the tanh GELU; activation_function is {name}")
        self.succeeds("export", model("gelu_fast"), "--format", "gguf", "-o", fresh("export") / "m.gguf")


if __name__ == "__main__":
    main()
