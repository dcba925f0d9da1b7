"""Tokenizers to compare: a small one by PyPI's `tokenizers`, and changes to its tokenizer.json."""
import itertools, json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CORPUS = ["The quick brown fox jumps over the lazy dog, and the dog doesn't mind: he'll sleep, they're friends.",
          "In the beginning the house was empty; in the end the house was full of the children's laughter.",
          "Numbers 1234 and 12345, tabs\tand\n\nlines, caf\u00e9s in Z\u00fcrich, \u4e2d\u6587\u4e2d\u6587 and \U0001f600\U0001f600.",
          "the the the house house house doesn't doesn't isn't isn't foo food fool afoot 2024 2024 2025 ... !!! ???"]

TEXTS = ["", "foo", " foo ", "  foo\t\n", "foofoo", "foo foo", "afoo", "foob a foo b", "foo.foo-foo", "_foo foo_", "foo's", "fo o",
         "foo\u0301", "foo\u203fb", "foo\u200d \u200dfoo", "\u0903foo", "foo\u00b2 \u00bdfoo", "\u2167foo foo\u2460", "\u4e2dfoo\u6587",
         "x\u00a0foo\u3000y", "foo\n\n\nfoo\r\nfoo", "\U0001f600foo\U0001f600", "foo<|endoftext|>foo", " <|endoftext|> foo <|endoftext|>",
         "caf\u00e9 x z\u00e9ro \u4e2d\u6587", "The house doesn't foo 1234", "\u00e9\u00e9 a\u00e9b \ufffd\ufeff"]
END = {"content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def trained(alphabet):
    """tokenizer.json of a vocabulary of CORPUS; without the alphabet it lacks the bytes that CORPUS lacks."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    text = CORPUS if alphabet else [line for line in CORPUS if line.isascii()]
    tokenizer.train_from_iterator(text, trainers.BpeTrainer(vocab_size=330 if alphabet else 120, initial_alphabet=letters,
                                                            special_tokens=["<|endoftext|>", "<unk>"], show_progress=False))
    data = json.loads(tokenizer.to_str())
    end = data["model"]["vocab"]["<|endoftext|>"]
    data["added_tokens"] = [{"id": end, **END}]
    return data


def template(*items):
    return {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}} if item == "A" else
                                                     {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}} for item in items],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}


def settings():
    """(name, base, changes): JSON merge patches of the tokenizer.json of base "full" or "sparse"."""
    end, size = {"id": 0, **END}, 330
    out = [("plain", "full", {})]
    flags = ("special", "single_word", "lstrip", "rstrip", "normalized")
    for values in itertools.product((False, True), repeat=len(flags)):
        token = {"id": size, "content": "foo", **dict(zip(flags, values))}
        out.append(("foo: " + (", ".join(f for f, v in zip(flags, values) if v) or "no flag"), "full", {"added_tokens": [end, token]}))
    prefix = {"pre_tokenizer": {"add_prefix_space": True}}
    several = [end] + [{"id": size + i, "content": content, "special": special, "single_word": word, "lstrip": left, "rstrip": right,
                        "normalized": last}
                       for i, (content, special, word, left, right, last) in enumerate((
                           ("foo", False, True, False, False, False), ("foo foo", False, False, True, False, False),
                           ("[PAD]", True, False, False, False, False), ("<m>", True, False, True, True, False),
                           ("caf\u00e9", False, False, False, True, True), ("\u4e2d", False, True, False, False, True)))]
    out += [("prefix space", "full", prefix), ("several tokens", "full", {"added_tokens": several}),
            ("several tokens, prefix space, template", "full", {"added_tokens": several, **prefix,
                                                                "post_processor": template("end", "A", "end", "end")}),
            ("template in front", "full", {"post_processor": template("end", "A")}),
            ("ignore_merges", "full", {"model": {"ignore_merges": True}}),
            ("missing bytes dropped", "sparse", {}),
            ("missing bytes unknown", "sparse", {"model": {"unk_token": "<unk>"}}),
            ("missing bytes unknown, fused", "sparse", {"model": {"unk_token": "<unk>", "fuse_unk": True}}),
            ("missing bytes, no such unknown token", "sparse", {"model": {"unk_token": "<nothing>"}})]
    return out


def merged(base, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def ids_of(tokenizer, texts):
    """A list of ids a text; None where the library refuses the text."""
    try:
        return [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    except Exception:  # one of them: find out which
        return [one(tokenizer, text) for text in texts]


def one(tokenizer, text):
    try:
        return tokenizer.encode(text).ids
    except Exception:
        return None
