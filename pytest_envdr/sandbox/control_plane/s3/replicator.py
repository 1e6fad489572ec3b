"""Carries replication out: each version is copied after a while, and says how that went."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from moto.iam.models import iam_backends
from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends

from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused

if TYPE_CHECKING:
    from moto.s3.models import FakeBucket

    from pytest_envdr.sandbox.control_plane.s3.backend import SandboxS3
    from pytest_envdr.sandbox.control_plane.s3.replication import Configuration, Rule
    from pytest_envdr.sandbox.world import World

SECONDS = 60.0
"""AWS seconds that a version takes; most take less than 15 minutes."""
SHORTEST_SECONDS = 0.3
"""... but never fewer wall seconds than these: tags and metadata are put on a moment after the bytes."""
PENDING, COMPLETED, FAILED, REPLICA = "PENDING", "COMPLETED", "FAILED", "REPLICA"
CARRIED = (
    "acl",
    "last_modified",
    "website_redirect_location",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
    "part_sizes",
)
"""What a copy has of its original beside bytes, metadata and tags."""


@dataclass(frozen=True)
class _Copy:
    """A version on its way, by the rules that were in force when it was written."""

    bucket: FakeBucket
    name: str
    version: FakeKey | FakeDeleteMarker
    role: str
    rules: list[Rule]
    begin: float = field(default_factory=time.monotonic)


class Replicator:
    """The versions of one account that are to be replicated."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._copies: list[_Copy] = []

    def begin(self, bucket: FakeBucket, name: str, version: FakeKey | FakeDeleteMarker) -> None:
        """Note what was written just now, where the bucket's configuration wants it. With moto's lock held."""
        configuration: Any = getattr(bucket, "replication", None)
        if not configuration or bucket.account_id != self._world.account:
            return
        marker = isinstance(version, FakeDeleteMarker)
        rules = [rule for rule in configuration.fitting(name) if rule.markers or not marker]
        if rules:
            if not any(rule.tags for rule in rules):
                _say(version, PENDING)
            self._copies.append(_Copy(bucket, name, version, configuration.role, rules))

    def step(self) -> None:
        """Copy what has taken its time; what a Region that is cut off has to do with waits."""
        seconds, now = max(self._world.scaled(SECONDS), SHORTEST_SECONDS), time.monotonic()
        for copy in list(self._copies):
            if now - copy.begin < seconds:
                return  # the others are newer
            with backend_lock:
                if not self._waits(copy):
                    self._copies.remove(copy)
                    self._replicate(copy)

    def check(self, bucket: FakeBucket, configuration: Configuration) -> None:
        """Whether a configuration can be in force.

        Raises:
            Refused: InvalidRequest: a bucket is not there, or not versioned.
            NotImplementedError: a destination is another account's.
        """
        if not bucket.is_versioned:
            raise Refused(
                "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
            )
        for rule in configuration.rules:
            if rule.account not in {None, self._world.account}:
                raise NotImplementedError("replication to another account")
            destination = self._bucket(rule.destination)
            if destination is None or destination is bucket:
                raise Refused("InvalidRequest", "Destination bucket must exist.")
            if not destination.is_versioned:
                raise Refused("InvalidRequest", "Destination bucket must have versioning enabled.")

    def _waits(self, copy: _Copy) -> bool:
        places = [copy.bucket, *(self._bucket(rule.destination) for rule in copy.rules)]
        worlds = [self._world.regions.get(place.region_name) for place in places if place is not None]
        return any(world.cut_off for world in worlds if world is not None)

    def _replicate(self, copy: _Copy) -> None:
        if copy.version not in copy.bucket.keys.getlist(copy.name, []):
            return  # deleted since
        done: set[str] = set()
        outcomes: list[bool] = []
        for rule in copy.rules:
            if rule.destination not in done and self._wants(rule, copy.version):
                done.add(rule.destination)
                outcomes.append(self._write(copy, rule))
        if outcomes:
            _say(copy.version, COMPLETED if all(outcomes) else FAILED)

    def _wants(self, rule: Rule, version: FakeKey | FakeDeleteMarker) -> bool:
        if isinstance(version, FakeDeleteMarker):
            return True
        tags = self._s3.tagger.get_tag_dict_for_resource(version.arn)
        encrypted = str(version.encryption or "").startswith("aws:kms")
        return rule.tags.items() <= tags.items() and (rule.encrypted or not encrypted)

    def _write(self, copy: _Copy, rule: Rule) -> bool:
        """Whether the version is in the destination now."""
        destination = self._bucket(rule.destination)
        roles = iam_backends[self._world.account]["aws"].roles.values()
        if destination is None or not destination.is_versioned or not any(role.arn == copy.role for role in roles):
            return False
        if isinstance(copy.version, FakeDeleteMarker):
            self._s3.mark_deleted(destination, copy.name, version_id=copy.version.version_id)
            return True
        made = self._s3.put_object(
            destination.name,
            copy.name,
            copy.version.value,
            storage=rule.storage_class or copy.version.storage_class,
            etag=copy.version._etag,
            disable_notification=True,
            replica_of=copy.version.version_id,
        )
        made.set_metadata(dict(copy.version.metadata), replace=True)
        self._s3.tagger.copy_tags(copy.version.arn, made.arn)
        for name in CARRIED:
            if hasattr(copy.version, name):
                setattr(made, name, getattr(copy.version, name))
        _say(made, REPLICA)
        return True

    def _bucket(self, name: str) -> FakeBucket | None:
        return self._s3.buckets.get(name)

    @property
    def _s3(self) -> SandboxS3:
        return cast("SandboxS3", s3_backends[self._world.account]["aws"])


def status(version: FakeKey) -> str | None:
    """A version's ReplicationStatus; None where no rule was for it."""
    return getattr(version, "replication_status", None)


def _say(version: FakeKey | FakeDeleteMarker, word: str) -> None:
    version.replication_status = word  # type: ignore[union-attr] # moto's objects keep what is set on them
