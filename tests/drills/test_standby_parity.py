"""What the standby Region lacks, or has too much of, keeps a failover from being tried, or is found when it ends.

Nothing is built: each is seen at the kick-off, by the drill's own eyes, in a Region that somebody else has changed.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.drills import regions
from pytest_envdr.errors import Refused, UndoFailed
from pytest_envdr.exercise import Charge
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import DATABASE, IMAGE, KEY, PREFIX, REGION, SECRET, STANDBY_REGION
from pytest_envdr.waiting import wait_until
from tests import account
from tests.drills import restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.regions import SecondaryRegion
    from pytest_envdr.exercise import Exercise

REPOSITORY = IMAGE.partition("/")[2].partition(":")[0]
PATIENCE = 90


@dataclass(frozen=True)
class Rig:
    """A run on the sandbox, and somebody else's clients.

    Attributes:
        exercise: the run.
        account: plain boto3 of either Region.
    """

    exercise: Exercise
    account: Account

    def client(self, service: str) -> Any:
        """In the standby Region."""
        return self.account.client(service, STANDBY_REGION)

    def drill(self) -> Drill:
        return self.exercise.drill(Charge(account.unique("failover"), "regional_failover"))

    @contextmanager
    def begun(self, drill: Drill) -> Iterator[SecondaryRegion]:
        """A drill as far as its trigger: nothing is built yet."""
        with regions.built(self.exercise.aws, self.exercise.journal, drill) as region:
            yield region


@pytest.fixture(scope="module")
def rig(sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The sandbox, with a standby Region that is as it should be."""
    with restored.exercising(sandbox_stack, tmp_path_factory.mktemp("parity")) as exercise:
        stack = exercise.stack
        rig = Rig(exercise, Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})()))
        wait_until_backed_up(rig)
        yield rig


def wait_until_backed_up(rig: Rig) -> None:
    """Until the database could be restored in the standby Region."""
    wait_until(
        lambda: rig.client("rds").describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"],
        lambda found: any(row.get("RestoreWindow") for row in found),
        what="a replicated backup",
        deadline=PATIENCE,
    )


def refused(rig: Rig) -> tuple[list[str], str]:
    """The failures that a drill finds at its kick-off, and the words by which it is refused."""
    drill = rig.drill()
    with pytest.raises(Refused) as refusal, rig.begun(drill):
        pass
    assert rig.exercise.journal.owed() == []
    return [finding.id for finding in drill.failures], str(refusal.value)


@contextmanager
def without_the_image(rig: Rig) -> Iterator[None]:
    """The image that runs was pushed before it was replicated. Pushed again, it is."""
    here, there = rig.account.client("ecr", REGION), rig.client("ecr")
    tag, again = IMAGE.rpartition(":")[2], account.unique("again")
    (image,) = here.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])["images"]
    manifest, digest = image["imageManifest"], image["imageId"]["imageDigest"]
    there.batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": digest}])
    try:
        yield
    finally:
        here.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag=again)
        wait_until(
            lambda: there.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": again}])["images"],
            what="the image replicated",
            deadline=PATIENCE,
        )
        there.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag=tag)
        for client in (here, there):
            client.batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": again}])


@contextmanager
def without_the_key(rig: Rig) -> Iterator[None]:
    """The alias stands for nothing there."""
    kms = rig.client("kms")
    (target,) = [row["TargetKeyId"] for row in kms.list_aliases()["Aliases"] if row["AliasName"] == KEY]
    kms.delete_alias(AliasName=KEY)
    try:
        yield
    finally:
        kms.create_alias(AliasName=KEY, TargetKeyId=target)


@contextmanager
def with_the_key_disabled(rig: Rig) -> Iterator[None]:
    """It is there, and nothing can be encrypted with it."""
    kms = rig.client("kms")
    key = kms.describe_key(KeyId=KEY)["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    try:
        yield
    finally:
        kms.enable_key(KeyId=key)


@contextmanager
def without_the_secret(rig: Rig) -> Iterator[None]:
    """It is replicated no more."""
    secrets = rig.account.client("secretsmanager", REGION)
    secrets.remove_regions_from_replication(SecretId=SECRET, RemoveReplicaRegions=[STANDBY_REGION])
    try:
        yield
    finally:
        secrets.replicate_secret_to_regions(
            SecretId=SECRET, AddReplicaRegions=[{"Region": STANDBY_REGION, "KmsKeyId": KEY}]
        )


@contextmanager
def with_a_secret_of_its_own(rig: Rig) -> Iterator[None]:
    """Somebody made one of that name by hand: what was encrypted with the other APP_KEY is lost."""
    own = rig.client("secretsmanager")
    with without_the_secret(rig):
        own.create_secret(Name=SECRET, SecretString="{}")
        try:
            yield
        finally:
            own.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)


@contextmanager
def with_a_tagged_queue(rig: Rig) -> Iterator[None]:
    """Under a name of nobody's, tagged by another exercise."""
    sqs = rig.client("sqs")
    url = sqs.create_queue(QueueName=account.unique("forgotten"), tags={"envdr:exercise": "another"})["QueueUrl"]
    try:
        yield
    finally:
        sqs.delete_queue(QueueUrl=url)


@contextmanager
def with_a_named_topic(rig: Rig) -> Iterator[None]:
    """Under the stack's name, tagged by nobody."""
    sns = rig.client("sns")
    arn = sns.create_topic(Name=f"{PREFIX}-forgotten")["TopicArn"]
    try:
        yield
    finally:
        sns.delete_topic(TopicArn=arn)


@contextmanager
def without_a_backup(rig: Rig) -> Iterator[None]:
    """The database's backups are replicated no more, and what was is gone."""
    rds = rig.client("rds")
    (row,) = rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    source = f"arn:aws:rds:{REGION}:{row['DBInstanceAutomatedBackupsArn'].split(':')[4]}:db:{DATABASE}"
    rds.stop_db_instance_automated_backups_replication(SourceDBInstanceArn=source)
    rds.delete_db_instance_automated_backup(DBInstanceAutomatedBackupsArn=row["DBInstanceAutomatedBackupsArn"])
    try:
        yield
    finally:
        rds.start_db_instance_automated_backups_replication(
            SourceDBInstanceArn=source, BackupRetentionPeriod=7, KmsKeyId=row["KmsKeyId"]
        )
        wait_until_backed_up(rig)


@dataclass(frozen=True)
class Lack:
    """What is otherwise, which finding must name it ("" where the refusal alone does), and words of the refusal."""

    name: str
    broken: Callable[[Rig], AbstractContextManager[None]]
    finding: str
    says: str


LACKS = [
    Lack("no image", without_the_image, "region.image", f"image {IMAGE}: sha256:"),
    Lack("no key", without_the_key, "region.key", f"key {KEY}: needed here, none there"),
    Lack("a key that is disabled", with_the_key_disabled, "region.key", f"key {KEY}: needed here, Disabled there"),
    Lack("no secret", without_the_secret, "region.secret", f"secret {SECRET}: there here, none there"),
    Lack("another secret", with_a_secret_of_its_own, "region.secret", f"secret {SECRET}: there here, other contents"),
    Lack("something tagged", with_a_tagged_queue, "", "forgotten"),
    Lack("something named", with_a_named_topic, "", f"{PREFIX}-forgotten"),
    Lack("no backup", without_a_backup, "", "no automated backup of"),
]


@pytest.mark.sweep
@pytest.mark.parametrize("lack", LACKS, ids=lambda lack: lack.name)
def test_what_prevents_a_failover_is_a_refusal(rig: Rig, lack: Lack) -> None:
    """One thing is otherwise there: it is named, nothing else is found, and nothing was begun."""
    with lack.broken(rig):
        found, words = refused(rig)
    assert found == ([lack.finding] if lack.finding else [])
    assert words.startswith("Nothing was touched: ")
    assert lack.says in words


@pytest.mark.sweep
def test_a_region_that_is_as_it_should_be_is_taken(rig: Rig) -> None:
    """Nothing is found, nothing is owed, and nothing is left where nothing was built."""
    drill = rig.drill()
    with rig.begun(drill) as region:
        assert region.held.fault is not None
        assert region.tear_down() == []
    assert drill.failures == []


@contextmanager
def left_there(rig: Rig, drill: Drill) -> Iterator[str]:
    """Something of the drill's in the standby Region, that its journal does not know."""
    sqs = rig.client("sqs")
    name = account.unique("left")
    url = sqs.create_queue(QueueName=name, tags={"envdr:exercise": drill.exercise_id})["QueueUrl"]
    try:
        yield name
    finally:
        sqs.delete_queue(QueueUrl=url)


@contextmanager
def left_of_the_account(rig: Rig, _: Drill) -> Iterator[str]:
    """A role with the stack's name, that was not there before."""
    iam = rig.account.client("iam")
    name = account.unique(f"{PREFIX}-left")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    try:
        yield name
    finally:
        iam.delete_role(RoleName=name)


@contextmanager
def left_bucket(rig: Rig, _: Drill) -> Iterator[str]:
    """A bucket with the stack's name, whose names are global."""
    s3, name = rig.client("s3"), account.unique(f"{PREFIX}-left")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": STANDBY_REGION})
    try:
        yield name
    finally:
        s3.delete_bucket(Bucket=name)


@contextmanager
def left_policy(rig: Rig, _: Drill) -> Iterator[str]:
    """A policy with the stack's name."""
    iam, name = rig.account.client("iam"), account.unique(f"{PREFIX}-left")
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document)
    try:
        yield name
    finally:
        iam.delete_policy(PolicyArn=arn["Policy"]["Arn"])


@pytest.mark.sweep
@pytest.mark.parametrize("leaving", [left_there, left_of_the_account, left_bucket, left_policy])
def test_what_is_left_behind_fails_the_drill(
    rig: Rig, leaving: Callable[[Rig, Drill], AbstractContextManager[str]]
) -> None:
    """All was taken away, and one thing is still there, in the Region or among the account's own: it is named, once."""
    drill = rig.drill()
    with rig.begun(drill) as region, leaving(rig, drill) as name:
        (left,) = region.tear_down()
        assert name in left
    assert [(finding.id, name in finding.title) for finding in drill.failures] == [("region.leftover", True)]


@contextmanager
def recorded(rig: Rig, name: str) -> Iterator[Callable[[str], None]]:
    """A hosted zone of the account's with a record; gives what changes where it leads to."""
    route53 = rig.account.client("route53")
    zone = route53.create_hosted_zone(Name=name.partition(".")[2], CallerReference=account.unique("zone"))
    identifier = zone["HostedZone"]["Id"]

    def changed(action: str, to: str) -> None:
        row = {"Name": name, "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": to}]}
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": row}]}
        route53.change_resource_record_sets(HostedZoneId=identifier, ChangeBatch=batch)

    changed("CREATE", "old.example")
    latest = "old.example"

    def lead(to: str) -> None:
        nonlocal latest
        changed("UPSERT", to)
        latest = to

    try:
        yield lead
    finally:
        changed("DELETE", latest)
        route53.delete_hosted_zone(Id=identifier)


@pytest.mark.sweep
@pytest.mark.parametrize("to", ["old.example", "new.example"], ids=["as before", "changed"])
def test_a_dns_record_that_was_changed_fails_the_drill(rig: Rig, to: str) -> None:
    """Records are told, and not changed: one that leads elsewhere afterwards is named with both."""
    assert rig.exercise.stack.secondary is not None
    name = min(rig.exercise.stack.secondary.records)
    drill = rig.drill()
    with recorded(rig, name) as lead, rig.begun(drill) as region:
        lead(to)
        left = region.tear_down()
        lead("old.example")
    both = [f"record {name}. CNAME 60 {one}.example" for one in ("new", "old")]
    assert left == (both if to == "new.example" else [])
    assert [finding.id for finding in drill.failures] == ["region.leftover"] * len(left)


@pytest.mark.sweep
def test_what_is_left_behind_is_told_without_being_asked(rig: Rig) -> None:
    """A drill that ends before it tore anything down looks all the same, and its clean-up that fails is an error."""
    drill = rig.drill()
    with ExitStack() as afterwards, pytest.raises(UndoFailed) as failure, rig.begun(drill):
        name = afterwards.enter_context(left_there(rig, drill))
    assert name in str(failure.value)
    assert [finding.id for finding in drill.failures] == ["region.leftover"]
