"""The answers of the list operations. Written out by hand: the general serialiser takes 200 ms for a page of 1,000."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from moto.s3.models import OWNER, FakeKey

from pytest_envdr.sandbox.control_plane.s3.listing import Page, SortedKeys, Wanted, objects, versions
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moto.s3.models import FakeBucket

LARGEST_PAGE = 1000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
CONTROLS = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
"""What a parser would take for white space."""
OWNERS = f"<Owner><ID>{OWNER}</ID></Owner>"


def list_objects(bucket: FakeBucket, query: Mapping[str, str]) -> str:
    """ListObjects."""
    wanted, write = _wanted(query, after=query.get("marker", "")), _writer(query)
    page = objects(_keys(bucket), wanted)
    head = _element("Marker", write(query.get("marker", "")))
    if page.last and wanted.delimiter:
        head += _element("NextMarker", write(page.last[0]))
    rows = "".join(_object(key, write, owner=True) for key, _ in page.entries)
    return _document("ListBucketResult", bucket, query, page, head + rows)


def list_objects_v2(bucket: FakeBucket, query: Mapping[str, str]) -> str:
    """ListObjectsV2."""
    token = query.get("continuation-token")
    after = query.get("start-after", "") if token is None else _unsealed(token)
    wanted, write = _wanted(query, after=after), _writer(query)
    page = objects(_keys(bucket), wanted)
    head = _element("KeyCount", str(len(page.entries) + len(page.prefixes)))
    head += _element("StartAfter", write(query["start-after"])) if query.get("start-after") else ""
    head += _element("ContinuationToken", token) if token else ""
    head += _element("NextContinuationToken", _sealed(page.last[0])) if page.last else ""
    owner = query.get("fetch-owner") == "true"
    rows = "".join(_object(key, write, owner=owner) for key, _ in page.entries)
    return _document("ListBucketResult", bucket, query, page, head + rows)


def list_object_versions(bucket: FakeBucket, query: Mapping[str, str]) -> str:
    """ListObjectVersions."""
    after, version = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version and not after:
        raise Refused("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
    write = _writer(query)
    page = versions(_keys(bucket), _wanted(query, after=after, version=version))
    head = _element("KeyMarker", write(after)) + _element("VersionIdMarker", version)
    if page.last:
        head += _element("NextKeyMarker", write(page.last[0]))
        head += _element("NextVersionIdMarker", page.last[1]) if page.last[1] else ""
    rows = "".join(_version(one, write, latest=latest) for one, latest in page.entries)
    return _document("ListVersionsResult", bucket, query, page, head + rows)


def _wanted(query: Mapping[str, str], *, after: str, version: str = "") -> Wanted:
    limit = query.get("max-keys") or str(LARGEST_PAGE)
    if not limit.isdigit():
        raise Refused("InvalidArgument", "Provided max-keys not an integer or within integer range")
    return Wanted(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=after,
        version=version,
        limit=min(int(limit), LARGEST_PAGE),
    )


def _document(name: str, bucket: FakeBucket, query: Mapping[str, str], page: Page, content: str) -> str:
    write = _writer(query)
    head = _element("Name", bucket.name) + _element("Prefix", write(query.get("prefix", "")))
    head += _element("Delimiter", write(query["delimiter"])) if query.get("delimiter") else ""
    head += _element("EncodingType", query["encoding-type"]) if query.get("encoding-type") else ""
    head += _element("MaxKeys", query.get("max-keys") or str(LARGEST_PAGE))
    head += _element("IsTruncated", "true" if page.last else "false")
    folders = "".join(
        f"<CommonPrefixes>{_element('Prefix', write(folder))}</CommonPrefixes>" for folder in page.prefixes
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{NAMESPACE}">{head}{content}{folders}</{name}>'


def _object(key: FakeKey, write: Callable[[str], str], *, owner: bool) -> str:
    return f"<Contents><Key>{write(key.name)}</Key>{_facts(key)}{OWNERS if owner else ''}</Contents>"


def _version(one: Any, write: Callable[[str], str], *, latest: bool) -> str:
    kind = "Version" if isinstance(one, FakeKey) else "DeleteMarker"
    facts = _facts(one) if isinstance(one, FakeKey) else _element("LastModified", _at(one))
    return (
        f"<{kind}><Key>{write(one.name)}</Key><VersionId>{one.version_id}</VersionId>"
        f"<IsLatest>{'true' if latest else 'false'}</IsLatest>{facts}{OWNERS}</{kind}>"
    )


def _facts(key: FakeKey) -> str:
    sums = ""
    if key.checksum_algorithm and key.checksum_value:
        sums = _element("ChecksumAlgorithm", key.checksum_algorithm)
        sums += _element("ChecksumType", key.checksum_type or "FULL_OBJECT")
    return (
        f"<LastModified>{_at(key)}</LastModified><ETag>{escape(key.etag, {chr(34): '&quot;'})}</ETag>{sums}"
        f"<Size>{key.size}</Size><StorageClass>{key.storage_class}</StorageClass>"
    )


def _at(one: Any) -> str:
    """S3 keeps whole seconds."""
    return str(one.last_modified.strftime("%Y-%m-%dT%H:%M:%S.000Z"))


def _element(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>"


def _writer(query: Mapping[str, str]) -> Callable[[str], str]:
    """How keys are written: as URLs where the client asks for it, since XML cannot hold every character."""
    if query.get("encoding-type") == "url":
        return lambda text: quote(text, safe="/-_.~*")
    return lambda text: escape(text, CONTROLS)


def _keys(bucket: FakeBucket) -> SortedKeys:
    keys: Any = bucket.keys
    return keys  # type: ignore[no-any-return] # the backend makes no bucket with others


def _sealed(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _unsealed(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise Refused("InvalidArgument", "The continuation token provided is incorrect") from None
