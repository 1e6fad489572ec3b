"""The time-line as a drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from pytest_envdr.evidence import drawing, events, outages, record, stories
from pytest_envdr.evidence.outages import Sample
from tests.evidence import exercises

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_envdr.evidence.rows import Drill

SVG = "{http://www.w3.org/2000/svg}"


def drawn(directory: Path) -> list[ElementTree.Element]:
    """The drawing of each drill in a directory; it must be well-formed."""
    told = {(story.node_id, story.begin.at): story for story in stories.tell(events.read(directory))}
    rows = record.load(directory).drills
    svgs = [drawing.draw(row, outages.samples(told[row.node_id, row.began_at])) for row in rows]
    return [ElementTree.fromstring(svg) for svg in svgs]  # noqa: S314 (our own drawing)


@pytest.fixture(scope="module")
def failover(tmp_path_factory: pytest.TempPathFactory) -> list[ElementTree.Element]:
    directory = tmp_path_factory.mktemp("failover")
    exercises.failover(directory)
    return drawn(directory)


def of(svg: ElementTree.Element, kind: str, class_: str) -> list[ElementTree.Element]:
    return [one for one in svg.iter(f"{SVG}{kind}") if class_ in one.get("class", "").split()]


def words(svg: ElementTree.Element) -> set[str]:
    return {one.text or "" for one in svg.iter(f"{SVG}text")}


def test_it_shows_what_happened(failover: list[ElementTree.Element]) -> None:
    """Phases, the RTA's parts, the marks, the RTO and AWS's facts are all in it."""
    passed = failover[0]
    shown = words(passed)
    assert {"kick-off", "observe", "recover", "fault", "seen +6.0 s", "verified +15.0 s", "RTO 30 s"} <= shown
    assert {"detect 6.0 s", "recover 6.0 s"} <= shown
    assert {"task", "alarm", "service"} <= shown
    assert len(of(passed, "path", "fact")) == 7


def test_each_answer_is_a_bar(failover: list[ElementTree.Element]) -> None:
    """Good and failing answers are as many as the client got, and a failing one is higher too, not only red."""
    good, bad = of(failover[0], "rect", "good"), of(failover[0], "rect", "bad")
    assert (len(good), len(bad)) == (35, 43)
    assert max(float(one.get("height", 0)) for one in good) < min(float(one.get("height", 0)) for one in bad)


def test_each_thing_says_what_it_is(failover: list[ElementTree.Element]) -> None:
    """Pointing at an answer tells its instant, its class and its time."""
    said = [one.findtext(f"{SVG}title") for one in of(failover[0], "rect", "bad")]
    assert any(text and text.startswith("+1.") and ": HTTP 503, " in text for text in said)
    assert all(text and " ms" in text for text in said)


def test_it_is_there_for_those_who_cannot_see_it(failover: list[ElementTree.Element]) -> None:
    """The drawing is an image with a title and a description in words, and has no script."""
    for svg in failover:
        assert svg.get("role") == "img"
        assert svg[0].tag == f"{SVG}title"
        assert svg[1].tag == f"{SVG}desc"
        assert not list(svg.iter(f"{SVG}script"))
    described = failover[0].findtext(f"{SVG}desc") or ""
    assert "fault at +0.0 s" in described
    assert "RTO 30 s, RTA 15.0 s" in described
    assert "43 of them failures" in described


def test_nothing_lies_outside(failover: list[ElementTree.Element]) -> None:
    """Every box and line is within the drawing."""
    for svg in failover:
        width, height = (float(part) for part in svg.get("viewBox", "").split()[2:])
        for box in svg.iter(f"{SVG}rect"):
            assert float(box.get("x", 0)) >= 0
            assert float(box.get("x", 0)) + float(box.get("width", 0)) <= width
        for line in svg.iter(f"{SVG}line"):
            assert 0 <= float(line.get("x1", 0)) <= width
            assert float(line.get("y2", 0)) <= height


def test_no_rta_no_parts(failover: list[ElementTree.Element]) -> None:
    """Where recovery was not verified, there is no band for an RTA."""
    assert not of(failover[3], "rect", "detect")
    assert "RTA" not in words(failover[3])


def test_names_do_not_hide_each_other(tmp_path: Path) -> None:
    """Marks at nearly the same instant are named in rows of their own."""
    with exercises.exercise(tmp_path) as teller:
        teller.begin("a::x", shift=0)
        teller.marks(fault=1, seen=1.1, recovered=1.2, verified=40)
        teller.end()
    (svg,) = drawn(tmp_path)
    names = {one.text: one.get("y") for one in svg.iter(f"{SVG}text")}
    assert len({names["fault"], names["seen +0.1 s"], names["recovered +0.2 s"]}) == 3


def test_a_distant_rto_is_pointed_to(tmp_path: Path) -> None:
    """An RTO far beyond what happened does not press everything into a corner, and is still named."""
    with exercises.exercise(tmp_path) as teller:
        exercises.outage(teller, "a::x", shift=0, objectives={"rto_seconds": 3600})
        teller.end()
    (svg,) = drawn(tmp_path)
    assert "RTO 3600 s \N{RIGHTWARDS ARROW}" in words(svg)
    assert not of(svg, "line", "rto")
    assert {"detect 6.0 s", "recover 6.0 s"} <= words(svg)


@pytest.mark.parametrize(
    "tell",
    [
        lambda _: None,
        lambda teller: teller.at(1, "phase.begin", phase="trigger"),
        lambda teller: teller.marks(fault=0),
        lambda teller: teller.marks(**{"a name that nobody would give to a mark " * 9: 1}),
        lambda teller: teller.at(1, "probe", ok=True, status=200, milliseconds=3),
        lambda teller: teller.at(1, "aws.fact", what='<b>"', text="</title><script>&"),
        lambda teller: teller.at(-4000, "aws.fact", what="task", text="long before"),
    ],
    ids=[
        "nothing",
        "a cut-off phase",
        "only the fault",
        "a long name",
        "one answer",
        "hostile words",
        "a fact long before",
    ],
)
def test_anything_can_be_drawn(tmp_path: Path, tell: Callable[[exercises.Teller], None]) -> None:
    """However little there is, or whatever it holds, the drawing is well-formed."""
    with exercises.exercise(tmp_path) as teller:
        teller.begin("a::x<&>", shift=5)
        tell(teller)
        teller.end()
    assert len(drawn(tmp_path)) == 1


def test_a_long_drill_stays_small(drill: Drill) -> None:
    """Hours of answers are drawn several to a bar, and no failure is lost among them."""
    answers = [Sample(n / 4, "HTTP 503" if n == 20_001 else None, 5.0) for n in range(40_000)]
    svg = drawing.draw(drill, answers)
    assert svg.count('class="bad"') == 1
    assert svg.count('class="good"') <= drawing.MOST_SAMPLES


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    with exercises.exercise(tmp_path) as teller:
        teller.begin("a::x", shift=0)
        teller.end()
    return record.load(tmp_path).drills[0]
