"""PyTorch for bench/compare (drivers/serve.h): a plain GPT-2 with a KV cache.

  pytorch.py CHECKPOINT f32|bf16|f16 THREADS BATCH CONTEXT [cpu|cuda]
"""
import json
import math
import os
import sys
import time

import torch

import safetensors


class Gpt2:
    def __init__(self, checkpoint, dtype, batch, context, device="cpu"):
        config = json.load(open(os.path.join(checkpoint, "config.json")))
        self.heads, self.layers, self.width = config["n_head"], config["n_layer"], config["n_embd"]
        self.vocabulary, self.epsilon = config["vocab_size"], config.get("layer_norm_epsilon", 1e-5)
        self.dtype, self.device = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[dtype], device
        self.w = {}
        for name, values in safetensors.read(os.path.join(checkpoint, "model.safetensors")).items():
            tensor = torch.from_numpy(values.copy()).to(device, self.dtype)
            if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
                tensor = tensor.t().contiguous()  # the layout of linear()
            self.w[name] = tensor
        self.limit, self.context, self.cache = batch, context, None

    def reserve(self, batch):
        if batch > self.limit:
            raise ValueError("a batch larger than announced")
        if self.cache is None or self.cache.shape[2] != batch:
            self.cache = torch.zeros(self.layers, 2, batch, self.heads, self.context, self.width // self.heads,
                                     dtype=self.dtype, device=self.device)

    def norm(self, x, name):
        return torch.nn.functional.layer_norm(x, (self.width,), self.w[name + ".weight"], self.w[name + ".bias"],
                                              self.epsilon)

    def linear(self, x, name, bias=True):
        """One row of f32 on a CPU as matrix times vector, which OpenBLAS is five times faster at than at a matmul of a row;
        oneDNN's bf16 matmul is the faster one of the two."""
        weight, bias = self.w[name + ".weight"], self.w[name + ".bias"] if bias else None
        if x.numel() == weight.shape[1] and self.dtype == torch.float32 and self.device == "cpu":
            row = x.reshape(-1)
            y = torch.mv(weight, row) if bias is None else torch.addmv(bias, weight, row)
            return y.view(*x.shape[:-1], -1)
        return torch.nn.functional.linear(x, weight, bias)

    def step(self, ids, past):
        """Logits [batch, vocabulary] of the last position of ids [batch, n] after `past` tokens."""
        batch, count = ids.shape
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][past:past + count]
        mask = None
        if count > 1:
            mask = torch.full((count, past + count), -math.inf, dtype=self.dtype, device=self.device).triu_(past + 1)
        for i in range(self.layers):
            h = f"h.{i}."
            qkv = self.linear(self.norm(x, h + "ln_1"), h + "attn.c_attn")
            q, k, v = (t.view(batch, count, self.heads, -1).transpose(1, 2) for t in qkv.split(self.width, dim=2))
            keys, values = self.cache[i]
            keys[:, :, past:past + count] = k
            values[:, :, past:past + count] = v
            scores = (q @ keys[:, :, :past + count].transpose(2, 3)) * (1 / math.sqrt(self.width // self.heads))
            if mask is not None:
                scores += mask
            attended = (scores.softmax(dim=-1) @ values[:, :, :past + count]).transpose(1, 2)
            x = x + self.linear(attended.reshape(batch, count, self.width), h + "attn.c_proj")
            inner = torch.nn.functional.gelu(self.linear(self.norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh")
            x = x + self.linear(inner, h + "mlp.c_proj")
        return self.linear(self.norm(x[:, -1], "ln_f"), "wte", bias=False)


def random_ids(count, bound):
    """As serve.h's randomIds."""
    state, ids = 12345, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        ids.append((state >> 33) % bound)
    return ids


def now(model):
    """Seconds, when the device has done all that it was told to."""
    if model.device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def answer(model, line):
    what, *rest = line.split()
    if what == "logits":
        model.reserve(1)
        values = model.step(torch.tensor([[int(i) for i in rest[1:]]], device=model.device), 0)[0].float().cpu()
        values.numpy().tofile(rest[0])
        return {"count": len(values)}
    past, count, batch = [int(rest[0]), 0, int(rest[1])] if what == "prefill" else map(int, rest)
    model.reserve(batch)
    ids = torch.tensor([random_ids(past, model.vocabulary)] * batch, device=model.device)
    begin = now(model)
    following = model.step(ids, 0).argmax(dim=-1, keepdim=True)
    if what == "decode":
        begin = now(model)
        for i in range(count):
            following = model.step(following, past + i).argmax(dim=-1, keepdim=True)
    return {"seconds": now(model) - begin}


def main():
    if len(sys.argv) not in (6, 7):
        sys.exit("usage: pytorch.py CHECKPOINT f32|bf16|f16 THREADS BATCH CONTEXT [cpu|cuda]")
    device = sys.argv[6] if len(sys.argv) == 7 else "cpu"
    torch.set_num_threads(int(sys.argv[3]))
    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = False  # f32 is f32
    model = Gpt2(sys.argv[1], sys.argv[2], int(sys.argv[4]), int(sys.argv[5]), device)
    where = "" if device == "cpu" else f", {torch.cuda.get_device_name()}"
    print(json.dumps({"version": f"torch {torch.__version__}{where}"}), flush=True)
    for line in iter(sys.stdin.readline, ""):
        if line.strip() == "quit":
            break
        try:
            reply = answer(model, line)
        except Exception as error:  # one line for the harness, which names the peer
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
