"""S3's acts and what undoes them: exactly what an act added is deleted, and what somebody else did meanwhile stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, s3_acts, s3_copies
from pytest_envdr.errors import UndoFailed
from pytest_envdr.journal import Header, Inverse, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = ["plain.txt", "a b/c+d.txt", "100%.txt", "Grüße/封筒.txt", "file://x", "-dash", "a&b<c>'\"$`"]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal of the account."""
    with opened(tmp_path) as journal:
        yield journal


@pytest.fixture
def aws(journal: Journal) -> Aws:
    """The account, under the journal's guard."""
    return Aws(account.stack(), journal)


@pytest.fixture
def bucket() -> str:
    """A versioned bucket with an object under each of the keys, twice written, with metadata and a tag."""
    return made_bucket()


def made_bucket() -> str:
    """A versioned bucket with an object under each of the keys."""
    name, s3 = account.unique("tenant"), account.plain("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key in KEYS:
        for edition in ("1", "2"):
            metadata = {"Metadata": {"edition": edition}, "ContentType": "text/x-test", "Tagging": f"edition={edition}"}
            s3.put_object(Bucket=name, Key=key, Body=f"{key} {edition}".encode(), **metadata)
    return name


def opened(directory: Path) -> Journal:
    """The journal in a directory."""
    header = Header("ex", account.ACCOUNT, account.REGION, account.endpoint())
    return Journal.open(directory / "journals" / "target.jsonl", header)


def versions(bucket: str) -> dict[str, list[str]]:
    """The ids of all versions and markers of each key, as S3 itself lists them."""
    rows = account.plain("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
    found: dict[str, list[str]] = {}
    for page in rows:
        for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            found.setdefault(row["Key"], []).append(row["VersionId"])
    return {key: sorted(ids) for key, ids in found.items()}


def current(bucket: str) -> dict[str, str]:
    """The body of each object that a reader sees."""
    s3 = account.plain("s3")
    rows = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {row["Key"]: s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read().decode() for row in rows}


def copies(aws: Aws, bucket: str, to: str) -> list[s3_copies.Copy]:
    """The newest version of each key, to be copied."""
    rows = aws.pages("s3.ListObjectVersions", "Versions", what="", Bucket=bucket)
    return [
        s3_copies.Copy(bucket, row["Key"], row["VersionId"], to, row["Size"], {"StorageClass": row["StorageClass"]})
        for row in rows
        if row["IsLatest"]
    ]


def staging(aws: Aws, journal: Journal) -> str:
    """A bucket of the drill's own."""
    name = account.unique(s3_acts.STAGING_PREFIX)
    s3_acts.create_bucket(aws, journal, name, tags={"envdr:exercise": "ex"})
    s3_acts.configure(aws, journal, name, "s3.PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})
    return name


def buckets() -> list[str]:
    return [row["Name"] for row in account.plain("s3").list_buckets()["Buckets"]]


def test_deleted_objects_come_back_by_the_deletion_of_their_markers(aws: Aws, journal: Journal, bucket: str) -> None:
    """Keys of every kind are deleted as an application does it, and back with every version id as before."""
    before, seen = versions(bucket), current(bucket)
    made = s3_acts.delete_current(aws, journal, bucket, before)
    assert (set(made.versions), made.refused) == (set(KEYS), {})
    assert current(bucket) == {}
    undo.replay(aws, journal)
    assert (versions(bucket), current(bucket)) == (before, seen)


def test_what_was_written_over_comes_back(aws: Aws, journal: Journal, bucket: str) -> None:
    """Objects written over are as before, with every version id, once the drill's versions are deleted."""
    before, seen = versions(bucket), current(bucket)
    s3_acts.overwrite(aws, journal, bucket, before, body=b"damage")
    assert set(current(bucket).values()) == {"damage"}
    undo.replay(aws, journal)
    assert (versions(bucket), current(bucket)) == (before, seen)


def test_what_somebody_else_wrote_since_stays(aws: Aws, journal: Journal, bucket: str) -> None:
    """A version on top of the drill's is not the drill's to delete; those below it are."""
    before = versions(bucket)
    s3_acts.delete_current(aws, journal, bucket, before)
    theirs = account.plain("s3").put_object(Bucket=bucket, Key=KEYS[0], Body=b"theirs")["VersionId"]
    marker = account.plain("s3").delete_object(Bucket=bucket, Key=KEYS[1])["VersionId"]
    undo.replay(aws, journal)
    after = versions(bucket)
    assert after.pop(KEYS[0]) == sorted([*before.pop(KEYS[0]), theirs])
    assert after.pop(KEYS[1]) == sorted([*before.pop(KEYS[1]), marker])
    assert after == before


@pytest.mark.parametrize("act", ["delete_current", "overwrite", "copy_back"])
def test_without_an_answer_the_additions_are_told_by_their_marks(
    aws: Aws, journal: Journal, bucket: str, act: str
) -> None:
    """The journal does not know the ids (the process died before): what was not there before, and is of the act's kind,
    is deleted; another's version of another kind stays."""
    before = versions(bucket)
    did(aws, journal, bucket, act, before)
    for entry in journal.owed():
        if "before" in entry.inverse.arguments:
            entry.settled, entry.result, entry.at = False, {}, entry.at - timedelta(minutes=1)
    theirs = account.plain("s3").put_object(Bucket=bucket, Key=KEYS[0], Body=b"theirs, and longer than ours")
    undo.replay(aws, journal)
    before[KEYS[0]] = sorted([*before[KEYS[0]], theirs["VersionId"]])
    assert versions(bucket) == before


def did(aws: Aws, journal: Journal, bucket: str, act: str, before: dict[str, list[str]]) -> None:
    """One of the acts on a bucket."""
    if act == "delete_current":
        s3_acts.delete_current(aws, journal, bucket, before)
    elif act == "overwrite":
        s3_acts.overwrite(aws, journal, bucket, before, body=b"damage")
    else:
        aside = staging(aws, journal)
        s3_copies.fill(aws, journal, aside, copies(aws, bucket, aside))
        if act == "copy_back":
            s3_copies.copy_back(aws, journal, copies(aws, aside, bucket), before=before)


def test_a_staging_bucket_is_filled_and_goes_with_all_that_is_in_it(aws: Aws, journal: Journal, bucket: str) -> None:
    """Copies keep content, metadata, type and tags; undone, nothing of it is there and the source is untouched."""
    before, seen = versions(bucket), current(bucket)
    name = staging(aws, journal)
    made = s3_copies.fill(aws, journal, name, copies(aws, bucket, name))
    assert (set(made.versions), made.refused) == (set(KEYS), {})
    assert current(name) == seen
    s3 = account.plain("s3")
    for key in KEYS:
        head = s3.head_object(Bucket=name, Key=key)
        assert (head["Metadata"], head["ContentType"]) == ({"edition": "2"}, "text/x-test")
        assert s3.get_object_tagging(Bucket=name, Key=key)["TagSet"] == [{"Key": "edition", "Value": "2"}]
    s3.put_object(Bucket=name, Key="another's", Body=b"in the drill's own bucket")
    undo.replay(aws, journal)
    assert name not in buckets()
    assert versions(bucket) == before


def test_a_large_object_is_copied_in_parts(aws: Aws, journal: Journal) -> None:
    """12 MB with a limit of 5: an upload of parts that keeps bytes, headers, metadata and tags, which S3 itself does
    not; undone, neither the copy nor an upload is left."""
    s3, source = account.plain("s3"), made_bucket()
    body = bytes(range(256)) * 48 * 1024
    facts = {"ContentType": "video/x-test", "CacheControl": "no-store", "Metadata": {"of": "zoé".encode().hex()}}
    s3.put_object(Bucket=source, Key="large +ü", Body=body, Tagging="a=b%3Dc&d=", **facts)
    name = staging(aws, journal)
    made = s3_copies.fill(aws, journal, name, copies(aws, source, name), limit=5 * 1024**2)
    assert made.refused == {}
    head = s3.head_object(Bucket=name, Key="large +ü")
    assert {key: head[key] for key in facts} == facts
    assert head["ETag"].endswith('-3"')
    assert s3.get_object(Bucket=name, Key="large +ü")["Body"].read() == body
    tags = s3.get_object_tagging(Bucket=name, Key="large +ü")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "b=c", "d": ""}
    undo.replay(aws, journal)
    assert name not in buckets()


def test_what_s3_refuses_of_one_object_does_not_keep_the_others(aws: Aws, journal: Journal, bucket: str) -> None:
    """A version that is gone is told by its key; all others are copied."""
    name = staging(aws, journal)
    wanted = copies(aws, bucket, name)
    made = s3_copies.fill(aws, journal, name, [replace(wanted[0], version_id="gone"), *wanted[1:]])
    assert list(made.refused) == [wanted[0].key]
    assert set(made.versions) == set(KEYS) - {wanted[0].key}


def test_an_open_upload_is_aborted(aws: Aws, journal: Journal, bucket: str) -> None:
    """An upload of the drill's that was never completed goes; another's of the same key, with parts, stays."""
    s3 = account.plain("s3")
    theirs = s3.create_multipart_upload(Bucket=bucket, Key=KEYS[0])["UploadId"]
    s3.upload_part(Bucket=bucket, Key=KEYS[0], UploadId=theirs, PartNumber=1, Body=b"x")
    journal.intend(
        "s3.CreateMultipartUpload",
        {},
        inverse=Inverse("s3.AbortMultipartUpload", {"Bucket": bucket, "Key": KEYS[0]}, "no upload left open"),
    )
    s3.create_multipart_upload(Bucket=bucket, Key=KEYS[0])
    undo.replay(aws, journal)
    assert [row["UploadId"] for row in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [theirs]


def test_a_bucket_of_somebody_else_s_is_neither_emptied_nor_deleted(aws: Aws, journal: Journal, bucket: str) -> None:
    """Whatever a journal says: without the drill's name nothing is emptied, with another's tag nothing is deleted."""
    before = versions(bucket)
    account.plain("s3").put_bucket_tagging(
        Bucket=bucket, Tagging={"TagSet": [{"Key": "envdr:exercise", "Value": "another"}]}
    )
    journal.intend("s3.CreateBucket", {}, inverse=Inverse("s3.DeleteBucket", {"Bucket": bucket, "exercise": "ex"}, "x"))
    everything = Inverse("s3.DeleteObjects", {"Bucket": bucket, "everything": True}, "y")
    journal.intend("s3.CopyObject", {}, inverse=everything)
    with pytest.raises(UndoFailed) as failed:
        undo.replay(aws, journal)
    assert "no drill's own" in str(failed.value)
    assert "tagged" in str(failed.value)
    assert versions(bucket) == before


@pytest.mark.parametrize(
    ("act", "point"),
    [
        ("delete_current", "intended"),
        *((act, "answered") for act in ("delete_current", "overwrite", "fill", "copy_back")),
    ],
)
def test_killed_in_an_act(tmp_path: Path, act: str, point: str) -> None:
    """SIGKILL before the call, and between call and settle: the undo leaves every version as it was, and no
    bucket of the drill's."""
    bucket = made_bucket()
    before, there = versions(bucket), buckets()
    order: dict[str, Any] = {"path": str(tmp_path / "journals" / "target.jsonl"), "endpoint": account.endpoint()}
    order |= {"act": act, "subject": bucket, "point": point, "before": before}
    command = [sys.executable, "-m", "tests.aws.act_on_s3_and_die", json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with opened(tmp_path) as journal:
        assert journal.owed()
        undo.replay(Aws(account.stack(), journal), journal)
        assert journal.owed() == []
    assert versions(bucket) == before
    assert [name for name in buckets() if name.startswith(s3_acts.STAGING_PREFIX) and name not in there] == []
