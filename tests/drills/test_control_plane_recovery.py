"""Control Plane Loss: a state that is lost in each way comes back from its bucket's versions, and nothing of the drill
is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.errors import NotCleared, Refused
from tests.drills.state_rig import KEY, PLAIN, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.stack import Stack

SECRET = "hunter2"  # noqa: S105 (made up)
SAID = {
    "file": {
        "deleted": "nothing",
        "truncated": "unreadable",
        "older": "nothing",
        "foreign": "nothing",
        "locked": "locked",
    },
    "table": {
        "deleted": "checksum",
        "truncated": "checksum",
        "older": "checksum",
        "foreign": "nothing",
        "locked": "locked",
    },
}
"""What Terraform says of each loss, by how the state is locked: with a table it asks again for ten seconds first."""
SLOW = {("table", "truncated"), ("table", "older")}
WAYS = [
    pytest.param(lock, loss, marks=[pytest.mark.sweep] if (lock, loss) in SLOW else [], id=f"{loss}, {lock}")
    for lock, losses in SAID.items()
    for loss in losses
]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and DynamoDB, for this module."""
    with rigged(tmp_path_factory.mktemp("states"), region="eu-west-2", network="127.235.0.0/16") as rig:
        yield rig


@pytest.fixture(scope="module")
def stacks(rig: Rig) -> dict[str, Stack]:
    """A stack whose state is locked by a file, and one by a table; both may be lost."""
    return {lock: rig.founded(lock=lock, allows=("state",)) for lock in SAID}


@pytest.mark.parametrize(("lock", "loss"), WAYS)
def test_every_loss_is_recovered(rig: Rig, stacks: dict[str, Stack], lock: str, loss: str) -> None:
    """What Terraform says is as its backend promises; lineage, serial and addresses come back, and an empty plan;
    bucket and lock table are as before."""
    stack = stacks[lock]
    bucket = stack.terraform.bucket if stack.terraform else ""
    before = rig.all_of(bucket)
    with rig.lost(stack, loss=loss) as ran:
        whole(ran)
    assert ran.failures == []
    assert ran.seen["detection"].said == SAID[lock][loss]
    assert ran.seen["checked"].differences == ()
    assert ran.seen["checked"].changes == ()
    assert ran.seen["checked"].state.sha256 == ran.lost.known.state.sha256
    assert ("state.silent-loss" in ran.findings) is (SAID[lock][loss] == "nothing")
    assert ran.drill.rpa_seconds == 0
    assert ran.drill.actuals.rta_seconds is not None
    assert rig.all_of(bucket) == before


def test_why_each_version_was_left(rig: Rig, stacks: dict[str, Stack]) -> None:
    """A foreign state has the highest serial and is the newest: it is not taken, and the table says why; a push would
    have needed -force, which is written down and not used."""
    with rig.lost(stacks["file"], loss="foreign") as ran:
        whole(ran)
    rows = ran.table("Versions of the state")
    assert [row[-1].split(",")[0] for row in rows] == ["it is of another lineage", "to be restored", "its serial is 1"]
    assert int(rows[0][3]) > int(rows[1][3])
    assert any("-force" in text and "another lineage" in text for text in ran.told("deviation"))


def test_the_digest_of_a_foreign_state_is_mended(rig: Rig, stacks: dict[str, Stack]) -> None:
    """Whoever applied another stack with this key left its digest too: without mending it every command fails."""
    with rig.lost(stacks["table"], loss="foreign") as ran:
        whole(ran)
    assert any("mended" in text for text in ran.told("note"))
    assert ran.failures == []


def test_a_stale_lock_is_released_by_its_id(rig: Rig, stacks: dict[str, Stack]) -> None:
    """The lock that a killed run left is found, named and released, and no other."""
    with rig.lost(stacks["file"], loss="locked") as ran:
        stale = ran.lost.stale
        whole(ran)
        assert stale is not None
        assert stale.id in ran.attached("terraform-on-the-loss.txt")
    assert f"lock {stale.id} released" in ran.told("note")


def test_the_reference_has_no_secret(rig: Rig) -> None:
    """Lineage, serial, hashes and addresses are written down; no attribute of a resource and no output is, anywhere."""
    output = f'output "word" {{\n  value = "{SECRET}"\n  sensitive = true\n}}\n'
    module = PLAIN.replace("one ${count.index}", f"{SECRET} ${{count.index}}") + output
    stack = rig.founded(module=module)
    with rig.lost(stack, loss="older") as ran:
        whole(ran)
        (evidence,) = [path for path in rig.directory.glob("evidence-*") if path == ran.drill._directory]
    reference = json.loads(ran.attached("reference.json"))
    assert reference["addresses"] == ["terraform_data.one[0]", "terraform_data.one[1]"]
    assert (reference["lineage"], reference["serial"]) == (ran.lost.known.state.lineage, 2)
    told = [path.read_text() for path in evidence.rglob("*") if path.is_file()]
    told += [str(entry.data) for entry in ran.drill.entries]
    assert told
    assert not [text for text in told if SECRET in text]


@pytest.mark.parametrize("lock", SAID)
def test_on_the_stack_s_own_key(rig: Rig, stacks: dict[str, Stack], lock: str) -> None:
    """Where it is allowed the real state is lost and comes back: others are kept out by its lock meanwhile, its
    versions are those of before, and so is its digest."""
    stack = stacks[lock]
    bucket = stack.terraform.bucket if stack.terraform else ""
    before = rig.all_of(bucket)
    with rig.lost(stack, loss="truncated" if lock == "file" else "foreign", where="original") as ran:
        assert ran.lost.place.row.object_key == KEY
        with pytest.raises(Refused, match="is locked"), rig.lost(stack, loss="deleted"):
            pass
        whole(ran)
    assert ran.failures == []
    assert rig.all_of(bucket) == before


def test_the_stack_s_own_key_is_not_touched_unasked(rig: Rig) -> None:
    """Without the approver's word it is refused, and says which word."""
    stack = rig.founded()
    bucket = stack.terraform.bucket if stack.terraform else ""
    before = rig.all_of(bucket)
    with pytest.raises(NotCleared, match=r'allows = \["state"\]'), rig.lost(stack, where="original"):
        pass
    assert rig.all_of(bucket) == before


def test_nothing_is_applied(rig: Rig, stacks: dict[str, Stack], tmp_path: Path) -> None:
    """Of Terraform's commands a drill uses those that change nothing, and the release of its own lock; it pushes
    nothing, with -force or without."""
    log = tmp_path / "commands"
    spy = tmp_path / "terraform"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec terraform "$@"\n')
    spy.chmod(0o755)
    stack = stacks["file"]
    assert stack.terraform is not None
    row = stack.terraform.model_copy(update={"program": str(spy)})
    with rig.lost(stack.model_copy(update={"terraform": row}), loss="locked") as ran:
        whole(ran)
    assert ran.failures == []
    commands = [line.partition(" ")[2].split()[0] for line in log.read_text().splitlines() if line.startswith("-chdir")]
    assert set(commands) == {"init", "plan", "show", "state", "force-unlock"}
    assert "push" not in log.read_text()
