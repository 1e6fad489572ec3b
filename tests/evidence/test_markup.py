"""Markup: what comes from outside never becomes any."""

from __future__ import annotations

import pytest

from pytest_envdr.evidence import wording
from pytest_envdr.evidence.markup import Html, join, tag, text

HOSTILE = "\"><script>alert(1)</script>&'\udc80"


def test_children_and_attributes_are_escaped() -> None:
    """Tags, quotes and half surrogates in values stay text, and the result can be written to a file."""
    made = tag("p", HOSTILE, title=HOSTILE)
    assert "<script" not in made
    assert made.count(">") == 2
    assert made.encode()


def test_markup_is_kept() -> None:
    """What is Html already goes in as it is."""
    assert tag("p", tag("b", "x"), " & ", 3, None) == "<p><b>x</b> &amp; 3</p>"
    assert join("<", Html("<br>")) == "&lt;<br>"
    assert text(None) == ""


def test_attributes_have_their_html_names() -> None:
    """Underscores become hyphens, a trailing one goes; None and False are left out, True stands bare."""
    made = tag("details", class_="a", aria_label="b", open=True, hidden=False, title=None, x=1.50)
    assert made == '<details class="a" aria-label="b" open x="1.5"></details>'


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "\N{EN DASH}"), (0.04, "0.0 s"), (14.96, "15.0 s"), (105.4, "105 s"), (125.0, "2 min 05 s")],
)
def test_times_are_words(value: float | None, words: str) -> None:
    """A time has as many figures as a reader wants."""
    assert wording.seconds(value) == words


def test_an_error_is_never_shown_as_nothing() -> None:
    """An error smaller than the shown figure is shown as the smallest shown one."""
    assert wording.with_error(15.0, 0.01) == "15.0 ± 0.1 s"
    assert wording.with_error(15.0, None) == "15.0 s"
    assert wording.with_error(None, 0.3) == "\N{EN DASH}"
