"""What a tenant's bucket holds before it is touched, and whether it is fit to be damaged."""

from __future__ import annotations

import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import s3
from pytest_envdr.aws.s3_acts import WORKERS
from pytest_envdr.drills import Finding
from pytest_envdr.errors import AwsError, NotFound, Refused
from pytest_envdr.verify import bucket as verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.verify.bucket.sources import Depth

ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
"""Storage classes whose objects cannot be copied before RestoreObject has brought them back, in hours."""
READ_WHOLE = 256 * 1024**2
"""A bucket of up to so many bytes is read whole, before and after; of a larger one S3's own checksums are believed."""


@dataclass(frozen=True)
class Held:
    """An object as the manifest has it. `facts` is what is stored with it, by the kind of difference that it makes."""

    key: str
    version_id: str
    size: int
    etag: str
    storage_class: str
    facts: Mapping[str, Mapping[str, str]]

    @property
    def archived(self) -> bool:
        """Whether it cannot be copied as it is."""
        return self.storage_class in ARCHIVED


@dataclass(frozen=True)
class Holding:
    """A bucket as it was before anything was touched.

    Attributes:
        bucket: its name.
        manifest: its inventory, saved.
        depth: how deep the manifest is, and comparisons with it are.
        objects: what a reader saw, by key.
        versions: all versions and delete markers, in the order of keys, the newest of a key first.
        configuration: by aspect, in the form that is compared.
    """

    bucket: str
    manifest: verify.Manifest
    depth: Depth
    objects: Mapping[str, Held]
    versions: Sequence[s3.Version]
    configuration: Mapping[str, Any]

    @property
    def known(self) -> dict[str, list[str]]:
        """The ids of all versions and markers of each key."""
        return ids(self.versions)

    @property
    def latest(self) -> dict[str, s3.Version]:
        """The newest version or marker of each key."""
        return {version.key: version for version in self.versions if version.latest}

    @property
    def newest(self) -> s3.Version | None:
        """The newest write of all."""
        return max(self.latest.values(), key=lambda version: (version.last_modified, version.key), default=None)


def ids(versions: Sequence[s3.Version]) -> dict[str, list[str]]:
    """The ids of all versions and markers, by key."""
    found: dict[str, list[str]] = defaultdict(list)
    for version in versions:
        found[version.key].append(version.version_id)
    return dict(found)


def holding(aws: Aws, bucket: str, directory: Path) -> Holding:
    """A bucket as it is; its manifest is saved in `directory`.

    Raises:
        AwsError: it cannot be read.
    """
    size = sum(one.size for page in s3.object_pages(aws, bucket) for one in page)
    depth: Depth = "bytes" if size <= READ_WHOLE else "attributes"
    path = directory / "manifest.jsonl"
    with ThreadPoolExecutor(WORKERS) as pool:
        verify.save(verify.Bucket(aws, bucket, history=True), path, depth=depth, executor=pool)
    # After the manifest: a version that is in neither was written later, by whomever.
    versions = list(s3.versions(aws, bucket))
    return Holding(bucket, verify.Manifest(path), depth, _objects(path), versions, verify.configuration(aws, bucket))


def check_fit(aws: Aws, drill: Drill, bucket: str, directory: Path) -> Holding:
    """The bucket before anything is touched, or a refusal. What it holds is attached to the evidence.

    Raises:
        Refused: it is not there, another account's, not versioned, under a lock that would keep the drill's own
            versions for years, or empty.
        UsageError: the drill has no recovery time objective.
    """
    drill.check_objective()
    check_ours(aws, bucket)
    _check_versioned(s3.configuration(aws, bucket, "versioning") or {}, bucket)
    _check_unlocked(s3.configuration(aws, bucket, "object-lock") or {}, bucket)
    found = holding(aws, bucket, directory)
    if not found.objects:
        raise Refused(f"Nothing was touched: bucket {bucket} has no objects, and its recovery would prove nothing.")
    drill.attach("manifest.jsonl", found.manifest.path.read_bytes(), media_type="application/jsonl")
    drill.attach(
        "configuration.json",
        json.dumps(found.configuration, indent=2, ensure_ascii=False),
        media_type="application/json",
    )
    _tell(drill, found)
    return found


def check_ours(aws: Aws, bucket: str) -> None:
    """Refuse a bucket that is not the account's own; a name alone says nothing of its owner (aws-semantics 3, T1).

    Raises:
        Refused: there is none, it is in another Region, or it belongs to another account.
    """
    try:
        s3.check_bucket(aws, bucket)
    except NotFound as error:
        raise Refused(f"Nothing was touched: there is no bucket {bucket}.\nLooked at: {aws.stack.path}") from error
    except AwsError as error:
        raise Refused(
            f"Nothing was touched: bucket {bucket} is not to be had for account {aws.stack.account}: {error}\n"
            "To go on: name a tenant whose bucket is the account's own, or grant the drill's role to read it."
        ) from error


def _check_versioned(versioning: Mapping[str, Any], bucket: str) -> None:
    status = versioning.get("Status", "never enabled")
    if status != "Enabled":
        raise Refused(
            f"Nothing was touched: versioning of bucket {bucket} is {status}, so what is damaged there would be gone "
            f"for good, and what is lost there for the tenant is.\n"
            "To go on: enable versioning, wait 15 minutes, and let the objects be written once more or copied."
        )
    if versioning.get("MFADelete") == "Enabled":
        raise Refused(
            f"Nothing was touched: bucket {bucket} has MFA delete, so what a drill adds could not be taken away again."
        )


def _check_unlocked(lock: Mapping[str, Any], bucket: str) -> None:
    if retention := lock.get("Rule", {}).get("DefaultRetention"):
        raise Refused(
            f"Nothing was touched: bucket {bucket} locks every new version by default ({json.dumps(retention)}), so "
            "what a drill adds could not be taken away again.\n"
            "To go on: exercise another tenant; of this one, recover into a staging bucket by hand."
        )


def _tell(drill: Drill, found: Holding) -> None:
    newest = found.newest
    written = f"; the newest write is {newest.key!r} of {newest.last_modified:%Y-%m-%d %H:%M:%S} UTC" if newest else ""
    drill.note(
        f"{found.bucket} holds {len(found.objects)} objects in {len(found.versions)} versions and delete markers"
        f"{written}; its manifest says what of {'the bytes themselves' if found.depth == 'bytes' else 'checksums'}"
    )
    if archived := [held.key for held in found.objects.values() if held.archived]:
        drill.finding(
            Finding(
                "bucket.archived",
                "warning",
                f"{len(archived)} objects of {found.bucket} are archived, and no recovery within the RTO has them",
                ", ".join(repr(key) for key in archived[:5]),
                "RestoreObject takes up to 12 hours (DEEP_ARCHIVE: 48); plan for it, or keep what is critical at hand.",
            )
        )
    if found.configuration.get("replication"):
        drill.finding(
            Finding(
                "bucket.replicated",
                "note",
                f"{found.bucket} is replicated: what the drill writes over is written over in the replica too",
                "delete markers are replicated only where the rule says so",
            )
        )


def _objects(path: Path) -> dict[str, Held]:
    """The lines of a manifest between its first and its last."""
    found = {}
    with path.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if "key" in row:
                known = row["attributes"] or {}
                facts = known.get("facts", {})
                version = row["version_id"] or "null"
                found[row["key"]] = Held(row["key"], version, row["size"], row["etag"], row["storage_class"], facts)
    return found
