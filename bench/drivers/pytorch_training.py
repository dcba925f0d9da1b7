"""PyTorch's training step for bench/training-step: GPT-2 from a checkpoint, AdamW, clipped gradients; answers each line of
stdin, a number of steps, with the seconds of each.

  pytorch_training.py CHECKPOINT f32|bf16 THREADS BATCH SEQ        bf16: torch.autocast
"""
import contextlib
import json
import os
import sys
import time

import torch
from torch.nn import functional as F

import f32_checkpoint


class Step:
    def __init__(self, checkpoint, dtype, batch, seq):
        config = json.load(open(os.path.join(checkpoint, "config.json")))
        self.heads, self.layers, self.width = config["n_head"], config["n_layer"], config["n_embd"]
        self.vocabulary, self.epsilon = config["vocab_size"], config.get("layer_norm_epsilon", 1e-5)
        self.bf16, self.shape = dtype == "bf16", (batch, seq)
        tensors = f32_checkpoint.read(os.path.join(checkpoint, "model.safetensors"))
        self.w = {name.removeprefix("transformer."): torch.nn.Parameter(torch.from_numpy(values.copy()))
                  for name, values in tensors.items()}
        decayed = [p for p in self.w.values() if p.dim() > 1]
        rest = [p for p in self.w.values() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0}], lr=1e-4)
        self.generator = torch.Generator().manual_seed(0)
        self.mask = torch.full((seq, seq), float("-inf")).triu_(1)

    def norm(self, x, name):
        return F.layer_norm(x, (self.width,), self.w[name + ".weight"], self.w[name + ".bias"], self.epsilon)

    def linear(self, x, name):
        return torch.addmm(self.w[name + ".bias"], x.reshape(-1, x.shape[-1]), self.w[name + ".weight"]).view(*x.shape[:-1], -1)

    def loss(self, ids, labels):
        batch, seq = ids.shape
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][:seq]
        for i in range(self.layers):
            h = f"h.{i}."
            q, k, v = (t.view(batch, seq, self.heads, -1).transpose(1, 2)
                       for t in self.linear(self.norm(x, h + "ln_1"), h + "attn.c_attn").split(self.width, dim=2))
            scores = q @ k.transpose(2, 3) * (self.width // self.heads) ** -0.5 + self.mask
            attended = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, seq, self.width)
            x = x + self.linear(attended, h + "attn.c_proj")
            x = x + self.linear(F.gelu(self.linear(self.norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh"), h + "mlp.c_proj")
        logits = F.linear(self.norm(x, "ln_f"), self.w["wte.weight"])
        return F.cross_entropy(logits.reshape(-1, self.vocabulary).float(), labels.reshape(-1))

    def __call__(self):
        ids = torch.randint(self.vocabulary, (self.shape[0], self.shape[1] + 1), generator=self.generator)
        begin = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16) if self.bf16 else contextlib.nullcontext():
            loss = self.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.w.values(), 1.0)
        self.optimizer.step()
        return time.perf_counter() - begin


def main():
    if len(sys.argv) != 6:
        sys.exit("usage: pytorch_training.py CHECKPOINT f32|bf16 THREADS BATCH SEQ")
    torch.set_num_threads(int(sys.argv[3]))
    step = Step(sys.argv[1], sys.argv[2], int(sys.argv[4]), int(sys.argv[5]))
    print(json.dumps({"version": f"torch {torch.__version__}"}), flush=True)
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps({"seconds": [step() for _ in range(int(line))]}), flush=True)


if __name__ == "__main__":
    main()
