"""What a provisioner's drill refuses, with a reason, and without a call that changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, provisioner
from pytest_envdr.errors import EnvdrError
from pytest_envdr.guard import mutating
from pytest_envdr.journal import Header, Journal
from pytest_envdr.stack import Stack, read
from pytest_envdr.tables import Provisioner
from pytest_envdr.timeline import Clock
from tests.drills import lanes
from tests.drills.provisioner_rig import Hand

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 5.0
"""How long it waits for alarms to be quiet, and for a change to be in effect."""


@pytest.fixture(scope="module")
def stack(battered_stack: Path) -> Stack:
    """The running stack."""
    return read(battered_stack)


@pytest.fixture(scope="module")
def hand(stack: Stack) -> Hand:
    """Somebody else's hand."""
    return Hand(Aws(stack))


def refusal(stack: Stack, directory: Path, how: Any = "concurrency 0") -> str:
    """Why it is refused; nothing was called that changes anything, and nothing is owed."""
    called: list[str] = []
    header = Header("refused", stack.account, stack.region, stack.endpoint)
    with Journal.open(directory / "journal.jsonl", header) as journal:
        aws = Aws(stack, journal, lambda call: called.append(f"{call.service}.{call.operation}"))
        drill = Drill(
            "the drill that is refused",
            exercise_id="refused",
            objective=stack.objectives["lambda_provisioner_failure"],
            directory=directory,
            sink=lambda _: None,
            clock=Clock(),
        )
        with (
            pytest.raises(EnvdrError) as refused,
            provisioner.disabled(aws, journal, drill, how=how, settle_seconds=SECONDS, effect_seconds=SECONDS),
        ):
            pass
        assert journal.entries == []
    assert [call for call in called if mutating(call)] == []
    return str(refused.value)


def changed(stack: Stack, **changes: Any) -> Stack:
    """The stack file with other keys in its [provisioner]."""
    row = stack.provisioner
    assert row is not None
    return stack.model_copy(update={"provisioner": Provisioner(**row.model_dump() | changes)})


@pytest.mark.parametrize("key", lanes.thinned(["function", "rule", "bus", "archive", "dead_letters"], every=5))
def test_what_there_is_not(stack: Stack, tmp_path: Path, key: str) -> None:
    """No function of that name, no rule, no bus, no archive, no queue: refused with the name."""
    said = refusal(changed(stack, **{key: "envelope-prod-nowhere"}), tmp_path)
    assert said.startswith("Nothing was touched: ")
    assert "envelope-prod-nowhere" in said


@pytest.mark.parametrize("table", ["provisioner", "database"])
def test_a_stack_file_without_the_table(stack: Stack, tmp_path: Path, table: str) -> None:
    """Neither without [provisioner] nor without [database] is there anything to drill."""
    assert f"[{table}]" in refusal(stack.model_copy(update={table: None}), tmp_path)


@pytest.mark.parametrize("key", ["service", "page_service"])
def test_an_unknown_service(stack: Stack, tmp_path: Path, key: str) -> None:
    """Services that the stack file does not have: refused with those that it has."""
    said = refusal(changed(stack, **{key: "portal"}), tmp_path)
    assert "names a service that the stack file does not have: portal" in said
    assert "tenant" in said.partition("To go on:")[2]


@pytest.mark.parametrize(
    ("key", "said"), [("target", "has no target elsewhere"), ("statement", "no statement elsewhere")]
)
def test_a_rule_that_does_not_reach_the_function(stack: Stack, tmp_path: Path, key: str, said: str) -> None:
    """Another target than the stack file's, or no statement that lets the rule in."""
    assert said in refusal(changed(stack, **{key: "elsewhere"}), tmp_path)


def test_a_reference_that_is_no_tenant(stack: Stack, tmp_path: Path) -> None:
    """Without a bucket that the new one is to be like, nothing can be validated."""
    assert "tenant nobody has no bucket" in refusal(changed(stack, reference="nobody"), tmp_path)


def test_an_unknown_way(stack: Stack, tmp_path: Path) -> None:
    """A way that there is not: refused with those that there are."""
    said = refusal(stack, tmp_path, how="struck by lightning")
    assert "concurrency 0, rule disabled, permission removed, code broken" in said


def test_concurrency_0_already(stack: Stack, hand: Hand, tmp_path: Path) -> None:
    """Somebody else's fault is not the drill's: what it would put back would be that."""
    with hand.reserved(0):
        before = hand.settings()
        said = refusal(stack, tmp_path)
        assert hand.settings() == before
    assert "is kept from its work already: its reserved concurrency is 0" in said
    assert "To go on: mend that first." in said


def test_a_rule_disabled_already(stack: Stack, hand: Hand, tmp_path: Path) -> None:
    """The same of the rule, whichever way the drill would take."""
    with hand.rule_disabled():
        before = hand.settings()
        said = refusal(stack, tmp_path, "rule disabled")
        assert hand.settings() == before
    assert f"rule {hand.row.rule} is DISABLED" in said
