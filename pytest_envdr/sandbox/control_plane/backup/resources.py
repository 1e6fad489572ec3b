"""The kinds of resources that can be backed up, and what each must be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob, RestoreJob


class Content(Protocol):
    """The data of a recovery point."""

    @property
    def size(self) -> int:
        """Bytes."""

    def metadata(self) -> dict[str, str]:
        """What GetRecoveryPointRestoreMetadata answers."""

    def check(self, metadata: Mapping[str, str]) -> None:
        """Whether StartRestoreJob would take it. Raises `InvalidParameterValueException`."""

    def restore(self, job: RestoreJob) -> Restoration:
        """Begin a restore. Raises `JobFailed`."""

    def delete(self) -> None:
        """Forget the data."""


class Capture(Protocol):
    """A backup under way."""

    def percent(self) -> float:
        """How much is done, 0-100; 100 is all. Raises `JobFailed`."""

    def content(self) -> Content:
        """What was backed up, once all is done."""

    def issues(self) -> list[str]:
        """What could not be backed up although the job completes, each as a sentence."""

    def cancel(self) -> None:
        """Give up; what there is of it goes."""


class Restoration(Protocol):
    """A restore under way, or done."""

    def percent(self) -> float:
        """How much is done, 0-100; 100 is all. Raises `JobFailed`."""

    @property
    def arn(self) -> str:
        """What it makes."""

    def failures(self) -> list[str]:
        """What was not restored although the job completes, each as a sentence."""

    def delete(self) -> bool:
        """Bring its deletion a step on; whether it is gone."""


class Kind(Protocol):
    """A type of resource."""

    type: str

    def arns(self) -> list[str]:
        """All there are."""

    def tags(self, arn: str) -> Mapping[str, str]:
        """A resource's tags."""

    def capture(self, job: BackupJob, previous: Content | None) -> Capture:
        """Begin a backup. Raises `NotYet` and `JobFailed`."""

    def point_arn(self, job: BackupJob) -> str:
        """The ARN of the recovery point that a job makes."""

    def receive(self, content: Content, job: str, key: str | None) -> Capture:
        """Begin to copy what is in a vault, of this Region or another; `key` is the ARN of the destination's.

        Raises `JobFailed`.
        """

    def copy_arn(self, resource: str, job: str) -> str:
        """The ARN of the recovery point that a copy job makes."""

    def test_metadata(self, content: Content) -> dict[str, str]:
        """What restore testing infers, with a generated name."""


def type_of(arn: str) -> str:
    """The `ResourceType` of an ARN.

    Raises:
        InvalidParameterValueException: it is none that the sandbox backs up.
    """
    parts = arn.split(":")
    if len(parts) >= 6 and parts[0] == "arn":
        if parts[2] == "s3" and parts[5]:
            return "S3"
        if parts[2] == "rds" and parts[5] == "db" and len(parts) == 7:
            return "RDS"
    raise InvalidParameterValueException(f"Unsupported resource type: {arn}")
