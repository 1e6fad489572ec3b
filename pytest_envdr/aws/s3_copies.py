"""S3's acts: copies of pinned versions, by one request each or in parts, into a staging bucket and back.

What S3 changes on the way unless told otherwise (aws-semantics 0.3, 3.4): the storage class and the ACL of every copy;
of a copy in parts the headers, metadata and tags too, which are therefore read and told again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pytest_envdr.aws import Act
from pytest_envdr.aws.s3_acts import WORKERS, Made, added, batches, each, pooled
from pytest_envdr.errors import AwsError
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

COPY_LIMIT = 5 * 1024**3
"""What one CopyObject copies at most, in bytes."""
PART = 8 * 1024**2
"""How large a part of a copy is, at least, unless the limit is lower."""
SMALLEST_PART = 5 * 1024**2
"""S3 takes no smaller one, but for the last."""
PARTS = 10_000
"""How many parts an upload may have."""


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
        return added(batch[0].to, known, "copy", sizes=sizes)

    return _copied(aws, journal, copies, inverse, limit=limit, workers=workers)


def grant_like(aws: Aws, journal: Journal, bucket: str, versions: Mapping[str, str], *, to: str) -> None:
    """Give copies in a bucket of the drill's own the ACLs of what they are copies of: S3 makes every copy private.

    Raises:
        AwsError: the bucket has its ACLs disabled, or an ACL may not be read.
    """
    if not versions:
        return
    inverse = Inverse.healed(f"no bucket {to}, and with it no ACL")
    with journal.intending("s3.PutObjectAcl", {"Bucket": to, "Keys": list(versions)}, inverse=inverse):
        for key, version in versions.items():
            what = f"The ACL of object {key!r} cannot be copied from {bucket} to {to}"
            acl = aws.call("s3.GetObjectAcl", what=what, Bucket=bucket, Key=key, VersionId=version)
            policy = {"Owner": acl["Owner"], "Grants": acl["Grants"]}
            aws.call("s3.PutObjectAcl", what=what, Bucket=to, Key=key, AccessControlPolicy=policy)


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

    for batch in batches([one for one in copies if one.size <= limit]):
        arguments = {"Bucket": batch[0].to, "CopySources": [one.source for one in batch]}
        with journal.intending("s3.CopyObject", arguments, inverse=inverse(batch)) as entry:
            done = each(aws, {one.key: one for one in batch}, copy, workers)
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

    step = max(SMALLEST_PART, min(PART, limit), -(-copy.size // PARTS))
    aborted = Inverse.healed("the upload is aborted, and its parts with it")
    with journal.intending("s3.UploadPartCopy", {**target, "CopySource": copy.source}, inverse=aborted):
        parts = list(pooled(aws, range(1, -(-copy.size // step) + 1), part, workers))
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
