"""Objects compared: each damage is found and named, and nothing else is."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.verify import bucket as verify
from tests import account
from tests.verify import buckets

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ("invoices/1.pdf", "invoices/2.pdf", "invoices/3.pdf")
HIT = KEYS[1]
BODY = f"body of {HIT}".encode()


def changed(body: bytes = BODY, **changes: Any) -> Callable[[str], Any]:
    """The object written anew, with something else."""
    return lambda bucket: buckets.put(bucket, HIT, body, **changes)


def tagged(**tags: str) -> Callable[[str], Any]:
    """The object's tags replaced, which makes no version."""
    rows = [{"Key": key, "Value": value} for key, value in tags.items()]
    return lambda bucket: buckets.s3().put_object_tagging(Bucket=bucket, Key=HIT, Tagging={"TagSet": rows})


def untagged(bucket: str) -> None:
    """The object's tags deleted."""
    buckets.s3().delete_object_tagging(Bucket=bucket, Key=HIT)


def purged(bucket: str) -> None:
    """All versions of the object are deleted."""
    for version in buckets.s3().list_object_versions(Bucket=bucket, Prefix=HIT)["Versions"]:
        buckets.s3().delete_object(Bucket=bucket, Key=HIT, VersionId=version["VersionId"])


DAMAGES: dict[str, tuple[Callable[[str], Any], list[tuple[str, str, str]]]] = {
    "nothing": (lambda _: None, []),
    "a byte, the same size": (changed(BODY.replace(b"y", b"x", 1)), [(HIT, "content", "")]),
    "another size": (changed(BODY + b"."), [(HIT, "size", "")]),
    "purged": (purged, [(HIT, "missing", "")]),
    "a delete marker": (
        lambda bucket: buckets.s3().delete_object(Bucket=bucket, Key=HIT),
        [(HIT, "missing", "")],
    ),
    "one more": (lambda bucket: buckets.put(bucket, "invoices/25.pdf"), [("invoices/25.pdf", "extra", "")]),
    "a tag's value": (tagged(team="red", **{"class": "invoice"}), [(HIT, "tags", "team")]),
    "a tag lost": (tagged(team="blue"), [(HIT, "tags", "class")]),
    "all tags lost": (untagged, [(HIT, "tags", "class"), (HIT, "tags", "team")]),
    "a metadata entry": (changed(Metadata={"author": "ada", "page": "2"}), [(HIT, "metadata", "x-amz-meta-page")]),
    "metadata lost": (
        changed(Metadata={}),
        [(HIT, "metadata", "x-amz-meta-author"), (HIT, "metadata", "x-amz-meta-page")],
    ),
    "the content type": (changed(ContentType="text/html"), [(HIT, "metadata", "Content-Type")]),
    "the cache control": (changed(CacheControl="max-age=60"), [(HIT, "metadata", "Cache-Control")]),
    "a disposition": (changed(ContentDisposition="inline"), [(HIT, "metadata", "Content-Disposition")]),
    "a content language": (changed(ContentLanguage="de"), [(HIT, "metadata", "Content-Language")]),
    "a content encoding": (changed(ContentEncoding="gzip"), [(HIT, "metadata", "Content-Encoding")]),
    "a redirect": (changed(WebsiteRedirectLocation="/x"), [(HIT, "metadata", "x-amz-website-redirect-location")]),
    "the storage class": (changed(StorageClass="STANDARD_IA"), [(HIT, "storage-class", "")]),
    "the encryption": (
        changed(ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/other"),
        [(HIT, "encryption", "algorithm"), (HIT, "encryption", "key")],
    ),
}
AT_LISTING = {"content", "size", "missing", "extra", "storage-class"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found_and_nothing_else(damage: str) -> None:
    """Each damage of one object is found and named, at the depths that see it; two equal buckets differ in nothing."""
    expected, actual = buckets.pair(*KEYS)
    act, differences = DAMAGES[damage]
    act(actual)
    assert buckets.found(expected, actual, "attributes") == differences
    assert buckets.found(expected, actual, "bytes") == differences
    assert buckets.found(expected, actual, "listing") == [one for one in differences if one[1] in AT_LISTING]


def test_a_delete_marker_is_told_from_nothing() -> None:
    """What is there instead of a missing object: a delete marker, which can be taken away, or nothing."""
    expected, actual = buckets.pair(*KEYS)
    buckets.s3().delete_object(Bucket=actual, Key=KEYS[0])
    purged(actual)
    sources = (verify.Bucket(buckets.aws(), name) for name in (expected, actual))
    first, second = verify.compare(*sources)
    assert str(first) == 'Object "invoices/1.pdf" is missing: expected 22 bytes, found a delete marker.'
    assert str(second) == 'Object "invoices/2.pdf" is missing: expected 22 bytes, found nothing.'


def test_a_difference_is_one_plain_sentence() -> None:
    """A difference says in a line what is where, and what should be there, whatever the key."""
    tag = verify.Difference("a\nb", "tags", "team", "blue", "")
    assert str(tag) == 'Object "a\\nb": tags team is nothing, expected blue.'
    assert str(verify.Difference("", "ownership", "", "a", "b")) == "The bucket: ownership is b, expected a."
    refused = verify.Difference("k", "unreadable", "its tags", "readable", "S3 refuses it: 403")
    assert str(refused) == 'Object "k": its tags cannot be read: expected readable, found S3 refuses it: 403.'


def test_an_older_version_on_top_and_one_that_is_gone() -> None:
    """An older version put back on top shows in the content; a version that is gone in the number of versions."""
    expected, actual = buckets.pair()
    for name in (expected, actual):
        first = buckets.put(name, "a", b"one")
        buckets.put(name, "a", b"two")
        buckets.put(name, "b", b"one")
        buckets.put(name, "b", b"two")
    buckets.s3().copy_object(Bucket=actual, Key="a", CopySource={"Bucket": actual, "Key": "a", "VersionId": first})
    gone = buckets.s3().list_object_versions(Bucket=actual, Prefix="b")["Versions"][-1]["VersionId"]
    buckets.s3().delete_object(Bucket=actual, Key="b", VersionId=gone)
    assert buckets.found(expected, actual) == [("a", "content", "")]
    sources = (verify.Bucket(buckets.aws(), name, history=True) for name in (expected, actual))
    found = [(one.key, one.kind, one.expected, one.actual) for one in verify.compare(*sources)]
    assert [row for row in found if row[1] == "versions"] == [("a", "versions", "2", "3"), ("b", "versions", "2", "1")]
    assert [row[:2] for row in found if row[1] != "versions"] == [("a", "content")]


def test_keys_of_any_kind() -> None:
    """Keys with spaces, %, +, slashes, dots and Unicode are paired, read and named as they are; in the order of their
    UTF-8 bytes."""
    expected, actual = buckets.pair(*buckets.ODD_KEYS)
    for depth in ("listing", "attributes", "bytes"):
        assert buckets.found(expected, actual, depth) == []
    for key in buckets.ODD_KEYS:
        buckets.put(actual, key, hashlib.sha256(key.encode()).digest()[: len(f"body of {key}".encode())] + b"!" * 80)
    found = buckets.found(expected, actual)
    assert [key for key, _, _ in found] == sorted(buckets.ODD_KEYS, key=str.encode)
    assert {kind for _, kind, _ in found} == {"size"}


def test_buckets_without_objects() -> None:
    """Two empty buckets are equal; against an empty one everything is missing, or too much."""
    empty, other = buckets.new(), buckets.new()
    assert buckets.found(empty, other, "bytes") == []
    buckets.put(other, "a")
    assert buckets.found(empty, other) == [("a", "extra", "")]
    assert buckets.found(other, empty) == [("a", "missing", "")]


def test_acls_where_they_are_used() -> None:
    """An object's ACL counts where one of the buckets uses ACLs, and is not asked for where none does."""
    expected, actual = buckets.new(enforced=False), buckets.new(enforced=False)
    for name in (expected, actual):
        buckets.put(name, "a")
        buckets.put(name, "b")
    buckets.s3().put_object_acl(Bucket=actual, Key="b", ACL="public-read")
    comparison = verify.compare(*(verify.Bucket(buckets.aws(), name) for name in (expected, actual)))
    everybody = "http://acs.amazonaws.com/groups/global/AllUsers"
    assert list(comparison) == [verify.Difference("b", "acl", everybody, "", "READ")]
    comparison = verify.compare(*(verify.Bucket(buckets.aws(), name) for name in buckets.pair("a")))
    assert list(comparison) == []
    assert comparison.requests["GetObjectAcl"] == 0


def test_what_is_locked() -> None:
    """Retention and a legal hold that were lost are told apart."""
    names = account.unique("locked"), account.unique("locked")
    for name in names:
        where = {"LocationConstraint": account.REGION}
        buckets.s3().create_bucket(Bucket=name, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    buckets.put(names[0], "a", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=datetime(2030, 1, 1, tzinfo=UTC))
    buckets.put(names[1], "a")
    buckets.put(names[0], "b", ObjectLockLegalHoldStatus="ON")
    buckets.put(names[1], "b")
    kinds = [(key, kind) for key, kind, _ in buckets.found(*names)]
    assert kinds == [("a", "retention"), ("a", "retention"), ("b", "legal-hold")]
