"""Strings drawn to hurt a tokenizer, from a seed: as bytes, which may be ill-formed UTF-8."""
import random

POOLS = [list("\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"),
         list("\u180e\u200b\u200c\u200d\u2060\ufeff\u001c\u001f\u0000\u007f\u00ad"),
         ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''s", "\u2019s", "'l", "'r", "'sx", " 's", "'\u017f"],
         list("aeiounstrxyzABZ\u00e9\u00df\u0130\u01c5\u02b0\u0391\u0416\u05d0\u0627\u0905\u0e01\u3042\u4e2d\u6587\uac00\uff21\U00010400\U0001d400\U00020000"),
         list("0123456789\u00b2\u00bd\u0663\u06f5\u0966\u2167\u3007\u3220\uff15\U0001d7d8\U00010107"),
         list("\u0300\u0301\u20dd\u0903\u0940\u3099\ufe0f\U000e0100\U0001f3fb\u203f\u2040\ufe33"),
         list("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\u00a1\u2014\u201c\u2026\u20ac\u3001\ufffd\ue000\U000f0000\U0010ffff"),
         ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f3f3\ufe0f\u200d\U0001f308", "1\ufe0f\u20e3"],
         ["the", " the", " The", "hello", " world", "http://", ".com", " 2024", "don't", " I", "\n\n", "\r\n", "    "],
         ["foo", " foo", "foo foo", "[PAD]", "<m>", "caf\u00e9", "\u4e2d", "<|endoftext|>", "<|", "|>", "<unk>", "[PAD", "<m"]]


def hostile(count, seed=20260601):
    rng = random.Random(seed)
    for number in range(count):
        kind = number % 10
        if kind == 0:  # any bytes
            yield bytes(rng.randrange(256) for _ in range(rng.randrange(24)))
            continue
        if kind == 1:  # one thing again and again
            text = rng.choice(rng.choice(POOLS)) * rng.randrange(1, 300 if number % 500 == 1 else 60)
        elif kind == 2:  # any code points
            text = "".join(chr(rng.choice((rng.randrange(0xd800), rng.randrange(0xe000, 0x110000)))) for _ in range(rng.randrange(12)))
        else:
            some = [rng.choice(POOLS) for _ in range(rng.randrange(1, 5))]
            text = "".join(rng.choice(rng.choice(some)) for _ in range(rng.randrange(1, 25)))
        data = bytearray(text.encode())
        if kind == 3:  # damaged
            for _ in range(rng.randrange(1, 4)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
        yield bytes(data)
