"""What is known of one build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

IN_PROGRESS, SUCCEEDED, FAILED, FAULT, STOPPED = "IN_PROGRESS", "SUCCEEDED", "FAILED", "FAULT", "STOPPED"
"""Of a build's statuses these; TIMED_OUT is the sixth."""


@dataclass(frozen=True)
class Origin:
    """Where a zipped source is; `version` is the object's version id, None for its current one."""

    bucket: str
    key: str
    version: str | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Destination:
    """Where the zipped artifact goes."""

    bucket: str
    key: str

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}/{self.key}"


@dataclass
class Phase:
    """One of a build's phases."""

    name: str
    started: datetime
    ended: datetime | None = None
    status: str | None = None
    code: str | None = None
    message: str = ""

    def shown(self) -> dict[str, Any]:
        """As BatchGetBuilds has it."""
        row: dict[str, Any] = {"phaseType": self.name, "startTime": self.started}
        if self.ended:
            seconds = int((self.ended - self.started).total_seconds())
            row |= {"phaseStatus": self.status, "endTime": self.ended, "durationInSeconds": seconds}
            row["contexts"] = [{"statusCode": self.code or "", "message": self.message}]
        return row


@dataclass
class Build:
    """One build.

    Attributes:
        identifier: `<project>:<uuid>`.
        resolved: which version of the source it is; empty where that is not known.
        stopping: somebody asked it to stop.
        taken: a thread has it.
    """

    identifier: str
    arn: str
    number: int
    project: dict[str, Any]
    started: datetime
    source: dict[str, Any]
    source_version: str
    resolved: str
    initiator: str
    minutes: float
    variables: dict[str, str] = field(default_factory=dict)
    origin: Origin | None = None
    destination: Destination | None = None
    buildspec: str | None = None
    region: str = ""
    phases: list[Phase] = field(default_factory=list)
    status: str = IN_PROGRESS
    ended: datetime | None = None
    stopping: bool = False
    taken: bool = False
    artifact_digest: str | None = None

    @property
    def name(self) -> str:
        """The project's."""
        return self.identifier.partition(":")[0]

    @property
    def stream(self) -> str:
        """The log stream's name."""
        return self.identifier.partition(":")[2]

    @property
    def group(self) -> str:
        """The log group's name."""
        configured = (self.project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
        return str(configured.get("groupName") or f"/aws/codebuild/{self.name}")

    def begin(self, name: str, at: datetime) -> None:
        """Enter a phase; the one before ends, with success if nothing else was said."""
        self.end(SUCCEEDED, at)
        self.phases.append(Phase(name, at))

    def end(self, status: str, at: datetime, *, code: str | None = None, message: str = "") -> None:
        """End the current phase, unless it has ended."""
        if self.phases and self.phases[-1].ended is None:
            phase = self.phases[-1]
            phase.ended, phase.status, phase.code, phase.message = at, status, code, message

    def complete(self, status: str, at: datetime) -> None:
        """The build is over."""
        self.begin("FINALIZING", at)
        self.begin("COMPLETED", at)
        self.status, self.ended = status, at

    def failure(self) -> str:
        """What the first phase that failed says."""
        failed = [phase for phase in self.phases if phase.status not in (None, SUCCEEDED)]
        return f"{failed[0].name}: {failed[0].message}" if failed else ""

    def shown(self) -> dict[str, Any]:
        """As BatchGetBuilds has it."""
        group, stream = self.group, self.stream
        account = self.arn.split(":")[4]
        logs = f"arn:aws:logs:{self.region}:{account}:log-group:{group}:log-stream:{stream}"
        link = f"https://console.aws.amazon.com/cloudwatch/home?region={self.region}#logEvent:group={group};stream={stream}"
        row = {
            "id": self.identifier,
            "arn": self.arn,
            "buildNumber": self.number,
            "startTime": self.started,
            "endTime": self.ended,
            "currentPhase": self.phases[-1].name,
            "buildStatus": self.status,
            "sourceVersion": self.source_version or None,
            "resolvedSourceVersion": self.resolved or None,
            "projectName": self.name,
            "phases": [phase.shown() for phase in self.phases],
            "source": self.source,
            "artifacts": self._artifacts(),
            "environment": self.project["environment"],
            "serviceRole": self.project["serviceRole"],
            "logs": {"groupName": group, "streamName": stream, "deepLink": link, "cloudWatchLogsArn": logs},
            "timeoutInMinutes": int(self.minutes),
            "queuedTimeoutInMinutes": self.project.get("queuedTimeoutInMinutes") or 480,
            "buildComplete": self.ended is not None,
            "initiator": self.initiator,
            "encryptionKey": self.project["encryptionKey"],
        }
        return {name: value for name, value in row.items() if value is not None}

    def _artifacts(self) -> dict[str, str]:
        if self.destination is None:
            return {"location": ""}
        return {"location": self.destination.arn} | (
            {"sha256sum": self.artifact_digest} if self.artifact_digest else {}
        )
