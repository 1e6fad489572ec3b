"""The verdict, from the evidence."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_envdr.evidence import verdicts
from pytest_envdr.evidence.rows import Actuals, Fidelity, Finding, Objectives, Severity, Verdict

ACTED = Fidelity(1, 0, 0, 0, unproven=False, operations={"ecs.UpdateService": {"acted": 1}})
UNPROVEN = Fidelity(0, 0, 1, 0, unproven=True, operations={"ecs.UpdateService": {"stored": 1}})
PASSED, FAILED, NOT_VERIFIED = Verdict.PASSED, Verdict.FAILED, Verdict.NOT_VERIFIED


def finding(severity: Severity) -> tuple[Finding, ...]:
    return (Finding("id", severity, "what is wrong", "", ""),)


def case(**changes: Any) -> verdicts.Case:
    """A passed drill, 15 of 30 seconds."""
    usual: dict[str, Any] = {
        "outcome": "passed",
        "objectives": Objectives(rto_seconds=30),
        "actuals": Actuals(15, 6, 6, 3, 0.3),
        "seen_seconds": 6.0,
        "findings": (),
        "fidelity": ACTED,
    }
    return verdicts.Case(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, PASSED, None),
        ({"objectives": Objectives()}, PASSED, None),
        ({"actuals": Actuals(30, 6, 6, 18, 0.0)}, PASSED, None),
        ({"actuals": Actuals(29.9, 6, 6, 17.9, 0.3)}, PASSED, "measurement's error"),
        ({"actuals": Actuals(30.001, 6, 6, 18.001, 0.3)}, FAILED, "above the RTO of 30 s"),
        ({"objectives": Objectives(30, None, 5)}, FAILED, "noticed after 6.0 s"),
        ({"objectives": Objectives(30, None, 6)}, PASSED, None),
        ({"findings": finding(Severity.FAILURE)}, FAILED, "what is wrong"),
        ({"findings": finding(Severity.WARNING)}, PASSED, None),
        ({"outcome": "failed"}, FAILED, "the test failed"),
        ({"outcome": "error"}, FAILED, "ended in an error"),
        ({"outcome": "skipped", "actuals": Actuals(), "fidelity": UNPROVEN}, NOT_VERIFIED, "skipped"),
        ({"outcome": "interrupted", "actuals": Actuals()}, NOT_VERIFIED, "interrupted"),
        ({"outcome": "interrupted"}, NOT_VERIFIED, "interrupted"),
        ({"actuals": Actuals()}, NOT_VERIFIED, "no RTA"),
        ({"fidelity": UNPROVEN}, NOT_VERIFIED, "acted out"),
        ({"outcome": "failed", "actuals": Actuals(), "fidelity": UNPROVEN}, FAILED, "acted out"),
        ({"outcome": "interrupted", "findings": finding(Severity.FAILURE)}, FAILED, "interrupted"),
    ],
)
def test_verdicts(changes: dict[str, Any], verdict: Verdict, reason: str | None) -> None:
    """Each row of the table: what the evidence says, whatever the test said."""
    judged, reasons = verdicts.judge(case(**changes))
    assert judged is verdict
    assert any(reason in one for one in reasons) if reason else not reasons


@pytest.mark.parametrize(
    ("several", "verdict"),
    [
        ([PASSED, PASSED], PASSED),
        ([PASSED, NOT_VERIFIED], NOT_VERIFIED),
        ([NOT_VERIFIED, FAILED, PASSED], FAILED),
        ([], NOT_VERIFIED),
    ],
)
def test_the_worst_counts(several: list[Verdict], verdict: Verdict) -> None:
    """Of several verdicts the worst holds, and nothing at all proves nothing."""
    assert verdicts.worst(several) is verdict
