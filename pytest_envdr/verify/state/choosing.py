"""Which version of a state is the one to restore, and why the others are not (aws-semantics 7.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pytest_envdr.terraform import State

CHOSEN = "to be restored"


@dataclass(frozen=True)
class Candidate:
    """A version of the object that holds the state.

    Attributes:
        version_id: S3's.
        at: when it was written, in whole seconds.
        state: what it holds; None where that is no state, and `why` says so.
        why: why it cannot be used: "it is a delete marker"; "" where it can be read.
    """

    version_id: str
    at: datetime
    state: State | None = None
    why: str = ""


@dataclass(frozen=True)
class Judged:
    """What came of looking at all versions: the one `chosen`, None where none will do, and a verdict on each."""

    chosen: Candidate | None
    verdicts: tuple[tuple[Candidate, str], ...]


def judge(candidates: Sequence[Candidate], *, lineage: str, terraform: str = "") -> Judged:
    """Choose among versions, the newest first: one that can be read, has resources, belongs to the lineage, was not
    written by a newer Terraform than `terraform` ("1.11.4"; "" for any), and of those the highest serial; of two with
    the same serial the newer one."""
    faults = [_fault(candidate, lineage, terraform) for candidate in candidates]
    fit = [candidate for candidate, fault in zip(candidates, faults, strict=True) if not fault]
    chosen = max(fit, key=_serial, default=None)
    verdicts = []
    for candidate, fault in zip(candidates, faults, strict=True):
        verdict = fault or (CHOSEN if candidate is chosen else _surpassed(candidate, chosen))
        verdicts.append((candidate, verdict))
    return Judged(chosen, tuple(verdicts))


def push_refusal(there: State | None, new: State) -> str:
    """Why `terraform state push` would refuse to put a state in the place of another without `-force`; "" where it
    would take it (terraform, internal/states/statemgr/migrate.go, CheckValidImport)."""
    if there is None or not there.lineage:
        return ""
    if there.lineage != new.lineage:
        return f"what is there is of another lineage, {there.lineage}"
    if there.serial > new.serial:
        return f"what is there has a higher serial, {there.serial}"
    return ""


def newer(version: str, than: str) -> bool:
    """Whether a Terraform is newer than another: "1.12.0" than "1.11.4"."""
    return bool(version and than) and _numbers(version) > _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0])[:3])


def _serial(candidate: Candidate) -> int:
    return candidate.state.serial if candidate.state else -1


def _fault(candidate: Candidate, lineage: str, terraform: str) -> str:
    state = candidate.state
    if state is None:
        return candidate.why or "it cannot be read"
    if state.lineage != lineage:
        return f"it is of another lineage, {state.lineage}"
    if not state.addresses:
        return "it has no resources"
    if newer(state.terraform, than=terraform):
        return f"Terraform {state.terraform} wrote it, and this one is {terraform}"
    return ""


def _surpassed(candidate: Candidate, chosen: Candidate | None) -> str:
    if chosen is not None and _serial(candidate) == _serial(chosen):
        return f"it has the same serial, {_serial(candidate)}, and is older"
    return f"its serial is {_serial(candidate)}"
