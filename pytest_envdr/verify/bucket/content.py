"""Whether two objects have equal contents, by the cheapest opinion that can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.verify.bucket.sources import Attributes, Entry


def settled_by_listing(expected: Entry, actual: Entry) -> bool:
    """Whether a listing alone says that contents are equal: the same ETag of an upload in one part.

    Different ones prove nothing here: a listing does not say whether an object is encrypted with a key, and then its
    ETag is no MD5 of its content (aws-semantics 3.3). Nor do equal ones of uploads in parts.
    """
    return expected.etag == actual.etag and "-" not in expected.etag and expected.etag != ""


def opinion(expected: Attributes, actual: Attributes) -> bool | None:
    """Whether contents are equal, by SHA-256, checksums and MD5; None where none of them can tell.

    All that can tell are asked, and one that says "different" is believed: a wrong "equal" needs them all to be wrong.
    """
    opinions = (_by_bytes(expected, actual), *_by_checksums(expected, actual), _by_md5(expected, actual))
    told = [one for one in opinions if one is not None]
    return all(told) if told else None


def _by_bytes(expected: Attributes, actual: Attributes) -> bool | None:
    if expected.sha256 is None or actual.sha256 is None:
        return None
    return expected.sha256 == actual.sha256


def _by_checksums(expected: Attributes, actual: Attributes) -> list[bool | None]:
    """Of the algorithms that both have, never a whole object's against one of its parts' checksums.

    Different checksums of parts prove nothing: the same content uploaded in parts of another size has another.
    """
    if expected.full != actual.full:
        return []
    shared = expected.checksums.keys() & actual.checksums.keys()
    equal = [expected.checksums[name] == actual.checksums[name] for name in sorted(shared)]
    return [one if one or expected.full else None for one in equal]


def _by_md5(expected: Attributes, actual: Attributes) -> bool | None:
    return expected.etag == actual.etag if expected.md5 and actual.md5 else None


def words(attributes: Attributes, other: Attributes) -> str:
    """What tells this content from the other: the first of its digests that differs."""
    if attributes.sha256 and other.sha256 and attributes.sha256 != other.sha256:
        return f"SHA-256 {attributes.sha256}"
    if attributes.full and other.full:
        for name, value in sorted(attributes.checksums.items()):
            if other.checksums.get(name, value) != value:
                return f"{name} {value}"
    return f"MD5 {attributes.etag}" if attributes.md5 else f"ETag {attributes.etag}"
