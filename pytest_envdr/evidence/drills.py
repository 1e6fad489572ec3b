"""A drill's story -> its row of the record."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_envdr.evidence import fidelity, outages, rows, verdicts
from pytest_envdr.timeline import Mark, actuals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_envdr.evidence.stories import Story


def row(story: Story, proves: rows.Proves) -> rows.Drill:
    """The drill's row of the record."""
    data = story.begin.data
    end = story.end
    objectives = _objectives(data.get("objectives") or {})
    measured = _actuals(story)
    points = tuple(_recovery_points(story))
    worst = verdicts.worst_point(points)
    findings = tuple(_findings(story))
    weighed = fidelity.weigh(story.of("aws.call"), proves)
    outcome = str(end.data.get("outcome")) if end else verdicts.INTERRUPTED
    verdict, reasons = verdicts.judge(
        verdicts.Case(outcome, objectives, measured, _seen_seconds(story), findings, weighed, points)
    )
    runbook = _runbook(data.get("runbook"))
    return rows.Drill(
        node_id=story.node_id,
        name=readable(story.node_id),
        scenario=str(data.get("scenario") or ""),
        title=str(data.get("title") or data.get("scenario") or ""),
        service=data.get("service"),
        criterion=str(data.get("criterion") or ""),
        steps=str(data.get("steps") or ""),
        runbook=runbook,
        outcome=outcome,
        verdict=verdict,
        reasons=reasons,
        began_at=story.begin.at,
        seconds=round(end.clock - story.begin.clock, 3) if end else None,
        zero="fault" if story.fault else "begin",
        rto_seconds=objectives.rto_seconds,
        rpo_seconds=worst.rpo_seconds if worst else objectives.rpo_seconds,
        detect_objective_seconds=objectives.detect_seconds,
        rpa_seconds=worst.rpa_seconds if worst else None,
        **asdict(measured),
        phases=tuple(_phases(story)),
        marks=tuple(rows.Mark(str(mark.data.get("name")), **story.when(mark)) for mark in story.placed("mark")),
        recovery_points=points,
        tables=tuple(_tables(story)),
        findings=findings,
        deviations=tuple(_deviations(story, runbook)),
        notes=tuple(_remarks(story, "note")),
        facts=tuple(_facts(story)),
        waits=tuple(_waits(story)),
        probe=outages.measure(outages.samples(story)),
        fidelity=weighed,
        attachments=tuple(_attachments(story)),
    )


def readable(node_id: str) -> str:
    """A test's name as words: `test_self_healing[api]` is `Self healing · api`."""
    place, _, parameters = node_id.partition("[")
    words = place.rpartition("::")[2].removeprefix("test_").replace("_", " ").strip()
    return " · ".join(part for part in (words[:1].upper() + words[1:], parameters.removesuffix("]")) if part)


def _objectives(data: dict[str, Any]) -> rows.Objectives:
    return rows.Objectives(data.get("rto_seconds"), data.get("rpo_seconds"), data.get("detect_seconds"))


def _runbook(data: dict[str, Any] | None) -> rows.Runbook | None:
    if not data or not data.get("path"):
        return None
    return rows.Runbook(str(data["path"]), data.get("sha256"), bool(data.get("found", data.get("sha256"))))


def _actuals(story: Story) -> rows.Actuals:
    measured = asdict(actuals(story.entries()))
    return rows.Actuals(**{name: _rounded(value) for name, value in measured.items()})


def _seen_seconds(story: Story) -> float | None:
    seen = [event for event in story.of("mark") if event.data.get("name") == Mark.SEEN]
    return story.offset(seen[-1]) if seen and story.fault else None


def _phases(story: Story) -> Iterator[rows.Phase]:
    ends = list(story.of("phase.end"))
    for begin in story.of("phase.begin"):
        name = str(begin.data.get("phase"))
        end = next((event for event in ends if event.data.get("phase") == name and event.seq > begin.seq), None)
        seconds = round(end.clock - begin.clock, 3) if end else None
        yield rows.Phase(name, **story.when(begin), seconds=seconds)


def _recovery_points(story: Story) -> Iterator[rows.RecoveryPoint]:
    for event in story.of("recovery_point"):
        data = event.data
        yield rows.RecoveryPoint(
            store=str(data.get("store") or ""),
            rpo_seconds=data.get("rpo_seconds"),
            rpa_seconds=_rounded(data.get("rpa_seconds")),
            newest=str(data.get("newest") or ""),
            lost=data.get("lost"),
            error_seconds=_rounded(data.get("error_seconds")) or 0.0,
            source=str(data.get("source") or ""),
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _tables(story: Story) -> Iterator[rows.Table]:
    for event in story.of("table"):
        data = event.data
        content = tuple(tuple(str(cell) for cell in row) for row in data.get("rows") or ())
        yield rows.Table(
            title=str(data.get("title") or ""),
            caption=str(data.get("caption") or ""),
            columns=tuple(str(name) for name in data.get("columns") or ()),
            rows=content,
            total=int(data.get("total") or len(content)),
        )


def _findings(story: Story) -> Iterator[rows.Finding]:
    for event in story.of("finding"):
        data = event.data
        yield rows.Finding(
            id=str(data.get("id") or ""),
            severity=_severity(data.get("severity")),
            title=str(data.get("title") or ""),
            detail=str(data.get("detail") or ""),
            remedy=str(data.get("remedy") or ""),
        )


def _severity(word: object) -> rows.Severity:
    """An unknown severity is taken for the worst: evidence must not lose a failure to a misspelling."""
    return next((severity for severity in rows.Severity if severity == word), rows.Severity.FAILURE)


def _deviations(story: Story, runbook: rows.Runbook | None) -> Iterator[rows.Remark]:
    yield from _remarks(story, "deviation")
    if runbook and not runbook.found:
        yield rows.Remark(
            f"The runbook that the stack file names was not found: {runbook.path}", **story.when(story.begin)
        )


def _remarks(story: Story, kind: str) -> Iterable[rows.Remark]:
    return (rows.Remark(str(event.data.get("text") or ""), **story.when(event)) for event in story.placed(kind))


def _facts(story: Story) -> Iterator[rows.Fact]:
    for event in story.placed("aws.fact"):
        yield rows.Fact(str(event.data.get("what") or ""), str(event.data.get("text") or ""), **story.when(event))


def _waits(story: Story) -> Iterator[rows.Wait]:
    for event in story.placed("wait"):
        data = event.data
        yield rows.Wait(
            what=str(data.get("what") or ""),
            deadline_seconds=data.get("deadline_seconds"),
            took_seconds=data.get("took_seconds"),
            satisfied=bool(data.get("satisfied")),
            **story.when(event),
        )


def _attachments(story: Story) -> Iterator[rows.Attachment]:
    names = ("name", "path", "media_type", "sha256")
    for event in story.of("attachment"):
        yield rows.Attachment(*(str(event.data.get(name) or "") for name in names))
