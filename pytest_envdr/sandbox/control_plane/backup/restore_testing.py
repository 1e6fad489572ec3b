"""Restore testing plans: what they are, and which recovery points they take.

Source: AWS Backup developer guide, "Restore testing": one recovery point of each protected resource is restored under a
generated name; it is kept until a validation result comes or the validation window ends, and then deleted.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from pytest_envdr.sandbox.control_plane.backup.errors import (
    AlreadyExistsException,
    InvalidParameterValueException,
    InvalidRequestException,
    ResourceNotFoundException,
)
from pytest_envdr.sandbox.control_plane.backup.jobs import new_id, present
from pytest_envdr.sandbox.control_plane.backup.schedule import Clock, schedule_of
from pytest_envdr.sandbox.control_plane.backup.selection import check_role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint

NAME: Final = re.compile(r"\w{1,50}", re.ASCII)
WINDOW_DAYS: Final = 30
LONGEST_VALIDATION: Final = 168
LATEST: Final = "LATEST_WITHIN_WINDOW"
ALGORITHMS: Final = frozenset({LATEST, "RANDOM_WITHIN_WINDOW"})


@dataclass
class TestingSelection:
    """What of a plan is restored, and how; `document` is the request's `RestoreTestingSelection`."""

    plan: str
    document: dict[str, Any]
    created: datetime

    @property
    def name(self) -> str:
        return str(self.document["RestoreTestingSelectionName"])

    @property
    def validation_hours(self) -> int:
        return int(self.document.get("ValidationWindowHours") or 0)

    def shown(self) -> dict[str, Any]:
        return {**self.document, "CreationTime": self.created, "RestoreTestingPlanName": self.plan}

    def takes(self, resource: str, tags: Mapping[str, str]) -> bool:
        """Whether a resource of its type is protected by it."""
        named = self.document.get("ProtectedResourceArns") or ["*"]
        conditions = self.document.get("ProtectedResourceConditions") or {}
        return (
            any(fnmatchcase(resource, pattern) for pattern in named)
            and all(_tag(tags, one["Key"]) == one["Value"] for one in conditions.get("StringEquals") or [])
            and all(_tag(tags, one["Key"]) != one["Value"] for one in conditions.get("StringNotEquals") or [])
        )


@dataclass
class TestingPlan:
    """A restore testing plan; `document` is the request's `RestoreTestingPlan`."""

    document: dict[str, Any]
    arn: str
    created: datetime
    clock: Clock
    request: str | None = None
    updated: datetime | None = None
    ran: datetime | None = None
    selections: dict[str, TestingSelection] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.document["RestoreTestingPlanName"])

    def shown(self) -> dict[str, Any]:
        return present(
            {
                "StartWindowHours": 24,
                "ScheduleExpressionTimezone": "Etc/UTC",
                **self.document,
                "RestoreTestingPlanArn": self.arn,
                "CreationTime": self.created,
                "CreatorRequestId": self.request,
                "LastExecutionTime": self.ran,
                "LastUpdateTime": self.updated,
            }
        )

    def chosen(self, points: Iterable[RecoveryPoint], now: datetime) -> list[RecoveryPoint]:
        """One point of each resource, among those of its vaults and its window; a day is as long as the sandbox's."""
        wanted = self.document["RecoveryPointSelection"]
        days = int(wanted.get("SelectionWindowDays") or WINDOW_DAYS)
        found: dict[str, list[RecoveryPoint]] = {}
        for point in sorted(points, key=lambda point: point.created):
            young = point.created >= now - timedelta(seconds=point.day * days)
            if young and point.status == "COMPLETED" and _in_vaults(point.vault_arn, wanted):
                found.setdefault(point.resource, []).append(point)
        if "SNAPSHOT" not in wanted["RecoveryPointTypes"]:
            return []
        latest = wanted["Algorithm"] == LATEST
        return [ones[-1] if latest else secrets.choice(ones) for ones in found.values()]


def _tag(tags: Mapping[str, str], key: str) -> str | None:
    return tags.get(key.removeprefix("aws:ResourceTag/"))


def _in_vaults(vault: str, wanted: Mapping[str, Any]) -> bool:
    included, excluded = wanted.get("IncludeVaults") or ["*"], wanted.get("ExcludeVaults") or []
    return any(fnmatchcase(vault, one) for one in included) and not any(fnmatchcase(vault, one) for one in excluded)


def create_plan(backend: SandboxBackup, document: dict[str, Any], request: str | None) -> TestingPlan:
    """CreateRestoreTestingPlan."""
    name = document["RestoreTestingPlanName"]
    _check_name(name)
    if name in backend.state.testing:
        raise AlreadyExistsException(f"Restore testing plan {name} already exists.")
    _check_plan(backend, document)
    world, now = backend.placed(), backend.now()
    arn = f"arn:aws:backup:{backend.region_name}:{backend.account_id}:restore-testing-plan:{name}-{new_id()}"
    plan = TestingPlan(document, arn, now, Clock.started(now, world.speed), request)
    backend.state.testing[name] = plan
    return plan


def update_plan(backend: SandboxBackup, name: str, changes: dict[str, Any]) -> TestingPlan:
    """UpdateRestoreTestingPlan."""
    plan = find_plan(backend, name)
    document = plan.document | changes
    _check_plan(backend, document)
    plan.document, plan.updated = document, backend.now()
    plan.clock = Clock.started(plan.updated, backend.placed().speed)
    return plan


def delete_plan(backend: SandboxBackup, name: str) -> None:
    """DeleteRestoreTestingPlan: only after all of its selections."""
    if name not in backend.state.testing or backend.state.testing[name].selections:
        raise InvalidRequestException(f"Restore testing plan {name} does not exist, or has selections.")
    del backend.state.testing[name]


def find_plan(backend: SandboxBackup, name: str) -> TestingPlan:
    """Raises `ResourceNotFoundException`."""
    try:
        return backend.state.testing[name]
    except KeyError:
        raise ResourceNotFoundException(f"Restore testing plan {name} does not exist.") from None


def create_selection(backend: SandboxBackup, plan: str, document: dict[str, Any]) -> TestingSelection:
    """CreateRestoreTestingSelection."""
    found = find_plan(backend, plan)
    made = TestingSelection(plan, document, backend.now())
    _check_name(made.name)
    if made.name in found.selections:
        raise AlreadyExistsException(f"Restore testing selection {made.name} already exists.")
    _check_selection(backend, document)
    found.selections[made.name] = made
    return made


def update_selection(backend: SandboxBackup, plan: str, name: str, changes: dict[str, Any]) -> TestingSelection:
    """UpdateRestoreTestingSelection."""
    selection = find_selection(backend, plan, name)
    document = selection.document | changes
    _check_selection(backend, document)
    selection.document = document
    return selection


def find_selection(backend: SandboxBackup, plan: str, name: str) -> TestingSelection:
    """Raises `ResourceNotFoundException`."""
    try:
        return find_plan(backend, plan).selections[name]
    except KeyError:
        raise ResourceNotFoundException(f"Restore testing selection {name} does not exist.") from None


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidParameterValueException(f"Invalid name {name}: up to 50 letters, digits and underscores.")


def _check_plan(backend: SandboxBackup, document: dict[str, Any]) -> None:
    schedule_of(document["ScheduleExpression"], document.get("ScheduleExpressionTimezone"), backend.now())
    wanted = document["RecoveryPointSelection"]
    for needed in ("Algorithm", "IncludeVaults", "RecoveryPointTypes"):
        if not wanted.get(needed):
            raise InvalidParameterValueException(f"RecoveryPointSelection needs {needed}.")
    if wanted["Algorithm"] not in ALGORITHMS:
        raise InvalidParameterValueException(f"Invalid Algorithm: {wanted['Algorithm']}")


def _check_selection(backend: SandboxBackup, document: dict[str, Any]) -> None:
    if document["ProtectedResourceType"] not in backend.kinds:
        raise InvalidParameterValueException(f"Unsupported resource type: {document['ProtectedResourceType']}")
    if not 0 <= int(document.get("ValidationWindowHours") or 0) <= LONGEST_VALIDATION:
        raise InvalidParameterValueException(f"ValidationWindowHours must be from 0 to {LONGEST_VALIDATION}.")
    check_role(document["IamRoleArn"], exists=backend.role_exists)
