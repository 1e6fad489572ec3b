"""Replication: what a bucket's configuration says, and who does what it says.

Source: S3 user guide, "Replicating objects": only what is written after the rule is replicated, later, under the same
version id, with metadata, tags and ACL; delete markers only where the rule says so; the deletion of a version never,
nor what was replicated itself. Both buckets are versioned. HeadObject says PENDING, COMPLETED or FAILED of the source,
and REPLICA of the copy.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pytest_envdr.sandbox.control_plane.s3.bodies import parsed, text
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

ENABLED = "Enabled"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        prefix, tags: what an object must have.
        markers: whether delete markers are replicated.
        encrypted: whether what KMS encrypts is.
        destination: the bucket's name.
        account: its owner, where the rule names one.
        storage_class: of the copies; None for the originals'.
    """

    priority: int
    enabled: bool
    prefix: str
    tags: Mapping[str, str]
    markers: bool
    encrypted: bool
    destination: str
    account: str | None
    storage_class: str | None


@dataclass(frozen=True)
class Configuration:
    """A bucket's configuration: `shown` is its XML, completed."""

    role: str
    rules: tuple[Rule, ...]
    shown: str

    def fitting(self, name: str) -> list[Rule]:
        """The enabled rules for a key, whatever its tags: of each destination's the most important first."""
        rules = [rule for rule in self.rules if rule.enabled and name.startswith(rule.prefix)]
        return sorted(rules, key=lambda rule: rule.priority, reverse=True)


def read(body: bytes) -> Configuration:
    """PutBucketReplication's body.

    Raises:
        MalformedXML: it is no XML.
        Refused: InvalidRequest, MalformedXML.
    """
    root = parsed(body)
    elements = root.findall("Rule")
    if not elements:
        raise _malformed()
    for element in elements:
        if not text(element, "ID"):
            old = element.find("ID")
            if old is not None:
                element.remove(old)
            made = ElementTree.Element("ID")
            made.text = secrets.token_hex(15)
            element.insert(0, made)
    rules = tuple(_rule(element) for element in elements)
    root.set("xmlns", NAMESPACE)
    return Configuration(text(root, "Role") or "", rules, ElementTree.tostring(root, encoding="unicode"))


def _rule(element: Element) -> Rule:
    arn = text(element, "Destination/Bucket") or ""
    if not arn.startswith("arn:aws:s3:::"):
        raise _malformed()
    of_old = element.find("Filter") is None
    markers = text(element, "DeleteMarkerReplication/Status")
    if not of_old and markers is None:
        raise Refused(
            "InvalidRequest",
            "DeleteMarkerReplication must be specified for this version of Cross Region Replication configuration "
            "schema. Please refer to S3 Developer Guide for more information.",
        )
    tags = {
        text(tag, "Key") or "": text(tag, "Value") or ""
        for path in ("Filter/Tag", "Filter/And/Tag")
        for tag in element.findall(path)
    }
    if tags and markers == ENABLED:
        raise Refused("InvalidRequest", "Delete marker replication is not supported if any Tag filter is specified.")
    prefix = text(element, "Filter/And/Prefix") or text(element, "Filter/Prefix") or text(element, "Prefix") or ""
    return Rule(
        priority=int(text(element, "Priority") or 0),
        enabled=text(element, "Status") == ENABLED,
        prefix=prefix,
        tags=tags,
        # A rule of the first schema, without Filter, replicates them.
        markers=of_old or markers == ENABLED,
        encrypted=text(element, "SourceSelectionCriteria/SseKmsEncryptedObjects/Status") == ENABLED,
        destination=arn.removeprefix("arn:aws:s3:::"),
        account=text(element, "Destination/Account"),
        storage_class=text(element, "Destination/StorageClass"),
    )


def _malformed() -> Refused:
    return Refused(
        "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
    )
