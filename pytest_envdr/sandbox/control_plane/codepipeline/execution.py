"""What is known of one execution of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.codepipeline.declaration import Action, Declaration

IN_PROGRESS, SUCCEEDED, FAILED = "InProgress", "Succeeded", "Failed"
STOPPING, STOPPED, SUPERSEDED, CANCELLED, ABANDONED = "Stopping", "Stopped", "Superseded", "Cancelled", "Abandoned"
STANDARD, ROLLBACK = "STANDARD", "ROLLBACK"


@dataclass(frozen=True)
class Location:
    """Where an artifact is kept."""

    bucket: str
    key: str

    def shown(self) -> dict[str, str]:
        return {"bucket": self.bucket, "key": self.key}


@dataclass(frozen=True)
class Revision:
    """Which version of a source it is."""

    action: str
    artifact: str
    identifier: str
    created: datetime
    summary: str
    url: str


@dataclass(frozen=True)
class Override:
    """Another revision of a source than its current one; `kind` is S3_OBJECT_VERSION_ID or S3_OBJECT_KEY."""

    action: str
    kind: str
    value: str


@dataclass(frozen=True)
class Failure:
    """Why an action failed."""

    code: str
    message: str

    def shown(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True)
class Outcome:
    """What came of an action that succeeded."""

    outputs: Mapping[str, Location] = field(default_factory=dict)
    revision: Revision | None = None
    summary: str = ""


@dataclass
class Run:
    """One run of one action; a retry is another one.

    Attributes:
        token: of an approval that is awaited.
        external, external_url: what it is called where it really happens: a build's id, a deployment's.
    """

    action: Action
    stage: str
    version: int
    started: datetime
    updated: datetime
    inputs: Mapping[str, Location] = field(default_factory=dict)
    identifier: str = field(default_factory=lambda: str(uuid4()))
    status: str = IN_PROGRESS
    token: str | None = None
    external: str | None = None
    external_url: str | None = None
    outcome: Outcome = field(default_factory=Outcome)
    failure: Failure | None = None
    updated_by: str | None = None

    def end(self, status: str, at: datetime) -> None:
        self.status, self.updated, self.token = status, at, None


@dataclass
class StageRun:
    """An execution in a stage: the latest run of each of its actions, by name."""

    status: str = IN_PROGRESS
    runs: dict[str, Run] = field(default_factory=dict)
    retries: int = 0

    def with_status(self, *statuses: str) -> list[Run]:
        """The runs whose status is one of these."""
        return [run for run in self.runs.values() if run.status in statuses]


@dataclass
class Execution:
    """One execution.

    Attributes:
        stages: where it has been, and is.
        history: all runs of actions, the oldest first.
        artifacts: what was made, by name.
        revisions: of its sources, by action.
        target: of a rollback, the execution that it rolls back to.
        abandon: whether, being stopped, it leaves its actions alone.
    """

    declaration: Declaration
    started: datetime
    trigger: str
    detail: str
    identifier: str = field(default_factory=lambda: str(uuid4()))
    kind: str = STANDARD
    status: str = IN_PROGRESS
    updated: datetime | None = None
    overrides: Sequence[Override] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    stop_reason: str | None = None
    abandon: bool = False
    stages: dict[str, StageRun] = field(default_factory=dict)
    history: list[Run] = field(default_factory=list)
    artifacts: dict[str, Location] = field(default_factory=dict)
    revisions: dict[str, Revision] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it may still get on."""
        return self.status in {IN_PROGRESS, STOPPING}

    def set(self, status: str, at: datetime) -> None:
        self.status, self.updated = status, at

    def mentioned(self) -> dict[str, Any]:
        """How a stage's state names it."""
        return {"pipelineExecutionId": self.identifier, "type": self.kind}
