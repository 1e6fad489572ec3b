"""What a drill amounts to, judged from its evidence and not from the test's own word.

A passed test whose RTA lies above its RTO, or whose RPA above its RPO, has failed; one that nothing verified has not
passed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.evidence.rows import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_envdr.evidence.rows import Actuals, Drill, Fidelity, Finding, Objectives, RecoveryPoint

INTERRUPTED = "interrupted"
_RANK = {Verdict.FAILED: 0, Verdict.NOT_VERIFIED: 1, Verdict.PASSED: 2}


@dataclass(frozen=True)
class Case:
    """What is judged. `seen_seconds` is from the fault to its being noticed, however late."""

    outcome: str
    objectives: Objectives
    actuals: Actuals
    seen_seconds: float | None
    findings: tuple[Finding, ...]
    fidelity: Fidelity
    points: tuple[RecoveryPoint, ...] = ()


def judge(case: Case) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons; a plain pass needs none."""
    failures = tuple(_failures(case))
    doubts = tuple(_doubts(case))
    if failures:
        return Verdict.FAILED, failures + doubts
    if doubts:
        return Verdict.NOT_VERIFIED, doubts
    return Verdict.PASSED, tuple(_remarks(case))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Of several; nothing at all is not verified."""
    return min(verdicts, key=_RANK.__getitem__, default=Verdict.NOT_VERIFIED)


def decisive(drills: tuple[Drill, ...]) -> Drill:
    """The drill that a scenario hangs on: the worst verdict, then no RTA at all, then the nearest to its RTO."""
    return min(drills, key=_merit)


def worst_point(points: tuple[RecoveryPoint, ...]) -> RecoveryPoint | None:
    """The store that lost most; one of which nothing survived before all others."""
    return max(points, key=_lost_seconds, default=None)


def _lost_seconds(point: RecoveryPoint) -> float:
    return math.inf if point.rpa_seconds is None else point.rpa_seconds


def _merit(drill: Drill) -> tuple[int, bool, float]:
    rta, rto = drill.rta_seconds, drill.rto_seconds
    return _RANK[drill.verdict], rta is not None, -(rta or 0) / (rto or 1)


def _failures(case: Case) -> Iterable[str]:
    if case.outcome in {"failed", "error"}:
        yield "the test failed" if case.outcome == "failed" else "the test ended in an error"
    rta, rto = case.actuals.rta_seconds, case.objectives.rto_seconds
    if rta is not None and rto is not None and rta > rto:
        yield f"the RTA of {rta:.1f} s lies above the RTO of {rto:g} s"
    for point in case.points:
        if point.rpa_seconds is not None and point.rpo_seconds is not None and point.rpa_seconds > point.rpo_seconds:
            yield f"{point.store}: the RPA of {point.rpa_seconds:.1f} s lies above the RPO of {point.rpo_seconds:g} s"
    seen, bound = case.seen_seconds, case.objectives.detect_seconds
    if seen is not None and bound is not None and seen > bound:
        yield f"the outage was noticed after {seen:.1f} s, and {bound:g} s were promised"
    for finding in case.findings:
        if finding.severity is Severity.FAILURE:
            yield f"finding {finding.id}: {finding.title}"


def _doubts(case: Case) -> Iterable[str]:
    if case.outcome == INTERRUPTED:
        yield "the run was interrupted before the test ended"
    elif case.outcome == "skipped":
        yield "the test was skipped"
    if case.actuals.rta_seconds is None and case.outcome != "skipped":
        yield "recovery was never verified, so there is no RTA"
    for point in case.points:
        if point.rpa_seconds is None and point.rpo_seconds is not None:
            yield f"{point.store}: nothing that survived tells its RPA"
    if case.objectives.rpo_seconds is not None and not case.points and case.outcome != "skipped":
        yield "how much data was lost was never measured, so there is no RPA"
    if case.fidelity.unproven and case.outcome != "skipped":
        yield "no API answer was acted out by a real part"


def _remarks(case: Case) -> Iterable[str]:
    rta, rto, error = case.actuals.rta_seconds, case.objectives.rto_seconds, case.actuals.error_seconds
    if rta is not None and rto is not None and error is not None and rta + error > rto:
        yield f"the RTA lies nearer to the RTO than the measurement's error of {error:.2f} s"
