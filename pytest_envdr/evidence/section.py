"""One drill as a section of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.evidence import drawing, enclosures, outages, wording
from pytest_envdr.evidence.events import stamp
from pytest_envdr.evidence.markup import Html, join, tag
from pytest_envdr.evidence.rows import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_envdr.evidence.events import Event
    from pytest_envdr.evidence.markup import Child
    from pytest_envdr.evidence.rows import Drill, Finding, Remark
    from pytest_envdr.evidence.stories import Story


def anchor(number: int) -> str:
    """What the table of scenarios links to."""
    return f"drill-{number}"


def render(drill: Drill, story: Story, number: int, directory: Path) -> Html:
    """The section; `number` counts the drills of the exercise from 1, `directory` holds what is attached."""
    answers = outages.samples(story)
    return tag(
        "section",
        tag(
            "p",
            badge(drill.verdict),
            tag("span", drill.criterion or "No success criterion is stated."),
            class_="criterion",
        ),
        _reasons(drill),
        _figures(drill),
        tag("figure", drawing.draw(drill, answers)) if drill.marks or drill.phases or answers else None,
        _findings(drill.findings),
        _remarks("Deviations from the plan", drill.deviations),
        _remarks("Notes", drill.notes),
        _steps(drill),
        _instants(drill),
        _waits(drill),
        _facts(drill),
        _calls(story, drill),
        _changes(story),
        enclosures.render(drill.attachments, directory),
        class_="envdr-drill",
        id=anchor(number),
    )


def badge(verdict: Verdict) -> Html:
    """A verdict as a coloured word."""
    return tag("strong", str(verdict), class_=f"verdict {str(verdict).replace(' ', '-')}")


def folded(title: str, *content: Child, many: int | None = None) -> Html:
    """Something long behind its title, and nothing at all where there is nothing."""
    if many == 0:
        return Html("")
    amount = tag("span", f"{many}", class_="amount") if many is not None else None
    return tag("details", tag("summary", title, amount), *content)


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]], *, class_: str | None = None) -> Html:
    """A table with a head; columns headed by `#name` hold figures."""
    heads = [str(cell) for cell in head]
    figures = [cell.startswith("#") for cell in heads]
    top = tag(
        "tr",
        *(tag("th", cell.lstrip("#"), class_=_column(figure)) for cell, figure in zip(heads, figures, strict=True)),
    )
    body = (
        tag("tr", *(tag("td", cell, class_=_column(figure)) for cell, figure in zip(row, figures, strict=True)))
        for row in rows
    )
    return tag("div", tag("table", tag("thead", top), tag("tbody", *body), class_=class_), class_="scroll")


def _column(figure: bool) -> str | None:  # noqa: FBT001 (a cell's kind)
    return "figure" if figure else None


def _reasons(drill: Drill) -> Html:
    if not drill.reasons:
        return Html("")
    kind = "remark" if drill.verdict is Verdict.PASSED else "reasons"
    return tag("ul", *(tag("li", reason) for reason in drill.reasons), class_=kind)


def _figures(drill: Drill) -> Html:
    error = drill.error_seconds
    figures: list[tuple[str, Child]] = [
        ("RTO", wording.objective(drill.rto_seconds)),
        ("RTA", tag("b", wording.with_error(drill.rta_seconds, error)) if drill.rta_seconds is not None else "none"),
        ("detect", wording.seconds(drill.detect_seconds)),
        ("recover", wording.seconds(drill.recover_seconds)),
        ("validate", wording.seconds(drill.validate_seconds)),
    ]
    if drill.rpo_seconds is not None:
        figures.insert(1, ("RPO", wording.objective(drill.rpo_seconds)))
    figures += _seen_by_client(drill)
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in figures), class_="figures")


def _seen_by_client(drill: Drill) -> list[tuple[str, Child]]:
    probe = drill.probe
    if probe is None:
        return []
    classes = ", ".join(f"{name} \N{MULTIPLICATION SIGN} {number}" for name, number in probe.classes.items())
    longest = wording.seconds(probe.outage_seconds)
    rate = f"{probe.rate_hertz:g} a second" if probe.rate_hertz else "one"
    return [
        ("longest outage", f"over {longest}" if probe.outage_ongoing else longest),
        ("answers", f"{probe.samples}, {rate}"),
        ("failures", f"{probe.failures}: {classes}" if probe.failures else "none"),
    ]


def _findings(findings: Sequence[Finding]) -> Html:
    if not findings:
        return Html("")
    rows = (
        tag(
            "li",
            tag("span", str(finding.severity), class_=f"severity {finding.severity}"),
            tag("b", finding.title),
            tag("code", finding.id),
            tag("p", finding.detail) if finding.detail else None,
            tag("p", tag("i", "Remedy: "), finding.remedy) if finding.remedy else None,
        )
        for finding in findings
    )
    return join(tag("h4", "Findings"), tag("ul", *rows, class_="findings"))


def _remarks(title: str, remarks: Sequence[Remark]) -> Html:
    if not remarks:
        return Html("")
    rows = (
        tag("li", tag("time", wording.offset(one.offset_seconds), datetime=stamp(one.at)), one.text) for one in remarks
    )
    return join(tag("h4", title), tag("ul", *rows, class_="remarks"))


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
        (one.offset_seconds, (_when(one.offset_seconds), stamp(one.at), tag("b", one.name), "")) for one in drill.marks
    ]
    rows += [
        (one.offset_seconds, (_when(one.offset_seconds), stamp(one.at), one.phase, _length(one.seconds)))
        for one in drill.phases
    ]
    ordered = [row for _, row in sorted(rows, key=lambda row: row[0])]
    content = table(("#when", "UTC", "phase or mark", "#took"), ordered)
    return folded("Phases and marks", content, many=len(ordered))


def _length(seconds: float | None) -> str:
    return "cut off" if seconds is None else wording.seconds(seconds)


def _when(offset: float) -> str:
    return wording.offset(offset)


def _waits(drill: Drill) -> Html:
    rows = (
        (
            _when(wait.offset_seconds),
            wait.what,
            wording.seconds(wait.took_seconds),
            wording.seconds(wait.deadline_seconds),
            "yes" if wait.satisfied else tag("b", "no", class_="bad"),
        )
        for wait in drill.waits
    )
    return folded("Waits", table(("#ended", "for", "#took", "#deadline", "came true"), rows), many=len(drill.waits))


def _facts(drill: Drill) -> Html:
    rows = ((_when(fact.offset_seconds), stamp(fact.at), fact.what, fact.text) for fact in drill.facts)
    said = tag("p", "The instants are AWS's own.", class_="dim")
    return folded("What AWS says happened", said, table(("#when", "UTC", "what", "text"), rows), many=len(drill.facts))


def _calls(story: Story, drill: Drill) -> Html:
    calls = story.placed("aws.call")
    rows = (_call(story, call) for call in calls)
    head = ("#when", "UTC", "operation", "#status", "#ms", "request id", "fidelity", "error")
    return folded("AWS calls", _weight(drill), table(head, rows, class_="calls"), many=len(calls))


def _call(story: Story, call: Event) -> tuple[Child, ...]:
    data = call.data
    took = data.get("milliseconds")
    return (
        _when(story.offset(call)),
        stamp(call.at),
        f"{data.get('service')}.{data.get('operation')}",
        data.get("status"),
        f"{took:.0f}" if isinstance(took, int | float) else wording.NONE,
        tag("code", str(data.get("request_id") or wording.NONE)),
        str(data.get("fidelity") or wording.NONE),
        str(data.get("error") or ""),
    )


def _weight(drill: Drill) -> Html:
    """What stood behind the answers, by operation."""
    said = fidelity_words(drill)
    rows = (
        (name, *(counts.get(word, 0) or "" for word in ("acted", "simulated", "stored", "undeclared")))
        for name, counts in drill.fidelity.operations.items()
    )
    head = ("operation", "#acted", "#simulated", "#stored", "#undeclared")
    return join(tag("p", said, class_="dim"), table(head, rows))


def fidelity_words(drill: Drill) -> str:
    """What stood behind the answers, in one line."""
    weight = drill.fidelity
    counts = {"acted": weight.acted, "simulated": weight.simulated, "stored": weight.stored}
    words = [f"{number} {word}" for word, number in counts.items() if number]
    if weight.undeclared:
        words.append(f"{weight.undeclared} undeclared")
    return ", ".join([*(["unproven"] if weight.unproven else []), *words]) or wording.NONE


def _changes(story: Story) -> Html:
    changes = story.placed("journal")
    rows = (
        (_when(story.offset(one)), *(str(one.data.get(name) or wording.NONE) for name in ("act", "restores", "state")))
        for one in changes
    )
    return folded("Changes and their undoing", table(("#when", "call", "restores", "state"), rows), many=len(changes))
