"""Where a drill loses a state: on a copy under a key of its own, or on the stack's own key.

The copy lies beside the real one in the same bucket, with its newest versions in their order and, where the stack has a
lock table, a digest of its own. Everything of it is under one prefix, and goes with that.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from pytest_envdr.aws import dynamodb, s3_acts, s3_states
from pytest_envdr.errors import AwsError, Refused, TerraformFailed
from pytest_envdr.settings import host, user
from pytest_envdr.terraform import state_of
from pytest_envdr.verify.state import Candidate, Lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.s3 import Version
    from pytest_envdr.drills import Drill
    from pytest_envdr.journal import Journal
    from pytest_envdr.tables import Terraform as Row

Where = Literal["copy", "original"]
COPIED = 10
"""How many of the newest versions the copy has."""
LOOKED_AT = 100
"""How many of the newest versions are looked at for one to restore."""
TAKEN = ("PreconditionFailed", "ConditionalCheckFailedException")
"""AWS's codes for a lock that somebody else holds."""


@dataclass(frozen=True)
class Place:
    """A state that a drill may lose.

    Attributes:
        row: how Terraform finds it.
        own: whether it is a copy of the drill's own.
        written: when each version of a copy was written that it is a copy of, by the copy's id.
    """

    row: Row
    own: bool
    written: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Bucket and key: what the lock table knows it by."""
        return f"{self.row.bucket}/{self.row.object_key}"


def beside(drill: Drill, row: Row) -> Row:
    """Where a copy of a state is to be: under a prefix of the drill's own."""
    prefix = f"{s3_states.OWN_PREFIX}{drill.exercise_id[:48]}-{uuid4().hex[:6]}/"
    return row.model_copy(update={"key": f"{prefix}{row.key}", "workspace_prefix": f"{prefix}{row.workspace_prefix}"})


def own_prefix(own: Row) -> str:
    """What all keys of a copy begin with, and no other."""
    return "/".join(own.object_key.split("/")[:2]) + "/"


def copied(aws: Aws, journal: Journal, drill: Drill, own: Row, versions: Sequence[Version], digest: str) -> Place:
    """A copy of a state, under a key of the drill's own; undone, nothing of it is left.

    Args:
        aws, journal, drill: as everywhere.
        own: from `beside`.
        versions: those of the state's object, the newest first.
        digest: what the lock table has for it; "" for nothing.
    """
    newest = [version for version in versions if not version.delete_marker][:COPIED]
    if own.locked_by_table:
        dynamodb.own_digest(aws, journal, own.lock_table, f"{own.bucket}/{own.object_key}", digest)
    made = s3_states.copy_versions(aws, journal, own.bucket, newest, to=own.object_key, prefix=own_prefix(own))
    times = {version.version_id: version.last_modified for version in newest}
    drill.note(f"the drill works on a copy, {own.object_key!r}, of the {len(made)} newest versions")
    return Place(own, own=True, written={copy: times[source] for copy, source in made.items()})


def ids(aws: Aws, place: Place) -> list[str]:
    """The ids of all versions and markers of the state's object."""
    return [version.version_id for version in s3_states.versions_of(aws, place.row.bucket, place.row.object_key)]


def candidates(aws: Aws, place: Place) -> list[Candidate]:
    """Every version of the state's object, the newest first, with what it holds."""
    versions = s3_states.versions_of(aws, place.row.bucket, place.row.object_key)[:LOOKED_AT]
    aws.client("s3")  # boto3 makes clients one at a time only
    with ThreadPoolExecutor(s3_acts.WORKERS, thread_name_prefix="states") as pool:
        return list(pool.map(lambda version: _candidate(aws, place, version), versions))


def _candidate(aws: Aws, place: Place, version: Version) -> Candidate:
    at = place.written.get(version.version_id, version.last_modified)
    if version.delete_marker:
        return Candidate(version.version_id, at, why="it is a delete marker")
    try:
        body = s3_states.body(aws, place.row.bucket, version.key, version_id=version.version_id)
        return Candidate(version.version_id, at, state_of(body))
    except (AwsError, TerraformFailed) as error:
        return Candidate(version.version_id, at, why=str(error).partition("\n")[0])


def lock(aws: Aws, place: Place) -> Lock | None:
    """Who holds the state; None where nobody does, or where it is not locked at all."""
    row = place.row
    found = s3_states.lock(aws, row.bucket, row.lock_key) if row.locked_by_file else None
    if found is None and row.locked_by_table:
        found = dynamodb.lock(aws, row.lock_table, place.path)
    return None if found is None else Lock.parse(found)


def take_lock(aws: Aws, journal: Journal, place: Place, *, operation: str) -> Lock:
    """Hold the state as Terraform does: file and item, where it has both, with one id. Undone, it is released, if it
    is this lock still.

    Raises:
        Refused: somebody holds it, or the stack's state is not locked at all.
        AwsError: it could not be taken otherwise.
    """
    row = place.row
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    held = Lock(str(uuid4()), operation, f"{user()}@{host()}", since, place.path, version="envdr")
    if row.lock == "none":
        raise Refused(f"The state {place.path} is not locked: nobody could be kept from it.")
    try:
        if row.locked_by_file:
            known = s3_states.versions_of(aws, row.bucket, row.lock_key)
            before = [version.version_id for version in known]
            s3_states.take_lock(aws, journal, row.bucket, row.lock_key, held.text(), before=before)
        if row.locked_by_table:
            dynamodb.take_lock(aws, journal, row.lock_table, place.path, held.text(), id=held.id)
    except AwsError as error:
        if error.code in TAKEN:
            raise Refused(f"The state {place.path} is locked: {lock(aws, place)}.") from error
        raise
    return held
