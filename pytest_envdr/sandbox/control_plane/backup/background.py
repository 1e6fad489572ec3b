"""Work in a thread of its own: the control loop must not wait while data are copied."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_envdr.sandbox.control_plane.backup.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")
THREADS = 2

log = logging.getLogger("envdr.sandbox")


class Background:
    """The threads that copy."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="backup")

    def start(self, act: Callable[[Progress], T]) -> Work[T]:
        """Begin; `act` tells how far it is."""
        progress = Progress()
        return Work(self._threads.submit(act, progress), progress)

    def close(self) -> None:
        """What is not begun is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Progress:
    """How far some work is.

    Attributes:
        cancelled: whether it shall stop.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.cancelled = False

    def tell(self, done: int, total: int) -> None:
        self.share = done / total if total else 1.0


class Work(Generic[T]):
    """Something that another thread does."""

    def __init__(self, future: Future[T], progress: Progress) -> None:
        self._future, self._progress = future, progress

    def percent(self) -> float:
        """How far it is, 0-100.

        Raises:
            JobFailed: it could not be done; a fault of ours too ends the job, and no other one.
        """
        if self._future.done():
            self._check()
            return 100.0
        return 99.0 * self._progress.share

    def _check(self) -> None:
        error = self._future.exception()
        if isinstance(error, JobFailed):
            raise error
        if error is not None:
            log.error("backup work: %s", error, exc_info=error)
            raise JobFailed(f"Internal failure. {type(error).__name__}: {error}", "FAILURE") from error

    def result(self) -> T:
        """What it gave, once all is done."""
        return self._future.result()

    def cancel(self) -> None:
        """Stop it soon."""
        self._progress.cancelled = True
        self._future.cancel()
