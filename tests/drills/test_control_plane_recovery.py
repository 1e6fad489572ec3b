"""Control Plane Loss: a state that is lost in each way comes back from its bucket's versions, and nothing of the drill
is left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import NotCleared, Refused
from tests.drills.state_rig import KEY, PLAIN, Ran, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_envdr.stack import Stack

SECRET = "hunter2"  # noqa: S105 (made up)
OUTPUT = f'output "word" {{\n  value = "{SECRET}"\n  sensitive = true\n}}\n'
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
SAID["both"] = SAID["table"]
"""What Terraform says of each loss, by how the state is locked: with a table it asks again for ten seconds first."""
SLOW = {("table", "truncated"), ("table", "older"), *(("both", loss) for loss in SAID["both"])}
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
def commands(rig: Rig) -> Path:
    """What Terraform was told by the drills of this module, a line each."""
    return rig.directory / "commands"


@pytest.fixture(scope="module")
def stack_of(rig: Rig, commands: Path) -> Callable[[str], Stack]:
    """A stack whose state is locked so; it has secrets, it may be lost, and its Terraform is listened to."""
    spy = rig.directory / "terraform"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {commands}\nexec terraform "$@"\n')
    spy.chmod(0o755)
    module = PLAIN.replace("one ${count.index}", f"{SECRET} ${{count.index}}") + OUTPUT

    @cache
    def founded(lock: str) -> Stack:
        stack = rig.founded(lock=lock, module=module, allows=("state",))
        assert stack.terraform is not None
        return stack.model_copy(update={"terraform": stack.terraform.model_copy(update={"program": str(spy)})})

    return founded


@dataclass(frozen=True)
class Done:
    """A drill that was run to its end, and what bucket and lock table had before and after it."""

    ran: Ran
    before: Any
    after: Any


@pytest.fixture(scope="module")
def drilled(rig: Rig, stack_of: Callable[[str], Stack]) -> Callable[[str, str], Done]:
    """Runs a drill, by how the state is locked and lost; once, whoever asks."""

    @cache
    def run(lock: str, loss: str) -> Done:
        stack = stack_of(lock)
        before = rig.all_of(bucket_of(stack))
        with rig.lost(stack, loss=loss) as ran:
            whole(ran)
        return Done(ran, before, rig.all_of(bucket_of(stack)))

    return run


def bucket_of(stack: Stack) -> str:
    """Where its state is."""
    assert stack.terraform is not None
    return stack.terraform.bucket


@pytest.mark.parametrize(("lock", "loss"), WAYS)
def test_every_loss_is_recovered(drilled: Callable[[str, str], Done], lock: str, loss: str) -> None:
    """What Terraform says is as its backend promises; lineage, serial and addresses come back, and an empty plan;
    bucket and lock table are as before."""
    done = drilled(lock, loss)
    ran = done.ran
    assert ran.failures == []
    assert ran.seen["detection"].said == SAID[lock][loss]
    assert ran.seen["checked"].differences == ()
    assert ran.seen["checked"].changes == ()
    assert ran.seen["checked"].state.sha256 == ran.lost.known.state.sha256
    assert ("state.silent-loss" in ran.findings) is (SAID[lock][loss] == "nothing")
    assert ran.drill.rpa_seconds == 0
    assert ran.drill.actuals.rta_seconds is not None
    assert done.after == done.before


def test_why_each_version_was_left(drilled: Callable[[str, str], Done]) -> None:
    """A foreign state has the highest serial and is the newest: it is not taken, and the table says why; a push would
    have needed -force, which is written down and not used."""
    ran = drilled("file", "foreign").ran
    rows = ran.table("Versions of the state")
    assert [row[-1].split(",")[0] for row in rows] == ["it is of another lineage", "to be restored", "its serial is 1"]
    assert int(rows[0][3]) > int(rows[1][3])
    assert any("-force" in text and "another lineage" in text for text in ran.told("deviation"))


def test_the_digest_of_a_foreign_state_is_mended(drilled: Callable[[str, str], Done]) -> None:
    """Whoever applied another stack with this key left its digest too: without mending it every command fails."""
    ran = drilled("table", "foreign").ran
    assert any("mended" in text for text in ran.told("note"))
    assert ran.failures == []


@pytest.mark.parametrize("lock", ["file", pytest.param("both", marks=pytest.mark.sweep)])
def test_a_stale_lock_is_released_by_its_id(drilled: Callable[[str, str], Done], lock: str) -> None:
    """The lock that a killed run left is found, named and released, and no other."""
    ran = drilled(lock, "locked").ran
    stale = ran.lost.stale
    assert stale is not None
    assert stale.id in ran.attached("terraform-on-the-loss.txt")
    assert f"lock {stale.id} released" in ran.told("note")


def test_the_reference_has_no_secret(rig: Rig, drilled: Callable[[str, str], Done]) -> None:
    """Lineage, serial, hashes and addresses are written down; no attribute of a resource and no output is, anywhere."""
    ran = drilled("file", "older").ran
    reference = json.loads(ran.attached("reference.json"))
    assert reference["addresses"] == ["terraform_data.one[0]", "terraform_data.one[1]"]
    assert (reference["lineage"], reference["serial"]) == (ran.lost.known.state.lineage, 2)
    assert SECRET in str(rig.s3.get_object(Bucket=ran.lost.known.row.bucket, Key=KEY)["Body"].read())
    told = [path.read_text() for path in rig.directory.glob("evidence-*/**/*") if path.is_file()]
    told += [str(entry.data) for entry in ran.drill.entries]
    assert len(told) > len(ran.drill.entries)
    assert not [text for text in told if SECRET in text]


@pytest.mark.parametrize("lock", ["file", *(pytest.param(lock, marks=pytest.mark.sweep) for lock in ("table", "both"))])
def test_on_the_stack_s_own_key(rig: Rig, stack_of: Callable[[str], Stack], lock: str) -> None:
    """Where it is allowed the real state is lost and comes back: others are kept out by its lock meanwhile, its
    versions are those of before, and so is its digest."""
    stack = stack_of(lock)
    before = rig.all_of(bucket_of(stack))
    with rig.lost(stack, loss="truncated" if lock == "file" else "foreign", where="original") as ran:
        assert ran.lost.place.row.object_key == KEY
        with pytest.raises(Refused, match="is locked"), rig.lost(stack, loss="deleted"):
            pass
        whole(ran)
    assert ran.failures == []
    assert rig.all_of(bucket_of(stack)) == before


def test_the_stack_s_own_key_is_not_touched_unasked(rig: Rig) -> None:
    """Without the approver's word it is refused, and says which word."""
    stack = rig.founded()
    bucket = stack.terraform.bucket if stack.terraform else ""
    before = rig.all_of(bucket)
    with pytest.raises(NotCleared, match=r'allows = \["state"\]'), rig.lost(stack, where="original"):
        pass
    assert rig.all_of(bucket) == before


def test_nothing_is_applied(drilled: Callable[[str, str], Done], commands: Path) -> None:
    """Of Terraform's commands a drill uses those that change nothing, and the release of its own lock; it pushes
    nothing, with -force or without."""
    assert drilled("file", "locked").ran.failures == []
    lines = commands.read_text().splitlines()
    said = [line.partition(" ")[2].split()[0] for line in lines if line.startswith("-chdir")]
    assert set(said) == {"init", "plan", "show", "state", "force-unlock"}
    assert "push" not in commands.read_text()


@pytest.mark.sweep
@pytest.mark.parametrize("lock", ["file", "table"])
@pytest.mark.parametrize("loss", ["deleted", "older", "foreign", "locked"])
def test_a_state_in_a_workspace(rig: Rig, in_workspace: Callable[[str], Stack], lock: str, loss: str) -> None:
    """In another workspace than the default one the state's key is another one, and Terraform makes a workspace that it
    does not find: the state comes back all the same, and nothing of the drill is left."""
    stack = in_workspace(lock)
    before = rig.all_of(bucket_of(stack))
    with rig.lost(stack, loss=loss) as ran:
        assert "env:/dr/" in ran.lost.place.row.object_key
        whole(ran)
    assert ran.failures == []
    assert ran.seen["detection"].said == SAID[lock][loss]
    assert rig.all_of(bucket_of(stack)) == before


@pytest.mark.sweep
@pytest.mark.parametrize("lock", ["file", "table"])
def test_the_stack_s_own_workspace(rig: Rig, in_workspace: Callable[[str], Stack], lock: str) -> None:
    """While the drill holds its lock no Terraform makes that workspace anew: it says that it is locked."""
    stack = in_workspace(lock)
    before = rig.all_of(bucket_of(stack))
    with rig.lost(stack, where="original") as ran:
        whole(ran)
    assert ran.failures == []
    assert ran.seen["detection"].said == "locked"
    assert rig.all_of(bucket_of(stack)) == before


@pytest.fixture(scope="module")
def in_workspace(rig: Rig) -> Callable[[str], Stack]:
    """A stack in a workspace of its own, by how its state is locked."""
    return cache(lambda lock: rig.founded(lock=lock, workspace="dr", allows=("state",)))
