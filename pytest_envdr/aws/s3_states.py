"""S3 as the keeper of Terraform's state: a copy of it under a key of the drill's own, the lock file, the way back.

The S3 backend locks a state by an object beside it, `<key>.tflock`, which it writes where there is none
(`If-None-Match: *`) and deletes when its id is the one that it wrote (terraform,
internal/backend/remote-state/s3/client.go). In a versioned bucket each lock leaves a version and a delete marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.aws import Act, s3
from pytest_envdr.aws.s3_acts import added
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.s3 import Version
    from pytest_envdr.journal import Journal

LOCK = ".tflock"
OWN_PREFIX = "envdr/"
"""How the keys begin that a drill makes in the bucket of states."""


def versions_of(aws: Aws, bucket: str, key: str) -> list[Version]:
    """The versions and delete markers of one key, the newest first: not those of its lock.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    return [version for version in s3.versions(aws, bucket, prefix=key) if version.key == key]


def body(aws: Aws, bucket: str, key: str, *, version_id: str | None = None) -> bytes:
    """An object's bytes.

    Raises:
        AwsError: as `s3.contents`.
    """
    return b"".join(s3.contents(aws, bucket, key, version_id=version_id))


def lock(aws: Aws, bucket: str, key: str) -> str | None:
    """What the holder of a lock file wrote, as JSON; None where nobody holds it. `key` is the lock's own.

    Raises:
        AwsError: it may not be read.
    """
    try:
        return body(aws, bucket, key).decode("utf-8", "replace")
    except NotFound:
        return None
    except AwsError as error:
        if error.code == "404":
            return None
        raise


def locked_under(aws: Aws, bucket: str, prefix: str, *, since: datetime) -> bool:
    """Whether a lock file under a prefix was written since: by a Terraform that may be ending right now, because who
    started it was killed."""
    return any(
        one.key.endswith(LOCK) and one.last_modified >= since
        for page in s3.object_pages(aws, bucket, prefix=prefix)
        for one in page
    )


def copy_versions(
    aws: Aws, journal: Journal, bucket: str, versions: Sequence[Version], *, to: str, prefix: str
) -> dict[str, str]:
    """Copy versions of a state to another key, the oldest first, as it grew. Undone, everything under the prefix is
    deleted, whoever put it there: locks of a Terraform that was killed as well.

    Args:
        aws, journal: the account.
        bucket: versioned.
        versions: what to copy, the newest first, without delete markers.
        to: the key, under `prefix`.
        prefix: begins with `OWN_PREFIX`.

    Returns:
        The id of each copy, and what it is a copy of.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    made: dict[str, str] = {}
    sources = [{"Bucket": bucket, "Key": one.key, "VersionId": one.version_id} for one in reversed(versions)]
    where = {"Bucket": bucket, "prefix": prefix, "everything": True}
    inverse = Inverse("s3.DeleteObjects", where, f"nothing under {prefix} in bucket {bucket}")
    with journal.intending("s3.CopyObject", {"Bucket": bucket, "Key": to, "CopySources": sources}, inverse=inverse):
        for source in sources:
            what = f"Version {source['VersionId']} of {source['Key']!r} cannot be copied to {to!r}"
            answer = aws.call("s3.CopyObject", what=what, Key=to, CopySource=source, **_owned(aws, bucket))
            made[str(answer["VersionId"])] = source["VersionId"]
    return made


def take_lock(aws: Aws, journal: Journal, bucket: str, key: str, info: str, *, before: Sequence[str]) -> None:
    """Hold the lock as Terraform does: where nobody has it. Undone, this version of the lock is deleted and no other.

    Args:
        aws, journal: the account.
        bucket, key: the lock's.
        info: what the holder says, as JSON.
        before: the ids of all versions and markers of the key as they are.

    Raises:
        AwsError: "PreconditionFailed" where somebody holds it.
    """
    content = info.encode()
    arguments = {"Key": key, "Body": content, "ContentType": "application/json", "IfNoneMatch": "*"}
    where = {"Bucket": bucket, "before": {key: list(before)}, "kind": "copy", "sizes": {key: len(content)}}
    inverse = Inverse("s3.DeleteObjects", where, f"no lock of this exercise's, {key!r} in bucket {bucket}")
    told = {"Bucket": bucket, "Key": key}
    with journal.intending("s3.PutObject", told, inverse=inverse) as entry:
        answer = aws.call("s3.PutObject", what=f"The lock {key!r} cannot be taken", **arguments, **_owned(aws, bucket))
        entry.settle({"versions": {key: str(answer["VersionId"])}})


def remove_marker(aws: Aws, journal: Journal, bucket: str, key: str, marker: str) -> None:
    """Take a delete marker of the drill's own away: the version under it is the current one again, with its id, its
    time and its bytes. Nothing is owed for it: without the marker it is as before.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    arguments = {"Key": key, "VersionId": marker, **_owned(aws, bucket)}
    inverse = Inverse.healed(f"the delete marker on {key!r} was the exercise's own")
    what = f"The delete marker on {key!r} cannot be taken away"
    aws.act(journal, Act("s3.DeleteObject", arguments, inverse, what))


def restore(aws: Aws, journal: Journal, bucket: str, version: Version, *, before: Sequence[str]) -> str:
    """Copy a version over its own key: it is the current one again, as a new version. Undone, that one is deleted.

    Args:
        aws, journal: the account.
        bucket: versioned.
        version: what to restore.
        before: the ids of all versions and markers of the key as they are.

    Returns:
        The new version's id.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    key = version.key
    source: Mapping[str, str] = {"Bucket": bucket, "Key": key, "VersionId": version.version_id}
    inverse = added(bucket, {key: before}, "copy", sizes={key: version.size})
    with journal.intending("s3.CopyObject", {"Bucket": bucket, "CopySources": [source]}, inverse=inverse) as entry:
        what = f"Version {version.version_id} of {key!r} cannot be restored"
        answer = aws.call("s3.CopyObject", what=what, Key=key, CopySource=source, **_owned(aws, bucket))
        entry.settle({"versions": {key: str(answer["VersionId"])}})
    return str(answer["VersionId"])


def _owned(aws: Aws, bucket: str) -> dict[str, str]:
    return {"Bucket": bucket, "ExpectedBucketOwner": aws.stack.account}
