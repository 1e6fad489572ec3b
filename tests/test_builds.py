"""What Terraform built for a drill is destroyed by its own state, also where a killed Terraform left its lock."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import builds, undo
from pytest_envdr.aws import Aws
from pytest_envdr.errors import UndoFailed
from pytest_envdr.journal import Header, Journal
from pytest_envdr.settings import host
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.builds import Build

MODULE = """
terraform {
  backend "s3" {}
}

resource "terraform_data" "one" {}
"""


@dataclass(frozen=True)
class Rig:
    """A module that was built, and what became of its states' bucket.

    Attributes:
        aws, journal: the account, and what is owed.
        build: what was built.
    """

    aws: Aws
    journal: Journal
    build: Build

    def lock(self, who: str) -> str:
        """Hold the state's lock as Terraform does; its id."""
        row, name = self.build.row, "4a1c2f3e-0000-4000-8000-123456789abc"
        lock = {"ID": name, "Operation": "OperationTypeApply", "Who": who}
        account.plain("s3").put_object(Bucket=row.bucket, Key=row.lock_key, Body=json.dumps(lock).encode())
        return name

    def left(self) -> list[str]:
        """What is in the bucket, deleted or not."""
        found = account.plain("s3").list_object_versions(Bucket=self.build.row.bucket)
        return [row["Key"] for row in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A module built, in a bucket of its own."""
    name, s3, module = account.unique("states"), account.plain("s3"), tmp_path / "module"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    module.mkdir()
    (module / "main.tf").write_text(MODULE)
    (module / ".terraform.lock.hcl").touch()
    stack = account.stack(terraform={"directory": str(module), "bucket": name, "key": "prod/terraform.tfstate"})
    header = Header("built", stack.account, stack.region, stack.endpoint)
    with Journal.open(tmp_path / "journal.jsonl", header) as journal:
        aws = Aws(stack, journal)
        assert stack.terraform is not None
        build, terraform = builds.begin(aws, journal, stack.terraform, {})
        assert builds.apply(aws, journal, build, terraform.plan(), what="module") == ["terraform_data.one"]
        yield Rig(aws, journal, build)


def test_the_lock_of_a_terraform_that_is_gone_is_released(rig: Rig) -> None:
    """It is on the drill's own state, and was taken on this machine: all is destroyed, and the bucket is empty."""
    rig.lock(f"root@{host()}")
    undo.replay(rig.aws, rig.journal)
    assert rig.journal.owed() == []
    assert rig.left() == []


def test_a_state_is_kept_while_something_is_left_that_it_does_not_know(rig: Rig) -> None:
    """As where Terraform was killed before it wrote down what it made: all of it is named, and nothing is given up
    until it was deleted by hand."""
    sqs = account.plain("sqs")
    name = account.unique("unknown")
    url = sqs.create_queue(QueueName=name, tags={"envdr:exercise": "built"})["QueueUrl"]
    with pytest.raises(UndoFailed, match=f"1 of exercise built left in {account.REGION}(?s:.*){name}"):
        undo.replay(rig.aws, rig.journal, deadline=1)
    assert [entry.act for entry in rig.journal.owed()] == [builds.BEGIN]
    assert rig.build.row.key in rig.left()
    sqs.delete_queue(QueueUrl=url)
    undo.replay(rig.aws, rig.journal)
    assert (rig.journal.owed(), rig.left()) == ([], [])


@pytest.mark.sweep
def test_a_lock_of_another_machine_is_left(rig: Rig) -> None:
    """Whether its owner is at work cannot be seen from here: it is waited for, and then told by its id."""
    name = rig.lock("root@elsewhere")
    with pytest.raises(UndoFailed, match=name):
        undo.replay(rig.aws, rig.journal)
    assert rig.build.row.lock_key in rig.left()
    assert len(rig.journal.owed()) == 2


@pytest.mark.sweep
def test_a_terraform_that_is_at_work_is_seen(rig: Rig) -> None:
    """By its data directory, whoever started it; its lock is not touched."""
    terraform, data = rig.build.terraform(rig.aws), str(rig.build.work / "data")
    assert not terraform.at_work()
    command = ["/bin/sh", "-c", "read line", "terraform", "-chdir=somewhere"]
    with subprocess.Popen(command, env=dict(os.environ, TF_DATA_DIR=data), stdin=subprocess.PIPE) as process:
        assert terraform.at_work()
        process.communicate()
    assert not terraform.at_work()
