"""A GGUF file in transformers, computed in f32 with the weights that PyPI's gguf dequantizes, for bench/real-models.

  reference.py FILE.gguf THREADS < REQUEST.json

The request has prompt (ids), generate (a number), text (ids), positions, context, stride and logits (a file to write).
Logits are those of the first positions of the text, float32. Prints the greedy tokens after the prompt and the
perplexity of the text.
"""
import json
import os
import sys

import torch
import transformers


def greedy(model, ids, count):
    """The likeliest token each time, past the end of a text: generate() would stop there, or forbid that token."""
    found, cache, following = [], None, torch.tensor([ids])
    for _ in range(count):
        out = model(following, past_key_values=cache, use_cache=True)
        cache, following = out.past_key_values, out.logits[:, -1:].argmax(dim=-1)
        found.append(following.item())
    return found


def perplexity(model, ids, context, stride):
    """Windows of `context` ids start every `stride` ids. Each id is predicted once."""
    loss, predicted, done = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        if done == len(ids):
            break
        window = torch.tensor(ids[begin:begin + context])
        end = begin + len(window)
        first = max(done, begin + 1)
        logits = model(window[None]).logits[0, first - begin - 1:-1].double()
        loss += torch.nn.functional.cross_entropy(logits, window[first - begin:], reduction="sum").item()
        predicted, done = predicted + end - first, end
    return torch.tensor(loss / predicted, dtype=torch.float64).exp().item(), predicted


def main():
    path, threads = sys.argv[1:]
    request = json.load(sys.stdin)
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(os.path.dirname(path), gguf_file=os.path.basename(path),
                                                              dtype=torch.float32)
    model(torch.tensor([request["text"][:request["positions"]]])).logits[0].numpy().tofile(request["logits"])
    value, predicted = perplexity(model, request["text"], request["context"], request["stride"])
    print(json.dumps({"version": f"transformers {transformers.__version__}, torch {torch.__version__}",
                      "greedy": greedy(model, request["prompt"], request["generate"]),
                      "perplexity": value, "predicted": predicted}))


if __name__ == "__main__":
    main()
