"""Options of text generation as the C interface takes them."""
from __future__ import annotations

import ctypes as c
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from . import _arrays, _c

_PLAIN = {"max_new_tokens": int, "top_k": int, "seed": int, "do_sample": bool, "ignore_eos": bool, "temperature": float,
          "top_p": float, "repetition_penalty": float, "frequency_penalty": float, "presence_penalty": float}


def _take(answer: Any, scores: np.ndarray) -> int:
    """Copies the answer of a processor to the logits. Returns 1 if it ends the text."""
    if answer is None or answer is scores:
        return 0
    if isinstance(answer, (bool, np.bool_)):
        return 0 if answer else 1
    found = np.asarray(answer)
    if found.shape != scores.shape or found.dtype.kind != "f":
        raise _c.Error(f"logits_processor: expected None, a bool or {len(scores)} floats, found an array of shape "
                       f"{list(found.shape)} and type {found.dtype}")
    scores[:] = found
    return 0


class Options:
    """The struct, and the memory that it points to. It must live as long as the library uses the struct's callback."""

    def __init__(self, model: Any, given: Mapping[str, Any]):
        self.struct = _c.GenerateOptions()
        self._failures: list[BaseException] = []
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
            elif name == "logits_processor":
                self._processor(value)
            else:
                known = ", ".join([*_PLAIN, "logit_bias", "stop", "eos_ids", "logits_processor"])
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

    def _processor(self, function: Callable[[np.ndarray, np.ndarray], Any]) -> None:
        if not callable(function):
            raise _c.Error(f"logits_processor: expected a function, found {function!r}")
        failures = self._failures  # the callback does not keep this object

        def on_logits(user: Any, sequence: int, ids: int, id_count: int, logits: int, count: int) -> int:
            try:
                if failures:  # other texts of the call end, too
                    return 1
                text, scores = _arrays.borrowed(ids, id_count, c.c_int32), _arrays.borrowed(logits, count, c.c_float)
                text.flags.writeable = False
                return _take(function(text, scores), scores)
            except BaseException as error:  # raised where the call ends
                failures.append(error)
                return 1

        self.struct.on_logits = _c.LogitsCallback(on_logits)

    def checked(self, result: Any) -> Any:
        """The result of a call with these options. Raises the exception of the processor, if there was one."""
        if self._failures:
            raise self._failures.pop()
        return result

    @property
    def reference(self) -> Any:
        return c.byref(self.struct)
