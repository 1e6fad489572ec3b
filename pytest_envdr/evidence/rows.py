"""The record's values, as `record.schema.json` describes them: plain, frozen, and JSON-able by `as_json`.

`offset_seconds` counts from a drill's zero: its fault, or its beginning where no fault was marked. Durations are in
seconds and rounded to milliseconds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pytest_envdr.evidence.events import stamp

SCHEMA = "envdr-record/1"


class Verdict(StrEnum):
    """What an exercise, a scenario or a drill amounts to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"
    """Neither: skipped, interrupted, never verified, or nothing real stood behind it."""


class Severity(StrEnum):
    """How much a finding matters; a `failure` fails its drill."""

    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


class Proves(StrEnum):
    """What a run can prove at most: a sandbox the mechanism, AWS itself the recovery."""

    MECHANISM = "mechanism"
    RECOVERY = "recovery"


@dataclass(frozen=True)
class Objectives:
    """What was promised, in wall seconds."""

    rto_seconds: float | None = None
    rpo_seconds: float | None = None
    detect_seconds: float | None = None


@dataclass(frozen=True)
class Runbook:
    """The runbook that the stack file names; `sha256` is the version that was exercised."""

    path: str
    sha256: str | None
    found: bool


@dataclass(frozen=True)
class Phase:
    """A phase of the step breakdown; `seconds` is None where it was cut off."""

    phase: str
    at: datetime
    offset_seconds: float
    seconds: float | None


@dataclass(frozen=True)
class Mark:
    """An instant with a name."""

    name: str
    at: datetime
    offset_seconds: float


@dataclass(frozen=True)
class Remark:
    """A note or a deviation from the plan."""

    text: str
    at: datetime
    offset_seconds: float


@dataclass(frozen=True)
class Finding:
    """Something that an auditor or an engineer has to know, and what to do about it."""

    id: str
    severity: Severity
    title: str
    detail: str
    remedy: str


@dataclass(frozen=True)
class Fact:
    """What AWS says happened, at the instant that AWS gives."""

    what: str
    text: str
    at: datetime
    offset_seconds: float


@dataclass(frozen=True)
class Wait:
    """Something awaited."""

    what: str
    deadline_seconds: float | None
    took_seconds: float | None
    satisfied: bool
    at: datetime
    offset_seconds: float


@dataclass(frozen=True)
class Attachment:
    """A file beside the record."""

    name: str
    path: str
    media_type: str
    sha256: str


@dataclass(frozen=True)
class RecoveryPoint:
    """How far the data of one store came back; `rpa_seconds` is None where no write of it survived."""

    store: str
    rpo_seconds: float | None
    rpa_seconds: float | None
    newest: str
    lost: int | None
    error_seconds: float
    source: str


@dataclass(frozen=True)
class Table:
    """What a drill shows as rows, such as differences; `rows` are the first of `total`."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


@dataclass(frozen=True)
class Fidelity:
    """What stood behind the API answers, counted; `undeclared` are answers that say nothing of it, as AWS's do."""

    acted: int
    simulated: int
    stored: int
    undeclared: int
    unproven: bool
    operations: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Probe:
    """What a client outside saw.

    Attributes:
        classes: how often each class of failure came: `HTTP 503`, `wrong value`, `timeout` ...
        outages: how many times service was lost until an answer came that held.
        outage_seconds: the longest of them, first failing to first good that held.
        outage_ongoing: the longest had not ended with the last sample.
        rate_hertz, longest_gap_seconds: how closely the client really looked.
    """

    samples: int
    failures: int
    classes: dict[str, int]
    outages: int
    outage_seconds: float
    outage_ongoing: bool
    rate_hertz: float | None
    longest_gap_seconds: float | None
    median_milliseconds: float | None
    slowest_milliseconds: float | None


@dataclass(frozen=True)
class Actuals:
    """What was measured; all None where recovery was not verified: such a run has no RTA."""

    rta_seconds: float | None = None
    detect_seconds: float | None = None
    recover_seconds: float | None = None
    validate_seconds: float | None = None
    error_seconds: float | None = None


@dataclass(frozen=True)
class Drill:
    """One test's time-line. `rpo_seconds` and `rpa_seconds` are those of the store that lost most."""

    node_id: str
    name: str
    scenario: str
    title: str
    service: str | None
    criterion: str
    steps: str
    runbook: Runbook | None
    outcome: str
    verdict: Verdict
    reasons: tuple[str, ...]
    began_at: datetime
    seconds: float | None
    zero: str
    rto_seconds: float | None
    rpo_seconds: float | None
    detect_objective_seconds: float | None
    rpa_seconds: float | None
    rta_seconds: float | None
    detect_seconds: float | None
    recover_seconds: float | None
    validate_seconds: float | None
    error_seconds: float | None
    phases: tuple[Phase, ...]
    marks: tuple[Mark, ...]
    recovery_points: tuple[RecoveryPoint, ...]
    tables: tuple[Table, ...]
    findings: tuple[Finding, ...]
    deviations: tuple[Remark, ...]
    notes: tuple[Remark, ...]
    facts: tuple[Fact, ...]
    waits: tuple[Wait, ...]
    probe: Probe | None
    fidelity: Fidelity
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True)
class Scenario:
    """One scenario of the plan. The actuals and phases are those of `decisive`: the drill it hangs on."""

    scenario: str
    title: str
    verdict: Verdict
    decisive: str
    rto_seconds: float | None
    rpo_seconds: float | None
    rta_seconds: float | None
    rpa_seconds: float | None
    detect_seconds: float | None
    recover_seconds: float | None
    validate_seconds: float | None
    error_seconds: float | None
    phases: tuple[Phase, ...]
    findings: tuple[Finding, ...]
    fidelity: Fidelity
    drills: tuple[Drill, ...]


@dataclass(frozen=True)
class Stack:
    """What was exercised."""

    name: str
    kind: str
    endpoint: str | None
    account: str
    region: str
    speed: float
    version: str


@dataclass(frozen=True)
class Exercise:
    """One run."""

    id: str
    status: str
    exit_status: int | None
    proves: Proves
    statement: str
    began_at: datetime
    ended_at: datetime
    seconds: float
    stack: Stack
    versions: dict[str, str]
    commit: str | None
    dirty: bool | None
    user: str
    host: str
    command: str


@dataclass(frozen=True)
class Change:
    """A change of AWS that the journal knows, and where it ended."""

    act: str
    restores: str
    state: str


@dataclass(frozen=True)
class Undo:
    """Whether all that was changed was put back. `healed` are the changes that AWS heals by itself."""

    changes: int
    reversed: int
    healed: int
    owed: tuple[Change, ...]


@dataclass(frozen=True)
class Source:
    """The events that the record was computed from."""

    path: str
    sha256: str | None
    events: int
    unreadable_lines: int


@dataclass(frozen=True)
class Record:
    """All of it."""

    schema: str
    verdict: Verdict
    exercise: Exercise
    scenarios: tuple[Scenario, ...]
    undo: Undo
    source: Source

    @property
    def drills(self) -> tuple[Drill, ...]:
        """Every drill, scenario by scenario."""
        return tuple(drill for scenario in self.scenarios for drill in scenario.drills)


def as_json(record: Record) -> dict[str, Any]:
    """The record as `record.schema.json` has it."""
    return {key: _plain(value) for key, value in asdict(record).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
