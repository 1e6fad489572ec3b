"""S3's acts: a bucket of the drill's own, damage done on purpose (copies: `s3_copies`); what of them is still there.

Everything here works on versioned buckets: an act adds versions or delete markers and takes nothing away, so that what
undoes it is the deletion of exactly those. The journal keeps their ids as S3 answered them. Where a call was made and
its answer never arrived, they are told by what distinguishes them: they were not there before (`before` names what
was), and they carry a mark, or are of the kind and size that the act makes.

Many objects are one entry of the journal: up to `BATCH` keys, which is what one DeleteObjects takes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_envdr.aws import Act, s3
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry, Journal

BATCH = 1000
"""How many keys one DeleteObjects takes."""
WORKERS = 8
"""How many requests are made at once (S3 takes 3,500 writes a second and prefix; a client has ten connections)."""
MARK = "envdr-exercise"
"""The metadata entry of an object that a drill wrote over another."""
STAGING_PREFIX = "envdr-bucket-"

Kind = Literal["marker", "marked", "copy"]
"""What an act adds to a key: a delete marker, an object with `MARK`, a copy of another object."""


@dataclass
class Made:
    """What an act on many objects came to: the version id of each that was made, AWS's words for each that was not."""

    versions: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def create_bucket(aws: Aws, journal: Journal, name: str, *, tags: Mapping[str, str]) -> None:
    """A bucket of the drill's own, tagged as such at once (`tags` has `envdr:exercise`). Undone, it is deleted; what
    is in it must be gone by then.

    Raises:
        AwsError: the name is taken, or the account has as many buckets as it may.
    """
    inverse = Inverse("s3.DeleteBucket", {"Bucket": name, "exercise": tags["envdr:exercise"]}, f"no bucket {name}")
    aws.act(journal, Act("s3.CreateBucket", creation(aws, name), inverse, f"Bucket {name} cannot be created"))
    configure(aws, journal, name, "s3.PutBucketTagging", Tagging={"TagSet": _tag_set(tags)})


def expect_bucket(journal: Journal, name: str, *, tenant: str) -> None:
    """Write down that a bucket of a drill's own tenant will come to be, whoever makes it, and objects in it. Undone,
    both are gone. By its name it is the drill's: it bears the tenant's, and no tag that other tenants' have not.
    """
    where = {"Bucket": name, "tenant": tenant}
    whole = Inverse("s3.DeleteBucket", where, f"no bucket {name}")
    emptied = Inverse("s3.DeleteObjects", {**where, "everything": True}, f"nothing in bucket {name}")
    for inverse in (whole, emptied):
        with journal.intending("s3.ExpectBucket", where, inverse=inverse):
            pass


def create_expected(aws: Aws, journal: Journal, name: str) -> None:
    """Make a bucket that was expected, with which it goes.

    Raises:
        AwsError: "BucketAlreadyExists": the name is somebody else's; "BucketAlreadyOwnedByYou"; the account has as many
            buckets as it may.
    """
    inverse = Inverse.healed(f"no bucket {name}, by who expected it")
    aws.act(journal, Act("s3.CreateBucket", creation(aws, name), inverse, f"Bucket {name} cannot be created"))


def creation(aws: Aws, name: str) -> dict[str, Any]:
    """The arguments of CreateBucket in the stack's Region: in us-east-1, and there only, S3 takes no
    LocationConstraint."""
    if aws.stack.region == "us-east-1":
        return {"Bucket": name}
    return {"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": aws.stack.region}}


def configure(aws: Aws, journal: Journal, bucket: str, operation: str, **arguments: Any) -> None:
    """A part of a bucket's configuration: "s3.PutBucketPolicy". Only for a bucket of the drill's own, with which it
    goes; so nothing is owed for it.

    Raises:
        AwsError: S3 refuses it.
    """
    given = {"Bucket": bucket, **arguments}
    inverse = Inverse.healed(f"no bucket {bucket}, and with it nothing of its configuration")
    aws.act(journal, Act(operation, given, inverse, f"Bucket {bucket} cannot be configured"))


def announce(aws: Aws, journal: Journal, bucket: str, notifications: Mapping[str, Any]) -> None:
    """Let a bucket of the drill's own announce what happens in it, as another one does. Undone, it is silent again
    before it is emptied, or each deletion would be announced too.

    Destinations are not validated: their policies may name the other bucket alone.
    """
    name = "NotificationConfiguration"
    arguments = {"Bucket": bucket, name: dict(notifications), "SkipDestinationValidation": True}
    inverse = Inverse("s3.PutBucketNotificationConfiguration", {"Bucket": bucket}, f"no notifications of {bucket}")
    what = f"Bucket {bucket} cannot be told whom to notify"
    aws.act(journal, Act("s3.PutBucketNotificationConfiguration", arguments, inverse, what))


def delete_current(aws: Aws, journal: Journal, bucket: str, before: Mapping[str, Sequence[str]]) -> Made:
    """Delete objects as an application does: a delete marker on top of each, its versions stay.

    Args:
        aws, journal: the account.
        bucket: versioned, or the objects would be gone for good.
        before: the ids of all versions and markers of each key as they are.

    Raises:
        AwsError, UsageError: as `Aws.call`. Errors of single keys come inside a 200 (aws-semantics 3, T2) and are in
            the answer.
    """
    made = Made()
    for keys in batches(list(before)):
        owner = {"ExpectedBucketOwner": aws.stack.account}
        arguments = {"Bucket": bucket, "Delete": {"Objects": [{"Key": key} for key in keys]}, **owner}
        inverse = added(bucket, {key: before[key] for key in keys}, "marker")
        act = Act("s3.DeleteObjects", arguments, inverse, f"{len(keys)} objects of {bucket} cannot be deleted")
        answer = aws.act(journal, act, kept=lambda answer: {"versions": _markers(answer)})
        made.versions |= _markers(answer)
        made.refused |= _refused(answer)
    return made


def overwrite(
    aws: Aws, journal: Journal, bucket: str, before: Mapping[str, Sequence[str]], *, body: bytes, workers: int = WORKERS
) -> Made:
    """Write the same bytes over objects, each marked as this exercise's by `MARK`; arguments and errors as
    `delete_current`."""
    made = Made()
    marked = {"Metadata": {MARK: journal.header.exercise}, "ContentType": "application/octet-stream"}
    owner = {"ExpectedBucketOwner": aws.stack.account}

    def write(key: str) -> str:
        what = f"Object {key!r} of {bucket} cannot be written over"
        answer = aws.call("s3.PutObject", what=what, Bucket=bucket, Key=key, Body=body, **marked, **owner)
        return str(answer["VersionId"])

    for keys in batches(list(before)):
        known = {key: before[key] for key in keys}
        inverse = added(bucket, known, "marked", exercise=journal.header.exercise)
        with journal.intending("s3.PutObject", {"Bucket": bucket, "Keys": keys}, inverse=inverse) as entry:
            done = each(aws, {key: key for key in keys}, write, workers)
            entry.settle({"versions": done.versions})
        made.versions |= done.versions
        made.refused |= done.refused
    return made


def left_in(aws: Aws, bucket: str, *, prefix: str = "") -> list[dict[str, str]]:
    """Every version and delete marker in a bucket, or under a prefix, as DeleteObjects takes them; none where there is
    no bucket."""
    try:
        return [_identifier(version) for version in s3.versions(aws, bucket, prefix=prefix)]
    except NotFound:
        return []


def left_of(aws: Aws, entry: Entry) -> list[dict[str, str]]:
    """What an act added to a bucket and is still there, as DeleteObjects takes it.

    Of each key it is the version whose id the journal has; where it has none, because the answer never arrived, the
    oldest of those that were not there before and that the act may have made.
    """
    before, told = entry.inverse.arguments, entry.result.get("versions", {})
    found: dict[str, list[s3.Version]] = {key: [] for key in before["before"]}
    for version in s3.versions(aws, before["Bucket"], prefix=_shared(list(found))):
        if version.key in found:
            found[version.key].append(version)
    ours: list[s3.Version] = []
    for key, versions in found.items():
        if key in told or (entry.settled and entry.error is None):
            ours += [version for version in versions if version.version_id == told.get(key)]
        else:
            new = [version for version in versions if version.version_id not in before["before"][key]]
            may_be = [version for version in new if _may_be_ours(aws, before, version)]
            ours += sorted(may_be, key=lambda version: version.last_modified)[:1]
    return [_identifier(version) for version in ours]


def uploads_of(aws: Aws, bucket: str, *, key: str, upload: str | None) -> list[dict[str, str]]:
    """A multipart upload that is still open, as AbortMultipartUpload takes it: that of this id; where the id never
    arrived, those of the key that have no part yet."""
    what = f"The open uploads to bucket {bucket} cannot be listed"
    try:
        rows = [
            row
            for row in aws.pages("s3.ListMultipartUploads", "Uploads", what=what, Bucket=bucket, Prefix=key)
            if row["Key"] == key and upload in (None, row["UploadId"])
        ]
    except NotFound:
        return []
    open_ = [{"Bucket": bucket, "Key": key, "UploadId": str(row["UploadId"])} for row in rows]
    return open_ if upload else [row for row in open_ if not list(aws.pages("s3.ListParts", "Parts", what=what, **row))]


def _identifier(version: s3.Version) -> dict[str, str]:
    return {"Key": version.key, "VersionId": version.version_id}


def _may_be_ours(aws: Aws, before: Mapping[str, Any], version: s3.Version) -> bool:
    """Whether the act may have made a version that was not there before."""
    if version.delete_marker or before["kind"] == "marker":
        return version.delete_marker and str(before["kind"]) == "marker"
    if before["kind"] == "copy":
        return version.size == int(before["sizes"][version.key])
    head = s3.head(aws, before["Bucket"], version.key, version_id=version.version_id)
    return head.metadata.get(MARK) == str(before["exercise"])


def added(bucket: str, before: Mapping[str, Sequence[str]], kind: Kind, **more: Any) -> Inverse:
    """The deletion of what an act adds to these keys."""
    known = {key: list(ids) for key, ids in before.items()}
    words = {"marker": "deleted", "marked": "written over", "copy": "copied back"}[kind]
    return Inverse(
        "s3.DeleteObjects",
        {"Bucket": bucket, "before": known, "kind": kind, **more},
        f"{len(known)} objects of bucket {bucket} that were {words}, as they were",
    )


def each(aws: Aws, work: Mapping[str, Any], do: Callable[[Any], str], workers: int) -> Made:
    """Do it for each key, `workers` at once; what AWS refuses of one does not keep the others from being done."""

    def tried(key: str) -> str | AwsError:
        try:
            return do(work[key])
        except AwsError as error:
            return error

    made = Made()
    for key, outcome in zip(work, pooled(aws, work, tried, workers), strict=True):
        if isinstance(outcome, AwsError):
            made.refused[key] = str(outcome)
        else:
            made.versions[key] = outcome
    return made


def pooled(aws: Aws, over: Iterable[Any], do: Callable[[Any], Any], workers: int) -> list[Any]:
    """What it gives for each, in order, `workers` at once."""
    aws.client("s3")  # boto3 makes clients one at a time only
    with ThreadPoolExecutor(workers, thread_name_prefix="s3") as pool:
        return list(pool.map(do, over))


def _shared(keys: Sequence[str]) -> str:
    """What all of them begin with."""
    low, high = min(keys, default=""), max(keys, default="")
    end = next((at for at, letter in enumerate(low) if letter != high[at]), len(low))
    return low[:end]


def _markers(answer: Mapping[str, Any]) -> dict[str, str]:
    return {row["Key"]: row["DeleteMarkerVersionId"] for row in answer.get("Deleted", []) if row.get("DeleteMarker")}


def _refused(answer: Mapping[str, Any]) -> dict[str, str]:
    return {row["Key"]: f"{row.get('Code')}: {row.get('Message', '')}" for row in answer.get("Errors", [])}


def _tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def batches(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """As many as one entry of the journal takes, again and again."""
    return (list(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH))
