"""Threads that run long calls, so that ctrl-C reaches the thread that waits for them."""
from __future__ import annotations

import atexit
import queue
import threading
import weakref
from typing import Any, Callable

# What must end before the interpreter does.
_streams: weakref.WeakSet = weakref.WeakSet()
_jobs: weakref.WeakSet = weakref.WeakSet()


class _Job:
    def __init__(self, function: Callable[[], Any]):
        self.function: Callable[[], Any] | None = function
        self.done = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        assert self.function is not None  # a job runs once
        try:
            self.value = self.function()
        except BaseException as error:  # raised where the job is waited for
            self.error = error
        self.function = None  # it refers to the session
        self.done.set()

    def wait(self) -> Any:
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.value


def _work(jobs: queue.SimpleQueue) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job


class Worker:
    """One thread, which runs jobs in turn."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._jobs,), name="linnet", daemon=True).start()
        weakref.finalize(self, self._jobs.put, None)

    def start(self, function: Callable[[], Any]) -> _Job:
        job = _Job(function)
        _jobs.add(job)
        self._jobs.put(job)
        return job

    def run(self, function: Callable[[], Any], cancel: Callable[[], None]) -> Any:
        """The function's result. If the wait is interrupted, cancels the job and waits for its end."""
        job = self.start(function)
        try:
            job.done.wait()
        except BaseException:
            cancel()
            job.done.wait()
            raise
        return job.wait()


class Rendezvous:
    """Hands values from a worker to a consumer, one at a time: the worker goes on when the next one is asked for."""

    def __init__(self) -> None:
        self._values: queue.SimpleQueue = queue.SimpleQueue()
        self._answers: queue.SimpleQueue = queue.SimpleQueue()
        self._offered = self._closed = False

    def offer(self, value: Any) -> bool:
        """Called by the worker. False: the consumer wants no more of this kind."""
        if self._closed:
            return False
        self._values.put((value,))
        return self._answers.get()

    def end(self) -> None:
        """Called by the worker after its last value."""
        self._values.put(None)

    def take(self, answer: bool = True) -> tuple | None:
        """Answers the last offer, and returns the next value as a tuple of one, or None after the last."""
        if self._offered:
            self._offered = False
            self._answers.put(answer)
        found = self._values.get()
        self._offered = found is not None
        return found

    def close(self) -> None:
        """Refuses the offer that waits, if any, and all later ones."""
        self._closed = True
        self._answers.put(False)


def end_before_exit(stream: Any) -> None:
    _streams.add(stream)


@atexit.register
def _end_all() -> None:
    # A worker that is inside of a call when the interpreter ends would end the process with an error.
    for stream in list(_streams):
        stream.close()
    for job in list(_jobs):
        job.done.wait()
