"""Tokenizers with the stages and models of known families, small: their vocabularies are trained on CORPUS."""
import json

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizer_settings import CORPUS, END, trained

HOSTILE = ("bytes", "characters", "pieces")  # the bases whose settings are compared on hostile strings
SAMPLED = ("Qwen 2", "o200k", "Llama 2", "Unigram, bytes")  # settings whose hostile strings are in the fixture

GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES = {**GPT2, "use_regex": False}
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(scheme, splits=True):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": splits}


LLAMA2 = {"normalizer": sequence("normalizers", {"type": "Prepend", "prepend": "\u2581"}, replace(" ", "\u2581")),
          "decoder": sequence("decoders", replace("\u2581", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                              {"type": "Strip", "content": " ", "start": 1, "stop": 0})}
GEMMA = {"normalizer": replace(" ", "\u2581"), "pre_tokenizer": split(" ", "MergedWithPrevious", kind="String"),
         "decoder": sequence("decoders", replace("\u2581", " "), {"type": "ByteFallback"}, {"type": "Fuse"})}


def characters():
    """tokenizer.json of a BPE of characters with the tokens of all bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokens = ["<unk>", "<|endoftext|>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=440, special_tokens=tokens, show_progress=False))
    return bare(json.loads(tokenizer.to_str()))


def pieces():
    """tokenizer.json of a Unigram vocabulary."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokens = ["<unk>", "<|endoftext|>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=400, special_tokens=tokens, unk_token="<unk>",
                                                                  show_progress=False))
    return bare(json.loads(tokenizer.to_str()))


def bare(data):
    end = data["model"]["vocab"]["<|endoftext|>"] if data["model"]["type"] == "BPE" else 1
    data["added_tokens"] = [{"id": end, **END}]
    for key in ("normalizer", "pre_tokenizer", "decoder", "post_processor"):
        data.pop(key, None)
    return data


def bases():
    return {"bytes": bare(trained(True)), "characters": characters(), "pieces": pieces()}


def settings():
    """(name, base, changes), as in tokenizer_settings."""
    out = []
    def add(name, base, pre=None, normalizer=None, decoder=None, **more):
        stages = {"pre_tokenizer": pre, "normalizer": normalizer, "decoder": decoder}
        out.append((name, base, {**{key: value for key, value in stages.items() if value}, **more}))
    def byte_level(name, *steps, **more):
        add(name, "bytes", sequence("pretokenizers", *steps, BYTES), decoder=GPT2, **more)
    byte_level("Llama 3", split(LLAMA3), model={"ignore_merges": True})
    byte_level("Qwen 2", split(QWEN2), normalizer={"type": "NFC"})
    byte_level("cl100k", split(CL100K))
    byte_level("o200k", split(O200K))
    byte_level("DeepSeek 3", *map(split, DEEPSEEK))
    add("NeoX", "bytes", GPT2, {"type": "NFC"}, GPT2)
    add("SmolLM", "bytes", sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, GPT2), decoder=GPT2)
    add("prefix space of each part", "bytes", sequence("pretokenizers", {"type": "Digits", "individual_digits": False},
                                                       {**GPT2, "add_prefix_space": True}), decoder=GPT2)
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            byte_level(f"Split {behavior}{', inverted' if invert else ''}", split("[eo ]", behavior, invert))
        byte_level(f"Punctuation {behavior}", {"type": "Punctuation", "behavior": behavior})
    byte_level("WhitespaceSplit", {"type": "WhitespaceSplit"})
    byte_level("Whitespace", {"type": "Whitespace"})
    byte_level("CharDelimiterSplit", {"type": "CharDelimiterSplit", "delimiter": "o"})
    end, many = {"id": 0, **END}, []
    for i, (content, normalized) in enumerate((("FOO", True), ("caf\u00e9", True), ("e\u0301", True), ("The house", False), ("ﬁ", True))):
        many.append({"id": 330 + i, "content": content, "special": False, "single_word": False, "lstrip": i == 1,
                     "rstrip": i == 2, "normalized": normalized})
    byte_level("added tokens, normalized", split(QWEN2), added_tokens=[end, *many],
               normalizer=sequence("normalizers", {"type": "NFKC"}, {"type": "Lowercase"}))
    for form in ("NFD", "NFKD"):
        byte_level(form, split(QWEN2), normalizer={"type": form})
    byte_level("Strip and Replace", split(QWEN2),
               normalizer=sequence("normalizers", {"type": "Strip", "strip_left": True, "strip_right": True},
                                   replace(r"\s{2,}", " ", "Regex"), {"type": "Prepend", "prepend": "the"}))
    add("Llama 2", "characters", **LLAMA2)
    add("Gemma", "characters", GEMMA["pre_tokenizer"], GEMMA["normalizer"], GEMMA["decoder"])
    add("Mistral 3", "characters", metaspace("first", False), decoder=LLAMA2["decoder"])
    add("Metaspace", "characters", metaspace("always"), decoder=metaspace("always"))
    add("Metaspace, never", "characters", metaspace("never"), decoder=metaspace("never"))
    add("characters dropped", "characters", normalizer=LLAMA2["normalizer"], model={"byte_fallback": False, "unk_token": None})
    add("characters unknown", "characters", normalizer=LLAMA2["normalizer"], model={"byte_fallback": False, "fuse_unk": False})
    add("characters unknown, fused", "characters", {"type": "Whitespace"}, model={"byte_fallback": False})
    add("characters, ignore_merges", "characters", metaspace("always"), model={"ignore_merges": True})
    add("Unigram", "pieces", sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always")),
        sequence("normalizers", {"type": "NFKC"}, replace(" {2,}", " ", "Regex")), metaspace("always"))
    add("Unigram, whole text", "pieces", None, LLAMA2["normalizer"], LLAMA2["decoder"])
    add("Unigram, bytes", "pieces", metaspace("first"), None, LLAMA2["decoder"], model={"byte_fallback": True})
    return out
