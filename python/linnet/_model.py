"""Models, their tokenizers, and devices."""
from __future__ import annotations

import contextlib
import ctypes as c
import os
import threading
from typing import Any, Iterable, Iterator, Sequence, overload

import numpy as np

from . import _arrays, _c
from ._batch import Batch
from ._session import Session, Stream
from ._types import (Classification, Device, Generation, MemoryUse, ModelConfig, Perplexity, Progress, Prompt)


class Tokenizer:
    """Text to token ids and back, with the results of Hugging Face tokenizers. Thread-safe."""

    def __init__(self, model: _c.Owned):
        self._model = model

    def encode(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = True,
               max_length: int = 0) -> np.ndarray:
        """The ids of a text, int32 [tokens].

        parse_special: special tokens in the text ("<|endoftext|>") become their ids. Otherwise they are ordinary text.
        add_special_tokens: adds the ids that the tokenizer's files put around every text.
        max_length: longer texts are cut to that many tokens; 0 means no limit.
        """
        data = text.encode("utf-8", "replace")
        options = _c.EncodeOptions(special_as_text=not parse_special, omit_special_tokens=not add_special_tokens,
                                   max_length=max_length)
        result = _c.result("encode", self._model.handle, data, len(data), c.byref(options))
        found = _c.item(result, "ids", _c.IdList)
        return _arrays.view(found.ids, found.count, result)

    def decode(self, ids: Sequence[int] | np.ndarray, *, skip_special: bool = False) -> str:
        """The text of ids. skip_special leaves special tokens out."""
        array = _arrays.ids(ids)
        result = _c.result("decode", self._model.handle, _arrays.pointer(array), len(array), skip_special)
        found = _c.item(result, "text", _c.Text)
        return _c.text_of(found.bytes, found.size)


class Model:
    """A language model or a classifier from an artifact file. Immutable and thread-safe.

    The methods that compute share one session. Each call starts from an empty text. Calls of several threads take
    turns. Sessions and batches of one model are independent.
    """

    @classmethod
    def load(cls, path: str | os.PathLike, *, device: str | None = None, threads: int = 0) -> Model:
        """Maps and checks the file, opens the device, and reserves the memory of one session.

        device: TARGET or TARGET:ARGUMENT ("cpu", "vulkan:1"). None: cpu if the artifact has it, else its first target.
        threads: 0: OMP_NUM_THREADS, else one per core.
        """
        options = _c.LoadOptions(device=device.encode() if device else None, threads=threads)
        return cls(_c.owned("model", "model_load", os.fsencode(path), c.byref(options)))

    def __init__(self, owned: _c.Owned):
        self._owned = owned
        self._lock = threading.RLock()  # a callback may call the model, and gets an error instead of a deadlock
        self._default: Session | None = None
        info = _c.ModelInfo()
        _c.call("model_get_info", owned.handle, c.byref(info))
        labels = tuple(label.decode() for label in info.labels[:info.label_count])
        #: Sizes and tokens.
        self.config = ModelConfig(
            n_layer=info.n_layer, n_head=info.n_head, n_embd=info.n_embd, vocab_size=info.vocab_size,
            n_positions=info.n_positions, context=info.context, max_batch=info.max_batch,
            eos_ids=tuple(info.eos_ids[:info.eos_id_count]), bos_id=None if info.bos_id < 0 else info.bos_id,
            pad_id=None if info.pad_id < 0 else info.pad_id, labels=labels,
            problem_type=_c.PROBLEM_TYPES[info.problem_type] if labels else None)
        #: config.json of the checkpoint.
        self.config_json = info.config_json.decode()
        self.path = os.fsdecode(info.path)
        #: The device in use: "cpu, 2 threads".
        self.device = info.device.decode()
        #: "processor", "driver" or "gpu".
        self.device_kind = _c.DEVICE_KINDS[info.device_kind]
        #: The targets that the artifact has programs for.
        self.targets = tuple(target.decode() for target in info.targets[:info.target_count])
        #: None if the checkpoint had no tokenizer files; the model then reads and writes ids.
        self.tokenizer = Tokenizer(owned) if info.has_tokenizer else None

    def __repr__(self) -> str:
        return f"<linnet.Model {self.path!r} on {self.device}>"

    @property
    def memory(self) -> MemoryUse:
        """Memory of one session."""
        return read_memory("model_memory", self._owned)

    def session(self) -> Session:
        """A new session: a KV cache and its position."""
        return Session(self)

    def batch(self, *, rows: int = 0, prompt_chunk: int = 0) -> Batch:
        """A new batch. Texts join and leave it between two steps.

        rows: most texts at once; 0: config.max_batch. prompt_chunk: most tokens of a prompt in a step; 0: as many as
        the artifact allows.
        """
        return Batch(self, rows, prompt_chunk)

    def encode(self, prompt: Prompt) -> np.ndarray:
        """The ids of a text or of ids, int32 [tokens]."""
        return _arrays.ids(prompt, self.tokenizer and self.tokenizer.encode)

    def generate(self, prompt: Prompt, **options: Any) -> Generation:
        """Continues a text (see Session.generate)."""
        with self._turn() as session:
            return session.generate(prompt, **options)

    def stream(self, prompt: Prompt, **options: Any) -> Stream:
        """Continues a text token by token, in a separate session (see Session.stream)."""
        return self.session().stream(prompt, **options)

    def generate_batch(self, prompts: Iterable[Prompt], **options: Any) -> list[Generation]:
        """Continues several texts (see Session.generate_batch)."""
        with self._turn() as session:
            return session.generate_batch(prompts, **options)

    def logits(self, prompt: Prompt, *, all: bool = False) -> np.ndarray:
        """Logits of the last position, float32 [vocab_size], or with `all` of every position, [tokens, vocab_size]."""
        with self._turn() as session:
            return session.logits(prompt, all=all)

    def embed(self, prompt: Prompt | Sequence[Prompt], *, pooling: str = "last", layer: int = -1) -> np.ndarray:
        """The vector of a text, float32 [n_embd], or of several texts, [texts, n_embd] (see Session.embed)."""
        with self._turn() as session:
            return session.embed(prompt, pooling=pooling, layer=layer)

    def hidden_states(self, prompt: Prompt, *, layer: int | None = None) -> np.ndarray:
        """The states of a layer, float32 [tokens, n_embd], or of all, [n_layer + 1, tokens, n_embd]:
        Session.hidden_states."""
        with self._turn() as session:
            return session.hidden_states(prompt, layer=layer)

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is a Sequence[str]
            self, texts: Prompt, *, progress: Progress | None = None) -> Classification:
        ...

    @overload
    def classify(self, texts: Sequence[Prompt], *, progress: Progress | None = None) -> list[Classification]:
        ...

    def classify(self, texts: Any, *, progress: Progress | None = None) -> Classification | list[Classification]:
        """A classifier's answer to a text, or a list of answers to several texts (see Session.classify)."""
        with self._turn() as session:
            return session.classify(texts, progress=progress)

    def perplexity(self, prompt: Prompt, *, stride: int = 0) -> Perplexity:
        """Perplexity of a text (see Session.perplexity)."""
        with self._turn() as session:
            return session.perplexity(prompt, stride=stride)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Session]:
        """The model's session after a reset. Other threads wait until the block ends."""
        if self._default is not None:
            self._default._require_outside()  # its callback would wait for itself
        with self._lock:
            if self._default is None:
                self._default = self.session()
            self._default.reset()
            yield self._default


def read_memory(name: str, owned: _c.Owned) -> MemoryUse:
    memory = _c.MemoryUse()
    _c.call(name, owned.handle, c.byref(memory))
    return MemoryUse(memory.weights, memory.states, memory.arena, memory.io, memory.scratch, memory.total)


def devices() -> list[Device]:
    """The devices of this machine: the CPU, then those of Vulkan."""
    result = _c.result("devices")
    found = [_c.item(result, "device", _c.Device, index) for index in range(_c.count(result))]
    return [Device(one.device.decode(), one.name.decode("utf-8", "replace"), _c.DEVICE_KINDS[one.kind],
                   one.refusal.decode("utf-8", "replace"), bool(one.is_default)) for one in found]
