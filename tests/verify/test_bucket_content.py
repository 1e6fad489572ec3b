"""Contents compared: by the cheapest opinion that can tell, and never taken for equal without one."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.aws import Aws
from pytest_envdr.errors import AwsError
from pytest_envdr.verify import bucket as verify
from pytest_envdr.verify.bucket import content
from pytest_envdr.verify.bucket.sources import Attributes
from tests import account
from tests.verify import buckets
from tests.verify.front import error, front

if TYPE_CHECKING:
    from collections.abc import Mapping

MEBI = 1024 * 1024
BIG = hashlib.shake_256(b"big").digest(12 * MEBI)


def upload(bucket: str, key: str, body: bytes, part: int) -> None:
    """An upload in parts of `part` bytes."""
    s3 = buckets.s3()
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(body), part), 1):
        piece = body[start : start + part]
        done = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"ETag": done["ETag"], "PartNumber": number})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


@pytest.mark.parametrize("depth", ["listing", "attributes", "bytes"])
def test_parts_do_not_count_but_bytes_do(depth: verify.Depth) -> None:
    """The same 12 MB are equal whether they were uploaded at once, in parts, or in parts of another size; one changed
    byte is found in each case."""
    expected, actual = buckets.new(), buckets.new()
    wrong = BIG[: 7 * MEBI] + bytes([BIG[7 * MEBI] ^ 1]) + BIG[7 * MEBI + 1 :]
    for key, body in (("equal", BIG), ("wrong", wrong)):
        upload(expected, f"{key}/at-once", BIG, 6 * MEBI)
        upload(expected, f"{key}/other-parts", BIG, 6 * MEBI)
        upload(expected, f"{key}/same-parts", BIG, 6 * MEBI)
        buckets.s3().put_object(Bucket=actual, Key=f"{key}/at-once", Body=body)
        upload(actual, f"{key}/other-parts", body, 5 * MEBI)
        upload(actual, f"{key}/same-parts", body, 6 * MEBI)
    kinds = [(key, kind) for key, kind, _ in buckets.found(expected, actual, depth)]
    assert kinds == [(f"wrong/{how}", "content") for how in ("at-once", "other-parts", "same-parts")]


def known(**changes: Any) -> Attributes:
    """What is known of an object, as if nothing told of its content."""
    none: dict[str, Any] = {"size": 1, "etag": "e", "md5": False, "checksums": {}, "full": True, "facts": {}}
    return Attributes(**{**none, **changes})


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        ({}, {}, None),
        ({"etag": "a-2"}, {"etag": "a-2"}, None),
        ({"etag": "a", "md5": True}, {"etag": "a", "md5": True}, True),
        ({"etag": "a", "md5": True}, {"etag": "b", "md5": True}, False),
        ({"etag": "a", "md5": True}, {"etag": "b"}, None),
        ({"checksums": {"CRC64NVME": "x"}}, {"checksums": {"CRC64NVME": "x"}}, True),
        ({"checksums": {"CRC64NVME": "x"}}, {"checksums": {"CRC64NVME": "y"}}, False),
        ({"checksums": {"CRC64NVME": "x"}}, {"checksums": {"SHA256": "x"}}, None),
        ({"checksums": {"SHA256": "x"}}, {"checksums": {"SHA256": "x"}, "full": False}, None),
        ({"checksums": {"SHA256": "x"}, "full": False}, {"checksums": {"SHA256": "x"}, "full": False}, True),
        ({"checksums": {"SHA256": "x"}, "full": False}, {"checksums": {"SHA256": "y"}, "full": False}, None),
        (
            {"checksums": {"CRC32": "x"}, "etag": "a", "md5": True},
            {"checksums": {"CRC32": "x"}, "etag": "b", "md5": True},
            False,
        ),
        ({"sha256": "a", "checksums": {"CRC32": "x"}}, {"sha256": "b", "checksums": {"CRC32": "x"}}, False),
    ],
)
def test_an_opinion_needs_the_same_algorithm_over_the_same_thing(
    expected: dict[str, Any], actual: dict[str, Any], *, equal: bool | None
) -> None:
    """Checksums of whole objects and of parts are never mixed, ETags count where they are MD5, and one opinion that
    says "different" is believed."""
    assert content.opinion(known(**expected), known(**actual)) is equal


def test_an_etag_of_a_key_is_no_md5() -> None:
    """Of objects encrypted with a key the ETag does not count: different ones are no difference."""
    expected, actual = buckets.pair("a")
    buckets.put(actual, "a", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/tenant")
    comparison = verify.compare(*(verify.Bucket(buckets.aws(), name) for name in (expected, actual)))
    assert [(one.kind, one.name) for one in comparison] == [("encryption", "algorithm"), ("encryption", "key")]
    head = verify.Bucket(buckets.aws(), actual)
    entry = next(head.pages(comparison.requests))[0]
    assert not head.attributes(entry, comparison.requests, None).md5


def test_what_the_listing_settles_is_not_asked_again() -> None:
    """A listing of equal buckets takes one request a page and side; attributes one a side and object more, and the
    tags of those that have any."""
    expected, actual = buckets.new(), buckets.new()
    for name in (expected, actual):
        for number in range(6):
            buckets.put(name, str(number), Tagging="team=blue" if number == 3 else "")
    sources = [verify.Bucket(buckets.aws(), name) for name in (expected, actual)]
    comparison = verify.compare(*sources, depth="listing")
    assert list(comparison) == []
    assert comparison.requests == {"HeadBucket": 2, "ListObjectsV2": 2}
    comparison = verify.compare(*sources)
    assert list(comparison) == []
    asked = {"HeadObject": 12, "GetObjectTagging": 4, "GetBucketOwnershipControls": 2}
    assert comparison.requests == {"HeadBucket": 2, "ListObjectsV2": 2, **asked}
    assert comparison.keys == 6


def test_archived_objects_are_told_and_the_others_go_on() -> None:
    """An archived object's bytes cannot be read without hours of restoring: it is named as unreadable, the damage
    of another is found all the same; where bytes need not be read, nothing is amiss."""
    expected, actual = buckets.pair("b")
    for name in (expected, actual):
        # Its tags could be read on AWS; moto refuses them, so it has none.
        buckets.put(name, "c", StorageClass="DEEP_ARCHIVE", Tagging="")
    buckets.put(actual, "b", b"body of x")
    assert buckets.found(expected, actual) == [("b", "content", "")]
    sources = (verify.Bucket(buckets.aws(), name) for name in (expected, actual))
    changed, archived = verify.compare(*sources, depth="bytes")
    assert (archived.key, archived.kind, archived.name) == ("c", "unreadable", "its content")
    assert "InvalidObjectState" in str(archived)
    assert (changed.key, changed.kind) == ("b", "content")


def compared(endpoint: str, expected: str, actual: str, depth: verify.Depth = "attributes") -> list[verify.Difference]:
    """Through a server in front of the account's, on four threads."""
    aws = Aws(account.stack(endpoint=endpoint))
    with ThreadPoolExecutor(4) as pool:
        return list(
            verify.compare(*(verify.Bucket(aws, one) for one in (expected, actual)), depth=depth, executor=pool)
        )


def test_throttling_is_no_difference() -> None:
    """S3 asks to slow down at every fourth request: equal buckets are equal, a damage is the only difference."""
    expected, actual = buckets.new(), buckets.new()
    for name in (expected, actual):
        buckets.put(name, "a", Tagging="")
        buckets.put(name, "b", f"body {name == actual}".encode().ljust(20), Tagging="")
    asked = 0

    def slow_down(*_: object) -> tuple[int, bytes] | None:
        nonlocal asked
        asked += 1
        return None if asked % 4 else (503, error("SlowDown"))

    with front(slow_down) as told:
        found = compared(told.endpoint, expected, actual)
    assert [(one.key, one.kind) for one in found] == [("b", "content")]
    assert sum(told.answered.values()) >= 3


@pytest.mark.sweep
def test_throttling_without_end_is_an_error() -> None:
    """Where S3 never answers, the comparison ends with its error; no object is called damaged."""
    expected, actual = buckets.pair("a")

    def never(method: str, path: str, _: Mapping[str, str]) -> tuple[int, bytes] | None:
        return (500, error("InternalError")) if method == "HEAD" and path.startswith(f"/{actual}/") else None

    with front(never) as told, pytest.raises(AwsError, match="HeadObject"):
        compared(told.endpoint, expected, actual)
    assert told.answered["HEAD"] > 1


def test_what_may_not_be_read_is_named() -> None:
    """An object, and tags, that may not be read are named one by one, never equal; a count of no tags is not believed
    where tags may not be read."""
    expected, actual = buckets.new(), buckets.new()
    for name in (expected, actual):
        for key in ("a", "b", "c"):
            buckets.put(name, key, Tagging="")

    def refuse(method: str, path: str, _: Mapping[str, str]) -> tuple[int, bytes] | None:
        if method == "HEAD" and path.startswith(f"/{actual}/b"):
            return 403, b""
        return (403, error("AccessDenied")) if "tagging" in path and path.startswith(f"/{actual}/") else None

    with front(refuse) as told:
        found = compared(told.endpoint, expected, actual)
    assert [(one.key, one.kind, one.name) for one in found] == [
        ("a", "unreadable", "its tags"),
        ("b", "unreadable", "the object"),
        ("c", "unreadable", "its tags"),
    ]
    assert found[1].actual == "S3 refuses it: 403"


def test_a_body_that_is_not_its_checksums() -> None:
    """Bytes that went bad below a checksum that is still right: seen by reading them, as nothing else does."""
    expected, actual = buckets.pair("a")

    def rotten(method: str, path: str, _: Mapping[str, str]) -> tuple[int, bytes] | None:
        return (200, b"rotten  a") if method == "GET" and path.startswith(f"/{actual}/a") and "?" not in path else None

    with front(rotten) as told:
        assert compared(told.endpoint, expected, actual) == []
        found = compared(told.endpoint, expected, actual, "bytes")
    assert [(one.key, one.kind) for one in found] == [("a", "content")]
