"""Units of work over any executor, a bounded number at a time, their results in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 4
"""Threads for a caller that gives no executor, and wants some."""
AHEAD = 12
"""How many units are under way or done and not yet asked for: what bounds the memory."""


def spread(executor: Executor | None, work: Callable[[T], R], units: Iterable[T], *, ahead: int = AHEAD) -> Iterator[R]:
    """The result of each unit, in the order of the units, whichever is done first; one by one where there is no
    executor. `units` is read as it is needed."""
    if executor is None:
        yield from map(work, units)
        return
    pending: deque[Future[R]] = deque()
    try:
        for unit in units:
            pending.append(executor.submit(work, unit))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
