"""The one waiting policy."""

from __future__ import annotations

import itertools
import time

import pytest

from pytest_envdr.errors import Aborted, WaitFailed, WaitTimedOut
from pytest_envdr.waiting import wait_until


def test_what_is_true_already_is_not_waited_for() -> None:
    """A value that satisfies at once is read once and returned."""
    values = itertools.count(1)
    assert wait_until(lambda: next(values), what="one", deadline=0) == 1
    assert next(values) == 2


def test_it_reads_until_satisfied() -> None:
    """The value that satisfied is returned."""
    values = itertools.count()
    assert wait_until(lambda: next(values), lambda value: value == 3, what="three", deadline=30, interval=0.01) == 3


def test_the_deadline_tells_what_how_long_and_the_last_value() -> None:
    """A wait that times out says what was awaited, for how long, and what was seen last."""
    with pytest.raises(WaitTimedOut) as caught:
        wait_until(lambda: "initial", lambda _: False, what="every target healthy", deadline=0.05, interval=0.01)
    assert str(caught.value) == "every target healthy: not within 0.05 s.\nLast seen: initial"
    assert (caught.value.awaited, caught.value.last) == ("every target healthy", "initial")


def test_the_last_reading_is_at_the_deadline() -> None:
    """What comes true just before the deadline is seen, even when the interval is longer than what remains."""
    start = time.monotonic()
    answer = wait_until(lambda: time.monotonic() - start > 0.3, what="later", deadline=0.35, interval=60)
    assert answer


def test_fail_fast() -> None:
    """What can no longer come true is not waited for, and the reason is given with the last value."""
    with pytest.raises(WaitFailed, match=r"(?s)task running.*no longer come true: it was stopped.*Last seen: STOPPED"):
        wait_until(
            lambda: "STOPPED",
            lambda value: value == "RUNNING",
            what="task running",
            deadline=60,
            failed=lambda value: "it was stopped" if value == "STOPPED" else None,
        )


def test_an_abort_ends_a_long_interval() -> None:
    """A wait is left within about a second, however long its interval is, and before the first reading if need be."""
    asked = itertools.count()
    with pytest.raises(Aborted, match="rain: no longer awaited: the alarm fired"):
        wait_until(
            lambda: None,
            what="rain",
            deadline=600,
            interval=300,
            longest_interval=300,
            aborted=lambda: "the alarm fired" if next(asked) else None,
        )
    with pytest.raises(Aborted):
        wait_until(pytest.fail, what="rain", deadline=600, aborted=lambda: "stop")


def test_progress_is_told() -> None:
    """What is awaited and the deadline are told, with growing elapsed seconds."""
    told: list[tuple[float, str, float]] = []
    with pytest.raises(WaitTimedOut):
        wait_until(lambda: 0, what="rain", deadline=2.5, interval=2, progress=lambda *how: told.append(how))
    assert [how[1:] for how in told] == [("rain", 2.5)] * len(told)
    assert len(told) > 1
    assert [how[0] for how in told] == sorted({how[0] for how in told})


def test_tolerated_errors_count_as_not_yet() -> None:
    """An error that is tolerated is waited out, and shown when the deadline passes; any other ends the wait."""
    attempts = itertools.count()

    def read() -> int:
        if next(attempts) < 2:
            raise ConnectionRefusedError("not up")
        return 1

    assert wait_until(read, what="up", deadline=30, interval=0.01, tolerated=(ConnectionRefusedError,)) == 1
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, what="never", deadline=30)
    with pytest.raises(WaitTimedOut, match=r"ZeroDivisionError\('division by zero'\)"):
        wait_until(lambda: 1 / 0, what="never", deadline=0.02, interval=0.01, tolerated=(ZeroDivisionError,))


def test_a_long_value_is_cut() -> None:
    """The last value in the message stays readable."""
    with pytest.raises(WaitTimedOut) as caught:
        wait_until(lambda: "x" * 10_000, lambda _: False, what="y", deadline=0)
    assert len(str(caught.value)) < 1000
    assert "(10000 characters)" in str(caught.value)
