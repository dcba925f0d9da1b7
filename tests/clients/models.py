"""Compares the results of transformers with models that Linnet writes, and the reverse. Needs PyTorch. See check-clients."""
import json, sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from common import ROOT, Checks, linnet

STORIES = ROOT / "models" / "linnet-stories"
MESSAGES = ["come home soon", "WIN CASH now, call 555", "ok", "Free entry! Text WIN to claim a prize today, one free ticket for you"]
TOLERANCE = 2e-5
GREEDY = 24


def finetuned(work):
    lines = [f"ham\tsee you at {i} then, love\nspam\tWIN {i} CASH prizes, call now\n" for i in range(40)]
    (work / "messages.tsv").write_text("".join(lines))
    linnet("finetune", STORIES, "--data", work / "messages.tsv", "--task", "classify", "--method", "full", "--steps", 12,
           "--labels", "ham,spam", "-o", work / "classifier")
    return work / "classifier"


def check_classifier(checks, work):
    folder = finetuned(work)
    (work / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in MESSAGES))
    ours = [[answer["probabilities"][label] for label in ("ham", "spam")]
            for answer in json.loads(linnet("classify", folder, "--file", work / "texts.jsonl", "--json"))["answers"]]
    flat = [value for row in ours for value in row]
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    checks.equal("the labels", model.config.id2label, {0: "ham", 1: "spam"})
    with torch.no_grad():
        alone = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1) for text in MESSAGES])
        batch = model(**tokenizer(MESSAGES, padding=True, return_tensors="pt")).logits.softmax(-1)
    checks.close("AutoModelForSequenceClassification, one text at a time", alone.flatten().tolist(), flat, TOLERANCE)
    checks.close("AutoModelForSequenceClassification, a padded batch", batch.flatten().tolist(), flat, TOLERANCE)
    for size in (1, len(MESSAGES)):
        answers = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)(MESSAGES, batch_size=size)
        scores = [{entry["label"]: entry["score"] for entry in row} for row in answers]
        checks.close(f"pipeline, batches of {size}", [row[label] for row in scores for label in ("ham", "spam")], flat, TOLERANCE)
    saved = work / "classifier-saved"
    model.save_pretrained(saved, safe_serialization=True)
    tokenizer.save_pretrained(saved)
    again = [[answer["probabilities"][label] for label in ("ham", "spam")]
             for answer in json.loads(linnet("classify", saved, "--file", work / "texts.jsonl", "--json"))["answers"]]
    checks.close("Linnet classifies with what save_pretrained wrote", [v for row in again for v in row], flat, TOLERANCE)


def check_language_model(checks, work):
    exported = work / "exported-language-model"
    linnet("export", STORIES, "--format", "safetensors", "--dtype", "f32", "-o", exported)
    options = ("--prompt", "Once upon a time", "--max-new-tokens", GREEDY, "--json")
    expected = json.loads(linnet("run", exported, *options))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(exported).eval(), AutoTokenizer.from_pretrained(exported)
    prompt = tokenizer("Once upon a time", return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(**prompt, do_sample=False, max_new_tokens=GREEDY, pad_token_id=tokenizer.eos_token_id)[0].tolist()
    checks.equal("the greedy text of AutoModelForCausalLM", ids, expected["ids"])
    checks.equal("its characters", tokenizer.decode(ids[prompt.input_ids.shape[1]:]), expected["text"])
    saved = work / "language-model-saved"
    model.save_pretrained(saved, safe_serialization=True)
    tokenizer.save_pretrained(saved)
    checks.equal("Linnet's greedy text of what save_pretrained wrote", json.loads(linnet("run", saved, *options))["ids"], expected["ids"])


def main():
    work, = map(Path, sys.argv[1:])
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    checks = Checks()
    check_language_model(checks, work)
    check_classifier(checks, work)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
