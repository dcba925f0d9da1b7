"""Batches: many texts at once. Texts join and leave between two steps."""
from __future__ import annotations

import contextlib
import ctypes as c
import threading
from typing import TYPE_CHECKING, Any, Iterator

from . import _arrays, _c
from ._options import Options
from ._types import BatchCounts, BatchEvent, MemoryUse, Prompt

if TYPE_CHECKING:
    from ._model import Model


class Batch:
    """Generates many texts at once. On a processor, a text's tokens do not depend on the other texts.

    Threads may share a batch: their calls take turns.
    """

    def __init__(self, model: Model, rows: int, prompt_chunk: int):
        self.model = model
        self._lock = threading.Lock()
        self._owner: int | None = None  # the thread that holds the lock
        options = _c.BatchOptions(rows=rows, prompt_chunk=prompt_chunk)
        self._owned = _c.owned("batch", "batch_open", model._owned.handle, c.byref(options))
        self._options: dict[int, Options] = {}  # of running texts, for their callbacks

    def add(self, prompt: Prompt, *, logprobs: int | None = None, copy: int = 0, **options: Any) -> int:
        """Adds a text and returns its number.

        logprobs: each event has the log probability of its token, and those of that many of the likeliest tokens.
        copy: the number of equal prompts before this one; sampling uses it. options: see Session.generate. A
        logits_processor runs in step(), which raises its exception; it cannot call the batch.
        """
        ids = self.model.encode(prompt)
        chosen = Options(self.model._owned, options)
        request = _c.BatchRequest(prompt=_arrays.pointer(ids), prompt_count=len(ids), options=c.pointer(chosen.struct),
                                  top_logprobs=logprobs or 0, logprobs=logprobs is not None, copy=copy)
        number = c.c_int64()
        with self._turn():
            _c.call("batch_add", self._owned.handle, c.byref(request), c.byref(number))
            self._options[number.value] = chosen
        return number.value

    def remove(self, number: int) -> None:
        """Ends a text without an event. Does nothing if the text has ended."""
        with self._turn():
            _c.call("batch_remove", self._owned.handle, number)
            self._options.pop(number, None)

    def step(self) -> list[BatchEvent]:
        """Generates one token for each text whose prompt was fed, and feeds at most a chunk of prompts."""
        number = c.c_size_t()
        with self._turn():
            _c.call("batch_step", self._owned.handle, c.byref(number))
            events = [self._event(index) for index in range(number.value)]
            ended = [self._options.pop(event.number) for event in events if event.finish_reason]
        for options in ended:
            options.checked(None)
        return events

    def run(self) -> Iterator[BatchEvent]:
        """Steps until no text is running. Texts may be added and removed meanwhile."""
        while self.counts.running > 0:
            yield from self.step()

    @property
    def counts(self) -> BatchCounts:
        found = _c.BatchCounts()
        with self._turn():
            _c.call("batch_get_counts", self._owned.handle, c.byref(found))
        return BatchCounts(*(getattr(found, name) for name, _ in found._fields_[1:]))

    @property
    def memory(self) -> MemoryUse:
        from ._model import read_memory
        return read_memory("batch_memory", self._owned)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Other threads wait until the block ends."""
        if self._owner == threading.get_ident():
            raise _c.Error("expected a batch that is idle, found a call from its own callback")
        with self._lock:
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._owner = None

    def _event(self, index: int) -> BatchEvent:
        found = _c.BatchEvent()
        _c.call("batch_get_event", self._owned.handle, index, c.byref(found))
        top = tuple((one.id, one.logprob) for one in found.top[:found.top_count])
        return BatchEvent(found.number, found.id, _c.text_of(found.text, found.text_size),
                          _c.FINISH[found.finish_reason], found.error.decode("utf-8", "replace"), found.logprob, top)
