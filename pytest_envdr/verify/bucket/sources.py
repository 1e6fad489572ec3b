"""What can be compared: a bucket as it is, or as it was at an instant; and what is known of each object."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pytest_envdr.aws import Aws, s3
from pytest_envdr.errors import AwsError
from pytest_envdr.stack import Stack

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

Depth = Literal["listing", "attributes", "bytes"]

REFUSALS = {"400", "403", "404", "405", "412", "AccessDenied", "InvalidObjectState", "InvalidRequest"}
REFUSALS |= {"MethodNotAllowed", "NoSuchKey", "NoSuchVersion", "PreconditionFailed", "FlexibleChecksumError"}
"""Codes that say something about one object. All others (throttling that outlasted its retries, an error of S3's own)
say something about the comparison, and end it."""

OPENED: dict[str, Aws] = {}
"""The account as this process reaches it, when a source came here from another process; by stack."""


class Unreadable(Exception):
    """One object cannot be read; says why. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of an inventory. `versions` counts its versions and delete markers, None where they were not listed."""

    key: str
    size: int
    etag: str
    storage_class: str
    version_id: str | None = None
    versions: int | None = None


@dataclass(frozen=True)
class Attributes:
    """What is stored with an object.

    Attributes:
        size, etag: as HeadObject gives them.
        md5: whether the ETag is the MD5 of the content: not uploaded in parts, and no key of KMS or the customer.
        checksums: algorithm to value; `full`: of the whole object, not of the checksums of its parts.
        facts: kind of difference to names and values: {"tags": {"team": "blue"}}. What was not asked is not in it.
        unread: kind to why it could not be read.
        sha256: of the content, in hexadecimal, where it was read.
    """

    size: int
    etag: str
    md5: bool
    checksums: Mapping[str, str]
    full: bool
    facts: Mapping[str, Mapping[str, str]]
    unread: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None


class Source(Protocol):
    """Two of these are compared. `requests` counts what each call asked of S3, retries aside."""

    def check(self, requests: Counter[str]) -> None:
        """See that it is there and can be read; raises `AwsError` or `UsageError`."""

    def uses_acls(self, requests: Counter[str]) -> bool:
        """Whether its objects may have ACLs of their own."""

    def with_acls(self) -> Source:
        """The same, its objects' ACLs asked for."""

    def pages(self, requests: Counter[str]) -> Iterator[list[Entry]]:
        """The objects in the order of their keys."""

    def attributes(self, entry: Entry, requests: Counter[str], trusted: set[str] | None) -> Attributes:
        """All that is stored with an object; raises `Unreadable`. `trusted` is a memory of one unit of work;
        None: only what tells of the content is wanted."""

    def digest(self, entry: Entry, requests: Counter[str]) -> str | None:
        """The SHA-256 of an object's bytes, None where it cannot be known; raises `Unreadable`."""

    def absence(self, key: str, requests: Counter[str]) -> str:
        """What is there instead of an object that is not listed."""


@dataclass(frozen=True)
class Bucket:
    """A bucket. It can be sent to another process (the calls made there are told to no `on_call`).

    Attributes:
        aws: the account; the bucket must be its own.
        name: the bucket's.
        at: aware UTC: the versions that were current then, to the second (see `pytest_envdr.aws.s3`); None: those that
            are now. What is stored with a version and can be changed later (tags, ACL, locks) is as it is now.
        history: whether to list the versions, so that their number is compared; needs both sources to know it.
        prefix: the keys that begin so, and no others.
        acls: whether to ask for each object's ACL. `compare` and `save` do so where a bucket's ownership is not
            BucketOwnerEnforced, which since April 2023 is the default.
    """

    aws: Aws
    name: str
    at: datetime | None = None
    history: bool = False
    prefix: str = ""
    acls: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """As data: an account's clients cannot be sent to another process."""
        stack = self.aws.stack.model_dump_json()
        return _opened, (stack, self.name, self.at, self.history, self.prefix, self.acls)

    def check(self, requests: Counter[str]) -> None:
        """See that the bucket is there and belongs to the stack's account."""
        self.aws.client("s3")  # made here, once: making clients is not safe in threads, using them is
        requests["HeadBucket"] += 1
        s3.check_bucket(self.aws, self.name)

    def uses_acls(self, requests: Counter[str]) -> bool:
        """Whether its ownership lets ACLs count; yes where that may not be read."""
        requests["GetBucketOwnershipControls"] += 1
        try:
            controls = s3.configuration(self.aws, self.name, "ownership") or {}
        except AwsError:
            return True
        return not any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in controls.get("Rules", []))

    def with_acls(self) -> Bucket:
        """The same, its objects' ACLs asked for."""
        return replace(self, acls=True)

    def pages(self, requests: Counter[str]) -> Iterator[list[Entry]]:
        """The current objects, or those of the instant."""
        if self.at is None and not self.history:
            for page in s3.object_pages(self.aws, self.name, prefix=self.prefix):
                requests["ListObjectsV2"] += 1
                yield [Entry(one.key, one.size, one.etag, one.storage_class) for one in page]
            return
        yield from self._versions(requests)

    def _versions(self, requests: Counter[str]) -> Iterator[list[Entry]]:
        """From the versions; those of one key may be spread over pages, so the last key of a page waits."""
        waiting: list[s3.Version] = []
        for page in s3.version_pages(self.aws, self.name, prefix=self.prefix):
            requests["ListObjectVersions"] += 1
            groups = [list(group) for _, group in groupby([*waiting, *page], key=lambda version: version.key)]
            waiting = groups.pop() if groups else []
            yield [entry for group in groups if (entry := self._current(group))]
        yield [entry for group in [waiting] if group and (entry := self._current(group))]

    def _current(self, versions: list[s3.Version]) -> Entry | None:
        """Of a key's versions, the newest first, the one that was current; None for a delete marker or none at all."""
        then = [one for one in versions if self.at is None or one.last_modified <= self.at]
        if not then or then[0].delete_marker:
            return None
        one = then[0]
        count = len(then) if self.history else None
        return Entry(one.key, one.size, one.etag, one.storage_class, one.version_id, count)

    def attributes(self, entry: Entry, requests: Counter[str], trusted: set[str] | None) -> Attributes:
        """HeadObject; the tags where it counts any, the ACL where there are ACLs.

        A count of no tags may mean that the caller may not read them. So the tags of the first such object of each
        unit of work are asked for, and the count is believed for the others once that was allowed.
        """
        with _refusals():
            requests["HeadObject"] += 1
            head = s3.head(self.aws, self.name, entry.key, version_id=entry.version_id)
        facts, unread = _facts(head), dict[str, str]()
        if trusted is not None:
            asked: dict[str, Callable[[], dict[str, str]]] = {"tags": dict}
            if head.tags or "tags" not in trusted:
                asked["tags"] = partial(self._tags, entry, requests, trusted)
            if self.acls:
                asked["acl"] = partial(self._acl, entry, requests)
            _ask(asked, facts, unread)
        md5 = "-" not in head.etag and head.encryption in ("", "AES256") and not head.encryption_key
        full = head.checksum_type == "FULL_OBJECT"
        return Attributes(head.size, head.etag, md5, head.checksums, full, facts, unread)

    def _tags(self, entry: Entry, requests: Counter[str], trusted: set[str]) -> dict[str, str]:
        with _refusals():
            requests["GetObjectTagging"] += 1
            tags = s3.tags(self.aws, self.name, entry.key, version_id=entry.version_id)
        trusted.add("tags")
        return tags

    def _acl(self, entry: Entry, requests: Counter[str]) -> dict[str, str]:
        with _refusals():
            requests["GetObjectAcl"] += 1
            return acl(s3.grants(self.aws, self.name, entry.key, version_id=entry.version_id))

    def digest(self, entry: Entry, requests: Counter[str]) -> str | None:
        """Of the bytes as they come."""
        digest = hashlib.sha256()
        with _refusals():
            requests["GetObject"] += 1
            for piece in s3.contents(self.aws, self.name, entry.key, version_id=entry.version_id):
                digest.update(piece)
        return digest.hexdigest()

    def absence(self, key: str, requests: Counter[str]) -> str:
        """A delete marker, or nothing at all."""
        if self.at is not None:
            return ""
        requests["HeadObject"] += 1
        return "a delete marker" if s3.delete_marker(self.aws, self.name, key) else ""


def _opened(stack: str, *arguments: Any) -> Bucket:
    if stack not in OPENED:
        OPENED[stack] = Aws(Stack.model_validate_json(stack))
        OPENED[stack].client("s3")
    return Bucket(OPENED[stack], *arguments)


def _ask(
    asked: Mapping[str, Callable[[], dict[str, str]]], facts: dict[str, Mapping[str, str]], unread: dict[str, str]
) -> None:
    for kind, ask in asked.items():
        try:
            facts[kind] = ask()
        except Unreadable as error:
            unread[kind] = str(error)


class _refusals:  # noqa: N801 (reads as a statement: `with _refusals():`)
    """S3's refusal of one object as `Unreadable`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, AwsError) and (error.code in REFUSALS or error.code.startswith("KMS.")):
            raise Unreadable(f"S3 refuses it: {error.code}") from error


def acl(grants: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Grants as names and values: who is granted what."""
    found: dict[str, list[str]] = {}
    for grant in grants:
        grantee = grant.get("Grantee", {})
        who = grantee.get("URI") or grantee.get("ID") or grantee.get("EmailAddress") or json.dumps(grantee)
        found.setdefault(str(who), []).append(str(grant.get("Permission")))
    return {who: ", ".join(sorted(permissions)) for who, permissions in found.items()}


def _facts(head: s3.Head) -> dict[str, Mapping[str, str]]:
    """What differs by itself, by the kind of difference that it makes. AES256 is what S3 does where nobody asks."""
    encryption = {"algorithm": head.encryption or "AES256", "key": head.encryption_key}
    if head.bucket_key:
        encryption["bucket key"] = "enabled"
    retention = {name: value for name, value in head.lock.items() if name != "ObjectLockLegalHoldStatus"}
    hold = {"": value} if (value := head.lock.get("ObjectLockLegalHoldStatus", "OFF")) != "OFF" else {}
    return {
        "metadata": {**head.headers, **{f"x-amz-meta-{name}": value for name, value in head.metadata.items()}},
        "encryption": {name: value for name, value in encryption.items() if value},
        "retention": retention,
        "legal-hold": hold,
    }
