"""A state's object: copies of its versions, the lock file, the way back; undone, nothing of them is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, s3_acts, s3_states
from pytest_envdr.errors import AwsError, UndoFailed
from pytest_envdr.journal import Header, Inverse, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, LOCK = "prod/terraform.tfstate", "prod/terraform.tfstate.tflock"
OWN = "envdr/ex-1/"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal of the account."""
    header = Header("ex", account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(tmp_path / "journals" / "target.jsonl", header) as journal:
        yield journal


@pytest.fixture
def aws(journal: Journal) -> Aws:
    """The account, under the journal's guard."""
    return Aws(account.stack(), journal)


@pytest.fixture
def bucket() -> str:
    """A versioned bucket with a state that was written three times, and locked and unlocked once."""
    name, s3 = account.unique("states"), account.plain("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for serial in range(3):
        s3.put_object(Bucket=name, Key=KEY, Body=f"serial {serial}".encode())
    s3.put_object(Bucket=name, Key=LOCK, Body=b"{}")
    s3.delete_object(Bucket=name, Key=LOCK)
    return name


def versions(bucket: str) -> list[tuple[Any, ...]]:
    """All versions and markers as S3 itself lists them."""
    answer = account.plain("s3").list_object_versions(Bucket=bucket)
    rows = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
    return sorted((row["Key"], row["VersionId"], row["IsLatest"]) for row in rows)


def test_a_copy_grows_as_the_state_did(aws: Aws, journal: Journal, bucket: str) -> None:
    """Its versions in their order, not those of the lock; undone, nothing is under the prefix, whoever put it there."""
    before = versions(bucket)
    known = s3_states.versions_of(aws, bucket, KEY)
    made = s3_states.copy_versions(aws, journal, bucket, known, to=f"{OWN}{KEY}", prefix=OWN)
    copies = s3_states.versions_of(aws, bucket, f"{OWN}{KEY}")
    assert [made[copy.version_id] for copy in copies] == [version.version_id for version in known]
    assert s3_states.body(aws, bucket, f"{OWN}{KEY}") == b"serial 2"
    assert s3_states.body(aws, bucket, f"{OWN}{KEY}", version_id=copies[-1].version_id) == b"serial 0"
    account.plain("s3").put_object(Bucket=bucket, Key=f"{OWN}x", Body=b"a killed one's")
    undo.replay(aws, journal)
    assert journal.owed() == []
    assert versions(bucket) == before


def test_another_prefix_is_never_emptied(aws: Aws, journal: Journal, bucket: str) -> None:
    """An entry that says otherwise is refused: it may be somebody's state."""
    where = {"Bucket": bucket, "prefix": "prod/", "everything": True}
    with journal.intending("s3.CopyObject", {}, inverse=Inverse("s3.DeleteObjects", where, "nothing")):
        pass
    with pytest.raises(UndoFailed, match="no drill's own"):
        undo.replay(aws, journal)
    assert len(s3_states.versions_of(aws, bucket, KEY)) == 3


def test_a_lock_is_held_by_one(aws: Aws, journal: Journal, bucket: str) -> None:
    """Taken where nobody has it, refused where somebody does; undone, the drill's version of it is gone."""
    before = versions(bucket)
    assert s3_states.lock(aws, bucket, LOCK) is None
    ids = [version.version_id for version in s3_states.versions_of(aws, bucket, LOCK)]
    s3_states.take_lock(aws, journal, bucket, LOCK, '{"ID": "ours"}', before=ids)
    assert s3_states.lock(aws, bucket, LOCK) == '{"ID": "ours"}'
    with pytest.raises(AwsError) as refused:
        s3_states.take_lock(aws, journal, bucket, LOCK, '{"ID": "ours-too"}', before=[*ids, "x"])
    assert refused.value.code == "PreconditionFailed"
    now = datetime.now(UTC)
    assert s3_states.locked_under(aws, bucket, "prod/", since=now - timedelta(seconds=60))
    assert not s3_states.locked_under(aws, bucket, "prod/", since=now + timedelta(seconds=60))
    undo.replay(aws, journal)
    assert versions(bucket) == before


def test_a_marker_taken_away_leaves_the_state_as_it_was(aws: Aws, journal: Journal, bucket: str) -> None:
    """The same version is the current one again, and nothing is owed for it."""
    before = versions(bucket)
    ids = [version.version_id for version in s3_states.versions_of(aws, bucket, KEY)]
    made = s3_acts.delete_current(aws, journal, bucket, {KEY: ids})
    s3_states.remove_marker(aws, journal, bucket, KEY, made.versions[KEY])
    assert versions(bucket) == before
    undo.replay(aws, journal)
    assert versions(bucket) == before


def test_a_version_is_restored_over_its_key(aws: Aws, journal: Journal, bucket: str) -> None:
    """An earlier one is the current one, as a new version, which goes when it is undone."""
    before = versions(bucket)
    known = s3_states.versions_of(aws, bucket, KEY)
    ids = [version.version_id for version in known]
    new = s3_states.restore(aws, journal, bucket, known[-1], before=ids)
    assert new not in ids
    assert s3_states.body(aws, bucket, KEY) == b"serial 0"
    undo.replay(aws, journal)
    assert s3_states.body(aws, bucket, KEY) == b"serial 2"
    assert versions(bucket) == before
