"""What a vault tells its topic. Source: AWS Backup developer guide, "Notification options", examples of events."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException
from moto.sns.models import sns_backends
from requests import RequestException
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pytest_envdr.sandbox.control_plane.backup.copy_jobs import CopyJob
    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob, RestoreJob

SUBJECT = "Notification from AWS Backup"
OBJECT_FAILED = {"Backup": "S3_BACKUP_OBJECT_FAILED", "Restore": "S3_RESTORE_OBJECT_FAILED"}
EVENTS = frozenset(
    {
        "BACKUP_JOB_STARTED",
        "BACKUP_JOB_COMPLETED",
        "BACKUP_JOB_SUCCESSFUL",
        "BACKUP_JOB_FAILED",
        "BACKUP_JOB_EXPIRED",
        "COPY_JOB_STARTED",
        "COPY_JOB_SUCCESSFUL",
        "COPY_JOB_FAILED",
        "RESTORE_JOB_STARTED",
        "RESTORE_JOB_COMPLETED",
        "RESTORE_JOB_SUCCESSFUL",
        "RESTORE_JOB_FAILED",
        "RECOVERY_POINT_MODIFIED",
        *OBJECT_FAILED.values(),
    }
)
"""The events that the sandbox sends; a vault may be configured for others, which never come."""

log = logging.getLogger("envdr.sandbox")


@dataclass(frozen=True)
class Configuration:
    """PutBackupVaultNotifications."""

    topic: str
    events: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """One event of a vault: `names` are the event types by which it may be subscribed to."""

    vault: str
    names: tuple[str, ...]
    message: str
    attributes: dict[str, str] = field(default_factory=dict)


class Courier:
    """Publishes, one after the other, in a thread of its own: a topic's subscriber may take its time."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="backup-events")

    def send(self, configuration: Configuration, event: Event) -> None:
        if set(event.names) & set(configuration.events):
            self._thread.submit(self._publish, configuration.topic, event).add_done_callback(_report)

    def close(self) -> None:
        """Stop; what is not begun is dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _publish(self, topic: str, event: Event) -> None:
        attributes = {name: {"Type": "String", "Value": value} for name, value in event.attributes.items()}
        try:
            sns_backends[self._account][self._region].publish(
                event.message, topic, subject=SUBJECT, message_attributes=attributes
            )
        except (ServiceException, HTTPException, RequestException, LookupError, ValueError) as error:
            log.info("backup event %s: %s", event.names, error)


def _report(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.error("backup event: %s", error, exc_info=error)


def of_backup(job: BackupJob) -> Event:
    """What a job's state says: started, or one way of being completed."""
    names = {
        "RUNNING": ("BACKUP_JOB_STARTED",),
        "COMPLETED": ("BACKUP_JOB_COMPLETED", "BACKUP_JOB_SUCCESSFUL"),
        "EXPIRED": ("BACKUP_JOB_COMPLETED", "BACKUP_JOB_EXPIRED"),
    }.get(job.state, ("BACKUP_JOB_COMPLETED", "BACKUP_JOB_FAILED"))
    said = {
        "RUNNING": "An AWS Backup job was started.",
        "COMPLETED": "An AWS Backup job was completed successfully.",
        "EXPIRED": "An AWS Backup job failed to start on time, and has expired.",
    }.get(job.state, "An AWS Backup job failed.")
    point = f" Recovery point ARN: {job.recovery_point}." if job.recovery_point else ""
    message = f"{said}{point} Resource ARN : {job.resource}. BackupJob ID : {job.identifier}"
    attributes = {"EventType": "BACKUP_JOB", "State": job.state, "AccountId": job.account, "Id": job.identifier}
    return Event(job.vault, names, message, attributes | {"StartTime": _time(job.created)})


def of_copy(job: CopyJob) -> Event:
    """What a job's state says; the vault that it copies from tells it."""
    name = {"RUNNING": "COPY_JOB_STARTED", "COMPLETED": "COPY_JOB_SUCCESSFUL"}.get(job.state, "COPY_JOB_FAILED")
    said = {
        "RUNNING": "An AWS Backup copy job was started.",
        "COMPLETED": "An AWS Backup copy job was completed successfully.",
    }.get(job.state, "An AWS Backup copy job failed.")
    message = f"{said} Recovery point ARN: {job.point}. Resource ARN : {job.resource}. CopyJob ID : {job.identifier}"
    attributes = {"EventType": "COPY_JOB", "State": job.state, "AccountId": job.account, "Id": job.identifier}
    vault = job.source_vault.rsplit(":", 1)[-1]
    return Event(vault, (name,), message, attributes | {"StartTime": _time(job.created)})


def of_restore(job: RestoreJob, vault: str) -> Event:
    """What a job's status says."""
    names = {
        "RUNNING": ("RESTORE_JOB_STARTED",),
        "COMPLETED": ("RESTORE_JOB_COMPLETED", "RESTORE_JOB_SUCCESSFUL"),
    }.get(job.status, ("RESTORE_JOB_COMPLETED", "RESTORE_JOB_FAILED"))
    said = {
        "RUNNING": "An AWS Backup restore job was started.",
        "COMPLETED": "An AWS Backup restore job was completed successfully.",
    }.get(job.status, "An AWS Backup restore job failed.")
    made = f" Restored Resource ARN: {job.made}." if job.made else ""
    message = f"{said} Recovery point ARN: {job.recovery_point}.{made} RestoreJob ID : {job.identifier}"
    attributes = {"EventType": "RESTORE_JOB", "State": job.status, "AccountId": job.account, "Id": job.identifier}
    return Event(vault, names, message, attributes | {"StartTime": _time(job.created)})


def of_objects(vault: str, what: str, identifier: str, failures: list[str]) -> list[Event]:
    """One event for each object that a job could not take along; `what` is Backup or Restore."""
    name = OBJECT_FAILED[what]
    attributes = {"EventType": name, "Id": identifier}
    return [
        Event(
            vault, (name,), f"An object failed in an AWS Backup job. {what}Job ID : {identifier}. {failure}", attributes
        )
        for failure in failures
    ]


def _time(moment: object) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
