"""Options of text generation as the C interface takes them."""
from __future__ import annotations

import ctypes as c
from typing import Any, Mapping, Sequence

from . import _arrays, _c

_PLAIN = {"max_new_tokens": int, "top_k": int, "seed": int, "do_sample": bool, "ignore_eos": bool, "temperature": float,
          "top_p": float, "repetition_penalty": float, "frequency_penalty": float, "presence_penalty": float}


class Options:
    """The struct, and the memory that it points to."""

    def __init__(self, model: Any, given: Mapping[str, Any]):
        self.struct = _c.GenerateOptions()
        _c.call("model_generation", model.handle, c.byref(self.struct))
        for name, value in given.items():
            if value is None:
                continue
            if name in _PLAIN:
                self._set(name, value)
            elif name == "logit_bias":
                self._bias(value)
            elif name == "stop":
                self._stop([value] if isinstance(value, str) else value)
            elif name == "eos_ids":
                self._eos(value)
            else:
                known = ", ".join([*_PLAIN, "logit_bias", "stop", "eos_ids"])
                raise TypeError(f"expected an option of generation ({known}), found {name!r}")

    def _set(self, name: str, value: Any) -> None:
        try:
            value = _PLAIN[name](value)
        except (TypeError, ValueError):
            raise _c.Error(f"{name}: expected {_PLAIN[name].__name__}, found {value!r}") from None
        if name == "seed" and not 0 <= value < 2**64:
            raise _c.Error(f"seed: expected from 0 to 2^64 - 1, found {value}")
        if name != "seed" and isinstance(value, int) and not -2**63 <= value < 2**63:
            raise _c.Error(f"{name}: expected a number of 64 bits, found {value}")
        setattr(self.struct, name, value)

    def _bias(self, bias: Mapping[int, float]) -> None:
        ids = _arrays.ids([*bias])
        self.biases = (_c.TokenBias * len(bias))(*(_c.TokenBias(id, value) for id, value in zip(ids, bias.values())))
        self.struct.logit_bias, self.struct.logit_bias_count = self.biases, len(bias)

    def _stop(self, texts: Sequence[str]) -> None:
        if any("\0" in text for text in texts):
            raise _c.Error("stop: expected texts without NUL characters, found one")
        self.texts = (c.c_char_p * len(texts))(*(text.encode() for text in texts))
        self.struct.stop, self.struct.stop_count = self.texts, len(texts)

    def _eos(self, ids: Sequence[int]) -> None:
        self.ids = _arrays.ids(ids)
        self.struct.eos_ids, self.struct.eos_id_count = _arrays.pointer(self.ids), len(self.ids)

    @property
    def reference(self) -> Any:
        return c.byref(self.struct)
