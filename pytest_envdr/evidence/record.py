"""Events -> `record.json`: pure, so that it can be made again at any time, after a kill too."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.evidence import drills, fidelity, rows, stories, verdicts
from pytest_envdr.evidence import events as log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.evidence.events import Event, Events

FILE = "record.json"
STATEMENTS = {
    rows.Proves.MECHANISM: (
        "This exercise ran on a sandbox of real parts. It proves that the mechanism of recovery works. "
        "It does not prove AWS's own path or its timing, and it never counts as verified recovery."
    ),
    rows.Proves.RECOVERY: (
        "This exercise ran against AWS itself. What recovered, recovered on the provider's own path and in its timing."
    ),
}
_UNKNOWN = datetime.fromtimestamp(0, UTC)


def write(directory: Path) -> rows.Record:
    """Compute the record from `events.jsonl` in a directory and lay `record.json` beside it.

    Raises:
        EnvdrError: there are no events.
    """
    record = load(directory)
    partial = directory / f".{FILE}.partial"
    partial.write_text(json.dumps(rows.as_json(record), indent=2) + "\n")
    partial.replace(directory / FILE)
    return record


def load(directory: Path) -> rows.Record:
    """The record of the events in a directory, with their hash."""
    record = compute(log.read(directory))
    sha256 = hashlib.sha256((directory / log.FILE).read_bytes()).hexdigest()
    return replace(record, source=replace(record.source, sha256=sha256))


def compute(events: Events) -> rows.Record:
    """The record of these events."""
    exercise = _exercise(events)
    told = [drills.row(story, exercise.proves) for story in stories.tell(events)]
    scenarios = tuple(_scenarios(told))
    return rows.Record(
        schema=rows.SCHEMA,
        verdict=verdicts.worst(scenario.verdict for scenario in scenarios),
        exercise=exercise,
        scenarios=scenarios,
        undo=_undo(events),
        source=rows.Source(log.FILE, None, len(events.events), events.unreadable),
    )


def _exercise(events: Events) -> rows.Exercise:
    data = next((event.data for event in events.of("exercise.begin")), {})
    end = next(events.of("exercise.end"), None)
    first, last = _first_and_last(events)
    stack = _stack(data.get("stack") or {})
    proves = rows.Proves.RECOVERY if stack.kind == "aws" else rows.Proves.MECHANISM
    return rows.Exercise(
        id=str(data.get("id") or "unknown"),
        status="complete" if end else verdicts.INTERRUPTED,
        exit_status=end.data.get("exit_status") if end else None,
        proves=proves,
        statement=str(data.get("statement") or STATEMENTS[proves]),
        began_at=first.at if first else _UNKNOWN,
        ended_at=last.at if last else _UNKNOWN,
        seconds=round(last.clock - first.clock, 3) if first and last else 0.0,
        stack=stack,
        versions={str(name): str(version) for name, version in (data.get("versions") or {}).items()},
        commit=data.get("commit"),
        dirty=data.get("dirty"),
        user=str(data.get("user") or ""),
        host=str(data.get("host") or ""),
        command=str(data.get("command") or ""),
    )


def _first_and_last(events: Events) -> tuple[Event | None, Event | None]:
    """The bounds of the run; AWS's own time stamps may lie outside them."""
    own = [event for event in events.events if event.kind != "aws.fact"]
    begin, end = next(events.of("exercise.begin"), None), next(events.of("exercise.end"), None)
    by_clock = sorted(own, key=lambda event: event.clock)
    return begin or next(iter(by_clock), None), end or next(reversed(by_clock), None)


def _stack(data: dict[str, Any]) -> rows.Stack:
    return rows.Stack(
        name=str(data.get("name") or ""),
        kind=str(data.get("kind") or "sandbox"),
        endpoint=str(data["endpoint"]) if data.get("endpoint") else None,
        account=str(data.get("account") or ""),
        region=str(data.get("region") or ""),
        speed=float(data.get("speed") or 1),
        version=str(data.get("version") or ""),
    )


def _scenarios(told: list[rows.Drill]) -> Iterator[rows.Scenario]:
    for word in dict.fromkeys(drill.scenario for drill in told):
        own = tuple(drill for drill in told if drill.scenario == word)
        decisive = verdicts.decisive(own)
        yield rows.Scenario(
            scenario=word,
            title=own[0].title,
            verdict=verdicts.worst(drill.verdict for drill in own),
            decisive=decisive.node_id,
            rto_seconds=decisive.rto_seconds,
            rpo_seconds=decisive.rpo_seconds,
            rta_seconds=decisive.rta_seconds,
            rpa_seconds=decisive.rpa_seconds,
            detect_seconds=decisive.detect_seconds,
            recover_seconds=decisive.recover_seconds,
            validate_seconds=decisive.validate_seconds,
            error_seconds=decisive.error_seconds,
            phases=decisive.phases,
            findings=tuple(finding for drill in own for finding in drill.findings),
            fidelity=fidelity.total(drill.fidelity for drill in own if drill.outcome != "skipped"),
            drills=own,
        )


def _undo(events: Events) -> rows.Undo:
    """Each change in its last state. What AWS heals by itself names nothing to restore, and is never owed."""
    changes: dict[tuple[str, str, str], rows.Change] = {}
    for event in events.of("journal"):
        act, restores, state = (str(event.data.get(name) or "") for name in ("act", "restores", "state"))
        changes[str(event.data.get("entry", "")), act, restores] = rows.Change(act, restores, state)
    rest = [change for change in changes.values() if change.state in {"intended", "settled"} and change.restores]
    done = sum(1 for change in changes.values() if change.state == "reversed" and change.restores)
    healed = sum(1 for change in changes.values() if not change.restores)
    return rows.Undo(changes=len(changes), reversed=done, healed=healed, owed=tuple(rest))
