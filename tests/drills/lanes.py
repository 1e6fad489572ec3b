"""Cases that would wait for one another only because a test runner does: several at once, one at a time in each lane.

A lane is a service: what one case breaks there, the next one must find mended. Each test then asks for its own case.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from _pytest.mark.structures import ParameterSet

Case = TypeVar("Case", bound="Hashable")
Outcome = TypeVar("Outcome")
Value = TypeVar("Value")


@contextmanager
def side_by_side(
    cases: Iterable[Case], *, lane: Callable[[Case], str], do: Callable[[Case], Outcome]
) -> Iterator[Callable[[Case], Outcome]]:
    """Begin with the first case of every lane. Gives what waits for a case's outcome, or raises what the case raised;
    on leaving, cases that were not begun are dropped."""
    pools: dict[str, ThreadPoolExecutor] = {}
    running = {}
    for case in cases:
        pool = pools.setdefault(lane(case), ThreadPoolExecutor(1, thread_name_prefix=lane(case)))
        running[case] = pool.submit(do, case)
    try:
        yield lambda case: running[case].result()
    finally:
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools.values():
            pool.shutdown()


def wanted(request: pytest.FixtureRequest, cases: Iterable[Case]) -> list[Case]:
    """Those of the cases whose tests were selected: for a fixture that begins before the tests ask."""
    selected = [
        value
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
        for value in item.callspec.params.values()
    ]
    return [case for case in cases if case in selected]


def thinned(cases: Sequence[Value], *, every: int) -> list[ParameterSet]:
    """Cases for `parametrize`, of which the gate takes each `every`-th, and a sweep all."""
    marks = [() if number % every == 0 else (pytest.mark.sweep,) for number in range(len(cases))]
    return [pytest.param(case, marks=these) for case, these in zip(cases, marks, strict=True)]
