"""Threads that run long calls. The calling thread only waits, so that ctrl-C reaches it."""
from __future__ import annotations

import atexit
import queue
import threading
import weakref
from typing import Any, Callable, Protocol

# They end before the interpreter does.
_streams: weakref.WeakSet = weakref.WeakSet()
_jobs: weakref.WeakSet = weakref.WeakSet()


class Cancellable(Protocol):
    """Runs one call at a time, which another thread can cancel."""

    def cancel(self) -> None:
        """Ends the running call; if none is running, ends the next one."""

    def _discard_cancel(self) -> None:
        """Removes a cancellation that has not ended a call. Must not be called while a call runs."""


class _Job:
    """One call. Only the worker's thread uses `target`, except for cancel()."""

    def __init__(self, function: Callable[[], Any], target: Cancellable):
        self.function: Callable[[], Any] | None = function
        self.target: Cancellable | None = target
        self.done = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None
        # Reentrant: the collector may drop a stream, which cancels its job, while this thread holds the lock.
        self._lock = threading.RLock()
        self._started = self._ended = self._cancelled = False

    def run(self) -> None:
        assert self.function is not None and self.target is not None  # a job runs once
        with self._lock:
            self._started = True
            if self._cancelled:
                self.target.cancel()  # ends the call at its begin
        try:
            self.value = self.function()
        except BaseException as error:  # raised where the job is waited for
            self.error = error
        with self._lock:
            self._ended = True
        if self._cancelled:  # the call may have ended before the cancellation came
            self.target._discard_cancel()
        self.function = self.target = None  # they refer to the session
        self.done.set()

    def cancel(self) -> None:
        """Ends the call. Later calls find no cancellation. Any thread may call this; after the end it does nothing."""
        with self._lock:
            if self._ended or self.target is None:
                return
            self._cancelled = True
            if self._started:  # else another job's call may be running
                self.target.cancel()

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
        self._thread = threading.Thread(target=_work, args=(self._jobs,), name="linnet", daemon=True)
        self._thread.start()
        weakref.finalize(self, self._jobs.put, None)

    def is_current(self) -> bool:
        """Whether the calling thread is this one, which cannot wait for its own jobs."""
        return threading.current_thread() is self._thread

    def start(self, function: Callable[[], Any], target: Cancellable) -> _Job:
        job = _Job(function, target)
        _jobs.add(job)
        self._jobs.put(job)
        return job

    def run(self, function: Callable[[], Any], target: Cancellable) -> Any:
        """The function's result. If the wait is interrupted, cancels the job and waits for its end.

        A second interruption ends this wait, too. The job then ends by itself, before any later job.
        """
        job = self.start(function, target)
        try:
            job.done.wait()
        except BaseException:
            job.cancel()
            job.done.wait()
            raise
        return job.wait()


class Rendezvous:
    """Passes values from a worker to a consumer, one at a time. The worker waits until the next one is taken."""

    def __init__(self) -> None:
        self._values: queue.SimpleQueue = queue.SimpleQueue()
        self._answers: queue.SimpleQueue = queue.SimpleQueue()
        self._offered = self._closed = False

    def offer(self, value: Any) -> bool:
        """Called by the worker. Returns False if the consumer needs no more values of this kind."""
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
        """Refuses the waiting offer, if any, and all later ones."""
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
        job.cancel()
        job.done.wait()
