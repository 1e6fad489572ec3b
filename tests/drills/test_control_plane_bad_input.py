"""What keeps Control Plane Loss from beginning: each is refused with a reason, and nothing is touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import EnvdrError, MissingProgram, Refused, StackFileError
from tests.drills.state_rig import KEY, PLAIN, TABLE, Rig, rigged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.stack import Stack

WITH_PROVIDER = 'terraform {\n  backend "s3" {}\n}\nresource "aws_sqs_queue" "jobs" {\n  name = "jobs"\n}\n'
PROVIDER_LOCK = """
provider "registry.terraform.io/hashicorp/aws" {
  version = "3.39.0"
  hashes  = ["zh:4b75e0a259b56d97e66b7d69f3f25bd4cc7be2440c0fe35529f46de7d40a49d3"]
}
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and DynamoDB, for this module."""
    with rigged(tmp_path_factory.mktemp("bad-states"), region="eu-south-2", network="127.237.0.0/16") as rig:
        yield rig


@pytest.fixture(scope="module")
def stack(rig: Rig) -> Stack:
    """A stack that was applied twice."""
    return rig.founded()


def bucket_of(stack: Stack) -> str:
    """Where its state is."""
    assert stack.terraform is not None
    return stack.terraform.bucket


def changed(stack: Stack, **row: Any) -> Stack:
    """The same with another `[terraform]`."""
    assert stack.terraform is not None
    return stack.model_copy(update={"terraform": stack.terraform.model_copy(update=row)})


def refusal(rig: Rig, stack: Stack, kind: type[EnvdrError] = Refused, **how: Any) -> str:
    """Why the drill is refused; nothing was changed."""
    changes: list[str] = []
    with (
        pytest.raises(kind) as refused,
        rig.lost(stack, on_call=lambda call: changes.append(call.operation), **how),
    ):
        pass
    assert not [call for call in changes if not call.startswith(("Get", "Head", "List", "Describe"))]
    return str(refused.value)


def test_no_terraform_on_this_machine(rig: Rig, stack: Stack) -> None:
    """Which was looked for, where, and how to get one."""
    said = refusal(rig, changed(stack, program="no-such-terraform"), MissingProgram)
    assert "no-such-terraform not found" in said
    assert "pip install" in said


def test_a_terraform_that_is_too_old(rig: Rig, stack: Stack, tmp_path: Path) -> None:
    """Its version, and which is needed."""
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.5.7"}\'\n')
    old.chmod(0o755)
    assert "1.5.7" in refusal(rig, changed(stack, program=str(old)), MissingProgram)


def test_no_provider(rig: Rig, tmp_path: Path) -> None:
    """A mirror that has none, and nowhere else to look: refused in Terraform's own words."""
    module, mirror = tmp_path / "module", tmp_path / "mirror"
    module.mkdir()
    mirror.mkdir()
    (module / "main.tf").write_text(WITH_PROVIDER)
    (module / ".terraform.lock.hcl").write_text(PROVIDER_LOCK)
    file = tmp_path / "terraform.rc"
    file.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    stack = rig.founded()
    said = refusal(rig, changed(stack, directory=str(module), cli_config=str(file)))
    assert "hashicorp/aws" in said


def test_no_table_in_the_stack_file(rig: Rig, stack: Stack) -> None:
    """Without `[terraform]` there is no state to lose."""
    assert "[terraform]" in refusal(rig, stack.model_copy(update={"terraform": None}), StackFileError)


@pytest.mark.parametrize("status", ["off", "Suspended"])
def test_a_bucket_without_versions(rig: Rig, status: str) -> None:
    """What is lost there is gone, so it is not lost."""
    bucket = rig.bucket(versioned=False)
    if status != "off":
        rig.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    said = refusal(rig, rig.stack(bucket))
    assert f"versioning of bucket {bucket} is {status}" in said
    assert "To go on:" in said


def test_a_bucket_that_locks_what_is_written(rig: Rig) -> None:
    """The drill's own versions could not be taken away for years."""
    bucket = "locked-states"
    where = {"LocationConstraint": rig.served.world.region}
    rig.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    locked = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}}}
    rig.s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=locked)
    assert "locks every new version" in refusal(rig, rig.stack(bucket))


def test_no_bucket(rig: Rig) -> None:
    """Nothing of that name."""
    assert "no-such-states" in refusal(rig, rig.stack("no-such-states"))


@pytest.mark.parametrize("lock", ["file", "table"])
def test_a_lock_that_somebody_holds(rig: Rig, lock: str) -> None:
    """Somebody is at work, or was killed: who, since when, and which id."""
    stack = rig.founded(lock=lock)
    info = '{"ID": "theirs", "Who": "ada@ci", "Operation": "OperationTypeApply", "Created": "today"}'
    if lock == "file":
        rig.s3.put_object(Bucket=bucket_of(stack), Key=f"{KEY}.tflock", Body=info)
    else:
        item = {"LockID": {"S": f"{bucket_of(stack)}/{KEY}"}, "Info": {"S": info}}
        rig.dynamodb.put_item(TableName=TABLE, Item=item)
    assert "locked: lock theirs of ada@ci, OperationTypeApply, today" in refusal(rig, stack)


@pytest.mark.parametrize(
    ("body", "why"),
    [(None, "there is none"), (b"", "no Terraform state"), (b'{"version": 4', "no Terraform state")],
    ids=["none", "empty", "truncated"],
)
def test_no_state_to_lose(rig: Rig, body: bytes | None, why: str) -> None:
    """It is not there, or is lost already."""
    bucket = rig.bucket()
    if body is not None:
        rig.s3.put_object(Bucket=bucket, Key=KEY, Body=body)
    assert why in refusal(rig, rig.stack(bucket))


def test_a_state_that_is_deleted_already(rig: Rig) -> None:
    """A delete marker lies on it: that is for the runbook, and not for a drill."""
    stack = rig.founded()
    rig.s3.delete_object(Bucket=bucket_of(stack), Key=KEY)
    assert "delete marker" in refusal(rig, stack)


def test_a_digest_that_is_stale_already(rig: Rig) -> None:
    """Terraform would refuse that state before anything is lost."""
    stack = rig.founded(lock="table")
    item = {"LockID": {"S": f"{bucket_of(stack)}/{KEY}-md5"}, "Digest": {"S": "0" * 32}}
    rig.dynamodb.put_item(TableName=TABLE, Item=item)
    assert "Terraform would refuse it already" in refusal(rig, stack)


def test_no_older_version(rig: Rig) -> None:
    """A state that was written once cannot be replaced by an older one."""
    stack = rig.stack(rig.bucket(), terraform={"variables": [str(rig.values(1))]})
    rig.apply(stack)
    assert "no earlier version" in refusal(rig, stack, loss="older")


def test_a_loss_that_there_is_not(rig: Rig, stack: Stack) -> None:
    """Which there are."""
    assert "deleted, truncated, older, foreign, locked" in refusal(rig, stack, loss="burnt")


def test_a_module_that_cannot_be_planned(rig: Rig, stack: Stack, tmp_path: Path) -> None:
    """Found out before anything is lost; the copy is taken away again."""
    (tmp_path / "main.tf").write_text(PLAIN + 'output "wrong" {\n  value = file("no-such-file")\n}\n')
    (tmp_path / ".terraform.lock.hcl").write_text("")
    before = rig.all_of(bucket_of(stack))
    with pytest.raises(EnvdrError, match="no-such-file"), rig.lost(changed(stack, directory=str(tmp_path))):
        pass
    assert rig.all_of(bucket_of(stack)) == before


def left(stack: Stack, directory: Path, body: bytes) -> Stack:
    """The same stack, whose root module a Terraform ran in that could not write its state."""
    assert stack.terraform is not None
    directory.mkdir()
    (directory / "main.tf").write_text(PLAIN)
    (directory / ".terraform.lock.hcl").write_text("")
    (directory / "errored.tfstate").write_bytes(body)
    return changed(stack, directory=str(directory))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"serial": 9}, "serial 9 of lineage"),
        ({"lineage": "another"}, "of lineage another"),
        (None, "no Terraform state"),
    ],
    ids=["ahead", "of another lineage", "unreadable"],
)
def test_a_state_that_was_never_written(
    rig: Rig, stack: Stack, tmp_path: Path, told: dict[str, Any] | None, why: str
) -> None:
    """A run left `errored.tfstate` beside the modules: the bucket's state is behind, whichever version is taken."""
    body = json.loads(rig.s3.get_object(Bucket=bucket_of(stack), Key=KEY)["Body"].read())
    wrong = b"{" if told is None else json.dumps(body | told).encode()
    said = refusal(rig, left(stack, tmp_path / "module", wrong))
    assert why in said
    assert "terraform state push errored.tfstate" in said
    assert str(tmp_path / "module" / "errored.tfstate") in said


def test_a_state_that_was_pushed_since(rig: Rig, stack: Stack, tmp_path: Path) -> None:
    """The file that was left is no danger to the state any more; it still has its secrets, and that is said."""
    body = rig.s3.get_object(Bucket=bucket_of(stack), Key=KEY)["Body"].read()
    with rig.lost(left(stack, tmp_path / "module", body)) as ran:
        pass
    assert "errored.tfstate" in ran.findings["state.errored"]
    assert ran.failures == []
