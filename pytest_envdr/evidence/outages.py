"""The probe's answers -> how long, how often and in which way a client was let down."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import TYPE_CHECKING

from pytest_envdr.evidence.rows import Probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.evidence.stories import Story

HELD = 3
"""So many good answers on end make one that held; fewer between two failures are part of the outage."""
_HTTP_ERROR = 400


@dataclass(frozen=True)
class Sample:
    """One answer. `offset` is in seconds, `failure` is None for a good answer, else its class."""

    offset: float
    failure: str | None
    milliseconds: float | None
    detail: str = ""
    target: str = ""


@dataclass(frozen=True)
class Outage:
    """From the first failing answer to the first good one that held, or to the last answer there was."""

    begin: float
    end: float
    ongoing: bool

    @property
    def seconds(self) -> float:
        return round(self.end - self.begin, 3)


def samples(story: Story) -> list[Sample]:
    """The answers of a drill's probe, in the order of happening."""
    return [
        Sample(
            story.offset(event),
            _failure(event.data),
            event.data.get("milliseconds"),
            str(event.data.get("error") or ""),
            str(event.data.get("target") or ""),
        )
        for event in story.placed("probe")
    ]


def outages(answers: Sequence[Sample]) -> list[Outage]:
    """The outages in the answers of one target."""
    found: list[Outage] = []
    begin: float | None = None
    for index, sample in enumerate(answers):
        if begin is None and sample.failure:
            begin = sample.offset
        elif begin is not None and _holds(answers[index : index + HELD]):
            found.append(Outage(begin, sample.offset, ongoing=False))
            begin = None
    if begin is not None:
        found.append(Outage(begin, answers[-1].offset, ongoing=True))
    return found


def measure(answers: Sequence[Sample]) -> Probe | None:
    """The figures; None where nothing was probed. Where there are several targets, the worst-watched and worst-hit."""
    if not answers:
        return None
    targets = [list(group) for _, group in groupby(sorted(answers, key=_by_target), key=lambda one: one.target)]
    lost = [outage for group in targets for outage in outages(group)]
    longest = max(lost, key=lambda outage: (outage.seconds, outage.ongoing), default=None)
    good = [sample.milliseconds for sample in answers if not sample.failure and sample.milliseconds is not None]
    gaps = [after.offset - before.offset for group in targets for before, after in pairwise(group)]
    return Probe(
        samples=len(answers),
        failures=sum(1 for sample in answers if sample.failure),
        classes=dict(Counter(sample.failure for sample in answers if sample.failure).most_common()),
        outages=len(lost),
        outage_seconds=longest.seconds if longest else 0.0,
        outage_ongoing=longest.ongoing if longest else False,
        rate_hertz=min(rates) if (rates := [rate for group in targets if (rate := _rate(group))]) else None,
        longest_gap_seconds=round(max(gaps), 3) if gaps else None,
        median_milliseconds=round(median(good), 1) if good else None,
        slowest_milliseconds=round(max(good), 1) if good else None,
    )


def _by_target(sample: Sample) -> tuple[str, float]:
    return sample.target, sample.offset


def _holds(following: Sequence[Sample]) -> bool:
    return len(following) == HELD and not any(sample.failure for sample in following)


def _rate(answers: Sequence[Sample]) -> float | None:
    span = answers[-1].offset - answers[0].offset
    return round((len(answers) - 1) / span, 2) if span > 0 else None


def _failure(data: dict[str, object]) -> str | None:
    """The class of a failing answer, from the outside in: the status, the value, the error's first words."""
    if data.get("ok") and data.get("value_ok") is not False:
        return None
    status = data.get("status")
    if isinstance(status, int) and status >= _HTTP_ERROR:
        return f"HTTP {status}"
    if data.get("value_ok") is False and not data.get("error"):
        return "wrong value"
    error = str(data.get("error") or "").strip()
    return error.splitlines()[0].split(":")[0][:60] if error else "no answer"
