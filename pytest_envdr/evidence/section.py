"""One drill as a section of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.evidence import drawing, folds, outages, tables, wording
from pytest_envdr.evidence.events import stamp
from pytest_envdr.evidence.markup import Html, join, tag
from pytest_envdr.evidence.rows import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
            tag("span", "Success criterion", class_="dim"),
            tag("span", drill.criterion or "None is stated."),
            class_="criterion",
        ),
        _reasons(drill),
        _figures(drill),
        tag("figure", drawing.draw(drill, answers)) if drill.marks or drill.phases or answers else None,
        _findings(drill.findings),
        tables.recovery_points(drill.recovery_points),
        *(tables.shown(table) for table in drill.tables),
        _remarks("Deviations from the plan", drill.deviations),
        _remarks("Notes", drill.notes),
        folds.render(drill, story, directory),
        class_="envdr-drill",
        id=anchor(number),
    )


def badge(verdict: Verdict) -> Html:
    """A verdict as a coloured word."""
    return tag("strong", str(verdict), class_=f"verdict {str(verdict).replace(' ', '-')}")


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
        figures.append(("RPO", wording.objective(drill.rpo_seconds)))
    if drill.recovery_points:
        figures.append(
            ("RPA", tag("b", wording.seconds(drill.rpa_seconds)) if drill.rpa_seconds is not None else "none")
        )
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


def fidelity_words(drill: Drill) -> str:
    """What stood behind the answers, in one line."""
    weight = drill.fidelity
    if drill.outcome == "skipped":
        return wording.NONE
    counts = {"acted": weight.acted, "simulated": weight.simulated, "stored": weight.stored}
    words = [f"{number} {word}" for word, number in counts.items() if number]
    if weight.undeclared:
        words.append(f"{weight.undeclared} undeclared")
    return ", ".join([*(["unproven"] if weight.unproven else []), *words]) or wording.NONE
