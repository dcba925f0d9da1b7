"""Trains two small models with PyPI's `sentencepiece` and writes what it makes of hostile strings, as fixtures of the test
tokenizer_unit. Usage: python tests/clients/sentencepiece_models.py, in an environment with sentencepiece 0.2.1 or later."""
import io, json
from pathlib import Path

import sentencepiece
from hostile import hostile
from tokenizer_settings import CORPUS, TEXTS

FOLDER = Path(__file__).resolve().parents[1] / "tokenizer" / "sentencepiece"
STRINGS = 300


def main():
    texts = [text for text in TEXTS if "<|" not in text]
    texts += [text for text in (data.decode("utf-8", "replace") for data in hostile(STRINGS)) if "<" not in text]
    rows = {"texts": [text.encode().hex() for text in texts]}
    for kind in ("bpe", "unigram"):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 4), model_writer=model, model_type=kind, vocab_size=380 if kind == "bpe" else 340,
            character_coverage=1.0, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
            hard_vocab_limit=False, minloglevel=2)
        (FOLDER / kind).mkdir(parents=True, exist_ok=True)
        (FOLDER / kind / "tokenizer.model").write_bytes(model.getvalue())
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        rows[kind] = [processor.encode(text) for text in texts]
        rows[kind + " decoded"] = [processor.decode(ids).encode().hex() for ids in rows[kind]]
        print(f"{kind}: {len(model.getvalue())} bytes, {len(texts)} texts")
    (FOLDER / "ids.json").write_text(json.dumps(rows, separators=(",", ":")).replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    main()
