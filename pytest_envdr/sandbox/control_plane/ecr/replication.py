"""Replication: what is pushed to a registry after it was configured, copied to registries of other Regions.

Source: ECR user guide, "Private image replication": only images that are pushed from then on, under the same digest and
tags; a repository that is not there is made, with default settings; nothing is deleted with its original, and what was
replicated is not replicated further.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from moto.core.exceptions import ServiceException
from moto.ecr.models import ecr_backends

from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.ecr.backend import SandboxEcr
    from pytest_envdr.sandbox.world import World

SECONDS = 60.0
"""AWS seconds that an image takes; "most replicate in less than 30 minutes"."""
IN_PROGRESS, COMPLETE, FAILED = "IN_PROGRESS", "COMPLETE", "FAILED"


@dataclass
class Copy:
    """An image, under one of its tags, on its way to a Region."""

    repository: str
    digest: str
    manifest: str
    tag: str | None
    region: str
    begin: float
    status: str = IN_PROGRESS
    failure: str | None = None


def begin(backend: SandboxEcr, repository: str, digest: str, manifest: str, tag: str | None) -> None:
    """Note what was pushed just now for every destination that wants it."""
    now = time.monotonic()
    for rule in backend.replication_config["rules"]:
        filters = [each["filter"] for each in rule.get("repositoryFilters") or []]
        if not filters or any(repository.startswith(prefix) for prefix in filters):
            backend.copies += [
                Copy(repository, digest, manifest, tag, destination["region"], now)
                for destination in rule["destinations"]
            ]


def check(backend: SandboxEcr, configuration: dict[str, Any]) -> None:
    """Raise NotImplementedError for a destination in another account."""
    destinations = [each for rule in configuration["rules"] for each in rule["destinations"]]
    if any(each["registryId"] != backend.account_id for each in destinations):
        raise NotImplementedError("replication to another account")


def statuses(backend: SandboxEcr, repository: str, digest: str) -> list[dict[str, Any]]:
    """How far an image is, by Region: the last of its copies there says it."""
    found: dict[str, dict[str, Any]] = {}
    for copy in backend.copies:
        if (copy.repository, copy.digest) == (repository, digest):
            row = {"region": copy.region, "registryId": backend.account_id, "status": copy.status}
            found[copy.region] = row | ({"failureCode": copy.failure} if copy.failure else {})
    return list(found.values())


class EcrController:
    """Carries copies out. Else nothing moves by itself here; lifecycle policies are kept, not carried out."""

    def __init__(self, world: World, backend: SandboxEcr) -> None:
        self._world, self._backend = world, backend

    def step(self) -> None:
        """Complete what has taken its time."""
        now = time.monotonic()
        with backend_lock:
            for copy in self._backend.copies:
                if copy.status == IN_PROGRESS and now - copy.begin >= self._world.taken(SECONDS):
                    self._complete(copy)

    def close(self) -> None:
        """Nothing to stop."""

    def _complete(self, copy: Copy) -> None:
        destination = cast("SandboxEcr", ecr_backends[self._backend.account_id][copy.region])
        try:
            destination.receive(copy.repository, copy.manifest, copy.tag)
            copy.status = COMPLETE
        except ServiceException as error:
            copy.status, copy.failure = FAILED, error.code
