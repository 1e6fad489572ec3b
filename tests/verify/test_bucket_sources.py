"""Sources of a comparison: a bucket, a bucket at an instant, a manifest; with any executor, in little memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_envdr.aws import Aws, s3
from pytest_envdr.errors import AwsError, NotFound, UsageError
from pytest_envdr.verify import bucket as verify
from pytest_envdr.verify.bucket import comparing
from pytest_envdr.verify.bucket.sources import Attributes
from pytest_envdr.waiting import pause
from tests import account
from tests.verify import buckets
from tests.verify.front import error, front

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def source(name: str, **options: Any) -> verify.Bucket:
    """A bucket of the account."""
    return verify.Bucket(buckets.aws(), name, **options)


def kinds(expected: verify.Source, actual: verify.Source, **options: Any) -> list[tuple[str, str]]:
    """Key and kind of each difference."""
    return [(one.key, one.kind) for one in verify.compare(expected, actual, **options)]


def newest(bucket: str) -> datetime:
    """When the newest version or delete marker was written, and a second that has passed since: S3 counts in whole
    ones."""
    pause(1.1)
    return max(version.last_modified for version in s3.versions(buckets.aws(), bucket))


def test_a_bucket_as_it_was() -> None:
    """What was current at an instant is what the versions say: before, objects that were overwritten, deleted or not
    there yet are as they were then, and are read as such, byte by byte."""
    name, copy = buckets.new(), buckets.new()
    for bucket in (name, copy):
        for key in ("kept", "overwritten", "deleted", "again"):
            buckets.put(bucket, key)
    newest(copy)
    buckets.s3().delete_object(Bucket=name, Key="again")
    buckets.s3().delete_object(Bucket=copy, Key="again")
    before = newest(name)
    buckets.put(name, "overwritten", b"something else", Tagging="team=red")
    buckets.s3().delete_object(Bucket=name, Key="deleted")
    buckets.put(name, "again")
    buckets.put(name, "new")
    after = [("again", "missing"), ("deleted", "extra"), ("new", "missing"), ("overwritten", "size")]
    assert kinds(source(name, at=before), source(copy), depth="bytes") == []
    assert kinds(source(name), source(copy), depth="listing") == after
    assert kinds(source(name, at=newest(name)), source(copy), depth="listing") == after
    assert kinds(source(name, at=before - timedelta(days=1)), source(buckets.new())) == []


def test_versions_spread_over_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key whose versions go on in the next page has one entry, and the right one."""
    monkeypatch.setattr(s3, "_of", lambda _, name: {"Bucket": name, "MaxKeys": 2})
    bucket = buckets.new()
    for key in ("a", "b", "b", "b", "b", "b", "c"):
        buckets.put(bucket, key)
    buckets.s3().delete_object(Bucket=bucket, Key="c")
    requests: Counter[str] = Counter()
    entries = [entry for page in source(bucket, history=True).pages(requests) for entry in page]
    latest = {
        version["Key"]: version["VersionId"]
        for version in buckets.s3().list_object_versions(Bucket=bucket)["Versions"]
        if version["IsLatest"]
    }
    assert [(entry.key, entry.versions) for entry in entries] == [("a", 1), ("b", 5)]
    assert {entry.key: entry.version_id for entry in entries} == latest
    assert requests["ListObjectVersions"] == 4


def test_only_what_begins_so() -> None:
    """A prefix narrows both sides; an emptied one is missing as a whole."""
    expected, actual = buckets.pair("a/1", "a/2", "b/1")
    for key in ("a/1", "a/2"):
        buckets.s3().delete_object(Bucket=actual, Key=key)
    assert kinds(source(expected, prefix="a/"), source(actual, prefix="a/")) == [("a/1", "missing"), ("a/2", "missing")]
    assert kinds(source(expected, prefix="b/"), source(actual, prefix="b/")) == []


@pytest.mark.parametrize("depth", ["listing", "attributes", "bytes"])
def test_a_manifest_stands_for_the_bucket(tmp_path: Path, depth: verify.Depth) -> None:
    """A bucket saved to a file is equal to itself later, and tells each damage done since, at its depth."""
    name = buckets.new()
    for key in ("a", "b", "c", "gone", *buckets.ODD_KEYS):
        buckets.put(name, key)
    manifest = verify.Manifest(tmp_path / "bucket.jsonl")
    with ThreadPoolExecutor(4) as pool:
        assert verify.save(source(name), manifest.path, depth=depth, executor=pool) == 4 + len(buckets.ODD_KEYS)
    assert kinds(manifest, source(name), depth=depth) == []
    buckets.put(name, "b", b"body of x")
    buckets.put(name, "c", ContentType="text/html")
    buckets.s3().delete_object(Bucket=name, Key="gone")
    found = [(one.key, one.kind, one.name) for one in verify.compare(manifest, source(name), depth=depth)]
    metadata = [] if depth == "listing" else [("c", "metadata", "Content-Type")]
    content = ("b", "unreadable", "the object") if depth == "listing" else ("b", "content", "")
    assert found == [content, *metadata, ("gone", "missing", "")]


def test_a_manifest_that_cannot_tell_is_not_taken_for_equal(tmp_path: Path) -> None:
    """Asked for bytes that were never recorded, an object is unverified; of another depth than its own, unreadable."""
    name = buckets.new()
    buckets.put(name, "a")
    manifest = verify.Manifest(tmp_path / "bucket.jsonl")
    verify.save(source(name), manifest.path, depth="attributes")
    assert kinds(manifest, source(name), depth="bytes") == [("a", "unverified")]
    verify.save(source(name), manifest.path, depth="listing")
    assert kinds(manifest, source(name)) == [("a", "unreadable")]


@pytest.mark.parametrize("damage", ["cut", "torn", "other", "absent"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, damage: str) -> None:
    """A manifest without its last line, with half a line, of another format or not there is no smaller bucket."""
    expected, actual = buckets.pair("a", "b")
    path = tmp_path / "bucket.jsonl"
    verify.save(source(expected), path)
    lines = path.read_text().splitlines(keepends=True)
    contents = {"cut": lines[:-1], "torn": [*lines[:1], lines[1][:20]], "other": ['{"manifest": 9}\n', *lines[1:]]}
    if damage == "absent":
        path.unlink()
    else:
        path.write_text("".join(contents[damage]))
    with pytest.raises(UsageError, match="manifest cannot be used"):
        list(verify.compare(verify.Manifest(path), source(actual)))


@pytest.mark.sweep
def test_any_executor_gives_the_same(tmp_path: Path) -> None:
    """One after the other, on threads and in processes: the same differences in the same order and as many requests."""
    expected, actual = buckets.pair(*(f"{number:03}" for number in range(60)))
    for key in ("007", "049", "050", "059"):
        buckets.put(actual, key, ContentType="text/html")
    serial = verify.compare(source(expected), source(actual))
    found = list(serial)
    assert [one.key for one in found] == ["007", "049", "050", "059"]
    spawn = get_context("spawn")
    for executor in (ThreadPoolExecutor(4), ProcessPoolExecutor(2, mp_context=spawn)):
        with executor:
            comparison = verify.compare(source(expected), source(actual), executor=executor)
            assert list(comparison) == found
            assert comparison.requests == serial.requests
            verify.save(source(expected), tmp_path / "manifest", executor=executor)
            assert kinds(verify.Manifest(tmp_path / "manifest"), source(expected), executor=executor) == []


class Endless:
    """A source of many objects that are nowhere."""

    def __init__(self, size: int, missing: int = -1) -> None:
        self.size, self.missing = size, missing

    def check(self, requests: Counter[str]) -> None:
        """It is there."""

    def uses_acls(self, requests: Counter[str]) -> bool:  # noqa: ARG002 (a source's)
        """It does not."""
        return False

    def with_acls(self) -> Endless:
        """The same."""
        return self

    def pages(self, requests: Counter[str]) -> Iterator[list[verify.Entry]]:  # noqa: ARG002 (a source's)
        """A thousand a page."""
        for start in range(0, self.size, 1000):
            numbers = range(start, min(start + 1000, self.size))
            yield [verify.Entry(f"{n:09}", n, f"{n:032x}", "STANDARD") for n in numbers if n != self.missing]

    def attributes(self, entry: verify.Entry, requests: Counter[str], trusted: set[str] | None) -> Attributes:  # noqa: ARG002
        """Equal to any."""
        return Attributes(entry.size, entry.etag, True, {}, True, {"tags": {"n": entry.key}})  # noqa: FBT003 (a row)

    def digest(self, entry: verify.Entry, requests: Counter[str]) -> str | None:  # noqa: ARG002 (a source's)
        """None."""
        return None

    def absence(self, key: str, requests: Counter[str]) -> str:  # noqa: ARG002 (a source's)
        """Nothing."""
        return ""


class Slow(Executor):
    """An executor that begins a unit only when its result is wanted, and counts those that wait."""

    def __init__(self) -> None:
        self.waiting = self.most = 0

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        """A future that works when asked."""
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        future: Future[Any] = Future()

        def result(timeout: float | None = None) -> Any:  # noqa: ARG001 (a future's)
            self.waiting -= 1
            return work(*arguments, **options)

        future.result = result  # type: ignore[method-assign] # the point of this class
        return future


@pytest.mark.sweep
def test_memory_does_not_grow_with_the_bucket() -> None:
    """Of 20,000 objects as of 5,000 only some pages and units are held at a time, however slow the executor."""
    peaks = []
    for size in (5_000, 20_000):
        executor = Slow()
        tracemalloc.start()
        comparison = verify.compare(Endless(size), Endless(size, missing=size - 5), executor=executor)
        assert [one.kind for one in comparison] == ["missing"]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert comparison.keys == size
        assert executor.most <= comparing.WINDOW
    assert peaks[1] < 1.5 * peaks[0]


def test_a_listing_out_of_order_is_refused() -> None:
    """A merge of lists in another order would find what is not so; it is refused (a directory bucket lists so)."""
    entries = [verify.Entry(key, 1, "e", "STANDARD") for key in ("b", "a")]
    with pytest.raises(UsageError, match="'a' is listed after 'b'"):
        list(comparing.in_order([entries]))


def test_a_bucket_that_is_not_there_or_not_ours() -> None:
    """No bucket is an error that names it, and so is one of another account; neither is an empty one."""
    name = buckets.new()
    with pytest.raises(NotFound, match="no bucket envelope-nowhere"):
        list(verify.compare(source(name), source("envelope-nowhere")))

    def foreign(_: str, path: str, __: Mapping[str, str]) -> tuple[int, bytes] | None:
        return (403, error("AccessDenied")) if urlsplit(path).path == f"/{name}" else None

    with front(foreign) as told:
        other = verify.Bucket(Aws(account.stack(endpoint=told.endpoint)), name)
        with pytest.raises(AwsError, match=f"{name} belongs to another account"):
            list(verify.compare(other, other))


VERSIONS = """<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{}
</ListVersionsResult>"""
VERSION = """<Version><Key>{}</Key><VersionId>{}</VersionId><IsLatest>false</IsLatest><Size>9</Size><ETag>"0"</ETag>
<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Version>"""
MARKER = """<DeleteMarker><Key>{}</Key><VersionId>{}</VersionId><IsLatest>false</IsLatest>
<LastModified>2026-01-01T00:00:00.000Z</LastModified></DeleteMarker>"""


def test_written_and_deleted_in_one_second() -> None:
    """Of a version and a delete marker of the same second the order of S3's own answer decides what was there then."""
    deleted = MARKER.format("deleted", 2) + VERSION.format("deleted", 1)
    written = VERSION.format("written", 2) + MARKER.format("written", 1)

    def listed(_: str, path: str, __: Mapping[str, str]) -> tuple[int, bytes] | None:
        return (200, VERSIONS.format(deleted + written).encode()) if "versions" in urlsplit(path).query else None

    with front(listed) as told:
        at = datetime(2026, 1, 2, tzinfo=UTC)
        bucket = verify.Bucket(Aws(account.stack(endpoint=told.endpoint)), "any", at=at)
        entries = [entry for page in bucket.pages(Counter()) for entry in page]
    assert [(entry.key, entry.version_id) for entry in entries] == [("written", "2")]


LISTED = """<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>
<Contents><Key>{}</Key><Size>9</Size><ETag>"0123"</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified>
<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"""


def test_keys_that_xml_cannot_carry() -> None:
    """A key with a newline, and one with a control character, are asked for encoded and come back as they are; a body
    of theirs is asked for under that name. (moto refuses such keys, so the listing is S3's own.)"""
    name = buckets.new()
    heads = []

    def listed(method: str, path: str, _: Mapping[str, str]) -> tuple[int, bytes] | None:
        parts = urlsplit(path)
        if method == "HEAD" and parts.path.count("/") == 2:
            heads.append(parts.path)
            return 404, b""
        if "list-type=2" not in parts.query:
            return None
        assert parse_qs(parts.query)["encoding-type"] == ["url"]
        return 200, LISTED.format("line%0Abreak%01+plus%2B").encode()

    with front(listed) as told:
        odd = verify.Bucket(Aws(account.stack(endpoint=told.endpoint)), name)
        (found,) = verify.compare(odd, source(buckets.new()))
        assert (found.key, found.kind) == ("line\nbreak\x01 plus+", "missing")
        assert "\n" not in str(found)
        (found,) = verify.compare(odd, odd)
    assert found.kind == "unreadable"
    assert set(heads) == {f"/{name}/line%0Abreak%01%20plus%2B"}
