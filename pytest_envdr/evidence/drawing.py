"""A drill's time-line as SVG: phases, marks, the RTO, what a client saw, and what AWS says of it.

It stands alone, reads in light and dark, needs no script, and says the same in words for those who cannot see it.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.evidence import labels, wording
from pytest_envdr.evidence.markup import Html, join, tag
from pytest_envdr.evidence.scale import CHARACTER, LEFT, WIDTH, Scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_envdr.evidence.outages import Sample
    from pytest_envdr.evidence.rows import Drill, Fact

LANE = 22.0
MOST_SAMPLES = 900
"""More answers than this are drawn several to a bar; a failure among them colours it."""
_LANES = ("task", "service", "target", "alarm", "message")
"""The order of AWS's facts; others come below, as they appear."""


def draw(drill: Drill, samples: Sequence[Sample]) -> Html:
    """The drawing, as an `svg` element."""
    scale = _scale(drill, samples)
    lanes: list[tuple[str, Html]] = [("phases", _phases(drill, scale))]
    if drill.rta_seconds is not None:
        lanes.append(("RTA", _parts(drill, scale)))
    if samples:
        lanes.append(("client", _answers(samples, scale)))
    lanes += [(name, _facts(facts, scale)) for name, facts in _by_lane(drill.facts, scale)]
    names = labels.place(drill, scale)
    top = 6 + labels.ROW * (1 + max((label.row for label in names), default=0))
    bottom = top + LANE * len(lanes) + 4
    body = (_lane(name, content, top + LANE * number) for number, (name, content) in enumerate(lanes))
    height = bottom + 20
    return tag(
        "svg",
        tag("title", f"Time-line of {drill.name}"),
        tag("desc", describe(drill)),
        tag("style", _style()),
        _axis(drill, scale, top, bottom),
        *body,
        *(labels.draw(label, bottom=bottom) for label in names),
        class_="envdr-time",
        role="img",
        aria_label=f"Time-line of {drill.name}. {describe(drill)}",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        xmlns="http://www.w3.org/2000/svg",
    )


def describe(drill: Drill) -> str:
    """The drawing in words."""
    marks = ", ".join(f"{mark.name} at {wording.offset(mark.offset_seconds)}" for mark in drill.marks)
    told = [f"Marks: {marks}." if marks else "No marks."]
    if drill.rto_seconds is not None:
        told.append(f"RTO {wording.objective(drill.rto_seconds)}, RTA {wording.seconds(drill.rta_seconds)}.")
    if drill.probe:
        answers = wording.count(drill.probe.samples, "answer")
        told.append(
            f"A client got {answers}, {drill.probe.failures} of them failures; "
            f"the longest outage was {wording.seconds(drill.probe.outage_seconds)}."
        )
    return " ".join(told)


def _scale(drill: Drill, samples: Sequence[Sample]) -> Scale:
    instants = [0.0, *(mark.offset_seconds for mark in drill.marks), *(sample.offset for sample in samples)]
    for phase in drill.phases:
        instants += [phase.offset_seconds, phase.offset_seconds + (phase.seconds or 0)]
    if drill.rto_seconds is not None and drill.zero == "fault":
        instants.append(min(drill.rto_seconds, 2 * max(*instants, 1)))
    begin, end = min(instants), max(instants)
    margin = max((end - begin) * 0.015, 0.2)
    return Scale(begin - margin, end + margin)


def _axis(drill: Drill, scale: Scale, top: float, bottom: float) -> Html:
    word = "after the fault" if drill.zero == "fault" else "after the beginning"
    lines = (
        join(
            tag("line", class_="rule", x1=scale(tick), x2=scale(tick), y1=top, y2=bottom),
            tag("text", f"{tick:g}", class_="dim mid", x=scale(tick), y=bottom + 13),
        )
        for tick in scale.ticks()
    )
    return join(*lines, tag("text", "seconds", tag("title", word), class_="dim end", x=LEFT - 10, y=bottom + 13))


def _lane(name: str, content: Html, y: float) -> Html:
    label = tag("text", name, class_="dim end", x=LEFT - 10, y=LANE / 2 + 3.5)
    return tag("g", label, content, transform=f"translate(0 {y:g})")


def _phases(drill: Drill, scale: Scale) -> Html:
    return join(
        *(
            _band(
                scale(phase.offset_seconds),
                scale(phase.offset_seconds + phase.seconds if phase.seconds is not None else scale.end),
                (phase.phase,),
                f"{phase.phase}: from {wording.offset(phase.offset_seconds)}, {wording.seconds(phase.seconds)}",
                "phase",
            )
            for phase in drill.phases
        )
    )


def _parts(drill: Drill, scale: Scale) -> Html:
    bands: list[Html] = []
    second = 0.0
    for name in ("detect", "recover", "validate"):
        took = getattr(drill, f"{name}_seconds") or 0.0
        words = (f"{name} {wording.seconds(took)}", wording.seconds(took))
        bands.append(_band(scale(second), scale(second + took), words, words[0], name, "on"))
        second += took
    return join(*bands)


def _band(left: float, right: float, words: tuple[str, ...], title: str, kind: str, ink: str = "") -> Html:
    """A box with the first of the labels that fits in."""
    width = max(right - left, 1)
    label = next((label for label in words if len(label) * CHARACTER + 4 <= width), None)
    shown = tag("text", label, class_=f"mid {ink}".strip(), x=left + width / 2, y=LANE / 2 + 3.5) if label else None
    box = tag("rect", class_=kind, x=left, y=3.0, width=width, height=LANE - 6, rx=2)
    return tag("g", tag("title", title), box, shown)


def _answers(samples: Sequence[Sample], scale: Scale) -> Html:
    """Each answer as a bar, as wide as the time to the next."""
    size = -(-len(samples) // MOST_SAMPLES)
    groups = [samples[first : first + size] for first in range(0, len(samples), size)]
    period = _period(samples)
    bars: list[Html] = []
    for number, group in enumerate(groups):
        shown = next((sample for sample in group if sample.failure), group[0])
        following = groups[number + 1][0].offset if number + 1 < len(groups) else group[-1].offset + period
        right = min(following, group[-1].offset + 2 * period)
        left = scale(group[0].offset)
        height = (LANE - 4) * _share(shown)
        bars.append(
            tag(
                "rect",
                tag("title", _said(shown, len(group))),
                class_="bad" if shown.failure else "good",
                x=left,
                y=LANE - 2 - height,
                width=max(scale(right) - left - 0.3, 0.6),
                height=height,
            )
        )
    return join(*bars)


def _period(samples: Sequence[Sample]) -> float:
    gaps = sorted(after.offset - before.offset for before, after in pairwise(samples))
    return gaps[len(gaps) // 2] if gaps else 1.0


def _share(sample: Sample) -> float:
    """How high an answer's bar is: all of it for a failure; for a good one less, the less the longer it took.

    So the two differ for those who cannot tell red from green.
    """
    if sample.failure:
        return 1.0
    slow = min(max((sample.milliseconds or 0) - 50, 0) / 950, 1)
    return 0.7 - 0.45 * slow


def _said(sample: Sample, several: int) -> str:
    took = f", {sample.milliseconds:.0f} ms" if sample.milliseconds is not None else ""
    more = f" (one of {several} answers)" if several > 1 else ""
    return f"{wording.offset(sample.offset)}: {sample.failure or 'good'}{took}{more}"


def _by_lane(facts: Sequence[Fact], scale: Scale) -> Iterator[tuple[str, list[Fact]]]:
    """The facts by the first word of what they concern: task, service, alarm."""
    lanes: dict[str, list[Fact]] = {}
    for fact in facts:
        if scale.holds(fact.offset_seconds):
            lanes.setdefault((fact.what.split() or ["AWS"])[0][:12], []).append(fact)
    known = [name for name in _LANES if name in lanes]
    for name in [*known, *(name for name in lanes if name not in known)]:
        yield name, lanes[name]


def _facts(facts: Sequence[Fact], scale: Scale) -> Html:
    middle = LANE / 2
    return join(
        *(
            tag(
                "path",
                tag("title", f"{wording.offset(fact.offset_seconds)}, {fact.what}: {fact.text}"),
                class_="fact",
                d=f"M{scale(fact.offset_seconds):.1f} {middle - 6:g}l5.5 6l-5.5 6l-5.5 -6z",
            )
            for fact in facts
        )
    )


@cache
def _style() -> Html:
    return Html(Path(__file__).with_name("drawing.css").read_text())
