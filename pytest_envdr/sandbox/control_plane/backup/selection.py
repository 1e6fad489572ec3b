"""Which resources a plan backs up.

Source: CreateBackupSelection. Resources and NotResources are ARNs or patterns; ListOfTags joins its conditions by OR,
Conditions by AND.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException, JobFailed
from pytest_envdr.sandbox.control_plane.backup.jobs import new_id, present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.resources import Kind

WILD = ("*", "?")
TAG = "aws:ResourceTag/"
OPERATORS: dict[str, Callable[[str | None, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringNotEquals": lambda value, wanted: value != wanted,
    "StringLike": lambda value, wanted: value is not None and fnmatchcase(value, wanted),
    "StringNotLike": lambda value, wanted: value is None or not fnmatchcase(value, wanted),
}


@dataclass
class Selection:
    """A backup selection: `document` is the request's `BackupSelection`."""

    plan: str
    document: dict[str, Any]
    created: datetime
    request: str | None = None
    identifier: str = field(default_factory=new_id)

    @property
    def role(self) -> str:
        return str(self.document["IamRoleArn"])

    def listed(self) -> dict[str, Any]:
        return present(
            {
                "SelectionId": self.identifier,
                "SelectionName": self.document["SelectionName"],
                "BackupPlanId": self.plan,
                "CreationDate": self.created,
                "CreatorRequestId": self.request,
                "IamRoleArn": self.role,
            }
        )

    def resources(self, kinds: Iterable[Kind]) -> list[str]:
        """The ARNs selected; one that is named is among them whether it exists or not."""
        wanted = list(self.document.get("Resources") or ["*"])
        existing = {arn: kind for kind in kinds for arn in kind.arns()}
        named = [arn for arn in wanted if not any(sign in arn for sign in WILD)]
        matched = [arn for arn in existing if any(fnmatchcase(arn, pattern) for pattern in wanted)]
        refused = self.document.get("NotResources") or []
        arns = [arn for arn in dict.fromkeys([*named, *matched]) if not any(fnmatchcase(arn, no) for no in refused)]
        if not self._by_tags:
            return arns
        return [arn for arn in arns if arn in existing and self._takes(existing[arn].tags(arn))]

    @property
    def _by_tags(self) -> bool:
        return bool(self.document.get("ListOfTags") or any((self.document.get("Conditions") or {}).values()))

    def _takes(self, tags: Mapping[str, str]) -> bool:
        listed = self.document.get("ListOfTags") or []
        if listed and not any(_tag(tags, one["ConditionKey"]) == one["ConditionValue"] for one in listed):
            return False
        conditions = self.document.get("Conditions") or {}
        return all(
            OPERATORS[operator](_tag(tags, one["ConditionKey"]), one["ConditionValue"])
            for operator, ones in conditions.items()
            for one in ones or []
        )


def _tag(tags: Mapping[str, str], key: str) -> str | None:
    return tags.get(key.removeprefix(TAG))


def check_role(arn: str | None, *, exists: Callable[[str], bool]) -> None:
    """That AWS Backup can assume the role.

    Raises:
        InvalidParameterValueException: it cannot.
    """
    if not arn or not exists(arn):
        raise InvalidParameterValueException(f"IAM Role {arn} cannot be assumed by AWS Backup")


def require_role(arn: str, *, exists: Callable[[str], bool]) -> None:
    """The same, for a job that begins.

    Raises:
        JobFailed: the role has gone since.
    """
    if not exists(arn):
        raise JobFailed(f"IAM Role {arn} cannot be assumed by AWS Backup", "AccessDenied")
