"""S3's acts: a staging bucket, copies of pinned versions, damage done on purpose; and what of them is still there.

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
from urllib.parse import urlencode

from pytest_envdr.aws import Act
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
COPY_LIMIT = 5 * 1024**3
"""What one CopyObject copies at most, in bytes."""
PART = 8 * 1024**2
"""How large a part of a copy is, at least; S3's own minimum is 5 MiB."""
PARTS = 10_000
"""How many parts an upload may have."""
MARK = "envdr-exercise"
"""The metadata entry of an object that a drill wrote over another."""
STAGING_PREFIX = "envdr-bucket-"

Kind = Literal["marker", "marked", "copy"]
"""What an act adds to a key: a delete marker, an object with `MARK`, a copy of another object."""


@dataclass(frozen=True)
class Copy:
    """A version of an object that is to be copied, under its own key, into another bucket.

    Attributes:
        bucket, key, version_id: the source, pinned: the newest may be the damage.
        to: the bucket that gets it.
        size: in bytes; beyond the copy limit it is copied in parts.
        kept: what CopyObject and CreateMultipartUpload take alike and would change if not told: the storage class, the
            encryption.
    """

    bucket: str
    key: str
    version_id: str
    to: str
    size: int
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> dict[str, str]:
        """As the API takes it."""
        return {"Bucket": self.bucket, "Key": self.key, "VersionId": self.version_id}


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
    arguments: dict[str, Any] = {"Bucket": name}
    if aws.stack.region != "us-east-1":  # there, and there only, S3 takes no LocationConstraint
        arguments["CreateBucketConfiguration"] = {"LocationConstraint": aws.stack.region}
    inverse = Inverse("s3.DeleteBucket", {"Bucket": name, "exercise": tags["envdr:exercise"]}, f"no bucket {name}")
    aws.act(journal, Act("s3.CreateBucket", arguments, inverse, f"Bucket {name} cannot be created"))
    configure(aws, journal, name, "s3.PutBucketTagging", Tagging={"TagSet": _tag_set(tags)})


def configure(aws: Aws, journal: Journal, bucket: str, operation: str, **arguments: Any) -> None:
    """A part of a bucket's configuration: "s3.PutBucketPolicy". Only for a bucket of the drill's own, with which it
    goes; so nothing is owed for it.

    Raises:
        AwsError: S3 refuses it.
    """
    given = {"Bucket": bucket, **arguments}
    inverse = Inverse.healed(f"no bucket {bucket}, and with it nothing of its configuration")
    aws.act(journal, Act(operation, given, inverse, f"Bucket {bucket} cannot be configured"))


def fill(
    aws: Aws, journal: Journal, bucket: str, copies: Sequence[Copy], *, limit: int = COPY_LIMIT, workers: int = WORKERS
) -> Made:
    """Copy versions into a bucket of the drill's own. Undone, everything in it is deleted, whoever put it there.

    Args:
        aws, journal: the account.
        bucket: whose name begins with `STAGING_PREFIX`.
        copies: what to copy.
        limit: objects of more bytes are copied in parts.
        workers: how many requests at once.

    Raises:
        AwsError, UsageError: as `Aws.call`; what S3 refuses of single objects is in the answer instead.
    """

    def inverse(_: Sequence[Copy]) -> Inverse:
        return Inverse("s3.DeleteObjects", {"Bucket": bucket, "everything": True}, f"nothing in bucket {bucket}")

    return _copied(aws, journal, copies, inverse, limit=limit, workers=workers)


def copy_back(
    aws: Aws,
    journal: Journal,
    copies: Sequence[Copy],
    *,
    before: Mapping[str, Sequence[str]],
    limit: int = COPY_LIMIT,
    workers: int = WORKERS,
) -> Made:
    """Copy objects into the bucket of somebody else's, as new versions. Undone, those versions alone are deleted.

    Args:
        aws, journal: the account.
        copies: what to copy.
        before: the ids of all versions and markers of each key as they are.
        limit, workers: as `fill`.

    Raises:
        AwsError, UsageError: as `fill`.
    """

    def inverse(batch: Sequence[Copy]) -> Inverse:
        sizes = {copy.key: copy.size for copy in batch}
        known = {copy.key: before.get(copy.key, ()) for copy in batch}
        return _inverse(batch[0].to, known, "copy", sizes=sizes)

    return _copied(aws, journal, copies, inverse, limit=limit, workers=workers)


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
    for keys in _batches(list(before)):
        owner = {"ExpectedBucketOwner": aws.stack.account}
        arguments = {"Bucket": bucket, "Delete": {"Objects": [{"Key": key} for key in keys]}, **owner}
        inverse = _inverse(bucket, {key: before[key] for key in keys}, "marker")
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

    for keys in _batches(list(before)):
        known = {key: before[key] for key in keys}
        inverse = _inverse(bucket, known, "marked", exercise=journal.header.exercise)
        with journal.intending("s3.PutObject", {"Bucket": bucket, "Keys": keys}, inverse=inverse) as entry:
            done = _each(aws, {key: key for key in keys}, write, workers)
            entry.settle({"versions": done.versions})
        made.versions |= done.versions
        made.refused |= done.refused
    return made


def left_in(aws: Aws, bucket: str) -> list[dict[str, str]]:
    """Every version and delete marker in a bucket, as DeleteObjects takes them; none where there is no bucket."""
    try:
        rows = list(_rows(aws, bucket))
    except NotFound:
        return []
    return [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]


def left_of(aws: Aws, entry: Entry) -> list[dict[str, str]]:
    """What an act added to a bucket and is still there, as DeleteObjects takes it.

    Of each key it is the version whose id the journal has; where it has none, because the answer never arrived, the
    oldest of those that were not there before and that the act may have made.
    """
    before, told = entry.inverse.arguments, entry.result.get("versions", {})
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in before["before"]}
    for row in _rows(aws, before["Bucket"], prefix=_shared(list(found))):
        if row["Key"] in found:
            found[row["Key"]].append(row)
    ours = []
    for key, rows in found.items():
        if key in told or (entry.settled and entry.error is None):
            ours += [row for row in rows if row["VersionId"] == told.get(key)]
        else:
            new = [row for row in rows if row["VersionId"] not in before["before"][key]]
            may_be = [row for row in new if _may_be_ours(aws, before, row)]
            ours += sorted(may_be, key=lambda row: row["LastModified"])[:1]
    return [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in ours]


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


def _may_be_ours(aws: Aws, before: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether the act may have made a version that was not there before."""
    marker = "ETag" not in row
    if before["kind"] == "marker":
        return marker
    if marker:
        return False
    if before["kind"] == "copy":
        return bool(row["Size"] == before["sizes"][row["Key"]])
    where = {"Bucket": before["Bucket"], "Key": row["Key"], "VersionId": row["VersionId"]}
    answer = aws.call("s3.HeadObject", what=f"Object {row['Key']!r} cannot be looked at", **where)
    return bool(answer["Metadata"].get(MARK) == before["exercise"])


def _inverse(bucket: str, before: Mapping[str, Sequence[str]], kind: Kind, **more: Any) -> Inverse:
    """The deletion of what an act adds to these keys."""
    known = {key: list(ids) for key, ids in before.items()}
    words = {"marker": "deleted", "marked": "written over", "copy": "copied back"}[kind]
    return Inverse(
        "s3.DeleteObjects",
        {"Bucket": bucket, "before": known, "kind": kind, **more},
        f"{len(known)} objects of bucket {bucket} that were {words}, as they were",
    )


def _copied(
    aws: Aws,
    journal: Journal,
    copies: Sequence[Copy],
    inverse: Callable[[Sequence[Copy]], Inverse],
    *,
    limit: int,
    workers: int,
) -> Made:
    made = Made()

    def copy(one: Copy) -> str:
        return _copy(aws, one)

    for batch in _batches([one for one in copies if one.size <= limit]):
        arguments = {"Bucket": batch[0].to, "CopySources": [one.source for one in batch]}
        with journal.intending("s3.CopyObject", arguments, inverse=inverse(batch)) as entry:
            done = _each(aws, {one.key: one for one in batch}, copy, workers)
            entry.settle({"versions": done.versions})
        made.versions |= done.versions
        made.refused |= done.refused
    for one in (one for one in copies if one.size > limit):
        try:
            made.versions[one.key] = _copy_in_parts(aws, journal, one, inverse([one]), limit=limit, workers=workers)
        except AwsError as error:
            made.refused[one.key] = str(error)
    return made


def _copy(aws: Aws, copy: Copy) -> str:
    """One CopyObject; metadata and tags are copied by S3 itself. Returns the version's id."""
    answer = aws.call(
        "s3.CopyObject",
        what=f"Object {copy.key!r} cannot be copied from {copy.bucket} to {copy.to}",
        Bucket=copy.to,
        Key=copy.key,
        CopySource=copy.source,
        MetadataDirective="COPY",
        TaggingDirective="COPY",
        ExpectedBucketOwner=aws.stack.account,
        ExpectedSourceBucketOwner=aws.stack.account,
        **copy.kept,
    )
    return str(answer.get("VersionId", "null"))


HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")


def _copy_in_parts(aws: Aws, journal: Journal, copy: Copy, inverse: Inverse, *, limit: int, workers: int) -> str:
    """A copy of more than CopyObject takes: S3 copies neither metadata nor tags then, so they are read and told."""
    what = f"Object {copy.key!r} cannot be copied in parts from {copy.bucket} to {copy.to}"
    target = {"Bucket": copy.to, "Key": copy.key}
    begin = {**target, "ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    begin |= _told_of(aws, copy, what) | dict(copy.kept)
    abort = Inverse("s3.AbortMultipartUpload", target, f"no upload of {copy.key!r} to {copy.to} left open")
    opened = aws.act(
        journal,
        Act("s3.CreateMultipartUpload", begin, abort, what),
        kept=lambda answer: {"UploadId": answer["UploadId"]},
    )
    target["UploadId"] = opened["UploadId"]

    def part(number: int) -> dict[str, Any]:
        first = (number - 1) * step
        last = min(first + step, copy.size) - 1
        where = {**target, "PartNumber": number, "CopySourceRange": f"bytes={first}-{last}"}
        answer = aws.call("s3.UploadPartCopy", what=what, CopySource=copy.source, **where)
        result = answer["CopyPartResult"]
        sums = {name: value for name, value in result.items() if name.startswith("Checksum")}
        return {"PartNumber": number, "ETag": result["ETag"], **sums}

    step = max(min(PART, limit), -(-copy.size // PARTS))
    aborted = Inverse.healed("the upload is aborted, and its parts with it")
    with journal.intending("s3.UploadPartCopy", {**target, "CopySource": copy.source}, inverse=aborted):
        parts = list(_pooled(aws, range(1, -(-copy.size // step) + 1), part, workers))
    end = {**target, "MultipartUpload": {"Parts": parts}}
    answer = aws.act(
        journal,
        Act("s3.CompleteMultipartUpload", end, inverse, what),
        kept=lambda answer: {"versions": {copy.key: answer.get("VersionId", "null")}},
    )
    return str(answer.get("VersionId", "null"))


def _told_of(aws: Aws, copy: Copy, what: str) -> dict[str, Any]:
    """Headers, metadata and tags of the source, as CreateMultipartUpload takes them."""
    head = aws.call("s3.HeadObject", what=what, **copy.source)
    tags = aws.call("s3.GetObjectTagging", what=what, **copy.source)["TagSet"]
    told: dict[str, Any] = {name: head[name] for name in HEADERS if head.get(name)}
    told["Metadata"] = head["Metadata"]
    if tags:
        told["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
    return told


def _each(aws: Aws, work: Mapping[str, Any], do: Callable[[Any], str], workers: int) -> Made:
    """Do it for each key at once; what AWS refuses of one does not keep the others from being done."""

    def tried(key: str) -> str | AwsError:
        try:
            return do(work[key])
        except AwsError as error:
            return error

    made = Made()
    for key, outcome in zip(work, _pooled(aws, work, tried, workers), strict=True):
        if isinstance(outcome, AwsError):
            made.refused[key] = str(outcome)
        else:
            made.versions[key] = outcome
    return made


def _pooled(aws: Aws, over: Iterable[Any], do: Callable[[Any], Any], workers: int) -> list[Any]:
    aws.client("s3")  # boto3 makes clients one at a time only
    with ThreadPoolExecutor(workers, thread_name_prefix="s3") as pool:
        return list(pool.map(do, over))


def _rows(aws: Aws, bucket: str, *, prefix: str = "") -> Iterator[dict[str, Any]]:
    """Versions and delete markers; only the former have an ETag."""
    what = f"The versions in bucket {bucket} cannot be listed"
    return aws.pages("s3.ListObjectVersions", "Versions", "DeleteMarkers", what=what, Bucket=bucket, Prefix=prefix)


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


def _batches(rows: Sequence[Any]) -> Iterator[list[Any]]:
    return (list(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH))
