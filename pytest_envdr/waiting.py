"""The one retry and polling policy.

Polling starts quick and slows down (0.25 s, growing by a quarter each time, up to 5 s): an instant seen by polling is
off by a fifth of the time that it took at most, and a wait of ten minutes asks AWS some 130 times.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_envdr.errors import Aborted, WaitFailed, WaitTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

T = TypeVar("T")

INTERVAL = 0.25
LONGEST_INTERVAL = 5.0
GROWTH = 1.25
SLICE = 1.0
"""How long a wait goes without telling how it stands, and without looking whether it shall stop, in seconds."""


class Progress(Protocol):
    """Told about once a second how a wait stands. Seconds."""

    def __call__(self, elapsed: float, what: str, deadline: float) -> None: ...


def pause(seconds: float) -> None:
    """Sleep; the only place that does."""
    time.sleep(seconds)


def wait_until(
    read: Callable[[], T],
    satisfied: Callable[[T], bool] = bool,
    *,
    what: str,
    deadline: float,
    interval: float = INTERVAL,
    longest_interval: float = LONGEST_INTERVAL,
    failed: Callable[[T], str | None] | None = None,
    tolerated: tuple[type[Exception], ...] = (),
    aborted: Callable[[], str | None] | None = None,
    progress: Progress | None = None,
    shown: Callable[[Any], str] = str,
) -> T:
    """Read until the value satisfies, at least once, and once more when the deadline is reached.

    Args:
        read: gives the value; what it raises ends the wait, but for `tolerated`.
        satisfied: whether the value is the one awaited.
        what: what is awaited, as a clause: "every target of tg-1 healthy".
        deadline: seconds from now.
        interval: seconds to the second reading; each further one is a quarter longer, up to `longest_interval`.
        failed: why the value can no longer become the one awaited, or None.
        tolerated: errors of `read` that count as "not yet".
        aborted: why the wait shall stop at once, or None; asked at least once a second.
        progress: told about once a second.
        shown: the value in words, for the error.

    Returns:
        The value that satisfied.

    Raises:
        WaitTimedOut: with what was awaited, how long, and the last value seen.
        WaitFailed: it can no longer come true.
        Aborted: `aborted` said so.
    """
    from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay  # noqa: PLC0415 (plugin)

    wait = _Wait(what, deadline, interval, longest_interval, aborted, progress, shown)

    def not_yet(value: T) -> bool:
        if satisfied(value):
            return False
        reason = failed(value) if failed else None
        if reason:
            raise WaitFailed(f"{what}: it can no longer come true: {reason}.\nLast seen: {_brief(shown(value))}")
        return True

    policy = Retrying(
        retry=retry_if_result(not_yet) | retry_if_exception_type(tolerated),
        stop=stop_after_delay(deadline),
        wait=wait.next_interval,
        sleep=wait.sleep,
        retry_error_callback=wait.time_out,
    )
    wait.check_abort()
    return policy(read)


@dataclass
class _Wait:
    what: str
    deadline: float
    interval: float
    longest_interval: float
    aborted: Callable[[], str | None] | None
    progress: Progress | None
    shown: Callable[[Any], str]
    start: float = field(default_factory=time.monotonic)
    told: float = -math.inf

    def next_interval(self, state: RetryCallState) -> float:
        """Seconds to the next reading; the last reading is at the deadline, not before it."""
        growing = self.interval * GROWTH ** min(state.attempt_number - 1, 100)
        remaining = max(self.start + self.deadline - time.monotonic(), 0.0)
        return min(growing, self.longest_interval, remaining)

    def sleep(self, seconds: float) -> None:
        """Sleep in slices, so that an abort is noticed in the midst of it."""
        end = time.monotonic() + seconds
        self.tell()
        while (remaining := end - time.monotonic()) > 0:
            pause(min(remaining, SLICE))
            self.check_abort()
            self.tell()

    def tell(self) -> None:
        now = time.monotonic()
        if self.progress and now - self.told >= SLICE:
            self.told = now
            self.progress(now - self.start, self.what, self.deadline)

    def check_abort(self) -> None:
        reason = self.aborted() if self.aborted else None
        if reason:
            raise Aborted(f"{self.what}: no longer awaited: {reason}.")

    def time_out(self, state: RetryCallState) -> Any:
        outcome = state.outcome
        error = outcome.exception() if outcome else None
        last = repr(error) if error else self.shown(outcome.result() if outcome else None)
        raise WaitTimedOut(
            f"{self.what}: not within {self.deadline:g} s.\nLast seen: {_brief(last)}", awaited=self.what, last=last
        ) from error


def _brief(text: str, limit: int = 600) -> str:
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(text)} characters)"
