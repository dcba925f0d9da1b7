"""PyTorch for bench/compare (serve.py): a plain GPT-2 with a static KV cache.

  pytorch.py CHECKPOINT f32|bf16|f16 THREADS BATCH CONTEXT eager|compiled [cpu|cuda]

`compiled` runs every step through torch.compile with static shapes: one for a token, one for each length of a prompt.
"""
import json
import os
import sys

import numpy
import torch
from torch.nn import functional

import f32_checkpoint
import serve


class Gpt2(serve.Peer):
    def __init__(self, checkpoint, dtype, batch, context, compiled, device="cpu"):
        config = json.load(open(os.path.join(checkpoint, "config.json")))
        self.heads, self.layers, self.width = config["n_head"], config["n_layer"], config["n_embd"]
        self.vocabulary, self.epsilon = config["vocab_size"], config.get("layer_norm_epsilon", 1e-5)
        self.dtype, self.device = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[dtype], device
        self.w = {}
        for name, values in f32_checkpoint.read(os.path.join(checkpoint, "model.safetensors")).items():
            tensor = torch.from_numpy(values.copy()).to(device, self.dtype)
            if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
                tensor = tensor.t().contiguous()  # the layout of functional.linear
            self.w[name] = tensor
        self.limit, self.context, self.cache, self.compiled = batch, context, None, compiled
        self.columns = torch.arange(context, device=device)
        self.forward = torch.compile(self.static, dynamic=False) if compiled else self.eager
        # A length or a batch that is new compiles once more, without a limit.
        torch._dynamo.config.recompile_limit = 64
        where = "" if device == "cpu" else f", {torch.cuda.get_device_name()}"
        self.version = f"torch {torch.__version__} {'compiled' if compiled else 'eager'}{where}"

    def now(self):
        if self.device != "cpu":
            torch.cuda.synchronize()
        return super().now()

    def reset(self, batch):
        if self.cache is None or self.cache.shape[2] != batch:
            self.cache = torch.zeros(self.layers, 2, batch, self.heads, self.context, self.width // self.heads,
                                     dtype=self.dtype, device=self.device)

    def norm(self, x, name):
        return functional.layer_norm(x, (self.width,), self.w[name + ".weight"], self.w[name + ".bias"], self.epsilon)

    def linear(self, x, name):
        return functional.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def blocks(self, ids, positions, attention):
        """Logits [batch, vocabulary] of the last of ids [batch, n]. `attention` appends keys and values of a layer."""
        batch, count = ids.shape
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][positions]
        for i in range(self.layers):
            h = f"h.{i}."
            qkv = self.linear(self.norm(x, h + "ln_1"), h + "attn.c_attn")
            q, k, v = (t.view(batch, count, self.heads, -1).transpose(1, 2) for t in qkv.split(self.width, dim=2))
            attended = attention(q, k, v, *self.cache[i]).transpose(1, 2)
            x = x + self.linear(attended.reshape(batch, count, self.width), h + "attn.c_proj")
            inner = functional.gelu(self.linear(self.norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh")
            x = x + self.linear(inner, h + "mlp.c_proj")
        return functional.linear(self.norm(x[:, -1], "ln_f"), self.w["wte.weight"])

    def eager(self, ids, past):
        """Attends to the entries of the cache that are filled."""
        end = past + ids.shape[1]
        causal = ids.shape[1] > 1
        if causal and past:
            raise ValueError("a prompt goes into an empty cache")

        def attention(q, k, v, keys, values):
            keys[:, :, past:end] = k
            values[:, :, past:end] = v
            return functional.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], is_causal=causal)

        return self.blocks(ids, self.columns[past:end], attention)

    def static(self, ids, positions):
        """Attends to the whole cache, with a mask: no shape depends on the position. A prompt attends to itself."""
        prompt = ids.shape[1] > 1
        mask = None if prompt else self.columns[None] <= positions[:, None]

        def attention(q, k, v, keys, values):
            keys.index_copy_(2, positions, k)
            values.index_copy_(2, positions, v)
            if prompt:
                return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask)

        return self.blocks(ids, positions, attention)

    def run(self, ids, past):
        ids = torch.as_tensor(ids, device=self.device)
        return self.forward(ids, self.columns[past:past + ids.shape[1]].clone() if self.compiled else past)

    def step(self, ids, past):
        return self.run(ids, past).argmax(dim=-1, keepdim=True)

    def logits(self, ids):
        self.reset(1)
        return self.run(numpy.array([ids]), 0)[0].float().cpu().numpy()


def main():
    if len(sys.argv) not in (7, 8) or sys.argv[6] not in ("eager", "compiled"):
        sys.exit("usage: pytorch.py CHECKPOINT f32|bf16|f16 THREADS BATCH CONTEXT eager|compiled [cpu|cuda]")
    torch.set_num_threads(int(sys.argv[3]))
    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = False  # f32 is f32
    serve.serve(Gpt2(*sys.argv[1:3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6] == "compiled", *sys.argv[7:]))


if __name__ == "__main__":
    main()
