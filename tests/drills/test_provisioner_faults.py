"""A provisioner that is not what it ought to be, events that are lost, alarms that do not tell: each has a drill of its
own, and turns its own finding red, and no other. And a name that is another account's, which is no failure.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import WaitFailed
from tests.drills.provisioner_rig import Hand, Rehearsal, disabling, drill_of
from tests.drills.restored import exercising
from tests.drills.stranger import copied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise

pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, behind which all is as before."""
    with exercising(battered_stack, tmp_path_factory.mktemp("provisioner-faults")) as begun:
        hand = Hand(begun.aws)
        before = hand.left()
        yield begun
        assert hand.left() == before


@pytest.fixture(scope="module")
def hand(begun: Exercise) -> Hand:
    """Somebody else's hand."""
    return Hand(begun.aws)


@pytest.fixture
def apart(battered_stack: Path, tmp_path: Path) -> Iterator[Exercise]:
    """A run whose stack file knows of no archive."""
    changed = copied(battered_stack, tmp_path / "stack.toml", provisioner={"archive": ""})
    with exercising(changed, tmp_path) as begun:
        yield begun


def test_a_provisioner_that_makes_a_second_bucket(begun: Exercise, hand: Hand) -> None:
    """The late event finds a bucket and makes another: it is named, and it goes with all that is the drill's."""
    with hand.making_a_second(), disabling(begun) as ran:
        ran.whole()
    assert ran.failures == ["provisioner.not-idempotent"]
    assert f"a second bucket: {ran.bucket}-second" in ran.findings["provisioner.not-idempotent"]
    assert ran.seen["changed"] == [f"a second bucket: {ran.bucket}-second"]


def test_events_that_are_dropped(begun: Exercise, hand: Hand) -> None:
    """No dead-letter queue: what the function was kept from is lost for as long as it was, though an archive has it."""
    with hand.without_dead_letters(), disabling(begun) as ran:
        ran.whole()
    assert ran.failures == ["events.lost"]
    assert "archive" in ran.findings["events.lost"]
    assert ran.drill.rpa_seconds
    assert ran.drill.recovery_points[0].lost == len(ran.disabled.case.told)


def test_events_that_no_archive_has(apart: Exercise) -> None:
    """A disabled rule, and no archive: nobody has them, and nothing but the reconciliation tells."""
    with disabling(apart, "rule disabled") as ran:
        ran.whole()
    assert ran.failures == ["events.lost"]
    assert "no archive has them" in ran.findings["events.lost"]
    assert {"events.no-archive", "detection.none"} <= ran.findings.keys()
    assert ran.drill.rpa_seconds


def test_a_fault_that_is_not_active(begun: Exercise, hand: Hand) -> None:
    """Another statement lets the rule in as well: buckets are made, so no tenant is founded, and all is put back."""
    drill = drill_of(begun, "permission removed")
    with hand.let_in_twice():
        before = hand.left()
        with (
            pytest.raises(WaitFailed, match="the fault is not active"),
            disabling(begun, "permission removed", drill=drill),
        ):
            pytest.fail("a tenant was founded")
        assert hand.left() == before
    assert [finding.id for finding in drill.failures] == ["fault.not-active"]


def test_an_alarm_without_action(begun: Exercise, hand: Hand) -> None:
    """One of the alarms would fire and nobody would know; the others tell, so that it is seen all the same."""
    (alarm, *_) = (name for name in hand.row.alarms if name.endswith("-dropped"))
    with hand.mute(alarm), disabling(begun) as ran:
        ran.whole()
    assert ran.failures == ["alarm.actions-disabled"]
    assert alarm in ran.findings["alarm.actions-disabled"]
    assert ran.drill.since("seen")


def test_alarms_that_all_are_silent(begun: Exercise, hand: Hand) -> None:
    """Nobody is told at all, which is a failure of its own."""
    with ExitStack() as silenced:
        for alarm in hand.row.alarms:
            silenced.enter_context(hand.mute(alarm))
        with disabling(begun) as ran:
            ran.disabled.wait_until_seen()
    assert set(ran.failures) == {"alarm.actions-disabled", "detection.none"}
    assert "nobody was told" in ran.findings["detection.none"]


def test_a_name_that_is_another_accounts(begun: Exercise, hand: Hand) -> None:
    """The tenant's name is taken: the bucket has the fallback name, the record says so, and the late event, which names
    the other account's bucket, is refused by the function; that bucket is left alone."""
    noted: dict[str, Any] = {}

    def look(ran: Rehearsal) -> None:
        noted["record"] = hand.sql("SELECT bucket FROM tenants WHERE slug = %s", ran.disabled.tenant.slug)

    with disabling(begun) as ran, hand.taken(ran.disabled.tenant.bucket):
        ran.whole(broken=look)
    assert ran.failures == []
    assert ran.disabled.case.manual is not None
    assert ran.disabled.case.manual.fallback
    assert ran.bucket.startswith(f"{ran.disabled.tenant.bucket}-")
    assert noted["record"] == [(ran.bucket,)]
    assert (ran.seen["differences"], ran.seen["changed"]) == ([], [])
    assert "events.refused" in ran.findings
