"""Bad days of a bucket: refused before anything is touched, or recovered all the same; nobody else's is harmed."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from pytest_envdr.errors import Refused
from tests.drills.bucket_rig import LARGE, MEGABYTE, PLAIN, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""
EVERY, MOST = 10, 8
"""Each tenth request is throttled, eight in all: a client that is, slows down for good."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and AWS Backup, for this module."""
    with rigged(tmp_path_factory.mktemp("bad-days"), region="eu-west-3", network="127.233.0.0/16") as rig:
        yield rig


def refusal(rig: Rig, bucket: str, **how: Any) -> str:
    """Why the drill is refused; nothing was changed."""
    changes: list[str] = []
    with (
        pytest.raises(Refused) as refused,
        rig.copied(bucket, on_call=lambda call: changes.append(call.operation), **how),
    ):
        pass
    assert not [call for call in changes if not call.startswith(("Get", "Head", "List"))]
    return str(refused.value)


def test_no_objects(rig: Rig) -> None:
    """A bucket without objects has nothing to lose."""
    assert "has no objects" in refusal(rig, rig.bucket(objects=False))


def test_no_bucket(rig: Rig) -> None:
    """A tenant whose bucket was never made."""
    assert "there is no bucket" in refusal(rig, "envelope-prod-tenant-nobody")


def test_never_versioned(rig: Rig) -> None:
    """What is damaged in a bucket without versions is gone: refused, for the tenant's own sake."""
    bucket = "plain-tenant"
    rig.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": rig.served.world.region})
    rig.s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert "versioning" in refusal(rig, bucket)
    rig.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert "Suspended" in refusal(rig, bucket)


def test_locked_by_default(rig: Rig) -> None:
    """Where every new version is locked, the drill's own could not be deleted for years."""
    bucket = "locked-tenant"
    where = {"LocationConstraint": rig.served.world.region}
    rig.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 7}}
    locked = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    rig.s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=locked)
    rig.s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert "locks every new version" in refusal(rig, bucket)


def test_no_recovery_point(rig: Rig) -> None:
    """From AWS Backup only what it has backed up."""
    assert "no recovery point" in refusal(rig, rig.bucket(odd=False), source="backup")


def test_another_account_s_bucket(rig: Rig) -> None:
    """A bucket of the tenant's name that somebody else owns: 403, told as such, and nothing is sent to it."""
    bucket, theirs = "squatted-tenant", stranger(rig)
    theirs.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": rig.served.world.region})
    theirs.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    theirs.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert "another account" in refusal(rig, bucket)
    assert len(theirs.list_object_versions(Bucket=bucket)["Versions"]) == 1


def stranger(rig: Rig) -> Any:
    """S3 as another account has it."""
    role = "arn:aws:iam::999999999999:role/another"
    keys = rig.served.client("sts").assume_role(RoleArn=role, RoleSessionName="another")["Credentials"]
    make: Any = boto3.client
    return make(
        "s3",
        region_name=rig.served.world.region,
        endpoint_url=rig.served.world.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=Config(proxies={}),
    )


def test_archived_objects_are_excluded_from_the_rto(rig: Rig) -> None:
    """An object in an archive tier cannot be copied: a warning, a row of what could not be kept, and no failure."""
    bucket = rig.bucket(odd=False)
    rig.s3.put_object(Bucket=bucket, Key="old.bin", Body=b"old", StorageClass="DEEP_ARCHIVE")
    before = rig.versions(bucket)
    with rig.copied(bucket, damage="emptied") as ran:
        whole(ran)
    assert ran.failures == []
    assert [finding.id for finding in ran.drill.findings] == ["bucket.archived"]
    rows = {row[0]: row for row in ran.table("What could not be kept")}
    assert rows["archived objects"][1:3] == ["1 objects", "old.bin"]
    assert "old.bin" in ran.plan.keys("skip")
    assert rig.versions(bucket) == before


def test_acls_where_they_are_used(rig: Rig) -> None:
    """In a bucket with ACLs, an object's grants come back with it, and one that is lost is red."""
    bucket = rig.bucket(odd=False)
    client = rig.s3
    client.delete_public_access_block(Bucket=bucket)
    client.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    client.put_object_acl(Bucket=bucket, Key=PLAIN[0], ACL="public-read")
    with rig.copied(bucket) as ran:
        assert ran.copy is not None
        staging = ran.copy.recover()
        ran.copy.check()
        assert ran.failures == []
        client.put_object_acl(Bucket=staging.bucket, Key=PLAIN[0], ACL="private")
        ran.copy.check()
    assert ran.failures == ["bucket.acl"]


@pytest.mark.sweep
def test_throttling(rig: Rig) -> None:
    """S3 answers 503 SlowDown to many requests: the drill is slower, green, and puts everything back."""
    bucket = rig.bucket(odd=False)
    before = rig.versions(bucket)
    with slow(rig.served.world.endpoint) as (endpoint, throttled):
        with rig.copied(bucket, damage="emptied", stack=rig.stack(endpoint=endpoint)) as ran:
            whole(ran)
        assert len(throttled) == MOST
    assert ran.failures == []
    assert ran.merge.differences == ()
    assert rig.versions(bucket) == before
    assert rig.left() == []


class Door(BaseHTTPRequestHandler):
    """A door before the API that turns some requests away."""

    protocol_version = "HTTP/1.1"
    api = ""
    asked: list[str]
    throttled: list[str]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append(self.path)
        if len(self.asked) % EVERY == 0 and len(self.throttled) < MOST:
            self.throttled.append(self.path)
            self.reply(503, [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))], SLOW_DOWN)
            return
        with closing(HTTPConnection(self.api, timeout=60)) as behind:
            behind.request(self.command, self.path, body=body, headers=dict(self.headers))
            found = behind.getresponse()
            self.reply(found.status, found.getheaders(), found.read())

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 (http.server's names)


@contextmanager
def slow(endpoint: str) -> Iterator[tuple[str, list[str]]]:
    """The door's URL, and the requests that it turned away."""
    kept = {"api": endpoint.removeprefix("http://"), "asked": [], "throttled": list[str]()}
    door = type("Door", (Door,), kept | {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", door.throttled  # type: ignore[attr-defined] # made above
        finally:
            server.shutdown()
            thread.join()


def test_somebody_wrote_meanwhile(rig: Rig) -> None:
    """Keys that somebody wrote or deleted after the damage are conflicts, which merge and undo leave alone."""
    bucket = rig.bucket(odd=False)
    before = {row[:2] for row in rig.versions(bucket)}
    with rig.copied(bucket, damage="overwritten") as ran:
        assert ran.copy is not None
        ran.copy.wait_until_seen()
        written, deleted, *_ = sorted(ran.copy.damage)
        theirs = {
            (written, rig.put(bucket, written, "theirs")),
            (deleted, rig.s3.delete_object(Bucket=bucket, Key=deleted)["VersionId"]),
        }
        ran.copy.recover()
        ran.copy.check()
        plan = ran.copy.plan()
        merge = ran.copy.merge()
    assert sorted(plan.keys("conflict")) == sorted([written, deleted])
    assert merge is not None
    assert (merge.copied, merge.differences) == (len(ran.copy.damage) - 2, ())
    assert ran.failures == []
    assert {row[:2] for row in rig.versions(bucket)} == before | theirs


def test_a_merge_that_nobody_allowed(rig: Rig) -> None:
    """Without approval the plan is written, a deviation says that it was not applied, and the original stays damaged
    until the drill ends."""
    bucket = rig.bucket(odd=False)
    with rig.copied(bucket, damage="emptied", stack=rig.stack(allows=())) as ran:
        whole(ran)
        assert rig.current(bucket) == {}
    assert ran.merge is None
    assert any(entry.kind == "deviation" and "merge" in entry.data["text"] for entry in ran.drill.entries)
    assert ran.failures == []
    assert "aws s3api copy-object" in ran.attached("merge-plan.sh")


@pytest.mark.sweep
def test_the_plan_s_script_does_what_it_says(rig: Rig) -> None:
    """merge-plan.sh, run by a shell with the AWS CLI: every key, however odd, is in the original again, with metadata,
    tags and storage class, and in parts where it is large."""
    bucket = rig.bucket(large=True, plain=1)
    with rig.copied(bucket, damage="emptied", copy_limit=5 * MEGABYTE, stack=rig.stack(allows=())) as ran:
        seen = {key: held.etag for key, held in ran.copy.before.objects.items()} if ran.copy else {}
        whole(ran)
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PATH": f"/usr/bin:{os.defpath}"}
        done = subprocess.run(
            ["sh"],
            input=ran.attached("merge-plan.sh").encode(),
            env=keys | {"LANG": "C.UTF-8", "AWS_PAGER": ""},
            capture_output=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert rig.current(bucket).keys() == seen.keys()
        for key in (PLAIN[0], "100%.txt", "line\nbreak.txt", "file://x"):
            assert rig.s3.head_object(Bucket=bucket, Key=key)["Metadata"] == {"edition": "2"}
            tags = rig.s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
            assert tags == [{"Key": "edition", "Value": "2"}]
        assert rig.s3.head_object(Bucket=bucket, Key="rare.csv")["StorageClass"] == "STANDARD_IA"
        assert rig.s3.head_object(Bucket=bucket, Key=LARGE)["Metadata"] == {"of": "ada"}
        # What a person did by the script is theirs: the drill does not take it away.
        theirs = {row[1] for row in rig.versions(bucket) if row[2]}
    assert theirs <= {row[1] for row in rig.versions(bucket)}
