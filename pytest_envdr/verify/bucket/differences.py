"""What a comparison of buckets finds: one difference, in a form for people and for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    # of an object
    "missing",
    "extra",
    "size",
    "content",
    "metadata",
    "tags",
    "storage-class",
    "encryption",
    "acl",
    "retention",
    "legal-hold",
    "versions",
    "unreadable",
    "unverified",
    # of the bucket itself, which shares tags, encryption, acl and unreadable
    "versioning",
    "policy",
    "public-access-block",
    "ownership",
    "lifecycle",
    "notification",
    "cors",
    "replication",
    "logging",
    "object-lock",
    "website",
    "intelligent-tiering",
    "acceleration",
    "requester-pays",
]
"""What differs.

`metadata` is the user's own (`name` "x-amz-meta-...") and the headers stored with an object ("Content-Type").
`versions` is how many versions and delete markers a key has. `unreadable`: S3 refused to tell. `unverified`: nothing
that both sources know says whether the contents are equal.
"""

SENTENCES: dict[str, str] = {
    "missing": "{at} is missing: expected {expected}, found {actual}",
    "extra": "{at} is there and should not be: {actual}",
    "unreadable": "{at}: {name} cannot be read: expected {expected}, found {actual}",
    "unverified": "{at}: its content could not be compared: expected {expected}, found {actual}",
}
OTHERWISE = "{at}: {kind} is {actual}, expected {expected}"
NAMED = "{at}: {kind} {name} is {actual}, expected {expected}"


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as expected.

    Attributes:
        key: the object's; "" where it is about the bucket itself (no object has an empty key).
        kind: see `Kind`.
        name: what within the kind: a header, a metadata entry, a tag; what cannot be read. "" where there is but one.
        expected, actual: what was there and what is, as text; "" for nothing. Of contents, what tells them apart.
    """

    key: str
    kind: Kind
    name: str = ""
    expected: str = ""
    actual: str = ""

    def __str__(self) -> str:
        """One plain sentence, on one line whatever the key."""
        at = f"Object {json.dumps(self.key, ensure_ascii=False)}" if self.key else "The bucket"
        sentence = SENTENCES.get(self.kind, NAMED if self.name else OTHERWISE)
        expected, actual = self.expected or "nothing", self.actual or "nothing"
        return f"{sentence.format(at=at, kind=self.kind, name=self.name, expected=expected, actual=actual)}."
