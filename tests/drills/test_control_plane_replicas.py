"""A state that S3 replicates: whether its replica is one, and that of a drill nothing stays in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.aws import Aws, s3
from pytest_envdr.drills import state_bucket, state_replicas
from pytest_envdr.errors import Refused
from pytest_envdr.waiting import wait_until
from tests import account
from tests.drills.state_rig import KEY, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.stack import Stack


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and DynamoDB, for this module."""
    with rigged(tmp_path_factory.mktemp("replicas"), region="eu-south-1", network="127.240.0.0/16") as rig:
        yield rig


def replicated(rig: Rig, source: str, **how: Any) -> str:
    """Where a bucket is replicated to from now on."""
    target = rig.bucket()
    rig.replicate(source, target, **how)
    return target


def written(rig: Rig, bucket: str) -> None:
    """A state that is written now, and has been replicated, or could not be."""
    rig.s3.put_object(Bucket=bucket, Key=KEY, Body=b"{}")
    wait_until(
        lambda: rig.s3.head_object(Bucket=bucket, Key=KEY).get("ReplicationStatus"),
        lambda status: status != "PENDING",
        what="replication",
        deadline=30,
    )


def said(rig: Rig, bucket: str) -> list[tuple[str, str]]:
    """What is said of the bucket's replication."""
    stack = rig.stack(bucket)
    assert stack.terraform is not None
    with rig.hands(stack) as (aws, _):
        found = state_bucket.check_recoverable(aws, stack.terraform)
    return [(one.id, one.severity) for one in found if one.id != "state.plain"]


def test_a_replica_that_is_one(rig: Rig) -> None:
    """The newest state is there: nothing is said."""
    bucket = rig.bucket()
    replicated(rig, bucket)
    written(rig, bucket)
    assert said(rig, bucket) == []


def test_a_replica_that_could_not_be_written(rig: Rig) -> None:
    """The rule is there, and its role is not: red, for whoever counts on the replica has none."""
    bucket = rig.bucket()
    replicated(rig, bucket, role="nobody")
    written(rig, bucket)
    assert said(rig, bucket) == [("state.replica", "failure")]


def test_a_state_from_before_the_rule(rig: Rig) -> None:
    """Replication begins with the next write."""
    bucket = rig.bucket()
    rig.s3.put_object(Bucket=bucket, Key=KEY, Body=b"{}")
    replicated(rig, bucket)
    assert said(rig, bucket) == [("state.replica", "warning")]


@pytest.mark.parametrize("rule", [{"Status": "Disabled"}, {"Filter": {"Prefix": "logs/"}}], ids=["off", "elsewhere"])
def test_a_rule_that_leaves_the_state_out(rig: Rig, rule: dict[str, Any]) -> None:
    """Then the bucket is alone, whatever rules it has."""
    bucket = rig.bucket()
    replicated(rig, bucket, **rule)
    rig.s3.put_object(Bucket=bucket, Key=KEY, Body=b"{}")
    assert said(rig, bucket) == [("state.alone", "warning")]


def under(rig: Rig, bucket: str) -> list[str]:
    """The keys of all that is a drill's own."""
    answer = rig.s3.list_object_versions(Bucket=bucket, Prefix="envdr/")
    return [row["Key"] for row in [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]]


def test_copies_are_taken_out_of_the_replica(rig: Rig) -> None:
    """S3 replicates what the drill writes and not that it takes it away: the undo does that there as well."""
    stack = rig.founded()
    assert stack.terraform is not None
    target = replicated(rig, stack.terraform.bucket)
    before = rig.all_of(target)
    with rig.lost(stack, loss="foreign") as ran:
        whole(ran)
        wait_until(lambda: len(under(rig, target)) > 3, what="the copies' replicas", deadline=30)
    assert ran.failures == []
    assert rig.all_of(target) == before == {"versions": [], "locks": [], "items": []}


@pytest.mark.parametrize(
    ("loss", "rule"),
    [("truncated", {}), ("deleted", {"DeleteMarkerReplication": {"Status": "Enabled"}})],
    ids=["a version", "a delete marker"],
)
def test_no_replica_follows_a_loss(rig: Rig, loss: str, rule: dict[str, Any]) -> None:
    """On the stack's own key a loss that is replicated is refused: nothing would bring the replica back."""
    stack = founded(rig)
    assert stack.terraform is not None
    target = replicated(rig, stack.terraform.bucket, **rule)
    with pytest.raises(Refused, match=f"is replicated to {target}"), rig.lost(stack, loss=loss, where="original"):
        pass
    assert rig.all_of(target)["versions"] == []


def founded(rig: Rig) -> Stack:
    """A stack with a state that Terraform would not mind, written without it."""
    stack = rig.stack(rig.bucket(), allows=("state",))
    state = {"version": 4, "terraform_version": "1.6.0", "serial": 1, "lineage": "ours", "outputs": {}, "resources": []}
    assert stack.terraform is not None
    rig.s3.put_object(Bucket=stack.terraform.bucket, Key=KEY, Body=json.dumps(state).encode())
    return stack


def test_replicas_of_another_account_are_told(rig: Rig) -> None:
    """Nobody here may take them away: a finding names the bucket and what to leave out of the rule."""
    bucket, elsewhere = account.unique("states"), account.unique("theirs")
    for name in (bucket, elsewhere):
        account.plain("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
        account.plain("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    there = {"Bucket": f"arn:aws:s3:::{elsewhere}", "Account": "999999999999"}
    all_of_it = {"Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"}}
    rule = {"ID": "all", "Priority": 1, "Status": "Enabled", "Destination": there, **all_of_it}
    account.plain("s3").put_bucket_replication(
        Bucket=bucket,
        ReplicationConfiguration={"Role": f"arn:aws:iam::{account.ACCOUNT}:role/replicator", "Rules": [rule]},
    )
    stack = account.stack(terraform={"directory": "tf", "bucket": bucket, "key": f"envdr/ex-1/{KEY}"})
    drill = rig.drill()
    assert stack.terraform is not None
    aws = Aws(stack)
    assert s3.configuration(aws, bucket, "replication")
    with rig.hands(stack) as (_, journal):
        state_replicas.expect(aws, journal, drill, stack.terraform, "envdr/ex-1/")
        assert journal.owed() == []
    (finding,) = drill.findings
    assert (finding.id, finding.severity) == ("state.replicas-left", "warning")
    assert elsewhere in finding.title
