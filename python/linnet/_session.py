"""Sessions: generation, logits, embeddings, hidden states, classification and perplexity."""
from __future__ import annotations

import ctypes as c
import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Sequence, overload

import numpy as np

from . import _arrays, _c
from ._options import Options
from ._types import Classification, Generation, MemoryUse, Perplexity, Progress, Prompt, Timings, Token
from ._worker import Rendezvous, Worker, end_before_exit

if TYPE_CHECKING:
    from ._model import Model


class Session:
    """A KV cache and its position in a text. One thread at a time uses it, except for cancel().

    Long calls run without the GIL. Ctrl-C ends them at their next token or chunk of the prompt, and is raised as
    KeyboardInterrupt.
    """

    def __init__(self, model: Model, owned: _c.Owned | None = None):
        self.model = model
        self._owned = owned or _c.owned("session", "session_open", model._owned.handle)
        self._worker = Worker()
        self._stream: weakref.ref[Stream] | None = None

    def generate(self, prompt: Prompt = (), *, callback: Callable[[Token], Any] | None = None,
                 **options: Any) -> Generation:
        """Continues the session's text by the prompt and new tokens.

        prompt: a text or token ids; empty: continues after the last token.
        callback: called with each Token in this thread; if it returns False, generation ends.
        options: max_new_tokens, do_sample, temperature, top_k, top_p, seed, repetition_penalty, frequency_penalty,
        presence_penalty, logit_bias ({id: bias}), stop (a text or several), eos_ids, ignore_eos. Defaults are the
        checkpoint's generation settings.
        logits_processor: an option, too. Called before each token is chosen with the text so far (int32 [tokens]) and
        the logits (float32 [vocab_size]), after bias and penalties and before the temperature. It changes the logits in
        place or returns others; -inf excludes a token. If it returns False, the text ends before that token. The arrays
        use the library's memory: they are valid during the call only. It runs in another thread and cannot call this
        session. Its exception ends the call and is raised.
        """
        if callback is not None:
            return self.stream(prompt, **options).deliver(callback)
        ids = self.model.encode(prompt)
        chosen = Options(self.model._owned, options)
        return _generations(chosen.checked(self._run("session_generate", _arrays.pointer(ids), len(ids),
                                                     chosen.reference, _c.TokenCallback(), None)))[0]

    def stream(self, prompt: Prompt = (), **options: Any) -> Stream:
        """As generate(), but an iterator of Token. On a processor, each token is computed when it is asked for."""
        ids = self.model.encode(prompt)
        chosen = Options(self.model._owned, options)
        return Stream(self, lambda callback: _generations(chosen.checked(_c.result(
            "session_generate", self._owned.handle, _arrays.pointer(ids), len(ids), chosen.reference, callback,
            None)))[0])

    def generate_batch(self, prompts: Iterable[Prompt], *, callback: Callable[[Token], Any] | None = None,
                       **options: Any) -> list[Generation]:
        """Continues prompts of any lengths and number, config.max_batch at a time.

        Each gives the tokens that it gives alone, except that sampling counts equal prompts before it. `callback` also
        receives the prompt's index, Token.sequence; if it returns False, that text ends. Starts from an empty session
        and leaves one.
        """
        rows = [self.model.encode(prompt) for prompt in prompts]
        lists = _arrays.lists(rows)
        chosen = Options(self.model._owned, options)
        if callback is None:
            return _generations(chosen.checked(
                self._run("session_generate_batch", *lists, chosen.reference, _c.TokenCallback(), None)))
        return Stream(self, lambda forward: _generations(chosen.checked(_c.result(
            "session_generate_batch", self._owned.handle, *lists, chosen.reference, forward, None)))).deliver(callback)

    def logits(self, prompt: Prompt, *, all: bool = False) -> np.ndarray:
        """Logits of the last position, float32 [vocab_size], or with `all` of every position, [tokens, vocab_size].

        This and the methods below start from an empty session and leave one.
        """
        ids = self.model.encode(prompt)
        found = _arrays.matrix(self._run("session_logits", _arrays.pointer(ids), len(ids), all))
        return found if all else found[0]

    def embed(self, prompt: Any, *, pooling: str = "last", layer: int = -1) -> np.ndarray:
        """The vector of a prompt, float32 [n_embd], or of a list of prompts, [prompts, n_embd].

        pooling: "last", "first" or "mean" of the positions. layer: 0 is the sum of the embeddings, i the output of
        block i, -1 that of the final norm.
        """
        if pooling not in _c.POOLING:
            raise _c.Error(f"pooling: expected one of {', '.join(_c.POOLING)}, found {pooling!r}")
        if not _arrays.is_one(prompt):
            rows = [self.embed(one, pooling=pooling, layer=layer) for one in prompt]
            return np.stack(rows) if rows else np.empty((0, self.model.config.n_embd), np.float32)
        ids = self.model.encode(prompt)
        return _arrays.matrix(self._run("session_embed", _arrays.pointer(ids), len(ids), _c.POOLING[pooling], layer))[0]

    def hidden_states(self, prompt: Prompt, *, layer: int | None = None) -> np.ndarray:
        """The states of every position after a layer, float32 [tokens, n_embd].

        layer: as in embed(). None: all, [n_layer + 1, tokens, n_embd], as transformers' hidden_states: layers 0 to
        n_layer - 1 and the output of the final norm, one run of the model for each.
        """
        ids = self.model.encode(prompt)
        if layer is None:
            layers = [*range(self.model.config.n_layer), -1]
            return np.stack([self.hidden_states(ids, layer=one) for one in layers])
        return _arrays.matrix(self._run("session_hidden_states", _arrays.pointer(ids), len(ids), layer))

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is a Sequence[str]
            self, texts: Prompt, *, progress: Progress | None = None) -> Classification:
        ...

    @overload
    def classify(self, texts: Sequence[Prompt], *, progress: Progress | None = None) -> list[Classification]:
        ...

    def classify(self, texts: Any, *, progress: Progress | None = None) -> Classification | list[Classification]:
        """A classifier's answer to a text, a Classification, or a list of answers to several texts.

        progress: called with the finished fraction, in another thread. Its exception ends the call and is raised. It
        cannot call this session.
        """
        if _arrays.is_one(texts):
            return self.classify([texts], progress=progress)[0]
        rows = [self.model.encode(text) for text in texts]
        lists = _arrays.lists(rows)
        failures: list[BaseException] = []

        def on_progress(user: Any, fraction: float) -> None:
            try:
                if progress and not failures:
                    progress(fraction)
            except BaseException as error:
                failures.append(error)
                self.cancel()

        forward = _c.ProgressCallback(on_progress) if progress else _c.ProgressCallback()

        def work() -> _c.Owned:
            try:
                return _c.result("session_classify", self._owned.handle, *lists, forward, None)
            finally:
                if failures:
                    self._discard_cancel()
                    raise failures[0]

        result = self._compute(work)
        labels = self.model.config.labels
        answers = []
        for index in range(_c.count(result)):
            found = _c.item(result, "classification", _c.Classification, index)
            answers.append(Classification(labels[found.label], found.label,
                                          _arrays.view(found.scores, found.label_count, result),
                                          _arrays.view(found.probabilities, found.label_count, result),
                                          bool(found.truncated)))
        return answers

    def perplexity(self, prompt: Prompt, *, stride: int = 0) -> Perplexity:
        """Perplexity over windows of the context's length, one every `stride` tokens; 0: windows do not overlap."""
        ids = self.model.encode(prompt)
        found = _c.Perplexity()
        self._compute(lambda: _c.call("session_perplexity", self._owned.handle, _arrays.pointer(ids), len(ids), stride,
                                      c.byref(found)))
        return Perplexity(found.perplexity, found.nll, found.tokens)

    def cancel(self) -> None:
        """Ends the running call at its next token or chunk of the prompt; if none is running, ends the next call.

        Any thread may call this.
        """
        _c.call("session_cancel", self._owned.handle)

    def reset(self) -> None:
        """Removes all tokens, and a cancellation that has not ended a call yet."""
        self._compute(lambda: _c.call("session_reset", self._owned.handle))

    def rewind(self, tokens: int) -> None:
        """Keeps the first `tokens` tokens and removes the others."""
        self._compute(lambda: _c.call("session_rewind", self._owned.handle, tokens))

    def fork(self) -> Session:
        """A new session with the same tokens and a copy of their cache. The two are independent afterwards."""
        return Session(self.model, self._compute(lambda: _c.owned("session", "session_fork", self._owned.handle)))

    @property
    def position(self) -> int:
        """Number of tokens in the session."""
        number = c.c_int64()
        self._compute(lambda: _c.call("session_position", self._owned.handle, c.byref(number)))
        return number.value

    @property
    def memory(self) -> MemoryUse:
        from ._model import read_memory
        return read_memory("session_memory", self._owned)

    def _require_outside(self) -> None:
        if self._worker.is_current():
            raise _c.Error("expected a session that is idle, found a call from its own callback")

    def _require_idle(self) -> None:
        self._require_outside()
        if self._stream is not None and self._stream() is not None:
            raise _c.Error("a stream of this session has not ended: read it to its end, or close it")

    def _run(self, name: str, *arguments: Any) -> _c.Owned:
        return self._compute(lambda: _c.result(name, self._owned.handle, *arguments))

    def _compute(self, function: Callable[[], Any]) -> Any:
        self._require_idle()
        return self._worker.run(function, self)

    def _discard_cancel(self) -> None:
        # Called by the worker, between two calls. A call removes the cancellation when it ends in any way. This one
        # fails, and leaves the session unchanged.
        options = _c.GenerateOptions(max_new_tokens=-1)
        out = c.c_void_p()
        _c.LIBRARY.linnet_session_generate(self._owned.handle, None, 0, c.byref(options), _c.TokenCallback(), None,
                                           c.byref(out))


class Stream(Iterator[Token]):
    """The tokens of a text while it is generated. Closing it, or leaving its `with` block, ends generation."""

    def __init__(self, session: Session, start: Callable[[Any], Any]):
        session._require_idle()
        self._session, self._meeting = session, Rendezvous()
        self._finished = False
        meeting = self._meeting  # the worker does not keep the stream

        def on_token(user: Any, sequence: int, id: int, text: int, size: int) -> int:
            return 0 if meeting.offer(Token(id, _c.text_of(text, size), sequence)) else 1

        forward = _c.TokenCallback(on_token)

        def work() -> Any:
            try:
                return start(forward)
            finally:
                meeting.end()

        session._stream = weakref.ref(self)
        self._job = session._worker.start(work, session)
        end_before_exit(self)

    def __next__(self) -> Token:
        found = self._take(True)
        if found is None:
            raise StopIteration
        return found

    def deliver(self, callback: Callable[[Token], Any]) -> Any:
        """Calls `callback` with each token, and returns the result. A text ends after a call that returns False."""
        with self:
            goes_on = True
            while (token := self._take(goes_on)) is not None:
                goes_on = callback(token) is not False
        return self.result

    @property
    def result(self) -> Any:
        """The Generation. It is available after the stream has ended or was closed."""
        if not self._finished:
            raise _c.Error("expected a stream that has ended, found one with tokens to come")
        return self._job.wait()

    def close(self) -> None:
        """Ends generation after the last token that was read."""
        if not self._finished:
            self._abandon()
            self._finish()

    def _take(self, answer: bool) -> Token | None:
        if self._finished:
            return None
        try:
            found = self._meeting.take(answer)
        except BaseException:  # ctrl-C
            self.close()
            raise
        if found is not None:
            return found[0]
        self._finish()
        self._job.wait()  # raises its error
        return None

    def _abandon(self) -> None:
        self._job.cancel()  # a long prompt, too
        self._meeting.close()

    def _finish(self) -> None:
        # If the wait is interrupted, the session's next call waits for the job.
        self._finished = True
        self._session._stream = None
        self._job.done.wait()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def __del__(self) -> None:
        # Without waiting: this may run in the worker.
        if not getattr(self, "_finished", True) and hasattr(self, "_job"):
            self._abandon()


def _generations(result: _c.Owned) -> list[Generation]:
    out = []
    for index in range(_c.count(result)):
        found = _c.item(result, "generation", _c.Generation, index)
        out.append(Generation(
            _arrays.view(found.prompt_ids, found.prompt_id_count, result),
            _arrays.view(found.ids, found.id_count, result), _c.text_of(found.text, found.text_size),
            _c.FINISH[found.finish_reason] or "",
            Timings(found.prompt_tokens, found.generated_tokens, found.prompt_seconds, found.generate_seconds)))
    return out
