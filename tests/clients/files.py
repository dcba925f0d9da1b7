"""Checks that transformers, tokenizers and gguf read Linnet's files, and the reverse, without PyTorch. See check-clients."""
import json, shutil, subprocess, sys
from pathlib import Path

import numpy
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoTokenizer, GPT2Config

from common import ROOT, TEXTS, Checks, linnet, linnets_ids

STORIES = ROOT / "models" / "linnet-stories"
GREEDY = 24


def variants(work):
    """Directories of tokenizers to compare: the bundled model's, and changes to it."""
    yield "bundled", STORIES
    whole = json.loads((STORIES / "tokenizer.json").read_text())
    size = len(whole["model"]["vocab"])
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    for name, change in (("added", {"added_tokens": whole["added_tokens"] + [{**token, "id": size, "content": "<A>", "lstrip": True},
                                                                             {**token, "id": size + 1, "content": "time", "single_word": True}]}),
                         ("sparse", {"model": {**whole["model"], "merges": [], "vocab": {
                             k: v for k, v in whole["model"]["vocab"].items() if v < 90}}})):
        folder = work / name
        folder.mkdir()
        shutil.copy(STORIES / "special_tokens_map.json", folder)
        changed = {**whole, **change}
        (folder / "tokenizer.json").write_text(json.dumps(changed))
        # transformers 5 takes a GPT2Tokenizer's added tokens from here, not from tokenizer.json.
        config = json.loads((STORIES / "tokenizer_config.json").read_text())
        config["added_tokens_decoder"] = {str(entry["id"]): {key: value for key, value in entry.items() if key != "id"}
                                          for entry in changed["added_tokens"]}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        yield name, folder


def check_tokenizers(checks, work):
    for name, folder in variants(work):
        theirs = AutoTokenizer.from_pretrained(folder)
        checks.equal(f"transformers reads the tokenizer {name}", [theirs(text).input_ids for text in TEXTS], linnets_ids(folder, TEXTS))
        saved = work / f"{name}-saved"
        theirs.save_pretrained(saved)
        checks.equal(f"Linnet reads what save_pretrained of transformers wrote, {name}",
                     linnets_ids(saved, TEXTS), [theirs(text).input_ids for text in TEXTS])
    theirs = AutoTokenizer.from_pretrained(STORIES)
    theirs.add_special_tokens({"pad_token": "[PAD]"})
    theirs.save_pretrained(work / "padded")
    batch = theirs(TEXTS, padding=True)
    options = [part for text in TEXTS for part in ("--prompt", text)]
    ours = json.loads(linnet("tokenize", work / "padded", *options, "--padding", "longest", "--json"))
    checks.equal("a padded batch", [row["ids"] for row in ours], batch.input_ids)
    checks.equal("its attention mask", [row["attention_mask"] for row in ours], batch.attention_mask)


def check_checkpoints(checks, work):
    """A directory as save_pretrained of transformers 5 writes it, the weights by safetensors under its names."""
    exported = work / "exported"
    linnet("export", STORIES, "--format", "safetensors", "--dtype", "f32", "-o", exported)
    config = AutoConfig.from_pretrained(exported)
    checks.equal("transformers reads config.json", (type(config), config.n_layer, config.n_embd, config.vocab_size),
                 (GPT2Config, 4, 256, 2048))
    weights = load_file(exported / "model.safetensors")
    saved = work / "transformers5"
    config.architectures = ["GPT2LMHeadModel"]
    config.save_pretrained(saved)
    AutoTokenizer.from_pretrained(exported).save_pretrained(saved)
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    options = ("--prompt", "Once upon a time", "--max-new-tokens", GREEDY, "--json")
    expected = json.loads(linnet("run", STORIES, *options))["ids"]
    checks.equal("Linnet runs what save_pretrained wrote", json.loads(linnet("run", saved, *options))["ids"], expected)
    return weights, expected


def check_gguf(checks, work, weights, greedy, npm):
    file = work / "m.gguf"
    linnet("export", STORIES, "--format", "gguf", "--dtype", "f32", "-o", file)
    reader = GGUFReader(file)
    field = lambda key: reader.get_field(key).contents()
    checks.equal("gguf reads the sizes", [field(f"gpt2.{key}") for key in ("block_count", "embedding_length", "context_length")], [4, 256, 256])
    checks.equal("gguf reads how a text begins", [field(f"tokenizer.ggml.{key}") for key in
                                                  ("add_bos_token", "add_eos_token", "add_space_prefix")], [False, False, False])
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    wanted = weights["transformer.h.0.attn.c_attn.weight"].T
    checks.equal("gguf reads the same numbers", bool(numpy.array_equal(tensors["blk.0.attn_qkv.weight"].reshape(wanted.shape), wanted)), True)
    model = work / "begins"
    shutil.copytree(STORIES, model)
    config = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**config, "add_bos_token": True, "add_eos_token": True}))
    linnet("export", model, "--format", "gguf", "-o", work / "begins.gguf")
    for name, path, around in (("plain", file, False), ("with bos and eos", work / "begins.gguf", True)):
        prompt = greedy[:-GREEDY]
        request = {"texts": TEXTS, "ids": prompt, "count": GREEDY if path == file else 0}
        done = subprocess.run(["node", ROOT / "tests/clients/llama.mjs", npm, path], input=json.dumps(request).encode(), capture_output=True)
        if done.returncode:
            sys.exit(done.stderr.decode())
        answer = json.loads(done.stdout.decode().splitlines()[-1])
        checks.equal(f"llama.cpp reads how a text begins and ends, {name}", (answer["bos"], answer["eos"]), (around, around))
        ids = linnets_ids(path, TEXTS)
        checks.equal(f"llama.cpp's tokens, {name}", [[0, *row, 0] if around else row for row in answer["tokens"]], ids)
        if request["count"]:
            checks.equal("llama.cpp's greedy text", prompt + answer["greedy"], greedy)


def main():
    work, npm = map(Path, sys.argv[1:])
    checks = Checks()
    check_tokenizers(checks, work)
    weights, greedy = check_checkpoints(checks, work)
    check_gguf(checks, work, weights, greedy, npm)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
