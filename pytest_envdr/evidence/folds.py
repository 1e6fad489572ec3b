"""What is long in a drill's section: folded away behind its title and its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.evidence import enclosures, fidelity, wording
from pytest_envdr.evidence.events import stamp
from pytest_envdr.evidence.markup import Html, join, tag
from pytest_envdr.evidence.tables import folded, table

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.evidence.events import Event
    from pytest_envdr.evidence.markup import Child
    from pytest_envdr.evidence.rows import Drill
    from pytest_envdr.evidence.stories import Story


def render(drill: Drill, story: Story, directory: Path) -> Html:
    """All of it; `directory` holds what is attached."""
    return join(
        _steps(drill),
        _instants(drill),
        _waits(drill),
        _facts(drill),
        _calls(drill, story),
        _changes(story),
        enclosures.render(drill.attachments, directory),
    )


def _steps(drill: Drill) -> Html:
    runbook = drill.runbook
    if runbook is None:
        said = join("The stack file names no runbook for this scenario.")
    elif runbook.found:
        said = join("Runbook ", tag("code", runbook.path), ", sha256 ", tag("code", runbook.sha256))
    else:
        said = join("Runbook ", tag("code", runbook.path), " ", tag("b", "was not found", class_="bad"))
    return folded("Steps and runbook", tag("pre", drill.steps or "No steps are stated."), tag("p", said))


def _instants(drill: Drill) -> Html:
    """Phases and marks in one table, as they happened."""
    rows: list[tuple[float, tuple[Child, ...]]] = [
        (one.offset_seconds, (wording.offset(one.offset_seconds), _utc(one.at), tag("b", one.name), ""))
        for one in drill.marks
    ]
    rows += [
        (one.offset_seconds, (wording.offset(one.offset_seconds), _utc(one.at), one.phase, _length(one.seconds)))
        for one in drill.phases
    ]
    ordered = [row for _, row in sorted(rows, key=lambda row: row[0])]
    content = table(("#when", "UTC", "phase or mark", "#took"), ordered)
    return folded("Phases and marks", content, many=len(ordered))


def _length(seconds: float | None) -> str:
    return "cut off" if seconds is None else wording.seconds(seconds)


def _utc(at: datetime) -> Html:
    return tag("time", stamp(at))


def _waits(drill: Drill) -> Html:
    rows = (
        (
            wording.offset(wait.offset_seconds),
            wait.what,
            wording.seconds(wait.took_seconds),
            wording.seconds(wait.deadline_seconds),
            "yes" if wait.satisfied else tag("b", "no", class_="bad"),
        )
        for wait in drill.waits
    )
    return folded("Waits", table(("#ended", "for", "#took", "#deadline", "came true"), rows), many=len(drill.waits))


def _facts(drill: Drill) -> Html:
    rows = ((wording.offset(fact.offset_seconds), _utc(fact.at), fact.what, fact.text) for fact in drill.facts)
    said = tag("p", "The instants are those that the API gives.", class_="dim")
    return folded("What AWS says happened", said, table(("#when", "UTC", "what", "text"), rows), many=len(drill.facts))


def _calls(drill: Drill, story: Story) -> Html:
    calls = story.placed("aws.call")
    rows = (_call(story, call) for call in calls)
    head = ("#when", "UTC", "operation", "#status", "#ms", "request id", "fidelity", "error")
    return folded("AWS calls", _weight(drill), table(head, rows, class_="calls"), many=len(calls))


def _call(story: Story, call: Event) -> tuple[Child, ...]:
    data = call.data
    took = data.get("milliseconds")
    return (
        wording.offset(story.offset(call)),
        _utc(call.at),
        f"{data.get('service')}.{data.get('operation')}",
        data.get("status"),
        f"{took:.0f}" if isinstance(took, int | float) else wording.NONE,
        tag("code", str(data.get("request_id") or wording.NONE)),
        str(data.get("fidelity") or wording.NONE),
        str(data.get("error") or ""),
    )


def _weight(drill: Drill) -> Html:
    """What stood behind the answers, by operation."""
    rows = (
        (name, *(counts.get(word, 0) or "" for word in fidelity.WORDS))
        for name, counts in drill.fidelity.operations.items()
    )
    head = ("operation", *(f"#{word}" for word in fidelity.WORDS))
    return join(table(head, rows))


def _changes(story: Story) -> Html:
    changes = story.placed("journal")
    rows = (
        (
            wording.offset(story.offset(one)),
            *(str(one.data.get(name) or wording.NONE) for name in ("act", "restores", "state")),
        )
        for one in changes
    )
    return folded("Changes and their undoing", table(("#when", "call", "restores", "state"), rows), many=len(changes))
