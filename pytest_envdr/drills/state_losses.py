"""What is done to a state, and what Terraform says of it (aws-semantics 7.2).

With a lock file only, a state that is not there is an empty state to Terraform: it plans to create everything once
more, and nobody is told. With a lock table it holds the state's MD5 against the digest in the table, asks again for ten
seconds, and refuses. A state that Terraform itself wrote, a foreign one, has its digest, and is believed by both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from uuid import uuid4

from pytest_envdr.aws import dynamodb, s3_acts, s3_copies, s3_states
from pytest_envdr.drills import Finding
from pytest_envdr.drills.state_places import ids
from pytest_envdr.errors import AwsError, Refused, TerraformFailed
from pytest_envdr.terraform import state_of

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.s3 import Version
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.state_places import Place
    from pytest_envdr.journal import Journal
    from pytest_envdr.terraform import State, Terraform

Loss = Literal["deleted", "truncated", "older", "foreign", "locked"]
"""deleted: a delete marker lies on it. truncated: half of its bytes. older: an earlier version was put back. foreign:
another stack was applied with this key. locked: deleted, and a run that was killed holds the lock."""
MARKED = ("deleted", "locked")
"""Those that a delete marker is put on."""
Said = Literal["nothing", "unreadable", "checksum", "locked", "otherwise"]
"""What Terraform says: nothing (it plans), that it cannot read the state, that its checksum is wrong, that it is
locked, or something else."""

WORDS: tuple[tuple[Said, str], ...] = (
    ("locked", "Error acquiring the state lock"),
    ("locked", "failed to lock s3 state"),
    ("checksum", "does not have the expected content"),
    ("unreadable", "nsupported state file format"),
    ("unreadable", "state snapshot"),
)
"""How Terraform puts it."""
AHEAD = 100
"""How much higher the serial of a foreign state is: whoever goes by the highest serial alone takes it."""


@dataclass(frozen=True)
class Detection:
    """What Terraform said of a loss.

    Attributes:
        said: see `Said`.
        words: its own.
        changes: what it would have done, had it been let.
    """

    said: Said
    words: str
    changes: int = 0

    @property
    def silent(self) -> bool:
        """Whether it would have gone on as if nothing had happened."""
        return self.said == "nothing"


def expected(place: Place, loss: Loss) -> Said:
    """What Terraform ought to say of a loss, by how the stack's state is kept.

    A workspace that it does not find it makes, by writing an empty state under its lock: where the drill holds that,
    it says so instead.
    """
    if loss == "locked" or (loss in MARKED and not place.own and place.row.workspace != "default"):
        return "locked"
    if place.row.locked_by_table:
        return "nothing" if loss == "foreign" else "checksum"
    return "unreadable" if loss == "truncated" else "nothing"


def check_loss(loss: str, before: State, versions: list[State]) -> None:
    """Refuse a loss that there is not, or that would be none.

    Raises:
        Refused: says why.
    """
    if loss not in get_args(Loss):
        raise Refused(f"A state cannot be {loss!r}: it can be {', '.join(get_args(Loss))}.")
    if loss == "older" and not _older(before, versions):
        raise Refused(
            "The state cannot be replaced by an older one: its bucket has no earlier version with a lower serial.\n"
            "To go on: apply once more, or leave this loss out."
        )


def _older(before: State, versions: list[State]) -> list[State]:
    return [state for state in versions if state.lineage == before.lineage and state.serial < before.serial]


def inflict(aws: Aws, journal: Journal, place: Place, loss: Loss) -> str:
    """Lose the state. Undone, what this adds to the key is deleted, and the key is what it was. Gives the id of what it
    put on it.

    Raises:
        AwsError: it could not be done.
    """
    bucket, key = place.row.bucket, place.row.object_key
    known = {key: ids(aws, place)}
    if loss in MARKED:
        made = s3_acts.delete_current(aws, journal, bucket, known)
    elif loss == "older":
        version = _earlier(aws, place)
        copy = s3_copies.Copy(bucket, key, version.version_id, to=bucket, size=version.size)
        made = s3_copies.copy_back(aws, journal, [copy], before=known)
    else:
        body = s3_states.body(aws, bucket, key)
        wrong = body[: len(body) // 2] if loss == "truncated" else _foreign(body)
        made = s3_acts.overwrite(aws, journal, bucket, known, body=wrong)
        if loss == "foreign" and place.row.locked_by_table:
            dynamodb.set_digest(aws, journal, place.row.lock_table, place.path, state_of(wrong).md5)
    if made.refused:
        raise AwsError(f"The state {place.path} could not be lost: {made.refused[key]}")
    return made.versions[key]


def _earlier(aws: Aws, place: Place) -> Version:
    """The newest version with a lower serial than the current one."""
    versions = s3_states.versions_of(aws, place.row.bucket, place.row.object_key)
    current: State | None = None
    for version in versions:
        try:
            body = s3_states.body(aws, place.row.bucket, version.key, version_id=version.version_id)
            state = state_of(body)
        except (AwsError, TerraformFailed):
            continue
        current = current or state
        if _older(current, [state]):
            return version
    raise Refused(f"{place.path} has no version with a lower serial.")


def _foreign(body: bytes) -> bytes:
    """A state of another lineage, further on than this one, as another stack's would be: one resource, no secret."""
    told = json.loads(body)
    resource = {
        "mode": "managed",
        "type": "terraform_data",
        "name": "of_another_stack",
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [{"schema_version": 0, "attributes": {"id": str(uuid4())}}],
    }
    kept = {name: told[name] for name in ("version", "terraform_version")}
    other = {**kept, "serial": int(told["serial"]) + AHEAD, "lineage": str(uuid4()), "outputs": {}}
    return json.dumps({**other, "resources": [resource]}, indent=2).encode()


def asked(drill: Drill, terraform: Terraform, *options: str) -> Detection:
    """What Terraform says, asked for a plan as whoever comes next would."""
    try:
        plan = terraform.plan(*options)
    except TerraformFailed as error:
        words = error.words or str(error)
        return Detection(next((said for said, text in WORDS if text in words), "otherwise"), words)
    finally:
        drill.mark("asked Terraform")
    return Detection("nothing", str(plan), len(plan.changes))


def tell(drill: Drill, place: Place, loss: Loss, detection: Detection, before: State) -> None:
    """What was said, against what ought to have been: a loss that nobody is told of is a finding; that a stack with a
    lock table is not told either, a failure."""
    drill.attach("terraform-on-the-loss.txt", detection.words + "\n")
    ought = expected(place, loss)
    rows = [(loss, place.row.lock, detection.said, ought, detection.changes)]
    columns = ("state", "lock", "Terraform said", "expected", "would have changed")
    drill.table("What Terraform said of the loss", columns, rows, caption=f"Of {len(before.addresses)} resources.")
    if detection.said != ought:
        drill.finding(
            Finding(
                "state.detection",
                "failure",
                f"Terraform was to say {ought} of a state that is {loss}, and said {detection.said}",
                first_line(detection.words),
                "Look whether the lock table has a digest for this state, and which versions of Terraform write it.",
            )
        )
    elif detection.silent:
        drill.finding(
            Finding(
                "state.silent-loss",
                "warning",
                f"Terraform says nothing of a state that is {loss}: it would make {detection.changes} changes",
                f"{len(before.addresses)} resources were known",
                "Look at every plan before it is applied; compare lineage and serial with those of the last apply.",
            )
        )


def first_line(words: str) -> str:
    """The first line of Terraform's words that says something."""
    said = (line.strip("│╷╵ ") for line in words.splitlines())
    return next((line for line in said if line), "")
