"""The head of the report: the exercise, what it proves, and the table of its scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.evidence import section, wording
from pytest_envdr.evidence.events import stamp
from pytest_envdr.evidence.markup import Html, join, tag, writable
from pytest_envdr.evidence.rows import Proves, Severity, Verdict

if TYPE_CHECKING:
    from pytest_envdr.evidence.markup import Child
    from pytest_envdr.evidence.rows import Drill, Exercise, Record, Scenario, Source, Undo

_PARTS = ("detect", "recover", "validate")


def title(record: Record) -> str:
    """The report's title; pytest-html escapes it."""
    return writable(f"Disaster-recovery exercise {record.exercise.id}")


def render(record: Record) -> Html:
    """The head."""
    return tag(
        "div",
        _statement(record.exercise),
        _interruption(record),
        _owed(record.undo),
        _facts(record),
        tag("h2", "Scenarios"),
        _scenarios(record),
        class_="envdr-exercise",
    )


def _statement(exercise: Exercise) -> Html:
    sandbox = exercise.proves is Proves.MECHANISM
    word = "Sandbox" if sandbox else f"AWS account {exercise.stack.account}"
    return tag("p", tag("strong", word), exercise.statement, class_=f"statement {exercise.proves}")


def _interruption(record: Record) -> Html:
    exercise = record.exercise
    if exercise.status == "complete":
        return Html("")
    return tag(
        "p",
        tag("strong", "Interrupted"),
        f"The run did not come to its end. The last thing known of it is from {stamp(exercise.ended_at)}.",
        class_="statement alarm",
    )


def _owed(undo: Undo) -> Html:
    if not undo.owed:
        return Html("")
    rows = (tag("li", change.restores, " (", tag("code", change.act), ")") for change in undo.owed)
    words = "These changes had not been put back when the evidence ended; envdr undo does it:"
    return tag("div", tag("p", tag("strong", "Not undone"), words), tag("ul", *rows), class_="statement alarm")


def _facts(record: Record) -> Html:
    narrow = (_fact(name, value) for name, value in _short(record))
    wide = (_fact(name, value, class_="wide") for name, value in _long(record))
    return tag("dl", *narrow, *wide, class_="facts")


def _fact(name: str, value: Child, *, class_: str | None = None) -> Html:
    return tag("div", tag("dt", name), tag("dd", value), class_=class_)


def _short(record: Record) -> list[tuple[str, Child]]:
    exercise = record.exercise
    stack = exercise.stack
    return [
        ("verdict", section.badge(record.verdict)),
        ("exercise", tag("b", exercise.id)),
        ("drills", _tally(record)),
        ("stack", tag("b", stack.name)),
        ("account", stack.account),
        ("Region", stack.region),
        ("began", stamp(exercise.began_at)),
        ("took", wording.seconds(exercise.seconds)),
        ("undone", _undone(record.undo)),
    ]


def _undone(undo: Undo) -> str:
    if not undo.changes:
        return "nothing was changed"
    left = f", {undo.healed} healed by AWS" if undo.healed else ""
    return f"{undo.reversed} of {wording.count(undo.changes - undo.healed, 'change')}{left}"


def _long(record: Record) -> list[tuple[str, Child]]:
    exercise = record.exercise
    return [
        ("target", _target(exercise)),
        ("run by", f"{exercise.user or 'unknown'} on {exercise.host or 'unknown'}"),
        ("command", join(tag("code", exercise.command), ", tests at ", _commit(exercise))),
        ("versions", _versions(exercise)),
        ("evidence", _source(record.source)),
    ]


def _tally(record: Record) -> str:
    counts = [(verdict, sum(1 for drill in record.drills if drill.verdict is verdict)) for verdict in Verdict]
    return ", ".join(f"{number} {verdict}" for verdict, number in counts if number) or "none"


def _target(exercise: Exercise) -> Html:
    stack = exercise.stack
    kind = "sandbox" if stack.kind == "sandbox" else "AWS"
    where = join(" at ", tag("code", stack.endpoint)) if stack.endpoint else None
    behind = f", {stack.version}" if stack.version else None
    return join(kind, where, behind, f", {_speed(stack.speed)}")


def _speed(speed: float) -> str:
    return "speed 1 (true to life)" if speed == 1 else f"speed {speed:g} (AWS-side delays divided by it)"


def _commit(exercise: Exercise) -> Html:
    if not exercise.commit:
        return join("no known commit")
    return join("commit ", tag("code", exercise.commit[:12]), " with uncommitted changes" if exercise.dirty else None)


def _versions(exercise: Exercise) -> str:
    return ", ".join(f"{name} {version}" for name, version in exercise.versions.items()) or wording.NONE


def _source(source: Source) -> Html:
    torn = f", {wording.count(source.unreadable_lines, 'unreadable line')}" if source.unreadable_lines else None
    amount = wording.count(source.events, "event")
    return join(tag("code", source.path), f", {amount}", torn, ", sha256 ", tag("code", source.sha256))


def _scenarios(record: Record) -> Html:
    if not record.scenarios:
        return tag("p", "No scenario was exercised.")
    head = (
        "drill",
        "RTO",
        "RTA",
        "RPO",
        "RPA",
        "detect \N{MIDDLE DOT} recover \N{MIDDLE DOT} validate",
        "findings",
        "fidelity",
        "verdict",
    )
    numbers = {id(drill): number for number, drill in enumerate(record.drills, 1)}
    bodies = (_scenario(scenario, numbers) for scenario in record.scenarios)
    top = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in head)))
    return tag("div", tag("table", top, *bodies, class_="scenarios"), class_="scroll")


def _scenario(scenario: Scenario, numbers: dict[int, int]) -> Html:
    heading = tag(
        "tr",
        tag("th", scenario.title, scope="rowgroup"),
        tag("td", wording.objective(scenario.rto_seconds)),
        tag("td", wording.with_error(scenario.rta_seconds, scenario.error_seconds)),
        tag("td", wording.objective(scenario.rpo_seconds)),
        tag("td", wording.seconds(scenario.rpa_seconds)),
        tag("td", f"decided by {_shortly(scenario)}" if len(scenario.drills) > 1 else "", class_="dim"),
        tag("td", _finding_count(scenario)),
        tag("td", "unproven" if scenario.fidelity.unproven else f"{scenario.fidelity.acted} acted"),
        tag("td", section.badge(scenario.verdict)),
        class_="scenario",
    )
    return tag("tbody", heading, *(_drill(drill, numbers[id(drill)]) for drill in scenario.drills))


def _shortly(scenario: Scenario) -> str:
    return next(drill.name for drill in scenario.drills if drill.node_id == scenario.decisive)


def _drill(drill: Drill, number: int) -> Html:
    return tag(
        "tr",
        tag("td", tag("a", drill.name, href=f"#{section.anchor(number)}")),
        tag("td", wording.objective(drill.rto_seconds)),
        tag("td", wording.with_error(drill.rta_seconds, drill.error_seconds)),
        tag("td", wording.objective(drill.rpo_seconds)),
        tag("td", wording.seconds(drill.rpa_seconds)),
        tag("td", _split(drill)),
        tag("td", _finding_count(drill)),
        tag("td", section.fidelity_words(drill)),
        tag("td", section.badge(drill.verdict)),
    )


def _split(drill: Drill) -> Html:
    """The RTA's parts as a bar on the RTO's length, and as figures."""
    if drill.rta_seconds is None:
        return join(wording.NONE)
    parts = [getattr(drill, f"{name}_seconds") or 0.0 for name in _PARTS]
    whole = max(drill.rto_seconds or 0, drill.rta_seconds, 0.001)
    spans = (
        tag("i", class_=name, style=f"width:{100 * part / whole:.1f}%")
        for name, part in zip(_PARTS, parts, strict=True)
    )
    limit = None
    if drill.rto_seconds:
        limit = tag("u", style=f"left:{100 * drill.rto_seconds / whole:.1f}%", title="RTO")
    figures = " \N{MIDDLE DOT} ".join(f"{part:.1f}" for part in parts)
    return join(tag("span", *spans, limit, class_="split"), tag("span", f"{figures} s", class_="figures-of-split"))


def _finding_count(row: Drill | Scenario) -> str:
    if not row.findings:
        return wording.NONE
    counts = [(severity, sum(1 for one in row.findings if one.severity is severity)) for severity in reversed(Severity)]
    return ", ".join(wording.count(number, str(severity)) for severity, number in counts if number)
