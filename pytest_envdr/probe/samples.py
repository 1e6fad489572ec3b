"""What a client saw: answers, one after the other, and what they say about an outage. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Answer:
    """What one request came to.

    Attributes:
        ok: the service did its work: the right answer with the right value.
        status: the HTTP status, where there was one.
        error: the class of what went wrong: `http 503`, `refused`, `timeout`, `wrong value`, `not done`, ...
        value_ok: whether the value that came back was the one written; None where no value came back.
        proof: this very answer proves work. An answer between two heartbeats is good, but proves nothing.
        blur_seconds: how much later than the truth the answer may have come in, where that is not its own duration.
    """

    ok: bool
    status: int | None = None
    error: str | None = None
    value_ok: bool | None = None
    proof: bool = True
    blur_seconds: float | None = None


@dataclass(frozen=True)
class Sample:
    """An answer with its instants, in seconds on the monotonic clock."""

    sent: float
    ended: float
    answer: Answer

    @property
    def ok(self) -> bool:
        return self.answer.ok

    @property
    def seconds(self) -> float:
        """How long the answer took."""
        return self.ended - self.sent

    @property
    def blur_seconds(self) -> float:
        """How much later than the truth the answer may have come in."""
        return self.seconds if self.answer.blur_seconds is None else self.answer.blur_seconds


@dataclass(frozen=True)
class Outage:
    """What clients lost: from the first failed request's sending to the first good answer that held.

    Attributes:
        began, ended: monotonic instants; `ended` is None while it lasts, `began` None if no request failed.
        failures: failed requests by class of error.
        requests: all requests in the window looked at.
    """

    began: float | None
    ended: float | None
    failures: dict[str, int]
    requests: int

    @property
    def seconds(self) -> float | None:
        """How long it was visible; 0 where no request failed, None while it lasts."""
        if self.began is None:
            return 0.0
        return None if self.ended is None else max(0.0, self.ended - self.began)


def row(samples: Sequence[Sample], *, since: float) -> list[Sample]:
    """The unbroken row of good answers at the end, among those sent from `since` on, from its first proof on."""
    good: list[Sample] = []
    for sample in reversed(samples):
        if sample.sent < since or not sample.ok:
            break
        good.append(sample)
    good.reverse()
    first = next((index for index, sample in enumerate(good) if sample.answer.proof), len(good))
    return good[first:]


def trailing_failures(samples: Sequence[Sample], *, since: float) -> list[Sample]:
    """The unbroken row of failures at the end, among those sent from `since` on."""
    failed: list[Sample] = []
    for sample in reversed(samples):
        if sample.sent < since or sample.ok:
            break
        failed.append(sample)
    return failed[::-1]


def outage(samples: Sequence[Sample], *, since: float) -> Outage:
    """What clients lost from `since` on."""
    window = [sample for sample in samples if sample.sent >= since]
    failed = [sample for sample in window if not sample.ok]
    back = row(window, since=since)
    return Outage(
        began=failed[0].sent if failed else None,
        ended=back[0].ended if back else None,
        failures=dict(Counter(sample.answer.error or "wrong" for sample in failed)),
        requests=len(window),
    )


def error_seconds(samples: Sequence[Sample], *, since: float) -> float:
    """How far off an instant may be that was read from the samples: the widest gap between two requests, plus the
    slowest good answer, from `since` on."""
    window = [sample for sample in samples if sample.sent >= since]
    gap = max((later.sent - earlier.sent for earlier, later in pairwise(window)), default=0.0)
    return gap + max((sample.blur_seconds for sample in window if sample.ok), default=0.0)
