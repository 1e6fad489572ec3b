"""Figures as a reader likes them."""

from __future__ import annotations

NONE = "\N{EN DASH}"
_MINUTE = 60
_LONG = 100


def seconds(value: float | None) -> str:
    """`4.1 s`, `2 min 05 s`; nothing is a dash."""
    if value is None:
        return NONE
    if value >= 2 * _MINUTE:
        return f"{int(value // _MINUTE)} min {int(value % _MINUTE):02d} s"
    return f"{value:.0f} s" if value >= _LONG else f"{value:.1f} s"


def objective(value: float | None) -> str:
    """An objective, which is a round figure: `30 s`."""
    return NONE if value is None else f"{value:g} s"


def with_error(value: float | None, error: float | None) -> str:
    """A measured time and how far it may be off: `15.0 ± 0.3 s`."""
    if value is None or error is None or value >= _LONG:
        return seconds(value)
    return f"{value:.1f} ± {max(error, 0.1):.1f} s"


def offset(value: float) -> str:
    """An instant beside the fault's: `+3.2 s`, `-1.0 s`."""
    return f"{value:+.1f} s".replace("-", "\N{MINUS SIGN}")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 answer`, `2 answers`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
