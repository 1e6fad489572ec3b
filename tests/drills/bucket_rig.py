"""A tenant's bucket in a sandbox of S3 and AWS Backup alone, and drills on it as a library runs them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, buckets
from pytest_envdr.journal import Header, Journal
from pytest_envdr.sandbox.control_plane import backup, s3
from pytest_envdr.sandbox.envelope.buckets import tenant_bucket, tenant_bucket_configuration
from pytest_envdr.stack import Objective, Stack
from pytest_envdr.timeline import Clock
from tests import account
from tests.sandbox.control_plane import backup_rig
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.drills.buckets import TenantBucketCopy

ODD = ["a b/c+d.txt", "100%.txt", "line\nbreak.txt", "Grüße/封筒.txt", "file://x", "-dash", "a&b<c>'\"$`"]
PLAIN = [f"documents/{number}.pdf" for number in range(6)]
LARGE = "archive/large.bin"
MEGABYTE = 1024**2
_numbers = count(1)


@dataclass
class Ran:
    """A drill, and what its steps came to."""

    drill: Drill
    copy: TenantBucketCopy | None = None
    plan: Any = None
    merge: Any = None
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """The ids of the findings that fail it."""
        return [finding.id for finding in self.drill.failures]

    def table(self, title: str) -> list[list[str]]:
        """The rows of a table that it told."""
        found = [entry.data for entry in self.drill.entries if entry.kind == "table" and entry.data["title"] == title]
        return list(found[-1]["rows"]) if found else []

    def attached(self, name: str) -> str:
        """A file of its evidence."""
        found = [
            entry.data for entry in self.drill.entries if entry.kind == "attachment" and entry.data["name"] == name
        ]
        return str((self.drill._directory / found[-1]["path"]).read_text())


@dataclass
class Rig:
    """S3 and AWS Backup on this machine.

    Attributes:
        served: plain clients, for whoever else works there.
        directory: for journals and evidence.
    """

    served: Served
    directory: Path

    @property
    def s3(self) -> Any:
        """A client without the guard."""
        return self.served.client("s3")

    def bucket(self, *, objects: bool = True, large: bool = False, plain: int = len(PLAIN), odd: bool = True) -> str:
        """A tenant's bucket with the sandbox's own configuration, and objects of every kind, each written twice;
        `plain`: how many with ordinary keys."""
        slug = f"t{next(_numbers)}"
        client, name = self.s3, tenant_bucket(slug)
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.served.world.region})
        for method, arguments in tenant_bucket_configuration(slug).items():
            getattr(client, method)(Bucket=name, **arguments)
        for key in [*PLAIN[:plain], *(ODD if odd else ())] if objects else []:
            for edition in ("1", "2"):
                self.put(name, key, edition)
        if objects:
            client.put_object(Bucket=name, Key="rare.csv", Body=b"a;b\n", StorageClass="STANDARD_IA")
            self.put(name, "gone.txt", "1")
            client.delete_object(Bucket=name, Key="gone.txt")
        if large:
            body = bytes(range(256)) * (12 * MEGABYTE // 256)
            client.put_object(Bucket=name, Key=LARGE, Body=body, Tagging="class=large", Metadata={"of": "ada"})
        return name

    def small(self, *, large: bool = False) -> str:
        """A bucket with three objects and little configuration; `large`: one of them is copied in parts."""
        name, client = f"small-{next(_numbers)}", self.s3
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.served.world.region})
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        announced: Any = {"NotificationConfiguration": {"EventBridgeConfiguration": {}}}
        client.put_bucket_notification_configuration(Bucket=name, **announced)
        for key in ("a", "b c"):
            self.put(name, key, "1")
        self.s3.put_object(Bucket=name, Key="d", Body=b"d" * (6 * MEGABYTE if large else 1))
        return name

    def put(self, bucket: str, key: str, edition: str) -> str:
        """Write an object with a header, metadata and a tag; its version's id."""
        told = {"Metadata": {"edition": edition}, "ContentType": "text/x-test", "CacheControl": "no-store"}
        answer = self.s3.put_object(
            Bucket=bucket, Key=key, Body=f"{key} {edition}".encode(), Tagging=f"edition={edition}", **told
        )
        return str(answer["VersionId"])

    def backed_up(self, bucket: str) -> str:
        """Back a bucket up now; the recovery point's ARN."""
        job = self.served.client("backup").start_backup_job(
            BackupVaultName=backup_rig.VAULT, ResourceArn=f"arn:aws:s3:::{bucket}", IamRoleArn=backup_rig.ROLE_ARN
        )["BackupJobId"]
        row = backup_rig.ended(self.served, job)
        assert row["State"] == "COMPLETED", row
        return str(row["RecoveryPointArn"])

    def stack(self, *, allows: tuple[str, ...] = ("merge",), **changes: Any) -> Stack:
        """The stack file's content."""
        approval = {"by": "a test", "allows": allows}
        given: dict[str, Any] = {
            "region": self.served.world.region,
            "endpoint": self.served.world.endpoint,
            "approvals": {"tenant_bucket_recovery": approval},
            "backup": {"vault": backup_rig.VAULT, "plan": "plan", "role": backup_rig.ROLE_ARN},
        }
        return account.stack(**given | changes)

    @contextmanager
    def hands(self, *, stack: Stack | None = None, on_call: Any = None) -> Iterator[tuple[Aws, Journal]]:
        """An account under guard, with a journal of its own."""
        stack = stack or self.stack()
        header = Header("ex", ACCOUNT, stack.region, stack.endpoint)
        path = self.directory / f"journal-{next(_numbers)}" / "target.jsonl"
        with Journal.open(path, header) as journal:
            yield Aws(stack, journal, on_call), journal

    def drill(self, objective: Objective | None = None) -> Drill:
        """A drill with an objective."""
        promised = objective or Objective(rto_seconds=120, rpo_seconds=5, rpo_seconds_from={"backup": 3600})
        directory = self.directory / f"evidence-{next(_numbers)}"
        return Drill(
            "drill", exercise_id="ex", objective=promised, directory=directory, sink=lambda _: None, clock=Clock()
        )

    @contextmanager
    def copied(
        self,
        bucket: str,
        *,
        damage: buckets.Damage = "deleted",
        objective: Objective | None = None,
        stack: Stack | None = None,
        on_call: Any = None,
        **how: Any,
    ) -> Iterator[Ran]:
        """The drill up to the damage; on leaving, all is put back."""
        ran = Ran(self.drill(objective))
        with (
            self.hands(stack=stack, on_call=on_call) as (aws, journal),
            buckets.copied(aws, journal, ran.drill, bucket, damage=damage, **how) as copy,
        ):
            ran.copy = copy
            yield ran
        assert journal.owed() == []

    def versions(self, bucket: str) -> list[tuple[Any, ...]]:
        """All versions and markers as S3 lists them."""
        return sorted(
            (row["Key"], row["VersionId"], row["IsLatest"], row.get("ETag", "marker"))
            for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
            for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        )

    def current(self, bucket: str) -> dict[str, bytes]:
        """The bytes of each object that a reader sees."""
        client = self.s3
        rows = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {row["Key"]: client.get_object(Bucket=bucket, Key=row["Key"])["Body"].read() for row in rows}

    def left(self) -> list[str]:
        """The buckets of drills that are still there."""
        return [row["Name"] for row in self.s3.list_buckets()["Buckets"] if row["Name"].startswith("envdr-")]


@contextmanager
def rigged(directory: Path, *, region: str, network: str) -> Iterator[Rig]:
    """Serve S3 and AWS Backup until left."""
    modules = {"s3": s3, "backup": backup}
    with serving(directory, modules, region=region, network=network, speed=600) as served:
        backup_rig.prepare(served)
        yield Rig(served, directory)


def whole(ran: Ran) -> None:
    """The steps in their order."""
    copy = ran.copy
    assert copy is not None
    copy.wait_until_seen()
    copy.recover()
    ran.seen["checked"] = copy.check()
    ran.plan = copy.plan()
    ran.merge = copy.merge()


def policy_of(rig: Rig, bucket: str) -> Any:
    """A bucket's policy."""
    return json.loads(rig.s3.get_bucket_policy(Bucket=bucket)["Policy"])
